'use strict';

// What can be uploaded: bytes, which the native half reads where they are, and streams, which are
// fed to it piece by piece.

const { Readable } = require('node:stream');
const { count, kindOf, wrongType } = require('./arguments.cjs');
const { invalid } = require('./errors.cjs');
const { native } = require('./native.cjs');

// Pieces are copied one by one, so that a huge one does not exist twice.
const PIECE = 256 * 1024;

// Bytes that stay where they are while a call uses them: memory that can shrink or that other
// threads write to is copied.
function steady(bytes) {
  const { buffer } = bytes;
  const isSteady = buffer instanceof ArrayBuffer && !buffer.resizable;
  return isSteady ? bytes : new Uint8Array(bytes);
}

// What a call takes: `content` and `size` go to the native half, `source` is told when it is over.
function contentOf(given, size) {
  const known = size === undefined ? undefined : count(size, 'size');
  if (given instanceof Uint8Array) {
    if (known !== undefined && known !== given.byteLength) {
      throw invalid(`size ${known}: there are ${given.byteLength} bytes`);
    }
    return { content: steady(given), size: undefined, source: undefined };
  }
  const source = streamOf(given);
  const ofBlob = given instanceof Blob ? given.size : undefined;
  return { content: source.feeder, size: known ?? ofBlob, source };
}

function streamOf(given) {
  if (typeof given === 'string') {
    throw wrongType('a string is no content; pass Buffer.from(text), or use uploadFile for a path');
  }
  if (given instanceof Blob) return new Source(new WebPieces(given.stream()));
  if (given instanceof ReadableStream) return new Source(new WebPieces(given));
  if (given instanceof Readable) return new Source(new NodePieces(given));
  if (typeof given?.[Symbol.asyncIterator] === 'function') return new Source(new Pieces(given));
  throw wrongType(
    'content must be a Uint8Array, Blob, Readable, ReadableStream or AsyncIterable<Uint8Array>, ' +
      `not ${kindOf(given)}`,
  );
}

// Pieces of any async iterable.
class Pieces {
  constructor(iterable) {
    this.iterator = iterable[Symbol.asyncIterator]();
  }

  next() {
    return this.iterator.next();
  }

  // Nobody waits for a source that is not wanted any more, and it has nobody to complain to.
  stop() {
    Promise.resolve(this.iterator.return?.()).catch(() => {});
  }
}

// Pieces of a Node stream, which is destroyed when they are not wanted any more: that also ends
// the one it is waiting for.
class NodePieces extends Pieces {
  constructor(stream) {
    super(stream);
    this.stream = stream;
  }

  stop() {
    this.stream.on('error', () => {}).destroy();
  }
}

// Pieces of a web stream.
class WebPieces {
  constructor(stream) {
    this.reader = stream.getReader();
  }

  next() {
    return this.reader.read();
  }

  stop() {
    this.reader.cancel().catch(() => {});
  }
}

class Source {
  // What the stream failed with.
  failure = undefined;
  feeder = new native.NativeFeeder();
  #pieces;
  #over = false;

  constructor(pieces) {
    this.#pieces = pieces;
    this.#pump();
  }

  // Feeds until the stream ends or the call does. The call tells what comes of it.
  async #pump() {
    try {
      for (;;) {
        const { done, value } = await this.#pieces.next();
        if (this.#over) return;
        if (done) break;
        if (!(await this.#push(value))) return;
      }
      this.#over = true;
      await this.feeder.finish();
    } catch (error) {
      if (this.#over) return;
      this.failure = error;
      this.#over = true;
      this.#pieces.stop();
      await this.feeder.fail(String(error?.message ?? error));
    }
  }

  // Whether the call wants more.
  async #push(piece) {
    if (!(piece instanceof Uint8Array)) {
      throw wrongType(`the stream gave ${kindOf(piece)} where a Uint8Array is needed`);
    }
    let wants = true;
    for (let at = 0; at < piece.byteLength && wants; at += PIECE) {
      const pushed = this.feeder.push(piece.subarray(at, at + PIECE));
      wants = typeof pushed === 'boolean' ? pushed : await pushed;
    }
    return wants;
  }

  // The call is over: a stream that is not at its end is given up.
  stop() {
    // Should the call not have begun, this ends the wait for it.
    this.feeder.close();
    if (this.#over) return;
    this.#over = true;
    this.#pieces.stop();
  }
}

module.exports = { contentOf, steady };

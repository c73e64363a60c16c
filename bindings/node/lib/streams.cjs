'use strict';

// Files as streams. Each asks the storage for more only when its reader wants more, and takes more
// only when the storage has taken what came before.

const { Readable, Writable } = require('node:stream');
const { Call, request } = require('./call.cjs');
const { FdfsError, invalid } = require('./errors.cjs');
const { onAbort } = require('./signals.cjs');
const { steady } = require('./sources.cjs');

// What a stream for writing collects for one request.
const CHUNK = 256 * 1024;
// What a stream for reading reads at a time, as Node's own streams of files do. Larger pieces are
// allocated faster than the collector of a busy machine frees them.
const PIECE = 64 * 1024;

// What a stream has open: its calls end when the stream is given up.
class Opening {
  #call;
  #signal;
  #forget;

  // `aborted` gets the signal's reason.
  constructor({ signal, timeoutMs }, aborted) {
    this.#call = new Call({ timeoutMs });
    if (signal === undefined) return;
    if (!(signal instanceof AbortSignal)) throw invalid('signal: an AbortSignal is needed');
    this.#signal = signal;
    this.#forget = onAbort(signal, () => aborted(signal.reason));
  }

  async open(operation, id, start) {
    this.#signal?.throwIfAborted();
    return request(operation, id, undefined, [], () => start(this.#call.native));
  }

  // What the stream's user gets to see of an error.
  reason(error) {
    return this.#signal?.aborted ? this.#signal.reason : this.#call.reason(error);
  }

  end() {
    this.#call.cancel();
    this.#forget?.();
  }
}

// The next bytes of a reader, none at the end.
async function pieceOf(reader, done) {
  const piece = Buffer.allocUnsafeSlow(Math.min(PIECE, reader.length - done));
  if (piece.length === 0) return piece;
  const length = await reader.read(piece);
  // The piece may be kept for long: not with twice its size.
  if (length < piece.length / 2) return Buffer.from(piece.subarray(0, length));
  return piece.subarray(0, length);
}

class FileReadable extends Readable {
  #opening;
  #start;
  #reader;
  #id;
  #done = 0;

  constructor(id, options, start) {
    super({ highWaterMark: PIECE });
    this.#id = id;
    this.#start = start;
    this.#opening = new Opening(options, (reason) => this.destroy(reason));
  }

  _construct(done) {
    this.#opening.open('createReadStream', this.#id, this.#start).then(
      (reader) => {
        this.#reader = reader;
        done();
      },
      (error) => done(this.destroyed ? null : error),
    );
  }

  _read() {
    pieceOf(this.#reader, this.#done).then(
      (piece) => {
        this.#done += piece.length;
        this.push(piece.length > 0 ? piece : null);
      },
      (error) => this.destroy(this.#opening.reason(error)),
    );
  }

  destroy(error, done) {
    // Here and not in `_destroy`, which waits until the file is open.
    this.#opening.end();
    return super.destroy(error, done);
  }

  _destroy(error, done) {
    this.#reader?.close();
    done(error);
  }
}

class FileWritable extends Writable {
  #opening;
  #start;
  #writer;
  #stored;
  #lost;
  #isStored = false;

  constructor(options, start) {
    super({ highWaterMark: CHUNK });
    this.#start = start;
    this.#opening = new Opening(options, (reason) => this.destroy(reason));
    this.fileId = new Promise((stored, lost) => {
      this.#stored = stored;
      this.#lost = lost;
    });
    // Who does not ask for the id learns of the error from the stream.
    this.fileId.catch(() => {});
  }

  _construct(done) {
    this.#opening.open('createWriteStream', undefined, this.#start).then(
      (writer) => {
        this.#writer = writer;
        done();
      },
      (error) => done(this.destroyed ? null : error),
    );
  }

  _write(piece, _encoding, done) {
    this.#writer.write(steady(piece)).then(
      () => done(),
      (error) => done(this.#opening.reason(error)),
    );
  }

  _writev(pieces, done) {
    this._write(Buffer.concat(pieces.map((piece) => piece.chunk)), 'buffer', done);
  }

  _final(done) {
    this.#writer.finish().then(
      (id) => {
        this.#isStored = true;
        this.#stored(id);
        done();
      },
      (error) => done(this.#opening.reason(error)),
    );
  }

  destroy(error, done) {
    this.#opening.end();
    return super.destroy(error, done);
  }

  _destroy(error, done) {
    if (this.#isStored) {
      done(error);
      return;
    }
    this.#lost(error ?? new FdfsError('cancelled', 'the stream was destroyed before its end'));
    // What remains of the file is of no use; that it could not be removed tells nobody anything.
    const removed = this.#writer?.abort() ?? Promise.resolve();
    removed.then(() => done(error), () => done(error));
  }
}

function webStream(id, options, start) {
  let control;
  let reader;
  let done = 0;
  let isOver = false;
  const opening = new Opening(options, (reason) => {
    over();
    control.error(reason);
  });
  function over() {
    isOver = true;
    opening.end();
    reader?.close();
  }
  async function pull() {
    reader ??= await opening.open('stream', id, start);
    if (isOver) {
      reader.close();
      return;
    }
    const piece = await pieceOf(reader, done);
    done += piece.length;
    if (piece.length > 0) {
      control.enqueue(piece);
    } else {
      over();
      control.close();
    }
  }
  return new ReadableStream(
    {
      start(controller) {
        control = controller;
      },
      async pull() {
        try {
          await pull();
        } catch (error) {
          if (isOver) return;
          over();
          throw opening.reason(error);
        }
      },
      cancel: over,
    },
    { highWaterMark: 1 },
  );
}

module.exports = { FileReadable, FileWritable, webStream };

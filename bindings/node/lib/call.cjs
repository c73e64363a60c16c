'use strict';

// A call under way: its signal, clock and progress, and what diagnostics see of it.

const { channel } = require('node:diagnostics_channel');
const { named, text } = require('./arguments.cjs');
const { fromNative, invalid } = require('./errors.cjs');
const { native } = require('./native.cjs');
const { onAbort } = require('./signals.cjs');
const { contentOf } = require('./sources.cjs');

const started = channel('fdfs:request:start');
const ended = channel('fdfs:request:end');
const failed = channel('fdfs:request:error');

const CALL = ['signal', 'timeoutMs'];
const TRANSFER = [...CALL, 'progress'];

// What is told to the native half when the caller asks for anything special.
class Call {
  #signal;
  #forget;
  #progress;
  #told = 0;
  #over = false;
  // What the caller's own progress function threw.
  #thrown;

  constructor({ signal, timeoutMs, progress }) {
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw invalid('signal: an AbortSignal is needed');
    }
    if (timeoutMs !== undefined && typeof timeoutMs !== 'number') {
      throw invalid('timeoutMs: a number is needed');
    }
    if (progress !== undefined && typeof progress !== 'function') {
      throw invalid('progress: a function is needed');
    }
    this.#progress = progress;
    const tell = progress === undefined ? undefined : () => this.#tell();
    this.native = new native.NativeCall(timeoutMs, tell);
    if (signal !== undefined) {
      signal.throwIfAborted();
      this.#signal = signal;
      this.#forget = onAbort(signal, () => this.native.cancel());
    }
  }

  // Most calls ask for nothing special.
  static of(options) {
    const { signal, timeoutMs, progress } = options;
    if (signal === undefined && timeoutMs === undefined && progress === undefined) return undefined;
    return new Call(options);
  }

  #tell() {
    if (this.#over) return;
    const moved = this.native.moved();
    if (moved <= this.#told) return;
    this.#told = moved;
    try {
      this.#progress(moved);
    } catch (error) {
      this.#over = true;
      this.#thrown = { error };
      this.native.cancel();
    }
  }

  // Ends it: the last progress is told before the caller goes on.
  done() {
    if (this.#progress !== undefined) this.#tell();
    if (this.#thrown !== undefined) throw this.#thrown.error;
  }

  release() {
    this.#over = true;
    this.#forget?.();
  }

  cancel() {
    this.native.cancel();
  }

  // What the caller gets to see of an error.
  reason(error, source) {
    if (error?.kind === 'cancelled') {
      if (this.#thrown !== undefined) return this.#thrown.error;
      if (this.#signal?.aborted) return this.#signal.reason;
    }
    return fromNative(error, source);
  }
}

// Makes a call about a file, or about none: `start` gets the native options, the caller's and what
// is sent, if anything, and gives the native promise. Everything is checked within: what is wrong
// rejects the promise. Nothing else awaits it on the way to the caller, as each layer costs.
async function request(operation, id, options, names, start, sent) {
  if (id !== undefined) text(id, 'file id');
  const given = named(options, names, `options of ${operation}`);
  const trace = traced(operation, id);
  let source;
  let call;
  try {
    const content = sent === undefined ? undefined : contentOf(sent.from, given.size);
    source = content?.source;
    call = Call.of(given);
    const result = await start(call?.native, given, content);
    call?.done();
    if (trace !== undefined) finished(ended, trace);
    return result;
  } catch (thrown) {
    const failure = source?.failure;
    const error = call === undefined ? fromNative(thrown, failure) : call.reason(thrown, failure);
    if (trace !== undefined) finished(failed, Object.assign(trace, { error }));
    throw error;
  } finally {
    source?.stop();
    call?.release();
  }
}

function traced(operation, fileId) {
  if (!started.hasSubscribers && !ended.hasSubscribers && !failed.hasSubscribers) return undefined;
  const about = fileId === undefined ? {} : { fileId };
  const trace = { operation, ...about, startedAt: performance.now() };
  started.publish(trace);
  return trace;
}

function finished(to, trace) {
  trace.durationMs = performance.now() - trace.startedAt;
  to.publish(trace);
}

module.exports = { CALL, Call, TRANSFER, request };

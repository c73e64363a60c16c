'use strict';

const { getSystemErrorName } = require('node:util');
const { native } = require('./native.cjs');

// Where the code is not simply the kind's name.
const SHORT = { already_exists: 'EXISTS', invalid_argument: 'INVALID_ARG' };

const codeOf = (name) => `ERR_FDFS_${SHORT[name] ?? name.toUpperCase()}`;

const errorKinds = Object.freeze(
  native.kinds().map(({ name, number, retryable }) =>
    Object.freeze({ kind: name, code: codeOf(name), number, retryable }),
  ),
);

const byName = new Map(errorKinds.map((kind) => [kind.kind, kind]));

class FdfsError extends Error {
  constructor(kind, message, fields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.kind = kind;
    this.code = codeOf(kind);
    for (const name of ['server', 'command', 'fileId', 'errno']) {
      if (fields[name] !== undefined && fields[name] !== null) this[name] = fields[name];
    }
    this.retryable = fields.retryable ?? byName.get(kind)?.retryable ?? false;
    this.outcomeUnknown = fields.outcomeUnknown ?? false;
  }
}
Object.defineProperty(FdfsError.prototype, 'name', { value: 'FdfsError', configurable: true });

// What the native half threw, as applications see it; everything else stays as it is. `source` is
// what the stream of an upload failed with.
function fromNative(thrown, source) {
  if (thrown instanceof FdfsError || !(thrown instanceof Error)) return thrown;
  if (thrown.kind !== undefined) {
    const local = thrown.kind === 'local_io' && source !== undefined;
    return new FdfsError(thrown.kind, thrown.message, {
      ...thrown,
      cause: local ? source : causeOf(thrown.cause),
    });
  }
  // Where an argument could not be read, or on a panic, the code is such a word.
  if (typeof thrown.code !== 'string' || !/^[A-Z][a-z]/.test(thrown.code)) return thrown;
  const kind = thrown.code === 'GenericFailure' ? 'internal' : 'invalid_argument';
  return new FdfsError(kind, thrown.message, { cause: thrown });
}

function causeOf(cause) {
  if (cause === undefined || cause === null) return undefined;
  if (cause.kind !== undefined) return fromNative(cause);
  const made = new Error(cause.message, { cause: causeOf(cause.cause) });
  if (typeof cause.osError === 'number') {
    made.errno = -cause.osError;
    made.code = getSystemErrorName(-cause.osError);
  }
  return made;
}

function invalid(message) {
  return new FdfsError('invalid_argument', message);
}

module.exports = { FdfsError, errorKinds, fromNative, invalid };

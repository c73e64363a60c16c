'use strict';

// Arguments as the native half wants them. Whatever is wrong gets an error that names it.

const { FdfsError, invalid } = require('./errors.cjs');

function text(value, what) {
  if (typeof value === 'string') return value;
  throw invalid(`${what}: a string is needed, not ${kindOf(value)}`);
}

// A whole number, given as number or bigint.
function whole(value, what) {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (Number.isSafeInteger(number)) return number;
  throw invalid(`${what}: a whole number below 2^53 is needed, not ${String(value)}`);
}

// One that counts something.
function count(value, what) {
  const number = whole(value, what);
  if (number >= 0) return number;
  throw invalid(`${what} ${number}: must not be below 0`);
}

// A date, or seconds since 1970.
function unixSecs(value, what) {
  if (value instanceof Date) {
    if (!Number.isNaN(value.getTime())) return Math.floor(value.getTime() / 1000);
    throw invalid(`${what}: an invalid date`);
  }
  return whole(value, what);
}

// The options, with an error for names that mean nothing.
function named(options, names, what) {
  if (options === undefined || options === null) return {};
  if (typeof options !== 'object') {
    throw invalid(`${what}: an object is needed, not ${kindOf(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) {
      throw invalid(`${what}: there is no option ${name}, only ${names.join(', ')}`);
    }
  }
  return options;
}

function kindOf(value) {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  return value.constructor?.name ?? 'object';
}

// An error of the type that scripts expect for an argument of a wrong type.
function wrongType(message) {
  const error = new TypeError(message);
  error.code = new FdfsError('invalid_argument', '').code;
  return error;
}

module.exports = { count, kindOf, named, text, unixSecs, whole, wrongType };

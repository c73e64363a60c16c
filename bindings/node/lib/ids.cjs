'use strict';

const { fromNative } = require('./errors.cjs');
const { text, unixSecs } = require('./arguments.cjs');
const { native } = require('./native.cjs');

// Native functions that answer at once.
function pure(work) {
  try {
    return work();
  } catch (error) {
    throw fromNative(error);
  }
}

function parseFileId(id) {
  const { created, ...info } = pure(() => native.parseId(text(id, 'file id')));
  const createdAt = created === null ? null : new Date(created * 1000);
  return Object.freeze({ ...info, createdAt });
}

function slaveId(master, prefix, ext = '') {
  return pure(() =>
    native.slaveId(text(master, 'master'), text(prefix, 'prefix'), text(ext, 'ext')),
  );
}

function makeToken(id, time, secret) {
  const secs = unixSecs(time, 'time');
  return pure(() => native.makeToken(text(id, 'file id'), secs, text(secret, 'secret')));
}

module.exports = { makeToken, parseFileId, pure, slaveId };

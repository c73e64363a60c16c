'use strict';

const { Client } = require('./lib/client.cjs');
const { EmbeddedCluster } = require('./lib/cluster.cjs');
const { FdfsError, errorKinds } = require('./lib/errors.cjs');
const { makeToken, parseFileId, slaveId } = require('./lib/ids.cjs');
const { coreVersion } = require('./lib/native.cjs');

module.exports = {
  Client,
  EmbeddedCluster,
  FdfsError,
  coreVersion,
  errorKinds,
  makeToken,
  parseFileId,
  slaveId,
};

import fdfs from './index.cjs';

export const {
  Client,
  EmbeddedCluster,
  FdfsError,
  coreVersion,
  errorKinds,
  makeToken,
  parseFileId,
  slaveId,
} = fdfs;

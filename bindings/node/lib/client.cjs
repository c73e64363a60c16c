'use strict';

const { fileURLToPath } = require('node:url');
const { CALL, TRANSFER, request } = require('./call.cjs');
const { count, kindOf, named, text, unixSecs, whole, wrongType } = require('./arguments.cjs');
const { steady } = require('./sources.cjs');
const { FileReadable, FileWritable, webStream } = require('./streams.cjs');
const { native } = require('./native.cjs');
const { pure } = require('./ids.cjs');
const { invalid } = require('./errors.cjs');

const CLIENT = [
  'trackers', 'group', 'connectTimeoutMs', 'ioTimeoutMs', 'timeoutMs', 'poolSize', 'poolWaitMs',
  'poolIdleMs', 'retries', 'addressMap', 'tokenSecret',
];
const PLACE = ['ext', 'metadata', 'group', 'storePathIndex', 'appender'];
const UPLOAD = [...PLACE, 'size', ...TRANSFER];
const FILE = [...PLACE, ...TRANSFER];
const SLAVE = ['ext', 'metadata', 'size', ...TRANSFER];
const CHANGE = ['size', ...TRANSFER];
const RANGE = ['offset', 'length'];
const DOWNLOAD = [...RANGE, ...TRANSFER];
const DOWNLOAD_INTO = ['offset', ...TRANSFER];
const STREAM = [...RANGE, ...CALL];
const DELETE = ['missingOk', ...CALL];
const SET_METADATA = ['merge', ...CALL];
const LOCATE = ['all', ...CALL];
const WRITER = ['ext', 'metadata', 'group', 'storePathIndex', 'finalize', ...CALL];

// Disposal is written by name where the symbol is missing (Node before 20.4).
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');

// Times come from the native half as Unix milliseconds, and values do not change.
const DATES = ['modified', 'joined', 'upSince'];
function value(of) {
  if (typeof of !== 'object' || of === null) return of;
  for (const name of DATES) if (typeof of[name] === 'number') of[name] = new Date(of[name]);
  for (const part of Object.values(of)) if (!(part instanceof Date)) value(part);
  return Object.freeze(of);
}

function clientOptions(options, what) {
  const { trackers, poolSize, retries, ...rest } = named(options, CLIENT, what);
  return {
    ...rest,
    trackers: typeof trackers === 'string' ? [trackers] : trackers,
    poolSize: poolSize === undefined ? undefined : count(poolSize, 'poolSize'),
    retries: retries === undefined ? undefined : count(retries, 'retries'),
  };
}

function place({ ext, metadata, group, storePathIndex, appender }) {
  const index = storePathIndex === undefined ? undefined : count(storePathIndex, 'storePathIndex');
  const items = metadata === undefined ? undefined : textByText(metadata);
  return { ext, metadata: items, group, storePathIndex: index, appender };
}

function textByText(metadata) {
  if (typeof metadata !== 'object' || metadata === null) {
    throw invalid(`metadata: an object is needed, not ${kindOf(metadata)}`);
  }
  for (const [name, item] of Object.entries(metadata)) text(item, `metadata ${name}`);
  return metadata;
}

function range({ offset = 0, length }) {
  const from = whole(offset, 'offset');
  return [from, length === undefined ? undefined : count(length, 'length')];
}

// Says to the constructor that there is a client.conf.
const CONF = Symbol('conf');

class Client {
  #native;
  #admin;

  constructor(options) {
    const given = clientOptions(options, 'client options');
    given.conf = options?.[CONF];
    if (given.conf === undefined && given.trackers === undefined) {
      throw invalid('client options: trackers are missing');
    }
    this.#native = pure(() => new native.NativeClient(given));
  }

  static fromConf(path, overrides) {
    return new Client({ ...overrides, [CONF]: text(path, 'path') });
  }

  upload(source, options) {
    const start = (call, given, { content, size }) =>
      this.#native.upload(place(given), content, size, call);
    return request('upload', undefined, options, UPLOAD, start, { from: source });
  }

  uploadFile(path, options) {
    return request('uploadFile', undefined, options, FILE, (call, given) =>
      this.#native.uploadFile(localPath(path), place(given), call),
    );
  }

  uploadSlave(master, prefix, source, options) {
    const start = (call, given, { content, size }) =>
      this.#native.uploadSlave(master, text(prefix, 'prefix'), place(given), content, size, call);
    return request('uploadSlave', master, options, SLAVE, start, { from: source });
  }

  append(id, source, options) {
    const start = (call, _given, { content, size }) => this.#native.append(id, content, size, call);
    return request('append', id, options, CHANGE, start, { from: source });
  }

  modify(id, offset, source, options) {
    const start = (call, _given, { content, size }) =>
      this.#native.modify(id, count(offset, 'offset'), content, size, call);
    return request('modify', id, options, CHANGE, start, { from: source });
  }

  truncate(id, size = 0, options) {
    return request('truncate', id, options, CALL, (call) =>
      this.#native.truncate(id, count(size, 'size'), call),
    );
  }

  finalize(id, options) {
    return request('finalize', id, options, CALL, (call) => this.#native.finalize(id, call));
  }

  createWriteStream(options) {
    const given = named(options, WRITER, 'options of createWriteStream');
    const where = place(given);
    const finalize = given.finalize ?? true;
    return new FileWritable(given, (call) => this.#native.create(where, finalize, call));
  }

  download(id, options) {
    return request('download', id, options, DOWNLOAD, (call, given) => {
      const [offset, length] = range(given);
      return this.#native.download(id, offset, length, call);
    });
  }

  async downloadInto(id, buffer, options) {
    if (!(buffer instanceof Uint8Array)) {
      throw wrongType(`a Uint8Array is needed to download into, not ${kindOf(buffer)}`);
    }
    const into = steady(buffer);
    const filled = await request('download', id, options, DOWNLOAD_INTO, (call, given) =>
      this.#native.downloadInto(id, into, whole(given.offset ?? 0, 'offset'), call),
    );
    if (into !== buffer) buffer.set(into.subarray(0, filled));
    return filled;
  }

  downloadFile(id, path, options) {
    return request('downloadFile', id, options, DOWNLOAD, (call, given) => {
      const [offset, length] = range(given);
      return this.#native.downloadFile(id, localPath(path), offset, length, call);
    });
  }

  createReadStream(id, options) {
    return new FileReadable(...this.#opening(id, options, 'createReadStream'));
  }

  stream(id, options) {
    return webStream(...this.#opening(id, options, 'stream'));
  }

  #opening(id, options, what) {
    text(id, 'file id');
    const given = named(options, STREAM, `options of ${what}`);
    const [offset, length] = range(given);
    return [id, given, (call) => this.#native.open(id, offset, length, call)];
  }

  delete(id, options) {
    return request('delete', id, options, DELETE, (call, given) =>
      this.#native.delete(id, given.missingOk ?? false, call),
    );
  }

  exists(id, options) {
    return request('exists', id, options, CALL, (call) => this.#native.exists(id, call));
  }

  async stat(id, options) {
    return value(
      await request('stat', id, options, CALL, (call) => this.#native.stat(id, call)),
    );
  }

  getMetadata(id, options) {
    return request('getMetadata', id, options, CALL, (call) => this.#native.getMetadata(id, call));
  }

  setMetadata(id, metadata, options) {
    return request('setMetadata', id, options, SET_METADATA, (call, given) =>
      this.#native.setMetadata(id, textByText(metadata), given.merge ?? false, call),
    );
  }

  async listGroups(options) {
    return value(
      await request('listGroups', undefined, options, CALL, (call) =>
        this.#native.listGroups(call),
      ),
    );
  }

  async listStorages(group, storage, options) {
    text(group, 'group');
    return value(
      await request('listStorages', undefined, options, CALL, (call) =>
        this.#native.listStorages(group, storage, call),
      ),
    );
  }

  async listTrackers(options) {
    return value(
      await request('listTrackers', undefined, options, CALL, (call) =>
        this.#native.listTrackers(call),
      ),
    );
  }

  async locate(id, options) {
    return value(
      await request('locate', id, options, LOCATE, (call, given) =>
        this.#native.locate(id, given.all ?? false, call),
      ),
    );
  }

  async pickUpload(group, options) {
    return value(
      await request('pickUpload', undefined, options, CALL, (call) =>
        this.#native.pickUpload(group, call),
      ),
    );
  }

  get admin() {
    this.#admin ??= Object.freeze({
      deleteStorage: (group, storage, options) =>
        request('deleteStorage', undefined, options, CALL, (native_) =>
          this.#native.deleteStorage(text(group, 'group'), text(storage, 'storage'), native_),
        ),
      deleteGroup: (group, options) =>
        request('deleteGroup', undefined, options, CALL, (native_) =>
          this.#native.deleteGroup(text(group, 'group'), native_),
        ),
      setTrunkServer: (group, storage, options) =>
        request('setTrunkServer', undefined, options, CALL, (native_) =>
          this.#native.setTrunkServer(text(group, 'group'), storage, native_),
        ),
    });
    return this.#admin;
  }

  httpUrl(id, options) {
    const given = named(options, ['base', 'filename', 'expires'], 'options of httpUrl');
    const base = text(given.base, 'base');
    const secs = given.expires === undefined ? undefined : unixSecs(given.expires, 'expires');
    return pure(() => this.#native.httpUrl(text(id, 'file id'), base, given.filename, secs));
  }

  ping(options) {
    return request('ping', undefined, options, CALL, (call) => this.#native.ping(call));
  }

  poolStats() {
    return value(pure(() => this.#native.poolStats()));
  }

  async close() {
    this.#native.close();
  }

  [asyncDispose]() {
    return this.close();
  }
}

function localPath(path) {
  return path instanceof URL ? fileURLToPath(path) : text(path, 'path');
}

module.exports = { Client };

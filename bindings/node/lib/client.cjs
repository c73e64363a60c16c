'use strict';

const { fileURLToPath } = require('node:url');
const { CALL, TRANSFER, request } = require('./call.cjs');
const { count, kindOf, named, text, unixSecs, whole, wrongType } = require('./arguments.cjs');
const { contentOf, steady } = require('./sources.cjs');
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

  // Makes a call about a file, or about none. Everything is checked within it: what is wrong
  // rejects the promise.
  #call(operation, id, options, names, start) {
    const about = id === undefined ? {} : { fileId: text(id, 'file id') };
    return request(operation, about, named(options, names, `options of ${operation}`), start);
  }

  // Makes a call that sends content.
  #send(operation, id, source, options, start) {
    const about = id === undefined ? {} : { fileId: text(id, 'file id') };
    const sent = contentOf(source, options.size);
    const begin = (call) => start(sent.content, sent.size, call);
    return request(operation, about, options, begin, sent.source);
  }

  async upload(source, options) {
    const given = named(options, UPLOAD, 'options of upload');
    const where = place(given);
    return this.#send('upload', undefined, source, given, (content, size, call) =>
      this.#native.upload(where, content, size, call),
    );
  }

  async uploadFile(path, options) {
    const where = place(named(options, FILE, 'options of uploadFile'));
    return this.#call('uploadFile', undefined, options, FILE, (call) =>
      this.#native.uploadFile(localPath(path), where, call),
    );
  }

  async uploadSlave(master, prefix, source, options) {
    const given = named(options, SLAVE, 'options of uploadSlave');
    const [where, addition] = [place(given), text(prefix, 'prefix')];
    return this.#send('uploadSlave', master, source, given, (content, size, call) =>
      this.#native.uploadSlave(master, addition, where, content, size, call),
    );
  }

  async append(id, source, options) {
    const given = named(options, CHANGE, 'options of append');
    await this.#send('append', id, source, given, (content, size, call) =>
      this.#native.append(id, content, size, call),
    );
  }

  async modify(id, offset, source, options) {
    const given = named(options, CHANGE, 'options of modify');
    const from = count(offset, 'offset');
    await this.#send('modify', id, source, given, (content, size, call) =>
      this.#native.modify(id, from, content, size, call),
    );
  }

  async truncate(id, size = 0, options) {
    const to = count(size, 'size');
    await this.#call('truncate', id, options, CALL, (call) => this.#native.truncate(id, to, call));
  }

  async finalize(id, options) {
    return this.#call('finalize', id, options, CALL, (call) => this.#native.finalize(id, call));
  }

  createWriteStream(options) {
    const given = named(options, WRITER, 'options of createWriteStream');
    const where = place(given);
    const finalize = given.finalize ?? true;
    return new FileWritable(given, (call) => this.#native.create(where, finalize, call));
  }

  async download(id, options) {
    const names = [...RANGE, ...TRANSFER];
    return this.#call('download', id, options, names, (call) => {
      const [offset, length] = range(options ?? {});
      return this.#native.download(id, offset, length, call);
    });
  }

  async downloadInto(id, buffer, options) {
    if (!(buffer instanceof Uint8Array)) {
      throw wrongType(`a Uint8Array is needed to download into, not ${kindOf(buffer)}`);
    }
    const into = steady(buffer);
    const filled = await this.#call('download', id, options, ['offset', ...TRANSFER], (call) =>
      this.#native.downloadInto(id, into, whole(options?.offset ?? 0, 'offset'), call),
    );
    if (into !== buffer) buffer.set(into.subarray(0, filled));
    return filled;
  }

  async downloadFile(id, path, options) {
    const names = [...RANGE, ...TRANSFER];
    return this.#call('downloadFile', id, options, names, (call) => {
      const [offset, length] = range(options ?? {});
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
    const given = named(options, [...RANGE, ...CALL], `options of ${what}`);
    const [offset, length] = range(given);
    return [id, given, (call) => this.#native.open(id, offset, length, call)];
  }

  async delete(id, options) {
    const names = ['missingOk', ...CALL];
    return this.#call('delete', id, options, names, (call) =>
      this.#native.delete(id, options?.missingOk ?? false, call),
    );
  }

  async exists(id, options) {
    return this.#call('exists', id, options, CALL, (call) => this.#native.exists(id, call));
  }

  async stat(id, options) {
    return value(
      await this.#call('stat', id, options, CALL, (call) => this.#native.stat(id, call)),
    );
  }

  async getMetadata(id, options) {
    return this.#call('getMetadata', id, options, CALL, (call) =>
      this.#native.getMetadata(id, call),
    );
  }

  async setMetadata(id, metadata, options) {
    const items = textByText(metadata);
    await this.#call('setMetadata', id, options, ['merge', ...CALL], (call) =>
      this.#native.setMetadata(id, items, options?.merge ?? false, call),
    );
  }

  async listGroups(options) {
    return value(
      await this.#call('listGroups', undefined, options, CALL, (call) =>
        this.#native.listGroups(call),
      ),
    );
  }

  async listStorages(group, storage, options) {
    text(group, 'group');
    return value(
      await this.#call('listStorages', undefined, options, CALL, (call) =>
        this.#native.listStorages(group, storage, call),
      ),
    );
  }

  async listTrackers(options) {
    return value(
      await this.#call('listTrackers', undefined, options, CALL, (call) =>
        this.#native.listTrackers(call),
      ),
    );
  }

  async locate(id, options) {
    const names = ['all', ...CALL];
    return value(
      await this.#call('locate', id, options, names, (call) =>
        this.#native.locate(id, options?.all ?? false, call),
      ),
    );
  }

  async pickUpload(group, options) {
    return value(
      await this.#call('pickUpload', undefined, options, CALL, (call) =>
        this.#native.pickUpload(group, call),
      ),
    );
  }

  get admin() {
    const call = (...args) => this.#call(...args);
    this.#admin ??= Object.freeze({
      deleteStorage: async (group, storage, options) =>
        call('deleteStorage', undefined, options, CALL, (native_) =>
          this.#native.deleteStorage(text(group, 'group'), text(storage, 'storage'), native_),
        ),
      deleteGroup: async (group, options) =>
        call('deleteGroup', undefined, options, CALL, (native_) =>
          this.#native.deleteGroup(text(group, 'group'), native_),
        ),
      setTrunkServer: async (group, storage, options) =>
        call('setTrunkServer', undefined, options, CALL, (native_) =>
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

  async ping(options) {
    await this.#call('ping', undefined, options, CALL, (call) => this.#native.ping(call));
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

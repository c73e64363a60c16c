import assert from 'node:assert/strict';
import { channel } from 'node:diagnostics_channel';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { fdfs, load, withCluster } from './servers.mjs';

const at = await withCluster(test, { tokenSecret: 'hush' });
const ID = 'group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml';
const x = Buffer.from('x');

test('what is wrong with an argument is said', async () => {
  const invalid = { name: 'FdfsError', code: 'ERR_FDFS_INVALID_ARG', kind: 'invalid_argument' };
  const client = at.client;
  const wrong = [
    client.upload(x, { exts: 'txt' }),
    client.upload(x, { size: 2 }),
    client.upload(x, { storePathIndex: 256 }),
    client.upload(x, { storePathIndex: -1 }),
    client.upload(x, { metadata: { width: 160 } }),
    client.upload(x, { metadata: 'width' }),
    client.upload(x, { timeoutMs: 0 }),
    client.upload(x, { timeoutMs: Number.NaN }),
    client.upload(x, { timeoutMs: 'soon' }),
    client.upload(x, { signal: {} }),
    client.upload(x, { progress: true }),
    client.upload(x, { ext: 7 }),
    client.upload(x, { group: 'no group' }),
    client.download(ID, { offset: 1.5 }),
    client.download(ID, { length: -1 }),
    client.download(ID, { offset: 2n ** 60n }),
    client.download(7),
    client.download('M00/00/00/a'),
    client.truncate(ID, -1),
    client.modify(ID, undefined, x),
    client.stat(),
    client.uploadSlave(ID, '', x),
    client.listStorages(),
    client.admin.deleteStorage('group1'),
  ];
  await Promise.all(wrong.map((call) => assert.rejects(call, invalid)));
  for (const source of ['text', undefined, null, 7, {}, [x], new ArrayBuffer(4)]) {
    const type = { name: 'TypeError', code: 'ERR_FDFS_INVALID_ARG' };
    await assert.rejects(client.upload(source), type);
  }
  await assert.rejects(client.downloadInto(ID, []), { name: 'TypeError' });
  for (const rest of [undefined, {}, { trackers: 'h', pool: 1 }, { trackers: 'h', poolSize: 0 }]) {
    assert.throws(() => new fdfs.Client(rest), invalid);
  }
  for (const trackers of [[], '', 'a b', 'h:0', ['h:1:2:x']]) {
    assert.throws(() => new fdfs.Client({ trackers }), { code: 'ERR_FDFS_CONFIG' });
  }
  assert.throws(() => new fdfs.Client({ trackers: 'h', addressMap: { a: ':' } }), {
    code: 'ERR_FDFS_CONFIG',
  });
  await assert.rejects(fdfs.EmbeddedCluster.start({ groups: { g: 0 } }), invalid);
  assert.throws(() => new fdfs.EmbeddedCluster(), TypeError);
});

test('an error has a cause and prints well', async () => {
  const error = await at.client.uploadFile('/no/such/file').catch((thrown) => thrown);
  assert(error instanceof fdfs.FdfsError && error instanceof Error);
  assert.equal(error.code, 'ERR_FDFS_LOCAL_IO');
  assert.equal(error.cause.code, 'ENOENT');
  assert(!('server' in error), 'only what there is');
  const dead = new fdfs.Client({ trackers: '127.0.0.1:1', retries: 0 });
  const lost = await dead.ping().catch((thrown) => thrown);
  assert.equal(lost.kind, 'no_server');
  assert.equal(lost.cause.kind, 'connect');
  assert.equal(lost.cause.server, '127.0.0.1:1');
  assert.equal(lost.retryable, true);
  assert.match(inspect(lost), /FdfsError: no tracker answers/);
  await dead.close();
});

test('values cannot be changed and secrets are not shown', async () => {
  const id = await at.client.upload(x);
  const info = await at.client.stat(id);
  assert.throws(() => {
    info.size = 7;
  }, TypeError);
  assert(info.modified instanceof Date);
  assert.deepEqual(await at.client.stat(id), info, 'equal when the same');
  const [storage] = await at.client.listStorages('group1');
  assert(Object.isFrozen(storage) && Object.isFrozen(storage.stats));
  assert.equal(typeof storage.stats.totalUploadCount, 'number');
  assert(!inspect(at.client, { depth: 9, showHidden: true }).includes('hush'));
  await at.client.delete(id);
});

test('a storage counts what the declarations say', async () => {
  const folder = path.dirname(load.resolve('@fdfs/client/package.json'));
  const declarations = fs.readFileSync(path.join(folder, 'index.d.ts'), 'utf8');
  const [, body] = /interface StorageStats \{(.*?)\n\}/s.exec(declarations);
  const names = [...body.matchAll(/readonly (\w+): number;/g)].map(([, name]) => name);
  const [storage] = await at.client.listStorages('group1');
  assert.deepEqual(Object.keys(storage.stats).sort(), names.sort());
});

test('ids, tokens and URLs', () => {
  const info = fdfs.parseFileId(ID);
  assert.equal(info.size, 1242);
  assert.equal(info.createdAt.getTime(), 1421779644000);
  assert.equal(fdfs.slaveId(ID, '_big', 'xml'), ID.replace('.xml', '_big.xml'));
  const token = fdfs.makeToken(ID, 1421779644, 'FastDFS1234567890');
  assert.equal(token, '139264990029522f5526fce246a172fe');
  const when = new Date(1421779644_000);
  assert.equal(fdfs.makeToken(ID, when, 'FastDFS1234567890'), token);
  const url = at.client.httpUrl(ID, { base: 'http://h/', filename: 'a b', expires: when });
  const expected = fdfs.makeToken(ID, when, 'hush');
  assert.equal(url, `http://h/${ID}?token=${expected}&ts=1421779644&filename=a%20b`);
  assert.throws(() => at.client.httpUrl(ID), { code: 'ERR_FDFS_INVALID_ARG' });
});

test('calls are told to diagnostics channels', async () => {
  const told = [];
  const listeners = ['start', 'end', 'error'].map((event) => {
    const listener = (message) => told.push([event, message.operation, { ...message }]);
    channel(`fdfs:request:${event}`).subscribe(listener);
    return [event, listener];
  });
  const id = await at.client.upload(x);
  await at.client.delete(id);
  await at.client.stat(id).catch(() => {});
  for (const [event, listener] of listeners) channel(`fdfs:request:${event}`).unsubscribe(listener);
  await at.client.exists(id);
  const names = told.map(([event, operation]) => `${event} ${operation}`);
  const expected = ['start upload', 'end upload', 'start delete', 'end delete'];
  assert.deepEqual(names, [...expected, 'start stat', 'error stat']);
  const [, , failed] = told.at(-1);
  assert.equal(failed.fileId, id);
  assert.equal(failed.error.kind, 'not_found');
  assert(failed.durationMs >= 0);
});

test('progress comes in order, and its last number before the promise is settled', async () => {
  const content = Buffer.alloc(5_000_000, 1);
  const seen = [];
  const progress = (bytes) => seen.push(bytes);
  const id = await at.client.upload(content, { progress });
  assert.equal(seen.at(-1), content.length);
  assert.deepEqual(seen, [...seen].sort((a, b) => a - b));
  seen.length = 0;
  assert.equal((await at.client.download(id, { progress })).length, content.length);
  assert.equal(seen.at(-1), content.length);
  const reason = new Error('the bar broke');
  const broken = () => {
    throw reason;
  };
  await assert.rejects(at.client.download(id, { progress: broken }), (error) => error === reason);
  await at.client.delete(id);
});

test('memory that others may change is copied', async () => {
  const resizable = new ArrayBuffer(4, { maxByteLength: 8 });
  const shared = new SharedArrayBuffer(4);
  for (const buffer of [resizable, shared]) {
    new Uint8Array(buffer).set([1, 2, 3, 4]);
    const id = await at.client.upload(new Uint8Array(buffer));
    assert.deepEqual([...(await at.client.download(id))], [1, 2, 3, 4]);
    const into = new Uint8Array(buffer);
    into.fill(0);
    assert.equal(await at.client.downloadInto(id, into), 4);
    assert.deepEqual([...into], [1, 2, 3, 4]);
    await at.client.delete(id);
  }
});

test('a client is closed at the end of its scope', async () => {
  const client = new fdfs.Client({ trackers: at.cluster.tracker });
  await client.ping();
  assert(client.poolStats().some(({ open }) => open > 0));
  await client[Symbol.asyncDispose]();
  await client.close();
  await assert.rejects(client.ping(), { code: 'ERR_FDFS_CLOSED' });
  const cluster = await fdfs.EmbeddedCluster.start();
  await cluster[Symbol.asyncDispose]();
  await cluster.stop();
});

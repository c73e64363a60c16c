// The scenarios that need nothing but servers.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { bytes, client, fails, fdfs, same, variable, workFolder } from './stage.mjs';

// On servers of the original there is no stage: see tests/original.sh.
const ours = process.env.FDFS_STORAGE !== undefined;

export async function round_trips() {
  await using_(client(), async (c) => {
    for (const length of [0, 1, 262143, 262144, 262145, 104857600]) {
      const content = bytes(length);
      const id = await c.upload(content, { ext: 'bin' });
      const said = fdfs.parseFileId(id);
      assert.deepEqual([said.kind, said.size], ['normal', length]);
      same(await c.download(id), content, length);
      const info = await c.stat(id);
      assert.deepEqual([info.size, info.crc32], [length, said.crc32]);
      await c.delete(id);
      assert.equal(await c.exists(id), false);
    }
  });
}

export async function ranges() {
  await using_(client(), async (c) => {
    const content = bytes(1_000_000);
    const id = await c.upload(content);
    for (const [range, start, end] of [
      [{ offset: 10, length: 20 }, 10, 30],
      [{ offset: 999_990 }, 999_990, 1_000_000],
      [{ offset: 999_990, length: 1000 }, 999_990, 1_000_000],
      [{ offset: -5 }, 999_995, 1_000_000],
      [{ offset: 400_000, length: 300_000n }, 400_000, 700_000],
      [{ offset: 1_000_000 }, 0, 0],
      [{ offset: 0, length: 0 }, 0, 0],
    ]) {
      same(await c.download(id, range), content.subarray(start, end), `${range.offset}`);
    }
    const buffer = new Uint8Array(100);
    assert.equal(await c.downloadInto(id, buffer, { offset: 7 }), 100);
    same(buffer, content.subarray(7, 107), 'into');
    assert.equal(await c.downloadInto(id, buffer, { offset: 999_950 }), 50);
    same(buffer.subarray(0, 50), content.subarray(999_950), 'into, at the end');
    await c.delete(id);
  });
}

export async function files_and_streams() {
  const folder = workFolder('files');
  const [from, to] = [path.join(folder, 'a.tar.gz'), path.join(folder, 'b')];
  const content = bytes(9_000_000);
  fs.writeFileSync(from, content);
  await using_(client(), async (c) => {
    let id = await c.uploadFile(from);
    assert(id.endsWith('.tar.gz'), id);
    assert.equal(await c.downloadFile(id, to), 9_000_000);
    same(fs.readFileSync(to), content, 'file');
    assert.equal(fs.readdirSync(folder).length, 2, 'no file beside');
    await c.delete(id);

    // Larger than what is kept in memory, and of unknown size; each kind of stream.
    for (const source of [
      fs.createReadStream(from),
      Readable.toWeb(fs.createReadStream(from)),
      pieces(content, 99_999),
      new Blob([content]),
    ]) {
      id = await c.upload(source);
      same(await c.download(id), content, source.constructor.name);
      await c.delete(id);
    }
    id = await c.upload(fs.createReadStream(from), { size: content.length });

    // Reading from elsewhere is another stream here.
    same(await all(c.createReadStream(id, { offset: 8_999_000 })), content.subarray(8_999_000), '');
    same(await all(c.stream(id, { offset: -7 })), content.subarray(-7), 'from the end');
    const sink = path.join(folder, 'c');
    await pipeline(c.createReadStream(id), fs.createWriteStream(sink));
    same(fs.readFileSync(sink), content, 'pipeline');
    await c.delete(id);

    for (const size of [content.length - 1, content.length + 1]) {
      await fails(c.upload(fs.createReadStream(from), { size }), 'local_io');
      await fails(c.upload(pieces(content, 100_000), { size }), 'local_io');
      id = await c.upload(Buffer.from('goes on'));
      await c.delete(id);
    }
    const broken = new Error('the disk is on fire');
    const error = await fails(c.upload(pieces(content, 100_000, broken)), 'local_io');
    assert.equal(error.cause, broken);
  });
}

async function* pieces(content, length, error) {
  for (let at = 0; at < content.length; at += length) {
    yield content.subarray(at, at + length);
    if (error !== undefined && at > 1_000_000) throw error;
  }
}

async function all(stream) {
  const got = [];
  for await (const piece of stream) got.push(piece);
  return Buffer.concat(got);
}

export async function appender() {
  await using_(client(), async (c) => {
    let id = await c.upload(Buffer.from('one'), { ext: 'log', appender: true });
    assert.deepEqual([fdfs.parseFileId(id).kind, fdfs.parseFileId(id).size], ['appender', null]);
    await c.append(id, Buffer.from(' two'));
    await c.append(id, new Uint8Array(0));
    await c.append(id, pieces(Buffer.from(' three'), 2));
    await c.modify(id, 0, Buffer.from('ONE'));
    assert.equal(String(await c.download(id)), 'ONE two three');
    await c.truncate(id, 5);
    await c.truncate(id, 5n);
    assert.equal(String(await c.download(id)), 'ONE t');
    assert.equal((await c.stat(id)).size, 5);
    const normal = await c.finalize(id);
    assert.deepEqual([fdfs.parseFileId(normal).kind, fdfs.parseFileId(normal).size], ['normal', 5]);
    assert.equal(await c.exists(id), false);
    await c.delete(normal);

    const content = bytes(700_000);
    const writer = c.createWriteStream({ ext: 'txt', metadata: { made: 'piece by piece' } });
    await pipeline(pieces(content, 99_999), writer);
    id = await writer.fileId;
    same(await c.download(id), content, 'written');
    assert.deepEqual(await c.getMetadata(id), { made: 'piece by piece' });
    await c.delete(id);
  });
}

export async function slave() {
  await using_(client(), async (c) => {
    const master = await c.upload(Buffer.from('master'), { ext: 'jpg' });
    const id = await c.uploadSlave(master, '_big', Buffer.from('slave'), { ext: 'jpg' });
    assert.equal(id, fdfs.slaveId(master, '_big', 'jpg'));
    assert.equal(fdfs.parseFileId(id).kind, 'slave');
    assert.equal(String(await c.download(id)), 'slave');
    const again = c.uploadSlave(master, '_big', Buffer.from('slave'), { ext: 'jpg' });
    await fails(again, 'already_exists');
    await c.delete(id);
    await c.delete(master);
  });
}

export async function metadata() {
  await using_(client(), async (c) => {
    const first = { author: 'Åse 木', width: '160' };
    const id = await c.upload(Buffer.from('x'), { ext: 'png', metadata: first });
    assert.deepEqual(await c.getMetadata(id), first);
    await c.setMetadata(id, { width: '80', a: '' }, { merge: true });
    assert.deepEqual(await c.getMetadata(id), { author: 'Åse 木', width: '80', a: '' });
    await c.setMetadata(id, { only: '1' });
    assert.deepEqual(await c.getMetadata(id), { only: '1' });
    for (const bad of [
      { ['k'.repeat(65)]: 'v' },
      { k: 'v'.repeat(257) },
      { ['å'.repeat(33)]: 'v' },
      { k: 'a\x01b' },
      { 'a\x02b': 'v' },
      { k: 7 },
    ]) {
      const error = await fails(c.setMetadata(id, bad), 'invalid_argument');
      assert.equal(error.server, undefined, 'refused here');
    }
    assert.deepEqual(await c.getMetadata(id), { only: '1' });
    await c.setMetadata(id, {});
    assert.deepEqual(await c.getMetadata(id), {});
    await c.delete(id);
  });
}

export async function errors() {
  const c = client();
  const id = await c.upload(Buffer.from('x'), { ext: 'txt' });
  assert.equal(await c.delete(id), true);
  assert.equal(await c.delete(id, { missingOk: true }), false);
  for (const operation of ['delete', 'download', 'stat', 'getMetadata']) {
    const error = await fails(c[operation](id), 'not_found');
    assert.deepEqual([error.errno, error.fileId, error.retryable], [2, id, false]);
    assert.equal(error.code, 'ERR_FDFS_NOT_FOUND');
    assert.match(error.server, ours ? /^127\.0\.0\.\d:\d+$/ : /^\d+(\.\d+){3}:\d+$/);
    assert(error.command > 0, error);
  }
  const path_ = fdfs.parseFileId(id).path;
  const error = await fails(c.stat(`nogroup/${path_}`), 'no_server');
  assert.deepEqual([error.errno, error.server], [2, variable('FDFS_TRACKER')]);
  await fails(c.upload(Buffer.from('x'), { group: 'nogroup' }), 'no_server');
  for (const bad of [`/${id}`, `http://host/${id}`, path_]) {
    await fails(c.stat(bad), 'invalid_argument');
    assert.throws(() => fdfs.parseFileId(bad), { code: 'ERR_FDFS_INVALID_ARG' });
  }
  await fails(c.upload(Buffer.from('x'), { ext: 'toolong' }), 'invalid_argument');
  await c.close();
  await c.close();
  await fails(c.stat(id), 'closed');
}

export async function cluster() {
  await using_(client(), async (c) => {
    const groups = await c.listGroups();
    const names = groups.map((group) => group.name).sort();
    if (ours) assert.deepEqual(names, ['group1', 'group2']);
    const other = names.at(-1);
    const storages = await c.listStorages('group1');
    assert(storages.some((storage) => storage.status === 'ACTIVE'), storages);
    assert(storages.every((storage) => storage.totalMb > 0), storages);
    assert(storages.every((storage) => storage.joined instanceof Date), storages);
    assert.deepEqual(await c.listStorages('group1', storages[0].id), storages.slice(0, 1));
    const trackers = await c.listTrackers();
    assert.equal(trackers.length, 1);
    assert(trackers.every((tracker) => tracker.alive), trackers);
    await c.ping();
    const target = await c.pickUpload(other);
    assert.equal(target.group, other);
    const id = await c.upload(Buffer.from('x'), { group: 'group1' });
    const where = await c.locate(id);
    assert.deepEqual(where, [storages[0].address]);
    assert.deepEqual(await c.locate(id, { all: true }), where);
    await c.delete(id);
    const stats = c.poolStats();
    const storage = process.env.FDFS_STORAGE ?? `${where[0].host}:${where[0].port}`;
    assert(stats.some(({ server }) => server === storage), stats);
    assert(stats.every(({ created, open, idle }) => created >= open && open >= idle), stats);
    await fails(c.admin.deleteStorage('group1', storages[0].id), 'busy');
  });
}

export async function concurrent() {
  await using_(client(), async (c) => {
    const one = async (number) => {
      const content = Buffer.from(`content ${number}`.repeat(number + 1));
      const id = await c.upload(content, { ext: 'txt' });
      same(await c.download(id), content, number);
      await c.delete(id);
    };
    await Promise.all(Array.from({ length: 200 }, (_, number) => one(number)));
  });
}

// `await using` is younger than the oldest Node this runs on.
async function using_(c, work) {
  try {
    await work(c);
  } finally {
    await c.close();
  }
}

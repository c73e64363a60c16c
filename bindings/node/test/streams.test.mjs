import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { fdfs, Relay, soon, until, withCluster } from './servers.mjs';

const at = await withCluster(test);
const MIB = 1 << 20;
const content = Buffer.alloc(64 * MIB);
for (let place = 0; place < content.length; place += 4096) content.writeUInt32LE(place, place);

// A client behind a relay.
async function behind(limits, work) {
  const relay = new Relay(at.cluster.storages[0], limits);
  const address = await relay.listen();
  const addressMap = { [at.cluster.storages[0]]: address };
  const client = new fdfs.Client({ trackers: at.cluster.tracker, addressMap });
  try {
    await work(client, relay);
  } finally {
    await client.close();
    await relay.close();
  }
}

async function* endless(given) {
  for (;;) {
    given.bytes += MIB;
    yield content.subarray(0, MIB);
  }
}

test('an upload takes no more from its source than the storage takes', async () => {
  await behind({ up: MIB }, async (client) => {
    const web = (source) => Readable.toWeb(Readable.from(source));
    for (const wrap of [(source) => source, Readable.from, web]) {
      const given = { bytes: 0 };
      const controller = new AbortController();
      const source = wrap(endless(given));
      const options = { size: 1024 * MIB, signal: controller.signal };
      const upload = assert.rejects(client.upload(source, options), { name: 'AbortError' });
      await until('content', () => given.bytes > 0);
      await soon(300);
      const before = given.bytes;
      await soon(100);
      assert.equal(given.bytes, before, 'it waits');
      assert(before < 48 * MIB, `${before} bytes taken`);
      controller.abort();
      await upload;
    }
  });
});

test('a stream for writing holds its writer back', async () => {
  await behind({ up: MIB }, async (client, relay) => {
    const file = client.createWriteStream();
    let written = 0;
    const source = async function* () {
      for (;;) {
        written += MIB;
        yield content.subarray(0, MIB);
      }
    };
    const done = pipeline(source, file);
    await until('content', () => relay.up >= MIB);
    await soon(200);
    assert(written < 16 * MIB, `${written} bytes taken`);
    file.destroy(new Error('given up'));
    await assert.rejects(done, { message: 'given up' });
    await assert.rejects(file.fileId, { message: 'given up' });
  });
});

test('a download takes no more from the storage than its reader takes', async () => {
  const id = await at.client.upload(content);
  await behind({}, async (client, relay) => {
    const readable = client.createReadStream(id);
    await new Promise((then) => readable.once('readable', then));
    await soon(300);
    const before = relay.down;
    assert(before < 24 * MIB, `${before} bytes taken`);
    const pieces = [];
    for await (const piece of readable) pieces.push(piece);
    assert(Buffer.concat(pieces).equals(content));

    relay.down = 0;
    const reader = client.stream(id).getReader();
    await reader.read();
    await soon(300);
    assert(relay.down < 24 * MIB, `${relay.down} bytes taken`);
    await reader.cancel();
    await until('the connection is closed', () =>
      client.poolStats().every(({ open, idle }) => open === idle),
    );
  });
  await at.client.delete(id);
});

test('a stream that is given up closes its connection and the client goes on', async () => {
  const id = await at.client.upload(content);
  const busy = () => at.client.poolStats().reduce((sum, { open, idle }) => sum + open - idle, 0);
  const early = at.client.createReadStream(id);
  early.destroy();
  await finished(early).catch(() => {});
  for await (const piece of at.client.createReadStream(id)) if (piece.length > 0) break;
  for await (const piece of at.client.stream(id)) if (piece.length > 0) break;
  const reason = new Error('enough');
  const controller = new AbortController();
  const aborted = at.client.createReadStream(id, { signal: controller.signal });
  aborted.once('data', () => controller.abort(reason));
  await assert.rejects(finished(aborted), (error) => error === reason);
  const web = at.client.stream(id, { signal: AbortSignal.abort(reason) });
  await assert.rejects(web.getReader().read(), (error) => error === reason);
  await until('all connections are back', () => busy() === 0);
  assert((await at.client.download(id, { length: 4 })).equals(content.subarray(0, 4)));
  await at.client.delete(id);
});

test('a file that is not there is an error of the stream', async () => {
  const id = await at.client.upload(Buffer.from('x'));
  await at.client.delete(id);
  await assert.rejects(finished(at.client.createReadStream(id)), { code: 'ERR_FDFS_NOT_FOUND' });
  const reader = at.client.stream(id).getReader();
  await assert.rejects(reader.read(), { code: 'ERR_FDFS_NOT_FOUND' });
  assert.throws(() => at.client.createReadStream('/x/y', { offset: 0.5 }), fdfs.FdfsError);
});

test('a stream for writing takes strings, small pieces and many at once', async () => {
  const file = at.client.createWriteStream({ ext: 'txt' });
  let expected = '';
  for (let line = 0; line < 50_000; line += 1) {
    expected += `line ${line} é\n`;
    file.write(`line ${line} é\n`);
  }
  file.end();
  const id = await file.fileId;
  assert.equal(String(await at.client.download(id)), expected);
  assert.equal(fdfs.parseFileId(id).kind, 'normal');
  await at.client.delete(id);
  const kept = at.client.createWriteStream({ finalize: false });
  kept.end('may grow');
  const appender = await kept.fileId;
  await at.client.append(appender, Buffer.from('!'));
  assert.equal(String(await at.client.download(appender)), 'may grow!');
  await at.client.delete(appender);
});

test('a stream for writing that is destroyed leaves no file behind', async () => {
  const before = (await at.client.listStorages('group1'))[0].stats;
  for (const how of ['destroy', 'abort']) {
    const controller = new AbortController();
    const file = at.client.createWriteStream({ signal: controller.signal });
    await new Promise((then) => file.write(content.subarray(0, MIB), then));
    const reason = new Error('no more');
    if (how === 'destroy') file.destroy(reason);
    else controller.abort(reason);
    await assert.rejects(finished(file), (error) => error === reason);
    await assert.rejects(file.fileId, (error) => error === reason);
  }
  await until('both files are deleted', async () => {
    const { stats } = (await at.client.listStorages('group1'))[0];
    return stats.successDeleteCount >= before.successDeleteCount + 2;
  });
});

test('a source that fails is told as the cause, and is ended with the call', async () => {
  const reason = new Error('broken');
  const failing = new Readable({ read() { this.destroy(reason); } });
  const error = await at.client.upload(failing).catch((thrown) => thrown);
  assert.equal(error.code, 'ERR_FDFS_LOCAL_IO');
  assert.equal(error.cause, reason);
  const wrong = await at.client.upload(Readable.from(['text'])).catch((thrown) => thrown);
  assert.match(wrong.cause.message, /a Uint8Array is needed/);

  // Whatever ends the call, the source learns of it.
  const readable = new Readable({ read() {} });
  const stuck = at.client.upload(readable, { timeoutMs: 50 });
  await assert.rejects(stuck, { code: 'ERR_FDFS_TIMEOUT' });
  assert(readable.destroyed);
  let cancelled = false;
  const web = new ReadableStream({ cancel() { cancelled = true; } });
  await assert.rejects(at.client.upload(web, { timeoutMs: 50 }), { code: 'ERR_FDFS_TIMEOUT' });
  assert(cancelled);
  let returned = false;
  const iterable = { async *[Symbol.asyncIterator]() {
    try {
      for (;;) yield content.subarray(0, MIB);
    } finally {
      returned = true;
    }
  } };
  await assert.rejects(at.client.upload(iterable, { size: MIB }), { code: 'ERR_FDFS_LOCAL_IO' });
  await until('the iterator is ended', () => returned);
  // Refused before it begins.
  const refused = new Readable({ read() {} });
  await assert.rejects(at.client.upload(refused, { storePathIndex: 256 }), fdfs.FdfsError);
  const unwanted = new Readable({ read() {} });
  await assert.rejects(at.client.upload(unwanted, { signal: AbortSignal.abort() }));
  assert(unwanted.destroyed);
});

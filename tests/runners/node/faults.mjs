// The scenarios with servers that misbehave, and with callers that change their mind.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { behind, bytes, client, fails, fdfs, same, variable, workFolder } from './stage.mjs';

const x = Buffer.from('x');

export async function conf() {
  const folder = workFolder('conf');
  const file = path.join(folder, 'client.conf');
  const tracker = variable('FDFS_TRACKER');
  const lines = [`tracker_server = ${tracker}`, 'connect_timeout = 7', 'no_such_key = 1'];
  fs.writeFileSync(file, lines.join('\n'));
  const c = fdfs.Client.fromConf(file, { group: 'group2', ioTimeoutMs: 5000 });
  const id = await c.upload(x);
  assert.equal(fdfs.parseFileId(id).group, 'group2');
  await c.delete(id);
  await c.close();
  // The override counts more than what the file says.
  const elsewhere = fdfs.Client.fromConf(file, { trackers: variable('FDFS_DEAD'), retries: 0 });
  await fails(elsewhere.ping(), 'no_server', 'connect');
  await elsewhere.close();
  const missing = path.join(folder, 'none.conf');
  assert.throws(() => fdfs.Client.fromConf(missing), { code: 'ERR_FDFS_CONFIG' });
}

export async function address_widths() {
  for (const tracker of ['FDFS_TRACKER_V4', 'FDFS_TRACKER_V6']) {
    const c = client(tracker);
    const id = await c.upload(Buffer.from('wide'));
    assert.equal(String(await c.download(id)), 'wide');
    const [located] = await c.locate(id);
    assert.equal(located.host, '127.0.0.1');
    const [storage] = await c.listStorages('group1');
    assert.deepEqual(storage.address, located);
    await c.delete(id);
    await c.close();
  }
}

export async function tracker_down() {
  const trackers = [variable('FDFS_DEAD'), variable('FDFS_TRACKER')];
  for (let round = 0; round < 4; round += 1) {
    const c = new fdfs.Client({ trackers });
    await c.delete(await c.upload(x));
    await c.close();
  }
  const dead = client('FDFS_DEAD');
  const error = await fails(dead.upload(x), 'no_server', 'connect');
  assert.equal(error.retryable, true);
  await dead.close();
}

export async function cut() {
  const [cutting, direct] = [behind('FDFS_CUT'), client()];
  const content = bytes(4 << 20);
  const error = await fails(cutting.upload(content), 'protocol', 'connect');
  assert.equal(error.outcomeUnknown, true);
  assert.equal(error.retryable, false);
  const id = await direct.upload(content, { group: 'group1' });
  const folder = workFolder('cut');
  await fails(cutting.downloadFile(id, path.join(folder, 'part')), 'protocol', 'connect');
  assert.deepEqual(fs.readdirSync(folder), [], 'no partial file');
  await fails(cutting.download(id), 'protocol', 'connect');
  await fails(drain(cutting.createReadStream(id)), 'protocol', 'connect');
  await fails(drain(cutting.stream(id)), 'protocol', 'connect');
  same(await cutting.download(id, { length: 1000 }), content.subarray(0, 1000), 'goes on');
  await direct.delete(id);
  await Promise.all([cutting.close(), direct.close()]);
}

async function drain(stream) {
  let length = 0;
  for await (const piece of stream) length += piece.length;
  return length;
}

export async function half_reply() {
  const [half, direct] = [behind('FDFS_HALF'), client()];
  await fails(half.upload(x), 'protocol', 'connect');
  const id = await direct.upload(x, { group: 'group1' });
  await fails(half.download(id), 'protocol', 'connect');
  await direct.delete(id);
  await Promise.all([half.close(), direct.close()]);
}

export async function stall() {
  const c = behind('FDFS_STALL');
  let error = await fails(c.upload(x), 'timeout');
  assert.match(error.message, /io_timeout/);
  assert.equal(error.code, 'ERR_FDFS_TIMEOUT');

  error = await fails(c.upload(x, { timeoutMs: 100 }), 'timeout');
  assert.match(error.message, /100ms/);

  const controller = new AbortController();
  const reason = new Error('the user left');
  setTimeout(() => controller.abort(reason), 50);
  await assert.rejects(c.upload(x, { signal: controller.signal }), (thrown) => thrown === reason);

  const endless = client('FDFS_TRACKER', {
    addressMap: { [variable('FDFS_STORAGE')]: variable('FDFS_STALL') },
    group: 'group1',
  });
  const timeout = AbortSignal.timeout(50);
  await assert.rejects(endless.upload(x, { signal: timeout }), { name: 'TimeoutError' });
  const early = AbortSignal.abort();
  await assert.rejects(endless.upload(x, { signal: early }), { name: 'AbortError' });
  await Promise.all([c.close(), endless.close()]);
}

export async function cancel_reuse() {
  const c = client();
  const content = bytes(1 << 20);
  const kept = await c.upload(Buffer.from('kept'));
  let cancelled = 0;
  for (let round = 0; round < 1000; round += 1) {
    const controller = new AbortController();
    const upload = c.upload(content, { signal: controller.signal }).then(
      (id) => c.delete(id),
      (error) => {
        assert.equal(error, controller.signal.reason, error);
        cancelled += 1;
      },
    );
    const given = performance.now() + ((round * 7) % 1500) / 1000;
    while (performance.now() < given) await new Promise(setImmediate);
    controller.abort();
    await upload;
    assert.equal(String(await c.download(kept)), 'kept', `round ${round}`);
  }
  assert(cancelled > 200, `only ${cancelled} of 1000 were cancelled`);
  await c.delete(kept);
  await c.close();
}

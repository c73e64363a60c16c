import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { fdfs, folder, withCluster } from './servers.mjs';

const at = await withCluster(test);

// Runs a script in a worker; resolves to its messages and its exit status.
function work(source) {
  const worker = new Worker(source, {
    eval: true,
    workerData: { folder, tracker: at.cluster.tracker },
  });
  const messages = [];
  worker.on('message', (message) => messages.push(message));
  const ended = new Promise((then, reject) => {
    worker.on('error', reject).on('exit', (status) => then({ status, messages }));
  });
  return { worker, ended };
}

const BEGIN = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { createRequire } = require('node:module');
  const { Client } = createRequire(workerData.folder + '/x.cjs')('@fdfs/client');
  const client = new Client({ trackers: workerData.tracker });
`;

test('several workers use clients at the same time', async () => {
  const source = `${BEGIN} (async () => {
    for (let round = 0; round < 20; round += 1) {
      const content = Buffer.alloc(100_000 + round, round);
      const id = await client.upload(content);
      if (!(await client.download(id)).equals(content)) throw new Error('other content');
      await client.delete(id);
    }
    parentPort.postMessage('done');
  })();`;
  const all = await Promise.all([1, 2, 3, 4].map(() => work(source).ended));
  for (const { status, messages } of all) assert.deepEqual([status, messages], [0, ['done']]);
});

test('a worker may be ended with calls under way', async () => {
  const source = `${BEGIN} (async () => {
    const content = Buffer.alloc(4 << 20, 1);
    const id = await client.upload(content);
    for (let call = 0; call < 8; call += 1) (async () => {
      for (;;) {
        await client.download(id);
        await client.downloadInto(id, new Uint8Array(4 << 20));
        for await (const piece of client.createReadStream(id)) piece[0] = 1;
        await client.delete(await client.upload(Buffer.from(content)));
      }
    })();
    parentPort.postMessage('working');
  })();`;
  for (let round = 0; round < 10; round += 1) {
    const { worker, ended } = work(source);
    await new Promise((then) => worker.once('message', then));
    await new Promise((then) => setTimeout(then, round * 5));
    await worker.terminate();
    await ended;
  }
  await at.client.ping();
});

test('the addon may be loaded by workers only, again and again', () => {
  const source = `
    const { Worker } = require('node:worker_threads');
    const code = "const { Client } = require('@fdfs/client');" +
      "new Client({ trackers: '127.0.0.1:1', retries: 0 }).ping().catch(() => {})";
    (async () => {
      for (let round = 0; round < 5; round += 1) {
        await new Promise((then) => new Worker(code, { eval: true }).on('exit', then));
      }
      console.log('fine');
    })();`;
  const options = { cwd: folder, encoding: 'utf8', timeout: 30_000 };
  assert.equal(execFileSync(process.execPath, ['--eval', source], options), 'fine\n');
});

test('many calls may share a signal', async () => {
  const warnings = [];
  const note = (warning) => warnings.push(warning);
  process.on('warning', note);
  const id = await at.client.upload(Buffer.from('x'));
  const controller = new AbortController();
  const options = { signal: controller.signal };
  await Promise.all(Array.from({ length: 100 }, () => at.client.exists(id, options)));
  // Nothing is ever answered here: only the signal can end these.
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const unheard = new fdfs.Client({ trackers: `127.0.0.1:${silent.address().port}` });
  const reason = new Error('all of them');
  const more = Array.from({ length: 100 }, () => unheard.exists(id, options));
  controller.abort(reason);
  const ended = await Promise.allSettled(more);
  assert(ended.every((end) => end.reason === reason), ended);
  await unheard.close();
  silent.close();
  await at.client.delete(id);
  await new Promise(setImmediate);
  process.off('warning', note);
  assert.deepEqual(warnings, []);
});

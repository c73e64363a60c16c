// The scenarios about memory, threads and the ends of processes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bytes, client, fdfs, folder, same, workFolder } from './stage.mjs';

const MIB = 1 << 20;
const child = fileURLToPath(new URL('child.mjs', import.meta.url));

export async function memory() {
  const c = client();
  const piece = bytes(MIB);
  const count = 1024;
  const sized = { size: count * MIB };
  async function* content(pieces, look) {
    for (let at = 0; at < pieces; at += 1) {
      look();
      yield piece;
    }
  }
  // What any first use needs is no growth with the stream.
  await c.delete(await c.upload(content(8, () => {}), { size: 8 * MIB }));
  globalThis.gc();
  const before = process.memoryUsage.rss();
  let peak = before;
  const look = () => {
    peak = Math.max(peak, process.memoryUsage.rss());
  };
  const id = await c.upload(content(count, look), sized);
  let length = 0;
  for await (const part of c.createReadStream(id)) {
    const at = length % MIB;
    const expected = piece.subarray(at, at + part.length);
    if (expected.length === part.length) same(part, expected, length);
    length += part.length;
    look();
  }
  assert.equal(length, count * MIB);
  const growth = (peak - before) / MIB;
  assert(growth < 64, `grew by ${growth} MiB`);
  await c.delete(id);
  await c.close();
}

const entries = (of) => fs.readdirSync(`/proc/self/${of}`).length;

export async function baseline() {
  const round = async () => {
    const c = client();
    const content = bytes(MIB);
    const id = await c.upload(content);
    await Promise.all(Array.from({ length: 20 }, () => c.download(id)));
    for await (const part of c.createReadStream(id)) if (part.length === 0) break;
    // Given up in the middle.
    for await (const part of c.stream(id)) if (part.length > 0) break;
    await c.delete(id);
    await c.close();
  };
  const settled = async (before) => {
    const until = performance.now() + 5000;
    for (;;) {
      const now = [entries('task'), entries('fd')];
      if (before === undefined) return now;
      if (now[0] === before[0] && now[1] === before[1]) return now;
      assert(performance.now() < until, `threads and handles ${now}, before ${before}`);
      await new Promise((then) => setTimeout(then, 20));
    }
  };
  // The first use starts the threads that all clients of the process share.
  await round();
  await new Promise((then) => setTimeout(then, 100));
  const before = await settled();
  for (let time = 0; time < 3; time += 1) {
    await round();
    await settled(before);
  }
}

// Runs child.mjs to its end.
async function run(what, env = {}) {
  const started = performance.now();
  const process_ = spawn(process.execPath, [child, folder, what], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  process_.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  const timer = setTimeout(() => process_.kill('SIGKILL'), 20_000);
  const [status, signal] = await new Promise((then) => {
    process_.on('close', (...ended) => then(ended));
  });
  clearTimeout(timer);
  assert.deepEqual([status, signal], [0, null], `${what}: ${output}`);
  return { output, took: performance.now() - started };
}

export async function exit_with_work() {
  for (const what of ['exit', 'exit', 'exit', 'throw', 'worker']) {
    const { output, took } = await run(what);
    assert.match(output, /^working\n$/, what);
    assert(took < 5000, `${what} took ${took} ms`);
  }
}

export async function embedded() {
  const temporary = workFolder('embedded');
  const there = () => fs.readdirSync(temporary);
  const old = process.env.TMPDIR;
  process.env.TMPDIR = temporary;
  const cluster = await fdfs.EmbeddedCluster.start({ groups: { group1: 1, other: 1 } });
  try {
    assert.equal(there().length, 1, 'its folder');
    assert.equal(cluster.storages.length, 2);
    const c = new fdfs.Client({ trackers: cluster.tracker });
    for (const group of ['group1', 'other']) {
      const id = await c.upload(Buffer.from('inside'), { group });
      assert.equal(fdfs.parseFileId(id).group, group);
      assert.equal(String(await c.download(id)), 'inside');
    }
    await c.close();
  } finally {
    await cluster.stop();
    if (old === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = old;
  }
  await cluster.stop();
  assert.deepEqual(there(), [], 'its folder is gone');
  // One that nobody stops ends with the process.
  for (const what of ['embedded', 'embedded-exit']) {
    await run(what, { TMPDIR: temporary });
    assert.deepEqual(there(), [], `${what}: its folder is gone`);
  }
  // One with a folder of its own finds its files again.
  const dir = path.join(temporary, 'kept');
  let id;
  for (const time of [1, 2]) {
    const kept = await fdfs.EmbeddedCluster.start({ dir });
    const c = new fdfs.Client({ trackers: kept.tracker });
    if (time === 1) id = await c.upload(Buffer.from('kept'));
    else assert.equal(String(await c.download(id)), 'kept');
    await c.close();
    await kept.stop();
  }
  assert.deepEqual(there(), ['kept']);
}

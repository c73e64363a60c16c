// Measures uploads and downloads: node bench.mjs ours|usual FOLDER TRACKER SECS
import { createRequire } from 'node:module';
import path from 'node:path';
import { Writable } from 'node:stream';

const [, , which, folder, tracker, secs] = process.argv;
const load = createRequire(path.join(folder, 'x.cjs'));

// Uploaded files are deleted afterwards; beyond this, the oldest make room within the measurement.
const KEPT_BYTES_MAX = 2 ** 32;
// Until the engine has compiled what is measured.
const WARM_UP_MS = 2000;

function ours() {
  const { Client } = load('@fdfs/client');
  const client = new Client({ trackers: tracker, poolSize: 64, poolWaitMs: 30_000 });
  return {
    upload: (content) => client.upload(content),
    download: (id) => client.download(id),
    delete: (id) => client.delete(id),
    close: () => client.close(),
  };
}

function usual() {
  const Fdfs = load('fdfs');
  const [host, port] = tracker.split(':');
  const quiet = { log() {}, debug() {}, info() {}, warn() {}, error() {} };
  const trackers = [{ host, port: Number(port) }];
  const options = { timeout: 30_000, defaultExt: 'bin', charset: 'utf8', logger: quiet };
  const client = new Fdfs({ trackers, ...options });
  return {
    upload: (content) => client.upload(content),
    // It writes to a file or a stream; into memory goes by a stream.
    download: async (id) => {
      const pieces = [];
      const target = new Writable({
        write(piece, _encoding, done) {
          pieces.push(piece);
          done();
        },
      });
      await client.download(id, { target, autoClose: true });
      return Buffer.concat(pieces);
    },
    delete: (id) => client.del(id),
    close: async () => {},
  };
}

// Calls per second of `call`, that many at a time.
async function rate(call, concurrency, ms) {
  let calls = 0;
  const start = performance.now();
  const one = async () => {
    while (performance.now() - start < ms) {
      await call();
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, one));
  return (calls * 1000) / (performance.now() - start);
}

async function measure(client, size, concurrency) {
  const content = Buffer.alloc(size, 7);
  const kept = [];
  let deleted = 0;
  const upload = async () => {
    kept.push(await client.upload(content));
    if ((kept.length - deleted) * size > KEPT_BYTES_MAX) await client.delete(kept[deleted++]);
  };
  await rate(upload, concurrency, WARM_UP_MS);
  const uploads = await rate(upload, concurrency, Number(secs) * 1000);
  const id = kept.pop();
  const download = async () => {
    const got = await client.download(id);
    if (got.length !== size) throw new Error(`${got.length} bytes instead of ${size}`);
  };
  await rate(download, concurrency, WARM_UP_MS);
  const downloads = await rate(download, concurrency, Number(secs) * 1000);
  const clean = async () => {
    while (deleted < kept.length) await client.delete(kept[deleted++]);
  };
  await Promise.all(Array.from({ length: 16 }, clean));
  await client.delete(id);
  return { upload: uploads, download: downloads };
}

const client = which === 'ours' ? ours() : usual();
const lines = [];
for (const size of [4096, 1_048_576]) {
  for (const concurrency of [1, 64]) {
    const rates = await measure(client, size, concurrency);
    for (const [op, calls] of Object.entries(rates)) {
      lines.push([op, size, concurrency, calls.toFixed(1)].join('\t'));
    }
  }
}
console.log(lines.sort().join('\n'));
await client.close();
process.exit(0);

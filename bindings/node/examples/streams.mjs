// node streams.mjs TRACKER: content in pieces, each way.
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { Client } from '@fdfs/client';

const client = new Client({ trackers: process.argv[2] ?? '127.0.0.1:22122' });

async function* lines() {
  for (let line = 0; line < 100_000; line += 1) yield Buffer.from(`line ${line}\n`);
}

const file = client.createWriteStream({ ext: 'gz' });
await pipeline(lines, createGzip(), file);
const id = await file.fileId;

let length = 0;
for await (const piece of client.createReadStream(id, { offset: 10 })) length += piece.length;
console.log(`${length} bytes behind the first 10 of ${id}`);

await client.delete(id, { signal: AbortSignal.timeout(5000) });
await client.close();

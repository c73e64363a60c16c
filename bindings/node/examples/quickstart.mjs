// node quickstart.mjs TRACKER
import { Client } from '@fdfs/client';

const client = new Client({ trackers: process.argv[2] ?? '127.0.0.1:22122' });
const id = await client.uploadFile(new URL(import.meta.url), { metadata: { author: 'me' } });
console.log(`stored as ${id}`);
const content = await client.download(id);
console.log(`${content.length} bytes, by ${(await client.getMetadata(id)).author}`);
await client.delete(id);
await client.close();

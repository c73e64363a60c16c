// node embedded.mjs: a cluster inside this process, nothing installed, nothing left behind.
import { Client, EmbeddedCluster } from '@fdfs/client';

const cluster = await EmbeddedCluster.start();
const client = new Client({ trackers: cluster.tracker });
const id = await client.upload(Buffer.from('hello'), { ext: 'txt' });
console.log(`${await client.download(id)} from ${id}`);
await client.close();
await cluster.stop();

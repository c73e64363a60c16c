// A process that ends with calls under way, or with a cluster inside.
import { Worker, isMainThread } from 'node:worker_threads';
import { bytes, client, fdfs, variable } from './stage.mjs';

const content = bytes(4 << 20);

// Calls that have no end: their storage never answers.
async function work() {
  const c = client('FDFS_TRACKER', {
    addressMap: { [variable('FDFS_STORAGE')]: variable('FDFS_STALL') },
    group: 'group1',
  });
  const good = client();
  const id = await good.upload(content, { group: 'group1' });
  const begun = [];
  for (let call = 0; call < 8; call += 1) {
    begun.push(c.upload(content), c.download(id), c.downloadInto(id, new Uint8Array(1 << 20)));
    begun.push(c.upload(endless(), { size: 1 << 30 }), c.createReadStream(id), c.stream(id));
  }
  for (const call of begun) call.catch?.(() => {});
  // And some that move content all the time.
  for (let call = 0; call < 8; call += 1) always(good, id);
  await new Promise((then) => setTimeout(then, 200));
}

async function* endless() {
  for (;;) yield content;
}

async function always(c, id) {
  for (;;) {
    await c.download(id);
    await c.delete(await c.upload(content));
  }
}

if (isMainThread) {
  switch (process.argv[3]) {
    case 'exit':
      await work();
      console.log('working');
      process.exit(0);
      break;
    case 'throw':
      await work();
      console.log('working');
      process.on('uncaughtException', () => process.exit(0));
      throw new Error('the application fails');
    case 'worker': {
      const worker = new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) });
      await new Promise((then) => worker.once('message', then));
      await worker.terminate();
      console.log('working');
      break;
    }
    case 'embedded':
    case 'embedded-exit': {
      const cluster = await fdfs.EmbeddedCluster.start();
      const c = new fdfs.Client({ trackers: cluster.tracker });
      await c.upload(Buffer.from('left to itself'));
      if (process.argv[3] === 'embedded-exit') process.exit(0);
      break;
    }
    default:
      process.exit(3);
  }
} else {
  const { parentPort } = await import('node:worker_threads');
  await work();
  parentPort.postMessage('working');
}

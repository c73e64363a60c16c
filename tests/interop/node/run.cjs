// Drives the npm package fdfs as it comes: node run.cjs HOST PORT
const fs = require('fs');
const os = require('os');
const path = require('path');
const assert = require('assert');
const { createRequire } = require('module');
// The packages are installed outside the source tree.
const load = createRequire(path.join(process.env.FDFS_INTEROP_MODULES, 'x.cjs'));
const FdfsClient = load('fdfs');

async function main(host, port) {
  const quiet = { log() {}, debug() {}, info() {}, warn() {}, error() {} };
  const client = new FdfsClient({
    trackers: [{ host, port: Number(port) }],
    timeout: 30000,
    defaultExt: 'txt',
    charset: 'utf8',
    logger: quiet,
  });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fdfs-'));
  const content = Buffer.alloc(10240, 0).map((_, at) => (at * 7) % 256);
  const local = path.join(folder, 'photo.jpg');
  fs.writeFileSync(local, content);
  const read = async (id, options = {}) => {
    const target = path.join(folder, 'down');
    await client.download(id, { target, ...options });
    return fs.readFileSync(target);
  };

  const byFile = await client.upload(local);
  const byBuffer = await client.upload(content, { ext: 'bin' });
  const byStream = await client.upload(fs.createReadStream(local), {
    size: content.length,
    ext: 'jpg',
  });
  console.log('ok upload');

  for (const id of [byFile, byBuffer, byStream]) assert.deepStrictEqual(await read(id), content);
  console.log('ok download');

  const part = await read(byFile, { offset: 100, bytes: 50 });
  assert.deepStrictEqual(part, content.subarray(100, 150));
  console.log('ok download_range');

  await client.setMetaData(byFile, { author: 'me', width: '160' });
  assert.deepStrictEqual(await client.getMetaData(byFile), { author: 'me', width: '160' });
  await client.setMetaData(byFile, { width: '80' }, 'M');
  assert.deepStrictEqual(await client.getMetaData(byFile), { author: 'me', width: '80' });
  console.log('ok metadata');

  const info = await client.getFileInfo(byFile);
  assert.strictEqual(Number(info.size), content.length);
  console.log('ok info');

  // This client asks for a storage as if to store a new file, so where there are several, an
  // append may reach one that has no copy yet and answers 2; the next one asked has it.
  const change = async (text, options, tries = 5) => {
    try {
      await client.upload(Buffer.from(text), options);
    } catch (error) {
      if (tries === 0 || !/errno is: 2$/.test(error.message)) throw error;
      await change(text, options, tries - 1);
    }
  };
  const asAppender = { method: 'uploadAppender', ext: 'log' };
  const appender = await client.upload(Buffer.from('one'), asAppender);
  await change(' two', { method: 'append', fileId: appender });
  await change('ONE', { method: 'modify', fileId: appender, offset: 0 });
  assert.strictEqual(String(await read(appender)), 'ONE two');
  console.log('ok appender');

  for (const id of [byFile, byBuffer, byStream, appender]) {
    await client.del(id);
    await assert.rejects(() => read(id));
  }
  console.log('ok delete');
}

main(...process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error('failed:', error);
    process.exit(1);
  },
);

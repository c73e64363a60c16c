// Compiled only: what the declarations promise, and what they refuse.
import { Readable, Writable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import {
  Client,
  EmbeddedCluster,
  FdfsError,
  coreVersion,
  errorKinds,
  makeToken,
  parseFileId,
  slaveId,
  type CallOptions,
  type FileInfo,
  type GroupInfo,
  type Metadata,
  type PoolStats,
  type ServerAddress,
  type Source,
  type StorageInfo,
  type TrackerInfo,
  type UploadTarget,
} from '@fdfs/client';

export async function everything(signal: AbortSignal, blob: Blob): Promise<void> {
  const client: AsyncDisposable = new Client({ trackers: 'h' });
  await client[Symbol.asyncDispose]();
  const c = Client.fromConf('/etc/fdfs/client.conf', { retries: 1 });
  const call: CallOptions = { signal, timeoutMs: 100 };
  const progress = (bytes: number): void => void bytes;
  const sources: Source[] = [Buffer.from('x'), new Uint8Array(1), blob, Readable.from([])];
  const ids: string[] = [];
  for (const source of sources) {
    const place = { ext: 'txt', metadata: { a: 'b' } };
    ids.push(await c.upload(source, { ...place, size: 1n, ...call, progress }));
  }
  ids.push(await c.upload((async function* () { yield new Uint8Array(1); })()));
  ids.push(await c.uploadFile(new URL('file:///a'), { appender: true, storePathIndex: 0 }));
  ids.push(await c.uploadSlave('m', '_s', Buffer.from('x'), { ext: 'jpg' }));
  const id = ids[0] ?? '';
  await c.append(id, blob, { size: 3 });
  await c.modify(id, 3n, Buffer.from('x'), call);
  await c.truncate(id);
  const done: string = await c.finalize(id);
  const writable: Writable & { fileId: Promise<string> } = c.createWriteStream({ finalize: false });
  const got: Buffer = await c.download(id, { offset: -5, length: 3n, progress });
  const length: number = await c.downloadInto(id, got, { offset: 1 });
  const written: number = await c.downloadFile(id, '/tmp/x', { length: 1 });
  const readable: Readable = c.createReadStream(id, { offset: 1, signal });
  const web: ReadableStream<Uint8Array> = c.stream(id);
  const deleted: boolean = await c.delete(id, { missingOk: true });
  const there: boolean = await c.exists(id, call);
  const info: FileInfo = await c.stat(id);
  const metadata: Metadata = await c.getMetadata(id);
  await c.setMetadata(id, metadata, { merge: true });
  const groups: readonly GroupInfo[] = await c.listGroups();
  const storages: readonly StorageInfo[] = await c.listStorages('group1');
  const trackers: readonly TrackerInfo[] = await c.listTrackers();
  const where: readonly ServerAddress[] = await c.locate(id, { all: true });
  const target: UploadTarget = await c.pickUpload();
  await c.admin.deleteStorage('g', 's');
  const trunk: string = await c.admin.setTrunkServer('g');
  const url: string = c.httpUrl(id, { base: 'http://h', expires: new Date() });
  const stats: readonly PoolStats[] = c.poolStats();
  await c.ping();
  await c.close();
  const cluster = await EmbeddedCluster.start({ groups: { group1: 2 } });
  const address: string = cluster.tracker + cluster.storages.join();
  await cluster.stop();
  const size: number | null = parseFileId(slaveId(id, '_s')).size;
  const texts: string[] = [makeToken(id, 0, 's'), coreVersion];
  texts.push(...errorKinds.map(({ code }) => code));
  try {
    await c.stat(id);
  } catch (error) {
    if (error instanceof FdfsError && error.kind === 'not_found') texts.push(error.fileId ?? '');
  }
  void [done, writable, length, written, readable, web, deleted, there, info, groups, storages];
  void [trackers, where, target, trunk, url, stats, address, size, texts];

  // @ts-expect-error a string is no content
  await c.upload('text');
  // @ts-expect-error no such option
  await c.upload(got, { extension: 'txt' });
  // @ts-expect-error metadata is text
  await c.setMetadata(id, { width: 160 });
  // @ts-expect-error values do not change
  info.size = 7;
  // @ts-expect-error trackers are missing
  new Client({});
  // @ts-expect-error clusters are started
  new EmbeddedCluster();
}

/**
 * Client for FastDFS, the lightweight distributed file store.
 *
 * ```js
 * import { Client } from '@fdfs/client';
 *
 * const client = new Client({ trackers: ['10.0.0.1:22122', '10.0.0.2:22122'] });
 * const id = await client.uploadFile('photo.jpg', { metadata: { width: '160' } });
 * const content = await client.download(id);
 * await client.delete(id);
 * await client.close();
 * ```
 *
 * Every method that asks a server returns a promise, which rejects with {@link FdfsError}, or with
 * the signal's reason when the call was aborted. Sizes and offsets are bytes.
 *
 * @packageDocumentation
 */

/// <reference types="node" />

import type { Readable, Writable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';

/** A size or an offset in bytes; results are always of type `number`. */
export type Size = number | bigint;

/**
 * What can be uploaded. The size of bytes and of a `Blob` is known. A stream without the `size`
 * option is read to its end before anything is sent: up to 8 MiB into memory, more into a temporary
 * file. Do not change, transfer or detach a `Uint8Array` before the promise is settled: it is read
 * where it is. A stream that the call did not need to its end is destroyed or cancelled.
 */
export type Source =
  | Uint8Array
  | Blob
  | Readable
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>;

/** What every call can be told. */
export interface CallOptions {
  /** Aborts the call: its connection is closed and the promise rejects with `signal.reason`. */
  signal?: AbortSignal;
  /** Milliseconds that the whole call may take; by default those of the client. */
  timeoutMs?: number;
}

/** What calls that move content can be told. */
export interface TransferOptions extends CallOptions {
  /**
   * Called with the bytes moved so far: as they move, and with the last number before the promise
   * is settled. What it throws ends the call, which rejects with it.
   */
  progress?: (bytes: number) => void;
}

/** What a client can be told. */
export interface ClientOptions {
  /** `host[:port]` of each tracker; the port is 22122 unless given. `[v6]:port` for IPv6. */
  trackers: string | readonly string[];
  /** Group for uploads that name none; by default the tracker chooses. */
  group?: string;
  /** Milliseconds until a connection must stand. Default 5000. */
  connectTimeoutMs?: number;
  /** Milliseconds without a byte until a call fails. Default 30000. */
  ioTimeoutMs?: number;
  /** Milliseconds that a whole call may take. Default: no limit. */
  timeoutMs?: number;
  /** Connections to one server at the same time. Default 16. */
  poolSize?: number;
  /** Milliseconds that a call waits for a connection when all are in use. Default 5000. */
  poolWaitMs?: number;
  /** Milliseconds until an unused connection is closed. Default 25000. */
  poolIdleMs?: number;
  /** How often a call that has changed nothing yet is tried again. Default 2. */
  retries?: number;
  /**
   * Where storages really are, by the address they advertise: `{'10.0.0.5:23000': 'host:32300'}`.
   * Ports may be left out on both sides.
   */
  addressMap?: Readonly<Record<string, string>>;
  /** Secret of the tokens in {@link Client.httpUrl}. */
  tokenSecret?: string;
}

/** Metadata of a file: names of up to 64 bytes, values of up to 256 bytes of UTF-8. */
export type Metadata = Record<string, string>;

/** What a new file is to be. */
export interface PlaceOptions {
  /** Extension of the name, up to 6 bytes, without the dot. */
  ext?: string;
  /** Metadata to set. Should that fail, the error carries the id of the stored file. */
  metadata?: Readonly<Metadata>;
  /** Group to upload to. */
  group?: string;
  /** Store path to upload to, 0 to 255; by default the tracker chooses. */
  storePathIndex?: number;
}

/** What an upload of a local file can be told. */
export interface UploadFileOptions extends PlaceOptions, TransferOptions {
  /** Make a file that can grow. Default false. */
  appender?: boolean;
}

/** What an upload can be told. */
export interface UploadOptions extends UploadFileOptions {
  /** Bytes that a stream will give. One that gives fewer or more fails the call. */
  size?: Size;
}

/** What an upload of a slave can be told. */
export interface SlaveOptions extends TransferOptions {
  /** Extension of the name, up to 6 bytes, without the dot. */
  ext?: string;
  /** Metadata to set. */
  metadata?: Readonly<Metadata>;
  /** Bytes that a stream will give. */
  size?: Size;
}

/** What a change of an appender file can be told. */
export interface ChangeOptions extends TransferOptions {
  /** Bytes that a stream will give. */
  size?: Size;
}

/** Part of a file. What lies behind its end is not there, which is no error. */
export interface Range {
  /** First byte; below 0 it counts from the end. Default 0. */
  offset?: Size;
  /** Bytes; by default all to the end. 0 gives nothing and asks no server. */
  length?: Size;
}

/** What a stream for writing can be told. A timeout bounds each of its requests. */
export interface WriteStreamOptions extends PlaceOptions, CallOptions {
  /** Turn the file into a normal one at its end, else it stays an appender file. Default true. */
  finalize?: boolean;
}

/** A file that is written piece by piece. */
export interface FileWriteStream extends Writable {
  /** The id of the file, once the stream has finished. */
  readonly fileId: Promise<string>;
}

/** appender: may grow; slave: named after a master; trunk: a small file within a large one. */
export type FileKind = 'normal' | 'appender' | 'slave' | 'trunk';

/** What a storage knows of a file. */
export interface FileInfo {
  /** Bytes. */
  readonly size: number;
  /** Time of the last change. */
  readonly modified: Date;
  /** CRC-32 of the content. */
  readonly crc32: number;
  /** Address of the storage it was uploaded to; empty when unknown. */
  readonly sourceIp: string;
  /** What its name says it is. */
  readonly kind: FileKind;
}

/** What a file id says. */
export interface FileIdInfo {
  /** The whole id. */
  readonly id: string;
  /** The group. */
  readonly group: string;
  /** The rest of the id, `M00/00/00/…`. */
  readonly path: string;
  /** 0-based index of the store path. */
  readonly storePathIndex: number;
  /** Address or id of the storage it was uploaded to. */
  readonly source: string | null;
  /** Bytes; `null` for appender and slave files. */
  readonly size: number | null;
  /** When it was stored; a slave's is that of its master. */
  readonly createdAt: Date | null;
  /** CRC-32 of the content; `null` for appender and slave files. */
  readonly crc32: number | null;
  /** What its name says it is. */
  readonly kind: FileKind;
}

/** Where a server is. */
export interface ServerAddress {
  /** Address or name. */
  readonly host: string;
  /** TCP port. */
  readonly port: number;
}

/** Where a tracker sends an upload. */
export interface UploadTarget {
  /** The group. */
  readonly group: string;
  /** The storage. */
  readonly server: ServerAddress;
  /** The store path. */
  readonly storePathIndex: number;
}

/** A group of storages. Space is in MiB. */
export interface GroupInfo {
  readonly name: string;
  readonly totalMb: number;
  readonly freeMb: number;
  readonly reservedMb: number;
  readonly trunkFreeMb: number;
  readonly storageCount: number;
  readonly storagePort: number;
  readonly readableCount: number;
  readonly writableCount: number;
  readonly storePathCount: number;
  readonly subdirCountPerPath: number;
  readonly currentTrunkFileId: number | null;
}

/** Counters of a storage since it was set up; the last four are Unix seconds. */
export interface StorageStats {
  readonly connectionAllocCount: number;
  readonly connectionCurrentCount: number;
  readonly connectionMaxCount: number;
  readonly totalUploadCount: number;
  readonly successUploadCount: number;
  readonly totalAppendCount: number;
  readonly successAppendCount: number;
  readonly totalModifyCount: number;
  readonly successModifyCount: number;
  readonly totalTruncateCount: number;
  readonly successTruncateCount: number;
  readonly totalSetMetaCount: number;
  readonly successSetMetaCount: number;
  readonly totalDeleteCount: number;
  readonly successDeleteCount: number;
  readonly totalDownloadCount: number;
  readonly successDownloadCount: number;
  readonly totalGetMetaCount: number;
  readonly successGetMetaCount: number;
  readonly totalCreateLinkCount: number;
  readonly successCreateLinkCount: number;
  readonly totalDeleteLinkCount: number;
  readonly successDeleteLinkCount: number;
  readonly totalUploadBytes: number;
  readonly successUploadBytes: number;
  readonly totalAppendBytes: number;
  readonly successAppendBytes: number;
  readonly totalModifyBytes: number;
  readonly successModifyBytes: number;
  readonly totalDownloadBytes: number;
  readonly successDownloadBytes: number;
  readonly totalSyncInBytes: number;
  readonly successSyncInBytes: number;
  readonly totalSyncOutBytes: number;
  readonly successSyncOutBytes: number;
  readonly totalFileOpenCount: number;
  readonly successFileOpenCount: number;
  readonly totalFileReadCount: number;
  readonly successFileReadCount: number;
  readonly totalFileWriteCount: number;
  readonly successFileWriteCount: number;
  readonly lastSourceUpdate: number;
  readonly lastSyncUpdate: number;
  readonly lastSyncedTimestamp: number;
  readonly lastHeartBeatTime: number;
}

/** A storage as the tracker knows it. Space is in MiB. */
export interface StorageInfo {
  readonly id: string;
  readonly address: ServerAddress;
  /** `ACTIVE` when it serves; others are `INIT`, `WAIT_SYNC`, `SYNCING`, `OFFLINE`, `ONLINE`. */
  readonly status: string;
  readonly version: string;
  readonly joined: Date;
  readonly upSince: Date | null;
  readonly totalMb: number;
  readonly freeMb: number;
  readonly reservedMb: number;
  readonly uploadPriority: number;
  readonly storePathCount: number;
  readonly subdirCountPerPath: number;
  readonly currentWritePath: number;
  readonly syncSource: string | null;
  readonly isTrunkServer: boolean;
  readonly stats: StorageStats;
}

/** A configured tracker. */
export interface TrackerInfo {
  /** As configured. */
  readonly address: string;
  /** Whether it answered. */
  readonly alive: boolean;
  /** Whether it leads the trackers. */
  readonly isLeader: boolean;
}

/** What the pool of connections did at one server. */
export interface PoolStats {
  /** `host:port`. */
  readonly server: string;
  /** Connections in use and kept. */
  readonly open: number;
  /** Connections kept. */
  readonly idle: number;
  /** Calls that wait for one. */
  readonly waiting: number;
  /** Connections ever made. */
  readonly created: number;
  /** Connections closed because a call did not end cleanly. */
  readonly closedByError: number;
}

/** What a URL is to be. */
export interface UrlOptions {
  /** The web front, such as `https://files.example/`. */
  base: string;
  /** Name under which the front offers the file for saving. */
  filename?: string;
  /** Time in the token, as a date or in Unix seconds; now unless given. */
  expires?: Date | number;
}

/** Changes to the cluster. */
export interface Admin {
  /** Removes a storage that is offline, at every tracker; `busy` when it is not. */
  deleteStorage(group: string, storage: string, options?: CallOptions): Promise<void>;
  /** Removes an empty group, at every tracker. */
  deleteGroup(group: string, options?: CallOptions): Promise<void>;
  /** Chooses the trunk server of a group, or has one chosen; resolves to its id. */
  setTrunkServer(group: string, storage?: string, options?: CallOptions): Promise<string>;
}

/**
 * A client of one cluster. It connects when it is used, may be shared by everything in its thread,
 * and keeps connections until {@link Client.close}. It does not keep the process alive.
 */
export class Client implements AsyncDisposable {
  /** @throws {@link FdfsError} of kind `config` or `invalid_argument` for wrong options. */
  constructor(options: ClientOptions);

  /**
   * A client for the cluster of a `client.conf`.
   *
   * @param overrides count more than what the file says.
   * @throws {@link FdfsError} of kind `config` when the file is wrong or not there.
   */
  static fromConf(path: string, overrides?: Partial<ClientOptions>): Client;

  /** Uploads content; resolves to the id of the new file. */
  upload(source: Source, options?: UploadOptions): Promise<string>;

  /** Uploads a local file. The extension is taken from its name unless given. */
  uploadFile(path: string | URL, options?: UploadFileOptions): Promise<string>;

  /**
   * Uploads a slave of `master`: a file with the master's name and a prefix of 1 to 16 characters
   * added to it. A second one of that name fails as `already_exists`.
   */
  uploadSlave(
    master: string,
    prefix: string,
    source: Source,
    options?: SlaveOptions,
  ): Promise<string>;

  /** Adds content to the end of an appender file. */
  append(id: string, source: Source, options?: ChangeOptions): Promise<void>;

  /** Overwrites part of an appender file; `offset` is at most its size. */
  modify(id: string, offset: Size, source: Source, options?: ChangeOptions): Promise<void>;

  /** Sets the size of an appender file, by default 0; a larger one extends it with zero bytes. */
  truncate(id: string, size?: Size, options?: CallOptions): Promise<void>;

  /**
   * Turns an appender file into a normal one; resolves to its new id, the old one is gone. Metadata
   * stays behind under the old name: set it again.
   */
  finalize(id: string, options?: CallOptions): Promise<string>;

  /**
   * Begins a file of unknown size that is written piece by piece, in requests of 256 KiB. A stream
   * that is destroyed before its end deletes what it has sent.
   */
  createWriteStream(options?: WriteStreamOptions): FileWriteStream;

  /** Downloads a file, or part of it, into memory. */
  download(id: string, options?: Range & TransferOptions): Promise<Buffer>;

  /**
   * Downloads into `buffer`, until it is full or the file ends; resolves to the number of bytes. Do
   * not use, transfer or detach it before the promise is settled: it is written where it is.
   */
  downloadInto(
    id: string,
    buffer: Uint8Array,
    options?: { offset?: Size } & TransferOptions,
  ): Promise<number>;

  /**
   * Downloads to a local file, which appears under its name when it is whole; resolves to the
   * number of bytes.
   */
  downloadFile(id: string, path: string | URL, options?: Range & TransferOptions): Promise<number>;

  /**
   * A file, or part of it, as a Node stream. The timeout bounds the opening. A stream that is not
   * read to its end holds a connection until it is destroyed.
   */
  createReadStream(id: string, options?: Range & CallOptions): Readable;

  /** The same as a web stream, which holds its connection until it is read or cancelled. */
  stream(id: string, options?: Range & CallOptions): ReadableStream<Uint8Array>;

  /**
   * Deletes a file; resolves to whether there was one. Without `missingOk` (default false) a file
   * that is not there is an error of kind `not_found`.
   */
  delete(id: string, options?: { missingOk?: boolean } & CallOptions): Promise<boolean>;

  /** Whether the file is there. */
  exists(id: string, options?: CallOptions): Promise<boolean>;

  /** What its storage knows of the file. */
  stat(id: string, options?: CallOptions): Promise<FileInfo>;

  /** The metadata of a file; empty when it has none. */
  getMetadata(id: string, options?: CallOptions): Promise<Metadata>;

  /** Sets the metadata of a file; with `merge` (default false) items not named here stay. */
  setMetadata(
    id: string,
    metadata: Readonly<Metadata>,
    options?: { merge?: boolean } & CallOptions,
  ): Promise<void>;

  /** All groups. */
  listGroups(options?: CallOptions): Promise<readonly GroupInfo[]>;

  /** The storages of a group, or the one with this id. */
  listStorages(
    group: string,
    storage?: string,
    options?: CallOptions,
  ): Promise<readonly StorageInfo[]>;

  /** The configured trackers, asked one by one. */
  listTrackers(options?: CallOptions): Promise<readonly TrackerInfo[]>;

  /** A storage that has the file, or with `all` (default false) every one. */
  locate(
    id: string,
    options?: { all?: boolean } & CallOptions,
  ): Promise<readonly ServerAddress[]>;

  /** Where the tracker would send an upload. */
  pickUpload(group?: string, options?: CallOptions): Promise<UploadTarget>;

  /** Changes to the cluster. */
  get admin(): Admin;

  /** The URL of a file behind a web front, with a token when the client has a secret. */
  httpUrl(id: string, options: UrlOptions): string;

  /** Asks a tracker for a sign of life. */
  ping(options?: CallOptions): Promise<void>;

  /** What the pool did, by server. */
  poolStats(): readonly PoolStats[];

  /**
   * Closes all connections. Calls from now on fail as `closed`, those under way end as they would.
   * Doing it again does nothing.
   */
  close(): Promise<void>;

  /** The same as {@link Client.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The kinds of errors. */
export type ErrorKindName =
  | 'not_found'
  | 'no_server'
  | 'already_exists'
  | 'invalid_argument'
  | 'no_space'
  | 'permission'
  | 'busy'
  | 'unsupported'
  | 'connect'
  | 'timeout'
  | 'protocol'
  | 'server'
  | 'local_io'
  | 'config'
  | 'closed'
  | 'internal'
  | 'cancelled';

/** A kind of error. */
export interface ErrorKind {
  /** Its name. */
  readonly kind: ErrorKindName;
  /** `ERR_FDFS_…`, as in {@link FdfsError.code}. */
  readonly code: string;
  /** A number that never changes, the same in all languages. */
  readonly number: number;
  /** Whether the same call may succeed later or elsewhere. */
  readonly retryable: boolean;
}

/** All kinds of errors. */
export const errorKinds: readonly ErrorKind[];

/** What failed, where, and what came back. */
export class FdfsError extends Error {
  /** Made by the client; there is no need to make one. */
  private constructor();
  readonly name: 'FdfsError';
  /** What went wrong, in terms an application can act on. */
  readonly kind: ErrorKindName;
  /**
   * The same as Node names errors: `ERR_FDFS_NOT_FOUND`, `ERR_FDFS_NO_SERVER`, `ERR_FDFS_EXISTS`,
   * `ERR_FDFS_INVALID_ARG`, `ERR_FDFS_NO_SPACE`, `ERR_FDFS_PERMISSION`, `ERR_FDFS_BUSY`,
   * `ERR_FDFS_UNSUPPORTED`, `ERR_FDFS_CONNECT`, `ERR_FDFS_TIMEOUT`, `ERR_FDFS_PROTOCOL`,
   * `ERR_FDFS_SERVER`, `ERR_FDFS_LOCAL_IO`, `ERR_FDFS_CONFIG`, `ERR_FDFS_CLOSED`,
   * `ERR_FDFS_INTERNAL`, `ERR_FDFS_CANCELLED`.
   */
  readonly code: string;
  /** `host:port` of the server, when one was involved. */
  readonly server?: string;
  /** Number of the protocol's command, when one was sent. */
  readonly command?: number;
  /** The file the call was about, or that was stored before the call failed. */
  readonly fileId?: string;
  /** The status that the server sent, an errno value as on Linux. */
  readonly errno?: number;
  /** Whether the same call may succeed later or elsewhere. */
  readonly retryable: boolean;
  /** Whether the server may have done the work although no answer came. */
  readonly outcomeUnknown: boolean;
  /** What it came from: with kind `local_io`, the error of the stream or of the local file. */
  readonly cause?: unknown;
}

/** Reads a file id. No server is asked. @throws {@link FdfsError} of kind `invalid_argument`. */
export function parseFileId(id: string): FileIdInfo;

/** The id of a file's slave with that prefix and extension, whether it exists or not. */
export function slaveId(master: string, prefix: string, ext?: string): string;

/**
 * The token that a web front asks for. The group is no part of it.
 *
 * @param time as a date or in Unix seconds.
 */
export function makeToken(id: string, time: Date | number, secret: string): string;

/** Version of the core. */
export const coreVersion: string;

/** What an embedded cluster is to be. */
export interface EmbeddedOptions {
  /**
   * Folder for everything; made if missing, and reused if a cluster lived there before. Without
   * one, a temporary folder that is removed at the end.
   */
  dir?: string;
  /** Groups and how many storages each has. Default `{group1: 1}`. */
  groups?: Readonly<Record<string, number>>;
}

/**
 * A whole cluster inside this process, for development and tests. It ends with
 * {@link EmbeddedCluster.stop}, and with the process or worker at the latest; it does not keep the
 * process alive.
 */
export class EmbeddedCluster implements AsyncDisposable {
  private constructor();

  /** Starts tracker and storages on free ports of the loopback interface. */
  static start(options?: EmbeddedOptions): Promise<EmbeddedCluster>;

  /** Address of the tracker, `host:port`. */
  get tracker(): string;

  /** Addresses of the storages, `host:port`. */
  get storages(): readonly string[];

  /** Ends all servers in order. Doing it again does nothing. */
  stop(): Promise<void>;

  /** The same as {@link EmbeddedCluster.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

// What the scenarios share: the installed package, the servers of the stage, and content.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

// The package is installed outside of the source tree.
export const folder = process.argv[2];
export const fdfs = createRequire(path.join(folder, 'x.cjs'))('@fdfs/client');

export function variable(name) {
  const value = process.env[name];
  assert(value, `${name} is not set: run this on a stage`);
  return value;
}

export function client(tracker = 'FDFS_TRACKER', options = {}) {
  return new fdfs.Client({ trackers: variable(tracker), ...options });
}

// A client whose storage is the one that misbehaves under this name.
export function behind(fault) {
  return client('FDFS_TRACKER', {
    addressMap: { [variable('FDFS_STORAGE')]: variable(fault) },
    group: 'group1',
    ioTimeoutMs: 500,
  });
}

// Bytes that repeat late enough to betray any misplaced piece.
export function bytes(length) {
  const content = Buffer.alloc(length);
  for (let at = 0; at < length; at += 1) content[at] = at ^ (at >> 9) ^ (at >> 17);
  return content;
}

export function same(got, expected, what) {
  assert(Buffer.compare(got, expected) === 0, `${what}: other content, ${got.length} bytes`);
}

// The error of a call that must fail, of one of these kinds.
export async function fails(call, ...kinds) {
  const error = await call.then(
    (value) => assert.fail(`succeeded with ${value}`),
    (thrown) => thrown,
  );
  assert(error instanceof fdfs.FdfsError, error);
  assert(kinds.includes(error.kind), error);
  return error;
}

// An empty folder.
export function workFolder(name) {
  return fs.mkdtempSync(path.join(variable('FDFS_DIR'), `node-${name}-`));
}

// The rows of a table of the project, as objects.
export function table(name) {
  const file = path.join(variable('FDFS_VECTORS'), name);
  const [head, ...rows] = fs.readFileSync(file, 'utf8').replace(/\n$/, '').split('\n');
  const columns = head.split('\t');
  return rows.map((row) => {
    const fields = row.split('\t');
    return Object.fromEntries(columns.map((column, at) => [column, fields[at] ?? '']));
  });
}

// What this language shows of the tables that all languages share.
import assert from 'node:assert/strict';
import { fdfs, table } from './stage.mjs';

export async function ids() {
  const files = table('file_ids.tsv');
  assert(files.length > 40, 'rows of file_ids.tsv');
  for (const row of files) {
    const info = fdfs.parseFileId(row.id);
    const [group, ...rest] = row.id.split('/');
    const own = info.kind === 'normal' || info.kind === 'trunk';
    const field = BigInt(`0x${row['size field']}`);
    const size = Number(field >> 63n ? field & 0xffffffffn : field);
    const expected = {
      id: row.id,
      group,
      path: rest.join('/'),
      storePathIndex: parseInt(rest[0].slice(1), 16),
      source: row['file source'],
      createdAt: new Date(Number(row.created) * 1000),
      kind: row.kind,
      size: own ? size : null,
      crc32: own ? parseInt(row.crc32, 16) : null,
    };
    assert.deepEqual({ ...info }, expected, row.id);
  }

  const tokens = table('tokens.tsv');
  const bare = (row) => row.file.replace(/^group1\//, '');
  assert.equal(tokens.length, 8);
  for (const row of tokens) {
    // The group is no part of a token here; the table also has one made with it, which must differ.
    const token = fdfs.makeToken(`group1/${bare(row)}`, Number(row['unix seconds']), row.secret);
    assert.equal(token === row.token, bare(row) === row.file, row.case);
  }

  const kinds = table('errors.tsv');
  const shown = kinds.map((row) => [row.kind, Number(row.number), row.retryable === 'true']);
  const known = fdfs.errorKinds.map((kind) => [kind.kind, kind.number, kind.retryable]);
  assert.deepEqual(known, shown);
  const codes = new Set(fdfs.errorKinds.map((kind) => kind.code));
  assert.equal(codes.size, kinds.length);
  for (const code of codes) assert.match(code, /^ERR_FDFS_[A-Z_]+$/);
}

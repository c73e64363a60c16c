import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { fdfs, folder, load } from './servers.mjs';

const run = (args, options) =>
  execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8', ...options });

test('the package is the same from both module systems', () => {
  const source = `
    import * as esm from '@fdfs/client';
    import { createRequire } from 'node:module';
    const cjs = createRequire(process.cwd() + '/x.cjs')('@fdfs/client');
    const { default: _, 'module.exports': __, ...named } = esm;
    console.log(JSON.stringify([Object.keys(named).sort(), Object.keys(cjs).sort()]));
    console.log(Object.keys(cjs).every((name) => esm[name] === cjs[name]));`;
  const [names, same] = run(['--input-type=module', '--eval', source]).trim().split('\n');
  const [esm, cjs] = JSON.parse(names);
  assert.deepEqual(esm, cjs);
  assert.equal(same, 'true');
});

test('the package has what it needs and nothing more', () => {
  const root = path.dirname(load.resolve('@fdfs/client/package.json'));
  const files = fs.readdirSync(root);
  for (const file of ['LICENSE', 'CHANGELOG.md', 'README.md', 'index.d.ts', 'index.d.mts']) {
    assert(files.includes(file), file);
  }
  const unwanted = ['src', 'test', 'Cargo.toml', 'node_modules'];
  assert(!files.some((file) => unwanted.includes(file)), files);
  assert.match(fdfs.coreVersion, /^\d+\.\d+\.\d+$/);
  assert.equal(load('@fdfs/client/package.json').version, fdfs.coreVersion);
});

test('the examples are those of the README, and run', async () => {
  const root = path.dirname(load.resolve('@fdfs/client/package.json'));
  const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8');
  const examples = path.join(root, 'examples');
  const cluster = await fdfs.EmbeddedCluster.start();
  const execute = promisify(execFile);
  for (const name of fs.readdirSync(examples)) {
    const file = path.join(examples, name);
    const [, ...lines] = fs.readFileSync(file, 'utf8').split('\n');
    if (name !== 'streams.mjs') assert(readme.includes(lines.join('\n')), name);
    const { stdout } = await execute(process.execPath, [file, cluster.tracker], { cwd: folder });
    assert.match(stdout, /group1\/M00/, name);
  }
  await cluster.stop();
});

test('a missing binary names the package to install and the C library', () => {
  const root = path.dirname(load.resolve('@fdfs/client/package.json'));
  const bare = fs.mkdtempSync(path.join(os.tmpdir(), 'fdfs-bare-'));
  try {
    fs.cpSync(path.join(root, 'lib'), path.join(bare, 'lib'), { recursive: true });
    const url = pathToFileURL(path.join(bare, 'lib/native.cjs')).href;
    const source = `import(${JSON.stringify(url)}).catch((error) => console.log(error.message))`;
    const said = run(['--eval', source], { cwd: bare });
    const flavour = process.platform === 'linux' ? /C library (gnu|musl): / : /: /;
    assert.match(said, flavour);
    assert.match(said, new RegExp(`install the package @fdfs/client-${process.platform}-`));
  } finally {
    fs.rmSync(bare, { recursive: true });
  }
});

test('a package without a binary takes it from the one for this platform', async () => {
  const root = path.dirname(load.resolve('@fdfs/client/package.json'));
  const [binary] = fs.readdirSync(root).filter((name) => name.endsWith('.node'));
  const project = fs.mkdtempSync(path.join(os.tmpdir(), 'fdfs-project-'));
  try {
    const pack = fileURLToPath(new URL('../pack.sh', import.meta.url));
    execFileSync(pack, [project, path.join(root, binary)]);
    const tarballs = fs.readdirSync(project).map((name) => path.join(project, name));
    assert.equal(tarballs.length, 2, tarballs);
    fs.writeFileSync(path.join(project, 'package.json'), '{"private": true}');
    const quiet = ['--silent', '--offline', '--no-audit', '--no-fund'];
    execFileSync('npm', ['install', ...quiet, ...tarballs], { cwd: project });

    const installed = path.join(project, 'node_modules/@fdfs/client');
    const main = JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8'));
    const platform = `@fdfs/client-${binary.replace(/^fdfs\.(.*)\.node$/, '$1')}`;
    assert.deepEqual(main.optionalDependencies, { [platform]: main.version });
    assert(!fs.existsSync(path.join(installed, binary)), 'the binary comes by itself');
    const used = '.EmbeddedCluster.start().then((cluster) => cluster.stop())';
    run(['--eval', `require('@fdfs/client')${used}`], { cwd: project });
    const esm = `import * as fdfs from '@fdfs/client'; await fdfs${used}`;
    run(['--input-type=module', '--eval', esm], { cwd: project });

    // A binary that is there and damaged is no reason to ask for its package.
    const brought = path.join(project, 'node_modules', platform, binary);
    fs.truncateSync(brought, 100);
    const tried = `try { require('@fdfs/client') } catch (error) { console.log(error.message) }`;
    assert.doesNotMatch(run(['--eval', tried], { cwd: project }), /install the package|^$/);
  } finally {
    fs.rmSync(project, { recursive: true });
  }
});

test('an idle client does not keep the process alive', () => {
  const source = `
    const { Client, EmbeddedCluster } = require('@fdfs/client');
    EmbeddedCluster.start().then(async (cluster) => {
      const client = new Client({ trackers: cluster.tracker });
      await client.upload(Buffer.from('x'));
      console.log('idle');
    });`;
  assert.equal(run(['--eval', source], { timeout: 10_000 }), 'idle\n');
});

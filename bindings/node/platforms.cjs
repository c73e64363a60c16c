'use strict';

// node platforms.cjs FOLDER BINARY…: makes a package of each binary in FOLDER/client-<its platform>,
// and has the package in FOLDER/client ask for them, as far as they are for the machine.

const fs = require('node:fs');
const path = require('node:path');

const [folder, ...binaries] = process.argv.slice(2);
const main = path.join(folder, 'client', 'package.json');
const client = JSON.parse(fs.readFileSync(main, 'utf8'));
const { name, version, description, license, engines } = client;
const LIBC = { gnu: 'glibc', musl: 'musl' };

client.optionalDependencies = {};
for (const binary of binaries) {
  const file = path.basename(binary);
  const target = file.replace(/^fdfs\.(.*)\.node$/, '$1');
  const [os, cpu, flavour] = target.split('-');
  const place = path.join(folder, `client-${target}`);
  const made = {
    name: `${name}-${target}`,
    version,
    description: `${description}: the binary for ${target}`,
    license,
    main: file,
    files: [file],
    engines,
    os: [os],
    cpu: [cpu],
    ...(LIBC[flavour] && { libc: [LIBC[flavour]] }),
  };
  client.optionalDependencies[made.name] = version;
  fs.mkdirSync(place);
  fs.copyFileSync(binary, path.join(place, file));
  fs.copyFileSync(path.join(folder, 'client', 'LICENSE'), path.join(place, 'LICENSE'));
  fs.writeFileSync(path.join(place, 'package.json'), JSON.stringify(made, undefined, 2));
}
fs.writeFileSync(main, JSON.stringify(client, undefined, 2));

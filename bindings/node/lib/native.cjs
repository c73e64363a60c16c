'use strict';

// Finds the binary: beside this package, or in the optional package for this platform.

const { existsSync } = require('node:fs');
const path = require('node:path');

function libc() {
  if (process.platform !== 'linux') return undefined;
  // Asking for the network interfaces as well would take long.
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl';
}

function load() {
  const flavour = libc() ?? (process.platform === 'win32' ? 'msvc' : undefined);
  const target = [process.platform, process.arch, flavour].filter(Boolean).join('-');
  const bundled = path.join(__dirname, '..', `fdfs.${target}.node`);
  if (existsSync(bundled)) return require(bundled);
  const optional = `@fdfs/client-${target}`;
  try {
    return require(optional);
  } catch (cause) {
    // One that is there and does not load tells why by itself.
    if (cause.code !== 'MODULE_NOT_FOUND') throw cause;
    const found = flavour === undefined ? '' : `, C library ${flavour}`;
    throw new Error(
      `@fdfs/client has no binary for ${process.platform} ${process.arch}${found}: ` +
        `install the package ${optional}`,
      { cause },
    );
  }
}

const native = load();

module.exports = { native, coreVersion: native.version() };

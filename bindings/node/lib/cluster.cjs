'use strict';

const { count, named, text } = require('./arguments.cjs');
const { fromNative } = require('./errors.cjs');
const { native } = require('./native.cjs');
const { pure } = require('./ids.cjs');

// Clusters that run. They are kept, so that one does not end because nobody looks at it any more.
const running = new Set();

// Nothing is left behind when the process ends.
function endAll() {
  for (const cluster of running) pure(() => cluster.stopNow());
}

const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');

// A promise of the native half.
async function done(work) {
  try {
    return await work();
  } catch (error) {
    throw fromNative(error);
  }
}

class EmbeddedCluster {
  #cluster;

  constructor(cluster) {
    if (!(cluster instanceof native.NativeCluster)) {
      throw new TypeError('an embedded cluster is made with EmbeddedCluster.start()');
    }
    this.#cluster = cluster;
  }

  static async start(options) {
    const given = named(options, ['dir', 'groups'], 'options of the embedded cluster');
    const { dir, groups } = given;
    if (dir !== undefined) text(dir, 'dir');
    for (const [group, storages] of Object.entries(groups ?? {})) count(storages, group);
    const cluster = await done(() => native.startCluster(dir, groups));
    if (running.size === 0) process.on('exit', endAll);
    running.add(cluster);
    return new EmbeddedCluster(cluster);
  }

  get tracker() {
    return this.#cluster.tracker;
  }

  get storages() {
    return Object.freeze(this.#cluster.storages);
  }

  async stop() {
    await done(() => this.#cluster.stop());
    running.delete(this.#cluster);
    if (running.size === 0) process.off('exit', endAll);
  }

  [asyncDispose]() {
    return this.stop();
  }
}

module.exports = { EmbeddedCluster };

// What the tests share: the installed package, a cluster inside this process, and a server between
// client and storage that can be told to misbehave.
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';

export const folder = process.env.FDFS_PACKAGE;
if (!folder) throw new Error('FDFS_PACKAGE must name the folder with the installed package');
export const load = createRequire(path.join(folder, 'x.cjs'));
export const fdfs = load('@fdfs/client');

// A cluster and a client for the tests of one file.
export async function withCluster(test, options) {
  const place = {};
  test.before(async () => {
    place.cluster = await fdfs.EmbeddedCluster.start();
    place.client = new fdfs.Client({ trackers: place.cluster.tracker, ...options });
  });
  test.after(async () => {
    await place.client.close();
    await place.cluster.stop();
  });
  return place;
}

// A relay to a storage that counts what it moves, and moves only as much as it is allowed to.
export class Relay {
  up = 0;
  down = 0;
  connections = new Set();

  constructor(storage, limits = {}) {
    const [host, port] = storage.split(':');
    this.server = net.createServer((client) => {
      const server = net.connect(Number(port), host);
      this.#join(client, server, 'up', limits.up ?? Infinity);
      this.#join(server, client, 'down', limits.down ?? Infinity);
    });
  }

  #join(from, to, way, limit) {
    this.connections.add(from);
    from.on('error', () => {});
    from.on('close', () => {
      this.connections.delete(from);
      to.destroy();
    });
    from.on('data', (piece) => {
      this[way] += piece.length;
      if (this[way] >= limit) from.pause();
      else if (!to.write(piece)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
  }

  async listen() {
    await new Promise((then) => this.server.listen(0, '127.0.0.1', then));
    return `127.0.0.1:${this.server.address().port}`;
  }

  async close() {
    for (const connection of this.connections) connection.destroy();
    await new Promise((then) => this.server.close(then));
  }
}

export const soon = (ms) => new Promise((then) => setTimeout(then, ms));

// Waits until something holds.
export async function until(what, holds) {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await holds()) return;
    await soon(10);
  }
  throw new Error(`never: ${what}`);
}

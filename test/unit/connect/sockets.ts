import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { Worker } from 'node:worker_threads';

/** Addresses on loopback that no embedded cluster uses: those have 127.64.0.0 and above. */
export function ownAddresses(): (last: number) => string {
  const chance = (below: number): number => 1 + Math.floor(Math.random() * below);
  const prefix = `127.${chance(62)}.${chance(254)}`;
  return (last) => `${prefix}.${last}`;
}

/** Whatever a test opened, closed at its end in the opposite order. */
export class Opened {
  readonly #ends: (() => unknown)[] = [];

  add(end: () => unknown): void {
    this.#ends.push(end);
  }

  /** A TCP server at that address; its connections are closed with it. */
  async listen(host: string, port: number, onConnection: (socket: Socket) => void): Promise<Server> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => undefined);
      onConnection(socket);
    });
    this.own(server, sockets);
    server.listen({ host, port });
    await once(server, 'listening');
    return server;
  }

  /** Closes this server at the end, with these connections of it. */
  own(server: Server, sockets: ReadonlySet<Socket>): void {
    this.add(async () => {
      const closed = server.listening ? once(server, 'close') : null;
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    });
  }

  /**
   * A peer that drops packets: a thread listens with a short queue, never accepts, and the queue is full. Further SYNs
   * are dropped by the system.
   */
  async blackHole(host: string, port: number): Promise<void> {
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      const server = require('node:net').createServer();
      server.listen({ ...workerData, backlog: 1 }, () => {
        parentPort.postMessage('listening');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });`;
    const thread = new Worker(source, { eval: true, workerData: { host, port } });
    this.add(() => thread.terminate());
    await once(thread, 'message');
    for (let waiting = 0; waiting < 8; waiting += 1) {
      const socket = connect({ host, port });
      socket.on('error', () => undefined);
      this.add(() => socket.destroy());
      // The queue holds one more than its length; whoever is beyond it waits for good.
      if (waiting < 2) await once(socket, 'connect');
    }
  }

  async close(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }
}

const real = { setTimeout };
const longestMs = 8_000n;

/** Waits until this holds, in real time also where a test has a fake clock. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const giveUp = process.hrtime.bigint() + longestMs * 1_000_000n;
  for (let turn = 0; !holds(); turn += 1) {
    if (process.hrtime.bigint() > giveUp) throw new Error(`${what} did not come about`);
    await new Promise((resolve) => (turn < 100 ? setImmediate(resolve) : real.setTimeout(resolve, 2)));
  }
}

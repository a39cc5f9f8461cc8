import { connect } from 'node:net';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { PodServer } from './pod-server.ts';
import type { PodServerOptions } from './pod-server.ts';

/** How many connections wait in a listening socket that is not served: its backlog and one more, on Linux. */
const backlog = 1;

/**
 * A pod whose packets can be dropped, without a firewall: it listens in a thread, and when that thread sleeps, what is
 * sent on its connections is never answered; when the queue of new connections is full as well, the kernel answers no
 * SYN. So on Linux.
 */
export class SilentPod {
  readonly #lock = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Worker;
  readonly stopped: Promise<void>;
  #stop: () => void = () => undefined;

  constructor(options: Omit<PodServerOptions, 'guard'>) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: { ...options, lock: this.#lock } });
    this.stopped = new Promise((resolve) => (this.#stop = resolve));
  }

  async listen(): Promise<void> {
    await this.#heard();
  }

  /** From now on it is silent. Says how many connections each contestant had open. */
  async drop(): Promise<Readonly<Record<string, number>>> {
    const counts = this.#heard<Readonly<Record<string, number>>>();
    this.#worker.postMessage('drop');
    return await counts;
  }

  /** The pod's process is gone for Kubernetes; its address stays silent until {@link SilentPod.end}. */
  kill(): void {
    this.#stop();
  }

  async end(): Promise<void> {
    this.#stop();
    Atomics.store(this.#lock, 0, 1);
    Atomics.notify(this.#lock, 0);
    await this.#worker.terminate();
  }

  #heard<Said>(): Promise<Said> {
    return new Promise((resolve, reject) => {
      this.#worker.once('error', reject);
      this.#worker.once('message', (said: Said) => {
        this.#worker.off('error', reject);
        resolve(said);
      });
    });
  }
}

if (!isMainThread && parentPort !== null) {
  const { lock, ...options } = workerData as Omit<PodServerOptions, 'guard'> & { lock: Int32Array };
  const server = new PodServer({ ...options, guard: null, backlog });
  const parent = parentPort;
  parent.once('message', () => {
    // What has come is taken first.
    setImmediate(() => {
      parent.postMessage(server.connections());
      // These are connected by the kernel before this thread could take them, and then the queue is full.
      const { address: host, port } = options;
      for (let filled = 0; filled <= backlog + 1; filled += 1) connect({ host, port }).on('error', () => undefined);
      process.nextTick(() => {
        process.nextTick(() => Atomics.wait(lock, 0, 0));
      });
    });
  });
  await server.listen();
  parent.postMessage(null);
}

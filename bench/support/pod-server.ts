import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { IdentityGuard } from '../../src/undici.ts';

/** The request header that says who asks. */
export const contestantHeader = 'contestant';

/** What a pod of the benches answers to. */
export interface PodServerOptions {
  readonly address: string;
  readonly port: number;
  /** What it answers: which pod it is. */
  readonly by: string;
  /** Looks at the requests of those contestants whose name says so. */
  readonly guard: IdentityGuard | null;
  /** How many connections wait to be taken. */
  readonly backlog?: number;
}

/** A pod's HTTP server: says who it is, whoever was meant, unless the guard refuses. */
export class PodServer {
  readonly #options: PodServerOptions;
  readonly #server = createServer((request, response) => {
    this.#answer(request, response);
  });
  /** Open connections, by the contestant that made them. */
  readonly #connections = new Map<Socket, string>();
  readonly stopped: Promise<void>;

  constructor(options: PodServerOptions) {
    this.#options = options;
    this.#server.on('connection', (socket: Socket) => {
      this.#connections.set(socket, '');
      socket.on('close', () => this.#connections.delete(socket));
    });
    this.stopped = new Promise((resolve) => this.#server.once('close', resolve));
  }

  listen(): Promise<void> {
    const { address: host, port, backlog = 511 } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject).listen({ host, port, backlog }, resolve);
    });
  }

  /** How many connections each contestant has open. */
  connections(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const name of this.#connections.values()) counts[name] = (counts[name] ?? 0) + 1;
    return counts;
  }

  /** As when a process ends: nobody listens from now on, and every connection is closed. */
  kill(): void {
    this.#server.close();
    for (const socket of this.#connections.keys()) socket.destroy();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const name = String(request.headers[contestantHeader]);
    this.#connections.set(request.socket, name);
    const { guard, by } = this.#options;
    if (guard !== null && name.includes('guard') && !guard(request, response)) return;
    response.end(by);
  }
}

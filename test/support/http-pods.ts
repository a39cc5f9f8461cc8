import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Server as TcpServer, Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PeerDispatcherOptions } from '../../src/http/dispatcher-options.ts';
import { PeerDispatcher } from '../../src/http/peer-dispatcher.ts';
import type { ObserveOptions } from '../../src/options.ts';
import type { PeerDiscovery } from '../../src/peer-discovery.ts';
import { createObserver } from '../../src/peer-discovery.ts';
import { hasLoopbackRange } from '../../src/testing/pod-network.ts';
import { Opened, ownAddresses } from '../unit/connect/sockets.ts';
import { podEnvironment } from './member.ts';
import type { View } from './scripted-dns.ts';
import { ScriptedDns } from './scripted-dns.ts';

/** The named port of the set, by SRV. */
export const peerPort = 7_000;

/** A request head as a server saw it. */
export interface Arrival {
  /** The pod whose server it was. */
  readonly pod: string;
  /** The address it came to. */
  readonly address: string;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly atMs: number;
}

/** A request head as it was written to a connection. */
export interface Written {
  /** The pod that Host names. */
  readonly podName: string;
  readonly address: string;
  readonly path: string;
}

/** Serves one request. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

/** What a server does; default: says who it is, and what it was sent. */
export interface ServeOptions {
  readonly port?: number;
  readonly handler?: Handler;
  /** Runs first; false where it has answered. */
  readonly guard?: (request: IncomingMessage, response: ServerResponse) => boolean;
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
}

/** A process that sends requests: a library object on a scripted DNS, and a dispatcher. */
export interface Client {
  readonly peers: PeerDiscovery;
  readonly dns: ScriptedDns;
  readonly dispatcher: PeerDispatcher;
}

/**
 * Pods that serve HTTP, each at its own loopback address, and clients of them. Every request head is written down twice:
 * when a client writes it to a connection, and when a server sees it. None may go to an address that the client no
 * longer believes in (promise 15); that, and what is left open, is looked at when the pods are closed.
 */
export class HttpPods {
  /** `127.x.y.<last>`. */
  readonly at: (last: number) => string = ownAddresses();
  readonly opened: Opened = new Opened();
  readonly arrivals: Arrival[] = [];
  readonly written: Written[] = [];
  readonly #violations: string[] = [];
  readonly #clients: Client[] = [];
  readonly #lostAt = new Map<string, number>();

  constructor() {
    subscribe('undici:client:sendHeaders', this.#onWritten);
  }

  /** A pod's server. Ends with the test, or with {@link stop}. */
  async serve(pod: string, address: string, options: ServeOptions = {}): Promise<Server> {
    const { port = peerPort, handler = sayWho(pod, address), guard, tls } = options;
    const listener: RequestListener = (request, response) => {
      this.#arrived(pod, address, request);
      if (guard?.(request, response) === false) return;
      handler(request, response);
    };
    const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
    // What a test leaves half done is no error of the server.
    server.on('clientError', (_error, socket) => socket.destroy());
    await this.own(server, address, port);
    return server;
  }

  /** Lets any server listen there; it ends with the test. */
  async own(server: TcpServer, address: string, port: number = peerPort): Promise<void> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    });
    connectionsOf.set(server, sockets);
    server.listen({ host: address, port });
    await once(server, 'listening');
    this.opened.own(server, sockets);
  }

  /** The pod is killed: its connections are reset, its address refuses. */
  async stop(server: TcpServer): Promise<void> {
    const closed = once(server, 'close');
    server.close();
    for (const socket of connectionsOf.get(server) ?? []) socket.resetAndDestroy();
    await closed;
  }

  /** An observer that has heard of these pods, and its dispatcher. */
  async client(
    view: View,
    options: PeerDispatcherOptions = {},
    observe: Partial<ObserveOptions> = {},
  ): Promise<Client> {
    const dns = new ScriptedDns();
    dns.port = peerPort;
    const environment = podEnvironment('writer-7d9c5b6f4-x2x9z', ['10.0.9.9'], { STATEFUL_PEERS_DNS: '127.0.0.1' });
    const all = { statefulSet: 'web', service: 'nginx', port: 'peer', ...observe };
    return await this.uses(createObserver(all, { environment, transport: dns }), dns, view, options);
  }

  /** Makes a client of any library object. */
  async uses(peers: PeerDiscovery, dns: ScriptedDns, view: View, options: PeerDispatcherOptions = {}): Promise<Client> {
    this.opened.add(() => peers.close());
    dns.views = [view];
    await peers.ready();
    peers.on('topologyChanged', ({ previous, current }) => {
      for (const { podName, addresses } of current.peers) {
        for (const { address } of addresses) this.#lostAt.delete(`${podName} ${address}`);
      }
      for (const { podName, addresses } of previous.peers) {
        const now = current.peer(podName)?.addresses ?? [];
        for (const { address } of addresses) {
          if (!now.some((one) => one.address === address)) this.#lostAt.set(`${podName} ${address}`, performance.now());
        }
      }
    });
    const client = { peers, dns, dispatcher: new PeerDispatcher(peers, options) };
    this.#clients.push(client);
    return client;
  }

  /** DNS says something else from now on, and the client has heard it. */
  async shown({ peers, dns }: Client, view: View): Promise<void> {
    dns.views = [view];
    await peers.refresh();
  }

  /** Closes everything, and fails where something was left or went where it may not. */
  async close(): Promise<void> {
    unsubscribe('undici:client:sendHeaders', this.#onWritten);
    assert.equal(await within(2_000, this.opened.close()), true, 'close() did not settle within 2 s');
    for (const { peers } of this.#clients) {
      assert.deepEqual(peers.stats().pools, { open: 0, draining: 0, inFlight: 0, waiting: 0 }, 'a pool is left');
    }
    assert.deepEqual(this.#violations, [], 'requests went to addresses that were lost');
  }

  readonly #onWritten = (message: unknown): void => {
    const { headers, socket, request } = message as { headers: unknown; socket: Socket; request: { path: string } };
    if (typeof headers !== 'string') return;
    const podName = podOf(/^host: *(\S+)/im.exec(headers)?.[1]);
    const address = socket.remoteAddress ?? '';
    this.written.push({ podName, address, path: request.path });
    // Others than clients of the library may ask for what they like.
    if (this.#clients.length === 0 || !/^web-\d+$/.test(podName)) return;
    const holds = this.#clients.some(({ peers }) =>
      peers.topology.peer(podName)?.addresses.some((one) => one.address === address),
    );
    if (!holds) this.#violations.push(`${request.path} of ${podName} was written to ${address}`);
  };

  #arrived(pod: string, address: string, { method = '', url = '', headers }: IncomingMessage): void {
    const atMs = performance.now();
    this.arrivals.push({ pod, address, method, path: url, headers, atMs });
    const lostAt = this.#lostAt.get(`${podOf(headers.host)} ${address}`);
    // What was written before has a few turns of the loop to arrive.
    if (lostAt !== undefined && atMs - lostAt > 100) {
      this.#violations.push(
        `${url} of ${podOf(headers.host)} arrived at ${address} ${atMs - lostAt} ms after its loss`,
      );
    }
  }
}

const connectionsOf = new WeakMap<TcpServer, Set<Socket>>();

/** One {@link HttpPods} a test. */
export function httpPods(): { readonly pods: HttpPods } {
  let pods: HttpPods | undefined;
  before(async function () {
    if (await hasLoopbackRange()) return;
    console.log('skipped: this system has a single loopback address, so that pods cannot have one each');
    this.skip();
  });
  beforeEach(() => {
    pods = new HttpPods();
  });
  afterEach(async () => {
    await pods?.close();
    pods = undefined;
  });
  return {
    get pods() {
      assert.ok(pods !== undefined);
      return pods;
    },
  };
}

/** Answers with who it is and what it was sent, and with `x-pod`. */
export function sayWho(pod: string, address: string): Handler {
  return async (request, response) => {
    try {
      const body = await bodyOf(request);
      response.setHeader('x-pod', pod);
      response.end(`${pod} at ${address} got ${body.toString('latin1')}`);
    } catch {
      // The client has left.
    }
  };
}

/** All that a request carries. */
export async function bodyOf(request: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Waits for what is about to come about, in real time. */
export async function eventually(holds: () => boolean, what: string, timeoutMs = 3_000): Promise<void> {
  const giveUp = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > giveUp) assert.fail(`${what} did not come about`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** What a promise rejects with, and after how long. */
export async function failure(promise: Promise<unknown>): Promise<{ error: unknown; elapsedMs: number }> {
  const startedAt = performance.now();
  let result: unknown;
  try {
    result = await promise;
  } catch (error) {
    return { error, elapsedMs: performance.now() - startedAt };
  }
  return assert.fail(`it did not fail: ${JSON.stringify(result)}`);
}

/** Whether a promise settles in time. What it rejects with is thrown. */
export async function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => {
      resolve(false);
    }, ms);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Fails where something took another time than it may. */
export function assertTook(elapsedMs: number, expectedMs: number, what: string): void {
  assert.ok(
    elapsedMs >= expectedMs - 25 && elapsedMs <= expectedMs + 100,
    `${what} took ${Math.round(elapsedMs)} ms in place of ${expectedMs}`,
  );
}

/** The certificate of `web-1.nginx.default.svc.cluster.local`; see test/cluster/connect-tls.test.ts. */
export function certificate(): { readonly cert: Buffer; readonly key: Buffer } {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  const read = (name: string): Buffer => readFileSync(join(directory, 'test', 'fixtures', 'tls', name));
  return { cert: read('web-1.cert.pem'), key: read('web-1.key.pem') };
}

function podOf(host: string | undefined): string {
  return host?.split('.')[0]?.toLowerCase() ?? '';
}

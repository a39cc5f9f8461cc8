import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import type { Dispatcher } from 'undici';
import { Pool } from 'undici';
import type { Addresses, Endpoint } from '../connect/addresses.ts';
import { dial } from '../connect/dial.ts';
import type { Attempt } from './attempt.ts';
import type { Route } from './route.ts';

/** Settings of a pool, beside where it leads. */
export interface PeerPoolOptions {
  readonly connectTimeoutMs: number;
  readonly pool: Omit<Pool.Options, 'connect'>;
  readonly tls: ConnectionOptions;
}

/** The connections to one peer at one address: an undici Pool, and what undici does not keep track of. */
export class PeerPool {
  readonly addresses: Addresses;
  readonly endpoint: Endpoint;
  readonly port: number;
  readonly origin: string;
  /** Requests that no connection has taken yet. */
  readonly unsent: Set<Attempt> = new Set();
  /** Requests that one has taken. */
  inFlight = 0;
  readonly #pool: Pool;
  readonly #options: PeerPoolOptions;
  readonly #dialling = new Set<Socket>();
  readonly #upgraded = new Set<Duplex>();
  #session: Buffer | undefined;
  #onEmpty: (() => void) | null = null;
  #isRetired = false;

  constructor(
    addresses: Addresses,
    endpoint: Endpoint,
    { protocol }: Pick<Route, 'protocol'>,
    port: number,
    options: PeerPoolOptions,
  ) {
    this.addresses = addresses;
    this.endpoint = endpoint;
    this.port = port;
    this.origin = `${protocol}//${endpoint.peer.stableName}:${port}`;
    this.#options = options;
    this.#pool = new Pool(this.origin, {
      ...options.pool,
      connect: ({ servername }, callback) => {
        this.#connect(protocol === 'https:' ? servername : null, callback);
      },
    });
  }

  /** The undici pool, to hear its events. */
  get events(): Dispatcher {
    return this.#pool;
  }

  /** It takes nothing new. */
  get isRetired(): boolean {
    return this.#isRetired;
  }

  /** Hands a request to undici. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#pool.dispatch(options, handler);
  }

  /** Undici leaves an upgraded socket alone: it is kept here until it closes. */
  keepUpgraded(socket: Duplex): void {
    this.#upgraded.add(socket);
    socket.once('close', () => {
      this.#upgraded.delete(socket);
      if (this.#upgraded.size === 0) this.#onEmpty?.();
    });
  }

  /**
   * Takes nothing new, takes back what was not sent, and gives what is under way `graceMs`, then ends it with the error.
   *
   * @returns settles when no connection is left
   */
  async retire(error: Error, graceMs: number): Promise<void> {
    this.#isRetired = true;
    for (const socket of this.#dialling) socket.destroy();
    const timer = setTimeout(() => void this.destroy(error), graceMs);
    await this.#pool.close().catch(() => undefined);
    await new Promise<void>((resolve) => {
      if (this.#upgraded.size === 0) resolve();
      else this.#onEmpty = resolve;
    });
    clearTimeout(timer);
  }

  /** As undici's: lets what was handed over be sent and finish, then closes. An upgraded socket is its owner's. */
  async close(): Promise<void> {
    await this.#pool.close().catch(() => undefined);
  }

  /** Ends everything now. */
  async destroy(error: Error | null): Promise<void> {
    this.#isRetired = true;
    for (const socket of this.#dialling) socket.destroy();
    // Without a listener for the error it would end the process, and whoever has the socket hears of the close.
    for (const socket of this.#upgraded) socket.on('error', () => undefined).destroy(error ?? undefined);
    await this.#pool.destroy(error);
  }

  #connect(servername: string | null | undefined, callback: (...settled: Settled) => void): void {
    const { pool, tls, connectTimeoutMs } = this.#options;
    const isPlain = servername === null;
    const socket = dial({
      addresses: this.addresses,
      endpoint: this.endpoint,
      port: this.port,
      timeoutMs: connectTimeoutMs,
      tls: isPlain
        ? null
        : {
            ALPNProtocols: pool.allowH2 === true ? ['h2', 'http/1.1'] : ['http/1.1'],
            ...tls,
            ...(servername === undefined || servername === '' ? {} : { servername }),
            ...(this.#session === undefined ? {} : { session: this.#session }),
          },
      settle: (error, connected) => {
        this.#dialling.delete(connected);
        if (error === null) {
          this.addresses.worked(this.endpoint.address);
          callback(null, connected);
        } else {
          callback(error, null);
        }
      },
    });
    this.#dialling.add(socket);
    // What the next connection can begin with (TLS session resumption).
    if (!isPlain) socket.on('session', (session: Buffer) => (this.#session = session));
  }
}

type Settled = [error: null, socket: Socket] | [error: Error, socket: null];

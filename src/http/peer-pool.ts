import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import type { Dispatcher } from 'undici';
import { Pool } from 'undici';
import type { Addresses, Endpoint } from '../connect/addresses.ts';
import { dial } from '../connect/dial.ts';
import type { Route } from './route.ts';

/** Settings of a pool, beside where it leads. */
export interface PeerPoolOptions {
  readonly connectTimeoutMs: number;
  readonly pool: Omit<Pool.Options, 'connect'>;
  readonly tls: ConnectionOptions;
}

/** The error of whoever wants a connection to an address that is lost. */
export const addressLost: Error = new Error('the address is lost');

/** The connections to one peer at one address: an undici Pool, and what undici does not keep track of. */
export class PeerPool {
  readonly addresses: Addresses;
  readonly endpoint: Endpoint;
  readonly port: number;
  readonly origin: string;
  /** Whom TLS has to find there. */
  readonly serverName: string;
  /** Errors of connections that did not come about. */
  readonly dialFailures: WeakSet<Error> = new WeakSet();
  readonly #pool: Pool;
  readonly #options: PeerPoolOptions;
  readonly #dialling = new Set<Socket>();
  readonly #upgraded = new Set<Duplex>();
  readonly #onIdle = new Set<() => void>();
  #session: Buffer | undefined;
  #inFlight = 0;
  #connected = 0;
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
    this.serverName = options.tls.servername ?? endpoint.peer.stableName;
    this.#options = options;
    this.#pool = new Pool(this.origin, {
      ...options.pool,
      connect: (_options, callback) => {
        this.#connect(protocol, callback);
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

  /** Requests that a connection has taken, and that have not ended. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether there is a connection to take turns on: a request that is not sent waits for its turn, and not for the peer. */
  get isConnected(): boolean {
    return this.#connected > this.#upgraded.size;
  }

  /** A connection takes a request. */
  took(): void {
    this.#inFlight += 1;
  }

  /** It has ended. */
  settled(): void {
    this.#inFlight -= 1;
    this.#look();
  }

  /** Undici leaves an upgraded socket alone: it is kept here until it closes. */
  keepUpgraded(socket: Duplex): void {
    this.#upgraded.add(socket);
    socket.once('close', () => {
      this.#upgraded.delete(socket);
      this.#look();
    });
  }

  /**
   * Takes nothing new, makes no connection any more, and gives what is under way `graceMs`, then ends it with the error.
   * Undici's own `close()` would send what it still has queued, or wait for good where it cannot.
   *
   * @returns settles when no connection is left
   */
  async retire(error: Error, graceMs: number): Promise<void> {
    this.#isRetired = true;
    for (const socket of this.#dialling) socket.destroy();
    const timer = setTimeout(() => void this.destroy(error), graceMs);
    await this.#idle();
    clearTimeout(timer);
    await this.destroy(error);
  }

  /** Ends everything now. */
  async destroy(error: Error | null): Promise<void> {
    this.#isRetired = true;
    for (const socket of this.#dialling) socket.destroy();
    // Without a listener for the error it would end the process, and whoever has the socket hears of the close.
    for (const socket of this.#upgraded) socket.on('error', () => undefined).destroy(error ?? undefined);
    await this.#pool.destroy(error);
  }

  /** Settles when nothing is under way. */
  #idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle.add(resolve);
      this.#look();
    });
  }

  #look(): void {
    if (this.#onIdle.size === 0 || this.#inFlight > 0 || this.#upgraded.size > 0) return;
    for (const resolve of this.#onIdle) resolve();
    this.#onIdle.clear();
  }

  #connect(protocol: Route['protocol'], callback: (...settled: Settled) => void): void {
    if (this.#isRetired) {
      // For what it still has queued, undici would go to the address that is lost.
      queueMicrotask(() => callback(addressLost, null));
      return;
    }
    const { pool, tls, connectTimeoutMs } = this.#options;
    const isPlain = protocol === 'http:';
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
            servername: this.serverName,
            ...(this.#session === undefined ? {} : { session: this.#session }),
          },
      settle: (error, connected) => {
        this.#dialling.delete(connected);
        if (error === null) {
          this.#connected += 1;
          connected.once('close', () => (this.#connected -= 1));
          this.addresses.worked(this.endpoint.address);
          callback(null, connected);
        } else {
          this.dialFailures.add(error);
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

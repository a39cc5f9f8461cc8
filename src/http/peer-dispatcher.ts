import type { RequestInfo, RequestInit, Response } from 'undici';
import { Dispatcher, fetch } from 'undici';
import type { Addresses, Connectable, Endpoint, PoolStats } from '../connect/addresses.ts';
import { addressesOf } from '../connect/addresses.ts';
import { PeerDiscoveryError } from '../errors.ts';
import { maxTimerMs } from '../option-checks.ts';
import type { Switchboard } from './call.ts';
import { Call } from './call.ts';
import type { CheckedDispatcherOptions, PeerDispatcherOptions } from './dispatcher-options.ts';
import { checkDispatcherOptions } from './dispatcher-options.ts';
import { failHandler } from './handler.ts';
import { PeerPool } from './peer-pool.ts';
import type { Route } from './route.ts';
import { routeOf } from './route.ts';

/**
 * The codes after which a request can be sent again, as undici's retry interceptor and `RetryAgent` want them: their own
 * and `ERR_PEER_MOVED` and `ERR_PEER_REMOVED`, with which a request under way ends when its pod is gone.
 *
 * ```ts
 * dispatcher.compose(interceptors.retry({ errorCodes: [...retryableErrorCodes] }));
 * ```
 */
export const retryableErrorCodes: readonly string[] = Object.freeze([
  'ECONNRESET',
  'ECONNREFUSED',
  'ENOTFOUND',
  'ENETDOWN',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EPIPE',
  'UND_ERR_SOCKET',
  'ERR_PEER_MOVED',
  'ERR_PEER_REMOVED',
]);

/**
 * An undici Dispatcher whose hosts are peers: `http://primary`, `http://replica`, `http://any`, `http://web-1`, and the
 * stable name. Connections follow the name: a request goes to the address that the peer has when it is sent. Host and
 * TLS server name are the stable name. What was not sent yet is tried again inside; what a stranger's identity guard
 * refuses is sent again if its body can be. Works with undici's `request`, `stream`, `upgrade` and `fetch`, with the
 * built-in `fetch`, with `RetryAgent` and `compose(...)`.
 *
 * Errors: `ERR_UNKNOWN_PEER` for another origin, `ERR_NO_PRIMARY`, `ERR_NO_ADDRESS` and `ERR_TIMEOUT` after `waitMs`,
 * `ERR_STRANGER` where only another pod answers, `ERR_PEER_MOVED` for what was under way, `ERR_OPTION` without a port,
 * `ERR_CLOSED`. fetch wraps them: `PeerDiscoveryError.from(error)` finds them.
 */
export class PeerDispatcher extends Dispatcher {
  readonly #addresses: Addresses;
  readonly #options: CheckedDispatcherOptions;
  readonly #board: Switchboard;
  readonly #routes = new Map<string, Route>();
  readonly #pools = new Map<string, PeerPool>();
  readonly #draining = new Map<PeerPool, Promise<void>>();
  /**
   * Each at its `place`, in no order. A Set would keep the order, but it makes a new table for every few requests, and old
   * tables keep what they point to until the next full garbage collection: that was half of what a request cost more here.
   */
  readonly #calls: Call[] = [];
  #lastNumber = 0;
  readonly #waiting = new Set<Call>();
  readonly #leave: (() => void)[];
  #release: (() => void) | null = null;
  /** With which new requests end, and those that would have to try again; `null` while it is open. */
  #closed: Error | null = null;
  readonly #onGone = new Set<() => void>();

  /**
   * @param peers - what `discoverPeers()` or `observePeers()` gave; closing it closes the dispatcher
   * @throws {@link PeerDiscoveryError} `ERR_OPTION`; `ERR_CLOSED`
   */
  constructor(peers: Connectable, options: PeerDispatcherOptions = {}) {
    super();
    this.#options = checkDispatcherOptions(options);
    const addresses = addressesOf(peers);
    const { source } = addresses;
    source.closing.throwIfAborted();
    this.#addresses = addresses;
    this.#board = this.#switchboard();
    this.#leave = [
      source.subscribe(() => {
        this.#onChange();
      }),
      source.beforeClose(() => this.#end(source.closing.reason as Error, this.#options.drainMs)),
      source.countPools(() => this.#stats()),
    ];
  }

  /** @internal */
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    let route: Route;
    try {
      if (this.#closed !== null) throw this.#closed;
      route = this.#routeOf(options.origin);
    } catch (error) {
      failHandler(handler, { controller: nobodysController(error as Error) }, error as Error);
      return true;
    }
    const call = new Call(this.#board, route, options, handler);
    call.number = this.#lastNumber += 1;
    call.place = this.#calls.push(call) - 1;
    call.start();
    return true;
  }

  /** Undici's `fetch` through this dispatcher. */
  fetch(input: RequestInfo, init?: RequestInit): Promise<Response> {
    return fetch(input, { ...init, dispatcher: this });
  }

  /**
   * For the built-in `fetch`, whose types know another undici than this one: `fetch(url, { ...dispatcher.forFetch })`.
   */
  get forFetch(): globalThis.RequestInit {
    return { dispatcher: this } as unknown as globalThis.RequestInit;
  }

  /**
   * Takes nothing new, ends what waits for an address with `ERR_CLOSED`, lets what has a connection (or is getting one)
   * finish, however long it takes, upgraded connections included, and resolves. Closing the library bounds it by `drainMs`.
   */
  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: () => void): Promise<void> | void {
    this.#closed ??= this.#closedError();
    for (const call of [...this.#waiting]) call.fail(this.#closed);
    return settle(this.#gone(), callback);
  }

  /** Ends everything now: requests under way end with the error. */
  override destroy(error?: Error | null): Promise<void>;
  override destroy(callback: () => void): void;
  override destroy(error: Error | null, callback: () => void): void;
  override destroy(error?: Error | null | (() => void), callback?: () => void): Promise<void> | void {
    const given = typeof error === 'function' ? null : (error ?? null);
    return settle(this.#end(given ?? this.#closedError(), 0), typeof error === 'function' ? error : callback);
  }

  /** It takes nothing new. */
  get closed(): boolean {
    return this.#closed !== null;
  }

  #switchboard(): Switchboard {
    const closed = (): Error | null => this.#closed;
    return {
      addresses: this.#addresses,
      waitMs: this.#options.waitMs,
      get closed(): Error | null {
        return closed();
      },
      poolFor: (route) => this.#poolFor(route),
      wait: (call) => {
        this.#waiting.add(call);
        this.#release ??= this.#addresses.source.await();
      },
      unwait: (call) => {
        if (!this.#waiting.delete(call) || this.#waiting.size > 0) return;
        this.#release?.();
        this.#release = null;
      },
      forget: (call) => {
        this.#takeOut(call);
        if (this.#waiting.size > 0) this.#board.unwait(call);
        if (this.#closed !== null) this.#look();
      },
    };
  }

  /** The calls as they came: what was not sent goes on in its order. */
  #inOrder(): Call[] {
    return [...this.#calls].sort((a, b) => a.number - b.number);
  }

  /** The last one takes its place. */
  #takeOut(call: Call): void {
    const last = this.#calls.pop();
    if (last === undefined || last === call) return;
    this.#calls[call.place] = last;
    last.place = call.place;
  }

  #routeOf(origin: string | URL | undefined): Route {
    const key = String(origin);
    const known = this.#routes.get(key);
    if (known !== undefined) return known;
    const route = routeOf(origin, this.#addresses);
    // Callers may make up names without end.
    if (this.#routes.size >= 1_000) this.#routes.clear();
    this.#routes.set(key, route);
    return route;
  }

  /** Where a request of that route goes now. Mostly where the last one went: that costs no thought. */
  #poolFor(route: Route): PeerPool | null {
    const topology = this.#addresses.source.topology();
    const { last } = route;
    if (last?.topology === topology && this.#addresses.isClean && !last.pool.isRetired) return last.pool;
    const endpoint = this.#addresses.pick(route.target);
    if (endpoint === null) return null;
    const { peer, address } = endpoint;
    const port = this.#addresses.portOf(endpoint, route.port ?? this.#options.port);
    if (port === null) return null;
    const pool = this.#poolAt(`${route.protocol}${peer.podName}:${port} ${address}`, route, endpoint, port);
    // Replicas take turns.
    if (route.target !== 'replica' && route.target !== 'any') route.last = { topology, pool };
    return pool;
  }

  #poolAt(key: string, route: Route, endpoint: Endpoint, port: number): PeerPool {
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const pool = new PeerPool(this.#addresses, endpoint, route, port, this.#options);
    pool.events
      .on('connect', (origin, targets) => this.emit('connect', origin, [this, ...targets]))
      .on('disconnect', (origin, targets, error) => this.emit('disconnect', origin, [this, ...targets], error))
      .on('connectionError', (origin, targets, error) =>
        this.emit('connectionError', origin, [this, ...targets], error),
      );
    this.#pools.set(key, pool);
    return pool;
  }

  /** Nothing new goes to an address that the belief no longer holds; what was not sent goes elsewhere. */
  #onChange(): void {
    const lost = new Set<PeerPool>();
    for (const [key, pool] of this.#pools) {
      const error = this.#lossOf(pool);
      if (error === null) continue;
      lost.add(pool);
      this.#pools.delete(key);
      this.#drain(pool, pool.retire(error, this.#options.drainMs));
    }
    for (const call of this.#inOrder()) {
      const pool = call.unsentIn;
      if (pool === null) continue;
      if (lost.has(pool) || !this.#addresses.means(call.route.target, pool.endpoint.peer.podName)) call.moved();
    }
    for (const call of [...this.#waiting]) call.reconsider();
  }

  /** Why a pool must not be used any more; `null` while it may. */
  #lossOf(pool: PeerPool): Error | null {
    const { peer, address } = pool.endpoint;
    if (!this.#addresses.holds(peer.podName, address)) return this.#addresses.lost(pool.endpoint);
    const now = this.#addresses.source.topology().peer(peer.podName);
    const hasOtherPort = now !== undefined && now.port !== peer.port && pool.port === peer.port;
    return hasOtherPort ? otherPort(pool, now.port) : null;
  }

  #drain(pool: PeerPool, end: Promise<void>): void {
    this.#draining.set(
      pool,
      end.finally(() => {
        this.#draining.delete(pool);
        if (this.#closed !== null) this.#look();
      }),
    );
  }

  /** Ends what is not sent, and gives what is under way so long. */
  #end(error: Error, graceMs: number): Promise<void> {
    this.#closed ??= error;
    for (const call of this.#inOrder()) if (!call.isSent) call.fail(error);
    for (const pool of [...this.#pools.values(), ...this.#draining.keys()]) {
      this.#drain(
        pool,
        graceMs === 0 ? pool.destroy(error).then(() => pool.retire(error, 0)) : pool.retire(error, graceMs),
      );
    }
    this.#pools.clear();
    return this.#gone();
  }

  /** Settles when nothing is left. */
  #gone(): Promise<void> {
    return new Promise((resolve) => {
      this.#onGone.add(resolve);
      this.#look();
    });
  }

  /** While it is closing: the last call takes the pools with it. */
  #look(): void {
    if (this.#calls.length > 0) return;
    const error = this.#closed ?? this.#closedError();
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    // An upgraded connection may go on for as long as the library is open.
    for (const pool of pools) this.#drain(pool, pool.retire(error, maxTimerMs));
    if (this.#draining.size > 0) return;
    for (const leave of this.#leave.splice(0)) leave();
    this.#routes.clear();
    for (const resolve of this.#onGone) resolve();
    this.#onGone.clear();
  }

  #closedError(): Error {
    const { serviceName } = this.#addresses.source;
    return new PeerDiscoveryError('ERR_CLOSED', `the dispatcher of ${serviceName} is closed`);
  }

  #stats(): PoolStats {
    const all = [...this.#pools.values(), ...this.#draining.keys()];
    return {
      open: this.#pools.size,
      draining: this.#draining.size,
      inFlight: all.reduce((sum, pool) => sum + pool.inFlight, 0),
      waiting: this.#calls.filter((call) => !call.isSent).length,
    };
  }
}

function otherPort({ endpoint, port }: PeerPool, now: number | null): PeerDiscoveryError {
  const { podName, stableName } = endpoint.peer;
  const message = `${podName} is no longer at port ${port} but at ${now ?? 'an unknown one'}`;
  return new PeerDiscoveryError('ERR_PEER_MOVED', message, { podName, stableName });
}

function nobodysController(reason: Error): Dispatcher.DispatchController {
  const nothing = (): void => undefined;
  return { aborted: true, paused: false, reason, abort: nothing, pause: nothing, resume: nothing };
}

function settle(end: Promise<void>, callback: (() => void) | undefined): Promise<void> | void {
  if (callback === undefined) return end;
  void end.then(callback, callback);
}

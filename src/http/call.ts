import type { Dispatcher } from 'undici';
import { errors } from 'undici';
import type { Addresses, Endpoint } from '../connect/addresses.ts';
import { retryDelay } from '../connect/addresses.ts';
import { PeerDiscoveryError } from '../errors.ts';
import type { Attempt } from './attempt.ts';
import { LegacyAttempt, ModernAttempt } from './attempt.ts';
import { CallController } from './call-controller.ts';
import { failHandler, isOlderStyle, startHandler } from './handler.ts';
import type { PeerPool } from './peer-pool.ts';
import type { Route } from './route.ts';

/** Whoever has the pools. */
export interface Switchboard {
  readonly addresses: Addresses;
  /** How long what was not sent is tried again. */
  readonly waitMs: number;
  /** The error of a dispatcher that is closed: no call begins another attempt. `null` while it is open. */
  readonly closed: Error | null;
  /** The pool of where the route leads now; `null` while there is nowhere. May throw: no port. */
  poolFor(route: Route): PeerPool | null;
  /** The call waits for a change, until it is taken back. */
  wait(call: Call): void;
  /** It waits no longer. */
  unwait(call: Call): void;
  /** Nothing is left of the call: it waits no longer either. */
  forget(call: Call): void;
}

/** What a call keeps that did not go through at once. */
interface Setback {
  /** Since when it waits; `null` while what it waits for is its turn. */
  since: number | null;
  deadline: NodeJS.Timeout | undefined;
  pause: NodeJS.Timeout | undefined;
  failures: number;
  refusals: number;
  readonly tried: Set<string>;
  lastError: Error | null;
  lastAddress: string | null;
}

/** Strangers at so many addresses in a row: then the caller sees the refusal. */
const maxRefusals = 5;

/**
 * One request of a caller: as many attempts as it takes until one is sent, then that one to its end. The caller's
 * handler hears one start and one end, whatever happens in between.
 */
export class Call {
  readonly route: Route;
  readonly handler: Dispatcher.DispatchHandler;
  /** Which one it is, counted by the dispatcher. */
  number = 0;
  /** Where the dispatcher keeps it. */
  place = 0;
  readonly #board: Switchboard;
  readonly #options: Dispatcher.DispatchOptions;
  #controller: CallController | null = null;
  #attempt: Attempt | null = null;
  /** `null` for a call that goes through at once: most do, and need not pay for it. */
  #setback: Setback | null = null;
  #onBodyError: ((error: Error) => void) | null = null;
  /** The attempt waits for its turn on a connection that is there. */
  #isQueued = false;
  #isWaiting = false;
  #isEnded = false;

  constructor(
    board: Switchboard,
    route: Route,
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
  ) {
    this.#board = board;
    this.route = route;
    this.#options = options;
    this.handler = handler;
  }

  /** What a handler of the newer style gets in place of an attempt's controller. */
  get controller(): CallController {
    this.#controller ??= new CallController(this.abort);
    return this.#controller;
  }

  /** Tells the caller that the request has begun, so that it can abort while it waits, and goes on. */
  start(): void {
    const { body } = this.#options;
    if (isStream(body)) {
      this.#onBodyError = (error) => {
        if (!this.isSent) this.fail(error);
      };
      body.on('error', this.#onBodyError);
    }
    try {
      startHandler(this.handler, this);
    } catch (error) {
      this.fail(error as Error);
    }
    this.next();
  }

  /** The next attempt, or a wait for somewhere to go. */
  next(): void {
    if (this.#isEnded) return;
    const board = this.#board;
    if (this.#isWaiting) {
      this.#isWaiting = false;
      clearTimeout(this.#setback?.pause);
      board.unwait(this);
    }
    if (board.closed !== null) {
      this.fail(board.closed);
      return;
    }
    let pool: PeerPool | null;
    try {
      pool = board.poolFor(this.route);
    } catch (error) {
      this.fail(error as Error);
      return;
    }
    if (pool === null) {
      this.#wait();
      return;
    }
    this.#isQueued = pool.isConnected;
    if (!this.#isQueued && !this.#armDeadline()) return;
    if (this.#setback !== null) this.#setback.lastAddress = pool.endpoint.address;
    this.#attempt = isOlderStyle(this.handler) ? new LegacyAttempt(this, pool) : new ModernAttempt(this, pool);
    this.#attempt.dispatch(this.#options);
  }

  /** After a change of the belief: a call that pauses goes on only if there is a new place to go to. */
  reconsider(): void {
    const setback = this.#setback;
    if (setback?.pause !== undefined && this.#board.addresses.peek(this.route.target)?.address === setback.lastAddress)
      return;
    this.next();
  }

  /** An attempt came to nothing before anything was sent. */
  unsent(endpoint: Endpoint, error: Error): void {
    this.#attempt = null;
    const { addresses } = this.#board;
    // Only the first time: its turn on a connection that was there does not count, what it waits from now on does.
    const setback = this.#setBack();
    if (this.#isQueued && setback.failures === 0) this.#waitAnew();
    setback.failures += 1;
    setback.lastError = error;
    setback.lastAddress = endpoint.address;
    setback.tried.add(endpoint.address);
    addresses.failed(endpoint, error);
    if (this.#isEnded) return;
    const next = addresses.peek(this.route.target);
    if (next !== null && !setback.tried.has(next.address)) {
      this.next();
      return;
    }
    if (addresses.source.topology().peer(endpoint.peer.podName)?.presence === 'missing') {
      // It is probably gone. Whoever needs it now has waited long enough.
      this.#giveUp();
      return;
    }
    this.#wait(retryDelay(setback.failures, Math.random()));
  }

  /** Another pod refused the request. True if it will be sent again. */
  refused(endpoint: Endpoint, by: string): boolean {
    const { addresses } = this.#board;
    const { podName, stableName } = endpoint.peer;
    // The right pod, which refuses a name that the caller itself gave (a Host that was handed on): nobody's stranger.
    if (by === podName) return false;
    const message = `${by} answered at ${endpoint.address}, which was the address of ${podName}`;
    const setback = this.#setBack();
    setback.lastError = new PeerDiscoveryError('ERR_STRANGER', message, { podName, stableName });
    setback.refusals += 1;
    const canResend = isResendable(this.#options.body) && setback.refusals <= maxRefusals;
    if (canResend) {
      this.#attempt = null;
      this.#waitAnew();
    }
    addresses.source.report(endpoint.peer.ordinal, 'stranger', endpoint.address);
    return canResend;
  }

  /** The address is lost before anything was sent. */
  moved(): void {
    if (this.#attempt !== null) {
      this.#setBack().lastAddress = this.#attempt.pool.endpoint.address;
      this.#attempt.leave();
      this.#attempt = null;
    }
    this.#waitAnew();
    this.next();
  }

  /** Whether a connection has taken the request. */
  get isSent(): boolean {
    return this.#attempt?.isSent === true;
  }

  /** The pool that it was handed to and that has not sent it; `null` for a call that is sent, or waits. */
  get unsentIn(): PeerPool | null {
    return this.#attempt === null || this.#attempt.isSent ? null : this.#attempt.pool;
  }

  /** What the caller's handler was given to abort with. */
  readonly abort = (reason?: unknown): void => {
    if (this.#isEnded) return;
    const error = reason === undefined ? new errors.RequestAbortedError() : (reason as Error);
    if (this.#attempt?.isSent === true) {
      this.#attempt.abort(error);
      return;
    }
    this.fail(error);
  };

  /** The end, badly. */
  fail(error: Error): void {
    if (this.#isEnded) return;
    this.end();
    failHandler(this.handler, this, error);
  }

  /** The end: nothing is left of the call. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#setback !== null) {
      clearTimeout(this.#setback.deadline);
      clearTimeout(this.#setback.pause);
    }
    this.#board.forget(this);
    this.#attempt?.leave();
    this.#attempt = null;
    const onBodyError = this.#onBodyError;
    if (onBodyError === null) return;
    const { body } = this.#options;
    // A stream that is destroyed with the error of the call tells of it later.
    setImmediate(() => (body as NodeJS.ReadableStream).off('error', onBodyError));
  }

  #setBack(): Setback {
    this.#setback ??= {
      since: null,
      deadline: undefined,
      pause: undefined,
      failures: 0,
      refusals: 0,
      tried: new Set(),
      lastError: null,
      lastAddress: null,
    };
    return this.#setback;
  }

  #wait(pauseMs?: number): void {
    if (!this.#armDeadline()) return;
    this.#setBack().pause =
      pauseMs === undefined
        ? undefined
        : setTimeout(() => {
            this.next();
          }, pauseMs);
    this.#isWaiting = true;
    this.#board.wait(this);
  }

  /** However long it was queued, or under way: from now on it waits for another address, or another connection. */
  #waitAnew(): void {
    const setback = this.#setBack();
    clearTimeout(setback.deadline);
    setback.deadline = undefined;
    setback.since = performance.now();
  }

  /** False where the time is over already. */
  #armDeadline(): boolean {
    const setback = this.#setBack();
    setback.since ??= performance.now();
    const left = setback.since + this.#board.waitMs - performance.now();
    if (left <= 0) {
      this.#giveUp();
      return false;
    }
    setback.deadline ??= setTimeout(() => {
      setback.deadline = undefined;
      // Meanwhile there may be a connection, which is busy: then it waits for its turn. Else the time is over, or nearly so:
      // timers count from when the event loop last looked at the clock.
      if (this.#attempt?.pool.isConnected === true) setback.since = null;
      else this.#armDeadline();
    }, left);
    return true;
  }

  /** An attempt that is sent has no deadline here: it has undici's time-outs, and the caller's signal. */
  #giveUp(): void {
    if (this.#attempt?.isSent === true) return;
    const { addresses } = this.#board;
    const { target } = this.route;
    const { since, lastError: last, lastAddress } = this.#setBack();
    const elapsedMs = performance.now() - (since ?? performance.now());
    const name = typeof target === 'object' ? target.podName : target;
    if (last instanceof PeerDiscoveryError) this.fail(last);
    else if (last === null && lastAddress === null) this.fail(addresses.nowhere(target, elapsedMs));
    else {
      const cause = last ?? new Error(`${lastAddress ?? 'its address'} has not answered yet`);
      this.fail(addresses.source.timeoutError(`no connection to ${name}`, elapsedMs, target, cause));
    }
  }
}

function isStream(body: unknown): body is NodeJS.ReadableStream {
  return typeof body === 'object' && body !== null && 'pipe' in body && typeof body.pipe === 'function';
}

/** Streams and iterators give what they have once. */
function isResendable(body: unknown): boolean {
  if (body === null || body === undefined || typeof body === 'string') return true;
  return body instanceof Uint8Array || body instanceof ArrayBuffer || ArrayBuffer.isView(body) || body instanceof Blob;
}

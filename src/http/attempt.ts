import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { codeOf } from '../connect/addresses.ts';
import type { Call } from './call.ts';
import type { RequestHeaders } from './identity-headers.ts';
import { refusalIn, refusalHeader, withTarget } from './identity-headers.ts';
import type { PeerPool } from './peer-pool.ts';
import { addressLost } from './peer-pool.ts';

/** Thrown where undici offers a connection to a request that was taken back: nothing is written. */
const takenBack = new Error('the request was taken back before it was sent');

/**
 * One try of a call at one address. Undici asks back when a connection takes the request: until then it is not sent,
 * and can be taken back.
 */
export abstract class Attempt {
  readonly call: Call;
  readonly pool: PeerPool;
  isSent = false;
  #hasLeft = false;
  #isSettled = false;
  #abort: ((reason: Error) => void) | null = null;

  constructor(call: Call, pool: PeerPool) {
    this.call = call;
    this.pool = pool;
  }

  /** Hands the request to undici. */
  dispatch(options: Dispatcher.DispatchOptions): void {
    // Every field first: objects that get a new one after a spread are slow.
    const own = { origin: '' as string | URL, headers: null as RequestHeaders, servername: '', ...options };
    own.origin = this.pool.origin;
    own.headers = withTarget(options.headers, this.pool.endpoint.peer.stableName);
    // Whom TLS trusts is not for a Host header to say.
    own.servername = this.pool.serverName;
    this.pool.dispatch(own, this as Dispatcher.DispatchHandler);
  }

  /** Whatever becomes of it, the call hears no more. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#settle();
  }

  /** Ends a request that is sent. */
  abort(reason: Error): void {
    this.#abort?.(reason);
  }

  /** A connection takes the request. */
  protected begin(abort: (reason: Error) => void): void {
    if (this.#hasLeft) throw takenBack;
    if (this.pool.isRetired) {
      // Undici sends again what was behind a request that failed. Not to an address that is lost.
      this.leave();
      queueMicrotask(() => {
        this.call.moved();
      });
      throw takenBack;
    }
    this.#abort = abort;
    if (this.isSent) return;
    this.isSent = true;
    this.pool.took();
  }

  /** A 421 begins. True where it is a stranger's refusal that the caller need not see. */
  protected swallows(by: string | null): boolean {
    if (by === null || !this.call.refused(this.pool.endpoint, by)) return false;
    this.leave();
    this.#abort?.(takenBack);
    this.call.next();
    return true;
  }

  protected get isLeft(): boolean {
    return this.#hasLeft;
  }

  protected completed(): void {
    this.#settle();
    this.call.end();
  }

  protected upgraded(socket: Duplex): void {
    this.pool.keepUpgraded(socket);
    this.completed();
  }

  protected failed(error: Error): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    const { pool, call, isSent } = this;
    this.#settle();
    if (error === addressLost) {
      // Undici had put it back behind one that failed, and would have dialled the lost address for it.
      call.moved();
    } else if (isSent) {
      if (isConnectionFailure(error)) pool.addresses.failed(pool.endpoint, error);
      call.fail(error);
    } else if (pool.dialFailures.has(error) || isConnectionFailure(error)) {
      call.unsent(pool.endpoint, error);
    } else {
      // Undici refuses the request itself: it would do so at every address.
      call.fail(error);
    }
  }

  #settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    if (this.isSent) this.pool.settled();
  }
}

/* eslint-disable @typescript-eslint/no-deprecated -- undici 7 knows two styles of handlers, and a caller may bring either */

/** For callers whose handler is of the style that undici's own methods and every built-in fetch up to Node 24 use. */
export class LegacyAttempt extends Attempt {
  onConnect(abort: (error?: Error) => void): void {
    this.begin(abort);
  }

  onResponseStarted(): void {
    if (!this.isLeft) this.call.handler.onResponseStarted?.();
  }

  onHeaders(statusCode: number, headers: Buffer[], resume: () => void, statusText: string): boolean {
    if (statusCode === 421 && this.swallows(refusalIn(headers))) return false;
    return this.call.handler.onHeaders?.(statusCode, headers, resume, statusText) ?? true;
  }

  onData(chunk: Buffer): boolean {
    return this.call.handler.onData?.(chunk) ?? true;
  }

  onComplete(trailers: string[] | null): void {
    // First, so that what it throws comes back as the error of the request: undici's retry handler does so.
    this.call.handler.onComplete?.(trailers);
    this.completed();
  }

  onUpgrade(statusCode: number, headers: Buffer[] | string[] | null, socket: Duplex): void {
    this.upgraded(socket);
    this.call.handler.onUpgrade?.(statusCode, headers, socket);
  }

  onBodySent(chunkSize: number, totalBytesSent: number): void {
    this.call.handler.onBodySent?.(chunkSize, totalBytesSent);
  }

  onRequestSent(): void {
    (this.call.handler as { onRequestSent?: () => void }).onRequestSent?.();
  }

  onError(error: Error): void {
    this.failed(error);
  }
}

/* eslint-enable @typescript-eslint/no-deprecated */

/** For callers whose handler is of the newer style: interceptors, and the built-in fetch from Node 26 on. */
export class ModernAttempt extends Attempt {
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.begin((reason) => {
      controller.abort(reason);
    });
    this.call.controller.bind(controller);
  }

  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: IncomingHttpHeaders,
    socket: Duplex,
  ): void {
    this.upgraded(socket);
    this.call.handler.onRequestUpgrade?.(this.call.controller, statusCode, headers, socket);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: IncomingHttpHeaders,
    statusMessage?: string,
  ): void {
    const by = headers[refusalHeader];
    if (statusCode === 421 && this.swallows(typeof by === 'string' ? by : null)) return;
    this.call.handler.onResponseStart?.(this.call.controller, statusCode, headers, statusMessage);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.call.handler.onResponseData?.(this.call.controller, chunk);
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.call.handler.onResponseEnd?.(this.call.controller, trailers);
    this.completed();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.failed(error);
  }
}

/** A failure of the connection, not of the request: worth a question. */
function isConnectionFailure(error: Error): boolean {
  return connectionFailures.has(codeOf(error));
}

const connectionFailures = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'UND_ERR_SOCKET',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
]);

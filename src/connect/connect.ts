import type { Socket } from 'node:net';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { PeerDiscoveryError } from '../errors.ts';
import { events } from '../late-modules.ts';
import { asObject, fail, optionalPort, optionalSignal, patience } from '../option-checks.ts';
import type { CheckedTarget, Target } from '../topology/target.ts';
import type { Addresses, Endpoint } from './addresses.ts';
import { retryDelay } from './addresses.ts';
import { checkTls, dial } from './dial.ts';

/** Options of `connect`. */
export interface ConnectOptions {
  /** The port. Default: what SRV gives for the peer, or the library's option `port`. */
  readonly port?: number;
  /** TLS: `true`, or options of `tls.connect`. The server name is the stable name unless they say otherwise. */
  readonly tls?: boolean | ConnectionOptions;
  /** Ends the attempt; its reason is thrown as it is. Does nothing to a connection that was made. */
  readonly signal?: AbortSignal;
  /** How long to try, in milliseconds, all attempts together. Default 30 000; `Infinity` tries for ever. */
  readonly timeoutMs?: number;
}

/** An attempt at one address is given up after so long; the next is at the address that the peer has then. */
const attemptMs = 2_000;
const outOfTime = Symbol('out of time');

/**
 * Connects to a target: retries at the address that the peer has then, until the time is over. The socket is destroyed
 * with `ERR_PEER_MOVED` (`ERR_PEER_REMOVED`, `ERR_CLOSED`) as soon as the address it uses is lost. A change of roles does
 * not end it.
 */
export async function connect(
  addresses: Addresses,
  target: Target,
  options: ConnectOptions = {},
): Promise<Socket | TLSSocket> {
  const checked = addresses.check(target);
  const { port, tls, signal, timeoutMs } = checkConnectOptions(options);
  const { source } = addresses;
  source.closing.throwIfAborted();
  signal?.throwIfAborted();
  const startedAt = performance.now();
  const ending = new AbortController();
  const onAbort = (): void => {
    ending.abort(source.closing.aborted ? source.closing.reason : signal?.reason);
  };
  const timer =
    timeoutMs === Infinity
      ? undefined
      : setTimeout(() => {
          ending.abort(outOfTime);
        }, timeoutMs);
  source.closing.addEventListener('abort', onAbort);
  if (signal !== undefined) {
    // One signal may end many attempts; Node.js would warn of a leak from the eleventh on.
    events().setMaxListeners(0, signal);
    signal.addEventListener('abort', onAbort);
  }
  const release = source.await();
  let tried: string | null = null;
  let lastError: unknown;
  try {
    for (let failures = 0; ;) {
      const endpoint = addresses.pick(checked);
      if (endpoint === null) {
        await addresses.changed(ending.signal);
        continue;
      }
      const at = addresses.portOf(endpoint, port);
      if (at === null) {
        await addresses.changed(ending.signal);
        continue;
      }
      try {
        tried = endpoint.address;
        const socket = await attempt(addresses, endpoint, at, tls, ending.signal);
        addresses.worked(endpoint.address);
        // Whoever else heard of the connection may have ended the attempt.
        if (ending.signal.aborted) socket.destroy();
        ending.signal.throwIfAborted();
        if (bind(addresses, endpoint, socket)) return socket;
        continue;
      } catch (error) {
        ending.signal.throwIfAborted();
        // Given up because the peer is elsewhere now: at once there.
        if (!addresses.holds(endpoint.peer.podName, endpoint.address)) continue;
        lastError = error;
        addresses.failed(endpoint, error);
      }
      failures += 1;
      await addresses.changed(ending.signal, retryDelay(failures, Math.random()));
    }
  } catch (error) {
    if (error !== outOfTime) throw error;
    const elapsedMs = performance.now() - startedAt;
    if (tried === null) throw addresses.nowhere(checked, elapsedMs);
    const cause = lastError ?? new Error(`${tried} has not answered yet`);
    throw source.timeoutError(`no connection to ${nameOf(checked)}`, elapsedMs, checked, cause);
  } finally {
    clearTimeout(timer);
    source.closing.removeEventListener('abort', onAbort);
    signal?.removeEventListener('abort', onAbort);
    release();
  }
}

/** One attempt at one address, given up when the peer leaves it. */
function attempt(
  addresses: Addresses,
  endpoint: Endpoint,
  port: number,
  tls: ConnectionOptions | null,
  signal: AbortSignal,
): Promise<Socket | TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = dial({
      addresses,
      endpoint,
      port,
      tls,
      timeoutMs: attemptMs,
      settle: (error, connected) => {
        signal.removeEventListener('abort', onAbort);
        unsubscribe();
        if (error === null) resolve(connected);
        else reject(error);
      },
    });
    const onAbort = (): void => {
      socket.destroy();
    };
    const unsubscribe = addresses.source.subscribe(() => {
      if (!addresses.holds(endpoint.peer.podName, endpoint.address)) socket.destroy();
    });
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}

/** Watches over a connected socket until it closes. False where its address was lost while it was being made. */
function bind(addresses: Addresses, endpoint: Endpoint, socket: Socket | TLSSocket): boolean {
  const { peer, address } = endpoint;
  const { source } = addresses;
  if (!addresses.holds(peer.podName, address)) {
    socket.destroy();
    return false;
  }
  const look = (): void => {
    if (source.closing.aborted || !addresses.holds(peer.podName, address)) socket.destroy(addresses.lost(endpoint));
  };
  const unsubscribe = source.subscribe(look);
  source.closing.addEventListener('abort', look);
  socket.once('error', (error: Error) => {
    if (!(error instanceof PeerDiscoveryError)) addresses.failed(endpoint, error);
  });
  socket.once('close', () => {
    unsubscribe();
    source.closing.removeEventListener('abort', look);
  });
  return true;
}

function nameOf(target: CheckedTarget): string {
  return typeof target === 'object' ? target.podName : target;
}

function checkConnectOptions(options: ConnectOptions): {
  readonly port: number | null;
  readonly tls: ConnectionOptions | null;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
} {
  const given = asObject('options', options, new Set(['port', 'tls', 'signal', 'timeoutMs']));
  const { tls = false, timeoutMs = 30_000 } = given;
  if (typeof tls !== 'boolean' && (typeof tls !== 'object' || tls === null)) {
    fail('tls', tls, 'true, false or options of tls.connect');
  }
  return {
    port: optionalPort('port', given['port']),
    tls: tls === false ? null : checkTls('tls', tls === true ? {} : tls),
    signal: optionalSignal('signal', given['signal']),
    timeoutMs: patience('timeoutMs', timeoutMs),
  };
}

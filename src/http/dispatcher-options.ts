import type { ConnectionOptions } from 'node:tls';
import { Client, Pool } from 'undici';
import { checkTls } from '../connect/dial.ts';
import { asObject, fail, integer, maxTimerMs, optionalPort } from '../option-checks.ts';

/** Options of `PeerDispatcher`. */
export interface PeerDispatcherOptions {
  /**
   * The port of every peer. A port in the origin comes first, but for 80 and 443, which a URL cannot tell from none.
   * Default: what SRV gives for the peer.
   */
  readonly port?: number;
  /**
   * How long a request that was not yet sent is tried again, at the same or at the peer's new address, in milliseconds.
   * A signal of the caller is obeyed meanwhile. Default 5 000.
   */
  readonly waitMs?: number;
  /** How long one connection may take to come about, TLS included, in milliseconds. Default 2 000. */
  readonly connectTimeoutMs?: number;
  /** How long a request under way may go on at an address that was lost, in milliseconds. Default 5 000. */
  readonly drainMs?: number;
  /** Options of each peer's undici Pool: `connections`, `pipelining`, `headersTimeout`, `keepAliveTimeout` and so on. */
  readonly pool?: Omit<Pool.Options, 'connect' | 'factory' | 'socketPath' | 'interceptors' | 'useH2c'>;
  /** Options of `tls.connect`, for https origins: `ca`, `cert`, `key` and so on. The server name is the stable name. */
  readonly tls?: ConnectionOptions;
}

/** The same, checked and complete. */
export type CheckedDispatcherOptions = Required<Omit<PeerDispatcherOptions, 'port'>> & { readonly port: number | null };

const known = new Set(['port', 'waitMs', 'connectTimeoutMs', 'drainMs', 'pool', 'tls']);

/** @throws `ERR_OPTION` with the option, its value and what was expected */
export function checkDispatcherOptions(options: unknown): CheckedDispatcherOptions {
  const given = asObject('options', options, known);
  const pool = asObject('pool', given['pool'] ?? {}, null);
  for (const name of ['connect', 'factory', 'socketPath', 'interceptors', 'useH2c']) {
    if (name in pool) fail(`pool.${name}`, pool[name], 'nothing: the dispatcher makes its connections itself');
  }
  checkPoolOptions(pool);
  return {
    port: optionalPort('port', given['port']),
    waitMs: integer('waitMs', given['waitMs'] ?? 5_000, 0, maxTimerMs),
    connectTimeoutMs: integer('connectTimeoutMs', given['connectTimeoutMs'] ?? 2_000, 1, maxTimerMs),
    drainMs: integer('drainMs', given['drainMs'] ?? 5_000, 0, maxTimerMs),
    pool,
    tls: checkTls('tls', given['tls'] ?? {}),
  };
}

/** Undici looks at them when it makes a pool, and at the rest when it makes the first connection: now, in both cases. */
function checkPoolOptions(pool: Record<string, unknown>): void {
  try {
    void new Pool('http://localhost', pool).destroy();
    void new Client('http://localhost', pool).destroy();
  } catch (error) {
    fail('pool', pool, `options that undici's Pool can use (${error instanceof Error ? error.message : ''})`);
  }
}

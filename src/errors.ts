import type { Topology } from './topology/topology.ts';

/**
 * Every `code` a {@link PeerDiscoveryError} can carry. The set is closed and covered by semver:
 * match on the code, never on the message.
 */
export type PeerDiscoveryErrorCode =
  /** An option has a value that cannot be used. Thrown at construction. */
  | 'ERR_OPTION'
  /** This process cannot be shown to be a pod of a StatefulSet, or its witnesses contradict each other. */
  | 'ERR_IDENTITY'
  /** A target that is not a peer of this set, or not in the form of one. */
  | 'ERR_UNKNOWN_PEER'
  /** The peer is known but no address of it is. */
  | 'ERR_NO_ADDRESS'
  /** The target is `primary` and nobody is designated. */
  | 'ERR_NO_PRIMARY'
  /** A waiter or a connection did not come about in time. */
  | 'ERR_TIMEOUT'
  /** The address in use was lost: the peer is elsewhere now. */
  | 'ERR_PEER_MOVED'
  /** The peer was removed from the topology. */
  | 'ERR_PEER_REMOVED'
  /** Another pod answered at the peer's address. */
  | 'ERR_STRANGER'
  /** DNS could not be asked at all, for example because no usable server is configured. */
  | 'ERR_RESOLUTION'
  /** The library was closed. */
  | 'ERR_CLOSED';

/** Why the last DNS question failed. The words of `Outcome` with the server that was asked. */
export interface Failure {
  /** The kind of failure. */
  readonly reason: 'servfail' | 'refused' | 'formerr' | 'timeout' | 'network' | 'malformed' | 'truncated';
  /** In words: what came back, or what the system said. */
  readonly detail: string;
  /** The server that was asked, as `address:port`; `null` when none could be. */
  readonly server: string | null;
  /** What was asked, for example `SRV _peer._tcp.nginx.default.svc.cluster.local`. */
  readonly question: string;
}

/** The data of a {@link PeerDiscoveryError}, beside its code and message. */
export interface PeerDiscoveryErrorDetails {
  /** The option or field that is wrong. */
  readonly option?: string;
  /** The value it had. */
  readonly value?: unknown;
  /** What it was expected to be, in words. */
  readonly expected?: string;
  /** The pod name that the error is about. */
  readonly podName?: string;
  /** The stable name (FQDN, no final dot) that the error is about. */
  readonly stableName?: string;
  /** How long was waited, in milliseconds. */
  readonly elapsedMs?: number;
  /** The belief when the error was made. */
  readonly topology?: Topology;
  /** The last DNS failure, `null` when there was none. */
  readonly lastFailure?: Failure | null;
  /** The manifest line or setting that is probably wrong, in words to act on. */
  readonly explanation?: string;
  /** What lies behind it. */
  readonly cause?: unknown;
}

const brand = Symbol.for('stateful-peers.PeerDiscoveryError');

/**
 * The one error class. `code` says what happened, the fields say where, `cause` what lies behind it.
 * `instanceof` works across copies of the package in one process.
 */
export class PeerDiscoveryError extends Error {
  /** What happened; see {@link PeerDiscoveryErrorCode}. */
  readonly code: PeerDiscoveryErrorCode;
  /** The option or field that is wrong. */
  declare readonly option?: string;
  /** The value it had. */
  declare readonly value?: unknown;
  /** What it was expected to be, in words. */
  declare readonly expected?: string;
  /** The pod name that the error is about. */
  declare readonly podName?: string;
  /** The stable name that the error is about. */
  declare readonly stableName?: string;
  /** How long was waited, in milliseconds. */
  declare readonly elapsedMs?: number;
  /** The belief when the error was made. */
  declare readonly topology?: Topology;
  /** The last DNS failure, `null` when there was none. */
  declare readonly lastFailure?: Failure | null;
  /** The manifest line or setting that is probably wrong, in words to act on. */
  declare readonly explanation?: string;

  /**
   * Makes an error whose message starts with the code.
   *
   * @param code - what happened
   * @param message - in words, without the code: it is put in front
   * @param details - data to carry as fields
   */
  constructor(code: PeerDiscoveryErrorCode, message: string, details: PeerDiscoveryErrorDetails = {}) {
    const { cause, ...fields } = details;
    super(`[${code}] ${message}`, cause === undefined ? undefined : { cause });
    this.code = code;
    Object.assign(this, fields);
  }

  static {
    // On the prototype, so that the class name is printed and no instance carries the fields.
    Object.defineProperty(this.prototype, 'name', { value: 'PeerDiscoveryError', configurable: true, writable: true });
    Object.defineProperty(this.prototype, brand, { value: true });
  }

  /** Knows errors of other copies of this package by a brand. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value;
  }

  /**
   * Finds the PeerDiscoveryError in an error or under its chain of causes (fetch wraps what a dispatcher
   * says in a TypeError).
   *
   * @returns the first one in the chain, or `undefined`
   */
  static from(error: unknown): PeerDiscoveryError | undefined {
    const seen = new Set<unknown>();
    let current = error;
    while (typeof current === 'object' && current !== null && !seen.has(current)) {
      if (current instanceof PeerDiscoveryError) return current;
      seen.add(current);
      current = (current as { cause?: unknown }).cause;
    }
    return undefined;
  }
}

/** The error for a value that an option cannot have. */
export function optionError(option: string, value: unknown, expected: string): PeerDiscoveryError {
  return new PeerDiscoveryError('ERR_OPTION', `option ${option} is ${shown(value)}; expected ${expected}`, {
    option,
    value,
    expected,
  });
}

/** The error for an option that there is not. */
export function unknownOptionError(option: string, value: unknown, known: readonly string[]): PeerDiscoveryError {
  const expected = `one of ${known.join(', ')}`;
  return new PeerDiscoveryError('ERR_OPTION', `there is no option ${option}; expected ${expected}`, {
    option,
    value,
    expected,
  });
}

/** A value as it stands in a message: short, on one line, and never throwing. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'string') return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean' || value === null)
    return String(value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

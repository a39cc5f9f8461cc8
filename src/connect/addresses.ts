import type { Failure } from '../errors.ts';
import { PeerDiscoveryError, optionError } from '../errors.ts';
import type { Family } from '../topology/belief.ts';
import type { CheckedTarget } from '../topology/target.ts';
import { checkTarget, peersFor } from '../topology/target.ts';
import type { Peer, Topology } from '../topology/topology.ts';

/** All that connections need of a library object. */
export interface AddressSource {
  readonly statefulSet: string;
  /** FQDN of the governing Service. */
  readonly serviceName: string;
  /** What is believed now. */
  readonly topology: () => Topology;
  /** Calls back after each change, when its events are out. Returns the function that ends it. */
  readonly subscribe: (onChange: () => void) => () => void;
  /** A connection to this address of the peer failed, or another pod answered there. */
  readonly report: (ordinal: number, what: 'unreachable' | 'stranger', address: string) => void;
  /** Keeps the process alive until the returned function is called. */
  readonly hold: () => () => void;
  /** Somebody waits for a change: asks often, and keeps the process alive, until the returned function is called. */
  readonly await: () => () => void;
  /** Somebody to wait for when the library closes. Returns the function that takes it back. */
  readonly beforeClose: (end: () => Promise<unknown>) => () => void;
  /** For `stats()`: the pools of this dispatcher. Returns the function that takes it back. */
  readonly countPools: (pools: () => PoolStats) => () => void;
  /** The error of somebody who waited for this target so long, with belief and explanation. */
  readonly timeoutError: (what: string, elapsedMs: number, target: CheckedTarget, cause: unknown) => PeerDiscoveryError;
  /** What is probably wrong, about this target, and the last failure of DNS. */
  readonly explain: (target: CheckedTarget) => { readonly text: string; readonly lastFailure: Failure | null };
  /** Aborts when the library closes, with the error that says so. */
  readonly closing: AbortSignal;
}

/** The pools of the dispatchers of one library object, added up. */
export interface PoolStats {
  /** Pools that take new requests: one for each peer and address in use. */
  readonly open: number;
  /** Pools of addresses that were lost, whose last requests have their grace period. */
  readonly draining: number;
  /** Requests under way. */
  readonly inFlight: number;
  /** Requests that wait: for an address, for a connection, or for the next attempt. */
  readonly waiting: number;
}

/** Where to connect to. */
export interface Endpoint {
  readonly peer: Peer;
  readonly address: string;
}

/** An address that failed is taken last for so long. */
const failureCountsMs = 10_000;

/**
 * Answers where a target is, from memory: which peer, and which of its addresses. Shared by everything that connects,
 * so that what one connection learnt (an address that refuses) serves the next.
 */
export class Addresses {
  readonly source: AddressSource;
  readonly #failedAt = new Map<string, number>();
  /** Where a role's turn is. */
  readonly #turns = { replica: 0, any: 0 };

  constructor(source: AddressSource) {
    this.source = source;
  }

  /** @throws `ERR_UNKNOWN_PEER` for what is no target of this set */
  check(target: unknown): CheckedTarget {
    return checkTarget(target, this.source.statefulSet);
  }

  /** The target that a host name means; `null` for names that are not of this set. */
  named(hostname: string): CheckedTarget | null {
    const name = hostname.toLowerCase().replace(/\.$/, '');
    const { serviceName } = this.source;
    const target = name.endsWith(`.${serviceName}`) ? name.slice(0, -serviceName.length - 1) : name;
    // `primary.nginx.default.svc.cluster.local` is no name that DNS has.
    if (target !== name && (target === 'primary' || target === 'replica' || target === 'any')) return null;
    try {
      return this.check(target);
    } catch {
      return null;
    }
  }

  /**
   * One peer that the target means, and the address to use: replicas take turns, and what failed lately comes last.
   * `null` while there is none.
   *
   * @param family - only peers with such an address; 0 for any
   */
  pick(target: CheckedTarget, family: 0 | Family = 0): Endpoint | null {
    const endpoint = this.peek(target, family);
    if (target === 'replica' || target === 'any') this.#turns[target] += 1;
    return endpoint;
  }

  /** What {@link Addresses.pick} would give; nobody's turn is taken. */
  peek(target: CheckedTarget, family: 0 | Family = 0): Endpoint | null {
    const peers = peersFor(target, this.source.topology()).filter(isReachable);
    const first = target === 'replica' || target === 'any' ? this.#turns[target] : 0;
    let best: (Endpoint & { readonly failedAt: number }) | null = null;
    for (let index = 0; index < peers.length; index += 1) {
      const peer = peers[(first + index) % peers.length];
      for (const one of peer?.addresses ?? []) {
        if (peer === undefined || (family !== 0 && one.family !== family)) continue;
        const failedAt = this.#failureOf(one.address);
        if (best === null || failedAt < best.failedAt) best = { peer, address: one.address, failedAt };
        if (failedAt === -Infinity) return best;
      }
    }
    return best;
  }

  /** No address failed lately: a pick is the same again. */
  get isClean(): boolean {
    if (this.#failedAt.size > 0) this.#forgetOld(performance.now());
    return this.#failedAt.size === 0;
  }

  /** Whether the peer of that name is believed to be at the address now. */
  holds(podName: string, address: string): boolean {
    const peer = this.source.topology().peer(podName);
    return peer !== undefined && isReachable(peer) && peer.addresses.some((one) => one.address === address);
  }

  /** Whether the target means this peer now (for a replica: among others). */
  means(target: CheckedTarget, podName: string): boolean {
    return peersFor(target, this.source.topology()).some((peer) => peer.podName === podName);
  }

  /** A connection failed. Faults of this machine (no file descriptor, no port left) say nothing of the peer. */
  failed({ peer, address }: Endpoint, error: unknown): void {
    if (localFaults.has(codeOf(error))) return;
    const now = performance.now();
    this.#forgetOld(now);
    this.#failedAt.set(address, now);
    this.source.report(peer.ordinal, 'unreachable', address);
  }

  /** A connection came about. */
  worked(address: string): void {
    if (this.#failedAt.size > 0) this.#failedAt.delete(address);
  }

  /**
   * Why there is nowhere to connect to.
   *
   * @param waitedMs - how long somebody waited, who then wants an explanation
   * @param family - the only one that would have served; 0 for any
   */
  nowhere(target: CheckedTarget, waitedMs: number | null = null, family: 0 | Family = 0): PeerDiscoveryError {
    const { closing, serviceName } = this.source;
    if (closing.aborted) return closing.reason as PeerDiscoveryError;
    const topology = this.source.topology();
    const isLeaderless = target === 'primary' && topology.primary === null;
    const name = typeof target === 'object' ? target.podName : target;
    const message = isLeaderless
      ? `no primary of ${serviceName}: ${leaderless(topology)}`
      : `no ${family === 0 ? '' : `IPv${family} `}address of ${name} of ${serviceName}: ${absence(target, topology)}`;
    const why = waitedMs === null ? null : this.source.explain(target);
    return new PeerDiscoveryError(
      isLeaderless ? 'ERR_NO_PRIMARY' : 'ERR_NO_ADDRESS',
      waitedMs === null ? message : `${message}, for ${Math.round(waitedMs)} ms. ${why?.text ?? ''}`,
      {
        topology,
        ...(typeof target === 'object' && { podName: target.podName, stableName: `${target.podName}.${serviceName}` }),
        ...(why !== null && { elapsedMs: waitedMs ?? 0, lastFailure: why.lastFailure, explanation: why.text }),
      },
    );
  }

  /**
   * The port to use. `null` while DNS does not name the pod, and so may still tell.
   *
   * @throws `ERR_OPTION` where DNS names the pod without a port
   */
  portOf({ peer }: Endpoint, port: number | null): number | null {
    const used = port ?? peer.port;
    if (used !== null || peer.presence !== 'published') return used;
    const { podName, stableName, ordinal } = peer;
    const { text: explanation } = this.source.explain({ podName, ordinal });
    const expected = 'the name of a port that the Service has, or a number';
    throw new PeerDiscoveryError('ERR_OPTION', `no port of ${stableName}: DNS gives none. ${explanation}`, {
      ...{ option: 'port', value: undefined, expected, podName, stableName, explanation },
    });
  }

  /** Why an address in use must be left. */
  lost({ peer, address }: Endpoint): PeerDiscoveryError {
    const { closing } = this.source;
    if (closing.aborted) return closing.reason as PeerDiscoveryError;
    const topology = this.source.topology();
    const { podName, stableName } = peer;
    const now = topology.peer(podName);
    if (now === undefined) {
      return new PeerDiscoveryError('ERR_PEER_REMOVED', `${podName}, which was at ${address}, was removed`, {
        podName,
        stableName,
        topology,
      });
    }
    if (now.presence === 'superseded') {
      const message = `${podName} is another process now, at an address that is not this one's`;
      return new PeerDiscoveryError('ERR_PEER_MOVED', message, { podName, stableName, topology });
    }
    const where = now.addresses.map((one) => one.address).join(' and ') || 'no known address';
    return new PeerDiscoveryError('ERR_PEER_MOVED', `${podName} is no longer at ${address} but at ${where}`, {
      podName,
      stableName,
      topology,
    });
  }

  /**
   * Settles after the next change, or after `ms`.
   *
   * @throws the reason of the signal
   */
  changed(signal: AbortSignal, ms?: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = ms === undefined ? undefined : setTimeout(() => end(resolve), ms);
      const onAbort = (): void =>
        end(() => {
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a signal's reason is passed as it is
          reject(signal.reason);
        });
      const unsubscribe = this.source.subscribe(() => end(resolve));
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        unsubscribe();
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort);
    });
  }

  #failureOf(address: string): number {
    const at = this.#failedAt.get(address);
    return at === undefined || performance.now() - at >= failureCountsMs ? -Infinity : at;
  }

  #forgetOld(now: number): void {
    for (const [address, at] of this.#failedAt) if (now - at >= failureCountsMs) this.#failedAt.delete(address);
  }
}

/** The `code` of what was thrown, as Node's and undici's errors have it. */
export function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}

/** The pause before the next attempt: 50 ms, doubling to 500, with jitter so that a whole set does not return at once. */
export function retryDelay(failures: number, random: number): number {
  return Math.min(500, 50 * 2 ** (failures - 1)) * (0.5 + random / 2);
}

function leaderless({ designation: { podName, reason } }: Topology): string {
  return `${podName === null ? 'nobody is designated' : `${podName} is designated and not there`} (${reason})`;
}

/** What is known of those whom the target means. */
function absence(target: CheckedTarget, topology: Topology): string {
  const meant = peersFor(target, topology);
  if (typeof target === 'object' && meant.length === 0) return 'DNS has not shown it';
  if (meant.length === 0) return 'no other pod is known';
  return meant
    .map(({ podName, presence, addresses }) => {
      const at = addresses.map(({ address }) => address).join(' and ');
      return `${podName} is ${presence}${at === '' ? ', at no known address' : ` at ${at}`}`;
    })
    .join(', ');
}

/** A library object, as far as connections see it: what `discoverPeers` and `observePeers` give. */
export interface Connectable {
  /** What is believed now. */
  readonly topology: Topology;
  /** Closes it. */
  close(): Promise<void>;
}

/**
 * Where a library object has its addresses: the doors of the package are files that share no module. The number goes up
 * when `Addresses` or its source changes, so that another version of the package does not take them for its own.
 */
const addressesKey = Symbol.for('stateful-peers.addresses/1');

/** Makes the addresses of a library object, to be found by {@link addressesOf}. */
export function createAddresses(peers: Connectable, source: AddressSource): Addresses {
  const addresses = new Addresses(source);
  Object.defineProperty(peers, addressesKey, { value: addresses });
  return addresses;
}

/** @throws `ERR_OPTION` for anything else than a library object */
export function addressesOf(peers: Connectable): Addresses {
  const given = peers as Connectable | { readonly [addressesKey]?: Addresses } | null | undefined;
  const addresses =
    typeof given === 'object' && given !== null && addressesKey in given ? given[addressesKey] : undefined;
  if (addresses === undefined) throw optionError('peers', peers, 'what discoverPeers() or observePeers() gave');
  return addresses;
}

const localFaults = new Set([
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'EADDRNOTAVAIL',
  'EADDRINUSE',
  'EACCES',
  'EPERM',
]);

function isReachable(peer: Peer): boolean {
  // A superseded self has lost its name to another process: its own addresses are not where the name leads.
  return peer.addresses.length > 0 && peer.presence !== 'superseded';
}

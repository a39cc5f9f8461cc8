import type { LookupAddress, LookupOptions } from 'node:dns';
import { dns } from '../late-modules.ts';
import type { CheckedTarget } from '../topology/target.ts';
import type { Topology } from '../topology/topology.ts';
import type { Addresses } from './addresses.ts';

/**
 * A function in the shape of `dns.lookup`, for `net.connect`, `tls.connect`, `http.Agent`, undici's `connect` and
 * drivers. Targets (`'primary'`, `'replica'`, `'any'`, `'web-1'`) and stable names are answered from memory, on a
 * later tick: one peer, its addresses only. Other names go to the system's lookup.
 *
 * Fails as Node's does (`code: 'ENOTFOUND'`, `hostname`, `syscall`), with the {@link PeerDiscoveryError} as `cause`;
 * never with an empty success.
 */
export interface PeerLookup {
  /** Gives one address. */
  (hostname: string, callback: (error: LookupError, address: string, family: number) => void): void;
  /** Gives one address of that family. */
  (hostname: string, family: number, callback: (error: LookupError, address: string, family: number) => void): void;
  /** Gives all addresses of the peer. */
  (
    hostname: string,
    options: LookupOptions & { all: true },
    callback: (error: LookupError, addresses: LookupAddress[]) => void,
  ): void;
  /** Gives one address, or all where the options ask for all. */
  (
    hostname: string,
    options: LookupOptions,
    callback: (error: LookupError, address: string | LookupAddress[], family?: number) => void,
  ): void;
}

/** `null` where there is an address; else in the shape of Node's own, with the cause. */
export type LookupError = NodeJS.ErrnoException | null;

type OneCallback = (error: LookupError, address: string, family: number) => void;
type AllCallback = (error: LookupError, addresses: LookupAddress[]) => void;
type AnyCallback = (error: LookupError, address: string | LookupAddress[], family?: number) => void;

/** Makes the lookup function. */
export function createLookup(addresses: Addresses): PeerLookup {
  const memory = new Memory(addresses);
  return (hostname: string, given: unknown, callback?: unknown): void => {
    const [options, done] = typeof given === 'function' ? [{}, given] : [given, callback];
    if (typeof hostname !== 'string' || typeof done !== 'function') {
      // What is no call of lookup fails as the system's does.
      dns().lookup(hostname, given as LookupOptions, callback as AnyCallback);
      return;
    }
    const target = memory.target(hostname);
    if (target === null) {
      dns().lookup(hostname, (options ?? {}) as LookupOptions, done as AnyCallback);
      return;
    }
    // A number in place of options: dgram does so.
    const { family, all, order } = (
      typeof options === 'number' ? { family: options } : (options ?? {})
    ) as LookupOptions;
    const wanted = familyOf(family);
    const found = memory.find(target, wanted, order === 'ipv6first');
    const failure = found.length === 0 ? notFound(hostname, addresses.nowhere(target, null, wanted)) : null;
    // A later tick, as a caller of dns.lookup can expect.
    queueMicrotask(() => {
      const [first] = found;
      // With `all`, an empty success would crash the process inside net.
      if (failure !== null || first === undefined) (done as OneCallback)(failure, '', 0);
      else if (all === true)
        (done as AllCallback)(
          null,
          found.map(({ address, family: kind }) => ({ address, family: kind })),
        );
      else (done as OneCallback)(null, first.address, first.family);
    });
  };
}

/** The same names are looked up again and again, and mostly nothing has changed. */
class Memory {
  readonly #addresses: Addresses;
  readonly #targets = new Map<string, CheckedTarget | null>();
  #topology: Topology | null = null;
  readonly #found = new Map<CheckedTarget, readonly LookupAddress[]>();

  constructor(addresses: Addresses) {
    this.#addresses = addresses;
  }

  target(hostname: string): CheckedTarget | null {
    const known = this.#targets.get(hostname);
    if (known !== undefined) return known;
    const target = this.#addresses.named(hostname);
    // Callers may make up names without end.
    if (this.#targets.size >= 1_000) {
      this.#targets.clear();
      this.#found.clear();
    }
    this.#targets.set(hostname, target);
    return target;
  }

  find(target: CheckedTarget, family: 0 | 4 | 6, isSixFirst: boolean): readonly LookupAddress[] {
    const topology = this.#addresses.source.topology();
    const takesTurns = target === 'replica' || target === 'any';
    if (family !== 0 || isSixFirst || takesTurns || !this.#addresses.isClean || this.#addresses.source.closing.aborted)
      return find(this.#addresses, target, family, isSixFirst);
    if (this.#topology !== topology) {
      this.#topology = topology;
      this.#found.clear();
    }
    const known = this.#found.get(target);
    if (known !== undefined) return known;
    const found = find(this.#addresses, target, family, isSixFirst);
    this.#found.set(target, found);
    return found;
  }
}

function find(addresses: Addresses, target: CheckedTarget, family: 0 | 4 | 6, isSixFirst: boolean): LookupAddress[] {
  if (addresses.source.closing.aborted) return [];
  const endpoint = addresses.pick(target, family);
  if (endpoint === null) return [];
  const all = endpoint.peer.addresses.filter((one) => family === 0 || one.family === family);
  if (isSixFirst) all.sort((one, other) => other.family - one.family);
  // What failed lately comes last.
  else all.sort((one, other) => Number(other.address === endpoint.address) - Number(one.address === endpoint.address));
  return all.map((one) => ({ address: one.address, family: one.family }));
}

function familyOf(family: LookupOptions['family']): 0 | 4 | 6 {
  if (family === 4 || family === 'IPv4') return 4;
  return family === 6 || family === 'IPv6' ? 6 : 0;
}

function notFound(hostname: string, cause: Error): NodeJS.ErrnoException {
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`, { cause }), {
    code: 'ENOTFOUND',
    errno: -3008,
    syscall: 'getaddrinfo',
    hostname,
  });
}

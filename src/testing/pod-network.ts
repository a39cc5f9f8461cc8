import { createSocket } from 'node:dgram';
import { isIP } from 'node:net';
import { formatIpv4, formatIpv6, normaliseAddress, parseIpv6 } from '../dns/address.ts';

/** Where a pod is. */
export interface PodLocation {
  /** One a family, in the order of the network's ranges. */
  readonly addresses: readonly string[];
  /** Ports of the pod by name, where they are not those of the pod template: pods that share one address. */
  readonly ports: Readonly<Record<string, number>> | null;
}

/** Where the pods of a cluster get their addresses from. */
export interface PodNetworkOptions {
  /**
   * One range, or one a family: `['10.244.0.0/24', 'fd00:10:244::/112']`. The first two addresses are the network's and
   * the node's. Addresses go round, so that one is not used again soon.
   */
  readonly podCidrs: readonly string[];
  /**
   * All pods have the one address that `podCidrs` names (`['127.0.0.1/32']`), and each its own ports, from this one on:
   * for systems with a single loopback address.
   */
  readonly ownPortsFrom?: number;
}

/** Gives each pod an address of its own, a new one each time. */
export class PodNetwork {
  readonly #ranges: readonly AddressRange[];
  readonly #inUse = new Set<string>();
  #nextPort: number | null;

  /** @throws RangeError for what is no CIDR range */
  constructor({ podCidrs, ownPortsFrom }: PodNetworkOptions) {
    if (podCidrs.length === 0) throw new RangeError('a pod network needs a range of addresses');
    this.#ranges = podCidrs.map((cidr) => new AddressRange(cidr));
    this.#nextPort = ownPortsFrom ?? null;
  }

  /**
   * A place for a pod, to be given back with {@link release}.
   *
   * @param wanted - exactly these addresses; `null` is returned while somebody has one of them
   * @throws RangeError when no address is left
   */
  take(portNames: readonly string[], wanted: readonly string[] | null): PodLocation | null {
    if (this.#nextPort !== null) {
      const ports: Record<string, number> = {};
      for (const name of portNames) {
        ports[name] = this.#nextPort;
        this.#nextPort += 1;
      }
      return { addresses: this.#ranges.map((range) => range.first), ports };
    }
    if (wanted?.some((address) => this.#inUse.has(address))) return null;
    const addresses = wanted ?? this.#ranges.map((range) => range.next(this.#inUse));
    for (const address of addresses) this.#inUse.add(address);
    return { addresses, ports: null };
  }

  /** The addresses are free again. */
  release({ addresses }: PodLocation): void {
    for (const address of addresses) this.#inUse.delete(address);
  }
}

/**
 * Whether this machine answers for all of 127.0.0.0/8 (Linux), so that each pod can have an address of its own. Tried by
 * binding 127.0.0.2, for there is no other way to know.
 */
export async function hasLoopbackRange(): Promise<boolean> {
  const socket = createSocket('udp4');
  const isThere = await new Promise<boolean>((resolve) => {
    socket.once('error', () => resolve(false));
    socket.bind({ address: '127.0.0.2', port: 0, exclusive: true }, () => resolve(true));
  });
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return isThere;
}

/** The largest part of a range that is used: enough for every test, and small enough to count. */
const largestRange = 65_534;

class AddressRange {
  /** The network's own address; of a /32 the only one. */
  readonly first: string;
  readonly #bytes: Uint8Array;
  readonly #size: number;
  #last = 1;

  constructor(cidr: string) {
    const [text = '', length = ''] = cidr.split('/', 2);
    const address = normaliseAddress(text);
    const bits = Number(length);
    const width = isIP(text) === 4 ? 32 : 128;
    if (address === null || !/^[0-9]+$/.test(length) || bits > width) {
      throw new RangeError(`${JSON.stringify(cidr)} is no range of addresses; expected a form like '10.244.0.0/24'`);
    }
    this.first = address;
    this.#bytes = parseIpv6(address) ?? Uint8Array.from(address.split('.').map(Number));
    this.#size = Math.min(2 ** (width - bits) - 2, largestRange);
  }

  next(inUse: ReadonlySet<string>): string {
    for (let tried = 0; tried < this.#size; tried += 1) {
      this.#last = this.#last >= this.#size ? 2 : this.#last + 1;
      const address = this.#at(this.#last);
      if (!inUse.has(address)) return address;
    }
    throw new RangeError(`no address is left in the range of ${this.first}`);
  }

  #at(offset: number): string {
    const bytes = Uint8Array.from(this.#bytes);
    const [high = 0, low = 0] = bytes.subarray(-2);
    const sum = high * 256 + low + offset;
    bytes.set([(sum >> 8) & 0xff, sum & 0xff], bytes.length - 2);
    return bytes.length === 4 ? formatIpv4(bytes, 0) : formatIpv6(bytes, 0);
  }
}

import type { PeerDiscovery } from '../../src/peer-discovery.ts';
import type { PeerDiscoveryEvents } from '../../src/topology/events.ts';
import type { Peer, Topology } from '../../src/topology/topology.ts';
import { eventNames } from '../support/member.ts';

/**
 * Listens for as long as the library lives, and checks at each event what holds whatever happens: promise 13 (order,
 * versions, folding, frozen, the state first), promise 11 (self is there, at its own addresses) and promise 9 (an
 * address has one holder).
 *
 * @returns the sentences that did not hold, growing; to be found empty. Throwing in a listener would tell nobody.
 */
export function watchInvariants(peers: PeerDiscovery): readonly string[] {
  const broken: string[] = [];
  const { topology } = peers;
  const fold = new Fold(topology);
  let last = topology;
  let transition: { readonly name: EventName; readonly event: HeardEvent }[] = [];

  const atEnd = (current: Topology, previous: Topology): void => {
    if (current !== peers.topology) broken.push(`version ${current.version}: the state is not there before its events`);
    if (previous !== last) broken.push(`version ${current.version}: its previous snapshot is not the one before`);
    if (current.version !== last.version + 1) broken.push(`version ${current.version} after ${last.version}`);
    for (const { name, event } of transition) {
      if (event.topologyVersion !== current.version) broken.push(`${name} of another version than ${current.version}`);
      if (!Object.isFrozen(event)) broken.push(`${name} ${current.version} is not frozen`);
    }
    const order = transition.map(({ name, event }) => placeOf(name, event));
    if (order.some((place, index) => place <= (order[index - 1] ?? -1))) {
      broken.push(`version ${current.version}: out of order: ${transition.map(({ name }) => name).join(', ')}`);
    }
    broken.push(...fold.differences(current), ...thawed(current), ...shared(current));
    if (last.self !== null && !isSameSelf(last.self, current)) broken.push(`version ${current.version}: self left`);
    last = current;
    transition = [];
  };

  for (const name of eventNames) {
    peers.on(name, (...args: unknown[]) => {
      if (name === 'closed' || name === 'freshnessChanged') return;
      const event = args[0] as HeardEvent;
      transition.push({ name, event });
      fold.take(name, event);
      if (name === 'topologyChanged') atEnd(event.current as Topology, event.previous as Topology);
    });
  }
  return broken;
}

type EventName = keyof PeerDiscoveryEvents;

/** What the events of a transition have in common. */
interface HeardEvent {
  readonly topologyVersion: number;
  readonly previous: unknown;
  readonly current: unknown;
}

/** Somebody who hears the events and never looks at the snapshot. */
class Fold {
  readonly #peers: Map<string, Peer>;
  #primary: string | null;
  #role: string | null;

  constructor({ peers, primary, self }: Topology) {
    this.#peers = new Map(peers.map((peer) => [peer.podName, peer]));
    this.#primary = primary?.podName ?? null;
    this.#role = self?.role ?? null;
  }

  take(name: EventName, { previous, current }: HeardEvent): void {
    if (name === 'peerRemoved') this.#peers.delete((previous as Peer).podName);
    else if (name === 'primaryChanged') this.#primary = (current as Peer | null)?.podName ?? null;
    else if (name === 'roleChanged') this.#role = current as string;
    else if (name !== 'topologyChanged') this.#peers.set((current as Peer).podName, current as Peer);
  }

  /** How the snapshot differs from what was heard. Roles of others follow from the primary and are left out. */
  differences({ version, peers, primary, self }: Topology): string[] {
    const heard = [...this.#peers.values()].sort((one, two) => one.ordinal - two.ordinal).map(text);
    const is = peers.map(text);
    const differ = (what: string, one: unknown, other: unknown): string[] =>
      one === other ? [] : [`version ${version}: folding gives the ${what} ${String(one)}, it is ${String(other)}`];
    return [
      ...differ('peers', heard.join(', '), is.join(', ')),
      ...differ('primary', this.#primary, primary?.podName ?? null),
      ...differ('role', this.#role, self?.role ?? null),
    ];
  }
}

function text({ podName, presence, port, addresses }: Peer): string {
  return `${podName} ${presence} ${addresses.map(({ address }) => address).join('+')} ${String(port)}`;
}

/** Where an event stands within its transition: by kind, then by ordinal. */
function placeOf(name: EventName, { previous, current }: HeardEvent): number {
  const kind = eventNames.indexOf(name) * 2 ** 31;
  if (name === 'topologyChanged' || name === 'primaryChanged' || name === 'roleChanged') return kind;
  return kind + ((current ?? previous) as Peer).ordinal;
}

function thawed(topology: Topology): string[] {
  const parts: unknown[] = [topology, topology.peers, topology.replicas, topology.designation];
  for (const peer of topology.peers) parts.push(peer, peer.addresses, ...peer.addresses);
  return parts.every((part) => Object.isFrozen(part)) ? [] : [`version ${topology.version}: not all of it is frozen`];
}

function shared({ version, peers }: Topology): string[] {
  const holders = new Map<string, string>();
  const broken: string[] = [];
  for (const { podName, port, addresses } of peers) {
    for (const { address } of addresses) {
      const endpoint = `${address} ${String(port)}`;
      const other = holders.get(endpoint);
      if (other !== undefined) broken.push(`version ${version}: ${endpoint} belongs to ${other} and to ${podName}`);
      holders.set(endpoint, podName);
    }
  }
  return broken;
}

function isSameSelf(before: Peer, { self, peers }: Topology): boolean {
  if (self === null || !peers.includes(self) || self.podName !== before.podName) return false;
  const own = new Set(self.addresses.map(({ address }) => address));
  return before.addresses.every(({ address }) => own.has(address));
}

import type { Belief, Family, PeerBelief } from './belief.ts';

/** What DNS says of a peer. Presence is not health. */
export type Presence =
  /** DNS names it, or named it less than `missingAfterMs` of absent answers ago. */
  | 'published'
  /** Every answer for `missingAfterMs` left it out. Its last addresses stay usable. */
  | 'missing'
  /** Self only: DNS does not name it (yet, or any more). */
  | 'unpublished'
  /** Self only: DNS names only addresses that never were this process's own: another process has the name now. */
  | 'superseded';

/** The part a pod plays by designation. `unknown` while nobody is designated. */
export type Role = 'primary' | 'replica' | 'unknown';

/** One address of a peer. */
export interface PeerAddress {
  /** Canonical text; an IPv4-mapped address is given as IPv4. */
  readonly address: string;
  /** 4 or 6. */
  readonly family: Family;
}

/** What is believed of one pod of the set. Frozen; a change makes a new one. */
export interface Peer {
  /** `web-1`. */
  readonly podName: string;
  /** `1`. */
  readonly ordinal: number;
  /** `web-1.nginx.default.svc.cluster.local`, no final dot: the name that stays when the address changes. */
  readonly stableName: string;
  /** The part it plays by designation. */
  readonly role: Role;
  /** At most one a family, IPv4 first. Empty while none is known. */
  readonly addresses: readonly PeerAddress[];
  /** The port that SRV gives for the named (or only) port, or the number from the options; `null` where neither says. */
  readonly port: number | null;
  /** What DNS says of it. */
  readonly presence: Presence;
  /** It is this process. */
  readonly isSelf: boolean;
}

/** Which pod the policy designates, whether or not anybody answers to that name. */
export interface Designation {
  /** `null` while nobody is designated. */
  readonly podName: string | null;
  /** Why, in words. */
  readonly reason: string;
}

/** A snapshot of what is believed about the set. Frozen. The same object as long as nothing changed. */
export interface Topology {
  /** 0 before the first complete answer; grows by one with every change. */
  readonly version: number;
  /** By ordinal. */
  readonly peers: readonly Peer[];
  /** This pod; `null` for an observer. */
  readonly self: Peer | null;
  /** The designated primary, where it is in the topology (and, if it is self, not superseded). */
  readonly primary: Peer | null;
  /** Every peer whose role is `replica`. Empty while nobody is designated. */
  readonly replicas: readonly Peer[];
  /** Whom the policy designates, and why. The reason is the one of the newest version. */
  readonly designation: Designation;
  /** The peer of that pod name or ordinal; `undefined` when there is none. */
  peer(target: string | number): Peer | undefined;
}

/** The names that belief (which counts ordinals) does not know. */
export interface SetNames {
  readonly statefulSet: string;
  /** FQDN of the governing Service. */
  readonly serviceName: string;
  /** Overrides what SRV says. */
  readonly port: number | null;
}

/**
 * Makes the snapshot of a belief. Peers that did not change are the same objects as before, and so is the whole
 * topology when nothing did; `isTransition` makes a new version all the same (the first complete round is one).
 */
export function topologyOf(
  belief: Belief,
  designation: Designation,
  names: SetNames,
  previous: Topology | null,
  isTransition: boolean,
): Topology {
  const peers = [...belief.peers.values()].map((peer) => {
    const before = previous?.peer(peer.ordinal);
    return before !== undefined && isStill(before, peer, designation, names)
      ? before
      : peerOf(peer, belief.self?.ordinal ?? null, designation, names);
  });
  if (
    previous !== null &&
    !isTransition &&
    // A reason in other words is no news.
    previous.designation.podName === designation.podName &&
    peers.length === previous.peers.length &&
    peers.every((peer, index) => peer === previous.peers[index])
  ) {
    return previous;
  }
  return new Snapshot(previous === null ? 0 : previous.version + 1, peers, Object.freeze({ ...designation }));
}

/** Whether two peers are at the same addresses. */
export function sameAddresses(one: Peer, two: Peer): boolean {
  return (
    one.addresses.length === two.addresses.length &&
    one.addresses.every(({ address }, index) => address === two.addresses[index]?.address)
  );
}

class Snapshot implements Topology {
  readonly version: number;
  readonly peers: readonly Peer[];
  readonly self: Peer | null;
  readonly primary: Peer | null;
  readonly replicas: readonly Peer[];
  readonly designation: Designation;
  readonly #byName: ReadonlyMap<string | number, Peer>;

  constructor(version: number, peers: readonly Peer[], designation: Designation) {
    this.version = version;
    this.peers = Object.freeze([...peers]);
    this.self = peers.find((peer) => peer.isSelf) ?? null;
    this.primary = peers.find((peer) => peer.role === 'primary') ?? null;
    this.replicas = Object.freeze(peers.filter((peer) => peer.role === 'replica'));
    this.designation = designation;
    const byName = new Map<string | number, Peer>();
    for (const peer of peers) byName.set(peer.podName, peer).set(peer.ordinal, peer);
    this.#byName = byName;
    Object.freeze(this);
  }

  peer(target: string | number): Peer | undefined {
    return this.#byName.get(target);
  }
}

/** Whether the peer would look as before: answered without making it, since it nearly always does. */
function isStill(before: Peer, peer: PeerBelief, designation: Designation, names: SetNames): boolean {
  const [four, six] = [peer.families[4].current, peer.families[6].current];
  return (
    before.presence === peer.presence &&
    before.port === (names.port ?? peer.port) &&
    before.addresses[0]?.address === (four ?? six ?? undefined) &&
    before.addresses[1]?.address === (four === null ? undefined : (six ?? undefined)) &&
    before.role === roleOf(before.podName, peer.presence, designation)
  );
}

function peerOf(peer: PeerBelief, selfOrdinal: number | null, designation: Designation, names: SetNames): Peer {
  const podName = `${names.statefulSet}-${peer.ordinal}`;
  const addresses: PeerAddress[] = [];
  for (const family of [4, 6] as const) {
    const { current } = peer.families[family];
    if (current !== null) addresses.push(Object.freeze({ address: current, family }));
  }
  return Object.freeze({
    podName,
    ordinal: peer.ordinal,
    stableName: `${podName}.${names.serviceName}`,
    role: roleOf(podName, peer.presence, designation),
    addresses: Object.freeze(addresses),
    port: names.port ?? peer.port,
    presence: peer.presence,
    isSelf: peer.ordinal === selfOrdinal,
  });
}

function roleOf(podName: string, presence: Presence, designation: Designation): Role {
  if (designation.podName === null || presence === 'superseded') return 'unknown';
  return designation.podName === podName ? 'primary' : 'replica';
}

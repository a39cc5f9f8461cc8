/** What DNS says of a peer. Presence is not health. */
export type Presence =
  /** DNS names it, or named it less than `missingAfterMs` of absent answers ago. */
  | 'published'
  /** Every answer for `missingAfterMs` left it out. Its last addresses stay usable. */
  | 'missing'
  /** Self only: DNS does not name it (yet, or any more). */
  | 'unpublished'
  /** Self only: DNS has named only addresses that never were this process's own; another process has the name. */
  | 'superseded';

/** The part a pod plays by designation. `unknown` while nobody is designated. */
export type Role = 'primary' | 'replica' | 'unknown';

/** One address of a peer. */
export interface PeerAddress {
  /** Canonical text; an IPv4-mapped address is given as IPv4. */
  readonly address: string;
  readonly family: 4 | 6;
}

/** What is believed of one pod of the set. Frozen; a change makes a new one. */
export interface Peer {
  /** `web-1`. */
  readonly podName: string;
  /** `1`. */
  readonly ordinal: number;
  /** `web-1.nginx.default.svc.cluster.local`, no final dot: the name that stays when the address changes. */
  readonly stableName: string;
  readonly role: Role;
  /** At most one a family, IPv4 first. Empty while none is known. */
  readonly addresses: readonly PeerAddress[];
  /** The port that SRV gives for the named (or only) port; `null` where it does not say. */
  readonly port: number | null;
  readonly presence: Presence;
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
  /** Grows by one with every decision. 0 before the first complete answer. */
  readonly version: number;
  /** By ordinal. */
  readonly peers: readonly Peer[];
  /** This pod; `null` for an observer. */
  readonly self: Peer | null;
  /** The designated primary, where it is in the topology (and, if it is self, not superseded). */
  readonly primary: Peer | null;
  /** Every peer whose role is `replica`. */
  readonly replicas: readonly Peer[];
  readonly designation: Designation;
  /** The peer of that pod name or ordinal, `undefined` when there is none. */
  peer(target: string | number): Peer | undefined;
}

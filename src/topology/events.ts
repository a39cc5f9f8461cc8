import type { Failure } from '../errors.ts';
import type { Cause, FreshnessBelief } from './belief.ts';
import type { Designation, Peer, PeerAddress, Role, Topology } from './topology.ts';
import { sameAddresses } from './topology.ts';

/** What every event of a transition carries. */
export interface TransitionEvent {
  /** The version of the topology that the transition led to. */
  readonly topologyVersion: number;
  /**
   * Why: `answer` (DNS said so), `absence` (every answer for a window left the peer out), `claim` (another peer took
   * the address), `stranger` (another pod answered there), `self` (this process lost or regained its name), `policy`
   * (the policy decided otherwise without a change of peers).
   */
  readonly cause: Cause;
}

/** A peer was removed: every answer for `removeAfterMs` left it out, the last of them to a question for its own name. */
export interface PeerRemovedEvent extends TransitionEvent {
  /** The peer as it was last. */
  readonly previous: Peer;
  /** Nothing: it is gone. */
  readonly current: null;
}

/** DNS names a peer that was not in the topology. */
export interface PeerAddedEvent extends TransitionEvent {
  /** Nothing: it was not there. */
  readonly previous: null;
  /** The peer now. */
  readonly current: Peer;
}

/** A peer kept its name and has other addresses, or another port (then both lists are empty). */
export interface PeerMovedEvent extends TransitionEvent {
  /** The peer before. */
  readonly previous: Peer;
  /** The peer now. */
  readonly current: Peer;
  /** Addresses that it did not have before. */
  readonly gained: readonly PeerAddress[];
  /** Addresses that it no longer has. */
  readonly lost: readonly PeerAddress[];
}

/** The presence of a peer changed. */
export interface PresenceChangedEvent extends TransitionEvent {
  /** The peer before. */
  readonly previous: Peer;
  /** The peer now. */
  readonly current: Peer;
}

/** Another pod is the primary, or nobody is. Compares names: a primary that moved has only `peerMoved`. */
export interface PrimaryChangedEvent extends TransitionEvent {
  /** The primary before, `null` where there was none. */
  readonly previous: Peer | null;
  /** The primary now, `null` where there is none. */
  readonly current: Peer | null;
  /** Whom the policy designates, and why. */
  readonly designation: Designation;
}

/** The role of self changed. Never emitted to observers. */
export interface RoleChangedEvent extends TransitionEvent {
  /** The role of self before. */
  readonly previous: Role;
  /** The role of self now. */
  readonly current: Role;
}

/** The topology changed. The last event of every transition; whoever hears only this one can rebuild the rest. */
export interface TopologyChangedEvent extends TransitionEvent {
  /** The snapshot before. */
  readonly previous: Topology;
  /** The snapshot now. */
  readonly current: Topology;
}

/** How well the topology is founded. */
export interface Freshness {
  /** `unresolved` before the first complete round; `stale` while rounds fail. */
  readonly state: 'unresolved' | 'fresh' | 'stale';
  /** How long it has been in that state, in milliseconds. */
  readonly stateForMs: number;
  /** Milliseconds since the last complete round; `null` before the first. */
  readonly sinceCompleteMs: number | null;
  /** The last failure of a round, also after it was overcome; `null` when there was none. */
  readonly lastFailure: Failure | null;
}

/** The freshness changed. No new version: what is believed did not change. */
export interface FreshnessChangedEvent {
  /** The freshness just before. */
  readonly previous: Freshness;
  /** The freshness now. */
  readonly current: Freshness;
}

/** Every event and its arguments. */
export interface PeerDiscoveryEvents {
  /** A peer was removed. */
  peerRemoved: [event: PeerRemovedEvent];
  /** A peer was added. */
  peerAdded: [event: PeerAddedEvent];
  /** A peer has other addresses, or another port. */
  peerMoved: [event: PeerMovedEvent];
  /** The presence of a peer changed. */
  presenceChanged: [event: PresenceChangedEvent];
  /** Another pod is the primary, or nobody is. */
  primaryChanged: [event: PrimaryChangedEvent];
  /** The role of self changed. */
  roleChanged: [event: RoleChangedEvent];
  /** The topology changed: the last event of every transition. */
  topologyChanged: [event: TopologyChangedEvent];
  /** Answers came again, or failed. */
  freshnessChanged: [event: FreshnessChangedEvent];
  /** The library was closed: the last event of all. */
  closed: [];
}

/** One event, ready to emit. */
export type EmittedEvent = {
  [Name in keyof PeerDiscoveryEvents]: readonly [name: Name, ...PeerDiscoveryEvents[Name]];
}[keyof PeerDiscoveryEvents];

/**
 * The events that lead from one topology to the next, in the order of promise 13: removals, additions, moves,
 * presence (each by ordinal), primary, own role, and `topologyChanged` last. None when both are the same.
 */
export function transitionEvents(
  previous: Topology,
  current: Topology,
  causes: ReadonlyMap<number, Cause>,
  otherwise: Cause,
): EmittedEvent[] {
  if (previous === current) return [];
  const topologyVersion = current.version;
  const causeOf = (peer: Peer | null): Cause => (peer === null ? undefined : causes.get(peer.ordinal)) ?? otherwise;
  const kept: { readonly before: Peer; readonly now: Peer }[] = [];
  for (const now of current.peers) {
    const before = previous.peer(now.ordinal);
    if (before !== undefined && before !== now) kept.push({ before, now });
  }

  const events: EmittedEvent[] = [];
  for (const peer of previous.peers) {
    if (current.peer(peer.ordinal) !== undefined) continue;
    events.push(['peerRemoved', { topologyVersion, cause: causeOf(peer), previous: peer, current: null }]);
  }
  for (const peer of current.peers) {
    if (previous.peer(peer.ordinal) !== undefined) continue;
    events.push(['peerAdded', { topologyVersion, cause: causeOf(peer), previous: null, current: peer }]);
  }
  for (const { before, now } of kept) {
    if (sameAddresses(before, now) && before.port === now.port) continue;
    const gained = difference(now.addresses, before.addresses);
    const lost = difference(before.addresses, now.addresses);
    const cause = causeOf(now);
    events.push(['peerMoved', { topologyVersion, cause, previous: before, current: now, gained, lost }]);
  }
  for (const { before, now } of kept) {
    if (before.presence === now.presence) continue;
    events.push(['presenceChanged', { topologyVersion, cause: causeOf(now), previous: before, current: now }]);
  }
  if (previous.primary?.podName !== current.primary?.podName) {
    const moved = previous.designation.podName === current.designation.podName;
    const cause = moved ? causeOf(current.primary ?? previous.primary) : 'policy';
    const { designation } = current;
    events.push([
      'primaryChanged',
      { topologyVersion, cause, previous: previous.primary, current: current.primary, designation },
    ]);
  }
  if (previous.self !== null && current.self !== null && previous.self.role !== current.self.role) {
    const { role } = current.self;
    const cause = previous.designation.podName === current.designation.podName ? causeOf(current.self) : 'policy';
    events.push(['roleChanged', { topologyVersion, cause, previous: previous.self.role, current: role }]);
  }
  const [, first] = events[0] ?? [];
  const cause = first !== undefined && 'cause' in first ? first.cause : otherwise;
  events.push(['topologyChanged', { topologyVersion, cause, previous, current }]);
  for (const [, event] of events) Object.freeze(event);
  return events;
}

/** The public view of the freshness at this time. */
export function freshnessAt({ state, since, completeAt, lastFailure }: FreshnessBelief, now: number): Freshness {
  return Object.freeze({
    state,
    stateForMs: now - since,
    sinceCompleteMs: completeAt === null ? null : now - completeAt,
    lastFailure,
  });
}

function difference(from: readonly PeerAddress[], without: readonly PeerAddress[]): readonly PeerAddress[] {
  return Object.freeze(from.filter(({ address }) => !without.some((other) => other.address === address)));
}

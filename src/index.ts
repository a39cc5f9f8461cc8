export { PeerDiscoveryError } from './errors.ts';
export { discoverPeers, observePeers } from './peer-discovery.ts';
export { fixedPrimary, lowestOrdinal } from './topology/primary.ts';

export type { Failure, PeerDiscoveryErrorCode, PeerDiscoveryErrorDetails } from './errors.ts';
export type { Identity, IdentitySource } from './identity/identity.ts';
export type { DiscoverOptions, ObserveOptions, SharedOptions, WaitOptions } from './options.ts';
export type { PeerDiscovery } from './peer-discovery.ts';
export type { Cause, Family } from './topology/belief.ts';
export type {
  Freshness,
  FreshnessChangedEvent,
  PeerAddedEvent,
  PeerDiscoveryEvents,
  PeerMovedEvent,
  PeerRemovedEvent,
  PresenceChangedEvent,
  PrimaryChangedEvent,
  RoleChangedEvent,
  TopologyChangedEvent,
  TransitionEvent,
} from './topology/events.ts';
export type { Explanation, Finding, FindingCode } from './topology/explanation.ts';
export type {
  LowestOrdinalOptions,
  PolicyDecision,
  PolicyPeer,
  PolicyView,
  PrimaryPolicy,
} from './topology/primary.ts';
export type { Target } from './topology/target.ts';
export type { Designation, Peer, PeerAddress, Presence, Role, Topology } from './topology/topology.ts';

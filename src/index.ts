export { PeerDiscoveryError } from './errors.ts';
export { discoverPeers, observePeers } from './peer-discovery.ts';
export { fixedPrimary, lowestOrdinal } from './topology/primary.ts';

export type { PoolStats } from './connect/addresses.ts';
export type { ConnectOptions } from './connect/connect.ts';
export type { LookupError, PeerLookup } from './connect/lookup.ts';
export type { WorkerContext, WorkerHandle, WorkerOptions } from './connect/worker.ts';
export type { ConnectionMessage, QuestionMessage, WorkerMessage } from './diagnostics.ts';
export type { Failure, PeerDiscoveryErrorCode, PeerDiscoveryErrorDetails } from './errors.ts';
export type { Identity, IdentitySource } from './identity/identity.ts';
export type { DiscoverOptions, ObserveOptions, SharedOptions, WaitOptions } from './options.ts';
export type { PeerDiscovery, Stats } from './peer-discovery.ts';
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
export type { QuestionCounts } from './watch/watcher.ts';

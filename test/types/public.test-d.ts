// Compiled, never run: tsc is the test. Each @ts-expect-error is a promise that the line below it does not compile.
import { PeerDiscoveryError, discoverPeers, fixedPrimary, lowestOrdinal, observePeers } from '../../src/index.ts';
import type {
  DiscoverOptions,
  Peer,
  PeerAddress,
  PeerDiscovery,
  PeerDiscoveryErrorCode,
  PeerDiscoveryEvents,
  PrimaryPolicy,
  Role,
  Topology,
} from '../../src/index.ts';

type Equal<One, Two> = (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Two ? 1 : 2 ? true : false;

/** Compiles only where the claim is `true`. */
declare function holds<Claim extends true>(): void;

export function aMemberHasASelfAndAnObserverHasNone(): void {
  const member = discoverPeers();
  const observer = observePeers({ statefulSet: 'web', service: 'nginx' });
  holds<Equal<typeof member.self, Peer>>();
  holds<Equal<typeof observer.self, null>>();
  holds<Equal<typeof member.topology, Topology>>();
  void member.waitForLower();
  // @ts-expect-error An observer has no lower ordinals.
  void observer.waitForLower();
  // Code that serves both takes either.
  const either: PeerDiscovery[] = [member, observer];
  holds<Equal<(typeof either)[number]['self'], Peer | null>>();
}

export function anObserverMustNameItsSet(): void {
  // @ts-expect-error service is missing
  observePeers({ statefulSet: 'web' });
  // @ts-expect-error both are missing
  observePeers();
  // @ts-expect-error An observer is no pod.
  observePeers({ statefulSet: 'web', service: 'nginx', podName: 'web-1' });
}

export function optionsAreClosed(): void {
  // @ts-expect-error no such option
  discoverPeers({ prot: 'peer' });
  // @ts-expect-error The bounds stand in refresh.
  discoverPeers({ minIntervalMs: 100 });
  const options: DiscoverOptions = { port: 7000, refresh: { minIntervalMs: 500 } };
  // @ts-expect-error Options are read once and not written.
  options.port = 8000;
}

export function everyEventIsTyped(peers: PeerDiscovery): void {
  peers.on('peerAdded', ({ previous, current }) => {
    holds<Equal<typeof previous, null>>();
    holds<Equal<typeof current, Peer>>();
  });
  peers.on('peerRemoved', ({ previous, current }) => {
    holds<Equal<typeof previous, Peer>>();
    holds<Equal<typeof current, null>>();
  });
  peers.on('peerMoved', ({ gained, lost, topologyVersion, cause }) => {
    holds<Equal<typeof gained, readonly PeerAddress[]>>();
    holds<Equal<typeof lost, readonly PeerAddress[]>>();
    holds<Equal<typeof topologyVersion, number>>();
    holds<Equal<typeof cause, 'answer' | 'absence' | 'claim' | 'stranger' | 'self' | 'policy'>>();
  });
  peers.on('primaryChanged', ({ current }) => {
    holds<Equal<typeof current, Peer | null>>();
  });
  peers.on('roleChanged', ({ current }) => {
    holds<Equal<typeof current, Role>>();
  });
  peers.on('topologyChanged', ({ previous }) => {
    holds<Equal<typeof previous, Topology>>();
  });
  peers.on('closed', () => undefined);
  // @ts-expect-error no such event
  peers.on('peerChanged', () => undefined);
  holds<
    Equal<
      keyof PeerDiscoveryEvents,
      | 'peerRemoved'
      | 'peerAdded'
      | 'peerMoved'
      | 'presenceChanged'
      | 'primaryChanged'
      | 'roleChanged'
      | 'topologyChanged'
      | 'freshnessChanged'
      | 'closed'
    >
  >();
}

export function snapshotsAreReadonly(topology: Topology, peer: Peer): void {
  // @ts-expect-error frozen
  topology.version = 1;
  // @ts-expect-error frozen
  topology.peers.push(peer);
  // @ts-expect-error frozen
  peer.role = 'primary';
  holds<Equal<ReturnType<Topology['peer']>, Peer | undefined>>();
}

export async function aWaiterGivesWhatItWaitedFor(peers: PeerDiscovery): Promise<void> {
  const [first, primary, byOrdinal] = await Promise.all([
    peers.waitFor(({ peers: [lowest] }) => lowest?.ordinal ?? null),
    peers.waitForPrimary({ timeoutMs: 1_000, stableForMs: 100 }),
    peers.waitForPeer(0),
  ]);
  holds<Equal<typeof first, number>>();
  holds<Equal<typeof primary, Peer>>();
  holds<Equal<typeof byOrdinal, Peer>>();
  await Promise.all([peers.waitForPeer('web-1'), peers.waitForPeer(primary), peers.waitForPeer('replica')]);
  peers.report(primary, 'unreachable', '10.0.0.7');
  // @ts-expect-error Only these two words.
  peers.report(primary, 'down', '10.0.0.7');
}

export async function itIsDisposable(): Promise<void> {
  await using peers = discoverPeers({ primary: false });
  await peers.ready();
}

export function aPolicyIsAFunctionOfAView(): void {
  const highest: PrimaryPolicy = ({ peers }) => peers.at(-1)?.podName ?? null;
  for (const primary of [highest, fixedPrimary(), lowestOrdinal({ quorum: 2 }), false as const]) {
    discoverPeers({ primary });
  }
  // @ts-expect-error A policy sees no addresses, since an address is no identity.
  discoverPeers({ primary: ({ peers }) => peers[0]?.addresses[0] ?? null });
  // @ts-expect-error A policy is synchronous.
  discoverPeers({ primary: () => Promise.resolve('web-0') });
}

export function errorCodesAreClosed(error: unknown): string {
  const found = PeerDiscoveryError.from(error);
  if (found === undefined) return '';
  holds<Equal<typeof found.code, PeerDiscoveryErrorCode>>();
  // @ts-expect-error no such code
  if (found.code === 'ERR_OTHER') return '';
  return found.message;
}

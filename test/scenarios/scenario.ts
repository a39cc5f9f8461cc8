import assert from 'node:assert/strict';
import type { DnsTransport } from '../../src/dns/transport.ts';
import type { Environment } from '../../src/identity/environment.ts';
import type { SharedOptions } from '../../src/options.ts';
import type { PeerDiscovery } from '../../src/peer-discovery.ts';
import { createMember, createObserver } from '../../src/peer-discovery.ts';
import { ClusterHistory } from '../../src/testing/cluster-state.ts';
import { EmbeddedDns } from '../../src/testing/embedded-dns.ts';
import { memoryTransport } from '../../src/testing/memory-transport.ts';
import type { Pod } from '../../src/testing/pod.ts';
import type { StatefulSet } from '../../src/testing/stateful-set.ts';
import type { TestClusterOptions } from '../../src/testing/test-cluster.ts';
import { TestCluster } from '../../src/testing/test-cluster.ts';
import type { Freshness } from '../../src/topology/events.ts';
import type { Peer } from '../../src/topology/topology.ts';
import { at, podEnvironment, record } from '../support/member.ts';
import type { Fault, View } from '../support/scripted-dns.ts';
import { ScriptedDns } from '../support/scripted-dns.ts';
import { watchInvariants } from './invariants.ts';
import type { StagedTime } from './time.ts';
import { stageTime } from './time.ts';

/** Whose eyes a scenario is seen with, and from when on. */
interface Setting {
  /** Default: an observer. */
  readonly self?: `web-${number}`;
  readonly options?: SharedOptions;
  /**
   * `start`: the library is as young as its world, and its first answers are the first phase's. Default `quiet`: the
   * world was there before, and nothing has happened for so long that the topology is version 1 and DNS is asked every 5 s.
   */
  readonly from?: 'start' | 'quiet';
}

/** A cluster that behaves by rule. Its pods are at 10.244.0.2, .3, … in the order in which they come. */
export interface ClusterSetting extends Setting {
  readonly cluster: TestClusterOptions;
}

/** Answers that no cluster would give by rule. */
export interface ScriptedSetting extends Setting {
  readonly dns: View | Fault;
  /** Self's own. */
  readonly addresses?: readonly string[];
}

/** What the verbs of a phase are spoken to. */
export interface ClusterWorld {
  readonly cluster: TestCluster;
  readonly set: StatefulSet;
  readonly dns: EmbeddedDns;
  readonly peers: PeerDiscovery;
  readonly pod: (name: string) => Pod;
  /** `resolv.conf` names this server from now on: see {@link nameservers}. */
  readonly resolveWith: (nameserver: keyof typeof nameservers) => void;
}

/** What is done, how long it lasts, and exactly what comes of it. */
interface Outcome {
  readonly forMs: number;
  /** All events of the phase in their order, as `record` of test/support/member.ts writes them. */
  readonly events: readonly string[];
  /** Everybody after the phase, as {@link textOf} writes them: `missing 10.0.0.2`. Default: as after the phase before. */
  readonly peers?: Readonly<Record<string, string>>;
  /** After the phase. Default: `fresh`. */
  readonly freshness?: Freshness['state'];
  /** After the phase, by name. Default: as after the phase before. */
  readonly primary?: string | null;
}

/** What is said to the world. */
type Verb = (world: ClusterWorld) => unknown;

/** A phase of a cluster: verbs. */
export interface ClusterPhase extends Outcome {
  readonly do?: Verb | readonly Verb[];
}

/** A phase of a script: from now on DNS says this; several views take turns. */
export interface ScriptedPhase extends Outcome {
  readonly dns?: View | Fault | readonly (View | Fault)[];
  readonly do?: (world: { readonly dns: ScriptedDns; readonly peers: PeerDiscovery }) => unknown;
}

/** Either of them, as the runner takes it. */
interface AnyPhase extends Outcome {
  readonly dns?: View | Fault | readonly (View | Fault)[];
  readonly do?: ((world: never) => unknown) | readonly ((world: never) => unknown)[];
}

/** The servers that a `resolv.conf` can name. */
export const nameservers = {
  /** The cluster's own. */
  '10.96.0.10': 'cluster',
  /** A company's: it knows its own zone, and asks the root about everything else. */
  '192.0.2.53': 'forwarded',
  /** A resolver for its own customers only. */
  '192.0.2.54': 'refused',
} as const;

/**
 * One test: what the library sees, phase by phase, and says of it. In memory, under fake timers, the same each time;
 * SCENARIO_SEED draws another jitter of polling, which must change nothing.
 */
export function scenario(name: string, setting: ClusterSetting, phases: readonly ClusterPhase[]): void;
export function scenario(name: string, setting: ScriptedSetting, phases: readonly ScriptedPhase[]): void;
export function scenario(name: string, setting: ClusterSetting | ScriptedSetting, phases: readonly AnyPhase[]): void {
  it(name, async () => {
    await play(
      setting,
      'cluster' in setting ? (time) => onCluster(setting, time) : async () => onScript(setting),
      phases,
    );
  });
}

/** `10.0.0.1+fd00::1`, behind the presence where it is not `published`, before the port where it is not 7000. */
function textOf(peer: Peer): string {
  const presence = peer.presence === 'published' ? '' : `${peer.presence} `;
  return `${presence}${at(peer)}${peer.port === 7_000 || peer.port === null ? '' : `:${peer.port}`}`;
}

/** The library in its world, told what a phase says. */
interface Stage {
  readonly peers: PeerDiscovery;
  begin(phase: AnyPhase): void;
  close(): Promise<void>;
}

async function play(
  setting: Setting,
  open: (time: StagedTime) => Promise<Stage>,
  phases: readonly AnyPhase[],
): Promise<void> {
  const time = stageTime(Number(process.env['SCENARIO_SEED'] ?? 1));
  try {
    const stage = await open(time);
    const { peers } = stage;
    try {
      const broken = watchInvariants(peers);
      if (setting.from !== 'start') {
        await time.pass(quietForMs);
        assert.equal(peers.topology.version, 1, 'the scenario begins before all is quiet');
      }
      const lines = record(peers);
      let expected = stateOf(peers);
      for (const [index, phase] of phases.entries()) {
        stage.begin(phase);
        await time.pass(phase.forMs);
        const { events, freshness = 'fresh', primary = expected.primary, peers: all = expected.peers } = phase;
        expected = { peers: all, freshness, primary };
        assert.deepEqual(lines.splice(0), events, `events of phase ${index + 1}`);
        assert.deepEqual(stateOf(peers), expected, `after phase ${index + 1}`);
      }
      assert.deepEqual(broken, []);
    } finally {
      await stage.close();
    }
    assert.equal(time.timers(), 0, 'a timer is left');
  } finally {
    time.end();
  }
}

function stateOf({ topology, freshness }: PeerDiscovery): Required<Pick<Outcome, 'peers' | 'freshness' | 'primary'>> {
  return {
    peers: Object.fromEntries(topology.peers.map((peer) => [peer.podName, textOf(peer)])),
    freshness: freshness.state,
    primary: topology.primary?.podName ?? null,
  };
}

async function onCluster({ self, options, from, cluster: manifest }: ClusterSetting, time: StagedTime): Promise<Stage> {
  const cluster = await TestCluster.start({ ...manifest, dns: { seed: 1, ...manifest.dns } });
  const { dns, statefulSet: set } = cluster;
  if (from !== 'start') await time.pass(clusterSettlesInMs);
  let nameserver = '10.96.0.10';
  const machine = podEnvironment(self ?? observerName, self === undefined ? [] : cluster.pod(self).addresses);
  const environment: Environment = {
    ...machine,
    readFile: (path) => machine.readFile(path)?.replace('10.96.0.10', nameserver) ?? null,
  };
  const servers = { '10.96.0.10': dns, '192.0.2.53': outsider('forwarded'), '192.0.2.54': outsider('refused') };
  const transport = memoryTransport(({ address }) => (isNameserver(address) ? servers[address] : null));
  const peers = libraryOf(self, options, environment, transport);
  const world: ClusterWorld = {
    cluster,
    set,
    dns,
    peers,
    pod: (name) => cluster.pod(name),
    resolveWith(address) {
      nameserver = address;
    },
  };
  return {
    peers,
    begin(phase) {
      for (const verb of [(phase as ClusterPhase).do ?? []].flat()) verb(world);
    },
    async close() {
      await peers.close();
      await cluster.close();
    },
  };
}

function onScript({ self, options, dns: view, addresses }: ScriptedSetting): Stage {
  const dns = new ScriptedDns();
  dns.views = [view];
  const known = typeof view === 'object' && self !== undefined ? view[self] : undefined;
  const own = addresses ?? (known === undefined ? [] : [known].flat());
  const peers = libraryOf(self, options, podEnvironment(self ?? observerName, own), dns);
  return {
    peers,
    begin(phase) {
      if (phase.dns !== undefined) dns.views = [phase.dns].flat();
      (phase as ScriptedPhase).do?.({ dns, peers });
    },
    close: () => peers.close(),
  };
}

/** Replicas of DNS that are behind, and caches, know of the newest pod then. */
const clusterSettlesInMs = 120_000;
/** The minimum interval is kept for 15 s after a change. */
const quietForMs = 20_000;
const observerName = 'writer-7d9c5b6f4-x2x9z';

function libraryOf(
  self: string | undefined,
  options: SharedOptions | undefined,
  environment: Environment,
  transport: DnsTransport,
): PeerDiscovery {
  const ground = { environment, transport };
  if (self !== undefined) return createMember({ port: 'peer', ...options }, ground);
  return createObserver({ statefulSet: 'web', service: 'nginx', port: 'peer', ...options }, ground);
}

/** A resolver that does not know the cluster's zone. */
function outsider(outside: 'forwarded' | 'refused'): EmbeddedDns {
  const nothing = { resourceVersion: 1, namespaces: [], services: [], endpointSlices: [] };
  return new EmbeddedDns(new ClusterHistory(nothing), { clusterDomain: 'corp.example', outside });
}

function isNameserver(address: string): address is keyof typeof nameservers {
  return Object.hasOwn(nameservers, address);
}

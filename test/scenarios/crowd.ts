import type { PeerDiscovery } from '../../src/peer-discovery.ts';
import { createMember, createObserver } from '../../src/peer-discovery.ts';
import type { Pod } from '../../src/testing/pod.ts';
import { TestCluster } from '../../src/testing/test-cluster.ts';
import { fixedPrimary, lowestOrdinal } from '../../src/topology/primary.ts';
import type { Peer } from '../../src/topology/topology.ts';
import { podEnvironment } from '../support/member.ts';
import { AnswerLog } from './answer-log.ts';
import { watchInvariants } from './invariants.ts';
import type { Step, World } from './steps.ts';
import { addFault } from './steps.ts';
import type { Windows } from './witness.ts';
import { watchAnswers } from './witness.ts';

/** A process with the library in it. */
interface Process {
  readonly name: string;
  readonly peers: PeerDiscovery;
  readonly log: AnswerLog;
  readonly broken: readonly (readonly string[])[];
  /** `null` for the observer. */
  readonly pod: Pod | null;
}

// Short, so that a walk is short; a removal never takes less than four negative TTLs.
const absence = { missingAfterMs: 10_000, removeAfterMs: 25_000 };
const refresh = { minIntervalMs: 1_000, maxIntervalMs: 5_000 };
const deadlineMs = 5_000;
// As docs/architecture.md has them: taken from the source, a wrong constant would agree with itself.
const negativeTtls = 4;
const holdMs = 15_000;
const barMs = 15_000;
const supersededUnseenMs = 90_000;

/**
 * Members in the first two pods, an observer outside, and the cluster that they live in. A member lives as long as its
 * pod's container: it ends with its pod, and the next pod has another; on a node that is cut off it can live on.
 */
export class Crowd {
  readonly #world: World;
  readonly #cluster: TestCluster;
  readonly #processes = new Set<Process>();
  readonly #frozen: Disposable[] = [];
  readonly #lost = new Set<Pod>();
  readonly #broken: string[] = [];
  readonly #closing: Promise<void>[] = [];
  #reportedAt = -Infinity;

  private constructor(world: World, cluster: TestCluster) {
    this.#world = world;
    this.#cluster = cluster;
    cluster.statefulSet.on('podStarted', (pod) => {
      if (pod.ordinal < 2) this.#join(pod);
    });
    cluster.statefulSet.on('podDeleted', (pod) => {
      if (!this.#lost.has(pod)) this.#end(pod);
    });
  }

  static async gather(world: World): Promise<Crowd> {
    const { dnsReplicas, ttlSeconds, isDualStack, seed, replicas, podManagementPolicy } = world;
    const { publishNotReadyAddresses, stopMs, startMs, readyMs } = world;
    const cluster = await TestCluster.start({
      ...{ replicas, podManagementPolicy, publishNotReadyAddresses, stopMs, startMs, readyMs },
      create: false,
      network: { podCidrs: isDualStack ? ['10.244.0.0/24', 'fd00:10:244::/112'] : ['10.244.0.0/24'] },
      dns: { replicas: dnsReplicas, ttlSeconds, seed, balance: 'random' },
    });
    const crowd = new Crowd(world, cluster);
    crowd.#join(null);
    cluster.statefulSet.create();
    return crowd;
  }

  /**
   * How long after the cluster has come to rest and DNS is well everybody can be wrong, derived from the design: how old
   * an answer can still be, the round that was under way and the longest interval until the next, then the longest of
   * what a true answer has to wait for: the absence window (four negative TTLs), a bar and a doubt one after the other,
   * 90 s until a replaced process notices. The last round of each of them costs one more interval of the shortest kind,
   * with its jitter of a tenth; and a doubt can begin one such interval after the first true answer.
   */
  get agreementMs(): number {
    const { dnsReplicas, ttlSeconds } = this.#world;
    const ageMs = Math.max(
      ...dnsReplicas.map(({ lagMs = 0, cache }) => {
        const seconds = typeof cache === 'number' ? cache : (cache?.successSeconds ?? 0);
        return lagMs + seconds * 1_000;
      }),
    );
    const nextAnswerMs = deadlineMs + refresh.maxIntervalMs;
    const windowMs = Math.max(
      absence.removeAfterMs,
      negativeTtls * ttlSeconds * 1_000,
      barMs + holdMs,
      supersededUnseenMs,
    );
    return ageMs + nextAnswerMs + windowMs + 2 * 1.1 * refresh.minIntervalMs;
  }

  /** After how long of absence nobody may be missing, or gone, sooner: a cache shows what is left of a negative TTL. */
  get #windows(): Windows {
    const { dnsReplicas, ttlSeconds } = this.#world;
    const isCached = dnsReplicas.some(({ cache }) => cache !== undefined);
    const negativeMs = isCached ? 0 : negativeTtls * ttlSeconds * 1_000;
    return { ...absence, removeAfterMs: Math.max(absence.removeAfterMs, negativeMs), deadlineMs };
  }

  take(step: Step): void {
    const { statefulSet: set, dns } = this.#cluster;
    switch (step.kind) {
      case 'delete':
        for (const ordinal of step.ordinals) this.#pod(ordinal)?.delete();
        break;
      case 'scale':
        set.scale(step.replicas);
        break;
      case 'moveOrdinals':
        set.setOrdinalStart(step.start);
        break;
      case 'rollout':
        set.rollout();
        break;
      case 'handOver': {
        const [from, to] = [this.#pod(step.from), this.#pod(step.to)];
        if (from === undefined || to === undefined || from === to || from.addresses.length === 0) return;
        // A process that lives on is still at its address: nobody else can be.
        if (this.#lost.has(from)) return;
        set.giveAddress(to.name, from.addresses);
        from.delete();
        to.delete();
        break;
      }
      case 'loseNode':
        this.#loseNode(step.ordinal, step.survives);
        break;
      case 'forceDelete':
        this.#pod(step.ordinal)?.forceDelete();
        break;
      case 'report':
        this.#reportedAt = performance.now();
        for (const { peers } of this.#processes) {
          const [address] = peers.topology.peer(step.ordinal)?.addresses ?? [];
          if (address !== undefined) peers.report(step.ordinal, step.what, address.address);
        }
        break;
      case 'freeze':
        if (step.replica < this.#world.dnsReplicas.length) this.#frozen.push(dns.freezeReplica(step.replica));
        break;
      case 'fault':
        addFault(dns, step);
        break;
      case 'heal':
        this.#healDns();
        break;
      case 'wait':
        break;
    }
  }

  /** DNS is well, and whoever was on a lost node is replaced. */
  endFaults(): void {
    this.#healDns();
    for (const pod of this.#cluster.statefulSet.pods) if (this.#lost.has(pod)) pod.forceDelete();
  }

  /** Every pod that is wanted is Ready, and no other is left. */
  isSettled(): boolean {
    const { pods, replicas } = this.#cluster.statefulSet;
    return pods.length === replicas && pods.every((pod) => pod.isReady && !pod.isTerminating);
  }

  /** What did not hold so far. */
  broken(): string[] {
    return [
      ...this.#broken,
      ...[...this.#processes].flatMap(({ name, broken }) => broken.flat().map((one) => `${name}: ${one}`)),
    ];
  }

  /** Who believes something else than the cluster is. */
  disagreements(): string[] {
    const truth = new Map(this.#cluster.statefulSet.pods.map((pod) => [pod.name, pod]));
    const wanted = [...truth.values()].map((pod) => `${pod.name} published ${pod.addresses.join('+')}`);
    return [...this.#processes].flatMap(({ name, peers, pod }) => {
      const believed = peers.topology.peers.filter((peer) => !peer.isSelf).map(textOf);
      const others = wanted.filter((_, index) => [...truth.keys()][index] !== pod?.name);
      const { self, primary } = peers.topology;
      const own = pod === null || self === null ? [] : [this.#own(pod, truth.get(pod.name), self)];
      return [
        ...differ(name, believed, others),
        ...differ(`${name} of itself`, self === null ? [] : [textOf(self)], own),
        // Whom a process designates whose name was taken and is now nobody's is left aside: it has no part any more.
        ...(self?.presence === 'superseded' && !truth.has(self.podName)
          ? []
          : differ(`${name}: the primary`, primary?.podName ?? null, primaryFor(this.#world.quorum, self, truth))),
        ...differ(`${name}: the freshness`, peers.freshness.state, 'fresh'),
      ];
    });
  }

  versions(): number[] {
    return [...this.#processes].map(({ peers }) => peers.topology.version);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#closing, ...[...this.#processes].map(({ peers }) => peers.close())]);
    await this.#cluster.close();
  }

  /** A member that lost its name is superseded where another pod has it; only an own address ends that. */
  #own(pod: Pod, holder: Pod | undefined, { presence }: Peer): string {
    const lost = presence === 'superseded' ? presence : 'unpublished';
    return `${pod.name} ${holder === undefined ? lost : holder === pod ? 'published' : 'superseded'} ${pod.addresses.join('+')}`;
  }

  #pod(ordinal: number): Pod | undefined {
    return this.#cluster.statefulSet.pods.find((pod) => pod.ordinal === ordinal);
  }

  #loseNode(ordinal: number, survives: boolean): void {
    const pod = this.#pod(ordinal);
    if (pod === undefined || pod.phase !== 'Running' || this.#lost.has(pod)) return;
    pod.loseNode({ processSurvives: survives });
    this.#lost.add(pod);
    if (!survives) this.#end(pod);
  }

  #healDns(): void {
    this.#cluster.dns.heal();
    for (const frozen of this.#frozen.splice(0)) frozen[Symbol.dispose]();
  }

  #join(pod: Pod | null): void {
    const transport = new AnswerLog(this.#cluster.transport(), 'nginx.default.svc.cluster.local');
    const environment = podEnvironment(pod?.name ?? 'writer-7d9c5b6f4-x2x9z', pod?.addresses ?? []);
    const { quorum } = this.#world;
    const primary = quorum === null ? fixedPrimary() : lowestOrdinal({ quorum });
    const options = { port: 'peer', absence, refresh, dns: { deadlineMs }, primary };
    const peers: PeerDiscovery =
      pod === null
        ? createObserver({ ...options, statefulSet: 'web', service: 'nginx' }, { environment, transport })
        : createMember(options, { environment, transport });
    const name = pod === null ? 'observer' : `${pod.name}#${pod.uid}`;
    const broken = [watchInvariants(peers), watchAnswers(peers, transport, this.#windows, () => this.#reportedAt)];
    this.#processes.add({ name, peers, log: transport, broken, pod });
  }

  #end(pod: Pod): void {
    for (const process of this.#processes) {
      if (process.pod !== pod) continue;
      this.#broken.push(...process.broken.flat().map((one) => `${process.name}: ${one}`));
      this.#processes.delete(process);
      this.#closing.push(process.peers.close());
    }
  }
}

/** Whom the policy means, where that pod is there; a process that lost its name is no primary. */
function primaryFor(quorum: number | null, self: Peer | null, truth: ReadonlyMap<string, Pod>): string | null {
  const names = [...truth.keys()];
  const designated = quorum === null ? 'web-0' : names.length < quorum ? null : (names[0] ?? null);
  if (self !== null && self.podName === designated) return self.presence === 'superseded' ? null : designated;
  return designated !== null && truth.has(designated) ? designated : null;
}

function textOf({ podName, presence, addresses }: Peer): string {
  return `${podName} ${presence} ${addresses.map(({ address }) => address).join('+')}`;
}

function differ(what: string, is: unknown, wanted: unknown): string[] {
  const [one, other] = [JSON.stringify(is), JSON.stringify(wanted)];
  return one === other ? [] : [`${what} is ${one}, and should be ${other}`];
}

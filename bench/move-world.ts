import { once } from 'node:events';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { createMember } from '../src/peer-discovery.ts';
import type { Pod, PodProcess } from '../src/testing/pod.ts';
import type { StatefulSet } from '../src/testing/stateful-set.ts';
import type { Variables } from '../src/testing/test-cluster.ts';
import { TestCluster } from '../src/testing/test-cluster.ts';
import { createIdentityGuard } from '../src/undici.ts';
import { clock } from './support/clock.ts';
import { PodServer } from './support/pod-server.ts';
import { SilentPod } from './support/silent-pod.ts';

/** What becomes of the address that web-1 had. */
export const variants = {
  refuses: 'the old IP refuses',
  drops: 'the old IP drops packets',
  reused: 'the old IP is another pod’s at once',
  late: 'the same, and DNS names it for 1 s more',
} as const;

export type Variant = keyof typeof variants;

/** How a move went. Times are the {@link clock}'s. */
export interface Move {
  /** The old pod answers no more. */
  readonly goneAt: number;
  /** DNS has the new address. */
  readonly recordAt: number;
  /** What the new pod answers. */
  readonly by: string;
  /** What the old one answered. */
  readonly wasBy: string;
  /** How many connections each contestant had to the old pod at the end: each may carry a request. */
  readonly open: Readonly<Record<string, number>>;
}

const port = 7_000;

/** A cluster on loopback in which web-1 will move, once. */
export class World {
  readonly variant: Variant;
  readonly #cluster: TestCluster;
  /** Of somebody else, none at first; its first pod gets the old address. */
  readonly #others: StatefulSet;
  readonly #ends: (() => Promise<unknown>)[];
  readonly #pods: ReadonlyMap<Pod, RunningPod>;
  readonly #lagMs: number;

  private constructor(
    variant: Variant,
    made: {
      readonly cluster: TestCluster;
      readonly others: StatefulSet;
      readonly ends: (() => Promise<unknown>)[];
      readonly pods: ReadonlyMap<Pod, RunningPod>;
      readonly lagMs: number;
    },
  ) {
    this.variant = variant;
    this.#cluster = made.cluster;
    this.#others = made.others;
    this.#ends = made.ends;
    this.#pods = made.pods;
    this.#lagMs = made.lagMs;
  }

  /** @param podCidr - addresses that nobody else uses */
  static async start(variant: Variant, ttlSeconds: number, podCidr: string): Promise<World> {
    const pods = new Map<Pod, RunningPod>();
    const ends: (() => Promise<unknown>)[] = [];
    const run = (pod: Pod, variables: Variables): PodProcess => {
      const isSilent =
        variant === 'drops' && pod.name === 'web-1' && ![...pods.keys()].some(({ name }) => name === pod.name);
      const running = new RunningPod(pod, variables, isSilent);
      pods.set(pod, running);
      ends.push(() => running.end());
      return running;
    };
    const lagMs = variant === 'late' ? 1_000 : 0;
    const cluster = await TestCluster.start({
      sockets: true,
      network: { podCidrs: [podCidr] },
      dns: { ttlSeconds, replicas: [{ lagMs }] },
      run,
    });
    cluster.addService({ name: 'cache', selector: { app: 'cache' }, ports: [{ name: 'peer', port }] });
    const others = cluster.addStatefulSet({
      ...{ name: 'cache', serviceName: 'cache', replicas: 0 },
      run: (pod) => run(pod, cluster.environmentOf(pod.name)),
    });
    await cluster.statefulSet.settled();
    // Until DNS has them.
    await sleep(lagMs);
    return new World(variant, { cluster, others, ends, pods, lagMs });
  }

  get dns(): string {
    return this.#cluster.dnsServer;
  }

  get service(): string {
    return this.#cluster.stableName('').slice(1);
  }

  get port(): number {
    return port;
  }

  /** Deletes web-1; its successor gets another address. */
  async move(): Promise<Move> {
    const { statefulSet } = this.#cluster;
    const pod = this.#cluster.pod('web-1');
    const [address = ''] = pod.addresses;
    const running = this.#pods.get(pod);
    if (running === undefined) throw new Error('web-1 does not run');
    const open = await running.silence();
    const goneAt = clock();
    const ready = once(statefulSet as never, 'podReady');
    pod.delete({ gracePeriodMs: 0 });
    await running.stopped;
    if (this.variant === 'reused' || this.variant === 'late') {
      this.#others.giveAddress('cache-0', address);
      this.#others.scale(1);
    }
    await ready;
    const recordAt = clock() + this.#lagMs;
    await Promise.all([statefulSet.settled(), this.#others.settled()]);
    return { goneAt, recordAt, open, by: byOf(this.#cluster.pod('web-1')), wasBy: byOf(pod) };
  }

  async close(): Promise<void> {
    await Promise.all([this.#cluster.close(), ...this.#ends.map((end) => end())]);
  }
}

/** A pod that answers who it is, and refuses what is meant for another (whoever wants that). */
class RunningPod implements PodProcess {
  readonly stopped: Promise<void>;
  readonly #server: PodServer | SilentPod;
  readonly #close: () => Promise<void>;

  constructor(pod: Pod, variables: Variables, isSilent: boolean) {
    const [address = ''] = pod.addresses;
    const options = { address, port, by: byOf(pod) };
    if (isSilent) {
      this.#server = new SilentPod(options);
      this.#close = () => Promise.resolve();
    } else {
      const environment = { hostname: () => pod.name, variables, readFile: () => null, pause: () => undefined };
      const peers = createMember({}, { environment });
      this.#server = new PodServer({ ...options, guard: createIdentityGuard(peers) });
      this.#close = () => peers.close();
    }
    this.stopped = this.#server.stopped;
    void this.#server.listen().then(() => {
      pod.markReady();
    });
  }

  /** The end of it, or of what it says. Tells who had how many connections. */
  async silence(): Promise<Readonly<Record<string, number>>> {
    if (this.#server instanceof SilentPod) return await this.#server.drop();
    // What has come is taken first, so that it is counted.
    await setImmediate();
    const connections = this.#server.connections();
    this.#server.kill();
    return connections;
  }

  stop(): void {
    this.kill();
  }

  kill(): void {
    this.#server.kill();
  }

  async end(): Promise<void> {
    this.kill();
    if (this.#server instanceof SilentPod) await this.#server.end();
    await this.#close();
  }
}

function byOf(pod: Pod): string {
  return `${pod.name}#${pod.uid}`;
}

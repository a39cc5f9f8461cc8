import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { filesOf } from '../../src/testing/pod-machine.ts';
import type { Pod, PodProcess } from '../../src/testing/pod.ts';
import type { TestClusterOptions } from '../../src/testing/test-cluster.ts';
import { TestCluster } from '../../src/testing/test-cluster.ts';
import { PodContainer } from './support/pod-container.ts';
import { ContainerNetwork } from './support/pod-network.ts';
import type { Runtime } from './support/runtime.ts';
import { temporaryDirectory } from './support/sweep.ts';
import { Waiting } from './support/waiting.ts';
import type { Windows } from './support/windows.ts';
import { absence, intervals } from './support/windows.ts';

/** A write that the writer tells of. */
export interface Write {
  readonly id: string;
  readonly status: number | null;
  readonly pod: string | null;
  readonly error: string | null;
}

/** What a deployment is made with. */
export interface DeploymentOptions {
  readonly runtime: Runtime;
  readonly windows: Windows;
  readonly cluster: Omit<TestClusterOptions, 'run' | 'network' | 'create' | 'sockets' | 'dns'>;
  /** The server that stands in this pod's resolv.conf; `null` for the writer's. */
  readonly nameserver: (network: ContainerNetwork, pod: Pod | null) => string;
  readonly writeEveryMs?: number;
}

/**
 * The example service as it is deployed: a container a pod, which knows who it is from its files alone, a volume a name, a
 * readiness probe; and a writer in a container of its own.
 */
export class Deployment {
  readonly network: ContainerNetwork;
  readonly cluster: TestCluster;
  readonly writes: Write[] = [];
  /** What containers printed beside their reports, as an exception that ended one, and why they did not start. */
  readonly troubles: string[] = [];
  readonly #options: DeploymentOptions;
  readonly #volumes = temporaryDirectory();
  readonly #agent = new Agent();
  readonly #running = new Map<PodContainer, View>();
  readonly #probes: Promise<void>[] = [];
  readonly #waiting = new Waiting();
  #published = '';
  #changedAt = performance.now();
  #writer: PodContainer | null = null;
  #isClosing = false;

  private constructor(options: DeploymentOptions, network: ContainerNetwork, start: StartCluster) {
    this.#options = options;
    this.network = network;
    this.cluster = start((pod) => this.#run(pod));
    this.cluster.statefulSet.on('changed', () => this.#noteChange());
  }

  /** The network and the cluster's objects; no pod is made before {@link TestCluster.statefulSet} is created. */
  static async prepare(options: DeploymentOptions): Promise<Deployment> {
    const network = await ContainerNetwork.create(options.runtime);
    let run: (pod: Pod) => PodProcess = () => {
      throw new Error('no pod is made before there is a deployment');
    };
    try {
      const cluster = await TestCluster.start({
        ...{ restartBackoffMs: 500, publishNotReadyAddresses: true },
        ...options.cluster,
        create: false,
        network: { podCidrs: [network.podCidr] },
        run: (pod) => run(pod),
      });
      return new Deployment(options, network, (runPod) => {
        run = runPod;
        return cluster;
      });
    } catch (error) {
      await network.close().catch(() => undefined);
      throw error;
    }
  }

  /** The pod's container; there is one while it runs. */
  container(podName: string): PodContainer {
    const found = [...this.#running].find(([, { pod }]) => pod.name === podName && !pod.isDeleted);
    if (found === undefined) throw new Error(`no container of ${podName} runs`);
    return found[0];
  }

  /** Starts the writer; it begins when it has found the primary. */
  startWriting(): void {
    const { runtime, windows, nameserver, writeEveryMs = 100 } = this.#options;
    const { namespace } = this.cluster.statefulSet;
    const zone = this.cluster.clusterDomain;
    const search = `search ${namespace}.svc.${zone} svc.${zone} ${zone}`;
    const writer = new PodContainer({
      runtime,
      program: 'examples/writer.js',
      args: [`--every-ms=${writeEveryMs}`, '--plain-port=0', ...intervals(windows)],
      hostname: 'writer-7d4b9c6f5-x2k9z',
      network: this.network,
      address: this.network.address(20),
      files: { '/etc/resolv.conf': `${search}\nnameserver ${nameserver(this.network, null)}\noptions ndots:5\n` },
      onSaid: (said) => {
        if (said['kind'] === 'write') this.writes.push(said as unknown as Write);
        this.#waiting.tell();
      },
    });
    this.#writer = writer;
    this.#note('the writer', writer);
  }

  /** Lets the writer finish, for at most a second. */
  async stopWriting(): Promise<void> {
    this.#writer?.stop();
    await this.#writer?.stopped;
  }

  /** Waits until so many more writes have been acknowledged. */
  async acknowledges(count: number): Promise<void> {
    const enough = this.acknowledged.length + count;
    await this.until(`${count} more acknowledged writes`, 30_000, () => this.acknowledged.length >= enough);
  }

  /** When what DNS publishes last changed (`performance.now()`). */
  get changedAt(): number {
    return this.#changedAt;
  }

  get acknowledged(): readonly string[] {
    return this.writes.filter(({ status }) => status === 200).map(({ id }) => id);
  }

  /**
   * Waits until every pod that runs believes what is so: who is there and where, and who is the primary.
   *
   * @returns how long the slowest took, in milliseconds, since then or, where it is younger, since it began
   */
  async converged(since: number, patienceMs: number): Promise<number> {
    const isSo = (): boolean => this.#members().every(({ seen }) => seen === this.#truth());
    await this.until('every pod to see the truth', patienceMs, isSo, () => {
      const views = this.#members().map(({ pod, seen }) => `${pod.name} sees ${seen}`);
      return [`it is ${this.#truth()}`, ...views, ...this.#outputs()].join('\n');
    });
    return Math.max(0, ...this.#members().map(({ beganAt, seenAt }) => seenAt - Math.max(since, beganAt)));
  }

  /** Waits until it is so; every report of a container and every change of the cluster is looked at. */
  until(what: string, patienceMs: number, isSo: () => boolean, state?: () => string): Promise<void> {
    return this.#waiting.until(what, patienceMs, isSo, state);
  }

  /** The IDs in the log of a pod. */
  async idsOf(podName: string): Promise<ReadonlySet<string>> {
    const { addresses } = this.cluster.pod(podName);
    const url = `http://${addresses[0]}:7000/log?follow=no`;
    const { body } = await request(url, { dispatcher: this.#agent, headersTimeout: 5_000 });
    const lines = (await body.text()).split('\n').filter((line) => line !== '');
    return new Set(lines.map((line) => (JSON.parse(line) as { readonly id: string }).id));
  }

  /** Ends and removes everything. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#writer?.kill();
    await this.#writer?.stopped.catch(() => undefined);
    await this.cluster.close();
    await Promise.all([...[...this.#running.keys()].map(({ stopped }) => stopped), ...this.#probes].map(settled));
    await this.#agent.destroy();
    rmSync(this.#volumes, { recursive: true, force: true });
  }

  #run(pod: Pod): PodProcess {
    const { runtime, windows, nameserver } = this.#options;
    const { clusterDomain } = this.cluster;
    const volume = join(this.#volumes, pod.name);
    mkdirSync(volume, { recursive: true });
    const view: View = { pod, beganAt: 0, seen: 'nothing', seenAt: 0 };
    const container = new PodContainer({
      runtime,
      program: 'examples/replicated-log.js',
      args: [...intervals(windows), ...absence(windows)],
      hostname: pod.name,
      network: this.network,
      address: pod.addresses[0] ?? '',
      files: filesOf(pod, { clusterDomain, nameserver: nameserver(this.network, pod) }),
      volume,
      onSaid: (said) => this.#hear(view, said),
    });
    this.#running.set(container, view);
    const end = (): void => {
      this.#running.delete(container);
      this.#waiting.tell();
    };
    container.stopped.then(end, end);
    this.#note(pod.name, container);
    this.#probes.push(this.#probe(pod, container));
    return container;
  }

  #hear(view: View, said: Readonly<Record<string, unknown>>): void {
    if (said['kind'] === 'hello') view.beganAt = performance.now();
    if (said['kind'] !== 'topology') return;
    const { primary, peers } = said as {
      readonly primary: string | null;
      readonly peers: Readonly<Record<string, string>>;
    };
    const seen = shown(primary, Object.entries(peers));
    if (seen === view.seen) return;
    view.seen = seen;
    view.seenAt = performance.now();
    this.#waiting.tell();
  }

  #note(name: string, { stopped, output }: PodContainer): void {
    const end = (): void => void this.troubles.push(...output.map((line) => `${name}: ${line}`));
    stopped.then(end, (error: unknown) => this.troubles.push(`${name}: ${String(error)}`));
  }

  /** Ready when the probe says so, as kubelet would ask: often at first, and no more then. */
  async #probe(pod: Pod, container: PodContainer): Promise<void> {
    let hasEnded = false;
    const end = (): void => void (hasEnded = true);
    container.stopped.then(end, end);
    const isOver = (): boolean => hasEnded || pod.isReady || pod.isTerminating || pod.isDeleted || this.#isClosing;
    while (!isOver()) {
      const isReady = await request(`http://${pod.addresses[0]}:7000/ready`, {
        dispatcher: this.#agent,
        headersTimeout: 1_000,
      }).then(
        ({ statusCode, body }) => body.dump().then(() => statusCode === 200),
        () => false,
      );
      if (isReady && !isOver()) pod.markReady();
      else await new Promise((resolve) => setTimeout(resolve, 100));
    }
    this.#waiting.tell();
  }

  #noteChange(): void {
    const { endpointSlices } = this.cluster.state;
    const endpoints = endpointSlices.flatMap((slice) => slice.endpoints);
    // The other conditions are none of DNS's.
    const published = endpoints.map(({ addresses, hostname, conditions }) => [addresses, hostname, conditions.ready]);
    const text = JSON.stringify(published);
    if (text !== this.#published) this.#changedAt = performance.now();
    this.#published = text;
    this.#waiting.tell();
  }

  #members(): View[] {
    return [...this.#running.values()].filter(({ pod }) => !pod.isTerminating && !pod.isDeleted);
  }

  #truth(): string {
    const { pods } = this.cluster.statefulSet;
    return shown(
      'web-0',
      pods.map(({ name, addresses }) => [name, `${addresses[0]}:7000`]),
    );
  }

  #outputs(): string[] {
    return [...this.#running].flatMap(([{ output }, { pod }]) => output.map((line) => `${pod.name}: ${line}`));
  }
}

type StartCluster = (run: (pod: Pod) => PodProcess) => TestCluster;

/** What the process in a pod believes. */
interface View {
  readonly pod: Pod;
  /** When its process said hello; 0 before. */
  beganAt: number;
  seen: string;
  /** Since when. */
  seenAt: number;
}

function shown(primary: string | null, peers: readonly (readonly [string, string])[]): string {
  const places = peers.map(([name, address]) => `${name} ${address}`).sort();
  return `${places.join(', ')}; primary ${primary ?? 'unknown'}`;
}

function settled(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch(() => undefined);
}

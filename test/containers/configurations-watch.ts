import { filesOf } from '../../src/testing/pod-machine.ts';
import type { Pod, PodProcess } from '../../src/testing/pod.ts';
import { TestCluster } from '../../src/testing/test-cluster.ts';
import { PodContainer } from './support/pod-container.ts';
import type { ContainerNetwork } from './support/pod-network.ts';
import type { Runtime } from './support/runtime.ts';
import { Waiting } from './support/waiting.ts';
import type { Windows } from './support/windows.ts';
import { optionsOf } from './support/windows.ts';

/** What the process in a pod has said of what it believes. */
interface View {
  readonly pod: Pod;
  /** `web-1` to `10.0.0.7`. */
  peers: Readonly<Record<string, string>>;
  startedAt: number;
  /** When it changed its belief about a peer to what that is now. */
  readonly since: Map<string, number>;
  /** What it said beside: `moved web-1`, `missing web-2`, `removed web-2`. */
  readonly events: string[];
}

/** A StatefulSet whose pods are containers that watch each other; what they believe is gathered here. */
export class WatchingSet {
  readonly cluster: TestCluster;
  /** What went wrong with containers: none of it is expected. */
  readonly troubles: string[] = [];
  readonly #runtime: Runtime;
  readonly #network: ContainerNetwork;
  readonly #windows: Windows;
  readonly #nameserver: string;
  readonly #views = new Map<PodContainer, View>();
  /** When the cluster came to show an address of a pod, or to show it no more. */
  readonly #shownAt = new Map<string, number>();
  #shown: Readonly<Record<string, string>> = {};
  readonly #waiting = new Waiting();

  private constructor(options: WatchingSetOptions, cluster: TestCluster) {
    this.#runtime = options.runtime;
    this.#network = options.network;
    this.#windows = options.windows;
    this.#nameserver = options.nameserver;
    this.cluster = cluster;
    cluster.statefulSet.on('changed', () => this.#changed());
  }

  /** Three pods behind `nginx`, none of which is made yet. */
  static async prepare(options: WatchingSetOptions): Promise<WatchingSet> {
    let run: (pod: Pod) => PodProcess = () => {
      throw new Error('no pod is made before there is somebody to run it');
    };
    const cluster = await TestCluster.start({
      ...{ replicas: 3, podManagementPolicy: 'Parallel', publishNotReadyAddresses: true, readyMs: 0, create: false },
      network: { podCidrs: [options.network.podCidr] },
      run: (pod) => run(pod),
    });
    const set = new WatchingSet(options, cluster);
    run = (pod) => set.#run(pod);
    return set;
  }

  /**
   * Waits until each pod believes what is so about those pods: where they are, or that they are gone.
   *
   * @param since - the end of a fault, `performance.now()`
   * @returns the longest time from the change of DNS, the fault's end or the pod's own start, whatever came last for it
   */
  async agree(podNames: readonly string[], since: number, patienceMs: number): Promise<number> {
    const isSo = (): boolean =>
      this.#members().length === this.cluster.statefulSet.replicas &&
      this.#members().every(({ peers }) => podNames.every((name) => peers[name] === this.#shown[name]));
    await this.#until(`agreement about ${podNames.join(', ')}`, patienceMs, isSo);
    const delays = this.#members().flatMap((view) =>
      podNames.map((name) => {
        const changedAt = Math.max(this.#shownAt.get(name) ?? 0, since, view.startedAt);
        return Math.max(0, (view.since.get(name) ?? view.startedAt) - changedAt);
      }),
    );
    return Math.max(...delays);
  }

  /** All processes have started. */
  async started(): Promise<void> {
    const isSo = (): boolean =>
      this.#members().filter(({ startedAt }) => startedAt > 0).length === this.cluster.statefulSet.replicas;
    await this.#until('the containers to start', 60_000, isSo);
  }

  /** What the pods of that name said of changes, in order. */
  eventsOf(podName: string): readonly string[] {
    return [...this.#views.values()].filter(({ pod }) => pod.name === podName).flatMap(({ events }) => events);
  }

  /** Ends and removes everything. */
  async close(): Promise<void> {
    await this.cluster.close();
    await Promise.all([...this.#views.keys()].map(({ stopped }) => stopped.catch(() => undefined)));
  }

  #until(what: string, patienceMs: number, isSo: () => boolean): Promise<void> {
    return this.#waiting.until(what, patienceMs, isSo, () => this.#report());
  }

  #run(pod: Pod): PodProcess {
    const options = { port: 'peer', ...optionsOf(this.#windows) };
    const view: View = { pod, peers: {}, startedAt: 0, since: new Map(), events: [] };
    const container = new PodContainer({
      runtime: this.#runtime,
      program: 'test/containers/pods/watcher.js',
      args: [`--options=${JSON.stringify(options)}`],
      hostname: pod.name,
      network: this.#network,
      address: pod.addresses[0] ?? '',
      files: filesOf(pod, { clusterDomain: this.cluster.clusterDomain, nameserver: this.#nameserver }),
      onSaid: (said) => this.#hear(view, said as unknown as Said),
    });
    this.#views.set(container, view);
    container.started.catch((error: unknown) => this.troubles.push(`${pod.name}: ${String(error)}`));
    const end = (): void => {
      if (!pod.isTerminating) this.troubles.push(`${pod.name} ended: ${container.output.join('\n')}`);
      this.#views.delete(container);
      this.#waiting.tell();
    };
    container.stopped.then(end, end);
    return container;
  }

  #hear(view: View, said: Said): void {
    const now = performance.now();
    switch (said.kind) {
      case 'start':
        view.startedAt = now;
        break;
      case 'topology':
        for (const name of new Set([...Object.keys(view.peers), ...Object.keys(said.peers)])) {
          if (view.peers[name] !== said.peers[name]) view.since.set(name, now);
        }
        view.peers = said.peers;
        break;
      default:
        view.events.push(`${said.kind} ${said.podName}`);
    }
    this.#waiting.tell();
  }

  #changed(): void {
    const slices = this.cluster.state.endpointSlices;
    const shown = Object.fromEntries(
      slices.flatMap(({ endpoints }) =>
        endpoints.map(({ hostname, addresses }) => [hostname ?? '', addresses.join(' ')]),
      ),
    );
    const now = performance.now();
    for (const name of new Set([...Object.keys(this.#shown), ...Object.keys(shown)])) {
      if (this.#shown[name] !== shown[name]) this.#shownAt.set(name, now);
    }
    this.#shown = shown;
    this.#waiting.tell();
  }

  #members(): View[] {
    return [...this.#views.values()].filter(({ pod }) => !pod.isTerminating && !pod.isDeleted);
  }

  #report(): string {
    const views = this.#members().map(({ pod, peers }) => `${pod.name} sees ${JSON.stringify(peers)}`);
    const outputs = [...this.#views].map(([{ output }, { pod }]) => `${pod.name}: ${output.join('\n')}`);
    return [`it is ${JSON.stringify(this.#shown)}`, ...views, ...outputs, ...this.troubles].join('\n');
  }
}

export interface WatchingSetOptions {
  readonly runtime: Runtime;
  readonly network: ContainerNetwork;
  readonly windows: Windows;
  /** What stands in the pods' resolv.conf. */
  readonly nameserver: string;
}

type Said =
  | { readonly kind: 'start' }
  | { readonly kind: 'topology'; readonly peers: Readonly<Record<string, string>> }
  | { readonly kind: 'moved' | 'missing' | 'removed'; readonly podName: string };

import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import type { Pod } from '../../src/testing/pod.ts';
import { KubernetesApi } from '../support/kubernetes-api.ts';
import type { DeploymentOptions } from './story-deployment.ts';
import { Deployment } from './story-deployment.ts';
import type { Close } from './support/closing.ts';
import { closeAll } from './support/closing.ts';
import { recordConvergence, slackMs } from './support/convergence.ts';
import { CoreDns, serverBlock } from './support/core-dns.ts';
import { PodContainer } from './support/pod-container.ts';
import type { ContainerNetwork } from './support/pod-network.ts';
import type { Runtime } from './support/runtime.ts';
import type { Windows } from './support/windows.ts';
import { shown } from './support/windows.ts';

/** A server configuration as an administrator knows it, and what it does to freshness. */
export interface Configuration {
  readonly name: string;
  /** The options of the zone. */
  readonly zone: readonly string[];
  /** The plugins beside it. */
  readonly plugins: readonly string[];
  /** How old an answer can be, in milliseconds. */
  readonly cacheMs: number;
  /** Of the zone: a peer is removed after four of them at the earliest. */
  readonly negativeTtlMs: number;
}

/** What is played in front of one DNS, with a writer throughout. */
export interface Play {
  readonly configuration: Configuration;
  readonly windows: Windows;
  readonly cluster: DeploymentOptions['cluster'];
  /** True: half of the pods ask a server that refuses TCP, the others one that accepts it in silence. */
  readonly isTcpBlocked?: boolean;
  /** In their order; a name is a sentence. After one that failed the rest is not played. */
  readonly acts: Readonly<Record<string, (stage: Stage) => Promise<void>>>;
}

/** A deployment behind a real CoreDNS that sees the objects of its cluster. */
export class Stage {
  readonly deployment: Deployment;
  /** How often a pod tried TCP at the relay that is silent there. */
  tcpAttempts = 0;
  readonly #play: Play;
  readonly #dns: CoreDns;
  readonly #closers: Close[];

  private constructor(play: Play, deployment: Deployment, dns: CoreDns, closers: Close[]) {
    this.#play = play;
    this.deployment = deployment;
    this.#dns = dns;
    this.#closers = closers;
  }

  /** The network, the API and CoreDNS, which answers; no pod yet. */
  static async set(runtime: Runtime, play: Play): Promise<Stage> {
    const { windows, cluster, isTcpBlocked = false } = play;
    const nameserver = isTcpBlocked ? relayOf : serverOf;
    const deployment = await Deployment.prepare({ runtime, windows, cluster, nameserver });
    const closers: Close[] = [() => deployment.network.close(), () => deployment.close()];
    try {
      const { network } = deployment;
      const current = {
        get current() {
          return deployment.cluster.state;
        },
      };
      const api = await KubernetesApi.listen(current, { host: '0.0.0.0' });
      closers.push(() => api.close());
      const { zone, plugins } = play.configuration;
      const corefile = serverBlock(plugins, { cluster: { apiPort: api.port, options: zone } });
      const dns = await CoreDns.start({ runtime, network, address: serverOf(network), corefile });
      closers.push(() => dns.close());
      const stage = new Stage(play, deployment, dns, closers);
      if (isTcpBlocked) await Promise.all([stage.#relay(runtime, 'refused'), stage.#relay(runtime, 'silent')]);
      return stage;
    } catch (error) {
      await closeAll(closers);
      throw error;
    }
  }

  /** How long this configuration may keep pods from seeing what is new. */
  get boundMs(): number {
    return this.#play.configuration.cacheMs + this.#play.windows.maxIntervalMs + slackMs;
  }

  /** The same for a removal. */
  get removalBoundMs(): number {
    return this.boundMs + Math.max(this.#play.windows.removeAfterMs, 4 * this.#play.configuration.negativeTtlMs);
  }

  /** The set is as it was asked for, and writes go on. */
  async settled(): Promise<void> {
    const { statefulSet } = this.deployment.cluster;
    let isSettled = false;
    void statefulSet.settled().then(
      () => (isSettled = true),
      () => undefined,
    );
    await this.deployment.until(
      'the pods to be Ready',
      60_000,
      () => isSettled,
      () => {
        const pods = statefulSet.pods.map(
          ({ name, phase, isReady }) => `${name} ${phase} ${isReady ? '' : 'not '}Ready`,
        );
        return [...pods, ...this.deployment.troubles].join('\n');
      },
    );
  }

  /**
   * Waits until all pods see what is so, and notes the time in the summary.
   *
   * @param since - the fault's end. Default: the last change of DNS
   * @throws AssertionError when it took longer than the bound
   */
  async converges(
    scenario: string,
    { since, boundMs = this.boundMs }: { since?: number; boundMs?: number } = {},
  ): Promise<void> {
    const ms = await this.deployment.converged(since ?? this.deployment.changedAt, boundMs + 10_000);
    const { configuration, windows } = this.#play;
    recordConvergence({
      configuration: configuration.name,
      scenario,
      ms,
      boundMs,
      windows: shown(windows),
    });
  }

  /** DNS is gone, as seen by everybody, and comes back. Settles when it answers again, with that time. */
  async withoutDns(ms: number, meanwhile: () => Promise<void>): Promise<number> {
    await this.#dns.stop();
    await Promise.all([new Promise((resolve) => setTimeout(resolve, ms)), meanwhile()]);
    await this.#dns.start();
    return this.dnsAnswers();
  }

  /** Waits until DNS answers for the first pod; the time when it did. */
  async dnsAnswers(): Promise<number> {
    const resolver = new Resolver({ timeout: 250, tries: 1 });
    resolver.setServers([this.#dns.address]);
    const name = this.deployment.cluster.stableName('web-0');
    for (const late = performance.now() + 30_000; performance.now() < late;) {
      const addresses = await resolver.resolve4(name).catch(() => []);
      if (addresses.length > 0) return performance.now();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`DNS does not answer for ${name}`);
  }

  /**
   * No acknowledged write is lost, and none was answered by another pod than the primary.
   *
   * @returns how many writes there were, and how many of them failed
   */
  async verdict(): Promise<string> {
    const { deployment } = this;
    await deployment.stopWriting();
    const { writes, acknowledged } = deployment;
    assert.ok(acknowledged.length > 50, `${acknowledged.length} acknowledged writes`);
    const misdirected = writes.filter(({ pod }) => pod !== null && pod !== 'web-0');
    assert.deepEqual(misdirected, []);
    const late = performance.now() + 20_000;
    for (const { name } of deployment.cluster.statefulSet.pods) {
      for (;;) {
        const has = await deployment.idsOf(name);
        const lost = acknowledged.filter((id) => !has.has(id));
        if (lost.length === 0) break;
        assert.ok(
          performance.now() < late,
          `${name} has lost ${lost.length} of ${acknowledged.length}: ${lost[0]}, ...`,
        );
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    assert.deepEqual(deployment.troubles, []);
    return `${writes.length} writes, ${writes.length - acknowledged.length} not acknowledged`;
  }

  async close(): Promise<void> {
    await closeAll(this.#closers);
  }

  async #relay(runtime: Runtime, tcp: 'refused' | 'silent'): Promise<void> {
    const { network } = this.deployment;
    const one = new PodContainer({
      runtime,
      network,
      program: 'test/containers/pods/udp-relay.js',
      args: [`--upstream=${serverOf(network)}`, `--tcp=${tcp}`],
      address: network.address(relays[tcp]),
      onSaid: ({ kind }) => {
        if (kind === 'connected') this.tcpAttempts += 1;
      },
    });
    this.#closers.push(() => ended(one));
    await one.started;
  }
}

/** Who has which address of the network, beside the pods. */
const serverOf = (network: ContainerNetwork): string => network.address(10);
const relays = { refused: 11, silent: 12 };
const relayOf = (network: ContainerNetwork, pod: Pod | null): string =>
  network.address((pod?.ordinal ?? 0) % 2 === 0 ? relays.refused : relays.silent);

async function ended(container: PodContainer): Promise<void> {
  container.kill();
  await container.stopped.catch(() => undefined);
}

import assert from 'node:assert/strict';
import { KubernetesApi } from '../support/kubernetes-api.ts';
import { WatchingSet } from './configurations-watch.ts';
import type { Close } from './support/closing.ts';
import { closeAll } from './support/closing.ts';
import { recordConvergence, slackMs } from './support/convergence.ts';
import type { ConvergenceRow } from './support/convergence.ts';
import { CoreDns, serverBlock } from './support/core-dns.ts';
import { ContainerNetwork } from './support/pod-network.ts';
import type { Runtime } from './support/runtime.ts';
import { containerRuntime, leaveRuntime } from './support/runtime.ts';
import type { Windows } from './support/windows.ts';
import { shown } from './support/windows.ts';

// Pods as containers behind CoreDNS as people configure it, and as it fails. In each configuration three pods find each
// other; then, at one time, web-1 is made anew on another IP and web-2 is scaled away, with the configuration's own
// trouble in the middle. All configurations run side by side: they only wait.

/** The polling interval is the default one. The absence windows are short, but four negative TTLs have to pass anyway. */
const windows: Windows = {
  ...{ minIntervalMs: 1_000, maxIntervalMs: 5_000 },
  ...{ missingAfterMs: 5_000, removeAfterMs: 10_000 },
};

interface Configuration {
  /** `ttl` of the plugin, which is also the negative TTL. */
  readonly ttlSeconds: number;
  /** The negative TTL that pods see, where a cache makes it shorter. */
  readonly denialSeconds?: number;
  /** How old an answer may be. */
  readonly cacheSeconds: number;
  /** Plugins in front of `kubernetes`. */
  readonly plugins?: string;
  /** Corefile of a server between the pods and the one that knows the cluster, or the two of them. */
  readonly front?: (servers: readonly string[]) => string;
  readonly replicas?: number;
  readonly trouble?: Trouble;
}

/** What goes wrong while pods move. */
interface Trouble {
  /** Settles when it is there, with what ends it. */
  readonly begin: (servers: Servers) => Promise<() => Promise<void>>;
  readonly lastsMs: number;
  /** Nobody can see that pods have moved. */
  readonly isBlind: boolean;
}

/** How long a fault lasts: some polls, so that they slow down. */
const faultMs = 8_000;

const kubeadm = { ttlSeconds: 30, cacheSeconds: 0 };

const configurations: Readonly<Record<string, Configuration>> = {
  'kubeadm of today': {
    ...kubeadm,
    plugins: 'cache 30 {\n disable success cluster.local\n disable denial cluster.local\n }',
  },
  'kubeadm before 1.32': { ttlSeconds: 30, cacheSeconds: 30, plugins: 'cache 30' },
  'ttl 5, cache 30': { ttlSeconds: 5, cacheSeconds: 5, plugins: 'cache 30' },
  'two replicas, one behind': {
    ...kubeadm,
    replicas: 2,
    // In place of the Service's address, behind which kube-proxy takes one or the other.
    front: (servers) => `forward . ${servers.join(' ')} {\n policy round_robin\n }`,
    trouble: {
      begin({ freeze }) {
        const { end } = freeze();
        return Promise.resolve(() => {
          end();
          return Promise.resolve();
        });
      },
      ...{ lastsMs: faultMs, isBlind: false },
    },
  },
  'NodeLocal DNSCache': {
    ...{ ttlSeconds: 30, cacheSeconds: 30, denialSeconds: 5 },
    front: (servers) =>
      `cache {\n success 9984 30\n denial 9984 5\n }\n forward . ${servers.join(' ')} {\n force_tcp\n }`,
  },
  'a restart in the middle': {
    ...kubeadm,
    trouble: { begin: ({ dns }) => Promise.resolve(() => dns.restart()), lastsMs: 0, isBlind: false },
  },
  SERVFAIL: { ...kubeadm, trouble: fault('template ANY ANY {\n rcode SERVFAIL\n }') },
  REFUSED: { ...kubeadm, trouble: fault('acl {\n block\n }') },
  'dropped answers': { ...kubeadm, trouble: fault('erratic {\n drop 1\n }', { isLast: true }) },
  // All of them are cut, also over TCP, and what is left in them is wrong.
  'truncated answers': {
    ...kubeadm,
    trouble: fault('erratic {\n drop 0\n truncate 1073741824\n delay 0\n }', { isLast: true }),
  },
};

/** What a configuration's trouble can get at. */
interface Servers {
  readonly dns: CoreDns;
  /** The Corefile with these plugins in front of `kubernetes`, or without that one. */
  readonly corefile: (plugins: string, withCluster?: boolean) => string;
  /** Freezes what the second replica sees. */
  readonly freeze: () => ReturnType<KubernetesApi['freeze']>;
}

describe('pods agree within the bounds, however DNS is configured', function () {
  this.timeout(300_000);

  const results = new Map<string, readonly ConvergenceRow[] | Error>();

  before(async function () {
    const runtime = await containerRuntime();
    if (runtime === null) return this.skip();
    const running: Promise<void>[] = [];
    for (const [name, configuration] of Object.entries(configurations)) {
      // One after the other, so that the start of containers is not what is measured.
      const run = new Run(name, configuration, runtime);
      const outcome = run.started.then(() => run.rows).finally(() => run.close());
      running.push(
        outcome.then(
          (rows) => void results.set(name, rows),
          (error: unknown) => void results.set(name, error instanceof Error ? error : new Error(String(error))),
        ),
      );
      await run.started.catch(() => undefined);
    }
    await Promise.all(running);
  });

  after(leaveRuntime);

  for (const name of Object.keys(configurations)) {
    it(name, () => {
      const result = results.get(name);
      if (result === undefined || result instanceof Error) throw result ?? new Error('it did not run');
      recordConvergence(...result);
    });
  }
});

/** One configuration from start to end. */
class Run {
  /** The pods run. */
  readonly started: Promise<WatchingSet>;
  readonly rows: Promise<readonly ConvergenceRow[]>;
  readonly #name: string;
  readonly #configuration: Configuration;
  readonly #closers: Close[] = [];
  #servers: Servers | null = null;

  constructor(name: string, configuration: Configuration, runtime: Runtime) {
    this.#name = name;
    this.#configuration = configuration;
    this.started = this.#start(runtime);
    this.rows = this.started.then((set) => this.#play(set));
    this.rows.catch(() => undefined);
  }

  close(): Promise<void> {
    return closeAll(this.#closers);
  }

  async #start(runtime: Runtime): Promise<WatchingSet> {
    const { replicas = 1, plugins = '', ttlSeconds, front } = this.#configuration;
    const network = await ContainerNetwork.create(runtime);
    this.#closers.push(() => network.close());
    const nameserver = network.address(10);
    const set = await WatchingSet.prepare({ runtime, network, windows, nameserver });
    this.#closers.push(() => set.close());
    const source = {
      get current() {
        return set.cluster.state;
      },
    };
    const apis: KubernetesApi[] = [];
    const servers: CoreDns[] = [];
    const corefileOf =
      (api: KubernetesApi) =>
      (one: string, withCluster: boolean = true) =>
        corefile(one, withCluster ? { ttlSeconds, apiPort: api.port } : null);
    for (let replica = 0; replica < replicas; replica += 1) {
      const api = await KubernetesApi.listen(source, { host: '0.0.0.0' });
      this.#closers.push(() => api.close());
      apis.push(api);
      const address = front === undefined ? nameserver : network.address(20 + replica);
      servers.push(await this.#coreDns({ runtime, network, address, corefile: corefileOf(api)(plugins) }));
    }
    if (front !== undefined) {
      const text = corefile(front(servers.map(({ address }) => address)), null);
      await this.#coreDns({ runtime, network, address: nameserver, corefile: text });
    }
    const [dns, api] = [servers[0], apis[0]];
    assert.ok(dns !== undefined && api !== undefined);
    this.#servers = {
      dns,
      corefile: (one, withCluster) => corefileOf(api)([plugins, one].join('\n'), withCluster),
      freeze: () => (apis.at(-1) ?? api).freeze(),
    };
    set.cluster.statefulSet.create();
    await set.started();
    return set;
  }

  async #coreDns(options: Parameters<typeof CoreDns.start>[0]): Promise<CoreDns> {
    const dns = await CoreDns.start(options);
    this.#closers.push(() => dns.close());
    return dns;
  }

  async #play(set: WatchingSet): Promise<readonly ConvergenceRow[]> {
    const { ttlSeconds, cacheSeconds, trouble, denialSeconds = ttlSeconds } = this.#configuration;
    const seenMs = cacheSeconds * 1_000 + windows.maxIntervalMs + slackMs;
    const removalMs = seenMs + Math.max(windows.removeAfterMs, 4 * 1_000 * denialSeconds);
    const row = (scenario: string, ms: number, boundMs: number): ConvergenceRow => ({
      ...{ configuration: this.#name, scenario, ms, boundMs },
      windows: shown(windows),
    });
    const everybody = ['web-0', 'web-1', 'web-2'];
    const rows = [row('ready', await set.agree(everybody, 0, seenMs + patienceMs), seenMs)];

    assert.ok(this.#servers !== null);
    // Not how itself learned its port from SRV.
    const before = set.eventsOf('web-0').length;
    const said = (): readonly string[] => set.eventsOf('web-0').slice(before);
    const end = await trouble?.begin(this.#servers);
    set.cluster.pod('web-1').reschedule();
    set.cluster.statefulSet.scale(2);
    let since = 0;
    if (trouble !== undefined) {
      await passed(trouble.lastsMs);
      // It lasts for longer than it takes until a peer is missing.
      if (trouble.isBlind) assert.deepEqual(said(), [], 'a failure is no absence, and no move');
      await end?.();
      since = performance.now();
    }
    rows.push(row('move', await set.agree(['web-1'], since, seenMs + patienceMs), seenMs));
    const removedMs = await set.agree(everybody, since, removalMs + patienceMs);
    rows.push(row('removal', removedMs, removalMs));
    assert.ok(removedMs >= windows.removeAfterMs, `removed after ${removedMs} ms: the window had not passed`);
    // web-0 was there all the time: it saw each of them once, whatever was said meanwhile.
    assert.deepEqual(
      said().filter((one) => !one.startsWith('missing')),
      ['moved web-1', 'removed web-2'],
    );
    assert.ok(said().includes('missing web-2'), String(said()));
    assert.deepEqual(set.troubles, []);
    return rows;
  }
}

/** How much longer than the bound is waited: a row over its bound tells more than a timeout. */
const patienceMs = 20_000;

/** Everything is answered by that plugin. */
function fault(plugin: string, { isLast = false } = {}): Trouble {
  return {
    async begin({ dns, corefile: corefileWith }) {
      await dns.reload(corefileWith(plugin, !isLast));
      return () => dns.reload(corefileWith(''));
    },
    ...{ lastsMs: faultMs, isBlind: true },
  };
}

/** @param cluster - `null` for a server that knows none */
function corefile(plugins: string, cluster: { readonly ttlSeconds: number; readonly apiPort: number } | null): string {
  return serverBlock(['loadbalance', plugins], {
    cluster: cluster && { apiPort: cluster.apiPort, options: ['pods insecure', `ttl ${cluster.ttlSeconds}`] },
  });
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { Kubectl } from './kubectl.ts';
import type { Pod } from './pods.ts';
import { Pods } from './pods.ts';

/** The image that the manifests name, and that a comment of their Dockerfile builds. */
const imageOfTheManifests = 'stateful-peers-example:1';
const image = process.env['STATEFUL_PEERS_IMAGE'] ?? imageOfTheManifests;
const label = 'stateful-peers.test';
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * The manifests of examples/kubernetes in a namespace of their own, with a witness that asks DNS and a writer.
 *
 * The namespace goes with `close()`, and when this process is interrupted; what one that was killed left goes an hour
 * later, at the start of another.
 */
export class Deployment {
  readonly kubectl: Kubectl;
  readonly pods: Pods;
  readonly #onSignal: (signal: NodeJS.Signals) => void;

  private constructor(kubectl: Kubectl) {
    this.kubectl = kubectl;
    this.pods = new Pods(kubectl);
    this.#onSignal = (signal) => {
      process.stderr.write(`\n${signal}: deleting namespace ${kubectl.namespace}\n`);
      kubectl.deleteNamespaceNow();
      process.exit(130);
    };
  }

  /** An empty set: its objects are there, its pods are started by `create`. */
  static async start(): Promise<Deployment> {
    assert.ok(
      process.env['KUBECONFIG'],
      'KUBECONFIG must name the cluster to use: the one that happens to be the default is never taken',
    );
    const kubectl = new Kubectl(`stateful-peers-${randomBytes(4).toString('hex')}`);
    await sweep(kubectl);
    const deployment = new Deployment(kubectl);
    for (const signal of signals) process.on(signal, deployment.#onSignal);
    try {
      const metadata = { name: kubectl.namespace, labels: { [label]: 'story' } };
      await deployment.#apply([{ apiVersion: 'v1', kind: 'Namespace', metadata }]);
      deployment.pods.watch();
      await deployment.#startWitness();
    } catch (error) {
      process.stderr.write(`${await deployment.describe().catch(String)}\n`);
      await deployment.close().catch((failure: unknown) => process.stderr.write(`${String(failure)}\n`));
      throw error;
    }
    return deployment;
  }

  /** Everything of the manifests, with the image of this run; otherwise as it stands in the files. */
  async create(): Promise<void> {
    const files = ['replicated-log.yaml', 'writer.yaml'];
    const items = files.flatMap((file) =>
      parseAllDocuments(readFileSync(`examples/kubernetes/${file}`, 'utf8')).map((document) => {
        const object = document.toJS() as { spec: { template?: { spec: { containers: { image: string }[] } } } };
        for (const container of object.spec.template?.spec.containers ?? []) {
          assert.equal(container.image, imageOfTheManifests);
          container.image = image;
        }
        return object;
      }),
    );
    await this.#apply(items);
  }

  /** Until the set has exactly that many pods, each of them Ready, none that drains; those of `old` are gone. */
  async settled(replicas: number, old: readonly Pod[] = []): Promise<Pod[]> {
    const names = Array.from({ length: replicas }, (_, ordinal) => `web-${ordinal}`);
    await this.until(`${names.join(', ')} to be Ready`, 180_000, () => {
      const living = this.pods.living('web');
      const areSettled = living.every((pod) => pod.isReady && !pod.isTerminating && !old.includes(pod));
      return areSettled && String(living.map(({ name }) => name)) === String(names);
    });
    return this.pods.living('web');
  }

  /**
   * Until there is a value other than `false` and `null`.
   *
   * @throws Error after that time; earlier, when the cluster says that it is in vain.
   */
  async until<Value>(what: string, ms: number, probe: () => Value | null | false): Promise<Value> {
    const late = performance.now() + ms;
    for (;;) {
      const value = probe();
      if (value !== null && value !== false) return value;
      if (this.pods.failure !== null) throw new Error(`waited for ${what}, but ${this.pods.failure}`);
      if (performance.now() > late) throw new Error(`waited ${ms / 1_000} s in vain for ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** What there is, for whoever has to find out why a step failed. */
  async describe(): Promise<string> {
    const [pods, events] = await Promise.all([
      this.kubectl.run(['get', 'pods', '-o', 'wide']),
      this.kubectl.run(['get', 'events', '--sort-by=.lastTimestamp']),
    ]);
    const said = this.pods.all.map(({ name, address, reports }) => {
      const last = reports.filter(({ kind }) => kind !== 'write').slice(-8);
      return [`${name} at ${address ?? '?'} said last:`, ...last.map((each) => `  ${JSON.stringify(each)}`)].join('\n');
    });
    return [pods, events.split('\n').slice(-15).join('\n'), ...said].join('\n');
  }

  /** Waits until the namespace is gone. */
  async close(): Promise<void> {
    this.pods.close();
    try {
      assert.ok(this.kubectl.deleteNamespaceNow(), `namespace ${this.kubectl.namespace} is not gone after 90 s`);
    } finally {
      for (const signal of signals) process.off(signal, this.#onSignal);
    }
  }

  async #startWitness(): Promise<void> {
    const program = readFileSync(new URL('./dns-witness.js', import.meta.url), 'utf8');
    const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'witness' } };
    const spec = {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'app',
          image,
          command: ['node', '/witness/dns-witness.mjs', 'nginx'],
          volumeMounts: [{ name: 'witness', mountPath: '/witness' }],
        },
      ],
      volumes: [{ name: 'witness', configMap: { name: 'witness' } }],
    };
    await this.#apply([
      { ...configMap, data: { 'dns-witness.mjs': program } },
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'witness', labels: { app: 'witness' } }, spec },
    ]);
    await this.until('the witness to ask', 120_000, () => this.pods.reports('witness', 'dns').length > 0);
  }

  async #apply(items: readonly object[]): Promise<void> {
    await this.kubectl.run(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  }
}

/** Namespaces of runs that were killed. One that is younger than an hour may be in use. */
async function sweep(kubectl: Kubectl): Promise<void> {
  const { items } = await kubectl.json<{ items: { metadata: { name: string; creationTimestamp: string } }[] }>([
    ...['get', 'namespaces', '-l', label],
  ]);
  const old = items.filter(({ metadata }) => Date.now() - Date.parse(metadata.creationTimestamp) > 3_600_000);
  if (old.length === 0) return;
  await kubectl.run(['delete', 'namespace', '--wait=false', ...old.map(({ metadata }) => metadata.name)]);
}

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { LogVolume } from '../../examples/log-volume.ts';
import type { Pod, PodProcess } from '../../src/testing/pod.ts';
import type { TestClusterOptions, Variables } from '../../src/testing/test-cluster.ts';
import { TestCluster } from '../../src/testing/test-cluster.ts';

interface Write {
  readonly writer: string;
  readonly id: string;
  readonly status: number | null;
  readonly pod: string | null;
  readonly error: string | null;
}

/** The example as it is deployed: a process a pod, a volume a name, a readiness probe. */
class Deployment {
  readonly volumes = realpathSync(mkdtempSync(join(tmpdir(), 'stateful-peers-volumes-')));
  readonly writes: Write[] = [];
  readonly #cluster: TestCluster;
  readonly #probes: Promise<void>[] = [];
  readonly #outside: ChildProcess[] = [];
  readonly #lost = new Set<string>();
  #isClosing = false;

  private constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  static async start(options: TestClusterOptions = {}): Promise<Deployment> {
    const made: { deployment?: Deployment } = {};
    const cluster = await TestCluster.start({
      ...{
        sockets: true,
        create: false,
        replicas: 3,
        readyMs: 'manual',
        restartBackoffMs: 300,
        dns: { ttlSeconds: 1 },
      },
      ...options,
      run: (pod, variables) => (made.deployment as Deployment).#run(pod, variables),
    });
    const deployment = new Deployment(cluster);
    made.deployment = deployment;
    cluster.statefulSet.create();
    return deployment;
  }

  get cluster(): TestCluster {
    return this.#cluster;
  }

  /** A writer outside, and the function that lets it finish its last writes. */
  write(): () => Promise<void> {
    const child = program('writer', ['--every-ms=20', ...windows], this.#cluster.observerEnvironment());
    this.#outside.push(child);
    const finished = new Promise<void>((resolve) => {
      child.on('message', (message: { kind: string }) => {
        if (message.kind === 'write') this.writes.push(message as unknown as Write);
        if (message.kind === 'finished') resolve();
      });
    });
    return async () => {
      child.send('finish');
      await finished;
    };
  }

  /** The IDs of what a pod has. */
  async idsOf(podName: string): Promise<string[]> {
    return idsAt(this.addressOf(podName));
  }

  /** Another process as that pod, on its volume; settles when it leads. */
  async runBeside(podName: string, address: string): Promise<void> {
    const variables = { ...this.#cluster.environmentOf(podName), POD_IP: address, POD_IPS: address };
    this.#outside.push(program('replicated-log', [`--data=${join(this.volumes, podName)}`, ...windows], variables));
    await until('it to lead', async () => (await statusOf(address, '/ready')) === 200);
  }

  /** Until every pod has these. */
  async replicated(ids: readonly string[]): Promise<void> {
    const names = this.#cluster.statefulSet.pods.map((pod) => pod.name);
    await until(`every pod to have ${ids.length} entries`, async () => {
      const all = await Promise.all(names.map((name) => this.idsOf(name).catch((): string[] => [])));
      return all.every((has) => ids.every((id) => has.includes(id)));
    });
  }

  /** The next pod of that name finds nothing. */
  loseVolume(podName: string): void {
    this.#lost.add(podName);
  }

  addressOf(podName: string): string {
    return this.#cluster.pod(podName).addresses[0] ?? '';
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const child of this.#outside) child.kill('SIGKILL');
    await this.#cluster.close();
    await Promise.all(this.#probes);
    rmSync(this.volumes, { recursive: true, force: true });
  }

  #run(pod: Pod, variables: Variables): PodProcess {
    if (this.#lost.delete(pod.name)) rmSync(join(this.volumes, pod.name), { recursive: true });
    const child = program('replicated-log', [`--data=${join(this.volumes, pod.name)}`, ...windows], variables);
    const stopped = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    let hasStopped = false;
    void stopped.then(() => (hasStopped = true));
    this.#probes.push(
      until('', async () => {
        if (hasStopped || pod.isDeleted || this.#isClosing) return true;
        const isReady = await request(`http://${pod.addresses[0]}:7000/ready`).then(
          ({ statusCode, body }) => body.dump().then(() => statusCode === 200),
          () => false,
        );
        if (isReady && !pod.isReady && !pod.isTerminating) pod.markReady();
        return pod.isReady;
      }),
    );
    return { stopped, stop: () => void child.kill('SIGTERM'), kill: () => void child.kill('SIGKILL') };
  }
}

const windows = [
  '--min-interval-ms=100',
  '--max-interval-ms=200',
  ...['--missing-after-ms=2000', '--remove-after-ms=5000'],
];

function program(name: string, args: readonly string[], variables: Variables): ChildProcess {
  const own = name === 'writer' ? args.filter((arg) => !/missing|remove/.test(arg)) : [...args];
  return fork(fileURLToPath(new URL(`../../examples/${name}.js`, import.meta.url)), own, {
    env: { PATH: process.env['PATH'], ...variables },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

async function idsAt(address: string): Promise<string[]> {
  const { body } = await request(`http://${address}:7000/log?follow=no`);
  const lines = (await body.text()).split('\n').filter((line) => line !== '');
  return lines.map((line) => (JSON.parse(line) as { id: string }).id);
}

/** `null` where nobody answered. */
function statusOf(address: string, path: string, method: 'GET' | 'PUT' = 'GET'): Promise<number | null> {
  return request(`http://${address}:7000${path}`, { method, ...(method === 'PUT' && { body: path }) }).then(
    ({ statusCode, body }) => body.dump().then(() => statusCode),
    () => null,
  );
}

function put(address: string, id: string): Promise<number | null> {
  return statusOf(address, `/log/${id}`, 'PUT');
}

/** One that no pod has. */
function nextAddress(address: string): string {
  return address.replace(/\d+$/, (last) => String(Number(last) + 50));
}

async function* inTwoParts(between: Promise<void>): AsyncGenerator<string> {
  yield 'first ';
  await between;
  yield 'second';
}

async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  const late = performance.now() + 20_000;
  while (!(await isSo())) {
    assert.ok(performance.now() < late, `waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

describe('The replicated log of the examples', function () {
  this.timeout(60_000);
  let deployment: Deployment | undefined;
  afterEach(() => deployment?.close());

  it('loses no write in a rolling update under load, and none goes to the wrong pod', async () => {
    deployment = await Deployment.start();
    await deployment.cluster.statefulSet.settled();
    const finish = deployment.write();
    await until('writes', () => (deployment?.writes.length ?? 0) > 20);
    const before = deployment.cluster.statefulSet.pods.map(({ uid }) => uid);
    deployment.cluster.statefulSet.rollout();
    await deployment.cluster.statefulSet.settled();
    const after = deployment.cluster.statefulSet.pods.map(({ uid }) => uid);
    assert.ok(
      after.every((uid) => !before.includes(uid)),
      'every pod was made anew',
    );
    await finish();

    const writes = deployment.writes.filter(({ writer }) => writer === 'following');
    assert.ok(writes.length > 30, `${writes.length} writes`);
    assert.deepEqual(
      writes.filter(({ status }) => status !== 200),
      [],
    );
    assert.deepEqual(
      writes.filter(({ pod }) => pod !== 'web-0'),
      [],
    );
    await deployment.replicated(writes.map(({ id }) => id));
  });

  it('becomes Ready behind a Service that publishes only Ready pods: no deadlock', async () => {
    deployment = await Deployment.start({ publishNotReadyAddresses: false });
    await deployment.cluster.statefulSet.settled();
    assert.deepEqual(
      deployment.cluster.statefulSet.pods.map(({ name, isReady }) => [name, isReady]),
      [
        ['web-0', true],
        ['web-1', true],
        ['web-2', true],
      ],
    );
  });

  it('founds no second log when web-0 comes back with an empty volume', async () => {
    deployment = await Deployment.start({ replicas: 2 });
    const { cluster } = deployment;
    await cluster.statefulSet.settled();
    for (const id of ['a', 'b', 'c']) {
      assert.equal(await put(deployment.addressOf('web-0'), id), 200);
    }
    await deployment.replicated(['a', 'b', 'c']);
    const first = cluster.pod('web-0').uid;
    cluster.pod('web-0').delete();
    deployment.loseVolume('web-0');
    await until('web-0 to be made anew', () =>
      cluster.statefulSet.pods.some(({ uid, name }) => name === 'web-0' && uid !== first),
    );
    await cluster.statefulSet.settled();
    assert.deepEqual(await deployment.idsOf('web-0'), ['a', 'b', 'c']);
    assert.equal(new LogVolume(join(deployment.volumes, 'web-0')).entries.length, 3);
  });

  it('a process that has lost its volume to the next acknowledges nothing more, whatever DNS says', async () => {
    deployment = await Deployment.start({ replicas: 1 });
    const { cluster } = deployment;
    await cluster.statefulSet.settled();
    const old = deployment.addressOf('web-0');
    assert.deepEqual([await put(old, 'a'), await put(old, 'b')], [200, 200]);

    // Deleted by force, a pod has its name and its volume taken while its process still runs.
    const next = nextAddress(old);
    await deployment.runBeside('web-0', next);
    assert.notEqual(await put(old, 'late'), 200);
    assert.equal(await put(next, 'c'), 200);
    assert.notEqual(await put(old, 'late'), 200);
    assert.equal(await statusOf(old, '/ready'), 503);

    const last = nextAddress(next);
    await deployment.runBeside('web-0', last);
    assert.equal(await put(last, 'd'), 200);
    assert.deepEqual(await idsAt(last), ['a', 'b', 'c', 'd']);
  });

  it('on SIGTERM stops leading and finishes what is under way, and the process ends by itself', async () => {
    deployment = await Deployment.start({ replicas: 1 });
    const { cluster } = deployment;
    await cluster.statefulSet.settled();
    const address = deployment.addressOf('web-0');
    // Under way: half of its body has been sent.
    let sendRest = (): void => undefined;
    const rest = new Promise<void>((resolve) => (sendRest = resolve));
    const halfway = request(`http://${address}:7000/log/halfway`, {
      method: 'PUT',
      body: Readable.from(inTwoParts(rest)),
    });
    await until('the request to be under way', async () => (await statusOf(address, '/ready')) !== null);
    const pod = cluster.pod('web-0');
    pod.delete();
    await until('it to refuse', async () => (await statusOf(address, '/ready')) !== 200);
    sendRest();
    const { statusCode, headers, body } = await halfway;
    // It leads no longer: the write is refused, and could be sent again.
    assert.deepEqual([statusCode, headers['connection']], [503, 'close']);
    await body.dump();
    await until('the pod to be gone', () => pod.isDeleted);
  });
});

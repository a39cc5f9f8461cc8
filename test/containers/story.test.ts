import assert from 'node:assert/strict';
import { request } from 'undici';
import type { Configuration, Play } from './story-stage.ts';
import { Stage } from './story-stage.ts';
import type { Runtime } from './support/runtime.ts';
import { containerRuntime, leaveRuntime } from './support/runtime.ts';
import { defaultWindows } from './support/windows.ts';

/** What most installations that kubeadm did not make have: the defaults of the plugin behind a cache. */
const plain: Configuration = {
  name: 'ttl 5, cache 30',
  zone: ['ttl 5'],
  plugins: ['cache 30', 'loadbalance'],
  cacheMs: 5_000,
  negativeTtlMs: 5_000,
};

const kubeadm: Configuration = {
  name: 'kubeadm of today',
  zone: ['pods insecure', 'ttl 30'],
  plugins: ['cache 30 {\n    disable success cluster.local\n    disable denial cluster.local\n  }', 'loadbalance'],
  cacheMs: 0,
  negativeTtlMs: 30_000,
};

const plays: Readonly<Record<string, Play>> = {
  'TCP to port 53 is blocked, and there are 17 pods': {
    configuration: { ...plain, name: 'ttl 5, cache 30, no TCP' },
    windows: { ...defaultWindows, missingAfterMs: 5_000, removeAfterMs: 10_000 },
    cluster: { replicas: 17, podManagementPolicy: 'Parallel' },
    isTcpBlocked: true,
    acts: {
      async 'all of them find each other'(stage) {
        stage.deployment.cluster.statefulSet.create();
        stage.deployment.startWriting();
        await stage.settled();
        await stage.converges('start');
        await stage.deployment.acknowledges(20);
        assert.ok(stage.tcpAttempts > 0, 'answers were truncated, and TCP was tried');
      },
      async 'they follow one that is deleted and comes back on another IP'(stage) {
        stage.deployment.cluster.pod('web-3').delete();
        await stage.settled();
        await stage.converges('move');
      },
      async 'they forget one that was scaled away'(stage) {
        stage.deployment.cluster.statefulSet.scale(16);
        await stage.settled();
        await stage.converges('removal', { boundMs: stage.removalBoundMs });
      },
    },
  },
  'Pods come, move and go': {
    configuration: plain,
    windows: { minIntervalMs: 500, maxIntervalMs: 2_000, missingAfterMs: 5_000, removeAfterMs: 10_000 },
    cluster: { replicas: 2 },
    acts: {
      async 'ordered start: web-1 is made when web-0 is Ready, and bootstraps from it'(stage) {
        const { statefulSet } = stage.deployment.cluster;
        const order: string[] = [];
        statefulSet.on('podCreated', ({ name }) => void order.push(`${name} is made`));
        statefulSet.on('podReady', ({ name }) => void order.push(`${name} is Ready`));
        statefulSet.create();
        stage.deployment.startWriting();
        await stage.settled();
        // Ready means that it leads, or that it has reached the one that does.
        assert.deepEqual(order, ['web-0 is made', 'web-0 is Ready', 'web-1 is made', 'web-1 is Ready']);
        await stage.converges('ordered start');
        await stage.deployment.acknowledges(20);
      },
      async 'both are deleted and come back on new IPs'(stage) {
        const { cluster } = stage.deployment;
        const before = cluster.statefulSet.pods.map(({ addresses }) => addresses[0]);
        for (const podName of ['web-0', 'web-1']) cluster.pod(podName).delete();
        await stage.settled();
        const after = cluster.statefulSet.pods.map(({ addresses }) => addresses[0]);
        assert.ok(!after.some((address) => before.includes(address)), 'every address is a new one');
        await stage.converges('both deleted');
        await stage.deployment.acknowledges(20);
      },
      "the primary's IP is handed to a replica while caches still have it": handOver,
      async 'scaled to three'(stage) {
        stage.deployment.cluster.statefulSet.scale(3);
        await stage.settled();
        await stage.converges('scale up');
      },
      async 'a rolling update replaces every pod'(stage) {
        const { statefulSet } = stage.deployment.cluster;
        const before = statefulSet.pods.map(({ uid }) => uid);
        statefulSet.rollout();
        await stage.settled();
        assert.ok(!statefulSet.pods.some(({ uid }) => before.includes(uid)), 'every pod was made anew');
        await stage.converges('rolling update');
        await stage.deployment.acknowledges(20);
      },
      async 'scaled to two: the third is forgotten'(stage) {
        stage.deployment.cluster.statefulSet.scale(2);
        await stage.settled();
        await stage.converges('scale down', { boundMs: stage.removalBoundMs });
      },
    },
  },
  'Machines and networks fail': {
    configuration: kubeadm,
    windows: defaultWindows,
    cluster: { replicas: 3 },
    acts: {
      'they start': start,
      async 'a replica is paused, and another moves meanwhile'(stage) {
        const { deployment } = stage;
        const paused = deployment.container('web-1');
        await paused.pause();
        deployment.cluster.pod('web-2').delete();
        await stage.settled();
        await paused.unpause();
        await stage.converges('a replica paused', { since: performance.now() });
        await deployment.acknowledges(20);
      },
      async 'the primary is paused: writes wait for it'(stage) {
        const { deployment } = stage;
        const paused = deployment.container('web-0');
        await paused.pause();
        const before = deployment.writes.length;
        await seconds(4);
        const meanwhile = deployment.writes.length - before;
        assert.ok(meanwhile < 5, `${meanwhile} writes were answered while the primary was paused`);
        await paused.unpause();
        await deployment.acknowledges(20);
      },
      async 'the primary is killed without goodbye, and starts again where it was'(stage) {
        const { deployment } = stage;
        const pod = deployment.cluster.pod('web-0');
        pod.restart();
        await deployment.until('the container to have ended', 10_000, () => pod.restarts === 1);
        await stage.settled();
        await stage.converges('killed, same IP');
        await deployment.acknowledges(20);
      },
      async 'a replica is killed without goodbye, and comes back elsewhere'(stage) {
        const { deployment } = stage;
        deployment.cluster.pod('web-1').forceDelete();
        await stage.settled();
        await stage.converges('killed, new IP');
        await deployment.acknowledges(20);
      },
      "the primary's IP is handed to a replica": handOver,
      async "a replica's network is cut, another moves meanwhile, and it is restored"(stage) {
        const { deployment } = stage;
        const cut = deployment.container('web-1');
        await cut.cutNetwork();
        deployment.cluster.pod('web-2').delete();
        await stage.settled();
        await cut.restoreNetwork();
        await stage.converges('network cut, replica', { since: performance.now() });
        await deployment.acknowledges(20);
      },
      async "the primary's network is cut, a replica moves meanwhile, and it is restored: writes wait for it"(stage) {
        const { deployment } = stage;
        const cut = deployment.container('web-0');
        await cut.cutNetwork();
        deployment.cluster.pod('web-2').delete();
        await seconds(5);
        await cut.restoreNetwork();
        const since = performance.now();
        await stage.settled();
        await stage.converges('network cut, primary', { since });
        await deployment.acknowledges(20);
      },
    },
  },
  'CoreDNS is down for a minute': {
    configuration: kubeadm,
    windows: defaultWindows,
    cluster: { replicas: 3 },
    acts: {
      'they start': start,
      async 'writes go on meanwhile; a pod that moves is found afterwards'(stage) {
        const { deployment } = stage;
        const since = await stage.withoutDns(60_000, async () => {
          for (let times = 0; times < 5; times += 1) {
            await seconds(5);
            await deployment.acknowledges(20);
          }
          deployment.cluster.pod('web-2').delete();
        });
        await stage.settled();
        await stage.converges('60 s without DNS', { since: Math.max(since, deployment.changedAt) });
        await deployment.acknowledges(20);
      },
    },
  },
};

async function start(stage: Stage): Promise<void> {
  stage.deployment.cluster.statefulSet.create();
  stage.deployment.startWriting();
  await stage.settled();
  await stage.converges('start');
  await stage.deployment.acknowledges(20);
}

/** The replica gets the address of the primary, which gets another: whoever dials by the old answer meets the replica. */
async function handOver(stage: Stage): Promise<void> {
  const { cluster } = stage.deployment;
  const [old = ''] = cluster.pod('web-0').addresses;
  cluster.statefulSet.giveAddress('web-1', old);
  for (const podName of ['web-0', 'web-1']) cluster.pod(podName).delete({ gracePeriodMs: 0 });
  await stage.settled();
  assert.deepEqual(cluster.pod('web-1').addresses, [old]);
  // A write that comes there by the old answer is meant for another pod: that, and not that web-1 does not lead, is why.
  const { statusCode, headers, body } = await request(`http://${old}:7000/log/stray`, {
    method: 'PUT',
    headers: { host: `${cluster.stableName('web-0')}:7000` },
    body: 'stray',
  });
  await body.dump();
  assert.deepEqual([statusCode, headers['stateful-peers-refused-by']], [421, 'web-1']);
  await stage.converges('IP handed over');
  await stage.deployment.acknowledges(20);
}

function seconds(count: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1_000 * count));
}

const lastAct = 'no acknowledged write was lost, and none was answered by another pod than the primary';

describe('The story on CoreDNS, with pods as containers', function () {
  this.timeout(300_000);
  const played = new Map<string, Promise<unknown>>();

  // All side by side, for mostly they wait.
  before(async function () {
    const runtime = await containerRuntime();
    if (runtime === null) return this.skip();
    await Promise.all(Object.entries(plays).map(([title, play]) => perform(runtime, title, play)));
  });

  after(leaveRuntime);

  for (const [title, { acts }] of Object.entries(plays)) {
    describe(title, () => {
      for (const name of [...Object.keys(acts), lastAct]) it(name, () => played.get(`${title}: ${name}`));
    });
  }

  /** Plays the acts; what became of each is told by its own test. */
  async function perform(runtime: Runtime, title: string, play: Play): Promise<void> {
    const verdict = async (stage: Stage): Promise<void> => console.log(`    ${title}: ${await stage.verdict()}`);
    const stage = Stage.set(runtime, play);
    let before: Promise<unknown> | undefined;
    for (const [name, act] of Object.entries({ ...play.acts, [lastAct]: verdict })) {
      // The first act fails with what kept the stage from being set.
      before = before?.then(async () => act(await stage), notReached) ?? stage.then(act);
      played.set(`${title}: ${name}`, before);
      await before.catch(async () => {
        const troubles = await stage.then(({ deployment }) => deployment.troubles.splice(0)).catch(() => []);
        for (const trouble of troubles) console.log(`    ${title}, ${name}: ${trouble}`);
      });
    }
    const closed = stage.then(
      (set) => set.close(),
      () => undefined,
    );
    // What cannot be removed fails the last act, and hides none before it.
    const end = Promise.all([before, closed]);
    played.set(`${title}: ${lastAct}`, end);
    await Promise.allSettled([closed, end]);
  }
});

function notReached(): never {
  throw new Error('not played, for the act before it failed');
}

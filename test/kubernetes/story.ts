/**
 * `npm run test:kubernetes`: the story on a real cluster, the one that KUBECONFIG names, with the manifests of
 * examples/kubernetes as they stand. Takes about four minutes, two of them the removal of a peer with the default window.
 */
import assert from 'node:assert/strict';
import { defaults } from '../../src/options.ts';
import type { Places, Row } from './believed-after.ts';
import { believedAfter, markdownOf, placesOf } from './believed-after.ts';
import { Deployment } from './deployment.ts';
import type { Pod, Report } from './pods.ts';

process.setSourceMapsEnabled(true);

describe('The story on a Kubernetes cluster', function () {
  this.bail(true);
  this.timeout(400_000);
  let deployment: Deployment;
  const rows: Row[] = [];

  before(async () => {
    deployment = await Deployment.start();
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') process.stderr.write(`${await deployment.describe()}\n`);
  });

  after(async () => {
    if ((deployment as Deployment | undefined) === undefined) return;
    if (rows.length > 0) {
      const versions = await versionsOf(deployment, cacheBoundMs() / 1_000).catch(String);
      process.stdout.write(`\n${versions}\n\n${markdownOf(rows)}\n\n`);
    }
    await deployment.close();
  });

  it('pods start in order, and each knows who it is and where the others are', async () => {
    await deployment.create();
    const [first, second] = await deployment.settled(2);
    assert.ok(first !== undefined && second !== undefined);
    assertInOrder(first, second);
    for (const [ordinal, pod] of [first, second].entries()) {
      const seen = await deployment.kubectl.inPod<{ hostname: string; variables: string[]; primary: string }>(
        pod.name,
        whatAPodSees,
      );
      assert.deepEqual(seen, { hostname: `web-${ordinal}`, variables: [], primary: first.address });
      assertKnowsItself(pod, deployment.kubectl.namespace);
    }
    const begunAt = deployment.pods.reports('witness', 'dns')[0]?.at ?? 0;
    await converges('ordered start', begunAt, [first, second]);
  });

  it('both pods, deleted, come back in order under their names, and web-0 is the primary as before', async () => {
    const old = deployment.pods.living('web');
    const begunAt = await hasWritten();
    await deployment.kubectl.run(['delete', 'pod', 'web-0', 'web-1']);
    const [first, second] = await deployment.settled(2, old);
    assert.ok(first !== undefined && second !== undefined);
    assertInOrder(first, second);
    for (const pod of [first, second]) {
      assertKnowsItself(pod, deployment.kubectl.namespace);
    }
    // Some networks give an IP that has just become free to the next pod.
    const moved = [first, second].filter(({ address }) => !old.some((before) => before.address === address));
    await converges(`both deleted, ${moved.length} of 2 on new IPs`, begunAt, [first, second]);
  });

  it('a third pod is seen by all when it comes, and forgotten by all when it went', async () => {
    const begunAt = await hasWritten();
    await deployment.kubectl.run(['scale', 'statefulset', 'web', '--replicas=3']);
    const three = await deployment.settled(3);
    await converges('scale to 3', begunAt, three);

    const downAt = await hasWritten();
    await deployment.kubectl.run(['scale', 'statefulset', 'web', '--replicas=2']);
    const two = await deployment.settled(2);
    assert.deepEqual(two, three.slice(0, 2), 'the others were left alone');
    await converges('scale back to 2', downAt, two, defaults['absence.removeAfterMs']);
    for (const pod of two) {
      assert.deepEqual(eventsAbout('web-2', pod, begunAt), ['peerAdded', 'presenceChanged', 'peerRemoved'], pod.name);
    }
  });

  it('a rolling update replaces each pod, the highest ordinal first', async () => {
    const old = deployment.pods.living('web');
    const begunAt = await hasWritten();
    await deployment.kubectl.run(['rollout', 'restart', 'statefulset', 'web']);
    const [first, second] = await deployment.settled(2, old);
    assert.ok(first !== undefined && second !== undefined);
    assertInOrder(second, first);
    await converges('rolling update', begunAt, [first, second]);
  });

  it('a primary that was killed without goodbye is waited for where it is', async () => {
    const begunAt = await hasWritten();
    const [first, second] = deployment.pods.living('web');
    assert.ok(first !== undefined && second !== undefined);
    // What runs the program in the container ends with it.
    await deployment.kubectl.inPod('web-0', whatKillsAPod).catch(() => undefined);
    await deployment.until('web-0 to run again', 60_000, () => first.restarts === 1 && first.isReady);
    await converges('web-0 killed without goodbye', begunAt, [first, second]);
    assert.deepEqual(eventsAbout('web-0', second, begunAt), []);
  });

  it('a primary that was deleted by force is replaced, and found', async () => {
    const old = deployment.pods.living('web');
    const begunAt = await hasWritten();
    await deployment.kubectl.run(['delete', 'pod', 'web-0', '--force', '--grace-period=0']);
    const two = await deployment.settled(2, old.slice(0, 1));
    const [primary, follower] = two;
    assert.ok(follower !== undefined && follower === old[1], 'web-1 was left alone');
    // Some networks give an IP that has just become free to the next pod: then there is no move to see.
    const hasMoved = primary?.address !== old[0]?.address;
    await converges(`web-0 deleted by force, ${hasMoved ? 'on a new IP' : 'on the same IP'}`, begunAt, two);
    // Nobody took it for another pod, or thought that there was no primary.
    const events = eventsAbout('web-0', follower, begunAt);
    assert.ok(events.length > 0 || !hasMoved, 'a move is told');
    assert.ok(
      events.every((name) => name === 'peerMoved'),
      String(events),
    );
  });

  it('no acknowledged write is lost, none went to the wrong pod', async () => {
    await hasWritten();
    await deployment.kubectl.run(['delete', 'deployment', 'writer']);
    await deployment.until('the writer to end', 60_000, () =>
      deployment.pods.all.every(({ app, end }) => app !== 'writer' || end !== null),
    );
    const cut = deployment.pods.all.filter(({ app, end }) => app === 'writer' && end === 'lost');
    assert.equal(cut.length, 0, `the last lines of ${cut.map(({ name }) => name).join(', ')} were never heard`);
    const writes = deployment.pods.reports('writer', 'write');
    assert.ok(acknowledged(writes).length > 500, `${acknowledged(writes).length} writes`);
    const strangers = writes.filter(({ pod }) => pod !== null && pod !== 'web-0');
    assert.deepEqual(strangers, []);

    await haveAll(deployment.pods.living('web'), writes);
    const logs = await Promise.all(deployment.pods.living('web').map(({ name }) => idsOf(name)));
    assert.deepEqual(logs[1], logs[0], 'the replica has what the primary has, in the same order');
    assert.equal(new Set(logs[0]).size, logs[0]?.length, 'each once');
  });

  /** Until all pods believe what DNS says, and have every write that was acknowledged; then a row of the table. */
  async function converges(scenario: string, begunAt: number, pods: readonly Pod[], windowMs = 0): Promise<void> {
    const places: Places = placesOf(pods);
    const boundMs = cacheBoundMs() + defaults['refresh.maxIntervalMs'] + windowMs + 1_500;
    const ms = await deployment.until(`all pods to believe ${JSON.stringify(places)}`, boundMs + 30_000, () =>
      believedAfter(pods, deployment.pods.reports('witness', 'dns'), places),
    );
    const until = await hasWritten();
    const writes = deployment.pods.reports('writer', 'write').filter(({ at }) => at >= begunAt && at <= until);
    const good = acknowledged(writes);
    const times = [begunAt, ...good.map(({ at }) => at), until];
    rows.push({
      scenario,
      ms,
      boundMs,
      acknowledged: good.length,
      failed: writes.length - good.length,
      gapMs: Math.max(...times.slice(1).map((at, index) => at - (times[index] ?? at))),
    });
    assert.ok(ms <= boundMs, `${scenario}: ${ms} ms, the bound is ${boundMs} ms`);
    await haveAll(pods, deployment.pods.reports('writer', 'write'));
  }

  /** The longest that a cache in the way of the witness keeps an answer: 0 where no TTL counts down. */
  function cacheBoundMs(): number {
    const ttl = deployment.pods.reports('witness', 'ttl').at(-1);
    return ttl === undefined || ttl['min'] === ttl['max'] ? 0 : Number(ttl['max']) * 1_000;
  }

  /** Until writes that were begun now have been acknowledged; when that was, by the clocks of the nodes. */
  async function hasWritten(): Promise<number> {
    const before = deployment.pods.reports('writer', 'write').length;
    return deployment.until('writes to be acknowledged', 60_000, () => {
      const [, , third] = acknowledged(deployment.pods.reports('writer', 'write').slice(before));
      return third?.at ?? null;
    });
  }

  /** Until each of these pods says, asked from inside, that it has every one of these writes that was acknowledged. */
  async function haveAll(pods: readonly Pod[], writes: readonly Report[]): Promise<void> {
    const wanted = acknowledged(writes);
    const missing = new Map<string, unknown[]>();
    const late = performance.now() + 30_000;
    do {
      assert.ok(performance.now() < late, `not in the logs: ${JSON.stringify(Object.fromEntries(missing))}`);
      for (const { name } of pods) {
        const has = new Set<unknown>(await idsOf(name));
        const lacks = wanted.map(({ id }) => id).filter((id) => !has.has(id));
        missing.set(name, lacks.slice(0, 10));
      }
    } while ([...missing.values()].some((lacks) => lacks.length > 0));
  }

  function idsOf(podName: string): Promise<string[]> {
    return deployment.kubectl.inPod<string[]>(podName, whatAPodHas);
  }
});

/** In a pod: its host name, what it was told by variables (nothing), and where `web-0.nginx` is for the system. */
const whatAPodSees = `
  import { hostname } from 'node:os';
  import { lookup } from 'node:dns/promises';
  const variables = Object.keys(process.env).filter((name) => /^(POD_|STATEFUL_PEERS_)/.test(name));
  const { address: primary } = await lookup('web-0.nginx');
  console.log(JSON.stringify({ hostname: hostname(), variables, primary }));`;

/** In a pod: the IDs of the entries in its own log, in order. */
const whatAPodHas = `
  import { hostname } from 'node:os';
  const response = await fetch('http://' + hostname() + ':7000/log?follow=no');
  if (response.headers.get('pod') !== hostname()) throw new Error('another pod answered');
  const lines = (await response.text()).split('\\n').filter(Boolean);
  console.log(JSON.stringify(lines.map((line) => JSON.parse(line).id)));`;

/** What a pod's library told about a peer since then. */
function eventsAbout(podName: string, { reports }: Pod, since: number): unknown[] {
  const events = reports.filter(({ kind, at }) => kind === 'event' && at >= since);
  return events.filter((event) => event['podName'] === podName).map(({ name }) => name);
}

/**
 * In a pod: ends its first process as a crash would, without any handler. A signal cannot: the kernel protects the first
 * process of a container from within. So the debugger of Node.js is opened, and told to.
 */
const whatKillsAPod = `
  import { WebSocket } from 'undici';
  process.kill(1, 'SIGUSR1');
  const ask = () => fetch('http://127.0.0.1:9229/json').then((response) => response.json());
  const again = () => new Promise((resolve) => setTimeout(resolve, 50)).then(asked);
  const asked = () => ask().catch(again);
  const [{ webSocketDebuggerUrl }] = await asked();
  const socket = new WebSocket(webSocketDebuggerUrl);
  const params = { expression: 'process.reallyExit(137)' };
  socket.onopen = () => {
    socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params }));
    // It waits for the debugger to go, and then ends.
    setTimeout(() => process.exit(), 100);
  };`;

function acknowledged(writes: readonly Report[]): Report[] {
  return writes.filter(({ status }) => status === 200);
}

function assertInOrder(earlier: Pod, later: Pod): void {
  assert.ok(
    earlier.readyAt !== null && earlier.readyAt < later.createdAt,
    `${later.name} was made after ${earlier.name} was Ready`,
  );
}

function assertKnowsItself(pod: Pod, namespace: string): void {
  const hello = pod.reports.find(({ kind }) => kind === 'hello');
  assert.deepEqual([hello?.['podName'], hello?.['address']], [pod.name, `${pod.address ?? '?'}:7000`]);
  assert.ok(String(hello?.['service']).startsWith(`nginx.${namespace}.svc.`), String(hello?.['service']));
}

async function versionsOf({ kubectl }: Deployment, cacheSeconds: number): Promise<string> {
  const { serverVersion } = await kubectl.json<{ serverVersion: { gitVersion: string } }>(['version']);
  const { items } = await kubectl.json<{ items: { status: { nodeInfo: Record<string, string> } }[] }>(['get', 'nodes']);
  const { containerRuntimeVersion = '?', osImage = '?' } = items[0]?.status.nodeInfo ?? {};
  const pod = await kubectl.json<{ status: { containerStatuses: { image: string; imageID: string }[] } }>([
    ...['get', 'pod', 'web-0'],
  ]);
  const { image = '?', imageID = '?' } = pod.status.containerStatuses[0] ?? {};
  const node = await kubectl.inPod<string>('web-0', 'console.log(JSON.stringify(process.version))');
  const date = new Date().toISOString().slice(0, 10);
  return `${date}: Kubernetes ${serverVersion.gitVersion}, ${items.length} node(s), ${containerRuntimeVersion}, ${osImage}, Node.js ${node} in the pods, image ${image} (${imageID}); DNS caches for ${cacheSeconds} s; every window at its default`;
}

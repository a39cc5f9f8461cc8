import assert from 'node:assert/strict';
import { request } from 'undici';
import { PeerDiscoveryError } from '../src/errors.ts';
import type { DiscoverOptions, ObserveOptions } from '../src/options.ts';
import type { PeerDiscovery } from '../src/peer-discovery.ts';
import { createMember, createObserver } from '../src/peer-discovery.ts';
import { PeerDispatcher, createIdentityGuard } from '../src/undici.ts';
import type { TestClusterOptions } from '../src/testing/test-cluster.ts';
import { TestCluster } from '../src/testing/test-cluster.ts';
import { lowestOrdinal } from '../src/topology/primary.ts';
import type { Peer } from '../src/topology/topology.ts';
import type { FakeTime } from './support/fake-time.ts';
import { fakeTime } from './support/fake-time.ts';
import { member, observer, podEnvironment } from './support/member.ts';
import { ScriptedDns } from './support/scripted-dns.ts';
import { Snapshot } from './support/snapshot.ts';

// What somebody reads who has made a mistake. Each message stands in misuse.snapshot.txt; the many ways to get an
// identity wrong stand in identity/errors.snapshot.txt, and every check of an option in unit/options.test.ts.

let time: FakeTime;

/** Brings the mistake about. What it throws, or rejects with, is the message. */
type Mistake = () => unknown;

/** A process on a machine with this hostname and these variables; a pod's, where the hostname is one. */
const on =
  (hostname: string, variables: Readonly<Record<string, string>>, options: DiscoverOptions = {}): Mistake =>
  () => {
    const environment = podEnvironment(hostname, hostname.startsWith('web-') ? ['10.0.0.2'] : [], variables);
    return time.opened({ peers: createMember(options, { environment, transport: new ScriptedDns() }) });
  };
/** An option that cannot be used, in a pod where everything else is right. */
const option = (options: unknown): Mistake => on('web-1', {}, options as DiscoverOptions);
/** The same, of an observer. */
const observing =
  (options: object): Mistake =>
  () =>
    time.opened(observer(options));
/** A call to the library object of web-1, which has heard of web-0 and itself. */
const call =
  (run: (peers: PeerDiscovery<Peer>) => unknown): Mistake =>
  async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [{ 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' }];
    await time.clock.tickAsync(1_000);
    return await run(peers);
  };
const closed = (run: (peers: PeerDiscovery<Peer>) => unknown): Mistake =>
  call(async (peers) => {
    await peers.close();
    return await run(peers);
  });

/** The same, and half a minute goes by. */
const inVain = (run: (peers: PeerDiscovery<Peer>) => Promise<unknown>): Mistake =>
  call(async (peers) => {
    const running = run(peers);
    running.catch(() => undefined);
    await time.clock.tickAsync(30_000);
    return await running;
  });
/** A request, through a dispatcher that waits half a second. */
const get =
  (url: string, dispatcherOptions: object = {}) =>
  async (peers: PeerDiscovery<Peer>): Promise<unknown> =>
    await request(url, { dispatcher: new PeerDispatcher(peers, { waitMs: 500, ...dispatcherOptions }) });
/** What lies behind the error that Node's callers get. */
const lookUp = (hostname: string) => (peers: PeerDiscovery<Peer>) =>
  new Promise((_resolve, reject) => {
    peers.lookup(hostname, { all: true }, (error) => {
      const cause = error?.cause;
      reject(cause instanceof Error ? cause : new Error('it was found'));
    });
  });

interface Situation {
  readonly cluster?: TestClusterOptions;
  /** What is wrong with the cluster, from the start. */
  readonly wrong?: (cluster: TestCluster) => void;
  /** The pod that waits; by default web-1. */
  readonly pod?: string;
  readonly options?: DiscoverOptions;
  /** Or an observer, with these options. */
  readonly observer?: Partial<ObserveOptions>;
  /** What happens, and how long before somebody waits. */
  readonly before?: (cluster: TestCluster) => void;
  readonly waitedMs?: number;
  readonly wait: (peers: PeerDiscovery<Peer>) => Promise<unknown>;
}

/** A waiter that times out after 30 s in a cluster in which something is wrong. */
const waiter =
  ({ cluster: manifest, wrong, pod = 'web-1', wait, ...rest }: Situation): Mistake =>
  async () => {
    const cluster = await TestCluster.start({ replicas: 3, ...manifest });
    try {
      wrong?.(cluster);
      const transport = cluster.transport();
      const outside = podEnvironment('writer-7d9c5b6f4-x2x9z', ['10.244.200.1']);
      const set = { statefulSet: 'web', service: 'nginx', port: 'peer', ...rest.observer };
      const peers =
        rest.observer === undefined
          ? createMember({ port: 'peer', ...rest.options }, { environment: cluster.machineOf(pod), transport })
          : createObserver(set, { environment: outside, transport });
      time.opened({ peers });
      await time.clock.tickAsync(20_000);
      rest.before?.(cluster);
      await time.clock.tickAsync(rest.waitedMs ?? 0);
      const waiting = wait(peers as PeerDiscovery<Peer>).then(
        () => assert.fail('the waiter was satisfied'),
        (error: unknown) => error,
      );
      await time.clock.tickAsync(30_000);
      throw await waiting;
    } finally {
      await cluster.close();
    }
  };
const primary = (peers: PeerDiscovery<Peer>): Promise<Peer> => peers.waitForPrimary();
const ports = [{ name: 'peer', port: 7_000 }];
const app = { app: 'web' };

const mistakes: Readonly<Record<string, Mistake>> = {
  'Options: no object': option(7),
  'Options: one that there is not': option({ prot: 'peer' }),
  'Options: a name that is no text': option({ service: 7 }),
  'Options: a name that is no name': option({ service: 'http://nginx' }),
  'Options: a port that is none': option({ port: '_peer._tcp' }),
  'Options: a port as text': option({ port: '7000' }),
  'Options: a number out of its bounds': option({ expectedPods: 0 }),
  'Options: a time as text': option({ refresh: { minIntervalMs: '1s' } }),
  'Options: one within another that there is not': option({ absence: { removeMs: 60_000 } }),
  'Options: bounds that contradict each other': option({ refresh: { minIntervalMs: 2_000, maxIntervalMs: 1_000 } }),
  'Options: a bound that contradicts a default': option({ refresh: { minIntervalMs: 10_000 } }),
  'Options: windows that contradict a default': option({ absence: { missingAfterMs: 300_000 } }),
  'Options: a signal that is a controller': option({ signal: new AbortController() }),
  'Options: DNS servers as one text': option({ dns: { servers: '10.96.0.10' } }),
  'Options: a DNS server by name': option({ dns: { servers: ['kube-dns.kube-system'] } }),
  'Options: a DNS server with a port that is none': option({ dns: { servers: ['10.96.0.10:99999'] } }),
  'Options: an IPv6 DNS server as another program writes it': option({ dns: { servers: ['fd00:10:96::a#53'] } }),
  'Options: DNS servers in the environment': on('web-1', { STATEFUL_PEERS_DNS: 'tcp://10.96.0.10' }),
  'Options: an observer without a set': observing({ statefulSet: undefined }),
  'Options: an observer without a Service': observing({ service: undefined }),
  'Options: an observer with a pod name': observing({ podName: 'web-0' }),

  'Policies: a name in place of a policy': option({ primary: 'web-0' }),
  'Policies: a quorum that is none': () => lowestOrdinal({ quorum: 0 }),
  'Policies: lowestOrdinal in place of lowestOrdinal()': option({ primary: lowestOrdinal as never }),
  'Policies: lowestOrdinal without anything to take a majority of': option({ primary: lowestOrdinal() }),

  'Identity: a pod of a Deployment': on('api-7d4b9c6f5-x2k9z', {}),
  'Identity: a pod of another set': on('web-1', {}, { statefulSet: 'db' }),
  'Identity: witnesses that contradict each other': on('web-1', { POD_NAME: 'web-0' }),
  'Identity: no governing Service': on('db-0', {}),

  'Peers: one of another set': call((peers) => peers.waitForPeer('api-0')),
  'Peers: a stable name in place of a pod name': call((peers) =>
    peers.waitForPeer('web-0.nginx.default.svc.cluster.local'),
  ),
  'Peers: a leading zero': call((peers) => peers.waitForPeer('web-01')),
  'Peers: an ordinal below 0': call((peers) => peers.waitForPeer(-1)),
  'Peers: an ordinal that is none': call((peers) => peers.waitForPeer(1.5)),
  'Peers: nothing': call((peers) => peers.waitForPeer(undefined as never)),
  'Peers: a role that there is not': call((peers) => peers.waitForPeer('leader')),

  'Reports: a role in place of a peer': call((peers) => peers.report('primary', 'unreachable', '10.0.0.1')),
  'Reports: one of another set': call((peers) => peers.report('api-0', 'unreachable', '10.0.0.1')),
  'Reports: something else that happened': call((peers) => peers.report('web-0', 'timeout' as never, '10.0.0.1')),
  'Reports: a name in place of an address': call((peers) => peers.report('web-0', 'unreachable', 'web-0.nginx')),
  'Reports: an address with a port': call((peers) => peers.report('web-0', 'unreachable', '10.0.0.1:7000')),
  'Reports: no address': call((peers) => peers.report('web-0', 'unreachable', undefined as never)),

  'Waiters: a time below 0': call((peers) => peers.ready({ timeoutMs: -1 })),
  'Waiters: an option that there is not': call((peers) => peers.waitForPrimary({ timeout: 5_000 } as object)),
  'Waiters: a number in place of options': call((peers) => peers.waitForPeer(0, 5_000 as never)),
  'Waiters: waitFor without a function': call((peers) => peers.waitFor(true as never)),

  'Connections: connect() to one of another set': call((peers) => peers.connect('api-0')),
  'Connections: connect() with a port that is none': call((peers) => peers.connect('web-0', { port: 70_000 })),
  'Connections: connect() with a time as text': call((peers) => peers.connect('web-0', { timeoutMs: '5s' as never })),
  'Connections: connect() with TLS options that are none': call((peers) =>
    peers.connect('web-0', { tls: 'yes' as never }),
  ),
  'Connections: connect() with an option that there is not': call((peers) =>
    peers.connect('web-0', { timeout: 5_000 } as object),
  ),
  'Connections: connect() to one that is not there': inVain((peers) => peers.connect('web-7')),
  'Connections: follow() of one of another set': call((peers) => peers.follow('api-0', () => undefined)),
  'Connections: follow() without a worker': call((peers) => peers.follow('primary', undefined as never)),
  'Connections: follow() with another restart': call((peers) =>
    peers.follow('primary', () => undefined, { restart: 'never' as never }),
  ),
  'Connections: follow() with an option that there is not': call((peers) =>
    peers.follow('primary', () => undefined, { timeoutMs: 5 } as object),
  ),
  'Connections: lead() without a worker': call((peers) => peers.lead({} as never)),
  'Connections: a dispatcher of nothing': call(() => new PeerDispatcher(undefined as never)),
  'Connections: a dispatcher with an option that there is not': call(get('http://web-0', { timeoutMs: 5_000 })),
  'Connections: a dispatcher with a time as text': call(get('http://web-0', { waitMs: '5s' })),
  'Connections: a dispatcher with a connector of its own': call(get('http://web-0', { pool: { connect: {} } })),
  'Connections: a guard of nothing': call(() => createIdentityGuard({} as never)),
  'Connections: a request to a foreign origin': call(get('http://example.com/')),
  'Connections: a request to one of another set': call(get('http://api-0/')),
  'Connections: a request to a primary, where there are no roles': async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2'], { primary: false }));
    dns.views = [{ 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' }];
    const running = get('http://primary/')(peers);
    running.catch(() => undefined);
    await time.clock.tickAsync(1_000);
    return await running;
  },
  'Connections: a request to one that is not there': inVain(get('http://web-7/')),
  'Connections: a lookup of one that is not there': call(lookUp('web-7')),

  'Closed: connect()': closed((peers) => peers.connect('web-0')),
  'Closed: follow()': closed((peers) => peers.follow('web-0', () => undefined)),
  'Closed: lead()': closed((peers) => peers.lead(() => undefined)),
  'Closed: lookup()': closed(lookUp('web-0')),
  'Closed: a new dispatcher': closed(get('http://web-0/')),
  'Closed: a dispatcher of before': call(async (peers) => {
    const dispatcher = new PeerDispatcher(peers);
    await peers.close();
    return await request('http://web-0/', { dispatcher });
  }),
  'Closed: a dispatcher that was closed itself': call(async (peers) => {
    const dispatcher = new PeerDispatcher(peers);
    await dispatcher.close();
    return await request('http://web-0/', { dispatcher });
  }),
  'Closed: ready()': closed((peers) => peers.ready()),
  'Closed: waitForPeer()': closed((peers) => peers.waitForPeer('web-0')),
  'Closed: refresh()': closed((peers) => peers.refresh()),
  'Closed: explain()': closed((peers) => peers.explain()),
  'Closed: while somebody waits': call((peers) => {
    const waiting = peers.waitForPeer('web-7');
    void peers.close();
    return waiting;
  }),

  'Time is up: DNS is silent': waiter({ wrong: ({ dns }) => dns.silence(), wait: (peers) => peers.ready() }),
  'Time is up: DNS refuses': waiter({ wrong: ({ dns }) => dns.fail('REFUSED'), wait: (peers) => peers.ready() }),
  'Time is up: DNS fails': waiter({ wrong: ({ dns }) => dns.fail('SERVFAIL'), wait: primary }),
  'Time is up: DNS answers nonsense': waiter({ wrong: ({ dns }) => dns.garbage(), wait: (peers) => peers.ready() }),
  'Time is up: DNS fails since a while': waiter({
    before: ({ dns }) => dns.fail('SERVFAIL'),
    waitedMs: 60_000,
    wait: (peers) => peers.waitForPeer('web-7'),
  }),
  'Time is up: answers need TCP, which is blocked': waiter({
    wrong: ({ dns }) => {
      dns.truncate();
      dns.blockTcp('silence');
    },
    wait: (peers) => peers.ready(),
  }),
  'Time is up: nobody is Ready, not even this pod': waiter({
    cluster: { readyMs: 'manual', podManagementPolicy: 'Parallel' },
    wait: (peers) => peers.waitForPeer('web-0'),
  }),
  'Time is up: the Service does not exist': waiter({
    wrong: (cluster) => cluster.removeService('nginx'),
    wait: primary,
  }),
  'Time is up: the Service selects nobody': waiter({
    wrong: (cluster) => cluster.addService({ name: 'nginx', selector: { app: 'nginx' }, ports }),
    wait: primary,
  }),
  'Time is up: the Service is not headless': waiter({
    wrong: (cluster) =>
      cluster.addService({ name: 'nginx', type: 'ClusterIP', clusterIPs: ['10.96.7.7'], selector: app, ports }),
    wait: primary,
  }),
  'Time is up: spec.serviceName is another Service': waiter({
    wrong: (cluster) => cluster.addService({ name: 'api', selector: app, ports }),
    observer: { service: 'api' },
    wait: primary,
  }),
  'Time is up: the Service has the pods of another set': waiter({
    wrong: (cluster) => {
      cluster.addService({ name: 'nginx', selector: { app: 'db' }, ports });
      cluster.addStatefulSet({ name: 'db', replicas: 2 });
    },
    wait: primary,
  }),
  'Time is up: the Service has no port of that name': waiter({
    options: { port: 'raft' },
    wait: (peers) => peers.waitForPeer('web-7'),
  }),
  'Time is up: the namespace is another one': waiter({ observer: { namespace: 'prod' }, wait: primary }),
  'Time is up: the cluster domain is another one': waiter({
    observer: { clusterDomain: 'k8s.example' },
    wait: primary,
  }),
  'Time is up: the first ordinal is not 0': waiter({
    cluster: { ordinalStart: 5, replicas: 2 },
    pod: 'web-6',
    wait: primary,
  }),
  'Time is up: a peer that the options leave out': waiter({
    options: { expectedPods: 3 },
    wait: (peers) => peers.waitForPeer('web-7'),
  }),
  'Time is up: a peer that is not there yet': waiter({
    cluster: { replicas: 2 },
    wait: (peers) => peers.waitForPeer(2),
  }),
  'Time is up: a peer that went missing': waiter({
    before: (cluster) => cluster.statefulSet.scale(2),
    waitedMs: 60_000,
    wait: (peers) => peers.waitForPeer('web-2'),
  }),
  'Time is up: another process has the name of this pod': waiter({
    pod: 'web-0',
    before: (cluster) => cluster.pod('web-0').delete(),
    waitedMs: 60_000,
    wait: primary,
  }),
  'Time is up: a lower ordinal is not there': waiter({
    cluster: { podManagementPolicy: 'Parallel', readyMs: 'manual' },
    wrong: (cluster) => ['web-0', 'web-2'].forEach((pod) => cluster.pod(pod).markReady()),
    pod: 'web-2',
    wait: (peers) => peers.waitForLower(),
  }),
  'Time is up: a replica, where this pod is alone': waiter({
    cluster: { replicas: 1 },
    pod: 'web-0',
    wait: (peers) => peers.waitForPeer('replica'),
  }),
  'Time is up: anybody, where this pod is alone': waiter({
    cluster: { replicas: 1 },
    pod: 'web-0',
    wait: (peers) => peers.waitForPeer('any'),
  }),
  'Time is up: a primary, where there are no roles': waiter({ options: { primary: false }, wait: primary }),
  'Time is up: a primary, with a quorum that the set cannot have': waiter({
    options: { primary: lowestOrdinal({ quorum: 5 }) },
    wait: primary,
  }),
  'Time is up: a primary, from a policy that throws': waiter({
    options: {
      primary: () => {
        throw new Error('no idea');
      },
    },
    wait: primary,
  }),
  'Time is up: a primary, from a policy that is asynchronous': waiter({
    options: { primary: (async () => 'web-0') as never },
    wait: primary,
  }),
  'Time is up: something that does not come, and nothing is wrong': waiter({
    wait: (peers) => peers.waitFor(() => null),
  }),
  'Time is up: it was there, but not for long enough': waiter({
    wait: (peers) => peers.waitForPeer('web-0', { stableForMs: 60_000 }),
  }),
};

describe('20. A mistake is named: every message reads as in misuse.snapshot.txt', () => {
  time = fakeTime();
  const snapshot = new Snapshot('misuse.snapshot.txt');
  const { random } = Math;
  // Intervals are jittered, and messages say for how long answers have failed.
  before(() => {
    Math.random = () => 0.5;
  });
  after(() => {
    Math.random = random;
    snapshot.save();
  });
  for (const [title, mistake] of Object.entries(mistakes)) {
    it(title, async () => {
      const error = await errorOf(mistake);
      assert.ok(error.message.startsWith(`[${error.code}] `));
      if (title.startsWith('Time is up')) {
        assert.equal(error.code, 'ERR_TIMEOUT');
        assert.ok(error.topology !== undefined && error.explanation !== undefined && 'lastFailure' in error);
        assert.equal(error.elapsedMs, 30_000);
      }
      snapshot.check(title, error.message);
    });
  }

  it('no timeout says that nothing is wrong where something is', () => {
    const mayBeHealthy = ['nothing is wrong', 'not for long enough'];
    const healthy = snapshot.titles.filter((title) => snapshot.text(title).includes('Nothing wrong was seen'));
    assert.deepEqual(
      healthy.filter((title) => !mayBeHealthy.some((end) => title.endsWith(end))),
      [],
    );
  });

  it('every message is a sentence', () => {
    const clumsy = /\bno (?:a|all|any|what)\b|\b1 other peers\b|expected no such option/;
    assert.deepEqual(
      snapshot.titles.filter((title) => clumsy.test(snapshot.text(title))),
      [],
    );
  });

  it('has no message that nothing here brings about', () => {
    assert.deepEqual(snapshot.titles, Object.keys(mistakes));
  });
});

async function errorOf(mistake: Mistake): Promise<PeerDiscoveryError> {
  try {
    await mistake();
  } catch (error) {
    assert.ok(error instanceof PeerDiscoveryError, String(error));
    return error;
  }
  return assert.fail('nothing was thrown');
}

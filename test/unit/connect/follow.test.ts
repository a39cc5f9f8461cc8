import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { getEventListeners } from 'node:events';
import type { WorkerMessage } from '../../../src/diagnostics.ts';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import type { DiscoverOptions } from '../../../src/options.ts';
import type { PeerDiscovery } from '../../../src/peer-discovery.ts';
import { lowestOrdinal } from '../../../src/topology/primary.ts';
import type { Peer } from '../../../src/topology/topology.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { member, observer } from '../../support/member.ts';
import type { ScriptedDns, View } from '../../support/scripted-dns.ts';
import { Runs } from './runs.ts';

// Promise 17 and section 6: against whom a worker of follow() runs, when it is told to end, and when the next starts.

interface Following {
  readonly peers: PeerDiscovery<Peer>;
  readonly dns: ScriptedDns;
  readonly runs: Runs;
}

const three: View = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' };
const lowest: DiscoverOptions = { primary: lowestOrdinal({ quorum: 1 }) };
/** Longer than it takes for an absence to be believed, with the last poll. */
const missingMs = 52_000;
const removedMs = 130_000;

function codeOf(reason: unknown): string {
  return PeerDiscoveryError.from(reason)?.code ?? String(reason);
}

// The first worker loads p-retry, which takes real time.
before(() => import('p-retry'));

describe('17. follow() runs a worker against the present holder', () => {
  const time = fakeTime();

  async function start(options: DiscoverOptions = {}, view: View = three): Promise<Following> {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3'], options));
    dns.views = [view];
    await time.clock.tickAsync(100);
    return { peers, dns, runs: new Runs() };
  }

  it('the handle is there at once, and the worker is run later', async () => {
    const { peers, runs } = await start();
    const handle = peers.follow('primary', runs.follow);
    assert.deepEqual([handle.state, handle.peer, handle.lastError, runs.all.length], ['waiting', null, null, 0]);
    await time.clock.tickAsync(0);
    assert.deepEqual(
      [handle.state, handle.peer, runs.against],
      ['running', peers.topology.primary, ['web-0 10.0.0.1']],
    );
    assert.equal(runs.last.peer, peers.topology.primary);
    assert.equal(runs.last.signal.aborted, false);
  });

  it('it waits for whom it follows: before the first answer, and while nobody is there', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    const runs = new Runs();
    dns.views = ['silent'];
    const handle = peers.follow('web-1', runs.follow);
    await time.clock.tickAsync(20_000);
    assert.deepEqual([handle.state, runs.all.length], ['waiting', 0]);
    dns.views = [{ 'web-0': '10.0.0.1' }];
    await time.clock.tickAsync(20_000);
    assert.deepEqual([handle.state, runs.all.length], ['waiting', 0]);
    dns.views = [three];
    await time.clock.tickAsync(5_500);
    assert.deepEqual([handle.state, runs.against], ['running', ['web-1 10.0.0.2']]);
  });

  it('a worker that waits for good does not make DNS asked more often: nor does one that runs', async () => {
    const asked: number[] = [];
    for (const target of [null, 'primary', 'web-0', 'web-2']) {
      const { peers, dns, runs } = await start();
      if (target !== null) peers.follow(target, runs.follow);
      await time.clock.tickAsync(30_000);
      const before = dns.asked.length;
      await time.clock.tickAsync(100_000);
      asked.push(dns.asked.length - before);
    }
    for (const count of asked) assert.ok(count <= 22, `${asked.join(', ')} questions in 100 s`);
  });

  const targets: readonly (readonly [string, (peers: PeerDiscovery<Peer>) => string | number | Peer, string])[] = [
    ['a role', () => 'primary', 'web-0 10.0.0.1'],
    ['a pod name', () => 'web-1', 'web-1 10.0.0.2'],
    ['an ordinal', () => 1, 'web-1 10.0.0.2'],
    ['a Peer', (peers) => peers.topology.peer(1) as Peer, 'web-1 10.0.0.2'],
    ['replica, which is never self', () => 'replica', 'web-1 10.0.0.2'],
  ];
  for (const [what, target, expected] of targets) {
    it(`the target can be ${what}`, async () => {
      const { peers, runs } = await start();
      peers.follow(target(peers), runs.follow);
      await time.clock.tickAsync(0);
      assert.deepEqual(runs.against, [expected]);
    });
  }

  it('self is never followed, whether it is named or became the primary', async () => {
    const { peers, runs } = await start(lowest, { 'web-2': '10.0.0.3' });
    assert.equal(peers.self.role, 'primary');
    const handles = [peers.follow('web-2', runs.follow), peers.follow('primary', runs.follow)];
    await time.clock.tickAsync(30_000);
    assert.deepEqual(runs.against, []);
    assert.deepEqual(
      handles.map(({ state }) => state),
      ['waiting', 'waiting'],
    );
  });
});

describe('17. The signal of a worker aborts when it must end, and the next one runs against the present holder', () => {
  const time = fakeTime();

  interface Ending {
    readonly what: string;
    readonly target?: string;
    readonly options?: DiscoverOptions;
    readonly view?: View;
    readonly change: (dns: ScriptedDns, peers: PeerDiscovery<Peer>) => void;
    readonly afterMs?: number;
    readonly code: string;
    readonly message: RegExp;
    /** Against whom it runs next; `null` for nobody. */
    readonly next: string | null;
  }
  const endings: readonly Ending[] = [
    {
      what: 'the address in use is lost',
      change: (dns) => (dns.views = [{ ...three, 'web-0': '10.0.0.9' }]),
      code: 'ERR_PEER_MOVED',
      message: /^\[ERR_PEER_MOVED\] web-0 is no longer at 10\.0\.0\.1 but at 10\.0\.0\.9$/,
      next: 'web-0 10.0.0.9',
    },
    {
      what: 'one of its addresses is lost, which may be the one in use',
      view: { ...three, 'web-0': ['10.0.0.1', 'fd00::1'] },
      change: (dns) => (dns.views = [{ ...three, 'web-0': ['10.0.0.1', 'fd00::9'] }]),
      code: 'ERR_PEER_MOVED',
      message: /no longer at fd00::1/,
      next: 'web-0 10.0.0.1+fd00::9',
    },
    {
      what: 'its SRV port changed, which is a move too',
      change: (dns) => (dns.port = 7_001),
      code: 'ERR_PEER_MOVED',
      message: /7001/,
      next: 'web-0 10.0.0.1',
    },
    {
      what: 'a stranger answered at its address',
      change: (dns, peers) => {
        peers.report('web-0', 'stranger', '10.0.0.1');
        dns.views = ['silent'];
      },
      code: 'ERR_PEER_MOVED',
      message: /web-0 is no longer at 10\.0\.0\.1/,
      next: null,
    },
    {
      what: 'another pod claims its address',
      target: 'web-1',
      change: (dns) => (dns.views = [{ 'web-0': '10.0.0.2', 'web-1': '10.0.0.8', 'web-2': '10.0.0.3' }]),
      code: 'ERR_PEER_MOVED',
      message: /web-1 is no longer at 10\.0\.0\.2/,
      next: 'web-1 10.0.0.8',
    },
    {
      what: 'it was removed',
      target: 'web-1',
      change: (dns) => (dns.views = [{ 'web-0': '10.0.0.1', 'web-2': '10.0.0.3' }]),
      afterMs: removedMs,
      code: 'ERR_PEER_REMOVED',
      message: /^\[ERR_PEER_REMOVED\] web-1/,
      next: null,
    },
    {
      what: 'the primary is another one',
      options: lowest,
      change: (dns) => (dns.views = [{ 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' }]),
      afterMs: missingMs,
      code: 'ERR_PEER_MOVED',
      message: /the primary is web-1, no longer web-0/,
      next: 'web-1 10.0.0.2',
    },
    {
      what: 'self became the primary',
      options: lowest,
      change: (dns) => (dns.views = [{ 'web-2': '10.0.0.3' }]),
      afterMs: missingMs,
      code: 'ERR_PEER_MOVED',
      message: /no longer web-0/,
      next: null,
    },
    {
      what: 'nobody is the primary',
      options: { primary: lowestOrdinal({ quorum: 3 }) },
      change: (dns) => (dns.views = [{ 'web-0': '10.0.0.1', 'web-2': '10.0.0.3' }]),
      afterMs: missingMs,
      code: 'ERR_PEER_MOVED',
      message: /the primary is nobody, no longer web-0/,
      next: null,
    },
    {
      what: 'a replica became the primary',
      target: 'replica',
      options: lowest,
      view: { ...three, 'web-3': '10.0.0.4' },
      change: (dns) => (dns.views = [{ 'web-1': '10.0.0.2', 'web-2': '10.0.0.3', 'web-3': '10.0.0.4' }]),
      afterMs: missingMs,
      code: 'ERR_PEER_MOVED',
      message: /web-1 is no longer a replica/,
      next: 'web-3 10.0.0.4',
    },
  ];
  for (const ending of endings) {
    it(ending.what, async () => {
      const { peers, dns } = time.opened(member('web-2', ['10.0.0.3'], ending.options));
      const runs = new Runs();
      dns.views = [ending.view ?? three];
      await time.clock.tickAsync(100);
      const handle = peers.follow(ending.target ?? 'primary', runs.follow);
      await time.clock.tickAsync(0);
      const [first] = runs.all;
      assert.ok(first);
      ending.change(dns, peers);
      await time.clock.tickAsync(ending.afterMs ?? 6_000);
      assert.equal(first.signal.aborted, true);
      assert.equal(codeOf(first.signal.reason), ending.code);
      assert.match((first.signal.reason as Error).message, ending.message);
      assert.deepEqual(runs.against.slice(1), ending.next === null ? [] : [ending.next]);
      assert.equal(handle.state, ending.next === null ? 'waiting' : 'running');
      // What it threw because it was told to end is no failure.
      assert.equal(handle.lastError, null);
    });
  }

  it('losing the role of the primary starts a follower of it', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3'], lowest));
    const runs = new Runs();
    dns.views = [{ 'web-2': '10.0.0.3' }];
    await time.clock.tickAsync(100);
    const handle = peers.follow('primary', runs.follow);
    await time.clock.tickAsync(1_000);
    assert.equal(handle.state, 'waiting');
    dns.views = [three];
    await time.clock.tickAsync(6_000);
    assert.deepEqual([handle.state, runs.against], ['running', ['web-0 10.0.0.1']]);
  });

  it('the next one starts with the transition, not after a back-off', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    const runs = new Runs();
    dns.views = [three];
    await time.clock.tickAsync(100);
    peers.follow('primary', runs.follow);
    await time.clock.tickAsync(0);
    for (let turn = 1; turn <= 5; turn += 1) {
      dns.views = [{ ...three, 'web-0': `10.0.1.${turn}` }];
      await peers.refresh();
      await time.clock.tickAsync(0);
      assert.equal(runs.against.at(-1), `web-0 10.0.1.${turn}`);
    }
  });

  const quiet: Readonly<Record<string, (dns: ScriptedDns, peers: PeerDiscovery<Peer>) => void>> = {
    'a gained address': (dns) => (dns.views = [{ ...three, 'web-0': ['10.0.0.1', 'fd00::1'] }]),
    'a move of another peer': (dns) => (dns.views = [{ ...three, 'web-1': '10.0.0.9' }]),
    'the removal of another peer': (dns) => (dns.views = [{ 'web-0': '10.0.0.1', 'web-2': '10.0.0.3' }]),
    'a peer more': (dns) => (dns.views = [{ ...three, 'web-3': '10.0.0.4' }]),
    'an outage of DNS': (dns) => (dns.views = ['servfail']),
    'silence of DNS': (dns) => (dns.views = ['silent']),
    'a failed connection': (_dns, peers) => {
      peers.report('web-0', 'unreachable', '10.0.0.1');
    },
  };
  for (const [what, change] of Object.entries(quiet)) {
    it(`${what} disturbs nothing`, async () => {
      const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
      const runs = new Runs();
      dns.views = [three];
      await time.clock.tickAsync(100);
      const handle = peers.follow('primary', runs.follow);
      await time.clock.tickAsync(0);
      change(dns, peers);
      await time.clock.tickAsync(removedMs);
      assert.deepEqual([runs.all.length, runs.last.signal.aborted, handle.state], [1, false, 'running']);
    });
  }

  it('6. a missing peer is not left: its addresses stay usable until it is removed', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    const runs = new Runs();
    dns.views = [three];
    await time.clock.tickAsync(100);
    const handle = peers.follow('web-1', runs.follow);
    await time.clock.tickAsync(0);
    dns.views = [{ 'web-0': '10.0.0.1', 'web-2': '10.0.0.3' }];
    await time.clock.tickAsync(missingMs);
    assert.equal(peers.topology.peer('web-1')?.presence, 'missing');
    assert.deepEqual([runs.all.length, handle.state], [1, 'running']);
  });

  it('nor does its port, when SRV tells it for the first time', async () => {
    const { peers, dns } = time.opened(observer());
    const srv = 'SRV _peer._tcp.nginx.default.svc.cluster.local';
    dns.views = [three];
    dns.exceptions.set(srv, 'servfail');
    await time.clock.tickAsync(1_000);
    assert.equal(peers.topology.peer(0)?.port, null);
    const runs = new Runs();
    peers.follow('web-0', runs.follow);
    await time.clock.tickAsync(0);
    dns.exceptions.delete(srv);
    await time.clock.tickAsync(6_000);
    assert.equal(peers.topology.peer(0)?.port, 7_000);
    assert.deepEqual([runs.all.length, runs.last.signal.aborted], [1, false]);
  });

  it('an address that was gained while it ran and is lost again may be the one in use', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    const runs = new Runs();
    dns.views = [{ ...three, 'web-0': '10.0.0.1' }];
    await time.clock.tickAsync(100);
    peers.follow('primary', runs.follow);
    await time.clock.tickAsync(0);
    dns.views = [{ ...three, 'web-0': ['10.0.0.1', 'fd00::1'] }];
    await time.clock.tickAsync(6_000);
    // A worker that reconnects by itself may be at fd00::1 from here on.
    dns.views = [{ ...three, 'web-0': ['10.0.0.1', 'fd00::9'] }];
    await time.clock.tickAsync(6_000);
    assert.equal(runs.all[0]?.signal.aborted, true);
  });
});

describe('17. One worker at a time', () => {
  const time = fakeTime();

  it('one that is stopped in the same moment in which its peer appears does not begin', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = [{ 'web-0': '10.0.0.1', 'web-2': '10.0.0.3' }];
    await time.clock.tickAsync(100);
    const late = new Runs();
    const waiting = peers.follow('web-1', late.follow);
    await time.clock.tickAsync(0);
    // Its end, in the change that shows web-1, stops the other.
    const running = peers.follow('web-0', (_peer, { signal }) => {
      signal.addEventListener('abort', () => void waiting.stop());
      return new Promise((resolve) => signal.addEventListener('abort', resolve));
    });
    await time.clock.tickAsync(0);
    dns.views = [{ ...three, 'web-0': '10.0.0.9' }];
    await peers.refresh();
    await time.clock.tickAsync(0);
    assert.deepEqual([waiting.state, late.all.length], ['stopped', 0]);
    await running.stop();
  });

  it('the next waits until the one before has ended, and runs at the address of that time', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    const runs = new Runs();
    runs.obeys = false;
    dns.views = [three];
    await time.clock.tickAsync(100);
    const handle = peers.follow('primary', runs.follow);
    await time.clock.tickAsync(0);
    for (const address of ['10.0.0.8', '10.0.0.9']) {
      dns.views = [{ ...three, 'web-0': address }];
      await time.clock.tickAsync(6_000);
      assert.deepEqual([handle.state, runs.all.length, runs.last.signal.aborted], ['ending', 1, true]);
    }
    await time.clock.tickAsync(300_000);
    assert.deepEqual([handle.state, runs.all.length], ['ending', 1]);
    runs.last.finish();
    await time.clock.tickAsync(0);
    assert.deepEqual([handle.state, runs.against], ['running', ['web-0 10.0.0.1', 'web-0 10.0.0.9']]);
    assert.equal(runs.most, 1);
    runs.last.finish();
    runs.obeys = true;
  });

  it('also where the address comes back while it is ending', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    const runs = new Runs();
    runs.obeys = false;
    dns.views = [three];
    await time.clock.tickAsync(100);
    const handle = peers.follow('primary', runs.follow);
    await time.clock.tickAsync(0);
    dns.views = [{ ...three, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(6_000);
    dns.views = [three];
    await time.clock.tickAsync(30_000);
    assert.equal(peers.topology.primary?.addresses[0]?.address, '10.0.0.1');
    assert.deepEqual([handle.state, runs.all.length], ['ending', 1]);
    runs.obeys = true;
    runs.last.fail(new Error('late'));
    await time.clock.tickAsync(0);
    assert.deepEqual([handle.state, runs.against.at(-1), runs.most], ['running', 'web-0 10.0.0.1', 1]);
  });

  it('stateful-peers:worker:stuck tells of one that ignores its signal, once', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    const runs = new Runs();
    runs.obeys = false;
    const told: WorkerMessage[] = [];
    const hear = (message: unknown): void => {
      told.push(message as WorkerMessage);
    };
    subscribe('stateful-peers:worker:stuck', hear);
    try {
      dns.views = [three];
      await time.clock.tickAsync(100);
      const handle = peers.follow('primary', runs.follow);
      await time.clock.tickAsync(120_000);
      assert.deepEqual(told, []);
      dns.views = [{ ...three, 'web-0': '10.0.0.9' }];
      await peers.refresh();
      const { signal } = runs.last;
      assert.equal(signal.aborted, true);
      await time.clock.tickAsync(9_900);
      assert.deepEqual(told, []);
      await time.clock.tickAsync(200);
      assert.deepEqual(told, [
        { kind: 'follow', podName: 'web-0', ignoredForMs: 10_000, reason: signal.reason as unknown },
      ]);
      dns.views = [{ ...three, 'web-0': '10.0.0.10' }];
      await time.clock.tickAsync(60_000);
      assert.equal(told.length, 1);
      runs.obeys = true;
      runs.last.finish();
      await handle.stop();
      // One that ends in time is not told of.
      await time.clock.tickAsync(60_000);
      assert.equal(told.length, 1);
    } finally {
      unsubscribe('stateful-peers:worker:stuck', hear);
    }
  });
});

describe('17. Only stop(), its signal and close() end a follower', () => {
  const time = fakeTime();

  type Stop = (peers: PeerDiscovery<Peer>, handle: { stop(): Promise<void> }, user: AbortController) => unknown;
  const stops: readonly (readonly [string, Stop, string])[] = [
    ['stop()', (_peers, handle) => handle.stop(), 'ERR_CLOSED'],
    [
      'its signal',
      (_peers, _handle, user) => {
        user.abort('mine');
      },
      'mine',
    ],
    ['close()', (peers) => peers.close(), 'ERR_CLOSED'],
  ];
  const states: Readonly<Record<string, (runs: Runs, dns: ScriptedDns) => Promise<void>>> = {
    // The first worker of a process also waits for p-retry.
    'at once': () => Promise.resolve(),
    waiting: async (_runs, dns) => {
      dns.views = ['silent'];
      await time.clock.tickAsync(5_000);
    },
    running: async () => {
      await time.clock.tickAsync(500);
    },
    'backing-off': async (runs) => {
      await time.clock.tickAsync(500);
      runs.last.fail(new Error('bad data'));
      await time.clock.tickAsync(1);
    },
  };
  for (const [how, stop, reason] of stops) {
    for (const [state, arrive] of Object.entries(states)) {
      it(`${how}, ${state}: done resolves, and no run comes after it`, async () => {
        const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
        const runs = new Runs();
        const user = new AbortController();
        dns.views = [state === 'waiting' ? { 'web-2': '10.0.0.3' } : three];
        await time.clock.tickAsync(100);
        const handle = peers.follow('primary', runs.follow, { signal: user.signal });
        await arrive(runs, dns);
        if (state !== 'at once') assert.equal(handle.state, state);
        const before = runs.all.length;
        const settled = Promise.all([stop(peers, handle, user), handle.done]);
        await time.clock.tickAsync(0);
        await settled;
        assert.equal(handle.state, 'stopped');
        if (state === 'running') assert.equal(codeOf(runs.last.signal.reason), reason);
        await time.clock.tickAsync(60_000);
        assert.equal(runs.all.length, before);
        assert.equal(getEventListeners(user.signal, 'abort').length, 0);
        await handle.stop();
      });
    }
  }

  it('they wait for a worker that takes its time', async () => {
    for (const [how, stop] of stops) {
      const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
      const runs = new Runs();
      const user = new AbortController();
      runs.obeys = false;
      dns.views = [three];
      await time.clock.tickAsync(100);
      const handle = peers.follow('primary', runs.follow, { signal: user.signal });
      await time.clock.tickAsync(0);
      let isDone = false;
      const done = Promise.all([stop(peers, handle, user), handle.done]).then(() => {
        isDone = true;
      });
      await time.clock.tickAsync(8_000);
      assert.deepEqual([isDone, handle.state, runs.last.signal.aborted], [false, 'ending', true], how);
      runs.last.fail(new Error('not in the mood'));
      await done;
      assert.equal(handle.state, 'stopped');
    }
  });

  it('close() waits for the workers and goes on answering them meanwhile: the belief is still there', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    const order: string[] = [];
    dns.views = [three];
    await time.clock.tickAsync(100);
    peers.on('closed', () => order.push('closed'));
    peers.follow('primary', async (_peer, { signal }) => {
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
      });
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      order.push(`worker, ${peers.topology.primary?.podName ?? 'nobody'} known`);
    });
    await time.clock.tickAsync(0);
    const closed = peers.close().then(() => order.push('settled'));
    await time.clock.tickAsync(3_000);
    await closed;
    assert.deepEqual(order, ['worker, web-0 known', 'closed', 'settled']);
  });

  it('a worker can stop its own handle', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = [three];
    await time.clock.tickAsync(100);
    let runs = 0;
    const handle = peers.follow('primary', () => {
      runs += 1;
      void handle.stop();
    });
    await time.clock.tickAsync(10_000);
    await handle.done;
    assert.deepEqual([handle.state, runs], ['stopped', 1]);
  });

  it('a hundred workers of one process end together and leave nothing', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    const runs = new Runs();
    dns.views = [three];
    await time.clock.tickAsync(100);
    const handles = Array.from({ length: 100 }, () => peers.follow('any', runs.follow));
    await time.clock.tickAsync(0);
    assert.equal(runs.all.length, 100);
    await peers.close();
    assert.deepEqual([...new Set(handles.map(({ state }) => state))], ['stopped']);
  });

  it('one signal may serve many workers: Node.js warns of no leak', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    const user = new AbortController();
    const warnings: string[] = [];
    const warn = ({ message }: Error): void => {
      warnings.push(message);
    };
    process.on('warning', warn);
    try {
      dns.views = [three];
      await time.clock.tickAsync(100);
      const runs = new Runs();
      const handles = Array.from({ length: 12 }, () => peers.follow('any', runs.follow, { signal: user.signal }));
      await new Promise((resolve) => setImmediate(resolve));
      user.abort();
      await Promise.all(handles.map(({ done }) => done));
      assert.deepEqual(warnings, []);
    } finally {
      process.off('warning', warn);
    }
  });
});

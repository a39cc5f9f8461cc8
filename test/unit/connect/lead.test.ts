import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { WorkerMessage } from '../../../src/diagnostics.ts';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import type { DiscoverOptions } from '../../../src/options.ts';
import type { PeerDiscovery } from '../../../src/peer-discovery.ts';
import { lowestOrdinal } from '../../../src/topology/primary.ts';
import type { Peer } from '../../../src/topology/topology.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { member } from '../../support/member.ts';
import type { Fault, ScriptedDns, View } from '../../support/scripted-dns.ts';
import { Runs } from './runs.ts';

// Promise 17 and section 6: a worker of lead() runs while this pod is the primary. Promises 11 and 12 say when it is.

const three: View = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' };
const lowest: DiscoverOptions = { primary: lowestOrdinal({ quorum: 1 }) };
const missingMs = 52_000;

interface Leading {
  readonly peers: PeerDiscovery<Peer>;
  readonly dns: ScriptedDns;
  readonly runs: Runs;
  readonly handle: ReturnType<PeerDiscovery<Peer>['lead']>;
}

before(() => import('p-retry'));

describe('17. lead() runs a worker while this pod is the primary', () => {
  const time = fakeTime();

  async function start(podName: string, options: DiscoverOptions = {}, view: View | Fault = three): Promise<Leading> {
    const { peers, dns } = time.opened(member(podName, [`10.0.0.${Number(podName.slice(4)) + 1}`], options));
    dns.views = [view];
    const runs = new Runs();
    const handle = peers.lead(runs.lead);
    await time.clock.tickAsync(100);
    return { peers, dns, runs, handle };
  }

  it('in the primary, with nothing but its signal', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
    dns.views = [three];
    const given: unknown[][] = [];
    const handle = peers.lead((...args: unknown[]) => {
      given.push(args);
      return new Promise((resolve) => {
        (args[0] as { signal: AbortSignal }).signal.addEventListener('abort', resolve);
      });
    });
    assert.equal(handle.state, 'waiting');
    await time.clock.tickAsync(100);
    assert.equal(handle.state, 'running');
    assert.equal(handle.peer?.podName, 'web-0');
    assert.deepEqual(
      given.map((args) => args.map((one) => Object.keys(one as object))),
      [[['signal']]],
    );
  });

  it('in no other pod, and without asking DNS more often for it', async () => {
    const { dns, runs, handle } = await start('web-1');
    await time.clock.tickAsync(30_000);
    const before = dns.asked.length;
    await time.clock.tickAsync(100_000);
    assert.deepEqual([runs.all.length, handle.state], [0, 'waiting']);
    assert.ok(dns.asked.length - before <= 22, `${dns.asked.length - before} questions in 100 s`);
  });

  it('never without roles', async () => {
    const { runs, handle } = await start('web-0', { primary: false });
    await time.clock.tickAsync(30_000);
    assert.deepEqual([runs.all.length, handle.state], [0, 'waiting']);
  });

  const before: Readonly<Record<string, View | Fault>> = {
    'nobody is published': {},
    'only others are published': { 'web-1': '10.0.0.2' },
    'DNS is silent': 'silent',
    'DNS fails': 'servfail',
  };
  for (const [what, view] of Object.entries(before)) {
    it(`11. under fixedPrimary also before it is Ready, while ${what}`, async () => {
      const { runs, handle } = await start('web-0', {}, view);
      await time.clock.tickAsync(600_000);
      assert.deepEqual([runs.all.length, handle.state], [1, 'running']);
    });
  }

  it('5. under any other policy not before the first complete answer, and not before it is published', async () => {
    const { dns, runs, handle } = await start('web-0', lowest, 'silent');
    await time.clock.tickAsync(20_000);
    assert.deepEqual([runs.all.length, handle.state], [0, 'waiting']);
    dns.views = [{ 'web-1': '10.0.0.2' }];
    await time.clock.tickAsync(20_000);
    assert.deepEqual([runs.all.length, handle.state], [0, 'waiting']);
    dns.views = [three];
    await time.clock.tickAsync(6_000);
    assert.deepEqual([runs.all.length, handle.state], [1, 'running']);
  });

  it('it ends when the policy designates another pod, and starts again when it is this one', async () => {
    const { dns, runs, handle } = await start('web-1', lowest, { 'web-1': '10.0.0.2' });
    assert.equal(handle.state, 'running');
    dns.views = [three];
    await time.clock.tickAsync(6_000);
    const { reason } = runs.last.signal as { reason: unknown };
    assert.ok(reason instanceof PeerDiscoveryError);
    assert.equal(reason.code, 'ERR_PEER_MOVED');
    assert.match(
      reason.message,
      /^\[ERR_PEER_MOVED\] web-1 is no longer the primary: the lowest of 3 published ordinals/,
    );
    assert.deepEqual([handle.state, runs.all.length], ['waiting', 1]);
    dns.views = [{ 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' }];
    await time.clock.tickAsync(missingMs);
    assert.deepEqual([handle.state, runs.all.length, runs.most], ['running', 2, 1]);
  });

  it('it ends when the quorum is lost', async () => {
    const { dns, runs, handle } = await start('web-0', { primary: lowestOrdinal({ quorum: 2 }) });
    assert.equal(handle.state, 'running');
    dns.views = [{ 'web-0': '10.0.0.1' }];
    await time.clock.tickAsync(missingMs);
    assert.equal(handle.state, 'waiting');
    assert.match(
      (runs.last.signal.reason as Error).message,
      /no longer the primary: DNS names 1 of the 2 peers needed/,
    );
  });

  const failures: readonly Fault[] = ['servfail', 'silent', 'closed', 'garbage'];
  for (const failure of failures) {
    it(`under lowestOrdinal it ends when answers have been stale for 60 s, and starts again (${failure})`, async () => {
      const { peers, dns, runs, handle } = await start('web-0', lowest);
      assert.equal(handle.state, 'running');
      dns.views = [failure];
      let staleAt = -1;
      let endedAt = -1;
      peers.on('freshnessChanged', ({ current }) => {
        if (current.state === 'stale') staleAt = performance.now();
      });
      runs.last.signal.addEventListener('abort', () => {
        endedAt = performance.now();
      });
      await time.clock.tickAsync(55_000);
      assert.deepEqual([handle.state, runs.last.signal.aborted], ['running', false]);
      await time.clock.tickAsync(30_000);
      assert.deepEqual([handle.state, runs.last.signal.aborted], ['waiting', true]);
      // Asked once a second.
      const elapsedMs = endedAt - staleAt;
      assert.ok(elapsedMs >= 60_000 && elapsedMs <= 61_100, `after ${elapsedMs} ms`);
      assert.match((runs.last.signal.reason as Error).message, /no longer the primary: no complete answer for 60 s/);
      dns.views = [three];
      await time.clock.tickAsync(15_000);
      assert.deepEqual([handle.state, runs.all.length], ['running', 2]);
    });

    it(`under fixedPrimary it does not (${failure})`, async () => {
      const { dns, runs, handle } = await start('web-0');
      dns.views = [failure];
      await time.clock.tickAsync(600_000);
      assert.deepEqual([handle.state, runs.all.length, runs.last.signal.aborted], ['running', 1, false]);
    });
  }

  it('12. it ends when another process has its name: 30 s of answers after an own address was shown', async () => {
    const { peers, dns, runs, handle } = await start('web-0');
    await time.clock.tickAsync(10_000);
    dns.views = [{ ...three, 'web-0': '10.0.0.99' }];
    await time.clock.tickAsync(28_000);
    assert.equal(handle.state, 'running');
    await time.clock.tickAsync(12_000);
    assert.equal(peers.self.presence, 'superseded');
    assert.equal(handle.state, 'waiting');
    const { reason } = runs.last.signal as { reason: unknown };
    assert.equal(PeerDiscoveryError.from(reason)?.code, 'ERR_PEER_MOVED');
    assert.match((reason as Error).message, /web-0 is no longer the primary: another process has its name/);
    // It stays so for as long as that is shown, and an own address clears it.
    await time.clock.tickAsync(600_000);
    assert.equal(runs.all.length, 1);
    dns.views = [three];
    await time.clock.tickAsync(6_000);
    assert.deepEqual([handle.state, runs.all.length], ['running', 2]);
  });

  it('12. or 90 s of answers, where no own address was ever shown', async () => {
    const { handle } = await start('web-0', {}, { ...three, 'web-0': '10.0.0.99' });
    await time.clock.tickAsync(85_000);
    assert.equal(handle.state, 'running');
    await time.clock.tickAsync(15_000);
    assert.equal(handle.state, 'waiting');
  });

  it('12. a process that cannot ask DNS cannot notice', async () => {
    const { dns, handle } = await start('web-0');
    dns.views = [{ ...three, 'web-0': '10.0.0.99' }];
    await time.clock.tickAsync(10_000);
    dns.views = ['servfail'];
    await time.clock.tickAsync(600_000);
    assert.equal(handle.state, 'running');
  });

  it('others may come, move and go', async () => {
    const { dns, runs, handle } = await start('web-0');
    for (const view of [
      { ...three, 'web-1': '10.0.0.9' },
      { 'web-0': '10.0.0.1' },
      { ...three, 'web-3': '10.0.0.4' },
      { 'web-0': ['10.0.0.1', 'fd00::1'] },
    ] as const) {
      dns.views = [view];
      await time.clock.tickAsync(130_000);
    }
    assert.deepEqual([handle.state, runs.all.length, runs.last.signal.aborted], ['running', 1, false]);
  });

  it('a worker that fails is run again while this pod is the primary, and no longer', async () => {
    const { dns, runs, handle } = await start('web-0', lowest);
    runs.last.fail(new TypeError('no'));
    await time.clock.tickAsync(1_000);
    assert.deepEqual([handle.state, runs.all.length], ['running', 2]);
    for (let turn = 0; turn < 8; turn += 1) {
      runs.last.fail(new Error('no'));
      await time.clock.tickAsync(15_000);
    }
    runs.last.fail(new Error('no'));
    await time.clock.tickAsync(1);
    assert.equal(handle.state, 'backing-off');
    const { length } = runs.all;
    // It may be run again in the first 60 s of the outage, but then this pod is the primary no longer.
    dns.views = ['servfail'];
    await time.clock.tickAsync(75_000);
    assert.equal(handle.state, 'waiting');
    assert.ok(runs.all.slice(length).every(({ signal }) => signal.aborted));
    const after = runs.all.length;
    await time.clock.tickAsync(120_000);
    assert.equal(runs.all.length, after);
  });

  it("'on-failure': one that returns is done for good, also for the next time that this pod is the primary", async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1'], lowest));
    dns.views = [three];
    const runs = new Runs();
    const handle = peers.lead(runs.lead, { restart: 'on-failure' });
    await time.clock.tickAsync(100);
    runs.last.finish();
    await handle.done;
    await time.clock.tickAsync(60_000);
    assert.deepEqual([handle.state, runs.all.length], ['stopped', 1]);
  });

  it('one at a time: who lost the role and has it back waits for the worker of before; the diagnostic says so', async () => {
    const { dns, runs, handle } = await start('web-0');
    const told: WorkerMessage[] = [];
    const hear = (message: unknown): void => {
      told.push(message as WorkerMessage);
    };
    subscribe('stateful-peers:worker:stuck', hear);
    try {
      runs.obeys = false;
      await time.clock.tickAsync(10_000);
      dns.views = [{ ...three, 'web-0': '10.0.0.99' }];
      await time.clock.tickAsync(50_000);
      dns.views = [three];
      await time.clock.tickAsync(10_000);
      assert.deepEqual([handle.state, runs.all.length], ['ending', 1]);
      assert.deepEqual(
        told.map(({ kind, podName, ignoredForMs }) => ({ kind, podName, ignoredForMs })),
        [{ kind: 'lead', podName: 'web-0', ignoredForMs: 10_000 }],
      );
      runs.obeys = true;
      runs.last.finish();
      await time.clock.tickAsync(0);
      assert.deepEqual([handle.state, runs.all.length, runs.most], ['running', 2, 1]);
    } finally {
      unsubscribe('stateful-peers:worker:stuck', hear);
    }
  });

  it('close() tells it to end and waits for it', async () => {
    const { peers, runs, handle } = await start('web-0');
    runs.obeys = false;
    let isClosed = false;
    const closed = peers.close().then(() => {
      isClosed = true;
    });
    await time.clock.tickAsync(5_000);
    assert.deepEqual([isClosed, handle.state], [false, 'ending']);
    assert.equal(PeerDiscoveryError.from(runs.last.signal.reason)?.code, 'ERR_CLOSED');
    runs.last.finish();
    await closed;
    assert.equal(handle.state, 'stopped');
  });

  it('the same pod can lead and follow: one of the two runs', async () => {
    const { peers, dns, runs, handle } = await start('web-1', lowest);
    const followers = new Runs();
    const following = peers.follow('primary', followers.follow);
    await time.clock.tickAsync(100);
    const both = (): string[] => [handle.state, following.state];
    assert.deepEqual(both(), ['waiting', 'running']);
    dns.views = [{ 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' }];
    await time.clock.tickAsync(missingMs);
    assert.deepEqual(both(), ['running', 'waiting']);
    dns.views = [three];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(both(), ['waiting', 'running']);
    assert.deepEqual([runs.all.length, followers.against], [1, ['web-0 10.0.0.1', 'web-0 10.0.0.1']]);
  });
});

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { PeerDiscovery } from '../../../src/peer-discovery.ts';
import { createMember } from '../../../src/peer-discovery.ts';
import type { Peer } from '../../../src/topology/topology.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { eventNames, member, observer, podEnvironment, record } from '../../support/member.ts';
import { ScriptedDns } from '../../support/scripted-dns.ts';
import { uncaught } from '../../support/uncaught.ts';

const two = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' };
const moved = { ...two, 'web-0': '10.0.0.9' };

describe('14. A throwing listener hurts nobody else', () => {
  const time = fakeTime();

  it('the others run, the state is complete, and each error surfaces as an uncaught exception', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    const thrown: Error[] = [];
    for (const name of eventNames) {
      peers.on(name, () => {
        const error = new Error(`from ${name}`);
        thrown.push(error);
        throw error;
      });
    }
    const lines = record(peers);
    const ready = peers.ready();
    dns.views = [two];
    const errors = await uncaught(() => time.clock.tickAsync(100));
    assert.equal(lines.at(-1), 'topologyChanged 1');
    assert.ok(thrown.length >= 5);
    assert.deepEqual(errors, thrown);
    assert.equal(await ready, peers.topology);
    dns.views = [moved];
    const later = await uncaught(() => time.clock.tickAsync(6_000));
    assert.deepEqual(lines.slice(-2), ['peerMoved web-0 10.0.0.1>10.0.0.9 (answer)', 'topologyChanged 2']);
    assert.equal(later.length, 2);
    const last = await uncaught(() => peers.close());
    assert.equal(lines.at(-1), 'closed');
    assert.deepEqual(last, thrown.slice(-1));
  });

  it('one that throws something that is no error surfaces as what it is', async () => {
    const { peers, dns } = time.opened(observer());
    peers.on('topologyChanged', () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- what listeners do
      throw 'a word';
    });
    dns.views = [two];
    assert.deepEqual(await uncaught(() => time.clock.tickAsync(100)), ['a word']);
  });

  it('once() hears one event, off() and removeListener() take away what on(), once() and addListener() gave', async () => {
    const { peers, dns } = time.opened(observer());
    const heard: string[] = [];
    const listener = (word: string) => (): void => void heard.push(word);
    const [kept, once, offed, removed, neverOnce] = ['kept', 'once', 'offed', 'removed', 'never'].map(listener);
    assert.ok(kept && once && offed && removed && neverOnce);
    peers.addListener('topologyChanged', kept);
    peers.once('topologyChanged', once);
    peers.on('topologyChanged', offed).off('topologyChanged', offed);
    peers.addListener('topologyChanged', removed).removeListener('topologyChanged', removed);
    peers.once('topologyChanged', neverOnce).off('topologyChanged', neverOnce);
    assert.equal(peers.listenerCount('topologyChanged'), 2);
    assert.deepEqual(peers.listeners('topologyChanged'), [kept, once]);
    dns.views = [two];
    await time.clock.tickAsync(100);
    dns.views = [moved];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(heard, ['kept', 'once', 'kept']);
    peers.removeAllListeners('topologyChanged');
    dns.views = [two];
    await time.clock.tickAsync(30_000);
    assert.deepEqual(heard, ['kept', 'once', 'kept']);
  });

  it('one function on two events is taken away from one of them', async () => {
    const { peers, dns } = time.opened(observer());
    let calls = 0;
    const listener = (): void => void (calls += 1);
    peers.on('topologyChanged', listener);
    peers.on('freshnessChanged', listener);
    peers.off('topologyChanged', listener);
    dns.views = [two];
    await time.clock.tickAsync(100);
    assert.equal(calls, 1);
  });

  it('`this` is the library object, or the context that was given', async () => {
    const { peers, dns } = time.opened(observer());
    const seen: unknown[] = [];
    const context = { name: 'mine' };
    peers.on('topologyChanged', function (this: unknown) {
      seen.push(this);
    });
    peers.on(
      'topologyChanged',
      function (this: unknown) {
        seen.push(this);
      },
      context,
    );
    dns.views = [two];
    await time.clock.tickAsync(100);
    assert.deepEqual(
      seen.map((one) => (one === peers ? 'the library' : one)),
      ['the library', context],
    );
  });
});

describe('14. After close() settles nothing is emitted and no socket, timer or listener is left', () => {
  const time = fakeTime();

  /** Nothing is left of it, nothing comes any more, and whatever it is asked says that it is closed. */
  const assertClosed = async (peers: PeerDiscovery, dns: ScriptedDns, lines: readonly string[]): Promise<void> => {
    assert.equal(lines.at(-1), 'closed');
    assert.equal(lines.filter((line) => line === 'closed').length, 1);
    assert.equal(time.clock.countTimers(), 0, 'a timer is left');
    assert.equal(dns.isClosed, true, 'the transport is open');
    for (const name of eventNames) assert.equal(peers.listenerCount(name), 0, `a listener of ${name} is left`);
    const late = record(peers);
    const asked = dns.asked.length;
    dns.views = [{ 'web-7': '10.0.0.77' }];
    await time.clock.tickAsync(60_000);
    assert.deepEqual(late, []);
    assert.equal(dns.asked.length, asked, 'it still asks');
    assert.equal(time.clock.countTimers(), 0);
    peers.removeAllListeners();
  };
  const isClosed = { code: 'ERR_CLOSED' };

  const states: readonly (readonly [string, (dns: ScriptedDns, peers: PeerDiscovery<Peer>) => Promise<unknown>])[] = [
    ['before the first question', async () => undefined],
    [
      'during the first round',
      async (dns) => {
        dns.views = ['silent'];
        await time.clock.tickAsync(100);
        assert.equal(dns.asked.length, 1);
      },
    ],
    [
      'while nothing happens',
      async (dns) => {
        dns.views = [two];
        await time.clock.tickAsync(60_000);
      },
    ],
    [
      'during a later round',
      async (dns) => {
        dns.views = [two];
        await time.clock.tickAsync(60_000);
        dns.views = ['silent'];
        await time.clock.tickAsync(5_500);
      },
    ],
    [
      'between failed rounds',
      async (dns) => {
        dns.views = ['closed'];
        await time.clock.tickAsync(60_000);
      },
    ],
    [
      'while a hint is asked',
      async (dns, peers) => {
        dns.views = [two];
        await time.clock.tickAsync(60_000);
        dns.views = ['silent'];
        const before = dns.asked.length;
        peers.report('web-0', 'unreachable', '10.0.0.1');
        await time.clock.tickAsync(60);
        assert.ok(dns.asked.length > before, 'no hint was asked');
      },
    ],
    [
      'while a truncated answer is fetched by name',
      async (dns) => {
        dns.views = ['truncated'];
        await time.clock.tickAsync(100);
      },
    ],
  ];
  for (const [when, reach] of states) {
    it(`close() ${when}`, async () => {
      const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
      await reach(dns, peers);
      const lines = record(peers);
      await peers.close();
      assert.deepEqual(lines, ['closed']);
      await assertClosed(peers, dns, lines);
    });
  }

  it('with everything pending at once, all of it ends with ERR_CLOSED', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = ['silent'];
    const lines = record(peers);
    const pending = [
      peers.ready(),
      peers.waitForPrimary({ timeoutMs: Infinity }),
      peers.waitForPeer('web-0', { stableForMs: 1_000 }),
      peers.waitForLower(),
      peers.waitFor(() => null),
      peers.refresh(),
      peers.explain(),
    ].map((promise) => assert.rejects(promise, isClosed));
    await time.clock.tickAsync(100);
    await peers.close();
    await Promise.all(pending);
    await assertClosed(peers, dns, lines);
  });

  it('twice is the same promise, and closed is emitted once', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = ['silent'];
    await time.clock.tickAsync(100);
    const lines = record(peers);
    const first = peers.close();
    assert.equal(peers.close(), first);
    await first;
    assert.equal(peers.close(), first);
    await peers.close();
    await assertClosed(peers, dns, lines);
  });

  it('by the signal of the options; no listener is left on it', async () => {
    const controller = new AbortController();
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2'], { signal: controller.signal }));
    dns.views = [two];
    await time.clock.tickAsync(1_000);
    const lines = record(peers);
    const waiting = assert.rejects(peers.waitForPeer('web-7'), isClosed);
    controller.abort(new Error('SIGTERM'));
    await waiting;
    await peers.close();
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
    await assertClosed(peers, dns, lines);
  });

  it('a signal that outlives the library has no listener of it', async () => {
    const controller = new AbortController();
    const { peers } = time.opened(member('web-1', ['10.0.0.2'], { signal: controller.signal }));
    await peers.close();
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
  });

  it('a signal that is aborted already: construction throws its reason and leaves nothing', () => {
    const reason = new Error('too late');
    assert.throws(
      () => member('web-1', ['10.0.0.2'], { signal: AbortSignal.abort(reason) }),
      (error) => error === reason,
    );
    assert.equal(time.clock.countTimers(), 0);
  });

  it('by the end of a block with `await using`', async () => {
    const dns = new ScriptedDns();
    dns.views = [two];
    const outer: { peers: PeerDiscovery; lines: string[] }[] = [];
    {
      await using peers = createMember(
        { port: 'peer' },
        { environment: podEnvironment('web-1', ['10.0.0.2']), transport: dns },
      );
      await time.clock.tickAsync(1_000);
      outer.push({ peers, lines: record(peers) });
    }
    for (const { peers, lines } of outer) await assertClosed(peers, dns, lines);
    assert.equal(outer.length, 1);
  });

  for (const name of ['freshnessChanged', 'peerAdded', 'topologyChanged', 'closed'] as const) {
    it(`inside a listener of ${name}: the events under way come first, then closed, then none`, async () => {
      const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
      const closings: Promise<void>[] = [];
      peers.on(name, () => {
        closings.push(peers.close());
        peers.report('web-0', 'stranger', '10.0.0.1');
      });
      const lines = record(peers);
      dns.views = [two];
      await time.clock.tickAsync(1_000);
      if (name === 'closed') await peers.close();
      assert.ok(closings.length > 0);
      await Promise.all(closings);
      assert.deepEqual(lines, [
        'freshnessChanged fresh',
        'peerAdded web-0 10.0.0.1 (answer)',
        'peerMoved web-1 10.0.0.2>10.0.0.2 (answer)',
        'presenceChanged web-1 published (answer)',
        'primaryChanged null>web-0 (answer)',
        'topologyChanged 1',
        'closed',
      ]);
      await assertClosed(peers, dns, lines);
    });
  }

  it('afterwards the last belief can be read, reports are ignored, and everything else says ERR_CLOSED', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
    dns.views = [two];
    await time.clock.tickAsync(1_000);
    const { topology } = peers;
    await peers.close();
    assert.equal(peers.topology, topology);
    assert.equal(peers.self.role, 'primary');
    assert.equal(peers.freshness.state, 'fresh');
    peers.report('web-1', 'stranger', '10.0.0.2');
    assert.equal(peers.topology, topology);
    const calls = [
      () => peers.ready(),
      () => peers.waitForPrimary(),
      () => peers.waitForPeer('web-1'),
      () => peers.waitForLower(),
      () => peers.waitFor(() => true),
      () => peers.refresh(),
      () => peers.explain(),
    ];
    for (const call of calls) await assert.rejects(call(), isClosed);
    assert.equal(time.clock.countTimers(), 0);
  });

  it('a hundred library objects in one process leave nothing behind', async () => {
    const all = Array.from({ length: 100 }, () => time.opened(observer()));
    for (const { dns } of all) dns.views = [two];
    await time.clock.tickAsync(6_000);
    await Promise.all(all.map(({ peers }) => peers.close()));
    assert.equal(time.clock.countTimers(), 0);
  });
});

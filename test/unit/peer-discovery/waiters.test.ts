import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import type { WaitOptions } from '../../../src/options.ts';
import type { PeerDiscovery } from '../../../src/peer-discovery.ts';
import { lowestOrdinal } from '../../../src/topology/primary.ts';
import type { Peer } from '../../../src/topology/topology.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { member, observer } from '../../support/member.ts';

const two = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' };
const three = { ...two, 'web-2': '10.0.0.3' };

/** What a promise has come to by now. */
function watch<Value>(promise: Promise<Value>): { value?: Value; error?: unknown; isSettled: boolean } {
  const state: { value?: Value; error?: unknown; isSettled: boolean } = { isSettled: false };
  promise.then(
    (value) => Object.assign(state, { value, isSettled: true }),
    (error: unknown) => Object.assign(state, { error, isSettled: true }),
  );
  return state;
}

describe('Waiters: what each waits for', () => {
  const time = fakeTime();

  it('ready: the first complete answer, and nothing once it is there', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = ['servfail'];
    const ready = watch(peers.ready());
    await time.clock.tickAsync(10_000);
    assert.equal(ready.isSettled, false);
    dns.views = [two];
    await time.clock.tickAsync(3_000);
    assert.equal(ready.value, peers.topology);
    dns.views = ['servfail'];
    await time.clock.tickAsync(60_000);
    assert.equal(await peers.ready(), peers.topology, 'stale is ready: it was complete once');
  });

  it('waitForPrimary: designated, published and with an address', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [{ 'web-1': '10.0.0.2' }];
    const primary = watch(peers.waitForPrimary());
    await time.clock.tickAsync(10_000);
    assert.equal(primary.isSettled, false, 'designated, but not there');
    dns.views = [{ ...two, 'web-0': '10.0.0.2' }];
    await time.clock.tickAsync(3_000);
    assert.equal(primary.isSettled, false, 'published, but at no address of its own');
    dns.views = [two];
    await time.clock.tickAsync(3_000);
    assert.equal(primary.value, peers.topology.peer(0));
    assert.equal(primary.value?.role, 'primary');
  });

  it('waitForPrimary: not one that is missing', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    dns.views = [{ 'web-1': '10.0.0.2' }];
    await time.clock.tickAsync(60_000);
    assert.equal(peers.topology.primary?.presence, 'missing');
    const primary = watch(peers.waitForPrimary());
    await time.clock.tickAsync(5_000);
    assert.equal(primary.isSettled, false);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(3_000);
    assert.equal(primary.value?.addresses[0]?.address, '10.0.0.9');
  });

  const targets: readonly (readonly [string, (peers: PeerDiscovery<Peer>) => string | number | Peer, string])[] = [
    ['a pod name', () => 'web-0', 'web-0'],
    ['an ordinal', () => 2, 'web-2'],
    ['a Peer', (peers) => peers.topology.peer(0) ?? assert.fail(), 'web-0'],
    ['self', (peers) => peers.self, 'web-1'],
    ["'primary'", () => 'primary', 'web-0'],
    ["'replica', never self", () => 'replica', 'web-2'],
    ["'any', never self", () => 'any', 'web-0'],
  ];
  for (const [what, target, podName] of targets) {
    it(`waitForPeer(${what}) gives the peer at once when it is there`, async () => {
      const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
      dns.views = [three];
      await time.clock.tickAsync(1_000);
      assert.equal(await peers.waitForPeer(target(peers)), peers.topology.peer(podName));
    });
  }

  it('waitForPeer of an older snapshot: its name counts', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(1_000);
    const old = peers.topology.peer(0);
    assert.ok(old !== undefined);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(6_000);
    const peer = await peers.waitForPeer(old);
    assert.notEqual(peer, old);
    assert.equal(peer, peers.topology.peer(0));
  });

  it("waitForPeer('replica') and ('any') of a member that is alone wait for others", async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
    dns.views = [{ 'web-0': '10.0.0.1' }];
    const [replica, any] = [watch(peers.waitForPeer('replica')), watch(peers.waitForPeer('any'))];
    await time.clock.tickAsync(10_000);
    assert.deepEqual([replica.isSettled, any.isSettled], [false, false]);
    dns.views = [two];
    await time.clock.tickAsync(3_000);
    assert.equal(replica.value, peers.topology.peer(1));
    assert.equal(any.value, peers.topology.peer(1));
  });

  it('waitForPeer of self counts while it is unpublished', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [{ 'web-0': '10.0.0.1' }];
    await time.clock.tickAsync(1_000);
    assert.equal(peers.self.presence, 'unpublished');
    for (const target of ['web-1', 1, peers.self]) assert.equal(await peers.waitForPeer(target), peers.self);
  });

  it('waitForLower: all lower ordinals, in whatever order they come', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    const lower = watch(peers.waitForLower());
    for (const view of [{ 'web-2': '10.0.0.3' }, { 'web-1': '10.0.0.2' }, { 'web-0': '10.0.0.1' }]) {
      dns.views = [view];
      await time.clock.tickAsync(3_000);
      if (!('web-0' in view)) assert.equal(lower.isSettled, false);
    }
    // web-1 left the answer, but it is not missing yet.
    assert.deepEqual(
      lower.value?.map(({ podName }) => podName),
      ['web-0', 'web-1'],
    );
    assert.ok(Object.isFrozen(lower.value));
  });

  it('waitForLower of the first ordinal is there at once, without an answer', async () => {
    const first = time.opened(member('web-0', ['10.0.0.1']));
    first.dns.views = ['silent'];
    assert.deepEqual(await first.peers.waitForLower(), []);
    const fifth = time.opened(member('web-5', ['10.0.0.1'], { ordinalStart: 5 }));
    assert.deepEqual(await fifth.peers.waitForLower(), []);
  });

  it('waitForLower: a lower one that went missing is not there', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    dns.views = [{ 'web-1': '10.0.0.2' }];
    await time.clock.tickAsync(60_000);
    const lower = watch(peers.waitForLower());
    await time.clock.tickAsync(5_000);
    assert.equal(lower.isSettled, false);
  });

  it('waitFor: what the function gives, from the first complete answer on', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = ['servfail'];
    const seen: number[] = [];
    const all = watch(
      peers.waitFor((topology) => {
        seen.push(topology.version);
        return topology.peers.length === 3 ? topology.peers.map(({ podName }) => podName) : null;
      }),
    );
    await time.clock.tickAsync(5_000);
    assert.deepEqual(seen, [], 'it was asked about a topology that says nothing');
    dns.views = [two];
    await time.clock.tickAsync(5_000);
    dns.views = [three];
    await time.clock.tickAsync(5_000);
    assert.deepEqual(all.value, ['web-0', 'web-1', 'web-2']);
    assert.deepEqual(seen.slice(-1), [2]);
  });

  it('waitFor: false, 0 and an empty text are values; null is none', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(1_000);
    for (const value of [false, 0, '']) assert.equal(await peers.waitFor(() => value), value);
  });

  it('waitFor: what the function throws ends the wait, then or later, and hurts nobody else', async () => {
    const { peers, dns } = time.opened(observer());
    const mine = new Error('mine');
    const late = watch(
      peers.waitFor(({ version }) => {
        if (version === 2) throw mine;
        return null;
      }),
    );
    const other = watch(peers.waitForPeer(2));
    dns.views = [two];
    await time.clock.tickAsync(6_000);
    dns.views = [three];
    await time.clock.tickAsync(6_000);
    assert.equal(late.error, mine);
    assert.equal(other.value, peers.topology.peer(2));
    await assert.rejects(
      peers.waitFor(() => {
        throw mine;
      }),
      mine,
    );
  });

  it('a waiter is satisfied before the events of a later transition, by the state that satisfied it', async () => {
    const { peers, dns } = time.opened(observer());
    const heard: string[] = [];
    peers.on('topologyChanged', ({ topologyVersion }) => heard.push(`event ${topologyVersion}`));
    void peers.waitForPeer(0).then((peer) => heard.push(`waiter ${peer.addresses[0]?.address ?? ''}`));
    dns.views = [two];
    await time.clock.tickAsync(6_000);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(heard, ['event 1', 'waiter 10.0.0.1', 'event 2']);
  });
});

describe('Waiters: how they end', () => {
  const time = fakeTime();

  /** Every waiter, on something that does not come. */
  const all: readonly (readonly [
    string,
    (peers: PeerDiscovery<Peer>, options?: WaitOptions) => Promise<unknown>,
    { readonly podName?: string },
  ])[] = [
    ['ready', (peers, options) => peers.ready(options), {}],
    ['waitForPrimary', (peers, options) => peers.waitForPrimary(options), {}],
    ['waitForPeer', (peers, options) => peers.waitForPeer('web-0', options), { podName: 'web-0' }],
    ['waitForLower', (peers, options) => peers.waitForLower(options), {}],
    ['waitFor', (peers, options) => peers.waitFor(() => null, options), {}],
  ];
  for (const [name, wait, about] of all) {
    it(`${name}: 30 s by default, then ERR_TIMEOUT with belief, last failure, explanation and time`, async () => {
      const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
      dns.views = ['servfail'];
      const waiting = watch(wait(peers));
      await time.clock.tickAsync(29_999);
      assert.equal(waiting.isSettled, false);
      await time.clock.tickAsync(1);
      const { error } = waiting;
      assert.ok(error instanceof PeerDiscoveryError);
      assert.equal(error.code, 'ERR_TIMEOUT');
      assert.equal(error.elapsedMs, 30_000);
      assert.equal(error.topology, peers.topology);
      assert.equal(error.lastFailure?.reason, 'servfail');
      assert.match(error.explanation ?? '', /servfail.*DNS/);
      assert.ok(error.message.includes(error.explanation ?? '?'), 'the message says why');
      assert.ok(error.message.includes('nginx.default.svc.cluster.local'), 'the message says where');
      assert.ok(error.message.includes('30000 ms'), 'the message says how long');
      assert.equal(error.podName, about.podName);
    });

    it(`${name}: the reason of the signal is thrown as it is, then or at once, and no listener is left`, async () => {
      const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
      dns.views = ['silent'];
      for (const reason of [new Error('enough'), 'a word', { code: 7 }]) {
        const controller = new AbortController();
        const { signal } = controller;
        const waiting = watch(wait(peers, { signal, timeoutMs: Infinity }));
        await time.clock.tickAsync(1_000);
        assert.equal(getEventListeners(signal, 'abort').length, 1);
        controller.abort(reason);
        await time.clock.tickAsync(0);
        assert.equal(waiting.error, reason);
        assert.equal(getEventListeners(signal, 'abort').length, 0);
        const late = await wait(peers, { signal }).catch((error: unknown) => error);
        assert.equal(late, reason);
      }
    });

    it(`${name}: timeoutMs 0 looks once`, async () => {
      const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
      dns.views = ['silent'];
      const waiting = watch(wait(peers, { timeoutMs: 0 }));
      await time.clock.tickAsync(1);
      assert.equal(PeerDiscoveryError.from(waiting.error)?.code, 'ERR_TIMEOUT');
    });

    it(`${name}: an option that cannot be used is a rejection, not an exception`, async () => {
      const { peers } = time.opened(member('web-1', ['10.0.0.2']));
      await assert.rejects(wait(peers, { timeoutMs: -1 }), { code: 'ERR_OPTION', option: 'timeoutMs' });
      await assert.rejects(wait(peers, { timeout: 1 } as object), { code: 'ERR_OPTION', option: 'timeout' });
      await assert.rejects(wait(peers, { signal: {} as AbortSignal }), { code: 'ERR_OPTION', option: 'signal' });
    });
  }

  it('timeoutMs Infinity waits for days', async () => {
    const { peers, dns } = time.opened(observer({ refresh: { minIntervalMs: 600_000, maxIntervalMs: 600_000 } }));
    dns.views = [{ 'web-1': '10.0.0.2' }];
    const waiting = watch(peers.waitForPeer(0, { timeoutMs: Infinity }));
    await time.clock.tickAsync(30 * 86_400_000);
    assert.equal(waiting.isSettled, false);
    dns.views = [two];
    await time.clock.tickAsync(700_000);
    assert.equal(waiting.value, peers.topology.peer(0));
  });

  it('a satisfied waiter keeps no timer, and leaves the polling interval as it was', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(60_000);
    const timers = time.clock.countTimers();
    await peers.waitForPeer(0);
    assert.equal(time.clock.countTimers(), timers);
    await time.clock.tickAsync(10_000);
    dns.asked.length = 0;
    await time.clock.tickAsync(60_000);
    assert.ok(dns.asked.length <= 15, `${dns.asked.length} questions in a minute`);
  });

  it('while somebody waits, DNS is asked at the shortest interval', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(60_000);
    const waiting = watch(peers.waitForPeer(2));
    dns.views = [three];
    await time.clock.tickAsync(1_100);
    assert.equal(waiting.value, peers.topology.peer(2));
  });

  it('a thousand waiters are no leak, and print no warning', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    try {
      const { peers, dns } = time.opened(observer());
      dns.views = ['silent'];
      const waiting = Array.from({ length: 1_000 }, () => peers.waitForPeer(0));
      await time.clock.tickAsync(12_000);
      dns.views = [two];
      await time.clock.tickAsync(12_000);
      assert.equal(new Set(await Promise.all(waiting)).size, 1);
      // Warnings come with process.nextTick.
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(
        warnings.map(({ message }) => message),
        [],
      );
    } finally {
      process.off('warning', onWarning);
    }
  });
});

describe('Waiters: stableForMs', () => {
  const time = fakeTime();
  const options = { stableForMs: 10_000, timeoutMs: 600_000 };

  it('the result must hold so long', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    const waiting = watch(peers.waitForPeer(0, options));
    await time.clock.tickAsync(9_900);
    assert.equal(waiting.isSettled, false);
    await time.clock.tickAsync(200);
    assert.equal(waiting.value, peers.topology.peer(0));
  });

  it('a move does not start it again: it is the same pod', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    const waiting = watch(peers.waitForPeer(0, options));
    await time.clock.tickAsync(5_000);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(5_200);
    assert.equal(waiting.value?.addresses[0]?.address, '10.0.0.9');
  });

  it('it starts again when the result is lost', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const waiting = watch(peers.waitForPeer(0, options));
    await time.clock.tickAsync(5_000);
    peers.report('web-0', 'stranger', '10.0.0.1');
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(8_000);
    assert.equal(waiting.isSettled, false);
    await time.clock.tickAsync(8_000);
    assert.equal(waiting.value?.addresses[0]?.address, '10.0.0.9');
  });

  it('it starts again when it is about another pod', async () => {
    const { peers, dns } = time.opened(observer({ primary: lowestOrdinal({ quorum: 1 }) }));
    dns.views = [{ 'web-1': '10.0.0.2' }];
    const waiting = watch(peers.waitForPrimary(options));
    await time.clock.tickAsync(8_000);
    dns.views = [two];
    await time.clock.tickAsync(9_000);
    assert.equal(waiting.isSettled, false);
    await time.clock.tickAsync(3_000);
    assert.equal(waiting.value?.podName, 'web-0');
  });

  it('it starts again while answers are stale', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const waiting = watch(peers.waitForPeer(0, options));
    await time.clock.tickAsync(5_000);
    dns.views = ['servfail'];
    await time.clock.tickAsync(60_000);
    assert.equal(waiting.isSettled, false);
    dns.views = [two];
    await time.clock.tickAsync(9_900);
    assert.equal(waiting.isSettled, false);
    await time.clock.tickAsync(6_000);
    assert.equal(waiting.value, peers.topology.peer(0));
  });

  it('a timeout does not wait for it', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    const waiting = watch(peers.ready({ stableForMs: 10_000, timeoutMs: 5_000 }));
    await time.clock.tickAsync(5_000);
    assert.equal(PeerDiscoveryError.from(waiting.error)?.code, 'ERR_TIMEOUT');
  });
});

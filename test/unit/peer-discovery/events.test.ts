import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import type { PeerDiscovery } from '../../../src/peer-discovery.ts';
import { seededRandom } from '../../../src/testing/seeded-random.ts';
import { lowestOrdinal } from '../../../src/topology/primary.ts';
import type { PeerDiscoveryEvents, TopologyChangedEvent, TransitionEvent } from '../../../src/topology/events.ts';
import type { Peer, Topology } from '../../../src/topology/topology.ts';
import type { FakeTime } from '../../support/fake-time.ts';
import { fakeTime } from '../../support/fake-time.ts';
import type { Heard } from '../../support/member.ts';
import { eventNames, hear, member, observer, record } from '../../support/member.ts';
import type { View } from '../../support/scripted-dns.ts';

const two = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' };
const order = eventNames.slice(0, eventNames.indexOf('topologyChanged') + 1);

/** The events of one version, in the order in which they came. */
type Transition = readonly { readonly name: keyof PeerDiscoveryEvents; readonly event: TransitionEvent }[];

function transitionsOf(heard: readonly Heard[]): Transition[] {
  const transitions: { name: keyof PeerDiscoveryEvents; event: TransitionEvent }[][] = [];
  for (const { name, event } of heard) {
    if (name === 'freshnessChanged' || name === 'closed') continue;
    const last = transitions.at(-1);
    const one = { name, event: event as TransitionEvent };
    if (last === undefined || last.at(-1)?.name === 'topologyChanged') transitions.push([one]);
    else last.push(one);
  }
  return transitions;
}

function changeOf(transition: Transition): TopologyChangedEvent {
  const last = transition.at(-1);
  assert.ok(last?.name === 'topologyChanged', 'a transition without topologyChanged at its end');
  return last.event as TopologyChangedEvent;
}

/** Objects within this value that can be changed, by their paths. */
function unfrozen(value: unknown, path = '', seen = new Set<unknown>()): string[] {
  if (typeof value !== 'object' || value === null || seen.has(value)) return [];
  seen.add(value);
  const own = Object.isFrozen(value) ? [] : [path];
  return [...own, ...Object.entries(value).flatMap(([key, inner]) => unfrozen(inner, `${path}.${key}`, seen))];
}

/** A set of five that moves, goes, comes back and fails at random, with short windows; and what web-2 hears of it. */
async function stormOf(
  time: FakeTime,
  seed: number,
): Promise<{ peers: PeerDiscovery<Peer>; heard: Heard[]; first: Topology }> {
  const random = seededRandom(seed);
  const pick = (below: number): number => Math.floor(random() * below);
  const { peers, dns } = time.opened(
    member('web-2', ['10.0.2.1'], {
      primary: lowestOrdinal({ quorum: 2 }),
      refresh: { minIntervalMs: 500, maxIntervalMs: 1_000 },
      absence: { missingAfterMs: 2_000, removeAfterMs: 4_000 },
    }),
  );
  dns.ttlSeconds = 1;
  const first = peers.topology;
  const heard = hear(peers);
  const view = (): View =>
    Object.fromEntries(
      [0, 1, 2, 3, 4]
        .filter((ordinal) => ordinal === 2 || random() < 0.7)
        .map((ordinal) => [`web-${ordinal}`, `10.0.${ordinal}.${1 + (ordinal === 2 ? 0 : pick(3))}`]),
    );
  for (let step = 0; step < 150; step += 1) {
    const chance = random();
    if (chance < 0.1) dns.views = ['servfail'];
    else if (chance < 0.15) dns.views = [{}];
    else dns.views = [view()];
    await time.clock.tickAsync(500 + pick(8_000));
    const peer = peers.topology.peers[pick(peers.topology.peers.length)];
    const address = peer?.addresses[0]?.address;
    if (peer !== undefined && address !== undefined && random() < 0.3) {
      peers.report(peer, random() < 0.5 ? 'stranger' : 'unreachable', address);
    }
  }
  return { peers, heard, first };
}

describe('13. State first, then events, in this order', () => {
  const time = fakeTime();

  for (const seed of [1, 2, 3]) {
    it(`removed, added, moved, presence (each by ordinal), primary, own role, topologyChanged last: storm ${seed}`, async () => {
      const { heard } = await stormOf(time, seed);
      const transitions = transitionsOf(heard);
      assert.ok(transitions.length > 100, `only ${transitions.length} transitions`);
      for (const name of order)
        assert.ok(
          heard.some((one) => one.name === name),
          `no ${name}`,
        );
      for (const transition of transitions) {
        const rank = ({ name, event }: Transition[number]): number => {
          const { current, previous } = event as TransitionEvent & { current: Peer | null; previous: Peer | null };
          const isAboutPeer = order.indexOf(name) < order.indexOf('primaryChanged');
          return order.indexOf(name) * 1_000 + (isAboutPeer ? ((current ?? previous)?.ordinal ?? NaN) : 0);
        };
        const ranks = transition.map(rank);
        const sorted = [...new Set(ranks)].sort((a, b) => a - b);
        assert.deepEqual(ranks, sorted, transition.map(({ name }) => name).join(', '));
      }
    });

    it(`one decision is one version, and each previous is what was current before: storm ${seed}`, async () => {
      const { heard, first, peers } = await stormOf(time, seed);
      let before = first;
      for (const transition of transitionsOf(heard)) {
        const { previous, current } = changeOf(transition);
        assert.equal(previous, before);
        assert.equal(current.version, previous.version + 1);
        for (const { name, event } of transition) {
          assert.equal(event.topologyVersion, current.version);
          assert.ok(['answer', 'absence', 'claim', 'stranger', 'self', 'policy'].includes(event.cause), event.cause);
          if (order.indexOf(name) >= order.indexOf('primaryChanged')) continue;
          const about = event as TransitionEvent & { previous: Peer | null; current: Peer | null };
          const ordinal = (about.previous ?? about.current)?.ordinal ?? NaN;
          assert.equal(about.previous, previous.peer(ordinal) ?? null);
          assert.equal(about.current, current.peer(ordinal) ?? null);
        }
        before = current;
      }
      assert.equal(peers.topology, before);
    });

    it(`folding the events gives the snapshot: storm ${seed}`, async () => {
      const { heard, first } = await stormOf(time, seed);
      // What a user can keep who never looks at the topology: where everybody is, who is the primary, and the own role.
      const folded = new Map(first.peers.map((peer) => [peer.podName, peer]));
      let primary = first.primary?.podName ?? null;
      let role = first.self?.role;
      for (const transition of transitionsOf(heard)) {
        for (const { name, event } of transition) {
          const { previous, current } = event as unknown as { previous: Peer; current: Peer | null };
          if (name === 'peerRemoved') folded.delete(previous.podName);
          if ((name === 'peerAdded' || name === 'peerMoved' || name === 'presenceChanged') && current !== null) {
            folded.set(current.podName, current);
          }
          if (name === 'primaryChanged') primary = current?.podName ?? null;
          if (name === 'roleChanged') role = current as unknown as Peer['role'];
        }
        const { current } = changeOf(transition);
        const known = (peer: Peer): unknown[] => [peer.podName, peer.addresses, peer.port, peer.presence];
        assert.deepEqual(
          [...folded.values()].sort((a, b) => a.ordinal - b.ordinal).map(known),
          current.peers.map(known),
        );
        assert.equal(primary, current.primary?.podName ?? null);
        assert.equal(role, current.self?.role);
      }
    });

    it(`primaryChanged comes when another name is the primary, and only then: storm ${seed}`, async () => {
      const { heard } = await stormOf(time, seed);
      for (const transition of transitionsOf(heard)) {
        const { previous, current } = changeOf(transition);
        const isOther = previous.primary?.podName !== current.primary?.podName;
        assert.equal(
          transition.some(({ name }) => name === 'primaryChanged'),
          isOther,
        );
      }
    });

    it(`everything that an event carries is frozen: storm ${seed}`, async () => {
      const { heard, peers } = await stormOf(time, seed);
      const found = new Set(heard.flatMap(({ name, event }) => unfrozen(event, name)));
      assert.deepEqual([...found], []);
      assert.deepEqual(unfrozen(peers.topology, 'topology'), []);
    });
  }

  it('what can be read is frozen, too: topology, freshness, identity', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    assert.deepEqual(unfrozen(peers.topology, 'topology'), []);
    assert.deepEqual(unfrozen(peers.identity, 'identity'), []);
    dns.views = ['servfail'];
    await time.clock.tickAsync(6_000);
    assert.notEqual(peers.freshness.lastFailure, null);
    assert.deepEqual(unfrozen(peers.freshness, 'freshness'), []);
    dns.views = [two];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(unfrozen(await peers.explain(), 'explanation'), []);
  });

  it('the state is complete before the first event of a transition', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    const versions: number[] = [];
    for (const name of order) {
      peers.on(name as 'peerAdded', (event) => {
        versions.push(event.topologyVersion);
        assert.equal(peers.topology.version, event.topologyVersion);
        assert.equal(peers.topology.primary?.podName, 'web-0');
        assert.equal(peers.self.presence, 'published');
        assert.equal(peers.freshness.state, 'fresh');
      });
    }
    dns.views = [two];
    await time.clock.tickAsync(100);
    assert.deepEqual(versions, [1, 1, 1, 1, 1]);
  });

  it('nothing is emitted during construction or by on(), and the first event comes on a later turn', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    const lines = record(peers);
    assert.deepEqual(lines, []);
    assert.deepEqual(dns.asked, []);
    await time.clock.tickAsync(100);
    assert.deepEqual(lines.slice(-1), ['topologyChanged 1']);
    const late = record(peers);
    await time.clock.tickAsync(10_000);
    assert.deepEqual(late, [], 'a late listener is not told what it can read');
  });

  it('a change that a listener causes is queued: the events under way come first, to everybody', async () => {
    const { peers, dns } = time.opened(observer());
    peers.on('peerAdded', ({ current }) => {
      const { topology } = peers;
      peers.report(current, 'stranger', current.addresses[0]?.address ?? '');
      assert.equal(peers.topology, topology, 'report() changed it under the listeners that are still to come');
    });
    const lines = record(peers);
    dns.views = [two];
    await time.clock.tickAsync(50);
    assert.deepEqual(lines, [
      'freshnessChanged fresh',
      'peerAdded web-0 10.0.0.1 (answer)',
      'peerAdded web-1 10.0.0.2 (answer)',
      'primaryChanged null>web-0 (answer)',
      'topologyChanged 1',
      'peerMoved web-0 10.0.0.1>nowhere (stranger)',
      'topologyChanged 2',
      'peerMoved web-1 10.0.0.2>nowhere (stranger)',
      'topologyChanged 3',
    ]);
  });

  it('a listener can wait, refresh and explain without a deadlock', async () => {
    const { peers, dns } = time.opened(observer());
    const done: unknown[] = [];
    peers.on('topologyChanged', () => {
      void Promise.all([peers.ready(), peers.refresh(), peers.explain(), peers.waitForPeer(0)]).then((all) =>
        done.push(all),
      );
    });
    dns.views = [two];
    await time.clock.tickAsync(1_000);
    assert.equal(done.length, 1);
  });

  it('a listener that is added or taken away by another one does not disturb the events under way', async () => {
    const { peers, dns } = time.opened(observer());
    const heard: string[] = [];
    const second = (): void => void heard.push('second');
    peers.once('topologyChanged', () => {
      heard.push('first');
      peers.off('topologyChanged', second);
      peers.on('topologyChanged', () => heard.push('third'));
    });
    peers.on('topologyChanged', second);
    dns.views = [two];
    await time.clock.tickAsync(1_000);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(6_000);
    assert.equal(heard[0], 'first');
    assert.equal(heard.at(-1), 'third');
    assert.ok(heard.filter((one) => one === 'second').length <= 1, heard.join(', '));
  });

  it('a refresh that changed nothing returns the same object, with the same peers in it', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(1_000);
    const { topology } = peers;
    const lines = record(peers);
    for (let turn = 0; turn < 10; turn += 1) assert.equal(await peers.refresh(), topology);
    assert.deepEqual(lines, []);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    const next = await peers.refresh();
    assert.equal(next.version, 2);
    assert.equal(next.peer(1), topology.peer(1), 'a peer that did not change is the same object');
  });

  it('primaryChanged compares names: a primary that moved has only peerMoved', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(1_000);
    const lines = record(peers);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(lines, ['peerMoved web-0 10.0.0.1>10.0.0.9 (answer)', 'topologyChanged 2']);
  });

  it('freshnessChanged has the freshness before and after, and makes no version', async () => {
    const { peers, dns } = time.opened(observer());
    const heard = hear(peers);
    dns.views = [two];
    await time.clock.tickAsync(10_000);
    dns.views = ['refused'];
    await time.clock.tickAsync(10_000);
    const changes = heard.flatMap(({ name, event }) =>
      name === 'freshnessChanged' ? [event as PeerDiscoveryEvents['freshnessChanged'][0]] : [],
    );
    assert.deepEqual(
      changes.map(({ previous, current }) => [previous.state, current.state]),
      [
        ['unresolved', 'fresh'],
        ['fresh', 'stale'],
      ],
    );
    assert.equal(changes[1]?.current.lastFailure?.reason, 'refused');
    assert.equal(changes[1].current.stateForMs, 0);
    assert.ok(changes[1].previous.stateForMs >= 5_000);
    assert.equal(peers.topology.version, 1);
  });
});

describe('13. events of node:events is the async iterator', () => {
  const time = fakeTime();
  // eventemitter3's types know nothing of node:events; at run time they fit.
  const emitter = (peers: PeerDiscovery): NodeJS.EventEmitter => peers as unknown as NodeJS.EventEmitter;
  const versionsOf = async (
    iterator: AsyncIterable<unknown>,
    atMost = Infinity,
  ): Promise<{ versions: number[]; error: unknown }> => {
    const versions: number[] = [];
    try {
      for await (const [event] of iterator as AsyncIterable<[TransitionEvent]>) {
        versions.push(event.topologyVersion);
        if (versions.length === atMost) break;
      }
      return { versions, error: null };
    } catch (error) {
      return { versions, error };
    }
  };
  const changes: readonly View[] = [two, { ...two, 'web-0': '10.0.0.8' }, { ...two, 'web-0': '10.0.0.9' }];

  it('on() gives every event, to several readers, until their signals end them', async () => {
    const { peers, dns } = time.opened(observer());
    const [first, second] = [new AbortController(), new AbortController()];
    const reading = [first, second].map(({ signal }) => versionsOf(on(emitter(peers), 'topologyChanged', { signal })));
    for (const [index, view] of changes.entries()) {
      dns.views = [view];
      await time.clock.tickAsync(6_000);
      if (index === 1) first.abort();
    }
    second.abort();
    const [one, other] = await Promise.all(reading);
    assert.deepEqual(one?.versions, [1, 2]);
    assert.deepEqual(other?.versions, [1, 2, 3]);
    assert.equal((one.error as Error).name, 'AbortError');
    assert.equal(peers.listenerCount('topologyChanged'), 0);
  });

  it('a reader that breaks off leaves no listener', async () => {
    const { peers, dns } = time.opened(observer());
    const reading = versionsOf(on(emitter(peers), 'topologyChanged'), 1);
    dns.views = [two];
    await time.clock.tickAsync(1_000);
    assert.deepEqual((await reading).versions, [1]);
    assert.equal(peers.listenerCount('topologyChanged'), 0);
  });

  it('with close: ["closed"] it ends when the library is closed', async () => {
    const { peers, dns } = time.opened(observer());
    const reading = versionsOf(on(emitter(peers), 'topologyChanged', { close: ['closed'] }));
    dns.views = [two];
    await time.clock.tickAsync(1_000);
    await peers.close();
    assert.deepEqual(await reading, { versions: [1], error: null });
  });

  it('once() is a promise of the next event', async () => {
    const { peers, dns } = time.opened(observer());
    const next = once(emitter(peers), 'peerAdded');
    const given = once(emitter(peers), 'peerMoved', { signal: AbortSignal.abort() }).catch((error: unknown) => error);
    dns.views = [{ 'web-0': '10.0.0.1' }];
    await time.clock.tickAsync(1_000);
    const [event] = (await next) as PeerDiscoveryEvents['peerAdded'];
    assert.equal(event.current, peers.topology.peer(0));
    assert.equal(((await given) as Error).name, 'AbortError');
    assert.equal(peers.listenerCount('peerAdded') + peers.listenerCount('peerMoved'), 0);
  });
});

import assert from 'node:assert/strict';
import type { Failure } from '../../../src/errors.ts';
import type { PeerDiscovery } from '../../../src/peer-discovery.ts';
import type { PeerMovedEvent } from '../../../src/topology/events.ts';
import { lowestOrdinal } from '../../../src/topology/primary.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { at, member, observer, record } from '../../support/member.ts';
import type { Fault, View } from '../../support/scripted-dns.ts';

// Promises 4 to 9 as a user of the library sees them: DNS says something, time passes, events come.

const two = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' };
const srv = 'SRV _peer._tcp.nginx.default.svc.cluster.local';
const ownName = 'A web-0.nginx.default.svc.cluster.local';
const reasons: readonly (readonly [Fault, Failure['reason']])[] = [
  ['servfail', 'servfail'],
  ['refused', 'refused'],
  ['silent', 'timeout'],
  ['closed', 'network'],
  ['garbage', 'malformed'],
  ['truncated', 'truncated'],
];

describe('4. Failure is not absence', () => {
  const time = fakeTime();

  for (const [fault, reason] of reasons) {
    it(`${fault} for ten minutes: nobody is removed, nobody moves, and freshness has a start and a reason`, async () => {
      const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
      dns.views = [two];
      await time.clock.tickAsync(60_000);
      const lines = record(peers);
      const { topology } = peers;
      dns.views = [fault];
      await time.clock.tickAsync(600_000);
      assert.deepEqual(lines, ['freshnessChanged stale']);
      assert.equal(peers.topology, topology);
      const { state, stateForMs, sinceCompleteMs, lastFailure } = peers.freshness;
      assert.equal(state, 'stale');
      // At most one interval until it is asked, and the deadline until it has failed.
      assert.ok(stateForMs <= 600_000 && stateForMs >= 590_000, `stale for ${stateForMs} ms`);
      assert.ok(sinceCompleteMs !== null && sinceCompleteMs >= 600_000, `complete ${sinceCompleteMs} ms ago`);
      assert.equal(lastFailure?.reason, reason);
      assert.equal(lastFailure.server, '10.96.0.10:53');
      assert.equal(lastFailure.question, srv);
      assert.notEqual(lastFailure.detail, '');
      assert.equal(await peers.waitForPeer('web-0'), topology.peer(0));
    });

    it(`${fault}, then answers again: fresh, with nothing else to say`, async () => {
      const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
      dns.views = [two];
      await time.clock.tickAsync(60_000);
      const lines = record(peers);
      dns.views = [fault];
      await time.clock.tickAsync(300_000);
      dns.views = [two];
      await time.clock.tickAsync(11_000);
      assert.deepEqual(lines, ['freshnessChanged stale', 'freshnessChanged fresh']);
      assert.equal(peers.freshness.state, 'fresh');
      assert.equal(peers.freshness.lastFailure?.reason, reason, 'the last failure is still told');
      assert.ok((peers.freshness.sinceCompleteMs ?? Infinity) <= 11_000);
    });
  }

  it('a move during an outage is one move when answers come again', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await time.clock.tickAsync(60_000);
    const lines = record(peers);
    dns.views = ['servfail'];
    await time.clock.tickAsync(120_000);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(11_000);
    assert.deepEqual(lines, [
      'freshnessChanged stale',
      'freshnessChanged fresh',
      'peerMoved web-0 10.0.0.1>10.0.0.9 (answer)',
      'topologyChanged 2',
    ]);
  });

  it('one failing replica beside a good one is no outage: the question is asked again', async () => {
    for (const [fault] of reasons.filter(([, reason]) => reason !== 'truncated')) {
      const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
      dns.views = [two, fault];
      await time.clock.tickAsync(2_000);
      const lines = record(peers);
      await time.clock.tickAsync(60_000);
      assert.deepEqual(lines, [], fault);
    }
  });
});

describe('5. Unresolved is not empty', () => {
  const time = fakeTime();

  for (const [fault, reason] of reasons) {
    it(`${fault} from the start: nothing is said about others, no waiter is satisfied`, async () => {
      const { peers, dns } = time.opened(member('web-1', ['10.0.0.2'], { primary: lowestOrdinal({ quorum: 1 }) }));
      dns.views = [fault];
      const lines = record(peers);
      const settled: string[] = [];
      const note = (name: string, waiter: Promise<unknown>): void =>
        void waiter.then(
          () => settled.push(name),
          () => settled.push(name),
        );
      note('ready', peers.ready({ timeoutMs: 90_000 }));
      note('primary', peers.waitForPrimary({ timeoutMs: 90_000 }));
      note('peer', peers.waitForPeer(0, { timeoutMs: 90_000 }));
      note('lower', peers.waitForLower({ timeoutMs: 90_000 }));
      note(
        'waitFor',
        peers.waitFor(() => true, { timeoutMs: 90_000 }),
      );
      await time.clock.tickAsync(60_000);
      assert.deepEqual(lines, []);
      assert.deepEqual(settled, []);
      const { version, designation, primary } = peers.topology;
      assert.deepEqual([version, peers.topology.peers, primary], [0, [peers.self], null]);
      assert.equal(designation.podName, null);
      assert.equal(peers.freshness.state, 'unresolved');
      assert.equal(peers.freshness.lastFailure?.reason, reason);
      assert.equal(peers.freshness.sinceCompleteMs, null);
      dns.views = [two];
      await time.clock.tickAsync(10_000);
      assert.deepEqual(settled.sort(), ['lower', 'peer', 'primary', 'ready', 'waitFor']);
      assert.deepEqual(lines.slice(0, 2), ['freshnessChanged fresh', 'peerAdded web-0 10.0.0.1 (answer)']);
      assert.deepEqual(lines.slice(-1), ['topologyChanged 1']);
    });
  }

  it('an incomplete first round says nothing, not even of those whom it shows', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    dns.exceptions.set(srv, 'truncated');
    dns.exceptions.set('A web-2.nginx.default.svc.cluster.local', 'servfail');
    const lines = record(peers);
    await time.clock.tickAsync(100);
    assert.ok(dns.asked.includes(ownName), 'it was not shown');
    assert.deepEqual([lines, peers.topology.peers, peers.topology.version], [[], [], 0]);
    dns.exceptions.clear();
    await time.clock.tickAsync(6_000);
    assert.equal(peers.topology.peers.length, 2);
  });

  it('a round in which every name failed is not complete, and nor is the next one, which asks none of them', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = ['servfail'];
    dns.exceptions.set(srv, {});
    dns.exceptions.set('A nginx.default.svc.cluster.local', two);
    const lines = record(peers);
    await time.clock.tickAsync(30_000);
    assert.deepEqual([lines, peers.freshness.state], [[], 'unresolved']);
    dns.views = [two];
    await time.clock.tickAsync(10_000);
    assert.equal(peers.topology.peers.length, 2);
  });

  it('self satisfies a waiter, and fixedPrimary designates, without any answer', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
    dns.views = ['silent'];
    assert.equal(await peers.waitForPrimary(), peers.self);
    assert.equal(await peers.waitForPeer('web-0'), peers.self);
    assert.equal(peers.topology.designation.podName, 'web-0');
  });

  it('an observer believes in nobody, and the first complete round is a transition even where nobody is published', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = ['servfail'];
    const lines = record(peers);
    await time.clock.tickAsync(10_000);
    assert.deepEqual([peers.topology.peers, peers.topology.version, lines], [[], 0, []]);
    dns.views = [{}];
    const ready = peers.ready();
    await time.clock.tickAsync(10_000);
    assert.deepEqual(lines, ['freshnessChanged fresh', 'topologyChanged 1']);
    assert.equal(await ready, peers.topology);
    assert.deepEqual(peers.topology.peers, []);
  });
});

describe('6. An absent answer is not a departure', () => {
  const time = fakeTime();
  /** Ticks until a line comes, second by second, and says after how many milliseconds. */
  const msUntil = async (lines: readonly string[], line: string, atMostMs: number): Promise<number> => {
    for (let ms = 0; ms < atMostMs; ms += 500) {
      if (lines.includes(line)) return ms;
      await time.clock.tickAsync(500);
    }
    return assert.fail(`no "${line}" within ${atMostMs} ms, but ${lines.join(', ')}`);
  };
  const missing = 'presenceChanged web-0 missing (absence)';
  const removed = 'peerRemoved web-0 (absence)';

  it('missing after 45 s, removed after 120 s; its own name is asked last; its addresses stay usable until then', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.asked.length = 0;
    dns.views = [{ 'web-1': '10.0.0.2' }];
    const missingMs = await msUntil(lines, missing, 60_000);
    assert.ok(missingMs >= 45_000 && missingMs <= 52_000, `missing after ${missingMs} ms`);
    assert.equal(at(peers.topology.peer(0)), '10.0.0.1');
    assert.equal(peers.topology.primary?.podName, 'web-0', 'the designated one is there, though missing');
    await time.clock.tickAsync(119_000 - missingMs);
    assert.ok(!dns.asked.includes(ownName), 'its own name was asked too early');
    assert.equal(at(peers.topology.peer(0)), '10.0.0.1');
    const removedMs = 119_000 + (await msUntil(lines, removed, 20_000));
    assert.ok(removedMs >= 120_000 && removedMs <= 127_000, `removed after ${removedMs} ms`);
    assert.equal(dns.asked.filter((question) => question === ownName).length, 1);
    assert.deepEqual(lines, [
      missing,
      'topologyChanged 2',
      removed,
      'primaryChanged web-0>null (absence)',
      'topologyChanged 3',
    ]);
    assert.equal(peers.topology.peer('web-0'), undefined);
  });

  it('one positive answer clears it, and the time starts anew', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = [{ 'web-1': '10.0.0.2' }];
    await time.clock.tickAsync(40_000);
    dns.views = [two];
    await time.clock.tickAsync(2_000);
    dns.views = [{ 'web-1': '10.0.0.2' }];
    await time.clock.tickAsync(44_000);
    assert.deepEqual(lines, []);
    await time.clock.tickAsync(10_000);
    assert.deepEqual(lines, [missing, 'topologyChanged 2']);
    dns.views = [two];
    await time.clock.tickAsync(2_000);
    assert.deepEqual(lines.slice(2), ['presenceChanged web-0 published (answer)', 'topologyChanged 3']);
  });

  for (const [fault] of reasons) {
    it(`${fault} neither counts nor clears`, async () => {
      const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
      dns.views = [two];
      await time.clock.tickAsync(20_000);
      const lines = record(peers);
      const without = [{ 'web-1': '10.0.0.2' }];
      dns.views = without;
      await time.clock.tickAsync(30_000);
      dns.views = [fault];
      await time.clock.tickAsync(120_000);
      assert.deepEqual(lines, ['freshnessChanged stale'], 'it does not count');
      dns.views = without;
      const ms = await msUntil(lines, missing, 60_000);
      // 45 s, less the 25 to 30 s from before, and up to a slow interval until the first answer.
      assert.ok(ms >= 14_500 && ms <= 32_000, `it does not clear: missing after ${ms} ms more`);
    });
  }

  it('scale to zero is believed, by an observer and by a member, who stays alone', async () => {
    const outside = time.opened(observer());
    const inside = time.opened(member('web-1', ['10.0.0.2']));
    for (const { dns } of [outside, inside]) dns.views = [two];
    await time.clock.tickAsync(20_000);
    const outsideLines = record(outside.peers);
    for (const { dns } of [outside, inside]) dns.views = [{}];
    await time.clock.tickAsync(130_000);
    assert.deepEqual(outsideLines, [
      missing,
      'presenceChanged web-1 missing (absence)',
      'topologyChanged 2',
      removed,
      'peerRemoved web-1 (absence)',
      'primaryChanged web-0>null (absence)',
      'topologyChanged 3',
    ]);
    assert.deepEqual(outside.peers.topology.peers, []);
    assert.deepEqual(inside.peers.topology.peers, [inside.peers.self]);
    assert.equal(inside.peers.self.presence, 'unpublished');
  });

  it('a peer whose own name still shows it is not removed, though SRV leaves it out', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = [{ 'web-1': '10.0.0.2' }];
    dns.exceptions.set(ownName, two);
    await time.clock.tickAsync(600_000);
    assert.deepEqual(lines, [
      missing,
      'topologyChanged 2',
      'presenceChanged web-0 published (answer)',
      'topologyChanged 3',
    ]);
    assert.equal(at(peers.topology.peer(0)), '10.0.0.1');
  });

  it('a failure of the question for its own name delays the removal', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = [{ 'web-1': '10.0.0.2' }];
    dns.exceptions.set(ownName, 'servfail');
    await time.clock.tickAsync(300_000);
    assert.ok(!lines.includes(removed), lines.join(', '));
    dns.exceptions.clear();
    await time.clock.tickAsync(30_000);
    assert.ok(lines.includes(removed), lines.join(', '));
  });

  it('a removal is never before four negative TTLs', async () => {
    const absence = { missingAfterMs: 5_000, removeAfterMs: 10_000 };
    const { peers, dns } = time.opened(observer({ absence }));
    dns.ttlSeconds = 20;
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = [{}];
    const ms = await msUntil(lines, removed, 120_000);
    assert.ok(ms >= 80_000 && ms <= 92_000, `removed after ${ms} ms`);
  });
});

describe('7. A new IP is one `peerMoved`', () => {
  const time = fakeTime();
  const moves = (peers: PeerDiscovery): PeerMovedEvent[] => {
    const heard: PeerMovedEvent[] = [];
    peers.on('peerMoved', (event) => heard.push(event));
    return heard;
  };

  it('the same peer, with the addresses gained and lost', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    const [before, heard] = [peers.topology.peer(0), moves(peers)];
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(lines, ['peerMoved web-0 10.0.0.1>10.0.0.9 (answer)', 'topologyChanged 2']);
    const [move] = heard;
    assert.ok(move !== undefined);
    assert.equal(move.previous, before);
    assert.equal(move.current, peers.topology.peer(0));
    assert.deepEqual(move.gained, [{ address: '10.0.0.9', family: 4 }]);
    assert.deepEqual(move.lost, [{ address: '10.0.0.1', family: 4 }]);
    assert.equal(move.current.stableName, 'web-0.nginx.default.svc.cluster.local');
    assert.equal(peers.topology.primary, move.current, 'the primary is the same one, elsewhere');
  });

  it('each family moves on its own', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [{ 'web-0': ['10.0.0.1', 'fd00::1'] }];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    const heard = moves(peers);
    dns.views = [{ 'web-0': ['10.0.0.9', 'fd00::1'] }];
    await time.clock.tickAsync(6_000);
    dns.views = [{ 'web-0': ['10.0.0.9', 'fd00::9'] }];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(lines, [
      'peerMoved web-0 10.0.0.1+fd00::1>10.0.0.9+fd00::1 (answer)',
      'topologyChanged 2',
      'peerMoved web-0 10.0.0.9+fd00::1>10.0.0.9+fd00::9 (answer)',
      'topologyChanged 3',
    ]);
    assert.deepEqual(
      heard.map(({ gained, lost }) => [gained, lost]),
      [
        [[{ address: '10.0.0.9', family: 4 }], [{ address: '10.0.0.1', family: 4 }]],
        [[{ address: 'fd00::9', family: 6 }], [{ address: 'fd00::1', family: 6 }]],
      ],
    );
  });

  it('a changed SRV port is a move, too: with nothing gained or lost', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [{ 'web-0': '10.0.0.1' }];
    await time.clock.tickAsync(20_000);
    const heard = moves(peers);
    dns.port = 7_001;
    await time.clock.tickAsync(6_000);
    assert.deepEqual(
      heard.map(({ previous, current, gained, lost }) => [previous.port, current.port, gained, lost]),
      [[7_000, 7_001, [], []]],
    );
  });

  it('a restart with another address, long absent but not removed, is a move: no removal, no addition', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = [{ 'web-1': '10.0.0.2' }];
    await time.clock.tickAsync(90_000);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(3_000);
    assert.deepEqual(lines, [
      'presenceChanged web-0 missing (absence)',
      'topologyChanged 2',
      'peerMoved web-0 10.0.0.1>10.0.0.9 (answer)',
      'presenceChanged web-0 published (answer)',
      'topologyChanged 3',
    ]);
  });

  it('two moves, where the loss is known before the gain', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    peers.report('web-0', 'stranger', '10.0.0.1');
    await time.clock.tickAsync(3_000);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(3_000);
    assert.deepEqual(lines, [
      'peerMoved web-0 10.0.0.1>nowhere (stranger)',
      'topologyChanged 2',
      'peerMoved web-0 nowhere>10.0.0.9 (answer)',
      'topologyChanged 3',
    ]);
  });

  it('a peer that was removed and comes back is a new one', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    dns.views = [{ 'web-1': '10.0.0.2' }];
    await time.clock.tickAsync(130_000);
    const lines = record(peers);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(lines, [
      'peerAdded web-0 10.0.0.9 (answer)',
      'primaryChanged null>web-0 (answer)',
      'topologyChanged 4',
    ]);
  });
});

describe('8. A replaced address does not come back by rumour', () => {
  const time = fakeTime();
  const old = two;
  const now = { ...two, 'web-0': '10.0.0.9' };
  const moved = 'peerMoved web-0 10.0.0.1>10.0.0.9 (answer)';

  /** A member that has seen web-0 move from 10.0.0.1 to 10.0.0.9. */
  const seenMoving = async (
    views: readonly View[] = [now],
  ): Promise<ReturnType<typeof member> & { lines: string[] }> => {
    const made = time.opened(member('web-1', ['10.0.0.2']));
    made.dns.views = [old];
    await time.clock.tickAsync(20_000);
    const lines = record(made.peers);
    made.dns.views = views;
    // Views take turns, and whose turn it is depends on how many polls there were: one interval for each.
    await time.clock.tickAsync(6_000 * views.length);
    assert.deepEqual(lines, [moved, 'topologyChanged 2']);
    made.dns.asked.length = 0;
    return { ...made, lines };
  };

  it('replicas that disagree for ten minutes do not make the belief flap, and are asked at the shortest interval', async () => {
    const { lines, dns } = await seenMoving([now, old]);
    await time.clock.tickAsync(600_000);
    assert.deepEqual(lines, [moved, 'topologyChanged 2']);
    assert.ok(dns.asked.length >= 500, `${dns.asked.length} questions`);
  });

  it('it is believed again once its successor has not been shown for 15 s', async () => {
    const { lines, dns } = await seenMoving();
    dns.views = [old];
    await time.clock.tickAsync(14_500);
    assert.deepEqual(lines, [moved, 'topologyChanged 2']);
    await time.clock.tickAsync(8_000);
    assert.deepEqual(lines.slice(2), ['peerMoved web-0 10.0.0.9>10.0.0.1 (answer)', 'topologyChanged 3']);
  });

  it('2 s after a failed connection to the successor', async () => {
    const { lines, dns, peers } = await seenMoving();
    dns.views = [old];
    await time.clock.tickAsync(3_000);
    peers.report('web-0', 'unreachable', '10.0.0.9');
    await time.clock.tickAsync(1_900);
    assert.deepEqual(lines, [moved, 'topologyChanged 2']);
    await time.clock.tickAsync(1_200);
    assert.deepEqual(lines.slice(2), ['peerMoved web-0 10.0.0.9>10.0.0.1 (answer)', 'topologyChanged 3']);
  });

  it('at once after a stranger answered at the successor', async () => {
    const { lines, dns, peers } = await seenMoving();
    dns.views = [old];
    await time.clock.tickAsync(3_000);
    peers.report('web-0', 'stranger', '10.0.0.9');
    await time.clock.tickAsync(100);
    assert.deepEqual(lines.slice(2), [
      'peerMoved web-0 10.0.0.9>nowhere (stranger)',
      'topologyChanged 3',
      'peerMoved web-0 nowhere>10.0.0.1 (answer)',
      'topologyChanged 4',
    ]);
  });

  it('where a stranger answered, nobody is looked for until 15 s have passed, whatever DNS says', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    peers.report('web-0', 'stranger', '10.0.0.1');
    await time.clock.tickAsync(14_000);
    assert.deepEqual(lines, ['peerMoved web-0 10.0.0.1>nowhere (stranger)', 'topologyChanged 2']);
    await time.clock.tickAsync(3_000);
    assert.deepEqual(lines.slice(2), ['peerMoved web-0 nowhere>10.0.0.1 (answer)', 'topologyChanged 3']);
  });
});

describe('9. An address belongs to one peer', () => {
  const time = fakeTime();
  const made = async (views: readonly View[]): Promise<ReturnType<typeof observer>> => {
    const library = time.opened(observer());
    library.dns.views = views;
    await time.clock.tickAsync(20_000);
    return library;
  };

  it('one answer is decided as a whole: two pods can swap', async () => {
    const { peers, dns } = await made([two]);
    const lines = record(peers);
    dns.views = [{ 'web-0': '10.0.0.2', 'web-1': '10.0.0.1' }];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(lines, [
      'peerMoved web-0 10.0.0.1>10.0.0.2 (answer)',
      'peerMoved web-1 10.0.0.2>10.0.0.1 (answer)',
      'topologyChanged 2',
    ]);
  });

  it('the later claim wins, and keeps winning against an older rumour', async () => {
    const { peers, dns } = await made([two]);
    const lines = record(peers);
    const claimed = { 'web-1': '10.0.0.1' };
    dns.views = [claimed];
    await time.clock.tickAsync(6_000);
    const taken = [
      'peerMoved web-0 10.0.0.1>nowhere (claim)',
      'peerMoved web-1 10.0.0.2>10.0.0.1 (answer)',
      'topologyChanged 2',
    ];
    assert.deepEqual(lines, taken);
    dns.views = [claimed, two];
    await time.clock.tickAsync(60_000);
    assert.deepEqual(lines, taken);
  });

  it('a tie stays with whoever held it', async () => {
    const { peers, dns } = await made([two]);
    const lines = record(peers);
    dns.views = [{ 'web-0': '10.0.0.1', 'web-1': '10.0.0.1' }];
    await time.clock.tickAsync(60_000);
    assert.deepEqual(lines, []);
    const { findings } = await peers.explain();
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['address-contested'],
    );
  });

  it('else with all who claim it, until a refusal tells; and explain() says so', async () => {
    const { peers } = await made([{ 'web-0': '10.0.0.1', 'web-1': '10.0.0.1' }]);
    assert.equal(at(peers.topology.peer(0)), '10.0.0.1');
    assert.equal(at(peers.topology.peer(1)), '10.0.0.1');
    const { findings } = await peers.explain();
    assert.ok(
      findings.some(({ code }) => code === 'address-contested'),
      JSON.stringify(findings),
    );
    peers.report('web-1', 'stranger', '10.0.0.1');
    await time.clock.tickAsync(60_000);
    assert.equal(at(peers.topology.peer(0)), '10.0.0.1');
    assert.equal(at(peers.topology.peer(1)), 'nowhere');
  });

  it("self's addresses are nobody else's", async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [{ 'web-0': '10.0.0.2', 'web-1': '10.0.0.2' }];
    await time.clock.tickAsync(60_000);
    assert.equal(at(peers.topology.peer(0)), 'nowhere');
    assert.equal(at(peers.self), '10.0.0.2');
    dns.views = [two];
    await time.clock.tickAsync(6_000);
    const lines = record(peers);
    dns.views = [{ 'web-0': '10.0.0.2' }];
    await time.clock.tickAsync(20_000);
    assert.deepEqual(lines, []);
    assert.equal(at(peers.topology.peer(0)), '10.0.0.1');
  });
});

import assert from 'node:assert/strict';
import type { Failure } from '../../../src/errors.ts';
import type { Answer, Belief, Decision, Family, FamilySighting, Sighting } from '../../../src/topology/belief.ts';
import { bar, decide, doubt, dueForRemoval, initialBelief, isUnsettled } from '../../../src/topology/belief.ts';

// The two tables of "Belief, precisely" and promises 4 to 12, as far as pure rules can show them.
// Letters are the tables' own: x is replaced by y; r is a replaced address that is shown again.

const x = '10.0.0.1';
const y = '10.0.0.2';
const z = '10.0.0.3';
const w = '10.0.0.4';
const x6 = 'fd00::1';
const y6 = 'fd00::2';
const loopback = '127.0.0.1';

describe('belief: presence of a peer', () => {
  it('unknown, found: published', () => {
    const course = observer().round(0, { 1: x });
    course.is(1, 'published').has(1, x);
    assert.deepEqual([...course.causes], [[1, 'answer']]);
  });

  it('unknown, absent or failed: still unknown', () => {
    observer().round(0, { 1: 'NXDOMAIN', 2: 'absent', 3: 'failed' }).knows();
  });

  it('published, absent for missingAfterMs: missing', () => {
    const course = observer().round(0, { 1: x }).every(5, 1, 49, {}).is(1, 'published');
    course.round(50, {}).is(1, 'missing');
    assert.deepEqual([...course.causes], [[1, 'absence']]);
  });

  it('missing, absent for removeAfterMs and its own name absent too: removed', () => {
    const course = observer().round(0, { 1: x }).every(5, 1, 124, {}).is(1, 'missing');
    course.round(125, { 1: 'NXDOMAIN' }).knows();
    assert.deepEqual([...course.causes], [[1, 'absence']]);
  });

  it('missing, absent for removeAfterMs, its own name not asked: still missing', () => {
    observer().round(0, { 1: x }).every(5, 1, 300, {}).is(1, 'missing');
  });

  for (const found of [x, y, '?']) {
    it(`published and missing, found (${found}): published, time cleared`, () => {
      const course = observer().round(0, { 1: x });
      course.every(1, 1, 40, {}).round(41, { 1: found }).every(42, 1, 86, {}).is(1, 'published');
      course.round(87, {}).is(1, 'missing').round(88, { 1: found }).is(1, 'published');
      course.every(89, 1, 133, {}).is(1, 'published').round(134, {}).is(1, 'missing');
    });
  }

  it('any, failed: no change', () => {
    const published = observer().round(0, { 1: x });
    const before = published.belief.peers.get(1);
    published.every(1, 1, 200, { 1: 'failed' });
    assert.deepEqual(published.belief.peers.get(1), before);
    observer().round(0, { 1: x }).every(1, 1, 46, {}).every(47, 1, 300, { 1: 'failed' }).is(1, 'missing').has(1, x);
  });

  it('self: unpublished until found; missing as others; in place of removed, unpublished', () => {
    const course = member(x).is(0, 'unpublished').has(0, x);
    course.every(0, 1, 300, { 0: 'NXDOMAIN' }).is(0, 'unpublished');
    course.round(301, { 0: x }).is(0, 'published');
    course.every(302, 1, 346, {}).is(0, 'published').round(347, {}).is(0, 'missing');
    course.every(348, 1, 421, {}).is(0, 'missing').round(422, { 0: 'NXDOMAIN' }).is(0, 'unpublished').has(0, x);
  });
});

describe('4. Failure is not absence', () => {
  it('failures remove nobody and move nobody, however long they last', () => {
    const course = observer().round(0, { 1: x, 2: y });
    const { peers } = course.belief;
    for (let at = 1; at < 3_600; at += 5) course.fails(at);
    assert.deepEqual(course.belief.peers, peers);
    assert.deepEqual([...course.causes], []);
  });

  it('they make freshness stale, with a start and a reason', () => {
    const course = observer().round(0, { 1: x }).round(5, { 1: x });
    course.fails(10).fails(15);
    const { freshness } = course.belief;
    assert.deepEqual(freshness, { state: 'stale', since: 10_000, completeAt: 5_000, lastFailure: servfail });
    course.round(20, { 1: x });
    assert.equal(course.belief.freshness.state, 'fresh');
    assert.equal(course.belief.freshness.since, 20_000);
    assert.equal(course.belief.freshness.completeAt, 20_000);
  });

  it('only rounds count for freshness, hints do not', () => {
    const course = observer().round(0, { 1: x });
    const { freshness } = course.belief;
    course.decide(5, {}, { isRound: false, complete: false, others: 'unasked' });
    course.decide(9, { 1: x }, { isRound: false });
    assert.deepEqual(course.belief.freshness, freshness);
  });

  it('an address that failed, or was refused, leaves the addresses as they are', () => {
    observer()
      .round(0, { 1: `${x} ${x6}` })
      .every(1, 1, 200, { 1: '?' })
      .is(1, 'published')
      .has(1, x, x6);
  });

  it('one family’s failure is no outage', () => {
    const course = observer().round(0, { 1: `${x} ${x6}` });
    course.every(1, 1, 200, { 1: `${x} 6?` }).has(1, x, x6);
    course.round(201, { 1: `${y} 6?` }).has(1, y, x6);
  });

  it('a peer of whose families one is absent and the other failed is neither found nor absent', () => {
    const course = observer().round(0, { 1: x });
    course.every(1, 1, 40, {}).every(41, 1, 200, { 1: 'failed' }).is(1, 'published');
    course.every(201, 1, 206, {}).is(1, 'published').round(207, {}).is(1, 'missing');
  });
});

describe('5. Unresolved is not empty', () => {
  it('is unresolved until the first complete round, with the last failure', () => {
    const course = observer().fails(0).fails(1);
    assert.deepEqual(course.belief.freshness, {
      state: 'unresolved',
      since: 0,
      completeAt: null,
      lastFailure: servfail,
    });
    course.decide(2, { 1: x }, { isRound: false });
    assert.equal(course.belief.freshness.state, 'unresolved');
    course.round(3, {});
    assert.equal(course.belief.freshness.state, 'fresh');
    assert.equal(course.belief.freshness.since, 3_000);
  });
});

describe('6. An absent answer is not a departure', () => {
  it('its addresses stay usable until it is removed', () => {
    const course = observer()
      .round(0, { 1: `${x} ${x6}` })
      .every(1, 1, 120, {})
      .has(1, x, x6);
    course.round(121, { 1: 'NXDOMAIN' }).knows();
  });

  it('one positive answer clears it', () => {
    const course = observer().round(0, { 1: x }).every(1, 1, 120, {}).round(121, { 1: x });
    course.every(122, 1, 166, {}).is(1, 'published').round(167, {}).is(1, 'missing');
    course.every(168, 1, 241, { 1: 'NXDOMAIN' }).is(1, 'missing').round(242, { 1: 'NXDOMAIN' }).knows();
  });

  it('a gap with a failure counts as nothing', () => {
    // Absent answers at 1, 3, 5 … with a failure in each gap: no time adds up.
    const course = observer().round(0, { 1: x });
    for (let at = 1; at < 1_000; at += 2) course.round(at, {}).fails(at + 1);
    course.is(1, 'published');
  });

  it('failures neither count nor clear', () => {
    const course = observer().round(0, { 1: x }).every(1, 1, 31, {});
    // 30 s counted; an hour of failures; the gap that they end is nothing; 15 s more.
    for (let at = 32; at < 3_632; at += 5) course.fails(at);
    course.every(3_640, 1, 3_654, {}).is(1, 'published').round(3_655, {}).is(1, 'missing');
  });

  it('a gap between two absent answers counts as at most 10 s: time without answers counts nothing', () => {
    const course = observer().round(0, { 1: x });
    // 1, 601, 1 201, … : 10 s each.
    for (const gap of [0, 1, 2, 3, 4]) course.round(1 + 600 * gap, {});
    course.is(1, 'published').round(3_001, {}).is(1, 'missing');
    for (const gap of [6, 7, 8, 9, 10, 11]) course.round(1 + 600 * gap, { 1: 'NXDOMAIN' });
    course
      .is(1, 'missing')
      .round(1 + 600 * 12, { 1: 'NXDOMAIN' })
      .knows();
  });

  it('an answer that does not ask about a peer neither counts nor interrupts', () => {
    const course = observer().round(0, { 1: x }).round(1, {});
    for (const at of [9, 17, 25, 33]) {
      course.decide(at - 4, {}, { others: 'unasked' }).round(at, {});
    }
    course.round(41, {}).is(1, 'published').round(46, {}).is(1, 'missing');
  });

  it('takes at least 3 absent answers', () => {
    const course = observer({ missingAfterMs: 5_000, removeAfterMs: 10_000 }).round(0, { 1: x });
    course.round(1, {}).round(11, {}).is(1, 'published').round(12, {}).is(1, 'missing');
  });

  it('is never removed before four negative TTLs', () => {
    const course = observer({ missingAfterMs: 5_000, removeAfterMs: 10_000 }).round(0, { 1: x });
    course.every(1, 1, 120, { 1: 'NXDOMAIN' }, { negativeTtlMs: 30_000 }).is(1, 'missing');
    course.decide(121, { 1: 'NXDOMAIN' }, { negativeTtlMs: 30_000 }).knows();
  });

  it('reckons with a negative TTL that the last witness is the first to bring', () => {
    const course = observer({ missingAfterMs: 5_000, removeAfterMs: 10_000 }).round(0, { 1: x });
    course.every(1, 1, 11, {}).decide(12, { 1: 'NXDOMAIN' }, { negativeTtlMs: 30_000 }).is(1, 'missing');
    assert.deepEqual(dueForRemoval(course.belief, 13_000, course.windows), []);
    course.every(13, 1, 120, {}).round(121, { 1: 'NXDOMAIN' }).knows();
  });

  it('remembers the negative TTL over answers that bring none', () => {
    const course = observer({ missingAfterMs: 5_000, removeAfterMs: 10_000 });
    course.decide(0, { 1: x }, { negativeTtlMs: 30_000 });
    course.every(1, 1, 120, { 1: 'NXDOMAIN' }).is(1, 'missing').round(121, { 1: 'NXDOMAIN' }).knows();
  });

  it('says whose own name is to be asked', () => {
    const course = observer().round(0, { 1: x, 2: y });
    const due = (at: number): number[] => dueForRemoval(course.belief, at * 1_000, course.windows);
    course.every(1, 1, 120, { 2: y });
    assert.deepEqual(due(120), []);
    assert.deepEqual(due(121), [1]);
    course.fails(121);
    assert.deepEqual(due(122), [], 'a gap with a failure is nothing');
  });

  it('is not removed by a failed question for its own name', () => {
    const course = observer().round(0, { 1: x }).every(1, 1, 120, {});
    course.round(121, { 1: 'failed' }).is(1, 'missing').round(122, { 1: 'NXDOMAIN' }).is(1, 'missing');
    course.round(123, { 1: 'NXDOMAIN' }).knows();
  });

  it('believes a scale to zero', () => {
    const course = observer().round(0, { 0: x, 1: y, 2: z });
    course.every(1, 1, 45, {}).is(0, 'published').is(1, 'published').is(2, 'published');
    course.round(46, {}).is(0, 'missing').is(1, 'missing').is(2, 'missing');
    course.every(47, 1, 120, {});
    course.round(121, { 0: 'NXDOMAIN', 1: 'NXDOMAIN', 2: 'NXDOMAIN' }).knows();
  });
});

describe('belief: addresses of a peer', () => {
  it('none, found y: current y', () => {
    observer()
      .round(0, { 1: '?' })
      .has(1)
      .round(1, { 1: `${y} ${y6}` })
      .has(1, y, y6);
  });

  it('x, found x: shown now', () => {
    // Seen at the rule that asks for it: the successor was shown at 14, so 15 s count from 15.
    const course = observer().round(0, { 1: x }).round(1, { 1: y }).round(13, { 1: x }).round(14, { 1: y });
    course.every(15, 1, 29, { 1: x }).has(1, y).round(30, { 1: x }).has(1, x);
  });

  it('x, found y alone: current y', () => {
    observer().round(0, { 1: x }).round(1, { 1: y }).has(1, y);
  });

  it('x, found y beside x: current y', () => {
    observer()
      .round(0, { 1: y })
      .round(1, { 1: `${x} ${y}` })
      .has(1, x);
  });

  it('of several new ones: those that were not retired, then the lowest', () => {
    observer().round(0, { 1: '10.0.0.10 10.0.0.9' }).has(1, '10.0.0.9');
    const course = observer().round(0, { 1: x }).round(1, { 1: y });
    course.round(2, { 1: `${x} ${w} ${z}` }).has(1, z);
    course
      .stranger(3, 1, z)
      .round(4, { 1: z })
      .has(1)
      .round(5, { 1: `${w} ${z}` });
    course.has(1, w);
  });

  it('a peer with two addresses of a family stays at one, in whatever order they are shown', () => {
    const course = observer().round(0, { 1: `${y} ${x}` });
    const [first = 'none'] = course.addresses(1);
    for (let at = 1; at < 1_500; at += 1)
      course.round(at, { 1: at % 2 === 0 ? `${x} ${y}` : `${y} ${x}` }).has(1, first);
  });

  it('a peer of whose two addresses each answer shows one stays at the first', () => {
    const course = observer().round(0, { 1: x }).round(1, { 1: y }).has(1, y);
    for (let at = 2; at < 1_500; at += 1) course.round(at, { 1: at % 2 === 0 ? x : y }).has(1, y);
  });

  it('x, later claim by another peer: none', () => {
    const course = observer().round(0, { 1: x, 2: y }).round(1, { 2: x });
    course.has(1).has(2, x);
    assert.equal(course.causes.get(1), 'claim');
    assert.equal(course.causes.get(2), 'answer');
  });

  it('x, peer found without this family for missingAfterMs: none', () => {
    const course = observer().round(0, { 1: `${x} ${x6}` });
    course.every(1, 1, 45, { 1: x }).has(1, x, x6).round(46, { 1: x }).has(1, x);
  });

  it('x, peer found without this family: an answer with it clears', () => {
    const course = observer().round(0, { 1: `${x} ${x6}` });
    course.every(1, 1, 45, { 1: x }).round(46, { 1: `${x} ${x6}` });
    course.every(47, 1, 91, { 1: x }).has(1, x, x6).round(92, { 1: x }).has(1, x);
  });

  for (const failed of ['6?', '?', 'failed']) {
    it(`x, peer found without this family: a gap with a failure (${failed}) counts as nothing`, () => {
      const course = observer().round(0, { 1: `${x} ${x6}` });
      course.every(1, 1, 40, { 1: x }).round(45, { 1: failed });
      course.every(50, 1, 55, { 1: x }).has(1, x, x6).round(56, { 1: x }).has(1, x);
    });
  }

  it('a family that comes late is gained, and disturbs the other not', () => {
    observer()
      .every(0, 1, 30, { 1: x })
      .has(1, x)
      .round(31, { 1: `${x} ${x6}` })
      .has(1, x, x6);
  });
});

describe('7. A new IP is one `peerMoved`: same peer, published throughout', () => {
  it('not a removal and an addition', () => {
    const course = observer().round(0, { 1: x }).every(1, 1, 30, {}).round(31, { 1: y });
    course.is(1, 'published').has(1, y).knows(1);
    assert.deepEqual([...course.causes], [[1, 'answer']]);
  });

  it('each family moves on its own', () => {
    const course = observer().round(0, { 1: `${x} ${x6}` });
    course.round(1, { 1: `${y} ${x6}` }).has(1, y, x6);
    course.round(2, { 1: `${x} ${y6}` }).has(1, y, y6);
  });

  it('a changed SRV port is a move too', () => {
    const course = observer().round(0, { 1: `${x} @5432` });
    assert.equal(course.belief.peers.get(1)?.port, 5432);
    course.round(1, { 1: `${x} @5433` });
    assert.equal(course.belief.peers.get(1)?.port, 5433);
    assert.deepEqual([...course.causes], [[1, 'answer']]);
    course.round(2, { 1: x });
    assert.equal(course.belief.peers.get(1)?.port, 5433, 'an answer for its own name has no port');
    course.round(3, { 1: `${x} @none` });
    assert.equal(course.belief.peers.get(1)?.port, null);
  });
});

describe('8. A replaced address does not come back by rumour', () => {
  it('is believed again only when its successor has not been shown for 15 s', () => {
    const course = observer().round(0, { 1: x }).round(1, { 1: y });
    course.every(2, 1, 16, { 1: x }).has(1, y).round(17, { 1: x }).has(1, x);
  });

  it('not while the successor is shown now and then', () => {
    const course = observer().round(0, { 1: x }).round(1, { 1: y });
    for (let at = 2; at < 3_600; at += 1) course.round(at, { 1: at % 14 === 0 ? y : x }).has(1, y);
  });

  it('2 s after a failed connection to the successor', () => {
    const course = observer().round(0, { 1: x }).round(1, { 1: y }).unreachable(2, 1, y).has(1, y);
    course.round(3, { 1: x }).has(1, y).round(4, { 1: x }).has(1, x);
  });

  it('H counts from the failed connection, also where nothing was rumoured before', () => {
    observer().round(0, { 1: x }).round(1, { 1: y }).unreachable(2, 1, y).round(60, { 1: x }).has(1, x);
  });

  it('more failed connections do not put it off', () => {
    const course = observer().round(0, { 1: x }).round(1, { 1: y });
    for (const at of [2, 2.5, 3, 3.5]) course.unreachable(at, 1, y);
    course.round(4, { 1: x }).has(1, x);
  });

  it('the successor shown again: 15 s again', () => {
    const course = observer().round(0, { 1: x }).round(1, { 1: y }).unreachable(2, 1, y).round(3, { 1: y });
    course.every(4, 1, 18, { 1: x }).has(1, y).round(19, { 1: x }).has(1, x);
  });

  it('a failed connection: another address shown beside is taken', () => {
    const course = observer().round(0, { 1: `${x} ${y}` });
    course.has(1, x).unreachable(1, 1, x).has(1, y);
    observer()
      .round(0, { 1: `${x} ${y}` })
      .round(1, { 1: x })
      .unreachable(2, 1, x)
      .has(1, x);
  });

  it('at once after a stranger answered there', () => {
    const course = observer().round(0, { 1: x }).round(1, { 1: y }).stranger(2, 1, y).has(1);
    assert.equal(course.causes.get(1), 'stranger');
    course.round(3, { 1: x }).has(1, x);
  });

  it('where a stranger answered is barred for 15 s from the last refusal', () => {
    const once = observer().round(0, { 1: x }).stranger(1, 1, x);
    once.every(2, 1, 15, { 1: x }).is(1, 'published').has(1).round(16, { 1: x }).has(1, x);
    const again = observer().round(0, { 1: x }).stranger(1, 1, x).round(8, { 1: x }).stranger(11, 1, x);
    again.every(12, 1, 25, { 1: x }).has(1).round(26, { 1: x }).has(1, x);
  });

  it('a bar does not hold other addresses of the peer, nor other peers', () => {
    const course = observer().round(0, { 1: x }).stranger(1, 1, x);
    course.round(2, { 1: `${x} ${y}`, 2: x });
    course.has(1, y).has(2, x);
  });

  it('a barred address, once it is retired and its time is over, is a rumour like another', () => {
    const course = observer().round(0, { 1: x }).stranger(1, 1, x).round(2, { 1: y });
    course.every(3, 1, 20, { 1: x }).has(1, y);
  });

  it('reports about an address that is no longer current are ignored', () => {
    const course = observer().round(0, { 1: x }).round(1, { 1: y });
    const { belief } = course;
    course.unreachable(2, 1, x).stranger(2, 1, x).unreachable(2, 7, x).stranger(2, 7, x);
    assert.equal(course.belief, belief);
  });

  it('the set of retired addresses is forgotten after 10 minutes', () => {
    const early = observer().round(0, { 1: x }).every(1, 5, 596, { 1: y }).round(600, { 1: x });
    early.has(1, y);
    const late = observer().round(0, { 1: x }).every(1, 5, 601, { 1: y }).round(602, { 1: x });
    late.has(1, x);
  });

  it('replicas that disagree for longer than 10 minutes do not make the belief flap', () => {
    const course = observer().round(0, { 1: x });
    for (let at = 1; at < 1_800; at += 1) course.round(at, { 1: at % 2 === 0 ? x : y }).has(1, y);
  });

  it('while they disagree the belief is unsettled', () => {
    const course = observer().round(0, { 1: x }).round(1, { 1: y });
    assert.equal(isUnsettled(course.belief), false);
    assert.equal(isUnsettled(course.round(2, { 1: x }).belief), true);
    assert.equal(isUnsettled(course.round(3, { 1: y }).unreachable(4, 1, y).belief), true);
    assert.equal(isUnsettled(course.round(5, { 1: y }).stranger(6, 1, y).belief), true);
    assert.equal(isUnsettled(observer().round(0, { 1: x }).round(1, {}).belief), true);
    assert.equal(isUnsettled(observer().round(0, { 1: x, 2: x }).belief), true);
    assert.equal(isUnsettled(observer().round(0, { 1: x }).fails(1).belief), false);
  });
});

describe('9. An address belongs to one peer', () => {
  it('two pods swap in one answer', () => {
    const course = observer().round(0, { 1: x, 2: y }).round(1, { 1: y, 2: x });
    course.has(1, y).has(2, x);
    assert.deepEqual(
      [...course.causes],
      [
        [1, 'answer'],
        [2, 'answer'],
      ],
    );
  });

  it('two pods swap in two answers, the first of which shows both at one address', () => {
    const course = observer().round(0, { 1: x, 2: y }).round(1, { 1: y, 2: y });
    course.has(1, x).has(2, y);
    course.round(2, { 1: y, 2: x }).has(1, y).has(2, x);
  });

  it('two pods swap in two answers, the first of which shows only one of them', () => {
    const course = observer().round(0, { 1: x, 2: y }).round(1, { 1: y });
    course.has(1, y).has(2);
    course.round(2, { 1: y, 2: x }).has(1, y).has(2, x);
  });

  it('two pods that swapped stay swapped while a lagging replica repeats the old answer', () => {
    const course = observer().round(0, { 1: x, 2: y });
    for (let at = 1; at < 100; at += 1) {
      course.round(at, at % 3 === 1 ? { 1: y, 2: x } : { 1: x, 2: y });
      course.has(1, y).has(2, x);
    }
  });

  it('two pods that swap back are believed after 15 s', () => {
    const course = observer().round(0, { 1: x, 2: y }).round(1, { 1: y, 2: x });
    course.every(2, 1, 16, { 1: x, 2: y }).has(1, y).has(2, x);
    course.round(17, { 1: x, 2: y }).has(1, x).has(2, y);
  });

  for (const [how, orders] of [
    ['in one answer', [{ 1: y, 2: z, 3: w }]],
    ['in one answer, in reverse', [{ 3: w, 2: z, 1: y }]],
    ['from the end', [{ 3: w }, { 2: z }, { 1: y }]],
    ['from the start', [{ 1: y }, { 2: z }, { 3: w }]],
  ] as const) {
    it(`a chain of moves, ${how}`, () => {
      const course = observer().round(0, { 1: x, 2: y, 3: z });
      orders.forEach((spec, index) => course.decide(1 + index, spec, { others: 'unasked' }));
      course.has(1, y).has(2, z).has(3, w);
    });
  }

  it('a chain whose end does not move: nobody takes what its holder is shown at', () => {
    const course = observer().round(0, { 1: x, 2: y, 3: z });
    course.round(1, { 1: y, 2: z, 3: z });
    course.has(1, y).has(2).has(3, z).is(2, 'published');
    assert.equal(course.causes.get(2), 'claim');
  });

  it('a tie in one round stays with whoever held it', () => {
    const course = observer().round(0, { 2: x }).round(1, { 1: x, 2: x, 3: x });
    course.has(1).has(2, x).has(3).is(1, 'published');
    assert.deepEqual(course.belief.contested, [{ address: x, claimants: [1, 2, 3], holders: [2] }]);
  });

  it('a tie in one round with no holder stays with all who claim it, until a refusal tells', () => {
    const course = observer().round(0, { 1: x, 2: x });
    course.has(1, x).has(2, x);
    assert.deepEqual(course.belief.contested, [{ address: x, claimants: [1, 2], holders: [1, 2] }]);
    course.round(1, { 1: x, 2: x }).stranger(2, 1, x).has(1).has(2, x);
    course.every(3, 1, 40, { 1: x, 2: x }).has(1).has(2, x);
    course.round(41, { 1: y, 2: x }).has(1, y).has(2, x);
    assert.deepEqual(course.belief.contested, []);
  });

  it('a tie whose holder goes elsewhere in the same round is between the others', () => {
    const course = observer().round(0, { 1: x }).round(1, { 1: y, 2: x, 3: x });
    course.has(1, y).has(2, x).has(3, x);
  });

  it('the later claim wins, and keeps winning while a lagging replica repeats the old one', () => {
    const course = observer().round(0, { 1: x }).round(1, { 2: x });
    for (let at = 2; at < 300; at += 1) {
      course.round(at, at % 10 === 0 ? { 2: x } : { 1: x });
      course.has(1).has(2, x);
    }
  });

  it('keeps winning while a replica lags for longer than the set of retired addresses is kept', () => {
    const course = observer().round(0, { 1: x }).round(1, { 2: x });
    for (let at = 2; at < 900; at += 1) {
      course.round(at, at % 2 === 0 ? { 2: x } : { 1: x });
      course.has(1).has(2, x);
    }
  });

  it('a peer takes an address from its own retired ones only if the holder has not been shown there for 15 s', () => {
    const course = observer().round(0, { 1: x }).round(1, { 2: x });
    course.every(2, 1, 15, { 1: x }).has(1).has(2, x);
    course.round(16, { 1: x }).has(1, x).has(2);
    assert.equal(course.causes.get(2), 'claim');
  });

  it('… or goes elsewhere in the same round', () => {
    const course = observer().round(0, { 1: x }).round(1, { 2: x }).has(1);
    course.round(2, { 1: x, 2: y }).has(1, x).has(2, y);
  });

  it('contests are those of the newest round; a hint’s answer does not end them', () => {
    const course = observer().round(0, { 1: x, 2: x });
    course.decide(1, { 1: x }, { isRound: false, others: 'unasked' });
    assert.equal(course.belief.contested.length, 1);
    course.round(2, { 1: x });
    assert.equal(course.belief.contested.length, 0);
  });

  it('a missing peer’s address goes to whoever claims it', () => {
    const course = observer().round(0, { 1: x }).every(1, 1, 60, {}).is(1, 'missing').round(61, { 2: x });
    course.has(1).has(2, x).is(1, 'missing');
  });

  it('a peer whose every address belongs to another still counts as found', () => {
    const course = observer().round(0, { 1: x, 2: y });
    course.every(1, 1, 100, { 1: x, 2: x }).is(2, 'published').has(1, x);
  });

  it('an unknown port equals any', () => {
    const course = observer()
      .round(0, { 1: `${x} @5432` })
      .round(1, { 1: `${x} @5432`, 2: x });
    course.has(1, x).has(2);
  });

  it('… except on loopback', () => {
    const course = observer().round(0, { 1: `${loopback} @5432` });
    course.round(1, { 1: `${loopback} @5432`, 2: loopback });
    course.has(1, loopback).has(2, loopback);
    assert.deepEqual(course.belief.contested, []);
    const six = observer().round(0, { 1: '::1', 2: '::1' });
    six.has(1, '::1').has(2, '::1');
    assert.deepEqual(six.belief.contested, []);
  });

  it('the same address with different ports is two addresses', () => {
    const course = observer().round(0, { 1: `${x} @5432` });
    course.round(1, { 1: `${x} @5432`, 2: `${x} @5433` });
    course.has(1, x).has(2, x);
    assert.deepEqual(course.belief.contested, []);
  });

  it('a tie in one round by a changed port stays with whoever held address and port', () => {
    const course = observer().round(0, { 1: `${loopback} @5432`, 2: `${loopback} @5433` });
    course.round(1, { 1: `${loopback} @5433`, 2: `${loopback} @5433` });
    course.has(1).has(2, loopback);
  });

  it('a later claim by a changed port wins', () => {
    const course = observer().round(0, { 1: `${loopback} @5432`, 2: `${loopback} @5433` });
    course.round(1, { 1: `${loopback} @5433` });
    course.has(1, loopback).has(2);
  });

  it('self’s addresses are nobody else’s', () => {
    const course = member(x).round(0, { 1: x }).has(0, x).has(1).is(1, 'published');
    course
      .round(1, { 0: x, 1: `${x} ${y}` })
      .has(0, x)
      .has(1, y);
    course.every(2, 1, 60, { 0: y, 1: x }).has(0, x).has(1, y);
  });

  it('nor by a changed port', () => {
    const course = member(loopback).round(0, { 0: `${loopback} @5432`, 1: `${loopback} @5433` });
    course.has(1, loopback).round(1, { 0: `${loopback} @5432`, 1: `${loopback} @5432` });
    course.has(0, loopback).has(1);
  });

  it('a failed connection does not give a peer the address of another', () => {
    const shown = { 1: `${x} ${y}`, 2: y };
    const course = observer().round(0, { 2: y }).round(1, shown).has(1, x).has(2, y);
    course.unreachable(2, 1, x);
    course.has(1, x).has(2, y);
  });

  it('a failed connection does not give a peer an address that another has taken since', () => {
    const course = observer().round(0, { 1: `${x} ${y}` });
    course.decide(1, { 2: y }, { others: 'unasked' }).has(2, y);
    course.unreachable(2, 1, x).has(1, x).has(2, y);
  });
});

describe('11. A member is always in its own topology', () => {
  it('from the start, at its own addresses', () => {
    member(x, x6).knows(0).has(0, x, x6).is(0, 'unpublished');
    member(null, null).knows(0).has(0).is(0, 'unpublished');
  });

  it('is never removed, whatever DNS says', () => {
    const course = member(x).round(0, { 0: x, 1: y });
    course.every(1, 1, 600, { 0: 'NXDOMAIN', 1: 'NXDOMAIN' }).knows(0).has(0, x).is(0, 'unpublished');
  });

  it('stays at its own addresses, whatever DNS and connections say', () => {
    const course = member(x, x6).every(0, 1, 100, { 0: y }).has(0, x, x6);
    course.stranger(101, 0, x).unreachable(102, 0, x6).every(103, 1, 140, { 0: y }).has(0, x, x6);
  });

  it('takes from DNS the family that it does not know itself', () => {
    member(x)
      .round(0, { 0: `${x} ${x6}` })
      .has(0, x, x6);
  });
});

describe('12. A replaced process notices', () => {
  it('superseded after 30 s of answers, after an own address was shown', () => {
    const course = member(x).round(0, { 0: x });
    course.every(1, 1, 30, { 0: y }).is(0, 'published').round(31, { 0: y }).is(0, 'superseded').has(0, x);
    assert.deepEqual([...course.causes], [[0, 'self']]);
  });

  it('superseded after 90 s of answers before that', () => {
    const course = member(x).every(0, 1, 89, { 0: y }).is(0, 'published').round(90, { 0: y });
    course.is(0, 'superseded');
  });

  it('an own address clears it', () => {
    const course = member(x).round(0, { 0: x }).every(1, 1, 31, { 0: y }).is(0, 'superseded');
    course.round(32, { 0: `${x} ${y}` }).is(0, 'published');
    assert.deepEqual([...course.causes], [[0, 'self']]);
    course.every(33, 1, 62, { 0: y }).is(0, 'published').round(63, { 0: y }).is(0, 'superseded');
  });

  it('an own address in between starts the time anew', () => {
    const course = member(x);
    for (let at = 0; at < 600; at += 1) course.round(at, { 0: at % 20 === 0 ? x : y }).is(0, 'published');
  });

  for (const [what, spec] of [
    ['failed', { 0: 'failed' }],
    ['absent', { 0: 'NXDOMAIN' }],
    ['without an address', { 0: '?' }],
    ['foreign', { 0: y }],
  ] as const) {
    it(`answers that are ${what} do not clear it`, () => {
      const course = member(x).round(0, { 0: x }).every(1, 1, 31, { 0: y }).is(0, 'superseded');
      course.every(32, 1, 300, spec).is(0, 'superseded');
    });
  }

  it('failures neither count nor clear, and a gap counts as at most 10 s', () => {
    const course = member(x).round(0, { 0: x }).every(1, 1, 21, { 0: y });
    for (let at = 22; at < 600; at += 5) course.fails(at);
    course.round(600, { 0: y }).is(0, 'published');
    course.round(1_200, { 0: y }).is(0, 'superseded');
  });

  it('only in families in which an own address is known for certain', () => {
    member(null, null)
      .every(0, 1, 600, { 0: `${y} ${y6}` })
      .is(0, 'published');
    member(x)
      .every(0, 1, 600, { 0: y6 })
      .is(0, 'published')
      .every(601, 1, 700, { 0: `${y} ${y6}` })
      .is(0, 'superseded');
  });

  it('not while one family shows an own address', () => {
    member(x, x6)
      .every(0, 1, 600, { 0: `${x} ${y6}` })
      .is(0, 'published');
  });

  it('while its name is shown at foreign addresses the belief is unsettled', () => {
    const course = member(x).round(0, { 0: x });
    assert.equal(isUnsettled(course.belief), false);
    assert.equal(isUnsettled(course.round(1, { 0: y }).belief), true);
  });
});

describe('belief: as a value', () => {
  it('the given belief is left as it was', () => {
    const course = observer().round(0, { 1: x, 2: y }).round(1, { 1: y, 2: x });
    const { belief } = course;
    const copy = structuredClone(belief);
    course.round(2, { 1: x, 2: z, 3: w }).unreachable(3, 1, y).stranger(3, 2, x).fails(4);
    assert.deepEqual(belief, copy);
  });

  it('peers are kept by ordinal', () => {
    observer().round(0, { 10: x, 2: y }).round(1, { 10: x, 2: y, 1: z, 3: w }).knows(1, 2, 3, 10);
  });
});

const servfail: Failure = { reason: 'servfail', detail: 'SERVFAIL', server: '10.96.0.10:53', question: 'SRV web' };

/** What one answer says, by ordinal: addresses, `@port`, `?` or `6?` for what is unknown; or that it is not there. */
type Spec = Readonly<Record<number, string>>;

function observer(windows = { missingAfterMs: 45_000, removeAfterMs: 120_000 }): Course {
  return new Course(initialBelief(null, 0), windows);
}

/** Self is ordinal 0. */
function member(ipv4: string | null, ipv6: string | null = null): Course {
  const windows = { missingAfterMs: 45_000, removeAfterMs: 120_000 };
  return new Course(initialBelief({ ordinal: 0, addresses: { 4: ipv4, 6: ipv6 } }, 0), windows);
}

/** A belief and what happens to it, at seconds since the start. */
class Course {
  belief: Belief;
  causes: Decision['causes'] = new Map();
  readonly windows: { readonly missingAfterMs: number; readonly removeAfterMs: number };

  constructor(belief: Belief, windows: Course['windows']) {
    this.belief = belief;
    this.windows = windows;
  }

  /** A complete round: who is not named is absent. */
  round(seconds: number, spec: Spec): this {
    return this.decide(seconds, spec);
  }

  /** Rounds from, each step, up to and including. */
  every(from: number, step: number, to: number, spec: Spec, rest: Partial<Answer> = {}): this {
    for (let at = from; at <= to; at += step) this.decide(at, spec, rest);
    return this;
  }

  /** A round that ends with SERVFAIL. */
  fails(seconds: number): this {
    return this.decide(seconds, {}, { others: 'failed', complete: false, failure: servfail });
  }

  decide(seconds: number, spec: Spec, rest: Partial<Answer> = {}): this {
    const entries = Object.entries(spec).map(([ordinal, text]) => [Number(ordinal), sighting(text)] as const);
    const answer: Answer = {
      sightings: new Map(entries),
      others: 'absent',
      complete: true,
      isRound: true,
      negativeTtlMs: null,
      failure: null,
      ...rest,
    };
    return this.#take(decide(this.belief, answer, seconds * 1_000, this.windows));
  }

  unreachable(seconds: number, ordinal: number, address: string): this {
    return this.#take(doubt(this.belief, ordinal, address, seconds * 1_000));
  }

  stranger(seconds: number, ordinal: number, address: string): this {
    return this.#take(bar(this.belief, ordinal, address, seconds * 1_000));
  }

  addresses(ordinal: number): string[] {
    const peer = this.belief.peers.get(ordinal);
    return ([4, 6] as const).flatMap((family) => peer?.families[family].current ?? []);
  }

  has(ordinal: number, ...addresses: string[]): this {
    assert.ok(this.belief.peers.has(ordinal), `${ordinal} is not known`);
    assert.deepEqual(this.addresses(ordinal), addresses, `addresses of ${ordinal}`);
    return this;
  }

  is(ordinal: number, presence: string): this {
    assert.equal(this.belief.peers.get(ordinal)?.presence, presence, `presence of ${ordinal}`);
    return this;
  }

  knows(...ordinals: number[]): this {
    assert.deepEqual([...this.belief.peers.keys()], ordinals);
    return this;
  }

  #take({ belief, causes }: Decision): this {
    this.belief = belief;
    this.causes = causes;
    return this;
  }
}

function sighting(text: string): Sighting {
  if (text === 'failed') return { kind: 'failed' };
  if (text === 'absent' || text === 'NXDOMAIN') return { kind: 'absent', ownName: text === 'NXDOMAIN' };
  const words = text.split(' ');
  const port = words.find((word) => word.startsWith('@'))?.slice(1);
  const family = (which: Family): FamilySighting => {
    const addresses = words.filter((word) => /^[0-9a-f:.]+$/.test(word) && word.includes(':') === (which === 6));
    if (addresses.length > 0) return { kind: 'shown', addresses };
    return words.includes('?') || words.includes(`${which}?`) ? { kind: 'unknown' } : { kind: 'none' };
  };
  return {
    kind: 'found',
    port: port === undefined ? undefined : port === 'none' ? null : Number(port),
    families: { 4: family(4), 6: family(6) },
  };
}

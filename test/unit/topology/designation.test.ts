import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import type { Belief } from '../../../src/topology/belief.ts';
import { initialBelief } from '../../../src/topology/belief.ts';
import type { DesignationContext } from '../../../src/topology/designation.ts';
import { designate } from '../../../src/topology/designation.ts';
import type { PolicyDecision, PolicyView, PrimaryPolicy } from '../../../src/topology/primary.ts';
import { fixedPrimary, lowestOrdinal } from '../../../src/topology/primary.ts';
import type { Designation, Presence, Topology } from '../../../src/topology/topology.ts';
import { topologyOf } from '../../../src/topology/topology.ts';

const context: DesignationContext = { statefulSet: 'web', ordinalStart: null, expectedPods: null };

describe('fixedPrimary: the first ordinal, always', () => {
  for (const [title, belief] of [
    ['before any answer', believed({}, { freshness: 'unresolved' })],
    ['while nobody is published', believed({})],
    ['while it is published', believed({ 0: 'published', 1: 'published' })],
    ['while it is missing', believed({ 0: 'missing', 1: 'published' })],
    ['while answers are stale', believed({ 1: 'published' }, { freshness: 'stale', since: -3_600_000 })],
  ] as const) {
    it(title, () => assert.equal(designate(fixedPrimary(), belief, context, 0).podName, 'web-0'));
  }

  it('ordinalStart is the first', () => {
    const { podName, reason } = designate(
      fixedPrimary(),
      believed({ 5: 'published' }),
      { ...context, ordinalStart: 5 },
      0,
    );
    assert.equal(podName, 'web-5');
    assert.match(reason, /ordinalStart 5/);
  });

  it('the reason says so when a resolved view has a higher lowest ordinal and no ordinalStart', () => {
    const reasonOf = (belief: Belief, ordinalStart: number | null = null): string =>
      designate(fixedPrimary(), belief, { ...context, ordinalStart }, 0).reason;
    assert.match(reasonOf(believed({ 3: 'published', 4: 'published' })), /web-3.*ordinalStart/);
    assert.doesNotMatch(reasonOf(believed({ 3: 'published' }, { freshness: 'unresolved' })), /web-3/);
    assert.doesNotMatch(reasonOf(believed({ 0: 'missing', 3: 'published' })), /web-3/);
    assert.doesNotMatch(reasonOf(believed({ 3: 'published' }), 0), /web-3/);
    assert.doesNotMatch(reasonOf(believed({})), /web-/);
  });

  it('the reason names no higher ordinal where self is superseded: DNS names it', () => {
    const belief = believed({ 0: 'superseded', 1: 'published' }, { self: 0 });
    assert.doesNotMatch(designate(fixedPrimary(), belief, context, 0).reason, /web-1/);
  });
});

describe('lowestOrdinal: the lowest published ordinal while a quorum is published', () => {
  for (const [title, presences, quorum, expected] of [
    ['the lowest', { 0: 'published', 1: 'published', 2: 'published' }, 2, 'web-0'],
    ['the next while the lowest is missing', { 0: 'missing', 1: 'published', 2: 'published' }, 2, 'web-1'],
    ['nobody below the quorum: missing ones do not count', { 0: 'published', 1: 'missing', 2: 'missing' }, 2, null],
    ['a quorum of one', { 7: 'published' }, 1, 'web-7'],
    ['nobody while nobody is published', {}, 1, null],
  ] as const) {
    it(title, () => {
      assert.equal(designate(lowestOrdinal({ quorum }), believed(presences), context, 0).podName, expected);
    });
  }

  for (const [expectedPods, published, expected] of [
    [3, 1, null],
    [3, 2, 'web-0'],
    [4, 2, null],
    [4, 3, 'web-0'],
    [1, 1, 'web-0'],
  ] as const) {
    it(`a majority of expectedPods by default: ${published} of ${expectedPods}`, () => {
      const presences = Object.fromEntries(Array.from({ length: published }, (_, at) => [at, 'published' as const]));
      const decided = designate(lowestOrdinal(), believed(presences), { ...context, expectedPods }, 0);
      assert.equal(decided.podName, expected);
    });
  }

  it('nobody until the first complete round', () => {
    const belief = believed({ 0: 'published' }, { freshness: 'unresolved' });
    assert.equal(designate(lowestOrdinal({ quorum: 1 }), belief, context, 0).podName, null);
  });

  it('nobody after 60 s of staleness', () => {
    const belief = believed({ 0: 'published' }, { freshness: 'stale', since: 1_000 });
    assert.equal(designate(lowestOrdinal({ quorum: 1 }), belief, context, 60_999).podName, 'web-0');
    const after = designate(lowestOrdinal({ quorum: 1 }), belief, context, 61_000);
    assert.equal(after.podName, null);
    assert.match(after.reason, /60 s/);
  });

  it('fresh answers are never too old for it', () => {
    const belief = believed({ 0: 'published' }, { freshness: 'fresh', since: 0 });
    assert.equal(designate(lowestOrdinal({ quorum: 1 }), belief, context, 3_600_000).podName, 'web-0');
  });

  it('self counts as what DNS says it is', () => {
    const unpublished = believed({ 0: 'unpublished', 1: 'published' }, { self: 0 });
    assert.equal(designate(lowestOrdinal({ quorum: 1 }), unpublished, context, 0).podName, 'web-1');
    assert.equal(designate(lowestOrdinal({ quorum: 2 }), unpublished, context, 0).podName, null);
    const published = believed({ 0: 'published', 1: 'published' }, { self: 0 });
    assert.equal(designate(lowestOrdinal({ quorum: 2 }), published, context, 0).podName, 'web-0');
  });

  for (const quorum of [0, -1, 1.5, NaN, Infinity, '2', null]) {
    it(`refuses a quorum of ${JSON.stringify(quorum)}`, () => {
      assert.throws(
        () => lowestOrdinal({ quorum: quorum as number }),
        (error) => {
          assert.equal(PeerDiscoveryError.from(error)?.code, 'ERR_OPTION');
          assert.match(String(error), /quorum/);
          return true;
        },
      );
    });
  }

  it('says at construction that a majority needs expectedPods', () => {
    assert.equal(lowestOrdinal().check?.({ expectedPods: null })?.option, 'expectedPods');
    assert.equal(lowestOrdinal().check?.({ expectedPods: 3 }), null);
    assert.equal(lowestOrdinal({ quorum: 1 }).check?.({ expectedPods: null }), null);
  });
});

describe('false: no roles', () => {
  it('designates nobody, and everybody’s role is unknown', () => {
    const belief = believed({ 0: 'published', 1: 'published' }, { self: 0 });
    const designation = designate(false, belief, context, 0);
    assert.equal(designation.podName, null);
    const topology = snapshot(belief, designation);
    assert.deepEqual(
      topology.peers.map((peer) => peer.role),
      ['unknown', 'unknown'],
    );
    assert.equal(topology.primary, null);
    assert.deepEqual(topology.replicas, []);
  });
});

describe('a function of the same input for the rest', () => {
  const belief = believed({ 0: 'missing', 1: 'published' }, { freshness: 'stale', since: 1_000, self: 1 });

  it('sees names, presence and freshness, and nothing that changes without a decision', () => {
    let seen: PolicyView | undefined;
    designate((view) => ((seen = view), null), belief, { statefulSet: 'web', ordinalStart: 0, expectedPods: 2 }, 5_000);
    assert.deepEqual(seen, {
      statefulSet: 'web',
      peers: [
        { podName: 'web-0', ordinal: 0, presence: 'missing', isSelf: false },
        { podName: 'web-1', ordinal: 1, presence: 'published', isSelf: true },
      ],
      freshness: 'stale',
      staleMs: 4_000,
      ordinalStart: 0,
      ordinalStartGiven: true,
      expectedPods: 2,
    });
  });

  it('is not asked until the first complete round', () => {
    const unresolved = believed({ 0: 'published' }, { freshness: 'unresolved' });
    const decided = designate(() => assert.fail('asked'), unresolved, context, 0);
    assert.deepEqual(decided, { podName: null, reason: 'no complete answer yet' });
  });

  for (const [title, policy, expected] of [
    ['a name', () => 'web-1', { podName: 'web-1', reason: /./ }],
    ['a name and why', () => ({ podName: 'web-1', reason: 'the moon' }), { podName: 'web-1', reason: /^the moon$/ }],
    ['nobody', () => null, { podName: null, reason: /./ }],
    ['nobody, and why', () => ({ podName: null, reason: 'the moon' }), { podName: null, reason: /^the moon$/ }],
    ['one that throws', () => assert.fail('the moon'), { podName: null, reason: /threw: the moon/ }],
    ['a pod that nobody has seen', () => 'web-7', { podName: null, reason: /"web-7"/ }],
    ['a pod of another set', () => 'db-0', { podName: null, reason: /"db-0"/ }],
  ] as [string, PrimaryPolicy, { podName: string | null; reason: RegExp }][]) {
    it(title, () => {
      const designation = designate(policy, belief, context, 5_000);
      assert.equal(designation.podName, expected.podName);
      assert.match(designation.reason, expected.reason);
    });
  }

  it('one that throws or names a stranger gives null with that reason, whatever it is', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withNullPrototype: true }), fc.boolean(), (value, throws) => {
        const policy = (): PolicyDecision => {
          if (throws) throw value;
          return value as PolicyDecision;
        };
        const { podName, reason } = designate(policy, belief, context, 5_000);
        assert.equal(podName, null);
        assert.equal(typeof reason, 'string');
      }),
      // What fast-check alone rarely comes across.
      {
        examples: [
          [1n, false],
          [{ podName: 1n }, false],
          [Object.create(null), true],
          [Symbol('s'), true],
        ],
      },
    );
  });
});

describe('10. A designation is not an election and presence is not health', () => {
  it('equal topologies give equal primaries', () => {
    const presence = fc.constantFrom<Presence>('published', 'missing');
    const presences = fc.dictionary(fc.nat(9).map(String), presence);
    fc.assert(
      fc.property(presences, fc.integer({ min: 1, max: 5 }), fc.nat(9), fc.nat(9), (peers, quorum, one, two) => {
        for (const policy of [fixedPrimary(), lowestOrdinal({ quorum })]) {
          // Two members and an observer with the same view of everybody.
          const all = { ...peers, [one]: 'published', [two]: 'published' } as Record<number, Presence>;
          const views = [believed(all, { self: one }), believed(all, { self: two }), believed(all)];
          const names = views.map((belief) => designate(policy, belief, context, 0).podName);
          assert.equal(new Set(names).size, 1);
        }
      }),
    );
  });
});

describe('11. Under fixedPrimary self counts as present', () => {
  it('so that a primary that becomes Ready only after it leads does not deadlock', () => {
    const belief = believed({ 0: 'unpublished' }, { self: 0, freshness: 'unresolved' });
    const topology = snapshot(belief, designate(fixedPrimary(), belief, context, 0));
    assert.equal(topology.primary?.podName, 'web-0');
    assert.equal(topology.self?.role, 'primary');
  });

  it('the reason of its peers’ view does not suspect ordinalStart either', () => {
    const belief = believed({ 0: 'unpublished', 1: 'published' }, { self: 0 });
    assert.doesNotMatch(designate(fixedPrimary(), belief, context, 0).reason, /web-1/);
  });
});

describe('12. Superseded: role unknown, primary null where self was the designated one', () => {
  for (const [title, policy] of [
    ['fixedPrimary', fixedPrimary()],
    ['lowestOrdinal', lowestOrdinal({ quorum: 1 })],
  ] as const) {
    it(`under ${title}`, () => {
      const belief = believed({ 0: 'superseded', 1: 'published' }, { self: 0 });
      const topology = snapshot(belief, designate(policy, belief, context, 0));
      assert.equal(topology.self?.role, 'unknown');
      assert.equal(topology.primary, null);
    });
  }

  it('another’s primary stays', () => {
    const belief = believed({ 0: 'published', 1: 'superseded' }, { self: 1 });
    const topology = snapshot(belief, designate(fixedPrimary(), belief, context, 0));
    assert.equal(topology.self?.role, 'unknown');
    assert.equal(topology.primary?.podName, 'web-0');
  });
});

interface About {
  readonly self?: number;
  readonly freshness?: Belief['freshness']['state'];
  readonly since?: number;
}

function believed(
  presences: Readonly<Record<number, Presence>>,
  { self, freshness = 'fresh', since = 0 }: About = {},
): Belief {
  const belief = initialBelief(self === undefined ? null : { ordinal: self, addresses: { 4: null, 6: null } }, 0);
  const [pattern] = initialBelief({ ordinal: 0, addresses: { 4: null, 6: null } }, 0).peers.values();
  assert.ok(pattern);
  const peers = Object.entries(presences)
    .map(([ordinal, presence]) => ({ ...pattern, ordinal: Number(ordinal), presence }))
    .sort((a, b) => a.ordinal - b.ordinal);
  return {
    ...belief,
    peers: new Map(peers.map((peer) => [peer.ordinal, peer])),
    freshness: { ...belief.freshness, state: freshness, since },
  };
}

function snapshot(belief: Belief, designation: Designation): Topology {
  const names = { statefulSet: 'web', serviceName: 'nginx.default.svc.cluster.local', port: null };
  return topologyOf(belief, designation, names, null, false);
}

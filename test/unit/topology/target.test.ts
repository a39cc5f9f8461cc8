import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import { initialBelief } from '../../../src/topology/belief.ts';
import type { Presence, Topology } from '../../../src/topology/topology.ts';
import { topologyOf } from '../../../src/topology/topology.ts';
import { checkTarget, peersFor } from '../../../src/topology/target.ts';

describe('a target is one type everywhere', () => {
  const web1 = { ordinal: 1, podName: 'web-1' };

  for (const [title, target, expected] of [
    ['the primary', 'primary', 'primary'],
    ['a replica', 'replica', 'replica'],
    ['anybody', 'any', 'any'],
    ['a pod name', 'web-1', web1],
    ['an ordinal', 1, web1],
    ['the first ordinal', 0, { ordinal: 0, podName: 'web-0' }],
    ['the last ordinal', 2_147_483_647, { ordinal: 2_147_483_647, podName: 'web-2147483647' }],
    ['a Peer', setOf({ 1: 'published' }).peer(1), web1],
  ] as const) {
    it(title, () => assert.deepEqual(checkTarget(target, 'web'), expected));
  }

  it('a Peer of an old snapshot serves as well', () => {
    const old = setOf({ 1: 'published' }).peer(1);
    const now = setOf({ 1: 'missing' });
    assert.deepEqual(peersFor(checkTarget(old, 'web'), now), [now.peer(1)]);
  });

  it('a set’s name may have dashes and digits', () => {
    assert.deepEqual(checkTarget('my-db-2-10', 'my-db-2'), { ordinal: 10, podName: 'my-db-2-10' });
  });

  for (const target of [
    ...[
      '',
      'web',
      'web-',
      'web-01',
      'web--1',
      'web-1.5',
      'web-1e3',
      'web-1 ',
      'web-1-2',
      'db-1',
      '1',
      'web-2147483648',
    ],
    ...['web-1.nginx.default.svc.cluster.local', -1, 0.5, NaN, Infinity, 2_147_483_648, true, null, undefined],
    ...[{}, [], { podName: 'db-1' }, { ordinal: 1 }, Symbol('web-1'), 1n, () => 'web-1'],
  ]) {
    it(`refuses ${inspect(target)}, and says what was expected`, () => {
      assert.throws(
        () => checkTarget(target, 'web'),
        (error) => {
          assert.ok(error instanceof PeerDiscoveryError);
          assert.equal(error.code, 'ERR_UNKNOWN_PEER');
          assert.equal(error.value, target);
          assert.match(error.message, /'primary', 'replica', 'any', a pod name like 'web-0'/);
          return true;
        },
      );
    });
  }

  it('anything else is refused with ERR_UNKNOWN_PEER, never with another error', () => {
    fc.assert(
      fc.property(fc.anything(), (target) => {
        try {
          checkTarget(target, 'web');
        } catch (error) {
          assert.equal(PeerDiscoveryError.from(error)?.code, 'ERR_UNKNOWN_PEER');
        }
      }),
    );
  });
});

describe('peers that a target means', () => {
  const set = setOf({ 0: 'published', 1: 'published', 2: 'missing', 3: 'published' }, { self: 1, primary: 'web-0' });

  for (const [title, target, topology, expected] of [
    ['primary: the designated one', 'primary', set, ['web-0']],
    ['primary: also where it is missing', 'primary', setOf({ 0: 'missing' }, { primary: 'web-0' }), ['web-0']],
    ['primary: nobody while nobody is designated', 'primary', setOf({ 0: 'published' }, { primary: null }), []],
    ['primary: nobody while the designated one is unknown', 'primary', setOf({}, { primary: 'web-0' }), []],
    ['replica: never self, and no missing ones while others are there', 'replica', set, ['web-3']],
    ['any: never self, and no missing ones while others are there', 'any', set, ['web-0', 'web-3']],
    ['replica: missing ones while nobody else is there', 'replica', setOf({ 0: 'published', 2: 'missing' }), ['web-2']],
    [
      'any: missing ones while nobody else is there',
      'any',
      setOf({ 1: 'published', 2: 'missing' }, { self: 1 }),
      ['web-2'],
    ],
    ['any: nobody, where self is alone', 'any', setOf({ 1: 'published' }, { self: 1 }), []],
    ['replica: nobody, where the primary is alone', 'replica', setOf({ 0: 'published' }, { primary: 'web-0' }), []],
    ['a pod name', 'web-2', set, ['web-2']],
    ['an ordinal: self is meant where it is named', 1, set, ['web-1']],
    ['an unknown ordinal', 9, set, []],
  ] as const) {
    it(title, () => {
      const names = peersFor(checkTarget(target, 'web'), topology).map((peer) => peer.podName);
      assert.deepEqual(names, expected);
    });
  }
});

/** A topology with these peers; `primary` is web-0 unless told. */
function setOf(
  presences: Readonly<Record<number, Presence>>,
  { self = null, primary = 'web-0' }: { self?: number | null; primary?: string | null } = {},
): Topology {
  const belief = initialBelief(self === null ? null : { ordinal: self, addresses: { 4: null, 6: null } }, 0);
  const [pattern] = initialBelief({ ordinal: 0, addresses: { 4: null, 6: null } }, 0).peers.values();
  assert.ok(pattern);
  const peers = new Map(
    Object.entries(presences).map(([ordinal, presence]) => [
      Number(ordinal),
      { ...pattern, ordinal: Number(ordinal), presence },
    ]),
  );
  const names = { statefulSet: 'web', serviceName: 'nginx.default.svc.cluster.local', port: null };
  return topologyOf({ ...belief, peers }, { podName: primary, reason: 'for the test' }, names, null, false);
}

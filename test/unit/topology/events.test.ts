import assert from 'node:assert/strict';
import type { Belief, Cause, Family, FreshnessBelief } from '../../../src/topology/belief.ts';
import { initialBelief } from '../../../src/topology/belief.ts';
import type { EmittedEvent } from '../../../src/topology/events.ts';
import { freshnessAt, transitionEvents } from '../../../src/topology/events.ts';
import type { Presence, Topology } from '../../../src/topology/topology.ts';
import { topologyOf } from '../../../src/topology/topology.ts';

describe('13. State first, then events, in this order', () => {
  it('removed, added, moved, presence (each by ordinal), primary, own role, and the topology last', () => {
    const before = snapshot({
      ...{ 0: {}, 1: {}, 2: { ipv4: '10.0.0.2' }, 3: { ipv4: '10.0.0.3' }, 4: {}, 5: {}, 10: {} },
      ...{ self: 4, primary: 'web-0' },
    });
    const after = snapshot({
      ...{ 2: { ipv4: '10.0.1.2' }, 3: { ipv4: '10.0.1.3' }, 4: { presence: 'missing' }, 5: { presence: 'missing' } },
      ...{ 6: {}, 7: {}, 10: {} },
      ...{ self: 4, primary: 'web-4', previous: before },
    });
    assert.deepEqual(eventsOf(before, after), [
      ...['peerRemoved web-0', 'peerRemoved web-1', 'peerAdded web-6', 'peerAdded web-7', 'peerMoved web-2'],
      ...['peerMoved web-3', 'presenceChanged web-4', 'presenceChanged web-5', 'primaryChanged web-0 web-4'],
      ...['roleChanged replica primary', 'topologyChanged 1'],
    ]);
  });

  it('by ordinal, not by name', () => {
    const before = snapshot({ 2: {}, 10: {} });
    const after = snapshot({ previous: before });
    assert.deepEqual(eventsOf(before, after), ['peerRemoved web-2', 'peerRemoved web-10', 'topologyChanged 1']);
    assert.deepEqual(eventsOf(after, snapshot({ 10: {}, 2: {}, previous: after })), [
      ...['peerAdded web-2', 'peerAdded web-10', 'topologyChanged 2'],
    ]);
  });

  it('none when nothing changed', () => {
    const topology = snapshot({ 0: {} });
    assert.deepEqual(transitionEvents(topology, topology, new Map(), 'answer'), []);
  });

  it('the first complete round is a transition although nothing changed', () => {
    const before = snapshot({ 0: {}, self: 0 });
    const after = snapshot({ 0: {}, self: 0, previous: before, isTransition: true });
    assert.deepEqual(eventsOf(before, after), ['topologyChanged 1']);
  });

  it('all carry topologyVersion, previous, current and cause, and are frozen', () => {
    const before = snapshot({ 0: {}, 1: {}, 2: { ipv4: '10.0.0.1' }, 3: {}, self: 3, primary: 'web-0' });
    const after = snapshot({
      ...{ 1: { presence: 'missing' }, 2: { ipv4: '10.0.0.2' }, 3: {}, 4: {} },
      ...{ self: 3, primary: 'web-3', previous: before },
    });
    const events = transitionEvents(before, after, new Map(), 'answer');
    assert.equal(events.length, 7);
    for (const [name, event] of events) {
      assert.ok(event, name);
      assert.ok(Object.isFrozen(event), name);
      for (const key of ['topologyVersion', 'previous', 'current', 'cause']) assert.ok(key in event, `${name} ${key}`);
      assert.equal('topologyVersion' in event && event.topologyVersion, 1);
    }
    const moved = find(events, 'peerMoved');
    assert.ok(Object.isFrozen(moved.gained) && Object.isFrozen(moved.lost));
    assert.ok([...moved.gained, ...moved.lost].every((address) => Object.isFrozen(address)));
  });

  it('previous and current are those of the snapshots', () => {
    const before = snapshot({ 0: {}, 1: { ipv4: '10.0.0.1' }, 2: {}, primary: 'web-0' });
    const after = snapshot({ 1: { ipv4: '10.0.0.2' }, 2: {}, 3: {}, primary: 'web-2', previous: before });
    const events = transitionEvents(before, after, new Map(), 'answer');
    const pick = (name: EmittedEvent[0]): unknown[] => {
      const { previous, current } = find(events, name) as { previous: unknown; current: unknown };
      return [previous, current];
    };
    assert.deepEqual(pick('peerRemoved'), [before.peer(0), null]);
    assert.deepEqual(pick('peerAdded'), [null, after.peer(3)]);
    assert.deepEqual(pick('peerMoved'), [before.peer(1), after.peer(1)]);
    assert.deepEqual(pick('primaryChanged'), [before.peer(0), after.peer(2)]);
    assert.deepEqual(pick('topologyChanged'), [before, after]);
    assert.equal(find(events, 'primaryChanged').designation, after.designation);
  });
});

describe('7. A new IP is one `peerMoved`', () => {
  const at = { ipv4: '10.0.0.1', ipv6: 'fd00::1', port: 1 };

  for (const [title, before, after, gained, lost] of [
    ['another address', at, { ...at, ipv4: '10.0.0.2' }, ['10.0.0.2'], ['10.0.0.1']],
    [
      'both families',
      at,
      { ...at, ipv4: '10.0.0.2', ipv6: 'fd00::2' },
      ['10.0.0.2', 'fd00::2'],
      ['10.0.0.1', 'fd00::1'],
    ],
    ['a family more', { ipv4: '10.0.0.1', port: 1 }, at, ['fd00::1'], []],
    ['a family less', at, { ipv4: '10.0.0.1', port: 1 }, [], ['fd00::1']],
    ['the first address', { port: 1 }, at, ['10.0.0.1', 'fd00::1'], []],
    ['the last address', at, { port: 1 }, [], ['10.0.0.1', 'fd00::1']],
    ['another port: gains and loses no address', at, { ...at, port: 2 }, [], []],
    ['a port becomes known', { ipv4: '10.0.0.1' }, { ipv4: '10.0.0.1', port: 1 }, [], []],
  ] as [string, PeerSpec, PeerSpec, string[], string[]][]) {
    it(title, () => {
      const previous = snapshot({ 1: before });
      const current = snapshot({ 1: after, previous });
      const events = transitionEvents(previous, current, new Map(), 'answer');
      assert.deepEqual(
        events.map(([name]) => name),
        ['peerMoved', 'topologyChanged'],
      );
      const moved = find(events, 'peerMoved');
      assert.deepEqual(
        moved.gained.map(({ address }) => address),
        gained,
      );
      assert.deepEqual(
        moved.lost.map(({ address }) => address),
        lost,
      );
    });
  }

  it('a presence that changes alone is no move', () => {
    const previous = snapshot({ 1: at });
    const current = snapshot({ 1: { ...at, presence: 'missing' }, previous });
    assert.deepEqual(eventsOf(previous, current), ['presenceChanged web-1', 'topologyChanged 1']);
  });

  it('a missing peer that is found elsewhere moves, and is present', () => {
    const previous = snapshot({ 1: { ...at, presence: 'missing' } });
    const current = snapshot({ 1: { ...at, ipv4: '10.0.0.2' }, previous });
    assert.deepEqual(eventsOf(previous, current), ['peerMoved web-1', 'presenceChanged web-1', 'topologyChanged 1']);
  });
});

describe('primaryChanged compares names', () => {
  for (const [title, before, after, expected] of [
    [
      'a move of the primary is only peerMoved',
      { 0: { ipv4: '10.0.0.1' }, primary: 'web-0' },
      { 0: { ipv4: '10.0.0.2' }, primary: 'web-0' },
      ['peerMoved web-0', 'topologyChanged 1'],
    ],
    [
      'a missing primary stays the primary',
      { 0: {}, primary: 'web-0' },
      { 0: { presence: 'missing' }, primary: 'web-0' },
      ['presenceChanged web-0', 'topologyChanged 1'],
    ],
    [
      'the designated one is removed',
      { 0: {}, 1: {}, primary: 'web-0' },
      { 1: {}, primary: 'web-0' },
      ['peerRemoved web-0', 'primaryChanged web-0 null', 'topologyChanged 1'],
    ],
    [
      'the designated one is added',
      { 1: {}, primary: 'web-0' },
      { 0: {}, 1: {}, primary: 'web-0' },
      ['peerAdded web-0', 'primaryChanged null web-0', 'topologyChanged 1'],
    ],
    [
      'another is designated',
      { 0: {}, 1: {}, primary: 'web-0' },
      { 0: {}, 1: {}, primary: 'web-1' },
      ['primaryChanged web-0 web-1', 'topologyChanged 1'],
    ],
    [
      'nobody is designated',
      { 0: {}, 1: {}, self: 1, primary: 'web-0' },
      { 0: {}, 1: {}, self: 1, primary: null },
      ['primaryChanged web-0 null', 'roleChanged replica unknown', 'topologyChanged 1'],
    ],
    [
      'self is superseded and was the primary',
      { 0: {}, self: 0, primary: 'web-0' },
      { 0: { presence: 'superseded' }, self: 0, primary: 'web-0' },
      ['presenceChanged web-0', 'primaryChanged web-0 null', 'roleChanged primary unknown', 'topologyChanged 1'],
    ],
    [
      'roles of others are in the topology alone',
      { 0: {}, primary: null },
      { 0: {}, primary: 'web-7' },
      ['topologyChanged 1'],
    ],
  ] as [string, SetSpec, SetSpec, string[]][]) {
    it(title, () => {
      const previous = snapshot(before);
      assert.deepEqual(eventsOf(previous, snapshot({ ...after, previous })), expected);
    });
  }
});

describe('the cause of an event', () => {
  const causesOf = (before: SetSpec, after: SetSpec, causes: [number, Cause][], otherwise: Cause): string[] => {
    const previous = snapshot(before);
    const current = snapshot({ ...after, previous });
    const events = transitionEvents(previous, current, new Map(causes), otherwise);
    return events.map(([name, event]) => `${name} ${event !== undefined && 'cause' in event ? event.cause : '-'}`);
  };

  for (const [title, before, after, causes, otherwise, expected] of [
    [
      'is each peer’s own',
      { 1: { ipv4: '10.0.0.1' }, 2: { ipv4: '10.0.0.2' } },
      { 1: {}, 2: { ipv4: '10.0.0.1' } },
      [
        [1, 'claim'],
        [2, 'answer'],
      ],
      'answer',
      ['peerMoved claim', 'peerMoved answer', 'topologyChanged claim'],
    ],
    [
      'absence removes the primary',
      { 0: {}, 1: {}, primary: 'web-0' },
      { 1: {}, primary: 'web-0' },
      [[0, 'absence']],
      'answer',
      ['peerRemoved absence', 'primaryChanged absence', 'topologyChanged absence'],
    ],
    [
      'a policy that follows absence',
      { 0: {}, 1: {}, self: 1, primary: 'web-0' },
      { 0: { presence: 'missing' }, 1: {}, self: 1, primary: 'web-1' },
      [[0, 'absence']],
      'answer',
      ['presenceChanged absence', 'primaryChanged policy', 'roleChanged policy', 'topologyChanged absence'],
    ],
    [
      'a policy that was asked again without an answer',
      { 0: {}, 1: {}, primary: 'web-0' },
      { 0: {}, 1: {}, primary: null },
      [],
      'policy',
      ['primaryChanged policy', 'topologyChanged policy'],
    ],
    [
      'self',
      { 0: {}, self: 0, primary: 'web-0' },
      { 0: { presence: 'superseded' }, self: 0, primary: 'web-0' },
      [[0, 'self']],
      'answer',
      ['presenceChanged self', 'primaryChanged self', 'roleChanged self', 'topologyChanged self'],
    ],
  ] as [string, SetSpec, SetSpec, [number, Cause][], Cause, string[]][]) {
    it(title, () => assert.deepEqual(causesOf(before, after, causes, otherwise), expected));
  }
});

describe('freshness, as callers see it', () => {
  const failure = { reason: 'timeout', detail: '1000 ms', server: '10.96.0.10:53', question: 'SRV web' } as const;

  for (const [title, belief, now, expected] of [
    [
      'unresolved',
      { state: 'unresolved', since: 1_000, completeAt: null, lastFailure: failure },
      5_000,
      { state: 'unresolved', stateForMs: 4_000, sinceCompleteMs: null, lastFailure: failure },
    ],
    [
      'stale, with its start and the time of the last complete round',
      { state: 'stale', since: 3_000, completeAt: 1_000, lastFailure: failure },
      5_000,
      { state: 'stale', stateForMs: 2_000, sinceCompleteMs: 4_000, lastFailure: failure },
    ],
  ] as [string, FreshnessBelief, number, unknown][]) {
    it(title, () => {
      const freshness = freshnessAt(belief, now);
      assert.deepEqual(freshness, expected);
      assert.ok(Object.isFrozen(freshness));
    });
  }
});

interface PeerSpec {
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly port?: number;
  readonly presence?: Presence;
}
interface SetSpec {
  readonly [ordinal: number]: PeerSpec;
  readonly self?: number;
  readonly primary?: string | null;
  readonly previous?: Topology;
  readonly isTransition?: boolean;
}

function snapshot({ self, primary = null, previous, isTransition = false, ...peers }: SetSpec): Topology {
  const names = { statefulSet: 'web', serviceName: 'nginx.default.svc.cluster.local', port: null };
  const designation = { podName: primary, reason: 'for the test' };
  return topologyOf(believed(peers, self), designation, names, previous ?? null, isTransition);
}

function believed(peers: Readonly<Record<number, PeerSpec>>, self?: number): Belief {
  const belief = initialBelief(self === undefined ? null : { ordinal: self, addresses: { 4: null, 6: null } }, 0);
  const [pattern] = initialBelief({ ordinal: 0, addresses: { 4: null, 6: null } }, 0).peers.values();
  assert.ok(pattern);
  const { families } = pattern;
  const at = (family: Family, current: string | null): (typeof families)[4] => ({ ...families[family], current });
  const all = Object.entries(peers).map(([ordinal, { ipv4, ipv6, port, presence }]) => ({
    ...pattern,
    ordinal: Number(ordinal),
    port: port ?? null,
    presence: presence ?? ('published' as const),
    families: { 4: at(4, ipv4 ?? null), 6: at(6, ipv6 ?? null) },
  }));
  return { ...belief, peers: new Map(all.map((peer) => [peer.ordinal, peer])) };
}

/** In words: the name, and whom or what it is about. */
function eventsOf(previous: Topology, current: Topology): string[] {
  return transitionEvents(previous, current, new Map(), 'answer').map(([name, event]) => {
    switch (name) {
      case 'peerRemoved':
        return `${name} ${event.previous.podName}`;
      case 'peerAdded':
      case 'peerMoved':
      case 'presenceChanged':
        return `${name} ${event.current.podName}`;
      case 'primaryChanged':
        return `${name} ${event.previous?.podName ?? 'null'} ${event.current?.podName ?? 'null'}`;
      case 'roleChanged':
        return `${name} ${event.previous} ${event.current}`;
      case 'topologyChanged':
        return `${name} ${event.topologyVersion}`;
      default:
        return name;
    }
  });
}

function find<Name extends EmittedEvent[0]>(
  events: readonly EmittedEvent[],
  name: Name,
): NonNullable<Extract<EmittedEvent, readonly [Name, ...unknown[]]>[1]> {
  const found = events.find(([other]) => other === name);
  assert.ok(found?.[1], `${name} among ${events.map(([other]) => other).join(', ')}`);
  return found[1] as NonNullable<Extract<EmittedEvent, readonly [Name, ...unknown[]]>[1]>;
}

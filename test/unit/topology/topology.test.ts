import assert from 'node:assert/strict';
import type { Belief, Family } from '../../../src/topology/belief.ts';
import { initialBelief } from '../../../src/topology/belief.ts';
import type { Peer, Presence, SetNames, Topology } from '../../../src/topology/topology.ts';
import { sameAddresses, topologyOf } from '../../../src/topology/topology.ts';

const names: SetNames = { statefulSet: 'web', serviceName: 'nginx.default.svc.cluster.local', port: null };

const web0 = { podName: 'web-0', reason: 'the first ordinal' };

describe('a peer of the topology', () => {
  it('has a name that stays, and what DNS said of it', () => {
    const [peer] = snapshot({ 1: { ipv4: '10.0.0.1', ipv6: 'fd00::1', port: 5432 } }).peers;
    assert.deepEqual(peer, {
      podName: 'web-1',
      ordinal: 1,
      stableName: 'web-1.nginx.default.svc.cluster.local',
      role: 'replica',
      addresses: [
        { address: '10.0.0.1', family: 4 },
        { address: 'fd00::1', family: 6 },
      ],
      port: 5432,
      presence: 'published',
      isSelf: false,
    });
  });

  it('may have no address', () => assert.deepEqual(snapshot({ 1: {} }).peer(1)?.addresses, []));

  it('has the port of the options where they give a number', () => {
    const topology = topologyOf(believed({ 1: { port: 5432 } }), web0, { ...names, port: 6000 }, null, false);
    assert.equal(topology.peer(1)?.port, 6000);
  });

  for (const [title, designated, presences, roles] of [
    ['primary and replicas', 'web-0', ['published', 'published'], ['primary', 'replica']],
    ['a missing peer keeps its role', 'web-0', ['missing', 'missing'], ['primary', 'replica']],
    ['unknown while nobody is designated', null, ['published', 'published'], ['unknown', 'unknown']],
    ['replicas of one who is not there', 'web-7', ['published', 'published'], ['replica', 'replica']],
    ['self is the primary before it is published', 'web-0', ['unpublished', 'published'], ['primary', 'replica']],
    ['superseded: unknown', 'web-0', ['superseded', 'published'], ['unknown', 'replica']],
  ] as const) {
    it(`role: ${title}`, () => {
      const [first, second] = presences;
      const topology = topologyOf(
        believed({ 0: { presence: first }, 1: { presence: second } }, 0),
        { podName: designated, reason: '' },
        names,
        null,
        false,
      );
      assert.deepEqual(
        topology.peers.map((peer) => peer.role),
        roles,
      );
      assert.equal(topology.primary?.podName, roles[0] === 'primary' ? 'web-0' : undefined);
      assert.deepEqual(
        topology.replicas.map((peer) => peer.role),
        roles.filter((role) => role === 'replica'),
      );
      assert.equal(topology.designation.podName, designated);
    });
  }
});

describe('the topology', () => {
  it('is by ordinal, and finds peers by name and ordinal', () => {
    const topology = snapshot({ 2: {}, 10: {}, 1: {} });
    assert.deepEqual(
      topology.peers.map((peer) => peer.ordinal),
      [1, 2, 10],
    );
    assert.equal(topology.peer('web-10'), topology.peers[2]);
    assert.equal(topology.peer(10), topology.peers[2]);
    for (const stranger of ['web-3', 3, '10', 'db-1', '']) assert.equal(topology.peer(stranger), undefined);
  });

  it('has self for a member, null for an observer', () => {
    const member = snapshot({ 0: {}, 1: {} }, 1);
    assert.equal(member.self, member.peer(1));
    assert.equal(member.self.isSelf, true);
    assert.equal(member.peer(0)?.isSelf, false);
    assert.equal(snapshot({ 0: {}, 1: {} }).self, null);
  });

  it('is frozen in every part', () => {
    const topology = snapshot({ 0: { ipv4: '10.0.0.1' }, 1: {} }, 0);
    for (const part of [
      topology,
      topology.peers,
      topology.replicas,
      topology.designation,
      ...topology.peers,
      ...topology.peers.flatMap((peer) => [peer.addresses, ...peer.addresses]),
    ]) {
      assert.ok(Object.isFrozen(part));
    }
  });

  it('starts at version 0 and grows by one', () => {
    const first = snapshot({ 0: {} });
    const second = topologyOf(believed({ 0: {}, 1: {} }), web0, names, first, false);
    const third = topologyOf(believed({ 1: {} }), web0, names, second, false);
    assert.deepEqual([first.version, second.version, third.version], [0, 1, 2]);
  });

  it('a refresh that changed nothing returns the same object', () => {
    const first = snapshot({ 0: { ipv4: '10.0.0.1', port: 5432 }, 1: {} }, 0);
    const again = topologyOf(
      believed({ 0: { ipv4: '10.0.0.1', port: 5432 }, 1: {} }, 0),
      { ...web0, reason: 'in other words' },
      names,
      first,
      false,
    );
    assert.equal(again, first);
  });

  it('what nobody can see makes no new version', () => {
    const belief = believed({ 0: { ipv4: '10.0.0.1' } });
    const first = topologyOf(belief, web0, names, null, false);
    const freshness = { ...belief.freshness, state: 'stale' as const };
    const next: Belief = { ...belief, freshness, negativeTtlMs: 5_000, contested: [] };
    assert.equal(topologyOf(next, web0, names, first, false), first);
  });

  it('the first complete round is a transition although nothing changed', () => {
    const first = snapshot({});
    const second = topologyOf(believed({}), web0, names, first, true);
    assert.notEqual(second, first);
    assert.equal(second.version, 1);
  });

  for (const [what, after] of [
    ['an address', { 0: { ipv4: '10.0.0.9', ipv6: 'fd00::1', port: 1 }, 1: {} }],
    ['one family gone', { 0: { ipv4: '10.0.0.1', port: 1 }, 1: {} }],
    ['a port', { 0: { ipv4: '10.0.0.1', ipv6: 'fd00::1', port: 2 }, 1: {} }],
    ['no port', { 0: { ipv4: '10.0.0.1', ipv6: 'fd00::1' }, 1: {} }],
    ['presence', { 0: { ipv4: '10.0.0.1', ipv6: 'fd00::1', port: 1, presence: 'missing' }, 1: {} }],
    ['a peer more', { 0: { ipv4: '10.0.0.1', ipv6: 'fd00::1', port: 1 }, 1: {}, 2: {} }],
    ['a peer less', { 0: { ipv4: '10.0.0.1', ipv6: 'fd00::1', port: 1 } }],
    ['another peer in its place', { 0: { ipv4: '10.0.0.1', ipv6: 'fd00::1', port: 1 }, 2: {} }],
  ] as [string, Peers][]) {
    it(`a new version for ${what}; peers that did not change are the same objects`, () => {
      const first = snapshot({ 0: { ipv4: '10.0.0.1', ipv6: 'fd00::1', port: 1 }, 1: {} });
      const second = topologyOf(believed(after), web0, names, first, false);
      assert.equal(second.version, 1);
      for (const before of first.peers) {
        const now = second.peer(before.ordinal);
        if (now !== undefined && isEqual(before, now)) assert.equal(now, before);
        else assert.notEqual(now, before);
      }
    });
  }

  it('a new version for another designation', () => {
    const first = snapshot({ 0: {}, 1: {}, 2: {} });
    const second = topologyOf(believed({ 0: {}, 1: {}, 2: {} }), { podName: 'web-1', reason: '' }, names, first, false);
    assert.equal(second.version, 1);
    assert.equal(second.peer(2), first.peer(2));
    assert.deepEqual(
      second.peers.map((peer) => peer.role),
      ['replica', 'primary', 'replica'],
    );
  });

  it('a new version for a designation that nobody’s role shows', () => {
    const first = topologyOf(believed({}), { podName: null, reason: '' }, names, null, false);
    const second = topologyOf(believed({}), web0, names, first, false);
    assert.equal(second.version, 1);
    assert.equal(second.designation.podName, 'web-0');
  });
});

describe('peers are compared by what a caller can see', () => {
  const spec: PeerSpec = { ipv4: '10.0.0.1', ipv6: 'fd00::1', port: 1 };
  /** The same object, whole, where nothing changed that a caller can see. */
  const staysFrom = (one: PeerSpec, two: PeerSpec): boolean => {
    const first = snapshot({ 1: one });
    const next = topologyOf(believed({ 1: two }), web0, names, first, false);
    assert.equal(next.peer(1) === first.peer(1), next === first);
    return next === first;
  };

  for (const [what, other, same, addresses] of [
    ['equal', { ipv4: '10.0.0.1', ipv6: 'fd00::1', port: 1 }, true, true],
    ['another port', { ipv4: '10.0.0.1', ipv6: 'fd00::1', port: 2 }, false, true],
    ['another presence', { ipv4: '10.0.0.1', ipv6: 'fd00::1', port: 1, presence: 'missing' }, false, true],
    ['another address', { ipv4: '10.0.0.1', ipv6: 'fd00::2', port: 1 }, false, false],
    ['IPv4 alone', { ipv4: '10.0.0.1', port: 1 }, false, false],
    ['IPv6 alone', { ipv6: 'fd00::1', port: 1 }, false, false],
    ['no address', { port: 1 }, false, false],
    ['no port', { ipv4: '10.0.0.1', ipv6: 'fd00::1' }, false, true],
  ] as [string, PeerSpec, boolean, boolean][]) {
    it(what, () => {
      assert.equal(staysFrom(spec, other), same);
      assert.equal(staysFrom(other, spec), same);
      assert.equal(sameAddresses(peerOf(spec), peerOf(other)), addresses);
      assert.equal(sameAddresses(peerOf(other), peerOf(spec)), addresses);
    });
  }
});

interface PeerSpec {
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly port?: number;
  readonly presence?: Presence;
}
type Peers = Readonly<Record<number, PeerSpec>>;

function believed(peers: Peers, self?: number): Belief {
  const belief = initialBelief(self === undefined ? null : { ordinal: self, addresses: { 4: null, 6: null } }, 0);
  const [pattern] = initialBelief({ ordinal: 0, addresses: { 4: null, 6: null } }, 0).peers.values();
  assert.ok(pattern);
  const at = (family: Family, address?: string): typeof pattern.families => ({
    ...pattern.families,
    [family]: { ...pattern.families[family], current: address ?? null },
  });
  const all = Object.entries(peers).map(([ordinal, { ipv4, ipv6, port, presence }]) => ({
    ...pattern,
    ordinal: Number(ordinal),
    port: port ?? null,
    presence: presence ?? ('published' as const),
    families: { 4: at(4, ipv4)[4], 6: at(6, ipv6)[6] },
  }));
  return { ...belief, peers: new Map(all.map((peer) => [peer.ordinal, peer])) };
}

function snapshot(peers: Peers, self?: number): Topology {
  return topologyOf(believed(peers, self), web0, names, null, false);
}

function peerOf(spec: PeerSpec): Peer {
  const [peer] = snapshot({ 1: spec }).peers;
  assert.ok(peer);
  return peer;
}

function isEqual(one: Peer, two: Peer): boolean {
  return JSON.stringify(one) === JSON.stringify(two);
}

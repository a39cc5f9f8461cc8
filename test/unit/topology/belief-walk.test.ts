import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Answer, Belief, Cause, Family, FamilySighting, Sighting } from '../../../src/topology/belief.ts';
import { bar, decide, doubt, dueForRemoval, initialBelief, Limits } from '../../../src/topology/belief.ts';
import { designate } from '../../../src/topology/designation.ts';
import type { EmittedEvent } from '../../../src/topology/events.ts';
import { transitionEvents } from '../../../src/topology/events.ts';
import { lowestOrdinal } from '../../../src/topology/primary.ts';
import type { Peer, Topology } from '../../../src/topology/topology.ts';
import { topologyOf } from '../../../src/topology/topology.ts';

// Random walks: answers that say anything, failures, reports of connections, and time. No answer here needs to be
// plausible. Each property is checked against what the walk itself was told, never against the belief's own records.

const own4 = '10.0.0.9';
const pools = { 4: ['10.0.0.1', '10.0.0.2', '10.0.0.3', own4], 6: ['fd00::1', 'fd00::2', 'fd00::3'] } as const;
const ordinals = [0, 1, 2, 3] as const;
const windows = { missingAfterMs: 45_000, removeAfterMs: 120_000 };
const families = [4, 6] as const;

describe('belief, on random walks', () => {
  it('9. an address has one holder, but where several claimed it in one round and nobody held it', () => {
    fc.assert(fc.property(walks({ most: 1 }), (walk) => run(walk).forEach(assertOneHolder)));
  });

  it('9. … also where peers have several addresses of a family', () => {
    fc.assert(fc.property(walks({ most: 3 }), (walk) => run(walk).forEach(assertOneHolder)));
  });

  it('9. … and where addresses are told apart by their ports, which change', () => {
    fc.assert(fc.property(walks({ most: 1, loopback: true }), (walk) => run(walk).forEach(assertOneHolderOfPort)));
  });

  it('6. nobody is missing or removed who was not absent for the window, and whoever was, is', () => {
    fc.assert(fc.property(walks({ most: 2, mostlyAbsent: true }), assertPresence));
  });

  it('4. a failed round moves nobody and removes nobody, whatever is believed', () => {
    fc.assert(
      fc.property(walks({ most: 2 }), fc.nat(600_000), (walk, later) => {
        const { belief, at } = last(run(walk));
        const failed: Answer = { ...silence, others: 'failed', complete: false };
        const { belief: after, causes } = decide(belief, failed, at + later, windows);
        assert.deepEqual([...causes], []);
        assert.deepEqual(visible(after), visible(belief));
      }),
    );
  });

  it('8. a replaced address does not come back by rumour', () => {
    fc.assert(fc.property(walks({ most: 1 }), assertNoRumour), { numRuns: 500 });
  });

  it('11. self is always there, at its own addresses', () => {
    fc.assert(
      fc.property(walks({ most: 2, mostlyAbsent: true }), (walk) => {
        for (const { belief, topology } of run({ ...walk, isMember: true })) {
          assert.equal(belief.peers.get(0)?.families[4].current, own4);
          assert.equal(topology.self, topology.peer(0));
          assert.ok(topology.self);
          for (const [ordinal, peer] of belief.peers)
            if (ordinal !== 0) assert.notEqual(peer.families[4].current, own4);
        }
      }),
    );
  });

  it('13. folding the events gives the snapshot; versions grow by one; everything is frozen', () => {
    fc.assert(
      fc.property(walks({ most: 2 }), (walk) => {
        const states = run(walk);
        const initial = states[0]?.previous.peers ?? [];
        let folded = new Map(initial.map((peer) => [peer.podName, peer]));
        let primary: string | null = null;
        let version = 0;
        for (const { events, topology } of states) {
          if (events.length > 0) version += 1;
          for (const [name, event] of events) {
            assert.ok(Object.isFrozen(event), name);
            assert.equal(event !== undefined && 'topologyVersion' in event && event.topologyVersion, version);
          }
          assert.equal(topology.version, version);
          folded = fold(folded, events);
          for (const [name, event] of events) if (name === 'primaryChanged') primary = event.current?.podName ?? null;
          assert.deepEqual(withoutRoles([...folded.values()]), withoutRoles(topology.peers));
          assert.equal(topology.primary?.podName ?? null, primary);
          assert.deepEqual(namesInOrder(events), inOrder(namesInOrder(events)));
          for (const part of [topology, topology.peers, topology.designation, ...topology.peers]) {
            assert.ok(Object.isFrozen(part));
          }
        }
      }),
    );
  });

  it('equal inputs give equal outputs, in whatever order an answer names the peers', () => {
    fc.assert(
      fc.property(walks({ most: 3 }), (walk) => {
        const turned = walk.steps.map((step) =>
          step.kind === 'answer' ? { ...step, sightings: [...step.sightings].reverse() } : step,
        );
        const one = run(walk).map(({ belief, events }) => ({ belief: ordered(belief), events }));
        const other = run({ ...walk, steps: turned }).map(({ belief, events }) => ({
          belief: ordered(belief),
          events,
        }));
        assert.deepEqual(other, one);
      }),
    );
  });

  it('an answer leaves the belief it is given as it was', () => {
    fc.assert(
      fc.property(walks({ most: 3 }), (walk) => {
        const states = run(walk);
        const copies = states.map(({ belief }) => structuredClone(belief));
        run(walk);
        states.forEach(({ belief }, index) => assert.deepEqual(belief, copies[index]));
      }),
      { numRuns: 30 },
    );
  });

  // What the constants allow after the last false word. Addresses: the longest bar must end, then one full doubt runs
  // from the answer after that to the answer that ends it (a better claim lapses meanwhile, claimMs after the last
  // false answer). Families and departures: their window, from the first true answer to the answer that closes it.
  it('once answers are constant and true, the belief is true within the constants’ bound', () => {
    fc.assert(
      fc.property(
        walks({ most: 1 }),
        truths(),
        fc.constantFrom(1_000, 2_000, 5_000, 10_000),
        (walk, truth, interval) => {
          const { belief: start, at: from } = last(run(walk));
          const addressesBy = from + Math.max(Limits.barMs + Limits.holdMs, Limits.claimMs) + 2 * interval;
          const window = Math.max(windows.missingAfterMs, windows.removeAfterMs, Limits.negativeTtls * 30_000);
          const allBy = from + window + 2 * interval;
          const wanted = truth(walk.isMember);
          let belief = start;
          for (let at = from + interval; at <= allBy + 60_000; at += interval) {
            const due = dueForRemoval(belief, at, windows);
            const absent = due.map((ordinal) => [ordinal, { kind: 'absent', ownName: true }] as const);
            const sightings = new Map<number, Sighting>([...absent, ...wanted.sightings]);
            ({ belief } = decide(belief, { ...silence, others: 'absent', sightings }, at, windows));
            if (at >= addressesBy) {
              for (const [ordinal, family, address] of wanted.addresses) {
                assert.equal(
                  belief.peers.get(ordinal)?.families[family].current,
                  address,
                  `${ordinal} at ${at - from}`,
                );
              }
            }
            if (at >= allBy) assert.deepEqual(visible(belief), wanted.visible, `at ${at - from}`);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

// ---- walks -----------------------------------------------------------------------------------------------------------

interface AnswerStep extends Omit<Answer, 'sightings' | 'failure'> {
  readonly kind: 'answer';
  readonly gapMs: number;
  readonly sightings: readonly (readonly [number, Sighting])[];
}
interface ReportStep {
  readonly kind: 'unreachable' | 'stranger';
  readonly gapMs: number;
  readonly ordinal: number;
  readonly family: Family;
}
interface Walk {
  readonly isMember: boolean;
  readonly steps: readonly (AnswerStep | ReportStep)[];
}

/** What is after one step, and what was before it. */
interface State {
  readonly step: AnswerStep | ReportStep;
  readonly at: number;
  readonly before: Belief;
  readonly belief: Belief;
  readonly previous: Topology;
  readonly topology: Topology;
  readonly events: readonly EmittedEvent[];
}

const silence: Answer = {
  sightings: new Map(),
  others: 'unasked',
  complete: true,
  isRound: true,
  negativeTtlMs: null,
  failure: null,
};

function walks({
  most,
  loopback = false,
  mostlyAbsent = false,
}: {
  most: number;
  loopback?: boolean;
  mostlyAbsent?: boolean;
}): fc.Arbitrary<Walk> {
  const family = (pool: readonly string[]): fc.Arbitrary<FamilySighting> =>
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc
          .subarray([...pool], { minLength: 1, maxLength: most })
          .map((addresses) => ({ kind: 'shown' as const, addresses })),
      },
      { weight: 1, arbitrary: fc.constant({ kind: 'none' as const }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'unknown' as const }) },
    );
  const found = fc.record<Sighting & { kind: 'found' }>({
    kind: fc.constant('found'),
    port: loopback ? fc.constantFrom(1, 2, undefined) : fc.constantFrom(5_432, undefined),
    families: fc.record({ 4: family(loopback ? ['127.0.0.1'] : pools[4]), 6: family(loopback ? ['::1'] : pools[6]) }),
  });
  const sighting = fc.oneof<fc.WeightedArbitrary<Sighting>[]>(
    { weight: mostlyAbsent ? 1 : 8, arbitrary: found },
    { weight: mostlyAbsent ? 15 : 2, arbitrary: fc.record({ kind: fc.constant('absent'), ownName: fc.boolean() }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'failed' }) },
  );
  const answer = fc.record<AnswerStep>({
    kind: fc.constant('answer'),
    gapMs: fc.oneof(fc.integer({ min: 50, max: 6_000 }), fc.constantFrom(1_000, 5_000, 10_000, 15_000, 60_000)),
    sightings: fc
      .subarray([...ordinals])
      .chain((some) => fc.tuple(...some.map((one) => fc.tuple(fc.constant(one), sighting)))),
    others: fc.constantFrom(
      ...(mostlyAbsent ? (['absent', 'absent', 'unasked'] as const) : (['absent', 'failed', 'unasked'] as const)),
    ),
    complete: fc.boolean(),
    isRound: fc.boolean(),
    negativeTtlMs: fc.constantFrom(null, null, 5_000, 30_000),
  });
  const report = fc.record<ReportStep>({
    kind: fc.constantFrom('unreachable', 'stranger'),
    gapMs: fc.integer({ min: 0, max: 3_000 }),
    ordinal: fc.constantFrom(...ordinals),
    family: fc.constantFrom(...families),
  });
  return fc.record({
    isMember: loopback ? fc.constant(false) : fc.boolean(),
    steps: fc.array(fc.oneof({ weight: 5, arbitrary: answer }, { weight: 1, arbitrary: report }), {
      minLength: 1,
      maxLength: mostlyAbsent ? 80 : 40,
      size: 'max',
    }),
  });
}

function run({ isMember, steps }: Walk): State[] {
  const names = { statefulSet: 'web', serviceName: 'nginx.default.svc.cluster.local', port: null };
  const context = { statefulSet: 'web', ordinalStart: null, expectedPods: null };
  const policy = lowestOrdinal({ quorum: 2 });
  const states: State[] = [];
  let at = 0;
  let belief = initialBelief(isMember ? { ordinal: 0, addresses: { 4: own4, 6: null } } : null, at);
  let topology = topologyOf(belief, designate(policy, belief, context, at), names, null, false);
  for (const step of steps) {
    at += step.gapMs;
    const before = belief;
    const previous = topology;
    const decision = take(before, step, at);
    belief = decision.belief;
    const isResolved = belief.freshness.state !== 'unresolved';
    const isFirst = isResolved && before.freshness.state === 'unresolved';
    if (isResolved) topology = topologyOf(belief, designate(policy, belief, context, at), names, previous, isFirst);
    const events = transitionEvents(previous, topology, decision.causes, 'answer');
    states.push({ step, at, before, belief, previous, topology, events });
  }
  return states;
}

function take(
  belief: Belief,
  step: Walk['steps'][number],
  at: number,
): { belief: Belief; causes: ReadonlyMap<number, Cause> } {
  if (step.kind === 'answer') {
    const answer = { ...step, sightings: new Map(step.sightings), failure: null };
    return decide(belief, answer, at, windows);
  }
  const address = belief.peers.get(step.ordinal)?.families[step.family].current ?? 'no address';
  return (step.kind === 'stranger' ? bar : doubt)(belief, step.ordinal, address, at);
}

/** Every peer at an address of its own in each family that it has; others are gone. */
function truths(): fc.Arbitrary<(isMember: boolean) => Truth> {
  const kinds = fc.tuple(...ordinals.map(() => fc.constantFrom('gone', 'both', 'both', 'ipv4', 'ipv6')));
  const pool4 = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
  const pool6 = ['fd00::1', 'fd00::2', 'fd00::3', 'fd00::4'];
  const shuffled = (pool: string[]): fc.Arbitrary<string[]> => fc.shuffledSubarray(pool, { minLength: 4 });
  return fc.tuple(kinds, shuffled(pool4), shuffled(pool6)).map(([kind, ipv4, ipv6]) => (isMember) => {
    const sightings = new Map<number, Sighting>();
    const addresses: [number, Family, string][] = [];
    const peers: Visible[] = [];
    for (const ordinal of ordinals) {
      const isSelf = isMember && ordinal === 0;
      const own = isSelf && kind[ordinal] !== 'both' ? 'ipv4' : kind[ordinal];
      if (own === 'gone') continue;
      const at = {
        4: own === 'ipv6' ? null : isSelf ? own4 : (ipv4[ordinal] ?? null),
        6: own === 'ipv4' ? null : (ipv6[ordinal] ?? null),
      };
      const shown = (address: string | null): FamilySighting =>
        address === null ? { kind: 'none' } : { kind: 'shown', addresses: [address] };
      sightings.set(ordinal, { kind: 'found', port: 5_432, families: { 4: shown(at[4]), 6: shown(at[6]) } });
      for (const family of families) if (at[family] !== null) addresses.push([ordinal, family, at[family]]);
      peers.push([ordinal, 'published', at[4], at[6]]);
    }
    return { sightings, addresses, visible: peers };
  });
}

type Visible = [ordinal: number, presence: string, ipv4: string | null, ipv6: string | null];

interface Truth {
  readonly sightings: ReadonlyMap<number, Sighting>;
  readonly addresses: readonly [number, Family, string][];
  readonly visible: readonly Visible[];
}

// ---- what must hold --------------------------------------------------------------------------------------------------

function assertOneHolder({ before, belief, step }: State): void {
  for (const family of families) {
    for (const address of pools[family]) {
      const holders = holdersOf(belief, family, address);
      if (holders.length < 2) continue;
      const earlier = holdersOf(before, family, address);
      if (holders.every((ordinal) => earlier.includes(ordinal))) continue;
      const why = `${address} had ${earlier.join(' and ') || 'nobody'}, has ${holders.join(' and ')}`;
      assert.ok(
        holders.every((ordinal) => !earlier.includes(ordinal)),
        `${why}: a holder was joined`,
      );
      assert.ok(
        holders.every((ordinal) => showed(step, ordinal, family).includes(address)),
        `${why}: not in one round`,
      );
    }
  }
}

/** On loopback, where an unknown port equals none: nobody joins a holder of address and port that is not shown there. */
function assertOneHolderOfPort({ before, belief, step }: State): void {
  for (const [family, address] of [
    [4, '127.0.0.1'],
    [6, '::1'],
  ] as const) {
    const pairs = (some: Belief): [number, number][] => {
      const holders = holdersOf(some, family, address);
      const port = (ordinal: number): number | null => some.peers.get(ordinal)?.port ?? null;
      return holders.flatMap((one) =>
        holders
          .filter((two) => one < two && port(one) !== null && port(one) === port(two))
          .map((two) => [one, two] as [number, number]),
      );
    };
    const earlier = pairs(before).map(String);
    for (const pair of pairs(belief)) {
      if (earlier.includes(String(pair))) continue;
      assert.ok(
        pair.every((ordinal) => showed(step, ordinal, family).includes(address)),
        `${pair.join(' and ')} share ${address} and its port`,
      );
    }
  }
}

function assertPresence(walk: Walk): void {
  const heard = new Map<number, { readonly at: number; readonly what: 'absent' | 'failed' }[]>();
  let negativeTtlMs = 0;
  for (const { before, belief, step, at } of run(walk)) {
    if (step.kind !== 'answer') continue;
    negativeTtlMs = step.negativeTtlMs ?? negativeTtlMs;
    const removeAfterMs = Math.max(windows.removeAfterMs, 4 * negativeTtlMs);
    for (const [ordinal, was] of before.peers) {
      if (walk.isMember && ordinal === 0) continue;
      const said: Sighting | undefined = step.sightings.find(([one]) => one === ordinal)?.[1];
      const what: Sighting['kind'] | null = said?.kind ?? (step.others === 'unasked' ? null : step.others);
      const is = belief.peers.get(ordinal)?.presence;
      if (what === 'found') heard.delete(ordinal);
      if (what === 'absent' || what === 'failed') heard.set(ordinal, [...(heard.get(ordinal) ?? []), { at, what }]);
      if (what !== 'absent') {
        assert.equal(is, what === 'found' ? 'published' : was.presence);
        continue;
      }
      const { countedMs, answers } = absence(heard.get(ordinal) ?? []);
      const mayGo: boolean = said?.kind === 'absent' && said.ownName && countedMs >= removeAfterMs;
      if (was.presence === 'missing')
        assert.equal(is, mayGo ? undefined : 'missing', `${ordinal} after ${countedMs} ms`);
      else assert.equal(is, countedMs >= windows.missingAfterMs && answers >= 3 ? 'missing' : 'published');
      if (is === undefined) heard.delete(ordinal);
    }
  }
}

/** *Absent for T*, word by word: gaps of at most 10 s between consecutive absent answers, none with a failure. */
function absence(heard: readonly { at: number; what: 'absent' | 'failed' }[]): { countedMs: number; answers: number } {
  let countedMs = 0;
  heard.forEach(({ at, what }, index) => {
    const before = heard[index - 1];
    if (what === 'absent' && before?.what === 'absent') countedMs += Math.min(at - before.at, 10_000);
  });
  return { countedMs, answers: heard.filter(({ what }) => what === 'absent').length };
}

function assertNoRumour(walk: Walk): void {
  const believed = new Map<string, Map<string, number>>();
  const shownAt = new Map<string, number>();
  const failedAt = new Map<string, number[]>();
  for (const { before, belief, step, at } of run(walk)) {
    for (const ordinal of ordinals) {
      for (const family of families) {
        const key = `${ordinal}/${family}`;
        const was = before.peers.get(ordinal)?.families[family].current ?? null;
        const is = belief.peers.get(ordinal)?.families[family].current ?? null;
        const shown = showed(step, ordinal, family);
        if (!belief.peers.has(ordinal)) believed.delete(key);
        if (step.kind === 'unreachable' && step.ordinal === ordinal && step.family === family)
          failedAt.set(key, [...(failedAt.get(key) ?? []), at]);
        if (step.kind === 'stranger' && was !== null && is === null) believed.delete(key);
        if (was !== null && shown.includes(was)) shownAt.set(key, at);
        const retiredAt = is === null || was === null ? undefined : believed.get(key)?.get(is);
        if (was !== is && retiredAt !== undefined && at - retiredAt < 600_000) {
          const last = shownAt.get(key) ?? -Infinity;
          // Any failure since it was shown: further ones do not put the 2 s off.
          const failed = (failedAt.get(key) ?? []).some((failure) => failure >= last && at - failure >= 2_000);
          const isLong = at - last >= 15_000 || failed;
          assert.ok(isLong, `${key}: ${was} was shown ${at - last} ms ago, and is ${is} again`);
        }
        if (was !== is && was !== null && step.kind !== 'stranger') {
          believed.set(key, (believed.get(key) ?? new Map<string, number>()).set(was, at));
        }
        if (was !== is && is !== null) shownAt.set(key, at);
      }
    }
  }
}

// ---- small parts -------------------------------------------------------------------------------------------------------

function holdersOf(belief: Belief, family: Family, address: string): number[] {
  return [...belief.peers.values()].filter((p) => p.families[family].current === address).map((p) => p.ordinal);
}

function showed(step: State['step'], ordinal: number, family: Family): readonly string[] {
  if (step.kind !== 'answer') return [];
  const sighting = step.sightings.find(([one]) => one === ordinal)?.[1];
  const seen = sighting?.kind === 'found' ? sighting.families[family] : undefined;
  return seen?.kind === 'shown' ? seen.addresses : [];
}

function visible(belief: Belief): Visible[] {
  return [...belief.peers.values()].map(({ ordinal, presence, families: { 4: ipv4, 6: ipv6 } }) => [
    ordinal,
    presence,
    ipv4.current,
    ipv6.current,
  ]);
}

function fold(peers: ReadonlyMap<string, Peer>, events: readonly EmittedEvent[]): Map<string, Peer> {
  const next = new Map(peers);
  for (const [name, event] of events) {
    if (name === 'peerRemoved') next.delete(event.previous.podName);
    if (name === 'peerAdded' || name === 'peerMoved' || name === 'presenceChanged') {
      next.set(event.current.podName, event.current);
    }
  }
  return next;
}

/** Roles follow from `primaryChanged` and the designation. */
function withoutRoles(peers: readonly Peer[]): unknown[] {
  return [...peers].sort((a, b) => a.ordinal - b.ordinal).map((peer) => ({ ...peer, role: '' }));
}

const order = [
  ...(['peerRemoved', 'peerAdded', 'peerMoved', 'presenceChanged'] as const),
  ...(['primaryChanged', 'roleChanged', 'topologyChanged'] as const),
];

function namesInOrder(events: readonly EmittedEvent[]): string[] {
  return events.map(([name]) => name);
}

function inOrder(names: readonly string[]): string[] {
  return order.flatMap((name) => names.filter((other) => other === name));
}

/** Nobody promises the order of a contest. */
function ordered(belief: Belief): Belief {
  const contested = belief.contested
    .map((contest) => ({ ...contest, claimants: [...contest.claimants].sort(), holders: [...contest.holders].sort() }))
    .sort((a, b) => a.address.localeCompare(b.address));
  return { ...belief, contested };
}

function last(states: readonly State[]): State {
  const state = states.at(-1);
  assert.ok(state);
  return state;
}

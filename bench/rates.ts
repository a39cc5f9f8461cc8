import { setImmediate } from 'node:timers/promises';
import type { Answer, Belief, Sighting } from '../src/topology/belief.ts';
import { decide, dueForRemoval, initialBelief, isUnsettled } from '../src/topology/belief.ts';
import { nextPoll } from '../src/watch/schedule.ts';

// How often the rules of belief are wrong where DNS is, next to simpler rules. Virtual time, the real rules, the real
// polling schedule, and a seeded random: the same numbers on every machine. docs/belief-rates.md explains each row.

/** One figure: how often something happened, or how long it took, under this rule and under a simpler one. */
interface Row {
  readonly situation: string;
  readonly figure: string;
  readonly unit: '%' | 's';
  readonly runs: number;
  readonly rule: number;
  readonly simpler: { readonly name: string; readonly value: number } | null;
}

/** Prints the table, or the same as JSON. Takes about ten seconds. */
export async function run({ json }: { json: boolean }): Promise<void> {
  const rows: Row[] = [];
  for (const simulate of [laggingReplica, expiringCaches, spuriousAbsence, failures, departure, startDuringLag]) {
    rows.push(...simulate());
    // So that an interrupt is heard between two rows.
    await setImmediate();
  }
  console.log(json ? JSON.stringify(rows, null, 2) : table(rows));
}

const windows = { missingAfterMs: 45_000, removeAfterMs: 120_000 };
const old = '10.0.0.1';
const current = '10.0.0.2';
const lagMs = 30_000;
const hourMs = 3_600_000;
const lastAnswerWins = 'the last answer wins';

// ---- moves -----------------------------------------------------------------------------------------------------------

/** What a resolver says of the one peer at a time: its address, or that it is not there. */
type Resolver = (now: number) => string | null;

/** The peer loses its address at 0 and has another one some seconds later, as a pod that is scheduled anew. */
function truthOf(goneForMs: number): Resolver {
  return (now) => (now < 0 ? old : now < goneForMs ? null : current);
}

function laggingReplica(): Row[] {
  const random = seeded(1);
  const resolvers = (truth: Resolver): Resolver[] => [truth, (now) => truth(now - lagMs)];
  return moves('(a) two replicas, one 30 s behind', 1_500, random, resolvers);
}

function expiringCaches(): Row[] {
  const random = seeded(2);
  const resolvers = (truth: Resolver): Resolver[] => [cache(truth, random), cache(truth, random)];
  return moves('(b) two caches of 30 s', 1_500, random, resolvers);
}

/** Answers from memory for 30 s, then asks again; its entry has some age at the start. */
function cache(truth: Resolver, random: () => number): Resolver {
  let entry = { at: -60_000 - lagMs * random(), address: truth(-60_000) };
  return (now) => {
    if (now - entry.at >= lagMs) entry = { at: now, address: truth(now) };
    return entry.address;
  };
}

function moves(
  situation: string,
  runs: number,
  random: () => number,
  resolversOf: (truth: Resolver) => readonly Resolver[],
): Row[] {
  const flaps = { rule: 0, simpler: 0 };
  const believedAfter = { rule: [] as number[], simpler: [] as number[] };
  for (let run = 0; run < runs; run += 1) {
    const goneForMs = 2_000 + 18_000 * random();
    const seen = watch(-60_000, 180_000, random, resolversOf(truthOf(goneForMs)));
    for (const key of ['rule', 'simpler'] as const) {
      const first = seen.find((one) => one[key] === current);
      if (first === undefined) throw new Error(`${situation}: the new address was never believed`);
      if (seen.some((one) => one.at > first.at && one[key] === old)) flaps[key] += 1;
      believedAfter[key].push((first.at - goneForMs) / 1_000);
    }
  }
  return [
    {
      ...{ situation, figure: 'moves that flap back', unit: '%', runs, rule: (100 * flaps.rule) / runs },
      simpler: { name: lastAnswerWins, value: (100 * flaps.simpler) / runs },
    },
    {
      ...{ situation, figure: 'median until believed', unit: 's', runs, rule: median(believedAfter.rule) },
      simpler: { name: lastAnswerWins, value: median(believedAfter.simpler) },
    },
  ];
}

function startDuringLag(): Row[] {
  const random = seeded(6);
  const runs = 1_000;
  const truth = truthOf(0);
  const wrong = { rule: 0, simpler: 0 };
  const flaps = { rule: 0, simpler: 0 };
  const wrongUntil: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const seen = watch(lagMs * random(), 180_000, random, [truth, (now) => truth(now - lagMs)]);
    for (const key of ['rule', 'simpler'] as const) {
      const first = seen.findIndex((one) => one[key] === current);
      if (seen.some((one) => one[key] === old)) wrong[key] += 1;
      if (seen.slice(first).some((one) => one[key] === old)) flaps[key] += 1;
    }
    const right = seen.find((one, index) => seen.slice(index).every(({ rule }) => rule === current));
    wrongUntil.push((right?.at ?? Infinity) / 1_000 - lagMs / 1_000);
  }
  const situation = '(e) start while a replica lags';
  const percent = (count: number): number => (100 * count) / runs;
  return [
    {
      ...{ situation, figure: 'starts that believe the old address at some time', unit: '%', runs },
      ...{ rule: percent(wrong.rule), simpler: { name: lastAnswerWins, value: percent(wrong.simpler) } },
    },
    {
      ...{ situation, figure: 'starts that go back to it', unit: '%', runs },
      ...{ rule: percent(flaps.rule), simpler: { name: lastAnswerWins, value: percent(flaps.simpler) } },
    },
    {
      ...{ situation, figure: 'latest right for good, after the end of the lag', unit: 's', runs },
      ...{ rule: Math.max(...wrongUntil), simpler: null },
    },
  ];
}

/** What was believed after each answer, each from a resolver picked at random. */
function watch(
  from: number,
  to: number,
  random: () => number,
  resolvers: readonly Resolver[],
): { at: number; rule: string | null; simpler: string | null }[] {
  const seen: { at: number; rule: string | null; simpler: string | null }[] = [];
  const watcher = new Watcher(from, random);
  let simpler: string | null = null;
  for (let at = from; at < to; at += watcher.delayMs(at)) {
    const resolver = resolvers[Math.floor(random() * resolvers.length)];
    const address = resolver?.(at) ?? null;
    simpler = address ?? simpler;
    watcher.take(new Map(address === null ? [] : [[1, found(address)]]), 'absent', at);
    seen.push({ at, rule: watcher.belief.peers.get(1)?.families[4].current ?? null, simpler });
  }
  return seen;
}

// ---- absence and failure -----------------------------------------------------------------------------------------------

function spuriousAbsence(): Row[] {
  const random = seeded(3);
  const situation = '(c) 30 % spurious NXDOMAIN for an hour';
  const intervals = [5_000, null];
  return intervals.flatMap((intervalMs) => {
    const runs = intervalMs === 5_000 ? 1_000 : 500;
    const hour = hours(runs, intervalMs, random, { absent: 0.3, failed: 0 });
    const polling = intervalMs === null ? 'polling as scheduled (1 to 5 s)' : `polling every ${intervalMs / 1_000} s`;
    const simpler = { name: 'absent once is gone', value: hour.absentOnce };
    return [
      { situation, figure: `peers falsely missing, ${polling}`, unit: '%' as const, runs, rule: hour.missing, simpler },
      { situation, figure: `peers falsely removed, ${polling}`, unit: '%' as const, runs, rule: hour.removed, simpler },
    ];
  });
}

function failures(): Row[] {
  const runs = 500;
  const hour = hours(runs, null, seeded(4), { absent: 0, failed: 0.3 });
  const simpler = { name: 'failed once is gone', value: hour.failedOnce };
  const situation = '(d) 30 % SERVFAIL for an hour';
  return [
    { situation, figure: 'peers falsely missing', unit: '%', runs, rule: hour.missing, simpler },
    { situation, figure: 'peers falsely removed', unit: '%', runs, rule: hour.removed, simpler },
  ];
}

/** Per cent of peers that had it at least once in an hour. `null` polls as the schedule says, in sets of 5. */
function hours(
  runs: number,
  intervalMs: number | null,
  random: () => number,
  share: { readonly absent: number; readonly failed: number },
): { missing: number; removed: number; absentOnce: number; failedOnce: number } {
  const peers = intervalMs === null ? 5 : 50;
  const ordinals = Array.from({ length: peers }, (_, ordinal) => ordinal);
  const count = { missing: 0, removed: 0, absentOnce: 0, failedOnce: 0 };
  const pick = (): 'absent' | 'failed' | 'found' => {
    const drawn = random();
    return drawn < share.absent ? 'absent' : drawn < share.absent + share.failed ? 'failed' : 'found';
  };
  for (let run = 0; run < runs; run += peers) {
    const watcher = new Watcher(0, random);
    watcher.take(new Map(ordinals.map((ordinal) => [ordinal, found(`10.0.0.${ordinal}`)])), 'absent', 0);
    const had = {
      ...{ missing: new Set<number>(), removed: new Set<number>() },
      ...{ absentOnce: new Set<number>(), failedOnce: new Set<number>() },
    };
    for (let at = 0; at < hourMs;) {
      at += intervalMs ?? watcher.delayMs(at);
      const due = dueForRemoval(watcher.belief, at, windows);
      const sightings = new Map<number, Sighting>();
      for (const ordinal of ordinals) {
        const what = pick();
        if (what === 'absent') had.absentOnce.add(ordinal);
        if (what === 'failed') had.failedOnce.add(ordinal);
        if (what === 'failed') sightings.set(ordinal, { kind: 'failed' });
        else if (what === 'found') sightings.set(ordinal, found(`10.0.0.${ordinal}`));
        // The last witness can be wrong as well.
        else sightings.set(ordinal, { kind: 'absent', ownName: due.includes(ordinal) && pick() === 'absent' });
      }
      watcher.take(sightings, 'absent', at);
      for (const ordinal of ordinals) {
        const presence = watcher.belief.peers.get(ordinal)?.presence;
        if (presence === 'missing') had.missing.add(ordinal);
        if (presence === undefined) had.removed.add(ordinal);
      }
    }
    for (const key of ['missing', 'removed', 'absentOnce', 'failedOnce'] as const) count[key] += had[key].size;
  }
  const percent = (some: number): number => (100 * some) / runs;
  return {
    ...{ missing: percent(count.missing), removed: percent(count.removed) },
    ...{ absentOnce: percent(count.absentOnce), failedOnce: percent(count.failedOnce) },
  };
}

/** The price of patience: how long a peer that really left is believed, with and without failures. */
function departure(): Row[] {
  return [0, 0.3].map((failed, index) => {
    const random = seeded(50 + index);
    const runs = 500;
    const removedAfter: number[] = [];
    for (let run = 0; run < runs; run += 1) {
      const watcher = new Watcher(0, random);
      watcher.take(new Map([[1, found(old)]]), 'absent', 0);
      let at = 0;
      while (watcher.belief.peers.has(1)) {
        at += watcher.delayMs(at);
        const isDue = dueForRemoval(watcher.belief, at, windows).length > 0;
        if (random() < failed) watcher.take(new Map(), 'failed', at);
        else watcher.take(new Map([[1, { kind: 'absent', ownName: isDue }]]), 'absent', at);
      }
      removedAfter.push(at / 1_000);
    }
    return {
      situation: failed === 0 ? 'a real departure' : 'a real departure, 30 % SERVFAIL',
      ...{ figure: 'median until removed', unit: 's', runs, rule: median(removedAfter), simpler: null },
    };
  });
}

// ---- small parts -------------------------------------------------------------------------------------------------------

/** An observer's belief, fed with answers, that says when it would ask next. */
class Watcher {
  belief: Belief;
  readonly #random: () => number;
  #changedAt: number;
  #failures = 0;

  constructor(now: number, random: () => number) {
    this.belief = initialBelief(null, now);
    this.#random = random;
    this.#changedAt = now;
  }

  take(sightings: Answer['sightings'], others: Answer['others'], now: number): void {
    const complete = others !== 'failed';
    const answer: Answer = { sightings, others, complete, isRound: true, negativeTtlMs: 5_000, failure: null };
    const { belief, causes } = decide(this.belief, answer, now, windows);
    this.belief = belief;
    this.#failures = complete ? 0 : this.#failures + 1;
    // As the library's own watcher does it: what changed lately is asked about at the minimum.
    if (causes.size > 0 || isUnsettled(belief)) this.#changedAt = now;
  }

  delayMs(now: number): number {
    return nextPoll({
      minIntervalMs: 1_000,
      maxIntervalMs: 5_000,
      failures: this.#failures,
      ttlMs: 30_000,
      quietMs: now - this.#changedAt,
      isUnsettled: isUnsettled(this.belief),
      isAwaited: false,
      pods: this.belief.peers.size,
      questions: 1,
      bytes: 0,
      random: this.#random(),
    }).delayMs;
  }
}

function found(address: string): Sighting {
  return { kind: 'found', port: 5_432, families: { 4: { kind: 'shown', addresses: [address] }, 6: { kind: 'none' } } };
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}

/** mulberry32: from 0 to 1, the same sequence for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function table(rows: readonly Row[]): string {
  const figure = (value: number, unit: string): string => `${value.toFixed(1)} ${unit}`;
  const cells = [
    ['situation', 'figure', 'runs', 'this rule', 'simpler rule', ''],
    ...rows.map(({ situation, figure: what, unit, runs, rule, simpler }) => [
      ...[situation, what, String(runs), figure(rule, unit)],
      ...(simpler === null ? ['', ''] : [figure(simpler.value, unit), simpler.name]),
    ]),
  ];
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const isNumber = (column: number): boolean => column >= 2 && column <= 4;
  const pad = (text: string, column: number): string =>
    isNumber(column) ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0);
  return cells.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { Move, Variant } from './move-world.ts';
import { variants, World } from './move-world.ts';
import { Child } from './support/child.ts';
import type { ClientRequest, Sample } from './support/client.ts';
import { clock } from './support/clock.ts';
import type { ContestantName } from './support/contestants.ts';
import type { Expectation } from './support/report.ts';
import { median, report } from './support/report.ts';

// A request to web-1 every 10 ms while web-1 is recreated on a new IP. Every contestant is a process of its own and
// sees the same four worlds, one a variant, at the same time; pods and DNS are in this process.

/** What one contestant met in one world. */
interface Case {
  readonly name: string;
  readonly variant: Variant;
  readonly ttlSeconds: number;
  readonly move: Move;
  readonly samples: readonly Sample[];
}

/** Beside the contestants: requests that do not wait as long as the default. In the world where DNS lies alone. */
const impatient = [
  { name: 'guard, deadline 300 ms', contestant: 'PeerDispatcher, guard', deadlineMs: 300, waitMs: 5_000 },
  { name: 'guard, waitMs 300', contestant: 'PeerDispatcher, guard', deadlineMs: null, waitMs: 300 },
] as const;

const library = ['PeerDispatcher, guard', 'PeerDispatcher, guard, retry', 'PeerDispatcher'] as const;
const names: readonly ContestantName[] = [...library, 'undici Agent', 'interceptors.dns', 'cacheable-lookup'];
const everyMs = 10;
/** The interval at which the library asks DNS where nothing is wrong, at most. */
const pollMs = 5_000;

/** Prints the table and the expectations. About five minutes; `quick` less than one, with the short TTL alone. */
export async function run({ json, quick }: { json: boolean; quick: boolean }): Promise<void> {
  if (process.platform !== 'linux')
    throw new Error('each pod needs its own loopback address, and SYNs to be dropped: Linux');
  const children = new Map(
    [...names, 'impatient'].map((name) => [name, new Child(new URL('./support/client.js', import.meta.url))]),
  );
  const cases: Case[] = [];
  try {
    await Promise.all([...children.values()].map((child) => child.ask({ kind: 'hello' } satisfies ClientRequest)));
    const points = quick ? [0, 0.5, 0.95] : [0, 0.25, 0.5, 0.75, 0.95];
    for (const ttlSeconds of quick ? [5] : [5, 30]) {
      for (const point of points) cases.push(...(await watchMoves(children, ttlSeconds, point)));
    }
  } finally {
    for (const child of children.values()) child.close();
  }
  const moves = cases.filter(({ name }) => name === names[0]).length;
  report(
    json,
    {
      title: `${moves} moves of web-1, a request every ${everyMs} ms. Last bad request in s and first right answer in ms (min / median / max), failed and wrongly answered requests, and how many failed that were sent after the old pod had gone (median).`,
      head: ['TTL', 'variant', 'client', 'last bad', 'failed', 'wrong', 'first right', 'failed later'],
      rows: rowsOf(cases),
    },
    judge(cases),
  );
}

// ---- measuring ---------------------------------------------------------------------------------------------------------

async function watchMoves(children: ReadonlyMap<string, Child>, ttlSeconds: number, point: number): Promise<Case[]> {
  const range = nextRange();
  const worlds = await Promise.all(
    (Object.keys(variants) as Variant[]).map((variant, index) =>
      World.start(variant, ttlSeconds, `${range}.${16 * index}.0/20`),
    ),
  );
  try {
    const cases = worlds.map(async (world, index) => {
      // So that they do not all connect anew at the same time.
      await sleep(index * 600);
      return await watchMove(children, world, ttlSeconds, point);
    });
    return (await Promise.all(cases)).flat();
  } finally {
    await Promise.all(worlds.map((world) => world.close()));
  }
}

async function watchMove(
  children: ReadonlyMap<string, Child>,
  world: World,
  ttlSeconds: number,
  point: number,
): Promise<Case[]> {
  const { dns, service, port, variant } = world;
  const seats = seatsIn(variant);
  const each = <Answer>(request: (seat: Seat) => ClientRequest): Promise<Answer[]> =>
    Promise.all(
      seats.map((seat) => {
        const child = children.get(seat.child);
        if (child === undefined) throw new Error(`there is no process for ${seat.child}`);
        return child.ask<Answer>(request(seat));
      }),
    );
  const pace = (ms: number | null): Promise<unknown> => each(({ id }) => ({ kind: 'pace', id, everyMs: ms }));

  await each(({ id, name, contestant, deadlineMs, waitMs }) => ({
    ...{ kind: 'start', id, name, contestant, deadlineMs, podNames: ['web-1'] },
    place: { dns, service, port, waitMs, isAlwaysNew: false },
  }));
  const primedAt = clock();
  const moveAt = primedAt + point * ttlSeconds * 1_000;
  // Often enough to keep the connections, until shortly before.
  await pace(500);
  await sleepUntil(moveAt - 500);
  await pace(everyMs);
  await sleepUntil(moveAt);
  const move = await world.move();
  // Until every record of before has run out, and the library has polled.
  await sleepUntil(Math.max(moveAt + pollMs, primedAt + ttlSeconds * 1_000) + 1_500);
  await pace(null);
  // What was in flight to a pod that is silent has its grace period, counted from when the move was known.
  const ended = await each<readonly Sample[]>(({ id, contestant }) => ({
    ...{ kind: 'end', id, graceMs: library.some((one) => one === contestant) ? 7_000 : 500 },
  }));
  return seats.map(({ name }, index) => ({ name, variant, ttlSeconds, move, samples: ended[index] ?? [] }));
}

function sleepUntil(at: number): Promise<void> {
  return sleep(Math.max(0, at - clock()));
}

/** A contestant in a world. */
interface Seat {
  readonly contestant: ContestantName;
  /** What it is called in the table. */
  readonly name: string;
  /** The process that it is in. */
  readonly child: string;
  /** Tells it from others in that process. */
  readonly id: string;
  readonly deadlineMs: number | null;
  readonly waitMs: number;
}

function seatsIn(variant: Variant): Seat[] {
  const patient = { deadlineMs: null, waitMs: 5_000 };
  return [
    ...names.map((name) => ({ contestant: name, name, child: name, id: variant, ...patient })),
    ...(variant === 'late' ? impatient : []).map((one) => ({ child: 'impatient', id: one.name, ...one })),
  ];
}

let ranges = Math.floor(Math.random() * 170);

/** The first half of loopback addresses that no other round has. */
function nextRange(): string {
  ranges = (ranges + 1) % 170;
  return `127.${64 + ranges}`;
}

// ---- figures -----------------------------------------------------------------------------------------------------------

/** Answered by a pod that was not web-1 any more, or never. */
function isWrong({ by, sentAt }: Sample, { by: now, wasBy, goneAt }: Move): boolean {
  return by !== null && by !== now && !(by === wasBy && sentAt < goneAt);
}

function figuresOf({ name, samples, move }: Case): {
  readonly failed: number;
  readonly wrong: number;
  readonly lastBadMs: number;
  readonly isCured: boolean;
  readonly firstRightMs: number;
  /** Failed requests that were sent when the old pod was gone already. */
  readonly failedLater: number;
  /**
   * How many of them can have been under way all the same: one on each connection to the old pod of which the client
   * had not yet heard that it is closed. Those included that had brought no request yet.
   */
  readonly open: number;
} {
  const bad = samples.filter((sample) => sample.error !== null || isWrong(sample, move));
  const right = samples.filter(({ by }) => by === move.by);
  const lastBadAt = Math.max(move.goneAt, ...bad.map(({ sentAt }) => sentAt));
  const lastSentAt = Math.max(...samples.map(({ sentAt }) => sentAt));
  return {
    failed: samples.filter(({ error }) => error !== null).length,
    wrong: samples.filter((sample) => isWrong(sample, move)).length,
    lastBadMs: lastBadAt - move.goneAt,
    isCured: lastBadAt < lastSentAt - 200,
    firstRightMs: Math.min(...right.map(({ sentAt, tookMs }) => sentAt + tookMs)) - move.recordAt,
    failedLater: samples.filter(({ error, sentAt }) => error !== null && sentAt >= move.goneAt).length,
    open: (move.open[name] ?? 0) + (move.open[''] ?? 0),
  };
}

function rowsOf(cases: readonly Case[]): string[][] {
  const ttls = [...new Set(cases.map(({ ttlSeconds }) => ttlSeconds))];
  return ttls.flatMap((ttlSeconds) =>
    (Object.keys(variants) as Variant[]).flatMap((variant) =>
      [...names, ...(variant === 'late' ? impatient.map(({ name }) => name) : [])].map((contestant) => {
        const figures = select(cases, contestant, variant, ttlSeconds).map(figuresOf);
        const last = figures.map(({ lastBadMs, isCured }) => (isCured ? lastBadMs / 1_000 : Infinity));
        return [
          ...[`${ttlSeconds} s`, variants[variant], contestant, spread(last, 1)],
          ...[median(figures.map(({ failed }) => failed)), median(figures.map(({ wrong }) => wrong))].map(String),
          spread(
            figures.map(({ firstRightMs }) => firstRightMs),
            0,
          ),
          String(median(figures.map(({ failedLater }) => failedLater))),
        ];
      }),
    ),
  );
}

function select(cases: readonly Case[], name: string, variant: Variant, ttlSeconds?: number): readonly Case[] {
  return cases.filter(
    (one) =>
      one.name === name && one.variant === variant && (ttlSeconds === undefined || one.ttlSeconds === ttlSeconds),
  );
}

function spread(values: readonly number[], digits: number): string {
  const word = (value: number): string => (Number.isFinite(value) ? value.toFixed(digits) : 'never');
  return [Math.min(...values), median(values), Math.max(...values)].map(word).join(' / ');
}

// ---- expectations --------------------------------------------------------------------------------------------------------

function judge(cases: readonly Case[]): Expectation[] {
  const each = (Object.keys(variants) as Variant[]).flatMap((variant) => [
    ...['PeerDispatcher, guard', 'PeerDispatcher, guard, retry'].map((contestant): Expectation => {
      const wrong = sum(select(cases, contestant, variant).map((one) => figuresOf(one).wrong));
      return {
        expected: `${variants[variant]}: ${contestant}: no answer from a wrong pod`,
        measured: String(wrong),
        holds: wrong === 0,
      };
    }),
    // The hints of a refusal are at their fast rate; where packets are dropped, nothing tells before the next poll.
    firstRight(cases, 'PeerDispatcher, guard', variant, variant === 'drops' ? pollMs + 150 : 150),
    firstRight(cases, 'PeerDispatcher', variant, pollMs + 150),
    ...['PeerDispatcher, guard', 'PeerDispatcher'].map((contestant): Expectation => {
      const counts = select(cases, contestant, variant).map(figuresOf);
      return {
        expected: `${variants[variant]}: ${contestant}: no failed request beyond those in flight`,
        measured: `${counts.map(({ failedLater }) => failedLater).join(' ')} sent later (connections were ${counts.map(({ open }) => open).join(' ')})`,
        holds: counts.every(({ failedLater, open }) => failedLater <= open),
      };
    }),
    noneFailed(cases, variant),
  ]);
  return [...each, ...impatient.map((one) => waits(cases, one.name, one.deadlineMs ?? one.waitMs))];
}

function firstRight(cases: readonly Case[], contestant: string, variant: Variant, mostMs: number): Expectation {
  const measured = median(select(cases, contestant, variant).map((one) => figuresOf(one).firstRightMs));
  return {
    expected: `${variants[variant]}: ${contestant}: first right answer within ${mostMs} ms of the record (median)`,
    measured: `${measured.toFixed(0)} ms`,
    holds: measured <= mostMs,
  };
}

function noneFailed(cases: readonly Case[], variant: Variant): Expectation {
  const contestant = 'PeerDispatcher, guard, retry';
  const errors = select(cases, contestant, variant).flatMap(({ samples }) =>
    samples.flatMap(({ error }) => error ?? []),
  );
  return {
    expected: `${variants[variant]}: ${contestant}: no failed request`,
    measured: errors.length === 0 ? '0' : `${errors.length}: ${[...new Set(errors)].join()}`,
    holds: errors.length === 0,
  };
}

/** While DNS lies, requests wait as long as they may, and fail only then; those in flight end with their connection. */
function waits(cases: readonly Case[], name: string, waitMs: number): Expectation {
  const all = select(cases, name, 'late').map((one) => {
    const failed = one.samples.filter(({ error, sentAt }) => error !== null && sentAt >= one.move.goneAt);
    const times = failed.map(({ tookMs }) => tookMs);
    return { times, early: times.filter((ms) => ms < waitMs - 5).length, open: figuresOf(one).open };
  });
  const times = all.flatMap((one) => one.times.filter((ms) => ms >= waitMs - 5));
  return {
    expected: `${variants.late}: ${name}: requests fail after that time (median within 50 ms) and, but for those in flight, never before`,
    measured: `${times.length} after ${spread(times, 0)} ms; ${all.map(({ early }) => early).join(' ')} before (connections were ${all.map(({ open }) => open).join(' ')})`,
    holds: all.every(({ early, open }) => early <= open) && median(times) <= waitMs + 50,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

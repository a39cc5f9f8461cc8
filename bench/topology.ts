import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Outcome, Started } from './topology-clients.ts';
import { runLoop, startFloor, startLibrary } from './topology-clients.ts';
import type { Listening, Questions, Request } from './topology-server.ts';

// How long a first topology takes, and a refresh, next to the loop that people write and to the least that it can take.
// They run in turns against one DNS server, so that a machine that is busy for a while slows down all of them; the
// median of the rounds' ratios is what counts. The server is a process of its own, with its own event loop and heap: in
// the clients' thread it would wait for them and they for it, and the more so the more questions somebody asks.

/** One contestant in one situation: medians of the rounds. */
interface Figure {
  readonly ms: number;
  /** The fastest round, not the median. */
  readonly fastestMs: number;
  readonly questions: Questions;
  /** The least number of pods with an address that any round found. */
  readonly pods: number;
  /** Codes of what failed, each once. */
  readonly failures: readonly string[];
}

/** One situation. Ratios are medians of the rounds' own; `null` where one of both failed. */
interface Row {
  readonly pods: number;
  readonly delayMs: number;
  readonly rounds: number;
  readonly loop: Figure;
  readonly floor: Figure;
  readonly library: Figure;
  readonly roundTrip: Figure;
  readonly refresh: Figure;
  readonly loopToLibrary: number | null;
  readonly libraryToFloor: number | null;
  readonly refreshToRoundTrip: number | null;
}

/** What is promised, and whether it was seen. */
interface Expectation {
  readonly expected: string;
  readonly measured: string;
  readonly holds: boolean;
}

const sizes = [3, 10, 100, 500, 1_000];
const delays = [0, 2];
/** A process polls for days: what it does the first time is not what it does. Rounds, or milliseconds if those are over first. */
const warmUp = { rounds: 1_000, ms: 4_000 };

/** From so many pods on the loop takes seconds. */
const slowLoop = 500;

/** Prints the table and the expectations, or the same as JSON; exit status 1 where one does not hold. Takes two minutes. */
export async function run({ json }: { json: boolean }): Promise<void> {
  const server = new Server();
  const rows: Row[] = [];
  try {
    for (const delayMs of delays) for (const pods of sizes) rows.push(await compare(server, pods, delayMs));
  } finally {
    server.close();
  }
  const expectations = judge(rows);
  if (expectations.some(({ holds }) => !holds)) process.exitCode = 1;
  const node = process.version;
  console.log(json ? JSON.stringify({ node, rows, expectations }, null, 2) : report(node, rows, expectations));
}

// ---- measuring ---------------------------------------------------------------------------------------------------------

type Contestant = 'loop' | 'floor' | 'library' | 'roundTrip' | 'refresh';
type Round = Record<Contestant, Outcome & { readonly questions: Questions }>;

async function compare(server: Server, pods: number, delayMs: number): Promise<Row> {
  const listening = await server.ask<Listening>({ kind: 'serve', pods, delayMs });
  // The loop takes seconds where it loses datagrams.
  const count = pods < slowLoop ? 51 : 9;
  const rounds: Round[] = [];
  // What does not count: code is compiled, and the server puts its answers together.
  const warmUntil = performance.now() + warmUp.ms;
  for (let round = 0; round < warmUp.rounds && performance.now() < warmUntil; round += 1) {
    for (const start of [startFloor, startLibrary]) await rehearse(start, listening);
  }
  for (let round = -1; round < count; round += 1) {
    const measured = await runRound(server, listening, pods, round);
    if (round >= 0) rounds.push(measured);
  }
  const figure = (contestant: Contestant): Figure => {
    const all = rounds.map((round) => round[contestant]);
    const questions = (key: keyof Questions): number => median(all.map((one) => one.questions[key]));
    return {
      ms: median(all.map(({ elapsedMs }) => elapsedMs)),
      fastestMs: Math.min(...all.map(({ elapsedMs }) => elapsedMs)),
      questions: { udp: questions('udp'), tcp: questions('tcp'), different: questions('different') },
      pods: Math.min(...all.map((one) => one.pods)),
      failures: [...new Set(all.flatMap(({ failure }) => failure ?? []))],
    };
  };
  const ratio = (one: Contestant, other: Contestant): number | null => {
    const isFailed = rounds.some((round) => round[one].failure !== null || round[other].failure !== null);
    return isFailed ? null : median(rounds.map((round) => round[one].elapsedMs / round[other].elapsedMs));
  };
  return {
    ...{ pods, delayMs, rounds: rounds.length },
    ...{ loop: figure('loop'), floor: figure('floor'), library: figure('library') },
    ...{ roundTrip: figure('roundTrip'), refresh: figure('refresh') },
    loopToLibrary: ratio('loop', 'library'),
    libraryToFloor: ratio('library', 'floor'),
    refreshToRoundTrip: ratio('refresh', 'roundTrip'),
  };
}

/**
 * Everybody once; who goes first takes turns, too. Before each of them one turn that does not count: whoever comes after the
 * loop, which waits for two seconds where it loses datagrams, would begin on a cold processor.
 */
async function runRound(server: Server, listening: Listening, pods: number, round: number): Promise<Round> {
  const outcomes: Partial<Round> = {};
  const counted = async (contestant: Contestant, outcome: Outcome): Promise<void> => {
    outcomes[contestant] = { ...outcome, questions: await server.ask<Questions>({ kind: 'count' }) };
  };
  const both = async (
    first: Contestant,
    second: Contestant,
    start: (server: Listening) => Promise<Started>,
  ): Promise<void> => {
    await rehearse(start, listening);
    await server.ask<Questions>({ kind: 'count' });
    const started = await start(listening);
    await counted(first, started.first);
    await counted(second, await started.again());
    await started.close();
  };
  const turns = [
    async () => {
      if (pods < slowLoop) await runLoop(listening);
      await server.ask<Questions>({ kind: 'count' });
      await counted('loop', await runLoop(listening));
    },
    async () => both('floor', 'roundTrip', startFloor),
    async () => both('library', 'refresh', startLibrary),
  ];
  for (const [index] of turns.entries()) await turns[(index + round + turns.length) % turns.length]?.();
  const { loop, floor, library, roundTrip, refresh } = outcomes;
  if (!loop || !floor || !library || !roundTrip || !refresh) throw new Error('somebody had no turn');
  return { loop, floor, library, roundTrip, refresh };
}

async function rehearse(start: (server: Listening) => Promise<Started>, listening: Listening): Promise<void> {
  const started = await start(listening);
  await started.again();
  await started.close();
}

/** The DNS server's process, and what is said to it. */
class Server {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL('./topology-server.js', import.meta.url)));

  /** One at a time. */
  ask<Answer>(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void => {
        reject(new Error(`the DNS server ended with ${code ?? 'a signal'}`));
      };
      this.#child.once('exit', onExit);
      this.#child.once('message', (answer) => {
        this.#child.off('exit', onExit);
        resolve(answer as Answer);
      });
      this.#child.send(request);
    });
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

// ---- expectations --------------------------------------------------------------------------------------------------------

/** How near to the bare round trips is near enough. For a refresh: nearer to one round trip than to two. */
const nearEnough = 1.5;
/** How many times as fast as the loop, by pods, where the network costs nothing. */
const speedups: Readonly<Record<number, number>> = { 100: 3, 500: 10 };

function judge(rows: readonly Row[]): Expectation[] {
  return rows.flatMap((row) => {
    const { pods, delayMs, loop, library, floor, refresh } = row;
    const expectation = (expected: string, measured: string, holds: boolean): Expectation => {
      return { expected: `${pods} pods, ${delayMs} ms: ${expected}`, measured, holds };
    };
    const found = [library, refresh].map((one) => one.failures.join() || String(one.pods));
    const complete = expectation(
      'every pod has an address, after a refresh as well',
      found.join(' and '),
      found.every((one) => one === String(pods)),
    );
    if (pods >= 1_000) {
      const code = loop.failures.join();
      return [
        complete,
        expectation('the loop fails', code === '' ? 'it does not' : code, code !== ''),
        expectation('one answer is truncated', `addresses of ${floor.pods} pods in it`, floor.pods < pods),
      ];
    }
    const { loopToLibrary, libraryToFloor, refreshToRoundTrip } = row;
    const speedup = delayMs === 0 ? speedups[pods] : undefined;
    const atMost = (ratio: number | null): boolean => ratio !== null && ratio <= nearEnough;
    return [
      complete,
      expectation(
        `one question in place of ${pods + 1}`,
        `${library.questions.different} in place of ${loop.questions.different}`,
        // Over UDP, and where that is truncated once more over TCP.
        library.questions.different === 1 && library.questions.udp === 1 && library.questions.tcp <= 1,
      ),
      expectation(`at most ${nearEnough} times the floor`, inWords(libraryToFloor), atMost(libraryToFloor)),
      ...(speedup === undefined
        ? []
        : [
            expectation(
              `at least ${speedup} times as fast as the loop`,
              inWords(loopToLibrary),
              loopToLibrary !== null && loopToLibrary >= speedup,
            ),
          ]),
      expectation(
        'a refresh is one question, sent once',
        sent(refresh.questions),
        refresh.questions.udp + refresh.questions.tcp === 1,
      ),
      expectation(
        `a refresh takes one round trip (less than ${nearEnough})`,
        inWords(refreshToRoundTrip),
        atMost(refreshToRoundTrip),
      ),
    ];
  });
}

// ---- printing ------------------------------------------------------------------------------------------------------------

function report(node: string, rows: readonly Row[], expectations: readonly Expectation[]): string {
  const ms = ({ ms: value, failures }: Figure): string => (failures.length > 0 ? failures.join() : value.toFixed(1));
  const where = ({ delayMs, pods }: Row): string[] => [`${delayMs} ms`, String(pods)];
  const first = rows.map((row) => [
    ...[...where(row), ms(row.loop), row.loop.failures.length > 0 ? '-' : row.loop.fastestMs.toFixed(1)],
    ...[ms(row.floor), ms(row.library)],
    ...[inWords(row.loopToLibrary), inWords(row.libraryToFloor)],
    ...[sent(row.loop.questions), sent(row.floor.questions), sent(row.library.questions)],
  ]);
  const again = rows.map((row) => [
    ...[...where(row), ms(row.roundTrip), ms(row.refresh), inWords(row.refreshToRoundTrip)],
    ...[sent(row.roundTrip.questions), sent(row.refresh.questions)],
  ]);
  const verdicts = expectations.map(({ expected, measured, holds }) => [holds ? 'holds' : 'FAILS', measured, expected]);
  const times = ['loop', 'at best', 'floor', 'library', 'loop/library', 'library/floor'];
  return [
    `First topology, Node.js ${node}: milliseconds, ratios, and questions over UDP + TCP; medians.`,
    table(['delay', 'pods', ...times, 'loop asks', 'floor asks', 'library asks'], first),
    '',
    'Refresh, next to one bare round trip over the same transport.',
    table(['delay', 'pods', 'round trip', 'refresh', 'refresh/round trip', 'round trip asks', 'refresh asks'], again),
    '',
    table(['', 'measured', 'expected'], verdicts),
  ].join('\n');
}

function inWords(ratio: number | null): string {
  return ratio === null ? '-' : ratio.toFixed(2);
}

function sent({ udp, tcp }: Questions): string {
  return `${udp} + ${tcp}`;
}

/** Figures to the right, words to the left. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows];
  const columns = head.map((_, column) => rows.map((cells) => cells[column] ?? ''));
  const widths = head.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  const isFigures = columns.map((cells) => cells.some((cell) => /^[0-9][0-9.+ ]*(?:ms)?$/.test(cell)));
  const pad = (cell: string, column: number): string =>
    isFigures[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0);
  return lines.map((cells) => cells.map(pad).join('  ').trimEnd()).join('\n');
}

import assert from 'node:assert/strict';

/** How long all pods took to believe what DNS says, in one scenario on one configuration of the server. */
export interface ConvergenceRow {
  readonly configuration: string;
  readonly scenario: string;
  /** From the change of DNS (or the fault's end, or the pod's own start, whatever came last) to the last pod. */
  readonly ms: number;
  /** How stale the server's caches may be, the poll interval in force, the absence window for removals, and 1.5 s. */
  readonly boundMs: number;
  /** Bounds of the polling interval, then the absence windows. */
  readonly windows: string;
}

/** What is always allowed beside the windows: a question, its answer, a busy machine. */
export const slackMs = 1_500;

/**
 * Notes rows for the summary of the container suite, which is printed once, when all of its files are through.
 *
 * @throws AssertionError when one of them is over its bound; all are noted then
 */
export function recordConvergence(...measured: readonly ConvergenceRow[]): void {
  rows.push(...measured);
  const late = measured.filter(({ ms, boundMs }) => ms > boundMs);
  const texts = late.map(
    ({ configuration, scenario, ms, boundMs }) =>
      `${configuration}, ${scenario}: ${seconds(ms)} s, and ${seconds(boundMs)} s at most`,
  );
  assert.equal(late.length, 0, texts.join('\n'));
}

const rows: ConvergenceRow[] = [];

// Of the root suite, for this module is loaded outside of any other.
after('the summary of the container suite', () => {
  if (rows.length > 0) print();
});

function print(): void {
  const lines = [
    ['configuration', 'scenario', 'DNS to belief (s)', 'bound (s)', 'poll, missing/removed after (s)'],
    ...rows.map((row) => [row.configuration, row.scenario, seconds(row.ms), seconds(row.boundMs), row.windows]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const isNumber = (column: number): boolean => column === 2 || column === 3;
  for (const line of lines) {
    const cells = line.map((cell, at) =>
      isNumber(at) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
    );
    console.log(`    ${cells.join('  ')}`.trimEnd());
  }
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}

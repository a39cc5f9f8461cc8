/** What is promised, and whether it was seen. */
export interface Expectation {
  readonly expected: string;
  readonly measured: string;
  readonly holds: boolean;
}

/** Prints the figures, then what was expected of them; or the same as JSON. Exit status 1 where one does not hold. */
export function report(
  json: boolean,
  { title, head, rows }: { title: string; head: readonly string[]; rows: readonly (readonly string[])[] },
  expectations: readonly Expectation[],
): void {
  if (expectations.some(({ holds }) => !holds)) process.exitCode = 1;
  const node = process.version;
  if (json) {
    const figures = rows.map((row) => Object.fromEntries(head.map((name, column) => [name, row[column] ?? ''])));
    console.log(JSON.stringify({ node, title, figures, expectations }, null, 2));
    return;
  }
  const judged = expectations.map(({ expected, measured, holds }) => [
    holds ? 'holds' : 'DOES NOT HOLD',
    measured,
    expected,
  ]);
  console.log(`Node.js ${node}. ${title}\n`);
  console.log(`${table(head, rows)}\n\n${table(['', 'measured', 'expected'], judged)}`);
}

/** The value in the middle; of an even number of them the higher one. `NaN` of none. */
export function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? NaN;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

import type { Pod, Report } from './pods.ts';

/** One line of the table at the end of the run. */
export interface Row {
  readonly scenario: string;
  /** From the last change of DNS, or the pod's own start where that came later, to the last pod that believes it. */
  readonly ms: number;
  readonly boundMs: number;
  /** Writes acknowledged, and refused or failed, meanwhile; the longest time without an acknowledged one. */
  readonly acknowledged: number;
  readonly failed: number;
  readonly gapMs: number;
}

/** `web-0` to `10.0.0.7:7000`. */
export type Places = Readonly<Record<string, string | null>>;

export function placesOf(pods: readonly Pod[]): Places {
  return Object.fromEntries(pods.map(({ name, address }) => [name, `${address ?? '?'}:7000`]));
}

/**
 * Since when the last of these reports show those places without interruption; `null` while they do not.
 *
 * `in` names the field that has them.
 */
export function sinceWhen(reports: readonly Report[], places: Places, field: string): number | null {
  const wanted = canonical(places);
  let since: number | null = null;
  for (const report of reports.toReversed()) {
    if (canonical(report[field] as Places) !== wanted) break;
    since = report.at;
  }
  return since;
}

/** How long after DNS said so, or after its own start, each pod believed it: the longest. `null` while one does not. */
export function believedAfter(pods: readonly Pod[], witness: readonly Report[], places: Places): number | null {
  const changedAt = sinceWhen(witness, places, 'pods');
  if (changedAt === null) return null;
  const delays = pods.map(({ reports }) => {
    // What the process that runs now has said: a container may have been started again in its pod.
    const start = reports.findLastIndex(({ kind }) => kind === 'hello');
    const [hello, ...own] = start === -1 ? [] : reports.slice(start);
    if (hello === undefined) return null;
    const topologies = own.filter(({ kind }) => kind === 'topology');
    const believedAt = sinceWhen(topologies, places, 'peers');
    const isPrimaryKnown = topologies.at(-1)?.['primary'] === 'web-0';
    return believedAt === null || !isPrimaryKnown ? null : Math.max(0, believedAt - Math.max(changedAt, hello.at));
  });
  return delays.some((delay) => delay === null) ? null : Math.max(...(delays as number[]));
}

export function markdownOf(rows: readonly Row[]): string {
  const seconds = (ms: number): string => (ms / 1_000).toFixed(1);
  const head = [
    '| scenario | DNS to belief, all pods (s) | bound (s) | writes acknowledged | failed | longest gap (s) |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
  ];
  const lines = rows.map(
    ({ scenario, ms, boundMs, acknowledged, failed, gapMs }) =>
      `| ${scenario} | ${seconds(ms)} | ${seconds(boundMs)} | ${acknowledged} | ${failed} | ${seconds(gapMs)} |`,
  );
  return [...head, ...lines].join('\n');
}

function canonical(places: Places): string {
  return JSON.stringify(Object.entries(places).sort());
}

import type { Claim } from './claims.ts';
import type { Of, Report } from './report.ts';
import { of } from './report.ts';

/** The IDs of the writes that this writer was told are kept. */
export function acknowledgedBy(reports: readonly Report[], writer: string): string[] {
  return writesOf(reports, writer)
    .filter(({ what }) => what.status === 200)
    .map(({ what }) => what.id);
}

/** Nothing that was acknowledged may be lost, whatever was done to the pods meanwhile. */
export function nothingLost(reports: readonly Report[]): Claim {
  const acknowledged = acknowledgedBy(reports, 'following');
  const pods = of(reports, 'entries').map(({ what }) => {
    const has = new Set(what.ids);
    return { podName: what.podName, lost: acknowledged.filter((id) => !has.has(id)).length };
  });
  return {
    claim: 'every acknowledged write is in every pod at the end',
    holds: acknowledged.length > 0 && pods.length > 1 && pods.every(({ lost }) => lost === 0),
    from: `${acknowledged.length} acknowledged; lost: ${pods.map(({ podName, lost }) => `${lost} in ${podName}`).join(', ')}`,
  };
}

/** Whoever answers says who it is. */
export function nothingMisdirected(reports: readonly Report[]): Claim {
  const writes = writesOf(reports, 'following');
  const wrong = writes.filter(isMisdirected);
  return {
    claim: 'no write was answered by another pod than web-0',
    holds: writes.length > 0 && wrong.length === 0,
    from: `${wrong.length} of ${writes.length}${exampleOf(wrong)}`,
  };
}

/** A write that no pod could take was tried again, until one could. */
export function nothingFailed(reports: readonly Report[]): Claim {
  const writes = writesOf(reports, 'following');
  const failed = writes.filter(({ what }) => what.status !== 200);
  return {
    claim: 'no write failed',
    holds: writes.length > 0 && failed.length === 0,
    from: `${failed.length} of ${writes.length}${exampleOf(failed)}`,
  };
}

/** The same counts without the library. */
export function plainAgent(reports: readonly Report[]): string {
  const writes = writesOf(reports, 'plain');
  if (writes.length === 0)
    return 'plain undici Agent: left out, for it has nothing to go by where every pod has a port of its own';
  const failed = writes.filter(({ what }) => what.status !== 200).length;
  return `plain undici Agent: ${writes.length} writes, ${writes.filter(isMisdirected).length} answered by another pod, ${failed} failed`;
}

function writesOf(reports: readonly Report[], writer: string): Of<'write'>[] {
  return of(reports, 'write').filter(({ what }) => what.writer === writer);
}

function isMisdirected({ what }: Of<'write'>): boolean {
  return what.pod !== null && what.pod !== 'web-0';
}

function exampleOf(writes: readonly Of<'write'>[]): string {
  const [first] = writes;
  return first === undefined ? '' : `, for example ${JSON.stringify(first.what)} during ${first.act}`;
}

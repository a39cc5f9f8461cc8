import * as claims from './claims.ts';
import { outsiderKnewWeb0 } from './outsider-claim.ts';
import { nothingFailed, nothingLost, nothingMisdirected, plainAgent } from './write-claims.ts';
import type { Report } from './report.ts';
import { duringFault, isStranger, of, playableActs } from './report.ts';

/** What the story showed. */
export interface Verdict {
  readonly passed: boolean;
  /** What the library promises. A claim that nothing was reported about does not hold. */
  readonly claims: readonly claims.Claim[];
  /** What today's loop did. Nothing is promised there, but it must have been measured. */
  readonly measured: readonly string[];
}

/** Computes the verdict from nothing but the record of the story. */
export function verdictOf(reports: readonly Report[]): Verdict {
  const all = [
    claims.storyEnded(reports),
    claims.orderedStart(reports),
    claims.ownNames(reports),
    claims.newAddresses(reports),
    claims.rightRemovals(reports),
    claims.onePrimary(reports),
    claims.eventOrder(reports),
    claims.heldThrough(reports, 'servfail'),
    claims.heldThrough(reports, 'nxdomain'),
    // What cannot be played here does not count.
    ...(playableActs(reports).includes('handover') ? [claims.strangersLeftAlone(reports)] : []),
    outsiderKnewWeb0(reports),
    nothingLost(reports),
    nothingMisdirected(reports),
    nothingFailed(reports),
    claims.loopWasMeasured(reports),
  ];
  return { passed: all.every(({ holds }) => holds), claims: all, measured: measuredOf(reports) };
}

function measuredOf(reports: readonly Report[]): string[] {
  // Before it first saw anybody it believed nothing wrong.
  const turns = of(reports, 'turn').filter(({ act }) => act !== 'start');
  const empty = turns.filter(({ what }) => Object.keys(what.peers).length === 0);
  const usurped = turns.filter(({ what }) => what.primary !== null && what.primary !== 'web-0');
  const side = (name: string): string => {
    const contacts = of(reports, 'contact').filter(({ from }) => from === name);
    const strangers = contacts.filter(({ what }) => isStranger(what));
    const failed = contacts.filter(({ what }) => what.answered === null);
    const departed = failed.filter(({ what }) => what.target === 'web-2').length;
    return `${contacts.length} connections, ${strangers.length} answered by another pod, ${failed.length} by nobody (${departed} of them to web-2, which came and went)`;
  };
  const reachedInFaults = (name: string): number =>
    (['servfail', 'nxdomain'] as const)
      .flatMap((act) => of(duringFault(reports, act), 'contact'))
      .filter(({ from, what }) => from === name && what.answered === what.target).length;
  return [
    `today's loop believed that nobody was there in ${empty.length} of ${turns.length} turns`,
    `today's loop took another pod for the primary in ${usurped.length} of ${turns.length} turns`,
    `while DNS failed or lied: today's loop reached the right pod ${reachedInFaults('loop')} times, stateful-peers ${reachedInFaults('observer')} times`,
    `today's loop: ${side('loop')}`,
    `stateful-peers: ${side('observer')}`,
    plainAgent(reports),
  ];
}

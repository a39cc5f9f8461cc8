import type { Claim } from './claims.ts';
import { hostOf } from './place.ts';
import type { Report } from './report.ts';
import { of } from './report.ts';

/**
 * The outsider asked DNS for web-0 throughout: each answer that named an address named one that web-0 had at that time,
 * or at most a TTL before; and each address that web-0 ever had was named.
 *
 * A plain resolver may keep an answer for its TTL, from when it came. So what is named may be as old as the TTL and the
 * longest question together.
 */
export function outsiderKnewWeb0(reports: readonly Report[]): Claim {
  const answers = of(reports, 'resolved').map(({ what }) => what);
  const stays = staysOf(reports, 'web-0');
  const longestQuestion = Math.max(0, ...answers.map(({ askedAt, answeredAt }) => answeredAt - askedAt));
  const ttlMs = Math.max(0, ...answers.map((answer) => answer.ttlMs));
  const wrong = answers.filter(({ addresses, askedAt, answeredAt }) => {
    const oldest = askedAt - ttlMs - longestQuestion;
    return addresses.some(
      (address) => !stays.some((stay) => stay.host === address && stay.from <= answeredAt && stay.to >= oldest),
    );
  });
  const hosts = [...new Set(stays.map(({ host }) => host))];
  const named = hosts.filter((host) => answers.some(({ addresses }) => addresses.includes(host)));
  const empty = answers.filter(({ addresses }) => addresses.length === 0);
  return {
    claim: "to the outsider its name always led to web-0's present address, or to nothing, within the TTL",
    holds: hosts.length > 0 && named.length === hosts.length && wrong.length === 0,
    from: `${answers.length} answers, ${wrong.length} wrong, ${empty.length} empty or failed; ${named.length} of web-0's ${hosts.length} addresses named`,
  };
}

interface Stay {
  readonly host: string;
  readonly from: number;
  readonly to: number;
}

/** Where that pod was from when to when, by the controller: from Ready until its deletion had ended. */
function staysOf(reports: readonly Report[], podName: string): Stay[] {
  const gone = of(reports, 'gone').filter(({ what }) => what.podName === podName);
  return of(reports, 'ready')
    .filter(({ what }) => what.podName === podName)
    .map(({ at, what }) => ({
      host: hostOf(what.address),
      from: at,
      to: gone.find((end) => end.what.address === what.address && end.at >= at)?.at ?? Infinity,
    }));
}

import assert from 'node:assert/strict';
import { outsiderKnewWeb0 } from '../../../src/cli/outsider-claim.ts';
import type { Done, Report, Resolved } from '../../../src/cli/report.ts';

type Answer = readonly [askedAt: number, answeredAt: number, ...addresses: readonly string[]];

const done = (at: number, what: Done): Report => ({ at, act: 'delete', from: 'cluster', what });

/** web-0 is at .1 from 1 000 to 5 000, and at .2 from 6 000 on. */
const cluster: readonly Report[] = [
  done(1_000, { kind: 'ready', podName: 'web-0', address: '127.1.0.1:7000' }),
  done(2_000, { kind: 'ready', podName: 'web-1', address: '127.1.0.9:7000' }),
  done(5_000, { kind: 'gone', podName: 'web-0', address: '127.1.0.1:7000' }),
  done(6_000, { kind: 'ready', podName: 'web-0', address: '127.1.0.2:7000' }),
];

function claimOf(...answers: readonly Answer[]): ReturnType<typeof outsiderKnewWeb0> {
  return outsiderKnewWeb0([
    ...cluster,
    ...answers.map(([askedAt, answeredAt, ...addresses]): Report => {
      const error = addresses.length === 0 ? 'ENOTFOUND' : null;
      const what: Resolved = { kind: 'resolved', name: 'web-0', addresses, error, ttlMs: 1_000, askedAt, answeredAt };
      return { at: answeredAt, act: 'delete', from: 'outsider', what };
    }),
  ]);
}

describe('the claim of the outsider who resolves web-0', () => {
  const both: readonly Answer[] = [
    [1_500, 1_510, '127.1.0.1'],
    [6_500, 6_510, '127.1.0.2'],
  ];

  const cases: readonly (readonly [sentence: string, holds: boolean, answers: readonly Answer[]])[] = [
    ['holds when every address of web-0 was named, each at its time', true, both],
    ['holds when nothing was named between them', true, [...both, [5_500, 5_510]]],
    ['holds for an address that is older by the TTL', true, [...both, [5_999, 6_000, '127.1.0.1']]],
    ['fails for an address that is older than that', false, [...both, [6_020, 6_030, '127.1.0.1']]],
    ['holds for the older one when a question took long', true, [...both, [5_200, 5_700], [6_400, 6_410, '127.1.0.1']]],
    ['fails for an address before web-0 had it', false, [...both, [5_500, 5_510, '127.1.0.2']]],
    ["fails for another pod's address", false, [...both, [3_000, 3_010, '127.1.0.9']]],
    ['fails for a second address beside the right one', false, [...both, [3_000, 3_010, '127.1.0.1', '127.1.0.9']]],
    ['fails when an address of web-0 was never named', false, both.slice(1)],
    ['fails without an answer', false, []],
  ];
  for (const [sentence, holds, answers] of cases) {
    it(sentence, () => {
      const claim = claimOf(...answers);
      assert.equal(claim.holds, holds, claim.from);
    });
  }

  it('says what it was computed from', () => {
    assert.equal(
      claimOf(...both, [5_500, 5_510]).from,
      "3 answers, 0 wrong, 1 empty or failed; 2 of web-0's 2 addresses named",
    );
  });

  it('fails when web-0 was never there', () => {
    assert.equal(outsiderKnewWeb0([]).holds, false);
  });
});

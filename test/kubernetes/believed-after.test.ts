import assert from 'node:assert/strict';
import type { Places } from './believed-after.ts';
import { believedAfter, sinceWhen } from './believed-after.ts';
import type { Pod, Report } from './pods.ts';

const old: Places = { 'web-0': '10.0.0.1:7000' };
const now: Places = { 'web-0': '10.0.0.2:7000', 'web-1': '10.0.0.3:7000' };
// The same, in another order.
const same: Places = Object.fromEntries(Object.entries(now).reverse());

function dns(...answers: [at: number, pods: Places][]): Report[] {
  return answers.map(([at, pods]) => ({ at, kind: 'dns', pods }));
}

function pod(startedAt: number, ...beliefs: [at: number, peers: Places, primary?: string][]): Pod {
  const topologies = beliefs.map(([at, peers, primary = 'web-0']) => ({ at, kind: 'topology', peers, primary }));
  return { reports: [{ at: startedAt, kind: 'hello' }, ...topologies] as Report[] } as Pod;
}

/** The same pod, whose container was started again. */
function restarted(before: Pod, after: Pod): Pod {
  return { ...after, reports: [...before.reports, ...after.reports] };
}

/** The same pod, whose first line has not come yet. */
function unheard({ reports, ...rest }: Pod): Pod {
  return { ...rest, reports: reports.slice(1) };
}

describe('What the story on a cluster measures', () => {
  it('a state counts from when it came to stay', () => {
    assert.equal(sinceWhen(dns([1, old], [2, now], [3, same]), now, 'pods'), 2);
    assert.equal(sinceWhen(dns([1, now], [2, old], [3, now]), now, 'pods'), 3);
    assert.equal(sinceWhen(dns([1, now], [2, old]), now, 'pods'), null);
    assert.equal(sinceWhen([], now, 'pods'), null);
  });

  const cases: [name: string, pods: Pod[], expected: number | null][] = [
    ['counts from the change of DNS', [pod(0, [1, old], [107, now])], 7],
    ['is that of the last pod', [pod(0, [107, now]), pod(0, [109, now])], 9],
    ['counts from its own start, where that came later', [pod(200, [203, now])], 3],
    ['is nothing, where a pod knew before the witness', [pod(0, [99, now])], 0],
    ['is not there, while one believes something else', [pod(0, [107, now]), pod(0, [109, old])], null],
    ['is not there, while one knows no primary', [pod(0, [107, now, 'web-1'])], null],
    ['is not there, while one has said nothing', [pod(0)], null],
    ['is not there, while one has not said hello', [unheard(pod(0, [107, now]))], null],
    ['is not there, while a new process has said nothing', [restarted(pod(0, [107, now]), pod(200))], null],
  ];
  for (const [name, pods, expected] of cases) {
    it(`convergence ${name}`, () => {
      assert.equal(believedAfter(pods, dns([50, old], [100, now]), now), expected);
    });
  }
});

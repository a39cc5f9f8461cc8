import assert from 'node:assert/strict';
import type { PolicyView, PrimaryPolicy } from '../../../src/topology/primary.ts';
import { fixedPrimary, lowestOrdinal } from '../../../src/topology/primary.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { member, observer, record } from '../../support/member.ts';

const three = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' };
const twoOfThree = { 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' };

describe('10. A designation is not an election and presence is not health', () => {
  const time = fakeTime();

  it('equal topologies give equal primaries, in every pod and outside', async () => {
    for (const primary of [fixedPrimary(), lowestOrdinal({ quorum: 2 })]) {
      const all = [
        time.opened(observer({ primary })),
        time.opened(member('web-1', ['10.0.0.2'], { primary })),
        time.opened(member('web-2', ['10.0.0.3'], { primary })),
      ];
      for (const view of [three, twoOfThree, three]) {
        for (const { dns } of all) dns.views = [view];
        await time.clock.tickAsync(60_000);
        const primaries = new Set(all.map(({ peers }) => peers.topology.primary?.podName ?? null));
        assert.equal(primaries.size, 1, [...primaries].join(', '));
      }
    }
  });

  it('fixedPrimary never changes sides: while that pod is gone, nobody is the primary, and the name is still known', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [three];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = [twoOfThree];
    await time.clock.tickAsync(130_000);
    assert.deepEqual(lines.slice(2), [
      'peerRemoved web-0 (absence)',
      'primaryChanged web-0>null (absence)',
      'topologyChanged 3',
    ]);
    const { primary, designation, replicas } = peers.topology;
    assert.equal(primary, null);
    assert.equal(designation.podName, 'web-0');
    assert.match(designation.reason, /web-1.*ordinalStart/, 'a higher lowest ordinal is mentioned');
    assert.equal(replicas.length, 2);
  });

  it('lowestOrdinal passes to the next published one when a peer goes missing, and back when it is published', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2'], { primary: lowestOrdinal({ quorum: 2 }) }));
    dns.views = [three];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = [twoOfThree];
    await time.clock.tickAsync(55_000);
    assert.deepEqual(lines, [
      'presenceChanged web-0 missing (absence)',
      'primaryChanged web-0>web-1 (policy)',
      'roleChanged replica>primary (policy)',
      'topologyChanged 2',
    ]);
    dns.views = [three];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(lines.slice(4), [
      'presenceChanged web-0 published (answer)',
      'primaryChanged web-1>web-0 (policy)',
      'roleChanged primary>replica (policy)',
      'topologyChanged 3',
    ]);
  });

  it('lowestOrdinal designates nobody below its quorum, a majority of expectedPods by default, and says so', async () => {
    const { peers, dns } = time.opened(observer({ primary: lowestOrdinal(), expectedPods: 5 }));
    dns.views = [twoOfThree];
    await time.clock.tickAsync(6_000);
    assert.equal(peers.topology.designation.podName, null);
    assert.match(peers.topology.designation.reason, /2 of the 3/);
    assert.deepEqual(
      peers.topology.peers.map(({ role }) => role),
      ['unknown', 'unknown'],
    );
    dns.views = [three];
    await time.clock.tickAsync(6_000);
    assert.equal(peers.topology.primary?.podName, 'web-0');
  });

  it('lowestOrdinal designates nobody after 60 s of staleness; the peers stay as they were', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1'], { primary: lowestOrdinal({ quorum: 2 }) }));
    dns.views = [three];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = ['servfail'];
    await time.clock.tickAsync(58_000);
    assert.deepEqual(lines, ['freshnessChanged stale']);
    await time.clock.tickAsync(12_000);
    assert.deepEqual(lines.slice(1), [
      'primaryChanged web-0>null (policy)',
      'roleChanged primary>unknown (policy)',
      'topologyChanged 2',
    ]);
    assert.equal(peers.topology.peers.length, 3);
    dns.views = [three];
    await time.clock.tickAsync(11_000);
    assert.equal(peers.self.role, 'primary');
  });

  it('without roles nobody has one', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1'], { primary: false }));
    dns.views = [three];
    await time.clock.tickAsync(6_000);
    assert.equal(peers.topology.primary, null);
    assert.deepEqual(new Set(peers.topology.peers.map(({ role }) => role)), new Set(['unknown']));
    assert.equal(peers.topology.designation.podName, null);
  });

  const mistaken: readonly (readonly [string, PrimaryPolicy, RegExp])[] = [
    [
      'throws',
      () => {
        throw new Error('no idea');
      },
      /the policy threw: no idea/,
    ],
    ['names a pod of another set', () => 'db-0', /named "db-0", which is no peer/],
    ['names a pod that nobody has seen', () => 'web-7', /named "web-7", which is no peer/],
    ['gives nothing', (() => undefined) as unknown as PrimaryPolicy, /undefined|nothing/],
    ['is asynchronous', (async () => 'web-0') as unknown as PrimaryPolicy, /promise|async/i],
  ];
  for (const [what, policy, reason] of mistaken) {
    it(`a policy that ${what} designates nobody, with that reason`, async () => {
      const { peers, dns } = time.opened(observer({ primary: policy }));
      dns.views = [three];
      await time.clock.tickAsync(6_000);
      assert.equal(peers.topology.primary, null);
      assert.match(peers.topology.designation.reason, reason);
      const { findings } = await peers.explain();
      assert.equal(findings[0]?.code, 'no-primary');
    });
  }

  it('a policy sees names, presence and freshness, and no address', async () => {
    const views: PolicyView[] = [];
    const { dns } = time.opened(
      observer({
        expectedPods: 3,
        primary: (view) => {
          views.push(view);
          return { podName: 'web-1', reason: 'the middle one' };
        },
      }),
    );
    dns.views = ['servfail'];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(views, [], 'it was asked before the first complete answer');
    dns.views = [three];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(views.slice(-1), [
      {
        statefulSet: 'web',
        peers: [0, 1, 2].map((ordinal) => ({
          podName: `web-${ordinal}`,
          ordinal,
          presence: 'published',
          isSelf: false,
        })),
        freshness: 'fresh',
        staleMs: 0,
        ordinalStart: 0,
        ordinalStartGiven: false,
        expectedPods: 3,
      },
    ]);
  });

  it('a policy is asked again once a second while answers are stale', async () => {
    const stale: number[] = [];
    const { dns } = time.opened(
      observer({
        primary: ({ staleMs }) => {
          if (staleMs > 0) stale.push(staleMs);
          return null;
        },
      }),
    );
    dns.views = [three];
    await time.clock.tickAsync(6_000);
    dns.views = ['servfail'];
    await time.clock.tickAsync(60_000);
    const steps = stale.slice(1).map((ms, index) => ms - (stale[index] ?? 0));
    assert.ok(stale.length >= 50, `asked ${stale.length} times`);
    assert.ok(Math.max(...steps) <= 1_100, `a step of ${Math.max(...steps)} ms`);
  });
});

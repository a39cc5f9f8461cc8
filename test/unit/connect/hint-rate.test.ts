import assert from 'node:assert/strict';
import { createMember } from '../../../src/peer-discovery.ts';
import type { PeerDiscovery } from '../../../src/peer-discovery.ts';
import type { TestClusterOptions } from '../../../src/testing/test-cluster.ts';
import { TestCluster } from '../../../src/testing/test-cluster.ts';
import type { Peer } from '../../../src/topology/topology.ts';
import type * as HintsModule from '../../../src/watch/hints.ts';
import { fakeTime } from '../../support/fake-time.ts';

// Promise 16: "A failed connection is a question, asked at once and at a bounded rate, never one that poisons a negative
// cache." Section 5: one outstanding, at most 20 a second for the process; a name that said NXDOMAIN not again within
// its negative TTL. Storms of real connections are in test/cluster/connect-storm.test.ts.

/** The most questions that came within a second. */
function busiestSecond(times: readonly number[]): number {
  return Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + 1_000).length));
}

describe('16. A failed connection is a question: at most 20 a second for the process', () => {
  const time = fakeTime();

  async function withCluster(
    options: TestClusterOptions,
    run: (cluster: TestCluster, peers: PeerDiscovery<Peer>, times: number[]) => Promise<void>,
  ): Promise<void> {
    const cluster = await TestCluster.start({ replicas: 10, podManagementPolicy: 'Parallel', ...options });
    const times: number[] = [];
    try {
      await cluster.statefulSet.settled();
      const peers = createMember(
        { port: 'peer' },
        { environment: cluster.machineOf('web-0'), transport: cluster.transport() },
      );
      time.opened({ peers });
      await time.clock.tickAsync(30_000);
      cluster.dns.on('question', () => times.push(performance.now()));
      await run(cluster, peers, times);
    } finally {
      await cluster.close();
    }
  }
  /** Every peer is reported, again and again, at each of its addresses. */
  async function storm(peers: PeerDiscovery<Peer>, forMs: number): Promise<void> {
    for (let at = 0; at < forMs; at += 10) {
      for (const peer of peers.topology.peers) {
        for (const { address } of peer.addresses) peers.report(peer, 'unreachable', address);
      }
      await time.clock.tickAsync(10);
    }
  }
  const dual = { podCidrs: ['10.244.0.0/24', 'fd00:10:244::/112'] };
  // A round of polling once a second comes beside: one question, or SRV over UDP and again over TCP.
  const polls = 4;

  it('where SRV answers for everybody', async () => {
    await withCluster({}, async (_cluster, peers, times) => {
      await storm(peers, 3_000);
      assert.ok(times.length > 20);
      assert.ok(busiestSecond(times) <= 20 + polls, `${busiestSecond(times)} in a second`);
    });
  });

  it('where SRV needs TCP, so that each peer is asked by name', async () => {
    await withCluster({}, async (cluster, peers, times) => {
      cluster.dns.truncate({ types: 'SRV' });
      await time.clock.tickAsync(10_000);
      times.length = 0;
      await storm(peers, 3_000);
      assert.ok(times.length > 20);
      assert.ok(busiestSecond(times) <= 20 + polls, `${busiestSecond(times)} in a second`);
    });
  });

  it('where SRV needs TCP and pods have two families', async () => {
    await withCluster({ network: dual }, async (cluster, peers, times) => {
      cluster.dns.truncate({ types: 'SRV' });
      await time.clock.tickAsync(10_000);
      times.length = 0;
      await storm(peers, 3_000);
      assert.ok(busiestSecond(times) <= 20 + polls, `${busiestSecond(times)} in a second`);
    });
  });

  it('a name that said NXDOMAIN is not asked again by hints within its negative TTL', async () => {
    await withCluster({}, async (cluster, peers) => {
      const asked: { readonly name: string; readonly at: number }[] = [];
      cluster.dns.truncate({ types: 'SRV' });
      await time.clock.tickAsync(10_000);
      cluster.dns.answer('web-1', 'NXDOMAIN', { types: ['A', 'AAAA'] });
      cluster.dns.on('question', ({ name }) => asked.push({ name, at: performance.now() }));
      await storm(peers, 4_900);
      const of = (pod: string): number => asked.filter(({ name }) => name.startsWith(`${pod}.`)).length;
      assert.ok(of('web-2') > 3, 'the others are asked');
      // Once by a hint; a negative TTL is 5 s here.
      assert.equal(of('web-1'), 1);
    });
  });

  it('nor is SRV, where nobody is published', async () => {
    await withCluster({}, async (cluster, peers) => {
      const times: number[] = [];
      cluster.statefulSet.scale(0);
      cluster.dns.on('question', ({ type }) => {
        if (type === 'SRV') times.push(performance.now());
      });
      await storm(peers, 4_900);
      // The first hint says NXDOMAIN; from there on there are the polls, once a second.
      assert.ok(times.length <= 1 + 5, `${times.length} questions`);
    });
  });

  it('a storm of one process is the storm of each: a hundred of them ask a hundred times as much, and it ends', async () => {
    // Modules of their own, as processes have: what they share is the DNS server.
    const perSecond: number[] = [];
    for (let number = 0; number < 100; number += 1) {
      const source = `../../../src/watch/hints.js?process=${number}`;
      const { Hints } = (await import(source)) as typeof HintsModule;
      const hints = new Hints(1_000);
      for (let now = 0; now < 10_000; now += 10) {
        // Each of them loses its connections to the same peer, and tries again without end for 4 s.
        if (now < 4_000) hints.add(0, '10.0.0.1', now);
        if (hints.take(now, true, 1).length === 0) continue;
        const second = Math.floor(now / 1_000);
        perSecond[second] = (perSecond[second] ?? 0) + 1;
      }
    }
    // 10 a second and process for two seconds, then 4, then polling has it: 1,000 questions a second at the most.
    assert.deepEqual(perSecond, [1_000, 1_000, 300, 100]);
  });
});

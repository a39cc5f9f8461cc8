import assert from 'node:assert/strict';
import type { SrvRecord } from '../../src/dns/message.ts';
import type { PeerDiscovery } from '../../src/peer-discovery.ts';
import { createObserver } from '../../src/peer-discovery.ts';
import type { EmbeddedDns } from '../../src/testing/embedded-dns.ts';
import { TestCluster } from '../../src/testing/test-cluster.ts';
import { podEnvironment } from '../support/member.ts';

/** What the network can do to somebody who asks, and how well the topology is founded meanwhile. */
const hostilities: readonly {
  readonly what: string;
  readonly begin: (dns: EmbeddedDns) => unknown;
  readonly freshness: 'fresh' | 'stale';
}[] = [
  { what: 'nonsense behind a right header', begin: (dns) => dns.garbage('malformed'), freshness: 'stale' },
  { what: 'half an answer', begin: (dns) => dns.garbage('cut-short'), freshness: 'stale' },
  { what: 'nothing but answers to other ids', begin: (dns) => dns.garbage('wrong-id'), freshness: 'stale' },
  { what: 'forged datagrams ahead of each answer', begin: (dns) => dns.forge(), freshness: 'fresh' },
  ...['0.0.0.0', '0.1.2.3', '169.254.169.254', '224.0.0.1', '255.255.255.255'].map((address) => ({
    what: `${address}, which no pod can have`,
    begin: (dns: EmbeddedDns) =>
      dns.answer('_peer._tcp', {
        answers: ['web-0', 'web-1', 'web-2'].map((podName) => srv(podName)),
        additionals: ['web-0', 'web-1', 'web-2'].map((podName) => ({
          name: `${podName}.${zone}`,
          type: 'A',
          ttlSeconds: 5,
          address,
        })),
      }),
    // Everybody is named, so membership is known; the addresses stay as they were.
    freshness: 'fresh' as const,
  })),
];

const zone = 'nginx.default.svc.cluster.local';
const srv = (podName: string): SrvRecord => ({
  ...{ name: `_peer._tcp.${zone}`, type: 'SRV', ttlSeconds: 5 },
  ...{ priority: 0, weight: 33, port: 7_000, target: `${podName}.${zone}` },
});

describe('19. No byte sequence from the network hangs, crashes or slows the process', function () {
  this.timeout(20_000);

  let cluster: TestCluster;
  let peers: PeerDiscovery;

  beforeEach(async () => {
    cluster = await TestCluster.start({ replicas: 3, sockets: true, network: { podCidrs: ['10.244.0.0/16'] } });
    await cluster.statefulSet.settled();
    const environment = podEnvironment('writer-7d9c5b6f4-x2x9z', ['10.0.9.9'], { STATEFUL_PEERS_DNS: '10.96.0.10' });
    peers = createObserver(
      {
        ...{ statefulSet: 'web', service: 'nginx', port: 'peer' },
        refresh: { minIntervalMs: 20, maxIntervalMs: 20 },
        dns: { servers: [cluster.dnsServer], timeoutMs: 250, attempts: 1, deadlineMs: 1_000 },
      },
      { environment },
    );
    await peers.ready();
  });
  afterEach(async () => {
    await peers.close();
    await cluster.close();
  });

  for (const { what, begin, freshness } of hostilities) {
    it(`${what}: nobody moves, nobody leaves`, async () => {
      const before = peers.topology;
      begin(cluster.dns);
      cluster.dns.forgetQuestions();
      while (cluster.dns.questions() < 8) await peers.refresh();
      assert.equal(peers.topology, before);
      assert.equal(peers.freshness.state, freshness);
      cluster.dns.heal();
      await peers.refresh();
      assert.equal(peers.freshness.state, 'fresh');
    });
  }
});

import assert from 'node:assert/strict';
import type { DnsClient, Outcome } from '../../../src/dns/client.ts';
import { createDnsClient } from '../../../src/dns/client.ts';
import { createNetworkTransport } from '../../../src/dns/transport.ts';
import { memoryTransport } from '../../../src/testing/memory-transport.ts';
import { TestCluster } from '../../../src/testing/test-cluster.ts';

const question = { name: '_peer._tcp.nginx.default.svc.cluster.local', type: 'SRV' } as const;

for (const sockets of [false, true]) {
  describe(`An answer that is too large for UDP, ${sockets ? 'over sockets' : 'in memory'}`, () => {
    let cluster: TestCluster;
    let client: DnsClient;

    beforeEach(async () => {
      cluster = await TestCluster.start({ sockets, replicas: 30 });
      const [address = '', port] = cluster.dnsServer.split(':');
      client = createDnsClient({
        zone: 'cluster.local',
        servers: () => [{ address, port: Number(port) }],
        transport: sockets ? createNetworkTransport() : memoryTransport(cluster.dns),
        timeoutMs: 1_000,
        attempts: 1,
      });
    });

    afterEach(async () => {
      client.close();
      await cluster.close();
    });

    /** The outcome, and how often the server was asked for it over UDP and over TCP. */
    async function ask(): Promise<[found: number | string, udp: number, tcp: number]> {
      cluster.dns.forgetQuestions();
      const outcome = await client.ask(question, { deadline: performance.now() + 5_000 });
      const asked = (transport: 'udp' | 'tcp'): number => cluster.dns.questions({ transport });
      return [foundIn(outcome), asked('udp'), asked('tcp')];
    }

    it('is one question over the kept connection from the second time on', async () => {
      assert.deepEqual(await ask(), [30, 1, 1]);
      assert.deepEqual(await ask(), [30, 0, 1]);
      assert.deepEqual(await ask(), [30, 0, 1]);
    });

    it('is asked on a fresh connection when the kept one was closed', async () => {
      await ask();
      cluster.dns.dropTcpConnections();
      assert.deepEqual(await ask(), [30, 0, 1]);
    });

    it('is asked over UDP again when TCP is blocked after having worked, and found when it is open again', async () => {
      await ask();
      cluster.dns.blockTcp('reset');
      assert.deepEqual((await ask()).slice(0, 2), ['truncated', 1]);
      cluster.dns.heal();
      assert.deepEqual(await ask(), [30, 1, 1]);
      assert.deepEqual(await ask(), [30, 0, 1]);
    });

    it('is asked over UDP again when it fits', async () => {
      await ask();
      cluster.statefulSet.scale(3);
      await cluster.statefulSet.settled();
      assert.deepEqual(await ask(), [3, 0, 1]);
      assert.deepEqual(await ask(), [3, 1, 0]);
    });
  });
}

function foundIn(outcome: Outcome): number | string {
  if (outcome.kind === 'found') return outcome.records.length;
  return outcome.kind === 'failed' ? outcome.failure.reason : outcome.kind;
}

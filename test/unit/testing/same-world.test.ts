import assert from 'node:assert/strict';
import type { DnsClient, Outcome } from '../../../src/dns/client.ts';
import { createDnsClient } from '../../../src/dns/client.ts';
import type { QuestionType } from '../../../src/dns/message.ts';
import { createNetworkTransport } from '../../../src/dns/transport.ts';
import type { EmbeddedDns } from '../../../src/testing/embedded-dns.ts';
import { TestCluster } from '../../../src/testing/test-cluster.ts';

const service = 'nginx.default.svc.cluster.local';

describe('the same world answers over sockets and in memory', () => {
  let cluster: TestCluster;
  let clients: DnsClient[];
  beforeEach(async () => {
    cluster = await TestCluster.start({ sockets: true, replicas: 20 });
    const [address = '', port] = cluster.dnsServer.split(':');
    clients = [createNetworkTransport(), cluster.transport()].map((transport) =>
      createDnsClient({
        zone: 'cluster.local',
        servers: () => [{ address, port: Number(port) }],
        transport,
        timeoutMs: 100,
        attempts: 1,
      }),
    );
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    await cluster.close();
  });

  const rows: [what: string, type: QuestionType, name: string, start: (dns: EmbeddedDns) => unknown, seen: string][] = [
    ['an address', 'A', `web-0.${service}`, nothing, 'found 1 over udp'],
    ['no data', 'AAAA', `web-0.${service}`, nothing, 'nodata for 5 s'],
    ['no name', 'A', `web-20.${service}`, nothing, 'nxdomain for 5 s'],
    ['SRV that needs TCP', 'SRV', `_peer._tcp.${service}`, nothing, 'found 20 over tcp'],
    ['a failure', 'A', service, (dns) => dns.fail('SERVFAIL'), 'failed: servfail'],
    ['a refusal', 'A', service, (dns) => dns.fail('REFUSED'), 'failed: refused'],
    ['silence', 'A', service, (dns) => dns.silence(), 'failed: timeout'],
    ['a delay', 'A', service, (dns) => dns.delay(20), 'found 20 over udp'],
    ['a delay that is too long', 'A', service, (dns) => dns.delay(10_000), 'failed: timeout'],
    ['a spurious denial', 'A', service, (dns) => dns.spuriousNxdomain(1), 'nxdomain for 5 s'],
    ['truncation', 'A', service, (dns) => dns.truncate(), 'found 20 over tcp'],
    ['truncation without TCP', 'A', service, (dns) => [dns.truncate(), dns.blockTcp()], 'failed: truncated'],
    [
      'truncation with silent TCP',
      'A',
      service,
      (dns) => [dns.truncate(), dns.blockTcp('silence')],
      'failed: truncated',
    ],
    ['garbage', 'A', service, (dns) => dns.garbage(), 'failed: malformed'],
    [
      'an answer without its end',
      'A',
      service,
      (dns) => dns.garbage('cut-short', { transport: 'udp' }),
      'found 20 over tcp',
    ],
    ['a wrong id', 'A', service, (dns) => dns.garbage('wrong-id'), 'failed: timeout'],
    ['forgeries', 'A', service, (dns) => dns.forge(), 'found 20 over udp'],
    ['a fixed address', 'A', service, (dns) => dns.answer(service, { addresses: ['10.0.0.1'] }), 'found 1 over udp'],
  ];
  for (const [what, type, name, start, seen] of rows) {
    it(`${what}: ${seen}`, async () => {
      start(cluster.dns);
      const deadline = performance.now() + 2_000;
      const outcomes = await Promise.all(clients.map((client) => client.ask({ name, type }, { deadline })));
      assert.deepEqual(outcomes.map(text), [seen, seen]);
    });
  }
});

function nothing(): void {
  // All is well.
}

function text(outcome: Outcome): string {
  if (outcome.kind === 'found') return `found ${outcome.records.length} over ${outcome.transport}`;
  if (outcome.kind === 'failed') return `failed: ${outcome.failure.reason}`;
  return `${outcome.kind} for ${outcome.negativeTtlSeconds} s`;
}

import assert from 'node:assert/strict';
import { rcodeName } from '../../../src/dns/answer.ts';
import { decodeMessage } from '../../../src/dns/decode.ts';
import type { Message, ResourceRecord } from '../../../src/dns/message.ts';
import { ClusterHistory } from '../../../src/testing/cluster-state.ts';
import { EmbeddedDns } from '../../../src/testing/embedded-dns.ts';
import { capturedNames, readCaptured } from '../../support/captured-answers.ts';
import { capturedState, captures, lasting, lastingRecord } from '../../support/captures.ts';

// What the real CoreDNS answered once: test/containers/differential.test.ts captures it.

const contents: Readonly<Record<string, readonly string[]>> = {
  'a-of-a-pod-in-mixed-case': [
    'NOERROR AA RD OPT 1232',
    '? A web-1.nginx.default.svc.cluster.local',
    'web-1.nginx.default.svc.cluster.local 30 A 10.244.0.2',
  ],
  'a-of-a-pod': [
    'NOERROR AA RD OPT 1232',
    '? A web-1.nginx.default.svc.cluster.local',
    'web-1.nginx.default.svc.cluster.local 30 A 10.244.0.2',
  ],
  'a-of-an-external-name': [
    'NOERROR AA RD OPT 1232',
    '? A alias.default.svc.cluster.local',
    'alias.default.svc.cluster.local 30 CNAME nginx.default.svc.cluster.local',
    'nginx.default.svc.cluster.local 30 A 10.244.0.1',
    'nginx.default.svc.cluster.local 30 A 10.244.0.2',
    'nginx.default.svc.cluster.local 30 A 10.244.0.3',
  ],
  'a-of-no-pod': [
    'NXDOMAIN AA RD OPT 1232',
    '? A web-7.nginx.default.svc.cluster.local',
    '> cluster.local 30 SOA ns.dns.cluster.local hostmaster.cluster.local 0 7200 1800 86400 30',
  ],
  'a-of-the-service': [
    'NOERROR AA RD OPT 1232',
    '? A nginx.default.svc.cluster.local',
    'nginx.default.svc.cluster.local 30 A 10.244.0.1',
    'nginx.default.svc.cluster.local 30 A 10.244.0.2',
    'nginx.default.svc.cluster.local 30 A 10.244.0.3',
  ],
  'a-outside': ['REFUSED RD OPT 1232', '? A example.com'],
  'aaaa-of-a-pod': [
    'NOERROR AA RD OPT 1232',
    '? AAAA web-1.dual.default.svc.cluster.local',
    'web-1.dual.default.svc.cluster.local 30 AAAA fd00:10:244::2',
  ],
  'aaaa-of-an-ipv4-pod': [
    'NOERROR AA RD OPT 1232',
    '? AAAA web-1.nginx.default.svc.cluster.local',
    '> cluster.local 30 SOA ns.dns.cluster.local hostmaster.cluster.local 0 7200 1800 86400 30',
  ],
  badvers: ['BADVERS RD OPT 0', '? A web-1.nginx.default.svc.cluster.local'],
  'ns-of-the-zone': [
    'NOERROR AA RD OPT 1232',
    '? NS cluster.local',
    'cluster.local 30 NS ns.dns.cluster.local',
    '+ ns.dns.cluster.local 30 A 0.0.0.0',
  ],
  'ptr-of-a-pod': [
    'NOERROR AA RD OPT 1232',
    '? PTR 2.0.244.10.in-addr.arpa',
    '2.0.244.10.in-addr.arpa 30 PTR 10-244-0-2.clients.default.svc.cluster.local',
    '2.0.244.10.in-addr.arpa 30 PTR web-1.nginx.default.svc.cluster.local',
  ],
  'soa-of-the-zone': [
    'NOERROR AA RD OPT 1232',
    '? SOA cluster.local',
    'cluster.local 30 SOA ns.dns.cluster.local hostmaster.cluster.local 0 7200 1800 86400 30',
  ],
  'srv-dual-stack': [
    'NOERROR AA RD OPT 1232',
    '? SRV _peer._tcp.dual.default.svc.cluster.local',
    '_peer._tcp.dual.default.svc.cluster.local 30 SRV 0 25 7000 web-0.dual.default.svc.cluster.local',
    '_peer._tcp.dual.default.svc.cluster.local 30 SRV 0 25 7000 web-1.dual.default.svc.cluster.local',
    '+ web-0.dual.default.svc.cluster.local 30 AAAA fd00:10:244::1',
    '+ web-1.dual.default.svc.cluster.local 30 AAAA fd00:10:244::2',
    '+ web-0.dual.default.svc.cluster.local 30 A 10.244.2.1',
    '+ web-1.dual.default.svc.cluster.local 30 A 10.244.2.2',
  ],
  'srv-of-a-cluster-ip': [
    'NOERROR AA RD OPT 1232',
    '? SRV _peer._tcp.vip.default.svc.cluster.local',
    '_peer._tcp.vip.default.svc.cluster.local 30 SRV 0 50 7000 vip.default.svc.cluster.local',
    '+ vip.default.svc.cluster.local 30 A 10.96.0.7',
    '+ vip.default.svc.cluster.local 30 AAAA fd00:96::7',
  ],
  'srv-of-another-service': [
    'NOERROR AA RD OPT 1232',
    '? SRV clients.default.svc.cluster.local',
    'clients.default.svc.cluster.local 30 SRV 0 33 80 10-244-0-1.clients.default.svc.cluster.local',
    'clients.default.svc.cluster.local 30 SRV 0 33 80 10-244-0-2.clients.default.svc.cluster.local',
    'clients.default.svc.cluster.local 30 SRV 0 33 80 10-244-0-3.clients.default.svc.cluster.local',
    '+ 10-244-0-1.clients.default.svc.cluster.local 30 A 10.244.0.1',
    '+ 10-244-0-2.clients.default.svc.cluster.local 30 A 10.244.0.2',
    '+ 10-244-0-3.clients.default.svc.cluster.local 30 A 10.244.0.3',
  ],
  'srv-of-one-pod': [
    'NOERROR AA RD OPT 1232',
    '? SRV web-1.nginx.default.svc.cluster.local',
    'web-1.nginx.default.svc.cluster.local 30 SRV 0 100 7000 web-1.nginx.default.svc.cluster.local',
    '+ web-1.nginx.default.svc.cluster.local 30 A 10.244.0.2',
  ],
  'srv-of-twenty-cut-at-1232': [
    'NOERROR AA TC RD OPT 1232',
    '? SRV _peer._tcp.many.default.svc.cluster.local',
    ...listed(20),
    ...glue(2),
  ],
  'srv-of-twenty-cut-at-512': ['NOERROR AA TC RD', '? SRV _peer._tcp.many.default.svc.cluster.local', ...listed(8)],
  'srv-of-twenty-over-tcp': [
    'NOERROR AA RD OPT 1232',
    '? SRV _peer._tcp.many.default.svc.cluster.local',
    ...listed(20),
    ...glue(20),
  ],
  'srv-without-edns': [
    'NOERROR AA RD',
    '? SRV _peer._tcp.nginx.default.svc.cluster.local',
    '_peer._tcp.nginx.default.svc.cluster.local 30 SRV 0 33 7000 web-0.nginx.default.svc.cluster.local',
    '_peer._tcp.nginx.default.svc.cluster.local 30 SRV 0 33 7000 web-1.nginx.default.svc.cluster.local',
    '_peer._tcp.nginx.default.svc.cluster.local 30 SRV 0 33 7000 web-2.nginx.default.svc.cluster.local',
    '+ web-0.nginx.default.svc.cluster.local 30 A 10.244.0.1',
    '+ web-1.nginx.default.svc.cluster.local 30 A 10.244.0.2',
    '+ web-2.nginx.default.svc.cluster.local 30 A 10.244.0.3',
  ],
  'srv-without-such-a-port': [
    'NXDOMAIN AA RD OPT 1232',
    '? SRV _raft._tcp.nginx.default.svc.cluster.local',
    '> cluster.local 30 SOA ns.dns.cluster.local hostmaster.cluster.local 0 7200 1800 86400 30',
  ],
  srv: [
    'NOERROR AA RD OPT 1232',
    '? SRV _peer._tcp.nginx.default.svc.cluster.local',
    '_peer._tcp.nginx.default.svc.cluster.local 30 SRV 0 33 7000 web-0.nginx.default.svc.cluster.local',
    '_peer._tcp.nginx.default.svc.cluster.local 30 SRV 0 33 7000 web-1.nginx.default.svc.cluster.local',
    '_peer._tcp.nginx.default.svc.cluster.local 30 SRV 0 33 7000 web-2.nginx.default.svc.cluster.local',
    '+ web-0.nginx.default.svc.cluster.local 30 A 10.244.0.1',
    '+ web-1.nginx.default.svc.cluster.local 30 A 10.244.0.2',
    '+ web-2.nginx.default.svc.cluster.local 30 A 10.244.0.3',
  ],
  'txt-of-the-version': [
    'NOERROR AA RD OPT 1232',
    '? TXT dns-version.cluster.local',
    'dns-version.cluster.local 28800 TXT 1.1.0',
  ],
};

describe('captured answers of CoreDNS', () => {
  for (const name of capturedNames()) {
    const { origin, packet } = readCaptured(name);
    it(`${name} reads as it did`, () => {
      // Sets have no order: after the next capture it is another one.
      assert.deepEqual(shown(decodeMessage(packet)).sort(), contents[name]?.toSorted(), origin.join('\n'));
    });
  }

  for (const { file, query, transport } of captures) {
    it(`${file} is what the embedded DNS answers, too`, () => {
      const { packet } = readCaptured(file);
      const history = new ClusterHistory({ ...capturedState, resourceVersion: 1 });
      const dns = new EmbeddedDns(history, { ttlSeconds: 30, loadBalance: false });
      const [reply] = dns.receive(query, transport).packets;
      assert.deepEqual(reply && lasting(reply), lasting(packet));
    });
  }

  it('are all that were asked for', () => {
    assert.deepEqual([...capturedNames()].sort(), captures.map(({ file }) => file).sort());
  });
});

/** That many of the pods of a Service with twenty, as SRV has them. */
function listed(count: number): string[] {
  const zone = 'many.default.svc.cluster.local';
  return Array.from({ length: count }, (_, pod) => `_peer._tcp.${zone} 30 SRV 0 5 7000 web-${pod}.${zone}`);
}

/** The addresses of as many of them. */
function glue(count: number): string[] {
  return Array.from(
    { length: count },
    (_, pod) => `+ web-${pod}.many.default.svc.cluster.local 30 A 10.244.1.${pod + 1}`,
  );
}

/** Header, OPT and question, then a line a record; `>` stands before authority, `+` before glue. */
function shown(message: Message): string[] {
  const { questions, answers, authorities, additionals, edns } = message;
  const flags = [
    ...(message.authoritative ? ['AA'] : []),
    ...(message.truncated ? ['TC'] : []),
    ...(message.recursionDesired ? ['RD'] : []),
    ...(message.recursionAvailable ? ['RA'] : []),
  ];
  const opt = edns === null ? [] : [`OPT ${edns.udpPayloadSize}`];
  return [
    [rcodeName(message.rcode), ...flags, ...opt].join(' '),
    ...questions.map(({ type, name }) => `? ${type} ${name}`),
    ...answers.map((record) => text(record)),
    ...authorities.map((record) => `> ${text(record)}`),
    ...additionals.map((record) => `+ ${text(record)}`),
  ];
}

function text(record: ResourceRecord): string {
  const { name, ttlSeconds, type, ...rest } = lastingRecord(record);
  return [name, ttlSeconds, type, ...Object.values<number | string | readonly string[]>(rest).flat()].join(' ');
}

import { decodeMessage } from '../../src/dns/decode.ts';
import { encodeMessage } from '../../src/dns/encode.ts';
import type { Message, QuestionType, ResourceRecord } from '../../src/dns/message.ts';
import type { ClusterState, Endpoint, EndpointSlice, Port, ServiceObject } from '../../src/testing/cluster-state.ts';

// What of CoreDNS is kept in test/fixtures/dns: see differential.test.ts, which captures it anew where that is asked for,
// and test/unit/dns/captured.test.ts, which reads it.

/** One question whose answer is kept. */
export interface Capture {
  /** Name of its file. */
  readonly file: string;
  /** `SRV _peer._tcp.nginx.default.svc.cluster.local`. */
  readonly question: string;
  readonly transport: 'udp' | 'tcp';
  readonly edns: number | null;
  /** What the answer is about, in words. */
  readonly cluster: string;
  readonly query: Uint8Array;
}

const threePods = 'headless nginx with web-0 to web-2, port peer';
const manyPods = 'headless many with web-0 to web-19, port peer';
const dualPods = 'headless dual with web-0 and web-1 in both families, port peer';

/** The questions. All of them are about {@link capturedState}. */
export const captures: readonly Capture[] = [
  capture('srv', 'SRV _peer._tcp.nginx', threePods),
  capture('srv-without-edns', 'SRV _peer._tcp.nginx', threePods, { edns: null }),
  capture('srv-dual-stack', 'SRV _peer._tcp.dual', dualPods),
  capture('srv-of-twenty-cut-at-512', 'SRV _peer._tcp.many', manyPods, { edns: null }),
  capture('srv-of-twenty-cut-at-1232', 'SRV _peer._tcp.many', manyPods),
  capture('srv-of-twenty-over-tcp', 'SRV _peer._tcp.many', manyPods, { transport: 'tcp' }),
  capture('srv-of-one-pod', 'SRV web-1.nginx', threePods),
  capture('srv-of-another-service', 'SRV clients', 'headless clients for the pods of nginx, unnamed port'),
  capture('srv-of-a-cluster-ip', 'SRV _peer._tcp.vip', 'ClusterIP Service vip with both families, port peer'),
  capture('srv-without-such-a-port', 'SRV _raft._tcp.nginx', threePods),
  capture('a-of-the-service', 'A nginx', threePods),
  capture('a-of-a-pod', 'A web-1.nginx', threePods),
  capture('a-of-no-pod', 'A web-7.nginx', threePods),
  capture('aaaa-of-a-pod', 'AAAA web-1.dual', dualPods),
  capture('aaaa-of-an-ipv4-pod', 'AAAA web-1.nginx', threePods),
  capture('a-of-an-external-name', 'A alias', 'ExternalName alias for nginx, which has web-0 to web-2'),
  capture('a-of-a-pod-in-mixed-case', 'A wEB-1.nGINX', threePods),
  capture('ptr-of-a-pod', 'PTR 2.0.244.10.in-addr.arpa.', threePods),
  capture('txt-of-the-version', 'TXT dns-version.cluster.local.', 'any'),
  capture('ns-of-the-zone', 'NS cluster.local.', 'any'),
  capture('soa-of-the-zone', 'SOA cluster.local.', 'any'),
  capture('a-outside', 'A example.com.', 'any; behind the plugin is a server that refuses'),
  capture('badvers', 'A web-1.nginx', `${threePods}; the query says EDNS version 1`, { version: 1 }),
];

/** The cluster that is asked. */
export const capturedState: Omit<ClusterState, 'resourceVersion'> = (() => {
  const peer: Port = { name: 'peer', port: 7_000, protocol: 'TCP' };
  const unnamed: Port = { name: '', port: 80, protocol: 'TCP' };
  const pods = (count: number, prefix: string): Endpoint[] =>
    Array.from({ length: count }, (_, ordinal) => ({
      ...{ addresses: [`${prefix}${ordinal + 1}`], hostname: `web-${ordinal}`, targetRef: `web-${ordinal}` },
      conditions: { ready: true, serving: true, terminating: false },
    }));
  const service = (name: string, ports: readonly Port[], rest: Partial<ServiceObject> = {}): ServiceObject => ({
    ...{ name, namespace: 'default', type: 'Headless', clusterIPs: [], externalName: null, ports },
    ...rest,
  });
  const slice = (serviceName: string, ports: readonly Port[], endpoints: readonly Endpoint[]): EndpointSlice => ({
    ...{ name: `${serviceName}-v4`, namespace: 'default', serviceName, addressType: 'IPv4', ports, endpoints },
  });
  return {
    namespaces: ['default', 'kube-system'],
    services: [
      ...[service('nginx', [peer]), service('many', [peer]), service('dual', [peer]), service('clients', [unnamed])],
      service('vip', [peer], { type: 'ClusterIP', clusterIPs: ['10.96.0.7', 'fd00:96::7'] }),
      service('alias', [], { type: 'ExternalName', externalName: 'nginx.default.svc.cluster.local' }),
    ],
    endpointSlices: [
      slice('nginx', [peer], pods(3, '10.244.0.')),
      slice('many', [peer], pods(20, '10.244.1.')),
      slice('dual', [peer], pods(2, '10.244.2.')),
      { ...slice('dual', [peer], pods(2, 'fd00:10:244::')), name: 'dual-v6', addressType: 'IPv6' },
      slice(
        'clients',
        [unnamed],
        pods(3, '10.244.0.').map((pod) => ({ ...pod, hostname: null })),
      ),
    ],
  };
})();

/** Where the answer comes from, as its file tells. */
export function originOf({ question, transport, edns, cluster }: Capture, server: string): string[] {
  return [
    `${server}, plugin kubernetes with ttl 30, no cache, no loadbalance`,
    `${question} over ${transport}, ${edns === null ? 'no EDNS' : `EDNS ${edns}`}`,
    `cluster: ${cluster}`,
  ];
}

/** What an answer says, without what differs from run to run; sets have no order. */
export function lasting(packet: Uint8Array): Message {
  const { answers, authorities, additionals, ...message } = decodeMessage(packet);
  const sorted = (records: Message['answers']): Message['answers'] =>
    records
      .map((record) => lastingRecord(record))
      .map((record) => ({ record, text: JSON.stringify(record) }))
      .sort((one, other) => (one.text < other.text ? -1 : 1))
      .map(({ record }) => record);
  return { ...message, answers: sorted(answers), authorities: sorted(authorities), additionals: sorted(additionals) };
}

/** The SOA's serial is a time, and the name server's address that of a container. */
export function lastingRecord(record: ResourceRecord): ResourceRecord {
  if (record.type === 'SOA') return { ...record, serial: 0 };
  return record.type === 'A' && record.name === 'ns.dns.cluster.local' ? { ...record, address: '0.0.0.0' } : record;
}

function capture(
  file: string,
  asked: string,
  cluster: string,
  how: { readonly transport?: 'udp' | 'tcp'; readonly edns?: number | null; readonly version?: number } = {},
): Capture {
  const { transport = 'udp', edns = 1_232, version = 0 } = how;
  const [type, short = ''] = asked.split(' ');
  const name = short.endsWith('.') ? short.slice(0, -1) : `${short}.default.svc.cluster.local`;
  const query = encodeMessage({
    ...{ id: 4_711, isResponse: false, opcode: 0, authoritative: false, truncated: false, recursionDesired: true },
    ...{ recursionAvailable: false, rcode: 0, questions: [{ name, type: type as QuestionType }] },
    ...{ answers: [], authorities: [], additionals: [] },
    edns: edns === null ? null : { udpPayloadSize: edns, version },
  });
  return { file, question: `${type} ${name}`, transport, edns, cluster, query };
}

import assert from 'node:assert/strict';
import type { QuestionType, ResourceRecord } from '../../../src/dns/message.ts';
import { Rcode } from '../../../src/dns/message.ts';
import type { ClusterState, Endpoint, EndpointSlice, Port, ServiceObject } from '../../../src/testing/cluster-state.ts';
import type { ZoneAnswer, ZoneSettings } from '../../../src/testing/zone.ts';
import { answerQuestion, shuffleAddresses } from '../../../src/testing/zone.ts';

const settings: ZoneSettings = {
  clusterDomain: 'cluster.local',
  ttlSeconds: 5,
  pods: 'insecure',
  outside: 'refused',
  serverAddresses: ['10.96.0.10'],
};

const peer: Port = { name: 'peer', port: 7_000, protocol: 'TCP' };
const unnamed: Port = { name: '', port: 80, protocol: 'TCP' };

const cluster: ClusterState = {
  resourceVersion: 42,
  namespaces: ['default', 'bare'],
  services: [
    headless('nginx', [peer]),
    headless('two-ports', [peer, { name: 'web', port: 8_080, protocol: 'TCP' }]),
    headless('unnamed', [unnamed]),
    headless('portless', []),
    headless('nobody', [peer]),
    headless('dual', [peer]),
    headless('other', [peer]),
    headless('twice', [peer]),
    {
      ...headless('vip', [{ name: 'http', port: 80, protocol: 'TCP' }]),
      type: 'ClusterIP',
      clusterIPs: ['10.96.0.7', 'fd00:96::7'],
    },
    { ...headless('outside', []), type: 'ExternalName', externalName: 'db.example.com' },
    { ...headless('alias', []), type: 'ExternalName', externalName: 'nginx.default.svc.cluster.local.' },
    { ...headless('loop', []), type: 'ExternalName', externalName: 'loop.default.svc.cluster.local' },
  ],
  endpointSlices: [
    slice('nginx', [peer], [pod('web-0', '10.244.0.2'), pod('web-1', '10.244.0.3'), unready('web-2', '10.244.0.4')]),
    slice('two-ports', [peer, { name: 'web', port: 8_080, protocol: 'TCP' }], [pod('web-0', '10.244.0.2')]),
    slice('unnamed', [unnamed], [pod('web-0', '10.244.0.2')]),
    slice('portless', [], [pod('web-0', '10.244.0.2')]),
    slice('nobody', [peer], [unready('web-0', '10.244.0.2')]),
    slice('dual', [peer], [pod('web-0', '10.244.0.8')]),
    { ...slice('dual', [peer], [pod('web-0', 'fd00:10::8')]), addressType: 'IPv6' },
    slice('other', [peer], [pod(null, '10.244.0.2')]),
    { ...slice('other', [peer], [pod(null, 'fd00:10::')]), addressType: 'IPv6' },
    slice('twice', [peer], [pod('web-0', '10.244.0.5')]),
    slice('twice', [unnamed], [pod('web-0', '10.244.0.5')]),
    slice('vip', [{ name: 'http', port: 8_080, protocol: 'TCP' }], [pod('vip-0', '10.244.0.9')]),
  ],
};

describe('the zone answers as the table of CoreDNS has it', () => {
  const rows: [sentence: string, question: string, answer: string][] = [
    // Section 2.3 of the reference, row by row; names are within default.svc.cluster.local.
    ['A of a headless Service: its ready endpoints', 'A nginx', 'A 10.244.0.2, A 10.244.0.3'],
    ['no ready endpoint: no such name', 'A nobody', 'NXDOMAIN'],
    ['SRV without a ready endpoint: no such name', 'SRV _peer._tcp.nobody', 'NXDOMAIN'],
    ['only the other family exists: no data', 'AAAA nginx', 'NODATA'],
    ['both families, asked apart', 'A dual', 'A 10.244.0.8'],
    ['both families, asked apart', 'AAAA dual', 'AAAA fd00:10::8'],
    ["A of a pod's name", 'A web-1.nginx', 'A 10.244.0.3'],
    ['A of a pod that is not ready', 'A web-2.nginx', 'NXDOMAIN'],
    ['A of a pod that is not there', 'A web-9.nginx', 'NXDOMAIN'],
    ['an endpoint of a ClusterIP Service resolves all the same', 'A vip-0.vip', 'A 10.244.0.9'],
    [
      'SRV of a named port',
      'SRV _peer._tcp.nginx',
      'SRV 0 50 7000 web-0.nginx, SRV 0 50 7000 web-1.nginx + A web-0.nginx 10.244.0.2, A web-1.nginx 10.244.0.3',
    ],
    ['SRV of a port name that does not exist', 'SRV _raft._tcp.nginx', 'NXDOMAIN'],
    ['SRV of another protocol', 'SRV _peer._udp.nginx', 'NXDOMAIN'],
    ['SRV of an unnamed port', 'SRV _x._tcp.unnamed', 'NXDOMAIN'],
    [
      'SRV of the bare name has the unnamed port',
      'SRV unnamed',
      'SRV 0 100 80 web-0.unnamed + A web-0.unnamed 10.244.0.2',
    ],
    [
      'SRV of the bare name has all ports',
      'SRV two-ports',
      'SRV 0 50 7000 web-0.two-ports, SRV 0 50 8080 web-0.two-ports + A web-0.two-ports 10.244.0.2',
    ],
    ["SRV of a pod's name", 'SRV web-0.nginx', 'SRV 0 100 7000 web-0.nginx + A web-0.nginx 10.244.0.2'],
    ["SRV of a port of a pod's name: too long", 'SRV _peer._tcp.web-0.nginx', 'NXDOMAIN'],
    ['a Service without ports has addresses', 'A portless', 'A 10.244.0.2'],
    ['... but no SRV', 'SRV portless', 'NODATA'],
    [
      'SRV of a ClusterIP Service: its own name and port',
      'SRV _http._tcp.vip',
      'SRV 0 50 80 vip + A vip 10.96.0.7, AAAA vip fd00:96::7',
    ],
    ['A of a ClusterIP Service: the cluster IP', 'A vip', 'A 10.96.0.7'],
    ['SRV of an ExternalName: no data', 'SRV outside', 'NODATA'],
    ['... with a port: no such name', 'SRV _peer._tcp.outside', 'NXDOMAIN'],
    ['A of an ExternalName outside', 'A outside', 'CNAME outside db.example.com'],
    ['A of an ExternalName inside', 'A alias', 'CNAME alias nginx, A nginx 10.244.0.2, A nginx 10.244.0.3'],
    ['AAAA of an ExternalName inside that has none', 'AAAA alias', 'NODATA'],
    ['an ExternalName that points at itself', 'A loop', 'NODATA'],
    ['CNAME of an ExternalName', 'CNAME outside', 'CNAME outside db.example.com'],
    ['CNAME of anything else', 'CNAME nginx', 'NODATA'],
    ['the port filters A as well', 'A _web._tcp.two-ports', 'A 10.244.0.2'],
    ['... and underscores are optional', 'A web.tcp.two-ports', 'A 10.244.0.2'],
    ['... and a port that is not there', 'A _x._tcp.two-ports', 'NXDOMAIN'],
    [
      'both families count in the weight',
      'SRV dual',
      'SRV 0 50 7000 web-0.dual + A web-0.dual 10.244.0.8, AAAA web-0.dual fd00:10::8',
    ],
    [
      'a Service that is not the governing one names pods by their IP; a final dash gets a 0',
      'SRV other',
      'SRV 0 50 7000 10-244-0-2.other, SRV 0 50 7000 fd00-10--0.other + A 10-244-0-2.other 10.244.0.2, AAAA fd00-10--0.other fd00:10::',
    ],
    ['... and answers to that name', 'A 10-244-0-2.other', 'A 10.244.0.2'],
    ["... but not to the pod's", 'A web-0.other', 'NXDOMAIN'],
    ['a Service that does not exist', 'A nothing', 'NXDOMAIN'],
    ['the old wildcard', 'A *.nginx', 'NXDOMAIN'],
    ['another type of a name that exists', 'PTR nginx', 'NODATA'],
    ['another type of a name that does not', 'PTR nothing', 'NXDOMAIN'],
    // The rest of these was found with the real CoreDNS beside ours: test/containers/differential.test.ts.
    ['TXT of a name with an address', 'TXT web-0.nginx', 'NODATA'],
    ['TXT of a name without one', 'TXT nothing', 'NXDOMAIN'],
    ['... be it a name that exists', 'TXT default.svc.cluster.local.', 'NXDOMAIN'],
    ['... or the zone itself', 'TXT cluster.local.', 'NXDOMAIN'],
    ['SOA of anything, even of nothing', 'SOA nothing', 'NODATA'],
    // Names that are not below default.svc.cluster.local end with a dot.
    ['a namespace', 'A default.svc.cluster.local.', 'NODATA'],
    ['a namespace without a Service', 'A bare.svc.cluster.local.', 'NODATA'],
    ['no namespace', 'A nowhere.svc.cluster.local.', 'NXDOMAIN'],
    ['a Service in no namespace', 'A nginx.nowhere.svc.cluster.local.', 'NXDOMAIN'],
    ['a Service of another namespace', 'A nginx.bare.svc.cluster.local.', 'NXDOMAIN'],
    ['svc', 'A svc.cluster.local.', 'NODATA'],
    ['the zone', 'A cluster.local.', 'NODATA'],
    ['something else in the zone', 'A web-0.cluster.local.', 'NXDOMAIN'],
    ['a dashed IP under pod', 'A 10-1-2-3.default.pod.cluster.local.', 'A 10.1.2.3'],
    ['... of IPv6', 'AAAA fd00--7.default.pod.cluster.local.', 'AAAA fd00::7'],
    [
      '... has an SRV record, with port 0',
      'SRV 10-1-2-3.default.pod.cluster.local.',
      'SRV 0 100 0 10-1-2-3.default.pod.cluster.local + A 10-1-2-3.default.pod.cluster.local 10.1.2.3',
    ],
    ['... that is none', 'A 10-1-2.default.pod.cluster.local.', 'NXDOMAIN'],
    ['the schema', 'TXT dns-version.cluster.local.', 'TXT 1.1.0'],
    ['the name server', 'NS cluster.local.', 'NS ns.dns.cluster.local + A ns.dns.cluster.local 10.96.0.10'],
    ['... and its address', 'A ns.dns.cluster.local.', 'A 10.96.0.10'],
    ['... of which there is no SRV record', 'SRV ns.dns.cluster.local.', 'NODATA'],
    ['... and, for these types, not the name', 'TXT ns.dns.cluster.local.', 'NXDOMAIN'],
    ['... and, for these types, not the name', 'PTR ns.dns.cluster.local.', 'NXDOMAIN'],
    ['SOA of the zone', 'SOA cluster.local.', 'SOA 42 5'],
    ['SOA of a reverse zone', 'SOA in-addr.arpa.', 'SOA 42 5'],
    ['... of any name in it', 'SOA 9.9.9.10.in-addr.arpa.', 'NODATA'],
    ['... which has a name server, too', 'NS ip6.arpa.', 'NS ns.dns.ip6.arpa + A ns.dns.ip6.arpa 10.96.0.10'],
    ['... and no addresses', 'A in-addr.arpa.', 'NODATA'],
    ['... and no pods', 'A nginx.default.svc.in-addr.arpa.', 'REFUSED'],
    ['PTR of a pod: one for each Service', 'PTR 3.0.244.10.in-addr.arpa.', 'PTR web-1.nginx'],
    ['PTR of a cluster IP', 'PTR 7.0.96.10.in-addr.arpa.', 'PTR vip'],
    ['PTR of an endpoint in two slices: once', 'PTR 5.0.244.10.in-addr.arpa.', 'PTR web-0.twice'],
    ['PTR of a pod that is not ready', 'PTR 4.0.244.10.in-addr.arpa.', 'REFUSED'],
    [
      'PTR of an IPv6 address',
      'PTR 8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.d.f.ip6.arpa.',
      'PTR web-0.dual',
    ],
    ['a name outside', 'A example.com.', 'REFUSED'],
    ['a name that only ends like the zone', 'A mycluster.local.', 'REFUSED'],
  ];
  for (const [sentence, question, expected] of rows) {
    it(`${question.padEnd(30)} ${sentence}`, () => {
      assert.equal(shown(ask(question)), expected);
    });
  }

  it('gives every Service that selects a pod in PTR', () => {
    assert.equal(
      shown(ask('PTR 2.0.244.10.in-addr.arpa.')),
      'PTR web-0.nginx, PTR web-0.two-ports, PTR web-0.unnamed, PTR web-0.portless, PTR 10-244-0-2.other',
    );
  });

  it('denies with the SOA of the zone, whose minimum is the TTL, and with authority', () => {
    for (const question of ['A nobody', 'AAAA nginx']) {
      const { authorities, authoritative, recursionAvailable } = ask(question, { ttlSeconds: 30 });
      assert.deepEqual(authorities, [
        {
          name: 'cluster.local',
          ttlSeconds: 30,
          type: 'SOA',
          mname: 'ns.dns.cluster.local',
          rname: 'hostmaster.cluster.local',
          serial: 42,
          refresh: 7_200,
          retry: 1_800,
          expire: 86_400,
          minimumSeconds: 30,
        },
      ]);
      assert.deepEqual([authoritative, recursionAvailable], [true, false]);
    }
    const [soa] = ask('A nobody', { ttlSeconds: 3_600 }).authorities;
    assert.equal(soa?.ttlSeconds, 300, 'the SOA itself lives 300 s at most');
  });

  it('gives every record the TTL of the settings, but dns-version', () => {
    const { answers, additionals } = ask('SRV nginx', { ttlSeconds: 30 });
    assert.deepEqual(new Set([...answers, ...additionals].map(({ ttlSeconds }) => ttlSeconds)), new Set([30]));
    assert.equal(ask('TXT dns-version.cluster.local.').answers[0]?.ttlSeconds, 28_800);
  });

  it('says of names outside what the root says, where it forwards', () => {
    for (const question of ['A example.com.', 'PTR 9.9.9.10.in-addr.arpa.']) {
      const answer = ask(question, { outside: 'forwarded' });
      assert.equal(answer.rcode, Rcode.NXDOMAIN);
      assert.equal(answer.authoritative, false);
      assert.equal(answer.authorities[0]?.name, '');
    }
  });

  it('knows no pod names where they are disabled', () => {
    assert.equal(shown(ask('A 10-1-2-3.default.pod.cluster.local.', { pods: 'disabled' })), 'NXDOMAIN');
  });

  it('gives each of n SRV records the weight floor(100 / n), at least 1', () => {
    const weights: [n: number, weight: number][] = [
      [1, 100],
      [3, 33],
      [6, 16],
      [7, 14],
      [100, 1],
      [101, 1],
      [500, 1],
    ];
    for (const [n, weight] of weights) {
      const endpoints = Array.from({ length: n }, (_, i) => pod(`web-${i}`, `10.0.${i >> 8}.${i & 255}`));
      const state = { ...cluster, endpointSlices: [slice('nginx', [peer], endpoints)] };
      const { answers } = answerQuestion(state, { name: 'nginx.default.svc.cluster.local', type: 'SRV' }, settings);
      assert.deepEqual(
        new Set(answers.map((record) => record.type === 'SRV' && record.weight)),
        new Set([weight]),
        `${n}`,
      );
    }
  });

  it('shuffles addresses by chance, and leaves SRV in order', () => {
    const endpoints = Array.from({ length: 4 }, (_, i) => pod(`web-${i}`, `10.0.0.${i}`));
    const state = { ...cluster, endpointSlices: [slice('nginx', [peer], endpoints)] };
    const name = 'nginx.default.svc.cluster.local';
    const srv = answerQuestion(state, { name, type: 'SRV' }, settings);
    const last = shuffleAddresses(srv, () => 0.999);
    assert.deepEqual(last.answers, srv.answers);
    assert.deepEqual(last.additionals.map(addressOf), ['10.0.0.3', '10.0.0.0', '10.0.0.1', '10.0.0.2']);
    assert.deepEqual(shuffleAddresses(srv, () => 0).additionals, srv.additionals);
  });
});

function ask(question: string, changes: Partial<ZoneSettings> = {}): ZoneAnswer {
  const [type = '', name = ''] = question.split(' ');
  const fqdn = name.endsWith('.') ? name.slice(0, -1) : `${name}.default.svc.cluster.local`;
  return answerQuestion(cluster, { name: fqdn, type: type as QuestionType }, { ...settings, ...changes });
}

/** The answer on one line; owners are left out where they are the question's, and the namespace always. */
function shown(answer: ZoneAnswer): string {
  if (answer.rcode === Rcode.NXDOMAIN) return 'NXDOMAIN';
  if (answer.rcode === Rcode.REFUSED) return 'REFUSED';
  if (answer.answers.length === 0) return 'NODATA';
  const isChain = answer.answers.some(({ type }) => type === 'CNAME');
  const answers = answer.answers.map((record) => text(record, isChain)).join(', ');
  const glue = answer.additionals.map((record) => text(record, true)).join(', ');
  return glue === '' ? answers : `${answers} + ${glue}`;
}

function text(record: ResourceRecord, withOwner: boolean): string {
  const owner = withOwner ? `${short(record.name)} ` : '';
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return `${record.type} ${owner}${record.address}`;
    case 'SRV':
      return `SRV ${record.priority} ${record.weight} ${record.port} ${short(record.target)}`;
    case 'TXT':
      return `TXT ${record.strings.join(' ')}`;
    case 'SOA':
      return `SOA ${record.serial} ${record.minimumSeconds}`;
    case 'other':
      return 'other';
    default:
      return `${record.type} ${owner}${short(record.target)}`;
  }
}

function short(name: string): string {
  return name.replace(/\.default\.svc\.cluster\.local$/, '');
}

function addressOf(record: ResourceRecord): string {
  return record.type === 'A' || record.type === 'AAAA' ? record.address : '';
}

function headless(name: string, ports: readonly Port[]): ServiceObject {
  return { name, namespace: 'default', type: 'Headless', clusterIPs: [], externalName: null, ports };
}

function slice(serviceName: string, ports: readonly Port[], endpoints: readonly Endpoint[]): EndpointSlice {
  return { name: `${serviceName}-0`, namespace: 'default', serviceName, addressType: 'IPv4', ports, endpoints };
}

function pod(hostname: string | null, address: string): Endpoint {
  const conditions = { ready: true, serving: true, terminating: false };
  return { addresses: [address], hostname, conditions, targetRef: hostname };
}

function unready(hostname: string, address: string): Endpoint {
  return { ...pod(hostname, address), conditions: { ready: false, serving: false, terminating: false } };
}

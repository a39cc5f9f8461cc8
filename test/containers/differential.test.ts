import assert from 'node:assert/strict';
import { decodeMessage } from '../../src/dns/decode.ts';
import { encodeMessage } from '../../src/dns/encode.ts';
import type { Message } from '../../src/dns/message.ts';
import { typeCodes } from '../../src/dns/record-type.ts';
import type { DnsTransport } from '../../src/dns/transport.ts';
import { createNetworkTransport } from '../../src/dns/transport.ts';
import type { ClusterState, EndpointSlice } from '../../src/testing/cluster-state.ts';
import { ClusterHistory } from '../../src/testing/cluster-state.ts';
import { EmbeddedDns } from '../../src/testing/embedded-dns.ts';
import { seededRandom } from '../../src/testing/seeded-random.ts';
import { keepCaptured, readCaptured } from '../support/captured-answers.ts';
import { captures, capturedState, lasting, originOf } from '../support/captures.ts';
import { KubernetesApi } from '../support/kubernetes-api.ts';
import type { Case } from './differential-compare.ts';
import { Tally, differenceOf } from './differential-compare.ts';
import { Chance, mixedCase, randomName, randomState, zone } from './differential-states.ts';
import type { Close } from './support/closing.ts';
import { closeAll } from './support/closing.ts';
import { CoreDns, serverBlock } from './support/core-dns.ts';
import { ContainerNetwork } from './support/pod-network.ts';
import { containerRuntime, images, leaveRuntime } from './support/runtime.ts';

// The embedded DNS against the real CoreDNS: the same random clusters, the same random questions, the same answers.
// DIFFERENTIAL_SEED=… repeats a run, DIFFERENTIAL_STATES=… makes a longer one.

const seed = Number(process.env['DIFFERENTIAL_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const states = Number(process.env['DIFFERENTIAL_STATES'] ?? 80);
const questionsEach = 50;
/** UPDATE_CAPTURES=1 captures the answers in test/fixtures/dns anew. */
const isUpdate = process.env['UPDATE_CAPTURES'] === '1';

describe('the embedded DNS answers as CoreDNS does', function () {
  this.timeout(120_000);
  this.slow(60_000);

  const random = seededRandom(seed);
  const history = new ClusterHistory(marked(randomState(random, 1), 1));
  const closers: Close[] = [];
  let address = '';
  let transport: DnsTransport;

  before(async function () {
    const runtime = await containerRuntime();
    if (runtime === null) return this.skip();
    const network = await ContainerNetwork.create(runtime);
    closers.push(() => network.close());
    address = network.address(10);
    const api = await KubernetesApi.listen(history, { host: '0.0.0.0' });
    closers.push(() => api.close());
    const server = await CoreDns.start({ runtime, network, address, corefile: corefile(api.port) });
    closers.push(() => server.close());
  });

  beforeEach(() => {
    transport = createNetworkTransport();
  });

  afterEach(() => {
    transport.close();
  });

  after(async () => {
    await closeAll(closers).finally(leaveRuntime);
  });

  it(`to ${states * questionsEach} random questions about ${states} random clusters (seed ${seed})`, async () => {
    const differences: string[] = [];
    const seen = new Tally();
    for (let version = 1; version <= states; version += 1) {
      if (version > 1) history.record(marked(randomState(random, version), version));
      const state = history.current;
      await Promise.all(
        [ports.inOrder, ports.loadBalanced].map((port) => shows(transport, { address, port }, version)),
      );
      const cases = Array.from({ length: questionsEach }, () => randomCase(random, state));
      await Promise.all(
        cases.map(async (one) => {
          const port = one.loadBalance ? ports.loadBalanced : ports.inOrder;
          const theirs = await exchange(transport, { address, port }, one);
          seen.add(one, theirs);
          const difference = differenceOf(one, theirs, state, { ttlSeconds, serverAddresses: [address] });
          if (difference !== null) differences.push(difference);
        }),
      );
    }
    assert.equal(
      differences.length,
      0,
      `${differences.length} answers differ, among them\n${differences.slice(0, 5).join('\n')}`,
    );
    seen.assertAtLeast({
      ...{ found: 0.15, 'no data': 0.1, NXDOMAIN: 0.1, REFUSED: 0.003, 'over tcp': 0.25, truncated: 0.005 },
      ...{ 'found type 1': 0.03, 'found type 28': 0.008, 'found type 33': 0.03, 'found type 12': 0.003 },
    });
  });

  it('as it did when its answers were captured', async () => {
    const version = states + 1;
    history.record(marked({ ...capturedState, resourceVersion: version }, version));
    const server = { address, port: ports.inOrder };
    await shows(transport, server, version);
    for (const one of captures) {
      const packet = await exchange(transport, server, one);
      if (isUpdate) keepCaptured(one.file, { origin: originOf(one, images.coreDns), packet });
      const { packet: kept } = readCaptured(one.file);
      assert.deepEqual(lasting(packet), lasting(kept), `${one.file}: ${one.question}`);
    }
  });

  it('out of its cache, too, where TTLs grow shorter and old answers stay', async () => {
    const server = { address, port: ports.cached };
    const dns = new EmbeddedDns(history, { ttlSeconds, loadBalance: false, replicas: [{ cache: cacheSettings }] });
    const questions = captures.filter(({ question, edns }) => question.endsWith(cachedZone) && edns === 1_232);
    assert.ok(questions.length > 5, `${questions.length} questions`);
    /** How long ago the answers were put into the cache, by their TTLs; seconds. */
    const bothAnswer = async (): Promise<number[]> => {
      const ages = questions.map(async (one) => {
        const theirs = await exchange(transport, server, one);
        const [ours = new Uint8Array()] = dns.receive(one.query, one.transport).packets;
        assert.deepEqual(withoutTtls(ours), withoutTtls(theirs), `${one.file}: ${one.question}`);
        const [our, their] = [agesOf(ours), agesOf(theirs)];
        const isNear = our.every((age, index) => Math.abs(age - (their[index] ?? NaN)) <= 1);
        assert.ok(isNear, `${one.file}: for ${String(our)} s, and theirs for ${String(their)} s`);
        return [...our, ...their];
      });
      return (await Promise.all(ages)).flat();
    };
    const version = states + 2;
    history.record(marked({ ...capturedState, resourceVersion: version }, version));
    await shows(transport, server, version);
    const since = performance.now();
    const passed = (): number => Math.ceil((performance.now() - since) / 1_000);
    // Both count whole seconds, from when they were asked first.
    const isWithin = (ages: readonly number[], from: number): void =>
      assert.ok(
        ages.every((age) => age >= from && age <= passed()),
        `in the cache for ${String(ages)} s; it should be ${from} to ${passed()} s`,
      );
    isWithin(await bothAnswer(), 0);
    // Nobody is there any more.
    history.record(marked({ ...capturedState, resourceVersion: version, endpointSlices: [] }, version + 1));
    await shows(transport, server, version + 1);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    isWithin(await bothAnswer(), 1);
  });
});

const ports = { inOrder: 53, loadBalanced: 54, cached: 55 } as const;
const ttlSeconds = 30;
const cacheSettings = { successSeconds: 20, denialSeconds: 6 };
/** The markers, which are elsewhere, must not be kept. */
const cachedZone = `default.svc.${zone}`;

/** What it says, but for how long. */
function withoutTtls(packet: Uint8Array): object {
  const { answers, authorities, additionals, ...rest } = lasting(packet);
  const sections = [answers, authorities, additionals];
  return { ...rest, sections: sections.map((records) => records.map((record) => ({ ...record, ttlSeconds: 0 }))) };
}

/** How much shorter the TTLs of its records are than the cache makes them. */
function agesOf(packet: Uint8Array): number[] {
  const { answers, authorities } = decodeMessage(packet);
  const whole = answers.length > 0 ? cacheSettings.successSeconds : cacheSettings.denialSeconds;
  return [...answers, ...authorities].map(({ ttlSeconds: left }) => whole - left);
}

/** Outside the zone, and for reverse names of nobody, REFUSED: that is a cluster without an upstream resolver. */
function corefile(apiPort: number): string {
  const { successSeconds, denialSeconds } = cacheSettings;
  const cache = `cache ${cachedZone} {\n success 9984 ${successSeconds}\n denial 9984 ${denialSeconds}\n }`;
  const cluster = { apiPort, options: ['pods insecure', `ttl ${ttlSeconds}`] };
  const block = (port: number, ...plugins: readonly string[]): string =>
    serverBlock([...plugins, 'forward . 127.0.0.1:5300'], { port, cluster });
  return [
    ...[block(ports.inOrder), block(ports.loadBalanced, 'loadbalance'), block(ports.cached, cache)],
    serverBlock(['acl {\n block\n }'], { port: 5_300 }),
  ].join('');
}

/** The state, with a namespace, a Service and an endpoint that tell its version: each comes over a watch of its own. */
function marked(state: ClusterState, version: number): ClusterState {
  const marker = {
    namespace: 'kube-system',
    externalName: null,
    ports: [{ name: '', port: 1, protocol: 'TCP' }],
  } as const;
  const endpoint = {
    ...{ addresses: [markerAddress(version)], hostname: null, targetRef: null },
    conditions: { ready: true, serving: true, terminating: false },
  };
  const slice: EndpointSlice = {
    ...{ name: 'marker-pods', namespace: 'kube-system', serviceName: 'marker-pods', addressType: 'IPv4' },
    ...{ ports: marker.ports, endpoints: [endpoint] },
  };
  return {
    ...state,
    namespaces: [...state.namespaces, `v${version}`],
    services: [
      ...state.services,
      { ...marker, name: 'marker-pods', type: 'Headless', clusterIPs: [] },
      { ...marker, name: 'marker', type: 'ClusterIP', clusterIPs: [markerAddress(version)] },
    ],
    endpointSlices: [...state.endpointSlices, slice],
  };
}

function markerAddress(version: number): string {
  return `10.255.${version >> 8}.${version & 0xff}`;
}

/** Waits until CoreDNS shows that version of everything. */
async function shows(transport: DnsTransport, server: Server, version: number): Promise<void> {
  const asks = async (name: string): Promise<Message> =>
    decodeMessage(await exchange(transport, server, caseOf({ name, type: typeCodes.A, transport: 'udp', edns: null })));
  const isThere = async (name: string): Promise<boolean> =>
    (await asks(name)).answers.some((record) => record.type === 'A' && record.address === markerAddress(version));
  for (const late = performance.now() + 5_000; ;) {
    const seen = await Promise.all([
      asks(`v${version}.svc.${zone}`).then(({ rcode }) => rcode === 0),
      isThere(`marker.kube-system.svc.${zone}`),
      isThere(`marker-pods.kube-system.svc.${zone}`),
    ]);
    if (seen.every(Boolean)) return;
    assert.ok(performance.now() < late, `CoreDNS has not seen version ${version}: ${String(seen)}`);
  }
}

type Server = Parameters<DnsTransport['udp']>[0];

function randomCase(random: () => number, state: ClusterState): Case {
  const chance = new Chance(random);
  const plain = randomName(random, state);
  const type = chance.weighted<number>([
    [6, typeCodes.A],
    [4, typeCodes.AAAA],
    [9, typeCodes.SRV],
    [2, typeCodes.PTR],
    ...[typeCodes.TXT, typeCodes.NS, typeCodes.SOA, typeCodes.CNAME, any, mx, https].map((one) => [1, one] as const),
  ]);
  const own = [
    ...(plain.endsWith('.arpa') ? [typeCodes.PTR] : []),
    ...(plain.startsWith('dns-version') ? [typeCodes.TXT] : []),
    ...(plain.startsWith('_') ? [typeCodes.SRV] : []),
    type,
  ];
  const sizes = {
    transport: chance.one(['udp', 'udp', 'tcp'] as const),
    edns: chance.one([null, 512, 1_232, 4_096, 100]),
  };
  // See `normalised` for what CoreDNS does with case.
  const isMixed = chance.is(0.1) && plain !== zone && !plain.startsWith('ns.dns.');
  return caseOf({
    ...{ name: isMixed ? mixedCase(random, plain) : plain, type: chance.is(0.7) ? (own[0] ?? type) : type },
    ...(isMixed ? { transport: 'tcp', edns: null } : sizes),
    loadBalance: chance.is(0.4),
    recursionDesired: chance.is(0.8),
  });
}

const [any, mx, https] = [255, 15, 65];

function caseOf(
  one: Omit<Case, 'query' | 'loadBalance'> & { readonly loadBalance?: boolean; readonly recursionDesired?: boolean },
): Case {
  const { name, type, edns, loadBalance = false, recursionDesired = true } = one;
  const message: Message = {
    ...{ id: Math.floor(Math.random() * 0x1_0000), isResponse: false, opcode: 0, rcode: 0 },
    ...{ authoritative: false, truncated: false, recursionDesired, recursionAvailable: false },
    ...{ questions: [{ name, type }], answers: [], authorities: [], additionals: [] },
    edns: edns === null ? null : { udpPayloadSize: edns, version: 0 },
  };
  return { ...one, loadBalance, query: encodeMessage(message) };
}

async function exchange(
  transport: DnsTransport,
  server: Server,
  { transport: over, query }: Pick<Case, 'transport' | 'query'>,
): Promise<Uint8Array> {
  const accept = (packet: Uint8Array): Uint8Array | undefined =>
    packet[0] === query[0] && packet[1] === query[1] ? packet : undefined;
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(new Error('no answer within 5 s')), 5_000);
  try {
    return await transport[over](server, query, accept, giveUp.signal);
  } finally {
    clearTimeout(timer);
  }
}

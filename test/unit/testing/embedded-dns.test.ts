import assert from 'node:assert/strict';
import { install } from '@sinonjs/fake-timers';
import type { Clock } from '@sinonjs/fake-timers';
import { decodeEnvelope, decodeMessage } from '../../../src/dns/decode.ts';
import { encodeMessage, encodeQuery } from '../../../src/dns/encode.ts';
import type { Message, QuestionType } from '../../../src/dns/message.ts';
import { MalformedMessageError, Rcode } from '../../../src/dns/message.ts';
import type { ClusterState } from '../../../src/testing/cluster-state.ts';
import { ClusterHistory } from '../../../src/testing/cluster-state.ts';
import type { Fault, SeenQuestion } from '../../../src/testing/dns-faults.ts';
import type { EmbeddedDnsOptions } from '../../../src/testing/embedded-dns.ts';
import { EmbeddedDns } from '../../../src/testing/embedded-dns.ts';

const web0 = 'web-0.nginx.default.svc.cluster.local';
const service = 'nginx.default.svc.cluster.local';
const srvName = `_peer._tcp.${service}`;

describe('the embedded DNS', () => {
  let clock: Clock;
  beforeEach(() => {
    clock = install();
  });
  afterEach(() => {
    clock.uninstall();
  });

  describe('cuts answers where CoreDNS does', () => {
    const limits: [bytes: number, transport: 'udp' | 'tcp', udpPayloadSize: number | null, srv: number, a: number][] = [
      [512, 'udp', null, 6, 28],
      [1_232, 'udp', 1_232, 15, 73],
      [65_535, 'tcp', null, 817, 4_092],
    ];
    for (const [bytes, transport, udpPayloadSize, srv, a] of limits) {
      for (const [type, name, most] of [
        ['SRV', srvName, srv],
        ['A', service, a],
      ] as const) {
        it(`${bytes} bytes over ${transport} carry ${type} of ${most} pods without TC, and no more`, () => {
          for (const [pods, truncated] of [
            [most, false],
            [most + 1, true],
          ] as const) {
            const dns = new EmbeddedDns(new ClusterHistory(cluster(pods)));
            const { packets } = dns.receive(encodeQuery(query(type, name, udpPayloadSize)), transport);
            const [packet] = packets;
            assert(packet !== undefined && packet.length <= bytes);
            assert.equal(decodeMessage(packet).truncated, truncated, `${pods} pods`);
          }
        });
      }
    }

    const most: [bytes: number, transport: 'udp' | 'tcp', udpPayloadSize: number | null, srv: number][] = [
      [512, 'udp', null, 7],
      [1_232, 'udp', 1_232, 20],
      [65_535, 'tcp', null, 1_109],
    ];
    for (const [bytes, transport, udpPayloadSize, srv] of most) {
      it(`${bytes} bytes over ${transport} carry ${srv} SRV records at most, glue goes first`, () => {
        const dns = new EmbeddedDns(new ClusterHistory(cluster(srv + 200)));
        const answer = ask(dns, 'SRV', srvName, { transport, udpPayloadSize });
        assert.deepEqual([answer?.answers.length, answer?.additionals.length, answer?.truncated], [srv, 0, true]);
      });
    }
  });

  it('answers with AA, without RA, with the id and question that were asked', () => {
    const { dns } = setUp();
    const answer = ask(dns, 'A', web0);
    assert(answer !== null);
    assert.deepEqual(
      [answer.isResponse, answer.authoritative, answer.recursionAvailable, answer.recursionDesired, answer.id],
      [true, true, false, true, 4711],
    );
    assert.deepEqual(answer.questions, [{ name: web0, type: 'A' }]);
  });

  it('sends OPT to those who sent one, as they sent it', () => {
    const { dns } = setUp();
    assert.equal(ask(dns, 'A', web0)?.edns, null);
    for (const transport of ['udp', 'tcp'] as const) {
      for (const udpPayloadSize of [100, 1_232]) {
        assert.deepEqual(ask(dns, 'A', web0, { transport, udpPayloadSize })?.edns, { udpPayloadSize, version: 0 });
      }
    }
  });

  it('leaves addresses in order where no loadbalance stands in the Corefile', () => {
    const orders = (options: EmbeddedDnsOptions): number => {
      const dns = new EmbeddedDns(new ClusterHistory(cluster(5)), options);
      return new Set(Array.from({ length: 20 }, () => look(dns, 'A', service))).size;
    };
    assert.equal(orders({ loadBalance: false }), 1);
    assert.ok(orders({ seed: 1 }) > 1);
  });

  it('gives the question back as it was written', () => {
    const { dns } = setUp();
    const asked = Buffer.from(encodeQuery(query('A', web0)));
    asked.write('WeB-0', 13);
    const [answer] = dns.receive(asked, 'udp').packets;
    assert(answer !== undefined);
    assert.equal(Buffer.from(answer).toString('latin1', 13, 18), 'WeB-0');
    assert.deepEqual(addressesIn(decodeMessage(answer)), ['10.0.0.1']);
  });

  describe('says to what is no question', () => {
    const valid = decodeMessage(encodeQuery(query('A', web0)));
    const rows: [what: string, query: Uint8Array, rcode: number | null][] = [
      ['nothing to a response', encodeMessage({ ...valid, isResponse: true }), null],
      ['nothing to a few bytes', Uint8Array.of(1, 2, 3), null],
      ['FORMERR to bytes that are no message', encodeMessage(valid).subarray(0, 20), Rcode.FORMERR],
      [
        'FORMERR to two questions',
        encodeMessage({ ...valid, questions: [...valid.questions, ...valid.questions] }),
        Rcode.FORMERR,
      ],
      ['NOTIMP to another opcode', encodeMessage({ ...valid, opcode: 5 }), Rcode.NOTIMP],
      [
        'BADVERS to another version of EDNS',
        encodeMessage({ ...valid, edns: { udpPayloadSize: 1_232, version: 1 } }),
        Rcode.BADVERS,
      ],
    ];
    for (const [what, bytes, rcode] of rows) {
      it(what, () => {
        const { packets } = setUp().dns.receive(bytes, 'udp');
        assert.deepEqual(
          packets.map(decodeMessage).map((message) => message.rcode),
          rcode === null ? [] : [rcode],
        );
      });
    }
  });

  describe('does wrong what it is told to, until that ends', () => {
    const rows: [verb: string, (dns: EmbeddedDns) => Fault, seen: string][] = [
      ['fail', (dns) => dns.fail('SERVFAIL'), 'SERVFAIL'],
      ['fail', (dns) => dns.fail('REFUSED'), 'REFUSED'],
      ['silence', (dns) => dns.silence(), 'nothing'],
      ['delay', (dns) => dns.delay(300), 'A 10.0.0.1 after 300 ms'],
      ['spuriousNxdomain', (dns) => dns.spuriousNxdomain(1), 'NXDOMAIN'],
      ['truncate', (dns) => dns.truncate(), 'TC'],
      ['truncate, something left', (dns) => dns.truncate({ answersKept: 1 }), 'TC A 10.0.0.1'],
      ['garbage', (dns) => dns.garbage(), 'malformed'],
      ['garbage, cut short', (dns) => dns.garbage('cut-short'), 'malformed, cut short'],
      ['garbage, wrong id', (dns) => dns.garbage('wrong-id'), 'another id'],
      ['answer, NXDOMAIN', (dns) => dns.answer('web-0', 'NXDOMAIN'), 'NXDOMAIN'],
      ['answer, NODATA', (dns) => dns.answer('web-0', 'NODATA'), 'NODATA'],
      ['answer, addresses', (dns) => dns.answer('web-0', { addresses: ['10.9.9.9', 'fd00::9'] }), 'A 10.9.9.9'],
      ['answer, addresses of another family', (dns) => dns.answer('web-0', { addresses: ['fd00::9'] }), 'NODATA'],
      [
        'answer, records',
        (dns) => dns.answer(web0, { answers: [{ name: web0, type: 'A', ttlSeconds: 1, address: '10.9.9.9' }] }),
        'A 10.9.9.9',
      ],
    ];
    for (const [verb, start, seen] of rows) {
      it(verb, () => {
        const { dns } = setUp();
        const fault = start(dns);
        assert.equal(look(dns), seen);
        fault.end();
        assert.equal(look(dns), 'A 10.0.0.1');
      });
    }

    it('sends forgeries ahead of the answer, none of which has its id and its question', () => {
      const { dns } = setUp();
      dns.forge();
      const packets = dns.receive(encodeQuery(query('A', web0)), 'udp').packets.map(decodeMessage);
      assert(packets.length >= 4);
      const isGenuine = ({ id, questions }: Message): boolean => id === 4711 && questions[0]?.name === web0;
      assert.deepEqual(
        packets.map(isGenuine),
        packets.map((_, index) => index === packets.length - 1),
      );
    });

    it('ends with `using`, all together with heal(), and the newest goes first', () => {
      const { dns } = setUp();
      dns.fail('SERVFAIL');
      const newer = dns.fail('REFUSED');
      assert.equal(look(dns), 'REFUSED');
      newer[Symbol.dispose]();
      assert.equal(look(dns), 'SERVFAIL');
      dns.heal();
      assert.equal(look(dns), 'A 10.0.0.1');
    });

    it('adds delays up', () => {
      const { dns } = setUp();
      dns.delay(100);
      dns.delay(200);
      assert.equal(look(dns), 'A 10.0.0.1 after 300 ms');
    });

    it('denies only what exists', () => {
      const { dns } = setUp();
      dns.spuriousNxdomain(1);
      dns.fail('SERVFAIL', { names: 'web-9' });
      assert.equal(look(dns, 'AAAA'), 'NODATA');
      assert.equal(look(dns, 'A', `web-9.${service}`), 'SERVFAIL');
    });

    it('does it to a share of the questions, the same ones for the same seed', () => {
      const run = (seed: number): string => {
        const { dns } = setUp({ seed });
        dns.spuriousNxdomain(0.3);
        return Array.from({ length: 200 }, () => (look(dns) === 'NXDOMAIN' ? 'x' : '.')).join('');
      };
      const denied = run(1).replaceAll('.', '').length;
      assert(denied > 40 && denied < 80, `${denied} of 200`);
      assert.equal(run(1), run(1));
      assert.notEqual(run(1), run(2));
    });
  });

  describe('takes a fault for the questions in its scope only', () => {
    const scopes: [what: string, scope: Parameters<EmbeddedDns['fail']>[1], hits: string[]][] = [
      ['a pod', { names: 'web-0' }, ['A web-0 udp', 'AAAA web-0 udp', 'A web-0 tcp']],
      ['no part of a label', { names: ['web', 'eb-0'] }, []],
      ['a whole name', { names: service.toUpperCase() }, ['A nginx udp']],
      ['a type', { types: 'SRV' }, ['SRV _peer udp']],
      ['types', { types: ['SRV', 'AAAA'] }, ['AAAA web-0 udp', 'SRV _peer udp']],
      ['a transport', { transport: 'tcp' }, ['A web-0 tcp']],
      ['a predicate', { when: ({ name }) => name.startsWith('web-1') }, ['A web-1 udp']],
      ['all of them', { names: 'web-0', types: 'A', transport: 'udp' }, ['A web-0 udp']],
      ['none of them', { share: 0 }, []],
    ];
    const questions: [QuestionType, string, 'udp' | 'tcp'][] = [
      ['A', web0, 'udp'],
      ['AAAA', web0, 'udp'],
      ['A', web0, 'tcp'],
      ['A', `web-1.${service}`, 'udp'],
      ['A', service, 'udp'],
      ['SRV', srvName, 'udp'],
    ];
    for (const [what, scope, hits] of scopes) {
      it(what, () => {
        const { dns } = setUp();
        dns.fail('SERVFAIL', scope);
        const hit = questions.filter(
          ([type, name, transport]) => ask(dns, type, name, { transport })?.rcode === Rcode.SERVFAIL,
        );
        assert.deepEqual(
          hit.map(([type, name, transport]) => `${type} ${name.split('.', 1)[0] ?? ''} ${transport}`),
          hits,
        );
      });
    }
  });

  describe('has replicas', () => {
    it('that lag: one shows what was, the other what is', () => {
      const { dns, history } = setUp({ replicas: [{}, { lagMs: 1_000 }] });
      history.record(cluster(1, 7));
      clock.tick(999);
      assert.deepEqual([look(dns), look(dns)].sort(), ['A 10.0.0.1', 'A 10.0.7.1']);
      clock.tick(1);
      assert.deepEqual([look(dns), look(dns)], ['A 10.0.7.1', 'A 10.0.7.1']);
    });

    it('that freeze, and catch up', () => {
      const { dns, history } = setUp();
      const frozen = dns.freezeReplica(0);
      clock.tick(10);
      history.record(cluster(1, 7));
      clock.tick(100_000);
      assert.equal(look(dns), 'A 10.0.0.1');
      frozen.end();
      assert.equal(look(dns), 'A 10.0.7.1');
    });

    it('that answer in turn over UDP; over TCP a connection keeps one', () => {
      const { dns } = setUp({ replicas: [{}, {}, {}] });
      const seen: number[] = [];
      dns.on('question', ({ replica }: SeenQuestion) => seen.push(replica));
      for (let n = 0; n < 4; n += 1) look(dns);
      assert.deepEqual(seen, [1, 2, 0, 1]);
      const replica = dns.nextReplica();
      for (let n = 0; n < 2; n += 1) dns.receive(encodeQuery(query('A', web0)), 'tcp', replica);
      assert.deepEqual(seen.slice(4), [2, 2]);
    });

    it('that fail apart', () => {
      const { dns } = setUp({ replicas: [{}, {}] });
      dns.silence({ replica: 1 });
      assert.deepEqual([look(dns), look(dns), look(dns)], ['nothing', 'A 10.0.0.1', 'nothing']);
    });

    it('that are taken at random with the same seed in the same order', () => {
      const order = (seed: number): number[] => {
        const { dns } = setUp({ replicas: [{}, {}], balance: 'random', seed });
        return Array.from({ length: 40 }, () => dns.nextReplica());
      };
      assert.deepEqual(order(1), order(1));
      assert.deepEqual(new Set(order(1)), new Set([0, 1]));
      assert.notDeepEqual(order(1), order(2));
    });
  });

  describe('has caches as CoreDNS has them', () => {
    it('that keep an answer for its TTL, show what is left of it, and no more than their cap', () => {
      const { dns, history } = setUp({ ttlSeconds: 60, replicas: [{ cache: 30 }] });
      const ttl = (): number | undefined => ask(dns, 'A', web0)?.answers[0]?.ttlSeconds;
      assert.equal(ttl(), 30);
      history.record(cluster(1, 7));
      clock.tick(10_500);
      assert.equal(look(dns), 'A 10.0.0.1');
      assert.equal(ttl(), 20, 'of a second that has begun all is left');
      clock.tick(19_499);
      assert.equal(ttl(), 1);
      clock.tick(1);
      assert.equal(look(dns), 'A 10.0.7.1');
    });

    it('that keep a denial, of the one family', () => {
      const { dns, history } = setUp({
        ttlSeconds: 30,
        replicas: [{ cache: { successSeconds: 30, denialSeconds: 5 } }],
      });
      const web1 = `web-1.${service}`;
      assert.equal(look(dns, 'A', web1), 'NXDOMAIN');
      history.record(cluster(2));
      clock.tick(4_999);
      assert.equal(look(dns, 'A', web1), 'NXDOMAIN');
      assert.equal(look(dns, 'AAAA', web1), 'NODATA', 'asked for the first time');
      clock.tick(1);
      assert.equal(look(dns, 'A', web1), 'A 10.0.0.2');
    });

    it('that keep nothing for less than 5 s', () => {
      const { dns, history } = setUp({ ttlSeconds: 1, replicas: [{ cache: 30 }] });
      look(dns);
      history.record(cluster(1, 7));
      clock.tick(4_999);
      assert.equal(look(dns), 'A 10.0.0.1');
      clock.tick(1);
      assert.equal(look(dns), 'A 10.0.7.1');
    });

    it('but not for a CNAME that leads outside: no SOA tells for how long nobody answers there', () => {
      const { dns, history } = setUp({ replicas: [{ cache: 30 }] });
      const outside = (externalName: string): ClusterState => {
        const alias = { name: 'alias', namespace: 'default', type: 'ExternalName', clusterIPs: [], ports: [] } as const;
        return { ...cluster(1), services: [{ ...alias, externalName }] };
      };
      const target = (type: QuestionType): unknown => {
        const [record] = ask(dns, type, 'alias.default.svc.cluster.local')?.answers ?? [];
        return record?.type === 'CNAME' ? record.target : null;
      };
      history.record(outside('one.example.com'));
      clock.tick(1);
      assert.deepEqual([target('A'), target('CNAME')], ['one.example.com', 'one.example.com']);
      history.record(outside('two.example.com'));
      clock.tick(1);
      assert.deepEqual([target('A'), target('CNAME')], ['two.example.com', 'one.example.com']);
    });

    it('that forget what they are told to', () => {
      const { dns, history } = setUp({ replicas: [{ cache: 30 }] });
      look(dns);
      history.record(cluster(1, 7));
      dns.clearCaches();
      assert.equal(look(dns), 'A 10.0.7.1');
    });
  });

  it('counts the questions it saw, those it did not answer too', () => {
    const { dns } = setUp();
    dns.silence({ names: 'web-0' });
    ask(dns, 'A', web0);
    ask(dns, 'A', web0);
    ask(dns, 'SRV', srvName, { transport: 'tcp' });
    assert.equal(dns.questions(), 3);
    assert.equal(dns.questions({ names: 'web-0' }), 2);
    assert.equal(dns.questions({ types: 'SRV', transport: 'tcp' }), 1);
    dns.forgetQuestions();
    assert.equal(dns.questions(), 0);
  });

  it('shuffles addresses, the same for the same seed', () => {
    const order = (seed: number): string[] => {
      const dns = new EmbeddedDns(new ClusterHistory(cluster(20)), { seed });
      const answer = ask(dns, 'A', service, { transport: 'tcp' });
      return answer === null ? [] : addressesIn(answer);
    };
    assert.deepEqual(order(1), order(1));
    assert.notDeepEqual(order(1), order(2));
    assert.deepEqual(order(1).sort(), order(2).sort());
  });
});

function setUp(options: EmbeddedDnsOptions = {}): { readonly dns: EmbeddedDns; readonly history: ClusterHistory } {
  const history = new ClusterHistory(cluster(1));
  return { history, dns: new EmbeddedDns(history, options) };
}

/** `n` pods of `web` behind `nginx`; the third byte of their addresses is `net`. */
function cluster(n: number, net = 0): ClusterState {
  const port = { name: 'peer', port: 7_000, protocol: 'TCP' } as const;
  const endpoints = Array.from({ length: n }, (_, index) => ({
    addresses: [`10.${(index + 1) >> 8}.${net}.${(index + 1) & 0xff}`],
    hostname: `web-${index}`,
    conditions: { ready: true, serving: true, terminating: false },
    targetRef: `web-${index}`,
  }));
  const common = { namespace: 'default', ports: [port] };
  return {
    resourceVersion: 1,
    namespaces: ['default'],
    services: [{ ...common, name: 'nginx', type: 'Headless', clusterIPs: [], externalName: null }],
    endpointSlices: [{ ...common, name: 'nginx-0', serviceName: 'nginx', addressType: 'IPv4', endpoints }],
  };
}

function query(
  type: QuestionType,
  name: string,
  udpPayloadSize: number | null = null,
): Parameters<typeof encodeQuery>[0] {
  return { id: 4711, question: { name, type }, udpPayloadSize };
}

function ask(
  dns: EmbeddedDns,
  type: QuestionType,
  name: string,
  how: { readonly transport?: 'udp' | 'tcp'; readonly udpPayloadSize?: number | null } = {},
): Message | null {
  const { packets } = dns.receive(encodeQuery(query(type, name, how.udpPayloadSize)), how.transport ?? 'udp');
  return packets[0] === undefined ? null : decodeMessage(packets[0]);
}

/** What a client sees of a question, on one line. */
function look(dns: EmbeddedDns, type: QuestionType = 'A', name: string = web0): string {
  const { packets, delayMs } = dns.receive(encodeQuery(query(type, name)), 'udp');
  const [packet] = packets;
  if (packet === undefined) return 'nothing';
  const late = delayMs === 0 ? '' : ` after ${delayMs} ms`;
  let answer: Message;
  try {
    answer = decodeMessage(packet);
  } catch (error) {
    assert(error instanceof MalformedMessageError);
    // Else a client would take it for somebody else's, and wait on.
    assert.equal(decodeEnvelope(packet).id, 4711);
    return error.isCutShort ? 'malformed, cut short' : 'malformed';
  }
  if (answer.id !== 4711) return 'another id';
  const records = addressesIn(answer).map((address) => ` ${type} ${address}`);
  if (answer.truncated) return `TC${records.join('')}`;
  const codes = Object.entries(Rcode).find(([, code]) => code === answer.rcode)?.[0] ?? '';
  if (answer.rcode !== Rcode.NOERROR) return codes + late;
  return records.length === 0 ? 'NODATA' : records.join('').trim() + late;
}

function addressesIn({ answers }: Message): string[] {
  return answers.flatMap((record) => (record.type === 'A' || record.type === 'AAAA' ? [record.address] : []));
}

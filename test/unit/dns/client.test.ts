import assert from 'node:assert/strict';
import FakeTimers from '@sinonjs/fake-timers';
import type { DnsClient, DnsClientOptions, Exchange, Failed, Outcome } from '../../../src/dns/client.ts';
import { createDnsClient } from '../../../src/dns/client.ts';
import type { Message, Question } from '../../../src/dns/message.ts';
import { a, cname, glue, pods, service, soa, srv, srvName, zone } from './packets.ts';
import type { Asked, Reaction } from './scripted-transport.ts';
import { packetOf, ScriptedTransport } from './scripted-transport.ts';

const question: Question = { name: srvName, type: 'SRV' };
const found: Partial<Message> = { answers: [srv(0)], additionals: [glue(0)] };
const three: Partial<Message> = { answers: pods(3).answers, additionals: pods(3).additionals };
const nxdomain: Partial<Message> = { rcode: 3, authorities: [soa(zone)] };
const nodata: Partial<Message> = { authorities: [soa(zone)] };
const servfail: Partial<Message> = { rcode: 2 };

type Ask = (asked?: Question, deadlineMs?: number) => Promise<Outcome>;

describe('The DNS client', () => {
  let clock: FakeTimers.Clock;

  beforeEach(() => {
    clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });

  afterEach(() => {
    // No timer outlives its question.
    assert.equal(clock.countTimers(), 0);
    clock.uninstall();
  });

  function setUp(
    react: (asked: Asked) => Reaction | readonly Reaction[],
    options: Partial<DnsClientOptions> = {},
  ): { readonly client: DnsClient; readonly transport: ScriptedTransport; readonly ask: Ask } {
    const transport = new ScriptedTransport(react);
    const servers = [{ address: '10.0.0.1', port: 53 }];
    const client = createDnsClient({
      zone,
      servers: () => servers,
      transport,
      timeoutMs: 1_000,
      attempts: 2,
      ...options,
    });
    const ask: Ask = async (asked = question, deadlineMs = 5_000) => {
      const outcome = client.ask(asked, { deadline: performance.now() + deadlineMs });
      await clock.runAllAsync();
      return outcome;
    };
    return { client, transport, ask };
  }
  const twoServers = { servers: () => ['10.0.0.1', '10.0.0.2'].map((address) => ({ address, port: 53 })) };

  describe('asks', () => {
    it('with EDNS 1232, recursion desired and a random id', async () => {
      const { transport, ask } = setUp(() => found);
      for (let count = 0; count < 20; count += 1) await ask();
      const ids = new Set(transport.asked.map(({ query }) => query.id));
      assert.ok(ids.size > 15, `${ids.size} ids`);
      for (const { query } of transport.asked) {
        assert.deepEqual(
          { ...query, id: 0 },
          {
            ...{ id: 0, isResponse: false, opcode: 0, authoritative: false, truncated: false, rcode: 0 },
            ...{ recursionDesired: true, recursionAvailable: false, questions: [question] },
            ...{ answers: [], authorities: [], additionals: [], edns: { udpPayloadSize: 1232, version: 0 } },
          },
        );
      }
    });

    it('and tells what was found, by whom, how, and how large it was', async () => {
      const { ask } = setUp(() => three);
      const outcome = await ask();
      assert.deepEqual(outcome.kind === 'found' && { ...outcome, bytes: outcome.bytes > 100 }, {
        kind: 'found',
        question,
        records: three.answers,
        additionals: three.additionals,
        ttlSeconds: 30,
        server: '10.0.0.1:53',
        transport: 'udp',
        bytes: true,
      });
    });

    it('with the lowest TTL of the records', async () => {
      const answers = [a(service, '10.0.0.1', 30), a(service, '10.0.0.2', 7), a('other.example', '10.0.0.3', 1)];
      const { ask } = setUp(() => ({ answers }));
      const outcome = await ask({ name: service, type: 'A' });
      assert.equal(outcome.kind === 'found' && outcome.ttlSeconds, 7);
      assert.equal(outcome.kind === 'found' && outcome.records.length, 2);
    });

    it('and leaves it to its signal: it throws the reason as it is', async () => {
      const { client, transport } = setUp(() => 'silence');
      const controller = new AbortController();
      const outcome = client.ask(question, { deadline: performance.now() + 5_000, signal: controller.signal });
      const reason = { my: 'reason' };
      controller.abort(reason);
      await assert.rejects(outcome, (error) => error === reason);
      await assert.rejects(
        client.ask(question, { deadline: performance.now() + 5_000, signal: controller.signal }),
        (error) => error === reason,
      );
      assert.equal(transport.asked.length, 1);
    });

    it('and closes its transport', () => {
      const { client, transport } = setUp(() => found);
      client.close();
      assert.equal(transport.isClosed, true);
    });
  });

  describe('ignores a packet that is none of its own and waits on', () => {
    const strange: readonly (readonly [string, (query: Message) => Reaction])[] = [
      ['with another id', (query) => ({ ...found, id: query.id ^ 1 })],
      ['with another id and an error code', (query) => ({ ...servfail, id: query.id ^ 0x100 })],
      ['with another question', () => ({ ...nxdomain, questions: [{ name: service, type: 'SRV' }] })],
      ['with another type', () => ({ ...nxdomain, questions: [{ name: srvName, type: 'A' }] })],
      ['with two questions', () => ({ ...nxdomain, questions: [question, question] })],
      ['with another opcode', () => ({ ...found, opcode: 4 })],
      ['that is a query', () => ({ isResponse: false })],
      ['without a question, but NOERROR', () => ({ questions: [] })],
      ['that is empty', () => new Uint8Array(0)],
      ['that ends in the question', (query) => packetOf(found, query).subarray(0, 20)],
      ['that is broken and has no question', (query) => crippled(packetOf({ ...servfail, questions: [] }, query))],
    ];
    for (const [what, react] of strange) {
      it(what, async () => {
        const then = setUp(({ query }) => [react(query), found], { attempts: 1 });
        assert.equal((await then.ask()).kind, 'found');
        const alone = setUp(({ query }) => react(query), { attempts: 1 });
        assert.equal(reason(await alone.ask()), 'timeout');
      });
    }
  });

  describe('never takes failure for absence', () => {
    const rows: readonly (readonly [string, Reaction, string, RegExp])[] = [
      ['SERVFAIL', servfail, 'servfail', /SERVFAIL/],
      ['SERVFAIL without the question', { ...servfail, questions: [] }, 'servfail', /SERVFAIL/],
      ['SERVFAIL with an SOA', { ...servfail, authorities: [soa(zone)] }, 'servfail', /SERVFAIL/],
      ['SERVFAIL with TC', { ...servfail, truncated: true }, 'servfail', /SERVFAIL/],
      ['REFUSED', { rcode: 5 }, 'refused', /REFUSED/],
      ['NOTIMP', { rcode: 4 }, 'refused', /NOTIMP/],
      ['NOTAUTH', { rcode: 9 }, 'refused', /rcode 9/],
      ['an extended response code', { rcode: 23, edns: { udpPayloadSize: 512, version: 0 } }, 'refused', /rcode 23/],
      ['NXDOMAIN without the question', { ...nxdomain, questions: [] }, 'malformed', /question section/],
      ['NXDOMAIN with records', { ...found, rcode: 3 }, 'malformed', /NXDOMAIN with records/],
      [
        'records for another name alone',
        { answers: [{ ...srv(0), name: service }] },
        'malformed',
        /none of the records/,
      ],
      ['records of another type alone', { answers: [a(srvName, '10.0.0.1')] }, 'malformed', /none of the records/],
      ['a CNAME that leads nowhere', { answers: [cname(srvName, 'x.example')] }, 'malformed', /x\.example/],
      ['NXDOMAIN, a CNAME and no SOA', { rcode: 3, answers: [cname(srvName, 'x.example')] }, 'malformed', /x\.example/],
      ["NXDOMAIN with the root's SOA", { rcode: 3, authorities: [soa('')] }, 'refused', /the root: an upstream/],
      ["NODATA with a parent's SOA", { authorities: [soa('local')] }, 'refused', /SOA of local: an upstream/],
      ['NXDOMAIN without SOA', { rcode: 3 }, 'refused', /without an SOA/],
      ['NODATA without SOA', {}, 'refused', /without an SOA/],
      [
        'a referral',
        { authorities: [{ name: '', ttlSeconds: 1, type: 'NS', target: 'a.root-servers.net' }] },
        'refused',
        /referral/,
      ],
      [
        'a closed port',
        Object.assign(new Error('recvmsg ECONNREFUSED'), { code: 'ECONNREFUSED' }),
        'network',
        /ECONNREFUSED/,
      ],
      ['silence', 'silence', 'timeout', /no answer within 1000 ms/],
    ];
    for (const [what, reaction, expected, detail] of rows) {
      it(`${what} is failed: ${expected}`, async () => {
        const { ask } = setUp(() => reaction);
        const outcome = await ask();
        assert.equal(outcome.kind, 'failed');
        const { failure, partial } = outcome;
        assert.equal(failure.reason, expected);
        assert.match(failure.detail, detail);
        assert.equal(failure.server, '10.0.0.1:53');
        assert.equal(failure.question, `SRV ${srvName}`);
        assert.equal(partial, null);
      });
    }

    it('a broken response to its own question is failed: malformed', async () => {
      const { ask } = setUp(({ query }) => crippled(packetOf(found, query)));
      assert.equal(reason(await ask()), 'malformed');
    });

    it('a name that cannot be asked is failed, and nothing is sent', async () => {
      const { ask, transport } = setUp(() => found);
      assert.equal(reason(await ask({ name: 'a..b', type: 'A' })), 'malformed');
      assert.deepEqual(transport.log, []);
    });
  });

  describe('takes a negative answer', () => {
    const rows: readonly (readonly [string, Partial<Message>, Outcome['kind'], number])[] = [
      ["NXDOMAIN with the zone's SOA", nxdomain, 'nxdomain', 5],
      ["NODATA with the zone's SOA", nodata, 'nodata', 5],
      ['with the SOA of a zone below', { rcode: 3, authorities: [soa(`svc.${zone}`)] }, 'nxdomain', 5],
      ["with the zone's SOA beside another", { rcode: 3, authorities: [soa(''), soa(zone)] }, 'nxdomain', 5],
      ['at the end of a chain, vouched for', { ...nodata, answers: [cname(srvName, service)] }, 'nodata', 5],
      ['for the lower of SOA TTL and minimum', { rcode: 3, authorities: [soa(zone, 20, 10)] }, 'nxdomain', 10],
      ['for the lower, the other way round', { rcode: 3, authorities: [soa(zone, 10, 20)] }, 'nxdomain', 10],
      ['for 1 s at least', { rcode: 3, authorities: [soa(zone, 0, 20)] }, 'nxdomain', 1],
      ['for 30 s at most', { rcode: 3, authorities: [soa(zone, 3_600, 86_400)] }, 'nxdomain', 30],
    ];
    for (const [what, reaction, kind, negativeTtlSeconds] of rows) {
      it(what, async () => {
        const { ask, transport } = setUp(() => reaction);
        assert.deepEqual(await ask(), { kind, question, negativeTtlSeconds, server: '10.0.0.1:53' });
        assert.equal(transport.asked.length, 1);
      });
    }

    for (const [what, before] of [
      ['found', found],
      ['NXDOMAIN with SOA', nxdomain],
      ['NODATA with SOA', nodata],
    ] as const) {
      it(`without SOA for 5 s, from a server that answered ${what} before`, async () => {
        const script: Partial<Message>[] = [before, { rcode: 3 }];
        const { ask } = setUp(() => script.shift() ?? {});
        await ask();
        assert.deepEqual(await ask(), { kind: 'nxdomain', question, negativeTtlSeconds: 5, server: '10.0.0.1:53' });
        assert.deepEqual(await ask(), { kind: 'nodata', question, negativeTtlSeconds: 5, server: '10.0.0.1:53' });
      });
    }

    it('without SOA never from another server than the one that answered', async () => {
      let isFirst = true;
      const { ask } = setUp(({ server }) => {
        if (server === '10.0.0.1' && isFirst) return found;
        return server === '10.0.0.1' ? servfail : { rcode: 3 };
      }, twoServers);
      assert.equal((await ask()).kind, 'found');
      isFirst = false;
      assert.equal((await ask()).kind, 'failed');
    });

    it('not for the reason that a name outside of the zone was found', async () => {
      const { ask } = setUp(({ query }) =>
        query.questions[0]?.name === 'example.com' ? { answers: [a('example.com', '10.0.0.1')] } : { rcode: 3 },
      );
      assert.equal((await ask({ name: 'example.com', type: 'A' })).kind, 'found');
      assert.equal((await ask()).kind, 'failed');
    });
  });

  describe('follows CNAMEs', () => {
    const chain = (length: number): Partial<Message> => ({
      answers: [
        ...Array.from({ length }, (_, index) => cname(`n${index}.x`, `n${index + 1}.x`)),
        a(`n${length}.x`, '10.0.0.1'),
      ],
    });
    const asked: Question = { name: 'n0.x', type: 'A' };

    for (const length of [1, 8]) {
      it(`${length} of them, in any order`, async () => {
        const { answers = [] } = chain(length);
        for (const order of [answers, [...answers].reverse()]) {
          const { ask } = setUp(() => ({ answers: order }));
          const outcome = await ask(asked);
          assert.deepEqual(outcome.kind === 'found' && outcome.records, [a(`n${length}.x`, '10.0.0.1')]);
        }
      });
    }

    it('but not 9', async () => {
      assert.equal(reason(await setUp(() => chain(9)).ask(asked)), 'malformed');
    });

    it('and not in a circle', async () => {
      const answers = [cname('n0.x', 'n1.x'), cname('n1.x', 'n0.x')];
      assert.equal(reason(await setUp(() => ({ answers })).ask(asked)), 'malformed');
    });

    it('except where the CNAME is what was asked for', async () => {
      const outcome = await setUp(() => chain(2)).ask({ name: 'n0.x', type: 'CNAME' });
      assert.deepEqual(outcome.kind === 'found' && outcome.records, [cname('n0.x', 'n1.x')]);
    });
  });

  describe('falls back', () => {
    const truncated: Partial<Message> = { truncated: true, answers: [srv(0)] };

    it('to TCP at the same server when the UDP answer is truncated', async () => {
      const { ask, transport } = setUp((asked) => (asked.transport === 'udp' ? truncated : three), twoServers);
      const outcome = await ask();
      assert.equal(outcome.kind === 'found' && outcome.transport, 'tcp');
      assert.equal(outcome.kind === 'found' && outcome.records.length, 3);
      assert.deepEqual(transport.log, ['udp 10.0.0.1', 'tcp 10.0.0.1']);
    });

    it('to TCP when the UDP answer ends early without saying so', async () => {
      const { ask, transport } = setUp((asked) =>
        asked.transport === 'udp' ? packetOf(three, asked.query).subarray(0, 200) : three,
      );
      assert.equal((await ask()).kind, 'found');
      assert.deepEqual(transport.log, ['udp 10.0.0.1', 'tcp 10.0.0.1']);
    });

    it('to no EDNS, once, on FORMERR', async () => {
      const { ask, transport } = setUp(({ query }) => (query.edns === null ? found : { rcode: 1, questions: [] }));
      assert.equal((await ask()).kind, 'found');
      assert.deepEqual(transport.log, ['udp 10.0.0.1', 'udp 10.0.0.1 -edns']);
    });

    it('to no EDNS on BADVERS, also without a question section', async () => {
      const badvers = { rcode: 16, edns: { udpPayloadSize: 512, version: 0 }, questions: [] };
      const { ask, transport } = setUp(({ query }) => (query.edns === null ? found : badvers));
      assert.equal((await ask()).kind, 'found');
      assert.deepEqual(transport.log, ['udp 10.0.0.1', 'udp 10.0.0.1 -edns']);
    });

    it('to TCP without EDNS where the server does not know it', async () => {
      const { ask, transport } = setUp(({ query, transport }) => {
        if (query.edns !== null) return { rcode: 1 };
        return transport === 'udp' ? truncated : found;
      });
      assert.equal((await ask()).kind, 'found');
      assert.deepEqual(transport.log, ['udp 10.0.0.1', 'udp 10.0.0.1 -edns', 'tcp 10.0.0.1 -edns']);
    });

    it('not for ever: FORMERR without EDNS is failed', async () => {
      const { ask, transport } = setUp(() => ({ rcode: 1 }), { attempts: 1 });
      assert.equal(reason(await ask()), 'formerr');
      assert.equal(transport.asked.length, 2);
    });

    it('TC over TCP is failed, with what it brought', async () => {
      const { ask, transport } = setUp((asked) =>
        asked.transport === 'udp' ? truncated : { truncated: true, answers: [srv(0), srv(1)] },
      );
      const outcome = await ask();
      assert.equal(reason(outcome), 'truncated');
      assert.equal(partialOf(outcome).transport, 'tcp');
      assert.deepEqual(partialOf(outcome).records, [srv(0), srv(1)]);
      // Asking again would not make it shorter.
      assert.deepEqual(transport.log, ['udp 10.0.0.1', 'tcp 10.0.0.1']);
    });

    for (const [what, reaction, hint] of [
      ['is silent', 'silence', true],
      ['is closed', new Error('connect ECONNREFUSED'), true],
      ['says SERVFAIL', servfail, false],
    ] as const) {
      it(`TC over UDP where TCP ${what} is failed, with what UDP brought`, async () => {
        const { ask } = setUp((asked) => (asked.transport === 'udp' ? truncated : reaction));
        const outcome = await ask();
        assert.equal(reason(outcome), 'truncated');
        assert.equal(partialOf(outcome).transport, 'udp');
        assert.deepEqual(partialOf(outcome).records, [srv(0)]);
        assert.equal(/TCP\/53 seems blocked/.test((outcome as Failed).failure.detail), hint);
      });
    }

    it('TC without a record brings nothing', async () => {
      const { ask } = setUp((asked) => (asked.transport === 'udp' ? { truncated: true } : 'silence'));
      const outcome = await ask();
      assert.equal(reason(outcome), 'truncated');
      assert.equal((outcome as Failed).partial, null);
    });

    it('an answer that ends early over TCP, too, is malformed', async () => {
      const { ask } = setUp(({ query }) => packetOf(three, query).subarray(0, 200));
      assert.equal(reason(await ask()), 'malformed');
    });
  });

  describe('asks at once over TCP what UDP could not carry lately', () => {
    const large: Partial<Message> = { answers: pods(40).answers, additionals: pods(40).additionals };
    const cut: Partial<Message> = { truncated: true };
    const answer = (asked: Asked): Reaction => (asked.transport === 'udp' ? cut : large);

    it('one question a time, with what TCP brings', async () => {
      const { ask, transport } = setUp(answer);
      for (let count = 0; count < 3; count += 1) {
        const outcome = await ask();
        assert.equal(outcome.kind === 'found' && outcome.transport, 'tcp');
        assert.equal(outcome.kind === 'found' && outcome.records.length, 40);
      }
      assert.deepEqual(transport.log, ['udp 10.0.0.1', 'tcp 10.0.0.1', 'tcp 10.0.0.1', 'tcp 10.0.0.1']);
    });

    it('also where TCP truncates it, too: UDP would bring less', async () => {
      const { ask, transport } = setUp((asked) => (asked.transport === 'udp' ? cut : { ...large, truncated: true }));
      for (let count = 0; count < 2; count += 1) {
        const outcome = await ask();
        assert.equal(reason(outcome), 'truncated');
        assert.equal(partialOf(outcome).records.length, 40);
      }
      assert.deepEqual(transport.log, ['udp 10.0.0.1', 'tcp 10.0.0.1', 'tcp 10.0.0.1']);
    });

    it('by name, type and server', async () => {
      let address = '10.0.0.1';
      const { ask, transport } = setUp(answer, { servers: () => [{ address, port: 53 }], attempts: 1 });
      await ask();
      await ask({ name: service, type: 'SRV' });
      await ask({ name: srvName, type: 'A' });
      address = '10.0.0.2';
      await ask();
      const first = transport.log.filter((_, index) => index % 2 === 0);
      assert.deepEqual(first, ['udp 10.0.0.1', 'udp 10.0.0.1', 'udp 10.0.0.1', 'udp 10.0.0.2']);
      assert.equal(transport.log.length, 8);
    });

    for (const [what, reaction] of [
      ['is silent', 'silence'],
      ['is closed', new Error('connect ECONNREFUSED')],
      ['says SERVFAIL', servfail],
      ['is truncated and brings nothing', cut],
    ] as const) {
      it(`and falls back to UDP where TCP ${what}; from then on UDP is first`, async () => {
        let overTcp: Reaction = large;
        const { ask, transport } = setUp(
          (asked) => (asked.transport === 'udp' ? { truncated: true, answers: [srv(0)] } : overTcp),
          { attempts: 1 },
        );
        await ask();
        overTcp = reaction;
        const outcome = await ask();
        assert.equal(reason(outcome), 'truncated');
        assert.deepEqual(partialOf(outcome).records, [srv(0)]);
        await ask();
        assert.deepEqual(transport.log, [
          ...['udp 10.0.0.1', 'tcp 10.0.0.1'],
          ...['tcp 10.0.0.1', 'udp 10.0.0.1', 'tcp 10.0.0.1'],
          ...['udp 10.0.0.1', 'tcp 10.0.0.1'],
        ]);
      });
    }

    it('and finds a server that is there over UDP alone, within one more timeout', async () => {
      let isBlocked = false;
      const { ask } = setUp((asked) => {
        if (!isBlocked) return answer(asked);
        return asked.transport === 'udp' ? found : 'silence';
      });
      await ask();
      isBlocked = true;
      const start = performance.now();
      assert.equal((await ask()).kind, 'found');
      assert.equal(performance.now() - start, 1_000);
    });

    for (const [what, reaction] of [
      ['fits by now', found],
      ['is negative by now', nxdomain],
    ] as const) {
      it(`not when the answer ${what}: then UDP is first`, async () => {
        let isSmall = false;
        const { ask, transport } = setUp((asked) => (isSmall ? reaction : answer(asked)));
        await ask();
        isSmall = true;
        const [once, twice] = [await ask(), await ask()];
        assert.equal(once.kind, twice.kind);
        assert.deepEqual(transport.log, ['udp 10.0.0.1', 'tcp 10.0.0.1', 'tcp 10.0.0.1', 'udp 10.0.0.1']);
      });
    }

    it('not where the answer would have fitted: the server cuts for another reason', async () => {
      const { ask, transport } = setUp((asked) => (asked.transport === 'udp' ? cut : three));
      await ask();
      await ask();
      assert.deepEqual(transport.log, ['udp 10.0.0.1', 'tcp 10.0.0.1', 'udp 10.0.0.1', 'tcp 10.0.0.1']);
    });

    it('and without EDNS what is over 512 bytes does not fit', async () => {
      const some: Partial<Message> = { answers: pods(10).answers, additionals: [] };
      const { ask, transport } = setUp(({ query, transport: over }) => {
        if (query.edns !== null) return { rcode: 1 };
        return over === 'udp' ? cut : some;
      });
      const outcome = await ask();
      assert.ok(outcome.kind === 'found' && outcome.bytes > 512 && outcome.bytes < 1232);
      await ask();
      assert.deepEqual(transport.log.slice(3), ['tcp 10.0.0.1', 'tcp 10.0.0.1 -edns']);
    });

    it('for five minutes, whatever TCP says: then UDP has its turn', async () => {
      const { ask, transport } = setUp(answer);
      const start = performance.now();
      await ask();
      for (const afterMs of [150_000, 299_999, 300_000]) {
        await clock.tickAsync(start + afterMs - performance.now());
        await ask();
      }
      assert.deepEqual(transport.log, [
        ...['udp 10.0.0.1', 'tcp 10.0.0.1'],
        ...['tcp 10.0.0.1', 'tcp 10.0.0.1'],
        ...['udp 10.0.0.1', 'tcp 10.0.0.1'],
      ]);
    });
  });

  describe('asks the servers', () => {
    it('in order, the next one on failure, all of them before the first again', async () => {
      const { ask, transport } = setUp(() => servfail, twoServers);
      assert.equal(reason(await ask()), 'servfail');
      assert.deepEqual(transport.log, ['udp 10.0.0.1', 'udp 10.0.0.2', 'udp 10.0.0.1', 'udp 10.0.0.2']);
    });

    it('and takes the first answer, be it negative', async () => {
      const { ask, transport } = setUp(({ server }) => (server === '10.0.0.1' ? servfail : nxdomain), twoServers);
      const outcome = await ask();
      assert.equal(outcome.kind === 'nxdomain' && outcome.server, '10.0.0.2:53');
      assert.equal(transport.asked.length, 2);
    });

    it('the next one where an upstream resolver talks', async () => {
      const upstream = { rcode: 3, authorities: [soa('')] };
      const { ask } = setUp(({ server }) => (server === '10.0.0.1' ? upstream : found), twoServers);
      assert.equal((await ask()).kind, 'found');
    });

    it('and tells what one said rather than that another was silent', async () => {
      for (const silent of ['10.0.0.1', '10.0.0.2']) {
        const { ask } = setUp(({ server }) => (server === silent ? 'silence' : servfail), twoServers);
        assert.equal(reason(await ask()), 'servfail');
      }
    });

    it('each for timeoutMs, all until the deadline', async () => {
      const { ask, transport } = setUp(() => 'silence', { ...twoServers, attempts: 9 });
      const start = performance.now();
      assert.equal(reason(await ask(question, 2_500)), 'timeout');
      assert.equal(performance.now() - start, 2_500);
      assert.equal(transport.asked.length, 3);
    });

    it('not at all when the deadline has passed', async () => {
      const { ask, transport } = setUp(() => found);
      assert.equal(reason(await ask(question, 0)), 'timeout');
      assert.deepEqual(transport.log, []);
    });

    it('that there are now', async () => {
      let address = '10.0.0.1';
      const { ask, transport } = setUp(() => found, { servers: () => [{ address, port: 53 }] });
      await ask();
      address = 'fd00::1';
      const outcome = await ask();
      assert.deepEqual(transport.log, ['udp 10.0.0.1', 'udp fd00::1']);
      assert.equal(outcome.kind === 'found' && outcome.server, '[fd00::1]:53');
    });

    it('and where there is none says so', async () => {
      const none = await setUp(() => found, { servers: () => [] }).ask();
      assert.equal(reason(none), 'network');
      const broken = (): never => {
        throw new Error('no usable nameserver in /etc/resolv.conf');
      };
      const outcome = (await setUp(() => found, { servers: broken }).ask()) as Failed;
      assert.deepEqual(outcome.failure, {
        reason: 'network',
        detail: 'no usable nameserver in /etc/resolv.conf',
        server: null,
        question: `SRV ${srvName}`,
      });
    });
  });

  it('tells of each exchange once, when it has ended', async () => {
    const told: Exchange[] = [];
    const { client, ask } = setUp(
      ({ server, transport }) => {
        if (server === '10.0.0.1') return 'silence';
        return transport === 'udp' ? { truncated: true } : found;
      },
      { ...twoServers, onQuestion: (exchange) => told.push(exchange) },
    );
    await ask();
    assert.deepEqual(told, [
      { question, server: '10.0.0.1:53', transport: 'udp', elapsedMs: 1_000, result: 'timeout' },
      { question, server: '10.0.0.2:53', transport: 'udp', elapsedMs: 0, result: 'NOERROR' },
      { question, server: '10.0.0.2:53', transport: 'tcp', elapsedMs: 0, result: 'NOERROR' },
    ]);
    const controller = new AbortController();
    const aborted = client.ask(question, { deadline: performance.now() + 5_000, signal: controller.signal });
    controller.abort();
    await assert.rejects(aborted, { name: 'AbortError' });
    assert.deepEqual([told.length, told.at(-1)?.result], [4, 'aborted']);
  });
});

function reason(outcome: Outcome): string {
  return outcome.kind === 'failed' ? outcome.failure.reason : outcome.kind;
}

function partialOf(outcome: Outcome): { readonly transport: string; readonly records: readonly unknown[] } {
  assert.ok(outcome.kind === 'failed' && outcome.partial !== null);
  return outcome.partial;
}

/** Breaks the message behind its question: its first record, or else the one that it now announces, is no record. */
function crippled(packet: Uint8Array): Uint8Array {
  const broken = Buffer.concat([packet, Buffer.alloc(20, 0x41)]);
  const afterQuestion = packet.length < 20 ? 12 : 12 + srvName.length + 2 + 4;
  broken.writeUInt16BE(1, 6);
  broken[afterQuestion] = 0x80;
  return broken;
}

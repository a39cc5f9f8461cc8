import assert from 'node:assert/strict';
import { install } from '@sinonjs/fake-timers';
import type { Clock } from '@sinonjs/fake-timers';
import { decodeMessage } from '../../../src/dns/decode.ts';
import { encodeQuery } from '../../../src/dns/encode.ts';
import type { DnsTransport } from '../../../src/dns/transport.ts';
import type { EmbeddedDns } from '../../../src/testing/embedded-dns.ts';
import { memoryTransport } from '../../../src/testing/memory-transport.ts';
import { TestCluster } from '../../../src/testing/test-cluster.ts';

const server = { address: '10.96.0.10', port: 53 };
const query = encodeQuery({
  id: 7,
  question: { name: 'nginx.default.svc.cluster.local', type: 'A' },
  udpPayloadSize: null,
});

describe('the transport in memory', () => {
  let clock: Clock;
  let cluster: TestCluster;
  let transport: DnsTransport;
  beforeEach(async () => {
    clock = install();
    cluster = await TestCluster.start({ dns: { replicas: [{}, {}] } });
    transport = cluster.transport();
  });
  afterEach(async () => {
    await cluster.close();
    clock.uninstall();
  });

  for (const protocol of ['udp', 'tcp'] as const) {
    describe(`over ${protocol}`, () => {
      const ask = (signal: AbortSignal = new AbortController().signal): Promise<number> =>
        transport[protocol](server, query, answersIn, signal);

      it('answers without the clock, but not within the call', async () => {
        let isAnswered = false;
        const asked = ask().then((count) => {
          isAnswered = true;
          return count;
        });
        assert.equal(isAnswered, false);
        assert.equal(await asked, 3);
        assert.equal(clock.countTimers(), 0);
      });

      it('answers late by the global timers', async () => {
        cluster.dns.delay(250);
        let isAnswered = false;
        const asked = ask().finally(() => {
          isAnswered = true;
        });
        await clock.tickAsync(249);
        assert.equal(isAnswered, false);
        await clock.tickAsync(1);
        assert.equal(await asked, 3);
      });

      it('rejects with the reason of the signal, and forgets the timer', async () => {
        cluster.dns.delay(250);
        const abort = new AbortController();
        const reason = new Error('enough');
        const asked = ask(abort.signal);
        abort.abort(reason);
        await assert.rejects(asked, reason);
        await assert.rejects(ask(abort.signal), reason);
        assert.equal(clock.countTimers(), 0);
      });

      it('waits on after a packet that is not accepted, and rejects with what accept throws', async () => {
        cluster.dns.silence();
        const abort = new AbortController();
        const asked = ask(abort.signal);
        await clock.tickAsync(60_000);
        abort.abort(new Error('nothing came'));
        await assert.rejects(asked, /nothing came/);
        cluster.dns.heal();
        const fault = new Error('I do not like it');
        const refuse = (): never => {
          throw fault;
        };
        await assert.rejects(transport[protocol](server, query, refuse, new AbortController().signal), fault);
      });

      it('rejects where no server is', async () => {
        const lonely = memoryTransport(() => null);
        await assert.rejects(lonely[protocol](server, query, answersIn, new AbortController().signal), {
          code: 'ECONNREFUSED',
        });
      });

      it('rejects what is open when it is closed, and everything after', async () => {
        cluster.dns.delay(250);
        const asked = ask();
        transport.close();
        await assert.rejects(asked, /closed/);
        await assert.rejects(ask(), /closed/);
        assert.equal(clock.countTimers(), 0);
      });
    });
  }

  it('offers each datagram in turn: forgeries, then the answer', async () => {
    cluster.dns.forge();
    const ids: number[] = [];
    const accept = (packet: Uint8Array): number | undefined => {
      const { id, questions } = decodeMessage(packet);
      ids.push(id);
      return id === 7 && questions[0]?.name === 'nginx.default.svc.cluster.local' ? id : undefined;
    };
    assert.equal(await transport.udp(server, query, accept, new AbortController().signal), 7);
    assert(ids.length > 1);
  });

  describe('over TCP', () => {
    const ask = (): Promise<number> => transport.tcp(server, query, answersIn, new AbortController().signal);

    it('keeps a replica for 30 s', async () => {
      const replicas = listen(cluster.dns);
      await ask();
      await ask();
      await clock.tickAsync(30_000);
      await ask();
      assert.deepEqual(replicas, [1, 1, 0]);
    });

    it('resets where TCP is blocked, and answers again after', async () => {
      const fault = cluster.dns.blockTcp();
      await assert.rejects(ask(), { code: 'ECONNRESET' });
      fault.end();
      assert.equal(await ask(), 3);
    });

    it('never answers where TCP is silent', async () => {
      cluster.dns.blockTcp('silence');
      const abort = new AbortController();
      const asked = transport.tcp(server, query, answersIn, abort.signal);
      await clock.tickAsync(60_000);
      abort.abort(new Error('nothing came'));
      await assert.rejects(asked, /nothing came/);
    });

    it('asks once more on a fresh connection when one closes with the question open', async () => {
      const replicas = listen(cluster.dns);
      const slow = cluster.dns.delay(250);
      const asked = ask();
      await clock.tickAsync(100);
      slow.end();
      cluster.dns.dropTcpConnections();
      assert.equal(await asked, 3);
      assert.deepEqual(replicas, [1, 0]);
      assert.equal(clock.countTimers(), 0);
    });

    it('... but not twice', async () => {
      cluster.dns.delay(250);
      const asked = ask();
      asked.catch(() => undefined);
      cluster.dns.dropTcpConnections();
      await clock.tickAsync(1);
      cluster.dns.dropTcpConnections();
      await assert.rejects(asked, { code: 'ECONNRESET' });
    });
  });
});

function answersIn(packet: Uint8Array): number {
  return decodeMessage(packet).answers.length;
}

function listen(dns: EmbeddedDns): number[] {
  const replicas: number[] = [];
  dns.on('question', ({ replica }) => replicas.push(replica));
  return replicas;
}

import assert from 'node:assert/strict';
import type { PeerDiscovery } from '../../../src/peer-discovery.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { at, member, observer, record } from '../../support/member.ts';
import type { Fault, ScriptedDns, View } from '../../support/scripted-dns.ts';

// What the library asks DNS, when, and at which rate: polling, refresh(), report(), explain().

const two = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' };
const srv = 'SRV _peer._tcp.nginx.default.svc.cluster.local';

describe('Polling', () => {
  const time = fakeTime();

  it('is one SRV question a round, every five seconds while nothing happens', async () => {
    const { dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(60_000);
    dns.asked.length = 0;
    await time.clock.tickAsync(600_000);
    assert.deepEqual(new Set(dns.asked), new Set([srv]));
    assert.ok(dns.asked.length >= 110 && dns.asked.length <= 135, `${dns.asked.length} questions in ten minutes`);
  });

  it('is once a second after a change', async () => {
    const { dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(60_000);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await time.clock.tickAsync(6_000);
    dns.asked.length = 0;
    await time.clock.tickAsync(5_000);
    assert.ok(dns.asked.length >= 4 && dns.asked.length <= 6, `${dns.asked.length} questions in 5 s`);
  });

  it('stays within the bounds of the options', async () => {
    const { dns } = time.opened(observer({ refresh: { minIntervalMs: 30_000, maxIntervalMs: 30_000 } }));
    dns.views = [two];
    await time.clock.tickAsync(1_000);
    dns.asked.length = 0;
    await time.clock.tickAsync(301_000);
    assert.equal(dns.asked.length, 10);
  });
});

describe('Where SRV cannot do, peers are asked by name', () => {
  const time = fakeTime();
  const three = { ...two, 'web-2': '10.0.0.3' };
  const cases: readonly (readonly [string, View | Fault])[] = [
    ['SRV is truncated and TCP is blocked', 'truncated'],
    ['SRV fails while the Service has addresses', 'servfail'],
    ['there is no port of that name', {}],
  ];
  for (const [what, answer] of cases) {
    for (const podName of ['web-0', 'web-1', 'web-2']) {
      it(`${what}: ${podName} finds the lower ordinals and the higher ones`, async () => {
        const { peers, dns } = time.opened(member(podName, [three[podName as keyof typeof three]]));
        dns.views = [three];
        dns.exceptions.set(srv, answer);
        await time.clock.tickAsync(20_000);
        assert.deepEqual(
          peers.topology.peers.map((peer) => [peer.podName, at(peer), peer.presence]),
          Object.entries(three).map(([name, address]) => [name, address, 'published']),
        );
      });
    }

    it(`${what}: an observer finds all`, async () => {
      const { peers, dns } = time.opened(observer());
      dns.views = [three];
      dns.exceptions.set(srv, answer);
      await time.clock.tickAsync(20_000);
      assert.equal(peers.topology.peers.length, 3);
    });
  }
});

describe('refresh() asks now and waits until the answer is decided', () => {
  const time = fakeTime();

  it('it sees what DNS says now', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(60_000);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    const topology = await peers.refresh();
    assert.equal(topology, peers.topology);
    assert.equal(topology.peer(0)?.addresses[0]?.address, '10.0.0.9');
  });

  it('a failure is no rejection: freshness tells', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(6_000);
    const { topology } = peers;
    dns.views = ['servfail'];
    assert.equal(await peers.refresh(), topology);
    assert.equal(peers.freshness.state, 'stale');
  });

  it('calls at the same time share a question: the first asks, the others follow together', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(60_000);
    dns.asked.length = 0;
    await Promise.all(Array.from({ length: 100 }, () => peers.refresh()));
    assert.deepEqual(dns.asked, [srv, srv]);
  });

  it('a call during a round waits for the next one, since the one under way may have asked before the change', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(60_000);
    dns.latencyMs = 100;
    dns.asked.length = 0;
    const early = peers.refresh();
    await time.clock.tickAsync(50);
    // What is asked is answered from the view at that time.
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    const late = [peers.refresh(), peers.refresh()];
    await time.clock.tickAsync(50);
    assert.equal((await early).peer(0)?.addresses[0]?.address, '10.0.0.1');
    await time.clock.tickAsync(100);
    for (const one of late) assert.equal((await one).peer(0)?.addresses[0]?.address, '10.0.0.9');
    assert.equal(dns.asked.length, 2);
  });

  it('within its deadline, whatever happens', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(60_000);
    dns.views = ['silent'];
    let isDone = false;
    void peers.refresh().then(() => (isDone = true));
    await time.clock.tickAsync(5_001);
    assert.equal(isDone, true);
  });
});

describe('16. A failed connection is a question, asked at once and at a bounded rate', () => {
  const time = fakeTime();
  /** Two pods, known and quiet for a minute. */
  const quiet = async (): Promise<{ peers: PeerDiscovery; dns: ScriptedDns }> => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [{ ...two, 'web-2': '10.0.0.3' }];
    // From a moment at which a poll is four seconds away or more.
    await time.clock.tickAsync(60_000);
    await peers.refresh();
    dns.asked.length = 0;
    return { peers, dns };
  };

  for (const what of ['unreachable', 'stranger'] as const) {
    it(`${what}: asked at once`, async () => {
      const { peers, dns } = await quiet();
      peers.report('web-0', what, '10.0.0.1');
      await time.clock.tickAsync(60);
      assert.deepEqual(dns.asked, [srv]);
    });

    it(`${what}: a new address is believed within a tenth of a second of its publication`, async () => {
      const { peers, dns } = await quiet();
      peers.report('web-0', what, '10.0.0.1');
      await time.clock.tickAsync(1_000);
      dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
      await time.clock.tickAsync(110);
      assert.equal(peers.topology.peer(0)?.addresses[0]?.address, '10.0.0.9');
    });

    it(`${what}: 1,000 reports in 2 s are at most 20 questions a second`, async () => {
      const { peers, dns } = await quiet();
      for (let index = 0; index < 1_000; index += 1) {
        peers.report('web-0', what, '10.0.0.1');
        await time.clock.tickAsync(2);
      }
      assert.ok(dns.asked.length <= 42, `${dns.asked.length} questions in 2 s`);
    });
  }

  it('1,000 reports at once are one question, and the asking ends when polling takes over', async () => {
    const { peers, dns } = await quiet();
    for (let index = 0; index < 1_000; index += 1) peers.report('web-0', 'unreachable', '10.0.0.1');
    await time.clock.tickAsync(60);
    assert.deepEqual(dns.asked, [srv]);
    await time.clock.tickAsync(10_000);
    // 20 in the first 2 s, a few with doubling pauses, and the polls.
    const questions = dns.asked.filter((question) => question === srv).length;
    assert.ok(questions >= 20 && questions <= 40, `${questions} questions in 10 s`);
  });

  it('reports about several peers, all the time, are at most 20 questions a second for the process', async () => {
    const all = [await quiet(), await quiet(), await quiet(), await quiet()];
    const asked: number[] = [];
    for (let tenth = 0; tenth < 300; tenth += 1) {
      for (const { peers } of all) {
        peers.report('web-0', 'unreachable', '10.0.0.1');
        peers.report('web-2', 'unreachable', '10.0.0.3');
      }
      await time.clock.tickAsync(100);
      asked.push(all.reduce((sum, { dns }) => sum + dns.asked.length, 0));
    }
    for (let at = 10; at < asked.length; at += 1) {
      const inOneSecond = (asked[at] ?? NaN) - (asked[at - 10] ?? NaN);
      // And a poll or two of each.
      assert.ok(inOneSecond <= 20 + 8, `${inOneSecond} questions in a second`);
    }
  });

  it('an answer with another address ends the asking', async () => {
    const { peers, dns } = await quiet();
    peers.report('web-0', 'unreachable', '10.0.0.1');
    await time.clock.tickAsync(500);
    dns.views = [{ ...two, 'web-0': '10.0.0.9', 'web-2': '10.0.0.3' }];
    await time.clock.tickAsync(200);
    assert.equal(peers.topology.peer(0)?.addresses[0]?.address, '10.0.0.9');
    dns.asked.length = 0;
    await time.clock.tickAsync(1_000);
    assert.ok(dns.asked.length <= 2, `${dns.asked.length} questions in the second after`);
  });

  it('a name that said NXDOMAIN is left alone for its negative TTL, but for the polls', async () => {
    const { peers, dns } = await quiet();
    dns.views = [{}];
    peers.report('web-0', 'unreachable', '10.0.0.1');
    await time.clock.tickAsync(5_000);
    const questions = dns.asked.filter((question) => question === srv).length;
    assert.ok(questions <= 8, `${questions} questions in 5 s`);
  });

  it('a failed connection alone changes nothing that is believed', async () => {
    const { peers } = await quiet();
    const lines = record(peers);
    peers.report('web-0', 'unreachable', '10.0.0.1');
    await time.clock.tickAsync(60_000);
    assert.deepEqual(lines, []);
  });

  const ignored: readonly (readonly [string, string | number, string])[] = [
    ['an address that is not current', 'web-0', '10.9.9.9'],
    ["another peer's address", 'web-0', '10.0.0.3'],
    ['a peer that is not in the topology', 'web-7', '10.0.0.1'],
    ['self', 1, '10.0.0.2'],
  ];
  for (const [what, peer, address] of ignored) {
    it(`a report about ${what} is ignored`, async () => {
      const { peers, dns } = await quiet();
      const lines = record(peers);
      peers.report(peer, 'unreachable', address);
      peers.report(peer, 'stranger', address);
      await time.clock.tickAsync(1_000);
      assert.deepEqual(dns.asked, []);
      assert.deepEqual(lines, []);
    });
  }

  it('the peer can be given by name, ordinal or Peer, the address in any spelling', async () => {
    for (const peer of [0, 'web-0', null]) {
      const { peers } = await quiet();
      peers.report(peer ?? peers.topology.peer(0) ?? assert.fail(), 'stranger', '::ffff:10.0.0.1');
      assert.deepEqual(peers.topology.peer(0)?.addresses, []);
    }
  });
});

describe('explain() says why things are as they are', () => {
  const time = fakeTime();

  it('asks at most four questions, and none where it did in the last 10 s', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(60_000);
    await peers.refresh();
    dns.asked.length = 0;
    const { findings, text } = await peers.explain();
    assert.ok(dns.asked.length <= 4, dns.asked.join(', '));
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['healthy'],
    );
    assert.equal(text, findings[0]?.message);
    const asked = dns.asked.length;
    await time.clock.tickAsync(2_000);
    await peers.explain();
    assert.equal(dns.asked.length, asked);
  });

  it('calls at the same time share the questions', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(60_000);
    await peers.refresh();
    dns.asked.length = 0;
    await Promise.all(Array.from({ length: 10 }, () => peers.explain()));
    assert.ok(dns.asked.length <= 4, `${dns.asked.length} questions`);
  });

  it('a hundred waiters that are about to time out ask as much as one', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    dns.latencyMs = 50;
    const waiting = Array.from({ length: 100 }, () => assert.rejects(peers.waitForPeer(7), { code: 'ERR_TIMEOUT' }));
    await time.clock.tickAsync(30_000);
    await Promise.all(waiting);
    const versions = dns.asked.filter((question) => question.startsWith('TXT'));
    assert.ok(versions.length <= 3, `asked ${versions.length} times for the version`);
  });

  it('changes nothing: no version, no freshness', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [two];
    await time.clock.tickAsync(6_000);
    const lines = record(peers);
    dns.views = ['servfail'];
    await peers.explain();
    assert.deepEqual(lines, []);
  });

  const stories: readonly (readonly [string, (dns: ScriptedDns) => void, string, RegExp])[] = [
    [
      'nobody is published',
      (dns) => (dns.views = [{}]),
      'nothing-published',
      /Service nginx does not exist in namespace default/,
    ],
    ['DNS fails', (dns) => (dns.views = ['servfail']), 'dns-failing', /asked 10\.96\.0\.10:53/],
    ['DNS is silent', (dns) => (dns.views = ['silent']), 'dns-failing', /NetworkPolicy/],
    ['TCP is blocked', (dns) => (dns.views = ['truncated']), 'tcp-blocked', /TCP/],
    ['this pod alone is not Ready', (dns) => (dns.views = [{ 'web-0': '10.0.0.1' }]), 'self-unpublished', /web-1/],
  ];
  for (const [what, tell, code, says] of stories) {
    it(`${what}: ${code}`, async () => {
      const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
      tell(dns);
      await time.clock.tickAsync(20_000);
      const explaining = peers.explain();
      await time.clock.tickAsync(5_000);
      const { findings } = await explaining;
      const finding = findings.find((one) => one.code === code);
      assert.ok(finding !== undefined, JSON.stringify(findings));
      assert.match(finding.message, says);
    });
  }
});

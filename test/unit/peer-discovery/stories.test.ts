import assert from 'node:assert/strict';
import { on } from 'node:events';
import FakeTimers from '@sinonjs/fake-timers';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import { lowestOrdinal } from '../../../src/topology/primary.ts';
import type { PeerDiscovery } from '../../../src/peer-discovery.ts';
import { at, member, observer, record } from '../../support/member.ts';
import type { Fault } from '../../support/scripted-dns.ts';

const two = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' };

describe('the library object, on a DNS that says what a test tells it', () => {
  let clock: ReturnType<typeof FakeTimers.install>;
  const open: PeerDiscovery[] = [];
  const opened = <Made extends { peers: PeerDiscovery }>(made: Made): Made => {
    open.push(made.peers);
    return made;
  };
  beforeEach(() => {
    clock = FakeTimers.install({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
    });
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((peers) => peers.close()));
    assert.equal(clock.countTimers(), 0, 'a timer is left');
    clock.uninstall();
  });

  it('1. Self is known without a DNS question', () => {
    const { peers, dns } = opened(member('web-1', ['10.0.0.2']));
    assert.equal(peers.self.podName, 'web-1');
    assert.equal(peers.self.role, 'replica');
    assert.equal(peers.identity.sources.service, 'hosts file');
    assert.deepEqual(dns.asked, []);
    assert.equal(opened(observer()).peers.self, null);
  });

  it('4. Failure is not absence', async () => {
    for (const fault of ['servfail', 'refused', 'silent', 'closed', 'garbage'] satisfies Fault[]) {
      const { peers, dns } = opened(member('web-1', ['10.0.0.2']));
      dns.views = [two];
      await clock.tickAsync(1_000);
      const lines = record(peers);
      const { topology } = peers;
      dns.views = [fault];
      await clock.tickAsync(600_000);
      assert.deepEqual(lines, ['freshnessChanged stale'], fault);
      assert.equal(peers.topology, topology, fault);
      assert.ok(peers.freshness.stateForMs > 580_000, fault);
      assert.notEqual(peers.freshness.lastFailure, null, fault);
      dns.views = [two];
      await clock.tickAsync(10_000);
      assert.deepEqual(lines, ['freshnessChanged stale', 'freshnessChanged fresh'], fault);
    }
  });

  it('5. Unresolved is not empty', async () => {
    const dns = opened(member('web-1', ['10.0.0.2'], { primary: lowestOrdinal({ quorum: 1 }) }));
    dns.dns.views = ['servfail'];
    const lines = record(dns.peers);
    const ready = dns.peers.ready({ timeoutMs: 60_000 });
    await clock.tickAsync(30_000);
    assert.deepEqual(lines, []);
    assert.equal(dns.peers.topology.version, 0);
    assert.equal(dns.peers.topology.designation.podName, null);
    dns.dns.views = [{ 'web-1': '10.0.0.2' }];
    await clock.tickAsync(10_000);
    assert.equal((await ready).version, 1);
    assert.deepEqual(lines, [
      'freshnessChanged fresh',
      // Its port is known now: that is a move, too.
      'peerMoved web-1 10.0.0.2>10.0.0.2 (answer)',
      'presenceChanged web-1 published (answer)',
      'primaryChanged null>web-1 (policy)',
      'roleChanged unknown>primary (policy)',
      'topologyChanged 1',
    ]);
  });

  it('6. An absent answer is not a departure', async () => {
    const { peers, dns } = opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = [{ 'web-1': '10.0.0.2' }];
    await clock.tickAsync(44_000);
    assert.deepEqual(lines, []);
    await clock.tickAsync(8_000);
    assert.deepEqual(lines, ['presenceChanged web-0 missing (absence)', 'topologyChanged 2']);
    assert.equal(at(peers.topology.peer(0)), '10.0.0.1');
    const own = 'A web-0.nginx.default.svc.cluster.local';
    assert.ok(!dns.asked.includes(own), 'its own name was asked too early');
    await clock.tickAsync(80_000);
    assert.deepEqual(lines.slice(2), [
      'peerRemoved web-0 (absence)',
      'primaryChanged web-0>null (absence)',
      'topologyChanged 3',
    ]);
    assert.ok(dns.asked.includes(own), 'its own name was never asked');
  });

  it('7. A new IP is one `peerMoved`', async () => {
    const { peers, dns } = opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await clock.tickAsync(1_000);
    const lines = record(peers);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await clock.tickAsync(6_000);
    assert.deepEqual(lines, ['peerMoved web-0 10.0.0.1>10.0.0.9 (answer)', 'topologyChanged 2']);
  });

  it('8. A replaced address does not come back by rumour', async () => {
    const { peers, dns } = opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await clock.tickAsync(1_000);
    const lines = record(peers);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }, two];
    dns.asked.length = 0;
    await clock.tickAsync(60_000);
    assert.deepEqual(lines, ['peerMoved web-0 10.0.0.1>10.0.0.9 (answer)', 'topologyChanged 2']);
    assert.ok(dns.asked.length >= 50, `while they disagree the question is repeated each second: ${dns.asked.length}`);
  });

  it('9. An address belongs to one peer', async () => {
    const { peers, dns } = opened(observer());
    dns.views = [two];
    await clock.tickAsync(1_000);
    const lines = record(peers);
    dns.views = [{ 'web-0': '10.0.0.2', 'web-1': '10.0.0.1' }];
    await clock.tickAsync(6_000);
    assert.deepEqual(lines, [
      'peerMoved web-0 10.0.0.1>10.0.0.2 (answer)',
      'peerMoved web-1 10.0.0.2>10.0.0.1 (answer)',
      'topologyChanged 2',
    ]);
  });

  it('11. A member is always in its own topology', async () => {
    const { peers, dns } = opened(member('web-0', ['10.0.0.1']));
    assert.equal(peers.topology.primary, peers.self);
    assert.equal(await peers.waitForPrimary(), peers.self);
    dns.views = [{}];
    await clock.tickAsync(600_000);
    assert.equal(peers.self.presence, 'unpublished');
    assert.equal(at(peers.self), '10.0.0.1');
    assert.equal(peers.topology.primary, peers.self);
  });

  it('12. A replaced process notices', async () => {
    const { peers, dns } = opened(member('web-0', ['10.0.0.1']));
    dns.views = [two];
    await clock.tickAsync(1_000);
    const lines = record(peers);
    dns.views = [{ ...two, 'web-0': '10.0.0.7' }];
    await clock.tickAsync(29_000);
    assert.deepEqual(lines, []);
    await clock.tickAsync(8_000);
    assert.deepEqual(lines, [
      'presenceChanged web-0 superseded (self)',
      'primaryChanged web-0>null (self)',
      'roleChanged primary>unknown (self)',
      'topologyChanged 2',
    ]);
    dns.views = [two];
    await clock.tickAsync(6_000);
    assert.equal(peers.self.role, 'primary');
  });

  it('13. State first, then events, in this order', async () => {
    const { peers, dns } = opened(member('web-1', ['10.0.0.2']));
    const lines = record(peers);
    peers.on('peerAdded', ({ current, topologyVersion }) => {
      assert.equal(peers.topology.version, topologyVersion);
      assert.equal(peers.topology.peer(current.ordinal), current);
      // A change that a listener causes is queued.
      if (topologyVersion === 1) peers.report(current, 'stranger', '10.0.0.1');
      assert.equal(peers.topology.version, topologyVersion);
    });
    assert.deepEqual(lines, []);
    dns.views = [two];
    await clock.tickAsync(50);
    assert.deepEqual(lines, [
      'freshnessChanged fresh',
      'peerAdded web-0 10.0.0.1 (answer)',
      'peerMoved web-1 10.0.0.2>10.0.0.2 (answer)',
      'presenceChanged web-1 published (answer)',
      'primaryChanged null>web-0 (answer)',
      'topologyChanged 1',
      'peerMoved web-0 10.0.0.1>nowhere (stranger)',
      'topologyChanged 2',
    ]);
    const { topology } = peers;
    assert.equal(await peers.refresh(), topology);
    assert.ok(Object.isFrozen(topology) && Object.isFrozen(topology.peers) && Object.isFrozen(topology.peers[0]));
  });

  it('13. events of node:events is the async iterator', async () => {
    const { peers, dns } = opened(observer());
    const controller = new AbortController();
    const versions: number[] = [];
    const reading = (async () => {
      for await (const [event] of on(peers as never, 'topologyChanged', { signal: controller.signal })) {
        versions.push((event as { topologyVersion: number }).topologyVersion);
        if (versions.length === 2) return;
      }
    })();
    dns.views = [two];
    await clock.tickAsync(1_000);
    dns.views = [{ ...two, 'web-0': '10.0.0.9' }];
    await clock.tickAsync(6_000);
    await reading;
    assert.deepEqual(versions, [1, 2]);
  });

  it('14. After close() settles nothing is emitted and no socket, timer or listener is left', async () => {
    const { peers, dns } = opened(member('web-1', ['10.0.0.2']));
    const lines = record(peers);
    const waiting = assert.rejects(peers.ready(), (error) => PeerDiscoveryError.from(error)?.code === 'ERR_CLOSED');
    dns.views = ['silent'];
    await clock.tickAsync(100);
    await Promise.all([peers.close(), peers.close()]);
    await waiting;
    assert.deepEqual(lines, ['closed']);
    assert.equal(dns.isClosed, true);
    assert.equal(peers.listenerCount('closed'), 0);
    await assert.rejects(peers.refresh(), (error) => PeerDiscoveryError.from(error)?.code === 'ERR_CLOSED');
  });

  it('16. A failed connection is a question, asked at a bounded rate', async () => {
    const { peers, dns } = opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await clock.tickAsync(30_000);
    dns.asked.length = 0;
    for (let index = 0; index < 1_000; index += 1) {
      peers.report('web-0', 'unreachable', '10.0.0.1');
      await clock.tickAsync(2);
    }
    assert.ok(dns.asked.length >= 18 && dns.asked.length <= 25, `asked ${dns.asked.length} questions in 2 s`);
  });

  it('20. A mistake is named: a timeout carries the belief, the last failure and the explanation', async () => {
    const { peers, dns } = opened(member('web-1', ['10.0.0.2']));
    dns.views = ['servfail'];
    const waited = peers.waitForPeer('web-0', { timeoutMs: 20_000 }).catch((error: unknown) => error);
    await clock.tickAsync(20_000);
    const error = PeerDiscoveryError.from(await waited);
    assert.equal(error?.code, 'ERR_TIMEOUT');
    assert.equal(error.topology, peers.topology);
    assert.equal(error.lastFailure?.reason, 'servfail');
    assert.match(error.explanation ?? '', /SERVFAIL|servfail/);
    assert.throws(() => peers.report('api-0', 'unreachable', '10.0.0.1'), /ERR_UNKNOWN_PEER/);
    assert.throws(() => peers.report('web-0', 'gone' as never, '10.0.0.1'), /ERR_OPTION/);
  });
});

import assert from 'node:assert/strict';
import { createMember } from '../../../src/peer-discovery.ts';
import { lowestOrdinal } from '../../../src/topology/primary.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { at, member, observer, podEnvironment, record } from '../../support/member.ts';
import type { Fault } from '../../support/scripted-dns.ts';
import { ScriptedDns } from '../../support/scripted-dns.ts';

// Promises 1, 11 and 12: what a member knows of itself, before any answer and against all answers.

const two = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' };
const faults: readonly Fault[] = ['servfail', 'refused', 'silent', 'closed', 'garbage', 'truncated'];

describe('1. Self is known without a DNS question', () => {
  const time = fakeTime();

  it('name, ordinal, role, addresses and stable name are there when discoverPeers returns', () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2', 'fd00::2']));
    assert.deepEqual(peers.self, {
      podName: 'web-1',
      ordinal: 1,
      stableName: 'web-1.nginx.default.svc.cluster.local',
      role: 'replica',
      addresses: [
        { address: '10.0.0.2', family: 4 },
        { address: 'fd00::2', family: 6 },
      ],
      port: null,
      presence: 'unpublished',
      isSelf: true,
    });
    assert.equal(peers.self, peers.topology.self);
    assert.deepEqual(dns.asked, []);
  });

  it('every field remembers its source: the hosts file', () => {
    const { identity } = time.opened(member('web-1', ['10.0.0.2'])).peers;
    assert.equal(identity.podName, 'web-1');
    assert.equal(identity.serviceName, 'nginx.default.svc.cluster.local');
    assert.deepEqual(identity.sources, {
      podName: 'hosts file',
      statefulSet: 'hosts file',
      service: 'hosts file',
      namespace: 'hosts file',
      clusterDomain: 'hosts file',
      addresses: 'hosts file',
    });
  });

  it('every field remembers its source: variables, options, resolv.conf', () => {
    const environment = podEnvironment('node-7', [], { POD_NAME: 'web-3', POD_IP: '10.0.0.4' });
    const peers = createMember({ service: 'nginx' }, { environment, transport: new ScriptedDns() });
    time.opened({ peers });
    assert.equal(peers.self.ordinal, 3);
    assert.deepEqual(peers.identity.sources, {
      podName: 'environment',
      statefulSet: 'environment',
      service: 'option',
      namespace: 'resolv.conf',
      clusterDomain: 'resolv.conf',
      addresses: 'environment',
    });
    assert.equal(at(peers.self), '10.0.0.4');
  });

  it('an observer has no self', () => {
    const { peers } = time.opened(observer());
    assert.equal(peers.self, null);
    assert.equal(peers.topology.self, null);
    assert.deepEqual(peers.topology.peers, []);
    assert.equal(peers.identity.podName, null);
  });
});

describe('11. A member is always in its own topology', () => {
  const time = fakeTime();

  it('from version 0: alone, and the primary where fixedPrimary designates it', () => {
    const { peers } = time.opened(member('web-0', ['10.0.0.1']));
    const { topology } = peers;
    assert.deepEqual([topology.version, topology.peers], [0, [peers.self]]);
    assert.equal(topology.primary, peers.self);
    assert.equal(peers.self.role, 'primary');
    assert.equal(topology.designation.podName, 'web-0');
    assert.equal(topology.peer('web-0'), peers.self);
    assert.equal(topology.peer(0), peers.self);
  });

  it('a replica knows from version 0 whom fixedPrimary designates, though nobody is there', () => {
    const { peers } = time.opened(member('web-1', ['10.0.0.2']));
    const { primary, replicas, designation } = peers.topology;
    assert.equal(primary, null);
    assert.deepEqual(replicas, [peers.self]);
    assert.equal(designation.podName, 'web-0');
  });

  it('ordinalStart says who is the first', () => {
    const { peers } = time.opened(member('web-5', ['10.0.0.1'], { ordinalStart: 5 }));
    assert.equal(peers.topology.primary, peers.self);
  });

  it('it is never removed, whatever DNS leaves out, and stays at its own addresses', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2', 'fd00::2']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = [{ 'web-0': '10.0.0.1' }];
    await time.clock.tickAsync(600_000);
    assert.deepEqual(lines, [
      'presenceChanged web-1 missing (absence)',
      'topologyChanged 2',
      'presenceChanged web-1 unpublished (absence)',
      'topologyChanged 3',
    ]);
    assert.equal(at(peers.self), '10.0.0.2+fd00::2');
    dns.views = [two];
    await time.clock.tickAsync(6_000);
    assert.deepEqual(lines.slice(4), ['presenceChanged web-1 published (answer)', 'topologyChanged 4']);
  });

  it('a primary that becomes Ready only after it leads does not deadlock', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
    dns.views = [{}];
    const lines = record(peers);
    assert.equal(await peers.waitForPrimary(), peers.self);
    await time.clock.tickAsync(600_000);
    assert.equal(peers.self.presence, 'unpublished');
    assert.equal(peers.topology.primary, peers.self);
    assert.deepEqual(lines, ['freshnessChanged fresh', 'topologyChanged 1']);
  });

  it('under lowestOrdinal it counts as what DNS says it is', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1'], { primary: lowestOrdinal({ quorum: 1 }) }));
    dns.views = [{ 'web-1': '10.0.0.2' }];
    await time.clock.tickAsync(6_000);
    assert.equal(peers.topology.primary?.podName, 'web-1');
    assert.equal(peers.self.role, 'replica');
    dns.views = [two];
    await time.clock.tickAsync(6_000);
    assert.equal(peers.topology.primary.podName, 'web-0');
    assert.equal(peers.self.role, 'primary');
  });

  it('where its own addresses are not known, DNS says them', async () => {
    const environment = podEnvironment('web-1', [], { POD_NAME: 'web-1', STATEFUL_PEERS_SERVICE: 'nginx' });
    const dns = new ScriptedDns();
    dns.views = [two];
    const { peers } = time.opened({ peers: createMember({ port: 'peer' }, { environment, transport: dns }) });
    assert.equal(at(peers.self), 'nowhere');
    await time.clock.tickAsync(1_000);
    assert.equal(at(peers.self), '10.0.0.2');
    dns.views = [{ ...two, 'web-1': '10.0.0.9' }];
    await time.clock.tickAsync(120_000);
    assert.equal(at(peers.self), '10.0.0.9');
    assert.equal(peers.self.presence, 'published', 'nothing is known for certain that could tell it was replaced');
  });

  it('nobody can report it away', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
    dns.views = [two];
    await time.clock.tickAsync(60_000);
    const { topology } = peers;
    dns.asked.length = 0;
    peers.report(peers.self, 'stranger', '10.0.0.1');
    peers.report('web-0', 'unreachable', '10.0.0.1');
    await time.clock.tickAsync(100);
    assert.equal(peers.topology, topology);
    assert.deepEqual(dns.asked, []);
  });
});

describe('12. A replaced process notices', () => {
  const time = fakeTime();
  const superseded = [
    'presenceChanged web-0 superseded (self)',
    'primaryChanged web-0>null (self)',
    'roleChanged primary>unknown (self)',
    'topologyChanged 2',
  ];
  const replaced = { ...two, 'web-0': '10.0.0.7' };

  it('after 30 s of answers that show only foreign addresses, where an own one was shown; its own address stays', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = [replaced];
    await time.clock.tickAsync(29_500);
    assert.deepEqual(lines, []);
    await time.clock.tickAsync(8_000);
    assert.deepEqual(lines, superseded);
    assert.equal(at(peers.self), '10.0.0.1');
    const { primary, replicas, designation } = peers.topology;
    assert.equal(primary, null, 'requests must not be sent to whoever this is not');
    assert.equal(designation.podName, 'web-0');
    assert.deepEqual(
      replicas.map(({ podName }) => podName),
      ['web-1'],
    );
    assert.equal((await peers.explain()).findings[0]?.code, 'self-superseded');
  });

  it('after 90 s, where an own address was never shown: older clusters can name the last pod for 60 s', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
    dns.views = [replaced];
    await time.clock.tickAsync(1_000);
    const lines = record(peers);
    await time.clock.tickAsync(88_000);
    assert.deepEqual(lines, []);
    await time.clock.tickAsync(8_000);
    assert.deepEqual(lines, superseded);
  });

  it('an own address clears it', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    dns.views = [replaced];
    await time.clock.tickAsync(60_000);
    const lines = record(peers);
    dns.views = [two];
    await time.clock.tickAsync(3_000);
    assert.deepEqual(lines, [
      'presenceChanged web-0 published (self)',
      'primaryChanged null>web-0 (self)',
      'roleChanged unknown>primary (self)',
      'topologyChanged 3',
    ]);
  });

  it('one answer with an own address in 30 s is enough', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    for (let turn = 0; turn < 10; turn += 1) {
      dns.views = [replaced];
      await time.clock.tickAsync(25_000);
      dns.views = [two];
      await time.clock.tickAsync(3_000);
    }
    assert.deepEqual(lines, []);
  });

  for (const fault of faults) {
    it(`a process that cannot ask DNS (${fault}) cannot notice, and the time without answers does not count`, async () => {
      const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
      dns.views = [two];
      await time.clock.tickAsync(20_000);
      const lines = record(peers);
      dns.views = [replaced];
      await time.clock.tickAsync(15_000);
      dns.views = [fault];
      await time.clock.tickAsync(300_000);
      assert.deepEqual(lines, ['freshnessChanged stale']);
      dns.views = [replaced];
      await time.clock.tickAsync(10_000);
      assert.deepEqual(lines, ['freshnessChanged stale', 'freshnessChanged fresh']);
      await time.clock.tickAsync(20_000);
      assert.deepEqual(lines.slice(2), superseded);
    });
  }

  it('only in families in which an own address is known for certain', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
    dns.views = [{ ...two, 'web-0': ['10.0.0.1', 'fd00::7'] }];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = [{ ...two, 'web-0': 'fd00::8' }];
    await time.clock.tickAsync(120_000);
    assert.ok(!lines.some((line) => line.includes('superseded')), lines.join(', '));
    assert.equal(peers.self.presence, 'published');
  });

  it('an own address in one family is enough, whatever the other one shows', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1', 'fd00::1']));
    dns.views = [{ ...two, 'web-0': ['10.0.0.1', 'fd00::1'] }];
    await time.clock.tickAsync(20_000);
    dns.views = [{ ...two, 'web-0': ['10.0.0.1', 'fd00::7'] }];
    await time.clock.tickAsync(120_000);
    assert.equal(peers.self.presence, 'published');
    assert.equal(at(peers.self), '10.0.0.1+fd00::1');
  });

  it('a replica that was replaced has no role, and the others keep theirs', async () => {
    const { peers, dns } = time.opened(member('web-1', ['10.0.0.2']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    const lines = record(peers);
    dns.views = [{ ...two, 'web-1': '10.0.0.7' }];
    await time.clock.tickAsync(40_000);
    assert.deepEqual(lines, [
      'presenceChanged web-1 superseded (self)',
      'roleChanged replica>unknown (self)',
      'topologyChanged 2',
    ]);
    assert.equal(peers.topology.primary?.podName, 'web-0');
  });

  it('no waiter takes a superseded self for the primary', async () => {
    const { peers, dns } = time.opened(member('web-0', ['10.0.0.1']));
    dns.views = [two];
    await time.clock.tickAsync(20_000);
    dns.views = [replaced];
    await time.clock.tickAsync(40_000);
    const waited = assert.rejects(peers.waitForPrimary({ timeoutMs: 1_000 }), { code: 'ERR_TIMEOUT' });
    const own = assert.rejects(peers.waitForPeer('web-0', { timeoutMs: 1_000 }), { code: 'ERR_TIMEOUT' });
    await time.clock.tickAsync(1_000);
    await Promise.all([waited, own]);
  });
});

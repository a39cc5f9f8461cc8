import assert from 'node:assert/strict';
import { install } from '@sinonjs/fake-timers';
import type { Clock } from '@sinonjs/fake-timers';
import { decodeMessage } from '../../../src/dns/decode.ts';
import { encodeQuery } from '../../../src/dns/encode.ts';
import { parseHosts, parseResolvConf } from '../../../src/identity/pod-files.ts';
import type { Variables } from '../../../src/testing/test-cluster.ts';
import { TestCluster } from '../../../src/testing/test-cluster.ts';

describe('TestCluster', () => {
  let clock: Clock;
  let cluster: TestCluster;
  beforeEach(() => {
    clock = install();
  });
  afterEach(async () => {
    await cluster.close();
    assert.equal(clock.countTimers(), 0);
    clock.uninstall();
  });

  /** What DNS says of a name, as addresses. */
  async function addresses(name: string): Promise<string[]> {
    const query = encodeQuery({ id: 1, question: { name, type: 'A' }, udpPayloadSize: 1_232 });
    const transport = cluster.transport();
    const packet = await transport.udp(
      { address: '10.96.0.10', port: 53 },
      query,
      (bytes) => bytes,
      new AbortController().signal,
    );
    return decodeMessage(packet).answers.flatMap((record) => (record.type === 'A' ? [record.address] : []));
  }

  it('runs the seed story in memory under fake timers', async () => {
    cluster = await TestCluster.start({ replicas: 2, startMs: 500, readyMs: 1_000, stopMs: 300 });
    await clock.tickAsync(1_500);
    assert.deepEqual(await addresses(cluster.stableName('web-0')), ['10.244.0.2']);
    assert.deepEqual(await addresses(cluster.stableName('web-1')), []);
    await clock.tickAsync(1_500);
    assert.deepEqual(await addresses(cluster.stableName('web-1')), ['10.244.0.3']);

    cluster.pod('web-1').delete();
    cluster.pod('web-0').delete();
    assert.deepEqual(await addresses('nginx.default.svc.cluster.local'), []);
    const settled = cluster.statefulSet.settled();
    await clock.tickAsync(300 + 2 * 1_500);
    await settled;
    assert.deepEqual(await addresses(cluster.stableName('web-0')), ['10.244.0.4']);
    assert.deepEqual(await addresses(cluster.stableName('web-1')), ['10.244.0.5']);
  });

  it('publishes pods that are not Ready, where the Service says so', async () => {
    cluster = await TestCluster.start({ readyMs: 'manual', replicas: 1, publishNotReadyAddresses: true });
    assert.deepEqual(await addresses(cluster.stableName('web-0')), ['10.244.0.2']);
  });

  it('tells a process who it is, and an observer where the set is', async () => {
    cluster = await TestCluster.start({
      statefulSet: 'db',
      service: 'peers',
      namespace: 'prod',
      clusterDomain: 'k8s.example',
      network: { podCidrs: ['10.244.0.0/24', 'fd00:10::/64'] },
    });
    const where = {
      POD_NAMESPACE: 'prod',
      STATEFUL_PEERS_SERVICE: 'peers',
      STATEFUL_PEERS_CLUSTER_DOMAIN: 'k8s.example',
      STATEFUL_PEERS_DNS: '10.96.0.10:53',
    };
    assert.deepEqual(cluster.observerEnvironment(), where);
    assert.deepEqual(cluster.environmentOf('db-1'), {
      ...where,
      POD_NAME: 'db-1',
      POD_IP: '10.244.0.3',
      POD_IPS: '10.244.0.3,fd00:10::3',
    });
    assert.deepEqual(cluster.environmentOf('db-7'), { ...where, POD_NAME: 'db-7' }, 'a pod of the caller’s own');
  });

  it('writes the files that a pod has', async () => {
    cluster = await TestCluster.start({ replicas: 2, network: { podCidrs: ['10.244.0.0/24', 'fd00:10::/64'] } });
    const files = cluster.filesOf('web-1');
    const { writtenBy, ownNames, ownAddresses } = parseHosts(files['/etc/hosts']);
    assert.equal(writtenBy, 'kubelet');
    assert.deepEqual(ownNames, ['web-1.nginx.default.svc.cluster.local', 'web-1']);
    assert.deepEqual(ownAddresses, ['10.244.0.3', 'fd00:10::3']);
    assert.deepEqual(parseResolvConf(files['/etc/resolv.conf']), {
      servers: ['10.96.0.10'],
      search: ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
      skipped: [],
    });
    const machine = cluster.machineOf('web-1', { HOME: '/' });
    assert.equal(machine.hostname(), 'web-1');
    assert.equal(machine.readFile('/etc/hosts'), files['/etc/hosts']);
    assert.equal(machine.readFile('/etc/passwd'), null);
    assert.deepEqual(machine.variables, { HOME: '/' });
  });

  it('has other Services and sets, which may share a Service', async () => {
    cluster = await TestCluster.start({ replicas: 1, labels: { tier: 'data' } });
    cluster.addStatefulSet({
      name: 'more',
      namespace: 'default',
      labels: { tier: 'data' },
      ordinalStart: 5,
      replicas: 1,
    });
    assert.deepEqual((await addresses('nginx.default.svc.cluster.local')).sort(), ['10.244.0.2', '10.244.0.3']);
    assert.deepEqual(await addresses(cluster.stableName('more-5')), ['10.244.0.3']);
    assert.equal(cluster.pod('more-5').ordinal, 5);

    cluster.addService({ name: 'wrong', selector: { tier: 'data' } });
    assert.deepEqual(await addresses('10-244-0-2.wrong.default.svc.cluster.local'), ['10.244.0.2']);
    cluster.addService({ name: 'wrong', selector: { tier: 'nothing' } });
    assert.deepEqual(await addresses('wrong.default.svc.cluster.local'), []);
    cluster.removeService('nginx');
    assert.deepEqual(await addresses('nginx.default.svc.cluster.local'), []);
    assert.deepEqual(await addresses(cluster.stableName('web-0')), []);
  });

  it('shows replicas of DNS at different times', async () => {
    cluster = await TestCluster.start({ replicas: 1, dns: { replicas: [{}, { lagMs: 1_000 }] } });
    await clock.tickAsync(5_000);
    cluster.pod('web-0').reschedule();
    const name = cluster.stableName('web-0');
    assert.deepEqual([await addresses(name), await addresses(name)].flat().sort(), ['10.244.0.2', '10.244.0.3']);
    await clock.tickAsync(1_000);
    assert.deepEqual([await addresses(name), await addresses(name)].flat(), ['10.244.0.3', '10.244.0.3']);
  });

  it('runs a process in each pod with the variables of that pod', async () => {
    const seen: Variables[] = [];
    cluster = await TestCluster.start({
      replicas: 2,
      run: (_pod, variables) => {
        seen.push(variables);
        let end = (): void => undefined;
        const stopped = new Promise<void>((resolve) => {
          end = resolve;
        });
        return { stopped, stop: end, kill: end };
      },
    });
    assert.deepEqual(seen, [cluster.environmentOf('web-0')]);
    assert.equal(seen[0]?.['POD_IP'], '10.244.0.2');
  });

  it('makes no pod with `create: false` until it is told to, so that nobody misses the first', async () => {
    cluster = await TestCluster.start({ replicas: 1, create: false });
    cluster.statefulSet.scale(2);
    assert.equal(cluster.statefulSet.pods.length, 0);
    const started: string[] = [];
    cluster.statefulSet.on('podStarted', ({ name }) => started.push(name));
    cluster.statefulSet.create();
    assert.deepEqual(started, ['web-0', 'web-1']);
    assert.deepEqual((await addresses('nginx.default.svc.cluster.local')).length, 2);
  });

  it('leaves nothing behind with `await using`', async () => {
    cluster = await TestCluster.start({ readyMs: 10_000, startMs: 10_000 });
    await cluster[Symbol.asyncDispose]();
    assert.equal(clock.countTimers(), 0);
    await assert.rejects(cluster.statefulSet.settled(), /closed/);
  });
});

describe('TestCluster over sockets', () => {
  it('gives its pods addresses that can be listened on, and names its server', async () => {
    const cluster = await TestCluster.start({ sockets: true, replicas: 2 });
    try {
      assert.match(cluster.dnsServer, /^127\.0\.0\.1:[0-9]+$/);
      assert.equal(cluster.observerEnvironment()['STATEFUL_PEERS_DNS'], cluster.dnsServer);
      const places = cluster.statefulSet.pods.map(
        ({ addresses, ports }) => `${addresses.join()} ${ports[0]?.port ?? ''}`,
      );
      assert.equal(new Set(places).size, 2, 'each pod has a place of its own');
      assert(places.every((place) => place.startsWith('127.')));
    } finally {
      await cluster.close();
    }
  });

  it('can be closed twice', async () => {
    const cluster = await TestCluster.start({ sockets: true });
    await cluster.close();
    await cluster.close();
  });
});

import assert from 'node:assert/strict';
import type { ServiceOptions } from '../../../src/testing/endpoint-slices.ts';
import { endpointSlicesOf } from '../../../src/testing/endpoint-slices.ts';
import { PodNetwork } from '../../../src/testing/pod-network.ts';
import type { StatefulSetOptions } from '../../../src/testing/stateful-set.ts';
import { StatefulSet } from '../../../src/testing/stateful-set.ts';

const nginx: ServiceOptions = { name: 'nginx', selector: { app: 'web' }, ports: [{ name: 'peer', port: 7_000 }] };

describe('the EndpointSlice controller', () => {
  let sets: StatefulSet[];
  beforeEach(() => {
    sets = [];
  });
  afterEach(async () => {
    await Promise.all(sets.map((set) => set.close()));
  });
  function setUp(options: StatefulSetOptions = {}, podCidrs = ['10.244.0.0/20']): StatefulSet {
    const set = new StatefulSet(new PodNetwork({ podCidrs }), { replicas: 1, ...options });
    sets.push(set);
    set.create();
    return set;
  }

  const states: [state: string, StatefulSetOptions, (set: StatefulSet) => void, plain: string, published: string][] = [
    ['Pending', { startMs: 60_000 }, () => undefined, 'absent', 'absent'],
    ['running, not Ready', { readyMs: 'manual' }, () => undefined, 'not ready', 'ready'],
    ['Ready', {}, () => undefined, 'ready', 'ready'],
    ['terminating', { stopMs: 60_000 }, (set) => set.pod('web-0').delete(), 'not ready', 'ready'],
    ['on a node that was lost just now', {}, (set) => set.pod('web-0').loseNode(), 'ready', 'ready'],
  ];
  for (const [state, options, act, plain, published] of states) {
    it(`${state}: ${plain}; with publishNotReadyAddresses ${published}`, () => {
      const set = setUp(options);
      act(set);
      for (const [publishNotReadyAddresses, expected] of [
        [false, plain],
        [true, published],
      ] as const) {
        const [endpoint] = endpointSlicesOf({ ...nginx, publishNotReadyAddresses }, set.pods).flatMap(
          ({ endpoints }) => endpoints,
        );
        const seen = endpoint === undefined ? 'absent' : endpoint.conditions.ready ? 'ready' : 'not ready';
        assert.equal(seen, expected);
      }
    });
  }

  it('leaves a failed pod out, publishNotReadyAddresses or not', () => {
    const set = setUp({ stopMs: 60_000 });
    const pod = set.pod('web-0');
    pod.evict();
    assert.deepEqual(endpointSlicesOf({ ...nginx, publishNotReadyAddresses: true }, [pod]), []);
  });

  it('gives the hostname only to the governing Service', () => {
    const { pods } = setUp();
    const hostname = (name: string): unknown => endpointSlicesOf({ ...nginx, name }, pods)[0]?.endpoints[0]?.hostname;
    assert.equal(hostname('nginx'), 'web-0');
    assert.equal(hostname('other'), null);
  });

  it('selects by labels and namespace; without a selector nobody', () => {
    const { pods } = setUp();
    assert.equal(endpointSlicesOf({ ...nginx, selector: { app: 'db' } }, pods).length, 0);
    assert.equal(endpointSlicesOf({ ...nginx, namespace: 'prod' }, pods).length, 0);
    assert.equal(endpointSlicesOf({ name: 'nginx' }, pods).length, 0);
  });

  const ports: [what: string, port: NonNullable<ServiceOptions['ports']>[number], number: number | undefined][] = [
    ['of the same name', { name: 'peer', port: 80 }, 7_000],
    ['by name', { name: 'web', port: 80, targetPort: 'peer' }, 7_000],
    ['by number', { name: 'peer', port: 80, targetPort: 8_080 }, 8_080],
    ['of the same number, where no name fits', { name: 'web', port: 80 }, 80],
    ['that the pod does not have', { name: 'web', port: 80, targetPort: 'nothing' }, undefined],
  ];
  for (const [what, port, number] of ports) {
    it(`resolves a port ${what}`, () => {
      const [slice] = endpointSlicesOf({ ...nginx, ports: [port] }, setUp().pods);
      assert.equal(slice?.ports[0]?.port, number);
    });
  }

  it('makes a slice for each family', () => {
    const { pods } = setUp({ replicas: 2 }, ['10.244.0.0/24', 'fd00:10::/64']);
    const slices = endpointSlicesOf(nginx, pods);
    assert.deepEqual(
      slices.map(({ addressType, endpoints }) => [addressType, endpoints.flatMap(({ addresses }) => addresses)]),
      [
        ['IPv4', ['10.244.0.2', '10.244.0.3']],
        ['IPv6', ['fd00:10::2', 'fd00:10::3']],
      ],
    );
  });

  it('makes a slice for each set of ports', () => {
    const network = new PodNetwork({ podCidrs: ['127.0.0.1/32'], ownPortsFrom: 20_000 });
    const set = new StatefulSet(network, { replicas: 2 });
    sets.push(set);
    set.create();
    assert.deepEqual(
      endpointSlicesOf(nginx, set.pods).map(({ ports: [port] }) => port?.port),
      [20_000, 20_001],
    );
  });

  it('cuts slices at 100 endpoints, each with its own name', () => {
    const slices = endpointSlicesOf(nginx, setUp({ replicas: 250 }).pods);
    assert.deepEqual(
      slices.map(({ endpoints }) => endpoints.length),
      [100, 100, 50],
    );
    assert.equal(new Set(slices.map(({ name }) => name)).size, 3);
  });
});

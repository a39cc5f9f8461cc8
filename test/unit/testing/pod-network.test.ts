import assert from 'node:assert/strict';
import type { PodNetworkOptions } from '../../../src/testing/pod-network.ts';
import { hasLoopbackRange, PodNetwork } from '../../../src/testing/pod-network.ts';

describe('the pod network', () => {
  const taken = (network: PodNetwork, count: number): string[] =>
    Array.from({ length: count }, () => network.take([], null)?.addresses.join(' ') ?? 'none');

  const rows: [what: string, PodNetworkOptions, addresses: string[]][] = [
    ['IPv4', { podCidrs: ['10.244.0.0/24'] }, ['10.244.0.2', '10.244.0.3']],
    ['IPv6', { podCidrs: ['fd00:10::/64'] }, ['fd00:10::2', 'fd00:10::3']],
    [
      'both, in that order',
      { podCidrs: ['fd00:10::/64', '10.1.2.0/28'] },
      ['fd00:10::2 10.1.2.2', 'fd00:10::3 10.1.2.3'],
    ],
  ];
  for (const [what, options, addresses] of rows) {
    it(`gives addresses of ${what}`, () => {
      assert.deepEqual(taken(new PodNetwork(options), 2), addresses);
    });
  }

  it('goes on into the third byte', () => {
    assert.equal(taken(new PodNetwork({ podCidrs: ['10.244.0.0/16'] }), 300).at(-1), '10.244.1.45');
  });

  it('goes round before it gives an address again, and then only a free one', () => {
    const network = new PodNetwork({ podCidrs: ['10.0.0.0/29'] });
    const first = network.take([], null);
    const second = network.take([], null);
    assert(first !== null && second !== null);
    network.release(second);
    assert.deepEqual(taken(network, 4), ['10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.3']);
    assert.throws(() => network.take([], null), RangeError);
  });

  it('gives the addresses that are wanted, once they are free', () => {
    const network = new PodNetwork({ podCidrs: ['10.0.0.0/24'] });
    const wanted = ['10.0.0.2'];
    const holder = network.take([], null);
    assert(holder !== null);
    assert.equal(network.take([], wanted), null);
    network.release(holder);
    assert.deepEqual(network.take([], wanted)?.addresses, wanted);
  });

  it('gives each pod its own ports where all share an address', () => {
    const network = new PodNetwork({ podCidrs: ['127.0.0.1/32'], ownPortsFrom: 20_000 });
    const locations = [network.take(['peer', 'web'], null), network.take(['peer', 'web'], null)];
    assert.deepEqual(locations, [
      { addresses: ['127.0.0.1'], ports: { peer: 20_000, web: 20_001 } },
      { addresses: ['127.0.0.1'], ports: { peer: 20_002, web: 20_003 } },
    ]);
  });

  for (const cidr of ['10.0.0.0', '10.0.0.0/33', 'web/24', '10.0.0.0/', 'fd00::/129']) {
    it(`refuses ${cidr}`, () => {
      assert.throws(() => new PodNetwork({ podCidrs: [cidr] }), RangeError);
    });
  }

  it('finds out by trying whether all of 127/8 is there', async () => {
    assert.equal(typeof (await hasLoopbackRange()), 'boolean');
  });
});

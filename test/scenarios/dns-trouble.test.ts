import type { ClusterPhase } from './scenario.ts';
import { scenario } from './scenario.ts';

// DNS fails, lies or leaves out; most of the time the cluster is well.

const three = { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3', 'web-2': '10.244.0.4' };
const tenMinutes = 600_000;

describe('scenarios: DNS in trouble', () => {
  scenario('SERVFAIL for ten minutes removes nobody', { cluster: {} }, [
    {
      do: ({ dns }) => dns.fail('SERVFAIL'),
      forMs: tenMinutes,
      events: ['freshnessChanged stale'],
      peers: three,
      freshness: 'stale',
      primary: 'web-0',
    },
    { do: ({ dns }) => dns.heal(), forMs: 6_000, events: ['freshnessChanged fresh'] },
  ]);

  scenario(
    'SERVFAIL while all is replaced: nothing is known until DNS answers, then each pod has moved once',
    {
      cluster: {},
    },
    [
      {
        do: [({ dns }) => dns.fail('SERVFAIL'), ({ set }) => set.rollout()],
        forMs: 60_000,
        events: ['freshnessChanged stale'],
        peers: three,
        freshness: 'stale',
        primary: 'web-0',
      },
      {
        do: ({ dns }) => dns.heal(),
        forMs: 6_000,
        events: [
          'freshnessChanged fresh',
          'peerMoved web-0 10.244.0.2>10.244.0.7 (answer)',
          'peerMoved web-1 10.244.0.3>10.244.0.6 (answer)',
          'peerMoved web-2 10.244.0.4>10.244.0.5 (answer)',
          'topologyChanged 2',
        ],
        peers: { 'web-0': '10.244.0.7', 'web-1': '10.244.0.6', 'web-2': '10.244.0.5' },
      },
    ],
  );

  scenario('NXDOMAIN of the whole Service for 20 s is shorter than the window: nothing happened', { cluster: {} }, [
    { do: ({ dns }) => dns.spuriousNxdomain(1), forMs: 20_000, events: [], peers: three, primary: 'web-0' },
    { do: ({ dns }) => dns.heal(), forMs: tenMinutes, events: [] },
  ]);

  const denied: ClusterPhase = { do: ({ dns }) => dns.spuriousNxdomain(1), forMs: 20_000, events: [] };
  const well: ClusterPhase = { do: ({ dns }) => dns.heal(), forMs: 40_000, events: [] };
  scenario('NXDOMAIN of the whole Service for 20 s in every minute: each time counts anew', { cluster: {} }, [
    { ...denied, peers: three, primary: 'web-0' },
    ...[well, denied, well, denied, well, denied, well],
  ]);

  const failing: ClusterPhase = {
    do: ({ dns }) => dns.fail('SERVFAIL'),
    forMs: tenMinutes,
    events: ['freshnessChanged stale'],
    freshness: 'stale',
  };
  scenario('a pod is away, and then DNS fails for ten minutes: failures neither count nor clear', { cluster: {} }, [
    { do: ({ set }) => set.scale(2), forMs: 30_000, events: [], peers: three, primary: 'web-0' },
    failing,
    // 25 to 30 s are counted, and up to 5 s pass until the next answer.
    { do: ({ dns }) => dns.heal(), forMs: 14_900, events: ['freshnessChanged fresh'] },
    {
      forMs: 12_000,
      events: ['presenceChanged web-2 missing (absence)', 'topologyChanged 2'],
      peers: { ...three, 'web-2': 'missing 10.244.0.4' },
    },
    { ...failing, forMs: 130_000 },
    { do: ({ dns }) => dns.heal(), forMs: 60_000, events: ['freshnessChanged fresh'] },
  ]);

  scenario(
    'answers that come every 30 s: the time between two counts as 10 s',
    {
      options: { refresh: { minIntervalMs: 30_000, maxIntervalMs: 30_000 } },
      cluster: {},
    },
    [
      // Five such gaps are 150 s, after the first absent answer.
      { do: ({ set }) => set.scale(2), forMs: 149_000, events: [], peers: three, primary: 'web-0' },
      {
        forMs: 32_000,
        events: ['presenceChanged web-2 missing (absence)', 'topologyChanged 2'],
        peers: { ...three, 'web-2': 'missing 10.244.0.4' },
      },
    ],
  );

  scenario('one question in two is denied for ten minutes: nobody goes missing', { cluster: { dns: { seed: 7 } } }, [
    { do: ({ dns }) => dns.spuriousNxdomain(0.5), forMs: tenMinutes, events: [], peers: three, primary: 'web-0' },
  ]);

  scenario(
    'DNS restarts: silence, then NXDOMAIN until it knows the cluster, then the truth. Nobody was away',
    {
      cluster: {},
    },
    [
      {
        do: ({ dns }) => dns.silence(),
        forMs: 12_000,
        events: ['freshnessChanged stale'],
        peers: three,
        freshness: 'stale',
        primary: 'web-0',
      },
      {
        do: [({ dns }) => dns.heal(), ({ dns }) => dns.spuriousNxdomain(1)],
        forMs: 15_000,
        events: ['freshnessChanged fresh'],
      },
      { do: ({ dns }) => dns.heal(), forMs: tenMinutes, events: [] },
    ],
  );

  scenario(
    'only one replica of DNS restarts with NXDOMAIN, and stays so: the other one is believed',
    {
      cluster: { dns: { replicas: [{}, {}] } },
    },
    [
      {
        do: ({ dns }) => dns.spuriousNxdomain(1, { replica: 1 }),
        forMs: tenMinutes,
        events: [],
        peers: three,
        primary: 'web-0',
      },
    ],
  );

  for (const [what, nameserver] of [
    ['asks the root about it', '192.0.2.53'],
    ['refuses it', '192.0.2.54'],
  ] as const) {
    scenario(
      `resolv.conf changes to a server that does not know the zone and ${what}: stale, nobody is removed`,
      {
        cluster: {},
      },
      [
        {
          do: ({ resolveWith }) => resolveWith(nameserver),
          forMs: tenMinutes,
          events: ['freshnessChanged stale'],
          peers: three,
          freshness: 'stale',
          primary: 'web-0',
        },
        { do: ({ resolveWith }) => resolveWith('10.96.0.10'), forMs: 11_000, events: ['freshnessChanged fresh'] },
      ],
    );
  }

  scenario('a pod that SRV leaves out while its own name shows it is missing, but never removed', { cluster: {} }, [
    {
      do: [({ set }) => set.scale(2), ({ dns }) => dns.answer('web-2', { addresses: ['10.244.0.4'] })],
      forMs: 119_900,
      events: ['presenceChanged web-2 missing (absence)', 'topologyChanged 2'],
      peers: { ...three, 'web-2': 'missing 10.244.0.4' },
      primary: 'web-0',
    },
    {
      forMs: tenMinutes,
      events: ['presenceChanged web-2 published (answer)', 'topologyChanged 3'],
      peers: three,
    },
  ]);

  scenario('a resolver that answers any name is no witness: SRV alone decides that a pod has left', { cluster: {} }, [
    {
      do: [({ set }) => set.scale(2), ({ dns }) => dns.answer(['web-2', 'web-00'], { addresses: ['198.51.100.7'] })],
      forMs: 119_900,
      events: ['presenceChanged web-2 missing (absence)', 'topologyChanged 2'],
      peers: { ...three, 'web-2': 'missing 10.244.0.4' },
      primary: 'web-0',
    },
    {
      forMs: 8_000,
      events: ['peerRemoved web-2 (absence)', 'topologyChanged 3'],
      peers: { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3' },
    },
    { forMs: tenMinutes, events: [] },
  ]);

  scenario(
    'a resolver that answers any name, while SRV fails: what names say is no answer, and nobody moves',
    {
      cluster: {},
    },
    [
      {
        do: [
          ({ dns }) => dns.fail('SERVFAIL', { types: 'SRV' }),
          ({ dns }) => dns.answer([...Object.keys(three), 'web-00', 'web-3', 'web-4'], { addresses: ['198.51.100.7'] }),
        ],
        forMs: tenMinutes,
        events: ['freshnessChanged stale'],
        peers: three,
        freshness: 'stale',
        primary: 'web-0',
      },
      { do: ({ dns }) => dns.heal(), forMs: 6_000, events: ['freshnessChanged fresh'] },
    ],
  );

  scenario('SRV is truncated and TCP is blocked: names are asked, and a move is seen all the same', { cluster: {} }, [
    {
      do: [({ dns }) => dns.truncate({ types: 'SRV', answersKept: 1 }), ({ dns }) => dns.blockTcp()],
      forMs: 60_000,
      events: [],
      peers: three,
      primary: 'web-0',
    },
    {
      do: ({ pod }) => pod('web-1').reschedule(),
      forMs: 6_000,
      events: ['peerMoved web-1 10.244.0.3>10.244.0.5 (answer)', 'topologyChanged 2'],
      peers: { ...three, 'web-1': '10.244.0.5' },
    },
  ]);

  scenario('every answer is garbage, or a forgery: stale, and nothing is believed of it', { cluster: {} }, [
    {
      do: [({ dns }) => dns.garbage('malformed'), ({ dns }) => dns.forge()],
      forMs: tenMinutes,
      events: ['freshnessChanged stale'],
      peers: three,
      freshness: 'stale',
      primary: 'web-0',
    },
    { do: [({ dns }) => dns.heal(), ({ dns }) => dns.forge()], forMs: 6_000, events: ['freshnessChanged fresh'] },
  ]);
});

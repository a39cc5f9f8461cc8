import { scenario } from './scenario.ts';

// Where a pod is, when it comes back, moves, or another one answers in its place.

const three = { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3', 'web-2': '10.244.0.4' };
const two = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' };

describe('scenarios: addresses', () => {
  scenario('same IP back after 20 s: nothing happened', { cluster: { stopMs: 10_000, startMs: 10_000 } }, [
    {
      do: ({ pod }) => pod('web-1').reschedule({ addresses: '10.244.0.3' }),
      forMs: 120_000,
      events: [],
      peers: three,
      primary: 'web-0',
    },
  ]);

  scenario(
    'same IP back after a minute: missing, then published, and no move',
    { cluster: { stopMs: 60_000, gracePeriodMs: 60_000 } },
    [
      {
        do: ({ pod }) => pod('web-1').reschedule({ addresses: '10.244.0.3' }),
        forMs: 59_000,
        events: ['presenceChanged web-1 missing (absence)', 'topologyChanged 2'],
        peers: { ...three, 'web-1': 'missing 10.244.0.3' },
        primary: 'web-0',
      },
      { forMs: 5_000, events: ['presenceChanged web-1 published (answer)', 'topologyChanged 3'], peers: three },
    ],
  );

  scenario(
    'one DNS replica 30 s behind: a pod at another IP has moved once',
    {
      cluster: { dns: { replicas: [{}, { lagMs: 30_000 }] } },
    },
    [
      {
        do: ({ pod }) => pod('web-1').reschedule(),
        forMs: 11_000,
        events: ['peerMoved web-1 10.244.0.3>10.244.0.5 (answer)', 'topologyChanged 2'],
        peers: { ...three, 'web-1': '10.244.0.5' },
        primary: 'web-0',
      },
      { forMs: 120_000, events: [] },
    ],
  );

  scenario(
    'one DNS replica frozen for ten minutes: a pod at another IP has moved once',
    {
      cluster: { dns: { replicas: [{}, {}] } },
    },
    [
      {
        do: [({ dns }) => dns.freezeReplica(1), ({ pod }) => pod('web-1').reschedule()],
        forMs: 11_000,
        events: ['peerMoved web-1 10.244.0.3>10.244.0.5 (answer)', 'topologyChanged 2'],
        peers: { ...three, 'web-1': '10.244.0.5' },
        primary: 'web-0',
      },
      { forMs: 600_000, events: [] },
      { do: ({ dns }) => dns.setReplicas([{}]), forMs: 120_000, events: [] },
    ],
  );

  scenario('two moves within the 15 s in which the first is settling: no address comes back', { cluster: {} }, [
    {
      do: ({ pod }) => pod('web-1').reschedule(),
      forMs: 6_000,
      events: ['peerMoved web-1 10.244.0.3>10.244.0.5 (answer)', 'topologyChanged 2'],
      peers: { ...three, 'web-1': '10.244.0.5' },
      primary: 'web-0',
    },
    {
      do: ({ pod }) => pod('web-1').reschedule(),
      forMs: 2_000,
      events: ['peerMoved web-1 10.244.0.5>10.244.0.6 (answer)', 'topologyChanged 3'],
      peers: { ...three, 'web-1': '10.244.0.6' },
    },
    { forMs: 60_000, events: [] },
  ]);

  const away = [
    {
      dns: { ...two, 'web-1': '10.0.0.9' },
      forMs: 6_000,
      events: ['peerMoved web-1 10.0.0.2>10.0.0.9 (answer)', 'topologyChanged 2'],
      peers: { ...two, 'web-1': '10.0.0.9' },
      primary: 'web-0',
    },
  ];
  const back = ['peerMoved web-1 10.0.0.9>10.0.0.2 (answer)', 'topologyChanged 3'];

  scenario('a pod that really goes back to its former IP is believed after 15 s', { dns: two }, [
    ...away,
    { dns: two, forMs: 14_900, events: [] },
    { forMs: 3_000, events: back, peers: two },
  ]);

  scenario('… and 2 s after a connection to the other address failed', { dns: two }, [
    ...away,
    { dns: two, forMs: 3_000, events: [] },
    { do: ({ peers }) => peers.report('web-1', 'unreachable', '10.0.0.9'), forMs: 1_900, events: [] },
    { forMs: 1_500, events: back, peers: two },
  ]);

  scenario('a stranger is reported: its address is barred for 15 s, then DNS is believed again', { cluster: {} }, [
    {
      do: ({ peers }) => peers.report('web-1', 'stranger', '10.244.0.3'),
      forMs: 14_900,
      events: ['peerMoved web-1 10.244.0.3>nowhere (stranger)', 'topologyChanged 2'],
      peers: { ...three, 'web-1': 'nowhere' },
      primary: 'web-0',
    },
    { forMs: 2_000, events: ['peerMoved web-1 nowhere>10.244.0.3 (answer)', 'topologyChanged 3'], peers: three },
  ]);

  scenario(
    'a stranger is reported while the pod moves: its new address is taken as soon as DNS has it',
    {
      cluster: { stopMs: 3_000, startMs: 2_000 },
    },
    [
      {
        do: [({ pod }) => pod('web-1').delete(), ({ peers }) => peers.report('web-1', 'stranger', '10.244.0.3')],
        forMs: 4_900,
        events: ['peerMoved web-1 10.244.0.3>nowhere (stranger)', 'topologyChanged 2'],
        peers: { ...three, 'web-1': 'nowhere' },
        primary: 'web-0',
      },
      {
        forMs: 2_000,
        events: ['peerMoved web-1 nowhere>10.244.0.5 (answer)', 'topologyChanged 3'],
        peers: { ...three, 'web-1': '10.244.0.5' },
      },
      { forMs: 60_000, events: [] },
    ],
  );

  scenario('another port number in SRV is a move without another address', { cluster: {} }, [
    {
      do: ({ cluster }) =>
        cluster.addService({
          name: 'nginx',
          selector: { app: 'web' },
          ports: [{ name: 'peer', port: 7_000, targetPort: 7_001 }],
        }),
      forMs: 6_000,
      events: [
        'peerMoved web-0 10.244.0.2>10.244.0.2 (answer)',
        'peerMoved web-1 10.244.0.3>10.244.0.3 (answer)',
        'peerMoved web-2 10.244.0.4>10.244.0.4 (answer)',
        'topologyChanged 2',
      ],
      peers: { 'web-0': '10.244.0.2:7001', 'web-1': '10.244.0.3:7001', 'web-2': '10.244.0.4:7001' },
      primary: 'web-0',
    },
  ]);
});

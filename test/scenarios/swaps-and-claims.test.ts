import type { ClusterWorld } from './scenario.ts';
import { scenario } from './scenario.ts';

// Whose an address is, when pods trade theirs or one takes another's. Promise 9.

const three = { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3', 'web-2': '10.244.0.4' };
const two = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' };
const swapped = { 'web-0': '10.0.0.2', 'web-1': '10.0.0.1' };
const parallel = { podManagementPolicy: 'Parallel' } as const;

describe('scenarios: swaps and claims', () => {
  scenario('two pods deleted at once, IPs swapped, in one answer: two moves, one version', { cluster: parallel }, [
    {
      do: swapTheirAddresses,
      forMs: 6_000,
      events: [
        'peerMoved web-0 10.244.0.2>10.244.0.3 (answer)',
        'peerMoved web-1 10.244.0.3>10.244.0.2 (answer)',
        'topologyChanged 2',
      ],
      peers: { ...three, 'web-0': '10.244.0.3', 'web-1': '10.244.0.2' },
      primary: 'web-0',
    },
    { forMs: 120_000, events: [] },
  ]);

  scenario(
    '… in two answers: who comes first takes the address, and the other one is nowhere in between',
    {
      cluster: { readyMs: 10_000, stopMs: 1_000 },
    },
    [
      {
        do: ({ set, pod }) => {
          set.giveAddress('web-0', '10.244.0.3');
          set.giveAddress('web-1', '10.244.0.2');
          pod('web-0').delete();
          pod('web-1').delete();
        },
        forMs: 14_000,
        events: [
          'peerMoved web-0 10.244.0.2>10.244.0.3 (answer)',
          'peerMoved web-1 10.244.0.3>nowhere (claim)',
          'topologyChanged 2',
        ],
        peers: { ...three, 'web-0': '10.244.0.3', 'web-1': 'nowhere' },
        primary: 'web-0',
      },
      {
        forMs: 14_000,
        events: ['peerMoved web-1 nowhere>10.244.0.2 (answer)', 'topologyChanged 3'],
        peers: { ...three, 'web-0': '10.244.0.3', 'web-1': '10.244.0.2' },
      },
    ],
  );

  scenario(
    '… with an answer between that has both at one address: it changes nothing, for a tie stays with the holder',
    {
      dns: two,
    },
    [
      { dns: { 'web-0': '10.0.0.2', 'web-1': '10.0.0.2' }, forMs: 6_000, events: [], peers: two, primary: 'web-0' },
      {
        dns: swapped,
        forMs: 6_000,
        events: [
          'peerMoved web-0 10.0.0.1>10.0.0.2 (answer)',
          'peerMoved web-1 10.0.0.2>10.0.0.1 (answer)',
          'topologyChanged 2',
        ],
        peers: swapped,
      },
    ],
  );

  scenario('… and two replicas of which one still has the old answer: two moves, and no way back', { dns: two }, [
    {
      dns: swapped,
      forMs: 6_000,
      events: [
        'peerMoved web-0 10.0.0.1>10.0.0.2 (answer)',
        'peerMoved web-1 10.0.0.2>10.0.0.1 (answer)',
        'topologyChanged 2',
      ],
      peers: swapped,
      primary: 'web-0',
    },
    { dns: [two, swapped], forMs: 120_000, events: [] },
  ]);

  scenario(
    '… in two answers, and one of two replicas is 30 s late: nothing comes back meanwhile',
    {
      cluster: { readyMs: 10_000, stopMs: 1_000, dns: { replicas: [{}, { lagMs: 30_000 }] } },
    },
    [
      {
        do: swapTheirAddresses,
        // web-0 is Ready after 11 s, web-1 after 21 s.
        forMs: 20_000,
        events: [
          'peerMoved web-0 10.244.0.2>10.244.0.3 (answer)',
          'peerMoved web-1 10.244.0.3>nowhere (claim)',
          'topologyChanged 2',
        ],
        peers: { ...three, 'web-0': '10.244.0.3', 'web-1': 'nowhere' },
        primary: 'web-0',
      },
      {
        forMs: 20_000,
        events: ['peerMoved web-1 nowhere>10.244.0.2 (answer)', 'topologyChanged 3'],
        peers: { ...three, 'web-0': '10.244.0.3', 'web-1': '10.244.0.2' },
      },
      { forMs: 120_000, events: [] },
    ],
  );

  scenario('two pods that swap back at once do so after 15 s, in one version', { dns: two }, [
    {
      dns: swapped,
      forMs: 6_000,
      events: [
        'peerMoved web-0 10.0.0.1>10.0.0.2 (answer)',
        'peerMoved web-1 10.0.0.2>10.0.0.1 (answer)',
        'topologyChanged 2',
      ],
      peers: swapped,
      primary: 'web-0',
    },
    { dns: two, forMs: 14_900, events: [] },
    {
      forMs: 3_000,
      events: [
        'peerMoved web-0 10.0.0.2>10.0.0.1 (answer)',
        'peerMoved web-1 10.0.0.1>10.0.0.2 (answer)',
        'topologyChanged 3',
      ],
      peers: two,
    },
  ]);

  const rotated = { 'web-0': '10.0.0.2', 'web-1': '10.0.0.3', 'web-2': '10.0.0.1' };
  scenario(
    'three pods pass their IPs round in one answer, and an old replica changes nothing',
    {
      dns: { ...two, 'web-2': '10.0.0.3' },
    },
    [
      {
        dns: rotated,
        forMs: 6_000,
        events: [
          'peerMoved web-0 10.0.0.1>10.0.0.2 (answer)',
          'peerMoved web-1 10.0.0.2>10.0.0.3 (answer)',
          'peerMoved web-2 10.0.0.3>10.0.0.1 (answer)',
          'topologyChanged 2',
        ],
        peers: rotated,
        primary: 'web-0',
      },
      { dns: [{ ...two, 'web-2': '10.0.0.3' }, rotated], forMs: 60_000, events: [] },
    ],
  );

  scenario(
    'a new pod has the IP of one that is away: it is added there, and the other one is nowhere until it is removed',
    {
      dns: two,
    },
    [
      {
        dns: { 'web-0': '10.0.0.1', 'web-3': '10.0.0.2' },
        forMs: 6_000,
        events: ['peerAdded web-3 10.0.0.2 (answer)', 'peerMoved web-1 10.0.0.2>nowhere (claim)', 'topologyChanged 2'],
        peers: { 'web-0': '10.0.0.1', 'web-1': 'nowhere', 'web-3': '10.0.0.2' },
        primary: 'web-0',
      },
      {
        forMs: 124_000,
        events: [
          'presenceChanged web-1 missing (absence)',
          'topologyChanged 3',
          'peerRemoved web-1 (absence)',
          'topologyChanged 4',
        ],
        peers: { 'web-0': '10.0.0.1', 'web-3': '10.0.0.2' },
      },
    ],
  );

  const takenOver = [
    'peerMoved web-0 10.244.0.2>nowhere (claim)',
    'peerMoved web-1 10.244.0.3>10.244.0.2 (answer)',
    'topologyChanged 2',
  ];
  for (const [how, replicas] of [
    ['at once', [{}]],
    ['and DNS is a second late', [{ lagMs: 1_000 }]],
    ['and one of two replicas is a second late', [{}, { lagMs: 1_000 }]],
    ['and one of two replicas is 30 s late', [{}, { lagMs: 30_000 }]],
  ] as const) {
    scenario(
      `an IP is taken over by another pod, ${how}: its former holder is nowhere until it has its own`,
      {
        cluster: { ...parallel, dns: { replicas } },
      },
      [
        {
          do: ({ set, pod }) => {
            set.giveAddress('web-1', '10.244.0.2');
            // web-0 waits for an address that another pod has, and stays Pending.
            set.giveAddress('web-0', '10.244.0.4');
            pod('web-0').delete();
            pod('web-1').delete();
          },
          // While nothing has been noticed, each replica's turn comes every 10 s.
          forMs: 11_000,
          events: takenOver,
          peers: { ...three, 'web-0': 'nowhere', 'web-1': '10.244.0.2' },
          primary: 'web-0',
        },
        {
          do: ({ pod }) => pod('web-2').delete(),
          forMs: 8_000,
          events: [
            'peerMoved web-0 nowhere>10.244.0.4 (answer)',
            'peerMoved web-2 10.244.0.4>10.244.0.5 (answer)',
            'topologyChanged 3',
          ],
          peers: { 'web-0': '10.244.0.4', 'web-1': '10.244.0.2', 'web-2': '10.244.0.5' },
        },
        { forMs: 120_000, events: [] },
      ],
    );
  }
});

function swapTheirAddresses({ set, pod }: ClusterWorld): void {
  set.giveAddress('web-0', '10.244.0.3');
  set.giveAddress('web-1', '10.244.0.2');
  pod('web-0').delete();
  pod('web-1').delete();
}

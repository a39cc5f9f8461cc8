import { scenario } from './scenario.ts';

// The default windows: missing after 45 s, removed after 120 s. A pod of these sets ends in 10 s, has its next address
// 5 s later and is Ready 15 s after that. While nothing happens DNS is asked every 5 s, else every second.

const slow = { stopMs: 10_000, startMs: 5_000, readyMs: 15_000 };
const three = { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3', 'web-2': '10.244.0.4' };

describe('scenarios: rollouts', () => {
  scenario('a rolling update is one move a pod, and nobody goes missing', { cluster: slow }, [
    { do: ({ set }) => set.rollout(), forMs: 29_000, events: [], peers: three, primary: 'web-0' },
    {
      forMs: 6_000,
      events: ['peerMoved web-2 10.244.0.4>10.244.0.5 (answer)', 'topologyChanged 2'],
      peers: { ...three, 'web-2': '10.244.0.5' },
    },
    {
      forMs: 30_000,
      events: ['peerMoved web-1 10.244.0.3>10.244.0.6 (answer)', 'topologyChanged 3'],
      peers: { ...three, 'web-1': '10.244.0.6', 'web-2': '10.244.0.5' },
    },
    {
      forMs: 30_000,
      events: ['peerMoved web-0 10.244.0.2>10.244.0.7 (answer)', 'topologyChanged 4'],
      peers: { 'web-0': '10.244.0.7', 'web-1': '10.244.0.6', 'web-2': '10.244.0.5' },
    },
    { forMs: 300_000, events: [] },
  ]);

  scenario(
    'with publishNotReadyAddresses a pod moves as soon as it has its address, before it is Ready',
    { cluster: { ...slow, publishNotReadyAddresses: true } },
    [
      { do: ({ set }) => set.rollout(), forMs: 14_000, events: [], peers: three, primary: 'web-0' },
      {
        forMs: 7_000,
        events: ['peerMoved web-2 10.244.0.4>10.244.0.5 (answer)', 'topologyChanged 2'],
        peers: { ...three, 'web-2': '10.244.0.5' },
      },
      {
        forMs: 30_000,
        events: ['peerMoved web-1 10.244.0.3>10.244.0.6 (answer)', 'topologyChanged 3'],
        peers: { ...three, 'web-1': '10.244.0.6', 'web-2': '10.244.0.5' },
      },
      {
        forMs: 30_000,
        events: ['peerMoved web-0 10.244.0.2>10.244.0.7 (answer)', 'topologyChanged 4'],
        peers: { 'web-0': '10.244.0.7', 'web-1': '10.244.0.6', 'web-2': '10.244.0.5' },
      },
      { forMs: 300_000, events: [] },
    ],
  );

  scenario(
    'a partition keeps the primary, which sees only the others move',
    { self: 'web-0', cluster: { ...slow, partition: 1 } },
    [
      {
        do: ({ set }) => set.rollout(),
        forMs: 90_000,
        events: [
          'peerMoved web-2 10.244.0.4>10.244.0.5 (answer)',
          'topologyChanged 2',
          'peerMoved web-1 10.244.0.3>10.244.0.6 (answer)',
          'topologyChanged 3',
        ],
        peers: { 'web-0': '10.244.0.2', 'web-1': '10.244.0.6', 'web-2': '10.244.0.5' },
        primary: 'web-0',
      },
    ],
  );

  scenario(
    'a pod that takes longer than a normal rollout is missing until it is back: a peer that comes back is one move',
    { cluster: { replicas: 2, stopMs: 10_000, readyMs: 50_000 } },
    [
      {
        do: ({ pod }) => pod('web-1').delete(),
        forMs: 44_900,
        events: [],
        peers: { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3' },
        primary: 'web-0',
      },
      {
        forMs: 8_000,
        events: ['presenceChanged web-1 missing (absence)', 'topologyChanged 2'],
        peers: { 'web-0': '10.244.0.2', 'web-1': 'missing 10.244.0.3' },
      },
      {
        forMs: 20_000,
        events: [
          'peerMoved web-1 10.244.0.3>10.244.0.4 (answer)',
          'presenceChanged web-1 published (answer)',
          'topologyChanged 3',
        ],
        peers: { 'web-0': '10.244.0.2', 'web-1': '10.244.0.4' },
      },
    ],
  );

  scenario(
    'Recreate: nobody is published for a while, everybody comes back elsewhere, and nobody went missing',
    { cluster: { updateStrategy: 'Recreate', stopMs: 5_000, startMs: 2_000, readyMs: 8_000 } },
    [
      { do: ({ set }) => set.rollout(), forMs: 14_000, events: [], peers: three, primary: 'web-0' },
      {
        forMs: 30_000,
        events: [
          'peerMoved web-0 10.244.0.2>10.244.0.5 (answer)',
          'topologyChanged 2',
          'peerMoved web-1 10.244.0.3>10.244.0.6 (answer)',
          'topologyChanged 3',
          'peerMoved web-2 10.244.0.4>10.244.0.7 (answer)',
          'topologyChanged 4',
        ],
        peers: { 'web-0': '10.244.0.5', 'web-1': '10.244.0.6', 'web-2': '10.244.0.7' },
      },
    ],
  );

  scenario(
    'two pods deleted at once come back in order: same names, other IPs, the same primary before and after',
    { self: 'web-2', cluster: { ...slow, readyMs: 10_000 } },
    [
      {
        do: [({ pod }) => pod('web-0').delete(), ({ pod }) => pod('web-1').delete()],
        forMs: 24_000,
        events: [],
        peers: three,
        primary: 'web-0',
      },
      {
        forMs: 6_000,
        events: ['peerMoved web-0 10.244.0.2>10.244.0.5 (answer)', 'topologyChanged 2'],
        peers: { ...three, 'web-0': '10.244.0.5' },
      },
      {
        forMs: 15_000,
        events: ['peerMoved web-1 10.244.0.3>10.244.0.6 (answer)', 'topologyChanged 3'],
        peers: { ...three, 'web-0': '10.244.0.5', 'web-1': '10.244.0.6' },
      },
    ],
  );

  // One replica of DNS is 30 s behind: every other answer is old.
  const behind = { ...slow, dns: { replicas: [{}, { lagMs: 30_000 }] } };
  scenario(
    'one DNS replica 30 s behind: a rolling update is still one move a pod, and nothing flaps',
    { cluster: behind },
    [
      { do: ({ set }) => set.rollout(), forMs: 29_000, events: [], peers: three, primary: 'web-0' },
      {
        forMs: 9_000,
        events: ['peerMoved web-2 10.244.0.4>10.244.0.5 (answer)', 'topologyChanged 2'],
        peers: { ...three, 'web-2': '10.244.0.5' },
      },
      {
        forMs: 30_000,
        events: ['peerMoved web-1 10.244.0.3>10.244.0.6 (answer)', 'topologyChanged 3'],
        peers: { ...three, 'web-1': '10.244.0.6', 'web-2': '10.244.0.5' },
      },
      {
        forMs: 30_000,
        events: ['peerMoved web-0 10.244.0.2>10.244.0.7 (answer)', 'topologyChanged 4'],
        peers: { 'web-0': '10.244.0.7', 'web-1': '10.244.0.6', 'web-2': '10.244.0.5' },
      },
      { forMs: 300_000, events: [] },
    ],
  );

  // Clusters before Kubernetes 1.32: a pod that is away for 30 s while each replica keeps each answer for 30 s.
  const cached = { ...slow, dns: { ttlSeconds: 30, replicas: [{ cache: 30 }, { cache: 30 }] } };
  for (const seconds of [0, 6, 12, 18, 24]) {
    scenario(
      `two caches of 30 s: a pod that is replaced ${seconds} s later has moved once, and nobody went missing`,
      { cluster: cached },
      [
        { forMs: seconds * 1_000, events: [], peers: three, primary: 'web-0' },
        { do: ({ pod }) => pod('web-1').delete(), forMs: 29_000, events: [] },
        {
          // The older of the two answers is at most 30 s old, and its replica's turn comes every 10 s.
          forMs: 43_000,
          events: ['peerMoved web-1 10.244.0.3>10.244.0.5 (answer)', 'topologyChanged 2'],
          peers: { ...three, 'web-1': '10.244.0.5' },
        },
        { forMs: 120_000, events: [] },
      ],
    );
  }
});

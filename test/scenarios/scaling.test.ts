import { fixedPrimary } from '../../src/topology/primary.ts';
import { scenario } from './scenario.ts';

// The default windows: missing after 45 s, removed after 120 s, both from the first absent answer, which comes within
// 5 s. While somebody is absent DNS is asked every second.

const three = { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3', 'web-2': '10.244.0.4' };
const five = { ...three, 'web-3': '10.244.0.5', 'web-4': '10.244.0.6' };
const allMissing = { 'web-0': 'missing 10.244.0.2', 'web-1': 'missing 10.244.0.3', 'web-2': 'missing 10.244.0.4' };
const goMissing = [
  'presenceChanged web-0 missing (absence)',
  'presenceChanged web-1 missing (absence)',
  'presenceChanged web-2 missing (absence)',
];

describe('scenarios: scaling', () => {
  scenario('scale 1→3: each pod is added when it is Ready', { cluster: { replicas: 1, readyMs: 10_000 } }, [
    { do: ({ set }) => set.scale(3), forMs: 9_000, events: [], peers: { 'web-0': '10.244.0.2' }, primary: 'web-0' },
    {
      forMs: 20_000,
      events: [
        'peerAdded web-1 10.244.0.3 (answer)',
        'topologyChanged 2',
        'peerAdded web-2 10.244.0.4 (answer)',
        'topologyChanged 3',
      ],
      peers: three,
    },
  ]);

  scenario('scale 5→3: missing after 45 s, removed after 120 s', { cluster: { replicas: 5 } }, [
    { do: ({ set }) => set.scale(3), forMs: 44_900, events: [], peers: five, primary: 'web-0' },
    {
      forMs: 7_000,
      events: [
        'presenceChanged web-3 missing (absence)',
        'presenceChanged web-4 missing (absence)',
        'topologyChanged 2',
      ],
      peers: { ...three, 'web-3': 'missing 10.244.0.5', 'web-4': 'missing 10.244.0.6' },
    },
    { forMs: 68_000, events: [] },
    {
      forMs: 8_000,
      events: ['peerRemoved web-3 (absence)', 'peerRemoved web-4 (absence)', 'topologyChanged 3'],
      peers: three,
    },
    { forMs: 300_000, events: [] },
  ]);

  scenario(
    'scale 5→3→5 in a minute: two moves, and nobody went missing',
    { cluster: { replicas: 5, startMs: 2_000, readyMs: 3_000, stopMs: 2_000 } },
    [
      { do: ({ set }) => set.scale(3), forMs: 30_000, events: [], peers: five, primary: 'web-0' },
      {
        do: ({ set }) => set.scale(5),
        forMs: 30_000,
        events: [
          'peerMoved web-3 10.244.0.5>10.244.0.7 (answer)',
          'topologyChanged 2',
          'peerMoved web-4 10.244.0.6>10.244.0.8 (answer)',
          'topologyChanged 3',
        ],
        peers: { ...three, 'web-3': '10.244.0.7', 'web-4': '10.244.0.8' },
      },
    ],
  );

  scenario('scale 5→3→5 in a minute and a half: missing, then one move each', { cluster: { replicas: 5 } }, [
    {
      do: ({ set }) => set.scale(3),
      forMs: 60_000,
      events: [
        'presenceChanged web-3 missing (absence)',
        'presenceChanged web-4 missing (absence)',
        'topologyChanged 2',
      ],
      peers: { ...three, 'web-3': 'missing 10.244.0.5', 'web-4': 'missing 10.244.0.6' },
      primary: 'web-0',
    },
    {
      do: ({ set }) => set.scale(5),
      forMs: 30_000,
      events: [
        'peerMoved web-3 10.244.0.5>10.244.0.7 (answer)',
        'peerMoved web-4 10.244.0.6>10.244.0.8 (answer)',
        'presenceChanged web-3 published (answer)',
        'presenceChanged web-4 published (answer)',
        'topologyChanged 3',
      ],
      peers: { ...three, 'web-3': '10.244.0.7', 'web-4': '10.244.0.8' },
    },
  ]);

  scenario('scale to zero and back is believed: everybody is removed, and new ones come', { cluster: {} }, [
    { do: ({ set }) => set.scale(0), forMs: 44_900, events: [], peers: three, primary: 'web-0' },
    { forMs: 7_000, events: [...goMissing, 'topologyChanged 2'], peers: allMissing },
    { forMs: 68_000, events: [] },
    {
      forMs: 8_000,
      events: [
        'peerRemoved web-0 (absence)',
        'peerRemoved web-1 (absence)',
        'peerRemoved web-2 (absence)',
        'primaryChanged web-0>null (absence)',
        'topologyChanged 3',
      ],
      peers: {},
      primary: null,
    },
    {
      do: ({ set }) => set.scale(3),
      forMs: 6_000,
      events: [
        'peerAdded web-0 10.244.0.5 (answer)',
        'peerAdded web-1 10.244.0.6 (answer)',
        'peerAdded web-2 10.244.0.7 (answer)',
        'primaryChanged null>web-0 (answer)',
        'topologyChanged 4',
      ],
      peers: { 'web-0': '10.244.0.5', 'web-1': '10.244.0.6', 'web-2': '10.244.0.7' },
      primary: 'web-0',
    },
  ]);

  scenario('a member of a set that is scaled to zero stays alone, unpublished', { self: 'web-1', cluster: {} }, [
    {
      do: ({ set }) => set.scale(0),
      forMs: 130_000,
      events: [
        ...goMissing,
        'topologyChanged 2',
        'peerRemoved web-0 (absence)',
        'peerRemoved web-2 (absence)',
        'presenceChanged web-1 unpublished (absence)',
        'primaryChanged web-0>null (absence)',
        'topologyChanged 3',
      ],
      peers: { 'web-1': 'unpublished 10.244.0.3' },
      primary: null,
    },
    { forMs: 300_000, events: [] },
  ]);

  scenario(
    'a window shorter than the interval: it takes three absent answers all the same',
    {
      options: {
        refresh: { minIntervalMs: 5_000, maxIntervalMs: 5_000 },
        absence: { missingAfterMs: 1_000, removeAfterMs: 60_000 },
      },
      cluster: {},
    },
    [
      { do: ({ set }) => set.scale(2), forMs: 9_900, events: [], peers: three, primary: 'web-0' },
      {
        forMs: 6_000,
        events: ['presenceChanged web-2 missing (absence)', 'topologyChanged 2'],
        peers: { ...three, 'web-2': 'missing 10.244.0.4' },
      },
    ],
  );

  scenario(
    'a negative TTL of 30 s: a removal takes four of them, whatever the options say',
    {
      options: { absence: { missingAfterMs: 20_000, removeAfterMs: 60_000 } },
      cluster: { dns: { ttlSeconds: 30 } },
    },
    [
      {
        do: ({ set }) => set.scale(2),
        forMs: 28_000,
        events: ['presenceChanged web-2 missing (absence)', 'topologyChanged 2'],
        peers: { ...three, 'web-2': 'missing 10.244.0.4' },
        primary: 'web-0',
      },
      { forMs: 91_500, events: [] },
      {
        forMs: 10_000,
        events: ['peerRemoved web-2 (absence)', 'topologyChanged 3'],
        peers: { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3' },
      },
    ],
  );

  scenario(
    'ordinals moved: the new ones are added at once, the old ones leave, and the primary with them',
    {
      cluster: {},
    },
    [
      {
        do: ({ set }) => set.setOrdinalStart(5),
        forMs: 6_000,
        events: [
          'peerAdded web-5 10.244.0.5 (answer)',
          'peerAdded web-6 10.244.0.6 (answer)',
          'peerAdded web-7 10.244.0.7 (answer)',
          'topologyChanged 2',
        ],
        peers: { ...three, 'web-5': '10.244.0.5', 'web-6': '10.244.0.6', 'web-7': '10.244.0.7' },
        primary: 'web-0',
      },
      {
        forMs: 60_000,
        events: [...goMissing, 'topologyChanged 3'],
        peers: { ...allMissing, 'web-5': '10.244.0.5', 'web-6': '10.244.0.6', 'web-7': '10.244.0.7' },
      },
      {
        forMs: 65_000,
        events: [
          'peerRemoved web-0 (absence)',
          'peerRemoved web-1 (absence)',
          'peerRemoved web-2 (absence)',
          'primaryChanged web-0>null (absence)',
          'topologyChanged 4',
        ],
        peers: { 'web-5': '10.244.0.5', 'web-6': '10.244.0.6', 'web-7': '10.244.0.7' },
        // web-0 is still the one that is designated: nobody told that the first ordinal is another one.
        primary: null,
      },
    ],
  );

  scenario(
    'an observer of a set with ordinalStart 5 has web-5 for the primary, through a move of it',
    {
      options: { ordinalStart: 5, primary: fixedPrimary() },
      cluster: { ordinalStart: 5, replicas: 2 },
      from: 'start',
    },
    [
      {
        forMs: 20_000,
        events: [
          'freshnessChanged fresh',
          'peerAdded web-5 10.244.0.2 (answer)',
          'peerAdded web-6 10.244.0.3 (answer)',
          'primaryChanged null>web-5 (answer)',
          'topologyChanged 1',
        ],
        peers: { 'web-5': '10.244.0.2', 'web-6': '10.244.0.3' },
        primary: 'web-5',
      },
      {
        do: ({ pod }) => pod('web-5').reschedule(),
        forMs: 6_000,
        events: ['peerMoved web-5 10.244.0.2>10.244.0.4 (answer)', 'topologyChanged 2'],
        peers: { 'web-5': '10.244.0.4', 'web-6': '10.244.0.3' },
      },
    ],
  );
});

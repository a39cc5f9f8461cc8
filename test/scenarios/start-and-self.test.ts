import { scenario } from './scenario.ts';

// The first answers, and what a member learns of itself. Its own port comes with them: that is a move without another
// address.

const two = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' };

describe('scenarios: the start, and self', () => {
  scenario(
    'an observer is there before the set: each pod is added when it is Ready',
    {
      cluster: { replicas: 2, readyMs: 10_000 },
      from: 'start',
    },
    [
      { forMs: 9_000, events: ['freshnessChanged fresh', 'topologyChanged 1'], peers: {}, primary: null },
      {
        forMs: 6_000,
        events: ['peerAdded web-0 10.244.0.2 (answer)', 'primaryChanged null>web-0 (answer)', 'topologyChanged 2'],
        peers: { 'web-0': '10.244.0.2' },
        primary: 'web-0',
      },
      {
        forMs: 11_000,
        events: ['peerAdded web-1 10.244.0.3 (answer)', 'topologyChanged 3'],
        peers: { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3' },
      },
    ],
  );

  scenario(
    'a primary that becomes Ready only after it leads leads at once: no deadlock without publishNotReadyAddresses',
    {
      self: 'web-0',
      cluster: { replicas: 2, readyMs: 'manual' },
      from: 'start',
    },
    [
      {
        forMs: 60_000,
        events: ['freshnessChanged fresh', 'topologyChanged 1'],
        peers: { 'web-0': 'unpublished 10.244.0.2' },
        primary: 'web-0',
      },
      {
        do: ({ pod }) => pod('web-0').markReady(),
        forMs: 6_000,
        events: [
          'peerMoved web-0 10.244.0.2>10.244.0.2 (answer)',
          'presenceChanged web-0 published (answer)',
          'topologyChanged 2',
        ],
        peers: { 'web-0': '10.244.0.2' },
      },
      {
        do: ({ pod }) => pod('web-1').markReady(),
        forMs: 6_000,
        events: ['peerAdded web-1 10.244.0.3 (answer)', 'topologyChanged 3'],
        peers: { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3' },
      },
    ],
  );

  scenario(
    'a replica under Parallel waits for a primary that becomes ready late, and is unpublished meanwhile',
    {
      self: 'web-1',
      cluster: { replicas: 2, readyMs: 'manual', podManagementPolicy: 'Parallel' },
      from: 'start',
    },
    [
      {
        forMs: 120_000,
        events: ['freshnessChanged fresh', 'topologyChanged 1'],
        peers: { 'web-1': 'unpublished 10.244.0.3' },
        primary: null,
      },
      {
        do: ({ pod }) => pod('web-0').markReady(),
        forMs: 6_000,
        events: ['peerAdded web-0 10.244.0.2 (answer)', 'primaryChanged null>web-0 (answer)', 'topologyChanged 2'],
        peers: { 'web-0': '10.244.0.2', 'web-1': 'unpublished 10.244.0.3' },
        primary: 'web-0',
      },
      {
        do: ({ pod }) => pod('web-1').markReady(),
        forMs: 6_000,
        events: [
          'peerMoved web-1 10.244.0.3>10.244.0.3 (answer)',
          'presenceChanged web-1 published (answer)',
          'topologyChanged 3',
        ],
        peers: { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3' },
      },
    ],
  );

  scenario(
    'a start without DNS: self is there, the fixed primary is designated, and nothing is said about others',
    {
      self: 'web-0',
      dns: 'closed',
      addresses: ['10.0.0.1'],
      from: 'start',
    },
    [
      {
        forMs: 120_000,
        events: [],
        peers: { 'web-0': 'unpublished 10.0.0.1' },
        freshness: 'unresolved',
        primary: 'web-0',
      },
      {
        dns: two,
        forMs: 11_000,
        events: [
          'freshnessChanged fresh',
          'peerAdded web-1 10.0.0.2 (answer)',
          'peerMoved web-0 10.0.0.1>10.0.0.1 (answer)',
          'presenceChanged web-0 published (answer)',
          'topologyChanged 1',
        ],
        peers: two,
      },
    ],
  );

  scenario(
    'a set without roles: nobody is the primary, whatever happens',
    {
      self: 'web-1',
      options: { primary: false },
      cluster: { replicas: 2 },
    },
    [
      {
        do: ({ pod }) => pod('web-0').reschedule(),
        forMs: 6_000,
        events: ['peerMoved web-0 10.244.0.2>10.244.0.4 (answer)', 'topologyChanged 2'],
        peers: { 'web-0': '10.244.0.4', 'web-1': '10.244.0.3' },
        primary: null,
      },
    ],
  );

  scenario(
    'self is superseded 30 s after its name is shown elsewhere, and is back with its own address',
    {
      self: 'web-0',
      cluster: { replicas: 2 },
    },
    [
      {
        do: ({ pod }) => pod('web-0').reschedule(),
        forMs: 29_900,
        events: [],
        peers: { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3' },
        primary: 'web-0',
      },
      {
        forMs: 8_000,
        events: [
          'presenceChanged web-0 superseded (self)',
          'primaryChanged web-0>null (self)',
          'roleChanged primary>unknown (self)',
          'topologyChanged 2',
        ],
        peers: { 'web-0': 'superseded 10.244.0.2', 'web-1': '10.244.0.3' },
        primary: null,
      },
      { forMs: 300_000, events: [] },
      {
        do: ({ pod }) => pod('web-0').reschedule({ addresses: '10.244.0.2' }),
        forMs: 2_000,
        events: [
          'presenceChanged web-0 published (self)',
          'primaryChanged null>web-0 (self)',
          'roleChanged unknown>primary (self)',
          'topologyChanged 3',
        ],
        peers: { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3' },
        primary: 'web-0',
      },
    ],
  );

  scenario(
    'a name that still shows the last pod at the start: for 60 s nothing, after 90 s self is superseded',
    {
      self: 'web-1',
      dns: { ...two, 'web-1': '10.0.0.9' },
      addresses: ['10.0.0.2'],
      from: 'start',
    },
    [
      {
        forMs: 89_000,
        events: [
          'freshnessChanged fresh',
          'peerAdded web-0 10.0.0.1 (answer)',
          'peerMoved web-1 10.0.0.2>10.0.0.2 (answer)',
          'presenceChanged web-1 published (answer)',
          'primaryChanged null>web-0 (answer)',
          'topologyChanged 1',
        ],
        peers: two,
        primary: 'web-0',
      },
      {
        forMs: 4_000,
        events: ['presenceChanged web-1 superseded (self)', 'roleChanged replica>unknown (self)', 'topologyChanged 2'],
        peers: { ...two, 'web-1': 'superseded 10.0.0.2' },
      },
    ],
  );

  scenario(
    'self is not Ready for 20 s, then for a minute: nothing, then missing; it keeps its role and its address',
    {
      self: 'web-0',
      cluster: { replicas: 2 },
    },
    [
      {
        do: ({ pod }) => pod('web-0').markUnready(),
        forMs: 20_000,
        events: [],
        peers: { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3' },
        primary: 'web-0',
      },
      { do: ({ pod }) => pod('web-0').markReady(), forMs: 20_000, events: [] },
      {
        do: ({ pod }) => pod('web-0').markUnready(),
        forMs: 60_000,
        events: ['presenceChanged web-0 missing (absence)', 'topologyChanged 2'],
        peers: { 'web-0': 'missing 10.244.0.2', 'web-1': '10.244.0.3' },
      },
      {
        do: ({ pod }) => pod('web-0').markReady(),
        forMs: 2_000,
        events: ['presenceChanged web-0 published (answer)', 'topologyChanged 3'],
        peers: { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3' },
      },
    ],
  );
});

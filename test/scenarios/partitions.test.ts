import { lowestOrdinal } from '../../src/topology/primary.ts';
import { scenario } from './scenario.ts';

// Nodes that are dead or cut off, and who is the primary then.

const three = { 'web-0': '10.244.0.2', 'web-1': '10.244.0.3', 'web-2': '10.244.0.4' };
const tenMinutes = 600_000;

describe('scenarios: dead nodes and partitions', () => {
  scenario(
    'a dead node stays in DNS with publishNotReadyAddresses: its pod is a peer until it is replaced',
    {
      cluster: { publishNotReadyAddresses: true },
    },
    [
      { do: ({ pod }) => pod('web-1').loseNode(), forMs: tenMinutes, events: [], peers: three, primary: 'web-0' },
      {
        do: ({ pod }) => pod('web-1').forceDelete(),
        forMs: 6_000,
        events: ['peerMoved web-1 10.244.0.3>10.244.0.5 (answer)', 'topologyChanged 2'],
        peers: { ...three, 'web-1': '10.244.0.5' },
      },
    ],
  );

  scenario(
    'a dead node leaves DNS without publishNotReadyAddresses: its pod is away from when it is not Ready',
    {
      cluster: { nodeGraceMs: 50_000 },
    },
    [
      { do: ({ pod }) => pod('web-1').loseNode(), forMs: 94_900, events: [], peers: three, primary: 'web-0' },
      {
        forMs: 8_000,
        events: ['presenceChanged web-1 missing (absence)', 'topologyChanged 2'],
        peers: { ...three, 'web-1': 'missing 10.244.0.3' },
      },
      { forMs: 67_000, events: [] },
      {
        forMs: 10_000,
        events: ['peerRemoved web-1 (absence)', 'topologyChanged 3'],
        peers: { 'web-0': '10.244.0.2', 'web-2': '10.244.0.4' },
      },
      {
        do: ({ pod }) => pod('web-1').forceDelete(),
        forMs: 6_000,
        events: ['peerAdded web-1 10.244.0.5 (answer)', 'topologyChanged 4'],
        peers: { ...three, 'web-1': '10.244.0.5' },
      },
    ],
  );

  const quorum = { primary: lowestOrdinal({ quorum: 2 }) };
  scenario(
    'lowestOrdinal: after 60 s without an answer nobody is designated, and it comes back with the answers',
    {
      self: 'web-0',
      options: quorum,
      cluster: {},
    },
    [
      {
        do: ({ dns }) => dns.fail('SERVFAIL'),
        forMs: 59_900,
        events: ['freshnessChanged stale'],
        peers: three,
        freshness: 'stale',
        primary: 'web-0',
      },
      {
        forMs: 7_000,
        events: ['primaryChanged web-0>null (policy)', 'roleChanged primary>unknown (policy)', 'topologyChanged 2'],
        freshness: 'stale',
        primary: null,
      },
      {
        do: ({ dns }) => dns.heal(),
        forMs: 6_000,
        events: [
          'freshnessChanged fresh',
          'primaryChanged null>web-0 (policy)',
          'roleChanged unknown>primary (policy)',
          'topologyChanged 3',
        ],
        primary: 'web-0',
      },
    ],
  );

  scenario(
    'lowestOrdinal: a partition takes the primary, then the quorum; both come back when it ends',
    {
      self: 'web-1',
      options: quorum,
      cluster: { nodeGraceMs: 1 },
    },
    [
      {
        do: ({ pod }) => pod('web-0').loseNode({ processSurvives: true }),
        forMs: 60_000,
        events: [
          'presenceChanged web-0 missing (absence)',
          'primaryChanged web-0>web-1 (policy)',
          'roleChanged replica>primary (policy)',
          'topologyChanged 2',
        ],
        peers: { ...three, 'web-0': 'missing 10.244.0.2' },
        primary: 'web-1',
      },
      {
        do: ({ pod }) => pod('web-2').loseNode({ processSurvives: true }),
        forMs: 55_000,
        events: [
          'presenceChanged web-2 missing (absence)',
          'primaryChanged web-1>null (policy)',
          'roleChanged primary>unknown (policy)',
          'topologyChanged 3',
        ],
        peers: { ...three, 'web-0': 'missing 10.244.0.2', 'web-2': 'missing 10.244.0.4' },
        primary: null,
      },
      {
        do: [({ pod }) => pod('web-0').nodeReturns(), ({ pod }) => pod('web-2').nodeReturns()],
        forMs: 6_000,
        events: [
          'presenceChanged web-0 published (answer)',
          'presenceChanged web-2 published (answer)',
          'primaryChanged null>web-0 (policy)',
          'roleChanged unknown>replica (policy)',
          'topologyChanged 4',
        ],
        peers: three,
        primary: 'web-0',
      },
    ],
  );
});

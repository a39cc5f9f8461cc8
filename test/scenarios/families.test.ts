import { scenario } from './scenario.ts';

// Dual stack: each family of a peer comes, moves and goes on its own.

const both = { 'web-0': ['10.0.0.1', 'fd00::1'], 'web-1': ['10.0.0.2', 'fd00::2'] };
const said = { 'web-0': '10.0.0.1+fd00::1', 'web-1': '10.0.0.2+fd00::2' };
const one = { 'web-0': both['web-0'] };
const dualStack = { network: { podCidrs: ['10.244.0.0/16', 'fd00:10:244::/112'] } };
const three = {
  'web-0': '10.244.0.2+fd00:10:244::2',
  'web-1': '10.244.0.3+fd00:10:244::3',
  'web-2': '10.244.0.4+fd00:10:244::4',
};

describe('scenarios: families', () => {
  for (const [late, early, start] of [
    ['IPv6', '10.0.0.1', { 'web-0': '10.0.0.1' }],
    ['IPv4', 'fd00::1', { 'web-0': 'fd00::1' }],
  ] as const) {
    scenario(`${late} comes late: the peer is there at once, and the second address is one move`, { dns: start }, [
      { forMs: 60_000, events: [], peers: { 'web-0': early }, primary: 'web-0' },
      {
        dns: one,
        forMs: 6_000,
        events: [`peerMoved web-0 ${early}>10.0.0.1+fd00::1 (answer)`, 'topologyChanged 2'],
        peers: { 'web-0': '10.0.0.1+fd00::1' },
      },
    ]);
  }

  scenario('a pod moves, and IPv6 is late: the old one is kept until the new one is there', { dns: both }, [
    {
      dns: { ...both, 'web-1': ['10.0.0.9'] },
      forMs: 20_000,
      events: ['peerMoved web-1 10.0.0.2+fd00::2>10.0.0.9+fd00::2 (answer)', 'topologyChanged 2'],
      peers: { ...said, 'web-1': '10.0.0.9+fd00::2' },
      primary: 'web-0',
    },
    {
      dns: { ...both, 'web-1': ['10.0.0.9', 'fd00::9'] },
      forMs: 6_000,
      events: ['peerMoved web-1 10.0.0.9+fd00::2>10.0.0.9+fd00::9 (answer)', 'topologyChanged 3'],
      peers: { ...said, 'web-1': '10.0.0.9+fd00::9' },
    },
  ]);

  scenario('a pod moves, and IPv4 is late, and still shows the old one: two moves', { dns: both }, [
    {
      dns: { ...both, 'web-1': ['10.0.0.2', 'fd00::9'] },
      forMs: 6_000,
      events: ['peerMoved web-1 10.0.0.2+fd00::2>10.0.0.2+fd00::9 (answer)', 'topologyChanged 2'],
      peers: { ...said, 'web-1': '10.0.0.2+fd00::9' },
      primary: 'web-0',
    },
    {
      dns: { ...both, 'web-1': ['10.0.0.9', 'fd00::9'] },
      forMs: 6_000,
      events: ['peerMoved web-1 10.0.0.2+fd00::9>10.0.0.9+fd00::9 (answer)', 'topologyChanged 3'],
      peers: { ...said, 'web-1': '10.0.0.9+fd00::9' },
    },
  ]);

  for (const [gone, left, view] of [
    ['IPv6', '10.0.0.2', '10.0.0.2'],
    ['IPv4', 'fd00::2', 'fd00::2'],
  ] as const) {
    scenario(`${gone} goes for good: it is dropped after 45 s, and the peer was never missing`, { dns: both }, [
      { dns: { ...both, 'web-1': view }, forMs: 44_900, events: [], peers: said, primary: 'web-0' },
      {
        // Seen within 5 s, and asked every 5 s.
        forMs: 11_000,
        events: [`peerMoved web-1 10.0.0.2+fd00::2>${left} (answer)`, 'topologyChanged 2'],
        peers: { ...said, 'web-1': left },
      },
      { forMs: 300_000, events: [] },
    ]);
  }

  scenario('a dual-stack pod is replaced: one move of both addresses', { cluster: { ...dualStack, stopMs: 5_000 } }, [
    {
      do: ({ pod }) => pod('web-1').delete(),
      forMs: 11_000,
      events: ['peerMoved web-1 10.244.0.3+fd00:10:244::3>10.244.0.5+fd00:10:244::5 (answer)', 'topologyChanged 2'],
      peers: { ...three, 'web-1': '10.244.0.5+fd00:10:244::5' },
      primary: 'web-0',
    },
  ]);

  for (const [broken, type] of [
    ['IPv6', 'AAAA'],
    ['IPv4', 'A'],
  ] as const) {
    scenario(
      `SRV and all of ${broken} fail for ten minutes: the other family shows who is there, nobody loses anything`,
      {
        options: { expectedPods: 3 },
        cluster: dualStack,
      },
      [
        {
          // The Service's own A tells that somebody is there: it is the names of pods that fail.
          do: [
            ({ dns }) => dns.fail('SERVFAIL', { types: 'SRV' }),
            ({ dns }) => dns.fail('SERVFAIL', { types: type, names: ['web-0', 'web-1', 'web-2'] }),
          ],
          forMs: 600_000,
          events: [],
          peers: three,
          primary: 'web-0',
        },
        { do: ({ dns }) => dns.heal(), forMs: 30_000, events: [] },
      ],
    );
  }
});

import assert from 'node:assert/strict';
import type { Act, Done, Report, Said } from '../../../src/cli/report.ts';
import { verdictOf } from '../../../src/cli/verdict.ts';

const story = (...lines: readonly (readonly [Act, string, Said | Done])[]): Report[] =>
  lines.map(([act, from, what], at) => ({ act, from, what, at }));

const act = (name: Act): readonly [Act, string, Done] => [name, 'cluster', { kind: 'act', name, title: name }];
const hello = (name: Act, from: string, podName: string): readonly [Act, string, Said] => [
  name,
  from,
  { kind: 'hello', podName, address: '127.1.0.1:7000', service: 'nginx.default.svc.cluster.local' },
];
const ready = (name: Act, podName: string, address: string): readonly [Act, string, Done] => [
  name,
  'cluster',
  { kind: 'ready', podName, address },
];
const event = (
  name: Act,
  what: string,
  version: number,
  podName: string | null = null,
): readonly [Act, string, Said] => [name, 'observer', { kind: 'event', name: what, version, podName, cause: 'answer' }];
const contact = (
  name: Act,
  from: string,
  [target, address, answered]: readonly [string, string, string | null],
  [begunAt, endedAt]: readonly [number, number] = [0, 1],
): readonly [Act, string, Said] => [name, from, { kind: 'contact', target, address, answered, begunAt, endedAt }];
/** An answer to a question that was open all the time. */
const resolved = (name: Act, address: string): readonly [Act, string, Said] => [
  name,
  'outsider',
  { kind: 'resolved', name: 'web-0', addresses: [address], error: null, ttlMs: 0, askedAt: 0, answeredAt: 1_000 },
];
const turn = (name: Act): readonly [Act, string, Said] => [
  name,
  'loop',
  { kind: 'turn', primary: 'web-0', peers: { 'web-0': '127.1.0.1:7000' }, error: null },
];
const topology = (name: Act, version: number, primary: string | null): readonly [Act, string, Said] => [
  name,
  'observer',
  { kind: 'topology', version, primary, peers: {} },
];
const replicas = (name: Act, count: number): readonly [Act, string, Done] => [
  name,
  'cluster',
  { kind: 'replicas', count },
];
const fault = (name: Act, isOn: boolean): readonly [Act, string, Done] => [
  name,
  'cluster',
  { kind: 'fault', what: name, isOn },
];

const write = (name: Act, id: string, status: number | null, pod: string | null): readonly [Act, string, Said] => [
  name,
  'writer',
  { kind: 'write', writer: 'following', id, status, pod, error: status === null ? 'Error: reset' : null },
];
const entries = (podName: string, ...ids: readonly string[]): readonly [Act, string, Done] => [
  'nxdomain',
  'cluster',
  { kind: 'entries', podName, ids },
];

/** A story in which every claim holds. */
const good: readonly Report[] = story(
  act('start'),
  replicas('start', 2),
  topology('start', 1, null),
  event('start', 'topologyChanged', 1),
  hello('start', 'web-0#1', 'web-0'),
  ready('start', 'web-0', '127.1.0.1:7000'),
  hello('start', 'web-1#1', 'web-1'),
  ready('start', 'web-1', '127.1.0.2:7000'),
  event('start', 'peerAdded', 2, 'web-0'),
  event('start', 'topologyChanged', 2),
  topology('start', 2, 'web-0'),
  resolved('start', '127.1.0.1'),
  turn('start'),
  act('delete'),
  ready('delete', 'web-0', '127.1.0.3:7000'),
  ready('delete', 'web-1', '127.1.0.4:7000'),
  event('delete', 'peerMoved', 3, 'web-0'),
  event('delete', 'peerMoved', 3, 'web-1'),
  event('delete', 'topologyChanged', 3),
  resolved('delete', '127.1.0.3'),
  turn('delete'),
  act('scale'),
  replicas('scale', 3),
  replicas('scale', 2),
  event('scale', 'peerRemoved', 4, 'web-2'),
  event('scale', 'topologyChanged', 4),
  turn('scale'),
  act('rollout'),
  turn('rollout'),
  act('servfail'),
  fault('servfail', true),
  contact('servfail', 'observer', ['web-0', '127.1.0.3:7000', 'web-0']),
  turn('servfail'),
  fault('servfail', false),
  act('nxdomain'),
  fault('nxdomain', true),
  contact('nxdomain', 'observer', ['web-0', '127.1.0.3:7000', 'web-0']),
  turn('nxdomain'),
  fault('nxdomain', false),
  act('handover'),
  ready('handover', 'web-0', '127.1.0.4:7000'),
  contact('handover', 'observer', ['web-1', '127.1.0.4:7000', 'web-0']),
  resolved('handover', '127.1.0.4'),
  turn('handover'),
  write('start', 'w-1', 200, 'web-0'),
  write('delete', 'w-2', 200, 'web-0'),
  entries('web-0', 'w-1', 'w-2'),
  entries('web-1', 'w-1', 'w-2', 'p-1'),
);

const failedIn = (reports: readonly Report[]): string[] =>
  verdictOf(reports)
    .claims.filter(({ holds }) => !holds)
    .map(({ claim }) => claim);
const spoiled = (...lines: readonly (readonly [Act, string, Said | Done])[]): Report[] => [...good, ...story(...lines)];
const without = (isOut: (report: Report) => boolean): Report[] => good.filter((report) => !isOut(report));
/** Puts lines in directly after the start of that act's fault. */
const during = (name: Act, ...lines: readonly (readonly [Act, string, Said | Done])[]): Report[] => {
  const at = good.findIndex((one) => one.act === name && one.what.kind === 'fault');
  return [...good.slice(0, at + 1), ...story(...lines), ...good.slice(at + 1)];
};

describe('the verdict of the demo', () => {
  it('passes a story in which every claim holds', () => {
    assert.deepEqual(failedIn(good), []);
    assert.equal(verdictOf(good).passed, true);
  });

  it('does not pass what was not reported: of an empty record no claim holds', () => {
    const verdict = verdictOf([]);
    assert.equal(verdict.passed, false);
    assert.deepEqual(
      verdict.claims.filter(({ holds }) => holds),
      [],
    );
  });

  const cases: readonly (readonly [name: string, failing: RegExp, reports: Report[]])[] = [
    ['something was waited for in vain', /every act/, spoiled(['scale', 'cluster', { kind: 'late', what: 'it' }])],
    ['an act was left out', /every act/, without(({ what }) => what.kind === 'act' && what.name === 'rollout')],
    ['web-1 spoke before web-0 was Ready', /only after/, [...story(hello('start', 'web-1#1', 'web-1')), ...good]],
    ['a process took itself for another', /own name/, spoiled(hello('rollout', 'web-1#3', 'web-0'))],
    ['a pod kept its address', /another address/, spoiled(ready('delete', 'web-0', '127.1.0.1:7000'))],
    ['a pod was removed that was wanted', /scaled away/, spoiled(event('rollout', 'peerRemoved', 5, 'web-1'))],
    ['no pod was ever removed', /scaled away/, without(({ what }) => what.kind === 'event' && what.version === 4)],
    ['another pod was the primary', /web-0, and never lost/, spoiled(topology('nxdomain', 5, 'web-1'))],
    ['the primary was lost', /web-0, and never lost/, spoiled(topology('nxdomain', 5, null))],
    ['a version was left out', /in order/, spoiled(event('handover', 'topologyChanged', 6))],
    [
      'an event came before its turn',
      /in order/,
      spoiled(event('handover', 'primaryChanged', 5, 'web-0'), event('handover', 'peerAdded', 5, 'web-3')),
    ],
    [
      'a connection failed during SERVFAIL',
      /SERVFAIL/,
      during('servfail', contact('servfail', 'observer', ['web-0', '127.1.0.3:7000', null])),
    ],
    [
      'no connection was made during NXDOMAIN',
      /NXDOMAIN/,
      without((one) => one.act === 'nxdomain' && one.from === 'observer'),
    ],
    [
      'a stranger was met again, by a connection begun after the library was told',
      /not go there again/,
      spoiled(contact('handover', 'observer', ['web-1', '127.1.0.4:7000', 'web-0'], [1.5, 2])),
    ],
    [
      'no address was handed over',
      /not go there again/,
      without((one) => one.act === 'handover' && (one.what.kind === 'ready' || one.what.kind === 'resolved')),
    ],
    ["the outsider got an address that was never web-0's", /outsider/, spoiled(resolved('scale', '127.1.0.9'))],
    ['the outsider never asked', /outsider/, without(({ from }) => from === 'outsider')],
    ['a write was lost by a pod', /acknowledged write/, spoiled(write('keep', 'w-3', 200, 'web-0'))],
    ['no pod was asked what it has', /acknowledged write/, without(({ what }) => what.kind === 'entries')],
    [
      'a write was refused by another pod',
      /another pod than web-0|no write failed/,
      spoiled(write('keep', 'w-3', 421, 'web-0')),
    ],
    ['a write was lost on the way', /no write failed/, spoiled(write('keep', 'w-3', null, null))],
    ["today's loop was silent in an act", /beside it/, without((one) => one.act === 'scale' && one.from === 'loop')],
  ];
  for (const [name, failing, reports] of cases) {
    it(`fails when ${name}`, () => {
      assert.equal(verdictOf(reports).passed, false);
      const failed = failedIn(reports);
      assert.equal(failed.length, 1, failed.join('; '));
      assert.match(failed[0] ?? '', failing);
    });
  }

  it('passes a stranger met by two connections that were under way at one time', () => {
    const both = spoiled(contact('handover', 'observer', ['web-1', '127.1.0.4:7000', 'web-0'], [0.5, 1.5]));
    assert.deepEqual(failedIn(both), []);
  });

  it('does not count an act that cannot be played here', () => {
    const played = without((one) => one.act === 'handover');
    assert.equal(verdictOf(played).passed, false);
    const why = 'one address';
    const verdict = verdictOf([
      ...played,
      ...story(['nxdomain', 'cluster', { kind: 'skipped', name: 'handover', why }]),
    ]);
    assert.deepEqual(
      verdict.claims.filter(({ holds }) => !holds),
      [],
    );
    assert.doesNotMatch(verdict.claims.map(({ claim }) => claim).join(), /stranger/);
  });

  it('fails when another pod answered a write', () => {
    const failed = failedIn(spoiled(write('rollout', 'w-1', 200, 'web-1')));
    assert.deepEqual(failed, ['no write was answered by another pod than web-0']);
  });

  it('counts what the loop did, and fails nothing for it', () => {
    const verdict = verdictOf(
      spoiled(
        [
          'nxdomain',
          'loop',
          { kind: 'turn', primary: 'web-1', peers: { 'web-1': '127.1.0.4:7000' }, error: 'ENOTFOUND' },
        ],
        ['nxdomain', 'loop', { kind: 'turn', primary: null, peers: {}, error: 'ENOTFOUND' }],
        contact('handover', 'loop', ['web-1', '127.1.0.4:7000', 'web-0']),
      ),
    );
    assert.equal(verdict.passed, true);
    assert.match(verdict.measured.join('\n'), /nobody was there in 1 of 8 turns/);
    assert.match(verdict.measured.join('\n'), /another pod for the primary in 1 of 8 turns/);
    assert.match(verdict.measured.join('\n'), /today's loop: 1 connections, 1 answered by another pod/);
  });
});

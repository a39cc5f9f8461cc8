import assert from 'node:assert/strict';
import type { Invitation } from '../../../src/cli/invitation.ts';
import type { Done, Report, Said } from '../../../src/cli/report.ts';
import type { TimelineOptions } from '../../../src/cli/timeline.ts';
import { Timeline } from '../../../src/cli/timeline.ts';

interface Written {
  readonly timeline: Timeline;
  readonly lines: string[];
}

function written(options: Partial<TimelineOptions> = {}): Written {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  return { timeline: new Timeline({ isJson: false, hasColour: false, isWide: () => true, write, ...options }), lines };
}

const report = (from: string, what: Said | Done, at = 1_234): Report => ({ at, act: 'start', from, what });
const ready = report('cluster', { kind: 'ready', podName: 'web-0', address: '127.1.0.1:7000' });
const moved = report('observer', {
  ...{ kind: 'event', name: 'peerMoved', version: 3, podName: 'web-0', cause: 'answer' },
  address: '127.1.0.3:7000',
});
const turn = (...names: readonly string[]): Report =>
  report('loop', {
    kind: 'turn',
    primary: names[0] ?? null,
    peers: Object.fromEntries(names.map((name) => [name, `127.1.0.1:7000`])),
    error: names.length === 0 ? 'ESERVFAIL' : null,
  });
const contact = (from: string, answered: string | null): Report =>
  report(from, { kind: 'contact', target: 'web-1', address: '127.1.0.2:7000', answered, begunAt: 0, endedAt: 1 });
const resolved = (...addresses: readonly string[]): Report =>
  report('outsider', {
    ...{ kind: 'resolved', name: 'web-0.nginx.default.svc.cluster.local', addresses, ttlMs: 1_000 },
    ...{ error: addresses.length === 0 ? 'ENOTFOUND' : null, askedAt: 0, answeredAt: 1 },
  });
const invitation: Invitation = {
  dig: ['dig @127.0.0.1 -p 5353 A web-0.nginx.default.svc.cluster.local'],
  member: {
    podName: 'web-3',
    address: '127.1.0.5:7000',
    variables: { POD_NAME: 'web-3' },
    command: 'env POD_NAME=web-3',
  },
  observer: { variables: {}, command: 'env STATEFUL_PEERS_SERVICE=nginx' },
};

describe('the timeline of the demo', () => {
  it("writes one line a fact: elapsed time, the library at the left, today's loop at the right", () => {
    const { timeline, lines } = written();
    timeline.intro(['Once upon a time']);
    for (const one of [ready, moved, turn('web-0', 'web-1')]) timeline.show(one);
    assert.deepEqual(lines, [
      'Once upon a time',
      '',
      `       ${'stateful-peers'.padEnd(52)}| today's loop`,
      `  1.2  ${'cluster: web-0 is Ready'.padEnd(52)}|`,
      `  1.2  ${'peerMoved web-0 at 127.1.0.3:7000 (answer)'.padEnd(52)}|`,
      `  1.2  ${' '.repeat(52)}| primary web-0, pods web-0 web-1`,
    ]);
  });

  it('writes one column where two do not fit, and asks each time', () => {
    let isWide = false;
    const { timeline, lines } = written({ isWide: () => isWide });
    timeline.intro([]);
    timeline.show(ready);
    timeline.show(turn('web-0'));
    isWide = true;
    timeline.show(moved);
    assert.deepEqual(lines, [
      '',
      '  1.2  cluster: web-0 is Ready',
      "  1.2  today's loop: primary web-0, pods web-0",
      `  1.2  ${'peerMoved web-0 at 127.1.0.3:7000 (answer)'.padEnd(52)}|`,
    ]);
  });

  it('repeats nothing that is no news', () => {
    const { timeline, lines } = written({ isWide: () => false });
    const told = [
      ...[turn('web-0'), turn('web-0'), turn(), turn()],
      ...[contact('observer', 'web-1'), contact('observer', null), contact('observer', null), contact('loop', null)],
      ...[contact('observer', 'web-0'), contact('observer', 'web-1'), contact('observer', 'web-0')],
      ...[resolved('127.1.0.1'), resolved('127.1.0.1'), resolved(), resolved(), resolved('127.1.0.1')],
    ];
    for (const one of told) timeline.show(one);
    assert.deepEqual(
      lines.map((line) => line.slice(7)),
      [
        "today's loop: primary web-0, pods web-0",
        "today's loop: nobody there (ESERVFAIL)",
        'web-1 at 127.1.0.2:7000: nobody answers',
        "today's loop: web-1 at 127.1.0.2:7000: nobody answers",
        'WRONG POD: web-1 at 127.1.0.2:7000 is web-0',
        'WRONG POD: web-1 at 127.1.0.2:7000 is web-0',
        'outsider: web-0.nginx... is 127.1.0.1',
        'outsider: web-0.nginx... is nobody (ENOTFOUND)',
        'outsider: web-0.nginx... is 127.1.0.1',
      ],
    );
  });

  it('says nothing of what only the verdict needs', () => {
    const { timeline, lines } = written();
    timeline.show(report('observer', { kind: 'topology', version: 1, primary: null, peers: {} }));
    timeline.show(report('cluster', { kind: 'process', name: 'web-0#1', pid: 7 }));
    timeline.show(report('web-0#1', moved.what));
    assert.deepEqual(lines, []);
  });

  it('has an act, an act that is left out, and a verdict in plain words', () => {
    const { timeline, lines } = written({ isWide: () => false });
    timeline.show(report('cluster', { kind: 'act', name: 'scale', title: 'Scale to 3' }));
    timeline.show(report('cluster', { kind: 'skipped', name: 'handover', why: 'one address' }));
    timeline.verdict({ passed: false, claims: [{ claim: 'it is so', holds: false, from: '0 of 1' }], measured: ['1'] });
    assert.deepEqual(lines, [
      '\n  1.2  == Scale to 3',
      "  1.2  cluster: the act 'handover' is left out: one address",
      '\nVerdict, computed from what the processes reported',
      '  FAILED  it is so',
      '          0 of 1',
      'Measured beside it',
      '  1',
      'FAILED',
    ]);
  });

  it('paints only where colour is wanted, and always the same', () => {
    const stranger = contact('observer', 'web-0');
    const plain = written();
    plain.timeline.show(stranger);
    assert.equal(plain.lines.join().includes('\u001b'), false);
    const coloured = written({ hasColour: true, isWide: () => false });
    coloured.timeline.show(stranger);
    assert.deepEqual(coloured.lines, ['  1.2  \u001b[31mWRONG POD: web-1 at 127.1.0.2:7000 is web-0\u001b[39m']);
  });

  it('invites with lines that can be copied', () => {
    const { timeline, lines } = written();
    timeline.invitation(invitation);
    assert.ok(lines.includes(`  ${invitation.dig[0] ?? ''}`));
    assert.ok(lines.includes('  env POD_NAME=web-3'));
    assert.ok(lines.includes('  env STATEFUL_PEERS_SERVICE=nginx'));
  });

  it('as JSON, every line is an object, and nothing is left out', () => {
    const { timeline, lines } = written({ isJson: true, hasColour: true });
    const verdict = { passed: true, claims: [], measured: [] };
    timeline.intro(['Once upon a time']);
    for (const one of [turn('web-0'), turn('web-0')]) timeline.show(one);
    timeline.verdict(verdict);
    timeline.invitation(invitation);
    assert.deepEqual(
      lines.map((line): unknown => JSON.parse(line)),
      [turn('web-0'), turn('web-0'), { kind: 'verdict', ...verdict }, { kind: 'invitation', ...invitation }],
    );
  });
});

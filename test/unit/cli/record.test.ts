import assert from 'node:assert/strict';
import FakeTimers from '@sinonjs/fake-timers';
import { StoryRecord } from '../../../src/cli/record.ts';
import type { Report } from '../../../src/cli/report.ts';

describe('the record of the story', () => {
  let clock: FakeTimers.Clock;
  let shown: Report[];
  let ending: AbortController;
  let record: StoryRecord;

  beforeEach(() => {
    clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout', 'hrtime'] });
    shown = [];
    ending = new AbortController();
    record = new StoryRecord((report) => void shown.push(report), ending.signal);
  });
  afterEach(() => {
    assert.equal(clock.countTimers(), 0, 'a timer is left');
    clock.uninstall();
  });

  const replicas = { kind: 'replicas', count: 2 } as const;

  it('keeps what happened with its act and the time since the start, and shows it', () => {
    clock.tick(1_500.7);
    record.begin('scale', 'Scale');
    record.done(replicas);
    assert.deepEqual(
      record.reports.map(({ at, act, from, what }) => [at, act, from, what.kind]),
      [
        [1_500, 'scale', 'cluster', 'act'],
        [1_500, 'scale', 'cluster', 'replicas'],
      ],
    );
    assert.deepEqual(shown, record.reports);
  });

  it('turns the times of a question into times of the story', () => {
    clock.tick(2_000);
    const now = Number(process.hrtime.bigint()) / 1e6;
    const times = { askedAt: now - 30, answeredAt: now - 10 };
    record.add('outsider', { kind: 'resolved', name: 'web-0', addresses: [], error: 'E', ttlMs: 0, ...times });
    const what = record.last('outsider', 'resolved');
    assert.ok(what?.kind === 'resolved');
    assert.deepEqual([what.askedAt, what.answeredAt], [1_970, 1_990]);
  });

  it('goes on as soon as it is so', async () => {
    const waiting = record.until('two replicas', () => record.reports.length > 0);
    record.done(replicas);
    await waiting;
    assert.equal(record.reports.length, 1);
  });

  it('reports what did not come within 30 s, and goes on', async () => {
    const waiting = record.until('a miracle', () => false);
    await clock.tickAsync(29_999);
    assert.equal(record.reports.length, 0);
    await clock.tickAsync(1);
    await waiting;
    assert.deepEqual(record.reports[0]?.what, { kind: 'late', what: 'a miracle' });
  });

  it('stops to wait, with the reason of the signal', async () => {
    const waiting = record.until('a miracle', () => false);
    const reason = new Error('Ctrl-C');
    ending.abort(reason);
    await assert.rejects(waiting, reason);
  });

  it('after the story, shows what comes and keeps none of it; closed, neither', () => {
    record.conclude();
    record.done(replicas);
    assert.deepEqual([record.reports.length, shown.length], [0, 1]);
    record.close();
    record.done(replicas);
    assert.equal(shown.length, 1);
  });
});

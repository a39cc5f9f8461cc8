import assert from 'node:assert/strict';
import type { ScheduleInput } from '../../../src/watch/schedule.ts';
import { nextPoll } from '../../../src/watch/schedule.ts';

const quiet: ScheduleInput = {
  minIntervalMs: 1_000,
  maxIntervalMs: 5_000,
  failures: 0,
  ttlMs: 30_000,
  quietMs: 60_000,
  isUnsettled: false,
  isAwaited: false,
  pods: 3,
  questions: 1,
  bytes: 300,
  random: 0.5,
};

describe('watch/schedule: the polling interval', () => {
  const rows: { title: string; input: Partial<ScheduleInput>; delayMs: number }[] = [
    { title: 'is the maximum while nothing happens and the TTL is longer', input: {}, delayMs: 5_000 },
    {
      title: 'is the TTL while nothing happens and the TTL is between the bounds',
      input: { ttlMs: 2_000 },
      delayMs: 2_000,
    },
    { title: 'is never below the minimum', input: { ttlMs: 0 }, delayMs: 1_000 },
    { title: 'is the maximum where no TTL is known', input: { ttlMs: null }, delayMs: 5_000 },
    { title: 'is the minimum for 15 s after a change or a hint', input: { quietMs: 14_999 }, delayMs: 1_000 },
    { title: 'is the TTL from 15 s on', input: { quietMs: 15_000 }, delayMs: 5_000 },
    {
      title: 'is the minimum while answers disagree or somebody is absent',
      input: { isUnsettled: true },
      delayMs: 1_000,
    },
    { title: 'is the minimum while somebody waits', input: { isAwaited: true }, delayMs: 1_000 },
    { title: 'is the minimum after the first failure', input: { failures: 1, isAwaited: true }, delayMs: 1_000 },
    { title: 'doubles while rounds fail', input: { failures: 3 }, delayMs: 4_000 },
    {
      title: 'is capped at the maximum while rounds fail',
      input: { failures: 1_000, isUnsettled: true },
      delayMs: 5_000,
    },
    {
      title: 'is stretched so that a set of 2,000 asks at most 200 questions a second',
      input: { pods: 2_000 },
      delayMs: 11_000,
    },
    {
      title: 'is stretched so that a set of 1,000 takes at most 8 MiB a second',
      input: { pods: 1_000, bytes: 83_886.08 },
      delayMs: 11_000,
    },
  ];
  for (const { title, input, delayMs } of rows) {
    it(title, () => {
      assert.equal(Math.round(nextPoll({ ...quiet, ...input }).delayMs), delayMs);
    });
  }

  it('has jitter, within the bounds', () => {
    const delays = [0, 0.25, 0.75, 1].map((random) => nextPoll({ ...quiet, ttlMs: 2_000, random }).delayMs);
    assert.deepEqual(delays.map(Math.round), [1_800, 1_900, 2_100, 2_200]);
    assert.equal(nextPoll({ ...quiet, random: 1 }).delayMs, 5_000);
    assert.equal(nextPoll({ ...quiet, isUnsettled: true, random: 0 }).delayMs, 1_000);
  });

  it('says why', () => {
    assert.match(nextPoll(quiet).reason, /nothing happens/);
    assert.match(nextPoll({ ...quiet, pods: 5_000 }).reason, /stretched so that 5000 pods/);
  });
});

import assert from 'node:assert/strict';
import { Hints, nextHintDelay } from '../../../src/watch/hints.ts';

/** When a hint is asked, in ms from a start that no other test of this process has used. */
let epoch = 1e9;
function asked(until: number, minIntervalMs: number, fail: (hints: Hints, at: number) => void, step = 10): number[] {
  epoch += 1e6;
  const hints = new Hints(minIntervalMs);
  const times: number[] = [];
  for (let at = 0; at <= until; at += step) {
    fail(hints, epoch + at);
    if (hints.take(epoch + at, true, 1).length > 0) times.push(at);
  }
  return times;
}

describe('16. A failed connection is a question', () => {
  it('asked at once, every 100 ms for 2 s, then doubling until polling has it', () => {
    const times = asked(10_000, 1_000, (hints, now) => {
      if (now === epoch) hints.add(1, '10.0.0.1', now);
    });
    assert.deepEqual(times.slice(0, 4), [0, 100, 200, 300]);
    assert.deepEqual(times.slice(-4), [2_000, 2_200, 2_600, 3_400]);
    assert.equal(times.length, 24);
  });

  it('at a bounded rate: a storm at one address asks no faster than one failure does', () => {
    const storm = asked(4_999, 1_000, (hints, now) => {
      hints.add(1, '10.0.0.1', now);
    });
    assert.equal(storm.length, 24);
  });

  it('at most 20 a second for the process, however many peers fail', () => {
    const times = asked(999, 1_000, (hints, now) => {
      for (let ordinal = 0; ordinal < 100; ordinal += 1) hints.add(ordinal, `10.0.${now}.${ordinal}`, now);
    });
    assert.equal(times.length, 20);
  });

  it('takes one peer at a time where each needs a question of its own', () => {
    epoch += 1e6;
    const hints = new Hints(1_000);
    hints.add(1, '10.0.0.1', epoch);
    hints.add(2, '10.0.0.2', epoch);
    assert.deepEqual(hints.take(epoch, false, 1), [1]);
    assert.deepEqual(hints.take(epoch + 10, false, 1), []);
    assert.deepEqual(hints.take(epoch + 50, false, 1), [2]);
    assert.equal(hints.nextAt(epoch + 50), epoch + 100);
  });

  it('ends when the peer is no longer at that address', () => {
    epoch += 1e6;
    const hints = new Hints(1_000);
    hints.add(1, '10.0.0.1', epoch);
    hints.keep(() => false);
    assert.equal(hints.nextAt(epoch), null);
  });

  it('a clock that was set back does not stop the hints', () => {
    const hints = new Hints(1_000);
    hints.add(1, '10.0.0.1', 5);
    assert.equal(hints.nextAt(5), 5);
    assert.deepEqual(hints.take(5, true, 1), [1]);
  });

  it('the pause is 100 ms for 2 s and then doubles up to the polling minimum', () => {
    const rows = [
      [0, 100, 1_000, 100],
      [1_999, 100, 1_000, 100],
      [2_000, 100, 1_000, 200],
      [2_600, 400, 1_000, 800],
      [3_400, 800, 1_000, null],
      [2_000, 100, 200, null],
    ] as const;
    for (const [elapsed, last, minimum, expected] of rows)
      assert.equal(nextHintDelay(elapsed, last, minimum), expected);
  });
});

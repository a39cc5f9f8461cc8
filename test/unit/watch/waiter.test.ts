import assert from 'node:assert/strict';
import FakeTimers from '@sinonjs/fake-timers';
import type { Candidate, Waitable } from '../../../src/watch/waiter.ts';
import { waitUntil } from '../../../src/watch/waiter.ts';

/** A belief of one value, changed by hand. */
class Source implements Waitable {
  readonly listeners = new Set<() => void>();
  readonly closer = new AbortController();
  readonly closing: AbortSignal = this.closer.signal;
  fresh = true;
  candidate: Candidate<string> | null = null;

  subscribe(onChange: () => void): () => void {
    this.listeners.add(onChange);
    return () => this.listeners.delete(onChange);
  }

  isFresh(): boolean {
    return this.fresh;
  }

  timeoutError(elapsedMs: number): Error {
    return new Error(`timeout after ${elapsedMs}`);
  }

  set(value: string | null, fresh = true): void {
    this.candidate = value === null ? null : { value, key: value };
    this.fresh = fresh;
    for (const onChange of [...this.listeners]) onChange();
  }
}

describe('watch/waiter', () => {
  let clock: FakeTimers.Clock;
  let source: Source;
  beforeEach(() => {
    clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    source = new Source();
  });
  afterEach(() => {
    assert.equal(source.listeners.size, 0, 'a listener is left');
    assert.equal(clock.countTimers(), 0, 'a timer is left');
    clock.uninstall();
  });

  const wait = (options: { timeoutMs?: number; stableForMs?: number; signal?: AbortSignal } = {}): Promise<string> => {
    const waited = waitUntil(source, () => source.candidate, {
      timeoutMs: 1_000,
      stableForMs: 0,
      signal: undefined,
      ...options,
    });
    waited.catch(() => undefined);
    return waited;
  };

  it('resolves with what is there already', async () => {
    source.set('a');
    assert.equal(await wait(), 'a');
  });

  it('resolves with the first value after a change', async () => {
    const waited = wait();
    source.set('a');
    source.set('b');
    assert.equal(await waited, 'a');
  });

  it('rejects with the timeout error at its time, and not before', async () => {
    const waited = wait();
    await clock.tickAsync(999);
    assert.equal(source.listeners.size, 1);
    await clock.tickAsync(1);
    await assert.rejects(waited, /timeout after 1000/);
  });

  it('waits for ever with an infinite timeout', async () => {
    const waited = wait({ timeoutMs: Infinity });
    await clock.tickAsync(3 * 0x7fff_ffff);
    source.set('a');
    assert.equal(await waited, 'a');
  });

  it("throws the signal's reason as it is, before and during the wait", async () => {
    const reason = { why: 'not an error' };
    await assert.rejects(wait({ signal: AbortSignal.abort(reason) }), (thrown) => thrown === reason);
    const controller = new AbortController();
    const waited = wait({ signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(waited, (thrown) => thrown === reason);
  });

  it('throws the reason of closing, before and during the wait', async () => {
    const waited = wait();
    source.closer.abort(new Error('closed'));
    await assert.rejects(waited, /closed/);
    await assert.rejects(wait(), /closed/);
  });

  it('throws what the caller throws', async () => {
    const waited = waitUntil(
      source,
      () => {
        throw new Error('mine');
      },
      { timeoutMs: 1_000, stableForMs: 0, signal: undefined },
    );
    await assert.rejects(waited, /mine/);
  });

  describe('with stableForMs', () => {
    const steps: { title: string; play: () => Promise<void>; at: number }[] = [
      {
        title: 'resolves when the value has held for that long',
        play: async () => {
          source.set('a');
          await clock.tickAsync(0);
        },
        at: 500,
      },
      {
        title: 'starts again when the value is lost',
        play: async () => {
          source.set('a');
          await clock.tickAsync(300);
          source.set(null);
          source.set('a');
        },
        at: 800,
      },
      {
        title: 'starts again when it is about another pod',
        play: async () => {
          source.set('b');
          await clock.tickAsync(300);
          source.set('a');
        },
        at: 800,
      },
      {
        title: 'starts again while answers are stale',
        play: async () => {
          source.set('a');
          await clock.tickAsync(300);
          source.set('a', false);
          await clock.tickAsync(100);
          source.set('a');
        },
        at: 900,
      },
    ];
    for (const { title, play, at } of steps) {
      it(title, async () => {
        const waited = wait({ stableForMs: 500, timeoutMs: 5_000 });
        let resolvedAt = -1;
        void waited.then(() => {
          resolvedAt = clock.now;
        });
        await play();
        await clock.tickAsync(2_000);
        assert.equal(await waited, 'a');
        assert.equal(resolvedAt, at);
      });
    }
  });
});

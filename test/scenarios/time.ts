import FakeTimers from '@sinonjs/fake-timers';
import { seededRandom } from '../../src/testing/seeded-random.ts';

/** The time and the chance of one play: nothing passes, and nothing is drawn, but as the test says. */
export interface StagedTime {
  /** Lets this much time pass, and everything happen in it. */
  pass(ms: number): Promise<void>;
  /** How many timers wait. */
  timers(): number;
  /** Gives the real ones back. */
  end(): void;
}

// What happens within a step is heard at its end: one that costs as little as this changes no scenario.
const stepMs = 50;

/**
 * Takes the timers, the clock and `Math.random` (the jitter of polling) away.
 *
 * Moves in steps, with a turn of the loop after each: in memory every answer comes in microtasks, and a turn for each
 * timer, as `tickAsync` has it, costs a real millisecond.
 */
export function stageTime(seed: number): StagedTime {
  const clock = FakeTimers.install({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
  });
  const random = Math.random;
  Math.random = seededRandom(seed);
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    async pass(ms) {
      // What was done before this may still be on its way.
      await turn();
      for (let left = ms; left > 0; left -= stepMs) {
        clock.tick(Math.min(left, stepMs));
        await turn();
      }
    },
    timers: () => clock.countTimers(),
    end() {
      Math.random = random;
      clock.uninstall();
    },
  };
}

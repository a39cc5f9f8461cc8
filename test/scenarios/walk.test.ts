import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Crowd } from './crowd.ts';
import type { Step, World } from './steps.ts';
import { steps, worlds } from './steps.ts';
import { stageTime } from './time.ts';

// Random walks over what can happen to a cluster and to its DNS, with members and an observer that live through it. What
// holds at each event stands in invariants.ts and witness.ts; here is what holds in the end.

const numRuns = Number(process.env['WALK_RUNS'] ?? 40);

describe('walks: a cluster, its DNS, members and an observer', () => {
  it(`whatever happened, everyone agrees with the cluster in the end, and no promise was broken on the way (${numRuns} walks)`, async function () {
    this.timeout(120_000);
    await fc.assert(fc.asyncProperty(worlds(), fc.array(steps(), { minLength: 1, maxLength: 14, size: 'max' }), walk), {
      numRuns,
    });
  });
});

async function walk(world: World, todo: readonly Step[]): Promise<void> {
  const time = stageTime(world.seed);
  try {
    const crowd = await Crowd.gather(world);
    try {
      for (const step of todo) {
        crowd.take(step);
        await time.pass(step.forMs);
        assert.deepEqual(crowd.broken(), []);
      }
      // The cluster comes to rest, and DNS is well.
      crowd.endFaults();
      for (let waited = 0; !crowd.isSettled() && waited < 300_000; waited += 1_000) await time.pass(1_000);
      assert.ok(crowd.isSettled(), 'the cluster does not come to rest');
      await time.pass(crowd.agreementMs);
      assert.deepEqual(crowd.broken(), []);
      assert.deepEqual(crowd.disagreements(), []);
      const before = crowd.versions();
      await time.pass(60_000);
      assert.deepEqual(crowd.versions(), before, 'all agreed, and then something changed');
    } finally {
      await crowd.close();
    }
    assert.equal(time.timers(), 0, 'a timer is left');
  } finally {
    time.end();
  }
}

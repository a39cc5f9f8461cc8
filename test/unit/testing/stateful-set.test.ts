import assert from 'node:assert/strict';
import { install } from '@sinonjs/fake-timers';
import type { Clock } from '@sinonjs/fake-timers';
import type { Pod, PodEvent, PodProcess } from '../../../src/testing/pod.ts';
import { PodNetwork } from '../../../src/testing/pod-network.ts';
import type { StatefulSetOptions } from '../../../src/testing/stateful-set.ts';
import { StatefulSet } from '../../../src/testing/stateful-set.ts';

const events: readonly PodEvent[] = [
  'podCreated',
  'podStarted',
  'podReady',
  'podUnready',
  'podFailed',
  'podTerminating',
  'podDeleted',
];

describe('the StatefulSet controller', () => {
  let clock: Clock;
  let set: StatefulSet;
  let log: string[];
  beforeEach(() => {
    clock = install();
  });
  afterEach(async () => {
    await set.close();
    assert.equal(clock.countTimers(), 0, 'no timer is left');
    clock.uninstall();
  });

  /** Events as `0 created`; those that came are taken away from the log. */
  function setUp(options: StatefulSetOptions = {}, network = new PodNetwork({ podCidrs: ['10.244.0.0/24'] })): void {
    set = new StatefulSet(network, options);
    log = [];
    for (const event of events) {
      set.on(event, (pod: Pod) => log.push(`${pod.ordinal} ${event.slice(3).toLowerCase()}`));
    }
    set.create();
  }
  function taken(): string[] {
    return log.splice(0);
  }
  function names(): string[] {
    return set.pods.map(({ name }) => name);
  }
  function addresses(): string[] {
    return set.pods.map((pod) => pod.addresses.join(' '));
  }

  describe('OrderedReady', () => {
    const slow = { startMs: 100, readyMs: 200, stopMs: 50 };

    it('makes a pod when all before it are Running and Ready', () => {
      setUp({ ...slow, replicas: 3 });
      assert.deepEqual(taken(), ['0 created']);
      clock.tick(100);
      assert.deepEqual(taken(), ['0 started']);
      clock.tick(199);
      assert.deepEqual(taken(), []);
      clock.tick(1);
      assert.deepEqual(taken(), ['0 ready', '1 created']);
      clock.tick(300);
      assert.deepEqual(taken(), ['1 started', '1 ready', '2 created']);
    });

    it('makes all in one call where they take no time, in order', () => {
      setUp({ replicas: 2 });
      assert.deepEqual(taken(), ['0 created', '0 started', '0 ready', '1 created', '1 started', '1 ready']);
    });

    it('scales down from the highest ordinal, each when the one above is gone', () => {
      setUp({ ...slow, replicas: 4 });
      clock.tick(2_000);
      taken();
      set.scale(2);
      assert.deepEqual(taken(), ['3 terminating']);
      clock.tick(50);
      assert.deepEqual(taken(), ['3 deleted', '2 terminating']);
      clock.tick(50);
      assert.deepEqual(taken(), ['2 deleted']);
      assert.deepEqual(names(), ['web-0', 'web-1']);
    });

    it('does not scale down while a lower pod is not Ready', () => {
      setUp({ replicas: 3 });
      set.pod('web-0').markUnready();
      set.scale(2);
      assert.deepEqual(names(), ['web-0', 'web-1', 'web-2']);
      set.pod('web-0').markReady();
      assert.deepEqual(names(), ['web-0', 'web-1']);
    });

    it('brings two deleted pods back in order, same names, other addresses', () => {
      setUp({ ...slow, replicas: 2 });
      clock.tick(2_000);
      assert.deepEqual(addresses(), ['10.244.0.2', '10.244.0.3']);
      taken();
      set.pod('web-1').delete();
      set.pod('web-0').delete();
      clock.tick(50);
      assert.deepEqual(taken(), ['1 terminating', '0 terminating', '1 deleted', '0 deleted', '0 created']);
      clock.tick(300);
      assert.deepEqual(taken(), ['0 started', '0 ready', '1 created']);
      clock.tick(300);
      assert.deepEqual(names(), ['web-0', 'web-1']);
      assert.deepEqual(addresses(), ['10.244.0.4', '10.244.0.5']);
    });

    it('waits with `manual` for whoever says that a pod is Ready', () => {
      setUp({ readyMs: 'manual', replicas: 2 });
      clock.tick(1_000_000);
      assert.deepEqual(taken(), ['0 created', '0 started']);
      set.pod('web-0').markReady();
      assert.deepEqual(taken(), ['0 ready', '1 created', '1 started']);
    });

    it('waits for minReadyMs as well', () => {
      setUp({ replicas: 2, minReadyMs: 500 });
      clock.tick(499);
      assert.deepEqual(names(), ['web-0']);
      clock.tick(1);
      assert.deepEqual(names(), ['web-0', 'web-1']);
    });
  });

  describe('Parallel', () => {
    it('makes and ends all at once', () => {
      setUp({ podManagementPolicy: 'Parallel', replicas: 3, startMs: 100, readyMs: 100, stopMs: 50 });
      assert.deepEqual(taken(), ['0 created', '1 created', '2 created']);
      clock.tick(200);
      taken();
      set.scale(0);
      assert.deepEqual(taken(), ['2 terminating', '1 terminating', '0 terminating']);
      clock.tick(50);
      assert.deepEqual(names(), []);
    });

    it('updates one at a time all the same', () => {
      setUp({ podManagementPolicy: 'Parallel', replicas: 2, readyMs: 100, stopMs: 50 });
      clock.tick(100);
      taken();
      set.rollout();
      clock.tick(50);
      assert.deepEqual(taken(), ['1 terminating', '1 deleted', '1 created', '1 started']);
      clock.tick(100);
      assert.deepEqual(taken(), ['1 ready', '0 terminating']);
    });
  });

  describe('ordinals', () => {
    it('begin at ordinalStart', () => {
      setUp({ ordinalStart: 5, replicas: 2 });
      assert.deepEqual(names(), ['web-5', 'web-6']);
    });

    it('move with it: the new come first, then the old go', () => {
      setUp({ replicas: 2 });
      taken();
      set.setOrdinalStart(1);
      assert.deepEqual(names(), ['web-1', 'web-2']);
      assert.deepEqual(
        taken().filter((event) => /created|deleted/.test(event)),
        ['2 created', '0 deleted'],
      );
    });
  });

  describe('an update', () => {
    it('rolls from the highest to the lowest, each when the one before is Ready', () => {
      setUp({ replicas: 3, readyMs: 100, stopMs: 50 });
      clock.tick(300);
      taken();
      set.rollout();
      clock.tick(1_000);
      assert.deepEqual(
        taken().filter((event) => /terminating|ready/.test(event)),
        ['2 terminating', '2 ready', '1 terminating', '1 ready', '0 terminating', '0 ready'],
      );
      assert.deepEqual(new Set(set.pods.map(({ revision }) => revision)), new Set([2]));
    });

    it('stops at a pod that does not become Ready', () => {
      setUp({ replicas: 3, readyMs: 'manual' });
      for (const pod of ['web-0', 'web-1', 'web-2']) set.pod(pod).markReady();
      set.rollout();
      clock.tick(1_000_000);
      assert.deepEqual(
        set.pods.map(({ revision }) => revision),
        [1, 1, 2],
      );
    });

    it('leaves pods below the partition at their revision, also when they are recreated', () => {
      setUp({ replicas: 3, partition: 2 });
      set.rollout();
      set.pod('web-0').delete();
      assert.deepEqual(
        set.pods.map(({ revision }) => revision),
        [1, 1, 2],
      );
      set.setPartition(0);
      assert.deepEqual(
        set.pods.map(({ revision }) => revision),
        [2, 2, 2],
      );
    });

    it('waits for a deletion under OnDelete', () => {
      setUp({ replicas: 2, updateStrategy: 'OnDelete' });
      set.rollout();
      set.pod('web-0').delete();
      assert.deepEqual(
        set.pods.map(({ revision }) => revision),
        [2, 1],
      );
    });

    it('ends every pod before it makes one under Recreate', () => {
      setUp({ replicas: 2, updateStrategy: 'Recreate', stopMs: 50 });
      taken();
      set.rollout();
      assert.deepEqual(taken(), ['0 terminating', '1 terminating']);
      clock.tick(50);
      assert.deepEqual(taken(), [
        '0 deleted',
        '1 deleted',
        ...['0 created', '0 started', '0 ready', '1 created', '1 started', '1 ready'],
      ]);
    });
  });

  describe('a pod', () => {
    it('takes its stopping time, and no more than the grace period', () => {
      setUp({ replicas: 1, stopMs: 5_000, gracePeriodMs: 3_000 });
      const pod = set.pod('web-0');
      pod.delete();
      clock.tick(2_999);
      assert.equal(pod.isDeleted, false);
      clock.tick(1);
      assert.equal(pod.isDeleted, true);
      const next = set.pod('web-0');
      next.delete({ gracePeriodMs: 0 });
      assert.equal(next.isDeleted, true);
    });

    it('stays Ready while it terminates, as its condition does', () => {
      setUp({ replicas: 1, stopMs: 100 });
      const pod = set.pod('web-0');
      pod.delete();
      assert.deepEqual([pod.isReady, pod.isTerminating], [true, true]);
    });

    it('gets the address that it is given', () => {
      setUp({ replicas: 2 });
      set.pod('web-1').reschedule({ addresses: '10.244.0.99' });
      assert.deepEqual(addresses(), ['10.244.0.2', '10.244.0.99']);
      set.pod('web-1').reschedule();
      assert.deepEqual(addresses(), ['10.244.0.2', '10.244.0.4'], 'once');
    });

    it('waits for an address that another pod still has: two can swap', () => {
      setUp({ replicas: 2, podManagementPolicy: 'Parallel', stopMs: 100 });
      set.pod('web-0').reschedule({ addresses: '10.244.0.3' });
      clock.tick(50);
      set.pod('web-1').reschedule({ addresses: '10.244.0.2' });
      clock.tick(50);
      assert.deepEqual([set.pod('web-0').phase, addresses()], ['Pending', ['', '10.244.0.3']]);
      clock.tick(50);
      assert.deepEqual(addresses(), ['10.244.0.3', '10.244.0.2']);
    });

    it('keeps its address when its container is started again, at once, then later and later', () => {
      setUp({ replicas: 1, readyMs: 100, restartBackoffMs: 1_000 });
      clock.tick(100);
      taken();
      const pod = set.pod('web-0');
      const untilReady: number[] = [];
      for (let n = 0; n < 3; n += 1) {
        const start = performance.now();
        pod.restart();
        while (!pod.isReady) clock.tick(100);
        untilReady.push(performance.now() - start);
      }
      assert.deepEqual(untilReady, [100, 1_100, 2_100]);
      assert.deepEqual(addresses(), ['10.244.0.2']);
      assert.deepEqual(new Set(taken()), new Set(['0 unready', '0 ready']));
    });

    it('is replaced when it is evicted', () => {
      setUp({ replicas: 1 });
      taken();
      set.pod('web-0').evict();
      assert.deepEqual(taken(), ['0 failed', '0 terminating', '0 deleted', '0 created', '0 started', '0 ready']);
    });

    it('stays in the API on a lost node, Ready for the grace period, and is not replaced', () => {
      setUp({ replicas: 1, nodeGraceMs: 40_000 });
      const pod = set.pod('web-0');
      taken();
      pod.loseNode();
      clock.tick(39_999);
      assert.equal(pod.isReady, true);
      clock.tick(1);
      assert.equal(pod.isReady, false);
      pod.delete();
      clock.tick(1_000_000);
      assert.deepEqual(taken(), ['0 unready', '0 terminating']);
      assert.equal(set.pod('web-0'), pod);
      pod.nodeReturns();
      assert.deepEqual(taken().slice(0, 2), ['0 deleted', '0 created']);
    });

    it('is Ready again when its node returns', () => {
      setUp({ replicas: 1, readyMs: 10, nodeGraceMs: 1_000 });
      clock.tick(10);
      const pod = set.pod('web-0');
      pod.loseNode();
      clock.tick(2_000);
      assert.equal(pod.isReady, false);
      pod.nodeReturns();
      clock.tick(10);
      assert.equal(pod.isReady, true);
    });

    it('frees its name at once when it is deleted by force', () => {
      setUp({ replicas: 1, stopMs: 5_000 });
      taken();
      set.pod('web-0').loseNode();
      set.pod('web-0').forceDelete();
      assert.deepEqual(taken(), ['0 deleted', '0 created', '0 started', '0 ready']);
    });
  });

  describe('a pod with a process', () => {
    interface Fake extends PodProcess {
      readonly log: string[];
      end(): void;
    }
    let processes: Fake[];
    beforeEach(() => {
      processes = [];
    });
    function run(pod: Pod): Fake {
      let end = (): void => undefined;
      const stopped = new Promise<void>((resolve) => {
        end = resolve;
      });
      const calls: string[] = [`run ${pod.addresses.join()}`];
      const fake: Fake = {
        log: calls,
        stopped,
        end,
        stop: () => calls.push('stop'),
        kill: () => {
          calls.push('kill');
          end();
        },
      };
      processes.push(fake);
      return fake;
    }
    const settle = (): Promise<number> => clock.tickAsync(0);
    function process(index: number): Fake {
      const found = processes[index];
      assert(found !== undefined, `there are ${processes.length} processes`);
      return found;
    }

    it('is Ready when somebody says so, and deleted when the process has ended', async () => {
      setUp({ replicas: 1, run });
      assert.deepEqual(taken(), ['0 created', '0 started']);
      set.pod('web-0').markReady();
      set.pod('web-0').delete();
      await clock.tickAsync(1_000);
      assert.deepEqual(taken(), ['0 ready', '0 terminating']);
      process(0).end();
      await settle();
      assert.deepEqual(taken(), ['0 deleted', '0 created', '0 started']);
      assert.deepEqual(process(0).log, ['run 10.244.0.2', 'stop']);
      assert.deepEqual(process(1).log, ['run 10.244.0.3']);
    });

    it('is killed after the grace period', async () => {
      setUp({ replicas: 1, run, gracePeriodMs: 3_000 });
      set.pod('web-0').delete();
      await clock.tickAsync(2_999);
      assert.deepEqual(process(0).log.slice(1), ['stop']);
      await clock.tickAsync(1);
      assert.deepEqual(process(0).log.slice(1), ['stop', 'kill']);
      assert.equal(processes.length, 2);
    });

    it('is started again at the same address when the process ends by itself', async () => {
      setUp({ replicas: 1, run });
      set.pod('web-0').markReady();
      process(0).end();
      await settle();
      assert.deepEqual(process(1).log, ['run 10.244.0.2']);
      assert.deepEqual([set.pod('web-0').restarts, set.pod('web-0').isReady], [1, false]);
    });

    it('lives on a lost node beside its replacement, until the node returns', async () => {
      setUp({ replicas: 1, run });
      const old = set.pod('web-0');
      old.loseNode({ processSurvives: true });
      old.forceDelete();
      await settle();
      assert.deepEqual(process(0).log, ['run 10.244.0.2']);
      assert.deepEqual(process(1).log, ['run 10.244.0.3']);
      old.nodeReturns();
      await settle();
      assert.deepEqual(process(0).log.slice(1), ['kill']);
      assert.notEqual(set.pod('web-0'), old);
    });

    it('keeps its address until the process has ended', async () => {
      setUp({ replicas: 1, run });
      const old = set.pod('web-0');
      old.loseNode({ processSurvives: true });
      set.giveAddress('web-0', '10.244.0.2');
      old.forceDelete();
      assert.equal(set.pod('web-0').phase, 'Pending');
      old.nodeReturns();
      await settle();
      assert.deepEqual(addresses(), ['10.244.0.2']);
    });

    it('is killed on close, also where the API has forgotten it', async () => {
      setUp({ replicas: 1, run });
      const old = set.pod('web-0');
      old.loseNode({ processSurvives: true });
      old.forceDelete();
      await set.close();
      assert.deepEqual(
        processes.map((one) => one.log.at(-1)),
        ['kill', 'kill'],
      );
    });
  });

  describe('settled()', () => {
    it('resolves when every pod is Ready at its revision and no other is left', async () => {
      setUp({ replicas: 2, readyMs: 100, stopMs: 50 });
      const steps: string[] = [];
      const wait = (what: string): void => {
        void set.settled().then(() => steps.push(`${what} after ${performance.now()}`));
      };
      wait('created');
      await clock.tickAsync(1_000);
      set.scale(1);
      wait('scaled');
      await clock.tickAsync(1_000);
      set.rollout();
      wait('updated');
      await clock.tickAsync(1_000);
      assert.deepEqual(steps, ['created after 200', 'scaled after 1050', 'updated after 2150']);
    });

    it('rejects when the set is closed', async () => {
      setUp({ replicas: 1, readyMs: 'manual' });
      const settled = assert.rejects(set.settled(), /closed/);
      await set.close();
      await settled;
      await assert.rejects(set.settled(), /closed/);
    });
  });

  it('names the pods that are there when one is not', () => {
    setUp({ replicas: 2 });
    assert.throws(() => set.pod('web-2'), new RangeError('there is no pod web-2; there are web-0, web-1'));
  });

  it('tells once of what changed in one go, after the pods', () => {
    setUp({ replicas: 2 });
    set.on('changed', () => log.push('changed'));
    taken();
    set.scale(3);
    assert.deepEqual(taken(), ['2 created', '2 started', '2 ready', 'changed']);
  });

  it('does what a listener asks for after what it was doing', () => {
    setUp({ replicas: 2, readyMs: 'manual' });
    set.on('podStarted', (pod) => pod.markReady());
    set.pod('web-0').markReady();
    assert.deepEqual(
      set.pods.map(({ isReady }) => isReady),
      [true, true],
    );
  });
});

import assert from 'node:assert/strict';
import { AbortError as RetryAbortError } from 'p-retry';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import type { PeerDiscovery } from '../../../src/peer-discovery.ts';
import type { Peer } from '../../../src/topology/topology.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { member } from '../../support/member.ts';
import type { ScriptedDns, View } from '../../support/scripted-dns.ts';
import { uncaught } from '../../support/uncaught.ts';
import { Runs } from './runs.ts';

// Promise 17 and section 6: a worker that fails or returns is started again after jittered back-off, "which resets after
// 30 s of health or on a new address".

const three: View = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' };

before(() => import('p-retry'));

describe('17. Whatever a worker throws or returns, it is run again', () => {
  const time = fakeTime();

  // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a worker in JavaScript may do so
  const rejecting = (reason: unknown) => (): Promise<never> => Promise.reject(reason);
  const failures: Readonly<Record<string, () => unknown>> = {
    'an error': () => Promise.reject(new Error('bad data')),
    'an error, synchronously': () => {
      throw new Error('bad data');
    },
    // p-retry itself gives up on each of the next three.
    'a TypeError': () => Promise.reject(new TypeError("Cannot read properties of undefined (reading 'offset')")),
    'a TypeError, synchronously': () => {
      throw new TypeError('not a function');
    },
    "p-retry's own AbortError": () => Promise.reject(new RetryAbortError('give up')),
    'an AbortError': () => Promise.reject(new DOMException('This operation was aborted', 'AbortError')),
    'a TimeoutError': () => Promise.reject(new DOMException('The operation timed out', 'TimeoutError')),
    'an error of ours': () => Promise.reject(new PeerDiscoveryError('ERR_CLOSED', 'mine')),
    'a text': rejecting('bad data'),
    'a text, synchronously': () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- a worker in JavaScript may do so
      throw 'bad data';
    },
    undefined: rejecting(undefined),
    null: () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- a worker in JavaScript may do so
      throw null;
    },
    'a frozen object without a prototype': rejecting(Object.freeze(Object.create(null))),
    'an error that cannot be shown': () =>
      Promise.reject(
        Object.assign(new Error('bad data'), {
          toString() {
            throw new Error('worse');
          },
        }),
      ),
    'a proxy that refuses everything': rejecting(
      new Proxy(
        {},
        {
          get() {
            throw new Error('worse');
          },
          getPrototypeOf() {
            throw new Error('worse');
          },
        },
      ),
    ),
    'a thenable that throws': () => ({
      then() {
        throw new Error('bad data');
      },
    }),
    nothing: () => undefined,
    'a value': () => Promise.resolve({ done: true }),
    'a function': () => () => undefined,
  };
  for (const [what, worker] of Object.entries(failures)) {
    it(what, async () => {
      const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
      dns.views = [three];
      await time.clock.tickAsync(100);
      let runs = 0;
      const errors = await uncaught(async () => {
        const handle = peers.follow('primary', () => {
          runs += 1;
          return worker();
        });
        await time.clock.tickAsync(0);
        assert.deepEqual([runs, handle.state], [1, 'backing-off']);
        await time.clock.tickAsync(600);
        assert.ok(runs >= 2, `${runs} runs`);
        await handle.stop();
      });
      assert.deepEqual(errors, []);
    });
  }

  it('lastError is what it threw last, and is kept while it runs well', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = [three];
    await time.clock.tickAsync(100);
    const runs = new Runs();
    const handle = peers.follow('primary', runs.follow);
    await time.clock.tickAsync(0);
    const error = new Error('bad data');
    runs.last.fail(error);
    await time.clock.tickAsync(1_000);
    assert.deepEqual([handle.state, handle.lastError], ['running', error]);
    runs.last.fail('again');
    await time.clock.tickAsync(1_000);
    assert.equal(handle.lastError, 'again');
  });

  it('each run has a signal of its own: what a run attached to its signal is not kept for the next thousand runs', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = [three];
    await time.clock.tickAsync(100);
    const signals: AbortSignal[] = [];
    peers.follow('primary', (_peer, { signal }) => {
      signals.push(signal);
      throw new Error('bad data');
    });
    await time.clock.tickAsync(60_000);
    assert.ok(signals.length > 5);
    assert.equal(new Set(signals).size, signals.length);
  });

  it('a worker that leaves a rejected promise behind is its own matter: the follower goes on', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = [three];
    await time.clock.tickAsync(100);
    const runs = new Runs();
    peers.follow('primary', runs.follow);
    await time.clock.tickAsync(0);
    runs.last.finish();
    runs.last.fail(new Error('too late'));
    await time.clock.tickAsync(1_000);
    assert.equal(runs.all.length, 2);
  });
});

describe('17. restart', () => {
  const time = fakeTime();

  async function start(restart: 'always' | 'on-failure'): Promise<{
    dns: ScriptedDns;
    peers: PeerDiscovery<Peer>;
    runs: Runs;
    handle: ReturnType<PeerDiscovery['follow']>;
  }> {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = [three];
    await time.clock.tickAsync(100);
    const runs = new Runs();
    const handle = peers.follow('primary', runs.follow, { restart });
    await time.clock.tickAsync(0);
    return { peers, dns, runs, handle };
  }

  it("'always': one that returns is run again, after a back-off", async () => {
    const { runs, handle } = await start('always');
    runs.last.finish();
    await time.clock.tickAsync(0);
    assert.deepEqual([handle.state, runs.all.length], ['backing-off', 1]);
    await time.clock.tickAsync(1_000);
    assert.deepEqual([handle.state, runs.all.length], ['running', 2]);
  });

  it("'on-failure': one that returns is done", async () => {
    const { runs, handle } = await start('on-failure');
    runs.last.finish('whatever');
    await handle.done;
    assert.equal(handle.state, 'stopped');
    await time.clock.tickAsync(60_000);
    assert.equal(runs.all.length, 1);
  });

  it("'on-failure': one that throws is run again, until it returns", async () => {
    const { runs, handle } = await start('on-failure');
    for (let failure = 0; failure < 3; failure += 1) {
      runs.last.fail(new Error('bad data'));
      await time.clock.tickAsync(5_000);
    }
    assert.deepEqual([handle.state, runs.all.length], ['running', 4]);
    runs.last.finish();
    await handle.done;
    assert.equal(handle.state, 'stopped');
  });

  it("'on-failure': one that returns because it was told to is not done", async () => {
    const { peers, dns, runs, handle } = await start('on-failure');
    runs.obeys = false;
    const { last } = runs;
    last.signal.addEventListener('abort', () => {
      last.finish();
    });
    dns.views = [{ ...three, 'web-0': '10.0.0.9' }];
    await peers.refresh();
    await time.clock.tickAsync(0);
    runs.obeys = true;
    assert.deepEqual([handle.state, runs.against.at(-1)], ['running', 'web-0 10.0.0.9']);
  });
});

describe('17. The back-off', () => {
  const time = fakeTime();

  /** The pauses of a worker that fails at once, again and again, for so long. */
  async function pauses(forMs: number): Promise<number[]> {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = [three];
    await time.clock.tickAsync(100);
    const starts: number[] = [];
    const handle = peers.follow('primary', () => {
      starts.push(performance.now());
      throw new Error('bad data');
    });
    await time.clock.tickAsync(forMs);
    await handle.stop();
    return starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
  }

  it('grows from a tenth of a second to a cap of 15 s', async () => {
    const series = await pauses(600_000);
    const [first = 0] = series;
    assert.ok(first >= 100 && first <= 200, `first ${first}`);
    for (const [index, pause] of series.entries()) {
      assert.ok(pause <= 15_000, `pause ${index} is ${pause}`);
      // With jitter each pause is 1 to 2 times its base, so that it can at worst be as long as the one before.
      if (index > 0) assert.ok(pause >= (series[index - 1] ?? 0), `pause ${index} is ${pause}`);
    }
    assert.ok((series.at(-1) ?? 0) >= 7_500);
    // Ten minutes of failure are no storm, and no silence.
    assert.ok(series.length > 40 && series.length < 100, `${series.length} runs`);
  });

  it('has jitter: followers that failed together do not return together', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = [three];
    await time.clock.tickAsync(100);
    const starts = new Map<number, number[]>();
    for (let follower = 0; follower < 50; follower += 1) {
      const own: number[] = [];
      starts.set(follower, own);
      peers.follow('primary', () => {
        own.push(performance.now());
        throw new Error('bad data');
      });
    }
    await time.clock.tickAsync(120_000);
    // The first runs are together, the second ones, and those at the cap, are not.
    const spread = (nth: number): number => new Set([...starts.values()].map((own) => own[nth])).size;
    assert.equal(spread(0), 1);
    assert.ok(spread(1) > 20, `second run: ${spread(1)} different times`);
    assert.ok(spread(9) > 20, `tenth run: ${spread(9)} different times`);
  });

  /** A worker that has failed for a minute, so that its pauses are long. */
  async function weary(): Promise<{ peers: PeerDiscovery<Peer>; dns: ScriptedDns; runs: Runs }> {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = [three];
    await time.clock.tickAsync(100);
    const runs = new Runs();
    peers.follow('primary', runs.follow);
    await time.clock.tickAsync(0);
    for (const endsAt = performance.now() + 60_000; performance.now() < endsAt;) {
      if (runs.last.isRunning) runs.last.fail(new Error('bad data'));
      await time.clock.tickAsync(100);
    }
    while (!runs.last.isRunning) await time.clock.tickAsync(100);
    return { peers, dns, runs };
  }
  async function pauseAfter(runs: Runs): Promise<number> {
    const endedAt = performance.now();
    const { length } = runs.all;
    while (runs.all.length === length) await time.clock.tickAsync(10);
    return runs.last.startedAt - endedAt;
  }

  it('goes on after 29 s of health', async () => {
    const { runs } = await weary();
    await time.clock.tickAsync(29_000);
    runs.last.fail(new Error('bad data'));
    assert.ok((await pauseAfter(runs)) > 3_000);
  });

  for (const how of ['throws', 'returns'] as const) {
    it(`starts anew after 30 s of health, where the worker ${how}`, async () => {
      const { runs } = await weary();
      await time.clock.tickAsync(30_500);
      if (how === 'throws') runs.last.fail(new Error('bad data'));
      else runs.last.finish();
      assert.ok((await pauseAfter(runs)) <= 200);
    });
  }

  it('and it is still a back-off then: a primary that restarts does not get all its followers in the same instant', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = [three];
    await time.clock.tickAsync(100);
    const followers = Array.from({ length: 50 }, () => {
      const runs = new Runs();
      peers.follow('primary', runs.follow);
      return runs;
    });
    await time.clock.tickAsync(60_000);
    // web-0 closes its connections: same pod, same address.
    for (const { last } of followers) last.fail(new Error('read ECONNRESET'));
    await time.clock.tickAsync(1_000);
    const returns = new Set(followers.map(({ last }) => last.startedAt));
    assert.ok(returns.size > 10, `50 followers came back at ${returns.size} different times`);
  });

  it('a run that ended by itself is told nothing afterwards that is no reason', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = [three];
    await time.clock.tickAsync(100);
    const runs = new Runs();
    peers.follow('primary', runs.follow);
    await time.clock.tickAsync(31_000);
    const { last } = runs;
    last.finish();
    await time.clock.tickAsync(1_000);
    const { aborted, reason } = last.signal as { aborted: boolean; reason: unknown };
    assert.ok(!aborted || reason instanceof PeerDiscoveryError, String(reason));
  });

  it('a worker that dies of the same thing every 31 s does not spin', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = [three];
    await time.clock.tickAsync(100);
    let runs = 0;
    const handle = peers.follow('primary', async () => {
      runs += 1;
      await new Promise((resolve) => setTimeout(resolve, 31_000));
    });
    await time.clock.tickAsync(310_000);
    assert.ok(runs >= 9 && runs <= 11, `${runs} runs`);
    const stopped = handle.stop();
    await time.clock.tickAsync(32_000);
    await stopped;
  });

  it('is over at a new address: also one that was long', async () => {
    const { peers, dns, runs } = await weary();
    runs.last.fail(new Error('bad data'));
    await time.clock.tickAsync(100);
    const { length } = runs.all;
    dns.views = [{ ...three, 'web-0': '10.0.0.9' }];
    await peers.refresh();
    await time.clock.tickAsync(0);
    assert.deepEqual([runs.all.length, runs.against.at(-1)], [length + 1, 'web-0 10.0.0.9']);
    runs.last.fail(new Error('bad data'));
    assert.ok((await pauseAfter(runs)) <= 200, 'and starts anew');
  });

  it('is not over for a change elsewhere', async () => {
    const { peers, dns, runs } = await weary();
    runs.last.fail(new Error('bad data'));
    await time.clock.tickAsync(100);
    const { length } = runs.all;
    dns.views = [{ ...three, 'web-1': '10.0.0.9' }];
    await peers.refresh();
    await time.clock.tickAsync(1_000);
    assert.equal(runs.all.length, length);
  });

  it('runs against whom the target means at its end', async () => {
    const { peers, dns, runs } = await weary();
    runs.last.fail(new Error('bad data'));
    await time.clock.tickAsync(100);
    // A gained address ends no back-off, and is known to the next run.
    dns.views = [{ ...three, 'web-0': ['10.0.0.1', 'fd00::1'] }];
    await peers.refresh();
    await time.clock.tickAsync(16_000);
    assert.equal(runs.against.at(-1), 'web-0 10.0.0.1+fd00::1');
  });
});

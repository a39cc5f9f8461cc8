import assert from 'node:assert/strict';
import FakeTimers from '@sinonjs/fake-timers';
import type { Dispatcher } from 'undici';
import type { Switchboard } from '../../../src/http/call.ts';
import { Call } from '../../../src/http/call.ts';
import type { PeerPool } from '../../../src/http/peer-pool.ts';
import type { Route } from '../../../src/http/route.ts';

describe('One request, and waitMs', () => {
  let clock: FakeTimers.Clock;
  let now: number;
  const realNow = performance.now.bind(performance);

  beforeEach(() => {
    clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout'] });
    now = 1_000;
    performance.now = () => now;
  });

  afterEach(() => {
    clock.uninstall();
    performance.now = realNow;
  });

  const nowhere = new Error('nowhere');
  const route: Route = { target: 'primary', protocol: 'http:', port: null, last: null };

  function board(poolFor: () => PeerPool | null, addresses: object): Switchboard {
    const nothing = (): undefined => undefined;
    const all = { nowhere: () => nowhere, failed: nothing, peek: () => null, ...addresses };
    return {
      ...{ waitMs: 250, closed: null, poolFor, wait: nothing, unwait: nothing, forget: nothing },
      addresses: all as unknown as Switchboard['addresses'],
    };
  }

  function start(on: Switchboard): Error[] {
    const errors: Error[] = [];
    const handler = { onConnect: () => undefined, onError: (error: Error) => errors.push(error) };
    new Call(on, route, { path: '/', method: 'GET' }, handler).start();
    return errors;
  }

  it('ends after waitMs by the clock, even where its timer is early', () => {
    const errors = start(board(() => null, {}));
    // Timers count from when the event loop last looked at the clock, which can be some milliseconds ago.
    now += 220;
    clock.tick(250);
    assert.deepEqual(errors, []);
    now += 29;
    clock.tick(29);
    assert.deepEqual(errors, []);
    now += 1;
    clock.tick(1);
    assert.deepEqual(errors, [nowhere]);
    assert.equal(clock.countTimers(), 0);
  });

  it('waiting for its turn on a connection does not count, also where it began before the connection was there', () => {
    const failure = Object.assign(new Error('reset'), { code: 'ECONNRESET' });
    const timedOut = new Error('timed out');
    let isConnected = false;
    let attempt: Dispatcher.DispatchHandler | undefined;
    const pool = {
      ...{ origin: 'http://web-0', serverName: 'web-0', isRetired: false, dialFailures: new WeakSet() },
      endpoint: { address: '10.0.0.1', peer: { podName: 'web-0', stableName: 'web-0.nginx' } },
      get isConnected() {
        return isConnected;
      },
      dispatch: (_options: unknown, handler: Dispatcher.DispatchHandler) => (attempt = handler),
    } as unknown as PeerPool;
    let pools: PeerPool | null = pool;
    const source = { topology: () => ({ peer: () => ({ presence: 'published' }) }), timeoutError: () => timedOut };
    const errors = start(board(() => pools, { source }));
    // The connection comes, and is busy for long.
    isConnected = true;
    now += 2_500;
    clock.tick(2_500);
    // Then it breaks, and nobody listens for a while: the request has not waited for a connection yet.
    isConnected = false;
    pools = null;
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the style of undici's own methods
    attempt?.onError?.(failure);
    now += 249;
    clock.tick(249);
    assert.deepEqual(errors, []);
    now += 1;
    clock.tick(1);
    assert.deepEqual(errors, [timedOut]);
  });
});

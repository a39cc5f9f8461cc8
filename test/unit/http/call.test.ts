import assert from 'node:assert/strict';
import FakeTimers from '@sinonjs/fake-timers';
import type { Switchboard } from '../../../src/http/call.ts';
import { Call } from '../../../src/http/call.ts';
import type { Route } from '../../../src/http/route.ts';

describe('One request that waits for an address', () => {
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

  it('ends after waitMs by the clock, even where its timer is early', () => {
    const errors: Error[] = [];
    const nowhere = new Error('nowhere');
    const board = {
      addresses: { nowhere: () => nowhere } as unknown as Switchboard['addresses'],
      waitMs: 250,
      closed: null,
      poolFor: () => null,
      wait: () => undefined,
      unwait: () => undefined,
      forget: () => undefined,
    } satisfies Switchboard;
    const route: Route = { target: 'primary', protocol: 'http:', port: null, last: null };
    const handler = { onConnect: () => undefined, onError: (error: Error) => errors.push(error) };
    new Call(board, route, { path: '/', method: 'GET' }, handler).start();

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
});

import assert from 'node:assert/strict';
import FakeTimers from '@sinonjs/fake-timers';
import type { PeerDiscovery } from '../../src/peer-discovery.ts';

/** What a suite has whose time stands still until a test moves it. */
export interface FakeTime {
  /** The clock of the test that runs. */
  readonly clock: FakeTimers.Clock;
  /** Closes this library object at the end of the test. Gives back what it was given. */
  opened<Made extends { readonly peers: PeerDiscovery }>(made: Made): Made;
}

/** Takes the time away from every test of this suite. Each of them must leave no timer behind. */
export function fakeTime(): FakeTime {
  let clock: FakeTimers.Clock;
  const open: PeerDiscovery[] = [];
  beforeEach(() => {
    clock = FakeTimers.install({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
    });
  });
  afterEach(async () => {
    try {
      await Promise.all(open.splice(0).map((peers) => peers.close()));
      assert.equal(clock.countTimers(), 0, 'a timer is left');
    } finally {
      clock.uninstall();
    }
  });
  return {
    get clock() {
      return clock;
    },
    opened(made) {
      open.push(made.peers);
      return made;
    },
  };
}

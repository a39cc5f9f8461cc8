import assert from 'node:assert/strict';
import { install } from '@sinonjs/fake-timers';
import type { Clock } from '@sinonjs/fake-timers';
import type { ClusterState } from '../../../src/testing/cluster-state.ts';
import { ClusterHistory } from '../../../src/testing/cluster-state.ts';

describe('the history of a cluster', () => {
  let clock: Clock;
  beforeEach(() => {
    clock = install();
  });
  afterEach(() => {
    clock.uninstall();
  });

  it('knows what was at a time', () => {
    const history = new ClusterHistory(state(0));
    for (const version of [1, 2, 3]) {
      clock.tick(100);
      history.record(state(version));
    }
    const at = (time: number): number => history.at(time).resourceVersion;
    assert.deepEqual([0, 99, 100, 250, 300, 9_999].map(at), [0, 0, 1, 2, 3, 3]);
    assert.equal(history.current.resourceVersion, 3);
  });

  it('takes changes at one time as one', () => {
    const history = new ClusterHistory(state(0));
    clock.tick(100);
    history.record(state(1));
    history.record(state(2));
    assert.equal(history.at(100).resourceVersion, 2);
    assert.equal(history.at(99).resourceVersion, 0);
  });

  it('forgets what is older than ten minutes, but for the state that was then', () => {
    const history = new ClusterHistory(state(0));
    history.record(state(1));
    clock.tick(300_000);
    history.record(state(2));
    clock.tick(600_000);
    history.record(state(3));
    assert.equal(history.at(300_000).resourceVersion, 2);
    assert.equal(history.at(0).resourceVersion, 2, 'the oldest that is left');
  });
});

function state(resourceVersion: number): ClusterState {
  return { resourceVersion, namespaces: [], services: [], endpointSlices: [] };
}

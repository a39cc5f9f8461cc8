import assert from 'node:assert/strict';
import { addressesOf } from '../../../src/connect/addresses.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { observer } from '../../support/member.ts';

describe('What one connection learnt serves the next', () => {
  const time = fakeTime();

  it('an address that failed counts as failed for 10 s, also where nobody asks for it again', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [{ 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' }];
    await time.clock.tickAsync(100);
    const addresses = addressesOf(peers);
    const endpoint = addresses.pick({ podName: 'web-1', ordinal: 1 });
    assert.ok(endpoint !== null);
    assert.equal(addresses.isClean, true);
    addresses.failed(endpoint, new Error('refused'));
    dns.views = [{ 'web-0': '10.0.0.1', 'web-1': '10.0.0.9' }];
    await time.clock.tickAsync(9_000);
    assert.equal(addresses.isClean, false);
    await time.clock.tickAsync(2_000);
    assert.equal(addresses.isClean, true);
  });
});

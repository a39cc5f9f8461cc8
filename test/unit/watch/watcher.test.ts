import assert from 'node:assert/strict';
import { createDnsClient } from '../../../src/dns/client.ts';
import { Watcher } from '../../../src/watch/watcher.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { ScriptedDns } from '../../support/scripted-dns.ts';

describe('watch/watcher', () => {
  const time = fakeTime();

  it('a round that ends in a fault of our own is not followed at once by the next', async () => {
    const dns = new ScriptedDns();
    dns.views = [{ 'web-0': '10.0.0.1' }];
    const watcher = new Watcher(
      {
        scope: {
          statefulSet: 'web',
          serviceName: 'nginx.default.svc.cluster.local',
          portName: 'peer',
          ordinalStart: 0,
          expectedPods: null,
          allowLoopback: false,
        },
        client: createDnsClient({
          zone: 'cluster.local',
          servers: () => [{ address: '10.96.0.10', port: 53 }],
          transport: dns,
          timeoutMs: 1_000,
          attempts: 1,
        }),
        minIntervalMs: 1_000,
        maxIntervalMs: 5_000,
        deadlineMs: 5_000,
      },
      {
        wants: () => ({ known: [], due: [], families: [4], isFirst: true }),
        take: () => {
          throw new Error('a fault of our own');
        },
        reconsider: () => undefined,
        isUnsettled: () => false,
        isOpen: () => false,
      },
    );
    await assert.rejects(watcher.refresh(), /a fault of our own/);
    assert.equal(dns.asked.length, 1);
    await time.clock.tickAsync(4_000);
    assert.equal(dns.asked.length, 1);
    await watcher.close();
  });
});

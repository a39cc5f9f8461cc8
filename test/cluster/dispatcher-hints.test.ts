import assert from 'node:assert/strict';
import { request } from 'undici';
import { httpPods } from '../support/http-pods.ts';

describe('PeerDispatcher: a storm of connection errors', () => {
  const test = httpPods();

  it('asks DNS at most 20 questions a second, for all peers together', async () => {
    const { pods } = test;
    const names = Array.from({ length: 8 }, (_, ordinal) => `web-${ordinal}`);
    const view = Object.fromEntries(names.map((name, ordinal) => [name, pods.at(100 + ordinal)]));
    const client = await pods.client(view, { waitMs: 200 });
    const startedAt = performance.now();
    const before = client.dns.asked.length;
    let failures = 0;
    const counts: number[] = [];
    while (performance.now() - startedAt < 3_000) {
      const [countBefore, second] = [client.dns.asked.length, performance.now() + 1_000];
      while (performance.now() < second) {
        const storm = names.flatMap((name) => Array.from({ length: 10 }, () => request(`http://${name}/`, client)));
        for (const { status } of await Promise.allSettled(storm)) if (status === 'rejected') failures += 1;
      }
      counts.push(client.dns.asked.length - countBefore);
    }
    assert.ok(failures > 300, `${failures} failures`);
    assert.ok(client.dns.asked.length > before, 'a failed connection is a question');
    // A window that is cut anywhere may hold one more.
    for (const count of counts) assert.ok(count <= 25, `${counts.join(', ')} questions`);
  });

  it('a failure of a connection is asked about at once', async () => {
    const { pods } = test;
    const client = await pods.client({ 'web-1': pods.at(11) }, { waitMs: 100 });
    const before = client.dns.asked.length;
    await Promise.allSettled([request('http://web-1/', client)]);
    assert.ok(client.dns.asked.length > before);
    assert.ok(client.peers.stats().hints > 0);
  });
});

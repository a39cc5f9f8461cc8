import assert from 'node:assert/strict';
import { hasLoopbackRange } from '../../src/testing/pod-network.ts';
import { isInCi } from '../support/ci.ts';
import type { Said } from './redis-pods.ts';
import { hasRedisServer, RedisPods } from './redis-pods.ts';

describe('Recipe: Redis, a primary and replicas', function () {
  this.timeout(30_000);

  before(async function () {
    const isThere = hasRedisServer();
    assert.ok(isThere || !isInCi, 'redis-server is missing: apt-get install redis-server');
    if (isThere && (await hasLoopbackRange())) return;
    const why = isThere ? 'this system has a single loopback address' : 'there is no redis-server on this machine';
    console.log(`    skipped: ${why}`);
    this.skip();
  });

  it('the writer goes on while pods come back on other addresses and Redis alone restarts, and no acknowledged write is lost', async () => {
    await using pods = await RedisPods.start();
    for (const podName of ['web-2', 'web-0']) {
      await pods.acknowledges(20);
      const [old] = pods.cluster.pod(podName).addresses;
      pods.cluster.pod(podName).delete();
      await pods.settled();
      assert.notEqual(pods.cluster.pod(podName).addresses[0], old);
    }
    for (const podName of ['web-1', 'web-0']) {
      await pods.acknowledges(20);
      const from = pods.said.length;
      pods.restartRedis(podName);
      const role = podName === 'web-0' ? 'leading' : 'following';
      await pods.until(`${podName} ${role} again`, ({ by, kind }) => by === podName && kind === role, from);
    }
    await pods.acknowledges(20);
    await assertNothingLost(pods);
  });

  it('an address that went from the primary to a replica gets no write while DNS still names it, and no acknowledged write is lost', async () => {
    await using pods = await RedisPods.start();
    await pods.acknowledges(20);
    const [old = ''] = pods.cluster.pod('web-0').addresses;
    const from = pods.said.length;
    const frozen = pods.cluster.dns.freezeReplica(0);
    pods.cluster.statefulSet.giveAddress('web-1', old);
    pods.cluster.pod('web-0').delete({ gracePeriodMs: 0 });
    pods.cluster.pod('web-1').delete({ gracePeriodMs: 0 });
    const refused = `web-0 is not, or not well, at ${old}: -WRONGPASS`;
    const isRefused = ({ by, what = '' }: Said): boolean => by === 'writer' && what.startsWith(refused);
    await pods.until('a refusal', isRefused, from);
    frozen.end();
    await pods.settled();
    assert.deepEqual(pods.cluster.pod('web-1').addresses, [old]);
    await pods.acknowledges(20);
    await assertNothingLost(pods);
  });

  it('a first pod that lost its volume leads nobody, and the others keep what they have', async () => {
    await using pods = await RedisPods.start();
    await pods.acknowledges(20);
    const count = await pods.stopWriting();
    const from = pods.said.length;
    pods.loseVolume('web-0');
    pods.cluster.pod('web-0').delete();
    const isRefusal = ({ by, what = '' }: Said): boolean =>
      by === 'web-0' && what.includes('this pod has no data, and web-1 has');
    await pods.until('web-0 refuses to lead', isRefusal, from);
    assert.match(await pods.ask('web-0', (redis) => redis.set('key', 'value').catch(String)), /NOREPLICAS/);
    for (const podName of ['web-1', 'web-2']) {
      assert.equal(await pods.ask(podName, (redis) => redis.exists(keys(count))), count);
    }
  });
});

function keys(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `key-${index}`);
}

/** Every acknowledged write is in every pod, and one pod alone takes writes. */
async function assertNothingLost(pods: RedisPods): Promise<void> {
  const count = await pods.stopWriting();
  await pods.ask('web-0', (redis) => redis.wait(2, 5_000));
  for (const { name } of pods.cluster.statefulSet.pods) {
    const values = await pods.ask(name, (redis) => redis.mget(keys(count)));
    const lost = [...values.keys()].filter((index) => values[index] !== String(index));
    assert.deepEqual(lost, [], `acknowledged and not in ${name}`);
    const role = await pods.ask(name, (redis) => redis.role());
    assert.equal(role[0], name === 'web-0' ? 'master' : 'slave', name);
  }
}

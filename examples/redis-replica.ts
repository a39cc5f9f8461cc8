/**
 * Runs beside redis-server in each pod of a set, as a second container: where this pod is the primary, Redis takes writes;
 * where it is not, Redis replicates the primary, wherever that is. Redis is started like this, with a volume of its own:
 *
 *   redis-server --appendonly yes --appendfsync always --min-replicas-to-write 1000000
 *     --requirepass "$REDIS_PASSWORD" --masterauth "$REDIS_PASSWORD" --user "$POD_NAME" on ">$REDIS_PASSWORD" "~*" "&*" "+@all"
 *
 * - `--user "$POD_NAME"`: a user named after the pod, so that whoever dials an address can say whom it means, and is
 *   refused by a pod that has the address now and another name. Replication does so too (`masteruser`): without it, a
 *   replica whose primary's address was given to another Redis would copy that one over its own data.
 * - `--min-replicas-to-write 1000000`: takes no write until this program says so, also after a restart of Redis alone.
 * - `--appendfsync always`: what was acknowledged survives. A primary without persistence empties its replicas when it
 *   restarts.
 *
 * What it is not: no failover of data. The policy designates by name; a pod that comes back without its data is refused
 * by all others, and leads nobody while it sees one that has data. DNS cannot fence: a primary that is cut off from DNS
 * and from the others goes on taking writes from clients that still reach it.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { discoverPeers } from 'stateful-peers';
import { redisOf } from './redis-client.ts';

const { REDIS_PASSWORD: password = '', REDIS_HOST: host = '127.0.0.1', REDIS_PORT: port = '6379' } = process.env;

/** Written once, when the database is founded: tells a database from another one. */
const databaseKey = 'stateful-peers:database';
const closed = 1_000_000;
const checkMs = 250;

const peers = discoverPeers({ port: 'redis' });

// The Redis of this pod. What cannot be sent now has failed: a command from before its restart must not be sent after.
const local = new Redis({
  ...{ host, port: Number(port), password },
  ...{ enableOfflineQueue: false, maxRetriesPerRequest: 0, retryStrategy: () => 100 },
});
local.on('error', (error) => report({ kind: 'trouble', what: error.message }));

const leading = peers.lead(async ({ signal }) => {
  try {
    await isUp(signal);
    const isNew = (await local.get(databaseKey)) === null;
    if (isNew) await refuseToLeadOverData(signal);
    signal.throwIfAborted();
    await local.replicaof('NO', 'ONE');
    await local.config('SET', 'min-replicas-to-write', 0);
    if (isNew) await local.set(databaseKey, randomUUID(), 'NX');
    report({ kind: 'leading' });
    await once(local, 'close', { signal });
    throw new Error('Redis has ended, and has forgotten what it was told');
  } catch (error) {
    if (!signal.aborted) report({ kind: 'trouble', what: String(error) });
    throw error;
  } finally {
    // A Redis that cannot be told has ended, and takes no write when it is back.
    await local.config('SET', 'min-replicas-to-write', closed).catch(() => undefined);
  }
});

const following = peers.follow('primary', async (primary, { signal }) => {
  try {
    await isUp(signal);
    const { podName } = primary;
    const [mine, theirs] = [await local.get(databaseKey), await databaseOf(podName, signal)];
    if (theirs === null) throw new Error(`${podName} has no database yet`);
    if (mine !== null && mine !== theirs) throw new Error(`${podName} has another database: not copied over this one`);
    const address = primary.addresses[0]?.address;
    if (address === undefined || primary.port === null) throw new Error(`${podName} has no address, or no port`);
    signal.throwIfAborted();
    await local.config('SET', 'masteruser', podName);
    await local.replicaof(address, primary.port);
    for (let isLinked = false; ;) {
      await pause(checkMs, undefined, { signal });
      const [role, of, , state] = (await local.role()) as [string, string, number, string];
      if (role !== 'slave' || of !== address) throw new Error('Redis has forgotten whom it follows');
      // Redis tries again by itself, but always there: where the primary is now, DNS has to say.
      if (state === 'connect') peers.report(podName, 'unreachable', address);
      if (state === 'connected' && !isLinked) report({ kind: 'following', podName, address });
      isLinked = state === 'connected';
    }
  } catch (error) {
    if (!signal.aborted) report({ kind: 'trouble', what: String(error) });
    throw error;
  }
});

async function isUp(signal: AbortSignal): Promise<void> {
  while (local.status !== 'ready') await pause(checkMs / 5, undefined, { signal });
}

/** The first pod that comes back without its volume must not found a second database. */
async function refuseToLeadOverData(signal: AbortSignal): Promise<void> {
  const { peers: all } = await peers.ready({ timeoutMs: Infinity, signal });
  for (const { podName } of all.filter((peer) => !peer.isSelf && peer.presence === 'published')) {
    if ((await databaseOf(podName, signal)) === null) continue;
    throw new Error(`this pod has no data, and ${podName} has: restore the volume, or delete the data there`);
  }
}

/** Which database a pod has, asked by its name; `null` for none. */
async function databaseOf(podName: string, signal: AbortSignal): Promise<string | null> {
  const remote = redisOf(peers, podName, password, { commandTimeout: 3_000 });
  const end = (): void => remote.disconnect();
  signal.addEventListener('abort', end);
  remote.on('error', (error) => report({ kind: 'trouble', what: error.message }));
  try {
    return await remote.get(databaseKey);
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}

process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());
// Whoever started it is gone.
process.once('disconnect', () => process.exit(0));

async function stop(): Promise<void> {
  await Promise.all([leading.stop(), following.stop()]);
  await peers.close();
  local.disconnect();
  process.exit(0);
}

/** One JSON line, or a message to the process that started this one. */
function report(message: Readonly<Record<string, unknown>>): void {
  if (process.send === undefined) process.stdout.write(`${JSON.stringify(message)}\n`);
  else if (process.connected) process.send(message);
}

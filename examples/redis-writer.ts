/** A client outside the set, for example in a Deployment: writes to the primary, wherever that is, and says what was acknowledged. */
import { setTimeout as pause } from 'node:timers/promises';
import { observePeers } from 'stateful-peers';
import { redisOf } from './redis-client.ts';

const peers = observePeers({
  statefulSet: 'web',
  service: process.env['STATEFUL_PEERS_SERVICE'] ?? 'redis',
  port: 'redis',
});
const redis = redisOf(peers, 'primary', process.env['REDIS_PASSWORD'] ?? '');
const stopping = new AbortController();

redis.on('error', (error) => {
  if (!stopping.signal.aborted) report({ kind: 'trouble', what: error.message });
});

process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());
// Whoever started it is gone.
process.once('disconnect', () => process.exit(0));

try {
  for (let index = 0; ; index += 1) {
    await redis.set(`key-${index}`, index);
    report({ kind: 'acknowledged', index });
    await pause(2);
  }
} catch (error) {
  // The one that was under way at the end.
  if (!stopping.signal.aborted) throw error;
}

async function stop(): Promise<void> {
  stopping.abort();
  redis.disconnect();
  await peers.close();
  process.exit(0);
}

/** One JSON line, or a message to the process that started this one. */
function report(message: Readonly<Record<string, unknown>>): void {
  if (process.send === undefined) process.stdout.write(`${JSON.stringify(message)}\n`);
  else if (process.connected) process.send(message);
}

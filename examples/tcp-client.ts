/** A client outside the set: has something to tell one pod, in order, and tells it again where the answer was lost. */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { observePeers } from 'stateful-peers';
import { openSession } from './tcp-peer.ts';

const { values } = parseArgs({ options: { to: { type: 'string', default: 'web-1' } } });

const peers = observePeers({
  statefulSet: 'web',
  service: process.env['STATEFUL_PEERS_SERVICE'] ?? 'nginx',
  port: 'peer',
});
let next = 0;

peers.follow(values.to, async (peer, { signal }) => {
  const session = await openSession(peers, peer, signal);
  try {
    for (; !signal.aborted; next += 1) {
      await session.request(Buffer.from(`${values.to} ${next}`));
      report({ kind: 'acknowledged', index: next });
      await pause(2);
    }
  } finally {
    session.close();
  }
});

peers.on('peerMoved', ({ current, lost, gained, cause }) => {
  report({ kind: 'moved', podName: current.podName, lost, gained, cause });
});

process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());
// Whoever started it is gone.
process.once('disconnect', () => process.exit(0));

async function stop(): Promise<void> {
  await peers.close();
  process.exit(0);
}

/** One JSON line, or a message to the process that started this one. */
function report(message: Readonly<Record<string, unknown>>): void {
  if (process.send === undefined) process.stdout.write(`${JSON.stringify(message)}\n`);
  else if (process.connected) process.send(message);
}

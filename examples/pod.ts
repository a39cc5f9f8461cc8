/**
 * A pod of a StatefulSet: listens on its own address, says who it is, and reports what it learns of the others.
 * Who it is comes from the environment alone; the arguments only make the windows short enough to watch.
 */
import { createServer } from 'node:net';
import { parseArgs } from 'node:util';
import type { Peer } from 'stateful-peers';
import { discoverPeers } from 'stateful-peers';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '7000' },
    'min-interval-ms': { type: 'string', default: '1000' },
    'max-interval-ms': { type: 'string', default: '5000' },
    'missing-after-ms': { type: 'string', default: '45000' },
    'remove-after-ms': { type: 'string', default: '120000' },
  },
});

const discovery = discoverPeers({
  refresh: { minIntervalMs: Number(values['min-interval-ms']), maxIntervalMs: Number(values['max-interval-ms']) },
  absence: {
    missingAfterMs: Number(values['missing-after-ms']),
    removeAfterMs: Number(values['remove-after-ms']),
  },
});
const { identity } = discovery;
const address = process.env['POD_IP'] ?? identity.addresses[0] ?? '127.0.0.1';

const place = `${address}:${values.port}`;

report({ kind: 'hello', podName: identity.podName, address: place, service: identity.serviceName, pid: process.pid });

for (const name of ['peerRemoved', 'peerAdded', 'peerMoved', 'presenceChanged'] as const) {
  discovery.on(name, (event) => {
    const { podName } = event.current ?? event.previous;
    report({ kind: 'event', name, version: event.topologyVersion, podName, cause: event.cause });
  });
}
discovery.on('primaryChanged', ({ topologyVersion: version, current, cause }) => {
  report({ kind: 'event', name: 'primaryChanged', version, podName: current?.podName ?? null, cause });
});
discovery.on('roleChanged', ({ topologyVersion: version, current, cause }) => {
  report({ kind: 'event', name: 'roleChanged', version, podName: identity.podName, cause, role: current });
});
discovery.on('topologyChanged', ({ topologyVersion: version, current, cause }) => {
  report({ kind: 'event', name: 'topologyChanged', version, podName: null, cause });
  const peers = Object.fromEntries(current.peers.map((peer) => [peer.podName, placeOf(peer)]));
  report({ kind: 'topology', version, primary: current.primary?.podName ?? null, peers });
});

// Whoever connects is told who answers: so a client notices when an address is another pod's.
const server = createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.end(`${identity.podName ?? ''}\n`);
});
server.listen(Number(values.port), address, () => report({ kind: 'listening', address: place }));

process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());
// Whoever started it is gone; perhaps it was before anybody could listen here.
process.once('disconnect', () => process.exit(0));
if (process.send !== undefined && !process.connected) process.exit(0);

async function stop(): Promise<void> {
  server.close();
  await discovery.close();
  process.exit(0);
}

/** `127.1.0.1:7000`, or `null` while nothing is known. */
function placeOf({ addresses: [first], port }: Peer): string | null {
  return first === undefined ? null : `${first.address}:${port ?? '?'}`;
}

/** One JSON line, or a message to the process that started this one. */
function report(message: Readonly<Record<string, unknown>>): void {
  if (process.send === undefined) process.stdout.write(`${JSON.stringify(message)}\n`);
  else if (process.connected) process.send(message);
}

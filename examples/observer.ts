/**
 * A client outside the set: connects to each pod where the library says that it is, checks who answers, and says so
 * to the library when it was another pod.
 */
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import type { Peer } from 'stateful-peers';
import { observePeers } from 'stateful-peers';

const { values } = parseArgs({
  options: {
    'stateful-set': { type: 'string', default: 'web' },
    'contact-ms': { type: 'string', default: '250' },
    'min-interval-ms': { type: 'string', default: '1000' },
    'max-interval-ms': { type: 'string', default: '5000' },
    'missing-after-ms': { type: 'string', default: '45000' },
    'remove-after-ms': { type: 'string', default: '120000' },
  },
});

const discovery = observePeers({
  statefulSet: values['stateful-set'],
  service: process.env['STATEFUL_PEERS_SERVICE'] ?? 'nginx',
  refresh: { minIntervalMs: Number(values['min-interval-ms']), maxIntervalMs: Number(values['max-interval-ms']) },
  absence: {
    missingAfterMs: Number(values['missing-after-ms']),
    removeAfterMs: Number(values['remove-after-ms']),
  },
});

for (const name of ['peerRemoved', 'peerAdded', 'peerMoved', 'presenceChanged', 'primaryChanged'] as const) {
  discovery.on(name, (event) => {
    const peer = event.current ?? (name === 'primaryChanged' ? null : event.previous);
    const { topologyVersion: version, cause } = event;
    const address = peer === null ? null : placeOf(peer);
    const presence = peer?.presence ?? null;
    report({ kind: 'event', name, version, podName: peer?.podName ?? null, cause, address, presence });
  });
}
discovery.on('topologyChanged', ({ topologyVersion: version, current, cause }) => {
  report({ kind: 'event', name: 'topologyChanged', version, podName: null, cause });
  const peers = Object.fromEntries(current.peers.map((peer) => [peer.podName, placeOf(peer)]));
  report({ kind: 'topology', version, primary: current.primary?.podName ?? null, peers });
});
discovery.on('freshnessChanged', ({ current }) => {
  report({ kind: 'freshness', state: current.state, failure: current.lastFailure?.detail ?? null });
});

const timer = setInterval(() => {
  for (const peer of discovery.topology.peers) {
    const [first] = peer.addresses;
    if (first === undefined || peer.port === null) continue;
    const begunAt = performance.now();
    void whoAnswers(first.address, peer.port).then((answered) => {
      const endedAt = performance.now();
      report({ kind: 'contact', target: peer.podName, address: placeOf(peer), answered, begunAt, endedAt });
      // A pod that has gone since is nobody to report.
      const isCurrent = discovery.topology.peer(peer.podName) !== undefined;
      if (answered !== null && answered !== peer.podName && isCurrent) {
        discovery.report(peer.podName, 'stranger', first.address);
      }
    });
  }
}, Number(values['contact-ms']));

process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());
// Whoever started it is gone; perhaps it was before anybody could listen here.
process.once('disconnect', () => process.exit(0));
if (process.send !== undefined && !process.connected) process.exit(0);

async function stop(): Promise<void> {
  clearInterval(timer);
  await discovery.close();
  process.exit(0);
}

/** `127.1.0.1:7000`, or `null` while nothing is known. */
function placeOf({ addresses: [first], port }: Peer): string | null {
  return first === undefined ? null : `${first.address}:${port ?? '?'}`;
}

/** The pod name that is answered at that address; `null` when nobody answers. */
function whoAnswers(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host, port, timeout: 1_000 });
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (answer += text));
    socket.on('timeout', () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(answer.trim() === '' ? null : answer.trim()));
  });
}

/** One JSON line, or a message to the process that started this one. */
function report(message: Readonly<Record<string, unknown>>): void {
  if (process.send === undefined) process.stdout.write(`${JSON.stringify(message)}\n`);
  else if (process.connected) process.send(message);
}

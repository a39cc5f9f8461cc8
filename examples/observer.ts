/**
 * A client outside the set: connects to each pod where the library says that it is, checks who answers, and says so
 * to the library when it was another pod.
 */
import { parseArgs } from 'node:util';
import { observePeers } from 'stateful-peers';
import { endWithParent, placeOf, report, reportEvents, whoAnswers } from './reporting.ts';

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

reportEvents(discovery);
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
endWithParent();

async function stop(): Promise<void> {
  clearInterval(timer);
  await discovery.close();
  process.exit(0);
}

/**
 * The loop that people write today, without the library: DNS is asked every few seconds, whatever it answers is
 * believed (an error is an empty list), the pod with the lowest name in the answer is the primary, and addresses are
 * used until the next turn.
 */
import { Resolver } from 'node:dns/promises';
import { parseArgs } from 'node:util';
import { endWithParent, report, whoAnswers } from './reporting.ts';

const { values } = parseArgs({
  options: {
    'every-ms': { type: 'string', default: '2000' },
    'contact-ms': { type: 'string', default: '250' },
  },
});

const {
  STATEFUL_PEERS_SERVICE: service = 'nginx',
  POD_NAMESPACE: namespace = 'default',
  STATEFUL_PEERS_CLUSTER_DOMAIN: clusterDomain = 'cluster.local',
  STATEFUL_PEERS_DNS: server,
} = process.env;
const resolver = new Resolver({ timeout: 1_000, tries: 2 });
if (server !== undefined) resolver.setServers([server]);

interface Found {
  readonly podName: string;
  readonly address: string;
  readonly port: number;
}
let peers: readonly Found[] = [];

const timers = [
  setInterval(() => void turn(), Number(values['every-ms'])),
  setInterval(() => {
    for (const { podName, address, port } of peers) {
      const begunAt = performance.now();
      void whoAnswers(address, port).then((answered) => {
        const endedAt = performance.now();
        report({ kind: 'contact', target: podName, address: `${address}:${port}`, answered, begunAt, endedAt });
      });
    }
  }, Number(values['contact-ms'])),
];
void turn();

process.once('SIGTERM', stop);
process.once('SIGINT', stop);
endWithParent();

async function turn(): Promise<void> {
  let error: string | null = null;
  const found: Found[] = [];
  try {
    const records = await resolver.resolveSrv(`_peer._tcp.${service}.${namespace}.svc.${clusterDomain}`);
    for (const { name, port } of records) {
      try {
        const [address] = await resolver.resolve4(name);
        if (address !== undefined) found.push({ podName: name.split('.')[0] ?? name, address, port });
      } catch (thrown) {
        error = codeOf(thrown);
      }
    }
  } catch (thrown) {
    error = codeOf(thrown);
  }
  peers = found.sort((one, two) => one.podName.localeCompare(two.podName, 'en', { numeric: true }));
  report({
    kind: 'turn',
    primary: peers[0]?.podName ?? null,
    peers: Object.fromEntries(peers.map(({ podName, address, port }) => [podName, `${address}:${port}`])),
    error,
  });
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown);
}

function stop(): void {
  for (const timer of timers) clearInterval(timer);
  process.exit(0);
}

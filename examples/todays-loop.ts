/**
 * The loop that people write today, without the library: DNS is asked every few seconds, whatever it answers is
 * believed (an error is an empty list), the pod with the lowest name in the answer is the primary, and addresses are
 * used until the next turn.
 */
import { Resolver } from 'node:dns/promises';
import { connect } from 'node:net';
import { parseArgs } from 'node:util';

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
// Whoever started it is gone; perhaps it was before anybody could listen here.
process.once('disconnect', () => process.exit(0));
if (process.send !== undefined && !process.connected) process.exit(0);

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

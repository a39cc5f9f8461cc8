/**
 * A client outside the set that writes to its primary, all the time: `http://primary`, whoever and wherever it is. Beside
 * it, for comparison, the same writes with a plain undici Agent, which asks DNS for each new connection (`--plain-port=0`:
 * without it).
 */
import { Resolver } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { parseArgs } from 'node:util';
import { observePeers } from 'stateful-peers';
import { PeerDispatcher, retryableErrorCodes } from 'stateful-peers/undici';
import type { Dispatcher } from 'undici';
import { Agent, interceptors, request } from 'undici';
import { endWithParent, report } from './reporting.ts';

const { values } = parseArgs({
  options: {
    'stateful-set': { type: 'string', default: 'web' },
    'every-ms': { type: 'string', default: '100' },
    'plain-port': { type: 'string', default: '7000' },
    'min-interval-ms': { type: 'string', default: '1000' },
    'max-interval-ms': { type: 'string', default: '5000' },
  },
});
const {
  STATEFUL_PEERS_SERVICE: service = 'nginx',
  POD_NAMESPACE: namespace = 'default',
  STATEFUL_PEERS_CLUSTER_DOMAIN: clusterDomain = 'cluster.local',
  STATEFUL_PEERS_DNS: server,
} = process.env;

endWithParent();
const peers = observePeers({
  statefulSet: values['stateful-set'],
  service,
  port: 'peer',
  refresh: { minIntervalMs: Number(values['min-interval-ms']), maxIntervalMs: Number(values['max-interval-ms']) },
});
const following = new PeerDispatcher(peers, { waitMs: 10_000 });
// A write has an id, so that it can be sent again: after a 503 of a pod that is stopping, or when its pod is gone.
const retry = interceptors.retry({ errorCodes: [...retryableErrorCodes], maxRetries: 10, minTimeout: 50 });

const plain = new Agent({ connect: { lookup: lookupThrough(server) } });
const plainHost = `${values['stateful-set']}-0.${service}.${namespace}.svc.${clusterDomain}`;

const all = [
  { name: 'following', prefix: 'w', url: 'http://primary', dispatcher: following.compose(retry) },
  { name: 'plain', prefix: 'p', url: `http://${plainHost}:${values['plain-port']}`, dispatcher: plain },
];
const writers = Number(values['plain-port']) === 0 ? all.slice(0, 1) : all;
let count = 0;
let timer: NodeJS.Timeout | undefined;
const running = new Set<Promise<void>>();

// Writing begins when there is somebody to write to.
void peers.waitForPrimary({ timeoutMs: Infinity }).then(
  () => {
    timer = setInterval(write, Number(values['every-ms']));
  },
  () => undefined,
);

function write(): void {
  count += 1;
  for (const { name, prefix, url, dispatcher } of writers) {
    const id = `${prefix}-${count}`;
    const writing = put(name, id, `${url}/log/${id}`, dispatcher);
    running.add(writing);
    void writing.finally(() => running.delete(writing));
  }
}

async function put(writer: string, id: string, url: string, dispatcher: Dispatcher): Promise<void> {
  let status: number | null = null;
  let pod: string | null = null;
  let error: string | null = null;
  try {
    const response = await request(url, { method: 'PUT', body: `value of ${id}`, dispatcher, headersTimeout: 20_000 });
    status = response.statusCode;
    pod = String(response.headers['pod'] ?? '');
    await response.body.dump();
  } catch (thrown) {
    error = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  }
  report({ kind: 'write', writer, id, status, pod, error });
}

process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());
process.on('message', (message) => {
  // The last writes are finished before anybody counts them.
  if (message === 'finish') void finish().then(() => report({ kind: 'finished' }));
});

async function finish(): Promise<void> {
  clearInterval(timer);
  await Promise.all(running);
}

async function stop(): Promise<void> {
  await Promise.race([finish(), new Promise((resolve) => setTimeout(resolve, 1_000))]);
  await peers.close();
  await plain.destroy();
  process.exit(0);
}

/** What people write: each new connection asks DNS, here the server of the environment. */
function lookupThrough(dnsServer: string | undefined): LookupFunction {
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  if (dnsServer !== undefined) resolver.setServers([dnsServer]);
  return (hostname, { all }, callback) => {
    resolver.resolve4(hostname, (error, addresses) => {
      const [first = ''] = error === null ? addresses : [];
      if (error !== null) callback(error, '', 4);
      else if (all === true) callback(null, [{ address: first, family: 4 }]);
      else callback(null, first, 4);
    });
  };
}

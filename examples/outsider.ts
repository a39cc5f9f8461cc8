/**
 * A process outside the set that knows one stable name, and asks DNS for it with Node's plain resolver: what it gets,
 * and when it asked.
 */
import { Resolver } from 'node:dns/promises';
import { parseArgs } from 'node:util';
import { endWithParent, report } from './reporting.ts';

const { values } = parseArgs({
  options: {
    name: { type: 'string', default: 'web-0.nginx.default.svc.cluster.local' },
    'every-ms': { type: 'string', default: '500' },
  },
});

const resolver = new Resolver({ timeout: 1_000, tries: 2 });
const server = process.env['STATEFUL_PEERS_DNS'];
if (server !== undefined) resolver.setServers([server]);

let isAsking = false;
const timer = setInterval(() => void ask(values.name), Number(values['every-ms']));
void ask(values.name);

process.once('SIGTERM', stop);
process.once('SIGINT', stop);
endWithParent();

async function ask(name: string): Promise<void> {
  if (isAsking) return;
  isAsking = true;
  const askedAt = monotonicMs();
  let addresses: string[] = [];
  let ttlMs = 0;
  let error: string | null = null;
  try {
    const records = await resolver.resolve4(name, { ttl: true });
    addresses = records.map(({ address }) => address);
    ttlMs = 1_000 * Math.max(0, ...records.map(({ ttl }) => ttl));
  } catch (thrown) {
    error = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown);
  }
  isAsking = false;
  report({ kind: 'resolved', name, addresses, error, ttlMs, askedAt, answeredAt: monotonicMs() });
}

function stop(): void {
  clearInterval(timer);
  process.exit(0);
}

/** All processes of a machine share this clock; `performance.now()` begins anew in each. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * Runs in a pod of its own, from a ConfigMap: asks what a pod of the set asks, with nothing of this library, and prints
 * each change of the answer. So the time of a change is when DNS says it, behind whatever caches there are.
 *
 * node dns-witness.mjs SERVICE
 */
import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';

const [, , service = 'nginx'] = process.argv;
// The kubelet's search list begins with <namespace>.svc.<cluster domain>.
const [, domain = ''] = /^search\s+(\S+)/m.exec(readFileSync('/etc/resolv.conf', 'utf8')) ?? [];

// The first process of a container has no default for it.
process.once('SIGTERM', () => process.exit(0));

const everyMs = 50;
let lastPods = '';
let lastTtls = '';
const ttls = { min: Infinity, max: 0 };

for (;;) {
  const begunAt = performance.now();
  const pods = await answer().catch((error: unknown) => {
    print({ kind: 'trouble', what: String(error) });
    return undefined;
  });
  if (pods !== undefined && JSON.stringify(pods) !== lastPods) {
    lastPods = JSON.stringify(pods);
    print({ kind: 'dns', pods });
  }
  if (JSON.stringify(ttls) !== lastTtls && ttls.max > 0) {
    lastTtls = JSON.stringify(ttls);
    // TTLs that count down come out of a cache.
    print({ kind: 'ttl', ...ttls });
  }
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, everyMs - (performance.now() - begunAt))));
}

async function answer(): Promise<Record<string, string>> {
  // A new one each time: in some releases of Node.js a Resolver keeps answers.
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  const pods: Record<string, string> = {};
  for (const { name, port } of await resolver.resolveSrv(`_peer._tcp.${service}.${domain}`).catch(noneIfAbsent)) {
    for (const { address, ttl } of await resolver.resolve4(name, { ttl: true }).catch(noneIfAbsent)) {
      ttls.min = Math.min(ttls.min, ttl);
      ttls.max = Math.max(ttls.max, ttl);
      pods[name.split('.')[0] ?? name] = `${address}:${port}`;
    }
  }
  return Object.fromEntries(Object.entries(pods).sort());
}

function noneIfAbsent(error: NodeJS.ErrnoException): [] {
  if (error.code === 'ENOTFOUND' || error.code === 'ENODATA') return [];
  throw error;
}

function print(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

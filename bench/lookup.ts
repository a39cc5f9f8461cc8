import { spawnSync } from 'node:child_process';
import type { LookupAddress } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import CacheableLookup from 'cacheable-lookup';
import { observePeers } from '../src/index.ts';
import { TestCluster } from '../src/testing/test-cluster.ts';
import type { Expectation } from './support/report.ts';
import { median, report } from './support/report.ts';

// What a lookup from memory costs, and what it costs to import the library, next to cacheable-lookup. They take turns.

const host = 'web-1.nginx.default.svc.cluster.local';
const leastSpeedup = 4;
const mostImport = 1.5;

/** Prints the table and the expectations. About twenty seconds. */
export async function run({ json, quick }: { json: boolean; quick: boolean }): Promise<void> {
  const lookups = await compareLookups(quick ? 15 : 45);
  const imports = compareImports(quick ? 20 : 80);
  const importRatio = imports.library / imports.cacheable;
  report(
    json,
    {
      title:
        'One lookup with `all` of a name in memory; an import, over an empty process. Lookups: medians, and the median of the rounds’ own ratios; imports: the fastest quarter.',
      head: ['', 'stateful-peers', 'cacheable-lookup', 'ratio'],
      rows: [
        ['lookup, µs', lookups.libraryUs.toFixed(2), lookups.cacheableUs.toFixed(2), lookups.ratio.toFixed(1)],
        ['import, ms', imports.library.toFixed(1), imports.cacheable.toFixed(1), importRatio.toFixed(2)],
        ['empty process, ms', imports.empty.toFixed(1), imports.empty.toFixed(1), ''],
      ],
    },
    [
      {
        expected: `a lookup at least ${leastSpeedup} times faster than cacheable-lookup's`,
        measured: lookups.ratio.toFixed(1),
        holds: lookups.ratio >= leastSpeedup,
      },
      {
        expected: `importing it at most ${mostImport} times what importing cacheable-lookup costs`,
        measured: importRatio.toFixed(2),
        holds: importRatio <= mostImport,
      },
    ] satisfies Expectation[],
  );
}

// ---- lookups -----------------------------------------------------------------------------------------------------------

type Lookup = (
  hostname: string,
  options: { all: true },
  callback: (error: Error | null, addresses: LookupAddress[]) => void,
) => void;

async function compareLookups(
  count: number,
): Promise<{ readonly libraryUs: number; readonly cacheableUs: number; readonly ratio: number }> {
  // Nothing runs out meanwhile.
  const cluster = await TestCluster.start({ sockets: true, dns: { ttlSeconds: 3_600 } });
  const { dnsServer } = cluster;
  const peers = observePeers({
    ...{ statefulSet: 'web', service: 'nginx', namespace: 'default', clusterDomain: 'cluster.local', port: 'peer' },
    dns: { servers: [dnsServer] },
  });
  const resolver = new Resolver();
  resolver.setServers([dnsServer]);
  const cacheable = new CacheableLookup({ resolver, lookup: false });
  try {
    await peers.ready();
    const [address = ''] = cluster.pod('web-1').addresses;
    const contestants: readonly [Lookup, Lookup] = [
      peers.lookup,
      (hostname, options, callback) => {
        cacheable.lookup(hostname, options, callback as never);
      },
    ];
    const rounds: { readonly library: number; readonly cacheable: number }[] = [];
    // The first ones do not count: code is compiled.
    for (let round = -3; round < count; round += 1) {
      const times: number[] = [];
      // Who goes first takes turns.
      for (const index of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
        times[index] = await measure(contestants[index], address);
      }
      if (round >= 0) rounds.push({ library: times[0] ?? NaN, cacheable: times[1] ?? NaN });
    }
    return {
      libraryUs: median(rounds.map((round) => round.library)),
      cacheableUs: median(rounds.map((round) => round.cacheable)),
      ratio: median(rounds.map((round) => round.cacheable / round.library)),
    };
  } finally {
    await peers.close();
    await cluster.close();
  }
}

/** Microseconds a lookup: the next one is asked when the last one is answered. */
function measure(lookup: Lookup, expected: string): Promise<number> {
  const lookups = 10_000;
  return new Promise((resolve, reject) => {
    let left = lookups;
    const start = performance.now();
    const next = (): void => {
      lookup(host, { all: true }, (error, addresses) => {
        if (error !== null || addresses[0]?.address !== expected) {
          reject(error ?? new Error(`a wrong answer: ${JSON.stringify(addresses)}`));
          return;
        }
        left -= 1;
        if (left > 0) next();
        else resolve(((performance.now() - start) * 1_000) / lookups);
      });
    };
    next();
  });
}

// ---- imports -----------------------------------------------------------------------------------------------------------

/**
 * Milliseconds of a process that does nothing else; `empty` of one that does nothing, the others over that. Each is the mean
 * of its fastest quarter: whatever else the machine does only adds.
 */
function compareImports(count: number): {
  readonly empty: number;
  readonly library: number;
  readonly cacheable: number;
} {
  const sources = [
    '',
    `import ${JSON.stringify(import.meta.resolve('stateful-peers'))};`,
    `import ${JSON.stringify(import.meta.resolve('cacheable-lookup'))};`,
  ];
  const times: number[][] = sources.map(() => []);
  // The first round does not count: files come from the disk.
  for (let round = -1; round < count; round += 1) {
    sources.forEach((source, index) => {
      const start = performance.now();
      const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', source]);
      if (status !== 0) throw new Error(`an import failed: ${stderr.toString()}`);
      if (round >= 0) times[index]?.push(performance.now() - start);
    });
  }
  const [empty = NaN, library = NaN, cacheable = NaN] = times.map(fastest);
  return { empty, library: library - empty, cacheable: cacheable - empty };
}

function fastest(times: readonly number[]): number {
  const quarter = [...times].sort((a, b) => a - b).slice(0, Math.ceil(times.length / 4));
  return quarter.reduce((sum, time) => sum + time, 0) / quarter.length;
}

import type { Dispatcher } from 'undici';
import { Pool } from 'undici';
import { observePeers } from '../src/index.ts';
import { PeerDispatcher } from '../src/undici.ts';
import { Child } from './support/child.ts';
import type { Serving } from './support/dispatch-server.ts';
import type { Expectation } from './support/report.ts';
import { median, report } from './support/report.ts';

// What a request costs more through the dispatcher than through a plain undici Pool: same server (a process of its own),
// same kept connections. They take turns; the median of the rounds' ratios is what counts.

interface Row {
  readonly concurrency: number;
  readonly poolUs: number;
  readonly dispatcherUs: number;
  readonly ratio: number;
  /** The ratio of a plain Pool to itself, measured the same way: what the machine adds. */
  readonly noise: number;
}

const target = 1.03;
const most = 1.1;

/** Prints the table and the expectations. About half a minute, `quick` a third of that. */
export async function run({ json, quick }: { json: boolean; quick: boolean }): Promise<void> {
  const child = new Child(new URL('./support/dispatch-server.js', import.meta.url));
  const { dns, origin } = await child.ask<Serving>(null);
  const peers = observePeers({
    ...{ statefulSet: 'web', service: 'nginx', namespace: 'default', clusterDomain: 'cluster.local', port: 'peer' },
    dns: { servers: [dns] },
  });
  await peers.ready();
  const pools = [new Pool(origin), new Pool(origin)] as const;
  const dispatcher = new PeerDispatcher(peers);
  const plain = pools.map((pool) => () => get(pool, origin));
  const ours = (): Promise<void> => get(dispatcher, 'http://web-0');
  const rows: Row[] = [];
  try {
    for (const concurrency of [1, 32]) {
      const [first = ours, second = ours] = plain;
      rows.push(await compare(concurrency, quick ? 15 : 45, [first, ours, second]));
    }
  } finally {
    await dispatcher.close();
    await Promise.all(pools.map((pool) => pool.close()));
    await peers.close();
    child.close();
  }
  report(
    json,
    {
      title: 'Microseconds a request (GET, keep-alive), medians; ratios are medians of the rounds’ own.',
      head: ['concurrency', 'Pool', 'PeerDispatcher', 'ratio', 'Pool to Pool'],
      rows: rows.map(({ concurrency, poolUs, dispatcherUs, ratio, noise }) => [
        ...[String(concurrency), poolUs.toFixed(1), dispatcherUs.toFixed(1), ratio.toFixed(3), noise.toFixed(3)],
      ]),
    },
    rows.flatMap(({ concurrency, ratio }): Expectation[] => [
      {
        expected: `concurrency ${concurrency}: never above ${most} times a Pool (target ${target})`,
        measured: ratio.toFixed(3),
        holds: ratio <= most,
      },
    ]),
  );
}

async function get(dispatcher: Dispatcher, origin: string): Promise<void> {
  const { body } = await dispatcher.request({ origin, path: '/', method: 'GET' });
  await body.text();
}

type Contestant = () => Promise<void>;

async function compare(
  concurrency: number,
  count: number,
  contestants: readonly [pool: Contestant, dispatcher: Contestant, pool: Contestant],
): Promise<Row> {
  const requests = concurrency === 1 ? 500 : 1_500;
  const rounds: number[][] = [];
  // The first ones do not count: code is compiled, connections are made.
  for (let round = -3; round < count; round += 1) {
    const times: number[] = [];
    // Who goes first takes turns.
    for (const index of turns[(round + 3) % turns.length] ?? []) {
      times[index] = await measure(contestants[index], concurrency, requests);
    }
    if (round >= 0) rounds.push(times);
  }
  const at = (index: number): number[] => rounds.map((times) => times[index] ?? NaN);
  const ratio = (one: number, other: number): number =>
    median(rounds.map((times) => (times[one] ?? NaN) / (times[other] ?? NaN)));
  return { concurrency, poolUs: median(at(0)), dispatcherUs: median(at(1)), ratio: ratio(1, 0), noise: ratio(2, 0) };
}

const turns = [
  [0, 1, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
  [0, 2, 1],
  [1, 0, 2],
] as const;

/** Microseconds a request. */
async function measure(contestant: Contestant, concurrency: number, requests: number): Promise<number> {
  let left = requests;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await contestant();
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: concurrency }, worker));
  return ((performance.now() - start) * 1_000) / requests;
}

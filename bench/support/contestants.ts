import { Resolver } from 'node:dns/promises';
import { Agent as HttpAgent, get } from 'node:http';
import type { LookupFunction } from 'node:net';
import CacheableLookup from 'cacheable-lookup';
import type { Dispatcher } from 'undici';
import { Agent, interceptors, request } from 'undici';
import { observePeers } from '../../src/index.ts';
import { PeerDispatcher, retryableErrorCodes } from '../../src/undici.ts';
import { contestantHeader } from './pod-server.ts';

// Who is measured in `move.ts` and `storm.ts`: clients of a pod by its name.

/** Where the pods are. */
export interface Place {
  /** `127.0.0.1:5353`. */
  readonly dns: string;
  /** FQDN of the governing Service of the set `web`. */
  readonly service: string;
  readonly port: number;
  /** A connection for each request, in place of kept ones. */
  readonly isAlwaysNew: boolean;
  /** The dispatcher's; its default where it is left out. */
  readonly waitMs?: number;
}

/** What came back. */
export interface Answer {
  readonly status: number;
  /** The body: which pod it is, by its name and uid. */
  readonly by: string;
}

/** One client. */
export interface Contestant {
  get(podName: string, signal: AbortSignal): Promise<Answer>;
  /** Ends it; what is under way may go on. */
  close(): Promise<void> | void;
}

/** Their names. The servers have a guard for those whose name says so. */
export type ContestantName =
  | 'PeerDispatcher, guard'
  | 'PeerDispatcher, guard, retry'
  | 'PeerDispatcher'
  | 'undici Agent'
  | 'interceptors.dns'
  | 'interceptors.dns, no TTL'
  | 'cacheable-lookup'
  | 'loop';

/** How each is made. */
export const contestants: Readonly<
  Record<ContestantName, (place: Place, name: string) => Contestant | Promise<Contestant>>
> = {
  /** The library, and pods that refuse what is meant for another one. */
  'PeerDispatcher, guard': (place, name) => library(place, name, false),
  /** The same with undici's retry interceptor. */
  'PeerDispatcher, guard, retry': (place, name) => library(place, name, true),
  /** The library, and pods that answer whatever comes. */
  PeerDispatcher: (place, name) => library(place, name, false),
  'undici Agent': (place, name) => {
    // The system's lookup keeps nothing; it does not reach this DNS, and a resolver keeps nothing either.
    const resolver = resolverOf(place);
    const agent = new Agent({ ...poolOf(place), connect: { lookup: lookupOf((host) => resolver.resolve4(host)) } });
    return overUndici(place, name, agent, () => agent.destroy());
  },
  'interceptors.dns': (place, name) => withInterceptor(place, name, true),
  'interceptors.dns, no TTL': (place, name) => withInterceptor(place, name, false),
  'cacheable-lookup': (place, name) => {
    const resolver = resolverOf(place);
    const agent = new HttpAgent({ keepAlive: !place.isAlwaysNew });
    // Its fallback would ask the system, which does not know these names.
    new CacheableLookup({ resolver, lookup: false }).install(agent);
    return {
      get: (podName, signal) => overHttp(`http://${podName}.${place.service}:${place.port}/`, name, agent, signal),
      close: () => {
        agent.destroy();
      },
    };
  },
  /** What people write: `resolveSrv` and `resolve4` every 5 s; what was known stays where that fails. */
  loop: async (place, name) => {
    const resolver = resolverOf(place);
    let known = new Map<string, string>();
    const turn = async (): Promise<void> => {
      try {
        const records = await resolver.resolveSrv(`_peer._tcp.${place.service}`);
        const found = await Promise.all(
          records.map(async (record) => [record.name, (await resolver.resolve4(record.name))[0] ?? ''] as const),
        );
        known = new Map(found);
      } catch {
        // It keeps what it has.
      }
    };
    await turn();
    const timer = setInterval(() => void turn(), 5_000);
    const lookup = lookupOf((host) => {
      const address = known.get(host);
      return address === undefined ? Promise.reject(new Error(`unknown: ${host}`)) : Promise.resolve([address]);
    });
    const agent = new Agent({ ...poolOf(place), connect: { lookup } });
    return overUndici(place, name, agent, async () => {
      clearInterval(timer);
      await agent.destroy();
    });
  },
};

async function library(place: Place, name: string, isRetried: boolean): Promise<Contestant> {
  const [service = '', namespace = '', ...rest] = place.service.split('.');
  const peers = observePeers({
    ...{ statefulSet: 'web', service, namespace, clusterDomain: rest.slice(1).join('.'), port: 'peer' },
    dns: { servers: [place.dns] },
  });
  await peers.ready();
  const { waitMs } = place;
  const dispatcher = new PeerDispatcher(peers, { pool: poolOf(place), ...(waitMs !== undefined && { waitMs }) });
  const used = isRetried
    ? dispatcher.compose(interceptors.retry({ errorCodes: [...retryableErrorCodes] }))
    : dispatcher;
  return {
    get: (podName, signal) => over(used, `http://${podName}/`, name, signal),
    close: async () => {
      await dispatcher.destroy();
      await peers.close();
    },
  };
}

function withInterceptor(place: Place, name: string, hasTtl: boolean): Contestant {
  const resolver = resolverOf(place);
  const agent = new Agent(poolOf(place));
  const dns = interceptors.dns({
    dualStack: false,
    affinity: 4,
    lookup: ({ hostname }, _options, callback) => {
      resolver.resolve4(hostname, { ttl: true }).then(
        (records) => {
          // Milliseconds here, seconds there. A record without `ttl` is kept for 10 s, as is one of the system's lookup.
          const found = records.map(({ address, ttl }) => ({
            ...{ address, family: 4 as const },
            ttl: hasTtl ? ttl * 1_000 : 10_000,
          }));
          callback(null, found);
        },
        (error: unknown) => {
          callback(error as NodeJS.ErrnoException, []);
        },
      );
    },
  });
  return overUndici(place, name, agent.compose(dns), () => agent.destroy());
}

function overUndici(
  { service, port }: Place,
  name: string,
  dispatcher: Dispatcher,
  close: () => Promise<void>,
): Contestant {
  return {
    get: (podName, signal) => over(dispatcher, `http://${podName}.${service}:${port}/`, name, signal),
    close,
  };
}

async function over(dispatcher: Dispatcher, url: string, name: string, signal: AbortSignal): Promise<Answer> {
  const { statusCode, body } = await request(url, { dispatcher, signal, headers: { [contestantHeader]: name } });
  return { status: statusCode, by: await body.text() };
}

function overHttp(url: string, name: string, agent: HttpAgent, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get(url, { agent, signal, headers: { [contestantHeader]: name } }, (response) => {
      let by = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (by += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, by }));
      response.on('error', reject);
    }).on('error', reject);
  });
}

function poolOf({ isAlwaysNew }: Place): { pipelining?: number } {
  // No pipelining at all is undici's way to say: close it after the response.
  return isAlwaysNew ? { pipelining: 0 } : {};
}

function resolverOf({ dns }: Place): Resolver {
  const resolver = new Resolver();
  resolver.setServers([dns]);
  return resolver;
}

function lookupOf(resolve: (hostname: string) => Promise<string[]>): LookupFunction {
  return (hostname, { all }, callback) => {
    resolve(hostname).then(
      (addresses) => {
        if (all === true)
          callback(
            null,
            addresses.map((address) => ({ address, family: 4 })),
          );
        else callback(null, addresses[0] ?? '', 4);
      },
      (error: unknown) => {
        callback(error as NodeJS.ErrnoException, []);
      },
    );
  };
}

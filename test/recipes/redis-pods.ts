import type { ChildProcess } from 'node:child_process';
import { fork, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import type { Pod, PodProcess } from '../../src/testing/pod.ts';
import type { Variables } from '../../src/testing/test-cluster.ts';
import { TestCluster } from '../../src/testing/test-cluster.ts';
import { within } from './within.ts';

/** What a program in `examples/` says. */
export interface Said {
  /** The pod it runs in; `writer` for the client outside. */
  readonly by: string;
  readonly kind: string;
  readonly what?: string;
  readonly index?: number;
  readonly podName?: string;
  readonly address?: string;
}

/** Whether the system has `redis-server`. */
export function hasRedisServer(): boolean {
  return spawnSync('redis-server', ['--version']).status === 0;
}

const password = 'not a secret';

/**
 * Three pods, each with a `redis-server` of its own and `examples/redis-replica.ts` beside it, as two containers, and
 * `examples/redis-writer.ts` outside. A pod is Ready when Redis leads or follows.
 */
export class RedisPods {
  readonly cluster: TestCluster;
  readonly said: Said[];
  readonly #volumes: string;
  readonly #writer: PodProcess;
  readonly #listeners: Set<() => void>;
  readonly #servers: Servers;

  private constructor(cluster: TestCluster, volumes: string, heard: Heard, servers: Servers) {
    this.cluster = cluster;
    this.#servers = servers;
    this.said = heard.said;
    this.#listeners = heard.listeners;
    this.#volumes = volumes;
    this.#writer = program('redis-writer', cluster.observerEnvironment(), heardBy('writer', heard));
  }

  /** Starts it and waits until all three are Ready. */
  static async start(): Promise<RedisPods> {
    const volumes = await mkdtemp(join(tmpdir(), 'redis-pods-'));
    const heard: Heard = { said: [], listeners: new Set() };
    const servers: Servers = new Map();
    const cluster = await TestCluster.start({
      service: 'redis',
      ports: [{ name: 'redis', port: 6_379 }],
      sockets: true,
      run: (pod, variables) => containers(pod, variables, join(volumes, pod.name), heard, servers),
    });
    const pods = new RedisPods(cluster, volumes, heard, servers);
    try {
      await pods.settled();
    } catch (error) {
      await pods.close();
      throw error;
    }
    return pods;
  }

  /** Waits until all pods are Ready, at their place. */
  async settled(): Promise<void> {
    await within(patienceMs, this.cluster.statefulSet.settled(), () => `all pods Ready. ${this.#trouble()}`);
  }

  /** Waits until the programs have said something, from that message on. Returns it. */
  async until(what: string, isIt: (said: Said) => boolean, from = 0): Promise<Said> {
    let look = (): void => undefined;
    const found = new Promise<Said>((resolve) => {
      look = () => {
        const said = this.said.slice(from).find(isIt);
        if (said !== undefined) resolve(said);
      };
    });
    this.#listeners.add(look);
    look();
    try {
      return await within(patienceMs, found, () => `${what}. ${this.#trouble()}`);
    } finally {
      this.#listeners.delete(look);
    }
  }

  /** Waits for so many acknowledged writes from now on. */
  async acknowledges(count: number): Promise<void> {
    const from = this.said.length;
    const first = await this.until('one more acknowledged write', isAcknowledged, from);
    const isLast = (said: Said): boolean => isAcknowledged(said) && said.index === (first.index ?? 0) + count;
    await this.until(`${count} more acknowledged writes`, isLast, from);
  }

  /** Ends the writer. Returns how many writes were acknowledged. */
  async stopWriting(): Promise<number> {
    this.#writer.stop();
    await this.#writer.stopped;
    return this.said.filter(isAcknowledged).length;
  }

  /** Asks the Redis that is now in that pod, whoever it thinks it is. */
  async ask<Answer>(podName: string, question: (redis: Redis) => Promise<Answer>): Promise<Answer> {
    const redis = new Redis({ ...placeOf(this.cluster.pod(podName)), password });
    try {
      return await question(redis);
    } finally {
      redis.disconnect();
    }
  }

  /** The next pod of that name comes with an empty volume. */
  loseVolume(podName: string): void {
    const { statefulSet } = this.cluster;
    const onGone = (pod: Pod): void => {
      if (pod.name !== podName) return;
      statefulSet.off('podDeleted', onGone);
      rmSync(join(this.#volumes, podName), { recursive: true });
    };
    statefulSet.on('podDeleted', onGone);
  }

  /** Redis ends in that pod and is started again, alone. */
  restartRedis(podName: string): void {
    this.#servers.get(this.cluster.pod(podName))?.restart();
  }

  /** Ends all processes; nothing is left. */
  async close(): Promise<void> {
    this.#writer.kill();
    await this.#writer.stopped;
    await this.cluster.close();
    await rm(this.#volumes, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #trouble(): string {
    const trouble = this.said.filter(({ kind }) => kind === 'trouble').slice(-5);
    return `Last trouble: ${trouble.map(({ by, what }) => `${by}: ${what ?? ''}`).join(' | ') || 'none'}`;
  }
}

/** How long a test waits for anything. */
const patienceMs = 8_000;

interface Heard {
  readonly said: Said[];
  readonly listeners: Set<() => void>;
}

function isAcknowledged({ kind }: Said): boolean {
  return kind === 'acknowledged';
}

function heardBy(by: string, { said, listeners }: Heard): (message: object) => void {
  return (message) => {
    said.push({ by, ...(message as Omit<Said, 'by'>) });
    for (const listener of [...listeners]) listener();
  };
}

type Servers = Map<Pod, RestartableProcess>;

function containers(pod: Pod, variables: Variables, volume: string, heard: Heard, servers: Servers): PodProcess {
  const hear = heardBy(pod.name, heard);
  mkdirSync(volume, { recursive: true });
  const { host, port } = placeOf(pod);
  const server = restartable(() => redisServer(pod.name, host, port, volume));
  servers.set(pod, server);
  const sidecar = program('redis-replica', { ...variables, REDIS_HOST: host, REDIS_PORT: String(port) }, (message) => {
    hear(message);
    if ('kind' in message && (message.kind === 'leading' || message.kind === 'following')) pod.markReady();
  });
  const both = [server, sidecar];
  return {
    stopped: Promise.all(both.map(({ stopped }) => stopped)),
    stop: () => both.forEach((container) => container.stop()),
    kill: () => both.forEach((container) => container.kill()),
  };
}

interface RestartableProcess extends PodProcess {
  restart(): void;
}

/** A container that is started again, once each time it is told to. */
function restartable(start: () => PodProcess): RestartableProcess {
  let restarts = 0;
  let running = start();
  const run = async (): Promise<void> => {
    await running.stopped;
    for (; restarts > 0; restarts -= 1) {
      running = start();
      await running.stopped;
    }
  };
  return {
    stopped: run(),
    stop: () => running.stop(),
    kill: () => running.kill(),
    restart: () => {
      restarts += 1;
      running.kill();
    },
  };
}

/** As the comment in `examples/redis-replica.ts` says. */
function redisServer(podName: string, host: string, port: number, volume: string): PodProcess {
  const settings = [
    ...['--bind', host, '--port', String(port), '--dir', volume, '--loglevel', 'warning'],
    ...['--appendonly', 'yes', '--appendfsync', 'always', '--save', '', '--min-replicas-to-write', '1000000'],
    ...['--requirepass', password, '--masterauth', password],
    ...['--user', podName, 'on', `>${password}`, '~*', '&*', '+@all'],
    // Default 5 s, for more replicas to come.
    ...['--repl-diskless-sync-delay', '0'],
  ];
  return processOf(spawn('redis-server', settings, { stdio: ['ignore', 'ignore', 'inherit'] }));
}

function program(name: string, variables: Variables, onSaid: (message: object) => void): PodProcess {
  const path = fileURLToPath(new URL(`../../examples/${name}.js`, import.meta.url));
  const child = fork(path, {
    env: { PATH: process.env['PATH'], ...variables, REDIS_PASSWORD: password },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  child.on('message', (message) => onSaid(message as object));
  return processOf(child);
}

function processOf(child: ChildProcess): PodProcess {
  const stopped = new Promise<void>((resolve, reject) => {
    child.once('exit', () => resolve());
    child.once('error', reject);
  });
  return { stopped, stop: () => void child.kill('SIGTERM'), kill: () => void child.kill('SIGKILL') };
}

function placeOf(pod: Pod): { host: string; port: number } {
  const [host = ''] = pod.addresses;
  const [{ port } = { port: 6_379 }] = pod.ports;
  return { host, port };
}

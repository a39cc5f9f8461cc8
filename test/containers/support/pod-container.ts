import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { PodFiles } from '../../../src/testing/pod-machine.ts';
import type { PodProcess } from '../../../src/testing/pod.ts';
import type { ContainerNetwork } from './pod-network.ts';
import type { Docker, Runtime } from './runtime.ts';
import { images } from './runtime.ts';
import { temporaryDirectory } from './sweep.ts';

/** A Node.js program in a container that sees what a pod sees. */
export interface PodContainerOptions {
  readonly runtime: Runtime;
  /** A compiled program of this repository: `examples/writer.js`. */
  readonly program: string;
  readonly args?: readonly string[];
  /** Default: what the runtime makes up; with `network: 'host'` the machine's. */
  readonly hostname?: string;
  /** `none`: loopback only. `host`: the machine's own, as with `hostNetwork: true`. */
  readonly network: ContainerNetwork | 'none' | 'host';
  /** Its fixed address in that network. */
  readonly address?: string;
  /** What stands at these paths, as kubelet mounts it. A path that is left out is the runtime's. */
  readonly files?: Readonly<Partial<PodFiles>>;
  /** A directory of this machine that is its `/data`, and outlives it. */
  readonly volume?: string;
  /** Environment variables beside those that the image and the runtime set. Default none. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Hears each JSON line that it prints. */
  readonly onSaid?: (said: Readonly<Record<string, unknown>>) => void;
}

/**
 * One container. It starts at once; {@link stopped} settles when it has ended and was removed, so that its address is
 * free again.
 */
export class PodContainer implements PodProcess {
  /** Rejects when it could not be made; so does `stopped`. */
  readonly started: Promise<void>;
  readonly stopped: Promise<void>;
  /** What it printed beside JSON lines: where it went wrong, this says why. */
  readonly output: string[] = [];
  readonly #options: PodContainerOptions;
  readonly #container: Promise<Container>;
  readonly #files = temporaryDirectory();

  constructor(options: PodContainerOptions) {
    this.#options = options;
    this.#container = this.#start();
    this.started = this.#container.then(() => undefined);
    this.stopped = this.#live();
    // Whoever waits is told; nobody has to.
    this.started.catch(() => undefined);
    this.stopped.catch(() => undefined);
  }

  /** SIGTERM. */
  stop(): void {
    void this.#signal('SIGTERM');
  }

  /** SIGKILL, also while it is paused. */
  kill(): void {
    void this.#signal('SIGKILL');
  }

  /** Freezes all of its processes: its kernel still answers for it. */
  async pause(): Promise<void> {
    await (await this.#container).pause();
  }

  async unpause(): Promise<void> {
    await (await this.#container).unpause();
  }

  /** Cuts it off, until {@link restoreNetwork}. */
  async cutNetwork(): Promise<void> {
    const { network } = this.#options;
    if (typeof network === 'object') await network.cut((await this.#container).id);
  }

  async restoreNetwork(): Promise<void> {
    const { network, address = '' } = this.#options;
    if (typeof network === 'object') await network.restore((await this.#container).id, address);
  }

  async #start(): Promise<Container> {
    const { client } = this.#options.runtime;
    const container = await client.container.create(this.#creation());
    try {
      await client.container.start(container);
      return container;
    } catch (error) {
      await container.remove({ force: true, v: true }).catch(() => undefined);
      throw error;
    }
  }

  async #live(): Promise<void> {
    const { client } = this.#options.runtime;
    try {
      const container = await this.#container;
      try {
        const lines = createInterface({ input: await client.container.logs(container) });
        for await (const line of lines) this.#hear(line);
        await container.wait();
      } finally {
        await container.remove({ force: true, v: true });
      }
    } finally {
      rmSync(this.#files, { recursive: true, force: true });
    }
  }

  #hear(line: string): void {
    const said = parsed(line);
    if (said === null) this.output.push(line);
    else this.#options.onSaid?.(said);
  }

  async #signal(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    // Where it was never there, `started` says why.
    const container = await this.#container.catch(() => null);
    if (container === null) return;
    try {
      const { State } = await container.inspect();
      if (State.Paused && signal === 'SIGKILL') await container.unpause();
      await container.kill({ signal });
    } catch (error) {
      // 404 and 409: it has ended already.
      const { statusCode } = error as { readonly statusCode?: number };
      if (statusCode !== 404 && statusCode !== 409) this.output.push(`${signal}: ${String(error)}`);
    }
  }

  #creation(): Parameters<Docker['createContainer']>[0] {
    const { runtime, program, args = [], hostname, network, address, volume, variables = {} } = this.#options;
    return {
      Image: images.node,
      Cmd: ['node', `/app/${compiled}/${program}`, ...args],
      WorkingDir: '/app',
      Labels: { ...runtime.labels },
      Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
      ...(hostname !== undefined && { Hostname: hostname }),
      HostConfig: {
        NetworkMode: typeof network === 'object' ? network.name : network,
        Binds: [`${root}:/app:ro`, ...(volume === undefined ? [] : [`${volume}:/data`]), ...this.#mounts()],
      },
      ...(typeof network === 'object' &&
        address !== undefined && {
          NetworkingConfig: { EndpointsConfig: { [network.name]: { IPAMConfig: { IPv4Address: address } } } },
        }),
    };
  }

  #mounts(): string[] {
    return Object.entries(this.#options.files ?? {}).map(([path, text], index) => {
      const file = join(this.#files, String(index));
      writeFileSync(file, text);
      return `${file}:${path}:ro`;
    });
  }
}

/** A report; `null` for what only looks like one, as an object that the runtime prints with an exception. */
function parsed(line: string): Readonly<Record<string, unknown>> | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}

type Container = ReturnType<Docker['getContainer']>;

const { root, compiled } = place();

/** The repository, and where in it the compiler put this file's like. */
function place(): { readonly root: string; readonly compiled: string } {
  const output = fileURLToPath(new URL('../../../', import.meta.url));
  let directory = output;
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return { root: directory, compiled: relative(directory, output) };
}

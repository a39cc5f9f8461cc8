import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ContainerNetwork } from './pod-network.ts';
import type { Docker, Runtime } from './runtime.ts';
import { images } from './runtime.ts';
import { temporaryDirectory } from './sweep.ts';

/** What a server block knows of a cluster. */
export interface CorefileCluster {
  /** Where the Kubernetes API listens on this machine. */
  readonly apiPort: number;
  /** Of the plugin `kubernetes`, a line each. */
  readonly options: readonly string[];
}

/** A server block of a Corefile: these plugins, and `kubernetes` where there is a cluster. */
export function serverBlock(
  plugins: readonly string[],
  { port = 53, cluster = null }: { readonly port?: number; readonly cluster?: CorefileCluster | null } = {},
): string {
  const lines = ['errors', ...plugins, ...(cluster === null ? [] : [kubernetes(cluster)])];
  return `.:${port} {\n  ${lines.join('\n  ')}\n}\n`;
}

/** Which DNS server to start, and where. */
export interface CoreDnsOptions {
  readonly runtime: Runtime;
  readonly network: ContainerNetwork;
  /** Its fixed address there. It listens on port 53, over UDP and TCP, if the Corefile says no other. */
  readonly address: string;
  readonly corefile: string;
}

/** The real CoreDNS in a container of its own. A stop, a start and a reload keep its address. */
export class CoreDns {
  readonly address: string;
  readonly #options: CoreDnsOptions;
  readonly #container: Container;
  readonly #directory: string;

  private constructor(options: CoreDnsOptions, container: Container, directory: string) {
    this.#options = options;
    this.#container = container;
    this.#directory = directory;
    this.address = options.address;
  }

  /** Starts it; it answers when this settles, and has seen the cluster if the Kubernetes API was there. */
  static async start(options: CoreDnsOptions): Promise<CoreDns> {
    const { runtime } = options;
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'Corefile'), options.corefile);
    try {
      const container = await runtime.client.container.create(creation(options, directory));
      const dns = new CoreDns(options, container, directory);
      try {
        await dns.start();
        return dns;
      } catch (error) {
        await container.remove({ force: true, v: true }).catch(() => undefined);
        throw error;
      }
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Starts it again after {@link stop}, with empty caches. */
  async start(): Promise<void> {
    await this.#said(/^CoreDNS-/, () => this.#container.start());
  }

  /** Nobody listens at its address any more. */
  async stop(): Promise<void> {
    await this.#container.stop({ t: 0 });
  }

  /** As a rollout of the DNS pods: gone, and back a moment later with empty caches. */
  async restart(): Promise<void> {
    await this.#said(/^CoreDNS-/, () => this.#container.restart({ t: 0 }));
  }

  /** Another Corefile from now on, without a question lost. Caches are empty then. */
  async reload(corefile: string): Promise<void> {
    // In place: the container has this very file, not its name.
    writeFileSync(join(this.#directory, 'Corefile'), corefile);
    await this.#said(/Reloading complete/, () => this.#container.kill({ signal: 'SIGUSR1' }));
  }

  /** Removes it. */
  async close(): Promise<void> {
    await this.#container.remove({ force: true, v: true });
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Waits for a line that it says after `action`. */
  async #said(line: RegExp, action: () => Promise<unknown>): Promise<void> {
    const since = Date.now() / 1_000;
    await action();
    const output = await this.#options.runtime.client.container.logs(this.#container, { since });
    const input = createInterface({ input: output });
    let why = 'ended before it said';
    const timer = setTimeout(() => {
      why = `did not within ${patienceMs} ms say`;
      input.close();
    }, patienceMs);
    const lines: string[] = [];
    try {
      for await (const one of input) {
        if (line.test(one)) return;
        lines.push(one);
      }
    } finally {
      clearTimeout(timer);
    }
    throw new Error(`CoreDNS ${why} ${String(line)}:\n${lines.join('\n')}`);
  }
}

function kubernetes({ apiPort, options }: CorefileCluster): string {
  const endpoint = `endpoint http://host.docker.internal:${apiPort}`;
  const lines = [endpoint, ...options, 'fallthrough in-addr.arpa ip6.arpa'];
  return `kubernetes cluster.local in-addr.arpa ip6.arpa {\n    ${lines.join('\n    ')}\n  }`;
}

/** It takes a second, also on a busy machine. */
const patienceMs = 20_000;

type Container = ReturnType<Docker['getContainer']>;

function creation(
  { runtime, network, address }: CoreDnsOptions,
  directory: string,
): Parameters<Docker['createContainer']>[0] {
  return {
    Image: images.coreDns,
    Cmd: ['-conf', '/etc/coredns/Corefile'],
    Labels: { ...runtime.labels },
    HostConfig: {
      NetworkMode: network.name,
      Binds: [`${directory}:/etc/coredns:ro`],
      ExtraHosts: ['host.docker.internal:host-gateway'],
    },
    NetworkingConfig: { EndpointsConfig: { [network.name]: { IPAMConfig: { IPv4Address: address } } } },
  };
}

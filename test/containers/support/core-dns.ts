import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ContainerNetwork } from './pod-network.ts';
import type { Docker, Runtime } from './runtime.ts';
import { images } from './runtime.ts';
import { temporaryDirectory } from './sweep.ts';

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
    const container = await runtime.client.container.create(creation(options, directory));
    const dns = new CoreDns(options, container, directory);
    try {
      await dns.start();
    } catch (error) {
      await dns.close();
      throw error;
    }
    return dns;
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
    const lines: string[] = [];
    for await (const one of createInterface({ input: output })) {
      if (line.test(one)) return;
      lines.push(one);
    }
    throw new Error(`CoreDNS ended before it said ${String(line)}:\n${lines.join('\n')}`);
  }
}

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

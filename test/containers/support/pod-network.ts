import { networkInterfaces } from 'node:os';
import type { Docker, Runtime } from './runtime.ts';
import { removeNetwork } from './sweep.ts';

/**
 * A network of its own for one cluster: a /24 that nobody here uses, found by chance, so that runs side by side do not
 * meet. Pods have the upper half; the lower is for servers and clients, by {@link address}.
 */
export class ContainerNetwork {
  readonly name: string;
  /** For the `network` option of a TestCluster. */
  readonly podCidr: string;
  readonly #docker: Docker;
  readonly #prefix: string;

  private constructor(docker: Docker, name: string, prefix: string) {
    this.#docker = docker;
    this.name = name;
    this.#prefix = prefix;
    this.podCidr = `${prefix}.128/25`;
  }

  /** Makes it. */
  static async create({ docker, labels }: Runtime): Promise<ContainerNetwork> {
    for (let attempt = 1; ; attempt += 1) {
      const prefix = freePrefix();
      const name = `stateful-peers-${prefix.replaceAll('.', '-')}`;
      const Config = [{ Subnet: `${prefix}.0/24`, Gateway: `${prefix}.1` }];
      try {
        await docker.createNetwork({ Name: name, Labels: { ...labels }, IPAM: { Config } });
        return new ContainerNetwork(docker, name, prefix);
      } catch (error) {
        // Another network has the addresses, or that of another run the name.
        if (attempt === 20 || !/overlap|already exists/i.test(String(error))) throw error;
      }
    }
  }

  /** One for a server or a client: 2 to 127. 1 is the host's. */
  address(host: number): string {
    return `${this.#prefix}.${host}`;
  }

  /** Cuts a container off: its interface is gone, as with a node that lost its network. */
  async cut(containerId: string): Promise<void> {
    await this.#docker.getNetwork(this.name).disconnect({ Container: containerId, Force: true });
  }

  /** Connects it again, with the same address. */
  async restore(containerId: string, address: string): Promise<void> {
    const EndpointConfig = { IPAMConfig: { IPv4Address: address } };
    await this.#docker.getNetwork(this.name).connect({ Container: containerId, EndpointConfig });
  }

  /** Removes it, when its containers have gone. */
  async close(): Promise<void> {
    await removeNetwork(this.#docker, this.name);
  }
}

/** Not one of this machine's own, and none that clusters and container runtimes usually take. */
function freePrefix(): string {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  for (;;) {
    const prefix = `10.${chance(128, 240)}.${chance(1, 255)}`;
    if (!own.some(({ address }) => address.startsWith(prefix.slice(0, prefix.lastIndexOf('.') + 1)))) return prefix;
  }
}

function chance(from: number, to: number): number {
  return from + Math.floor(Math.random() * (to - from));
}

import { globalAgent } from 'node:http';
import { hostname } from 'node:os';
import { version } from 'node:process';
import type { ContainerRuntimeClient } from 'testcontainers';
import { isInCi } from '../../support/ci.ts';
import { sweep } from './sweep.ts';

/** What all containers and networks of these tests are labelled with; the value says which run made them. */
export const label = 'stateful-peers.test';

/** Docker, or what speaks its API. */
export interface Runtime {
  readonly client: ContainerRuntimeClient;
  /** For what testcontainers has no verb: fixed addresses, a network that is cut. */
  readonly docker: Docker;
  /** To be put on everything that is made, so that the next run can sweep it if this one is killed. */
  readonly labels: Readonly<Record<string, string>>;
}

/** The API of dockerode. */
export type Docker = ContainerRuntimeClient['container']['dockerode'];

/** The images, under the names that registries know them by. */
export const images: Readonly<Record<'coreDns' | 'node', string>> = {
  coreDns: 'coredns/coredns:1.15.0',
  node: `node:${version.slice(1).split('.', 1)[0] ?? ''}-slim`,
};

let found: Promise<Runtime | null> | undefined;

/**
 * The container runtime, with the images; what an earlier run left behind has been swept. `null` where there is none, or
 * no images: one line says so, and the suite skips. A container runtime that is there and fails is a failure.
 *
 * @throws Error in CI, in place of `null`
 */
export function containerRuntime(): Promise<Runtime | null> {
  found ??= find();
  return found;
}

/** Closes the connections that are kept to the runtime. In the last `after` of each suite. */
export function leaveRuntime(): void {
  globalAgent.destroy();
}

async function find(): Promise<Runtime | null> {
  // Its reaper is one image more; here labels do its work.
  process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';
  // Loaded only here: it is large, and most test runs need none of it.
  const { getContainerRuntimeClient } = await import('testcontainers');
  const client = await getContainerRuntimeClient().catch(() => null);
  if (client === null) return none('no container runtime is reachable');
  const docker = client.container.dockerode;
  const missing = (await whyFarAway(docker)) ?? (await missingImages(client));
  if (missing !== null) return none(missing);
  await sweep(docker, label);
  return { client, docker, labels: { [label]: `${hostname()}:${process.pid}` } };
}

/** The pods are reached by their addresses, and mount files of this machine: both need a daemon on this very machine. */
async function whyFarAway(docker: Docker): Promise<string | null> {
  const { Name, SecurityOptions } = (await docker.info()) as { Name: string; SecurityOptions: string[] | null };
  const isRootless = (SecurityOptions ?? []).some((option) => option.includes('rootless'));
  if (Name === hostname() && !isRootless) return null;
  return `the container runtime is ${isRootless ? 'rootless' : `on another machine (${Name})`}: its containers have no address that could be reached`;
}

async function missingImages(client: ContainerRuntimeClient): Promise<string | null> {
  const { ImageName } = await import('testcontainers');
  for (const name of Object.values(images)) {
    const image = ImageName.fromString(name);
    if (await client.image.exists(image)) continue;
    try {
      await client.image.pull(image);
    } catch (error) {
      return `there is no image ${name}, and it cannot be pulled; \`bash .ci/images\` builds it (${String(error)})`;
    }
  }
  return null;
}

function none(why: string): null {
  if (isInCi) throw new Error(`the container tests cannot run, and in CI they must: ${why}`);
  console.log(`    skipped: the container tests, for ${why}`);
  return null;
}

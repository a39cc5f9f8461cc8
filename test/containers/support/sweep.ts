import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Docker } from './runtime.ts';

/** No run takes so long: what is older was left behind, whoever made it. */
const oldestMs = 3_600_000;

/** What directories are called: the process that made them, its machine, and six letters of chance. */
const directoryName = /^stateful-peers-containers-(\d+)@(.+)-.{6}$/;

/** An empty directory for what is mounted into containers. Whoever makes it removes it; if this run is killed, the next does. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), `stateful-peers-containers-${process.pid}@${hostname()}-`));
}

/**
 * Removes the containers and networks with this label, and the directories, whose run is over: its process is gone, or
 * they are too old. Those of a run beside this one stay.
 */
export async function sweep(docker: Docker, label: string): Promise<void> {
  const filters = { label: [label] };
  const containers = await docker.listContainers({ all: true, filters });
  await Promise.all(
    containers
      .filter(({ Labels, Created }) => isLeft(Labels[label], Created * 1_000))
      .map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true }).catch(ignoreGone)),
  );
  for (const { Id, Labels, Created } of await docker.listNetworks({ filters })) {
    if (isLeft(Labels?.[label], Date.parse(Created))) await removeNetwork(docker, Id).catch(ignoreGone);
  }
  for (const name of readdirSync(tmpdir())) {
    const [, pid, machine] = directoryName.exec(name) ?? [];
    if (pid === undefined) continue;
    const path = join(tmpdir(), name);
    const createdAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (isLeft(`${machine}:${pid}`, createdAt)) rmSync(path, { recursive: true, force: true });
  }
}

/**
 * Removes it. Of one that is empty Docker sometimes says that it "has active endpoints", which it has lost count of, and
 * keeps it until the daemon is restarted: a line tells, for no test can do anything about it.
 *
 * @throws Error that names what is in it, where it is not empty
 */
export async function removeNetwork(docker: Docker, idOrName: string): Promise<void> {
  const network = docker.getNetwork(idOrName);
  try {
    await network.remove();
  } catch (error) {
    if ((error as Refused).statusCode !== 403) throw error;
    const { Name, Containers = {} } = (await network.inspect()) as { Name: string; Containers?: object };
    const inIt = Object.keys(Containers);
    if (inIt.length > 0) throw new Error(`containers are left in ${Name}: ${inIt.join(', ')}`, { cause: error });
    console.log(`    left behind: the network ${Name}, which is empty and cannot be removed`);
  }
}

interface Refused {
  readonly statusCode?: number;
}

function isLeft(run: string | undefined, createdAt: number): boolean {
  if (Date.now() - createdAt > oldestMs) return true;
  const [machine, pid] = (run ?? '').split(':');
  return machine === hostname() && !isRunning(Number(pid));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Another run sweeps as well, and was quicker. */
function ignoreGone(error: Error & Refused): void {
  if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
}

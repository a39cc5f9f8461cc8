import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Docker } from './runtime.ts';

/** No run takes so long: what is older was left behind, whoever made it. */
const oldestMs = 3_600_000;

/** What directories are called; then comes the process that made them. */
const prefix = 'stateful-peers-containers-';

/** An empty directory for what is mounted into containers. Whoever makes it removes it; if this run is killed, the next does. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
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
    if (isLeft(Labels?.[label], Date.parse(Created))) await docker.getNetwork(Id).remove().catch(ignoreGone);
  }
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(prefix) || isRunning(Number.parseInt(name.slice(prefix.length), 10))) continue;
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
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
function ignoreGone(error: { readonly statusCode?: number }): void {
  if (error.statusCode !== 404 && error.statusCode !== 409) throw error as unknown as Error;
}

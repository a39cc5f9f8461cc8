import { spawn } from 'node:child_process';
import type { TestCluster } from '../../src/testing/test-cluster.ts';

/** How a program ended. */
export interface Ended {
  /** `null` where it had to be ended. */
  readonly code: number | null;
  readonly printed: string;
  readonly errors: string;
}

const library = import.meta.resolve('../../src/index.js');

/**
 * Runs this program, which has `discoverPeers`, as that pod of a cluster on loopback. Whether a process stays up can only
 * be seen from outside: one that stays up for longer than a few seconds is ended.
 */
export async function runAsPod(
  cluster: TestCluster,
  podName: string,
  program: string,
  longestMs = 6_000,
): Promise<Ended> {
  const source = `import { discoverPeers } from ${JSON.stringify(library)};\n${program}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    env: { ...process.env, ...cluster.environmentOf(podName) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const tooLong = setTimeout(() => child.kill('SIGKILL'), longestMs);
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (part: string) => {
      text[name] += part;
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(tooLong);
  return { code, printed: text.stdout.trim(), errors: text.stderr };
}

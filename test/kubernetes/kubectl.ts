import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

/** A long-running kubectl whose lines are heard. */
export interface Following {
  /** Settles when kubectl has ended, with its exit code: 0 where the server closed the stream. `null` after `stop`. */
  readonly ended: Promise<number | null>;
  stop(): void;
}

/** The kubectl of PATH, on the cluster that KUBECONFIG names, in one namespace. Each call is a process. */
export class Kubectl {
  readonly namespace: string;

  constructor(namespace: string) {
    this.namespace = namespace;
  }

  /**
   * What it prints. With `input` for its standard input.
   *
   * @throws Error with what kubectl said, when it fails or takes more than a minute.
   */
  async run(args: readonly string[], input = ''): Promise<string> {
    const child = spawn('kubectl', ['-n', this.namespace, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
    // Its exit says what was wrong; a pipe that it closed early says nothing more.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    try {
      const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), exitOf(child)]);
      if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${error.trim() || `exit ${code ?? 'by signal'}`}`);
      return out;
    } finally {
      clearTimeout(timer);
    }
  }

  async json<Value>(args: readonly string[]): Promise<Value> {
    return JSON.parse(await this.run([...args, '-o', 'json'])) as Value;
  }

  /** Runs a module in a pod, with the Node.js that is there, and returns the JSON that it printed. */
  async inPod<Value>(pod: string, program: string): Promise<Value> {
    const node = ['node', '--input-type=module', '-e', program];
    return JSON.parse(await this.run(['exec', pod, '-c', 'app', '--', ...node])) as Value;
  }

  follow(args: readonly string[], onLine: (line: string) => void): Following {
    const child = spawn('kubectl', ['-n', this.namespace, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
    createInterface({ input: child.stdout }).on('line', onLine);
    return { ended: exitOf(child), stop: () => void child.kill() };
  }

  /** Waits until all of the namespace is gone; blocks this process, so that it also works while that ends. */
  deleteNamespaceNow(): boolean {
    const args = ['delete', 'namespace', this.namespace, '--ignore-not-found', '--timeout=90s'];
    return spawnSync('kubectl', args, { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
  }
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error('kubectl cannot be started; is it in PATH?', { cause: error })));
    child.once('close', resolve);
  });
}

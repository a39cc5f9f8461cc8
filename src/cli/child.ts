import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { PodProcess } from '../testing/pod.ts';
import type { Said } from './report.ts';
import { isSaid } from './report.ts';

/** One of the programs in `examples/`, as a child process. */
export interface Program {
  readonly name: 'replicated-log' | 'writer' | 'observer' | 'todays-loop' | 'outsider';
  readonly args: readonly string[];
  /** Beside PATH and the like; nothing that tells a pod who it is is inherited. */
  readonly variables: Readonly<Record<string, string>>;
  readonly onSaid: (said: Said) => void;
}

/** One that was started. */
export interface Child extends PodProcess {
  /** `null` when it could not be started. */
  readonly pid: number | null;
  /** Tells it something; nothing where it has ended. */
  readonly tell: (message: string) => void;
}

/** Starts it. It ends by itself when this process does, for then its channel closes. */
export function start({ name, args, variables, onSaid }: Program): Child {
  const child = fork(pathOf(name), [...args], {
    env: { ...inherited(), ...variables },
    execArgv: [],
    // Ctrl-C is for this process, which ends its children in order.
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  child.on('message', (message) => {
    if (isSaid(message)) onSaid(message);
  });
  const stopped = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const end = (signal: NodeJS.Signals) => (): void => void child.kill(signal);
  const tell = (message: string): void => {
    if (child.connected) child.send(message);
  };
  return { pid: child.pid ?? null, tell, stopped, stop: end('SIGTERM'), kill: end('SIGKILL') };
}

/** Where the compiled program is. */
export function pathOf(name: Program['name']): string {
  return fileURLToPath(new URL(`../../examples/${name}.js`, import.meta.url));
}

/** Without what would tell a child that it is some pod: this process may run in one. */
function inherited(): NodeJS.ProcessEnv {
  const isTelling = /^(POD_|STATEFUL_PEERS_|HOSTNAME$|NODE_OPTIONS$|NODE_V8_COVERAGE$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isTelling.test(name)));
}

/** What identity reads of the machine it runs on. The real one is the only code that touches os, fs and process.env. */
export interface Environment {
  /** `os.hostname()`. */
  hostname(): string;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** A small text file, whole; `null` when it is not there or cannot be read. */
  readFile(
    path: '/etc/hosts' | '/etc/resolv.conf' | '/var/run/secrets/kubernetes.io/serviceaccount/namespace',
  ): string | null;
  /** Blocks this thread for a moment; used only to read a hosts file again that is being written. */
  pause(milliseconds: number): void;
}

/** The machine this process runs on. Modules are loaded when they are needed, for the reason in `late-modules.ts`. */
export const nodeEnvironment: Environment = {
  hostname: () => process.getBuiltinModule('node:os').hostname(),
  variables: process.env,
  readFile(path) {
    try {
      return process.getBuiltinModule('node:fs').readFileSync(path, 'utf8');
    } catch {
      // Not there (Windows, no service account) or not for us: both mean that it says nothing.
      return null;
    }
  },
  pause(milliseconds) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  },
};

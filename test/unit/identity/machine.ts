import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Environment } from '../../../src/identity/environment.ts';

/** A machine to be a pod on: each file is its text, `null` or left out where it is not there. */
export interface Machine {
  readonly hostname?: string;
  readonly variables?: Readonly<Record<string, string>>;
  /** Several texts are what successive reads see; the last one stays. */
  readonly hosts?: string | readonly string[] | null;
  readonly resolvConf?: string | null;
  readonly namespaceFile?: string | null;
}

/** The machine as the library sees it, with the pauses that were asked for. */
export function environmentOf(machine: Machine): Environment & { readonly pauses: number[] } {
  const { hostname = '', variables = {}, hosts = null, resolvConf = null, namespaceFile = null } = machine;
  const pauses: number[] = [];
  const texts = hosts === null ? [] : [hosts].flat();
  return {
    pauses,
    variables,
    hostname: () => hostname,
    readFile(path) {
      if (path === '/etc/hosts') return texts[Math.min(pauses.length, texts.length - 1)] ?? null;
      return path === '/etc/resolv.conf' ? resolvConf : namespaceFile;
    },
    pause: (milliseconds) => void pauses.push(milliseconds),
  };
}

/** web-1 of a plain cluster, as kubelet makes it, with differences. */
export function pod(differences: Machine = {}): Machine {
  return {
    hostname: 'web-1',
    hosts: fixture('hosts/managed'),
    resolvConf: fixture('resolv-conf/kubeadm'),
    namespaceFile: 'default',
    ...differences,
  };
}

/** A file of test/fixtures/identity. */
export function fixture(name: string): string {
  return readFileSync(fixturePath(name), 'utf8');
}

/** Where it stands, whether this runs as source or compiled. */
function fixturePath(name: string): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return join(directory, 'test', 'fixtures', 'identity', name);
}

import { isLabel, normalName } from './dns-name.ts';
import type { Environment } from './environment.ts';
import type { Witness, WitnessedField } from './identity-errors.ts';
import { quoted, variableError } from './identity-errors.ts';
import { canonicalAddress } from './ip-address.ts';
import type { HostsFile } from './pod-files.ts';
import { clusterFromSearch, parseHosts, parseNamespaceFile, parseResolvConf } from './pod-files.ts';
import { parseStableName } from './pod-name.ts';

/** What a hosts line or a hostname claims this pod to be: one thing, true or false as a whole. */
export interface Claim {
  readonly podName: string;
  /** `null`, as the two below, where it is a short name. */
  readonly service: string | null;
  readonly namespace: string | null;
  readonly clusterDomain: string | null;
}

/** Everything found in the machine, before anything is concluded. */
export interface PodEvidence {
  /** `null` where there is no such file. */
  readonly hosts: HostsFile | null;
  /** The own line's claims: as many as it has FQDNs, else one. */
  readonly hostsClaims: readonly Claim[];
  /** In normal form; may be empty. */
  readonly hostname: string;
  /** `null` where the hostname is the machine's. */
  readonly hostnameClaim: Claim | null;
  /** `POD_NAME` in normal form; `null` where it is not set or an option goes before it. */
  readonly podName: string | null;
  /** What says something about the namespace or the cluster domain, but not about this pod. */
  readonly resolvConf: Witnesses<'namespace' | 'clusterDomain'>;
  readonly serviceAccount: Witnesses<'namespace'>;
}

type Witnesses<Field extends WitnessedField> = Readonly<Record<Field, Witness>>;

const namespacePath = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

// kubelet writes the hosts file in well under a millisecond, before the container starts; this is for the one it
// restarts at the wrong moment, and for files that a slow mount shows late.
const hostsReads = 5;
const hostsPauseMs = 20;

/**
 * Reads what the machine says about this pod.
 *
 * @param podName - `POD_NAME` in normal form; `null` where it is not set or does not matter
 */
export function readPodEvidence(environment: Environment, podName: string | null): PodEvidence {
  const hosts = readHosts(environment);
  const hostname = normalName(environment.hostname());
  const machineName = hosts?.writtenBy === 'kubelet for a host-network pod' || hostname === '';
  return {
    hosts,
    hostsClaims: hosts === null ? [] : claimsOf(hosts.ownNames, [podName, hostname]),
    hostname,
    hostnameClaim: machineName ? null : (claimsOf([hostname], [])[0] ?? null),
    podName,
    ...readClusterFiles(environment),
  };
}

/** `POD_NAME` in normal form, `null` where it is not set. Whether a pod can have that name is left open. */
export function podNameVariable(environment: Environment): string | null {
  return podVariable(environment, 'POD_NAME', 'metadata.name', "the pod's name");
}

/** `POD_NAMESPACE`, checked. */
export function podNamespaceVariable(environment: Environment): string | null {
  const name = podVariable(environment, 'POD_NAMESPACE', 'metadata.namespace', 'a namespace');
  if (name !== null && !isLabel(name)) throw variableError('POD_NAMESPACE', name, 'metadata.namespace', 'a namespace');
  return name;
}

/** The addresses in `POD_IPS` and `POD_IP`, canonical, each once. */
export function podAddressVariables(environment: Environment): readonly string[] {
  const found = (['POD_IPS', 'POD_IP'] as const).flatMap((variable) => {
    const field = variable === 'POD_IP' ? 'status.podIP' : 'status.podIPs';
    const text = podVariable(environment, variable, field, 'IP addresses') ?? '';
    const parts = text.split(/[\s,]+/).filter((part) => part !== '');
    return parts.map((part) => {
      const address = canonicalAddress(part);
      if (address === null) throw variableError(variable, text, field, 'IP addresses');
      return address;
    });
  });
  return [...new Set(found)];
}

/** How the hosts file looks in a message. */
export function shownHosts(hosts: HostsFile | null): string {
  if (hosts === null) return 'not there';
  if (hosts.ownNames.length > 0) return quoted(hosts.ownNames.join(' '));
  if (hosts.writtenBy === 'kubelet for a host-network pod') return "the machine's (hostNetwork: true)";
  if (hosts.writtenBy === 'kubelet') return 'without a complete line for this pod';
  return hosts.unfinished ? 'empty, or its last line has no end' : 'not written by kubelet';
}

function readHosts(environment: Environment): HostsFile | null {
  for (let read = 1; ; read += 1) {
    const text = environment.readFile('/etc/hosts');
    if (text === null) return null;
    const hosts = parseHosts(text);
    if (!hosts.unfinished || read === hostsReads) return hosts;
    environment.pause(hostsPauseMs);
  }
}

function readClusterFiles(environment: Environment): Pick<PodEvidence, 'resolvConf' | 'serviceAccount'> {
  const conf = environment.readFile('/etc/resolv.conf');
  const search = conf === null ? [] : parseResolvConf(conf).search;
  const cluster = clusterFromSearch(search);
  const shown =
    conf === null ? 'not there' : search.length === 0 ? 'no search list' : `search ${quoted(search.join(' '))}`;
  const base = {
    source: 'resolv.conf',
    where: '/etc/resolv.conf',
    shown: cluster === null && search.length > 0 ? `${shown}, not in kubelet's form` : shown,
    decides: false,
  } as const;
  const account = environment.readFile(namespacePath);
  const namespace = account === null ? null : parseNamespaceFile(account);
  return {
    resolvConf: {
      namespace: { ...base, value: cluster?.namespace ?? null },
      clusterDomain: { ...base, value: cluster?.clusterDomain ?? null },
    },
    serviceAccount: {
      namespace: {
        source: 'service account',
        where: namespacePath,
        value: namespace,
        shown: account === null ? 'not there' : namespace === null ? 'not a namespace' : quoted(namespace),
        decides: false,
      },
    },
  };
}

/** The FQDNs among the names; without one the first of `preferred` that is there, else the first name. */
function claimsOf(names: readonly string[], preferred: readonly (string | null)[]): readonly Claim[] {
  const full = names.map(parseStableName).filter((name) => name !== null);
  if (full.length > 0) return full;
  const podName = preferred.find((name) => name !== null && names.includes(name)) ?? names[0];
  return podName === undefined ? [] : [{ podName, service: null, namespace: null, clusterDomain: null }];
}

/** A variable in normal form; `null` where it is not set or empty. */
function podVariable(environment: Environment, variable: string, field: string, expected: string): string | null {
  const text = environment.variables[variable] ?? '';
  if (text.trim() === '') return null;
  if (text.includes('$(')) throw variableError(variable, text, field, expected);
  return normalName(text);
}

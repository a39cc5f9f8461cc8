import { PeerDiscoveryError } from '../errors.ts';
import type { IdentitySource } from './identity.ts';

/** What one source says about one field of the identity. */
export interface Witness {
  readonly source: IdentitySource;
  /** The source as a message names it: `option service`, `POD_NAME`, `/etc/hosts`. */
  readonly where: string;
  /** `null`: it says nothing about this field. */
  readonly value: string | null;
  /** What stands there, for people. */
  readonly shown: string;
  /** A setting: it settles the field, whatever the sources behind it say. */
  readonly decides: boolean;
}

/** The fields of an identity that witnesses speak of. */
export type WitnessedField = 'podName' | 'service' | 'namespace' | 'clusterDomain';

type OtherRemedy =
  'notAPodName' | 'tooLong' | 'hostNetwork' | 'noSubdomain' | 'statefulSet' | 'ordinalStart' | 'addresses';

const observe = 'A process outside of the set uses observePeers instead of discoverPeers.';
const nameByDownwardApi = downwardApi('POD_NAME', 'metadata.name');
const namespaceByDownwardApi = downwardApi('POD_NAMESPACE', 'metadata.namespace');

/** What to set, in words to act on. */
export const remedies: Readonly<Record<WitnessedField | OtherRemedy, string>> = {
  podName: `In the pod template set ${nameByDownwardApi}, or pass option podName. ${observe}`,
  notAPodName: `Run it in a StatefulSet. Where the hostname is not the pod's name (.spec.hostnameOverride), set ${nameByDownwardApi}; outside of Kubernetes set POD_NAME or pass option podName. ${observe}`,
  hostNetwork: `With hostNetwork: true the hostname is the machine's. In the pod template set ${nameByDownwardApi}, or pass option podName.`,
  service: `Set .spec.serviceName of the StatefulSet to its headless Service: kubelet then writes it into /etc/hosts. Where that cannot be (hostNetwork, hostnameOverride, outside of Kubernetes), pass option service or set STATEFUL_PEERS_SERVICE. ${observe}`,
  noSubdomain: `In the StatefulSet set .spec.serviceName: without it a pod has no name in DNS. If this is a pod of a StatefulSet after all, pass option podName or statefulSet as well. ${observe}`,
  namespace: `In the pod template set ${namespaceByDownwardApi}, or pass option namespace.`,
  clusterDomain:
    "Pass option clusterDomain or set STATEFUL_PEERS_CLUSTER_DOMAIN, for example 'cluster.local'. In a pod with .spec.dnsPolicy ClusterFirst (under hostNetwork: ClusterFirstWithHostNet) it is in the search list of /etc/resolv.conf.",
  tooLong:
    'Shorten it: option clusterDomain or STATEFUL_PEERS_CLUSTER_DOMAIN, or else the names of the StatefulSet, its Service and its namespace.',
  statefulSet: `Correct option statefulSet, or leave it out. ${observe}`,
  ordinalStart: 'Set option ordinalStart to .spec.ordinals.start of the StatefulSet.',
  addresses: `In the pod template set ${downwardApi('POD_IP', 'status.podIP')}, or leave POD_IP and POD_IPS out where kubelet writes /etc/hosts.`,
};

/** How to decide between sources that contradict each other. */
const decisions: Readonly<Record<WitnessedField, string>> = {
  podName: 'Option podName decides.',
  service:
    'The governing Service is .spec.serviceName of the StatefulSet. Option service or STATEFUL_PEERS_SERVICE decides.',
  namespace: 'Option namespace decides.',
  clusterDomain: 'Option clusterDomain or STATEFUL_PEERS_CLUSTER_DOMAIN decides.',
};

const fieldNames: Readonly<Record<WitnessedField, string>> = {
  podName: "this pod's name",
  service: 'the governing Service',
  namespace: 'the namespace',
  clusterDomain: 'the cluster domain',
};

/** `ERR_IDENTITY`: what is wrong, what each source said, what to set. The first line stands alone in a log. */
export function identityError(
  what: string,
  witnesses: readonly Witness[],
  explanation: string,
  details: { readonly value?: unknown; readonly podName?: string } = {},
): PeerDiscoveryError {
  const width = Math.max(...witnesses.map(({ where }) => where.length));
  const tried = witnesses.map(({ where, shown }) => `  ${where.padEnd(width)}  ${shown}`);
  return new PeerDiscoveryError('ERR_IDENTITY', [what, ...tried, explanation].join('\n'), { ...details, explanation });
}

/** Two sources that cannot both be right. */
export function contradiction(
  field: WitnessedField,
  one: Witness,
  other: Witness,
  witnesses: readonly Witness[],
): PeerDiscoveryError {
  const says = ({ where, value }: Witness): string => `${where} says ${quoted(value ?? '')}`;
  const what = `sources contradict each other about ${fieldNames[field]}: ${says(one)}, ${says(other)}`;
  const byDownwardApi = field === 'podName' ? nameByDownwardApi : namespaceByDownwardApi;
  const variable = [one, other].find(({ source }) => source === 'environment');
  const fixed =
    variable === undefined
      ? ''
      : `A fixed ${variable.where} is the same wherever the template is used: set ${byDownwardApi} in it. `;
  return identityError(what, witnesses, `${fixed}${decisions[field]}`, { value: [one.value, other.value] });
}

/** `ERR_OPTION` for a `STATEFUL_PEERS_…` variable: an option that is set from outside. */
export function settingError(variable: string, value: unknown, expected: string): PeerDiscoveryError {
  const shown = typeof value === 'string' ? quoted(value) : 'empty';
  return new PeerDiscoveryError('ERR_OPTION', `environment variable ${variable} is ${shown}; expected ${expected}`, {
    option: variable,
    value,
    expected,
  });
}

/** `ERR_IDENTITY` for a `POD_…` variable that cannot be what it should be. */
export function variableError(variable: string, value: string, field: string, expected: string): PeerDiscoveryError {
  const unexpanded = value.includes('$(') ? ', a reference that Kubernetes did not expand' : '';
  const explanation = `In the pod template set ${downwardApi(variable, field)}.`;
  return new PeerDiscoveryError(
    'ERR_IDENTITY',
    `environment variable ${variable} is ${quoted(value)}${unexpanded}; expected ${expected}\n${explanation}`,
    { value, expected, explanation },
  );
}

/** Text as it stands in a message: in quotes, on one line, not long. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 253 ? `${text.slice(0, 253)}…` : text);
}

function downwardApi(variable: string, field: string): string {
  return `env: [{ name: ${variable}, valueFrom: { fieldRef: { fieldPath: ${field} } } }]`;
}

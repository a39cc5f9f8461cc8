import type { Environment } from './environment.ts';
import type { Witness, WitnessedField } from './identity-errors.ts';
import { quoted } from './identity-errors.ts';
import type { Claim, PodEvidence } from './pod-evidence.ts';
import { podNamespaceVariable, shownHosts } from './pod-evidence.ts';
import type { Settings } from './settings.ts';

/** A witness that says something. */
export type Decided = Witness & { readonly value: string };

/** Evidence without what speaks of other pods. */
export interface Sifted extends PodEvidence {
  /** Some witness describes this very pod, so that all of them must agree. */
  readonly describesThisPod: boolean;
}

/**
 * Takes out what the hosts file or the hostname says of another pod, so that it neither counts nor contradicts: where
 * `POD_NAME` is another name and either theirs has no subdomain (`.spec.hostnameOverride` replaces the name in both), or
 * the Service that was set is another one as well (a cluster embedded in some pod); and where option `podName` is a pod
 * of another set.
 */
export function withoutOtherPods(settings: Settings, evidence: PodEvidence): Sifted {
  const option = settings.podName.find(hasValue)?.value ?? null;
  const service = settings.service.find(hasValue)?.value ?? null;
  const isOtherPod = (claim: Claim): boolean => {
    if (option !== null) return setOf(option) !== setOf(claim.podName);
    if (evidence.podName === null || evidence.podName === claim.podName) return false;
    return claim.service === null || (service !== null && service !== claim.service);
  };
  const hostsClaims = evidence.hostsClaims.filter((claim) => !isOtherPod(claim));
  const { hostnameClaim } = evidence;
  // A short hostname outside of kubelet's reach is a fallback: any machine has one, and POD_NAME goes before it.
  const keepsHostname = hostnameClaim !== null && (hostnameClaim.service === null || !isOtherPod(hostnameClaim));
  return {
    ...evidence,
    hostsClaims,
    hostnameClaim: keepsHostname ? hostnameClaim : null,
    describesThisPod:
      hostsClaims.length > 0 ||
      (keepsHostname && hostnameClaim.service !== null) ||
      evidence.hosts?.writtenBy === 'kubelet for a host-network pod',
  };
}

/** What speaks for each field of a member, in order of precedence. */
export function memberWitnesses(
  settings: Settings,
  evidence: Sifted,
  environment: Environment,
): Readonly<Record<WitnessedField, readonly Witness[]>> {
  const decides = !evidence.describesThisPod;
  const podName = variableWitness('POD_NAME', evidence.podName, decides);
  return {
    podName: [...settings.podName, podName, ...claimWitnesses('podName', evidence)],
    service: [...settings.service, ...claimWitnesses('service', evidence)],
    namespace: namespaceWitnesses(settings, evidence, environment, decides),
    clusterDomain: clusterDomainWitnesses(settings, evidence),
  };
}

/** What speaks for the fields of an observer that need not be set. */
export function observerWitnesses(
  settings: Settings,
  evidence: PodEvidence,
  environment: Environment,
): Readonly<Record<'namespace' | 'clusterDomain', readonly Witness[]>> {
  return {
    namespace: namespaceWitnesses(settings, evidence, environment, true),
    clusterDomain: clusterDomainWitnesses(settings, evidence),
  };
}

/** Does it say anything? */
export function hasValue(witness: Witness): witness is Decided {
  return witness.value !== null;
}

function namespaceWitnesses(
  settings: Settings,
  evidence: PodEvidence,
  environment: Environment,
  variableDecides: boolean,
): readonly Witness[] {
  if (settings.namespace.some(hasValue)) return settings.namespace;
  return [
    ...settings.namespace,
    variableWitness('POD_NAMESPACE', podNamespaceVariable(environment), variableDecides),
    ...claimWitnesses('namespace', evidence),
    evidence.resolvConf.namespace,
    evidence.serviceAccount.namespace,
  ];
}

function clusterDomainWitnesses(settings: Settings, evidence: PodEvidence): readonly Witness[] {
  return [...settings.clusterDomain, ...claimWitnesses('clusterDomain', evidence), evidence.resolvConf.clusterDomain];
}

function variableWitness(where: string, value: string | null, decides: boolean): Witness {
  return { source: 'environment', where, value, shown: value === null ? 'not set' : quoted(value), decides };
}

/** What the hosts file and the hostname say about one field. */
function claimWitnesses(field: WitnessedField, evidence: PodEvidence): readonly Witness[] {
  const { hosts, hostsClaims, hostname, hostnameClaim } = evidence;
  const ofHosts = { source: 'hosts file', where: '/etc/hosts', decides: false } as const;
  const ofHostname = { source: 'hostname', where: 'hostname', decides: false } as const;
  const otherPod = ', not the name of this pod';
  const isMachine = hosts?.writtenBy === 'kubelet for a host-network pod';
  const hostsNote = hosts !== null && hosts.ownNames.length > 0 ? otherPod : '';
  const hostnameNote = hostname === '' ? '' : isMachine ? ", the machine's" : otherPod;
  const fromHosts = hostsClaims.map((claim): Witness => {
    const note = claim.service === null && field !== 'podName' ? ', no subdomain' : '';
    return { ...ofHosts, value: claim[field], shown: `${shownHosts(hosts)}${note}` };
  });
  if (fromHosts.length === 0) fromHosts.push({ ...ofHosts, value: null, shown: `${shownHosts(hosts)}${hostsNote}` });
  if (hostnameClaim === null)
    return [...fromHosts, { ...ofHostname, value: null, shown: `${quoted(hostname)}${hostnameNote}` }];
  // Any name on the own line is this pod's: a hostname that stands there too agrees with it.
  const line = hosts?.ownNames.includes(hostname) === true ? hostsClaims[0] : undefined;
  const value = field === 'podName' && line !== undefined ? line.podName : hostnameClaim[field];
  const note = hostnameClaim.service === null && field !== 'podName' ? ', no FQDN' : '';
  return [...fromHosts, { ...ofHostname, value, shown: `${quoted(hostname)}${note}` }];
}

function setOf(podName: string): string {
  return podName.slice(0, Math.max(0, podName.lastIndexOf('-')));
}

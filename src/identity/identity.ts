import { optionError } from '../errors.ts';
import type { Environment } from './environment.ts';
import type { Witness, WitnessedField } from './identity-errors.ts';
import { contradiction, identityError, quoted, remedies } from './identity-errors.ts';
import type { PodEvidence } from './pod-evidence.ts';
import { podAddressVariables, podNameVariable, readPodEvidence } from './pod-evidence.ts';
import { parsePodName, podNameFault } from './pod-name.ts';
import type { IdentityOptions, Settings } from './settings.ts';
import { checkSettings } from './settings.ts';
import type { Decided, Sifted } from './witnesses.ts';
import { hasValue, memberWitnesses, observerWitnesses, withoutOtherPods } from './witnesses.ts';

/** Where a field of the identity came from. */
export type IdentitySource =
  'option' | 'environment' | 'hosts file' | 'hostname' | 'resolv.conf' | 'service account' | 'default';

/** Which set this process looks at, and which pod of it this process is. Constant for the life of the process. */
export interface Identity {
  /** `web-1`; `null` for an observer. */
  readonly podName: string | null;
  /** `1`; `null` for an observer. */
  readonly ordinal: number | null;
  /** `web`. */
  readonly statefulSet: string;
  /** The governing Service, `nginx`. */
  readonly service: string;
  /** The namespace of the set. */
  readonly namespace: string;
  /** `cluster.local`, lower-case, no final dot. */
  readonly clusterDomain: string;
  /** `nginx.default.svc.cluster.local`. */
  readonly serviceName: string;
  /** `web-1.nginx.default.svc.cluster.local`; `null` for an observer. */
  readonly stableName: string | null;
  /** This pod's own IPs that are known for certain (hosts file, `POD_IP`, `POD_IPS`), canonical. Empty for an observer. */
  readonly addresses: readonly string[];
  /** Each field's source. */
  readonly sources: Readonly<
    Record<'podName' | 'statefulSet' | 'service' | 'namespace' | 'clusterDomain' | 'addresses', IdentitySource | null>
  >;
}

/**
 * Who this process is, as a pod of a StatefulSet. Asks no DNS; reads the environment, `/etc/hosts`, the hostname,
 * `/etc/resolv.conf` and the service account, once (a hosts file that is being written up to five times, 80 ms).
 *
 * For each field the first source in that order counts. Options and `STATEFUL_PEERS_…` decide; all others are witnesses
 * that must agree. Two limits to that:
 * - Where no witness describes this very pod (a laptop, Docker, Windows), `POD_NAME` and `POD_NAMESPACE` describe it, and
 *   the files only fill gaps: they are the machine's.
 * - A hosts line or hostname of another pod is no witness. That is what it is where `POD_NAME` is another name and either
 *   it has no subdomain (`.spec.hostnameOverride`), or the Service that was set is another one too (a cluster embedded in a pod).
 *
 * @throws {@link PeerDiscoveryError} `ERR_OPTION` for a name that cannot be one; `ERR_IDENTITY` where a field has no
 * witness, witnesses contradict each other, or this is no StatefulSet's pod, with all that was tried and what to set
 * @see promises 1 to 3 in docs/promises.md
 */
export function memberIdentity(options: IdentityOptions, environment: Environment): Identity {
  const settings = checkSettings(options, environment);
  const podNameSet = settings.podName.some(hasValue) ? null : podNameVariable(environment);
  const evidence = withoutOtherPods(settings, readPodEvidence(environment, podNameSet));
  const witnesses = memberWitnesses(settings, evidence, environment);

  const named = decide('podName', witnesses.podName, evidence);
  const fault = podNameFault(named.value);
  if (fault !== null) {
    const what = `${quoted(named.value)} (${named.where}) is not the name of a StatefulSet pod: ${fault}`;
    throw identityError(what, witnesses.podName, remedies.notAPodName, { value: named.value });
  }
  const { statefulSetName: statefulSet, ordinal } = parsePodName(named.value);
  const podName = named.value;
  checkAssertions(options, settings, { podName, statefulSet, ordinal, named });
  const service = decide('service', witnesses.service, evidence);
  if (!isShownToBeMember(settings, evidence)) {
    const what = `${podName} has no subdomain in /etc/hosts, so no StatefulSet with a governing Service made it; ${service.where} alone does not make it a member`;
    throw identityError(what, witnesses.service, remedies.noSubdomain, { podName });
  }
  const namespace = decide('namespace', witnesses.namespace, evidence);
  const clusterDomain = decide('clusterDomain', witnesses.clusterDomain, evidence);
  const { addresses, source } = ownAddresses(podName, evidence, environment);
  return complete({
    podName,
    ordinal,
    statefulSet,
    service: service.value,
    namespace: namespace.value,
    clusterDomain: clusterDomain.value,
    addresses,
    sources: {
      podName: named.source,
      statefulSet: settings.statefulSet === null ? named.source : 'option',
      service: service.source,
      namespace: namespace.source,
      clusterDomain: clusterDomain.source,
      addresses: source,
    },
  });
}

/**
 * Which set this process looks at from outside. `statefulSet` and `service` must be given (the latter in
 * `STATEFUL_PEERS_SERVICE` too); namespace and cluster domain are this process's own where nothing else is said, with the
 * sources and costs of {@link memberIdentity}.
 *
 * `POD_NAMESPACE` decides here: a wrong one makes no process take itself for another. Where options or `STATEFUL_PEERS_…` say
 * both, no file is read.
 *
 * @throws {@link PeerDiscoveryError} `ERR_OPTION`, also for the two that are missing; `ERR_IDENTITY` where namespace or
 * cluster domain has no witness or two that differ
 */
export function observerIdentity(options: IdentityOptions, environment: Environment): Identity {
  const settings = checkSettings(options, environment);
  const { statefulSet } = settings;
  const service = settings.service.find(hasValue);
  if (statefulSet === null) throw optionError('statefulSet', undefined, "the StatefulSet's name, like 'web'");
  if (service === undefined) throw optionError('service', undefined, "the governing Service's name, like 'nginx'");
  // What is set decides, whatever the machine says: it is read for what is not.
  const isSet = settings.namespace.some(hasValue) && settings.clusterDomain.some(hasValue);
  const evidence = isSet ? null : readPodEvidence(environment, null);
  const witnesses = evidence === null ? settings : observerWitnesses(settings, evidence, environment);
  const namespace = decide('namespace', witnesses.namespace, evidence);
  const clusterDomain = decide('clusterDomain', witnesses.clusterDomain, evidence);
  return complete({
    podName: null,
    ordinal: null,
    statefulSet,
    service: service.value,
    namespace: namespace.value,
    clusterDomain: clusterDomain.value,
    addresses: [],
    sources: {
      podName: null,
      statefulSet: 'option',
      service: service.source,
      namespace: namespace.source,
      clusterDomain: clusterDomain.source,
      addresses: null,
    },
  });
}

/** The first that says something, if none behind it says something else. */
function decide(field: WitnessedField, witnesses: readonly Witness[], evidence: PodEvidence | null): Decided {
  const [first, ...others] = witnesses.filter(hasValue);
  if (first === undefined) throw unknownField(field, witnesses, evidence);
  const other = first.decides ? undefined : others.find(({ value }) => value !== first.value);
  if (other !== undefined) throw contradiction(field, first, other, witnesses);
  return first;
}

function unknownField(field: WitnessedField, witnesses: readonly Witness[], evidence: PodEvidence | null): Error {
  const isHostNetwork = evidence?.hosts?.writtenBy === 'kubelet for a host-network pod';
  switch (field) {
    case 'podName':
      return identityError(
        "nothing says this pod's name",
        witnesses,
        isHostNetwork ? remedies.hostNetwork : remedies.podName,
      );
    case 'service':
      return identityError('nothing names the governing Service of this pod', witnesses, remedies.service);
    case 'namespace':
      return identityError('nothing says the namespace', witnesses, remedies.namespace);
    case 'clusterDomain':
      return identityError('nothing says the cluster domain', witnesses, remedies.clusterDomain);
  }
}

/**
 * A managed hosts line without a subdomain is that of a Deployment's pod, all-digit suffix or not, or of a StatefulSet
 * without `serviceName`. That somebody set a Service (one program for both workloads) does not outweigh it; that
 * somebody set this pod or its set does.
 */
function isShownToBeMember(settings: Settings, { hostsClaims, hostnameClaim }: Sifted): boolean {
  const claims = hostnameClaim === null ? hostsClaims : [...hostsClaims, hostnameClaim];
  if (hostsClaims.length === 0 || claims.some(({ service }) => service !== null)) return true;
  return settings.statefulSet !== null || settings.podName.some(hasValue);
}

function checkAssertions(
  { ordinalStart = 0 }: IdentityOptions,
  settings: Settings,
  self: { readonly podName: string; readonly statefulSet: string; readonly ordinal: number; readonly named: Witness },
): void {
  const { podName, statefulSet, ordinal, named } = self;
  if (settings.statefulSet !== null && settings.statefulSet !== statefulSet) {
    const what = `option statefulSet is ${quoted(settings.statefulSet)}, but this is ${podName} (${named.where}), a pod of ${quoted(statefulSet)}`;
    throw identityError(what, [], remedies.statefulSet, { podName });
  }
  if (ordinal < ordinalStart) {
    const what = `option ordinalStart is ${ordinalStart}, but this is ${podName} (${named.where})`;
    throw identityError(what, [], remedies.ordinalStart, { podName });
  }
}

/** Own addresses that are known for certain. Those of the hosts file count where its line names this very pod. */
function ownAddresses(
  podName: string,
  { hosts, hostsClaims }: Sifted,
  environment: Environment,
): { readonly addresses: readonly string[]; readonly source: IdentitySource | null } {
  const fromVariables = podAddressVariables(environment);
  const fromHosts = hostsClaims.some((claim) => claim.podName === podName) ? (hosts?.ownAddresses ?? []) : [];
  const isVersion6 = (address: string): boolean => address.includes(':');
  for (const address of fromVariables) {
    const sameFamily = fromHosts.filter((other) => isVersion6(other) === isVersion6(address));
    if (sameFamily.length === 0 || sameFamily.includes(address)) continue;
    const what = `sources contradict each other about this pod's addresses: POD_IP or POD_IPS says ${address}, /etc/hosts says ${sameFamily.join(', ')}`;
    throw identityError(what, [], remedies.addresses, { podName, value: [address, ...sameFamily] });
  }
  return {
    addresses: [...new Set([...fromVariables, ...fromHosts])],
    source: fromVariables.length > 0 ? 'environment' : fromHosts.length > 0 ? 'hosts file' : null,
  };
}

function complete(parts: Omit<Identity, 'serviceName' | 'stableName'>): Identity {
  const { podName, service, namespace, clusterDomain } = parts;
  const serviceName = `${service}.${namespace}.svc.${clusterDomain}`;
  const stableName = podName === null ? null : `${podName}.${serviceName}`;
  const longest = stableName ?? `${parts.statefulSet}-0.${serviceName}`;
  if (longest.length > 253) {
    const what = `${quoted(longest)} is ${longest.length} characters long; a DNS name has at most 253`;
    throw identityError(what, [], remedies.tooLong);
  }
  return Object.freeze({
    ...parts,
    serviceName,
    stableName,
    addresses: Object.freeze([...parts.addresses]),
    sources: Object.freeze(parts.sources),
  });
}

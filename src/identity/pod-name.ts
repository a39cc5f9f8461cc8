import { PeerDiscoveryError } from '../errors.ts';
import { isDomainName, isLabel, normalName } from './dns-name.ts';

/** The two parts of a StatefulSet pod's name. */
export interface PodName {
  readonly statefulSetName: string;
  readonly ordinal: number;
}

/** What a pod's FQDN says. Each part is in normal form; `podName` need not be the name of a StatefulSet's pod. */
export interface StableName {
  readonly podName: string;
  readonly service: string;
  readonly namespace: string;
  /** `null` where kubelet has no cluster domain: `web-0.nginx.default.svc`. */
  readonly clusterDomain: string | null;
}

/** Ordinals are int32 (`getParentNameAndOrdinal` in the StatefulSet controller). */
const maxOrdinal = 0x7fff_ffff;

/**
 * Splits a pod's name into its StatefulSet's name and its ordinal, as the StatefulSet controller does. No I/O.
 *
 * Only the last dash splits, so `my-db-12` is ordinal 12 of `my-db`. A leading zero (`web-01`) is no StatefulSet's pod.
 * The name alone proves no membership: a Deployment's pod (`web-7d4b9c-12345`) can be of that form by chance, a
 * machine (`node-7`) by custom, and the pods of an Indexed Job always are.
 *
 * @throws {@link PeerDiscoveryError} `ERR_IDENTITY` for a name of another form, with the reason
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-network-id
 */
export function parsePodName(podName: string): PodName {
  const name = normalName(podName);
  const fault = podNameFault(name);
  if (fault !== null) {
    const shown = JSON.stringify(podName.length > 100 ? `${podName.slice(0, 100)}…` : podName);
    throw new PeerDiscoveryError('ERR_IDENTITY', `${shown} is not the name of a StatefulSet pod: ${fault}`, {
      value: podName,
      expected: "a name like 'web-0'",
    });
  }
  const dash = name.lastIndexOf('-');
  return { statefulSetName: name.slice(0, dash), ordinal: Number(name.slice(dash + 1)) };
}

/** The name of a StatefulSet's pod. The inverse of {@link parsePodName}; checks nothing. */
export function formatPodName({ statefulSetName, ordinal }: PodName): string {
  return `${statefulSetName}-${ordinal}`;
}

/** Why a name in normal form is not that of a StatefulSet's pod, in words; `null` where it is one. */
export function podNameFault(name: string): string | null {
  if (name.includes('.')) return 'it has a dot';
  if (!isLabel(name)) return 'not a DNS label (at most 63 of a-z, 0-9 and -, with no dash at either end)';
  const dash = name.lastIndexOf('-');
  const ordinal = name.slice(dash + 1);
  if (dash === -1 || !/^[0-9]+$/.test(ordinal)) return 'no ordinal after the last dash';
  if (!isLabel(name.slice(0, dash))) return 'no StatefulSet can have the name before the last dash';
  if (ordinal.length > 1 && ordinal.startsWith('0')) return 'an ordinal has no leading zero';
  if (Number(ordinal) > maxOrdinal) return `an ordinal is at most ${maxOrdinal}`;
  return null;
}

/**
 * Reads a pod's FQDN, `<pod>.<service>.<namespace>.svc.<zone>`, the zone being optional. `null` for any other name:
 * a machine may be called `web-0.example.com`.
 */
export function parseStableName(fqdn: string): StableName | null {
  const name = normalName(fqdn);
  const [podName = '', service = '', namespace = '', svc, ...zone] = name.split('.');
  if (svc !== 'svc' || !isDomainName(name)) return null;
  return { podName, service, namespace, clusterDomain: zone.length === 0 ? null : zone.join('.') };
}

// What kubelet writes into a container, read without touching the machine: text in, facts out. Nothing here throws.

import { isDomainName, isLabel, normalName } from './dns-name.ts';
import { canonicalAddress } from './ip-address.ts';

/** What a hosts file says about the pod it stands in. */
export interface HostsFile {
  /** `other` is every file that kubelet did not write: it says nothing about a pod. */
  readonly writtenBy: 'kubelet' | 'kubelet for a host-network pod' | 'other';
  /** The names on the pod's own line, in normal form, in the order of the file. */
  readonly ownNames: readonly string[];
  /** The addresses of the pod's own lines (one a family), canonical. */
  readonly ownAddresses: readonly string[];
  /** The file may be read while it is being written: it is worth reading it again. */
  readonly unfinished: boolean;
}

/** What `resolv.conf` says. */
export interface ResolvConf {
  /** Usable servers, canonical, in order: at most three, as libc takes them. */
  readonly servers: readonly string[];
  /** The search list in normal form. */
  readonly search: readonly string[];
  /** Servers that cannot be asked, each with the reason. */
  readonly skipped: readonly { readonly server: string; readonly reason: string }[];
}

// K8S:pkg/kubelet/kubelet_pods.go, managedHostsHeader and its neighbours.
const managedHeader = '# Kubernetes-managed hosts file.';
const hostNetworkHeader = '# Kubernetes-managed hosts file (host network).';
const aliasesHeader = '# Entries added by HostAliases.';
/** The names of the lines that kubelet puts above the pod's own one. */
const fixedNames = new Set([
  'localhost',
  'ip6-localhost',
  'ip6-loopback',
  'ip6-localnet',
  'ip6-mcastprefix',
  'ip6-allnodes',
  'ip6-allrouters',
]);

/**
 * Reads `/etc/hosts`. The pod's own lines are the first after the fixed ones, and those with the same names (dual
 * stack has one line a family). HostAliases and what a container appended by itself are none, and neither is any line
 * of a file that belongs to the node (`hostNetwork`) or that kubelet did not write (Docker, a mounted file).
 *
 * A line without its end does not count: the name on it may be cut short.
 */
export function parseHosts(text: string): HostsFile {
  const lines = text.split('\n');
  const rest = lines.pop() ?? '';
  const cut = text === '' || rest.trim() !== '';
  const header = lines.map((line) => line.trim()).find((line) => line === managedHeader || line === hostNetworkHeader);
  if (header !== managedHeader) {
    const writtenBy = header === undefined ? 'other' : 'kubelet for a host-network pod';
    return { writtenBy, ownNames: [], ownAddresses: [], unfinished: header === undefined && cut };
  }
  let ownNames: readonly string[] = [];
  const ownAddresses: string[] = [];
  for (const line of lines) {
    if (line.trim() === aliasesHeader) break;
    const [first = '', ...names] = words((line.split('#', 1)[0] ?? '').toLowerCase());
    const address = canonicalAddress(first);
    if (address === null || names.length === 0 || names.every((name) => fixedNames.has(name))) continue;
    const normal = names.map(normalName);
    if (ownNames.length === 0) ownNames = normal;
    if (sameNames(ownNames, normal) && !ownAddresses.includes(address)) ownAddresses.push(address);
  }
  return { writtenBy: 'kubelet', ownNames, ownAddresses, unfinished: ownNames.length === 0 };
}

/**
 * Reads `resolv.conf` as libc does: a keyword counts at the start of its line only, the last of `search` and `domain`
 * wins, unknown words and all options are passed over, and of the servers the first three count. Differences: lines may
 * end in CRLF, and servers that cannot be asked from here do not use up the three (libc takes one with a zone id).
 *
 * @see https://man7.org/linux/man-pages/man5/resolv.conf.5.html
 */
export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  const skipped: { server: string; reason: string }[] = [];
  let search: readonly string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const [keyword, ...values] = line.split(/[\t ]+/).filter((word, at) => word !== '' || at === 0);
    const [first] = values;
    if (first === undefined) continue;
    if (keyword === 'search') search = values.map(normalName).filter((name) => name !== '');
    if (keyword === 'domain') search = [normalName(first)].filter((name) => name !== '');
    if (keyword !== 'nameserver') continue;
    const fault = serverFault(first);
    const address = canonicalAddress(first);
    if (fault !== null || address === null) skipped.push({ server: first, reason: fault ?? 'not an IP address' });
    else if (servers.length === 3) skipped.push({ server: first, reason: 'libc takes the first three' });
    else servers.push(address);
  }
  return { servers, search, skipped };
}

/** Why no DNS server can be asked at what is written there, in words; `null` where one can. */
export function serverFault(text: string): string | null {
  if (text.includes('%')) return 'an address with a zone id';
  const address = canonicalAddress(text);
  if (address === null) return 'not an IP address';
  if (address === '::' || address.startsWith('0.')) return 'an address that no server has';
  if (/^fe[89ab]/.test(address)) return 'a link-local address without its zone id';
  return null;
}

/**
 * Namespace and cluster domain from a search list in kubelet's form only: `<ns>.svc.<zone>`, then `svc.<zone>` and
 * `<zone>`. `null` for every other list (`dnsPolicy: Default`, a laptop).
 */
export function clusterFromSearch(
  search: readonly string[],
): { readonly namespace: string; readonly clusterDomain: string } | null {
  for (const [at, domain] of search.entries()) {
    const namespace = domain.split('.', 1)[0] ?? '';
    const [below, clusterDomain] = [search[at + 1], search[at + 2]];
    if (below === undefined || clusterDomain === undefined) return null;
    const isKubelets = below === `svc.${clusterDomain}` && domain === `${namespace}.${below}`;
    if (isKubelets && isLabel(namespace) && isDomainName(clusterDomain)) return { namespace, clusterDomain };
  }
  return null;
}

/** The namespace file of the service account: one label, or `null`. */
export function parseNamespaceFile(text: string): string | null {
  const name = text.trim();
  return isLabel(name) ? name : null;
}

function words(line: string): string[] {
  return line.split(/\s+/).filter((word) => word !== '');
}

function sameNames(some: readonly string[], others: readonly string[]): boolean {
  return some.every((name) => others.includes(name)) && others.every((name) => some.includes(name));
}

import type { Failure } from '../errors.ts';
import type { Contest } from './belief.ts';
import type { Freshness } from './events.ts';
import type { Peer, Topology } from './topology.ts';

/** What an {@link Explanation} can find. The set is closed and covered by semver: match on the code, not the message. */
export type FindingCode =
  /** Nothing wrong was seen. Never beside another finding. */
  | 'healthy'
  /** No complete answer yet, and nothing that says why. */
  | 'unresolved'
  /** DNS does not answer, or answers with failures. */
  | 'dns-failing'
  /** The servers that are asked know nothing of the cluster's zone: `dnsPolicy`. */
  | 'not-cluster-dns'
  /** The cluster domain is probably another one. */
  | 'wrong-zone'
  /** DNS knows no such namespace. */
  | 'wrong-namespace'
  /** The Service has no name in DNS: it does not exist, selects nobody, or none of its pods is Ready. */
  | 'nothing-published'
  /** The Service has a cluster IP. */
  | 'not-headless'
  /** The Service's pods have no names of their own: `spec.serviceName` of the set is another. */
  | 'wrong-service-name'
  /** The Service names pods, but none of this set. */
  | 'other-pods'
  /** The Service has no port of that name. */
  | 'port-unknown'
  /** The Service gives no port at all. */
  | 'no-ports'
  /** The Service gives several ports, and none was chosen. */
  | 'port-ambiguous'
  /** Answers that do not fit into UDP cannot be fetched. */
  | 'tcp-blocked'
  /** A peer that DNS named before is absent from every answer. */
  | 'peer-missing'
  /** A peer that is awaited is not named, while others are. */
  | 'peer-not-published'
  /** A peer is named without an address that can be used. */
  | 'peer-without-address'
  /** This pod is not named, while others are. */
  | 'self-unpublished'
  /** Another process has this pod's name. */
  | 'self-superseded'
  /** A role is asked for, and the option `primary` is `false`. */
  | 'no-roles'
  /** Another pod is asked for, and there is none. */
  | 'alone'
  /** The policy designates nobody. */
  | 'no-primary'
  /** The first ordinal is probably not 0. */
  | 'ordinal-start'
  /** One address is given for several peers. */
  | 'address-contested'
  /** The resolver answers names that cannot exist. */
  | 'wildcard-resolver'
  /** DNS gives addresses that no pod can have. */
  | 'addresses-refused';

/** One thing that was seen, what it probably means, and what to set. */
export interface Finding {
  /** Which finding it is. */
  readonly code: FindingCode;
  /** One line, in words to act on, with the names of this set in it. */
  readonly message: string;
}

/** Why things are as they are. Frozen. */
export interface Explanation {
  /** At least one; the most probable cause first. */
  readonly findings: readonly Finding[];
  /** The messages, as one line. */
  readonly text: string;
}

/** What one question of the ladder ended with. */
export type Step = 'found' | 'nxdomain' | 'nodata' | { readonly failed: Failure };

/**
 * Questions that tell apart what looks the same from the outside: is this the cluster's DNS and zone, is the namespace
 * there, is the Service there, and what does it name?
 */
export interface Ladder {
  /** TXT of `dns-version.<zone>`, which every cluster's DNS has (Kubernetes DNS specification 2.2). */
  readonly version: Step;
  /** A of `<namespace>.svc.<zone>`: NODATA where the namespace exists. */
  readonly namespace: Step;
  /** A of the Service. */
  readonly service: Step;
  /** SRV of the Service without a port name: all endpoints and ports, unnamed ports too (a CoreDNS extension). */
  readonly bareSrv: BareSrv;
}

/** What SRV of the bare Service says; also what a truncated answer brought. */
export interface BareSrv {
  readonly step: Step;
  /** How many pods of the set are named. */
  readonly pods: number;
  /** How many endpoints have no name of their own: dashed IPs. */
  readonly dashed: number;
  /** Pods that are not of the set, by the first label of their names; a few. */
  readonly others: readonly string[];
  /** The Service itself is named: it has a cluster IP. */
  readonly namesService: boolean;
  /** Every port that is given, each once. */
  readonly ports: readonly number[];
}

/** What the newest round saw of the Service. Only what was seen is set. */
export interface Observations {
  /** SRV names the Service itself: it has a cluster IP. */
  readonly notHeadless?: boolean;
  /** Targets in dashed-IP form, with no target of the set beside them: `serviceName` names another Service. */
  readonly dashedTargets?: number;
  /** SRV knows no such port, while the Service has addresses. */
  readonly portUnknown?: boolean;
  /** Several ports for one pod, and none was chosen. */
  readonly ports?: readonly number[];
  /** Neither SRV nor the Service has a name. */
  readonly nobodyPublished?: boolean;
  /** The resolver answers names that cannot exist. */
  readonly wildcard?: boolean;
  /** Addresses that no pod can have. */
  readonly refusedAddresses?: readonly string[];
}

/** All that an explanation rests on. */
export interface Evidence {
  readonly topology: Topology;
  readonly freshness: Freshness;
  readonly observations: Observations;
  /** `null` while it was not asked. */
  readonly ladder: Ladder | null;
  readonly contested: readonly Contest[];
  readonly statefulSet: string;
  readonly service: string;
  readonly namespace: string;
  readonly clusterDomain: string;
  /** Where the cluster domain was taken from: one that kubelet wrote is seldom wrong. */
  readonly clusterDomainSource: string;
  /** FQDN of the Service. */
  readonly serviceName: string;
  readonly portName: string | null;
  readonly portNumber: number | null;
  readonly ordinalStart: number | null;
  readonly expectedPods: number | null;
  /** `false` where the option `primary` is: then nobody is wanted. */
  readonly hasRoles: boolean;
  /** The servers that are asked, each as `address:port`. */
  readonly servers: readonly string[];
}

/**
 * Says why things are as they are: the manifest line or setting that is probably wrong, and what to set. Pure; never
 * throws; never claims more than was seen.
 *
 * @param about - the peer that is awaited, where it is one: what is said of it comes before what is said of others
 * @see src/watch/diagnosis.ts for the questions that the ladder stands for
 */
export function explain(
  evidence: Evidence,
  about?: { readonly podName: string } | { readonly role: 'primary' | 'replica' | 'any' },
): Explanation {
  const peers = explainPeers(evidence, about !== undefined && 'podName' in about ? about.podName : null);
  const ports = explainPorts(evidence);
  const found = [
    ...explainSuperseded(evidence),
    ...explainReach(evidence),
    ...explainService(evidence),
    ...explainTransport(evidence),
    ...(about !== undefined && 'podName' in about ? [...peers, ...ports] : [...ports, ...peers]),
    ...explainSelf(evidence, peers),
    ...explainDesignation(evidence),
    ...explainAddresses(evidence),
    ...(about !== undefined && 'role' in about ? explainRole(evidence, about.role) : []),
  ];
  const findings = found.length > 0 ? found : [nothingWrong(evidence)];
  return Object.freeze({
    findings: Object.freeze(findings),
    text: findings.map(({ message }) => message).join(' '),
  });
}

/** At most so many names in one message. */
const namesShown = 5;

// ---- can DNS be asked, and is it the right one ---------------------------------------------------------------------

function explainReach(evidence: Evidence): Finding[] {
  const { freshness, ladder, servers, observations } = evidence;
  const isFresh = freshness.state === 'fresh';
  if (!isFresh && servers.length === 0) {
    return [
      finding(
        'dns-failing',
        'There is no DNS server to ask: /etc/resolv.conf probably has no usable nameserver line; give dns.servers or correct dnsPolicy and dnsConfig.',
      ),
    ];
  }
  // While DNS names somebody, zone and namespace are right; an older ladder proves nothing against that.
  if (namedByDns(evidence).length > 0) return isFresh ? [] : explainFailure(evidence, freshness.lastFailure);
  const nobody = isFresh ? observations.nobodyPublished === true : ladder?.service === 'nxdomain';
  if (ladder === null) return nobody ? [nothingPublished(evidence)] : explainFailure(evidence, freshness.lastFailure);

  const { version, namespace, service, bareSrv } = ladder;
  const isZone = version === 'found' || [namespace, service, bareSrv.step].some(isThere);
  if (!isZone && isAbsent(version) && namespace === 'nxdomain' && (nobody || !isFresh)) return [wrongZone(evidence)];
  if (nobody) {
    const finding = isZone && namespace === 'nxdomain' ? wrongNamespace(evidence) : nothingPublished(evidence);
    return [finding, ...explainFailure(evidence, freshness.lastFailure)];
  }
  if (isFresh) return [];
  const failed = [version, namespace, service, bareSrv.step].flatMap((step) => failureOf(step) ?? []);
  return explainFailure(evidence, (isZone ? null : failed.at(0)) ?? freshness.lastFailure ?? failed.at(0) ?? null);
}

/** Of a round that is not complete. Empty where the failure has an explanation of its own. */
function explainFailure(evidence: Evidence, failure: Failure | null): Finding[] {
  const { freshness, servers, clusterDomain, clusterDomainSource, ladder } = evidence;
  if (freshness.state === 'fresh' || failure === null) return [];
  if (isNotHeadless(evidence) || isTcpBlocked(failure)) return [];
  const asked = failure.server ?? list(servers);
  const seen = `${failure.question} failed with ${failure.reason} (${failure.detail})`;
  const kubeletSaid = clusterDomainSource === 'hosts file' || clusterDomainSource === 'resolv.conf';
  const isZone = ladder !== null && (ladder.version === 'found' || isThere(ladder.namespace));
  if (isForeign(failure) && freshness.state === 'unresolved' && !isZone) {
    return [kubeletSaid ? notClusterDns(evidence, asked, seen) : wrongZone(evidence, seen)];
  }
  const since =
    freshness.state === 'stale'
      ? `No complete answer for ${seconds(freshness.stateForMs)}, the last belief is kept`
      : `No complete answer in ${seconds(freshness.stateForMs)}`;
  return [finding('dns-failing', `${since}: ${seen}, asked ${asked}. ${adviceOn(failure, clusterDomain)}`)];
}

function adviceOn({ reason }: Failure, clusterDomain: string): string {
  switch (reason) {
    case 'timeout':
    case 'network':
      return 'Probably the DNS server is down (kubectl -n kube-system get pods -l k8s-app=kube-dns), or a NetworkPolicy does not let egress to UDP and TCP port 53 through.';
    case 'servfail':
      return `Probably the cluster's DNS is starting or has lost the API server, or this server is not the cluster's and cannot reach ${clusterDomain} (then see dnsPolicy).`;
    case 'refused':
      return `Probably this server does not serve ${clusterDomain} for this pod; see the Corefile, and dnsPolicy of the pod.`;
    case 'truncated':
      return 'Probably the answer is too large for this server, or it does not answer over TCP; the pods are asked by name.';
    case 'formerr':
    case 'malformed':
      return "Probably a proxy or a server other than the cluster's DNS answers there.";
  }
}

function notClusterDns({ clusterDomain, service }: Evidence, asked: string, seen: string): Finding {
  return finding(
    'not-cluster-dns',
    `${asked} is probably not the cluster's DNS: ${seen}. The pod may have dnsPolicy: Default, or hostNetwork: true without dnsPolicy: ClusterFirstWithHostNet; set dnsPolicy: ClusterFirst (ClusterFirstWithHostNet with hostNetwork), or give dns.servers. If it is the cluster's DNS, then ${clusterDomain} is not the zone of Service ${service}.`,
  );
}

function wrongZone({ clusterDomain, clusterDomainSource, servers }: Evidence, seen?: string): Finding {
  const what = seen ?? `DNS knows neither dns-version.${clusterDomain} nor a namespace there`;
  return finding(
    'wrong-zone',
    `${clusterDomain} is probably not the cluster domain (source: ${clusterDomainSource}): ${what}. Set the option clusterDomain or STATEFUL_PEERS_CLUSTER_DOMAIN to the zone that follows "svc." in a pod's /etc/resolv.conf; if it is right, then ${list(servers)} is not the cluster's DNS: set dnsPolicy: ClusterFirst (ClusterFirstWithHostNet with hostNetwork).`,
  );
}

function wrongNamespace({ namespace, clusterDomain, service }: Evidence): Finding {
  return finding(
    'wrong-namespace',
    `There is probably no namespace ${namespace}: the cluster's DNS has no name ${namespace}.svc.${clusterDomain}. Set the option namespace or POD_NAMESPACE to the namespace of Service ${service}.`,
  );
}

function nothingPublished(evidence: Evidence): Finding {
  const { service, namespace, serviceName, statefulSet, topology } = evidence;
  const self = topology.self === null ? '' : `, this one (${topology.self.podName}) included`;
  return finding(
    'nothing-published',
    `DNS has no name ${serviceName}: probably no pod of ${statefulSet} is Ready${self}, or Service ${service} does not exist in namespace ${namespace}, or its spec.selector matches no pod (kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${service}). ${flagAdvice(service)}`,
  );
}

// ---- what the Service names ----------------------------------------------------------------------------------------

function explainService(evidence: Evidence): Finding[] {
  const { service, statefulSet, serviceName, observations, ladder, topology, freshness } = evidence;
  const findings: Finding[] = [];
  if (isNotHeadless(evidence)) {
    findings.push(
      finding(
        'not-headless',
        `Service ${service} is not headless: SRV of ${serviceName} names the Service itself, so DNS gives its cluster IP in place of its pods. Set spec.clusterIP: None in Service ${service} (the field cannot be changed: delete the Service and create it again).`,
      ),
    );
  }
  if (namedByDns(evidence).length > 0 || findings.length > 0) return findings;
  const dashed = observations.dashedTargets ?? (ladder?.bareSrv.pods === 0 ? ladder.bareSrv.dashed : 0);
  const others = ladder?.bareSrv.pods === 0 ? ladder.bareSrv.others : [];
  const isNobody = freshness.state !== 'fresh' || observations.nobodyPublished === true;
  const isUnknown = topology.peers.every(({ isSelf }) => isSelf);
  if (dashed > 0) {
    return [
      finding(
        'wrong-service-name',
        `Service ${service} has ${count(dashed, 'pod')}, but under dashed IPs and not under names of ${statefulSet}: spec.serviceName of StatefulSet ${statefulSet} is probably not ${service}, or the option service names another Service. ${serviceNameAdvice(evidence)}`,
      ),
    ];
  }
  if (others.length > 0) {
    return [
      finding(
        'other-pods',
        `Service ${service} names other pods (${list(others)}) and none of ${statefulSet}: probably its spec.selector matches another set, the option statefulSet is wrong, or no pod of ${statefulSet} is Ready. ${flagAdvice(service)}`,
      ),
    ];
  }
  if (isNobody || !isUnknown) return [];
  return [
    finding(
      'wrong-service-name',
      `Service ${service} has addresses, but no name of ${statefulSet} was found under ${serviceName}: probably spec.serviceName of StatefulSet ${statefulSet} is not ${service}, the spec.selector of the Service matches other pods, or no pod of ${statefulSet} is Ready. ${serviceNameAdvice(evidence)}`,
    ),
  ];
}

function serviceNameAdvice({ statefulSet, service }: Evidence): string {
  return `Set spec.serviceName: ${service} in StatefulSet ${statefulSet} (the field cannot be changed: delete the set with --cascade=orphan, create it again and restart its pods).`;
}

function explainPorts(evidence: Evidence): Finding[] {
  const { service, serviceName, portName, portNumber, observations, ladder } = evidence;
  if (portNumber !== null || isNotHeadless(evidence)) return [];
  const { ports = [], portUnknown = false } = observations;
  if (ports.length > 1) {
    const advice =
      portName === null
        ? "Give the option port: the port's name in spec.ports, or a number."
        : `Probably spec.ports of Service ${service} has changed a moment ago, or has several ports of that name.`;
    const which = portName === null ? 'and none was chosen' : `for ${portName}`;
    return [finding('port-ambiguous', `Service ${service} gives several ports (${list(ports)}), ${which}. ${advice}`)];
  }
  if (!portUnknown) return [];
  if (portName === null) {
    return [
      finding(
        'no-ports',
        `Service ${service} has addresses but no SRV records, so it probably declares no ports and peers have none: add one under spec.ports (with a name), or give the option port a number.`,
      ),
    ];
  }
  const declared = ladder?.bareSrv.ports ?? [];
  const has = declared.length > 0 ? ` (it gives ${list(declared)} under other names, or unnamed)` : '';
  return [
    finding(
      'port-unknown',
      `Service ${service} has no TCP port named ${portName}${has}: there are addresses for ${serviceName} but no _${portName}._tcp. Set spec.ports[].name: ${portName} in Service ${service} (an unnamed port has no SRV record), or change the option port.`,
    ),
  ];
}

function explainTransport(evidence: Evidence): Finding[] {
  const { freshness, ladder, observations, serviceName } = evidence;
  const findings: Finding[] = [];
  const failures = [
    freshness.state === 'fresh' ? null : freshness.lastFailure,
    ladder === null ? null : failureOf(ladder.bareSrv.step),
  ];
  const blocked = failures.find((failure) => failure !== null && isTcpBlocked(failure));
  if (blocked != null) {
    findings.push(
      finding(
        'tcp-blocked',
        `TCP to the DNS server ${blocked.server ?? list(evidence.servers)} is probably blocked: ${blocked.question} does not fit into UDP (${blocked.detail}), so peers are asked one by one. Let egress to TCP port 53 through (NetworkPolicy: ports 53 with protocol: TCP beside UDP).`,
      ),
    );
  }
  if (observations.wildcard === true) {
    findings.push(
      finding(
        'wildcard-resolver',
        `The resolver also answers names under ${serviceName} that no pod can have (a wildcard), so an answer to a pod's own name proves nothing: remove the wildcard from the resolver's configuration (Corefile), or give dns.servers.`,
      ),
    );
  }
  return findings;
}

// ---- peers ---------------------------------------------------------------------------------------------------------

function explainPeers(evidence: Evidence, about: string | null): Finding[] {
  const { topology, namespace, service, observations } = evidence;
  const findings: Finding[] = [];
  const concerned = topology.peers.filter((peer) => !peer.isSelf && (about === null || peer.podName === about));
  const shown = (names: readonly string[], more = 0): string =>
    list(
      names.map((name) => named(name, topology)),
      more,
    );

  const missing = concerned.filter(({ presence }) => presence === 'missing').map(({ podName }) => podName);
  if (missing.length > 0) {
    findings.push(
      finding(
        'peer-missing',
        `DNS has stopped naming ${shown(missing)}: probably not Ready, deleted, or on a lost node (kubectl -n ${namespace} get pods ${missing.slice(0, namesShown).join(' ')}).`,
      ),
    );
  }
  const unaddressed = concerned.filter(({ presence, addresses }) => presence === 'published' && addresses.length === 0);
  if (unaddressed.length > 0) {
    const refused = observations.refusedAddresses === undefined ? '' : ', they were refused';
    findings.push(
      finding(
        'peer-without-address',
        `DNS names ${shown(unaddressed.map(({ podName }) => podName))}, but no address of it can be used: A and AAAA failed${refused}, another peer has the address, or another pod answered there a moment ago.`,
      ),
    );
  }
  const unpublished = notPublished(evidence, about);
  if (unpublished.names.length > 0) {
    const beyond = unpublished.isBeyond ? beyondAdvice(evidence) : '';
    findings.push(
      finding(
        'peer-not-published',
        `DNS does not name ${shown(unpublished.names, unpublished.more)}, while it names ${list(namedByDns(evidence).map(({ podName }) => podName))}: probably not created yet or not Ready (kubectl -n ${namespace} get pods ${unpublished.names.join(' ')}).${beyond} ${flagAdvice(service)}`,
      ),
    );
  }
  return findings;
}

/** Whom DNS should name and does not; known only while it answers and names somebody. */
function notPublished(
  evidence: Evidence,
  about: string | null,
): { readonly names: readonly string[]; readonly more: number; readonly isBeyond: boolean } {
  const { topology, freshness, statefulSet, expectedPods } = evidence;
  const first = evidence.ordinalStart ?? 0;
  const published = namedByDns(evidence);
  if (freshness.state !== 'fresh' || published.length === 0) return { names: [], more: 0, isBeyond: false };
  if (about !== null) {
    const ordinal = Number(about.slice(statefulSet.length + 1));
    const isBeyond = ordinal < first || (expectedPods !== null && ordinal >= first + expectedPods);
    return { names: topology.peer(about) === undefined ? [about] : [], more: 0, isBeyond };
  }
  // Gaps are legal; somebody is lacking only where the options, the designation or this pod's own ordinal say so.
  const end = expectedPods === null ? (topology.self?.ordinal ?? first) : first + expectedPods;
  const isWhole = expectedPods !== null && published.length >= expectedPods;
  const known = isWhole ? 0 : topology.peers.filter(({ ordinal }) => ordinal >= first && ordinal < end).length;
  const lacking = isWhole ? 0 : Math.max(0, end - first - known);
  const names: string[] = [];
  for (let ordinal = first; names.length < Math.min(lacking, namesShown) && ordinal < end; ordinal += 1) {
    if (topology.peer(ordinal) === undefined) names.push(`${statefulSet}-${ordinal}`);
  }
  const primary = topology.designation.podName;
  const isLacking = primary !== null && topology.peer(primary) === undefined && !names.includes(primary);
  return { names: isLacking ? [primary, ...names] : names, more: lacking - names.length, isBeyond: false };
}

function beyondAdvice({ ordinalStart, expectedPods }: Evidence): string {
  const start = `ordinalStart ${ordinalStart ?? 0}`;
  return ` The options leave it out (${expectedPods === null ? start : `${start}, expectedPods ${expectedPods}`}).`;
}

function explainSuperseded({ topology, statefulSet }: Evidence): Finding[] {
  const { self } = topology;
  if (self?.presence !== 'superseded') return [];
  return [
    finding(
      'self-superseded',
      `Another process has the name ${self.podName} now: DNS gives addresses for it, and none is this process's own (${list(self.addresses.map(({ address }) => address))}). This pod was probably replaced after a force deletion or a node loss: stop this process. If it is the only ${self.podName} of ${statefulSet}, then POD_IP is not its own.`,
    ),
  ];
}

/** `before`: what is said of the others. Advice that stands there is not repeated. */
function explainSelf(evidence: Evidence, before: readonly Finding[]): Finding[] {
  const { topology, freshness, namespace, service } = evidence;
  const { self } = topology;
  const others = namedByDns(evidence).filter(({ isSelf }) => !isSelf);
  if (self === null || freshness.state !== 'fresh' || others.length === 0) return [];
  if (self.presence !== 'unpublished' && self.presence !== 'missing') return [];
  const advice = before.some(({ code }) => code === 'peer-not-published') ? '' : flagAdvice(service);
  return [
    finding(
      'self-unpublished',
      `DNS does not name this pod (${self.podName}), while it names ${list(others.map(({ podName }) => podName))}: this pod is probably not Ready, and the others cannot find it until it is (kubectl -n ${namespace} get pods ${self.podName}). ${advice}`,
    ),
  ];
}

function explainDesignation({ topology, freshness, ordinalStart, statefulSet, hasRoles }: Evidence): Finding[] {
  const { designation, peers } = topology;
  if (freshness.state === 'unresolved') return [];
  if (designation.podName === null) {
    if (!hasRoles) return [];
    return [finding('no-primary', `Nobody is designated as primary: ${designation.reason}.`)];
  }
  const lowest = peers.find(({ presence }) => presence === 'published' || presence === 'missing');
  const isLeftOut = designation.podName === `${statefulSet}-0` && topology.peer(designation.podName) === undefined;
  if (!isLeftOut || lowest === undefined || ordinalStart !== null) return [];
  return [
    finding(
      'ordinal-start',
      `The lowest pod that DNS names is ${lowest.podName}: if spec.ordinals.start of StatefulSet ${statefulSet} is ${lowest.ordinal}, set the option ordinalStart: ${lowest.ordinal}, so that ${lowest.podName} is the first.`,
    ),
  ];
}

function explainAddresses({ contested, observations, statefulSet }: Evidence): Finding[] {
  const names = (ordinals: readonly number[]): string => list(ordinals.map((ordinal) => `${statefulSet}-${ordinal}`));
  const findings = contested.map(({ address, claimants, holders }) => {
    const holding =
      holders.length === 0
        ? 'nobody is believed to be there'
        : holders.length === 1
          ? `${names(holders)} is believed to be there`
          : `${names(holders)} are believed to be there until one refuses`;
    return finding(
      'address-contested',
      `DNS gives ${address} for ${names(claimants)} at once; ${holding}. Probably DNS still shows a pod that was replaced, and its address was given away; with hostNetwork, pods on one node need ports of their own.`,
    );
  });
  const { refusedAddresses = [] } = observations;
  if (refusedAddresses.length === 0) return findings;
  return [
    ...findings,
    finding(
      'addresses-refused',
      `DNS gives addresses that no pod can have (${list([...new Set(refusedAddresses)])}), and they are not used: probably a resolver that rewrites answers. Loopback is believed only where dns.servers or STATEFUL_PEERS_DNS names a server on loopback.`,
    ),
  ];
}

/** Why nobody has the role that was asked for, where DNS is right about everybody. */
function explainRole(evidence: Evidence, role: 'primary' | 'replica' | 'any'): Finding[] {
  const { freshness, hasRoles, statefulSet, namespace, topology } = evidence;
  if (freshness.state !== 'fresh') return [];
  if (role !== 'any' && !hasRoles) {
    return [
      finding(
        'no-roles',
        `Nobody is ever a ${role}: the option primary is false, so that ${statefulSet} has no roles.`,
      ),
    ];
  }
  const others = topology.peers.filter((peer) => !peer.isSelf);
  if (role === 'primary' || others.length > 0) return [];
  return [
    finding(
      'alone',
      `DNS names no other pod of ${statefulSet}: it has probably one replica (kubectl -n ${namespace} get statefulset ${statefulSet}), or the others are not Ready.`,
    ),
  ];
}

function nothingWrong(evidence: Evidence): Finding {
  const { freshness, servers, statefulSet, serviceName, topology } = evidence;
  if (freshness.state === 'unresolved') {
    const waited = `No complete answer in ${seconds(freshness.stateForMs)}`;
    return finding(
      'unresolved',
      `${waited} for ${serviceName} from ${list(servers)}, and no failure either: the first questions are probably still under way.`,
    );
  }
  if (freshness.state === 'stale') {
    return finding(
      'dns-failing',
      `No complete answer for ${seconds(freshness.stateForMs)} from ${list(servers)}; the last belief is kept.`,
    );
  }
  const published = namedByDns(evidence).map(({ podName }) => named(podName, topology));
  const whom = published.length === 0 ? `no pod of ${statefulSet}` : list(published);
  return finding('healthy', `Nothing wrong was seen: DNS names ${whom}.`);
}

// ---- small parts ---------------------------------------------------------------------------------------------------

/** On one line, whatever a policy, a server or the system put into it. */
function finding(code: FindingCode, message: string): Finding {
  return Object.freeze({ code, message: message.replace(/[\p{Cc}\s]+/gu, ' ').trim() });
}

/** When the flag helps (design: presence is not health). */
function flagAdvice(service: string): string {
  return `If pods become Ready only after they found their peers, set spec.publishNotReadyAddresses: true in Service ${service}: DNS then names them before they are Ready.`;
}

/** Whom DNS names. A peer counts as published for a while after it was last named; not where nobody is named at all. */
function namedByDns({ topology, observations }: Evidence): readonly Peer[] {
  if (observations.nobodyPublished === true) return [];
  return topology.peers.filter(({ presence }) => presence === 'published');
}

function isNotHeadless({ observations, ladder, freshness }: Evidence): boolean {
  const byLadder = freshness.state !== 'fresh' && ladder !== null && ladder.bareSrv.namesService;
  return observations.notHeadless === true || (byLadder && ladder.bareSrv.pods === 0);
}

/** The client says so in the detail where UDP answered (truncated, or cut short) and TCP gave no connection. */
function isTcpBlocked({ detail }: Failure): boolean {
  return /\bTCP\b.*\bblocked\b/.test(detail);
}

/** Refused, or answered by an upstream resolver for a zone above the cluster's. */
function isForeign({ reason, detail }: Failure): boolean {
  return reason === 'refused' || /\bupstream\b/i.test(detail);
}

function failureOf(step: Step): Failure | null {
  return typeof step === 'object' ? step.failed : null;
}

function isThere(step: Step): boolean {
  return step === 'found' || step === 'nodata';
}

function isAbsent(step: Step): boolean {
  return step === 'nxdomain' || step === 'nodata';
}

function named(podName: string, { designation }: Topology): string {
  return podName === designation.podName ? `${podName} (the designated primary)` : podName;
}

/** `more`: how many were left out already. */
function list(items: readonly (string | number)[], more = 0): string {
  if (items.length === 0) return 'nobody';
  const shown = items.slice(0, namesShown);
  const rest = more + items.length - shown.length;
  if (rest > 0) return `${shown.join(', ')} and ${rest} more`;
  const last = shown.pop() ?? '';
  return shown.length === 0 ? String(last) : `${shown.join(', ')} and ${last}`;
}

function count(many: number, what: string): string {
  return `${many} ${what}${many === 1 ? '' : 's'}`;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`;
}

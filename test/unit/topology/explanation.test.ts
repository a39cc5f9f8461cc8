import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Failure } from '../../../src/errors.ts';
import type { Sighting } from '../../../src/topology/belief.ts';
import { decide, initialBelief } from '../../../src/topology/belief.ts';
import { designate } from '../../../src/topology/designation.ts';
import type { Freshness } from '../../../src/topology/events.ts';
import type { Evidence, FindingCode, Ladder, Step } from '../../../src/topology/explanation.ts';
import { explain } from '../../../src/topology/explanation.ts';
import type { PrimaryPolicy } from '../../../src/topology/primary.ts';
import { fixedPrimary, lowestOrdinal } from '../../../src/topology/primary.ts';
import type { Presence, Topology } from '../../../src/topology/topology.ts';
import { topologyOf } from '../../../src/topology/topology.ts';

const service = 'nginx.default.svc.cluster.local';
const server = '10.96.0.10:53';
const flag =
  'If pods become Ready only after they found their peers, set spec.publishNotReadyAddresses: true in Service nginx: DNS then names them before they are Ready.';
const serviceNameAdvice =
  'Set spec.serviceName: nginx in StatefulSet web (the field cannot be changed: delete the set with --cascade=orphan, create it again and restart its pods).';

interface Case {
  readonly title: string;
  readonly evidence: Partial<Evidence>;
  /** The pod that is awaited, or the role. */
  readonly about?: string;
  readonly codes: readonly FindingCode[];
  readonly text: string;
}

const upstream: Failure = {
  reason: 'refused',
  detail: 'nxdomain with the SOA of the root: an upstream resolver is talking, not the DNS of cluster.local',
  server: '8.8.8.8:53',
  question: `SRV _peer._tcp.${service}`,
};
const tcpBlocked: Failure = {
  reason: 'truncated',
  detail: 'the UDP answer is truncated and TCP failed (no connection): TCP port 53 seems blocked',
  server,
  question: `SRV ${service}`,
};
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom<Step[]>('found', 'nxdomain', 'nodata'),
  fc.record({ failed: anyFailure() }),
);
const ordinals = fc.array(fc.nat({ max: 12 }), { maxLength: 6 });
const anyEvidence: fc.Arbitrary<Evidence> = fc.record({
  topology: fc
    .record({
      self: fc.option(fc.nat({ max: 8 }), { nil: undefined }),
      named: fc.dictionary(fc.nat({ max: 12 }).map(String), fc.option(fc.ipV4()), { maxKeys: 8 }),
      presence: fc.dictionary(
        fc.nat({ max: 12 }).map(String),
        fc.constantFrom<Presence[]>('published', 'missing', 'unpublished', 'superseded'),
      ),
      policy: fc.constantFrom<(PrimaryPolicy | false)[]>(
        fixedPrimary(),
        lowestOrdinal({ quorum: 2 }),
        false,
        () => 'db-0',
      ),
    })
    .map(({ self, ...rest }) => view(self === undefined ? rest : { self, ...rest })),
  freshness: fc.record({
    state: fc.constantFrom<Freshness['state'][]>('unresolved', 'fresh', 'stale'),
    stateForMs: fc.double(),
    sinceCompleteMs: fc.option(fc.nat()),
    lastFailure: fc.option(anyFailure()),
  }),
  observations: fc.record(
    {
      notHeadless: fc.boolean(),
      dashedTargets: fc.nat(),
      portUnknown: fc.boolean(),
      ports: fc.array(fc.nat()),
      nobodyPublished: fc.boolean(),
      wildcard: fc.boolean(),
      refusedAddresses: fc.array(fc.ipV6()),
    },
    { requiredKeys: [] },
  ),
  ladder: fc.option(
    fc.record({
      version: anyStep,
      namespace: anyStep,
      service: anyStep,
      bareSrv: fc.record({
        step: anyStep,
        pods: fc.nat(),
        dashed: fc.nat(),
        others: fc.array(fc.string()),
        namesService: fc.boolean(),
        ports: fc.array(fc.nat()),
      }),
    }),
  ),
  contested: fc.array(fc.record({ address: fc.ipV4(), claimants: ordinals, holders: ordinals })),
  statefulSet: fc.constant('web'),
  service: fc.string({ minLength: 1 }),
  namespace: fc.string({ minLength: 1 }),
  clusterDomain: fc.domain(),
  clusterDomainSource: fc.constantFrom('option', 'environment', 'hosts file', 'hostname', 'resolv.conf', 'default'),
  serviceName: fc.domain(),
  portName: fc.option(fc.string()),
  portNumber: fc.option(fc.nat()),
  ordinalStart: fc.option(fc.nat()),
  expectedPods: fc.option(fc.nat()),
  hasRoles: fc.boolean(),
  servers: fc.array(fc.string()),
});

const cases: readonly Case[] = [
  {
    title: 'nothing is wrong where DNS names everybody',
    evidence: {},
    codes: ['healthy'],
    text: 'Nothing wrong was seen: DNS names web-0 (the designated primary) and web-1.',
  },
  {
    title: 'nothing is wrong where DNS names this pod alone and no more are expected',
    evidence: { topology: view({ self: 0, named: { 0: '10.244.0.5' } }), expectedPods: 1 },
    codes: ['healthy'],
    text: 'Nothing wrong was seen: DNS names web-0 (the designated primary).',
  },
  {
    title: 'a primary is awaited in a set without roles',
    evidence: { topology: view({ named: { 0: '10.244.0.5' }, policy: false }), hasRoles: false },
    about: 'primary',
    codes: ['no-roles'],
    text: 'Nobody is ever a primary: the option primary is false, so that web has no roles.',
  },
  {
    title: 'a replica is awaited, and this pod is alone',
    evidence: { topology: view({ self: 0, named: { 0: '10.244.0.5' } }) },
    about: 'replica',
    codes: ['alone'],
    text: 'DNS names no other pod of web: it has probably one replica (kubectl -n default get statefulset web), or the others are not Ready.',
  },
  {
    title: 'nothing is wrong in a set without roles',
    evidence: { topology: view({ named: { 0: '10.244.0.5' }, policy: false }), hasRoles: false },
    codes: ['healthy'],
    text: 'Nothing wrong was seen: DNS names web-0.',
  },
  {
    title: 'a Service without ports is all right where the option port is a number',
    evidence: { portNumber: 7000, observations: { portUnknown: true } },
    codes: ['healthy'],
    text: 'Nothing wrong was seen: DNS names web-0 (the designated primary) and web-1.',
  },
  {
    title: 'a failure that was overcome is no news',
    evidence: { freshness: fresh(failure('timeout')), ladder: ladder({ version: { failed: failure('timeout') } }) },
    codes: ['healthy'],
    text: 'Nothing wrong was seen: DNS names web-0 (the designated primary) and web-1.',
  },
  {
    title: 'a ladder from before the pods were published is no news',
    evidence: { ladder: ladder({ service: 'nxdomain', namespace: 'nxdomain', version: 'nxdomain' }) },
    codes: ['healthy'],
    text: 'Nothing wrong was seen: DNS names web-0 (the designated primary) and web-1.',
  },
  {
    title: 'the first questions are under way',
    evidence: { freshness: unresolved(null), topology: view({ self: 1 }) },
    codes: ['unresolved'],
    text: 'No complete answer in 5.0 s for nginx.default.svc.cluster.local from 10.96.0.10:53, and no failure either: the first questions are probably still under way.',
  },
  {
    title: 'no answer: DNS is down or UDP is blocked',
    evidence: {
      freshness: unresolved(failure('timeout', 'no answer within 1000 ms')),
      topology: view({ self: 1 }),
      ladder: ladder('timeout'),
    },
    codes: ['dns-failing'],
    text: 'No complete answer in 5.0 s: TXT dns-version.cluster.local failed with timeout (no answer within 1000 ms), asked 10.96.0.10:53. Probably the DNS server is down (kubectl -n kube-system get pods -l k8s-app=kube-dns), or a NetworkPolicy does not let egress to UDP and TCP port 53 through.',
  },
  {
    title: 'no answer, and nothing else was asked yet',
    evidence: { freshness: unresolved(failure('network', 'connect ECONNREFUSED')), topology: view({}) },
    codes: ['dns-failing'],
    text: 'No complete answer in 5.0 s: SRV _peer._tcp.nginx.default.svc.cluster.local failed with network (connect ECONNREFUSED), asked 10.96.0.10:53. Probably the DNS server is down (kubectl -n kube-system get pods -l k8s-app=kube-dns), or a NetworkPolicy does not let egress to UDP and TCP port 53 through.',
  },
  {
    title: 'SERVFAIL after good answers',
    evidence: { freshness: stale(failure('servfail', 'SERVFAIL')), ladder: ladder({}) },
    codes: ['dns-failing'],
    text: "No complete answer for 12.3 s, the last belief is kept: SRV _peer._tcp.nginx.default.svc.cluster.local failed with servfail (SERVFAIL), asked 10.96.0.10:53. Probably the cluster's DNS is starting or has lost the API server, or this server is not the cluster's and cannot reach cluster.local (then see dnsPolicy).",
  },
  {
    title: 'REFUSED after good answers does not say that the server is a wrong one',
    evidence: { freshness: stale(failure('refused', 'REFUSED')), ladder: null },
    codes: ['dns-failing'],
    text: 'No complete answer for 12.3 s, the last belief is kept: SRV _peer._tcp.nginx.default.svc.cluster.local failed with refused (REFUSED), asked 10.96.0.10:53. Probably this server does not serve cluster.local for this pod; see the Corefile, and dnsPolicy of the pod.',
  },
  {
    title: 'something else answers in place of DNS',
    evidence: { freshness: unresolved(failure('malformed', 'a name points forward')), topology: view({}) },
    codes: ['dns-failing'],
    text: "No complete answer in 5.0 s: SRV _peer._tcp.nginx.default.svc.cluster.local failed with malformed (a name points forward), asked 10.96.0.10:53. Probably a proxy or a server other than the cluster's DNS answers there.",
  },
  {
    title: 'no server to ask',
    evidence: { freshness: unresolved(null), topology: view({}), servers: [] },
    codes: ['dns-failing'],
    text: 'There is no DNS server to ask: /etc/resolv.conf probably has no usable nameserver line; give dns.servers or correct dnsPolicy and dnsConfig.',
  },
  {
    title: 'stale without a reason',
    evidence: { freshness: stale(null) },
    codes: ['dns-failing'],
    text: 'No complete answer for 12.3 s from 10.96.0.10:53; the last belief is kept.',
  },
  {
    title: "not the cluster's DNS, where kubelet wrote the zone",
    evidence: {
      freshness: unresolved(upstream),
      topology: view({ self: 1 }),
      ladder: ladder('refused'),
      servers: ['8.8.8.8:53'],
    },
    codes: ['not-cluster-dns'],
    text: "8.8.8.8:53 is probably not the cluster's DNS: TXT dns-version.cluster.local failed with refused (nxdomain with the SOA of the root: an upstream resolver is talking, not the DNS of cluster.local). The pod may have dnsPolicy: Default, or hostNetwork: true without dnsPolicy: ClusterFirstWithHostNet; set dnsPolicy: ClusterFirst (ClusterFirstWithHostNet with hostNetwork), or give dns.servers. If it is the cluster's DNS, then cluster.local is not the zone of Service nginx.",
  },
  {
    title: 'wrong zone, where it was given as an option',
    evidence: {
      freshness: unresolved(upstream),
      topology: view({ self: 1 }),
      ladder: ladder('refused'),
      clusterDomainSource: 'option',
    },
    codes: ['wrong-zone'],
    text: 'cluster.local is probably not the cluster domain (source: option): TXT dns-version.cluster.local failed with refused (nxdomain with the SOA of the root: an upstream resolver is talking, not the DNS of cluster.local). Set the option clusterDomain or STATEFUL_PEERS_CLUSTER_DOMAIN to the zone that follows "svc." in a pod\'s /etc/resolv.conf; if it is right, then 10.96.0.10:53 is not the cluster\'s DNS: set dnsPolicy: ClusterFirst (ClusterFirstWithHostNet with hostNetwork).',
  },
  {
    title: 'wrong zone, where its DNS denies everything',
    evidence: {
      observations: { nobodyPublished: true },
      topology: view({}),
      clusterDomainSource: 'environment',
      ladder: ladder({ version: 'nxdomain', namespace: 'nxdomain', service: 'nxdomain', bareSrv: 'nxdomain' }),
    },
    codes: ['wrong-zone'],
    text: 'cluster.local is probably not the cluster domain (source: environment): DNS knows neither dns-version.cluster.local nor a namespace there. Set the option clusterDomain or STATEFUL_PEERS_CLUSTER_DOMAIN to the zone that follows "svc." in a pod\'s /etc/resolv.conf; if it is right, then 10.96.0.10:53 is not the cluster\'s DNS: set dnsPolicy: ClusterFirst (ClusterFirstWithHostNet with hostNetwork).',
  },
  {
    title: 'wrong namespace',
    evidence: {
      observations: { nobodyPublished: true },
      topology: view({}),
      ladder: ladder({ namespace: 'nxdomain', service: 'nxdomain', bareSrv: 'nxdomain' }),
    },
    codes: ['wrong-namespace'],
    text: "There is probably no namespace default: the cluster's DNS has no name default.svc.cluster.local. Set the option namespace or POD_NAMESPACE to the namespace of Service nginx.",
  },
  {
    title: 'nothing published, seen from inside',
    evidence: {
      observations: { nobodyPublished: true },
      topology: view({ self: 0 }),
      ladder: ladder({ service: 'nxdomain', bareSrv: 'nxdomain' }),
    },
    codes: ['nothing-published'],
    text: `DNS has no name nginx.default.svc.cluster.local: probably no pod of web is Ready, this one (web-0) included, or Service nginx does not exist in namespace default, or its spec.selector matches no pod (kubectl -n default get endpointslices -l kubernetes.io/service-name=nginx). ${flag}`,
  },
  {
    title: 'nothing published, seen from outside, and the ladder was not asked',
    evidence: { observations: { nobodyPublished: true }, topology: view({}), ladder: null },
    codes: ['nothing-published'],
    text: `DNS has no name nginx.default.svc.cluster.local: probably no pod of web is Ready, or Service nginx does not exist in namespace default, or its spec.selector matches no pod (kubectl -n default get endpointslices -l kubernetes.io/service-name=nginx). ${flag}`,
  },
  {
    title: 'everybody was published a moment ago and nobody is now',
    evidence: { observations: { nobodyPublished: true } },
    codes: ['nothing-published'],
    text: `DNS has no name nginx.default.svc.cluster.local: probably no pod of web is Ready, this one (web-1) included, or Service nginx does not exist in namespace default, or its spec.selector matches no pod (kubectl -n default get endpointslices -l kubernetes.io/service-name=nginx). ${flag}`,
  },
  {
    title: 'a cluster without dns-version in its DNS has a namespace',
    evidence: {
      observations: { nobodyPublished: true },
      topology: view({}),
      ladder: ladder({ version: 'nxdomain', service: 'nxdomain', bareSrv: 'nxdomain' }),
    },
    codes: ['nothing-published'],
    text: `DNS has no name nginx.default.svc.cluster.local: probably no pod of web is Ready, or Service nginx does not exist in namespace default, or its spec.selector matches no pod (kubectl -n default get endpointslices -l kubernetes.io/service-name=nginx). ${flag}`,
  },
  {
    title: 'nobody was published, and now DNS fails too',
    evidence: {
      freshness: stale(failure('timeout', 'no answer within 1000 ms')),
      topology: view({}),
      ladder: ladder({ service: 'nxdomain', bareSrv: 'nxdomain' }),
    },
    codes: ['nothing-published', 'dns-failing'],
    text: `DNS has no name nginx.default.svc.cluster.local: probably no pod of web is Ready, or Service nginx does not exist in namespace default, or its spec.selector matches no pod (kubectl -n default get endpointslices -l kubernetes.io/service-name=nginx). ${flag} No complete answer for 12.3 s, the last belief is kept: SRV _peer._tcp.nginx.default.svc.cluster.local failed with timeout (no answer within 1000 ms), asked 10.96.0.10:53. Probably the DNS server is down (kubectl -n kube-system get pods -l k8s-app=kube-dns), or a NetworkPolicy does not let egress to UDP and TCP port 53 through.`,
  },
  {
    title: 'a Service that is not headless',
    evidence: {
      freshness: unresolved(failure('malformed', `SRV names ${service} itself: the Service is not headless`)),
      topology: view({ self: 1 }),
      observations: { notHeadless: true },
      ladder: ladder({ bare: { pods: 0, namesService: true, ports: [7000] } }),
    },
    codes: ['not-headless'],
    text: 'Service nginx is not headless: SRV of nginx.default.svc.cluster.local names the Service itself, so DNS gives its cluster IP in place of its pods. Set spec.clusterIP: None in Service nginx (the field cannot be changed: delete the Service and create it again).',
  },
  {
    title: 'a wrong serviceName: dashed targets',
    evidence: {
      topology: view({ self: 1 }),
      observations: { dashedTargets: 3 },
      ladder: ladder({ bare: { pods: 0, dashed: 3 } }),
    },
    codes: ['wrong-service-name'],
    text: `Service nginx has 3 pods, but under dashed IPs and not under names of web: spec.serviceName of StatefulSet web is probably not nginx, or the option service names another Service. ${serviceNameAdvice}`,
  },
  {
    title: 'a wrong serviceName, under a port number',
    evidence: {
      topology: view({ self: 1 }),
      portName: null,
      portNumber: 7000,
      observations: { portUnknown: true },
      ladder: ladder({ bare: { pods: 0, ports: [] }, bareSrv: 'nodata' }),
    },
    codes: ['wrong-service-name'],
    text: `Service nginx has addresses, but no name of web was found under nginx.default.svc.cluster.local: probably spec.serviceName of StatefulSet web is not nginx, the spec.selector of the Service matches other pods, or no pod of web is Ready. ${serviceNameAdvice}`,
  },
  {
    title: 'a Service that selects another set',
    evidence: { topology: view({}), ladder: ladder({ bare: { pods: 0, others: ['db-0', 'db-1'] } }) },
    codes: ['other-pods'],
    text: `Service nginx names other pods (db-0 and db-1) and none of web: probably its spec.selector matches another set, the option statefulSet is wrong, or no pod of web is Ready. ${flag}`,
  },
  {
    title: 'an unknown port name, with what the Service has',
    evidence: { observations: { portUnknown: true }, ladder: ladder({ bare: { ports: [7000, 8080] } }) },
    codes: ['port-unknown'],
    text: 'Service nginx has no TCP port named peer (it gives 7000 and 8080 under other names, or unnamed): there are addresses for nginx.default.svc.cluster.local but no _peer._tcp. Set spec.ports[].name: peer in Service nginx (an unnamed port has no SRV record), or change the option port.',
  },
  {
    title: 'an unknown port name, while the ladder was not asked',
    evidence: { observations: { portUnknown: true }, ladder: null },
    codes: ['port-unknown'],
    text: 'Service nginx has no TCP port named peer: there are addresses for nginx.default.svc.cluster.local but no _peer._tcp. Set spec.ports[].name: peer in Service nginx (an unnamed port has no SRV record), or change the option port.',
  },
  {
    title: 'a Service without ports',
    evidence: {
      portName: null,
      observations: { portUnknown: true },
      ladder: ladder({ bareSrv: 'nodata', bare: { ports: [] } }),
    },
    codes: ['no-ports'],
    text: 'Service nginx has addresses but no SRV records, so it probably declares no ports and peers have none: add one under spec.ports (with a name), or give the option port a number.',
  },
  {
    title: 'several ports, and none chosen',
    evidence: { portName: null, observations: { ports: [7000, 8080] } },
    codes: ['port-ambiguous'],
    text: "Service nginx gives several ports (7000 and 8080), and none was chosen. Give the option port: the port's name in spec.ports, or a number.",
  },
  {
    title: 'several ports of the chosen name',
    evidence: { observations: { ports: [7000, 7001] } },
    codes: ['port-ambiguous'],
    text: 'Service nginx gives several ports (7000 and 7001), for peer. Probably spec.ports of Service nginx has changed a moment ago, or has several ports of that name.',
  },
  {
    title: 'TCP is blocked, so that no round is complete',
    evidence: {
      freshness: unresolved(tcpBlocked),
      topology: view({ self: 1 }),
      ladder: ladder({ bareSrv: { failed: tcpBlocked } }),
    },
    codes: ['tcp-blocked'],
    text: 'TCP to the DNS server 10.96.0.10:53 is probably blocked: SRV nginx.default.svc.cluster.local does not fit into UDP (the UDP answer is truncated and TCP failed (no connection): TCP port 53 seems blocked), so peers are asked one by one. Let egress to TCP port 53 through (NetworkPolicy: ports 53 with protocol: TCP beside UDP).',
  },
  {
    title: 'TCP is blocked, and names do the work',
    evidence: { ladder: ladder({ bareSrv: { failed: tcpBlocked } }) },
    codes: ['tcp-blocked'],
    text: 'TCP to the DNS server 10.96.0.10:53 is probably blocked: SRV nginx.default.svc.cluster.local does not fit into UDP (the UDP answer is truncated and TCP failed (no connection): TCP port 53 seems blocked), so peers are asked one by one. Let egress to TCP port 53 through (NetworkPolicy: ports 53 with protocol: TCP beside UDP).',
  },
  {
    title: 'truncated over TCP is not blocked',
    evidence: { ladder: ladder({ bareSrv: { failed: failure('truncated', 'truncated over TCP') } }) },
    codes: ['healthy'],
    text: 'Nothing wrong was seen: DNS names web-0 (the designated primary) and web-1.',
  },
  {
    title: 'TCP is blocked, and UDP answers are cut short',
    evidence: {
      freshness: unresolved({
        ...tcpBlocked,
        reason: 'timeout',
        detail: 'the UDP answer ended early and TCP failed (no connection): TCP port 53 seems blocked',
      }),
      topology: view({}),
      ladder: null,
    },
    codes: ['tcp-blocked'],
    text: 'TCP to the DNS server 10.96.0.10:53 is probably blocked: SRV nginx.default.svc.cluster.local does not fit into UDP (the UDP answer ended early and TCP failed (no connection): TCP port 53 seems blocked), so peers are asked one by one. Let egress to TCP port 53 through (NetworkPolicy: ports 53 with protocol: TCP beside UDP).',
  },
  {
    title: 'truncated, and TCP fails in another way',
    evidence: {
      freshness: stale(failure('truncated', 'the UDP answer is truncated and TCP failed (SERVFAIL)')),
      ladder: null,
    },
    codes: ['dns-failing'],
    text: 'No complete answer for 12.3 s, the last belief is kept: SRV _peer._tcp.nginx.default.svc.cluster.local failed with truncated (the UDP answer is truncated and TCP failed (SERVFAIL)), asked 10.96.0.10:53. Probably the answer is too large for this server, or it does not answer over TCP; the pods are asked by name.',
  },
  {
    title: 'a wildcard',
    evidence: { observations: { wildcard: true } },
    codes: ['wildcard-resolver'],
    text: "The resolver also answers names under nginx.default.svc.cluster.local that no pod can have (a wildcard), so an answer to a pod's own name proves nothing: remove the wildcard from the resolver's configuration (Corefile), or give dns.servers.",
  },
  {
    title: 'a peer is missing',
    evidence: {
      topology: view({
        self: 0,
        named: { 0: '10.244.0.5', 1: '10.244.0.6', 2: '10.244.0.7' },
        presence: { 1: 'missing' },
      }),
    },
    codes: ['peer-missing'],
    text: 'DNS has stopped naming web-1: probably not Ready, deleted, or on a lost node (kubectl -n default get pods web-1).',
  },
  {
    title: 'another peer is missing than the one awaited',
    evidence: { topology: view({ named: { 0: '10.244.0.5', 1: '10.244.0.6' }, presence: { 1: 'missing' } }) },
    about: 'web-0',
    codes: ['healthy'],
    text: 'Nothing wrong was seen: DNS names web-0 (the designated primary).',
  },
  {
    title: 'the awaited peer is not published',
    evidence: {
      topology: view({ self: 0, named: { 0: '10.244.0.5' } }),
      observations: { portUnknown: true },
      ladder: null,
    },
    about: 'web-2',
    codes: ['peer-not-published', 'port-unknown'],
    text: `DNS does not name web-2, while it names web-0: probably not created yet or not Ready (kubectl -n default get pods web-2). ${flag} Service nginx has no TCP port named peer: there are addresses for nginx.default.svc.cluster.local but no _peer._tcp. Set spec.ports[].name: peer in Service nginx (an unnamed port has no SRV record), or change the option port.`,
  },
  {
    title: 'the awaited peer cannot be: the options leave it out',
    evidence: { expectedPods: 2, topology: view({ named: { 0: '10.244.0.5', 1: '10.244.0.6' } }) },
    about: 'web-7',
    codes: ['peer-not-published'],
    text: `DNS does not name web-7, while it names web-0 and web-1: probably not created yet or not Ready (kubectl -n default get pods web-7). The options leave it out (ordinalStart 0, expectedPods 2). ${flag}`,
  },
  {
    title: 'the awaited peer is not spoken of while nobody answers',
    evidence: { freshness: unresolved(null), topology: view({}) },
    about: 'web-2',
    codes: ['unresolved'],
    text: 'No complete answer in 5.0 s for nginx.default.svc.cluster.local from 10.96.0.10:53, and no failure either: the first questions are probably still under way.',
  },
  {
    title: 'lower ordinals are not published',
    evidence: { topology: view({ self: 2, named: { 2: '10.244.0.7' } }), ordinalStart: 0 },
    codes: ['peer-not-published'],
    text: `DNS does not name web-0 (the designated primary) and web-1, while it names web-2: probably not created yet or not Ready (kubectl -n default get pods web-0 web-1). ${flag}`,
  },
  {
    title: 'fewer than expected are published',
    evidence: { expectedPods: 9, topology: view({ named: { 0: '10.244.0.5', 4: '10.244.0.9' } }) },
    codes: ['peer-not-published'],
    text: `DNS does not name web-1, web-2, web-3, web-5, web-6 and 2 more, while it names web-0 and web-4: probably not created yet or not Ready (kubectl -n default get pods web-1 web-2 web-3 web-5 web-6). ${flag}`,
  },
  {
    title: 'the primary is not published, or the first ordinal is not 0',
    evidence: { topology: view({ named: { 5: '10.244.0.5', 6: '10.244.0.6' } }) },
    codes: ['peer-not-published', 'ordinal-start'],
    text: `DNS does not name web-0 (the designated primary), while it names web-5 and web-6: probably not created yet or not Ready (kubectl -n default get pods web-0). ${flag} The lowest pod that DNS names is web-5: if spec.ordinals.start of StatefulSet web is 5, set the option ordinalStart: 5, so that web-5 is the first.`,
  },
  {
    title: 'all that are expected are published from another ordinal on',
    evidence: {
      expectedPods: 2,
      topology: view({ named: { 5: '10.244.0.5', 6: '10.244.0.6' }, policy: lowestOrdinal({ quorum: 1 }) }),
    },
    codes: ['healthy'],
    text: 'Nothing wrong was seen: DNS names web-5 (the designated primary) and web-6.',
  },
  {
    title: 'a peer without an address',
    evidence: {
      topology: view({ named: { 0: '10.244.0.5', 1: null } }),
      observations: { refusedAddresses: ['127.0.0.1', '127.0.0.1'] },
    },
    about: 'web-1',
    codes: ['peer-without-address', 'addresses-refused'],
    text: 'DNS names web-1, but no address of it can be used: A and AAAA failed, they were refused, another peer has the address, or another pod answered there a moment ago. DNS gives addresses that no pod can have (127.0.0.1), and they are not used: probably a resolver that rewrites answers. Loopback is believed only where dns.servers or STATEFUL_PEERS_DNS names a server on loopback.',
  },
  {
    title: 'this pod is not published, while others are',
    evidence: { topology: view({ self: 1, named: { 0: '10.244.0.5' } }) },
    codes: ['self-unpublished'],
    text: `DNS does not name this pod (web-1), while it names web-0: this pod is probably not Ready, and the others cannot find it until it is (kubectl -n default get pods web-1). ${flag}`,
  },
  {
    title: 'this pod and others are not published',
    evidence: { expectedPods: 3, topology: view({ self: 1, named: { 0: '10.244.0.5' } }) },
    codes: ['peer-not-published', 'self-unpublished'],
    text: `DNS does not name web-2, while it names web-0: probably not created yet or not Ready (kubectl -n default get pods web-2). ${flag} DNS does not name this pod (web-1), while it names web-0: this pod is probably not Ready, and the others cannot find it until it is (kubectl -n default get pods web-1).`,
  },
  {
    title: 'another process has the name of this pod',
    evidence: { topology: view({ self: 1, named: { 0: '10.244.0.5' }, presence: { 1: 'superseded' } }) },
    codes: ['self-superseded'],
    text: "Another process has the name web-1 now: DNS gives addresses for it, and none is this process's own (10.244.0.6). This pod was probably replaced after a force deletion or a node loss: stop this process. If it is the only web-1 of web, then POD_IP is not its own.",
  },
  {
    title: 'nobody is designated',
    evidence: { topology: view({ named: { 0: '10.244.0.5' }, policy: lowestOrdinal({ quorum: 2 }) }) },
    codes: ['no-primary'],
    text: 'Nobody is designated as primary: DNS names 1 of the 2 peers needed (quorum).',
  },
  {
    title: 'a policy that throws',
    evidence: {
      topology: view({
        named: { 0: '10.244.0.5' },
        policy: () => {
          throw new Error('no\nluck');
        },
      }),
    },
    codes: ['no-primary'],
    text: 'Nobody is designated as primary: the policy threw: no luck.',
  },
  {
    title: 'an address that two peers are shown at',
    evidence: { contested: [{ address: '10.244.0.6', claimants: [0, 1], holders: [1] }] },
    codes: ['address-contested'],
    text: 'DNS gives 10.244.0.6 for web-0 and web-1 at once; web-1 is believed to be there. Probably DNS still shows a pod that was replaced, and its address was given away; with hostNetwork, pods on one node need ports of their own.',
  },
  {
    title: 'an address that two peers are shown at, and both are believed',
    evidence: {
      contested: [
        { address: '10.244.0.6', claimants: [0, 1], holders: [0, 1] },
        { address: '10.244.0.7', claimants: [0, 1], holders: [] },
      ],
    },
    codes: ['address-contested', 'address-contested'],
    text: 'DNS gives 10.244.0.6 for web-0 and web-1 at once; web-0 and web-1 are believed to be there until one refuses. Probably DNS still shows a pod that was replaced, and its address was given away; with hostNetwork, pods on one node need ports of their own. DNS gives 10.244.0.7 for web-0 and web-1 at once; nobody is believed to be there. Probably DNS still shows a pod that was replaced, and its address was given away; with hostNetwork, pods on one node need ports of their own.',
  },
];

describe('explanation', () => {
  for (const { title, evidence, about, codes, text } of cases) {
    it(title, () => {
      const explanation = explain(evidenceOf(evidence), whom(about));
      assert.equal(explanation.text, text);
      assert.deepEqual(
        explanation.findings.map(({ code }) => code),
        codes,
      );
    });
  }

  it('every code of the table is found somewhere', () => {
    const every: Readonly<Record<FindingCode, true>> = {
      healthy: true,
      unresolved: true,
      'dns-failing': true,
      'not-cluster-dns': true,
      'wrong-zone': true,
      'wrong-namespace': true,
      'nothing-published': true,
      'not-headless': true,
      'wrong-service-name': true,
      'other-pods': true,
      'port-unknown': true,
      'no-ports': true,
      'port-ambiguous': true,
      'tcp-blocked': true,
      'peer-missing': true,
      'peer-not-published': true,
      'peer-without-address': true,
      'self-unpublished': true,
      'self-superseded': true,
      'no-primary': true,
      'no-roles': true,
      alone: true,
      'ordinal-start': true,
      'address-contested': true,
      'wildcard-resolver': true,
      'addresses-refused': true,
    };
    const found = new Set(cases.flatMap(({ codes }) => codes));
    assert.deepEqual([...found].sort(), Object.keys(every).sort());
  });

  it('any evidence has an explanation: frozen findings, one line, healthy alone or not at all', () => {
    fc.assert(
      fc.property(anyEvidence, fc.option(fc.string()), (evidence, about) => {
        const explanation = explain(evidence, about === null ? undefined : { podName: about });
        assert.ok(Object.isFrozen(explanation) && Object.isFrozen(explanation.findings));
        assert.ok(explanation.findings.length > 0);
        for (const { message } of explanation.findings) assert.match(message, /^\S[^\n\r]*\S$/);
        assert.equal(explanation.text, explanation.findings.map(({ message }) => message).join(' '));
        const isHealthy = explanation.findings.some(({ code }) => code === 'healthy');
        if (isHealthy) assert.equal(explanation.findings.length, 1);
        if (isHealthy) assert.equal(evidence.freshness.state, 'fresh');
      }),
      { numRuns: 500 },
    );
  });

  it('takes no longer for a set of the largest size', () => {
    const evidence = evidenceOf({ expectedPods: 0x7fff_ffff, ordinalStart: 0 });
    assert.match(explain(evidence).text, /web-2, web-3, web-4, web-5, web-6 and 2147483640 more/);
  });
});

function whom(about: string | undefined): Parameters<typeof explain>[1] {
  if (about === undefined) return undefined;
  return about === 'primary' || about === 'replica' || about === 'any' ? { role: about } : { podName: about };
}

/** A healthy member's evidence: web-0 and web-1 are named, this is web-1. */
function evidenceOf(change: Partial<Evidence>): Evidence {
  return {
    topology: view({ self: 1, named: { 0: '10.244.0.5', 1: '10.244.0.6' } }),
    freshness: fresh(null),
    observations: {},
    ladder: ladder({}),
    contested: [],
    statefulSet: 'web',
    service: 'nginx',
    namespace: 'default',
    clusterDomain: 'cluster.local',
    clusterDomainSource: 'hosts file',
    serviceName: service,
    portName: 'peer',
    portNumber: null,
    ordinalStart: null,
    expectedPods: null,
    hasRoles: true,
    servers: [server],
    ...change,
  };
}

/** What is believed after one complete answer that names these; `presence` overrides what it says. */
function view(of: {
  readonly self?: number;
  readonly named?: Readonly<Record<number, string | null>>;
  readonly presence?: Readonly<Record<number, Presence>>;
  readonly policy?: PrimaryPolicy | false;
}): Topology {
  const self = of.self === undefined ? null : { ordinal: of.self, addresses: { 4: '10.244.0.6', 6: null } };
  const sightings = new Map<number, Sighting>();
  for (const [ordinal, address] of Object.entries(of.named ?? {})) {
    const shown = address === null ? ({ kind: 'unknown' } as const) : { kind: 'shown' as const, addresses: [address] };
    sightings.set(Number(ordinal), { kind: 'found', port: 7000, families: { 4: shown, 6: { kind: 'none' } } });
  }
  const answer = {
    sightings,
    others: 'absent',
    complete: true,
    isRound: true,
    negativeTtlMs: null,
    failure: null,
  } as const;
  const windows = { missingAfterMs: 45_000, removeAfterMs: 120_000 };
  const { belief } = decide(initialBelief(self, 0), answer, 0, windows);
  const peers = new Map(
    [...belief.peers].map(([ordinal, peer]) => [
      ordinal,
      { ...peer, presence: of.presence?.[ordinal] ?? peer.presence },
    ]),
  );
  const context = { statefulSet: 'web', ordinalStart: null, expectedPods: null };
  const designation = designate(of.policy ?? fixedPrimary(), { ...belief, peers }, context, 0);
  const names = { statefulSet: 'web', serviceName: service, port: null };
  return topologyOf({ ...belief, peers }, designation, names, null, true);
}

/** Every step as in a healthy cluster, but for the changes; or all four failed alike. */
function ladder(
  change:
    | (Partial<Record<'version' | 'namespace' | 'service' | 'bareSrv', Step>> & {
        readonly bare?: Partial<Ladder['bareSrv']>;
      })
    | Failure['reason'],
): Ladder {
  const bare = { pods: 2, dashed: 0, others: [], namesService: false, ports: [7000] };
  if (typeof change === 'string') {
    const of = (question: string): Step => ({
      failed:
        change === 'refused' ? { ...upstream, question } : { ...failure(change, 'no answer within 1000 ms'), question },
    });
    return {
      version: of('TXT dns-version.cluster.local'),
      namespace: of('A default.svc.cluster.local'),
      service: of(`A ${service}`),
      bareSrv: { ...bare, step: of(`SRV ${service}`), pods: 0, ports: [] },
    };
  }
  const { version = 'found', namespace = 'nodata', service: named = 'found', bareSrv = 'found' } = change;
  const isEmpty = bareSrv === 'nxdomain' || bareSrv === 'nodata';
  return {
    version,
    namespace,
    service: named,
    bareSrv: { ...bare, step: bareSrv, ...(isEmpty ? { pods: 0, ports: [] } : {}), ...change.bare },
  };
}

function failure(reason: Failure['reason'], detail: string = reason): Failure {
  return { reason, detail, server, question: `SRV _peer._tcp.${service}` };
}

function fresh(lastFailure: Failure | null): Freshness {
  return { state: 'fresh', stateForMs: 60_000, sinceCompleteMs: 1_200, lastFailure };
}

function stale(lastFailure: Failure | null): Freshness {
  return { state: 'stale', stateForMs: 12_340, sinceCompleteMs: 14_000, lastFailure };
}

function unresolved(lastFailure: Failure | null): Freshness {
  return { state: 'unresolved', stateForMs: 5_000, sinceCompleteMs: null, lastFailure };
}

function anyFailure(): fc.Arbitrary<Failure> {
  return fc.record({
    reason: fc.constantFrom<Failure['reason'][]>(
      'servfail',
      'refused',
      'formerr',
      'timeout',
      'network',
      'malformed',
      'truncated',
    ),
    detail: fc.oneof(fc.string(), fc.constantFrom('TCP port 53 seems blocked', 'an upstream resolver\nis talking')),
    server: fc.option(fc.string()),
    question: fc.string(),
  });
}

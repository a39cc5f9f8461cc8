import { isIP } from 'node:net';
import type { DnsTransport } from '../dns/transport.ts';
import { ClusterHistory } from './cluster-state.ts';
import type { ClusterState } from './cluster-state.ts';
import type { ListenOptions } from './dns-server.ts';
import { DnsServer } from './dns-server.ts';
import type { EmbeddedDnsOptions } from './embedded-dns.ts';
import { EmbeddedDns } from './embedded-dns.ts';
import type { ServiceOptions } from './endpoint-slices.ts';
import { endpointSlicesOf, serviceObjectOf } from './endpoint-slices.ts';
import { memoryTransport } from './memory-transport.ts';
import type { PodFiles, PodMachine } from './pod-machine.ts';
import { filesOf, machineOf } from './pod-machine.ts';
import type { PodNetworkOptions } from './pod-network.ts';
import { hasLoopbackRange, PodNetwork } from './pod-network.ts';
import type { Pod, PodProcess } from './pod.ts';
import type { StatefulSetOptions } from './stateful-set.ts';
import { StatefulSet } from './stateful-set.ts';

/** A cluster with one StatefulSet and its governing Service. What is left out is as in the Kubernetes tutorial. */
export interface TestClusterOptions extends Omit<StatefulSetOptions, 'name' | 'serviceName' | 'run'> {
  /** Name of the StatefulSet. Default `web`. */
  readonly statefulSet?: string;
  /** Name of its headless Service. Default `nginx`. */
  readonly service?: string;
  /** Default `cluster.local`. */
  readonly clusterDomain?: string;
  /** Runs a process in each pod, with the variables that tell it who it is. Default: none, pods are objects. */
  readonly run?: (pod: Pod, variables: Variables) => PodProcess;
  /** False: no pod is made before `statefulSet.create()`, so that listeners hear of the first. Default true. */
  readonly create?: boolean;
  /** The Service's flag. Default false. */
  readonly publishNotReadyAddresses?: boolean;
  /** How the cluster's DNS is served. */
  readonly dns?: Omit<EmbeddedDnsOptions, 'clusterDomain'>;
  /** True: DNS listens on loopback, and pods get loopback addresses. Default false: everything happens in memory. */
  readonly sockets?: boolean;
  /** Where DNS listens, with `sockets`. Default `127.0.0.1`, any free port. */
  readonly listen?: ListenOptions;
  /**
   * Where pods get their addresses from. Default 10.244.0.0/16; with `sockets` a /20 of 127.0.0.0/8 by chance, or, where
   * the system has a single loopback address, that one, and ports from 20 000 on.
   */
  readonly network?: PodNetworkOptions;
}

/** Environment variables of a process. */
export type Variables = Readonly<Record<string, string>>;

/**
 * A Kubernetes cluster as DNS shows it: StatefulSets whose pods come, go and move by the rules, and a DNS that answers
 * as CoreDNS does, or fails as told. Over sockets or in memory; in memory all of it moves with the global timers, fake
 * ones included.
 */
export class TestCluster {
  readonly #options: TestClusterOptions;
  readonly #network: PodNetwork;
  readonly #history: ClusterHistory;
  readonly #sets: StatefulSet[] = [];
  readonly #services: ServiceOptions[] = [];
  readonly #namespaces: Set<string>;
  readonly #server: DnsServer | null;
  readonly #transports = new Set<DnsTransport>();
  /** The cluster's DNS, and its faults. */
  readonly dns: EmbeddedDns;
  /** The StatefulSet of the options. */
  readonly statefulSet: StatefulSet;

  private constructor(
    options: TestClusterOptions,
    network: PodNetwork,
    listening: { readonly history: ClusterHistory; readonly dns: EmbeddedDns; readonly server: DnsServer | null },
  ) {
    this.#options = options;
    this.#network = network;
    this.#history = listening.history;
    this.#server = listening.server;
    this.dns = listening.dns;
    const { statefulSet: name = 'web', service = 'nginx', namespace = 'default', ports = defaultPorts } = options;
    const { publishNotReadyAddresses = false, labels = { app: name } } = options;
    this.#namespaces = new Set(['default', 'kube-system']);
    this.addService({ name: service, namespace, selector: labels, ports, publishNotReadyAddresses });
    const { run, create, ...rest } = options;
    this.statefulSet = this.#add({
      ...rest,
      ...(run !== undefined && { run: (pod) => run(pod, this.environmentOf(pod.name)) }),
      ...{ name, serviceName: service, labels, ports },
    });
    if (create !== false) this.statefulSet.create();
  }

  /**
   * Starts the cluster; the first pods are made, those that need no time are there. Use {@link StatefulSet.settled} to
   * wait for the rest.
   *
   * @throws the system's error when `sockets` are wanted and cannot be had
   */
  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const network = new PodNetwork(options.network ?? (options.sockets === true ? await loopback() : podNetwork));
    const history = new ClusterHistory({ resourceVersion: 1, namespaces: [], services: [], endpointSlices: [] });
    const dns = new EmbeddedDns(history, {
      ...options.dns,
      ...(options.clusterDomain !== undefined && { clusterDomain: options.clusterDomain }),
    });
    const server = options.sockets === true ? await DnsServer.listen(dns, options.listen) : null;
    return new TestCluster(options, network, { history, dns, server });
  }

  /** `cluster.local`. */
  get clusterDomain(): string {
    return this.#options.clusterDomain ?? 'cluster.local';
  }

  /** Where DNS is asked, as `dns.servers` and `STATEFUL_PEERS_DNS` have it. In memory it is a name for the transport. */
  get dnsServer(): string {
    if (this.#server === null) return '10.96.0.10:53';
    const { address, port } = this.#server;
    return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
  }

  /** What DNS is made of at this time. */
  get state(): ClusterState {
    return this.#history.current;
  }

  /** The pod that has this name now, of whatever set. After a deletion it is another object. */
  pod(name: string): Pod {
    const set = this.#sets.find(({ pods }) => pods.some((pod) => pod.name === name)) ?? this.statefulSet;
    return set.pod(name);
  }

  /** `web-1.nginx.default.svc.cluster.local`: the name of a pod of {@link statefulSet}, whether or not it is there. */
  stableName(podName: string): string {
    const { serviceName, namespace } = this.statefulSet;
    return `${podName}.${serviceName}.${namespace}.svc.${this.clusterDomain}`;
  }

  /** Another StatefulSet; it may share a Service with others, by labels. Its pods are made at once. */
  addStatefulSet(options: StatefulSetOptions): StatefulSet {
    const set = this.#add(options);
    set.create();
    return set;
  }

  /** Another Service, or (with the same name and namespace) another manifest of one. */
  addService(service: ServiceOptions): void {
    const isSame = ({ name, namespace = 'default' }: ServiceOptions): boolean =>
      name === service.name && namespace === (service.namespace ?? 'default');
    const known = this.#services.findIndex(isSame);
    if (known === -1) this.#services.push(service);
    else this.#services[known] = service;
    this.#namespaces.add(service.namespace ?? 'default');
    this.#record();
  }

  /** Takes a Service away. */
  removeService(name: string, namespace = 'default'): void {
    const at = this.#services.findIndex((one) => one.name === name && (one.namespace ?? 'default') === namespace);
    if (at !== -1) this.#services.splice(at, 1);
    this.#record();
  }

  /**
   * The variables that tell a process that it is this pod. The pod need not be there: so that a process of one's own can
   * join, whose address it then has to say itself.
   */
  environmentOf(podName: string): Variables {
    const pod = this.#find(podName);
    const addresses = pod?.addresses ?? [];
    return {
      POD_NAME: podName,
      ...this.observerEnvironment(),
      ...(pod !== undefined && { POD_NAMESPACE: pod.namespace, STATEFUL_PEERS_SERVICE: pod.subdomain }),
      ...(addresses[0] !== undefined && { POD_IP: addresses[0], POD_IPS: addresses.join(',') }),
    };
  }

  /** The variables that tell a process where the set is. */
  observerEnvironment(): Variables {
    return {
      POD_NAMESPACE: this.statefulSet.namespace,
      STATEFUL_PEERS_SERVICE: this.statefulSet.serviceName,
      STATEFUL_PEERS_CLUSTER_DOMAIN: this.clusterDomain,
      STATEFUL_PEERS_DNS: this.dnsServer,
    };
  }

  /** The files that kubelet writes for this pod. */
  filesOf(podName: string): PodFiles {
    return filesOf(this.pod(podName), { clusterDomain: this.clusterDomain, nameserver: this.#nameserver });
  }

  /** What a process in this pod sees of its machine: hostname and files, and `variables`. */
  machineOf(podName: string, variables: Variables = {}): PodMachine {
    return machineOf(podName, this.filesOf(podName), variables);
  }

  /** Carries questions to the cluster's DNS in memory, also where it listens on sockets. Closed with the cluster. */
  transport(): DnsTransport {
    const transport = memoryTransport(this.dns);
    this.#transports.add(transport);
    return transport;
  }

  /** Ends pods, processes, sockets and timers. Nothing is left that keeps the process alive. */
  async close(): Promise<void> {
    for (const transport of this.#transports) transport.close();
    await Promise.all(this.#sets.map((set) => set.close()));
    await this.#server?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #nameserver(): string {
    return this.#server?.address ?? '10.96.0.10';
  }

  #add(options: StatefulSetOptions): StatefulSet {
    const set = new StatefulSet(this.#network, options);
    this.#sets.push(set);
    this.#namespaces.add(set.namespace);
    set.on('changed', () => this.#record());
    this.#record();
    return set;
  }

  #find(podName: string): Pod | undefined {
    return this.#sets.flatMap(({ pods }) => pods).find(({ name }) => name === podName);
  }

  #record(): void {
    const pods = this.#sets.flatMap((set) => set.pods);
    this.#history.record({
      resourceVersion: this.#history.current.resourceVersion + 1,
      namespaces: [...this.#namespaces],
      services: this.#services.map(serviceObjectOf),
      endpointSlices: this.#services.flatMap((service) => endpointSlicesOf(service, pods)),
    });
  }
}

const defaultPorts = [{ name: 'peer', port: 7_000 }];

const podNetwork: PodNetworkOptions = { podCidrs: ['10.244.0.0/16'] };

/** Loopback addresses that no other cluster on this machine is likely to use. */
async function loopback(): Promise<PodNetworkOptions> {
  if (!(await hasLoopbackRange())) return { podCidrs: ['127.0.0.1/32'], ownPortsFrom: 20_000 };
  const chance = (from: number, to: number): number => from + Math.floor(Math.random() * (to - from));
  return { podCidrs: [`127.${chance(64, 255)}.${16 * chance(0, 16)}.0/20`] };
}

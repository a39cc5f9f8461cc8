// The objects of a cluster that DNS is made of, with the field names of the Kubernetes API (core/v1, discovery.k8s.io/v1).

/** A port's protocol, as the API writes it. */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** A port of a Service, or of an EndpointSlice. `name` is `''` where the port has none. */
export interface Port {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
}

/** What CoreDNS reads of a Service. */
export interface ServiceObject {
  readonly name: string;
  readonly namespace: string;
  /** `Headless` stands for type ClusterIP with `clusterIP: None`. */
  readonly type: 'Headless' | 'ClusterIP' | 'ExternalName';
  /** Empty but for `ClusterIP`. */
  readonly clusterIPs: readonly string[];
  /** `null` but for `ExternalName`. */
  readonly externalName: string | null;
  readonly ports: readonly Port[];
}

/** What CoreDNS reads of one endpoint. It looks at `ready` alone; the other conditions are for the reader. */
export interface Endpoint {
  readonly addresses: readonly string[];
  /** Set only where the pod's `subdomain` is this Service; DNS then calls the endpoint by it, else by its IP. */
  readonly hostname: string | null;
  readonly conditions: { readonly ready: boolean; readonly serving: boolean; readonly terminating: boolean };
  /** The pod's name. */
  readonly targetRef: string | null;
}

/** A part of a Service's endpoints: one family, one set of ports, at most 100 endpoints. */
export interface EndpointSlice {
  readonly name: string;
  readonly namespace: string;
  /** Label `kubernetes.io/service-name`. */
  readonly serviceName: string;
  readonly addressType: 'IPv4' | 'IPv6';
  readonly ports: readonly Port[];
  readonly endpoints: readonly Endpoint[];
}

/** Everything that DNS knows of a cluster at one time. Immutable. */
export interface ClusterState {
  /** Grows with every change; the SOA's serial. */
  readonly resourceVersion: number;
  readonly namespaces: readonly string[];
  readonly services: readonly ServiceObject[];
  readonly endpointSlices: readonly EndpointSlice[];
}

/**
 * Remembers what a cluster looked like, so that a DNS replica can be some time behind. Time is `performance.now()`.
 *
 * Ten minutes are kept; who asks for an older state gets the oldest that is left.
 */
export class ClusterHistory {
  #oldest: ClusterState;
  #changes: { readonly since: number; readonly state: ClusterState }[] = [];

  constructor(state: ClusterState) {
    this.#oldest = state;
  }

  /** The newest state. */
  get current(): ClusterState {
    return this.at(Infinity);
  }

  /** The state is this one from now on. */
  record(state: ClusterState): void {
    const now = performance.now();
    // Several changes at one time are one change: nobody can have seen those between.
    if (this.#changes.at(-1)?.since === now) this.#changes.pop();
    this.#changes.push({ since: now, state });
    const oldest = this.#changes.findLastIndex(({ since }) => since <= now - keptMs);
    this.#oldest = this.#changes[oldest]?.state ?? this.#oldest;
    this.#changes = this.#changes.slice(oldest + 1);
  }

  /** The state at that time. */
  at(time: number): ClusterState {
    return this.#changes.findLast(({ since }) => since <= time)?.state ?? this.#oldest;
  }
}

const keptMs = 600_000;

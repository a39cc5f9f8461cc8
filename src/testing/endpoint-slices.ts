// The EndpointSlice controller of Kubernetes: Services and pods in, slices out.

import { isIP } from 'node:net';
import type { Endpoint, EndpointSlice, Port, Protocol, ServiceObject } from './cluster-state.ts';
import type { Pod } from './pod.ts';

/** What a Service's manifest says. */
export interface ServiceOptions {
  readonly name: string;
  /** Default `default`. */
  readonly namespace?: string;
  /** Default `Headless`. */
  readonly type?: 'Headless' | 'ClusterIP' | 'ExternalName';
  /** `.spec.selector`: pods that have all of these labels. Default: no pod. */
  readonly selector?: Readonly<Record<string, string>>;
  readonly ports?: readonly ServicePortOptions[];
  /** Pods are published as soon as they have an address, whether or not they are Ready or terminating. Default false. */
  readonly publishNotReadyAddresses?: boolean;
  /** For type `ClusterIP`: what it answers with. */
  readonly clusterIPs?: readonly string[];
  /** For type `ExternalName`. */
  readonly externalName?: string;
}

/** A port in a Service's manifest. */
export interface ServicePortOptions {
  /** Without a name there is no SRV record for it. */
  readonly name?: string;
  readonly port: number;
  /** A container port by number or name. Default: the one of the same name, else of the same number. */
  readonly targetPort?: number | string;
  /** Default `TCP`. */
  readonly protocol?: Protocol;
}

/** The Service as DNS sees it. */
export function serviceObjectOf(service: ServiceOptions): ServiceObject {
  return {
    name: service.name,
    namespace: service.namespace ?? 'default',
    type: service.type ?? 'Headless',
    clusterIPs: service.clusterIPs ?? [],
    externalName: service.externalName ?? null,
    ports: (service.ports ?? []).map(({ name = '', port, protocol = 'TCP' }) => ({ name, port, protocol })),
  };
}

/**
 * The slices of a Service: one for each family and each set of port numbers among its pods, cut at 100 endpoints.
 *
 * A pod is left out that has no address yet or has failed. It is ready if it is Ready and not terminating, or if the
 * Service publishes what is not.
 *
 * @see staging/src/k8s.io/endpointslice/utils.go, `podToEndpoint`
 */
export function endpointSlicesOf(service: ServiceOptions, pods: readonly Pod[]): EndpointSlice[] {
  const { name, namespace = 'default', selector } = service;
  if (selector === undefined || service.type === 'ExternalName') return [];
  const groups = new Map<string, { addressType: 'IPv4' | 'IPv6'; ports: readonly Port[]; endpoints: Endpoint[] }>();
  for (const pod of pods) {
    if (pod.namespace !== namespace || !isSelected(pod, selector)) continue;
    if (pod.phase !== 'Running' || pod.isDeleted) continue;
    const ports = portsOf(service, pod);
    for (const family of [4, 6]) {
      const addresses = pod.addresses.filter((address) => isIP(address) === family);
      if (addresses.length === 0) continue;
      const key = `${family} ${JSON.stringify(ports)}`;
      const group = groups.get(key) ?? { addressType: family === 4 ? 'IPv4' : 'IPv6', ports, endpoints: [] };
      groups.set(key, group);
      group.endpoints.push(endpointOf(service, pod, addresses));
    }
  }
  return [...groups.values()].flatMap(({ addressType, ports, endpoints }, group) =>
    Array.from({ length: Math.ceil(endpoints.length / maxEndpointsPerSlice) }, (_, part) => ({
      name: `${name}-${group}-${part}`,
      namespace,
      serviceName: name,
      addressType,
      ports,
      endpoints: endpoints.slice(part * maxEndpointsPerSlice, (part + 1) * maxEndpointsPerSlice),
    })),
  );
}

const maxEndpointsPerSlice = 100;

function isSelected(pod: Pod, selector: Readonly<Record<string, string>>): boolean {
  return Object.entries(selector).every(([label, value]) => pod.labels[label] === value);
}

function endpointOf(
  { name, publishNotReadyAddresses = false }: ServiceOptions,
  pod: Pod,
  addresses: string[],
): Endpoint {
  const serving = pod.isReady;
  return {
    addresses,
    // ShouldSetHostname in staging/src/k8s.io/endpointslice/util/controller_utils.go.
    hostname: pod.subdomain === name ? pod.name : null,
    conditions: {
      ready: publishNotReadyAddresses || (serving && !pod.isTerminating),
      serving,
      terminating: pod.isTerminating,
    },
    targetRef: pod.name,
  };
}

/** The Service's ports as numbers of this pod. A port that the pod does not have is left out. */
function portsOf({ ports = [] }: ServiceOptions, pod: Pod): Port[] {
  return ports.flatMap(({ name = '', port, targetPort, protocol = 'TCP' }) => {
    const number = podPort(pod, name, port, targetPort);
    return number === null ? [] : [{ name, port: number, protocol }];
  });
}

function podPort(pod: Pod, name: string, port: number, targetPort: number | string | undefined): number | null {
  if (typeof targetPort === 'number') return targetPort;
  const named = pod.ports.find((one) => one.name === (targetPort ?? name));
  if (named !== undefined) return named.port;
  return targetPort === undefined ? port : null;
}

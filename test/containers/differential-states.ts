import { formatIpv6 } from '../../src/dns/address.ts';
import type { ClusterState, Endpoint, EndpointSlice, Port, ServiceObject } from '../../src/testing/cluster-state.ts';

/** The zone that is asked. */
export const zone = 'cluster.local';

/** A pod as endpoints show it. */
interface RandomPod {
  readonly name: string;
  readonly namespace: string;
  readonly subdomain: string;
  readonly addresses: readonly { readonly address: string; readonly family: 4 | 6 }[];
  readonly isReady: boolean;
  readonly isTerminating: boolean;
}

/** A cluster by chance: as it might be, and some of what Kubernetes merely permits. */
export function randomState(random: () => number, resourceVersion: number): ClusterState {
  const chance = new Chance(random);
  const namespaces = ['default', 'kube-system', ...chance.some(otherNamespaces, 0.4)];
  const services: ServiceObject[] = [];
  const endpointSlices: EndpointSlice[] = [];
  const names = chance.shuffled(setNames);
  for (let set = chance.integer(1, 4); set > 0; set -= 1) {
    const namespace = chance.one(namespaces);
    const subdomain = chance.one(['nginx', 'peers', `${set}`.padEnd(63, 'long-service-name-')]);
    const pods = randomPods(chance, { set: names.pop() ?? 'web', namespace, subdomain });
    for (const name of [subdomain, ...chance.some([`clients-${set}`, `metrics-${set}`], 0.4)]) {
      if (services.some((known) => known.namespace === namespace && known.name === name)) continue;
      const service = randomService(chance, { name, namespace });
      services.push(service);
      endpointSlices.push(...slicesOf(chance, service, pods));
    }
  }
  for (const name of chance.some(['outside', 'alias', 'dangling', 'loop', 'ring-1', 'ring-2'], 0.4)) {
    const target = {
      ...{
        alias: `${services[0]?.name}.${services[0]?.namespace}.svc.${zone}`,
        dangling: `nobody.default.svc.${zone}`,
      },
      ...{ loop: `loop.default.svc.${zone}`, 'ring-1': `ring-2.default.svc.${zone}` },
      ...{ 'ring-2': `ring-1.default.svc.${zone}` },
    }[name];
    services.push({
      ...{
        name,
        namespace: 'default',
        type: 'ExternalName',
        clusterIPs: [],
        ports: chance.some([port('peer', 7_000)], 0.3),
      },
      externalName: target ?? 'db.example.com',
    });
  }
  return { resourceVersion, namespaces, services, endpointSlices };
}

/** Something is asked of it that is there, or nearly. */
export function randomName(random: () => number, state: ClusterState): string {
  const chance = new Chance(random);
  const isPublished = ({ endpoints }: EndpointSlice): boolean => endpoints.some(({ conditions }) => conditions.ready);
  const published = state.endpointSlices.filter(isPublished).map(({ serviceName }) => serviceName);
  const lively = state.services.filter(({ name }) => published.includes(name));
  const service = chance.one(lively.length > 0 && chance.is(0.8) ? lively : state.services);
  const { name, namespace, ports } = service;
  const slices = state.endpointSlices.filter((slice) => slice.serviceName === name && slice.namespace === namespace);
  const endpoints = slices.flatMap((slice) => slice.endpoints);
  const addresses = [
    ...endpoints.flatMap((endpoint) => endpoint.addresses),
    ...service.clusterIPs,
    '10.1.2.3',
    'fd00::9',
  ];
  const hostname = chance.one([...endpoints.flatMap((endpoint) => endpoint.hostname ?? []), 'web-0', 'nobody-0']);
  const dashed = chance.one(addresses).replaceAll(/[.:]/g, '-');
  const { name: portName, protocol } = chance.one([
    ...ports,
    ...slices.flatMap((slice) => slice.ports),
    port('raft', 1),
  ]);
  const asked = chance.is(0.9) ? protocol : chance.one(['TCP', 'UDP'] as const);
  const portLabels = `_${portName === '' ? 'peer' : portName}._${asked.toLowerCase()}`;
  const full = `${name}.${namespace}.svc.${zone}`;
  return chance.weighted<() => string>([
    [8, () => full],
    [12, () => `${portLabels}.${full}`],
    [9, () => `${hostname}.${full}`],
    [2, () => `${dashed.replace(/-$/, '-0')}.${full}`],
    [1, () => `${dashed}.${full}`],
    [1, () => `${portLabels.replaceAll('_', '')}.${full}`],
    [1, () => `${portLabels}.${hostname}.${full}`],
    [1, () => `nothing.${namespace}.svc.${zone}`],
    [1, () => `${name}.nowhere.svc.${zone}`],
    [1, () => `${name}.kube-system.svc.${zone}`],
    [1, () => `${namespace}.svc.${zone}`],
    [1, () => `${dashed}.${namespace}.pod.${zone}`],
    [1, () => chance.one([`svc.${zone}`, `pod.${zone}`, `${namespace}.pod.${zone}`, `nowhere.svc.${zone}`])],
    [
      1,
      () => chance.one([zone, `ns.dns.${zone}`, `dns.${zone}`, `dns-version.${zone}`, `nothing.${zone}`, `*.${full}`]),
    ],
    [1, () => chance.one(['example.com', `my${zone}`, 'local', 'com', '', 'in-addr.arpa', '244.10.in-addr.arpa'])],
    [1, () => `a.b.c.${full}`],
    [2, () => reverseName(chance.one(addresses))],
  ])();
}

/** As people and draft-vixie-dnsext-dns0x20 write names. */
export function mixedCase(random: () => number, name: string): string {
  return name.replaceAll(/[a-z]/g, (letter) => (random() < 0.5 ? letter.toUpperCase() : letter));
}

/** Chance with names. */
export class Chance {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Both ends included. */
  integer(from: number, to: number): number {
    return from + Math.floor(this.#random() * (to - from + 1));
  }

  is(share: number): boolean {
    return this.#random() < share;
  }

  one<T>(values: readonly T[]): T {
    const value = values[Math.floor(this.#random() * values.length)];
    if (value === undefined) throw new RangeError('nothing to choose from');
    return value;
  }

  some<T>(values: readonly T[], share: number): T[] {
    return values.filter(() => this.is(share));
  }

  weighted<T>(values: readonly (readonly [number, T])[]): T {
    return this.one(values.flatMap(([weight, value]) => Array.from({ length: weight }, () => value)));
  }

  shuffled<T>(values: readonly T[]): T[] {
    return values
      .map((value) => ({ value, at: this.#random() }))
      .sort((one, other) => one.at - other.at)
      .map(({ value }) => value);
  }
}

const otherNamespaces = ['prod', 'a'.padEnd(63, '-namespace-with-a-name-as-long-as-it-can-be')];
const setNames = ['web', 'db-1', 'kafka-broker', 'x'.padEnd(52, '-set-with-a-name-as-long-as-it-can-be'), 'Web2'];

function port(name: string, number: number, protocol: Port['protocol'] = 'TCP'): Port {
  return { name, port: number, protocol };
}

function randomPods(
  chance: Chance,
  { set, namespace, subdomain }: { readonly set: string; readonly namespace: string; readonly subdomain: string },
): RandomPod[] {
  const families = chance.weighted<readonly (4 | 6)[]>([
    [5, [4]],
    [2, [6]],
    [4, [4, 6]],
  ]);
  const count = chance.weighted<number>([
    [1, 0],
    [3, chance.integer(1, 3)],
    [3, chance.integer(4, 12)],
    [2, chance.integer(13, 40)],
  ]);
  const start = chance.weighted([
    [4, 0],
    [1, 98],
  ]);
  let shared = randomAddresses(chance, families);
  return Array.from({ length: count }, (_, index) => {
    // Two pods with one address: host network, on one node.
    if (!chance.is(0.05)) shared = randomAddresses(chance, families);
    return {
      ...{ name: `${set}-${start + index}`.toLowerCase(), namespace, subdomain: chance.is(0.97) ? subdomain : '' },
      ...{ addresses: shared, isReady: chance.is(0.85), isTerminating: chance.is(0.1) },
    };
  });
}

function randomAddresses(chance: Chance, families: readonly (4 | 6)[]): RandomPod['addresses'] {
  return families.map((family) => {
    if (family === 4) return { family, address: `10.244.${chance.integer(0, 255)}.${chance.integer(1, 254)}` };
    const bytes = Buffer.from('fd0000100244000000000000', 'hex');
    // Zeros in the middle and at the end: `fd00:10:244::`.
    const tail = Buffer.from(Array.from({ length: 4 }, () => (chance.is(0.4) ? 0 : chance.integer(0, 255))));
    return { family, address: formatIpv6(Buffer.concat([bytes, tail]), 0) };
  });
}

function randomService(
  chance: Chance,
  { name, namespace }: { readonly name: string; readonly namespace: string },
): ServiceObject {
  const type = chance.is(0.8) ? 'Headless' : 'ClusterIP';
  const [four, six] = [
    `10.96.${chance.integer(0, 255)}.${chance.integer(1, 254)}`,
    `fd00:96::${chance.integer(1, 99)}`,
  ];
  const clusterIPs = chance.one([[four], [six], [four, six]]);
  const ports = chance.weighted<readonly Port[]>([
    [5, [port('peer', 7_000)]],
    [1, [port('', 80)]],
    [1, []],
    [2, [port('peer', 7_000), port('gossip', 7_001, 'UDP')]],
    [1, [port('dns', 53), port('dns-udp', 53, 'UDP'), port('sig', 9_899, 'SCTP')]],
    [1, [port('a-port-name-15b', 65_535)]],
  ]);
  return { name, namespace, type, clusterIPs: type === 'ClusterIP' ? clusterIPs : [], externalName: null, ports };
}

/** As the EndpointSlice controller makes them: one for each family, cut here and there, and for each set of numbers. */
function slicesOf(
  chance: Chance,
  { name, namespace, ports }: ServiceObject,
  pods: readonly RandomPod[],
): EndpointSlice[] {
  const publishNotReady = chance.is(0.4);
  const hasTwoPortSets = chance.is(0.2);
  const at = hasTwoPortSets ? chance.integer(0, pods.length) : pods.length;
  return ([4, 6] as const).flatMap((family) =>
    [pods.slice(0, at), pods.slice(at)].flatMap((part, index): EndpointSlice[] => {
      const endpoints = part.flatMap((pod) => endpointOf(pod, { name, family, publishNotReady }));
      if (endpoints.length === 0) return [];
      const numbers = ports.map((one) => ({ ...one, port: one.port - index }));
      const addressType = family === 4 ? 'IPv4' : 'IPv6';
      const sliceName = `${name.slice(0, 50)}-v${family}-${index}`;
      return [{ name: sliceName, namespace, serviceName: name, addressType, ports: numbers, endpoints }];
    }),
  );
}

function endpointOf(
  { name, subdomain, addresses, isReady, isTerminating }: RandomPod,
  service: { readonly name: string; readonly family: 4 | 6; readonly publishNotReady: boolean },
): Endpoint[] {
  const own = addresses.filter(({ family }) => family === service.family).map(({ address }) => address);
  if (own.length === 0) return [];
  const ready = service.publishNotReady || (isReady && !isTerminating);
  return [
    {
      addresses: own,
      hostname: subdomain === service.name ? name : null,
      conditions: { ready, serving: isReady, terminating: isTerminating },
      targetRef: name,
    },
  ];
}

function reverseName(address: string): string {
  if (!address.includes(':')) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const [head = '', tail = ''] = address.split('::');
  const [before, after] = [head, tail].map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: 8 - (before?.length ?? 0) - (after?.length ?? 0) }, () => '0');
  const groups = [...(before ?? []), ...zeros, ...(after ?? [])].map((group) => group.padStart(4, '0'));
  return `${Array.from(groups.join('')).reverse().join('.')}.ip6.arpa`;
}

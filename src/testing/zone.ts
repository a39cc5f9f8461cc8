// CoreDNS's `kubernetes` plugin as a pure function: objects of a cluster and a question in, an answer out. What it
// says follows plugin/kubernetes/{kubernetes,parse,handler,reverse,ns}.go and plugin/backend_lookup.go of CoreDNS 1.15,
// down to its quirks, and is held against the real one by test/containers/differential.test.ts;
// https://github.com/kubernetes/dns/blob/master/docs/specification.md says what it should be.

import { isIP } from 'node:net';
import { formatIpv6, normaliseAddress } from '../dns/address.ts';
import type { AddressRecord, Message, ResourceRecord, SoaRecord, SrvRecord } from '../dns/message.ts';
import { Rcode } from '../dns/message.ts';
import { isWithin } from '../dns/name.ts';
import type { ClusterState, Endpoint, EndpointSlice, Port, ServiceObject } from './cluster-state.ts';

/** How the zone is served: what stands in a Corefile. */
export interface ZoneSettings {
  /** `cluster.local`. */
  readonly clusterDomain: string;
  /** Of every record, and the negative TTL. The plugin's default is 5, kubeadm's Corefile says 30. */
  readonly ttlSeconds: number;
  /** `insecure` answers `<dashed-ip>.<namespace>.pod.<zone>` with that IP, whether or not there is such a pod. */
  readonly pods: 'insecure' | 'disabled';
  /** Names outside the cluster domain: `refused` without a `forward` plugin, else what the root says: no such name. */
  readonly outside: 'refused' | 'forwarded';
  /** Addresses of `ns.dns.<zone>`, the name in the NS record. */
  readonly serverAddresses: readonly string[];
}

/** What a server puts into its response. */
export type ZoneAnswer = Pick<
  Message,
  'rcode' | 'authoritative' | 'recursionAvailable' | 'answers' | 'authorities' | 'additionals'
>;

/** What is asked. A `type` that the codec does not know is a number, and no record has it. */
export type AskedQuestion = Message['questions'][number];

/**
 * The answer of the cluster's DNS to one question. Pure; its cost grows with the number of endpoints.
 *
 * Addresses are in the order of the objects: see {@link shuffleAddresses} for what comes after.
 */
export function answerQuestion(state: ClusterState, question: AskedQuestion, settings: ZoneSettings): ZoneAnswer {
  const zone = [settings.clusterDomain, ...reverseZones].find((one) => isWithin(question.name, one));
  const outside = settings.outside === 'refused' ? refusal : rootAnswer;
  if (zone === undefined) return outside;
  const answer = new Zone(state, settings, zone).answer(question);
  // A reverse name of nobody's falls through, as kubeadm's Corefile has it, and is then outside.
  return zone !== settings.clusterDomain && answer.rcode === Rcode.NXDOMAIN ? outside : answer;
}

/** NXDOMAIN (or `NOERROR`: no record of that type) with the zone's SOA. */
export function negativeAnswer(
  rcode: number,
  state: ClusterState,
  settings: ZoneSettings,
  zone: string = settings.clusterDomain,
): ZoneAnswer {
  return { ...refusal, rcode, authoritative: true, authorities: [soaOf(state, settings, zone)] };
}

/**
 * What CoreDNS's `loadbalance` plugin does: addresses change places at random, CNAMEs come first, addresses last. SRV
 * records keep their order.
 */
export function shuffleAddresses(answer: ZoneAnswer, random: () => number): ZoneAnswer {
  const shuffled = (records: readonly ResourceRecord[]): ResourceRecord[] => {
    const addresses = records.filter((record) => isAddress(record));
    for (let at = 0; at < addresses.length; at += 1) {
      const other = at + Math.floor(random() * (addresses.length - at));
      const [one, two] = [addresses[at], addresses[other]];
      if (one !== undefined && two !== undefined) [addresses[at], addresses[other]] = [two, one];
    }
    return [
      ...records.filter(({ type }) => type === 'CNAME'),
      ...records.filter((record) => record.type !== 'CNAME' && !isAddress(record)),
      ...addresses,
    ];
  };
  return { ...answer, answers: shuffled(answer.answers), additionals: shuffled(answer.additionals) };
}

/** The plugin answers for these as well: `kubernetes cluster.local in-addr.arpa ip6.arpa`. */
const reverseZones = ['in-addr.arpa', 'ip6.arpa'];

const refusal: ZoneAnswer = {
  rcode: Rcode.REFUSED,
  authoritative: false,
  recursionAvailable: false,
  answers: [],
  authorities: [],
  additionals: [],
};

/** What a resolver on the internet says of a name that is in no zone: the SOA is the root's. */
const rootAnswer: ZoneAnswer = {
  ...refusal,
  rcode: Rcode.NXDOMAIN,
  recursionAvailable: true,
  authorities: [
    {
      name: '',
      ttlSeconds: 86_400,
      type: 'SOA',
      mname: 'a.root-servers.net',
      rname: 'nstld.verisign-grs.com',
      serial: 2_026_112_500,
      refresh: 1_800,
      retry: 900,
      expire: 604_800,
      minimumSeconds: 86_400,
    },
  ],
};

/** What a name stands for: one for each endpoint and port (or cluster IP and port). `port` is `null` where none is declared. */
interface Backend {
  /** An IP; for an ExternalName the name. */
  readonly host: string;
  readonly port: number | null;
  /** The name that an SRV record gives it. */
  readonly target: string;
}

class Zone {
  readonly #state: ClusterState;
  readonly #settings: ZoneSettings;
  readonly #domain: string;

  constructor(state: ClusterState, settings: ZoneSettings, domain: string) {
    this.#state = state;
    this.#settings = settings;
    this.#domain = domain;
  }

  answer({ name, type }: AskedQuestion): ZoneAnswer {
    switch (type) {
      case 'A':
      case 'AAAA':
        return this.#addresses(name, type);
      case 'SRV':
        return this.#srv(name);
      case 'TXT':
        if (name === `dns-version.${this.#domain}`) {
          return this.#found([{ name, ttlSeconds: 28_800, type, strings: ['1.1.0'] }]);
        }
        // Names without an address, as the zone and its namespaces, do not exist here.
        return this.#negative((this.#backends(name) ?? []).length > 0 ? Rcode.NOERROR : Rcode.NXDOMAIN);
      case 'PTR':
        return this.#names(name);
      case 'CNAME': {
        const first = this.#backends(name)?.[0];
        return first === undefined || isIP(first.host) !== 0
          ? this.#absent(name)
          : this.#found([{ name, ttlSeconds: this.#settings.ttlSeconds, type, target: first.host }]);
      }
      case 'NS':
        return name === this.#domain ? this.#ns() : this.#absent(name);
      case 'SOA':
        // The plugin looks no further: also where there is no such name.
        return name === this.#domain
          ? this.#found([soaOf(this.#state, this.#settings, this.#domain)])
          : this.#negative(Rcode.NOERROR);
      default:
        return this.#absent(name);
    }
  }

  #found(answers: readonly ResourceRecord[], additionals: readonly ResourceRecord[] = []): ZoneAnswer {
    return { ...refusal, rcode: Rcode.NOERROR, authoritative: true, answers, additionals };
  }

  #names(name: string): ZoneAnswer {
    const ip = addressOfReverseName(name);
    if (ip === null) return this.#negative(this.#backends(name) === null ? Rcode.NXDOMAIN : Rcode.NOERROR);
    const targets = new Set(this.#namesOf(ip));
    if (targets.size === 0) return this.#negative(Rcode.NXDOMAIN);
    const { ttlSeconds } = this.#settings;
    return this.#found([...targets].map((target) => ({ name, ttlSeconds, type: 'PTR', target })));
  }

  /** The names that PTR gives an address: the Service's for a cluster IP, else one for each Service that selects the pod. */
  #namesOf(ip: string): string[] {
    const services = this.#state.services.filter(({ clusterIPs }) => clusterIPs.includes(ip));
    if (services[0] !== undefined) return [this.#serviceName(services[0])];
    const { clusterDomain } = this.#settings;
    return this.#state.endpointSlices.flatMap((slice) =>
      slice.endpoints
        .filter((endpoint) => isPublished(endpoint) && endpoint.addresses.includes(ip))
        .map(
          (endpoint) => `${endpointName(endpoint, ip)}.${slice.serviceName}.${slice.namespace}.svc.${clusterDomain}`,
        ),
    );
  }

  #addresses(name: string, type: 'A' | 'AAAA'): ZoneAnswer {
    if (name === nsName(this.#domain)) {
      const records = this.#settings.serverAddresses.map((address) => this.#address(name, address));
      return this.#foundOrNodata(records.filter((record) => record.type === type));
    }
    const records = this.#follow(name, type, []);
    return records === null ? this.#negative(Rcode.NXDOMAIN) : this.#foundOrNodata(records);
  }

  /** The addresses of a name, behind its CNAME where it is an ExternalName; `null` where there is no such name. */
  #follow(name: string, type: 'A' | 'AAAA', seen: readonly string[]): ResourceRecord[] | null {
    const backends = this.#backends(name);
    if (backends === null) return null;
    const records: ResourceRecord[] = [];
    for (const { host } of backends) {
      if (isIP(host) !== 0) {
        const record = this.#address(name, host);
        const isKnown = records.some((known) => isAddress(known) && known.address === record.address);
        if (record.type === type && !isKnown) records.push(record);
      } else if (host !== name && !seen.includes(host) && seen.length <= 7) {
        const alias = { name, ttlSeconds: this.#settings.ttlSeconds, type: 'CNAME', target: host } as const;
        // Without somebody to forward to, a target outside the cluster stays a name.
        const rest = isWithin(host, this.#domain) ? this.#follow(host, type, [...seen, host]) : null;
        if (!isWithin(host, this.#domain)) records.push(alias);
        else if (rest !== null && rest.length > 0) records.push(alias, ...rest);
      }
    }
    return records;
  }

  #srv(name: string): ZoneAnswer {
    const backends = name === nsName(this.#domain) ? [] : this.#backends(name);
    if (backends === null) return this.#negative(Rcode.NXDOMAIN);
    // "SRV for external services is not yet implemented".
    const internal = backends.filter(({ host }) => isIP(host) !== 0);
    // floor(100 / n), at least 1; the endpoints without a port, and both families of one endpoint, count as well.
    const weight = Math.max(1, Math.floor((100 / (100 * internal.length)) * 100));
    const answers = new Map<string, SrvRecord>();
    const glue = new Map<string, AddressRecord>();
    for (const { host, port, target } of internal) {
      if (port === null) continue;
      const { ttlSeconds } = this.#settings;
      answers.set(`${target} ${port}`, { name, ttlSeconds, type: 'SRV', priority: 0, weight, port, target });
      glue.set(`${target} ${host}`, this.#address(target, host));
    }
    return this.#foundOrNodata([...answers.values()], [...glue.values()]);
  }

  #ns(): ZoneAnswer {
    const target = nsName(this.#domain);
    const { ttlSeconds, serverAddresses } = this.#settings;
    return this.#foundOrNodata(
      [{ name: this.#domain, ttlSeconds, type: 'NS', target }],
      serverAddresses.map((address) => this.#address(target, address)),
    );
  }

  /** The negative answer to a type that the name does not have: whether there is such a name, an A question would tell. */
  #absent(name: string): ZoneAnswer {
    const isName = name === nsName(this.#domain) || this.#backends(name) !== null;
    return this.#negative(isName ? Rcode.NOERROR : Rcode.NXDOMAIN);
  }

  #foundOrNodata(answers: readonly ResourceRecord[], additionals: readonly ResourceRecord[] = []): ZoneAnswer {
    return answers.length === 0 ? this.#negative(Rcode.NOERROR) : this.#found(answers, additionals);
  }

  #negative(rcode: number): ZoneAnswer {
    return negativeAnswer(rcode, this.#state, this.#settings, this.#domain);
  }

  #address(name: string, address: string): AddressRecord {
    return { name, ttlSeconds: this.#settings.ttlSeconds, type: isIP(address) === 4 ? 'A' : 'AAAA', address };
  }

  #serviceName({ name, namespace }: ServiceObject): string {
    return `${name}.${namespace}.svc.${this.#settings.clusterDomain}`;
  }

  /** What a name within the zone stands for; `[]` for one that exists and has no records, `null` for one that does not. */
  #backends(name: string): readonly Backend[] | null {
    if (name === this.#domain) return [];
    if (this.#domain !== this.#settings.clusterDomain) return null;
    const labels = name.slice(0, -this.#domain.length - 1).split('.');
    const kind = labels.pop();
    if (kind !== 'svc' && kind !== 'pod') return null;
    const namespace = labels.pop();
    if (namespace === undefined) return [];
    if (!this.#state.namespaces.includes(namespace)) return null;
    const last = labels.pop();
    if (last === undefined) return [];
    // More than endpoint, or port and protocol, is too long a name.
    if (labels.length > 2) return null;
    if (kind === 'pod') return this.#pod(last, name);
    const service = this.#state.services.find((one) => one.namespace === namespace && one.name === last);
    if (service === undefined) return null;
    const [first, protocol] = labels.map((label) => label.replace(/^_/, ''));
    if (protocol !== undefined) return orNull(this.#backendsOf(service, null, { name: first ?? '', protocol }));
    return orNull(this.#backendsOf(service, labels[0] ?? null, null));
  }

  #backendsOf(
    service: ServiceObject,
    endpointHostname: string | null,
    asked: { readonly name: string; readonly protocol: string } | null,
  ): Backend[] {
    const isAsked = (port: Port): boolean =>
      asked === null ||
      (port.name.toLowerCase() === asked.name && port.protocol.toLowerCase() === asked.protocol.toLowerCase());
    const target = this.#serviceName(service);
    if (service.type === 'ExternalName') {
      const host = service.externalName?.toLowerCase().replace(/\.$/, '');
      return endpointHostname === null && asked === null && host !== undefined ? [{ host, port: null, target }] : [];
    }
    if (service.type === 'Headless' || endpointHostname !== null) {
      return this.#state.endpointSlices
        .filter(({ namespace, serviceName }) => namespace === service.namespace && serviceName === service.name)
        .flatMap((slice) => this.#endpoints(slice, target, endpointHostname, asked === null ? null : isAsked));
    }
    return portsOrNone(service.ports, asked === null ? null : isAsked).flatMap((port) =>
      service.clusterIPs.map((host) => ({ host, port, target })),
    );
  }

  /** An endpoint answers to its name also where the Service has a cluster IP: the plugin's way, not the specification's. */
  #endpoints(
    slice: EndpointSlice,
    serviceName: string,
    hostname: string | null,
    isAsked: ((port: Port) => boolean) | null,
  ): Backend[] {
    const ports = portsOrNone(slice.ports, isAsked);
    return slice.endpoints.filter(isPublished).flatMap((endpoint) =>
      endpoint.addresses.flatMap((host) => {
        const own = endpointName(endpoint, host);
        if (hostname !== null && own !== hostname) return [];
        return ports.map((port) => ({ host, port, target: `${own}.${serviceName}` }));
      }),
    );
  }

  #pod(label: string, name: string): readonly Backend[] | null {
    if (this.#settings.pods === 'disabled') return null;
    const isDotted = /^[^-]+(?:-[^-]+){3}$/.test(label);
    const host = normaliseAddress(label.replaceAll('-', isDotted ? '.' : ':'));
    return host === null ? null : [{ host, port: 0, target: name }];
  }
}

function orNull(backends: readonly Backend[]): readonly Backend[] | null {
  return backends.length === 0 ? null : backends;
}

/** The ports asked for. An endpoint without any port is there all the same, but answers to no port name. */
function portsOrNone(ports: readonly Port[], isAsked: ((port: Port) => boolean) | null): (number | null)[] {
  if (isAsked !== null) return ports.filter(isAsked).map(({ port }) => port);
  return ports.length === 0 ? [null] : ports.map(({ port }) => port);
}

function isPublished({ conditions }: Endpoint): boolean {
  return conditions.ready;
}

/** The endpoint's hostname, else its IP with dashes; a final dash gets a 0 behind it (since CoreDNS 1.12.3). */
function endpointName(endpoint: Endpoint, ip: string): string {
  return endpoint.hostname?.toLowerCase() ?? ip.replaceAll(/[.:]/g, '-').replace(/-$/, '-0');
}

function nsName(domain: string): string {
  return `ns.dns.${domain}`;
}

/** plugin/backend_lookup.go, `SOA`. */
function soaOf(state: ClusterState, { ttlSeconds }: ZoneSettings, zone: string): SoaRecord {
  return {
    name: zone,
    ttlSeconds: Math.min(ttlSeconds, 300),
    type: 'SOA',
    mname: nsName(zone),
    rname: `hostmaster.${zone}`,
    serial: state.resourceVersion,
    refresh: 7_200,
    retry: 1_800,
    expire: 86_400,
    minimumSeconds: ttlSeconds,
  };
}

/** `10.244.0.7` for `7.0.244.10.in-addr.arpa`; 32 nibbles for IPv6 (RFC 1035 section 3.5, RFC 3596 section 2.5). */
function addressOfReverseName(name: string): string | null {
  const [, four] = /^((?:[0-9]{1,3}\.){3}[0-9]{1,3})\.in-addr\.arpa$/.exec(name) ?? [];
  if (four !== undefined) return normaliseAddress(four.split('.').reverse().join('.'));
  const [, nibbles] = /^((?:[0-9a-f]\.){31}[0-9a-f])\.ip6\.arpa$/.exec(name) ?? [];
  if (nibbles === undefined) return null;
  return formatIpv6(Buffer.from(nibbles.split('.').reverse().join(''), 'hex'), 0);
}

function isAddress(record: ResourceRecord): record is AddressRecord {
  return record.type === 'A' || record.type === 'AAAA';
}

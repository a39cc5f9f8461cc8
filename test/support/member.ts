import type { Environment } from '../../src/identity/environment.ts';
import type { DiscoverOptions, ObserveOptions } from '../../src/options.ts';
import type { PeerDiscovery } from '../../src/peer-discovery.ts';
import { createMember, createObserver } from '../../src/peer-discovery.ts';
import type { PeerDiscoveryEvents } from '../../src/topology/events.ts';
import type { Peer, Topology } from '../../src/topology/topology.ts';
import { ScriptedDns } from './scripted-dns.ts';

/** The files of a pod of the set `web` behind `nginx`, as the kubelet makes them, and variables. */
export function podEnvironment(
  podName: string,
  addresses: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Environment {
  const own = addresses.map((address) => `${address}\t${podName}.nginx.default.svc.cluster.local\t${podName}`);
  const files: Record<string, string> = {
    '/etc/hosts': ['# Kubernetes-managed hosts file.', '127.0.0.1\tlocalhost', ...own, ''].join('\n'),
    '/etc/resolv.conf':
      'search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n',
  };
  return {
    hostname: () => podName,
    variables,
    readFile: (path) => files[path] ?? null,
    pause: () => undefined,
  };
}

/** A member of the set on a scripted DNS. `addresses` are its own, `[]` where it does not know them. */
export function member(
  podName: string,
  addresses: readonly string[],
  options: DiscoverOptions = {},
  dns: ScriptedDns = new ScriptedDns(),
): { peers: PeerDiscovery<Peer>; dns: ScriptedDns } {
  const environment = podEnvironment(podName, addresses);
  return { peers: createMember({ port: 'peer', ...options }, { environment, transport: dns }), dns };
}

/** An observer of the set on a scripted DNS. */
export function observer(
  options: Partial<ObserveOptions> = {},
  dns: ScriptedDns = new ScriptedDns(),
): { peers: PeerDiscovery<null>; dns: ScriptedDns } {
  const environment = podEnvironment('writer-7d9c5b6f4-x2x9z', ['10.0.9.9']);
  const all = { statefulSet: 'web', service: 'nginx', port: 'peer', ...options };
  return { peers: createObserver(all, { environment, transport: dns }), dns };
}

/** Every event, in the order of promise 13. */
export const eventNames: readonly (keyof PeerDiscoveryEvents)[] = [
  'peerRemoved',
  'peerAdded',
  'peerMoved',
  'presenceChanged',
  'primaryChanged',
  'roleChanged',
  'topologyChanged',
  'freshnessChanged',
  'closed',
];

/** One event as a listener gets it. */
export interface Heard {
  readonly name: keyof PeerDiscoveryEvents;
  /** `undefined` for `closed`. */
  readonly event: unknown;
}

/** Keeps every event. */
export function hear(peers: PeerDiscovery): Heard[] {
  const heard: Heard[] = [];
  for (const name of eventNames) {
    peers.on(name, (...args: unknown[]) => {
      heard.push({ name, event: args[0] });
    });
  }
  return heard;
}

/** Writes down every event as one line, for example `peerMoved web-1 10.0.0.2>10.0.0.9 (answer)`. */
export function record(peers: PeerDiscovery): string[] {
  const lines: string[] = [];
  for (const name of eventNames) {
    peers.on(name, (...args: unknown[]) => {
      lines.push(line(name, args[0]));
    });
  }
  return lines;
}

function line(name: string, event: unknown): string {
  if (event === undefined) return name;
  const { current, previous, cause } = event as {
    current: Partial<Peer & Topology & { state: string }> | string | null;
    previous: Partial<Peer & { state: string }> | string | null;
    cause?: string;
  };
  const said = (one: typeof current): string =>
    typeof one === 'object' && one !== null ? (one.podName ?? one.state ?? '') : String(one);
  if (name === 'freshnessChanged') return `freshnessChanged ${said(current)}`;
  if (name === 'topologyChanged') return `topologyChanged ${(current as Topology).version}`;
  const why = ` (${cause ?? '?'})`;
  if (name === 'primaryChanged' || name === 'roleChanged') return `${name} ${said(previous)}>${said(current)}${why}`;
  if (name === 'peerMoved') return `peerMoved ${said(current)} ${at(previous as Peer)}>${at(current as Peer)}${why}`;
  if (name === 'presenceChanged') return `presenceChanged ${said(current)} ${(current as Peer).presence}${why}`;
  return `${name} ${said(current ?? previous)}${name === 'peerAdded' ? ` ${at(current as Peer)}` : ''}${why}`;
}

/** `10.0.0.1+fd00::1`, or `nowhere`. */
export function at(peer: Peer | undefined): string {
  return peer?.addresses.map(({ address }) => address).join('+') || 'nowhere';
}

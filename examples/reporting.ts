/**
 * How the programs of the story tell what they see: to the process that started them, or as JSON lines. No part of what
 * an application needs.
 */
import { get } from 'node:http';
import type { Peer, PeerDiscovery } from 'stateful-peers';

/** One JSON line, or a message to the process that started this one. */
export function report(message: Readonly<Record<string, unknown>>): void {
  if (process.send === undefined) process.stdout.write(`${JSON.stringify(message)}\n`);
  else if (process.connected) process.send(message);
}

/** Every event, and every new topology. */
export function reportEvents(peers: PeerDiscovery): void {
  for (const name of ['peerRemoved', 'peerAdded', 'peerMoved', 'presenceChanged', 'primaryChanged'] as const) {
    peers.on(name, (event) => {
      const peer = event.current ?? (name === 'primaryChanged' ? null : event.previous);
      const { topologyVersion: version, cause } = event;
      const address = peer === null ? null : placeOf(peer);
      const presence = peer?.presence ?? null;
      report({ kind: 'event', name, version, podName: peer?.podName ?? null, cause, address, presence });
    });
  }
  peers.on('roleChanged', ({ topologyVersion: version, current, cause }) => {
    report({ kind: 'event', name: 'roleChanged', version, podName: peers.identity.podName, cause, role: current });
  });
  peers.on('topologyChanged', ({ topologyVersion: version, current, cause }) => {
    report({ kind: 'event', name: 'topologyChanged', version, podName: null, cause });
    const seen = Object.fromEntries(current.peers.map((peer) => [peer.podName, placeOf(peer)]));
    report({ kind: 'topology', version, primary: current.primary?.podName ?? null, peers: seen });
  });
}

/** `127.1.0.1:7000`, or `null` while nothing is known. */
export function placeOf({ addresses: [first], port }: Peer): string | null {
  return first === undefined ? null : `${first.address}:${port ?? '?'}`;
}

/** The pod name that is answered at that address; `null` when nobody answers. */
export function whoAnswers(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const asking = get({ host, port, path: '/', agent: false, timeout: 1_000 }, (response) => {
      response.resume();
      const { pod } = response.headers;
      resolve(typeof pod === 'string' ? pod : null);
    });
    asking.on('timeout', () => asking.destroy());
    asking.on('error', () => resolve(null));
  });
}

/** Whoever started this process is gone; perhaps it was before anybody could listen here. */
export function endWithParent(): void {
  process.once('disconnect', () => process.exit(0));
  if (process.send !== undefined && !process.connected) process.exit(0);
}

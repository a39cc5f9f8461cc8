/**
 * How the programs of the story tell what they see: to the process that started them, or as JSON lines. No part of what
 * an application needs.
 */
import type { PeerDiscovery } from 'stateful-peers';

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
      const address = peer?.addresses[0]?.address ?? null;
      report({
        kind: 'event',
        name,
        version,
        podName: peer?.podName ?? null,
        cause,
        address,
        presence: peer?.presence ?? null,
      });
    });
  }
  peers.on('roleChanged', ({ topologyVersion: version, current, cause }) => {
    report({ kind: 'event', name: 'roleChanged', version, podName: peers.identity.podName, cause, role: current });
  });
  peers.on('topologyChanged', ({ topologyVersion: version, current, cause }) => {
    report({ kind: 'event', name: 'topologyChanged', version, podName: null, cause });
    const seen = Object.fromEntries(current.peers.map((peer) => [peer.podName, peer.addresses[0]?.address ?? null]));
    report({ kind: 'topology', version, primary: current.primary?.podName ?? null, peers: seen });
  });
}

/** Whoever started this process is gone: nobody is left to tell. */
export function endWithParent(): void {
  process.once('disconnect', () => process.exit(0));
}

import { PeerDiscoveryError } from '../errors.ts';
import type { Peer, Topology } from './topology.ts';

/**
 * Whom a call is about: a role (`'primary'`, `'replica'`), anybody (`'any'`), or one peer by pod name, ordinal or
 * `Peer` (its name counts, so that an old snapshot's peer serves as well). `'replica'` and `'any'` are never self.
 */
export type Target = 'primary' | 'replica' | 'any' | (string & {}) | number | Peer;

/** A target, checked: a role, or the ordinal of one pod of the set. */
export type CheckedTarget = 'primary' | 'replica' | 'any' | { readonly ordinal: number; readonly podName: string };

/**
 * @throws {@link PeerDiscoveryError} `ERR_UNKNOWN_PEER` for what is no target of this set
 */
export function checkTarget(target: unknown, statefulSet: string): CheckedTarget {
  if (target === 'primary' || target === 'replica' || target === 'any') return target;
  const name = typeof target === 'object' && target !== null && 'podName' in target ? target.podName : target;
  const text = typeof name === 'number' ? `${statefulSet}-${name}` : name;
  if (typeof text === 'string' && text.startsWith(`${statefulSet}-`)) {
    const ordinal = text.slice(statefulSet.length + 1);
    if (/^(?:0|[1-9][0-9]{0,9})$/.test(ordinal) && Number(ordinal) <= 0x7fff_ffff) {
      return { ordinal: Number(ordinal), podName: text };
    }
  }
  const shown = typeof name === 'string' || typeof name === 'number' ? JSON.stringify(name) : typeof name;
  const expected = `'primary', 'replica', 'any', a pod name like '${statefulSet}-0', an ordinal or a Peer`;
  throw new PeerDiscoveryError(
    'ERR_UNKNOWN_PEER',
    `target ${shown} is no peer of ${statefulSet}; expected ${expected}`,
    {
      value: target,
      expected,
    },
  );
}

/**
 * The peers that a target means now. For `'replica'` and `'any'`: never self, and missing ones only while nobody else
 * is there.
 */
export function peersFor(target: CheckedTarget, topology: Topology): readonly Peer[] {
  if (target === 'primary') return topology.primary === null ? [] : [topology.primary];
  if (typeof target === 'object') {
    const peer = topology.peer(target.ordinal);
    return peer === undefined ? [] : [peer];
  }
  const others = (target === 'replica' ? topology.replicas : topology.peers).filter((peer) => !peer.isSelf);
  const published = others.filter((peer) => peer.presence === 'published');
  return published.length > 0 ? published : others;
}

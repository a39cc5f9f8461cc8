import type { Addresses } from '../connect/addresses.ts';
import { PeerDiscoveryError, optionError } from '../errors.ts';
import type { CheckedTarget } from '../topology/target.ts';
import type { Topology } from '../topology/topology.ts';
import type { PeerPool } from './peer-pool.ts';

/** What an origin means. */
export interface Route {
  readonly target: CheckedTarget;
  readonly protocol: 'http:' | 'https:';
  /** The port in the origin; `null` where it names none (or the protocol's own, which a URL leaves out). */
  readonly port: number | null;
  /** Where its last request went, and by which topology. */
  last: { readonly topology: Topology; readonly pool: PeerPool } | null;
}

/**
 * Reads an origin: `http://primary`, `http://web-1:8080`, `https://web-1.nginx.default.svc.cluster.local`.
 *
 * @throws `ERR_UNKNOWN_PEER` for an origin that is no peer of this set
 */
export function routeOf(origin: unknown, addresses: Addresses): Route {
  const { statefulSet, serviceName } = addresses.source;
  const text = origin instanceof URL ? origin.origin : origin;
  if (typeof text !== 'string') throw optionError('origin', origin, `a URL such as 'http://${statefulSet}-0'`);
  const url = URL.canParse(text) ? new URL(text) : null;
  const target = url === null ? null : addresses.named(url.hostname);
  if (url === null || target === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    const expected = `http or https, and a host that is 'primary', 'replica', 'any', a pod name like '${statefulSet}-0' or its name under ${serviceName}`;
    throw new PeerDiscoveryError(
      'ERR_UNKNOWN_PEER',
      `origin ${JSON.stringify(text)} is no peer of ${statefulSet}; expected ${expected}; use another dispatcher for other origins`,
      { value: text, expected },
    );
  }
  return { target, protocol: url.protocol, port: url.port === '' ? null : Number(url.port), last: null };
}

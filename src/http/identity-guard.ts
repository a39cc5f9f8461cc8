import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Peer } from '../topology/topology.ts';
import { optionError } from '../errors.ts';
import { refusalHeader, targetHeader } from './identity-headers.ts';

/** A library object of a member, as far as the guard sees it. */
export interface Guarded {
  /** Who this process is. */
  readonly identity: {
    /** `web-1`. */
    readonly podName: string | null;
    /** FQDN of the governing Service. */
    readonly serviceName: string;
    /** `web`. */
    readonly statefulSet: string;
  };
  /** This pod: `superseded` where another process has its name now. */
  readonly self: Peer;
}

/**
 * What {@link createIdentityGuard} gives: a function for `node:http` and whatever is built on it. True where the request
 * may be served; then `next`, if given, has been called. False where it was refused; then it has been answered.
 */
export type IdentityGuard = (
  request: Pick<IncomingMessage, 'headers' | 'url'> & { resume?(): unknown },
  response: ServerResponse | Duplex,
  next?: () => void,
) => boolean;

/**
 * Makes a guard that refuses requests which are meant for another pod, with 421 (Misdirected Request, RFC 9110 section
 * 15.5.20), before anything is processed: what Host or the dispatcher's target header names in pod form (`web-2`,
 * `web-2.nginx`, `web-2.nginx.default.svc.cluster.local`, also of other sets and namespaces by full name) and is not this
 * pod. While another process has this pod's name, everything of pod form is refused. IP addresses, Service names and
 * foreign hosts pass: probes and gateways use them.
 *
 * `node:http`: `if (!guard(request, response)) return;`, Express: `app.use(guard)`, Fastify:
 * `addHook('onRequest', (request, reply, done) => void guard(request.raw, reply.raw, done))`, upgrades:
 * `server.on('upgrade', (request, socket) => { if (!guard(request, socket)) return; … })`.
 *
 * @param peers - what `discoverPeers()` gave
 */
export function createIdentityGuard(peers: Guarded): IdentityGuard {
  const { podName, serviceName, statefulSet } = identityOf(peers);
  const own = new Set<string>();
  const labels = [podName, ...serviceName.split('.')];
  for (let count = 1; count <= labels.length; count += 1) own.add(labels.slice(0, count).join('.'));
  const namesPod = podForm(statefulSet, serviceName);
  return (request, response, next) => {
    const isSuperseded = peers.self.presence === 'superseded';
    for (const name of namesIn(request)) {
      if (!namesPod(name) || (own.has(name) && !isSuperseded)) continue;
      const why = isSuperseded ? `${podName} has been replaced by another process` : `this is ${podName}`;
      // As another than itself: a client that means this name has to look for it elsewhere.
      const by = isSuperseded ? `${podName}; superseded` : podName;
      refuse(request, response, by, `421 Misdirected Request: meant for ${name}, ${why}\n`);
      return false;
    }
    next?.();
    return true;
  };
}

function identityOf(peers: Guarded): Guarded['identity'] & { podName: string } {
  // A caller in JavaScript may give anything, and an observer has no name to guard.
  const { podName, serviceName, statefulSet } = (peers as Partial<Guarded> | null)?.identity ?? {};
  if (typeof podName === 'string' && typeof serviceName === 'string' && typeof statefulSet === 'string')
    return { podName, serviceName, statefulSet };
  throw optionError('peers', peers, 'what discoverPeers() gave: an observer has no identity to guard');
}

/** Whether a host name is in the form of a pod's: of this set in any length, of any set by its full name. */
function podForm(statefulSet: string, serviceName: string): (name: string) => boolean {
  const endings = new Set(['']);
  const labels = serviceName.split('.');
  for (let count = 1; count <= labels.length; count += 1) endings.add(`.${labels.slice(0, count).join('.')}`);
  const ordinal = /-(?:0|[1-9][0-9]{0,9})$/;
  return (name) => {
    const dot = name.indexOf('.');
    const [first, rest] = dot === -1 ? [name, ''] : [name.slice(0, dot), name.slice(dot)];
    if (!ordinal.test(first)) return false;
    if (endings.has(rest) && first.replace(ordinal, '') === statefulSet) return true;
    // web-1.nginx.staging.svc.cluster.local: another namespace's pod of the same name is a stranger too.
    return /^\.[^.]+\.[^.]+\.svc\../.test(rest);
  };
}

function namesIn({ headers, url }: Pick<IncomingMessage, 'headers' | 'url'>): string[] {
  const names: string[] = [];
  const authority = (headers as Record<string, unknown>)[':authority'];
  for (const given of [headers[targetHeader], headers.host, authority, absoluteForm(url)]) {
    for (const value of Array.isArray(given) ? (given as unknown[]) : [given]) {
      if (typeof value === 'string' && value !== '') names.push(hostOf(value));
    }
  }
  return names;
}

/** `GET http://web-1/path`: what a client sends to a proxy. */
function absoluteForm(url: string | undefined): string | undefined {
  if (url === undefined || url.startsWith('/') || !URL.canParse(url)) return undefined;
  return new URL(url).host;
}

function hostOf(value: string): string {
  return value
    .trim()
    .toLowerCase()
    .replace(/:[0-9]*$/, '')
    .replace(/\.$/, '');
}

function refuse(request: { resume?(): unknown }, response: ServerResponse | Duplex, by: string, text: string): void {
  if ('writeHead' in response) {
    response.writeHead(421, { [refusalHeader]: by, 'content-type': 'text/plain', 'cache-control': 'no-store' });
    response.end(text);
    // What is still coming is read and thrown away: a connection that is closed over unread data is reset, and then the
    // refusal itself may be lost.
    request.resume?.();
    return;
  }
  const head = ['HTTP/1.1 421 Misdirected Request', `${refusalHeader}: ${by}`, 'content-type: text/plain'];
  const length = `content-length: ${Buffer.byteLength(text)}`;
  response.on('error', () => undefined);
  response.end([...head, length, 'connection: close', '', text].join('\r\n'));
}

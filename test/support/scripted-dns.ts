import { decodeMessage } from '../../src/dns/decode.ts';
import { encodeMessage } from '../../src/dns/encode.ts';
import type { Message, ResourceRecord } from '../../src/dns/message.ts';
import { Rcode } from '../../src/dns/message.ts';
import type { DnsTransport, ServerAddress } from '../../src/dns/transport.ts';

/** Which pods a DNS server names, and where: `{ 'web-0': '10.0.0.1', 'web-1': ['10.0.0.2', 'fd00::2'] }`. */
export type View = Readonly<Record<string, string | readonly string[]>>;

/** What a server does in place of answering. `truncated`: nothing but TC over UDP, and no TCP. */
export type Fault = 'servfail' | 'refused' | 'silent' | 'closed' | 'garbage' | 'truncated';

const serviceName = 'nginx.default.svc.cluster.local';
const zone = 'cluster.local';

/**
 * A DNS that says exactly what a test tells it to, in memory: the views take turns, one a question, as the replicas
 * behind a cluster IP do. For what a cluster would say, use the embedded cluster of src/testing.
 */
export class ScriptedDns implements DnsTransport {
  /** One view, or several that take turns. A fault in place of a view is that replica's. */
  views: readonly (View | Fault)[] = [{}];
  /** Questions (`A web-0.nginx.default.svc.cluster.local`) that are answered from another view. */
  readonly exceptions: Map<string, View | Fault> = new Map<string, View | Fault>();
  /** How long an answer takes, in milliseconds. */
  latencyMs = 0;
  port = 7_000;
  /** TTL, and negative TTL, in seconds. */
  ttlSeconds = 5;
  /** Every question that was asked, as `TYPE name`. */
  readonly asked: string[] = [];
  isClosed = false;
  #turn = 0;

  udp<T>(
    _server: ServerAddress,
    query: Uint8Array,
    accept: (response: Uint8Array) => T | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    return this.#exchange(query, accept, signal);
  }

  tcp<T>(
    _server: ServerAddress,
    query: Uint8Array,
    accept: (response: Uint8Array) => T | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    return this.#exchange(query, accept, signal, true);
  }

  close(): void {
    this.isClosed = true;
  }

  async #exchange<T>(
    query: Uint8Array,
    accept: (response: Uint8Array) => T | undefined,
    signal: AbortSignal,
    isTcp = false,
  ): Promise<T> {
    const request = decodeMessage(query);
    const [question] = request.questions;
    if (question === undefined) throw new Error('a query without a question');
    const asked = `${question.type} ${question.name}`;
    this.asked.push(asked);
    const turn = this.views[this.#turn++ % this.views.length] ?? {};
    const view = this.exceptions.get(asked) ?? turn;
    await this.#travel(signal);
    signal.throwIfAborted();
    if (view === 'closed' || (view === 'truncated' && isTcp))
      throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    if (view !== 'silent') {
      const accepted = accept(this.#response(request, String(question.type), question.name, view));
      if (accepted !== undefined) return accepted;
    }
    return await new Promise<T>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a signal's reason is passed as it is
        reject(signal.reason);
      });
    });
  }

  /** The time an answer takes; over at once when the question is given up. */
  async #travel(signal: AbortSignal): Promise<void> {
    if (this.latencyMs === 0) return;
    await new Promise<void>((resolve) => {
      const arrived = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', arrived);
        resolve();
      };
      const timer = setTimeout(arrived, this.latencyMs);
      signal.addEventListener('abort', arrived);
    });
  }

  #response(
    request: Message,
    type: string,
    name: string,
    view: View | Exclude<Fault, 'silent' | 'closed'>,
  ): Uint8Array {
    if (view === 'garbage') {
      const bytes = encodeMessage({ ...request, isResponse: true, edns: null });
      bytes[7] = 200;
      return bytes;
    }
    const empty: Message = { ...request, isResponse: true, authoritative: true, edns: null };
    if (view === 'truncated') return encodeMessage({ ...empty, truncated: true });
    if (typeof view === 'string') {
      return encodeMessage({ ...empty, rcode: view === 'refused' ? Rcode.REFUSED : Rcode.SERVFAIL });
    }
    const { answers, additionals, exists } = this.#records(type, name, view);
    if (answers.length > 0) return encodeMessage({ ...empty, answers, additionals });
    return encodeMessage({ ...empty, rcode: exists ? Rcode.NOERROR : Rcode.NXDOMAIN, authorities: [this.#soa()] });
  }

  #records(
    type: string,
    name: string,
    view: View,
  ): { answers: ResourceRecord[]; additionals: ResourceRecord[]; exists: boolean } {
    const pods = Object.entries(view).map(([pod, addresses]) => ({
      host: `${pod}.${serviceName}`,
      addresses: typeof addresses === 'string' ? [addresses] : addresses,
    }));
    const addressRecords = (owner: string, texts: readonly string[]): ResourceRecord[] =>
      texts.map((address) => ({
        type: address.includes(':') ? 'AAAA' : 'A',
        name: owner,
        ttlSeconds: this.ttlSeconds,
        address,
      }));
    if (type === 'SRV') {
      const isServed = name === serviceName || name === `_peer._tcp.${serviceName}`;
      if (!isServed || pods.length === 0) return { answers: [], additionals: [], exists: false };
      const answers = pods.map(({ host }): ResourceRecord => ({
        type: 'SRV',
        name,
        ttlSeconds: this.ttlSeconds,
        priority: 0,
        weight: 100,
        port: this.port,
        target: host,
      }));
      const additionals = pods.flatMap(({ host, addresses }) => addressRecords(host, addresses));
      return { answers, additionals, exists: true };
    }
    const named = name === serviceName ? pods : pods.filter(({ host }) => host === name);
    const all = addressRecords(name, [...new Set(named.flatMap(({ addresses }) => addresses))]);
    const exists = named.length > 0 || name === `default.svc.${zone}`;
    return { answers: all.filter((record) => record.type === type), additionals: [], exists };
  }

  #soa(): ResourceRecord {
    return {
      type: 'SOA',
      name: zone,
      ttlSeconds: this.ttlSeconds,
      mname: `ns.dns.${zone}`,
      rname: `hostmaster.${zone}`,
      serial: 1,
      refresh: 7_200,
      retry: 1_800,
      expire: 86_400,
      minimumSeconds: this.ttlSeconds,
    };
  }
}

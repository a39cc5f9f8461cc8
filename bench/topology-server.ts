import { ClusterHistory } from '../src/testing/cluster-state.ts';
import type { ClusterState, EndpointSlice } from '../src/testing/cluster-state.ts';
import type { DnsTransportName } from '../src/testing/dns-faults.ts';
import { DnsServer } from '../src/testing/dns-server.ts';
import type { DnsReply } from '../src/testing/embedded-dns.ts';
import { EmbeddedDns } from '../src/testing/embedded-dns.ts';

// The DNS server of `topology.ts`, a process of its own: see there for the reason. It does what it is told over IPC.

/** What the parent asks for. */
export type Request =
  /** A set of that many pods from now on, that many milliseconds away and back. */
  | { readonly kind: 'serve'; readonly pods: number; readonly delayMs: number }
  /** What was asked since the last time. */
  | { readonly kind: 'count' };

/** Where the server listens. */
export interface Listening {
  readonly address: string;
  readonly port: number;
}

/** Questions as the server saw them: one that came twice, or over UDP and again over TCP, counts twice. */
export interface Questions {
  readonly udp: number;
  readonly tcp: number;
  /** How many different ones (name and type) there were. */
  readonly different: number;
}

class BenchDns extends EmbeddedDns {
  readonly #history: ClusterHistory;
  /** Answers by question, without the id. */
  readonly #replies = new Map<string, Uint8Array>();
  #connections = 0;
  #lastConnection = 0;
  #delayMs = 0;
  #counts = { udp: 0, tcp: 0, names: new Set<string>() };

  constructor() {
    const history = new ClusterHistory(stateOf(0));
    super(history, { ttlSeconds: 30 });
    this.#history = history;
  }

  serve(pods: number, delayMs: number): void {
    this.#history.record(stateOf(pods));
    this.#replies.clear();
    this.#delayMs = delayMs;
  }

  count(): Questions {
    const { udp, tcp, names } = this.#counts;
    this.#counts = { udp: 0, tcp: 0, names: new Set() };
    return { udp, tcp, different: names.size };
  }

  /** Numbers the TCP connections, which ask for a replica when they open: there is one, whatever the number. */
  override nextReplica(): number {
    this.#connections += 1;
    return this.#connections;
  }

  /**
   * Each answer is put together once, so that what is measured are the clients. This server looks at every pod for each
   * answer, and 500 questions for one address each would pay more for that than one question for all.
   */
  override receive(query: Uint8Array, transport: DnsTransportName, replica?: number): DnsReply {
    const bytes = Buffer.from(query.subarray(2));
    // Without EDNS, which is behind the question and which c-ares leaves away.
    const question = bytes.subarray(10, bytes.indexOf(0, 10) + 5).toString('latin1');
    this.#counts[transport] += 1;
    this.#counts.names.add(question);

    const key = `${transport} ${bytes.toString('latin1')}`;
    let packet = this.#replies.get(key);
    if (packet === undefined) {
      packet = super.receive(query, transport, 0).packets[0] ?? new Uint8Array(0);
      this.#replies.set(key, packet);
    }
    const own = Uint8Array.from(packet);
    own.set(query.subarray(0, 2));
    return { packets: [own], delayMs: this.#delayMs * (this.#isFirst(replica) ? 2 : 1) };
  }

  /** The first question of a connection waits twice: a network delays the handshake as well, loopback does not. */
  #isFirst(connection: number | undefined): boolean {
    if (connection === undefined || connection <= this.#lastConnection) return false;
    this.#lastConnection = connection;
    return true;
  }
}

/** `web-0` to `web-<pods - 1>` of `nginx` in `default`, all of them published, in slices of 100 as the controller cuts. */
function stateOf(pods: number): ClusterState {
  const ports = [{ name: 'peer', port: 7_000, protocol: 'TCP' }] as const;
  const slices = Array.from({ length: Math.ceil(pods / 100) }, (_, part): EndpointSlice => ({
    ...{ name: `nginx-${part}`, namespace: 'default', serviceName: 'nginx', addressType: 'IPv4', ports },
    endpoints: Array.from({ length: Math.min(100, pods - part * 100) }, (__, index) => {
      const ordinal = part * 100 + index;
      const podName = `web-${ordinal}`;
      return {
        addresses: [`10.244.${Math.floor(ordinal / 200)}.${(ordinal % 200) + 2}`],
        conditions: { ready: true, serving: true, terminating: false },
        ...{ hostname: podName, targetRef: podName },
      };
    }),
  }));
  return {
    ...{ resourceVersion: 1, namespaces: ['default'], endpointSlices: slices },
    services: [
      { name: 'nginx', namespace: 'default', type: 'Headless', clusterIPs: [], externalName: null, ports: [...ports] },
    ],
  };
}

const dns = new BenchDns();
const server = await DnsServer.listen(dns);
process.on('message', (request: Request) => {
  if (request.kind === 'count') {
    process.send?.(dns.count());
    return;
  }
  dns.serve(request.pods, request.delayMs);
  process.send?.({ address: server.address, port: server.port } satisfies Listening);
});
// Whoever asked has gone.
process.on('disconnect', () => process.exit());

import type { DnsTransport, ServerAddress } from '../dns/transport.ts';
import type { EmbeddedDns } from './embedded-dns.ts';

/** Where servers are, for a client with several: `null` is a closed port. */
export type ServerLookup = (server: ServerAddress) => EmbeddedDns | null;

/**
 * Carries questions to the embedded DNS without a socket: the same bytes, sizes and faults as over the network. Only a
 * delayed answer needs a timer, so a test with fake timers moves it all.
 *
 * @param dns - who answers, whatever server is asked; or which server is whose
 */
export function memoryTransport(dns: EmbeddedDns | ServerLookup): DnsTransport {
  return new MemoryTransport(typeof dns === 'function' ? dns : () => dns);
}

/** How long a TCP connection is kept, as over sockets. */
const keptMs = 30_000;

type Accept<T> = (response: Uint8Array) => T | undefined;

class MemoryTransport implements DnsTransport {
  readonly #lookup: ServerLookup;
  /** A connection keeps its replica. */
  readonly #connections = new Map<string, { readonly replica: number; readonly openedAt: number }>();
  readonly #dropped = new Map<EmbeddedDns, () => void>();
  readonly #open = new Set<(error: Error) => void>();
  #isClosed = false;

  constructor(lookup: ServerLookup) {
    this.#lookup = lookup;
  }

  udp<T>(server: ServerAddress, query: Uint8Array, accept: Accept<T>, signal: AbortSignal): Promise<T> {
    return this.#exchange(server, signal, (dns, finish) => deliver(() => dns.receive(query, 'udp'), accept, finish));
  }

  async tcp<T>(server: ServerAddress, query: Uint8Array, accept: Accept<T>, signal: AbortSignal): Promise<T> {
    const once = (): Promise<T> =>
      this.#exchange(server, signal, (dns, finish) => {
        const replica = this.#connect(server, dns);
        const block = dns.tcpBlock(replica);
        if (block === 'reset') finish.reject(networkError('ECONNRESET', server));
        const undo = block === null ? deliver(() => dns.receive(query, 'tcp', replica), accept, finish) : noop;
        const drop = (): void => finish.reject(new DroppedConnectionError(server));
        dns.on('tcpDropped', drop);
        return () => {
          dns.off('tcpDropped', drop);
          undo();
        };
      });
    try {
      return await once();
    } catch (error) {
      // As the interface has it: a connection that closes with the question open is asked once more.
      if (error instanceof DroppedConnectionError) return once();
      throw error;
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#connections.clear();
    for (const [dns, listener] of this.#dropped) dns.off('tcpDropped', listener);
    this.#dropped.clear();
    for (const reject of this.#open) reject(new Error('the transport was closed'));
  }

  #connect(server: ServerAddress, dns: EmbeddedDns): number {
    if (!this.#dropped.has(dns)) {
      const forget = (): void => this.#connections.clear();
      this.#dropped.set(dns, forget);
      dns.on('tcpDropped', forget);
    }
    const kept = this.#connections.get(key(server));
    if (kept !== undefined && performance.now() - kept.openedAt < keptMs) return kept.replica;
    const replica = dns.nextReplica();
    this.#connections.set(key(server), { replica, openedAt: performance.now() });
    return replica;
  }

  #exchange<T>(
    server: ServerAddress,
    signal: AbortSignal,
    start: (dns: EmbeddedDns, finish: Finish<T>) => () => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      signal.throwIfAborted();
      if (this.#isClosed) throw new Error('the transport was closed');
      const dns = this.#lookup(server);
      if (dns === null) throw networkError('ECONNREFUSED', server);
      let undo = noop;
      const done = new AbortController();
      const settled = (): void => {
        done.abort();
        signal.removeEventListener('abort', aborted);
        this.#open.delete(finish.reject);
        undo();
      };
      const finish: Finish<T> = {
        resolve(value) {
          settled();
          resolve(value);
        },
        reject(error) {
          settled();
          reject(error);
        },
      };
      const aborted = (): void => finish.reject(signal.reason as Error);
      signal.addEventListener('abort', aborted);
      this.#open.add(finish.reject);
      const stop = start(dns, finish);
      if (done.signal.aborted) stop();
      else undo = stop;
    });
  }
}

interface Finish<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** Hands the packets over, never in the call itself. Returns what stops it. */
function deliver<T>(
  receive: () => { readonly packets: readonly Uint8Array[]; readonly delayMs: number },
  accept: Accept<T>,
  finish: Finish<T>,
): () => void {
  let isStopped = false;
  const { packets, delayMs } = receive();
  const hand = (): void => {
    for (const packet of packets) {
      if (isStopped) return;
      try {
        const value = accept(packet);
        if (value !== undefined) finish.resolve(value);
      } catch (error) {
        finish.reject(error as Error);
      }
    }
  };
  if (delayMs === 0) {
    // Not queueMicrotask, which fake timers hold back.
    void Promise.resolve().then(hand);
    return () => {
      isStopped = true;
    };
  }
  const timer = setTimeout(hand, delayMs);
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}

class DroppedConnectionError extends Error {
  readonly code = 'ECONNRESET';

  constructor(server: ServerAddress) {
    super(`read ECONNRESET ${key(server)}`);
  }
}

function networkError(code: string, server: ServerAddress): Error {
  return Object.assign(new Error(`${code} ${key(server)}`), { code, ...server });
}

function key({ address, port }: ServerAddress): string {
  return `${address} ${port}`;
}

function noop(): void {
  // Nothing to undo.
}

import type { Cleanup, OpenQuestion } from './open-question.ts';
import { ask } from './open-question.ts';
import { TcpConnections } from './tcp.ts';
import { askOverUdp } from './udp.ts';

/** Where a DNS server listens. `address` is an IP in canonical text. */
export interface ServerAddress {
  readonly address: string;
  readonly port: number;
}

/**
 * Carries one question to one server. The real one uses node:dgram and node:net; the embedded cluster brings one that
 * works in memory.
 *
 * `accept` looks at each response: it returns what the caller wants to have, or `undefined` for a packet that is
 * none of ours (wrong id, other question, no response), which is dropped while the wait goes on. When it throws, the
 * exchange fails with that error.
 *
 * Both reject with `signal.reason` when the signal aborts, and with the system's error when the network refuses
 * (for example ECONNREFUSED). No exchange keeps the process alive by itself.
 */
export interface DnsTransport {
  /** One datagram from a fresh socket with a random source port; only datagrams from that server count. */
  udp<T>(
    server: ServerAddress,
    query: Uint8Array,
    accept: (response: Uint8Array) => T | undefined,
    signal: AbortSignal,
  ): Promise<T>;
  /**
   * One question over a TCP connection to that server, kept between questions and renewed every 30 s (a kept
   * connection pins one DNS replica). When it closes with the question open, it is asked once more on a fresh one.
   */
  tcp<T>(
    server: ServerAddress,
    query: Uint8Array,
    accept: (response: Uint8Array) => T | undefined,
    signal: AbortSignal,
  ): Promise<T>;
  /** Closes kept connections. Open exchanges reject. */
  close(): void;
}

/**
 * The real transport: sockets of node:dgram and node:net, all of them unref'd.
 *
 * UDP costs a socket a question, for its random source port; the kernel reports a closed port at once. TCP keeps one
 * connection for each server. Both reject with the system's error when a socket cannot be had.
 */
export function createNetworkTransport(): DnsTransport {
  const connections = new TcpConnections();
  const open = new Set<OpenQuestion>();
  let isClosed = false;

  const tracked = (start: (question: OpenQuestion) => Cleanup) => {
    return (question: OpenQuestion): Cleanup => {
      if (isClosed) throw closedError();
      const cleanup = start(question);
      open.add(question);
      return (isAnswered) => {
        open.delete(question);
        cleanup(isAnswered);
      };
    };
  };

  return {
    udp(server, query, accept, signal) {
      const start = tracked((question) => askOverUdp(server, question));
      return ask(query, accept, signal, start);
    },
    tcp(server, query, accept, signal) {
      const start = tracked((question) => connections.ask(server, question));
      return ask(query, accept, signal, start);
    },
    close() {
      isClosed = true;
      for (const question of open) question.fail(closedError());
      connections.close();
    },
  };
}

function closedError(): Error {
  return new Error('the DNS transport was closed');
}

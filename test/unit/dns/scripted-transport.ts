import { decodeMessage } from '../../../src/dns/decode.ts';
import { encodeMessage } from '../../../src/dns/encode.ts';
import type { Message } from '../../../src/dns/message.ts';
import type { DnsTransport, ServerAddress } from '../../../src/dns/transport.ts';

/** A query as the server sees it. */
export interface Asked {
  readonly server: string;
  readonly transport: 'udp' | 'tcp';
  readonly query: Message;
}

/**
 * What comes back: fields of a message (id and question are the query's unless given), bytes, an error of the network,
 * `'silence'`; or several packets, one after the other.
 */
export type Reaction = Partial<Message> | Uint8Array | Error | 'silence';

/** A transport without sockets: `react` says what comes back. Keeps what was asked. */
export class ScriptedTransport implements DnsTransport {
  readonly asked: Asked[] = [];
  isClosed = false;
  readonly #react: (asked: Asked) => Reaction | readonly Reaction[];

  constructor(react: (asked: Asked) => Reaction | readonly Reaction[]) {
    this.#react = react;
  }

  /** What was asked, as `udp 10.0.0.1`, with `-edns` where the query had none. */
  get log(): string[] {
    return this.asked.map(
      ({ server, transport, query }) => `${transport} ${server}${query.edns === null ? ' -edns' : ''}`,
    );
  }

  udp<T>(
    server: ServerAddress,
    query: Uint8Array,
    accept: (response: Uint8Array) => T | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    return this.#run('udp', server, query, accept, signal);
  }

  tcp<T>(
    server: ServerAddress,
    query: Uint8Array,
    accept: (response: Uint8Array) => T | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    return this.#run('tcp', server, query, accept, signal);
  }

  close(): void {
    this.isClosed = true;
  }

  #run<T>(
    transport: 'udp' | 'tcp',
    { address }: ServerAddress,
    bytes: Uint8Array,
    accept: (response: Uint8Array) => T | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    const asked: Asked = { server: address, transport, query: decodeMessage(bytes) };
    this.asked.push(asked);
    const reactions = [this.#react(asked)].flat<readonly (Reaction | readonly Reaction[])[]>();
    return new Promise((resolve, reject) => {
      for (const reaction of reactions) {
        if (reaction === 'silence') continue;
        if (reaction instanceof Error) {
          reject(reaction);
          return;
        }
        const accepted = accept(packetOf(reaction, asked.query));
        if (accepted === undefined) continue;
        resolve(accepted);
        return;
      }
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
    });
  }
}

/** The response to that query with these fields. */
export function packetOf(reaction: Partial<Message> | Uint8Array, query: Message): Uint8Array {
  if (reaction instanceof Uint8Array) return reaction;
  return encodeMessage({ ...query, isResponse: true, edns: null, ...reaction });
}

import { decodeMessage } from '../../src/dns/decode.ts';
import type { Message } from '../../src/dns/message.ts';
import { Rcode } from '../../src/dns/message.ts';
import type { DnsTransport, ServerAddress } from '../../src/dns/transport.ts';

/** What one answer that the client took says about pods of the set. */
interface Entry {
  readonly at: number;
  /** Pods that it shows, by SRV or by an address of their own names, and where. */
  readonly shown: ReadonlyMap<string, readonly string[]>;
  /** Whom it denies: this pod; everybody whom it does not show, for `*`; nobody, for `null`. */
  readonly denied: string | null;
}

/**
 * A transport that writes down what was answered, so that what the library makes of it can be held against it. It reads
 * the packets itself, and knows nothing of rounds.
 */
export class AnswerLog implements DnsTransport {
  readonly #transport: DnsTransport;
  readonly #serviceName: string;
  readonly #entries: Entry[] = [];

  constructor(transport: DnsTransport, serviceName: string) {
    this.#transport = transport;
    this.#serviceName = serviceName;
  }

  udp<T>(server: ServerAddress, query: Uint8Array, accept: Accept<T>, signal: AbortSignal): Promise<T> {
    return this.#transport.udp(server, query, this.#heard(accept), signal);
  }

  tcp<T>(server: ServerAddress, query: Uint8Array, accept: Accept<T>, signal: AbortSignal): Promise<T> {
    return this.#transport.tcp(server, query, this.#heard(accept), signal);
  }

  close(): void {
    this.#transport.close();
  }

  /**
   * For how long every answer about this pod can have been absent, at most: the gaps between answers that deny it, each
   * counted as at most 10 s, since the last one that shows it (promise 6). Failures are left out, which only lengthens
   * it; so it can be held against a window, but not the other way round.
   */
  absentForMs(podName: string): number {
    const shownAt = this.#entries.findLastIndex(({ shown }) => shown.has(podName));
    const denials = this.#entries.slice(shownAt + 1).filter(({ denied }) => denied === '*' || denied === podName);
    const times = [...denials.map(({ at }) => at), performance.now()];
    return times.reduce((sum, at, index) => sum + Math.min(at - (times[index - 1] ?? at), longestGapMs), 0);
  }

  /** Milliseconds since the newest answer that this pod's own name does not exist; infinite where there is none. */
  sinceOwnNameDeniedMs(podName: string): number {
    return performance.now() - (this.#entries.findLast(({ denied }) => denied === podName)?.at ?? -Infinity);
  }

  /** Milliseconds since the newest answer that shows this pod at that address; infinite where there is none. */
  sinceShownMs(podName: string, address: string): number {
    const entry = this.#entries.findLast(({ shown }) => shown.get(podName)?.includes(address) === true);
    return performance.now() - (entry?.at ?? -Infinity);
  }

  #heard<T>(accept: Accept<T>): Accept<T> {
    return (packet) => {
      const taken = accept(packet);
      if (taken !== undefined) this.#note(packet);
      return taken;
    };
  }

  #note(packet: Uint8Array): void {
    let message: Message;
    try {
      message = decodeMessage(packet);
    } catch {
      return;
    }
    const [question] = message.questions;
    // What is cut short is asked again, and counts as it comes then.
    if (question === undefined || message.truncated) return;
    const shown = new Map<string, string[]>();
    for (const record of message.answers) if (record.type === 'SRV') shown.set(this.#podName(record.target), []);
    for (const record of [...message.answers, ...message.additionals]) {
      if (record.type !== 'A' && record.type !== 'AAAA') continue;
      const podName = this.#podName(record.name);
      shown.set(podName, [...(shown.get(podName) ?? []), record.address]);
    }
    const isSrv = question.type === 'SRV';
    const isNegative = message.rcode === Rcode.NXDOMAIN || (message.rcode === Rcode.NOERROR && shown.size === 0);
    const isAboutAll = isSrv || question.name === this.#serviceName;
    const denied =
      isNegative || (isSrv && message.rcode === Rcode.NOERROR)
        ? isAboutAll
          ? '*'
          : this.#podName(question.name)
        : null;
    this.#entries.push({ at: performance.now(), shown, denied });
  }

  #podName(name: string): string {
    return name.slice(0, -this.#serviceName.length - 1);
  }
}

/** Promise 6 counts no gap between two answers as longer than this. */
const longestGapMs = 10_000;

type Accept<T> = (response: Uint8Array) => T | undefined;

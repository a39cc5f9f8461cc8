import type { Failure } from '../errors.ts';
import { crypto } from '../late-modules.ts';
import { rcodeName, readAnswer } from './answer.ts';
import { encodeQuery } from './encode.ts';
import type { Message, Question, ResourceRecord } from './message.ts';
import { Rcode, UnencodableMessageError } from './message.ts';
import { isWithin } from './name.ts';
import type { Reply } from './reply.ts';
import { readReply } from './reply.ts';
import type { DnsTransport, ServerAddress } from './transport.ts';

/** The name exists and has records of the type asked. */
export interface Found {
  readonly kind: 'found';
  readonly question: Question;
  /** Records of the type asked, at the end of the chain of CNAMEs (of the question's own name where there is none). */
  readonly records: readonly ResourceRecord[];
  /** The additional section, without OPT: glue. */
  readonly additionals: readonly ResourceRecord[];
  /** The lowest TTL among `records`, in seconds. */
  readonly ttlSeconds: number;
  readonly server: string;
  readonly transport: 'udp' | 'tcp';
  /** Size of the response in bytes. */
  readonly bytes: number;
}

/** The name does not exist (`nxdomain`), or has no record of that type (`nodata`). */
export interface Absent {
  readonly kind: 'nxdomain' | 'nodata';
  readonly question: Question;
  /** min(SOA TTL, SOA minimum), taken as 1 to 30 s; 5 s without an SOA. */
  readonly negativeTtlSeconds: number;
  readonly server: string;
}

/** Nothing is known about the name. Never absence. */
export interface Failed {
  readonly kind: 'failed';
  readonly question: Question;
  readonly failure: Failure;
  /** What a truncated answer did bring (`reason: 'truncated'`), else `null`. It proves presence, never absence. */
  readonly partial: Found | null;
}

/** How a DNS question ended. */
export type Outcome = Found | Absent | Failed;

/** Asks the cluster's DNS. */
export interface DnsClient {
  /**
   * Asks one question of the servers in order, over UDP with EDNS 1232 and, where the answer is truncated, TCP; at once
   * over TCP where UDP could not carry the answer lately. Never rejects for what servers or the network do: that is
   * `failed`.
   *
   * @param deadline - `performance.now()` value after which the outcome is `failed` with reason `timeout`
   * @throws `signal.reason` when the signal aborts
   */
  ask(question: Question, options: { readonly deadline: number; readonly signal?: AbortSignal }): Promise<Outcome>;
  close(): void;
}

/** One query that was sent, and how it ended. Each one that is started is reported once. */
export interface Exchange {
  readonly question: Question;
  readonly server: string;
  readonly transport: 'udp' | 'tcp';
  readonly elapsedMs: number;
  /** The response code by name, the reason of a failure (`timeout`, `network`, `malformed`), or `aborted`. */
  readonly result: string;
}

/** What a client needs. */
export interface DnsClientOptions {
  /** The cluster domain: negative answers count when its SOA, or one below it, vouches for them. */
  readonly zone: string;
  /** Whom to ask, in this order; called for each question. What it throws becomes a failed outcome. */
  readonly servers: () => readonly ServerAddress[];
  readonly transport: DnsTransport;
  /** How long one query waits for its response. */
  readonly timeoutMs: number;
  /** How often each server is asked: all of them once, then all of them again. */
  readonly attempts: number;
  /** The id of a query, 0 to 65,535. Default: random, from `node:crypto`. */
  readonly randomId?: () => number;
  /** Told of each exchange when it has ended. Must not throw. */
  readonly onQuestion?: (exchange: Exchange) => void;
}

/** 1232 bytes pass every path unfragmented (https://www.dnsflagday.net/2020/). */
const udpPayloadSize = 1232;
/** What a response over UDP has at most where there is no EDNS (RFC 1035 section 4.2.1). */
const udpPayloadSizeWithoutEdns = 512;
/**
 * How long a question whose answer UDP could not carry is asked over TCP at once. Then UDP has its turn again: a
 * server need not compress names over TCP as it does over UDP, so that what is large there may fit by now.
 */
const tooLargeForMs = 300_000;
/** A negative answer without an SOA tells no TTL. */
const negativeTtlWithoutSoa = 5;

/**
 * A client for the cluster's DNS over that transport, which it closes. Costs nothing until it is asked, and keeps
 * nothing alive by itself: its timers are unref'd.
 */
export function createDnsClient(options: DnsClientOptions): DnsClient {
  return new Client(options);
}

/** What is the same for all queries of one question. */
interface Asking {
  readonly question: Question;
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
}

/** What a server said over one transport. */
interface Said {
  readonly outcome: Outcome;
  readonly server: string;
  /** It knows EDNS, as far as we can tell. */
  readonly hasEdns: boolean;
  /** What is missing from the answer, `null` where it is whole. */
  readonly missing: 'truncated' | 'cut' | null;
}

class Client implements DnsClient {
  readonly #options: DnsClientOptions;
  readonly #randomId: () => number;
  /** Servers that have answered for the zone, so that a negative answer without SOA counts. */
  readonly #zoneServers = new Set<string>();
  /** Servers and questions whose answers UDP could not carry, and until when they are asked over TCP at once. */
  readonly #tooLarge = new Map<string, number>();

  constructor(options: DnsClientOptions) {
    this.#options = options;
    this.#randomId = options.randomId ?? (() => crypto().randomInt(0x1_0000));
  }

  async ask(
    question: Question,
    { deadline, signal }: { readonly deadline: number; readonly signal?: AbortSignal },
  ): Promise<Outcome> {
    signal?.throwIfAborted();
    let servers: readonly ServerAddress[];
    try {
      servers = this.#options.servers();
    } catch (error) {
      return failed(question, null, 'network', messageOf(error));
    }
    let failure: Failed | null = null;
    for (let attempt = 0; attempt < this.#options.attempts; attempt += 1) {
      for (const server of servers) {
        if (deadline <= performance.now()) break;
        const outcome = await this.#askServer(server, { question, deadline, signal });
        if (outcome.kind !== 'failed') return outcome;
        failure = failure === null || telling(outcome) >= telling(failure) ? outcome : failure;
      }
      // A truncated answer will not get shorter by asking again.
      if (failure?.failure.reason === 'truncated') break;
    }
    if (failure !== null) return failure;
    if (servers.length === 0) return failed(question, null, 'network', 'there is no DNS server to ask');
    return failed(question, null, 'timeout', 'the deadline passed before any server was asked');
  }

  close(): void {
    this.#options.transport.close();
  }

  /** Over UDP, and over TCP where UDP does not carry the answer; over TCP at once where it could not lately. */
  async #askServer(server: ServerAddress, asking: Asking): Promise<Outcome> {
    const { question } = asking;
    const key = `${textOf(server)} ${question.type} ${question.name}`;
    if (this.#isTooLarge(key)) {
      const outcome = wholeOrTruncated(await this.#askOverTcp(key, server, true, asking), null);
      if (outcome.kind !== 'failed' || outcome.partial !== null) return outcome;
      // TCP leads nowhere by now: blocked, or a kept connection whose other end has gone.
    }
    const overUdp = await this.#askOver('udp', server, true, asking);
    if (overUdp.missing === null) return overUdp.outcome;
    const overTcp = await this.#askOverTcp(key, server, overUdp.hasEdns, asking);
    const outcome = wholeOrTruncated(overTcp, foundIn(overUdp));
    if (outcome.kind !== 'failed' || overTcp.missing === 'truncated') return outcome;
    const { reason, detail } = outcome.failure;
    const isTruncated = overUdp.missing === 'truncated';
    const why = isTruncated ? 'the UDP answer is truncated' : 'the UDP answer ended early';
    const hint = reason === 'timeout' || reason === 'network' ? `; TCP/${server.port} seems blocked` : '';
    const whole = `${why} and TCP failed: ${detail}${hint}`;
    return failed(question, textOf(server), isTruncated ? 'truncated' : reason, whole, foundIn(overUdp));
  }

  #isTooLarge(key: string): boolean {
    return (this.#tooLarge.get(key) ?? -Infinity) > performance.now();
  }

  /** Remembers that UDP could not have carried the answer. Whatever failed is forgotten, so that UDP is asked again. */
  async #askOverTcp(key: string, server: ServerAddress, withEdns: boolean, asking: Asking): Promise<Said> {
    const said = await this.#askOver('tcp', server, withEdns, asking);
    const bytes = foundIn(said)?.bytes ?? 0;
    if (bytes <= (said.hasEdns ? udpPayloadSize : udpPayloadSizeWithoutEdns)) this.#tooLarge.delete(key);
    else if (!this.#isTooLarge(key)) this.#tooLarge.set(key, performance.now() + tooLargeForMs);
    return said;
  }

  /** One query, and another one without EDNS where the server does not know it. */
  async #askOver(transport: 'udp' | 'tcp', server: ServerAddress, withEdns: boolean, asking: Asking): Promise<Said> {
    const { question } = asking;
    const by = textOf(server);
    let hasEdns = withEdns;
    let reply = await this.#exchange(transport, server, hasEdns, asking);
    if (hasEdns && reply.kind === 'message' && isUnknownEdns(reply.message)) {
      hasEdns = false;
      reply = await this.#exchange(transport, server, hasEdns, asking);
    }
    switch (reply.kind) {
      case 'message': {
        const outcome = this.#outcomeOf(reply, question, by, transport);
        const isTruncated = reply.message.truncated && isAboutName(reply.message);
        return { outcome, server: by, hasEdns, missing: isTruncated ? 'truncated' : null };
      }
      case 'cut':
        return { outcome: failed(question, by, 'malformed', reply.detail), server: by, hasEdns, missing: 'cut' };
      case 'failed':
        return { outcome: failed(question, by, reply.reason, reply.detail), server: by, hasEdns, missing: null };
    }
  }

  #outcomeOf(
    { message, bytes }: Extract<Reply, { kind: 'message' }>,
    question: Question,
    server: string,
    transport: 'udp' | 'tcp',
  ): Outcome {
    const { additionals } = message;
    const answer = readAnswer(message, question, this.#options.zone);
    if (answer.kind === 'failed') return failed(question, server, answer.reason, answer.detail);
    if (answer.kind === 'found') {
      if (isWithin(question.name, this.#options.zone)) this.#zoneServers.add(server);
      const { records, ttlSeconds } = answer;
      return { kind: 'found', question, records, additionals, ttlSeconds, server, transport, bytes };
    }
    if (answer.negativeTtlSeconds !== null) {
      this.#zoneServers.add(server);
    } else if (!this.#zoneServers.has(server)) {
      const detail = `${answer.kind} without an SOA, from a server that has not answered for ${this.#options.zone} yet`;
      return failed(question, server, 'refused', detail);
    }
    const negativeTtlSeconds = answer.negativeTtlSeconds ?? negativeTtlWithoutSoa;
    return { kind: answer.kind, question, negativeTtlSeconds, server };
  }

  /** One query, one response. Throws `signal.reason` and nothing else. */
  async #exchange(
    transport: 'udp' | 'tcp',
    server: ServerAddress,
    hasEdns: boolean,
    { question, deadline, signal }: Asking,
  ): Promise<Reply> {
    signal?.throwIfAborted();
    const startedAt = performance.now();
    const waitMs = Math.min(this.#options.timeoutMs, deadline - startedAt);
    if (waitMs <= 0) return { kind: 'failed', reason: 'timeout', detail: 'the deadline passed' };

    const giveUp = new AbortController();
    const timer = setTimeout(() => {
      giveUp.abort(new Error(`no answer within ${Math.round(waitMs)} ms`));
    }, waitMs);
    timer.unref();
    const onAbort = (): void => {
      clearTimeout(timer);
      giveUp.abort(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort);
    let result = 'aborted';
    try {
      const id = this.#randomId();
      const query = encodeQuery({ id, question, udpPayloadSize: hasEdns ? udpPayloadSize : null });
      const accept = (packet: Uint8Array): Reply | undefined => readReply(packet, id, question);
      const reply = await this.#options.transport[transport](server, query, accept, giveUp.signal);
      result = reply.kind === 'message' ? rcodeName(reply.message.rcode) : 'malformed';
      return reply;
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      const reason = giveUp.signal.aborted ? 'timeout' : reasonOf(error);
      result = reason;
      return { kind: 'failed', reason, detail: messageOf(error) };
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      const elapsedMs = performance.now() - startedAt;
      this.#options.onQuestion?.({ question, server: textOf(server), transport, elapsedMs, result });
    }
  }
}

/** Servers that do not know EDNS, or not this version of it (RFC 6891 sections 6.1.3 and 7). */
function isUnknownEdns({ rcode }: Message): boolean {
  return rcode === Rcode.FORMERR || rcode === Rcode.BADVERS;
}

/** Only these say something about the name; for the others it does not matter that they are truncated. */
function isAboutName({ rcode }: Message): boolean {
  return rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN;
}

/** What was said over TCP. Where that is truncated, too, it failed; `before` is what UDP brought. */
function wholeOrTruncated(said: Said, before: Found | null): Outcome {
  const { outcome, missing, server } = said;
  if (missing !== 'truncated') return outcome;
  return failed(outcome.question, server, 'truncated', 'truncated over TCP', foundIn(said) ?? before);
}

function foundIn({ outcome }: Said): Found | null {
  return outcome.kind === 'found' ? outcome : null;
}

/** Which of two failures to tell: what a server said, rather than that another one was silent or not there. */
function telling({ failure: { reason }, partial }: Failed): number {
  if (partial !== null) return 4;
  if (reason === 'truncated') return 3;
  if (reason === 'timeout') return 1;
  return reason === 'network' ? 0 : 2;
}

function failed(
  question: Question,
  server: string | null,
  reason: Failure['reason'],
  detail: string,
  partial: Found | null = null,
): Failed {
  const failure: Failure = Object.freeze({ reason, detail, server, question: `${question.type} ${question.name}` });
  return { kind: 'failed', question, failure, partial };
}

function reasonOf(error: unknown): Failure['reason'] {
  // A name that cannot be written is the caller's mistake, but no reason to crash a poll.
  return error instanceof UnencodableMessageError ? 'malformed' : 'network';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function textOf({ address, port }: ServerAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

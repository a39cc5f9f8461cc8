import { isIP } from 'node:net';
import { decodeMessage } from '../dns/decode.ts';
import { encodeMessage } from '../dns/encode.ts';
import type { Message } from '../dns/message.ts';
import { MalformedMessageError, Rcode } from '../dns/message.ts';
import { wireLengthOf } from '../dns/name.ts';
import { GuardedEmitter } from '../guarded-emitter.ts';
import type { ClusterHistory } from './cluster-state.ts';
import type { CacheSettings } from './dns-cache.ts';
import { DnsCache } from './dns-cache.ts';
import { DnsFaults, isInScope } from './dns-faults.ts';
import type {
  DnsTransportName,
  Effect,
  FailureCode,
  Fault,
  FaultScope,
  FixedAnswer,
  Garbage,
  SeenQuestion,
  TcpBlock,
} from './dns-faults.ts';
import { forgeries, spoil } from './packet-garbage.ts';
import { seededRandom } from './seeded-random.ts';
import type { ZoneAnswer, ZoneSettings } from './zone.ts';
import { answerQuestion, negativeAnswer, shuffleAddresses } from './zone.ts';

/** One server behind the cluster DNS's address. */
export interface ReplicaSettings {
  /** How far its view of the cluster is behind, in milliseconds. Default 0. */
  readonly lagMs?: number;
  /** CoreDNS's `cache`; a number is both of its times. Default: none, as kubeadm has it for the cluster's zone since 1.32. */
  readonly cache?: CacheSettings | number | null;
}

/**
 * How the cluster's DNS is served. The default is CoreDNS's plugin with its own defaults; kubeadm has `ttlSeconds: 30`,
 * and before 1.32 `replicas: [{ cache: 30 }, { cache: 30 }]` with it.
 */
export interface EmbeddedDnsOptions extends Partial<ZoneSettings> {
  /** Default: one, up to date and without a cache. */
  readonly replicas?: readonly ReplicaSettings[];
  /** CoreDNS's `loadbalance`: addresses change places at random. Default true, as in every usual Corefile. */
  readonly loadBalance?: boolean;
  /** Which replica gets the next UDP question or TCP connection. Default `round-robin`. */
  readonly balance?: 'round-robin' | 'random';
  /** Makes chance repeatable. */
  readonly seed?: number;
}

/** What goes back for one query: datagrams (or frames) in order, none for silence, after a delay. */
export interface DnsReply {
  readonly packets: readonly Uint8Array[];
  readonly delayMs: number;
}

/** Events of {@link EmbeddedDns}. */
export interface EmbeddedDnsEvents {
  /** A question came in; faults have not been looked at yet. */
  question: [SeenQuestion];
  /** Every open TCP connection ends now. */
  tcpDropped: [];
}

/**
 * The cluster's DNS: answers queries as CoreDNS does, and does wrong what it is told to. It owns no socket and no
 * timer: `DnsServer` puts it behind sockets, `memoryTransport` hands it to a client in memory. Both get the same bytes.
 */
export class EmbeddedDns extends GuardedEmitter<EmbeddedDnsEvents> {
  readonly #history: ClusterHistory;
  readonly #zone: ZoneSettings;
  readonly #loadBalance: boolean;
  readonly #balance: 'round-robin' | 'random';
  readonly #random: () => number;
  readonly #faults: DnsFaults;
  #replicas: Replica[] = [];
  #turn = 0;
  readonly #counts = new Map<string, { readonly question: SeenQuestion; count: number }>();

  constructor(history: ClusterHistory, options: EmbeddedDnsOptions = {}) {
    super();
    this.#history = history;
    this.#zone = {
      clusterDomain: options.clusterDomain ?? 'cluster.local',
      ttlSeconds: options.ttlSeconds ?? 5,
      pods: options.pods ?? 'insecure',
      outside: options.outside ?? 'refused',
      serverAddresses: options.serverAddresses ?? ['10.96.0.10'],
    };
    this.#loadBalance = options.loadBalance ?? true;
    this.#balance = options.balance ?? 'round-robin';
    this.#random = options.seed === undefined ? Math.random : seededRandom(options.seed);
    this.#faults = new DnsFaults(this.#random);
    this.setReplicas(options.replicas ?? [{}]);
  }

  /** Other servers from now on, with empty caches. */
  setReplicas(replicas: readonly ReplicaSettings[]): void {
    if (replicas.length === 0) throw new RangeError('a DNS without a replica cannot answer; use silence()');
    this.#replicas = replicas.map((settings) => new Replica(this.#history, settings));
  }

  /** Answers with an error, as a server does that cannot do its work. */
  fail(code: FailureCode, scope: FaultScope = {}): Fault {
    return this.#faults.add({ kind: 'answer', answer: code }, scope);
  }

  /** Does not answer. */
  silence(scope: FaultScope = {}): Fault {
    return this.#faults.add({ kind: 'answer', answer: 'silence' }, scope);
  }

  /** Answers later. Delays add up. */
  delay(ms: number, scope: FaultScope = {}): Fault {
    return this.#faults.add({ kind: 'delay', ms }, scope);
  }

  /** Denies names that exist, for that share (0 to 1) of the questions about them: coredns/coredns#6518. */
  spuriousNxdomain(share: number, scope: FaultScope = {}): Fault {
    return this.#faults.add({ kind: 'nxdomain' }, { ...scope, share });
  }

  /**
   * Cuts answers: TC is set, the first `answersKept` (default none) are left, no glue. Over UDP, unless the scope says
   * `transport: 'tcp'`.
   */
  truncate(scope: FaultScope & { readonly answersKept?: number } = {}): Fault {
    const { answersKept = 0, ...rest } = scope;
    return this.#faults.add({ kind: 'truncate', answersKept }, { transport: 'udp', ...rest });
  }

  /** Answers bytes that are no answer. Default `malformed`. */
  garbage(garbage: Garbage = 'malformed', scope: FaultScope = {}): Fault {
    return this.#faults.add({ kind: 'garbage', garbage }, scope);
  }

  /** Sends forged datagrams ahead of each answer: other ids, another question. A client must pass them over. */
  forge(scope: FaultScope = {}): Fault {
    return this.#faults.add({ kind: 'forge' }, { transport: 'udp', ...scope });
  }

  /** Lets no TCP connection answer, those that are open included. Default `reset`. */
  blockTcp(block: TcpBlock = 'reset', scope: Pick<FaultScope, 'replica'> = {}): Fault {
    const fault = this.#faults.add({ kind: 'tcp', block }, scope);
    this.dropTcpConnections();
    return fault;
  }

  /** Answers questions for these names with that, whatever the zone says. */
  answer(names: string | readonly string[], answer: FixedAnswer, scope: Omit<FaultScope, 'names'> = {}): Fault {
    return this.#faults.add({ kind: 'answer', answer }, { ...scope, names });
  }

  /** This replica sees no change from now on, as when it cannot reach the API server. It catches up at the end. */
  freezeReplica(replica: number): Fault {
    const frozen = this.#replica(replica);
    frozen.frozenAt ??= performance.now();
    const end = (): void => {
      frozen.frozenAt = null;
    };
    return { end, [Symbol.dispose]: end };
  }

  /** Empties the caches of all replicas, as a restart does. */
  clearCaches(): void {
    for (const replica of this.#replicas) replica.cache?.clear();
  }

  /** Ends every fault but frozen replicas. */
  heal(): void {
    this.#faults.clear();
  }

  /** Closes the TCP connections that are open; new ones are welcome. */
  dropTcpConnections(): void {
    this.emit('tcpDropped');
  }

  /** How many questions of that scope came in since the start, or since {@link forgetQuestions}. */
  questions(scope: Omit<FaultScope, 'share'> = {}): number {
    let sum = 0;
    for (const { question, count } of this.#counts.values()) if (isInScope(question, scope)) sum += count;
    return sum;
  }

  /** Counts from 0 again. */
  forgetQuestions(): void {
    this.#counts.clear();
  }

  /** The replica for a new TCP connection, which keeps it; the next UDP datagram takes the one after. */
  nextReplica(): number {
    if (this.#balance === 'random') return Math.floor(this.#random() * this.#replicas.length);
    this.#turn = (this.#turn + 1) % this.#replicas.length;
    return this.#turn;
  }

  /** What happens to a TCP connection to that replica before any question; `null` where it works. */
  tcpBlock(replica: number): TcpBlock | null {
    return this.#faults.tcpBlock(replica);
  }

  /**
   * Answers one query.
   *
   * @param replica - who answers; default the next one, as for a datagram
   */
  receive(query: Uint8Array, transport: DnsTransportName, replica: number = this.nextReplica()): DnsReply {
    const asked = this.#accept(query);
    if (!('questions' in asked)) return reply(asked.refusal === null ? [] : [asked.refusal]);
    const [question] = asked.questions;
    if (question === undefined) return reply([]);
    const seen: SeenQuestion = { ...question, transport, replica };
    this.#count(seen);
    this.emit('question', seen);
    const effects = this.#faults.effectsOn(seen);
    const delayMs = effects.reduce((sum, effect) => sum + (effect.kind === 'delay' ? effect.ms : 0), 0);
    const answer = this.#answerTo(seen, effects);
    if (answer === null) return reply([], delayMs);
    return reply(this.#packets(query, asked, answer, seen, effects), delayMs);
  }

  /** The query, or what a server says at once to what is none (`null`: nothing). As miekg/dns and CoreDNS do. */
  #accept(query: Uint8Array): Message | { readonly refusal: Uint8Array | null } {
    let message: Message;
    try {
      message = decodeMessage(query);
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error;
      const [first = 0, second = 0, flags = 0] = query;
      if (query.length < 12 || (flags & 0x80) !== 0) return { refusal: null };
      return { refusal: encodeMessage(errorMessage((first << 8) | second, Rcode.FORMERR)) };
    }
    if (message.isResponse) return { refusal: null };
    if (message.opcode !== 0) return { refusal: encodeMessage(errorMessage(message.id, Rcode.NOTIMP)) };
    if (message.questions.length !== 1) return { refusal: encodeMessage(errorMessage(message.id, Rcode.FORMERR)) };
    if (message.edns !== null && message.edns.version !== 0) {
      const { id, questions, recursionDesired } = message;
      const edns = { udpPayloadSize: 0, version: 0 };
      const badVersion = { ...errorMessage(id, Rcode.BADVERS), questions, recursionDesired, edns };
      return { refusal: encodeMessage(badVersion) };
    }
    return message;
  }

  #answerTo(question: SeenQuestion, effects: readonly Effect[]): ZoneAnswer | null {
    const fixed = effects.find((effect) => effect.kind === 'answer');
    if (fixed !== undefined) return this.#fixedAnswer(question, fixed.answer);
    const replica = this.#replica(question.replica);
    const { state } = replica;
    const fromZone = (): ZoneAnswer => answerQuestion(state, question, this.#zone);
    const kept = replica.cache?.answer(question, fromZone) ?? fromZone();
    const answer = this.#loadBalance ? shuffleAddresses(kept, this.#random) : kept;
    const isDenied = effects.some(({ kind }) => kind === 'nxdomain') && answer.answers.length > 0;
    return isDenied ? negativeAnswer(Rcode.NXDOMAIN, state, this.#zone) : answer;
  }

  #fixedAnswer({ name, type }: SeenQuestion, fixed: FixedAnswer): ZoneAnswer | null {
    if (fixed === 'silence') return null;
    const { current } = this.#history;
    const nodata = negativeAnswer(Rcode.NOERROR, current, this.#zone);
    if (fixed === 'NODATA') return nodata;
    if (fixed === 'NXDOMAIN') return negativeAnswer(Rcode.NXDOMAIN, current, this.#zone);
    if (typeof fixed === 'string') return { ...nodata, rcode: Rcode[fixed], authoritative: false, authorities: [] };
    if ('answers' in fixed) {
      return { ...nodata, answers: fixed.answers, authorities: [], additionals: fixed.additionals ?? [] };
    }
    const { ttlSeconds = this.#zone.ttlSeconds } = fixed;
    const answers = fixed.addresses.flatMap((address) => {
      const own = isIP(address) === 4 ? 'A' : 'AAAA';
      return own === type ? [{ name, type: own, ttlSeconds, address } as const] : [];
    });
    return answers.length === 0 ? nodata : { ...nodata, answers, authorities: [] };
  }

  #packets(
    query: Uint8Array,
    asked: Message,
    answer: ZoneAnswer,
    question: SeenQuestion,
    effects: readonly Effect[],
  ): Uint8Array[] {
    const cut = effects.find((effect) => effect.kind === 'truncate');
    const response: Message = {
      ...asked,
      ...answer,
      isResponse: true,
      truncated: cut !== undefined,
      // CoreDNS sends the query's own OPT back (request/request.go, `SizeAndDo`).
      edns: asked.edns && { ...asked.edns, version: 0 },
      ...(cut !== undefined && { answers: answer.answers.slice(0, cut.answersKept), authorities: [], additionals: [] }),
    };
    const maxBytes = responseLimit(asked, question.transport);
    const bytes = encodeMessage(response, { maxBytes });
    // The question comes back as it was written, upper case included (draft-vixie-dnsext-dns0x20).
    const questionEnd = 12 + wireLengthOf(question.name) + 4;
    bytes.set(query.subarray(12, questionEnd), 12);
    const garbage = effects.find((effect) => effect.kind === 'garbage');
    const packet = garbage === undefined ? bytes : spoil(bytes, questionEnd, garbage.garbage, this.#random);
    const isForged = effects.some(({ kind }) => kind === 'forge');
    return isForged ? [...forgeries(response, this.#random), packet] : [packet];
  }

  #count(question: SeenQuestion): void {
    const key = `${question.name} ${question.type} ${question.transport} ${question.replica}`;
    const entry = this.#counts.get(key);
    if (entry === undefined) this.#counts.set(key, { question, count: 1 });
    else entry.count += 1;
  }

  #replica(index: number): Replica {
    const replica = this.#replicas[index] ?? this.#replicas[0];
    if (replica === undefined) throw new RangeError(`there is no DNS replica ${index}`);
    return replica;
  }
}

class Replica {
  readonly cache: DnsCache | null;
  frozenAt: number | null = null;
  readonly #history: ClusterHistory;
  readonly #lagMs: number;

  constructor(history: ClusterHistory, { lagMs = 0, cache = null }: ReplicaSettings) {
    this.#history = history;
    this.#lagMs = lagMs;
    const settings = typeof cache === 'number' ? { successSeconds: cache, denialSeconds: cache } : cache;
    this.cache = settings === null ? null : new DnsCache(settings);
  }

  /** What this replica thinks that the cluster looks like. */
  get state(): ReturnType<ClusterHistory['at']> {
    return this.#history.at((this.frozenAt ?? performance.now()) - this.#lagMs);
  }
}

/** How large a response may be: plugin/pkg/edns, `Size`. What no datagram can carry is taken off. */
function responseLimit({ edns }: Message, transport: DnsTransportName): number {
  if (transport === 'tcp') return 0xffff;
  return Math.min(Math.max(edns?.udpPayloadSize ?? 512, 512), 65_507);
}

function reply(packets: readonly Uint8Array[], delayMs = 0): DnsReply {
  return { packets, delayMs };
}

function errorMessage(id: number, rcode: number): Message {
  return {
    id,
    isResponse: true,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: false,
    recursionAvailable: false,
    rcode,
    questions: [],
    answers: [],
    authorities: [],
    additionals: [],
    edns: null,
  };
}

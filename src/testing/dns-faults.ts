import type { QuestionType, ResourceRecord } from '../dns/message.ts';
import type { AskedQuestion } from './zone.ts';

/** How a question travelled. */
export type DnsTransportName = 'udp' | 'tcp';

/** A question as the server saw it. */
export interface SeenQuestion extends AskedQuestion {
  readonly transport: DnsTransportName;
  /** Which replica had to answer, from 0 on. */
  readonly replica: number;
}

/** Which questions a fault is for. What is left out does not matter; `{}` is every question. */
export interface FaultScope {
  /**
   * The first labels of a name, or a whole one: `'web-1'`, `'web-1.nginx'`, `'_peer._tcp'`,
   * `'nginx.default.svc.cluster.local'`. An SRV answer that names `web-1` is no question for it.
   */
  readonly names?: string | readonly string[];
  readonly types?: QuestionType | readonly QuestionType[];
  readonly transport?: DnsTransportName;
  readonly replica?: number;
  /** Which part of those questions, 0 to 1, at random. */
  readonly share?: number;
  /** What the rest cannot say. */
  readonly when?: (question: SeenQuestion) => boolean;
}

/** Something that is wrong with DNS until it is ended, once. `using` ends it as well. */
export interface Fault {
  end(): void;
  [Symbol.dispose](): void;
}

/** A response code that is a failure. */
export type FailureCode = 'FORMERR' | 'SERVFAIL' | 'NOTIMP' | 'REFUSED';

/** What is answered in place of what the zone says. */
export type FixedAnswer =
  | FailureCode
  | 'NXDOMAIN'
  | 'NODATA'
  | 'silence'
  /** Addresses of the question's own name; only those of the family asked. */
  | { readonly addresses: readonly string[]; readonly ttlSeconds?: number }
  /** The answer and additional sections. */
  | { readonly answers: readonly ResourceRecord[]; readonly additionals?: readonly ResourceRecord[] };

/** How bytes are spoiled: a right header and nonsense behind it, the first half, or a right answer to another id. */
export type Garbage = 'malformed' | 'cut-short' | 'wrong-id';

/** What happens to TCP: each connection is reset, or accepted and never answered. */
export type TcpBlock = 'reset' | 'silence';

/** What a fault does. */
export type Effect =
  | { readonly kind: 'answer'; readonly answer: FixedAnswer }
  | { readonly kind: 'nxdomain' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'truncate'; readonly answersKept: number }
  | { readonly kind: 'garbage'; readonly garbage: Garbage }
  | { readonly kind: 'forge' }
  | { readonly kind: 'tcp'; readonly block: TcpBlock };

/** The faults that are in effect. The newest comes first. */
export class DnsFaults {
  readonly #random: () => number;
  #faults: { readonly effect: Effect; readonly scope: FaultScope }[] = [];

  constructor(random: () => number) {
    this.#random = random;
  }

  add(effect: Effect, scope: FaultScope): Fault {
    const fault = { effect, scope };
    this.#faults.unshift(fault);
    const end = (): void => {
      this.#faults = this.#faults.filter((other) => other !== fault);
    };
    return { end, [Symbol.dispose]: end };
  }

  /** What happens to this question. Chance is asked here, so once a question. */
  effectsOn(question: SeenQuestion): Effect[] {
    return this.#faults
      .filter(({ scope }) => isInScope(question, scope) && (scope.share === undefined || this.#random() < scope.share))
      .map(({ effect }) => effect);
  }

  /** What happens to a TCP connection to that replica, before any question. */
  tcpBlock(replica: number): TcpBlock | null {
    for (const { effect, scope } of this.#faults) {
      if (effect.kind === 'tcp' && (scope.replica ?? replica) === replica) return effect.block;
    }
    return null;
  }

  /** Ends all of them. */
  clear(): void {
    this.#faults = [];
  }
}

/** Whether a question is one that the scope is about. Its share is not looked at. */
export function isInScope(question: SeenQuestion, scope: FaultScope): boolean {
  const { names, types, transport, replica, when } = scope;
  return (
    (names === undefined || [names].flat().some((name) => startsWithName(question.name, name.toLowerCase()))) &&
    (types === undefined || [types].flat().some((type) => type === question.type)) &&
    (transport === undefined || transport === question.transport) &&
    (replica === undefined || replica === question.replica) &&
    (when === undefined || when(question))
  );
}

function startsWithName(name: string, start: string): boolean {
  return name === start || name.startsWith(`${start}.`);
}

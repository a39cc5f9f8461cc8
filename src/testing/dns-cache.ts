import { Rcode } from '../dns/message.ts';
import type { ResourceRecord } from '../dns/message.ts';
import type { AskedQuestion, ZoneAnswer } from './zone.ts';

/** How long answers are kept at most, in seconds: `cache 30` is 30 for both; NodeLocal DNSCache has 30 and 5. */
export interface CacheSettings {
  readonly successSeconds: number;
  readonly denialSeconds: number;
}

/**
 * CoreDNS's `cache` plugin: keeps an answer for its TTL, at least 5 s and at most what the settings say, and shows
 * every record with what is left of that time, whole seconds, the last of which is 1. Time is `performance.now()`.
 *
 * Answers are kept before they are cut to size, so no truncated one is. A and AAAA of one name expire apart.
 *
 * @see plugin/cache/{cache,handler,item}.go of CoreDNS
 */
export class DnsCache {
  readonly #settings: CacheSettings;
  readonly #entries = new Map<string, { readonly answer: ZoneAnswer; readonly expiresAt: number }>();

  constructor(settings: CacheSettings) {
    this.#settings = settings;
  }

  /** The kept answer, else the one that `resolve` gives. */
  answer(question: AskedQuestion, resolve: () => ZoneAnswer): ZoneAnswer {
    const now = performance.now();
    const key = `${question.name} ${question.type}`;
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.expiresAt > now) {
      return withTtl(entry.answer, Math.ceil((entry.expiresAt - now) / 1_000));
    }
    const answer = resolve();
    const seconds = this.#secondsFor(question, answer);
    if (seconds === null) return answer;
    this.#entries.set(key, { answer, expiresAt: now + seconds * 1_000 });
    return withTtl(answer, seconds);
  }

  /** Forgets everything, as a restart does. */
  clear(): void {
    this.#entries.clear();
  }

  /** `null` for what is not kept: everything that is neither an answer nor a denial, as a CNAME that leads nowhere. */
  #secondsFor({ type }: AskedQuestion, answer: ZoneAnswer): number | null {
    if (answer.rcode !== Rcode.NOERROR && answer.rcode !== Rcode.NXDOMAIN) return null;
    if (answer.answers.length > 0 && !answer.answers.some((record) => record.type === type)) return null;
    const isDenial = answer.rcode === Rcode.NXDOMAIN || answer.answers.length === 0;
    const cap = isDenial ? this.#settings.denialSeconds : this.#settings.successSeconds;
    const ttls = [...answer.answers, ...answer.authorities, ...answer.additionals].map((record) =>
      record.type === 'SOA' ? Math.min(record.ttlSeconds, record.minimumSeconds) : record.ttlSeconds,
    );
    return Math.min(Math.max(Math.min(...ttls), shortestSeconds), cap);
  }
}

const shortestSeconds = 5;

function withTtl(answer: ZoneAnswer, ttlSeconds: number): ZoneAnswer {
  const aged = (records: readonly ResourceRecord[]): ResourceRecord[] =>
    records.map((record) => ({ ...record, ttlSeconds }));
  return {
    ...answer,
    answers: aged(answer.answers),
    authorities: aged(answer.authorities),
    additionals: aged(answer.additionals),
  };
}

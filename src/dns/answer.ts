import type { Failure } from '../errors.ts';
import type { Message, Question, ResourceRecord, SoaRecord } from './message.ts';
import { Rcode } from './message.ts';
import { isWithin } from './name.ts';

/** What a response says about the name that was asked. */
export type Answer =
  | { readonly kind: 'found'; readonly records: readonly ResourceRecord[]; readonly ttlSeconds: number }
  | {
      readonly kind: 'nxdomain' | 'nodata';
      /** The negative TTL by the zone's SOA; `null` where none is there to vouch for the answer. */
      readonly negativeTtlSeconds: number | null;
    }
  | { readonly kind: 'failed'; readonly reason: Failure['reason']; readonly detail: string };

/** How many CNAMEs are followed. CoreDNS' autopath and ExternalName make one; resolvers stop at 8 to 16. */
const maxAliases = 8;
/** Bounds of the negative TTL: a broken SOA neither silences a name for hours nor makes it be asked all the time. */
const negativeTtl = { min: 1, max: 30 } as const;

/**
 * Reads a response to `question`. Pure.
 *
 * The name at the end of the chain of CNAMEs counts, in whatever order the records come. A negative answer counts with
 * an SOA at or below `zone` (RFC 2308 section 2); with the root's or a parent's, somebody else than the cluster's DNS
 * is talking, and nothing is known. Error codes, a chain that leads nowhere and records none of which answers the
 * question are failures, never absence.
 */
export function readAnswer(message: Message, question: Question, zone: string): Answer {
  const { rcode } = message;
  if (rcode !== Rcode.NOERROR && rcode !== Rcode.NXDOMAIN) return readError(rcode);
  if (message.questions.length === 0) return malformed(`${rcodeName(rcode)} without a question section`);

  const { end, isAlias, isEndless } = followAliases(message.answers, question);
  if (isEndless) return malformed(`more than ${maxAliases} CNAMEs in a row`);
  const records = message.answers.filter(({ name, type }) => name === end && type === question.type);
  if (records.length > 0) {
    if (rcode === Rcode.NXDOMAIN) return malformed('NXDOMAIN with records of that name');
    return { kind: 'found', records, ttlSeconds: Math.min(...records.map(({ ttlSeconds }) => ttlSeconds)) };
  }
  if (message.answers.length > 0 && !isAlias) return malformed('none of the records answers the question');
  return readNegative(message, isAlias ? end : null, zone);
}

/** A response code by its name, or its number where it has none here. */
export function rcodeName(rcode: number): string {
  const found = Object.entries(Rcode).find(([, code]) => code === rcode);
  return found?.[0] ?? `rcode ${rcode}`;
}

function readError(rcode: number): Answer {
  const detail = rcodeName(rcode);
  switch (rcode) {
    case Rcode.SERVFAIL:
      return { kind: 'failed', reason: 'servfail', detail };
    case Rcode.FORMERR:
    case Rcode.BADVERS:
      return { kind: 'failed', reason: 'formerr', detail };
    default:
      return { kind: 'failed', reason: 'refused', detail };
  }
}

/** `alias` is the end of a chain of CNAMEs that has no records. */
function readNegative({ rcode, authorities }: Message, alias: string | null, zone: string): Answer {
  const soas = authorities.filter((record) => record.type === 'SOA');
  const soa = soas.find(({ name }) => isWithin(name, zone));
  const kind = rcode === Rcode.NXDOMAIN ? 'nxdomain' : 'nodata';
  if (soa !== undefined) return { kind, negativeTtlSeconds: negativeTtlOf(soa) };
  const [foreign] = soas;
  if (foreign !== undefined) {
    const owner = foreign.name === '' ? 'the root' : foreign.name;
    const detail = `${kind} with the SOA of ${owner}: an upstream resolver is talking, not the DNS of ${zone}`;
    return { kind: 'failed', reason: 'refused', detail };
  }
  if (alias !== null) return malformed(`a CNAME leads to ${alias}, which has no records here`);
  if (kind === 'nodata' && authorities.some(({ type }) => type === 'NS')) {
    return { kind: 'failed', reason: 'refused', detail: 'a referral to other servers' };
  }
  return { kind, negativeTtlSeconds: null };
}

/** RFC 2308 section 5. */
function negativeTtlOf({ ttlSeconds, minimumSeconds }: SoaRecord): number {
  return Math.min(Math.max(Math.min(ttlSeconds, minimumSeconds), negativeTtl.min), negativeTtl.max);
}

function followAliases(
  answers: readonly ResourceRecord[],
  question: Question,
): { readonly end: string; readonly isAlias: boolean; readonly isEndless: boolean } {
  const targets = new Map<string, string>();
  for (const record of answers) if (record.type === 'CNAME') targets.set(record.name, record.target);
  let end = question.name;
  if (question.type === 'CNAME' || targets.size === 0) return { end, isAlias: false, isEndless: false };
  const owners = new Set(answers.filter(({ type }) => type === question.type).map(({ name }) => name));
  for (let followed = 0; ; followed += 1) {
    const target = targets.get(end);
    if (target === undefined || owners.has(end)) return { end, isAlias: followed > 0, isEndless: false };
    if (followed === maxAliases) return { end, isAlias: true, isEndless: true };
    end = target;
  }
}

function malformed(detail: string): Answer {
  return { kind: 'failed', reason: 'malformed', detail };
}

import type { Observations } from '../topology/explanation.ts';
import type { Outcome } from '../dns/client.ts';
import type { Question } from '../dns/message.ts';
import type { Answer, Family, Sighting } from '../topology/belief.ts';
import type { NameReading, Scope, SrvNamed, SrvReading } from './reading.ts';
import { addressesOf, nameOf, readNames, readSrv, sightingOf } from './reading.ts';

/** What the belief wants to know beside the Service's SRV. */
export interface Wants {
  /** Ordinals in the belief. */
  readonly known: readonly number[];
  /** Ordinals whose removal needs the answer to a question for their own name. */
  readonly due: readonly number[];
  /** Families to ask names for: one is left out only while no peer has it and the other was seen. Both at first. */
  readonly families: readonly Family[];
  /** The first round may ask every name; later ones go round within a budget. */
  readonly isFirst: boolean;
}

/** What earlier rounds taught about the resolver. */
export interface Memory {
  /** Peers that SRV leaves out although their own names show them. */
  readonly omitted: readonly number[];
  /** Whether the resolver answers names that cannot exist, and when it was asked. */
  readonly wildcard: { readonly answers: boolean; readonly at: number } | null;
  /** SRV brings no glue: the names it gave and the Service's own addresses, as one text each. */
  readonly glueless: { readonly names: string; readonly addresses: string } | null;
  /** When names beyond the known ordinals were last asked, and for how long they are not asked again. */
  readonly beyond: { readonly at: number; readonly waitMs: number } | null;
  /** When SRV last listed everybody, `null` where it never did. */
  readonly listedAt: number | null;
  /** Where the tour through names goes on. */
  readonly cursor: number;
}

/** A round: the answer to decide, what to remember, and what it saw of the Service. */
export interface Round {
  readonly answer: Answer;
  readonly memory: Memory;
  readonly observations: Observations;
}

/** Yields questions that can be asked side by side, takes their outcomes in that order, and returns the round. */
export type Asking<Result> = Generator<readonly Question[], Result, readonly Outcome[]>;

/** Before the first round. */
export const noMemory: Memory = {
  ...{ omitted: [], wildcard: null, glueless: null, beyond: null },
  ...{ listedAt: null, cursor: 0 },
};

/** How many names a refresh asks at most, and how many ordinals are tried beyond the known ones. */
const Budget = {
  ...{ namesPerRound: 32, beyond: 8, sweepPerRound: 4, unknownPerRound: 1_024 },
  ...{ wildcardMs: 300_000, listedMs: 30_000 },
} as const;

/** The question for everybody. */
export function srvQuestion({ portName, serviceName }: Scope): Question {
  return { name: portName === null ? serviceName : `_${portName}._tcp.${serviceName}`, type: 'SRV' };
}

/**
 * One round: SRV with glue, and follow-ups only where SRV cannot do. Pure: it decides what to ask and what the
 * outcomes mean; whoever runs it does the asking.
 */
export function* askRound(scope: Scope, wants: Wants, memory: Memory, now: number): Asking<Round> {
  const [outcome] = yield [srvQuestion(scope)];
  const round = new RoundInProgress(scope, wants, memory, now);
  if (outcome === undefined) return round.incomplete();
  const srv = round.readSrv(outcome);
  if (srv.kind === 'listed') return yield* askListed(round, srv);
  if (srv.kind === 'partial') return yield* askPartial(round, srv);
  if (srv.kind === 'failed' && srv.isFinal) return round.incomplete();

  // SRV says nobody, or could not be asked: the Service's own address tells which.
  const [service] = yield [{ name: scope.serviceName, type: 'A' }];
  if (service === undefined) return round.incomplete();
  round.note(service);
  const isNamed = service.kind === 'found' || service.kind === 'nodata';
  if (srv.kind === 'none') {
    if (service.kind === 'failed') return round.incomplete();
    if (service.kind === 'nxdomain') {
      round.observe({ nobodyPublished: true });
      // No walk through ordinals: it would plant negative answers in caches for everyone.
      yield* askLeftOut(round, new Map());
      return round.complete('absent');
    }
    round.observe({ portUnknown: true });
  }
  if (!isNamed) return round.incomplete();
  return yield* askByName(round);
}

/** One question for a hint: the same SRV (`null`), or peers' own names where SRV needs TCP. No follow-ups. */
export function* askHint(
  scope: Scope,
  wants: Wants,
  memory: Memory,
  ordinals: readonly number[] | null,
  now: number,
): Asking<Round> {
  const round = new RoundInProgress(scope, wants, memory, now, false);
  if (ordinals !== null) {
    yield* askNames(round, ordinals);
    return round.complete('unasked');
  }
  const [outcome] = yield [srvQuestion(scope)];
  if (outcome === undefined) return round.incomplete('unasked');
  const srv = round.readSrv(outcome);
  return srv.kind === 'listed' ? round.complete('absent') : round.incomplete('unasked');
}

/** SRV named everybody: ask for missing glue, and for the own names of those it left out where that matters. */
function* askListed(round: RoundInProgress, srv: SrvNamed): Asking<Round> {
  round.remember({ listedAt: round.now });
  if (srv.withoutGlue.length > 0 && srv.withoutGlue.length === srv.ordinals.length) {
    yield* askGlueless(round, srv);
  } else {
    round.remember({ glueless: null });
    yield* askNames(round, round.wants.isFirst ? srv.withoutGlue : round.tour(srv.withoutGlue));
  }
  yield* askLeftOut(round, srv.sightings);
  return round.complete('absent');
}

/**
 * SRV without any glue (CoreDNS `minimal`, Unbound, BIND from 14 records on): a refresh asks the Service's own
 * addresses, and names only when that set or the SRV names changed, plus a slow sweep for swaps.
 */
function* askGlueless(round: RoundInProgress, srv: SrvNamed): Asking<void> {
  const { scope, wants, memory } = round;
  const outcomes = yield [
    { name: scope.serviceName, type: 'A' },
    { name: scope.serviceName, type: 'AAAA' },
  ];
  const names = srv.ordinals.join(' ');
  const addresses = outcomes.flatMap(addressesOf).sort().join(' ');
  const isAnswered = outcomes.length > 0 && outcomes.every(({ kind }) => kind !== 'failed');
  const isSame = memory.glueless?.names === names && memory.glueless.addresses === addresses;
  round.remember({ glueless: isAnswered ? { names, addresses } : null });
  const isQuiet = isAnswered && isSame && !wants.isFirst;
  yield* askNames(round, isQuiet ? round.tour(srv.withoutGlue, Budget.sweepPerRound) : srv.withoutGlue);
}

/**
 * The own names of those whom SRV leaves out: the last witness of a removal, and peers that SRV omits although their
 * own name showed them.
 */
function* askLeftOut(round: RoundInProgress, listed: ReadonlyMap<number, Sighting>): Asking<void> {
  const { wants, memory } = round;
  const leftOut = [...wants.due, ...memory.omitted].filter((ordinal) => !listed.has(ordinal));
  yield* askNames(round, leftOut.slice(0, Budget.namesPerRound));
  const shown = leftOut.filter((ordinal) => round.isFound(ordinal));
  const proves = shown.length === 0 || !(yield* hasWildcard(round));
  if (!proves) for (const ordinal of shown) round.override(ordinal, { kind: 'absent', ownName: true });
  round.remember({ omitted: proves ? shown : [] });
}

/** A truncated answer: what it brought is there; the rest is asked by name, all at first, later in turn. */
function* askPartial(round: RoundInProgress, srv: SrvNamed): Asking<Round> {
  const { wants } = round;
  const listed = new Set(srv.ordinals);
  const unlisted = wants.known.filter((ordinal) => !listed.has(ordinal));
  const names = [...srv.withoutGlue, ...unlisted];
  const due = wants.due.filter((ordinal) => !listed.has(ordinal));
  const asked = wants.isFirst ? names : [...new Set([...due, ...round.tour(names)])];
  yield* askNames(round, asked);
  yield* askBeyond(round, [...srv.ordinals, ...wants.known]);
  return yield* settleByName(round);
}

/** SRV is of no use while the Service has addresses: every stable name is asked. */
function* askByName(round: RoundInProgress): Asking<Round> {
  const { wants } = round;
  const asked = wants.isFirst ? wants.known : [...new Set([...wants.due, ...round.tour(wants.known)])];
  yield* askNames(round, asked);
  yield* askBeyond(round, wants.known);
  return yield* settleByName(round);
}

/** Where only names were asked: a resolver that answers any name proves nothing, and a failure leaves it open. */
function* settleByName(round: RoundInProgress): Asking<Round> {
  const found = round.foundByName();
  if (found.length > 0 && (yield* hasWildcard(round))) {
    round.dropNames();
    return round.incomplete('unasked');
  }
  round.remember({ omitted: found });
  return round.hasFailedByName() ? round.incomplete('unasked') : round.complete('unasked');
}

/**
 * Names that nobody has told of, once a negative TTL: gaps, and beyond the highest known ordinal to `expectedPods` or
 * else some more. While all of those beyond are found, on to the next.
 */
function* askBeyond(round: RoundInProgress, known: readonly number[]): Asking<void> {
  const { scope, memory, now } = round;
  // SRV named everybody a moment ago: whoever lies now, nobody is likely to be unknown.
  if (memory.listedAt !== null && now - memory.listedAt < Budget.listedMs) return;
  if (memory.beyond !== null && now - memory.beyond.at < memory.beyond.waitMs) return;
  const isKnown = new Set(known);
  const { ordinalStart, expectedPods } = scope;
  const next = (): number[] => {
    let end = ordinalStart + (expectedPods ?? Budget.beyond);
    if (expectedPods === null) for (const ordinal of isKnown) end = Math.max(end, ordinal + 1 + Budget.beyond);
    const batch: number[] = [];
    for (let ordinal = ordinalStart; ordinal < end && batch.length < Budget.unknownPerRound; ordinal += 1) {
      if (!isKnown.has(ordinal)) batch.push(ordinal);
    }
    return batch;
  };
  for (let batch = next(); batch.length > 0; batch = next()) {
    yield* askNames(round, batch);
    for (const ordinal of batch) isKnown.add(ordinal);
    const isMore = batch.slice(-Budget.beyond).every((ordinal) => round.isFound(ordinal));
    if (expectedPods !== null || !isMore) break;
  }
  // What failed is open, and asked again in the next round: a round that asks nobody must not pass for complete.
  if (round.hasFailedByName()) return;
  round.remember({ beyond: { at: now, waitMs: Math.max(1_000, round.negativeTtlMs ?? 0) } });
}

/** A and AAAA of these ordinals' own names. */
function* askNames(round: RoundInProgress, ordinals: readonly number[]): Asking<void> {
  const wanted = new Set(ordinals);
  if (wanted.size === 0) return;
  const ask = (families: readonly Family[], of: readonly number[]): Question[] =>
    of.flatMap((ordinal) => families.map((family) => ({ name: nameOf(round.scope, ordinal), type: typeOf(family) })));

  // While nobody is known, the glue of this round shows a family. A truncated answer proves presence alone, so that one
  // name has to say that the other family is not there.
  const [witness] = wanted;
  const shown = round.familyOfGlue();
  if (shown !== null && witness !== undefined) {
    round.takeNames(yield ask(bothFamilies, [witness]));
    wanted.delete(witness);
    if (round.hasOnly(witness, shown)) round.families = [shown];
    if (wanted.size === 0) return;
  }
  round.takeNames(yield ask(round.families, [...wanted]));
  // NODATA means that the name exists: then the family that was left out is there.
  const other = bothFamilies.filter((family) => !round.families.includes(family));
  const halfKnown = [...wanted].filter((ordinal) => round.isHalfKnown(ordinal));
  if (other.length > 0 && halfKnown.length > 0) round.takeNames(yield ask(other, halfKnown));
}

/** Whether the resolver answers a name that no pod can have. */
function* hasWildcard(round: RoundInProgress): Asking<boolean> {
  const { scope, memory, now } = round;
  if (memory.wildcard !== null && now - memory.wildcard.at < Budget.wildcardMs) {
    if (memory.wildcard.answers) round.observe({ wildcard: true });
    return memory.wildcard.answers;
  }
  // A leading zero: no StatefulSet makes this name.
  const [outcome] = yield [{ name: `${scope.statefulSet}-00.${scope.serviceName}`, type: 'A' }];
  if (outcome === undefined || outcome.kind === 'failed') return false;
  const answers = outcome.kind === 'found';
  round.remember({ wildcard: { answers, at: now } });
  if (answers) round.observe({ wildcard: true });
  return answers;
}

const bothFamilies = [4, 6] as const;

function typeOf(family: Family): 'A' | 'AAAA' {
  return family === 4 ? 'A' : 'AAAA';
}

/** What a round has gathered so far. */
class RoundInProgress {
  readonly scope: Scope;
  readonly wants: Wants;
  readonly memory: Memory;
  readonly now: number;
  readonly #isRound: boolean;
  #sightings = new Map<number, Sighting>();
  #listed: ReadonlyMap<number, Sighting> = new Map();
  readonly #names = new Map<number, NameReading>();
  /** Families to ask names for. */
  families: readonly Family[];
  #next: Memory;
  #observations: Observations = {};
  #failure: Answer['failure'] = null;
  negativeTtlMs: number | null = null;

  constructor(scope: Scope, wants: Wants, memory: Memory, now: number, isRound = true) {
    this.scope = scope;
    this.wants = wants;
    this.families = wants.families;
    this.memory = memory;
    this.now = now;
    this.#isRound = isRound;
    this.#next = memory;
  }

  readSrv(outcome: Outcome): SrvReading {
    this.note(outcome);
    const srv = readSrv(outcome, this.scope);
    this.observe(srv.observations);
    if (srv.kind === 'listed' || srv.kind === 'partial') {
      this.#listed = srv.sightings;
      this.dropNames();
    }
    if (srv.kind === 'failed') this.#failure = srv.failure;
    return srv;
  }

  /** Every outcome passes here: failures and negative TTLs are kept. */
  note(outcome: Outcome): void {
    if (outcome.kind === 'failed') this.#failure ??= outcome.failure;
    if (outcome.kind === 'nxdomain' || outcome.kind === 'nodata') {
      this.negativeTtlMs = Math.max(this.negativeTtlMs ?? 0, outcome.negativeTtlSeconds * 1_000);
    }
  }

  takeNames(outcomes: readonly Outcome[]): void {
    for (const outcome of outcomes) this.note(outcome);
    for (const [ordinal, reading] of readNames(outcomes, this.scope, this.#names)) {
      this.#names.set(ordinal, reading);
      const listed = this.#sightings.get(ordinal);
      // Within a round SRV beats an NXDOMAIN for the own name: what it lists is found, and only addresses are added.
      this.#sightings.set(ordinal, sightingOf(reading, listed?.kind === 'found' ? listed : null));
    }
  }

  isFound(ordinal: number): boolean {
    return this.#sightings.get(ordinal)?.kind === 'found';
  }

  isHalfKnown(ordinal: number): boolean {
    const reading = this.#names.get(ordinal);
    return reading !== undefined && Object.values(reading).includes('nodata');
  }

  /** The only family in the glue of this round; `null` where there are both or none, or where the belief knows better. */
  familyOfGlue(): Family | null {
    if (this.wants.known.length > 0 || this.families.length < 2) return null;
    const shows = (family: Family) => (sighting: Sighting) =>
      sighting.kind === 'found' && sighting.families[family].kind === 'shown';
    const listed = [...this.#listed.values()];
    const [first, ...more] = bothFamilies.filter((family) => listed.some(shows(family)));
    return more.length === 0 ? (first ?? null) : null;
  }

  /** The own name has addresses of that family, and said that there are none of the other. */
  hasOnly(ordinal: number, family: Family): boolean {
    const reading = this.#names.get(ordinal);
    return typeof reading?.[family] === 'object' && reading[family === 4 ? 6 : 4] === 'nodata';
  }

  foundByName(): number[] {
    return [...this.#names.keys()].filter((ordinal) => this.isFound(ordinal) && !this.#listed.has(ordinal));
  }

  hasFailedByName(): boolean {
    return [...this.#names.keys()].some((ordinal) => this.#sightings.get(ordinal)?.kind === 'failed');
  }

  /** Back to what SRV said alone. */
  dropNames(): void {
    this.#sightings = new Map(this.#listed);
  }

  override(ordinal: number, sighting: Sighting): void {
    this.#sightings.set(ordinal, sighting);
  }

  /** The next names of a tour through all of them. */
  tour(ordinals: readonly number[], most: number = Budget.namesPerRound): readonly number[] {
    if (ordinals.length <= most) return ordinals;
    const from = this.memory.cursor % ordinals.length;
    this.remember({ cursor: from + most });
    return [...ordinals, ...ordinals].slice(from, from + most);
  }

  remember(change: Partial<Memory>): void {
    this.#next = { ...this.#next, ...change };
  }

  observe(change: Observations): void {
    this.#observations = { ...this.#observations, ...change };
  }

  complete(others: Answer['others']): Round {
    return this.#end(true, others);
  }

  incomplete(others: Answer['others'] = 'failed'): Round {
    return this.#end(false, others);
  }

  #end(complete: boolean, others: Answer['others']): Round {
    const { negativeTtlMs } = this;
    const failure = complete ? null : this.#failure;
    // A hint that failed says nothing at all, not even that a gap is open.
    const sightings = this.#isRound
      ? this.#sightings
      : new Map([...this.#sightings].filter(([, sighting]) => sighting.kind !== 'failed'));
    return {
      answer: { sightings, others, complete, isRound: this.#isRound, negativeTtlMs, failure },
      memory: this.#next,
      observations: this.#observations,
    };
  }
}

import { debug } from '../debug.ts';
import type { QuestionMessage } from '../diagnostics.ts';
import { channels } from '../diagnostics.ts';
import { events } from '../late-modules.ts';
import type { Observations } from '../topology/explanation.ts';
import type { DnsClient, Outcome } from '../dns/client.ts';
import type { Question } from '../dns/message.ts';
import { Hints } from './hints.ts';
import type { Asking, Memory, Round, Wants } from './questions.ts';
import { askHint, askRound, noMemory, srvQuestion } from './questions.ts';
import type { Scope } from './reading.ts';
import { nameOf } from './reading.ts';
import { nextPoll } from './schedule.ts';

/** Whoever holds the belief. */
export interface Believer {
  /** What the belief wants to know. */
  wants(now: number): Wants;
  /** Takes a round, or a hint's answer, as a whole. Says whether the topology changed. */
  take(round: Round, now: number): boolean;
  /** Asks the policy again; called once a second while answers are stale. */
  reconsider(now: number): void;
  /** Answers disagree, or somebody is absent. */
  isUnsettled(): boolean;
  /** What a hint about this address asks is still open: the peer is there, or nowhere. */
  isOpen(ordinal: number, address: string): boolean;
}

/** Settings of the watcher. */
export interface WatcherOptions {
  readonly scope: Scope;
  readonly client: DnsClient;
  readonly minIntervalMs: number;
  readonly maxIntervalMs: number;
  readonly deadlineMs: number;
}

/** How DNS questions ended, each counted once however many servers were asked. */
export interface QuestionCounts {
  /** Records came. */
  readonly found: number;
  /** No such name. */
  readonly nxdomain: number;
  /** The name has no such record. */
  readonly nodata: number;
  /** No answer that can be used. */
  readonly failed: number;
}

/** Questions in flight: 500 at once overflow a UDP socket's buffer, and each loss costs a timeout. */
const parallelQuestions = 32;
const reconsiderMs = 1_000;

/**
 * Asks about the Service again and again: rounds on the polling schedule, hints after failed connections. Holds the
 * only polling timer of the library; it does not keep the process alive.
 */
export class Watcher {
  readonly #options: WatcherOptions;
  readonly #believer: Believer;
  readonly #hints: Hints;
  readonly #closing = new AbortController();
  /** Names that said NXDOMAIN, and until when hints leave them alone. */
  readonly #negative = new Map<string, number>();
  #memory: Memory = noMemory;
  #observations: Observations = {};
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | null = null;
  #hint: Promise<void> | null = null;
  readonly #counts = { found: 0, nxdomain: 0, nodata: 0, failed: 0, hints: 0 };
  #waiters = 0;
  #failures = 0;
  #quietSince: number;
  #nextPollAt: number;
  #nextReconsiderAt: number | null = null;
  #cost = { questions: 1, bytes: 0, ttlMs: null as number | null, srvNeedsTcp: false };

  constructor(options: WatcherOptions, believer: Believer) {
    this.#options = options;
    this.#believer = believer;
    this.#hints = new Hints(options.minIntervalMs);
    this.#quietSince = performance.now();
    this.#nextPollAt = this.#quietSince;
    // Each question in flight listens; Node.js warns from the eleventh on.
    events().setMaxListeners(0, this.#closing.signal);
  }

  /** What the newest round saw of the Service. */
  get observations(): Observations {
    return this.#observations;
  }

  /** How many questions ended how, and how many were asked for hints. */
  get counts(): QuestionCounts & { readonly hints: number } {
    return this.#counts;
  }

  /** Asks the first round, soon. */
  start(): void {
    queueMicrotask(() => {
      this.#wake();
    });
  }

  /** Asks a round now (after one that is under way) and settles when it is decided, whatever came of it. */
  async refresh(): Promise<void> {
    if (this.#round !== null) await this.#round;
    // Calls that waited for the same round share the next one.
    this.#round ??= this.#runRound();
    await this.#round;
  }

  /** Somebody waits until the returned function is called: the interval is the minimum meanwhile. */
  await(): () => void {
    this.#waiters += 1;
    const now = performance.now();
    this.#nextPollAt = Math.min(this.#nextPollAt, now + this.#options.minIntervalMs);
    this.#arm();
    return () => {
      this.#waiters -= 1;
    };
  }

  /** A connection to this address failed, or a stranger answered there: asks soon, at a bounded rate. */
  hint(ordinal: number, address: string): void {
    const now = performance.now();
    this.#hints.add(ordinal, address, now);
    this.#quietSince = now;
    this.#arm();
  }

  /** Runs questions that belong to no round, for a diagnosis. */
  ask<Result>(asking: Asking<Result>): Promise<Result> {
    return this.#run(asking).then(({ result }) => result);
  }

  /** Stops asking. Questions in flight are given up. */
  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    await Promise.all([this.#round, this.#hint]);
  }

  #wake(): void {
    if (this.#closing.signal.aborted) return;
    const now = performance.now();
    if (this.#nextReconsiderAt !== null && now >= this.#nextReconsiderAt) {
      this.#nextReconsiderAt = now + reconsiderMs;
      this.#believer.reconsider(now);
    }
    if (this.#round === null && now >= this.#nextPollAt) this.#round = this.#runRound();
    this.#wakeHint(now);
    this.#arm();
  }

  #wakeHint(now: number): void {
    this.#hints.keep((ordinal, address) => this.#believer.isOpen(ordinal, address));
    if (this.#hint !== null) return;
    const { scope } = this.#options;
    const byName = this.#cost.srvNeedsTcp;
    const questions = byName ? this.#believer.wants(now).families.length : 1;
    const ordinals = this.#hints.take(now, !byName, questions);
    if (ordinals.length === 0) return;
    const names = byName ? ordinals.map((ordinal) => nameOf(scope, ordinal)) : [srvQuestion(scope).name];
    if (names.some((name) => (this.#negative.get(name) ?? -Infinity) > now)) return;
    this.#hint = this.#runHint(byName ? ordinals : null).finally(() => {
      this.#hint = null;
      this.#arm();
    });
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#closing.signal.aborted) return;
    const now = performance.now();
    const due = [
      this.#round === null ? this.#nextPollAt : null,
      this.#hint === null ? this.#hints.nextAt(now) : null,
      this.#nextReconsiderAt,
    ].filter((at) => at !== null);
    if (due.length === 0) return;
    // A whole millisecond later: timers round down, and waking early would only mean waking again.
    const delay = Math.max(0, Math.ceil(Math.min(...due) - now));
    this.#timer = setTimeout(() => {
      this.#wake();
    }, delay).unref();
  }

  async #runRound(): Promise<void> {
    const { scope, minIntervalMs, maxIntervalMs } = this.#options;
    const startedAt = performance.now();
    // Whatever becomes of this round, even a fault of our own: the next one is not at once.
    this.#nextPollAt = startedAt + maxIntervalMs;
    const wants = this.#believer.wants(startedAt);
    try {
      const { result: round, cost } = await this.#run(askRound(scope, wants, this.#memory, startedAt));
      if (this.#closing.signal.aborted) return;
      const now = performance.now();
      this.#memory = round.memory;
      this.#observations = round.observations;
      this.#cost = cost;
      this.#failures = round.answer.complete ? 0 : this.#failures + 1;
      this.#nextReconsiderAt = round.answer.complete ? null : (this.#nextReconsiderAt ?? now + reconsiderMs);
      // Disagreeing answers take turns: one that agrees does not end the disagreement.
      if (this.#believer.take(round, now) || this.#believer.isUnsettled()) this.#quietSince = now;
      const { delayMs, reason } = nextPoll({
        minIntervalMs,
        maxIntervalMs,
        failures: this.#failures,
        ttlMs: cost.ttlMs,
        quietMs: now - this.#quietSince,
        isUnsettled: this.#believer.isUnsettled(),
        isAwaited: this.#waiters > 0,
        pods: Math.max(1, wants.known.length),
        questions: cost.questions,
        bytes: cost.bytes,
        random: Math.random(),
      });
      this.#nextPollAt = now + delayMs;
      debug('%s round of %d questions, next in %d ms: %s', verdict(round), cost.questions, delayMs, reason);
    } finally {
      this.#round = null;
      this.#arm();
    }
  }

  async #runHint(ordinals: readonly number[] | null): Promise<void> {
    const { scope } = this.#options;
    const now = performance.now();
    const asking = askHint(scope, this.#believer.wants(now), this.#memory, ordinals, now);
    const { result: round, cost } = await this.#run(asking);
    this.#counts.hints += cost.questions;
    if (this.#closing.signal.aborted) return;
    debug('hint: %s', verdict(round));
    if (this.#believer.take(round, performance.now())) this.#quietSince = performance.now();
  }

  /** Asks what the generator yields until it returns, all within one deadline. */
  async #run<Result>(asking: Asking<Result>): Promise<{
    readonly result: Result;
    readonly cost: { questions: number; bytes: number; ttlMs: number | null; srvNeedsTcp: boolean };
  }> {
    const deadline = performance.now() + this.#options.deadlineMs;
    const cost = { questions: 0, bytes: 0, ttlMs: null as number | null, srvNeedsTcp: this.#cost.srvNeedsTcp };
    let step = asking.next();
    while (step.done !== true) {
      const outcomes = await this.#askAll(step.value, deadline);
      cost.questions += outcomes.length;
      for (const outcome of outcomes) {
        if (outcome.kind === 'found') cost.bytes += outcome.bytes;
        if (outcome.question.type !== 'SRV') continue;
        if (outcome.kind === 'found') {
          cost.ttlMs = outcome.ttlSeconds * 1_000;
          cost.srvNeedsTcp = outcome.transport === 'tcp';
        } else if (outcome.kind === 'failed' && outcome.partial !== null) {
          cost.srvNeedsTcp = true;
        }
      }
      step = asking.next(outcomes);
    }
    return { result: step.value, cost };
  }

  /** Outcomes in the order of the questions; none at all when the library was closed meanwhile. */
  async #askAll(questions: readonly Question[], deadline: number): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let index = next++; index < questions.length; index = next++) {
        const question = questions[index];
        if (question === undefined) return;
        outcomes[index] = await this.#ask(question, deadline);
      }
    };
    try {
      await Promise.all(Array.from({ length: Math.min(parallelQuestions, questions.length) }, worker));
      return outcomes;
    } catch (error) {
      if (this.#closing.signal.aborted) return [];
      throw error;
    }
  }

  /** Every start has one end, also where the library is closed meanwhile. */
  async #ask(question: Question, deadline: number): Promise<Outcome> {
    const message: QuestionMessage = { name: question.name, type: question.type };
    const startedAt = performance.now();
    channels().questionStart.publish(message);
    message.outcome = 'abandoned';
    try {
      const outcome = await this.#options.client.ask(question, { deadline, signal: this.#closing.signal });
      message.outcome = outcome.kind;
      if (outcome.kind === 'failed') message.reason = outcome.failure.reason;
      this.#counts[outcome.kind] += 1;
      this.#noteNegative(outcome);
      debug('%s %s: %s', question.type, question.name, outcome.kind === 'failed' ? outcome.failure : outcome.kind);
      return outcome;
    } finally {
      message.durationMs = performance.now() - startedAt;
      channels().questionEnd.publish(message);
    }
  }

  #noteNegative(outcome: Outcome): void {
    const now = performance.now();
    const { name } = outcome.question;
    if (outcome.kind === 'nxdomain') this.#negative.set(name, now + outcome.negativeTtlSeconds * 1_000);
    else if (outcome.kind === 'found') this.#negative.delete(name);
    if (this.#negative.size <= 1_000) return;
    for (const [other, until] of this.#negative) if (until <= now) this.#negative.delete(other);
  }
}

function verdict({ answer }: Round): string {
  return answer.complete ? 'complete' : `incomplete (${answer.failure?.reason ?? 'unknown'})`;
}

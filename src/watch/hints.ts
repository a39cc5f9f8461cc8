/** A failed connection is a question: to whom it was, and how far the asking has come. */
interface Hint {
  readonly ordinal: number;
  readonly address: string;
  readonly startedAt: number;
  readonly nextAt: number;
  readonly delayMs: number;
}

/** Bounds of the asking. */
const HintLimits = {
  /** At once, then every so often ... */
  fastEveryMs: 100,
  /** ... for so long; then doubling up to the polling minimum. */
  fastForMs: 2_000,
  /** At most 20 a second for the process. */
  gapMs: 50,
  /** Failures at the same address start the asking again only after so long. */
  restartMs: 5_000,
} as const;

// For the process, not for each library object in it: connection storms come from many places at once.
const asking = { lastAt: -Infinity, questions: 1 };

/** The pause after which a hint is asked again, `null` when polling has it from here. */
export function nextHintDelay(elapsedMs: number, lastDelayMs: number, minIntervalMs: number): number | null {
  if (elapsedMs < HintLimits.fastForMs) return HintLimits.fastEveryMs;
  const delay = lastDelayMs * 2;
  return delay < minIntervalMs ? delay : null;
}

/** The hints that are being asked. Keeps time by the numbers it is given; whoever holds it has the timer. */
export class Hints {
  readonly #active = new Map<string, Hint>();
  readonly #startedAt = new Map<string, number>();
  readonly #minIntervalMs: number;

  constructor(minIntervalMs: number) {
    this.#minIntervalMs = minIntervalMs;
  }

  /** Starts asking about this peer; joins the asking that is under way for the same address, or was lately. */
  add(ordinal: number, address: string, now: number): void {
    const key = `${ordinal} ${address}`;
    const last = this.#startedAt.get(key);
    if (this.#active.has(key) || (last !== undefined && now - last < HintLimits.restartMs)) return;
    for (const [other, at] of this.#startedAt) if (now - at >= HintLimits.restartMs) this.#startedAt.delete(other);
    this.#startedAt.set(key, now);
    this.#active.set(key, { ordinal, address, startedAt: now, nextAt: now, delayMs: HintLimits.fastEveryMs });
  }

  /** Forgets hints whose question is answered: the peer is no longer at that address. */
  keep(isStillThere: (ordinal: number, address: string) => boolean): void {
    for (const [key, { ordinal, address }] of this.#active) {
      if (!isStillThere(ordinal, address)) this.#active.delete(key);
    }
  }

  /** When the next hint is due, `null` when there is none. */
  nextAt(now: number): number | null {
    if (this.#active.size === 0) return null;
    return Math.max(Math.min(...[...this.#active.values()].map((hint) => hint.nextAt)), openFrom(now));
  }

  /**
   * Whom to ask about now; each hint taken is moved on, and ends where polling takes over. `all` where one question
   * (the Service's SRV) answers for everybody; else the one that has waited longest.
   *
   * @param questions - how many questions that takes: one for each family of a name
   */
  take(now: number, all: boolean, questions: number): readonly number[] {
    if (openFrom(now) > now) return [];
    const due = [...this.#active].filter(([, hint]) => hint.nextAt <= now).sort(([, a], [, b]) => a.nextAt - b.nextAt);
    const taken = all ? due : due.slice(0, 1);
    if (taken.length === 0) return [];
    asking.lastAt = now;
    asking.questions = questions;
    for (const [key, hint] of taken) {
      const delayMs = nextHintDelay(now - hint.startedAt, hint.delayMs, this.#minIntervalMs);
      if (delayMs === null) this.#active.delete(key);
      else this.#active.set(key, { ...hint, delayMs, nextAt: now + delayMs });
    }
    return [...new Set(taken.map(([, { ordinal }]) => ordinal))];
  }
}

/** When this process may ask the next hint. A clock that was set back (fake timers) must not stop the hints. */
function openFrom(now: number): number {
  return asking.lastAt > now ? now : asking.lastAt + asking.questions * HintLimits.gapMs;
}

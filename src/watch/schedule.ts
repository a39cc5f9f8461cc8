/** All that the next polling interval depends on. */
export interface ScheduleInput {
  readonly minIntervalMs: number;
  readonly maxIntervalMs: number;
  /** Rounds in a row that were not complete, up to now. */
  readonly failures: number;
  /** TTL of the newest SRV answer, `null` where there was none. A hint: CoreDNS sends 30 but answers fresh. */
  readonly ttlMs: number | null;
  /** Since the last change, hint or start of a waiter. */
  readonly quietMs: number;
  /** Answers disagree, or somebody is absent. */
  readonly isUnsettled: boolean;
  /** Somebody waits for a change. */
  readonly isAwaited: boolean;
  /** Size of the set, and what the newest round cost. */
  readonly pods: number;
  readonly questions: number;
  readonly bytes: number;
  /** From 0 to 1. */
  readonly random: number;
}

/** When to ask next, and why then. */
export interface Schedule {
  readonly delayMs: number;
  readonly reason: string;
}

/** What the whole set may ask of the cluster's DNS in a second. */
const SetBudget = { questionsPerSecond: 200, bytesPerSecond: 8_388_608 } as const;

/** How long after a change the minimum is kept: as long as a replaced address can be rumoured. */
const settleMs = 15_000;

/**
 * The polling interval: the minimum while something is going on, the TTL within the bounds while nothing is, growing
 * from the minimum to the maximum while rounds fail; longer for a set that is so large that its pods together would
 * ask too much.
 */
export function nextPoll(input: ScheduleInput): Schedule {
  const { interval, reason } = wanted(input);
  const { pods, questions, bytes, minIntervalMs, maxIntervalMs, random } = input;
  const floor = Math.max(
    (pods * questions * 1_000) / SetBudget.questionsPerSecond,
    (pods * bytes * 1_000) / SetBudget.bytesPerSecond,
  );
  if (floor > interval) {
    return {
      delayMs: floor * (1 + 0.2 * random),
      reason: `${reason}; stretched so that ${pods} pods stay under ${SetBudget.questionsPerSecond} questions and 8 MiB a second`,
    };
  }
  const jittered = interval * (0.9 + 0.2 * random);
  return { delayMs: Math.min(Math.max(jittered, minIntervalMs), maxIntervalMs), reason };
}

function wanted(input: ScheduleInput): { readonly interval: number; readonly reason: string } {
  const { minIntervalMs, maxIntervalMs, failures, ttlMs, quietMs } = input;
  if (failures > 0) {
    const interval = Math.min(minIntervalMs * 2 ** (failures - 1), maxIntervalMs);
    return { interval, reason: `${failures} rounds failed in a row` };
  }
  if (input.isUnsettled) return { interval: minIntervalMs, reason: 'somebody is absent, or answers disagree' };
  if (input.isAwaited) return { interval: minIntervalMs, reason: 'somebody waits' };
  if (quietMs < settleMs) return { interval: minIntervalMs, reason: 'something changed lately' };
  const interval = Math.min(Math.max(ttlMs ?? maxIntervalMs, minIntervalMs), maxIntervalMs);
  return { interval, reason: 'nothing happens' };
}

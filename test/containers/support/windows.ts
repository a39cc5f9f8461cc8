/** How often pods ask, and how long they wait; milliseconds. */
export interface Windows {
  readonly minIntervalMs: number;
  readonly maxIntervalMs: number;
  readonly missingAfterMs: number;
  readonly removeAfterMs: number;
}

/** What the library does where nothing is set. */
export const defaultWindows: Windows = {
  minIntervalMs: 1_000,
  maxIntervalMs: 5_000,
  missingAfterMs: 45_000,
  removeAfterMs: 120_000,
};

/** The options of the library. */
export function optionsOf({ minIntervalMs, maxIntervalMs, missingAfterMs, removeAfterMs }: Windows): object {
  return { refresh: { minIntervalMs, maxIntervalMs }, absence: { missingAfterMs, removeAfterMs } };
}

/** The arguments of the example programs that say how often DNS is asked. */
export function intervals({ minIntervalMs, maxIntervalMs }: Windows): string[] {
  return [`--min-interval-ms=${minIntervalMs}`, `--max-interval-ms=${maxIntervalMs}`];
}

/** Those that say how long somebody must be absent. */
export function absence({ missingAfterMs, removeAfterMs }: Windows): string[] {
  return [`--missing-after-ms=${missingAfterMs}`, `--remove-after-ms=${removeAfterMs}`];
}

/** In seconds, as the summary has them. */
export function shown({ minIntervalMs, maxIntervalMs, missingAfterMs, removeAfterMs }: Windows): string {
  const [min, max, missing, removed] = [minIntervalMs, maxIntervalMs, missingAfterMs, removeAfterMs].map(
    (ms) => ms / 1_000,
  );
  return `${min}-${max}, ${missing}/${removed}`;
}

/** How long things take in the story, in milliseconds. */
export interface Windows {
  readonly minIntervalMs: number;
  readonly maxIntervalMs: number;
  readonly missingAfterMs: number;
  readonly removeAfterMs: number;
  /** How long DNS fails, and lies. */
  readonly faultMs: number;
  /** Between two turns of today's loop. */
  readonly loopMs: number;
  /** Between two connections of a client to the same pod. */
  readonly contactMs: number;
  /** Between two questions of the outsider. */
  readonly askMs: number;
  /** Between two writes of the writer. */
  readonly writeMs: number;
}

/** Of the zone, negative answers included: a removal takes at least four of them, whatever is set. */
export const ttlSeconds = 1;

/** Long enough for a person to follow. */
export const watchableWindows: Windows = {
  ...{ minIntervalMs: 300, maxIntervalMs: 500, missingAfterMs: 3_000, removeAfterMs: 6_000 },
  ...{ faultMs: 8_000, loopMs: 2_000, contactMs: 250, askMs: 500, writeMs: 100 },
};

/** For `--fast`. */
export const fastWindows: Windows = {
  ...{ minIntervalMs: 150, maxIntervalMs: 300, missingAfterMs: 1_500, removeAfterMs: 4_000 },
  ...{ faultMs: 3_000, loopMs: 700, contactMs: 150, askMs: 250, writeMs: 50 },
};

/** The arguments that tell the programs in `examples/` of them. */
export function argumentsFor(windows: Windows): string[] {
  const { missingAfterMs, removeAfterMs } = windows;
  return [...intervalsFor(windows), `--missing-after-ms=${missingAfterMs}`, `--remove-after-ms=${removeAfterMs}`];
}

/** Those that say how often DNS is asked. */
export function intervalsFor({ minIntervalMs, maxIntervalMs }: Windows): string[] {
  return [`--min-interval-ms=${minIntervalMs}`, `--max-interval-ms=${maxIntervalMs}`];
}

/** What a reader has to know before the first line. */
export function introOf(windows: Windows, isSingleAddress: boolean): string[] {
  const { minIntervalMs, maxIntervalMs, missingAfterMs, removeAfterMs, loopMs, askMs, writeMs } = windows;
  return [
    'A StatefulSet `web` behind the headless Service `nginx`: each pod is a process with its own loopback address',
    `${isSingleAddress ? '(here all share 127.0.0.1, and each has its own port) ' : ''}and knows who it is from its environment alone.`,
    `Times are short so that it can be watched: DNS TTL ${ttlSeconds} s, refresh ${minIntervalMs}-${maxIntervalMs} ms, missing after`,
    `${missingAfterMs} ms, removed after ${removeAfterMs} ms (the defaults: 1-5 s, 45 s, 120 s). Today's loop asks every ${loopMs} ms;`,
    `an outsider asks for web-0.nginx.default.svc.cluster.local every ${askMs} ms, with Node's plain resolver. The pods keep a`,
    `replicated log: web-0 takes writes, the others follow it, and a writer outside writes to http://primary every ${writeMs} ms.`,
  ];
}

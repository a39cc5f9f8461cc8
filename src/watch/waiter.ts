/** What a waiter looks at. */
export interface Waitable {
  /** Calls back after every change of topology or freshness. Returns the function that ends it. */
  subscribe(onChange: () => void): () => void;
  /** Answers are not stale: time at a stable result counts. */
  isFresh(): boolean;
  /** Rejections of a waiter that ran out of time, or whose library was closed. */
  timeoutError(elapsedMs: number): Error;
  /** Aborts when the library closes; its reason is the rejection. */
  readonly closing: AbortSignal;
}

/** A result, and what it is about: a stable time starts again when the key changes. */
export interface Candidate<Value> {
  readonly value: Value;
  readonly key: string;
}

const longestTimerMs = 0x7fff_ffff;

/**
 * Waits until `pick` gives a candidate that holds for `stableForMs`. Keeps the process alive meanwhile.
 *
 * @throws the signal's reason, the timeout error, or the reason of closing; and what `pick` throws
 */
export function waitUntil<Value>(
  source: Waitable,
  pick: () => Candidate<Value> | null,
  options: { readonly timeoutMs: number; readonly stableForMs: number; readonly signal: AbortSignal | undefined },
): Promise<Value> {
  const { timeoutMs, stableForMs, signal } = options;
  const startedAt = performance.now();
  return new Promise<Value>((resolve, reject) => {
    let stable: { readonly key: string; readonly timer: NodeJS.Timeout } | null = null;
    const endStable = (): void => {
      clearTimeout(stable?.timer);
      stable = null;
    };
    const end = (settle: () => void): void => {
      endStable();
      clearTimeout(timeout);
      unsubscribe();
      signal?.removeEventListener('abort', onAbort);
      source.closing.removeEventListener('abort', onClosing);
      settle();
    };
    const fail = (error: unknown): void => {
      end(() => {
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a signal's reason is passed as it is
        reject(error);
      });
    };
    const onAbort = (): void => {
      fail(signal?.reason);
    };
    const onClosing = (): void => {
      fail(source.closing.reason);
    };
    const look = (isFinal: boolean): void => {
      let candidate: Candidate<Value> | null;
      try {
        candidate = pick();
      } catch (error) {
        fail(error);
        return;
      }
      if (candidate !== null && (stableForMs === 0 || isFinal)) {
        const { value } = candidate;
        end(() => {
          resolve(value);
        });
        return;
      }
      if (candidate === null || !source.isFresh()) {
        endStable();
        return;
      }
      if (stable?.key === candidate.key) return;
      endStable();
      const timer = setTimeout(() => {
        look(true);
      }, stableForMs);
      stable = { key: candidate.key, timer };
    };
    const onTimeout = (): void => {
      const left = timeoutMs - (performance.now() - startedAt);
      if (left > 0) timeout = setTimeout(onTimeout, Math.min(left, longestTimerMs));
      else fail(source.timeoutError(performance.now() - startedAt));
    };
    let timeout = setTimeout(onTimeout, Math.min(timeoutMs, longestTimerMs));
    const unsubscribe = source.subscribe(() => {
      look(false);
    });
    signal?.addEventListener('abort', onAbort);
    source.closing.addEventListener('abort', onClosing);
    if (signal?.aborted === true) onAbort();
    else if (source.closing.aborted) onClosing();
    else look(false);
  });
}

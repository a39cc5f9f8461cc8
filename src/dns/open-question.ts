/** A question that waits for its answer. It ends once; what comes later does nothing. */
export interface OpenQuestion {
  /** The bytes to send. */
  readonly query: Uint8Array;
  /** Shows it a packet. Returns whether that packet was its own, and so ended it. */
  offer(response: Uint8Array): boolean;
  fail(error: unknown): void;
}

/** Undoes what `start` opened. `isAnswered` says that a packet ended the question, not an error or abort. */
export type Cleanup = (isAnswered: boolean) => void;

/**
 * Runs one exchange: `start` sends the query and offers what comes back, later; what it returns is called when the
 * question has ended, however it did.
 *
 * @returns what `accept` made of the packet that was its own
 * @throws what `accept` threw, what the question failed with, or `signal.reason`
 */
export function ask<T>(
  query: Uint8Array,
  accept: (response: Uint8Array) => T | undefined,
  signal: AbortSignal,
  start: (question: OpenQuestion) => Cleanup,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) throw signal.reason;
    let isOpen = true;
    const end = (isAnswered: boolean): void => {
      isOpen = false;
      signal.removeEventListener('abort', onAbort);
      cleanup(isAnswered);
    };
    const question: OpenQuestion = {
      query,
      offer(response) {
        if (!isOpen) return false;
        try {
          const accepted = accept(response);
          if (accepted === undefined) return false;
          end(true);
          resolve(accepted);
        } catch (error) {
          end(true);
          settle(error);
        }
        return true;
      },
      fail(error) {
        if (!isOpen) return;
        end(false);
        settle(error);
      },
    };
    const settle = (error: unknown): void => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a signal's reason is passed as it is
      reject(error);
    };
    const onAbort = (): void => {
      question.fail(signal.reason);
    };
    const cleanup = start(question);
    signal.addEventListener('abort', onAbort);
  });
}

/** At the latest it looks again then: not every change is told. */
const lookMs = 500;

/** Waits for what only reports and changes can make so: it looks each time that it is told of one. */
export class Waiting {
  readonly #listeners = new Set<() => void>();

  /** Something was reported, or has changed. */
  tell(): void {
    for (const hear of [...this.#listeners]) hear();
  }

  /**
   * Waits until it is so.
   *
   * @param state - what is so instead, for the error
   * @throws Error after that time
   */
  async until(what: string, patienceMs: number, isSo: () => boolean, state: () => string = () => ''): Promise<void> {
    const late = performance.now() + patienceMs;
    while (!isSo()) {
      const left = late - performance.now();
      if (left <= 0) throw new Error(`waited ${patienceMs} ms in vain for ${what}\n${state()}`);
      await new Promise<void>((resolve) => {
        const hear = (): void => {
          clearTimeout(timer);
          this.#listeners.delete(hear);
          resolve();
        };
        const timer = setTimeout(hear, Math.min(left, lookMs));
        this.#listeners.add(hear);
      });
    }
  }
}

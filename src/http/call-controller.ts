import type { Dispatcher } from 'undici';

/** Hands on to the controller of the attempt that is under way. */
export class CallController implements Dispatcher.DispatchController {
  readonly #abort: (reason: Error) => void;
  #inner: Dispatcher.DispatchController | null = null;
  #reason: Error | null = null;
  #isAborted = false;
  #isPaused = false;

  /** @param abort - ends the request, whether or not it is sent */
  constructor(abort: (reason: Error) => void) {
    this.#abort = abort;
  }

  /** The attempt that is sent. */
  bind(inner: Dispatcher.DispatchController): void {
    this.#inner = inner;
    if (this.#isPaused) inner.pause();
  }

  get aborted(): boolean {
    return this.#isAborted || (this.#inner?.aborted ?? false);
  }

  get paused(): boolean {
    return this.#inner?.paused ?? this.#isPaused;
  }

  get reason(): Error | null {
    return this.#reason ?? this.#inner?.reason ?? null;
  }

  get rawHeaders(): Exclude<Dispatcher.DispatchController['rawHeaders'], undefined> {
    return this.#inner?.rawHeaders ?? null;
  }

  get rawTrailers(): Exclude<Dispatcher.DispatchController['rawTrailers'], undefined> {
    return this.#inner?.rawTrailers ?? null;
  }

  abort(reason: Error): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#reason = reason;
    this.#abort(reason);
  }

  pause(): void {
    this.#isPaused = true;
    this.#inner?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#inner?.resume();
  }
}

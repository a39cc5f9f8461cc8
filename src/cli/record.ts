import type { Act, Done, Report, Said } from './report.ts';

/** How long the story waits for one thing. */
const patienceMs = 30_000;

/** What happened in the story, in order; and where one waits for what has not happened yet. */
export class StoryRecord {
  readonly reports: Report[] = [];
  readonly #show: (report: Report) => void;
  readonly #signal: AbortSignal;
  readonly #startedAt = monotonicMs();
  readonly #waiting = new Set<() => void>();
  #act: Act = 'start';
  #state: 'recording' | 'showing' | 'closed' = 'recording';

  /**
   * @param show - is called with each report, as it comes
   * @param signal - ends whatever is waited for
   */
  constructor(show: (report: Report) => void, signal: AbortSignal) {
    this.#show = show;
    this.#signal = signal;
  }

  get act(): Act {
    return this.#act;
  }

  begin(act: Act, title: string): void {
    this.#act = act;
    this.done({ kind: 'act', name: act, title });
  }

  /** What the cluster did. */
  done(what: Done): void {
    this.add('cluster', what);
  }

  add(from: string, what: Said | Done): void {
    if (this.#state === 'closed') return;
    const report = { at: this.#since(monotonicMs()), act: this.#act, from, what: this.#timed(what) };
    if (this.#state === 'recording') this.reports.push(report);
    this.#show(report);
    this.tell();
  }

  /** From here on reports are shown, and not kept: the story is over, and what follows has no end. */
  conclude(): void {
    this.#state = 'showing';
  }

  /** What comes now belongs to no story any more. */
  close(): void {
    this.#state = 'closed';
  }

  /** The last thing of that kind that was said there. */
  last(from: string, kind: Said['kind']): Said | Done | undefined {
    return this.reports.findLast((one) => one.from === from && one.what.kind === kind)?.what;
  }

  /**
   * Waits until it is so; after 30 s it is reported as late, and the story goes on.
   *
   * @throws the signal's reason
   */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const late = monotonicMs() + patienceMs;
    this.#signal.throwIfAborted();
    while (!isSo()) {
      const left = late - monotonicMs();
      if (left <= 0) {
        this.done({ kind: 'late', what });
        return;
      }
      await this.#news(Math.min(left, 1_000));
      this.#signal.throwIfAborted();
    }
  }

  /** Something changed that is no report: whoever waits looks again. */
  tell(): void {
    for (const hear of [...this.#waiting]) hear();
  }

  #news(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        this.#signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#waiting.add(end);
      this.#signal.addEventListener('abort', end);
    });
  }

  #timed(what: Said | Done): Said | Done {
    if (what.kind !== 'resolved') return what;
    return { ...what, askedAt: this.#since(what.askedAt), answeredAt: this.#since(what.answeredAt) };
  }

  /** Cut, never rounded up: so what came first is never the later. */
  #since(time: number): number {
    return Math.floor(time - this.#startedAt);
  }
}

/** The clock that all processes of a machine share; `performance.now()` begins anew in each. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

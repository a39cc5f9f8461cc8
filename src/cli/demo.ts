import { hasLoopbackRange } from '../testing/pod-network.ts';
import type { PlayOptions } from './command-line.ts';
import { invitationTo } from './invitation.ts';
import { StoryRecord } from './record.ts';
import { Story, readersPod } from './story.ts';
import { hasColour, isWide } from './terminal.ts';
import { Timeline } from './timeline.ts';
import { verdictOf } from './verdict.ts';
import { fastWindows, introOf, watchableWindows } from './windows.ts';

/**
 * Plays the story with real processes on loopback.
 *
 * @returns the exit status: 0 when every claim of the verdict holds, 1 when one does not; before there is a verdict 128
 * and the number of the signal that ended it
 */
export async function playDemo(options: PlayOptions): Promise<number> {
  const interruption = new Interruption();
  const { signal } = interruption;
  const { stdout } = process;
  const timeline = new Timeline({
    isJson: options.isJson,
    hasColour: hasColour(process.env, stdout.isTTY),
    isWide: () => isWide(stdout.isTTY ? stdout.columns : undefined),
    write: (line) => stdout.write(`${line}\n`),
  });
  const windows = options.isFast ? fastWindows : watchableWindows;
  const isSingleAddress = options.isSingleAddress || !(await hasLoopbackRange());
  const record = new StoryRecord((report) => timeline.show(report), signal);
  const story = new Story({ windows, isSingleAddress, record, signal });
  let status: number | null = null;
  try {
    timeline.intro(introOf(windows, isSingleAddress));
    await story.play();
    const verdict = verdictOf(record.reports);
    timeline.verdict(verdict);
    status = verdict.passed ? 0 : 1;
    if (options.isKept) {
      const cluster = await story.keep();
      timeline.invitation(invitationTo(cluster, story.volumeOf(readersPod)));
      await interruption.happened;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await story.close();
    interruption.forget();
  }
  return status ?? interruption.status;
}

type Ending = 'SIGHUP' | 'SIGINT' | 'SIGPIPE' | 'SIGTERM';

/** What a shell says of a program that a signal ended. */
const statusAfter: Readonly<Record<Ending, number>> = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 };

/** Ctrl-C and the like, and a reader who has gone (`npm start | head -3`). */
class Interruption {
  readonly happened: Promise<void>;
  readonly #controller = new AbortController();
  #ending: Ending = 'SIGINT';

  constructor() {
    this.happened = new Promise((resolve) => {
      this.signal.addEventListener('abort', () => resolve());
    });
    process.on('SIGHUP', this.#onSignal).on('SIGINT', this.#onSignal).on('SIGTERM', this.#onSignal);
    process.stdout.on('error', this.#onOutputError);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** As a shell has it. */
  get status(): number {
    return statusAfter[this.#ending];
  }

  /** A signal is no longer waited for. What was written may still fail, and is nobody's error then. */
  forget(): void {
    process.off('SIGHUP', this.#onSignal).off('SIGINT', this.#onSignal).off('SIGTERM', this.#onSignal);
  }

  readonly #onSignal = (ending: NodeJS.Signals): void => {
    if (this.signal.aborted) return;
    if (ending in statusAfter) this.#ending = ending as Ending;
    this.#controller.abort();
  };

  // Node.js ignores SIGPIPE: that nobody reads any more is an error of the stream.
  readonly #onOutputError = (): void => this.#onSignal('SIGPIPE');
}

import type { WorkerContext } from '../../../src/connect/worker.ts';
import type { Peer } from '../../../src/topology/topology.ts';
import { at } from '../../support/member.ts';

/** One run of a worker, in the hands of a test. */
export interface Run {
  /** Against whom; `null` for a run of `lead`. */
  readonly peer: Peer | null;
  readonly signal: AbortSignal;
  /** When it began, on the clock of the test. */
  readonly startedAt: number;
  /** It has not ended. */
  readonly isRunning: boolean;
  /** Lets the worker return this. */
  finish(value?: unknown): void;
  /** Lets the worker throw this. */
  fail(error: unknown): void;
}

/** A worker for `follow` and `lead` whose runs a test ends as it likes. */
export class Runs {
  readonly all: Run[] = [];
  /** Whether a run ends by itself when its signal aborts, by throwing the reason. */
  obeys = true;
  /** The most that ran at one time. */
  most = 0;
  #running = 0;

  /** To be given to `follow`. */
  readonly follow = (peer: Peer, context: WorkerContext): Promise<unknown> => this.#run(peer, context);
  /** To be given to `lead`. */
  readonly lead = (context: WorkerContext): Promise<unknown> => this.#run(null, context);

  /** The newest run. */
  get last(): Run {
    const last = this.all.at(-1);
    if (last === undefined) throw new Error('the worker was not run');
    return last;
  }

  /** `web-0 10.0.0.1` for each run, in order. */
  get against(): string[] {
    return this.all.map(({ peer }) => (peer === null ? 'self' : `${peer.podName} ${at(peer)}`));
  }

  #run(peer: Peer | null, { signal }: WorkerContext): Promise<unknown> {
    this.#running += 1;
    this.most = Math.max(this.most, this.#running);
    return new Promise((resolve, reject) => {
      let isRunning = true;
      const end = (settle: () => void): void => {
        if (!isRunning) return;
        isRunning = false;
        this.#running -= 1;
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const onAbort = (): void => {
        if (this.obeys) run.fail(signal.reason);
      };
      const run: Run = {
        peer,
        signal,
        startedAt: performance.now(),
        get isRunning() {
          return isRunning;
        },
        finish: (value) => {
          end(() => {
            resolve(value);
          });
        },
        fail: (error) => {
          end(() => {
            // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a worker may throw anything
            reject(error);
          });
        },
      };
      this.all.push(run);
      signal.addEventListener('abort', onAbort);
    });
  }
}

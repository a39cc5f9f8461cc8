import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from './child.ts';
import { clock } from './clock.ts';
import type { Contestant, ContestantName, Place } from './contestants.ts';
import { contestants } from './contestants.ts';

// A process with one contestant in it, so that nobody's work waits for another's, and what a library keeps for its
// process (how often hints are asked) is its own.

/** What the parent asks for. `id` is one of its worlds. */
export type ClientRequest =
  | { readonly kind: 'hello' }
  /** Starts the contestant there; answered when each pod has answered it. */
  | {
      readonly kind: 'start';
      readonly id: string;
      readonly contestant: ContestantName;
      /** What it calls itself to the pods. */
      readonly name: string;
      readonly place: Place;
      readonly podNames: readonly string[];
      /** Each request's own deadline; `null` for none. */
      readonly deadlineMs: number | null;
    }
  /** A request there so often from now on, to the pods in turn; `null` for none. */
  | { readonly kind: 'pace'; readonly id: string; readonly everyMs: number | null }
  /** Waits that long for what is under way, and closes. Answered with {@link Sample}s. */
  | { readonly kind: 'end'; readonly id: string; readonly graceMs: number };

/** One request, and what became of it. Times are the {@link clock}'s. */
export interface Sample {
  readonly sentAt: number;
  readonly tookMs: number;
  /** The body of a response with status 200. */
  readonly by: string | null;
  /** Why there is none. */
  readonly error: string | null;
}

class Client {
  readonly #contestant: Contestant;
  readonly #podNames: readonly string[];
  readonly #deadlineMs: number | null;
  readonly #samples: Sample[] = [];
  readonly #underWay = new Set<(error: string) => void>();
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(contestant: Contestant, podNames: readonly string[], deadlineMs: number | null) {
    this.#contestant = contestant;
    this.#podNames = podNames;
    this.#deadlineMs = deadlineMs;
  }

  async prime(): Promise<void> {
    for (const podName of this.#podNames) {
      const { status, by } = await this.#contestant.get(podName, new AbortController().signal);
      if (status !== 200) throw new Error(`${podName} is not there at the start: ${status} ${by}`);
    }
  }

  pace(everyMs: number | null): void {
    clearInterval(this.#timer);
    if (everyMs === null) return;
    this.#timer = setInterval(() => {
      this.#send();
    }, everyMs);
  }

  async end(graceMs: number): Promise<readonly Sample[]> {
    this.pace(null);
    const until = clock() + graceMs;
    while (this.#underWay.size > 0 && clock() < until) await sleep(20);
    for (const settle of [...this.#underWay]) settle('no answer');
    await this.#contestant.close();
    return this.#samples;
  }

  #send(): void {
    const podName = this.#podNames[this.#turn++ % this.#podNames.length] ?? '';
    const sentAt = clock();
    const controller = new AbortController();
    const settle = (by: string | null, error: string | null): void => {
      if (!this.#underWay.delete(giveUp)) return;
      clearTimeout(timer);
      this.#samples.push({ sentAt, tookMs: clock() - sentAt, by, error });
    };
    // Undici does not settle a request that is queued on a connecting socket when its signal aborts.
    const giveUp = (error: string): void => {
      settle(null, error);
      controller.abort(new Error(error));
    };
    const timer =
      this.#deadlineMs === null
        ? undefined
        : setTimeout(() => {
            giveUp('deadline');
          }, this.#deadlineMs);
    this.#underWay.add(giveUp);
    this.#contestant.get(podName, controller.signal).then(
      ({ status, by }) => {
        settle(status === 200 ? by : null, status === 200 ? null : String(status));
      },
      (error: unknown) => {
        settle(null, error instanceof Error && 'code' in error ? String(error.code) : String(error));
      },
    );
  }
}

const clients = new Map<string, Client>();

async function answer(request: ClientRequest): Promise<unknown> {
  switch (request.kind) {
    case 'hello':
      return null;
    case 'start': {
      const { id, contestant, name, place, podNames, deadlineMs } = request;
      const client = new Client(await contestants[contestant](place, name), podNames, deadlineMs);
      await client.prime();
      clients.set(id, client);
      return null;
    }
    case 'pace':
      clients.get(request.id)?.pace(request.everyMs);
      return null;
    case 'end': {
      const client = clients.get(request.id);
      clients.delete(request.id);
      return (await client?.end(request.graceMs)) ?? [];
    }
  }
}

serve(answer, () => {
  // What a contestant left behind (a socket that never connects) must not keep the process.
  process.exit();
});

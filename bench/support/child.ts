import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A process of a bench, and what is said to it: requests, each with one answer, in any order. */
export class Child {
  readonly #child: ChildProcess;
  readonly #open = new Map<number, { resolve: (answer: unknown) => void; reject: (error: Error) => void }>();
  #lastId = 0;

  /** @param script - the compiled file: `new URL('./file.js', import.meta.url)` */
  constructor(script: URL) {
    this.#child = fork(fileURLToPath(script));
    this.#child.on('message', ({ id, answer, error }: Said) => {
      const asked = this.#open.get(id);
      this.#open.delete(id);
      if (error === null) asked?.resolve(answer);
      else asked?.reject(new Error(error));
    });
    this.#child.on('exit', (code) => {
      for (const { reject } of this.#open.values()) {
        reject(new Error(`a process of the bench ended with ${code ?? 'a signal'}`));
      }
    });
  }

  /** @throws Error when the process ends, or with what it says was wrong */
  ask<Answer>(request: unknown): Promise<Answer> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve: resolve as (answer: unknown) => void, reject });
      this.#child.send({ id, request } satisfies Asked);
    });
  }

  /** Lets it end. */
  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

interface Asked {
  readonly id: number;
  readonly request: unknown;
}

interface Said {
  readonly id: number;
  readonly answer: unknown;
  readonly error: string | null;
}

/** In the child: answers requests until the parent lets go, then calls `end`. */
export function serve(answer: (request: never) => unknown, end: () => void): void {
  const say = (said: Said): void => {
    process.send?.(said);
  };
  process.on('message', ({ id, request }: Asked) => {
    Promise.resolve()
      .then(() => answer(request as never))
      .then(
        (value) => {
          say({ id, answer: value ?? null, error: null });
        },
        (error: unknown) => {
          say({ id, answer: null, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
        },
      );
  });
  process.on('disconnect', end);
}

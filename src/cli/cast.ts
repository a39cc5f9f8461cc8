import { setTimeout as pause } from 'node:timers/promises';
import type { Pod, PodProcess } from '../testing/pod.ts';
import type { TestCluster, Variables } from '../testing/test-cluster.ts';
import type { Program } from './child.ts';
import { start } from './child.ts';
import { answerOf, placeOf } from './place.ts';
import type { StoryRecord } from './record.ts';
import type { Windows } from './windows.ts';
import { argumentsFor } from './windows.ts';

/** The processes of the story: what they say goes to the record. */
export class Cast {
  readonly #record: StoryRecord;
  readonly #windows: Windows;
  readonly #clients: PodProcess[] = [];
  readonly #launches = new Map<string, number>();
  readonly #probes: Promise<void>[] = [];
  #isClosing = false;

  constructor(record: StoryRecord, windows: Windows) {
    this.#record = record;
    this.#windows = windows;
  }

  /** A pod's container: a child process, Ready as soon as it answers with its name. */
  runPod(pod: Pod, variables: Variables): PodProcess {
    const launch = (this.#launches.get(pod.name) ?? 0) + 1;
    this.#launches.set(pod.name, launch);
    const args = [`--port=${placeOf(pod).port}`, ...argumentsFor(this.#windows)];
    const running = this.#start(`${pod.name}#${launch}`, { name: 'pod', args, variables });
    this.#probes.push(this.#probe(pod, running));
    return running;
  }

  /** The clients outside the set: with the library, with today's loop, and with a plain resolver. */
  runClients(cluster: TestCluster): void {
    const variables = cluster.observerEnvironment();
    const { loopMs, contactMs, askMs } = this.#windows;
    const contact = `--contact-ms=${contactMs}`;
    const client = (from: string, name: Program['name'], args: readonly string[]): void => {
      this.#clients.push(this.#start(from, { name, args, variables }));
    };
    client('observer', 'observer', [contact, ...argumentsFor(this.#windows)]);
    client('loop', 'todays-loop', [contact, `--every-ms=${loopMs}`]);
    client('outsider', 'outsider', [`--name=${cluster.stableName('web-0')}`, `--every-ms=${askMs}`]);
  }

  /** Ends the clients at once. The pods are ended by their cluster, before this is awaited. */
  async close(closeCluster: () => Promise<void>): Promise<void> {
    this.#isClosing = true;
    for (const client of this.#clients) client.kill();
    await closeCluster();
    await Promise.all([...this.#clients.map(({ stopped }) => stopped), ...this.#probes]);
  }

  #start(from: string, program: Omit<Program, 'onSaid'>): PodProcess {
    const child = start({ ...program, onSaid: (said) => this.#record.add(from, said) });
    if (child.pid !== null) this.#record.done({ kind: 'process', name: from, pid: child.pid });
    return child;
  }

  async #probe(pod: Pod, running: PodProcess): Promise<void> {
    const ended = new AbortController();
    void running.stopped.then(() => ended.abort());
    while (!ended.signal.aborted && !pod.isReady && !pod.isTerminating && !this.#isClosing) {
      if ((await answerOf(placeOf(pod))) === pod.name) pod.markReady();
      else await pause(50);
    }
  }
}

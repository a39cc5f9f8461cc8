import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Pod, PodProcess } from '../testing/pod.ts';
import type { TestCluster, Variables } from '../testing/test-cluster.ts';
import type { Child, Program } from './child.ts';
import { start } from './child.ts';
import { isReady, placeOf } from './place.ts';
import type { StoryRecord } from './record.ts';
import type { Windows } from './windows.ts';
import { argumentsFor, intervalsFor } from './windows.ts';

/** The processes of the story: what they say goes to the record. */
export class Cast {
  readonly #record: StoryRecord;
  readonly #windows: Windows;
  readonly #clients: PodProcess[] = [];
  readonly #launches = new Map<string, number>();
  readonly #probes: Promise<void>[] = [];
  /** A directory a pod name, which stays when the pod is made anew: its PersistentVolumeClaim. */
  readonly #volumes = mkdtempSync(join(tmpdir(), 'stateful-peers-story-'));
  #writer: Child | null = null;
  #isClosing = false;

  constructor(record: StoryRecord, windows: Windows) {
    this.#record = record;
    this.#windows = windows;
  }

  /** A pod's container: a child process, Ready when its readiness probe says so. */
  runPod(pod: Pod, variables: Variables): PodProcess {
    const launch = (this.#launches.get(pod.name) ?? 0) + 1;
    this.#launches.set(pod.name, launch);
    const data = `--data=${this.volumeOf(pod.name)}`;
    const args = [`--port=${placeOf(pod).port}`, data, ...argumentsFor(this.#windows)];
    const running = this.#start(`${pod.name}#${launch}`, { name: 'replicated-log', args, variables });
    this.#probes.push(this.#probe(pod, running));
    return running;
  }

  /** What a pod of that name keeps. */
  volumeOf(podName: string): string {
    return join(this.#volumes, podName);
  }

  /** The clients outside the set: with the library, with today's loop, with a plain resolver, and the writer. */
  runClients(cluster: TestCluster, plainPort: number): void {
    const variables = cluster.observerEnvironment();
    const { loopMs, contactMs, askMs, writeMs } = this.#windows;
    const contact = `--contact-ms=${contactMs}`;
    const client = (from: string, name: Program['name'], args: readonly string[]): Child => {
      const child = this.#start(from, { name, args, variables });
      this.#clients.push(child);
      return child;
    };
    client('observer', 'observer', [contact, ...argumentsFor(this.#windows)]);
    client('loop', 'todays-loop', [contact, `--every-ms=${loopMs}`]);
    client('outsider', 'outsider', [`--name=${cluster.stableName('web-0')}`, `--every-ms=${askMs}`]);
    const writing = [`--every-ms=${writeMs}`, `--plain-port=${plainPort}`, ...intervalsFor(this.#windows)];
    this.#writer = client('writer', 'writer', writing);
  }

  /** Lets the writer finish what it has begun; it reports when it has. */
  endWriting(): void {
    this.#writer?.tell('finish');
  }

  /** Ends the clients at once. The pods are ended by their cluster, before this is awaited. */
  async close(closeCluster: () => Promise<void>): Promise<void> {
    this.#isClosing = true;
    for (const client of this.#clients) client.kill();
    await closeCluster();
    await Promise.all([...this.#clients.map(({ stopped }) => stopped), ...this.#probes]);
    rmSync(this.#volumes, { recursive: true, force: true });
  }

  #start(from: string, program: Omit<Program, 'onSaid'>): Child {
    const child = start({ ...program, onSaid: (said) => this.#record.add(from, said) });
    if (child.pid !== null) this.#record.done({ kind: 'process', name: from, pid: child.pid });
    return child;
  }

  async #probe(pod: Pod, running: PodProcess): Promise<void> {
    const ended = new AbortController();
    void running.stopped.then(() => ended.abort());
    while (!ended.signal.aborted && !pod.isReady && !pod.isTerminating && !this.#isClosing) {
      if (await isReady(placeOf(pod))) pod.markReady();
      else await pause(50);
    }
  }
}

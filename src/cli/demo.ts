import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Fault } from '../testing/dns-faults.ts';
import type { Pod, PodProcess } from '../testing/pod.ts';
import type { Variables } from '../testing/test-cluster.ts';
import { TestCluster } from '../testing/test-cluster.ts';
import { start } from './child.ts';
import type { Act, Addresses, Done, Report, Said } from './report.ts';
import { Timeline } from './timeline.ts';
import { verdictOf } from './verdict.ts';

/** How the story is told. */
export interface DemoOptions {
  readonly isFast: boolean;
  readonly isJson: boolean;
}

/**
 * Plays the story with real processes on loopback.
 *
 * @returns the exit status: 0 when every claim of the verdict holds, 1 when one does not, 130 or 143 after a signal
 */
export async function playDemo({ isFast, isJson }: DemoOptions): Promise<number> {
  const windows = isFast ? fastWindows : watchableWindows;
  const hasColour = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';
  const timeline = new Timeline(isJson, hasColour, (line) => process.stdout.write(`${line}\n`));
  timeline.intro(introOf(windows));
  const stopping = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => stopping.abort(signal);
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  const story = new Story(windows, timeline, stopping.signal);
  try {
    await story.play();
    const verdict = verdictOf(story.reports);
    timeline.verdict(verdict);
    return verdict.passed ? 0 : 1;
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    return stopping.signal.reason === 'SIGTERM' ? 143 : 130;
  } finally {
    await story.close();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

interface Windows {
  readonly minIntervalMs: number;
  readonly maxIntervalMs: number;
  readonly missingAfterMs: number;
  readonly removeAfterMs: number;
  readonly faultMs: number;
  readonly loopMs: number;
  readonly contactMs: number;
}

// A removal takes at least four negative TTLs, whatever is set: the zone's TTL is one second.
const ttlSeconds = 1;
const watchableWindows: Windows = {
  ...{ minIntervalMs: 300, maxIntervalMs: 500, missingAfterMs: 3_000, removeAfterMs: 6_000 },
  ...{ faultMs: 8_000, loopMs: 2_000, contactMs: 250 },
};
const fastWindows: Windows = {
  ...{ minIntervalMs: 150, maxIntervalMs: 300, missingAfterMs: 1_500, removeAfterMs: 4_000 },
  ...{ faultMs: 3_000, loopMs: 700, contactMs: 150 },
};
const patienceMs = 30_000;

function introOf({ minIntervalMs, maxIntervalMs, missingAfterMs, removeAfterMs, loopMs }: Windows): string[] {
  return [
    'A StatefulSet `web` behind the headless Service `nginx`: each pod is a process with its own loopback address.',
    `Times are short so that it can be watched: DNS TTL ${ttlSeconds} s, refresh ${minIntervalMs}-${maxIntervalMs} ms, missing after`,
    `${missingAfterMs} ms, removed after ${removeAfterMs} ms (the defaults: 1-5 s, 45 s, 120 s). Today's loop asks every ${loopMs} ms.`,
  ];
}

class Story {
  readonly reports: Report[] = [];
  readonly #windows: Windows;
  readonly #timeline: Timeline;
  readonly #signal: AbortSignal;
  readonly #outsiders: PodProcess[] = [];
  readonly #launches = new Map<string, number>();
  readonly #news = new Set<() => void>();
  readonly #probes: Promise<void>[] = [];
  readonly #startedAt = performance.now();
  #cluster: TestCluster | null = null;
  #isClosing = false;
  #act: Act = 'start';

  constructor(windows: Windows, timeline: Timeline, signal: AbortSignal) {
    this.#windows = windows;
    this.#timeline = timeline;
    this.#signal = signal;
  }

  async play(): Promise<void> {
    const cluster = await TestCluster.start({
      ...{
        sockets: true,
        create: false,
        replicas: 2,
        dns: { ttlSeconds },
        restartBackoffMs: 500,
        gracePeriodMs: 5_000,
      },
      run: (pod, variables) => this.#runPod(pod, variables),
    });
    this.#cluster = cluster;
    const set = cluster.statefulSet;
    set.on('podReady', (pod) => this.#done({ kind: 'ready', podName: pod.name, address: addressOf(pod) }));
    set.on('podDeleted', (pod) => this.#done({ kind: 'gone', podName: pod.name, address: addressOf(pod) }));

    this.#begin('start', 'Ordered start: web-1 only after web-0 is Ready');
    this.#done({ kind: 'replicas', count: 2 });
    this.#runOutsiders(cluster);
    set.create();
    await this.#allAgree(cluster);

    this.#begin('delete', 'Both pods are deleted: back in order, same names, new IPs');
    cluster.pod('web-1').delete();
    cluster.pod('web-0').delete();
    await this.#allAgree(cluster);

    this.#begin('scale', 'Scale to 3 and back to 2');
    this.#done({ kind: 'replicas', count: 3 });
    set.scale(3);
    await this.#allAgree(cluster);
    this.#done({ kind: 'replicas', count: 2 });
    set.scale(2);
    await this.#allAgree(cluster);

    this.#begin('rollout', 'Rolling update: web-1, then web-0');
    set.rollout();
    await this.#allAgree(cluster);

    this.#begin('servfail', 'DNS fails: SERVFAIL to every question');
    await this.#during('SERVFAIL', () => cluster.dns.fail('SERVFAIL'));
    await this.#allAgree(cluster);

    this.#begin('nxdomain', 'DNS lies: NXDOMAIN to 30 % of the questions');
    await this.#during('30 % NXDOMAIN', () => cluster.dns.spuriousNxdomain(0.3));
    await this.#allAgree(cluster);

    this.#begin('handover', "web-0 comes back at the address that was web-1's");
    const address = addressOf(cluster.pod('web-1'));
    cluster.pod('web-1').delete();
    cluster.pod('web-0').reschedule({ addresses: address });
    await this.#allAgree(cluster);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const outsider of this.#outsiders) outsider.kill();
    await this.#cluster?.close();
    await Promise.all(this.#outsiders.map(({ stopped }) => stopped));
    await Promise.all(this.#probes);
  }

  #begin(act: Act, title: string): void {
    this.#act = act;
    this.#done({ kind: 'act', name: act, title });
  }

  async #during(what: string, begin: () => Fault): Promise<void> {
    this.#done({ kind: 'fault', what, isOn: true });
    const fault = begin();
    await pause(this.#windows.faultMs, undefined, { signal: this.#signal });
    // Marked before DNS is well again, so that what recovers is not taken for what held.
    this.#done({ kind: 'fault', what, isOn: false });
    fault.end();
  }

  /** Until the set is as it is wanted, and both the library and the loop see exactly that. */
  async #allAgree(cluster: TestCluster): Promise<void> {
    const isSettled = this.#isTrue(cluster.statefulSet.settled());
    const wanted = (): Addresses =>
      Object.fromEntries(cluster.statefulSet.pods.map((pod) => [pod.name, addressOf(pod)]));
    const agrees = (kind: 'topology' | 'turn', from: string): boolean => {
      const last = this.reports.findLast((one) => one.from === from && one.what.kind === kind)?.what;
      return (last?.kind === 'topology' || last?.kind === 'turn') && isSame(last.peers, wanted());
    };
    const hasTurned = (): boolean => this.reports.some(({ act, what }) => act === this.#act && what.kind === 'turn');
    await this.#until('the StatefulSet to settle', isSettled);
    await this.#until('the library to see the pods that are there', () => agrees('topology', 'observer'));
    await this.#until("today's loop to see the pods that are there", () => agrees('turn', 'loop') && hasTurned());
  }

  #isTrue(settling: Promise<void>): () => boolean {
    let isDone = false;
    const done = (): void => {
      isDone = true;
      this.#tell();
    };
    // Closing ends the wait.
    settling.then(done, done);
    return () => isDone;
  }

  async #until(what: string, isSo: () => boolean): Promise<void> {
    const late = performance.now() + patienceMs;
    while (!isSo()) {
      this.#signal.throwIfAborted();
      const left = late - performance.now();
      if (left <= 0) {
        this.#done({ kind: 'late', what });
        return;
      }
      await this.#nextNews(Math.min(left, 1_000));
    }
    this.#signal.throwIfAborted();
  }

  #nextNews(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#news.delete(end);
        this.#signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#news.add(end);
      this.#signal.addEventListener('abort', end);
    });
  }

  #tell(): void {
    for (const hear of [...this.#news]) hear();
  }

  #done(what: Done): void {
    this.#record('cluster', what);
  }

  #record(from: string, what: Said | Done): void {
    if (this.#isClosing) return;
    const report = { at: Math.round(performance.now() - this.#startedAt), act: this.#act, from, what };
    this.reports.push(report);
    this.#timeline.show(report);
    this.#tell();
  }

  #runPod(pod: Pod, variables: Variables): PodProcess {
    const launch = (this.#launches.get(pod.name) ?? 0) + 1;
    this.#launches.set(pod.name, launch);
    const port = pod.ports[0]?.port ?? 7_000;
    const running = start({
      name: 'pod',
      args: [`--port=${port}`, ...this.#windowArgs()],
      variables,
      onSaid: (said) => this.#record(`${pod.name}#${launch}`, said),
    });
    this.#probes.push(this.#probe(pod, port, running));
    return running;
  }

  /** The readiness probe: a connection that the pod itself answers. */
  async #probe(pod: Pod, port: number, running: PodProcess): Promise<void> {
    const ended = new AbortController();
    void running.stopped.then(() => ended.abort());
    while (!ended.signal.aborted && !pod.isReady && !pod.isTerminating && !this.#isClosing) {
      if (await answers(addressOf(pod), port, pod.name)) pod.markReady();
      else await pause(50);
    }
  }

  #runOutsiders(cluster: TestCluster): void {
    const variables = cluster.observerEnvironment();
    const { loopMs, contactMs } = this.#windows;
    this.#outsiders.push(
      start({
        name: 'observer',
        args: [`--contact-ms=${contactMs}`, ...this.#windowArgs()],
        variables,
        onSaid: (said) => this.#record('observer', said),
      }),
      start({
        name: 'todays-loop',
        args: [`--every-ms=${loopMs}`, `--contact-ms=${contactMs}`],
        variables,
        onSaid: (said) => this.#record('loop', said),
      }),
    );
  }

  #windowArgs(): string[] {
    const { minIntervalMs, maxIntervalMs, missingAfterMs, removeAfterMs } = this.#windows;
    return [
      `--min-interval-ms=${minIntervalMs}`,
      `--max-interval-ms=${maxIntervalMs}`,
      `--missing-after-ms=${missingAfterMs}`,
      `--remove-after-ms=${removeAfterMs}`,
    ];
  }
}

function addressOf(pod: Pod): string {
  return pod.addresses[0] ?? '';
}

function isSame(one: Addresses, other: Addresses): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

function answers(host: string, port: number, podName: string): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host, port, timeout: 500 });
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (answer += text));
    socket.on('timeout', () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(answer.trim() === podName));
  });
}

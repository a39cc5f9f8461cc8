import { setTimeout as pause } from 'node:timers/promises';
import type { Fault } from '../testing/dns-faults.ts';
import type { PodNetworkOptions } from '../testing/pod-network.ts';
import { TestCluster } from '../testing/test-cluster.ts';
import { Cast } from './cast.ts';
import { addressOf, entriesOf, hostOf, placeOf } from './place.ts';
import type { StoryRecord } from './record.ts';
import type { Addresses } from './report.ts';
import { acknowledgedBy } from './write-claims.ts';
import { slotIn } from './slot.ts';
import type { Windows } from './windows.ts';
import { ttlSeconds } from './windows.ts';

/** The pod that is the reader's own process, after the story. */
export const readersPod = 'web-3';

/** What the story is played with. */
export interface Setting {
  readonly windows: Windows;
  /** All pods share 127.0.0.1, and each has a port of its own. */
  readonly isSingleAddress: boolean;
  readonly record: StoryRecord;
  readonly signal: AbortSignal;
}

/** The story: a cluster on loopback, and what is done to it, act by act. */
export class Story {
  readonly #setting: Setting;
  readonly #record: StoryRecord;
  readonly #cast: Cast;
  #cluster: TestCluster | null = null;

  constructor(setting: Setting) {
    this.#setting = setting;
    this.#record = setting.record;
    this.#cast = new Cast(setting.record, setting.windows);
  }

  /** @throws the signal's reason */
  async play(): Promise<void> {
    const cluster = await this.#startCluster();
    await this.#playStart(cluster);
    await this.#playDelete(cluster);
    await this.#playScale(cluster);
    await this.#playRollout(cluster);
    await this.#playServfail(cluster);
    await this.#playNxdomain(cluster);
    await this.#playHandover(cluster);
    await this.#countEntries(cluster);
  }

  /** What a pod of that name keeps. */
  volumeOf(podName: string): string {
    return this.#cast.volumeOf(podName);
  }

  /**
   * Keeps a place free for the reader's own process, after the story: {@link readersPod}, Ready while something listens
   * at its address.
   *
   * @throws the signal's reason
   */
  async keep(): Promise<TestCluster> {
    const cluster = this.#cluster;
    if (cluster === null) throw new Error('the story was not played');
    this.#record.conclude();
    this.#record.begin('keep', 'The cluster stays up, with a place for a process of yours');
    cluster.statefulSet.scale(4);
    await this.#record.until(`a place for ${readersPod}`, () =>
      cluster.statefulSet.pods.some(({ name, addresses }) => name === readersPod && addresses.length > 0),
    );
    return cluster;
  }

  /** Ends all processes. */
  async close(): Promise<void> {
    this.#record.close();
    await this.#cast.close(async () => this.#cluster?.close());
  }

  async #startCluster(): Promise<TestCluster> {
    const cluster = await TestCluster.start({
      ...{ sockets: true, create: false, replicas: 2, dns: { ttlSeconds } },
      ...{ restartBackoffMs: 500, gracePeriodMs: 5_000 },
      ...(this.#setting.isSingleAddress && { network: ownPorts() }),
      run: (pod, variables) => (pod.name === readersPod ? slotIn(pod) : this.#cast.runPod(pod, variables)),
    });
    this.#cluster = cluster;
    const set = cluster.statefulSet;
    const { record } = this.#setting;
    set.on('podReady', (pod) => record.done({ kind: 'ready', podName: pod.name, address: addressOf(pod) }));
    set.on('podUnready', (pod) => record.done({ kind: 'unready', podName: pod.name }));
    set.on('podDeleted', (pod) => record.done({ kind: 'gone', podName: pod.name, address: addressOf(pod) }));
    return cluster;
  }

  async #playStart(cluster: TestCluster): Promise<void> {
    this.#record.begin('start', 'Ordered start: web-1 only after web-0 is Ready');
    this.#record.done({ kind: 'replicas', count: 2 });
    // Where every pod has a port of its own, a client that knows only addresses has nothing to go by.
    this.#cast.runClients(cluster, this.#setting.isSingleAddress ? 0 : 7_000);
    cluster.statefulSet.create();
    await this.#allAgree(cluster);
  }

  async #playDelete(cluster: TestCluster): Promise<void> {
    const what = this.#setting.isSingleAddress ? 'ports' : 'IPs';
    this.#record.begin('delete', `Both pods are deleted: back in order, same names, new ${what}`);
    cluster.pod('web-1').delete();
    cluster.pod('web-0').delete();
    await this.#allAgree(cluster);
  }

  async #playScale(cluster: TestCluster): Promise<void> {
    this.#record.begin('scale', 'Scale to 3 and back to 2');
    for (const count of [3, 2]) {
      this.#record.done({ kind: 'replicas', count });
      cluster.statefulSet.scale(count);
      await this.#allAgree(cluster);
    }
  }

  async #playRollout(cluster: TestCluster): Promise<void> {
    this.#record.begin('rollout', 'Rolling update: web-1, then web-0');
    cluster.statefulSet.rollout();
    await this.#allAgree(cluster);
  }

  async #playServfail(cluster: TestCluster): Promise<void> {
    this.#record.begin('servfail', 'DNS fails: SERVFAIL to every question');
    await this.#during('SERVFAIL', () => cluster.dns.fail('SERVFAIL'));
    await this.#allAgree(cluster);
  }

  async #playNxdomain(cluster: TestCluster): Promise<void> {
    this.#record.begin('nxdomain', 'DNS lies: NXDOMAIN to 30 % of the questions');
    await this.#during('30 % NXDOMAIN', () => cluster.dns.spuriousNxdomain(0.3));
    await this.#allAgree(cluster);
  }

  async #playHandover(cluster: TestCluster): Promise<void> {
    if (this.#setting.isSingleAddress) {
      const why = 'every pod has 127.0.0.1 here, so that no IP can be handed over';
      this.#record.done({ kind: 'skipped', name: 'handover', why });
      return;
    }
    this.#record.begin('handover', "web-0 comes back at the address that was web-1's");
    const address = hostOf(addressOf(cluster.pod('web-1')));
    cluster.pod('web-1').delete();
    cluster.pod('web-0').reschedule({ addresses: address });
    await this.#allAgree(cluster);
  }

  /** When the writer has finished, every pod must have what was acknowledged: soon, for replicas are behind by a little. */
  async #countEntries(cluster: TestCluster): Promise<void> {
    const record = this.#record;
    this.#cast.endWriting();
    await record.until('the writer to finish', () => record.last('writer', 'finished') !== undefined);
    const acknowledged = acknowledgedBy(record.reports, 'following');
    for (const pod of cluster.statefulSet.pods) {
      let ids: readonly string[] = [];
      let isAsking = false;
      await record.until(`every acknowledged write in ${pod.name}`, () => {
        const has = new Set(ids);
        if (acknowledged.every((id) => has.has(id))) return true;
        if (!isAsking) {
          isAsking = true;
          void entriesOf(placeOf(pod)).then((found) => {
            isAsking = false;
            ids = found ?? [];
            record.tell();
          });
        }
        return false;
      });
      record.done({ kind: 'entries', podName: pod.name, ids });
    }
  }

  async #during(what: string, begin: () => Fault): Promise<void> {
    this.#record.done({ kind: 'fault', what, isOn: true });
    const fault = begin();
    await pause(this.#setting.windows.faultMs, undefined, { signal: this.#setting.signal });
    // Marked before DNS is well again, so that what recovers is not taken for what held.
    this.#record.done({ kind: 'fault', what, isOn: false });
    fault.end();
  }

  /** Until the set is as it is wanted, and every client sees exactly that. */
  async #allAgree(cluster: TestCluster): Promise<void> {
    const record = this.#record;
    const isSettled = this.#isTrue(cluster.statefulSet.settled());
    const wanted = (): Addresses =>
      Object.fromEntries(cluster.statefulSet.pods.map((pod) => [pod.name, addressOf(pod)]));
    const agrees = (from: string, kind: 'topology' | 'turn'): boolean => {
      const last = record.last(from, kind);
      return (last?.kind === 'topology' || last?.kind === 'turn') && isSame(last.peers, wanted());
    };
    const hasTurned = (): boolean => record.reports.some(({ act, what }) => act === record.act && what.kind === 'turn');
    const isResolved = (): boolean => {
      const last = record.last('outsider', 'resolved');
      return last?.kind === 'resolved' && last.addresses.join() === hostOf(addressOf(cluster.pod('web-0')));
    };
    await record.until('the StatefulSet to settle', isSettled);
    await record.until('the library to see the pods that are there', () => agrees('observer', 'topology'));
    await record.until("today's loop to see the pods that are there", () => agrees('loop', 'turn') && hasTurned());
    await record.until('the outsider to resolve web-0', isResolved);
  }

  #isTrue(settling: Promise<void>): () => boolean {
    let isDone = false;
    const done = (): void => {
      isDone = true;
      this.#record.tell();
    };
    // Closing ends the wait.
    settling.then(done, done);
    return () => isDone;
  }
}

function isSame(one: Addresses, other: Addresses): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

/** Below what systems give to clients; by chance, so that two stories can be played at a time. */
function ownPorts(): PodNetworkOptions {
  return { podCidrs: ['127.0.0.1/32'], ownPortsFrom: 20_000 + 50 * Math.floor(Math.random() * 200) };
}

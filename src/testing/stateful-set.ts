import { GuardedEmitter } from '../guarded-emitter.ts';
import type { PodEvent, PodOwner, PodPort, PodProcess, PodTemplate } from './pod.ts';
import { Pod } from './pod.ts';
import type { PodNetwork } from './pod-network.ts';

/** `.spec.updateStrategy`. `Recreate` (alpha in Kubernetes 1.37) ends every pod before it makes a new one. */
export type UpdateStrategy = 'RollingUpdate' | 'OnDelete' | 'Recreate';

/** What a StatefulSet's manifest says, and how long its pods take. */
export interface StatefulSetOptions {
  /** Default `web`. */
  readonly name?: string;
  /** Default `default`. */
  readonly namespace?: string;
  /** The governing Service. Default `nginx`; `''` for none. */
  readonly serviceName?: string;
  /** Default 3. */
  readonly replicas?: number;
  /** `.spec.ordinals.start`. Default 0. */
  readonly ordinalStart?: number;
  /** Default `OrderedReady`. */
  readonly podManagementPolicy?: 'OrderedReady' | 'Parallel';
  /** Default `RollingUpdate`. */
  readonly updateStrategy?: UpdateStrategy;
  /** Pods with a lower ordinal keep their revision. Default 0. */
  readonly partition?: number;
  /** How long a pod must be Ready before the next one's turn, in milliseconds. Default 0. */
  readonly minReadyMs?: number;
  /** Default `{ app: <name> }`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Container ports. Default one, `peer`, 7000. */
  readonly ports?: readonly PodPort[];
  /** From a pod's creation until it runs and has its address, in milliseconds. Default 0: at once, in the same call. */
  readonly startMs?: number;
  /** From then until it is Ready. `manual`: by {@link Pod.markReady}. Default 0; with `run` `manual`. */
  readonly readyMs?: number | 'manual';
  /** From a pod's deletion until it is gone, unless it has a process. Default 0. */
  readonly stopMs?: number;
  /** `terminationGracePeriodSeconds`, in milliseconds. Default 30 000. */
  readonly gracePeriodMs?: number;
  /** Before the second restart of a container. Default 10 000, and twice that for each further one. */
  readonly restartBackoffMs?: number;
  /** Until the pods of a lost node are no longer Ready. Default 50 000. */
  readonly nodeGraceMs?: number;
  /** Runs a process in each pod; deletion waits for it. Default: none, pods are objects. */
  readonly run?: (pod: Pod) => PodProcess;
}

/** Events of a {@link StatefulSet}, each with the pod. */
export type StatefulSetEvents = Record<PodEvent, [Pod]> & {
  /** DNS may see something else now. Comes once, after the other events of what was done in one go. */
  changed: [];
};

/**
 * A StatefulSet and the controller that makes its pods, by the rules of Kubernetes: pods come in the order of their
 * ordinals, each when all before it are Running and Ready, and go in the opposite order (`OrderedReady`), or all at
 * once (`Parallel`); a rolling update goes from the highest ordinal to the lowest, one pod at a time. Each new pod has
 * its name's ordinal and another IP.
 *
 * Verbs change what is wanted and return at once; {@link settled} waits until it is there. Time is that of the global
 * timers.
 *
 * @see pkg/controller/statefulset/stateful_set_control.go, `updateStatefulSet`
 */
export class StatefulSet extends GuardedEmitter<StatefulSetEvents> {
  readonly name: string;
  readonly namespace: string;
  readonly serviceName: string;
  readonly template: PodTemplate;
  readonly #policy: 'OrderedReady' | 'Parallel';
  readonly #strategy: UpdateStrategy;
  readonly #minReadyMs: number;
  readonly #owner: PodOwner;
  readonly #pods = new Map<number, Pod>();
  /** With those whose process outlived the object. */
  readonly #everyPod = new Set<Pod>();
  readonly #wanted = new Map<string, readonly string[]>();
  readonly #availabilityTimers = new Set<NodeJS.Timeout>();
  readonly #waiters = new Set<Waiter>();
  #replicas: number;
  #ordinalStart: number;
  #partition: number;
  #currentRevision = 1;
  #updateRevision = 1;
  #uid = 0;
  #isCreated = false;
  #isReconciling = false;
  #isDue = false;
  #hasChanged = false;
  #isClosed = false;

  /** Makes no pod yet: see {@link create}. */
  constructor(network: PodNetwork, options: StatefulSetOptions = {}) {
    super();
    this.name = options.name ?? 'web';
    this.namespace = options.namespace ?? 'default';
    this.serviceName = options.serviceName ?? 'nginx';
    this.template = {
      labels: options.labels ?? { app: this.name },
      ports: options.ports ?? [{ name: 'peer', port: 7_000 }],
      startMs: options.startMs ?? 0,
      readyMs: options.readyMs ?? (options.run === undefined ? 0 : 'manual'),
      stopMs: options.stopMs ?? 0,
      gracePeriodMs: options.gracePeriodMs ?? 30_000,
      restartBackoffMs: options.restartBackoffMs ?? 10_000,
      nodeGraceMs: options.nodeGraceMs ?? 50_000,
      run: options.run ?? null,
    };
    this.#policy = options.podManagementPolicy ?? 'OrderedReady';
    this.#strategy = options.updateStrategy ?? 'RollingUpdate';
    this.#minReadyMs = options.minReadyMs ?? 0;
    this.#replicas = options.replicas ?? 3;
    this.#ordinalStart = options.ordinalStart ?? 0;
    this.#partition = options.partition ?? 0;
    this.#owner = {
      network,
      template: this.template,
      giveAddress: (podName, addresses) => this.giveAddress(podName, addresses),
      wantedAddresses: (podName) => this.#wanted.get(podName) ?? null,
      happened: (event, pod) => this.#happened(event, pod),
      addressesReleased: () => this.#reconcile(),
    };
  }

  /** `.spec.replicas`. */
  get replicas(): number {
    return this.#replicas;
  }

  /** The pods that are in the API, by ordinal; those that terminate included. */
  get pods(): readonly Pod[] {
    return [...this.#pods.values()].sort((one, two) => one.ordinal - two.ordinal);
  }

  /**
   * The pod that has this name now. After a deletion it is another object.
   *
   * @throws RangeError while there is none
   */
  pod(name: string): Pod {
    const pod = this.pods.find((one) => one.name === name);
    if (pod !== undefined) return pod;
    throw new RangeError(`there is no pod ${name}; there are ${this.pods.map((one) => one.name).join(', ') || 'none'}`);
  }

  /** Starts to make the pods. Until then verbs change only what is wanted. */
  create(): void {
    this.#isCreated = true;
    this.#reconcile();
  }

  /** Sets `.spec.replicas`. */
  scale(replicas: number): void {
    this.#replicas = replicas;
    this.#reconcile();
  }

  /** Sets `.spec.ordinals.start`: pods below it go, others come at the upper end. */
  setOrdinalStart(ordinalStart: number): void {
    this.#ordinalStart = ordinalStart;
    this.#reconcile();
  }

  /** Sets the partition of rolling updates: pods with a lower ordinal keep their revision, also when they are recreated. */
  setPartition(partition: number): void {
    this.#partition = partition;
    this.#reconcile();
  }

  /** A new pod template: every pod is replaced, in the way of the update strategy. */
  rollout(): void {
    this.#updateRevision += 1;
    this.#reconcile();
  }

  /**
   * The next pod of that name gets this address (one a family) in place of a new one; it waits while the address is in
   * use. Means nothing where all pods share one address.
   */
  giveAddress(podName: string, addresses: string | readonly string[]): void {
    this.#wanted.set(podName, [addresses].flat());
  }

  /**
   * Waits until every pod that is wanted is Ready (for `minReadyMs`) at its revision, and no other is left.
   *
   * @throws Error when the set is closed
   */
  settled(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) reject(closedError());
      else if (this.#isSettled()) resolve();
      else this.#waiters.add({ resolve, reject });
    });
  }

  /** Ends all processes and timers, and makes no pod any more. No event is emitted. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#availabilityTimers) clearTimeout(timer);
    for (const { reject } of this.#waiters) reject(closedError());
    this.#waiters.clear();
    this.removeAllListeners();
    await Promise.all([...this.#everyPod].map((pod) => pod.abandon()));
  }

  #happened(event: PodEvent, pod: Pod): void {
    if (event === 'podStarted') this.#wanted.delete(pod.name);
    if (event === 'podDeleted' && this.#pods.get(pod.ordinal) === pod) this.#pods.delete(pod.ordinal);
    if (event === 'podDeleted' && pod.process === null) this.#everyPod.delete(pod);
    if (event === 'podReady' && this.#minReadyMs > 0) this.#lookAgainIn(this.#minReadyMs);
    this.#hasChanged = true;
    this.emit(event, pod);
    this.#reconcile();
  }

  /** Looks at the set until there is nothing to do but wait. What a step changes asks for another look. */
  #reconcile(): void {
    this.#isDue = true;
    if (this.#isReconciling || !this.#isCreated) return;
    this.#isReconciling = true;
    try {
      while (this.#isDue && !this.#isClosed) {
        this.#isDue = false;
        this.#step();
        this.#tellOfChanges();
      }
    } finally {
      this.#isReconciling = false;
    }
    if (!this.#isSettled()) return;
    for (const { resolve } of this.#waiters) resolve();
    this.#waiters.clear();
  }

  #tellOfChanges(): void {
    if (this.#isDue || !this.#hasChanged) return;
    this.#hasChanged = false;
    this.emit('changed');
  }

  /** One turn of the controller: what can be done now, in the order of Kubernetes. */
  #step(): void {
    for (const pod of this.pods) if (pod.phase === 'Pending') pod.begin();
    if (this.#strategy === 'Recreate' && this.#endOldRevision()) return;
    const isMonotonic = this.#policy === 'OrderedReady';
    for (const ordinal of this.#ordinals()) {
      const pod = this.#pods.get(ordinal);
      if (pod === undefined) this.#createPod(ordinal);
      else if (pod.phase === 'Failed') pod.delete();
      if (isMonotonic && (pod === undefined || !this.#isAvailable(pod))) return;
    }
    const firstUnwell = this.pods.find((pod) => !this.#isAvailable(pod));
    for (const pod of this.pods.filter(({ ordinal }) => !this.#isWanted(ordinal)).reverse()) {
      if (isMonotonic && !this.#isAvailable(pod) && pod !== firstUnwell) return;
      pod.delete();
      // The next one's turn comes when this one is gone.
      if (isMonotonic) return;
    }
    if (this.#strategy === 'RollingUpdate') this.#updateNext();
  }

  /** Deletes the highest pod of an old revision, if all above it are well. */
  #updateNext(): void {
    for (const ordinal of this.#ordinals().reverse()) {
      const pod = this.#pods.get(ordinal);
      if (pod === undefined || ordinal < this.#ordinalStart + this.#partition) return;
      if (pod.revision !== this.#updateRevision) pod.delete();
      if (!this.#isAvailable(pod)) return;
    }
    if (this.#partition === 0) this.#currentRevision = this.#updateRevision;
  }

  /** Whether pods of an old revision are left: none is made until they are gone. */
  #endOldRevision(): boolean {
    const old = this.pods.filter(({ revision }) => revision !== this.#updateRevision);
    for (const pod of old) pod.delete();
    return old.length > 0;
  }

  #createPod(ordinal: number): void {
    this.#uid += 1;
    const identity = {
      name: `${this.name}-${ordinal}`,
      ordinal,
      namespace: this.namespace,
      subdomain: this.serviceName,
      revision: this.#revisionOf(ordinal),
      uid: this.#uid,
    };
    const pod = new Pod(identity, this.#owner);
    this.#pods.set(ordinal, pod);
    this.#everyPod.add(pod);
    this.#happened('podCreated', pod);
  }

  #revisionOf(ordinal: number): number {
    const isHeldBack = this.#strategy === 'RollingUpdate' && ordinal < this.#ordinalStart + this.#partition;
    return isHeldBack ? this.#currentRevision : this.#updateRevision;
  }

  #ordinals(): number[] {
    return Array.from({ length: this.#replicas }, (_, index) => this.#ordinalStart + index);
  }

  #isWanted(ordinal: number): boolean {
    return ordinal >= this.#ordinalStart && ordinal < this.#ordinalStart + this.#replicas;
  }

  #isAvailable(pod: Pod): boolean {
    return pod.phase === 'Running' && !pod.isTerminating && pod.isReady && pod.readyForMs >= this.#minReadyMs;
  }

  #isSettled(): boolean {
    const isOld = (pod: Pod): boolean =>
      this.#strategy !== 'OnDelete' && pod.revision !== this.#revisionOf(pod.ordinal);
    return (
      this.#isCreated &&
      this.#pods.size === this.#replicas &&
      this.#ordinals().every((ordinal) => {
        const pod = this.#pods.get(ordinal);
        return pod !== undefined && this.#isAvailable(pod) && !isOld(pod);
      })
    );
  }

  #lookAgainIn(ms: number): void {
    const timer = setTimeout(() => {
      this.#availabilityTimers.delete(timer);
      this.#reconcile();
    }, ms);
    this.#availabilityTimers.add(timer);
  }
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

function closedError(): Error {
  return new Error('the StatefulSet was closed');
}

import type { PodLocation, PodNetwork } from './pod-network.ts';

/** A process that stands for a pod's container, for example a child process. */
export interface PodProcess {
  /**
   * Settles when it has ended, however. Before the pod's deletion: the container is started again. After
   * {@link PodProcess.kill} it must settle, for closing waits for it.
   */
  readonly stopped: Promise<unknown>;
  /** Asks it to end (SIGTERM). */
  stop(): void;
  /** Ends it (SIGKILL). */
  kill(): void;
}

/** A container port. `name` is `''` where it has none. */
export interface PodPort {
  readonly name: string;
  readonly port: number;
}

/** What the pods of a set have in common. */
export interface PodTemplate {
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly PodPort[];
  /** From creation until the pod has its address and runs, in milliseconds. */
  readonly startMs: number;
  /** From then until it is Ready; `manual`: somebody calls {@link Pod.markReady}, as a readiness probe would. */
  readonly readyMs: number | 'manual';
  /** From the deletion until the container has ended by itself. A process takes the time that it takes. */
  readonly stopMs: number;
  /** `terminationGracePeriodSeconds`: how long it may take. */
  readonly gracePeriodMs: number;
  /** Until a container that ended is started for the second time; twice that for the third, at most 300 s. The first restart is at once. */
  readonly restartBackoffMs: number;
  /** How long a lost node's pods stay Ready (the node controller's grace period). */
  readonly nodeGraceMs: number;
  /** Runs a process in the pod. Without one the pod is a mere object. */
  readonly run: ((pod: Pod) => PodProcess) | null;
}

/** What a pod is made with. */
export interface PodIdentity {
  readonly name: string;
  readonly ordinal: number;
  readonly namespace: string;
  /** The Service that may call it by name: the set's `serviceName`; `''` for none. */
  readonly subdomain: string;
  readonly revision: number;
  /** Tells pods of one name apart. */
  readonly uid: number;
}

/** What happens to a pod, in the order in which it can happen first. */
export type PodEvent =
  'podCreated' | 'podStarted' | 'podReady' | 'podUnready' | 'podFailed' | 'podTerminating' | 'podDeleted';

/** Whoever made the pod. */
export interface PodOwner {
  readonly network: PodNetwork;
  readonly template: PodTemplate;
  /** Addresses for the next pod of that name. */
  giveAddress(podName: string, addresses: string | readonly string[]): void;
  wantedAddresses(podName: string): readonly string[] | null;
  happened(event: PodEvent, pod: Pod): void;
  /** The addresses of a pod can be given again. */
  addressesReleased(): void;
}

/**
 * One pod, from its creation to its deletion. The pod of the same name that comes after it is another object, with
 * another `uid` and other addresses.
 */
export class Pod {
  readonly name: string;
  readonly ordinal: number;
  readonly namespace: string;
  readonly subdomain: string;
  readonly revision: number;
  readonly uid: number;
  readonly #owner: PodOwner;
  #phase: 'Pending' | 'Running' | 'Failed' = 'Pending';
  #location: PodLocation | null = null;
  #isReady = false;
  #readySince = 0;
  #isTerminating = false;
  #isDeleted = false;
  #isNodeLost = false;
  #isScheduled = false;
  #process: PodProcess | null = null;
  #restarts = 0;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(identity: PodIdentity, owner: PodOwner) {
    this.name = identity.name;
    this.ordinal = identity.ordinal;
    this.namespace = identity.namespace;
    this.subdomain = identity.subdomain;
    this.revision = identity.revision;
    this.uid = identity.uid;
    this.#owner = owner;
  }

  /** `Failed`: evicted. */
  get phase(): 'Pending' | 'Running' | 'Failed' {
    return this.#phase;
  }

  /** Empty while the pod is Pending; kept when it is gone. */
  get addresses(): readonly string[] {
    return this.#location?.addresses ?? [];
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#owner.template.labels;
  }

  /** Where it listens. Its own numbers where pods share one address. */
  get ports(): readonly PodPort[] {
    const own = this.#location?.ports ?? {};
    return this.#owner.template.ports.map(({ name, port }) => ({ name, port: own[name] ?? port }));
  }

  /** The pod's condition, which a deletion leaves as it is. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** For how long it has been Ready, in milliseconds; -1 when it is not. */
  get readyForMs(): number {
    return this.#isReady ? performance.now() - this.#readySince : -1;
  }

  /** Its deletion was asked for. */
  get isTerminating(): boolean {
    return this.#isTerminating;
  }

  /** It is no longer in the API. */
  get isDeleted(): boolean {
    return this.#isDeleted;
  }

  /** The process in it, while one runs. */
  get process(): PodProcess | null {
    return this.#process;
  }

  /** How often its container was started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Its readiness probe succeeds. Does nothing before the pod runs, and none after its deletion. */
  markReady(): void {
    if (this.#isReady || this.#phase !== 'Running' || this.#isDeleted || this.#isNodeLost) return;
    this.#isReady = true;
    this.#readySince = performance.now();
    this.#owner.happened('podReady', this);
  }

  /** Its readiness probe fails. */
  markUnready(): void {
    if (!this.#isReady || this.#isDeleted) return;
    this.#isReady = false;
    this.#owner.happened('podUnready', this);
  }

  /** Deletes it: the container has the grace period to end, then the pod is gone, and its set makes another. */
  delete(options: { readonly gracePeriodMs?: number } = {}): void {
    if (this.#isTerminating || this.#isDeleted) return;
    const { gracePeriodMs = this.#owner.template.gracePeriodMs } = options;
    this.#isTerminating = true;
    this.#clearTimers();
    this.#owner.happened('podTerminating', this);
    // Without its kubelet nobody can say that the container has ended.
    if (!this.#isNodeLost) this.#terminate(gracePeriodMs);
  }

  /**
   * Deletes it, and the next pod of its name gets that address (one a family) in place of a new one. While another pod
   * has the address, the new pod stays Pending.
   */
  reschedule(options: { readonly gracePeriodMs?: number; readonly addresses?: string | readonly string[] } = {}): void {
    const { addresses, ...rest } = options;
    if (addresses !== undefined) this.#owner.giveAddress(this.name, addresses);
    this.delete(rest);
  }

  /**
   * Takes it out of the API without waiting for its end (`--force --grace-period=0`). The name is free at once. On a
   * lost node the process runs on, if it survived.
   */
  forceDelete(): void {
    if (this.#isDeleted) return;
    this.#clearTimers();
    if (!this.#isNodeLost) this.#process?.kill();
    this.#remove();
  }

  /** Its container ends and is started again, in the same pod with the same address. */
  restart(): void {
    if (this.#phase !== 'Running' || this.#isTerminating || this.#isDeleted || this.#isNodeLost) return;
    if (this.#process === null) this.#containerEnded();
    else this.#process.kill();
  }

  /** The kubelet evicts it: phase Failed. Its set deletes it and makes another. */
  evict(): void {
    if (this.#isDeleted || this.#phase === 'Failed') return;
    this.#clearTimers();
    this.#phase = 'Failed';
    this.#isReady = false;
    this.#process?.kill();
    this.#owner.happened('podFailed', this);
  }

  /**
   * Its node falls silent: the pod stays in the API, Ready for the grace period, and is not replaced; a deletion does
   * not end. With `processSurvives` it is the network that failed, and the process runs on.
   */
  loseNode(options: { readonly processSurvives?: boolean } = {}): void {
    if (this.#isNodeLost || this.#isDeleted) return;
    this.#isNodeLost = true;
    this.#clearTimers();
    if (options.processSurvives !== true) this.#process?.kill();
    this.#after(this.#owner.template.nodeGraceMs, () => this.markUnready());
  }

  /** Its node is back: a deletion ends now, and what the API no longer knows is stopped. */
  nodeReturns(): void {
    if (!this.#isNodeLost) return;
    this.#isNodeLost = false;
    this.#clearTimers();
    if (this.#isDeleted) this.#process?.kill();
    else if (this.#isTerminating) this.#terminate(0);
    else if (this.#phase === 'Pending') this.begin();
    else if (this.#process === null) this.#runContainer();
    else this.#becomeReady();
  }

  /** Starts it. Called once by its owner, and again when an address was given back that it waits for. */
  begin(): void {
    if (this.#phase !== 'Pending' || this.#isTerminating || this.#isDeleted) return;
    if (this.#isScheduled) this.#start();
    else if (this.#timers.size === 0) this.#after(this.#owner.template.startMs, () => this.#start());
  }

  /** Ends everything at once, and tells nobody. */
  async abandon(): Promise<void> {
    this.#isDeleted = true;
    this.#clearTimers();
    const running = this.#process;
    running?.kill();
    await running?.stopped.catch(ignore);
  }

  #start(): void {
    this.#isScheduled = true;
    const { network, template } = this.#owner;
    const names = template.ports.map(({ name }) => name);
    const location = network.take(names, this.#owner.wantedAddresses(this.name));
    if (location === null) return;
    this.#location = location;
    this.#phase = 'Running';
    this.#owner.happened('podStarted', this);
    // A listener may have deleted it.
    if (!this.#isTerminating) this.#runContainer();
  }

  #runContainer(): void {
    const process = this.#owner.template.run?.(this) ?? null;
    this.#process = process;
    if (process !== null) {
      const ended = (): void => {
        if (this.#process === process) this.#processEnded();
      };
      process.stopped.then(ended, ended);
    }
    this.#becomeReady();
  }

  #becomeReady(): void {
    const { readyMs } = this.#owner.template;
    if (readyMs !== 'manual') this.#after(readyMs, () => this.markReady());
  }

  #processEnded(): void {
    this.#process = null;
    if (this.#isDeleted) this.#release();
    else if (this.#isNodeLost) return;
    else if (this.#isTerminating) this.#remove();
    else if (this.#phase === 'Running') this.#containerEnded();
  }

  #containerEnded(): void {
    const { restartBackoffMs } = this.#owner.template;
    const delay = this.#restarts === 0 ? 0 : Math.min(restartBackoffMs * 2 ** (this.#restarts - 1), 300_000);
    this.#restarts += 1;
    this.#clearTimers();
    this.markUnready();
    this.#after(delay, () => this.#runContainer());
  }

  #terminate(gracePeriodMs: number): void {
    const running = this.#process;
    if (running === null) {
      const stopMs = this.#phase === 'Running' ? this.#owner.template.stopMs : 0;
      this.#after(Math.min(stopMs, gracePeriodMs), () => this.#remove());
    } else if (gracePeriodMs === 0) {
      running.kill();
    } else {
      running.stop();
      this.#after(gracePeriodMs, () => running.kill());
    }
  }

  #remove(): void {
    this.#isDeleted = true;
    this.#isReady = false;
    this.#clearTimers();
    this.#owner.happened('podDeleted', this);
    // A process that is still there keeps the address until it ends.
    if (this.#process === null) this.#release();
  }

  #release(): void {
    if (this.#location !== null) this.#owner.network.release(this.#location);
    this.#owner.addressesReleased();
  }

  #after(ms: number, action: () => void): void {
    if (ms === 0) {
      action();
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }

  #clearTimers(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}

function ignore(): void {
  // However it ended, it has.
}

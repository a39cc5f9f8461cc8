import type pRetry from 'p-retry';
import { debug } from '../debug.ts';
import { channels } from '../diagnostics.ts';
import { PeerDiscoveryError } from '../errors.ts';
import { events } from '../late-modules.ts';
import { asObject, fail, optionalSignal } from '../option-checks.ts';
import type { CheckedTarget, Target } from '../topology/target.ts';
import type { Peer } from '../topology/topology.ts';
import type { Addresses } from './addresses.ts';
import { retryDelay } from './addresses.ts';

/** What a worker gets beside the peer. */
export interface WorkerContext {
  /**
   * Aborts when the worker must end: the address in use is lost, the target means another peer, self became it, `stop()`
   * or `close()`. Its reason says which. The next worker starts when this one has ended, not before.
   */
  readonly signal: AbortSignal;
}

/** Options of `follow` and `lead`. */
export interface WorkerOptions {
  /**
   * What to do when the worker returns without being told to: `always` (default) runs it again, `on-failure` is done.
   * A worker that throws is always run again.
   */
  readonly restart?: 'always' | 'on-failure';
  /** Stops the worker when it aborts. */
  readonly signal?: AbortSignal;
}

/** A worker that is kept running. */
export interface WorkerHandle {
  /**
   * `waiting` for somebody to run against, `running`, `backing-off` after a failure, `ending` (told to end and not yet
   * done), `stopped`.
   */
  readonly state: 'waiting' | 'running' | 'backing-off' | 'ending' | 'stopped';
  /** Against whom it runs, or ran last; `null` before the first time. */
  readonly peer: Peer | null;
  /** What the worker threw last, `null` before the first time. Kept until the next. */
  readonly lastError: unknown;
  /**
   * Resolves when it has stopped: by `stop()`, its signal, the library's `close()`, or a finished `on-failure` worker.
   * Never rejects.
   */
  readonly done: Promise<void>;
  /** Tells the worker to end, starts none after it, and waits. The same as `done`. */
  stop(): Promise<void>;
}

/** The back-off after failures starts again after so long without one. */
const healthyMs = 30_000;
const stuckAfterMs = 10_000;
const firstDelayMs = 100;
const longestDelayMs = 15_000;

/** Runs a worker against the peer that the target means, as long as it means it at the same addresses. */
export function follow(
  addresses: Addresses,
  target: Target,
  worker: (peer: Peer, context: WorkerContext) => unknown,
  options: WorkerOptions = {},
): WorkerHandle {
  const checked = addresses.check(target);
  return new Worker(addresses, followed(addresses, checked), worker, options);
}

/** Runs a worker while self is the primary. */
export function lead(
  addresses: Addresses,
  worker: (context: WorkerContext) => unknown,
  options: WorkerOptions = {},
): WorkerHandle {
  checkWorker(worker);
  if (addresses.source.topology().self === null) fail('peers', 'an observer', 'what discoverPeers() gave');
  return new Worker(addresses, led(addresses), (_self, context) => worker(context), options);
}

/** Against whom a worker runs. */
interface Job {
  readonly kind: 'follow' | 'lead';
  /** The peer to run against now. */
  find(): Peer | null;
  /**
   * Why a worker that runs against this peer must end; `null` while it may go on.
   *
   * @param used - the addresses that it may be using: those that the peer had since the worker began
   */
  ended(peer: Peer, used: ReadonlySet<string>): PeerDiscoveryError | null;
}

function followed(addresses: Addresses, target: CheckedTarget): Job {
  const { topology } = addresses.source;
  return {
    kind: 'follow',
    find: () => {
      const peer = addresses.pick(target)?.peer ?? null;
      return peer?.isSelf === true ? null : peer;
    },
    ended: (peer, used) => {
      // What was gained disturbs nothing.
      const left = [...used].find((address) => !addresses.holds(peer.podName, address));
      if (left !== undefined) return addresses.lost({ peer, address: left });
      const now = topology().peer(peer.podName);
      // A port that becomes known is gained as well.
      if (now !== undefined && peer.port !== null && now.port !== peer.port) {
        return moved(peer, `${peer.podName} is at port ${now.port ?? 'unknown'}, no longer at ${peer.port}`);
      }
      if (target !== 'primary' || addresses.means(target, peer.podName)) return endedReplica(addresses, target, peer);
      const { primary, designation } = topology();
      const holder = primary === null ? 'nobody' : primary.isSelf ? 'this process' : primary.podName;
      return moved(peer, `the primary is ${holder}, no longer ${peer.podName}: ${designation.reason}`);
    },
  };
}

/** A replica that became the primary is none any more. One that is missing may be left for another, but need not be. */
function endedReplica({ source }: Addresses, target: CheckedTarget, peer: Peer): PeerDiscoveryError | null {
  if (target !== 'replica' || source.topology().peer(peer.podName)?.role === 'replica') return null;
  return moved(peer, `${peer.podName} is no longer a replica`);
}

function led(addresses: Addresses): Job {
  const { topology } = addresses.source;
  return {
    kind: 'lead',
    find: () => {
      const { self } = topology();
      return self?.role === 'primary' ? self : null;
    },
    ended: (peer) => {
      const { self, designation } = topology();
      if (self?.role === 'primary') return null;
      const why = self?.presence === 'superseded' ? 'another process has its name' : designation.reason;
      return moved(peer, `${peer.podName} is no longer the primary: ${why}`);
    },
  };
}

function moved({ podName, stableName }: Peer, message: string): PeerDiscoveryError {
  return new PeerDiscoveryError('ERR_PEER_MOVED', message, { podName, stableName });
}

class Worker implements WorkerHandle {
  readonly done: Promise<void>;
  readonly #addresses: Addresses;
  readonly #job: Job;
  readonly #run: (peer: Peer, context: WorkerContext) => unknown;
  readonly #restart: 'always' | 'on-failure';
  #state: WorkerHandle['state'] = 'waiting';
  #peer: Peer | null = null;
  readonly #used = new Set<string>();
  #lastError: unknown = null;
  /** Attempts with one back-off: ends with the peer's address, with the role, or after health. */
  #series = new AbortController();
  #stopping: { readonly reason: unknown } | null = null;

  constructor(
    addresses: Addresses,
    job: Job,
    run: (peer: Peer, context: WorkerContext) => unknown,
    options: WorkerOptions,
  ) {
    checkWorker(run);
    const { restart, signal } = checkWorkerOptions(options);
    const { source } = addresses;
    const { closing } = source;
    closing.throwIfAborted();
    signal?.throwIfAborted();
    this.#addresses = addresses;
    this.#job = job;
    this.#run = run;
    this.#restart = restart;
    const onAbort = (): void => {
      this.#stop(closing.aborted ? closing.reason : signal?.reason);
    };
    closing.addEventListener('abort', onAbort);
    if (signal !== undefined) {
      // One signal may stop many workers; Node.js would warn of a leak from the eleventh on.
      events().setMaxListeners(0, signal);
      signal.addEventListener('abort', onAbort);
    }
    const release = source.hold();
    const withdraw = source.beforeClose(() => this.done);
    const unsubscribe = source.subscribe(() => {
      this.#look();
    });
    this.done = this.#loop().finally(() => {
      this.#state = 'stopped';
      closing.removeEventListener('abort', onAbort);
      signal?.removeEventListener('abort', onAbort);
      unsubscribe();
      withdraw();
      release();
    });
  }

  get state(): WorkerHandle['state'] {
    return this.#state;
  }

  get peer(): Peer | null {
    return this.#peer;
  }

  get lastError(): unknown {
    return this.#lastError;
  }

  stop(): Promise<void> {
    this.#stop(new PeerDiscoveryError('ERR_CLOSED', `this ${this.#job.kind} was stopped`));
    return this.done;
  }

  #stop(reason: unknown): void {
    this.#stopping ??= { reason };
    this.#series.abort(reason);
  }

  /** After each change: a worker whose peer moved must end, and a back-off that waits for such a peer is over. */
  #look(): void {
    if (this.#peer === null || this.#state === 'waiting') return;
    const ended = this.#job.ended(this.#peer, this.#used);
    if (ended !== null) this.#series.abort(ended);
    else this.#noteUsed(this.#peer);
  }

  #noteUsed({ podName }: Peer): void {
    const now = this.#addresses.source.topology().peer(podName);
    for (const { address } of now?.addresses ?? []) this.#used.add(address);
  }

  async #loop(): Promise<void> {
    const retry = await this.#loadRetry();
    if (retry === null) return;
    for (let wasWell = false; this.#stopping === null;) {
      const series = new AbortController();
      this.#series = series;
      // After health there is a short pause as well: what ended one worker ended others, and they come back together.
      const isPause = wasWell;
      try {
        await retry((attempt) => (isPause && attempt === 1 ? pause() : this.#attempt(series)), {
          retries: Infinity,
          minTimeout: firstDelayMs,
          // The cap has a jitter of its own: p-retry's is lost in it.
          maxTimeout: longestDelayMs * (0.5 + Math.random() / 2),
          randomize: true,
          signal: series.signal,
        });
        return;
      } catch (error) {
        // p-retry gives up for one reason: the series was ended. Anything else would be a fault of ours.
        if (!series.signal.aborted) throw error;
        wasWell = series.signal.reason === healthy;
      }
    }
  }

  /**
   * Loaded by the first worker only: importing the library loads no other package than eventemitter3. Loading fails where
   * no file descriptor is free; it is tried again, as after any failure. `null` where the worker was stopped meanwhile.
   */
  async #loadRetry(): Promise<typeof pRetry | null> {
    for (let failures = 1; this.#stopping === null; failures += 1) {
      try {
        return (await import('p-retry')).default;
      } catch (error) {
        this.#lastError = error;
        this.#state = 'backing-off';
        debug('%s: p-retry could not be loaded: %s', this.#job.kind, error);
      }
      // A worker that is stopped waits no longer.
      await this.#addresses.changed(this.#series.signal, retryDelay(failures, Math.random())).catch(() => undefined);
    }
    return null;
  }

  /** Waits for a peer and runs the worker once. Returning means: done for good. */
  async #attempt(series: AbortController): Promise<void> {
    this.#state = 'waiting';
    let peer = this.#job.find();
    // Most wait for good: a replica to lead, a primary to follow somebody else. That is no reason to ask DNS more often.
    for (; peer === null; peer = this.#job.find()) {
      await this.#addresses.changed(series.signal);
      // What heard of the same change may have stopped it.
      series.signal.throwIfAborted();
    }
    this.#peer = peer;
    this.#used.clear();
    this.#noteUsed(peer);
    this.#state = 'running';
    const startedAt = performance.now();
    // A signal a run: what a worker leaves on its signal goes with it.
    const run = new AbortController();
    const { signal } = run;
    const unwatch = this.#watchOver(peer, series.signal, run);
    let failure: unknown;
    try {
      await this.#run(peer, { signal });
      if (this.#restart === 'on-failure' && !signal.aborted) return;
      failure = new Error('the worker returned');
    } catch (error) {
      failure = error;
      if (!signal.aborted) this.#lastError = error;
      debug('%s: the worker for %s failed: %s', this.#job.kind, peer.podName, error);
    } finally {
      unwatch();
    }
    this.#state = 'backing-off';
    if (performance.now() - startedAt >= healthyMs) series.abort(healthy);
    // Whatever it threw, it is tried again: p-retry itself gives up on a TypeError, or on an AbortError of its own.
    throw new Error('the worker ended', { cause: failure });
  }

  /** Tells the worker to end when its series does; and says so, once, when it goes on all the same. */
  #watchOver(peer: Peer, series: AbortSignal, run: AbortController): () => void {
    let timer: NodeJS.Timeout | undefined;
    const onAbort = (): void => {
      this.#state = 'ending';
      run.abort(series.reason);
      timer = setTimeout(() => {
        const { kind } = this.#job;
        debug('%s: the worker for %s ignores its signal', kind, peer.podName);
        channels().workerStuck.publish({
          kind,
          podName: peer.podName,
          ignoredForMs: stuckAfterMs,
          reason: series.reason as unknown,
        });
      }, stuckAfterMs).unref();
    };
    series.addEventListener('abort', onAbort, { once: true });
    return () => {
      clearTimeout(timer);
      series.removeEventListener('abort', onAbort);
    };
  }
}

/** p-retry waits after a failure, with jitter. */
function pause(): never {
  throw new Error('a pause before the next');
}

const healthy = Symbol('it ran well for long enough');

function checkWorker(worker: unknown): void {
  if (typeof worker !== 'function') fail('worker', worker, 'a function');
}

function checkWorkerOptions(options: WorkerOptions): {
  readonly restart: 'always' | 'on-failure';
  readonly signal: AbortSignal | undefined;
} {
  const given = asObject('options', options, new Set(['restart', 'signal']));
  const { restart = 'always' } = given;
  if (restart !== 'always' && restart !== 'on-failure') fail('restart', restart, "'always' or 'on-failure'");
  return { restart, signal: optionalSignal('signal', given['signal']) };
}

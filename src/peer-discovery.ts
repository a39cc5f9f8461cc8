import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { createAddresses } from './connect/addresses.ts';
import type { Addresses, AddressSource, Connectable, PoolStats } from './connect/addresses.ts';
import type { ConnectOptions } from './connect/connect.ts';
import { connect } from './connect/connect.ts';
import type { PeerLookup } from './connect/lookup.ts';
import { createLookup } from './connect/lookup.ts';
import type { WorkerContext, WorkerHandle, WorkerOptions } from './connect/worker.ts';
import { follow, lead } from './connect/worker.ts';
import { debug } from './debug.ts';
import { familyOf, isLoopback, normaliseAddress } from './dns/address.ts';
import type { DnsClient } from './dns/client.ts';
import { createDnsClient } from './dns/client.ts';
import type { DnsTransport, ServerAddress } from './dns/transport.ts';
import { createNetworkTransport } from './dns/transport.ts';
import { PeerDiscoveryError, optionError } from './errors.ts';
import { GuardedEmitter } from './guarded-emitter.ts';
import { serversFromEnvironment } from './identity/dns-servers.ts';
import type { Environment } from './identity/environment.ts';
import { nodeEnvironment } from './identity/environment.ts';
import type { Identity } from './identity/identity.ts';
import { memberIdentity, observerIdentity } from './identity/identity.ts';
import { events } from './late-modules.ts';
import type { CheckedOptions, DiscoverOptions, ObserveOptions, WaitOptions } from './options.ts';
import { checkOptions, checkWaitOptions } from './options.ts';
import type { Belief, Cause, Decision, Family } from './topology/belief.ts';
import { bar, decide, doubt, dueForRemoval, initialBelief, isUnsettled } from './topology/belief.ts';
import { designate } from './topology/designation.ts';
import type { EmittedEvent, Freshness, PeerDiscoveryEvents, PeerMovedEvent } from './topology/events.ts';
import { freshnessAt, transitionEvents } from './topology/events.ts';
import type { Explanation } from './topology/explanation.ts';
import { explain } from './topology/explanation.ts';
import type { CheckedTarget, Target } from './topology/target.ts';
import { checkTarget, peersFor } from './topology/target.ts';
import type { Peer, Topology } from './topology/topology.ts';
import { topologyOf } from './topology/topology.ts';
import type { Ladder } from './watch/diagnosis.ts';
import { askLadder } from './watch/diagnosis.ts';
import type { Round, Wants } from './watch/questions.ts';
import type { Scope } from './watch/reading.ts';
import type { Candidate } from './watch/waiter.ts';
import { waitUntil } from './watch/waiter.ts';
import type { QuestionCounts } from './watch/watcher.ts';
import { Watcher } from './watch/watcher.ts';

/**
 * Discovers the peers of the StatefulSet that this process is a pod of. Learns who it is without any question,
 * synchronously, and starts to ask DNS about the others.
 *
 * @param options - all optional: inside a pod, everything is derived
 * @returns the library object of a member: it has a `self`, from version 0 on
 * @throws {@link PeerDiscoveryError} `ERR_IDENTITY` where this is no pod of a StatefulSet, or its witnesses contradict
 *   each other; `ERR_OPTION` for an option that cannot be used; `ERR_RESOLUTION` without a usable DNS server; and the
 *   reason of a `signal` that is aborted already
 */
export function discoverPeers(options: DiscoverOptions = {}): PeerDiscovery<Peer> {
  return createMember(options, { environment: nodeEnvironment });
}

/**
 * Observes a StatefulSet from outside, for example from a Deployment that writes to its primary. Like
 * {@link discoverPeers}, without a `self`.
 *
 * @throws as {@link discoverPeers}
 */
export function observePeers(options: ObserveOptions): PeerDiscovery<null> {
  return createObserver(options, { environment: nodeEnvironment });
}

/** What a process stands on: the machine it reads, and how it reaches DNS. The embedded cluster brings its own. */
export interface Ground {
  readonly environment: Environment;
  /** Default: sockets. */
  readonly transport?: DnsTransport;
}

/** {@link discoverPeers} on another ground. */
export function createMember(options: DiscoverOptions, ground: Ground): PeerDiscovery<Peer> {
  const checked = checkOptions(options, 'member');
  return new PeerDiscovery<Peer>(checked, memberIdentity(checked.identity, ground.environment), ground);
}

/** {@link observePeers} on another ground. */
export function createObserver(options: ObserveOptions, ground: Ground): PeerDiscovery<null> {
  const checked = checkOptions(options, 'observer');
  return new PeerDiscovery<null>(checked, observerIdentity(checked.identity, ground.environment), ground);
}

/** What {@link PeerDiscovery.stats} gives. */
export interface Stats {
  /** DNS questions by outcome, hints included. */
  readonly questions: QuestionCounts;
  /** How many of them were asked because a connection had failed. */
  readonly hints: number;
  /** How often a peer moved. */
  readonly moves: number;
  /** How well the topology is founded. */
  readonly freshness: Freshness;
  /** The pools of the dispatchers. */
  readonly pools: PoolStats;
}

const serversReadEveryMs = 1_000;
const diagnosisGoodForMs = 10_000;

/**
 * What is believed of the set, kept up to date, with events. Made by {@link discoverPeers} and {@link observePeers}.
 *
 * What a listener can rely on: the state is complete before the first event of a transition; the events come in the
 * order `peerRemoved`, `peerAdded`, `peerMoved`, `presenceChanged` (each by ordinal), `primaryChanged`, `roleChanged`,
 * `topologyChanged`; one decision is one version; a change that a listener causes comes after the events under way;
 * nothing is emitted during construction or by `on()`; a listener that throws hurts no other one and surfaces as an
 * uncaught exception; nothing is emitted after `close()` settled.
 *
 * @typeParam Self - `Peer` for a member, `null` for an observer
 */
export class PeerDiscovery<Self extends Peer | null = Peer | null>
  extends GuardedEmitter<PeerDiscoveryEvents>
  implements Connectable
{
  /** Who this process is and which set it looks at, each field with its source. Constant. */
  readonly identity: Identity;
  /**
   * A function in the shape of `dns.lookup` for whatever takes one: `net.connect`, `http.Agent`, undici's `connect`,
   * drivers. Answers targets and stable names from memory, on a later tick; other names go to the system. May be passed
   * on as it is. Fails in Node's shape (`ENOTFOUND`), with the {@link PeerDiscoveryError} as `cause`.
   */
  readonly lookup: PeerLookup;
  readonly #addresses: Addresses;
  readonly #options: CheckedOptions;
  readonly #scope: Scope;
  readonly #client: DnsClient;
  readonly #watcher: Watcher;
  readonly #closing = new AbortController();
  readonly #changed = new Set<() => void>();
  readonly #pending: (() => void)[] = [];
  readonly #beforeClose = new Set<() => Promise<unknown>>();
  readonly #pools = new Set<() => PoolStats>();
  readonly #readServers: () => readonly ServerAddress[];
  #isDraining = false;
  #moves = 0;
  #belief: Belief;
  #topology: Topology;
  #diagnosis: { readonly ladder: Ladder; readonly at: number } | null = null;
  #diagnosing: Promise<void> | null = null;
  #closed: Promise<void> | null = null;

  /** @internal */
  constructor(options: CheckedOptions, identity: Identity, { environment, transport }: Ground) {
    super();
    options.signal?.throwIfAborted();
    // Each waiter listens; Node.js warns from the eleventh on.
    events().setMaxListeners(0, this.#closing.signal);
    this.identity = identity;
    this.#options = options;
    const { servers, explicit } = serversFromEnvironment(options.dns.servers, environment);
    this.#readServers = serverReader(servers, () => serversFromEnvironment(options.dns.servers, environment).servers);
    const ownAddresses = { 4: ofFamily(identity.addresses, 4), 6: ofFamily(identity.addresses, 6) };
    this.#scope = Object.freeze({
      statefulSet: identity.statefulSet,
      serviceName: identity.serviceName,
      portName: options.portName,
      ordinalStart: options.ordinalStart ?? 0,
      expectedPods: options.expectedPods,
      // Docker's loopback resolver in resolv.conf does not make loopback answers believable.
      allowLoopback:
        identity.addresses.some(isLoopback) || (explicit && servers.some(({ address }) => isLoopback(address))),
    });
    const now = performance.now();
    const self = identity.ordinal === null ? null : { ordinal: identity.ordinal, addresses: ownAddresses };
    this.#belief = initialBelief(self, now);
    this.#topology = topologyOf(this.#belief, this.#designate(now), this.#names(), null, false);
    this.#client = createDnsClient({
      zone: identity.clusterDomain,
      servers: this.#readServers,
      transport: transport ?? createNetworkTransport(),
      timeoutMs: options.dns.timeoutMs,
      attempts: options.dns.attempts,
    });
    this.#watcher = new Watcher(
      { scope: this.#scope, client: this.#client, ...options.refresh, deadlineMs: options.dns.deadlineMs },
      {
        wants: (at) => this.#wants(at),
        take: (round, at) => this.#take(round, at),
        reconsider: (at) => {
          this.#schedule(() => this.#transition({ belief: this.#belief, causes: new Map() }, 'policy', at));
        },
        isUnsettled: () => isUnsettled(this.#belief),
        isOpen: (ordinal, address) => {
          const sameFamily = this.#topology.peer(ordinal)?.addresses.filter((one) => one.family === familyOf(address));
          return sameFamily !== undefined && sameFamily.every((one) => one.address === address);
        },
      },
    );
    this.#addresses = createAddresses(this, this.#addressSource());
    this.lookup = createLookup(this.#addresses);
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    debug('%s of %s, sources %j', identity.podName ?? 'observer', identity.serviceName, identity.sources);
    this.#watcher.start();
  }

  /** What is believed now. The same object as long as nothing changed. */
  get topology(): Topology {
    return this.#topology;
  }

  /** This pod, `topology.self`; `null` for an observer. */
  get self(): Self {
    return this.#topology.self as Self;
  }

  /** How well the topology is founded: DNS failures make it stale and change nothing else. */
  get freshness(): Freshness {
    return freshnessAt(this.#belief.freshness, performance.now());
  }

  /**
   * Waits for the first complete answer.
   *
   * @returns the topology then
   * @throws {@link PeerDiscoveryError} `ERR_TIMEOUT` with the belief, the last failure and an explanation; `ERR_CLOSED`;
   *   the reason of the signal
   */
  ready(options?: WaitOptions): Promise<Topology> {
    return this.#wait('no first complete answer', options, () => {
      if (this.#belief.freshness.state === 'unresolved') return null;
      return { value: this.#topology, key: '' };
    });
  }

  /**
   * Waits until there is a primary to connect to: designated, published (or self), and with an address.
   *
   * @throws as {@link PeerDiscovery.ready}
   */
  waitForPrimary(options?: WaitOptions): Promise<Peer> {
    return this.waitForPeer('primary', options);
  }

  /**
   * Waits until a peer that the target means is published and has an address. Self counts where it is named, even
   * while it is unpublished.
   *
   * @throws as {@link PeerDiscovery.ready}; `ERR_UNKNOWN_PEER` for what is no target of this set
   */
  async waitForPeer(target: Target, options?: WaitOptions): Promise<Peer> {
    const checked = checkTarget(target, this.identity.statefulSet);
    const what = typeof checked === 'object' ? checked.podName : checked === 'any' ? 'other peer' : checked;
    return await this.#wait(
      `no ${what}`,
      options,
      () => {
        const peer = peersFor(checked, this.#topology).find(isThere);
        return peer === undefined ? null : { value: peer, key: peer.podName };
      },
      checked,
    );
  }

  /**
   * Waits until all lower ordinals are published: ordered start, also under `podManagementPolicy: Parallel`. Members
   * only.
   *
   * @returns the lower peers, by ordinal; none for the first ordinal
   * @throws as {@link PeerDiscovery.ready}
   */
  waitForLower(this: PeerDiscovery<Peer>, options?: WaitOptions): Promise<readonly Peer[]> {
    return this.#waitForLower(options);
  }

  /**
   * Waits until `pick` gives something else than `null`, from the first complete answer on. It is called after every
   * change; what it throws ends the wait. With `stableForMs`, `null` starts the time again, whatever else it gives.
   *
   * @throws as {@link PeerDiscovery.ready}
   */
  waitFor<Value>(pick: (topology: Topology) => Value | null, options?: WaitOptions): Promise<Value> {
    if (typeof pick !== 'function') {
      return Promise.reject(optionError('pick', pick, 'a function of the topology that gives a value or null'));
    }
    return this.#wait('nothing that satisfies waitFor', options, () => {
      if (this.#belief.freshness.state === 'unresolved') return null;
      const value = pick(this.#topology);
      return value === null ? null : { value, key: '' };
    });
  }

  /**
   * Asks now and waits until the answer is decided. A failure is no rejection: `freshness` tells.
   *
   * @returns the topology then; the same object when nothing changed
   * @throws {@link PeerDiscoveryError} `ERR_CLOSED`
   */
  async refresh(): Promise<Topology> {
    this.#throwIfClosed();
    await keepingAlive(this.#watcher.refresh());
    this.#throwIfClosed();
    return this.#topology;
  }

  /**
   * Says what a connection met at an address of a peer: `unreachable` (refused, reset, silent) or `stranger` (another
   * pod answered there). DNS is asked at once; a stranger's address is no longer used. Ignored when the address is no
   * longer the peer's current one, for self, and after `close()`.
   *
   * @throws {@link PeerDiscoveryError} `ERR_UNKNOWN_PEER`, `ERR_OPTION`
   */
  report(
    peer: Exclude<Target, 'primary' | 'replica' | 'any'>,
    what: 'unreachable' | 'stranger',
    address: string,
  ): void {
    const checked = checkTarget(peer, this.identity.statefulSet);
    if (typeof checked !== 'object') {
      throw optionError('peer', peer, 'one peer: a pod name, an ordinal or a Peer, since a role has no address');
    }
    // What a caller in JavaScript gives may be anything.
    const said: string = what;
    if (said !== 'unreachable' && said !== 'stranger') throw optionError('what', what, "'unreachable' or 'stranger'");
    const normalised = typeof address === 'string' ? normaliseAddress(address) : null;
    if (normalised === null) throw optionError('address', address, 'the IP address that the connection was made to');
    this.#report(checked.ordinal, said, normalised);
  }

  /**
   * Connects to a target, to nothing else: the peer's own address, its port by SRV, with TLS its stable name. Retries at
   * the address that the peer has then, until `timeoutMs` (30 000) is over. The socket is destroyed with
   * `ERR_PEER_MOVED` (`ERR_PEER_REMOVED`, `ERR_CLOSED`) as soon as the address it uses is lost; a change of roles does
   * not end it.
   *
   * @returns the connected socket; with `tls`, after the handshake
   * @throws {@link PeerDiscoveryError} after `timeoutMs`: `ERR_NO_PRIMARY` or `ERR_NO_ADDRESS` where there was nowhere to
   *   connect to, `ERR_TIMEOUT` with the last error as cause where connections failed; `ERR_UNKNOWN_PEER`, `ERR_OPTION`
   *   (also without a port), `ERR_CLOSED`; the reason of the signal
   */
  connect(target: Target, options: ConnectOptions & { readonly tls: true | object }): Promise<TLSSocket>;
  connect(target: Target, options?: ConnectOptions): Promise<Socket>;
  connect(target: Target, options?: ConnectOptions): Promise<Socket> {
    return connect(this.#addresses, target, options);
  }

  /**
   * Keeps a worker running against the peer that the target means: one at a time, started again when it fails (or
   * returns), with a back-off that starts anew after 30 s of health or at a new address. Its signal aborts when an address
   * of the peer is lost, the target means somebody else, or self becomes it; the next starts when it has ended. Nothing
   * that a peer sends ends it: only `stop()`, `signal` and `close()` do. Keeps the process alive. A worker must not wait
   * for its own `stop()`, nor for `close()`: they wait for it.
   *
   * @param target - a role, or one peer; self is never followed
   * @returns a handle, at once
   * @throws {@link PeerDiscoveryError} `ERR_UNKNOWN_PEER`, `ERR_OPTION`, `ERR_CLOSED`; the reason of a signal that is
   *   aborted already
   */
  follow(
    target: Target,
    worker: (peer: Peer, context: WorkerContext) => unknown,
    options?: WorkerOptions,
  ): WorkerHandle {
    return follow(this.#addresses, target, worker, options);
  }

  /**
   * Keeps a worker running while this process is the primary, as {@link PeerDiscovery.follow} does. Its signal aborts
   * when the policy designates another pod or nobody, and when another process has this pod's name. That is no fence: a
   * process that cannot ask DNS cannot notice, and two may lead at once for a while. Members only.
   *
   * @throws {@link PeerDiscoveryError} `ERR_OPTION`, `ERR_CLOSED`; the reason of a signal that is aborted already
   */
  lead(this: PeerDiscovery<Peer>, worker: (context: WorkerContext) => unknown, options?: WorkerOptions): WorkerHandle {
    return lead(this.#addresses, worker, options);
  }

  /**
   * Says why things are as they are: what is probably wrong in the manifests, in words to act on. Asks DNS up to four
   * questions (none where it did in the last 10 s).
   *
   * @throws {@link PeerDiscoveryError} `ERR_CLOSED`
   */
  async explain(): Promise<Explanation> {
    this.#throwIfClosed();
    await keepingAlive(this.#diagnose());
    this.#throwIfClosed();
    return this.#explain();
  }

  /** Counts since the start, and how things stand: for a metrics page. Costs nothing. */
  stats(): Stats {
    const { hints, ...questions } = this.#watcher.counts;
    const pools = { open: 0, draining: 0, inFlight: 0, waiting: 0 };
    for (const count of this.#pools) {
      const { open, draining, inFlight, waiting } = count();
      pools.open += open;
      pools.draining += draining;
      pools.inFlight += inFlight;
      pools.waiting += waiting;
    }
    return { questions, hints, moves: this.#moves, freshness: this.freshness, pools };
  }

  /**
   * Ends every waiter with `ERR_CLOSED`, aborts the workers and waits for them, drains the dispatchers, destroys the
   * sockets of `connect` and stops asking. Emits `closed` as the last event; once the promise settled
   * nothing is emitted and no socket, timer or listener is left. Calling it again gives the same promise.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** The same as {@link PeerDiscovery.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#closing.abort(new PeerDiscoveryError('ERR_CLOSED', `the peer discovery of ${this.#subject()} is closed`));
    // Workers end and dispatchers drain while the belief is still there; they take themselves out of the set.
    await Promise.all([...this.#beforeClose].map((end) => end()));
    await this.#watcher.close();
    this.#client.close();
    this.emit('closed');
    this.removeAllListeners();
  }

  readonly #onAbort = (): void => {
    void this.close();
  };

  #throwIfClosed(): void {
    this.#closing.signal.throwIfAborted();
  }

  // ---- belief ------------------------------------------------------------------------------------------------------

  #wants(now: number): Wants {
    const seen = ([4, 6] as const).filter((family) =>
      [...this.#belief.peers.values()].some((peer) => peer.families[family].current !== null),
    );
    return {
      known: [...this.#belief.peers.keys()],
      due: dueForRemoval(this.#belief, now, this.#options.absence),
      families: seen.length === 0 ? [4, 6] : seen,
      isFirst: this.#belief.freshness.state === 'unresolved',
    };
  }

  #take(round: Round, now: number): boolean {
    const before = this.#topology;
    this.#schedule(() => {
      this.#transition(decide(this.#belief, round.answer, now, this.#options.absence), 'answer', now);
    });
    return this.#topology !== before;
  }

  /** One decision: the state first, then the events. */
  #transition({ belief, causes }: Decision, otherwise: Cause, now: number): void {
    const freshness = { before: this.freshness, was: this.#belief.freshness.state, is: belief.freshness.state };
    const previous = this.#topology;
    this.#belief = belief;
    // Until the first complete round nothing is said about others; the first one is always a transition.
    const isFirst = freshness.was === 'unresolved' && freshness.is !== 'unresolved';
    if (freshness.is !== 'unresolved') {
      this.#topology = topologyOf(belief, this.#designate(now), this.#names(), previous, isFirst);
    }
    const events: EmittedEvent[] = transitionEvents(previous, this.#topology, causes, otherwise);
    if (freshness.was !== freshness.is) {
      events.unshift(['freshnessChanged', Object.freeze({ previous: freshness.before, current: this.freshness })]);
    }
    for (const emitted of events) {
      const [name, ...args] = emitted;
      if (emitted[0] === 'peerMoved' && isMove(emitted[1])) this.#moves += 1;
      debug('%s %s', name, this.#topology.version);
      this.emit(name, ...(args as never));
    }
    if (events.length > 0) for (const onChange of [...this.#changed]) guarded(onChange);
  }

  /** Runs decisions one after the other: one that a listener causes waits until the events under way are out. */
  #schedule(decision: () => void): void {
    this.#pending.push(decision);
    if (this.#isDraining) return;
    this.#isDraining = true;
    try {
      for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
        if (!this.#closing.signal.aborted) next();
      }
    } finally {
      this.#isDraining = false;
    }
  }

  #designate(now: number): ReturnType<typeof designate> {
    const { primary, ordinalStart, expectedPods } = this.#options;
    return designate(
      primary,
      this.#belief,
      { statefulSet: this.identity.statefulSet, ordinalStart, expectedPods },
      now,
    );
  }

  #names(): { statefulSet: string; serviceName: string; port: number | null } {
    const { statefulSet, serviceName } = this.identity;
    return { statefulSet, serviceName, port: this.#options.portNumber };
  }

  #report(ordinal: number, what: 'unreachable' | 'stranger', address: string): void {
    this.#schedule(() => {
      const now = performance.now();
      const isCurrent = this.#topology.peer(ordinal)?.addresses.some((one) => one.address === address);
      const decision = (what === 'stranger' ? bar : doubt)(this.#belief, ordinal, address, now);
      this.#transition(decision, 'answer', now);
      if (isCurrent === true && ordinal !== this.identity.ordinal) this.#watcher.hint(ordinal, address);
    });
  }

  // ---- connections -------------------------------------------------------------------------------------------------

  #addressSource(): AddressSource {
    return {
      statefulSet: this.identity.statefulSet,
      serviceName: this.identity.serviceName,
      topology: () => this.#topology,
      subscribe: (onChange) => enter(this.#changed, onChange),
      report: (ordinal, what, address) => {
        this.#report(ordinal, what, address);
      },
      hold,
      await: () => {
        const [release, unwatch] = [hold(), this.#watcher.await()];
        return () => {
          release();
          unwatch();
        };
      },
      timeoutError: (what, elapsedMs, target, cause) => this.#timeoutError(what, elapsedMs, target, cause),
      explain: (target) => ({
        text: this.#explain(target).text,
        lastFailure: this.#belief.freshness.lastFailure,
      }),
      closing: this.#closing.signal,
      beforeClose: (end) => enter(this.#beforeClose, end),
      countPools: (pools) => enter(this.#pools, pools),
    };
  }

  // ---- waiters -----------------------------------------------------------------------------------------------------

  async #waitForLower(options: WaitOptions | undefined): Promise<readonly Peer[]> {
    const { ordinal } = this.identity;
    const first = this.#options.ordinalStart ?? 0;
    return await this.#wait('not all lower ordinals', options, () => {
      const lower: Peer[] = [];
      for (let below = first; below < (ordinal ?? first); below += 1) {
        const peer = this.#topology.peer(below);
        if (peer?.presence !== 'published') return null;
        lower.push(peer);
      }
      return { value: Object.freeze(lower), key: '' };
    });
  }

  async #wait<Value>(
    what: string,
    options: WaitOptions | undefined,
    pick: () => Candidate<Value> | null,
    about?: CheckedTarget,
  ): Promise<Value> {
    const checked = checkWaitOptions(options);
    const release = this.#watcher.await();
    // Well before the end, so that a timeout can say why.
    const diagnosis = setTimeout(
      () => void this.#diagnose().catch(() => undefined),
      Math.min(checked.timeoutMs / 2, 5_000),
    ).unref();
    try {
      return await waitUntil(
        {
          subscribe: (onChange) => enter(this.#changed, onChange),
          isFresh: () => this.#belief.freshness.state !== 'stale',
          timeoutError: (elapsedMs) => this.#timeoutError(what, elapsedMs, about),
          closing: this.#closing.signal,
        },
        pick,
        checked,
      );
    } finally {
      clearTimeout(diagnosis);
      release();
    }
  }

  #timeoutError(
    what: string,
    elapsedMs: number,
    about: CheckedTarget | undefined,
    cause?: unknown,
  ): PeerDiscoveryError {
    const { lastFailure } = this.#belief.freshness;
    const explanation = this.#explain(about);
    const others = this.#topology.peers.filter((peer) => !peer.isSelf).length;
    const last = cause instanceof Error ? `; last: ${cause.message}` : '';
    return new PeerDiscoveryError(
      'ERR_TIMEOUT',
      `${what} for ${this.#subject()} within ${Math.round(elapsedMs)} ms; ${others} other ${others === 1 ? 'peer' : 'peers'} known, answers ${this.freshness.state}${last}. ${explanation.text}`,
      {
        elapsedMs,
        topology: this.#topology,
        lastFailure,
        explanation: explanation.text,
        cause,
        ...(typeof about === 'object' ? { podName: about.podName } : {}),
      },
    );
  }

  // ---- explanation -------------------------------------------------------------------------------------------------

  /** One diagnosis at a time, good for some time: callers share it. */
  async #diagnose(): Promise<void> {
    if (this.#diagnosis !== null && performance.now() - this.#diagnosis.at < diagnosisGoodForMs) return;
    this.#diagnosing ??= this.#askLadder().finally(() => {
      this.#diagnosing = null;
    });
    await this.#diagnosing;
  }

  async #askLadder(): Promise<void> {
    const { clusterDomain, namespace } = this.identity;
    const ladder = await this.#watcher.ask(askLadder({ ...this.#scope, clusterDomain, namespace }));
    this.#diagnosis = { ladder, at: performance.now() };
  }

  #explain(about?: CheckedTarget): Explanation {
    const { statefulSet, service, namespace, clusterDomain, serviceName, sources } = this.identity;
    const { portName, portNumber, ordinalStart, expectedPods, primary } = this.#options;
    return explain(
      {
        topology: this.#topology,
        freshness: this.freshness,
        observations: this.#watcher.observations,
        ladder: this.#diagnosis?.ladder ?? null,
        contested: this.#belief.contested,
        ...{
          statefulSet,
          service,
          namespace,
          clusterDomain,
          serviceName,
          portName,
          portNumber,
          ordinalStart,
          expectedPods,
        },
        hasRoles: primary !== false,
        clusterDomainSource: sources.clusterDomain ?? 'default',
        servers: this.#serversInWords(),
      },
      typeof about === 'string' ? { role: about } : about,
    );
  }

  #serversInWords(): string[] {
    try {
      return this.#readServers().map(
        ({ address, port }) => (address.includes(':') ? `[${address}]` : address) + `:${port}`,
      );
    } catch {
      return [];
    }
  }

  #subject(): string {
    return `${this.identity.statefulSet} (${this.identity.serviceName})`;
  }
}

function isThere(peer: Peer): boolean {
  return peer.addresses.length > 0 && (peer.isSelf ? peer.presence !== 'superseded' : peer.presence === 'published');
}

/** A port that becomes known is no move of the pod. */
function isMove({ previous, gained, lost }: PeerMovedEvent): boolean {
  return gained.length + lost.length > 0 || previous.port !== null;
}

/** As a listener: what it throws hurts nobody else, and surfaces. */
function guarded(onChange: () => void): void {
  try {
    onChange();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** Polling keeps no process alive; a promise that the caller holds does. */
async function keepingAlive<Value>(promise: Promise<Value>): Promise<Value> {
  const release = hold();
  try {
    return await promise;
  } finally {
    release();
  }
}

/** Keeps the process alive until the returned function is called. */
function hold(): () => void {
  const held = setInterval(() => undefined, 0x7fff_ffff);
  return () => {
    clearInterval(held);
  };
}

function enter<Entry>(set: Set<Entry>, entry: Entry): () => void {
  set.add(entry);
  return () => {
    set.delete(entry);
  };
}

function ofFamily(addresses: readonly string[], family: Family): string | null {
  return addresses.find((address) => address.includes(':') === (family === 6)) ?? null;
}

/** Reads the servers again at most once a second: `resolv.conf` can change under a running process. */
function serverReader(
  first: readonly ServerAddress[],
  read: () => readonly ServerAddress[],
): () => readonly ServerAddress[] {
  let servers = first;
  let readAt = performance.now();
  return () => {
    const now = performance.now();
    if (now - readAt < serversReadEveryMs) return servers;
    readAt = now;
    try {
      servers = read();
    } catch (error) {
      // It is being written, or names no server any more: the ones known before are the better choice.
      debug('keeping the DNS servers known before: %s', error);
    }
    return servers;
  };
}

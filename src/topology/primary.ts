import { optionError, unknownOptionError } from '../errors.ts';
import type { Presence } from './topology.ts';

/** What a policy sees of one peer: no addresses, since an address is no identity. */
export interface PolicyPeer {
  /** Its name. */
  readonly podName: string;
  /** Its ordinal. */
  readonly ordinal: number;
  /** What DNS says of it. */
  readonly presence: Presence;
  /** It is this process. */
  readonly isSelf: boolean;
}

/** All that a policy may depend on. Equal views give equal primaries. */
export interface PolicyView {
  /** Name of the set. */
  readonly statefulSet: string;
  /** Everybody in the topology, by ordinal, self included. */
  readonly peers: readonly PolicyPeer[];
  /** How well the view is founded. */
  readonly freshness: 'unresolved' | 'fresh' | 'stale';
  /** How long `freshness` has been `stale`, in milliseconds, else 0. */
  readonly staleMs: number;
  /** The option, 0 where it was not given. */
  readonly ordinalStart: number;
  /** Whether the option was given. */
  readonly ordinalStartGiven: boolean;
  /** The option, `null` where it was not given. */
  readonly expectedPods: number | null;
}

/** What a policy decides: a pod name of the set, or `null`, and optionally why. */
export type PolicyDecision =
  | string
  | null
  | {
      /** Whom the policy designates, `null` for nobody. */
      readonly podName: string | null;
      /** Why, in words. */
      readonly reason: string;
    };

/**
 * Designates the primary: a pure, memoryless function of the view. It is asked again at every answer and every
 * failure, and once a second while answers are stale. Before the first complete answer it is not asked (only
 * `fixedPrimary` needs no answer).
 *
 * A designation is not an election: pods that see different answers can designate different primaries for a while.
 * One that throws, or names a pod that the set cannot have, designates nobody, with that reason.
 */
export interface PrimaryPolicy {
  (view: PolicyView): PolicyDecision;
  /** Set by `fixedPrimary`: it needs no answer, so it designates from version 0. */
  readonly needsNoAnswer?: boolean;
  /** Called at construction; says what is wrong with the options for this policy, `null` when nothing is. */
  readonly check?: (options: { readonly expectedPods: number | null }) => {
    /** The option that is wrong. */
    readonly option: string;
    /** What it was expected to be, in words. */
    readonly expected: string;
  } | null;
}

/**
 * The primary is always the first ordinal of the set (`ordinalStart`, 0 by default), whether or not DNS names it.
 * The default policy. It never changes sides: while that pod is gone there is no primary to connect to.
 */
export function fixedPrimary(): PrimaryPolicy {
  const policy = ({ statefulSet, peers, freshness, ordinalStart, ordinalStartGiven }: PolicyView): PolicyDecision => {
    const podName = `${statefulSet}-${ordinalStart}`;
    const lowest = peers.find((peer) => peer.presence !== 'unpublished');
    const isHigher = lowest !== undefined && lowest.ordinal > ordinalStart;
    if (freshness !== 'unresolved' && !ordinalStartGiven && isHigher) {
      return {
        podName,
        reason: `the first ordinal, by default 0; but the lowest that DNS names is ${lowest.podName}: if .spec.ordinals.start is set, give ordinalStart`,
      };
    }
    return {
      podName,
      reason: ordinalStartGiven ? `the first ordinal, ordinalStart ${ordinalStart}` : 'the first ordinal',
    };
  };
  return Object.assign(policy, { needsNoAnswer: true });
}

/** Options of {@link lowestOrdinal}. */
export interface LowestOrdinalOptions {
  /**
   * How many peers, self included, DNS must name before anybody is designated. Default: a majority of
   * `expectedPods`, which must be given then. More protects from a partial view; fewer designates sooner.
   */
  readonly quorum?: number;
}

const staleLimitMs = 60_000;

/**
 * The primary is the lowest ordinal that DNS names, while at least `quorum` peers are named; nobody otherwise, and
 * nobody once answers have been stale for 60 s. Self counts as what DNS says it is. Moves to the next ordinal when a
 * peer goes missing (45 s by default); with `publishNotReadyAddresses` that says nothing about health.
 *
 * @throws {@link PeerDiscoveryError} `ERR_OPTION` for a quorum that is no positive integer
 */
export function lowestOrdinal(options: LowestOrdinalOptions = {}): PrimaryPolicy {
  // What a caller in JavaScript gives may be anything: a misspelt quorum must not be taken for a majority.
  const given: unknown = options;
  if (typeof given !== 'object' || given === null) throw optionError('options', given, 'an object');
  const other = Object.keys(given).find((name) => name !== 'quorum');
  if (other !== undefined) throw unknownOptionError(other, Reflect.get(given, other), ['quorum']);
  const { quorum } = options;
  if (quorum !== undefined && !(Number.isInteger(quorum) && quorum >= 1)) {
    throw optionError('quorum', quorum, 'an integer of at least 1');
  }
  const policy = ({ peers, staleMs, expectedPods }: PolicyView): PolicyDecision => {
    const needed = quorum ?? Math.floor((expectedPods ?? 0) / 2) + 1;
    if (staleMs >= staleLimitMs) return { podName: null, reason: `no complete answer for ${staleLimitMs / 1000} s` };
    // DNS names a superseded self, too: at the address of the process that has the name now.
    const published = peers.filter(({ presence }) => presence === 'published' || presence === 'superseded');
    const [first] = published;
    if (first === undefined || published.length < needed) {
      return { podName: null, reason: `DNS names ${published.length} of the ${needed} peers needed (quorum)` };
    }
    return { podName: first.podName, reason: `the lowest of ${published.length} published ordinals, quorum ${needed}` };
  };
  return Object.assign(policy, {
    check: ({ expectedPods }: { readonly expectedPods: number | null }) =>
      quorum === undefined && expectedPods === null
        ? {
            option: 'expectedPods',
            expected: 'the number of replicas, for lowestOrdinal() without a quorum of its own',
          }
        : null,
  });
}

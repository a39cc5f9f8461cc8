import { shown } from '../errors.ts';
import type { Belief } from './belief.ts';
import type { PolicyPeer, PolicyView, PrimaryPolicy } from './primary.ts';
import type { Designation } from './topology.ts';

/** What the policy is asked with, beside the belief. Constant for the life of the process. */
export interface DesignationContext {
  readonly statefulSet: string;
  readonly ordinalStart: number | null;
  readonly expectedPods: number | null;
}

/** Asks the policy and checks what it says: a mistake of a custom policy designates nobody, and says so. */
export function designate(
  policy: PrimaryPolicy | false,
  belief: Belief,
  context: DesignationContext,
  now: number,
): Designation {
  if (policy === false) return { podName: null, reason: 'no roles: the option primary is false' };
  const { state, since } = belief.freshness;
  if (state === 'unresolved' && policy.needsNoAnswer !== true) {
    return { podName: null, reason: 'no complete answer yet' };
  }
  const view: PolicyView = {
    statefulSet: context.statefulSet,
    peers: policyPeers(belief, context, policy.needsNoAnswer === true),
    freshness: state,
    staleMs: state === 'stale' ? now - since : 0,
    ordinalStart: context.ordinalStart ?? 0,
    ordinalStartGiven: context.ordinalStart !== null,
    expectedPods: context.expectedPods,
  };
  // What a policy in JavaScript gives may be anything.
  let decision: unknown;
  try {
    decision = policy(view);
  } catch (error) {
    return { podName: null, reason: `the policy threw: ${error instanceof Error ? error.message : shown(error)}` };
  }
  if (decision instanceof Promise) {
    // A policy is a function of the view: what comes later is too late, and its failure is nobody's.
    decision.catch(() => undefined);
    return { podName: null, reason: 'the policy gave a promise; it must decide at once' };
  }
  if (decision === undefined)
    return { podName: null, reason: 'the policy gave undefined; it must give a pod name or null' };
  const said: unknown = isObject(decision) ? decision['podName'] : decision;
  if (said === null) {
    return { podName: null, reason: reasonOf(decision) ?? 'the policy designates nobody' };
  }
  // Only a policy that needs no answer may name a pod that nobody has seen yet.
  const isKnown = policy.needsNoAnswer === true || view.peers.some((peer) => peer.podName === said);
  if (typeof said !== 'string' || !isKnown) {
    return { podName: null, reason: `the policy named ${shown(said)}, which is no peer in the topology` };
  }
  return { podName: said, reason: reasonOf(decision) ?? 'the policy designates it' };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function reasonOf(decision: unknown): string | null {
  return isObject(decision) && typeof decision['reason'] === 'string' ? decision['reason'] : null;
}

function policyPeers(belief: Belief, context: DesignationContext, selfCounts: boolean): PolicyPeer[] {
  return [...belief.peers.values()].map(({ ordinal, presence }) => ({
    podName: `${context.statefulSet}-${ordinal}`,
    ordinal,
    // Under a fixed primary self counts as present, so that a primary that becomes Ready only after it leads does not
    // deadlock (promise 11).
    presence: selfCounts && presence === 'unpublished' ? ('published' as const) : presence,
    isSelf: ordinal === belief.self?.ordinal,
  }));
}

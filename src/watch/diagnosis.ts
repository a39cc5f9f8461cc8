import type { Outcome } from '../dns/client.ts';
import type { Question } from '../dns/message.ts';
import type { BareSrv, Ladder, Step } from '../topology/explanation.ts';
import type { Asking } from './questions.ts';
import type { Scope } from './reading.ts';
import { isDashedAddress, ordinalOf } from './reading.ts';

export type { BareSrv, Ladder } from '../topology/explanation.ts';

/** So many names of other pods are kept, to show. */
const othersShown = 3;

/**
 * Asks the four questions of the diagnosis ladder, side by side. Pure, like the rounds: whoever runs it does the
 * asking. A question that could not be asked counts as failed.
 *
 * Where the answer to the last one is truncated, the step is the client's failure as it is (its detail says whether
 * TCP was tried and failed), beside what the truncated answer brought.
 */
export function* askLadder(
  scope: Scope & { readonly clusterDomain: string; readonly namespace: string },
): Asking<Ladder> {
  const { clusterDomain, namespace, serviceName } = scope;
  const questions = {
    version: { name: `dns-version.${clusterDomain}`, type: 'TXT' },
    namespace: { name: `${namespace}.svc.${clusterDomain}`, type: 'A' },
    service: { name: serviceName, type: 'A' },
    bareSrv: { name: serviceName, type: 'SRV' },
  } as const satisfies Record<keyof Ladder, Question>;
  const outcomes = yield Object.values(questions);
  const [version, namespaceAddress, service, bareSrv] = outcomes;
  return {
    version: stepOf(version, questions.version),
    namespace: stepOf(namespaceAddress, questions.namespace),
    service: stepOf(service, questions.service),
    bareSrv: readBareSrv(bareSrv, questions.bareSrv, scope),
  };
}

function stepOf(outcome: Outcome | undefined, { name, type }: Question): Step {
  if (outcome === undefined) {
    return { failed: { reason: 'network', detail: 'not asked', server: null, question: `${type} ${name}` } };
  }
  return outcome.kind === 'failed' ? { failed: outcome.failure } : outcome.kind;
}

function readBareSrv(outcome: Outcome | undefined, question: Question, scope: Scope): BareSrv {
  const seen = outcome?.kind === 'failed' ? outcome.partial : outcome;
  const pods = new Set<number>();
  const dashed = new Set<string>();
  const others = new Set<string>();
  const ports = new Set<number>();
  let namesService = false;
  for (const record of seen?.kind === 'found' ? seen.records : []) {
    if (record.type !== 'SRV') continue;
    // SRV port 0 is no port.
    if (record.port !== 0) ports.add(record.port);
    const ordinal = ordinalOf(record.target, scope);
    const [label = ''] = record.target.split('.');
    if (ordinal !== null) pods.add(ordinal);
    else if (record.target === scope.serviceName) namesService = true;
    else if (isDashedAddress(record.target)) dashed.add(label);
    else others.add(label);
  }
  return {
    step: stepOf(outcome, question),
    pods: pods.size,
    dashed: dashed.size,
    others: [...others].sort().slice(0, othersShown),
    namesService,
    ports: [...ports].sort((a, b) => a - b),
  };
}

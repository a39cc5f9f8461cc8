import assert from 'node:assert/strict';
import type { Outcome } from '../../../src/dns/client.ts';
import type { Question, ResourceRecord } from '../../../src/dns/message.ts';
import type { Failure } from '../../../src/errors.ts';
import type { BareSrv, Ladder } from '../../../src/watch/diagnosis.ts';
import { askLadder } from '../../../src/watch/diagnosis.ts';

const service = 'nginx.default.svc.cluster.local';
const server = '10.96.0.10:53';
const scope = {
  statefulSet: 'web',
  serviceName: service,
  portName: 'peer',
  ordinalStart: 0,
  expectedPods: null,
  allowLoopback: false,
  clusterDomain: 'cluster.local',
  namespace: 'default',
};
const nobody: Omit<BareSrv, 'step'> = { pods: 0, dashed: 0, others: [], namesService: false, ports: [] };

describe('diagnosis ladder', () => {
  it('asks its four questions side by side, and no more', () => {
    const asking = askLadder(scope);
    assert.deepEqual(asking.next(), {
      done: false,
      value: [
        { name: 'dns-version.cluster.local', type: 'TXT' },
        { name: 'default.svc.cluster.local', type: 'A' },
        { name: service, type: 'A' },
        { name: service, type: 'SRV' },
      ],
    });
    assert.equal(asking.next([]).done, true);
  });

  it('says of each question what it ended with', () => {
    const failure: Failure = { reason: 'servfail', detail: 'SERVFAIL', server, question: `A ${service}` };
    const ladder = climb(
      (question) => found(question, [{ name: question.name, ttlSeconds: 28_800, type: 'TXT', strings: ['1.1.0'] }]),
      (question) => absent('nodata', question),
      (question) => ({ kind: 'failed', question, failure, partial: null }),
      (question) => absent('nxdomain', question),
    );
    assert.deepEqual(ladder, {
      version: 'found',
      namespace: 'nodata',
      service: { failed: failure },
      bareSrv: { step: 'nxdomain', ...nobody },
    });
  });

  it('counts a question that could not be asked as failed', () => {
    const asking = askLadder(scope);
    asking.next();
    const { value } = asking.next([]);
    const notAsked = (question: string): { failed: Failure } => ({
      failed: { reason: 'network', detail: 'not asked', server: null, question },
    });
    assert.deepEqual(value, {
      version: notAsked('TXT dns-version.cluster.local'),
      namespace: notAsked('A default.svc.cluster.local'),
      service: notAsked(`A ${service}`),
      bareSrv: { step: notAsked(`SRV ${service}`), ...nobody },
    });
  });

  const tables: readonly {
    readonly title: string;
    readonly targets: readonly (readonly [target: string, port: number])[];
    readonly read: Partial<BareSrv>;
  }[] = [
    {
      title: 'pods of the set, each once, with every port',
      targets: [
        [`web-0.${service}`, 7000],
        [`web-0.${service}`, 8080],
        [`web-1.${service}`, 7000],
        [`web-1.${service}`, 8080],
      ],
      read: { pods: 2, ports: [7000, 8080] },
    },
    {
      title: 'the Service itself, where it has a cluster IP',
      targets: [[service, 80]],
      read: { namesService: true, ports: [80] },
    },
    {
      title: 'endpoints without a name of their own, IPv4 and IPv6',
      targets: [
        [`10-244-0-7.${service}`, 7000],
        [`fd00--7.${service}`, 7000],
        [`fd00-10-244--0.${service}`, 7000],
      ],
      read: { dashed: 3, ports: [7000] },
    },
    {
      title: 'pods of other sets, also where their names look like hexadecimal numbers',
      targets: [
        [`db-1.${service}`, 7000],
        [`db-0.${service}`, 7000],
        [`be-ad-db-0.${service}`, 7000],
        [`web-01.${service}`, 7000],
        [`zoo-0.${service}`, 7000],
      ],
      read: { others: ['be-ad-db-0', 'db-0', 'db-1'], ports: [7000] },
    },
    {
      title: 'port 0 is no port',
      targets: [[`web-0.${service}`, 0]],
      read: { pods: 1 },
    },
  ];
  for (const { title, targets, read } of tables) {
    it(`reads from SRV of the bare Service: ${title}`, () => {
      const { bareSrv } = climb(none, none, none, (question) => found(question, targets.map(srv(question))));
      assert.deepEqual(bareSrv, { step: 'found', ...nobody, ...read });
    });
  }

  it('keeps the failure of a truncated answer as it is, beside what the answer brought', () => {
    const failure: Failure = {
      reason: 'truncated',
      detail: 'the UDP answer is truncated and TCP failed (no connection): TCP port 53 seems blocked',
      server,
      question: `SRV ${service}`,
    };
    const { bareSrv } = climb(none, none, none, (question) => {
      const partial = found(question, [[`web-0.${service}`, 7000] as const].map(srv(question)));
      return { kind: 'failed', question, failure, partial };
    });
    assert.deepEqual(bareSrv, { step: { failed: failure }, ...nobody, pods: 1, ports: [7000] });
    assert.equal(typeof bareSrv.step === 'object' && bareSrv.step.failed, failure);
  });
});

/** Runs the ladder on these outcomes, in the order of its questions. */
function climb(...outcomes: readonly ((question: Question) => Outcome)[]): Ladder {
  const asking = askLadder(scope);
  const asked = asking.next();
  assert.ok(asked.done !== true);
  const step = asking.next(asked.value.map((question, index) => (outcomes[index] ?? none)(question)));
  assert.ok(step.done === true);
  return step.value;
}

function none(question: Question): Outcome {
  return absent('nxdomain', question);
}

function absent(kind: 'nxdomain' | 'nodata', question: Question): Outcome {
  return { kind, question, negativeTtlSeconds: 5, server };
}

function found(question: Question, records: readonly ResourceRecord[]): Extract<Outcome, { kind: 'found' }> {
  return { kind: 'found', question, records, additionals: [], ttlSeconds: 30, server, transport: 'udp', bytes: 100 };
}

function srv({ name }: Question): (of: readonly [target: string, port: number]) => ResourceRecord {
  return ([target, port]) => ({ name, ttlSeconds: 30, type: 'SRV', priority: 0, weight: 16, port, target });
}

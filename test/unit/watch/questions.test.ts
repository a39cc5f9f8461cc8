import assert from 'node:assert/strict';
import type { Outcome } from '../../../src/dns/client.ts';
import type { Question, ResourceRecord } from '../../../src/dns/message.ts';
import type { Failure } from '../../../src/errors.ts';
import type { Memory, Round, Wants } from '../../../src/watch/questions.ts';
import { askHint, askRound, noMemory } from '../../../src/watch/questions.ts';
import type { Scope } from '../../../src/watch/reading.ts';

const service = 'nginx.default.svc.cluster.local';
const scope: Scope = {
  statefulSet: 'web',
  serviceName: service,
  portName: 'peer',
  ordinalStart: 0,
  expectedPods: null,
  allowLoopback: false,
};
const first: Wants = { known: [], due: [], families: [4, 6], isFirst: true };
const later = (known: number[], due: number[] = []): Wants => ({ known, due, families: [4], isFirst: false });
const srv = `SRV _peer._tcp.${service}`;

/** What the resolver of a test says, by `TYPE name`; whatever it does not say is NXDOMAIN. */
type Zone = Readonly<Record<string, Reply>>;
type Reply =
  | 'nxdomain'
  | 'nodata'
  | 'servfail'
  | 'network'
  | readonly ResourceRecord[]
  | { readonly records: readonly ResourceRecord[]; readonly glue: readonly ResourceRecord[]; readonly isCut?: boolean };

/** Runs a round against a zone; gives the round and every question, one batch a line. */
function run(zone: Zone, wants: Wants = first, memory: Memory = noMemory, of: Scope = scope, now = 0) {
  const asked: string[] = [];
  const asking = askRound(of, wants, memory, now);
  let step = asking.next();
  while (step.done !== true) {
    asked.push(step.value.map(text).join(', '));
    assert.ok(asked.length < 50, 'the round does not end');
    step = asking.next(step.value.map((question) => outcomeOf(question, zone)));
  }
  return { round: step.value, asked };
}

function text({ type, name }: Question): string {
  return `${type} ${name.replace(`.${service}`, '')}`.replace(`_peer._tcp`, '_peer');
}

function outcomeOf(question: Question, zone: Zone): Outcome {
  const reply = zone[`${question.type} ${question.name}`] ?? 'nxdomain';
  if (reply === 'nxdomain' || reply === 'nodata') return { kind: reply, question, negativeTtlSeconds: 5, server: 's' };
  if (reply === 'servfail' || reply === 'network') {
    return { kind: 'failed', question, failure: failure(reply, question), partial: null };
  }
  const { records, glue, isCut = false } = 'glue' in reply ? reply : { records: reply, glue: [] };
  const found = {
    kind: 'found',
    question,
    records,
    additionals: glue,
    ttlSeconds: 5,
    server: 's',
    transport: 'udp',
    bytes: 100,
  } as const;
  return isCut ? { kind: 'failed', question, failure: failure('truncated', question), partial: found } : found;
}

function failure(reason: Failure['reason'], { type, name }: Question): Failure {
  return { reason, detail: 'by the test', server: 's', question: `${type} ${name}` };
}

const name = (ordinal: number): string => `web-${ordinal}.${service}`;
const target = (host: string, port = 7_000): ResourceRecord => ({
  type: 'SRV',
  name: `_peer._tcp.${service}`,
  ttlSeconds: 5,
  priority: 0,
  weight: 1,
  port,
  target: host,
});
const a = (host: string, address: string): ResourceRecord => ({ type: 'A', name: host, ttlSeconds: 5, address });
const aaaa = (host: string, address: string): ResourceRecord => ({ type: 'AAAA', name: host, ttlSeconds: 5, address });
const listed = (...ordinals: number[]): Reply => ({
  records: ordinals.map((ordinal) => target(name(ordinal))),
  glue: ordinals.map((ordinal) => a(name(ordinal), `10.0.0.${ordinal + 1}`)),
});
const bare = (...ordinals: number[]): Reply => ordinals.map((ordinal) => target(name(ordinal)));
const byName = (...ordinals: number[]): Zone =>
  Object.fromEntries(ordinals.map((ordinal) => [`A ${name(ordinal)}`, [a(name(ordinal), `10.0.0.${ordinal + 1}`)]]));

/** A round in one line: `complete: web-0 10.0.0.1, web-1 absent; others absent`. */
function said({ answer }: Round): string {
  const sightings = [...answer.sightings].map(([ordinal, sighting]) => {
    if (sighting.kind !== 'found') return `web-${ordinal} ${sighting.kind}`;
    const shown = ([4, 6] as const).map((family) => {
      const one = sighting.families[family];
      return one.kind === 'shown' ? one.addresses.join('+') : one.kind;
    });
    return `web-${ordinal} ${shown.filter((one) => one !== 'none' && one !== 'unknown').join('/') || 'found'}`;
  });
  return `${answer.complete ? 'complete' : 'incomplete'}: ${sightings.join(', ')}; others ${answer.others}`;
}

describe('watch/questions: one question a round, and follow-ups only where SRV cannot do', () => {
  const rows: {
    title: string;
    zone: Zone;
    wants?: Wants;
    memory?: Memory;
    scope?: Scope;
    asked: string[];
    said: string;
  }[] = [
    {
      title: 'SRV with glue is the whole round',
      zone: { [srv]: listed(0, 1, 2) },
      asked: ['SRV _peer'],
      said: 'complete: web-0 10.0.0.1, web-1 10.0.0.2, web-2 10.0.0.3; others absent',
    },
    {
      title: 'SRV NXDOMAIN and the Service NXDOMAIN: nobody is published, and no ordinal is walked',
      zone: {},
      wants: later([0, 1]),
      asked: ['SRV _peer', 'A nginx.default.svc.cluster.local'],
      said: 'complete: ; others absent',
    },
    {
      title: 'a removal that is due is asked by its own name, also while nobody is published',
      zone: {},
      wants: later([0, 1], [1]),
      asked: ['SRV _peer', 'A nginx.default.svc.cluster.local', 'A web-1'],
      said: 'complete: web-1 absent; others absent',
    },
    {
      title: 'SRV NXDOMAIN while the Service has an address: the port name is wrong, names are asked',
      zone: { [`A ${service}`]: [a(service, '10.0.0.1')], ...byName(0, 1) },
      wants: later([0, 1]),
      memory: { ...noMemory, beyond: { at: 0, waitMs: 5_000 } },
      asked: ['SRV _peer', 'A nginx.default.svc.cluster.local', 'A web-0, A web-1', 'A web-00'],
      said: 'complete: web-0 10.0.0.1, web-1 10.0.0.2; others unasked',
    },
    {
      title: 'SRV NXDOMAIN and the Service NODATA for A: somebody is published, by IPv6',
      zone: { [`A ${service}`]: 'nodata', [`AAAA ${name(0)}`]: [aaaa(name(0), 'fd00::1')], [`A ${name(0)}`]: 'nodata' },
      wants: { ...later([0]), families: [6] },
      memory: { ...noMemory, beyond: { at: 0, waitMs: 5_000 } },
      asked: ['SRV _peer', 'A nginx.default.svc.cluster.local', 'AAAA web-0', 'A web-00'],
      said: 'complete: web-0 fd00::1; others unasked',
    },
    {
      title: 'SRV SERVFAIL while the Service is NXDOMAIN: contradictory, so nothing is known',
      zone: { [srv]: 'servfail' },
      wants: later([0]),
      asked: ['SRV _peer', 'A nginx.default.svc.cluster.local'],
      said: 'incomplete: ; others failed',
    },
    {
      title: 'no server can be reached: no other question is asked in vain',
      zone: { [srv]: 'network' },
      wants: later([0]),
      asked: ['SRV _peer'],
      said: 'incomplete: ; others failed',
    },
    {
      title: 'SRV SERVFAIL, the Service has addresses, one name fails: the round is incomplete, the others are found',
      zone: {
        [srv]: 'servfail',
        [`A ${service}`]: [a(service, '10.0.0.1')],
        ...byName(0),
        [`A ${name(1)}`]: 'servfail',
      },
      wants: later([0, 1]),
      memory: { ...noMemory, beyond: { at: 0, waitMs: 5_000 } },
      asked: ['SRV _peer', 'A nginx.default.svc.cluster.local', 'A web-0, A web-1', 'A web-00'],
      said: 'incomplete: web-0 10.0.0.1, web-1 failed; others unasked',
    },
    {
      title: 'glue missing for one peer: its own name is asked in both families at first',
      zone: {
        [srv]: { records: [target(name(0)), target(name(1))], glue: [a(name(0), '10.0.0.1')] },
        ...byName(1),
        [`AAAA ${name(1)}`]: 'nodata',
      },
      asked: ['SRV _peer', 'A web-1, AAAA web-1'],
      said: 'complete: web-0 10.0.0.1, web-1 10.0.0.2; others absent',
    },
    {
      title: 'within a round SRV beats an NXDOMAIN for the own name',
      zone: { [srv]: bare(0) },
      asked: [
        'SRV _peer',
        'A nginx.default.svc.cluster.local, AAAA nginx.default.svc.cluster.local',
        'A web-0, AAAA web-0',
      ],
      said: 'complete: web-0 found; others absent',
    },
    {
      title: 'without glue a refresh asks the Service, and a few names in turn, while nothing changed',
      zone: { [srv]: bare(0, 1, 2, 3, 4, 5), [`A ${service}`]: [a(service, '10.0.0.1')], ...byName(0, 1, 2, 3, 4, 5) },
      wants: later([0, 1, 2, 3, 4, 5]),
      memory: { ...noMemory, glueless: { names: '0 1 2 3 4 5', addresses: '10.0.0.1' }, cursor: 4 },
      asked: [
        'SRV _peer',
        'A nginx.default.svc.cluster.local, AAAA nginx.default.svc.cluster.local',
        'A web-4, A web-5, A web-0, A web-1',
      ],
      said: 'complete: web-0 10.0.0.1, web-1 10.0.0.2, web-2 found, web-3 found, web-4 10.0.0.5, web-5 10.0.0.6; others absent',
    },
    {
      title: 'without glue a refresh asks all names when the set of addresses changed',
      zone: { [srv]: bare(0, 1), [`A ${service}`]: [a(service, '10.0.0.9')], ...byName(0, 1) },
      wants: later([0, 1]),
      memory: { ...noMemory, glueless: { names: '0 1', addresses: '10.0.0.1' } },
      asked: [
        'SRV _peer',
        'A nginx.default.svc.cluster.local, AAAA nginx.default.svc.cluster.local',
        'A web-0, A web-1',
      ],
      said: 'complete: web-0 10.0.0.1, web-1 10.0.0.2; others absent',
    },
    {
      title: 'truncated and TCP blocked: at first every name is asked, and 8 beyond',
      zone: { [srv]: { records: [target(name(0))], glue: [a(name(0), '10.0.0.1')], isCut: true }, ...byName(0, 1) },
      wants: { ...first, families: [4] },
      asked: ['SRV _peer', 'A web-1, A web-2, A web-3, A web-4, A web-5, A web-6, A web-7, A web-8', 'A web-00'],
      said: 'complete: web-0 10.0.0.1, web-1 10.0.0.2, web-2 absent, web-3 absent, web-4 absent, web-5 absent, web-6 absent, web-7 absent, web-8 absent; others unasked',
    },
    {
      title: 'names beyond the known ones end at expectedPods',
      zone: { [srv]: { records: [target(name(0))], glue: [a(name(0), '10.0.0.1')], isCut: true }, ...byName(1) },
      wants: { ...first, families: [4] },
      scope: { ...scope, expectedPods: 2 },
      asked: ['SRV _peer', 'A web-1', 'A web-00'],
      said: 'complete: web-0 10.0.0.1, web-1 10.0.0.2; others unasked',
    },
    {
      title: 'a removal that is due although its own name is found: it is there, and SRV omits it',
      zone: { [srv]: listed(0), ...byName(1) },
      wants: later([0, 1], [1]),
      asked: ['SRV _peer', 'A web-1', 'A web-00'],
      said: 'complete: web-0 10.0.0.1, web-1 10.0.0.2; others absent',
    },
    {
      title: 'a resolver that answers names which cannot exist is no witness: SRV alone decides',
      zone: { [srv]: listed(0), ...byName(1), [`A web-00.${service}`]: [a(`web-00.${service}`, '10.9.9.9')] },
      wants: later([0, 1], [1]),
      asked: ['SRV _peer', 'A web-1', 'A web-00'],
      said: 'complete: web-0 10.0.0.1, web-1 absent; others absent',
    },
    {
      title: 'only targets of the set count, and without a leading zero',
      zone: {
        [srv]: {
          records: [
            name(0),
            `web-01.${service}`,
            `api-0.${service}`,
            `web-1.other.default.svc.cluster.local`,
            `10-0-0-9.${service}`,
          ].map((host) => target(host)),
          glue: [a(name(0), '10.0.0.1')],
        },
      },
      asked: ['SRV _peer'],
      said: 'complete: web-0 10.0.0.1; others absent',
    },
    {
      title: 'a Service that is not headless is no statement about pods',
      zone: { [srv]: { records: [target(service)], glue: [a(service, '10.96.0.9')] } },
      wants: later([0]),
      asked: ['SRV _peer'],
      said: 'incomplete: ; others failed',
    },
    {
      title: 'addresses that no pod can have are refused; SRV says that the peer is there all the same',
      zone: {
        [srv]: {
          records: [target(name(0)), target(name(1))],
          glue: [a(name(0), '169.254.1.1'), a(name(1), '127.0.0.1'), aaaa(name(1), 'fd00::2')],
        },
      },
      asked: ['SRV _peer'],
      said: 'complete: web-0 found, web-1 fd00::2; others absent',
    },
    {
      title: 'IPv4-mapped is IPv4, before any rule',
      zone: {
        [srv]: {
          records: [target(name(0)), target(name(1))],
          glue: [aaaa(name(0), '::ffff:10.0.0.1'), aaaa(name(1), '::ffff:127.0.0.1')],
        },
      },
      asked: ['SRV _peer'],
      said: 'complete: web-0 10.0.0.1, web-1 found; others absent',
    },
    {
      title: 'asked by name, one family absent and the other failed: neither found nor absent',
      zone: {
        [srv]: 'servfail',
        [`A ${service}`]: 'nodata',
        [`A ${name(0)}`]: 'nxdomain',
        [`AAAA ${name(0)}`]: 'servfail',
      },
      wants: { ...later([0]), families: [4, 6] },
      memory: { ...noMemory, beyond: { at: 0, waitMs: 5_000 } },
      asked: ['SRV _peer', 'A nginx.default.svc.cluster.local', 'A web-0, AAAA web-0'],
      said: 'incomplete: web-0 failed; others unasked',
    },
    {
      title: 'NODATA in the only family asked means that the name exists: the other family is asked too',
      zone: { [srv]: listed(0), [`A ${name(1)}`]: 'nodata', [`AAAA ${name(1)}`]: [aaaa(name(1), 'fd00::2')] },
      wants: later([0, 1], [1]),
      asked: ['SRV _peer', 'A web-1', 'AAAA web-1', 'A web-00'],
      said: 'complete: web-0 10.0.0.1, web-1 fd00::2; others absent',
    },
    {
      title:
        'at first a family is left out where the glue of this round shows the other, and one name says it is not there',
      zone: {
        [srv]: { records: [target(name(0)), target(name(1))], glue: [a(name(0), '10.0.0.1')], isCut: true },
        ...byName(1, 2, 3),
        [`AAAA ${name(1)}`]: 'nodata',
      },
      scope: { ...scope, expectedPods: 4 },
      asked: ['SRV _peer', 'A web-1, AAAA web-1', 'A web-2, A web-3', 'A web-00'],
      said: 'complete: web-0 10.0.0.1, web-1 10.0.0.2, web-2 10.0.0.3, web-3 10.0.0.4; others unasked',
    },
    {
      title: 'at first no family is left out where that name has both: truncated glue proves presence alone',
      zone: {
        [srv]: { records: [0, 1, 2].map((one) => target(name(one))), glue: [a(name(0), '10.0.0.1')], isCut: true },
        ...byName(1, 2),
        [`AAAA ${name(1)}`]: [aaaa(name(1), 'fd00::2')],
        [`AAAA ${name(2)}`]: [aaaa(name(2), 'fd00::3')],
      },
      scope: { ...scope, expectedPods: 3 },
      asked: ['SRV _peer', 'A web-1, AAAA web-1', 'A web-2, AAAA web-2'],
      said: 'complete: web-0 10.0.0.1, web-1 10.0.0.2/fd00::2, web-2 10.0.0.3/fd00::3; others unasked',
    },
    {
      title: 'at first no family is left out where the question for it failed, or the name is gone',
      zone: {
        [srv]: { records: [0, 1, 2].map((one) => target(name(one))), glue: [a(name(0), '10.0.0.1')], isCut: true },
        ...byName(1, 2),
        [`AAAA ${name(1)}`]: 'servfail',
        [`AAAA ${name(2)}`]: 'nodata',
      },
      scope: { ...scope, expectedPods: 3 },
      asked: ['SRV _peer', 'A web-1, AAAA web-1', 'A web-2, AAAA web-2'],
      said: 'complete: web-0 10.0.0.1, web-1 10.0.0.2, web-2 10.0.0.3; others unasked',
    },
    {
      title: 'at first no family is left out where the glue of this round shows both',
      zone: {
        [srv]: {
          records: [0, 1, 2].map((one) => target(name(one))),
          glue: [a(name(0), '10.0.0.1'), aaaa(name(1), 'fd00::2')],
          isCut: true,
        },
        ...byName(2),
      },
      scope: { ...scope, expectedPods: 3 },
      asked: ['SRV _peer', 'A web-2, AAAA web-2'],
      said: 'complete: web-0 10.0.0.1, web-1 fd00::2, web-2 10.0.0.3; others unasked',
    },
    {
      title: 'a peer that lacks the family that is not left out is asked for the other',
      zone: {
        [srv]: { records: [0, 1, 2].map((one) => target(name(one))), glue: [a(name(0), '10.0.0.1')], isCut: true },
        ...byName(1),
        [`AAAA ${name(1)}`]: 'nodata',
        [`A ${name(2)}`]: 'nodata',
        [`AAAA ${name(2)}`]: [aaaa(name(2), 'fd00::3')],
      },
      scope: { ...scope, expectedPods: 3 },
      asked: ['SRV _peer', 'A web-1, AAAA web-1', 'A web-2', 'AAAA web-2'],
      said: 'complete: web-0 10.0.0.1, web-1 10.0.0.2, web-2 fd00::3; others unasked',
    },
    {
      title: 'the bare Service is asked where no port has a name',
      zone: { [`SRV ${service}`]: listed(0) },
      scope: { ...scope, portName: null },
      asked: ['SRV nginx.default.svc.cluster.local'],
      said: 'complete: web-0 10.0.0.1; others absent',
    },
  ];
  for (const row of rows) {
    it(row.title, () => {
      const { round, asked } = run(row.zone, row.wants, row.memory, row.scope);
      assert.deepEqual(asked, row.asked);
      assert.equal(said(round), row.said);
    });
  }

  it('remembers peers that SRV omits, and asks their own names from then on', () => {
    const zone = { [srv]: listed(0), ...byName(1) };
    const { round } = run(zone, later([0, 1], [1]));
    assert.deepEqual(round.memory.omitted, [1]);
    const next = run(zone, later([0, 1]), round.memory);
    assert.deepEqual(next.asked, ['SRV _peer', 'A web-1']);
    assert.equal(said(next.round), 'complete: web-0 10.0.0.1, web-1 10.0.0.2; others absent');
    const relisted = run({ [srv]: listed(0, 1) }, later([0, 1]), next.round.memory);
    assert.deepEqual(relisted.round.memory.omitted, []);
  });

  it('asks names beyond the known ones once a negative TTL', () => {
    const zone = { [srv]: 'servfail', [`A ${service}`]: [a(service, '10.0.0.1')], ...byName(0) } as const;
    const { round } = run(zone, later([0]));
    assert.deepEqual(round.memory.beyond, { at: 0, waitMs: 5_000 });
    assert.equal(run(zone, later([0]), round.memory, scope, 4_999).asked.length, 3);
    assert.equal(run(zone, later([0]), round.memory, scope, 5_000).asked.length, 4);
  });

  it('goes round within the budget where a refresh has too many names to ask', () => {
    const known = Array.from({ length: 100 }, (_, ordinal) => ordinal);
    const zone = { [srv]: 'servfail', [`A ${service}`]: [a(service, '10.0.0.1')], ...byName(...known) } as const;
    let memory: Memory = { ...noMemory, beyond: { at: 0, waitMs: 1e9 } };
    const asked = new Set<string>();
    for (let index = 0; index < 4; index += 1) {
      const { round, asked: batches } = run(zone, later(known), memory);
      const names = (batches[2] ?? '').split(', ');
      assert.equal(names.length, 32);
      for (const one of names) asked.add(one);
      memory = round.memory;
    }
    assert.equal(asked.size, 100);
  });

  it('a port that SRV gives as 0 is no port, and several ports are none', () => {
    const zone: Zone = {
      [srv]: { records: [target(name(0), 0), target(name(1), 80), target(name(1), 81), target(name(2), 82)], glue: [] },
    };
    const { round } = run(zone);
    const ports = [...round.answer.sightings.values()].map((one) => (one.kind === 'found' ? one.port : undefined));
    assert.deepEqual(ports, [null, null, 82]);
    assert.deepEqual(round.observations.ports, [80, 81]);
  });

  it('gives the longest negative TTL of the round, and why it is incomplete', () => {
    const { round } = run({ [srv]: 'servfail' });
    assert.equal(round.answer.negativeTtlMs, 5_000);
    assert.equal(round.answer.failure?.reason, 'servfail');
    assert.equal(run({ [srv]: listed(0) }).round.answer.failure, null);
  });
});

describe('watch/questions: a hint', () => {
  const hint = (zone: Zone, ordinals: readonly number[] | null): { round: Round; asked: string[] } => {
    const asked: string[] = [];
    const asking = askHint(scope, later([0, 1]), noMemory, ordinals, 0);
    let step = asking.next();
    while (step.done !== true) {
      asked.push(step.value.map(text).join(', '));
      step = asking.next(step.value.map((question) => outcomeOf(question, zone)));
    }
    return { round: step.value, asked };
  };

  it('asks the same SRV question, and no follow-up', () => {
    const { round, asked } = hint({ [srv]: listed(0) }, null);
    assert.deepEqual(asked, ['SRV _peer']);
    assert.equal(said(round), 'complete: web-0 10.0.0.1; others absent');
    assert.equal(round.answer.isRound, false);
    assert.equal(said(hint({}, null).round), 'incomplete: ; others unasked');
  });

  it("asks the peer's own names where SRV needs TCP", () => {
    const { round, asked } = hint(byName(1), [1]);
    assert.deepEqual(asked, ['A web-1']);
    assert.equal(said(round), 'complete: web-1 10.0.0.2; others unasked');
  });

  it('that failed says nothing at all', () => {
    const { round } = hint({ [`A ${name(1)}`]: 'servfail' }, [1]);
    assert.equal(round.answer.sightings.size, 0);
  });
});

import { setTimeout as sleep } from 'node:timers/promises';
import type { EmbeddedDns } from '../src/testing/embedded-dns.ts';
import type { Pod, PodProcess } from '../src/testing/pod.ts';
import { TestCluster } from '../src/testing/test-cluster.ts';
import { Child } from './support/child.ts';
import type { ClientRequest, Sample } from './support/client.ts';
import { clock } from './support/clock.ts';
import type { ContestantName } from './support/contestants.ts';
import { PodServer } from './support/pod-server.ts';
import type { Expectation } from './support/report.ts';
import { report } from './support/report.ts';

// All pods are healthy, every request takes a new connection, and DNS is in trouble for a while. Every contestant is a
// process of its own with a cluster of its own, so that the questions are its alone; pods and DNS are in this process.

const storms: Readonly<Record<string, (dns: EmbeddedDns) => unknown>> = {
  SERVFAIL: (dns) => dns.fail('SERVFAIL'),
  silence: (dns) => dns.silence(),
  '30 % NXDOMAIN': (dns) => dns.spuriousNxdomain(0.3),
};

const names: readonly ContestantName[] = [
  ...(['PeerDispatcher', 'loop', 'undici Agent', 'interceptors.dns', 'interceptors.dns, no TTL'] as const),
  'cacheable-lookup',
];
const ttlSeconds = 5;
const everyMs = 20;
const deadlineMs = 2_000;
const mostQuestions = 60;
const port = 7_000;

/** What one contestant met in one storm. */
interface Case {
  readonly storm: string;
  readonly name: string;
  readonly sent: number;
  readonly failed: number;
  readonly errors: readonly string[];
  readonly questions: number;
  /** How long after the end of the storm the last request was sent that failed. */
  readonly badAfterMs: number;
}

/** Prints the table and the expectations. Takes one and a half minutes, `quick` the half. */
export async function run({ json, quick }: { json: boolean; quick: boolean }): Promise<void> {
  const stormMs = quick ? 8_000 : 20_000;
  const cases: Case[] = [];
  for (const storm of Object.keys(storms)) cases.push(...(await weather(storm, stormMs)));
  report(
    json,
    {
      title: `${stormMs / 1_000} s of trouble at TTL ${ttlSeconds}, a request on a new connection every ${everyMs} ms, each with ${deadlineMs} ms.`,
      head: ['DNS', 'client', 'requests', 'failed', 'questions', 'errors', 'last failure after the end'],
      rows: cases.map(({ storm, name, sent, failed, questions, errors, badAfterMs }) => [
        ...[storm, name, String(sent), `${((100 * failed) / sent).toFixed(1)} %`, String(questions)],
        ...[errors.join(), badAfterMs > 0 ? `${(badAfterMs / 1_000).toFixed(1)} s` : ''],
      ]),
    },
    judge(cases),
  );
}

async function weather(storm: string, stormMs: number): Promise<Case[]> {
  return await Promise.all(
    names.map(async (name, index): Promise<Case> => {
      // So that they do not all start at the same time.
      await sleep(index * 300);
      const child = new Child(new URL('./support/client.js', import.meta.url));
      const cluster = await startCluster(index);
      const ask = <Answer>(request: ClientRequest): Promise<Answer> => child.ask<Answer>(request);
      try {
        const place = { dns: cluster.dnsServer, service: cluster.stableName('').slice(1), port, isAlwaysNew: true };
        const podNames = ['web-0', 'web-1', 'web-2'];
        await ask({ kind: 'start', id: storm, name, contestant: name, place, podNames, deadlineMs });
        await ask({ kind: 'pace', id: storm, everyMs });
        await sleep(1_000);
        const startAt = clock();
        cluster.dns.forgetQuestions();
        storms[storm]?.(cluster.dns);
        await sleep(stormMs);
        const questions = cluster.dns.questions();
        cluster.dns.heal();
        const endAt = clock();
        await sleep(2_000);
        await ask({ kind: 'pace', id: storm, everyMs: null });
        const samples = await ask<readonly Sample[]>({ kind: 'end', id: storm, graceMs: deadlineMs });
        const during = samples.filter(({ sentAt }) => sentAt >= startAt && sentAt < endAt);
        const errors = during.flatMap(({ error }) => error ?? []);
        const bad = samples.filter(({ error }) => error !== null).map(({ sentAt }) => sentAt);
        return {
          ...{ storm, name, questions, sent: during.length, failed: errors.length, errors: [...new Set(errors)] },
          badAfterMs: Math.max(0, ...bad.map((sentAt) => sentAt - endAt)),
        };
      } finally {
        child.close();
        await cluster.close();
      }
    }),
  );
}

let ranges = Math.floor(Math.random() * 170);

async function startCluster(index: number): Promise<TestCluster> {
  ranges = (ranges + 1) % 170;
  const cluster = await TestCluster.start({
    sockets: true,
    network: { podCidrs: [`127.${64 + ranges}.${16 * index}.0/20`] },
    dns: { ttlSeconds },
    run: runPod,
  });
  await cluster.statefulSet.settled();
  return cluster;
}

function runPod(pod: Pod): PodProcess {
  const [address = ''] = pod.addresses;
  const server = new PodServer({ address, port, by: pod.name, guard: null });
  void server.listen().then(() => {
    pod.markReady();
  });
  const kill = (): void => {
    server.kill();
  };
  return { stopped: server.stopped, stop: kill, kill };
}

function judge(cases: readonly Case[]): Expectation[] {
  return cases
    .filter(({ name }) => name === 'PeerDispatcher')
    .flatMap(({ storm, name, failed, questions, badAfterMs }) => [
      {
        expected: `${storm}: ${name}: no failed request, nor afterwards`,
        measured: badAfterMs > 0 ? `${failed}, and others afterwards` : String(failed),
        holds: failed === 0 && badAfterMs === 0,
      },
      {
        expected: `${storm}: ${name}: at most ${mostQuestions} questions`,
        measured: String(questions),
        holds: questions <= mostQuestions,
      },
    ]);
}

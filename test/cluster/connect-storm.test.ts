import assert from 'node:assert/strict';
import type { PeerDiscovery } from '../../src/peer-discovery.ts';
import { createObserver } from '../../src/peer-discovery.ts';
import { hasLoopbackRange } from '../../src/testing/pod-network.ts';
import { TestCluster } from '../../src/testing/test-cluster.ts';
import { Opened } from '../unit/connect/sockets.ts';

// Promise 16, counted at the DNS server: connections to a dead address, as many as a busy process makes. What a hundred
// processes ask together is counted in test/unit/connect/hint-rate.test.ts.

describe('16. A storm of connection errors is no storm of DNS questions', () => {
  before(async function () {
    if (await hasLoopbackRange()) return;
    console.log('skipped: this system has a single loopback address, so that pods cannot have one each');
    this.skip();
  });

  let opened = new Opened();
  let cluster: TestCluster;
  beforeEach(async () => {
    opened = new Opened();
    // Pods without a process: each connection is refused.
    cluster = await TestCluster.start({ sockets: true, replicas: 3 });
    opened.add(() => cluster.close());
  });
  afterEach(() => opened.close());

  function observe(): PeerDiscovery {
    const environment = {
      hostname: () => 'writer',
      variables: cluster.observerEnvironment(),
      readFile: () => null,
      pause: () => undefined,
    };
    const peers = createObserver({ statefulSet: 'web', service: 'nginx' }, { environment });
    opened.add(() => peers.close());
    return peers;
  }

  interface Storm {
    readonly attempts: number;
    /** What the process asked because of connections. */
    readonly hints: readonly Sample[];
    /** Questions that came to the server: with the polls. */
    readonly questions: readonly Sample[];
  }
  /** How many from one moment to another, some 100 ms later; more on a machine that is busy. */
  interface Sample {
    readonly from: number;
    readonly to: number;
    readonly count: number;
  }
  /** Connections that fail, for 2 s; counted for half a second more. */
  async function storm(all: readonly PeerDiscovery[], targets: readonly string[]): Promise<Storm> {
    const sumOfHints = (): number => all.reduce((sum, peers) => sum + peers.stats().hints, 0);
    const [hints, questions]: [Sample[], Sample[]] = [[], []];
    const look = (): { at: number; hints: number; questions: number } => {
      return { at: performance.now(), hints: sumOfHints(), questions: cluster.dns.questions() };
    };
    let last = look();
    const sampling = setInterval(() => {
      const now = look();
      hints.push({ from: last.at, to: now.at, count: now.hints - last.hints });
      questions.push({ from: last.at, to: now.at, count: now.questions - last.questions });
      last = now;
    }, 100);
    const startedAt = performance.now();
    let attempts = 0;
    try {
      while (performance.now() - startedAt < 2_000) {
        const batch = Array.from({ length: 50 }, (_, index) => {
          const peers = all[(attempts + index) % all.length];
          const target = targets[(attempts + index) % targets.length];
          if (peers === undefined || target === undefined) return Promise.resolve();
          return peers.connect(target, { timeoutMs: 40 }).then(
            () => assert.fail('it connected'),
            () => undefined,
          );
        });
        attempts += batch.length;
        await Promise.all(batch);
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    } finally {
      clearInterval(sampling);
    }
    return { attempts, hints, questions };
  }
  /** The most of them in a second. */
  function busiestSecond(samples: readonly Sample[]): number {
    const inSecondFrom = (start: number): readonly Sample[] =>
      samples.filter(({ from, to }) => from >= start && to <= start + 1_010);
    return Math.max(...samples.map(({ from }) => total(inSecondFrom(from))));
  }
  function total(samples: readonly Sample[]): number {
    return samples.reduce((sum, { count }) => sum + count, 0);
  }
  function shown(samples: readonly Sample[]): string {
    return samples.map(({ count }) => count).join(' ');
  }

  it('1,000 failed connections to one address', async function () {
    this.timeout(20_000);
    const peers = observe();
    await peers.waitForPeer('web-1');
    const { attempts, hints, questions } = await storm([peers], ['web-1']);
    assert.ok(attempts >= 1_000, `${attempts} attempts`);
    assert.ok(busiestSecond(hints) > 0 && busiestSecond(hints) <= 20, `hints ${shown(hints)}`);
    // With the polls of somebody who waits, once a second.
    assert.ok(busiestSecond(questions) <= 20 + 2, `questions ${shown(questions)}`);
  });

  it('to every address of the set', async function () {
    this.timeout(20_000);
    const peers = observe();
    await peers.waitForPeer('web-2');
    const { attempts, hints, questions } = await storm([peers], ['web-0', 'web-1', 'web-2', 'any', 'primary']);
    assert.ok(attempts >= 1_000, `${attempts} attempts`);
    assert.ok(busiestSecond(hints) > 0 && busiestSecond(hints) <= 21, `hints ${shown(hints)}`);
    assert.ok(busiestSecond(questions) <= 21 + 2, `questions ${shown(questions)}`);
  });

  it('in a hundred library objects of one process: the bound is that of the process', async function () {
    this.timeout(30_000);
    const all = Array.from({ length: 100 }, observe);
    for (const peers of all) await peers.waitForPeer('web-1');
    const { attempts, hints } = await storm(all, ['web-1']);
    assert.ok(attempts >= 1_000, `${attempts} attempts`);
    // A sample can hold one of the tenth before it.
    assert.ok(busiestSecond(hints) > 0 && busiestSecond(hints) <= 21, `hints ${shown(hints)}`);
  });

  it('while DNS says that nobody is there, the hints are silent: a negative cache is not fed', async function () {
    this.timeout(20_000);
    const peers = observe();
    await peers.waitForPeer('web-1');
    const fault = cluster.dns.spuriousNxdomain(1);
    const { attempts, questions } = await storm([peers], ['web-1']);
    fault.end();
    assert.ok(attempts >= 1_000, `${attempts} attempts`);
    const asked = total(questions);
    // One hint says NXDOMAIN; then there are the polls, once a second, with the Service's own A and AAAA beside SRV.
    assert.ok(asked <= 1 + 4 * 3, `questions ${shown(questions)}`);
  });
});

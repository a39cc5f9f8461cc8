import assert from 'node:assert/strict';
import { TestCluster } from '../../../src/testing/test-cluster.ts';
import { runAsPod } from '../../support/pod-program.ts';

// Whether a process stays up can only be seen from outside: these are real ones, in a cluster on loopback.

describe('Idle polling does not keep the process alive; whoever waits does', function () {
  this.timeout(20_000);
  let cluster: TestCluster;
  beforeEach(async () => {
    cluster = await TestCluster.start({ sockets: true, replicas: 2 });
  });
  afterEach(() => cluster.close());

  const exits: readonly (readonly [string, string, string])[] = [
    [
      'a process that only looks ends at once',
      `const peers = discoverPeers(); console.log(peers.self.podName);`,
      'web-1',
    ],
    [
      'a process that has its first answer ends, though it never closes and has listeners',
      `const peers = discoverPeers();
       peers.on('topologyChanged', () => {});
       await peers.ready();
       const readyAt = performance.now();
       // Well before the next poll.
       process.on('exit', () => console.log(performance.now() - readyAt < 800 ? 'at once' : 'late'));`,
      'at once',
    ],
    [
      'a process that closed ends',
      `const peers = discoverPeers();
       await peers.ready();
       await peers.close();
       console.log('closed');`,
      'closed',
    ],
    [
      'a process that closes at once ends',
      `const peers = discoverPeers();
       await peers.close();
       console.log('closed');`,
      'closed',
    ],
  ];
  for (const [title, program, printed] of exits) {
    it(title, async () => {
      const ended = await runAsPod(cluster, 'web-1', program);
      assert.deepEqual(ended, { code: 0, printed, errors: '' });
    });
  }

  it('a process that only looks does not wait for DNS', async () => {
    const fault = cluster.dns.silence();
    const startedAt = performance.now();
    const ended = await runAsPod(cluster, 'web-1', `const peers = discoverPeers(); console.log(peers.self.podName);`);
    fault.end();
    assert.deepEqual(ended, { code: 0, printed: 'web-1', errors: '' });
    const elapsedMs = performance.now() - startedAt;
    // A question waits for a second, twice.
    assert.ok(elapsedMs < 1_500, `it took ${elapsedMs} ms`);
  });

  // Where nothing keeps the process alive, Node.js ends it in the middle of an await, with code 13.
  const waits: readonly (readonly [string, string, string])[] = [
    [
      'a pending waiter keeps it up to its end',
      `const peers = discoverPeers();
       await peers.waitForPeer('web-7', { timeoutMs: 1_500 }).catch((error) => console.log(error.code));`,
      'ERR_TIMEOUT',
    ],
    [
      'an awaited refresh() keeps it up',
      `const peers = discoverPeers();
       console.log((await peers.refresh()).peers.length);`,
      '2',
    ],
    [
      'an awaited explain() keeps it up',
      `const peers = discoverPeers();
       console.log((await peers.explain()).findings.length > 0);`,
      'true',
    ],
    [
      'a close() during a round keeps it up',
      `const peers = discoverPeers();
       setTimeout(async () => { await peers.close(); console.log('closed'); }, 100);`,
      'closed',
    ],
  ];
  for (const [title, program, printed] of waits) {
    it(`${title}, while DNS takes its time`, async () => {
      const fault = cluster.dns.delay(400);
      const ended = await runAsPod(cluster, 'web-1', program);
      fault.end();
      assert.deepEqual(ended, { code: 0, printed, errors: '' });
    });
  }

  it('14. A listener that throws ends a process that does not catch it, after the other listeners ran', async () => {
    const { code, printed, errors } = await runAsPod(
      cluster,
      'web-1',
      `const peers = discoverPeers();
       peers.on('topologyChanged', () => { throw new Error('mine'); });
       peers.on('topologyChanged', () => console.log('the other one'));
       await peers.waitForPeer('web-7');`,
    );
    assert.notEqual(code, 0);
    assert.notEqual(code, null);
    assert.equal(printed, 'the other one');
    assert.match(errors, /Error: mine/);
  });
});

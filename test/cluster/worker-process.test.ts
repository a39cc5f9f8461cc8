import assert from 'node:assert/strict';
import { TestCluster } from '../../src/testing/test-cluster.ts';
import { runAsPod } from '../support/pod-program.ts';

// Whether a process stays up can only be seen from outside: these are real ones, in a cluster on loopback. Section 4:
// "Idle polling does not keep the process alive; a waiter, worker or connection does."

describe('A worker keeps the process alive; after it ends, the process does by itself', function () {
  this.timeout(20_000);
  let cluster: TestCluster;
  beforeEach(async () => {
    cluster = await TestCluster.start({ sockets: true, replicas: 2 });
  });
  afterEach(() => cluster.close());

  // None of these closes the library, and none has a timer that keeps it up.
  const exits: readonly (readonly [string, string, string, string])[] = [
    [
      'a follower that is stopped by its worker',
      'web-1',
      `const peers = discoverPeers();
       const handle = peers.follow('primary', () => { console.log('ran'); void handle.stop(); });
       await handle.done;
       console.log(handle.state);`,
      'ran\nstopped',
    ],
    [
      'a follower that backs off, and is done at the second run',
      'web-1',
      `const peers = discoverPeers();
       let runs = 0;
       const handle = peers.follow('primary', () => {
         runs += 1;
         if (runs < 3) throw new Error('bad data');
       }, { restart: 'on-failure' });
       await handle.done;
       console.log(runs, handle.state);`,
      '3 stopped',
    ],
    [
      'a follower whose retry package cannot be loaded for a while (no descriptor was free)',
      'web-1',
      // Node.js 20 has hooks on a thread of their own only, from 26 on those are deprecated.
      `import * as module from 'node:module';
       const resolve = "let failures = 0; function resolve(specifier, context, next) {" +
         "if (specifier === 'p-retry' && failures++ < 11) throw new Error('EMFILE'); return next(specifier, context); }";
       if (module.registerHooks) module.registerHooks({ resolve: new Function(resolve + 'return resolve;')() });
       else module.register('data:text/javascript,' + encodeURIComponent(resolve + 'export { resolve };'));
       const peers = discoverPeers();
       const handle = peers.follow('primary', () => { console.log('ran'); void handle.stop(); });
       await handle.done;
       console.log(handle.state, handle.lastError.message);`,
      'ran\nstopped EMFILE',
    ],
    [
      'a leader that is done',
      'web-0',
      `const peers = discoverPeers();
       await peers.lead(() => console.log('led'), { restart: 'on-failure' }).done;`,
      'led',
    ],
    [
      'a follower of somebody who is not there, stopped by its signal',
      'web-1',
      `const peers = discoverPeers();
       const user = new AbortController();
       setTimeout(() => user.abort(), 500).unref();
       await peers.follow('web-7', () => console.log('ran'), { signal: user.signal }).done;
       console.log('done');`,
      'done',
    ],
    [
      'a worker that ignores its signal is waited for, and then the process ends',
      'web-1',
      `const peers = discoverPeers();
       let finish;
       const handle = peers.follow('primary', () => new Promise((resolve) => { finish = resolve; }));
       setTimeout(() => { void handle.stop(); }, 500).unref();
       setTimeout(() => finish(), 1_000).unref();
       await handle.done;
       console.log(handle.state);`,
      'stopped',
    ],
    [
      'close() with workers',
      'web-1',
      `const peers = discoverPeers();
       const handle = peers.follow('any', (peer, { signal }) => new Promise((resolve) => {
         console.log('ran');
         signal.addEventListener('abort', resolve);
         setTimeout(() => { void peers.close(); }, 100).unref();
       }));
       await handle.done;
       console.log('done');`,
      'ran\ndone',
    ],
    [
      'a connect that does not come about keeps it up to its end',
      'web-1',
      `const peers = discoverPeers();
       await peers.connect('web-0', { port: 7, timeoutMs: 700 }).catch((error) => console.log(error.code));`,
      'ERR_TIMEOUT',
    ],
  ];
  for (const [what, podName, program, printed] of exits) {
    it(what, async () => {
      assert.deepEqual(await runAsPod(cluster, podName, program), { code: 0, printed, errors: '' });
    });
  }

  const stays: readonly (readonly [string, string, string])[] = [
    [
      'waits for its peer',
      'web-1',
      `discoverPeers().follow('web-7', () => {});
       console.log('up');`,
    ],
    [
      'runs, and does nothing that would keep it up',
      'web-1',
      `discoverPeers().follow('primary', () => { console.log('up'); return new Promise(() => {}); });`,
    ],
    [
      'waits to be the primary',
      'web-1',
      `discoverPeers().lead(() => {});
       console.log('up');`,
    ],
  ];
  for (const [what, podName, program] of stays) {
    it(`a worker that ${what} keeps it up`, async () => {
      assert.deepEqual(await runAsPod(cluster, podName, program, 2_500), { code: null, printed: 'up', errors: '' });
    });
  }

  it('whatever a worker throws, no rejection is left unhandled and no warning is printed', async () => {
    const ended = await runAsPod(
      cluster,
      'web-1',
      `const peers = discoverPeers();
       const thrown = [new TypeError('a'), undefined, 'b', new DOMException('c', 'AbortError')];
       const handle = peers.follow('primary', () => {
         if (thrown.length === 0) { void handle.stop(); return; }
         throw thrown.pop();
       });
       await handle.done;
       console.log(thrown.length);`,
      10_000,
    );
    assert.deepEqual(ended, { code: 0, printed: '0', errors: '' });
  });

  it('a worker that adds a listener to its signal at each run: no warning of a leak', async () => {
    const ended = await runAsPod(
      cluster,
      'web-1',
      `import { setTimeout as sleep } from 'node:timers/promises';
       const peers = discoverPeers();
       // Time goes by a hundred times as fast for the back-off, so that twelve runs do not take a minute.
       const { setTimeout: later } = globalThis;
       globalThis.setTimeout = (run, ms, ...args) => later(run, ms / 100, ...args);
       let runs = 0;
       const handle = peers.follow('primary', (peer, { signal }) => {
         signal.addEventListener('abort', () => {});
         runs += 1;
         if (runs === 14) void handle.stop();
         throw new Error('bad data');
       });
       await handle.done;
       await sleep(20);
       console.log(runs);`,
    );
    assert.deepEqual(ended, { code: 0, printed: '14', errors: '' });
  });
});

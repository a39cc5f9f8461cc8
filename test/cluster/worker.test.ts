import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { PeerDiscoveryError } from '../../src/errors.ts';
import type { PeerDiscovery } from '../../src/peer-discovery.ts';
import { createMember } from '../../src/peer-discovery.ts';
import { hasLoopbackRange } from '../../src/testing/pod-network.ts';
import type { Pod, PodProcess } from '../../src/testing/pod.ts';
import { TestCluster } from '../../src/testing/test-cluster.ts';
import type { Peer } from '../../src/topology/topology.ts';
import { Opened, until } from '../unit/connect/sockets.ts';

// Promise 17 on real sockets: what a primary sends never ends a follower.

/** What the primary does to whoever follows it. */
type Conduct = (socket: Socket) => void;

const line = (value: unknown): string => `${JSON.stringify(value)}\n`;
const honest: Conduct = (socket) => {
  socket.write(line({ entry: 1 }) + line({ entry: 2 }));
};

describe('17. follow() goes on, whatever the primary sends', () => {
  before(async function () {
    if (await hasLoopbackRange()) return;
    console.log('skipped: this system has a single loopback address, so that pods cannot have one each');
    this.skip();
  });

  let opened = new Opened();
  let cluster: TestCluster;
  let conduct: Conduct = honest;
  let accepted: { readonly podName: string; readonly address: string | undefined; readonly socket: Socket }[] = [];

  /** Each pod listens on its own address; what it says is up to the test. */
  function run(pod: Pod): PodProcess {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      accepted.push({ podName: pod.name, address: socket.localAddress, socket });
      conduct(socket);
    });
    server.listen({ host: pod.addresses[0], port: pod.ports[0]?.port }, () => {
      pod.markReady();
    });
    const stop = (): void => {
      server.close();
      for (const socket of sockets) socket.destroy();
    };
    return { stopped: once(server, 'close'), stop, kill: stop };
  }

  beforeEach(async () => {
    opened = new Opened();
    conduct = honest;
    accepted = [];
    cluster = await TestCluster.start({ sockets: true, replicas: 2, run });
    opened.add(() => cluster.close());
    await cluster.statefulSet.settled();
  });
  afterEach(() => opened.close());

  async function web1(): Promise<PeerDiscovery<Peer>> {
    const environment = {
      hostname: () => 'web-1',
      variables: cluster.environmentOf('web-1'),
      readFile: () => null,
      pause: () => undefined,
    };
    const peers = createMember({}, { environment });
    opened.add(() => peers.close());
    await peers.waitForPrimary();
    return peers;
  }

  interface Follower {
    readonly entries: unknown[];
    readonly handle: ReturnType<PeerDiscovery['follow']>;
  }
  /** A replica as somebody would write it: reads lines of JSON, and trusts them. */
  function replicate(peers: PeerDiscovery): Follower {
    const entries: unknown[] = [];
    const handle = peers.follow('primary', async (primary, { signal }) => {
      const socket = await peers.connect(primary, { signal });
      signal.addEventListener('abort', () => socket.destroy());
      let text = '';
      for await (const chunk of socket) {
        text += String(chunk);
        for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
          const { entry } = JSON.parse(text.slice(0, end)) as { entry: unknown };
          entries.push(entry);
          text = text.slice(end + 1);
        }
      }
    });
    return { entries, handle };
  }

  const conducts: Readonly<Record<string, Conduct>> = {
    'garbage that is no JSON': (socket) => socket.write('\u0000\u0001\u0002}{\n'),
    'null where an object is expected: a TypeError': (socket) => socket.write('null\n'),
    'a clean end at once': (socket) => socket.end(),
    'a clean end in the middle of an entry': (socket) => socket.end('{"entry":'),
    'a reset': (socket) => socket.resetAndDestroy(),
    'a reset after half an entry': (socket) => {
      socket.write('{"entry":', () => socket.resetAndDestroy());
    },
    'an error in another protocol': (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  };
  for (const [what, bad] of Object.entries(conducts)) {
    it(what, async () => {
      const peers = await web1();
      conduct = bad;
      const { entries, handle } = replicate(peers);
      await until(() => accepted.length >= 3, 'a third connection');
      assert.notEqual(handle.state, 'stopped');
      conduct = honest;
      await until(() => entries.length > 0, 'an entry');
      assert.deepEqual(entries.slice(0, 2), [1, 2]);
      assert.equal(handle.state, 'running');
      await handle.stop();
      assert.equal(handle.state, 'stopped');
    });
  }

  it('silence: it waits, and goes on at the new address when the primary is recreated', async () => {
    const peers = await web1();
    conduct = () => undefined;
    const { entries, handle } = replicate(peers);
    await until(() => accepted.length === 1, 'a connection');
    const before = cluster.pod('web-0').addresses[0];
    conduct = honest;
    cluster.pod('web-0').delete();
    await until(() => entries.length === 2, 'entries');
    assert.notEqual(cluster.pod('web-0').addresses[0], before);
    assert.deepEqual([handle.state, handle.peer?.podName], ['running', 'web-0']);
    assert.equal(accepted.at(-1)?.address, cluster.pod('web-0').addresses[0]);
  });

  it('half-open: the old address is silent for good, and the record moves', async () => {
    const peers = await web1();
    conduct = () => undefined;
    const { entries, handle } = replicate(peers);
    await until(() => accepted.length === 1, 'a connection');
    // The node is lost: nobody closes anything. The pod is taken out of the API, and another one takes its name.
    const old = accepted[0];
    conduct = honest;
    cluster.pod('web-0').loseNode({ processSurvives: true });
    cluster.pod('web-0').forceDelete();
    await until(() => entries.length === 2, 'entries');
    assert.equal(handle.state, 'running');
    assert.equal(accepted.at(-1)?.podName, 'web-0');
    assert.notEqual(accepted.at(-1)?.address, old?.address);
    // The socket of connect was destroyed with it: the old one sees its end.
    await until(() => old?.socket.destroyed === true || old?.socket.readableEnded === true, 'the end of the old one');
  });

  it('refused for a while, and restarted at the same address', async () => {
    const peers = await web1();
    const { entries, handle } = replicate(peers);
    await until(() => entries.length === 2, 'entries');
    cluster.pod('web-0').restart();
    await until(() => entries.length === 4, 'more entries');
    assert.deepEqual([handle.state, entries], ['running', [1, 2, 1, 2]]);
  });

  it('the reason of the signal of a worker whose primary moved is ERR_PEER_MOVED', async () => {
    const peers = await web1();
    const reasons: unknown[] = [];
    peers.follow('primary', async (_primary, { signal }) => {
      await once(signal, 'abort');
      reasons.push(signal.reason);
    });
    await new Promise((resolve) => setImmediate(resolve));
    cluster.pod('web-0').delete();
    await cluster.statefulSet.settled();
    await peers.refresh();
    await until(() => reasons.length === 1, 'the end of the worker');
    assert.equal(PeerDiscoveryError.from(reasons[0])?.code, 'ERR_PEER_MOVED');
  });

  it('close() in the middle of all that leaves nothing', async () => {
    const peers = await web1();
    conduct = (socket) => socket.resetAndDestroy();
    const followers = Array.from({ length: 10 }, () => replicate(peers));
    await until(() => accepted.length >= 20, 'connections');
    await peers.close();
    assert.ok(followers.every(({ handle }) => handle.state === 'stopped'));
    const { length } = accepted;
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(accepted.length, length);
  });
});

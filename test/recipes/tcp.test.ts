import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { createPeerServer, frame, framesOf } from '../../examples/tcp-peer.ts';
import type { Pod, PodProcess } from '../../src/testing/pod.ts';
import { hasLoopbackRange } from '../../src/testing/pod-network.ts';
import { TestCluster } from '../../src/testing/test-cluster.ts';
import { within } from './within.ts';

/** A request, and the pod that processed it. */
interface Processed {
  readonly by: string;
  readonly request: string;
}

/** A pod's server, in this process. */
function serverIn(pod: Pod, processed: Processed[], onListening: () => void): PodProcess {
  const sockets = new Set<Socket>();
  const server = createPeerServer(
    () => pod.name,
    (request) => {
      processed.push({ by: pod.name, request: request.toString() });
      return Buffer.from('done');
    },
  );
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(pod.ports[0]?.port, pod.addresses[0], onListening);
  const end = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { stopped: once(server, 'close'), stop: end, kill: end };
}

describe('Recipe: a TCP protocol whose handshake names whom it means', () => {
  it('no request for web-1 is processed by another, though web-2 gets its address while DNS still names it; none is lost', async function () {
    this.timeout(15_000);
    if (!(await hasLoopbackRange())) {
      console.log('    skipped: this system has a single loopback address, which no pod can hand on');
      this.skip();
    }
    const processed: Processed[] = [];
    await using cluster = await TestCluster.start({
      sockets: true,
      run: (pod) => serverIn(pod, processed, () => pod.markReady()),
    });
    await cluster.statefulSet.settled();
    const client = fork(fileURLToPath(new URL('../../examples/tcp-client.js', import.meta.url)), ['--to', 'web-1'], {
      env: { PATH: process.env['PATH'], ...cluster.observerEnvironment() },
      execArgv: [],
    });
    const moves: { cause: string; lost: { address: string }[] }[] = [];
    let acknowledged = 0;
    let onSaid = (): void => undefined;
    client.on('message', (message: { kind: string; index: number } & (typeof moves)[0]) => {
      if (message.kind === 'moved') moves.push(message);
      else acknowledged = message.index + 1;
      onSaid();
    });
    const heard = (what: string): Promise<void> =>
      within(8_000, new Promise<void>((resolve) => (onSaid = resolve)), () => what);
    const acknowledges = async (count: number): Promise<void> => {
      const until = acknowledged + count;
      while (acknowledged < until) await heard('an acknowledged request');
    };
    try {
      await acknowledges(20);
      cluster.pod('web-1').delete();
      await acknowledges(20);

      await cluster.statefulSet.settled();
      const [old = ''] = cluster.pod('web-1').addresses;
      const frozen = cluster.dns.freezeReplica(0);
      cluster.statefulSet.giveAddress('web-2', old);
      cluster.pod('web-1').delete();
      cluster.pod('web-2').delete();
      await cluster.statefulSet.settled();
      assert.deepEqual(cluster.pod('web-2').addresses, [old]);
      while (!moves.some(({ cause }) => cause === 'stranger')) await heard('a stranger');
      frozen.end();
      await acknowledges(20);

      const strangers = moves.filter(({ cause }) => cause === 'stranger');
      assert.deepEqual(
        strangers.map(({ lost }) => lost.map(({ address }) => address)),
        [[old]],
      );
    } finally {
      client.kill();
      if (client.exitCode === null && client.signalCode === null) await once(client, 'exit');
    }
    assert.deepEqual([...new Set(processed.map(({ by }) => by))], ['web-1']);
    const indices = [...new Set(processed.map(({ request }) => Number(request.replace('web-1 ', ''))))];
    assert.deepEqual(indices.slice(0, acknowledged), [...Array(acknowledged).keys()]);
  });

  describe('the server', () => {
    const calls: string[] = [];
    let name = 'web-1';
    const server = createPeerServer(
      () => name,
      (request) => {
        calls.push(request.toString());
        return request;
      },
    );

    before((done) => void server.listen(0, '127.0.0.1', done));
    after((done) => void server.close(done));
    beforeEach(() => {
      calls.length = 0;
      name = 'web-1';
    });

    /** Sends it all at once, and gives the frames that come back until the server ends the connection; it has to. */
    async function say(...frames: readonly Uint8Array[]): Promise<string[]> {
      return await sayBy((socket) => socket.write(Buffer.concat(frames)));
    }

    async function sayBy(send: (socket: Socket) => void): Promise<string[]> {
      const address = server.address();
      assert.ok(typeof address === 'object' && address !== null);
      const socket = connect(address.port, address.address);
      send(socket);
      const answers: string[] = [];
      try {
        for await (const answer of framesOf(socket)) answers.push(answer.toString());
      } catch (error) {
        answers.push((error as NodeJS.ErrnoException).code ?? String(error));
      }
      return answers;
    }

    const hello = frame(Buffer.from('web-1'));
    const request = frame(Buffer.from('x'));

    it('serves those who mean it', async () => {
      const all = Buffer.concat([hello, request, request]);
      assert.deepEqual(await sayBy((socket) => socket.end(all)), ['web-1', 'x', 'x']);
    });

    it('refuses those who mean another by its own name, and reads no further', async () => {
      assert.deepEqual(await say(frame(Buffer.from('web-10')), request), ['web-1']);
      assert.deepEqual(calls, []);
    });

    it('answers to no name once it has lost its own', async () => {
      name = '';
      assert.deepEqual(await say(hello, request), ['']);
      assert.deepEqual(await say(frame(Buffer.alloc(0)), request), ['']);
      assert.deepEqual(calls, []);
    });

    it('ends a connection whose frame is too long, without waiting for the rest of it', async () => {
      const answers = await say(hello, Buffer.from([0xff, 0xff, 0xff, 0xff]), request);
      assert.ok(['web-1', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'].includes(answers[0] ?? ''), answers.join());
      assert.deepEqual(calls, []);
    });
  });

  it('frames are the same wherever the stream of bytes is cut', async () => {
    const payloads = ['', 'web-1', 'a'.repeat(300), 'é'];
    const bytes = Buffer.concat(payloads.map((payload) => frame(Buffer.from(payload))));
    for (const size of [1, 2, 3, 5, 7, 64, bytes.length]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      const found: string[] = [];
      for await (const payload of framesOf(Readable.from(chunks))) found.push(payload.toString());
      assert.deepEqual(found, payloads, `in pieces of ${size}`);
    }
  });
});

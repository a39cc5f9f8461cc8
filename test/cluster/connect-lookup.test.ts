import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Agent as HttpAgent, createServer as createHttpServer, get } from 'node:http';
import type { Server } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import type { Socket } from 'node:net';
import { connect as connectTcp } from 'node:net';
import { Agent as UndiciAgent, request } from 'undici';
import type { PeerDiscovery } from '../../src/peer-discovery.ts';
import { createMember } from '../../src/peer-discovery.ts';
import { hasLoopbackRange } from '../../src/testing/pod-network.ts';
import type { Pod, PodProcess } from '../../src/testing/pod.ts';
import { TestCluster } from '../../src/testing/test-cluster.ts';
import type { Peer } from '../../src/topology/topology.ts';
import { Opened, until } from '../unit/connect/sockets.ts';

// lookup in the hands of those it is for: what Node.js and undici pass to it, they get an answer to.

/** Each pod answers HTTP with its name, on its own address. */
function runHttp(pod: Pod): PodProcess {
  const server: Server = createHttpServer((_request, response) => response.end(pod.name));
  server.listen({ host: pod.addresses[0], port: pod.ports[0]?.port }, () => {
    pod.markReady();
  });
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { stopped: once(server, 'close'), stop, kill: stop };
}

describe('lookup, for those who call it', () => {
  before(async function () {
    if (await hasLoopbackRange()) return;
    console.log('skipped: this system has a single loopback address, so that pods cannot have one each');
    this.skip();
  });

  let opened = new Opened();
  let cluster: TestCluster;
  let peers: PeerDiscovery<Peer>;
  const port = 7_000;

  beforeEach(async () => {
    opened = new Opened();
    cluster = await TestCluster.start({ sockets: true, replicas: 3, run: runHttp });
    opened.add(() => cluster.close());
    await cluster.statefulSet.settled();
    const environment = {
      hostname: () => 'web-0',
      variables: cluster.environmentOf('web-0'),
      readFile: () => null,
      pause: () => undefined,
    };
    peers = createMember({}, { environment });
    opened.add(() => peers.close());
    await peers.waitFor(({ peers: { length } }) => (length === 3 ? true : null));
  });
  afterEach(() => opened.close());

  const addressOf = (podName: string): string | undefined => cluster.pod(podName).addresses[0];
  async function connected(socket: Socket): Promise<string | undefined> {
    opened.add(() => socket.destroy());
    await once(socket, 'connect');
    return socket.remoteAddress;
  }
  async function body(name: string, agent?: HttpAgent): Promise<string> {
    const options = { host: name, port, ...(agent === undefined ? { lookup: peers.lookup, agent: false } : { agent }) };
    const [response] = (await once(get(options as object), 'response')) as [NodeJS.ReadableStream];
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return text;
  }

  for (const options of [{}, { autoSelectFamily: false }, { family: 4 }, { autoSelectFamily: true, family: 0 }]) {
    it(`net.connect ${JSON.stringify(options)}`, async () => {
      const socket = connectTcp({ host: 'web-1', port, lookup: peers.lookup, ...options });
      assert.equal(await connected(socket), addressOf('web-1'));
    });
  }

  it('net.connect by the stable name, in any spelling, and by role', async () => {
    for (const [host, podName] of [
      [cluster.stableName('web-2'), 'web-2'],
      [`${cluster.stableName('WEB-2').toUpperCase()}.`, 'web-2'],
      ['primary', 'web-0'],
    ] as const) {
      assert.equal(await connected(connectTcp({ host, port, lookup: peers.lookup })), addressOf(podName));
    }
  });

  it('net.connect to a peer that is not there: ENOTFOUND, and no crash, with or without autoSelectFamily', async () => {
    for (const autoSelectFamily of [true, false]) {
      for (const host of ['web-7', 'web-1']) {
        const family = host === 'web-1' ? 6 : 0;
        const socket = connectTcp({ host, port, lookup: peers.lookup, autoSelectFamily, family });
        const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
        assert.deepEqual([error.code, error.syscall], ['ENOTFOUND', 'getaddrinfo']);
      }
    }
  });

  it('net.connect after close(): ENOTFOUND', async () => {
    await peers.close();
    const socket = connectTcp({ host: 'web-1', port, lookup: peers.lookup });
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ENOTFOUND');
    assert.equal((error.cause as { code?: string }).code, 'ERR_CLOSED');
  });

  it('an IP and localhost go to the system', async () => {
    const server = await opened.listen('127.0.0.1', 0, () => undefined);
    const { port: own } = server.address() as { port: number };
    for (const host of ['127.0.0.1', 'localhost']) {
      const socket = connectTcp({ host, port: own, lookup: peers.lookup, family: 4 });
      assert.equal(await connected(socket), '127.0.0.1');
    }
  });

  it('http.get, and http.Agent', async () => {
    assert.equal(await body('web-1'), 'web-1');
    const agent = new HttpAgent({ lookup: peers.lookup, keepAlive: true });
    opened.add(() => {
      agent.destroy();
    });
    assert.equal(await body('web-2', agent), 'web-2');
    assert.equal(await body(cluster.stableName('web-1'), agent), 'web-1');
    const replicas = [await body('replica', agent), await body('replica')];
    assert.ok(replicas.every((name) => name === 'web-1' || name === 'web-2'));
  });

  it('http2.connect', async () => {
    const server = createHttp2Server((_request, response) => response.end('h2'));
    server.listen({ host: addressOf('web-1'), port: 7_002 });
    await once(server, 'listening');
    opened.add(() => new Promise((resolve) => server.close(resolve)));
    const session = connectHttp2('http://web-1:7002', { lookup: peers.lookup } as object);
    await once(session, 'connect');
    assert.equal(session.socket.remoteAddress, addressOf('web-1'));
    await new Promise<void>((resolve) => {
      session.close(resolve);
    });
  });

  it('undici: connect: { lookup }', async () => {
    const agent = new UndiciAgent({ connect: { lookup: peers.lookup } });
    opened.add(() => agent.close());
    for (const [name, expected] of [
      ['web-1', 'web-1'],
      ['primary', 'web-0'],
      [cluster.stableName('web-2'), 'web-2'],
    ] as const) {
      const response = await request(`http://${name}:${port}/`, { dispatcher: agent });
      assert.equal(await response.body.text(), expected);
    }
    await assert.rejects(request(`http://web-7:${port}/`, { dispatcher: agent }), { code: 'ENOTFOUND' });
  });

  it('dgram: a number in place of options, and the bind address 0.0.0.0', async () => {
    const server = createSocket('udp4');
    server.bind({ address: addressOf('web-1'), port: 7_003 });
    await once(server, 'listening');
    opened.add(() => server.close());
    const asked: unknown[] = [];
    const lookup = ((...args: [string, number, () => void]) => {
      asked.push(args.slice(0, -1));
      peers.lookup(...args);
    }) as unknown as typeof peers.lookup;
    const client = createSocket({ type: 'udp4', lookup: lookup as never });
    opened.add(() => client.close());
    const received = once(server, 'message');
    // An unbound socket binds to 0.0.0.0 first, and asks lookup for that, too.
    client.send('hello', 7_003, 'web-1');
    const [message] = (await received) as [Buffer];
    assert.equal(message.toString(), 'hello');
    assert.deepEqual(asked, [
      ['0.0.0.0', 4],
      ['web-1', 4],
    ]);
  });

  it('a client that makes a new connection for each request follows a move', async () => {
    const before = addressOf('web-1');
    assert.equal(await body('web-1'), 'web-1');
    cluster.pod('web-1').delete();
    await cluster.statefulSet.settled();
    assert.notEqual(addressOf('web-1'), before);
    await peers.refresh();
    assert.equal(await body('web-1'), 'web-1');
    const socket = connectTcp({ host: 'web-1', port, lookup: peers.lookup });
    assert.equal(await connected(socket), addressOf('web-1'));
    await until(() => !socket.connecting, 'the connection');
  });
});

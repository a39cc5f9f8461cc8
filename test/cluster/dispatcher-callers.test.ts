import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Agent } from 'undici';
import { RetryAgent, WebSocket, connect, interceptors, request, upgrade } from 'undici';
import { WebSocketServer } from 'ws';
import { PeerDiscoveryError } from '../../src/errors.ts';
import { callers } from '../support/http-callers.ts';
import { bodyOf, certificate, eventually, failure, httpPods } from '../support/http-pods.ts';
import { member } from '../support/member.ts';

const stableName = 'web-1.nginx.default.svc.cluster.local';

describe('PeerDispatcher: callers', () => {
  const test = httpPods();

  for (const { name, call, hasStreamBody } of callers) {
    it(`${name}: goes to the pod, with the stable name as Host`, async () => {
      const { pods } = test;
      await pods.serve('web-1', pods.at(11));
      const { dispatcher } = await pods.client({ 'web-1': pods.at(11) });
      for (const host of ['web-1', stableName, `${stableName}.`, 'WEB-1']) {
        const { status, text, headers } = await call(dispatcher, `http://${host}/a?b=c`);
        assert.deepEqual([status, text, headers['x-pod']], [200, `web-1 at ${pods.at(11)} got `, 'web-1']);
      }
      for (const { headers, path, method } of pods.arrivals) {
        assert.equal(headers.host, `${stableName}:7000`);
        assert.deepEqual([method, path], ['GET', '/a?b=c']);
      }
      assert.equal(pods.arrivals.length, 4);
      const { text } = await call(dispatcher, 'http://web-1/', { method: 'POST', body: 'hello' });
      assert.equal(text, `web-1 at ${pods.at(11)} got hello`);
      assert.equal(hasStreamBody, name === 'pipeline');
    });

    it(`${name}: waits for a pod that is not there yet, and sends once`, async () => {
      const { pods } = test;
      await pods.serve('web-1', pods.at(11));
      const client = await pods.client({ 'web-0': pods.at(10) });
      const calling = call(client.dispatcher, 'http://web-1/', { method: 'POST', body: 'hello' });
      await pods.shown(client, { 'web-0': pods.at(10), 'web-1': pods.at(11) });
      assert.equal((await calling).text, `web-1 at ${pods.at(11)} got hello`);
      assert.equal(pods.arrivals.length, 1);
    });

    it(`${name}: the next request goes to the new address at once`, async () => {
      const { pods } = test;
      await Promise.all([pods.serve('web-1', pods.at(11)), pods.serve('web-1', pods.at(21))]);
      const client = await pods.client({ 'web-1': pods.at(11) });
      await call(client.dispatcher, 'http://web-1/');
      const heard: Promise<{ text: string }>[] = [];
      client.peers.once('peerMoved', () => heard.push(call(client.dispatcher, 'http://web-1/')));
      client.peers.once('topologyChanged', () => heard.push(call(client.dispatcher, 'http://web-1/')));
      await pods.shown(client, { 'web-1': pods.at(21) });
      heard.push(call(client.dispatcher, 'http://web-1/'));
      for (const { text } of await Promise.all(heard)) assert.equal(text, `web-1 at ${pods.at(21)} got `);
      assert.equal(heard.length, 3);
    });
  }

  it('fetch() is undici’s through it, and forFetch is for the built-in one', async () => {
    const { pods } = test;
    await pods.serve('web-1', pods.at(11));
    const { dispatcher } = await pods.client({ 'web-1': pods.at(11) });
    const post = { method: 'POST', body: 'hello' };
    const answers = [
      await dispatcher.fetch('http://web-1/undici', post),
      await fetch('http://web-1/built-in', { ...dispatcher.forFetch, ...post }),
    ];
    const texts = await Promise.all(answers.map(async (answer) => answer.text()));
    assert.deepEqual(texts, Array(2).fill(`web-1 at ${pods.at(11)} got hello`));
    assert.deepEqual(
      pods.arrivals.map(({ path, headers }) => [path, headers.host]),
      [
        ['/undici', `${stableName}:7000`],
        ['/built-in', `${stableName}:7000`],
      ],
    );
  });

  it('Host of the caller is sent as it is', async () => {
    const { pods } = test;
    await pods.serve('web-1', pods.at(11));
    const { dispatcher } = await pods.client({ 'web-1': pods.at(11) });
    await request('http://web-1/', { dispatcher, headers: { host: 'shop.example.com' } });
    assert.equal(pods.arrivals[0]?.headers.host, 'shop.example.com');
  });

  for (const [form, headers] of [
    ['an object', { 'x-one': '1', 'x-two': ['2', '3'] }],
    ['a flat list', ['x-one', '1', 'x-two', '2', 'x-two', '3']],
    [
      'an iterable',
      new Map<string, string | string[]>([
        ['x-one', '1'],
        ['x-two', ['2', '3']],
      ]),
    ],
  ] as const) {
    it(`headers in the form of ${form} arrive as they are`, async () => {
      const { pods } = test;
      await pods.serve('web-1', pods.at(11));
      const { dispatcher } = await pods.client({ 'web-1': pods.at(11) });
      const { body } = await request('http://web-1/', {
        dispatcher,
        headers: headers as unknown as Record<string, string>,
      });
      await body.dump();
      const seen = pods.arrivals[0]?.headers;
      assert.deepEqual([seen?.['x-one'], seen?.['x-two']], ['1', '2, 3']);
    });
  }

  it('the port: of the origin, else of the option, else of SRV', async () => {
    const { pods } = test;
    for (const port of [7_000, 7_001, 7_002]) {
      await pods.serve('web-1', pods.at(11), { port, handler: (_request, response) => response.end(String(port)) });
    }
    const bySrv = await pods.client({ 'web-1': pods.at(11) });
    const byOption = await pods.client({ 'web-1': pods.at(11) }, { port: 7_001 });
    for (const { name, call } of callers) {
      const ports = await Promise.all([
        call(bySrv.dispatcher, 'http://web-1'),
        call(byOption.dispatcher, 'http://web-1'),
        call(byOption.dispatcher, 'http://web-1:7002'),
        call(bySrv.dispatcher, 'http://web-1:7002'),
      ]);
      assert.deepEqual(
        ports.map(({ text }) => text),
        ['7000', '7001', '7002', '7002'],
        name,
      );
    }
  });

  it('another SRV port is a move', async () => {
    const { pods } = test;
    for (const port of [7_000, 7_001]) {
      await pods.serve('web-1', pods.at(11), { port, handler: (_request, response) => response.end(String(port)) });
    }
    const client = await pods.client({ 'web-1': pods.at(11) });
    const text = async (): Promise<string> => (await request('http://web-1/', client)).body.text();
    assert.equal(await text(), '7000');
    client.dns.port = 7_001;
    await client.peers.refresh();
    assert.equal(await text(), '7001');
  });

  it('https: the server name is the stable name, and the certificate is checked against it', async () => {
    const { pods } = test;
    const tls = certificate();
    await pods.serve('web-1', pods.at(11), { tls });
    await pods.serve('web-2', pods.at(12), { tls });
    const { dispatcher } = await pods.client(
      { 'web-1': pods.at(11), 'web-2': pods.at(12) },
      { tls: { ca: tls.cert }, waitMs: 300 },
    );
    for (const { name, call } of callers) {
      const { text } = await call(dispatcher, 'https://web-1/');
      assert.equal(text, `web-1 at ${pods.at(11)} got `, name);
    }
    assert.equal(pods.arrivals[0]?.headers.host, `${stableName}:7000`);
    const { error } = await failure(request('https://web-2/', { dispatcher }));
    const found = PeerDiscoveryError.from(error);
    assert.equal(found?.code, 'ERR_TIMEOUT');
    assert.equal((found.cause as { code?: string }).code, 'ERR_TLS_CERT_ALTNAME_INVALID');
    assert.ok(pods.arrivals.every(({ pod }) => pod === 'web-1'));
  });

  it('replica and any take turns, primary is one', async () => {
    const { pods } = test;
    const view = { 'web-0': pods.at(10), 'web-1': pods.at(11), 'web-2': pods.at(12) };
    for (const [pod, address] of Object.entries(view)) await pods.serve(pod, address);
    const { dispatcher } = await pods.client(view);
    const ask = async (host: string): Promise<unknown> => {
      const { headers, body } = await request(`http://${host}/`, { dispatcher });
      await body.dump();
      return headers['x-pod'];
    };
    const answers = async (host: string): Promise<unknown[]> => {
      const pod: unknown[] = [];
      for (let turn = 0; turn < 6; turn += 1) pod.push(await ask(host));
      return pod.sort();
    };
    assert.deepEqual(await answers('primary'), Array(6).fill('web-0'));
    assert.deepEqual(await answers('replica'), ['web-1', 'web-1', 'web-1', 'web-2', 'web-2', 'web-2']);
    assert.deepEqual(await answers('any'), ['web-0', 'web-0', 'web-1', 'web-1', 'web-2', 'web-2']);
  });

  it('replica and any take turns each for itself', async () => {
    const { pods } = test;
    const view = { 'web-0': pods.at(10), 'web-1': pods.at(11), 'web-2': pods.at(12) };
    for (const [pod, address] of Object.entries(view)) await pods.serve(pod, address);
    const { dispatcher } = await pods.client(view);
    const replicas: unknown[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      const { headers, body } = await request('http://replica/', { dispatcher });
      await body.dump();
      replicas.push(headers['x-pod']);
      await (await request('http://any/', { dispatcher })).body.dump();
    }
    assert.deepEqual(replicas.sort(), ['web-1', 'web-1', 'web-2', 'web-2']);
  });

  it('replica and any are never self', async () => {
    const { pods } = test;
    const view = { 'web-0': pods.at(10), 'web-1': pods.at(11), 'web-2': pods.at(12) };
    for (const [pod, address] of Object.entries(view)) await pods.serve(pod, address);
    const { peers, dns } = member('web-1', [pods.at(11)]);
    const { dispatcher } = await pods.uses(peers, dns, view);
    for (const host of ['replica', 'any']) {
      for (let turn = 0; turn < 4; turn += 1) await (await request(`http://${host}/`, { dispatcher })).body.dump();
    }
    const seen = pods.arrivals.map(({ pod }) => pod);
    assert.deepEqual(seen.slice(0, 4), Array(4).fill('web-2'));
    assert.deepEqual(seen.slice(4).sort(), ['web-0', 'web-0', 'web-2', 'web-2']);
    // By its name it is reached as anybody else.
    assert.equal((await request('http://web-1/', { dispatcher })).headers['x-pod'], 'web-1');
  });

  it('a primary that is self is reached at its own address', async () => {
    const { pods } = test;
    await pods.serve('web-0', pods.at(10));
    const { peers, dns } = member('web-0', [pods.at(10)]);
    const { dispatcher } = await pods.uses(peers, dns, { 'web-0': pods.at(10) });
    assert.equal((await request('http://primary/', { dispatcher })).headers['x-pod'], 'web-0');
  });

  it('upgrade: a socket to the pod', async () => {
    const { pods } = test;
    const server = await pods.serve('web-1', pods.at(11));
    server.on('upgrade', (incoming, socket: Socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n${incoming.headers.host ?? ''}`,
      );
      socket.pipe(socket);
    });
    const { dispatcher } = await pods.client({ 'web-1': pods.at(11) });
    const { socket } = await upgrade('http://web-1/', { dispatcher, protocol: 'echo' });
    socket.end('!');
    assert.equal((await bodyOf(socket)).toString(), `${stableName}:7000!`);
  });

  it('connect: a tunnel to the pod', async () => {
    const { pods } = test;
    const server = await pods.serve('web-1', pods.at(11));
    server.on('connect', (_incoming, socket: Socket) => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(socket);
    });
    const { dispatcher } = await pods.client({ 'web-1': pods.at(11) });
    const { socket } = await connect('http://web-1/', { dispatcher });
    socket.end('hello');
    assert.equal((await bodyOf(socket)).toString(), 'hello');
  });

  it('a WebSocket through it', async () => {
    const { pods } = test;
    const server = await pods.serve('web-1', pods.at(11));
    const serving = new WebSocketServer({ server });
    serving.on('connection', (socket) => {
      socket.on('message', (data: Buffer) => {
        socket.send(`web-1 heard ${data.toString()}`);
      });
    });
    const client = await pods.client({ 'web-2': pods.at(12) });
    const socket = new WebSocket('ws://web-1/', { dispatcher: client.dispatcher });
    const heard: unknown[] = [];
    socket.addEventListener('open', () => {
      socket.send('hello');
    });
    socket.addEventListener('message', ({ data }) => heard.push(data));
    await pods.shown(client, { 'web-1': pods.at(11), 'web-2': pods.at(12) });
    await eventually(() => heard.length > 0, 'a message');
    assert.deepEqual(heard, ['web-1 heard hello']);
    const closed = once(socket, 'close');
    socket.close();
    await closed;
  });

  it('a WebSocket to a lost address is closed after drainMs', async () => {
    const { pods } = test;
    const server = await pods.serve('web-1', pods.at(11));
    new WebSocketServer({ server });
    const client = await pods.client({ 'web-1': pods.at(11) }, { drainMs: 200 });
    const socket = new WebSocket('ws://web-1/', { dispatcher: client.dispatcher });
    socket.addEventListener('error', () => undefined);
    await once(socket, 'open');
    const startedAt = performance.now();
    const closed = once(socket, 'close');
    await pods.shown(client, { 'web-1': pods.at(21) });
    await closed;
    const elapsedMs = performance.now() - startedAt;
    assert.ok(elapsedMs >= 190 && elapsedMs < 400, `after ${elapsedMs} ms`);
  });

  for (const [name, retrying] of [
    [
      'compose(interceptors.retry())',
      (dispatcher: Agent) => dispatcher.compose(interceptors.retry({ minTimeout: 20 })),
    ],
    ['RetryAgent', (dispatcher: Agent) => new RetryAgent(dispatcher, { minTimeout: 20 })],
  ] as const) {
    it(`${name}: a retry goes to the address that the pod has then`, async () => {
      const { pods } = test;
      const first = await pods.serve('web-1', pods.at(11), {
        handler: (incoming) => incoming.socket.resetAndDestroy(),
      });
      await pods.serve('web-1', pods.at(21));
      const client = await pods.client({ 'web-1': pods.at(11) });
      const dispatcher = retrying(client.dispatcher as unknown as Agent);
      first.once('request', () => void pods.shown(client, { 'web-1': pods.at(21) }));
      const { statusCode, body } = await request('http://web-1/', { dispatcher });
      assert.deepEqual([statusCode, await body.text()], [200, `web-1 at ${pods.at(21)} got `]);
      assert.deepEqual(
        pods.arrivals.map(({ address }) => address),
        [pods.at(11), pods.at(21)],
      );
    });

    it(`${name}: a 503 is tried again, and a name that is no peer fails`, async () => {
      const { pods } = test;
      let count = 0;
      await pods.serve('web-1', pods.at(11), {
        handler: (_request, response) => {
          count += 1;
          response.writeHead(count === 1 ? 503 : 200).end('done');
        },
      });
      const client = await pods.client({ 'web-1': pods.at(11) });
      const dispatcher = retrying(client.dispatcher as unknown as Agent);
      for (const call of callers) {
        count = 0;
        const { text } = await call.call(dispatcher, 'http://web-1/');
        assert.deepEqual([text, count], ['done', 2], call.name);
        const { error } = await failure(call.call(dispatcher, 'http://example.com/'));
        assert.equal(PeerDiscoveryError.from(error)?.code, 'ERR_UNKNOWN_PEER', call.name);
      }
    });
  }

  it('interceptors.redirect: to another path, to another pod, and to no foreign host', async () => {
    const { pods } = test;
    const to: Record<string, string> = {
      '/path': '/end',
      '/pod': 'http://web-2.nginx.default.svc.cluster.local/end',
      '/role': 'http://primary/end',
      '/foreign': 'http://example.com/end',
    };
    const view = { 'web-0': pods.at(10), 'web-1': pods.at(11), 'web-2': pods.at(12) };
    for (const [pod, address] of Object.entries(view)) {
      await pods.serve(pod, address, {
        handler: ({ url = '' }, response) => {
          const location = to[url];
          if (location === undefined) response.end(`${pod}${url}`);
          else response.writeHead(307, { location }).end();
        },
      });
    }
    const client = await pods.client(view);
    const dispatcher = client.dispatcher.compose(interceptors.redirect({ maxRedirections: 2 }));
    const text = async (path: string): Promise<string> =>
      (await request(`http://web-1${path}`, { dispatcher })).body.text();
    assert.equal(await text('/path'), 'web-1/end');
    assert.equal(await text('/pod'), 'web-2/end');
    assert.equal(await text('/role'), 'web-0/end');
    const { error } = await failure(text('/foreign'));
    assert.equal(PeerDiscoveryError.from(error)?.code, 'ERR_UNKNOWN_PEER');
  });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { createServer } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { connect } from 'node:net';
import express from 'express';
import fastify from 'fastify';
import { Client as UndiciClient, request } from 'undici';
import { createIdentityGuard } from '../../src/http/identity-guard.ts';
import type { IdentityGuard } from '../../src/http/identity-guard.ts';
import { bodyOf, httpPods, peerPort } from '../support/http-pods.ts';
import { member } from '../support/member.ts';

const stableName = 'web-1.nginx.default.svc.cluster.local';

/** What a server that has the guard in front of it writes down when it processes a request. */
type Process = () => void;

const frameworks: Readonly<Record<string, (guard: IdentityGuard, process: Process) => Promise<Server> | Server>> = {
  'node:http': (guard, process) =>
    createServer((incoming, response) => {
      if (!guard(incoming, response)) return;
      process();
      response.end('served');
    }),
  'Express 5': (guard, process) => {
    const app = express();
    app.use(guard);
    app.use(express.text({ limit: '20mb' }));
    app.use((_incoming, response) => {
      process();
      response.send('served');
    });
    return createServer(app);
  },
  'Fastify 5': async (guard, process) => {
    let server: HttpServer | undefined;
    const app = fastify({ serverFactory: (handler) => (server = createServer(handler)) });
    app.addHook('onRequest', (incoming, reply, done) => void guard(incoming.raw, reply.raw, done));
    app.all('/*', () => {
      process();
      return 'served';
    });
    await app.ready();
    assert.ok(server !== undefined);
    return server;
  },
};

describe('createIdentityGuard() in front of a server', () => {
  const test = httpPods();

  async function guardOf(podName: string, address: string): Promise<IdentityGuard> {
    const { peers, dns } = member(podName, [address]);
    test.pods.opened.add(() => peers.close());
    dns.views = [{ [podName]: address }];
    await peers.ready();
    return createIdentityGuard(peers);
  }

  for (const [framework, make] of Object.entries(frameworks)) {
    it(`${framework}: refuses what is meant for another pod before it is processed`, async () => {
      const { pods } = test;
      let processed = 0;
      await pods.own(await make(await guardOf('web-1', pods.at(11)), () => (processed += 1)), pods.at(11));
      const url = `http://${pods.at(11)}:${peerPort}/`;
      const dispatcher = new UndiciClient(url);
      pods.opened.add(() => dispatcher.destroy());
      for (const [host, status] of [
        ['web-1', 200],
        [stableName, 200],
        ['web-2', 421],
        [`web-2.nginx.default.svc.cluster.local:${peerPort}`, 421],
        [`${pods.at(11)}:${peerPort}`, 200],
        ['nginx', 200],
        ['shop.example.com', 200],
      ] as const) {
        for (const method of ['GET', 'POST'] as const) {
          const before = processed;
          const body = method === 'POST' ? 'hello' : null;
          const answer = await request(url, {
            dispatcher,
            method,
            body,
            headers: { host, 'content-type': 'text/plain' },
          });
          const text = await answer.body.text();
          assert.equal(answer.statusCode, status, host);
          assert.equal(processed - before, status === 200 ? 1 : 0, host);
          assert.equal(answer.headers['stateful-peers-refused-by'], status === 200 ? undefined : 'web-1');
          if (status === 200) assert.equal(text, 'served');
          else assert.match(text, /meant for web-2/);
        }
      }
    });

    it(`${framework}: an upload of 8 MiB is refused, and the client reads the refusal`, async () => {
      const { pods } = test;
      let processed = 0;
      await pods.own(await make(await guardOf('web-1', pods.at(11)), () => (processed += 1)), pods.at(11));
      const url = `http://${pods.at(11)}:${peerPort}/`;
      for (let turn = 0; turn < 5; turn += 1) {
        const dispatcher = new UndiciClient(url);
        const body = Buffer.alloc(8 * 1024 * 1024);
        const headers = { host: 'web-2', 'content-type': 'text/plain' };
        const answer = await request(url, { dispatcher, method: 'POST', body, headers });
        assert.equal(answer.statusCode, 421);
        assert.match(await answer.body.text(), /meant for web-2/);
        await dispatcher.destroy();
      }
      assert.equal(processed, 0);
    });

    it(`${framework}: an absolute-form target, and a request without Host (HTTP/1.0: a probe)`, async () => {
      const { pods } = test;
      let processed = 0;
      await pods.own(await make(await guardOf('web-1', pods.at(11)), () => (processed += 1)), pods.at(11));
      const status = async (head: string): Promise<string> => {
        const socket = connect(peerPort, pods.at(11));
        socket.write(head);
        const text = (await bodyOf(socket)).toString();
        return text.slice(9, 12);
      };
      assert.equal(await status('GET http://web-2/ HTTP/1.1\r\nHost: web-1\r\nConnection: close\r\n\r\n'), '421');
      assert.equal(processed, 0);
      assert.equal(await status('GET / HTTP/1.0\r\n\r\n'), '200');
      assert.equal(await status('GET / HTTP/1.1\r\nHost: web-2\r\nConnection: close\r\n\r\n'), '421');
      assert.equal(await status('GET / HTTP/1.1\r\nhOST:   WEB-1.:7000  \r\nConnection: close\r\n\r\n'), '200');
      assert.equal(processed, 2);
    });
  }

  it('node:http2, the compatibility server: by :authority', async () => {
    const { pods } = test;
    const guard = await guardOf('web-1', pods.at(11));
    let processed = 0;
    const server = createHttp2Server((incoming, response) => {
      // The shapes of node:http2 stand in for those of node:http.
      if (!guard(incoming, response as never)) return;
      processed += 1;
      response.end('served');
    });
    await pods.own(server, pods.at(11));
    for (const [authority, status] of [
      ['web-1:7000', 200],
      ['web-2:7000', 421],
      [pods.at(11), 200],
    ] as const) {
      const session = connectHttp2(`http://${pods.at(11)}:${peerPort}`);
      const stream = session.request({ ':authority': authority, ':path': '/' });
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
      await bodyOf(stream);
      assert.equal(headers[':status'], status, authority);
      assert.equal(headers['stateful-peers-refused-by'], status === 421 ? 'web-1' : undefined);
      await new Promise<void>((resolve) => {
        session.close(resolve);
      });
    }
    assert.equal(processed, 2);
  });

  it('an upgrade that is meant for another pod is answered with 421 on its socket, which is closed', async () => {
    const { pods } = test;
    const guard = await guardOf('web-1', pods.at(11));
    let processed = 0;
    const server = createServer();
    server.on('upgrade', (incoming, socket: Socket) => {
      if (!guard(incoming, socket)) return;
      processed += 1;
      socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
    });
    await pods.own(server, pods.at(11));
    for (const [host, status] of [
      ['web-1', '101'],
      ['web-2', '421'],
    ] as const) {
      const socket = connect(peerPort, pods.at(11));
      socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n`);
      const text = (await bodyOf(socket)).toString();
      assert.equal(text.slice(9, 12), status);
      if (status === '421') {
        const [head = '', body = ''] = text.split('\r\n\r\n');
        assert.match(head, /^stateful-peers-refused-by: web-1$/m);
        assert.equal(Number(/^content-length: (\d+)$/m.exec(head)?.[1]), Buffer.byteLength(body));
      }
    }
    assert.equal(processed, 1);
  });
});

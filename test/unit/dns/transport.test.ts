import assert from 'node:assert/strict';
import type { RemoteInfo, Socket as UdpSocket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import FakeTimers from '@sinonjs/fake-timers';
import type { DnsTransport, ServerAddress } from '../../../src/dns/transport.ts';
import { createNetworkTransport } from '../../../src/dns/transport.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const loopbacks = ['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])];
if (!hasIpv6) console.log('  (no ::1 on this machine: the transport is tried over IPv4 alone)');

/** Whatever comes, as text. */
const anything = (response: Uint8Array): string => Buffer.from(response).toString();
/** Only this text. */
const only =
  (expected: string) =>
  (response: Uint8Array): string | undefined =>
    anything(response) === expected ? expected : undefined;
const text = (content: string): Uint8Array => Buffer.from(content);
const never = new AbortController().signal;

describe('The network transport', () => {
  let transport: DnsTransport;
  let cleanups: (() => unknown)[];

  beforeEach(() => {
    transport = createNetworkTransport();
    cleanups = [];
  });

  afterEach(async () => {
    transport.close();
    await Promise.all(cleanups.map((cleanup) => cleanup()));
  });

  async function udpServer(
    answer: (query: string, source: RemoteInfo, socket: UdpSocket) => void,
    address = '127.0.0.1',
  ): Promise<ServerAddress> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.on('message', (query, source) => {
      answer(query.toString(), source, socket);
    });
    socket.bind(0, address);
    await once(socket, 'listening');
    cleanups.push(() => new Promise<void>((resolve) => socket.close(resolve)));
    return { address, port: socket.address().port };
  }

  /** `answer` gets whole queries; `connections` counts. */
  async function tcpServer(
    answer: (query: string, socket: Socket, connection: number) => void,
    address = '127.0.0.1',
  ): Promise<ServerAddress & { readonly connections: () => number; readonly sockets: Set<Socket> }> {
    let connections = 0;
    const sockets = new Set<Socket>();
    const server: Server = createServer((socket) => {
      const connection = (connections += 1);
      sockets.add(socket);
      let received = Buffer.alloc(0);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk]);
        while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
          const end = 2 + received.readUInt16BE(0);
          const query = received.toString('utf8', 2, end);
          received = received.subarray(end);
          answer(query, socket, connection);
        }
      });
    });
    server.listen(0, address);
    await once(server, 'listening');
    cleanups.push(() => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    });
    return { address, port: (server.address() as AddressInfo).port, connections: () => connections, sockets };
  }

  describe('over UDP', () => {
    for (const address of loopbacks) {
      it(`asks a server at ${address}`, async () => {
        const server = await udpServer((query, { port }, socket) => socket.send(`${query}!`, port, address), address);
        assert.equal(await transport.udp(server, text('query'), anything, never), 'query!');
      });
    }

    it('has another source port for each question', async () => {
      const ports = new Set<number>();
      const server = await udpServer((query, { port }, socket) => {
        ports.add(port);
        socket.send(query, port, '127.0.0.1');
      });
      await Promise.all(Array.from({ length: 8 }, () => transport.udp(server, text('query'), anything, never)));
      assert.equal(ports.size, 8);
    });

    it('ignores datagrams that do not come from the server', async () => {
      const spoofer = createSocket('udp4');
      cleanups.push(() => new Promise<void>((resolve) => spoofer.close(resolve)));
      const server = await udpServer((_, { port }, socket) => {
        spoofer.send('spoofed', port, '127.0.0.1', () => socket.send('true', port, '127.0.0.1'));
      });
      assert.equal(await transport.udp(server, text('query'), anything, never), 'true');
    });

    it('waits on while nothing is accepted', async () => {
      const server = await udpServer((_, { port }, socket) => {
        for (const answer of ['', 'a', 'b', 'c']) socket.send(answer, port, '127.0.0.1');
      });
      assert.equal(await transport.udp(server, text('query'), only('c'), never), 'c');
    });

    it('fails with what accept throws', async () => {
      const server = await udpServer((query, { port }, socket) => socket.send(query, port, '127.0.0.1'));
      const accept = (): never => {
        throw new RangeError('no good');
      };
      await assert.rejects(transport.udp(server, text('query'), accept, never), { name: 'RangeError' });
    });

    it('says at once that a port is closed', async () => {
      const socket = createSocket('udp4');
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      const { port } = socket.address();
      await new Promise<void>((resolve) => socket.close(resolve));
      await assert.rejects(transport.udp({ address: '127.0.0.1', port }, text('query'), anything, never), {
        code: 'ECONNREFUSED',
      });
    });

    it('4. a server that no route leads to is a failure of the question, and of nothing else', async () => {
      // The system refuses to connect to the broadcast address, as it does with any address once the network is gone.
      const server = { address: '255.255.255.255', port: 53 };
      await assert.rejects(transport.udp(server, text('lost'), anything, never), { syscall: 'connect' });
    });

    it('gives up a silent server when its signal aborts, with the reason', async () => {
      const controller = new AbortController();
      const server = await udpServer(() => {
        controller.abort('enough');
      });
      await assert.rejects(
        transport.udp(server, text('query'), anything, controller.signal),
        (error) => error === 'enough',
      );
      await assert.rejects(
        transport.udp(server, text('query'), anything, controller.signal),
        (error) => error === 'enough',
      );
    });

    it('gives up at any moment, also while the socket connects', async () => {
      const server = await udpServer(() => undefined);
      for (let ticks = 0; ticks < 8; ticks += 1) {
        const controller = new AbortController();
        const abortAfter = (left: number): void => {
          if (left === 0) controller.abort(new Error('enough'));
          else process.nextTick(abortAfter, left - 1);
        };
        const asking = transport.udp(server, text('query'), anything, controller.signal);
        abortAfter(ticks);
        await assert.rejects(asking, { message: 'enough' });
        // What would come of it afterwards would come in the next turn.
        await new Promise((resolve) => setImmediate(resolve));
      }
    });

    it('does not keep the process alive while it waits', async () => {
      let isAsked = false;
      const server = await udpServer((_, __, socket) => {
        isAsked = true;
        socket.unref();
      });
      const open = transport.udp(server, text('query'), anything, never);
      await until(() => isAsked);
      assert.ok(!process.getActiveResourcesInfo().includes('UDPWrap'));
      transport.close();
      await assert.rejects(open, /transport was closed/);
    });

    it('gives up what is open when it is closed, and takes nothing more', async () => {
      const server = await udpServer(() => {
        transport.close();
      });
      await assert.rejects(transport.udp(server, text('query'), anything, never), /transport was closed/);
      await assert.rejects(transport.udp(server, text('query'), anything, never), /transport was closed/);
      await assert.rejects(transport.tcp(server, text('query'), anything, never), /transport was closed/);
    });
  });

  describe('over TCP', () => {
    for (const address of loopbacks) {
      it(`asks a server at ${address}, on one connection`, async () => {
        const server = await tcpServer((query, socket) => socket.write(frame(`${query}! ok and long`)), address);
        assert.equal(await transport.tcp(server, text('one'), anything, never), 'one! ok and long');
        assert.equal(await transport.tcp(server, text('two'), anything, never), 'two! ok and long');
        assert.equal(server.connections(), 1);
      });
    }

    it('pipelines questions; answers come in any order, two in one segment', async () => {
      const queries: string[] = [];
      const server = await tcpServer((query, socket) => {
        if (queries.push(query) === 2) socket.write(Buffer.concat([frame('answer to two'), frame('answer to one')]));
      });
      const answers = await Promise.all([
        transport.tcp(server, text('one'), only('answer to one'), never),
        transport.tcp(server, text('two'), only('answer to two'), never),
      ]);
      assert.deepEqual(answers, ['answer to one', 'answer to two']);
      assert.deepEqual(queries, ['one', 'two']);
      assert.equal(server.connections(), 1);
    });

    it('reads an answer that comes byte by byte', async () => {
      const server = await tcpServer((_, socket) => {
        socket.setNoDelay(true);
        void (async () => {
          for (const byte of frame('byte by byte, this one')) {
            await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
            await new Promise((resolve) => setImmediate(resolve));
          }
        })();
      });
      assert.equal(await transport.tcp(server, text('query'), anything, never), 'byte by byte, this one');
    });

    it('reads the largest answer', async () => {
      const large = 'x'.repeat(0xffff);
      const server = await tcpServer((_, socket) => socket.write(frame(large)));
      assert.equal(await transport.tcp(server, text('query'), anything, never), large);
    });

    it('asks once more on a fresh connection when the kept one closes with the question open', async () => {
      const queries: string[] = [];
      const server = await tcpServer((query, socket, connection) => {
        queries.push(`${query} on ${connection}`);
        if (query !== 'first' && connection === 1) socket.destroy();
        else socket.write(frame(`the answer to ${query}`));
      });
      await transport.tcp(server, text('first'), anything, never);
      const answers = ['a', 'b'].map((query) =>
        transport.tcp(server, text(query), only(`the answer to ${query}`), never),
      );
      assert.deepEqual(await Promise.all(answers), ['the answer to a', 'the answer to b']);
      assert.deepEqual(queries.slice(-2), ['a on 2', 'b on 2']);
      assert.equal(server.connections(), 2);
    });

    it('asks no third time', async () => {
      const server = await tcpServer((_, socket) => socket.end());
      await assert.rejects(transport.tcp(server, text('query'), anything, never), /closed the connection/);
      assert.equal(server.connections(), 2);
    });

    it('an answer cut off by the close is none', async () => {
      const server = await tcpServer((_, socket) => socket.end(frame('cut off in the middle').subarray(0, 10)));
      await assert.rejects(transport.tcp(server, text('query'), anything, never), /closed the connection/);
    });

    it('says at once that a port is closed, and does not try again', async () => {
      const server = await tcpServer(() => undefined);
      await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
      await assert.rejects(transport.tcp(server, text('query'), anything, never), { code: 'ECONNREFUSED' });
      assert.equal(server.connections(), 0);
    });

    it('opens another connection when the server has closed an idle one', async () => {
      const server = await tcpServer((_, socket) => socket.write(frame('a good answer')));
      await transport.tcp(server, text('query'), anything, never);
      for (const socket of server.sockets) {
        socket.end();
        await once(socket, 'close');
      }
      assert.equal(await transport.tcp(server, text('query'), anything, never), 'a good answer');
      assert.equal(server.connections(), 2);
    });

    it('renews a connection 30 s after it was opened', async () => {
      const clock = FakeTimers.install({ toFake: ['performance'] });
      try {
        const server = await tcpServer((_, socket) => socket.write(frame('a good answer')));
        const ask = (): Promise<string> => transport.tcp(server, text('query'), anything, never);
        await ask();
        clock.tick(29_999);
        await ask();
        assert.equal(server.connections(), 1);
        clock.tick(1);
        await ask();
        assert.equal(server.connections(), 2);
        await until(() => server.sockets.size === 1);
      } finally {
        clock.uninstall();
      }
    });

    it('a question that is open when its connection is renewed still gets its answer', async () => {
      const clock = FakeTimers.install({ toFake: ['performance'] });
      try {
        let late: Socket | undefined;
        const server = await tcpServer((query, socket) => {
          if (query === 'late') late = socket;
          else socket.write(frame('a good answer'));
        });
        const answer = transport.tcp(server, text('late'), anything, never);
        await until(() => late !== undefined);
        clock.tick(30_000);
        await transport.tcp(server, text('query'), anything, never);
        late?.write(frame('better late than never'));
        assert.equal(await answer, 'better late than never');
      } finally {
        clock.uninstall();
      }
    });

    it('leaves a connection that left a question open: it may lead nowhere', async () => {
      const server = await tcpServer((_, socket, connection) => {
        if (connection === 2) socket.write(frame('a good answer'));
      });
      const controller = new AbortController();
      const silent = transport.tcp(server, text('query'), anything, controller.signal);
      await until(() => server.connections() === 1);
      controller.abort('enough');
      await assert.rejects(silent, (error) => error === 'enough');
      assert.equal(await transport.tcp(server, text('query'), anything, never), 'a good answer');
      await until(() => server.sockets.size === 1);
    });

    it('ignores answers to no question and waits on', async () => {
      const server = await tcpServer((_, socket) => {
        socket.write(Buffer.concat([frame('nobody asked for this'), frame('a good answer')]));
      });
      assert.equal(await transport.tcp(server, text('query'), only('a good answer'), never), 'a good answer');
    });

    for (const [what, flood] of [
      ['empty frames', Buffer.alloc(60_000)],
      ['frames that are no messages', Buffer.concat(Array<Buffer>(5_000).fill(frame('short')))],
      ['answers to no question', Buffer.concat(Array<Buffer>(5_000).fill(frame('nobody asked for this')))],
    ] as const) {
      it(`leaves a server that floods it with ${what}`, async () => {
        let offered = 0;
        const server = await tcpServer((_, socket) => socket.write(flood));
        const accept = (): undefined => {
          offered += 1;
        };
        await assert.rejects(transport.tcp(server, text('query'), accept, never), /no answer to any question/);
        assert.ok(offered <= 202, `${offered} frames were looked at`);
        assert.equal(server.connections(), 2);
      });
    }

    it('leaves a server that talks while nothing is asked', async () => {
      const server = await tcpServer((_, socket) => socket.write(frame('a good answer')));
      await transport.tcp(server, text('query'), anything, never);
      for (const socket of server.sockets) socket.write(frame('nobody asked for this'));
      await until(() => server.sockets.size === 0);
    });

    it('does not keep the process alive, neither waiting nor idle', async () => {
      let isAsked = false;
      const server = await tcpServer((query, socket) => {
        socket.unref();
        if (query === 'query') socket.write(frame('a good answer'));
        else isAsked = true;
      });
      await transport.tcp(server, text('query'), anything, never);
      assert.ok(!process.getActiveResourcesInfo().includes('TCPSocketWrap'));
      const open = transport.tcp(server, text('open'), anything, never);
      await until(() => isAsked);
      assert.ok(!process.getActiveResourcesInfo().includes('TCPSocketWrap'));
      transport.close();
      await assert.rejects(open, /transport was closed/);
    });

    it('closes its connections when it is closed', async () => {
      const server = await tcpServer((query, socket) => {
        if (query === 'query') socket.write(frame('a good answer'));
      });
      await transport.tcp(server, text('query'), anything, never);
      const open = transport.tcp(server, text('open'), anything, never);
      transport.close();
      await assert.rejects(open, /transport was closed/);
      await until(() => server.sockets.size === 0);
    });
  });
});

function frame(content: string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([Uint8Array.of(bytes.length >> 8, bytes.length & 255), bytes]);
}

/** Turns of the event loop until it is so; the test's timeout is the limit. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

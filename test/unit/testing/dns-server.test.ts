import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { decode, encode, streamEncode } from 'dns-packet';
import { DnsServer } from '../../../src/testing/dns-server.ts';
import { TestCluster } from '../../../src/testing/test-cluster.ts';

const service = 'nginx.default.svc.cluster.local';

// Node's own resolver and dns-packet are the independent witnesses: neither shares a line with the server.
describe('the DNS server on loopback', () => {
  let cluster: TestCluster;
  let resolver: Resolver;
  let port: number;
  beforeEach(async () => {
    cluster = await TestCluster.start({ sockets: true, replicas: 2 });
    port = Number(cluster.dnsServer.split(':')[1]);
    resolver = new Resolver({ timeout: 1_000, tries: 1 });
    resolver.setServers([cluster.dnsServer]);
  });
  afterEach(async () => {
    resolver.cancel();
    await cluster.close();
  });

  it('answers Node.js: A with its TTL, AAAA, SRV, TXT, PTR, NS, SOA', async () => {
    const [address = ''] = cluster.pod('web-0').addresses;
    assert.deepEqual(await resolver.resolve4(`web-0.${service}`, { ttl: true }), [{ address, ttl: 5 }]);
    await assert.rejects(resolver.resolve6(`web-0.${service}`), { code: 'ENODATA' });
    await assert.rejects(resolver.resolve4(`web-9.${service}`), { code: 'ENOTFOUND' });
    const srv = await resolver.resolveSrv(`_peer._tcp.${service}`);
    assert.deepEqual(
      srv.map(({ name, port: own, priority, weight }) => [name, own, priority, weight]),
      [
        [`web-0.${service}`, 7_000, 0, 50],
        [`web-1.${service}`, 7_000, 0, 50],
      ],
    );
    assert.deepEqual(await resolver.resolveTxt('dns-version.cluster.local'), [['1.1.0']]);
    assert.deepEqual(await resolver.reverse(address), [`web-0.${service}`]);
    assert.deepEqual(await resolver.resolveNs('cluster.local'), ['ns.dns.cluster.local']);
    assert.equal((await resolver.resolveSoa('cluster.local')).minttl, 5);
    await assert.rejects(resolver.resolve4('example.com'), { code: 'EREFUSED' });
  });

  it('answers Node.js over TCP where UDP does not carry it', async () => {
    cluster.statefulSet.scale(30);
    assert.equal((await resolver.resolveSrv(`_peer._tcp.${service}`)).length, 30);
    assert.deepEqual(
      [cluster.dns.questions({ transport: 'udp' }), cluster.dns.questions({ transport: 'tcp' })],
      [1, 1],
    );
  });

  const failures: [what: string, start: () => unknown, code: string][] = [
    ['SERVFAIL', () => cluster.dns.fail('SERVFAIL'), 'ESERVFAIL'],
    ['REFUSED', () => cluster.dns.fail('REFUSED'), 'EREFUSED'],
    ['NOTIMP', () => cluster.dns.fail('NOTIMP'), 'ENOTIMP'],
    ['a spurious NXDOMAIN', () => cluster.dns.spuriousNxdomain(1), 'ENOTFOUND'],
    ['truncation while TCP is reset', () => [cluster.dns.truncate(), cluster.dns.blockTcp()], 'ECONNREFUSED'],
  ];
  for (const [what, start, code] of failures) {
    it(`shows Node.js ${what}`, async () => {
      start();
      await assert.rejects(resolver.resolve4(`web-0.${service}`), { code });
      cluster.dns.heal();
      assert.equal((await resolver.resolve4(`web-0.${service}`)).length, 1);
    });
  }

  it('lets Node.js wait for what it delays', async () => {
    cluster.dns.delay(100);
    const start = performance.now();
    await resolver.resolve4(`web-0.${service}`);
    assert(performance.now() - start >= 99);
  });

  it('sends answers that dns-packet reads, with glue', async () => {
    const answer = await udp(port, encode({ id: 1, questions: [{ type: 'SRV', name: `_peer._tcp.${service}` }] }));
    const { answers, additionals, flag_aa, flag_tc } = decode(answer);
    assert.deepEqual([answers?.length, additionals?.length, flag_aa, flag_tc], [2, 2, true, false]);
  });

  it('answers several questions in one TCP connection, in pieces or together', async () => {
    const socket = await connected(port);
    const frame = streamEncode({ id: 1, questions: [{ type: 'A', name: service }] });
    const frames = Buffer.concat([frame, frame, frame]);
    socket.write(frames.subarray(0, 1));
    await new Promise((resolve) => setImmediate(resolve));
    socket.write(frames.subarray(1));
    let received = Buffer.alloc(0);
    for await (const [chunk] of chunks(socket)) {
      received = Buffer.concat([received, chunk]);
      if (framesIn(received) === 3) break;
    }
    socket.destroy();
    assert.equal(cluster.dns.questions({ transport: 'tcp' }), 3);
  });

  it('resets open connections when TCP is blocked, and when they are dropped', async () => {
    for (const act of [() => cluster.dns.dropTcpConnections(), () => cluster.dns.blockTcp().end()]) {
      const socket = await connected(port);
      // The server has accepted it when it has answered.
      socket.write(streamEncode({ id: 1, questions: [{ type: 'A', name: service }] }));
      await once(socket, 'data');
      act();
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNRESET');
    }
  });

  it('listens where it is told to, and nowhere after close()', async () => {
    await assert.rejects(DnsServer.listen(cluster.dns, { port }), { code: 'EADDRINUSE' });
    await cluster.close();
    const again = await DnsServer.listen(cluster.dns, { port });
    assert.equal(again.port, port);
    await again.close();
  });

  it('closed while its clients are leaving, it lets its process end', async () => {
    const child = fork(fileURLToPath(new URL('../../fixtures/closing-dns-server.js', import.meta.url)), {
      execArgv: [],
      timeout: 8_000,
    });
    const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
    assert.deepEqual([status, signal], [0, null]);
  });

  it('listens on IPv6', async function () {
    let server: DnsServer;
    try {
      server = await DnsServer.listen(cluster.dns, { address: '::1' });
    } catch (error) {
      console.log(`skipped: no ::1 on this machine (${String(error)})`);
      this.skip();
    }
    resolver.setServers([`[::1]:${server.port}`]);
    assert.equal((await resolver.resolve4(service)).length, 2);
    await server.close();
  });
});

async function udp(port: number, query: Uint8Array): Promise<Buffer> {
  const socket = createSocket('udp4');
  socket.send(query, port, '127.0.0.1');
  const [answer] = (await once(socket, 'message')) as [Buffer];
  socket.close();
  return answer;
}

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

async function* chunks(socket: Socket): AsyncGenerator<[Buffer]> {
  for (;;) yield (await once(socket, 'data')) as [Buffer];
}

function framesIn(bytes: Buffer): number {
  let count = 0;
  for (let at = 0; at + 2 <= bytes.length; count += 1) {
    at += 2 + bytes.readUInt16BE(at);
    if (at > bytes.length) break;
  }
  return count;
}

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { connect as connectTls, createServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { PeerDiscoveryError } from '../../src/errors.ts';
import type { PeerDiscovery } from '../../src/peer-discovery.ts';
import type { Peer } from '../../src/topology/topology.ts';
import { hasLoopbackRange } from '../../src/testing/pod-network.ts';
import { member } from '../support/member.ts';
import type { ScriptedDns, View } from '../support/scripted-dns.ts';
import { Opened, ownAddresses, until } from '../unit/connect/sockets.ts';

// connect() with TLS. The certificate of test/fixtures/tls is for web-1.nginx.default.svc.cluster.local alone, signs
// itself and is good until 2126; it was made with
//   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=web-1 \
//     -addext subjectAltName=DNS:web-1.nginx.default.svc.cluster.local -keyout web-1.key.pem -out web-1.cert.pem

const at = ownAddresses();
const port = 7_000;
const stableName = 'web-1.nginx.default.svc.cluster.local';
const cert = fixture('web-1.cert.pem');
const key = fixture('web-1.key.pem');

/** Whether this runs as source or compiled. */
function fixture(name: string): Buffer {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return readFileSync(join(directory, 'test', 'fixtures', 'tls', name));
}

describe('connect() with TLS', () => {
  before(async function () {
    if (await hasLoopbackRange()) return;
    console.log('skipped: this system has a single loopback address, so that pods cannot have one each');
    this.skip();
  });

  let opened = new Opened();
  beforeEach(() => {
    opened = new Opened();
  });
  afterEach(() => opened.close());

  async function web0(view: View): Promise<{ peers: PeerDiscovery<Peer>; dns: ScriptedDns }> {
    const { peers, dns } = member('web-0', [at(10)]);
    opened.add(() => peers.close());
    dns.port = port;
    dns.views = [{ 'web-0': at(10), ...view }];
    await peers.ready();
    return { peers, dns };
  }
  /** A TLS server; gives the server names that clients asked for. */
  async function secure(host: string): Promise<string[]> {
    const names: string[] = [];
    const sockets = new Set<Socket>();
    const SNICallback = (name: string, done: (error: Error | null) => void): void => {
      names.push(name);
      done(null);
    };
    const server = createServer({ cert, key, SNICallback }, (socket) => {
      socket.on('error', () => undefined);
      socket.write('hello');
    });
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
    });
    opened.own(server, sockets);
    await new Promise<void>((resolve) => server.listen({ host, port }, resolve));
    return names;
  }
  async function failure(promise: Promise<unknown>): Promise<PeerDiscoveryError> {
    try {
      await promise;
    } catch (error) {
      assert.ok(error instanceof PeerDiscoveryError, String(error));
      return error;
    }
    return assert.fail('it connected');
  }
  const causeOf = ({ cause }: PeerDiscoveryError): unknown => (cause as { code?: unknown }).code;

  it('the server name is the stable name, however the target was named; the socket is given after the handshake', async () => {
    const names = await secure(at(11));
    const { peers } = await web0({ 'web-1': at(11) });
    const targets = ['web-1', 1, 'replica', 'any', peers.topology.peer(1) as Peer];
    for (const target of targets) {
      const socket: TLSSocket = await peers.connect(target, { tls: { ca: cert } });
      assert.equal(socket.authorized, true);
      assert.equal(socket.getPeerCertificate().subject.CN, 'web-1');
      assert.equal(socket.remoteAddress, at(11));
      socket.destroy();
    }
    assert.deepEqual(
      names,
      targets.map(() => stableName),
    );
  });

  it('a server name in the options is used in its place', async () => {
    const names = await secure(at(11));
    const { peers } = await web0({ 'web-1': at(11) });
    const tls: ConnectionOptions = { ca: cert, servername: 'db.example.org', checkServerIdentity: () => undefined };
    const socket = await peers.connect('web-1', { tls });
    assert.deepEqual(names, ['db.example.org']);
    socket.destroy();
  });

  it('tls.connect with lookup: the stable name is answered from memory, and is what the certificate is for', async () => {
    await secure(at(11));
    const { peers } = await web0({ 'web-1': at(11) });
    for (const options of [{}, { autoSelectFamily: false }, { family: 4 }]) {
      const socket = connectTls({ host: stableName, port, ca: cert, lookup: peers.lookup, ...options });
      await once(socket, 'secureConnect');
      assert.deepEqual([socket.authorized, socket.remoteAddress], [true, at(11)]);
      socket.destroy();
    }
  });

  it('a certificate of nobody we trust: no connection, and the cause says why', async () => {
    await secure(at(11));
    const { peers } = await web0({ 'web-1': at(11) });
    const error = await failure(peers.connect('web-1', { tls: true, timeoutMs: 300 }));
    assert.equal(error.code, 'ERR_TIMEOUT');
    assert.equal(causeOf(error), 'DEPTH_ZERO_SELF_SIGNED_CERT');
  });

  it("another pod's certificate: no connection; the stable name protects from a stranger at the address", async () => {
    await secure(at(12));
    const { peers } = await web0({ 'web-2': at(12) });
    const error = await failure(peers.connect('web-2', { tls: { ca: cert }, timeoutMs: 300 }));
    assert.equal(error.code, 'ERR_TIMEOUT');
    assert.equal(causeOf(error), 'ERR_TLS_CERT_ALTNAME_INVALID');
  });

  it('a stranger at the address, then the right one at a new address', async () => {
    await secure(at(12));
    // No TLS at all at the old one: it says something else and stays open.
    await opened.listen(at(11), port, (socket) => socket.write('SSH-2.0-OpenSSH_9.6\r\n'));
    const web = await web0({ 'web-1': at(11) });
    const connecting = web.peers.connect('web-1', { tls: { ca: cert } });
    await until(() => web.peers.stats().hints > 0, 'a question');
    web.dns.views = [{ 'web-0': at(10), 'web-1': at(12) }];
    const socket = await connecting;
    assert.equal(socket.remoteAddress, at(12));
    socket.destroy();
  });

  it('accepted and silent: the handshake is part of the attempt, which is given up after 2 s', async function () {
    this.timeout(10_000);
    let accepted = 0;
    await opened.listen(at(11), port, () => {
      accepted += 1;
    });
    const { peers } = await web0({ 'web-1': at(11) });
    const error = await failure(peers.connect('web-1', { tls: { ca: cert }, timeoutMs: 2_500 }));
    assert.deepEqual([error.code, causeOf(error)], ['ERR_TIMEOUT', 'ETIMEDOUT']);
    assert.ok(accepted >= 2);
  });

  it('a handshake that is cut off is tried again', async () => {
    let accepted = 0;
    const cutting = await opened.listen(at(11), port, (socket) => {
      accepted += 1;
      socket.destroy();
    });
    const { peers } = await web0({ 'web-1': at(11) });
    const connecting = peers.connect('web-1', { tls: { ca: cert } });
    await until(() => accepted >= 2, 'a second attempt');
    await new Promise((resolve) => cutting.close(resolve));
    const names = await secure(at(11));
    const socket = await connecting;
    assert.deepEqual(names, [stableName]);
    socket.destroy();
  });

  it('15. destroyed with ERR_PEER_MOVED when its address is lost', async () => {
    await secure(at(11));
    const web = await web0({ 'web-1': at(11) });
    const socket = await web.peers.connect('web-1', { tls: { ca: cert } });
    const ended = new Promise<unknown>((resolve) => socket.once('error', resolve));
    web.dns.views = [{ 'web-0': at(10), 'web-1': at(12) }];
    await web.peers.refresh();
    assert.equal(PeerDiscoveryError.from(await ended)?.code, 'ERR_PEER_MOVED');
    assert.equal(socket.destroyed, true);
  });

  it('lost during the handshake: the connection is not given, the new address is', async () => {
    const accepted: Socket[] = [];
    await opened.listen(at(11), port, (socket) => accepted.push(socket));
    await secure(at(12));
    const web = await web0({ 'web-1': at(11) });
    const connecting = web.peers.connect('web-1', { tls: { ca: cert } });
    await until(() => accepted.length === 1, 'an attempt');
    web.dns.views = [{ 'web-0': at(10), 'web-1': at(12) }];
    await web.peers.refresh();
    accepted[0]?.destroy();
    const socket = await connecting;
    assert.equal(socket.remoteAddress, at(12));
    socket.destroy();
  });

  const wrong: Readonly<Record<string, ConnectionOptions>> = {
    'a key that is none': { cert: 'no certificate', key: 'no key' },
    'a version that there is not': { minVersion: 'TLSv9' as 'TLSv1.3' },
  };
  for (const [what, tls] of Object.entries(wrong)) {
    it(`20. TLS options that cannot be used are named at once, and are no failure of the peer (${what})`, async () => {
      await secure(at(11));
      const { peers } = await web0({ 'web-1': at(11) });
      const startedAt = performance.now();
      const error = await peers.connect('web-1', { tls, timeoutMs: 1_000 }).then(
        (socket) => {
          socket.destroy();
          return null;
        },
        (reason: unknown) => reason,
      );
      assert.notEqual(error, null);
      assert.ok(performance.now() - startedAt < 500, `after ${performance.now() - startedAt} ms`);
      assert.notEqual(PeerDiscoveryError.from(error)?.code, 'ERR_TIMEOUT');
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(peers.stats().hints, 0);
    });
  }
});

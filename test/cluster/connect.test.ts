import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { getEventListeners, once } from 'node:events';
import type { Socket } from 'node:net';
import FakeTimers from '@sinonjs/fake-timers';
import type { ConnectOptions } from '../../src/connect/connect.ts';
import type { ConnectionMessage } from '../../src/diagnostics.ts';
import { PeerDiscoveryError } from '../../src/errors.ts';
import type { DiscoverOptions } from '../../src/options.ts';
import type { PeerDiscovery } from '../../src/peer-discovery.ts';
import type { Peer } from '../../src/topology/topology.ts';
import { hasLoopbackRange } from '../../src/testing/pod-network.ts';
import { member } from '../support/member.ts';
import type { ScriptedDns, View } from '../support/scripted-dns.ts';
import { Opened, ownAddresses, until } from '../unit/connect/sockets.ts';

// connect() on real sockets: each pod has its own loopback address, and DNS says what the test tells it to.

const at = ownAddresses();
const port = 7_000;

/** What a peer says to whoever connects: its name, and then what it is sent. */
const greet =
  (name: string) =>
  (socket: Socket): void => {
    socket.write(name);
    socket.pipe(socket);
  };

describe('connect()', () => {
  before(async function () {
    if (await hasLoopbackRange()) return;
    console.log('skipped: this system has a single loopback address, so that pods cannot have one each');
    this.skip();
  });

  let opened = new Opened();
  let started: ConnectionMessage[] = [];
  let ended: ConnectionMessage[] = [];
  /** Dialled although the belief did not hold it. */
  let strays: ConnectionMessage[] = [];
  let processes: PeerDiscovery[] = [];
  const onStart = (message: unknown): void => {
    const start = message as ConnectionMessage;
    started.push(start);
    const isBelieved = processes.some(({ topology }) =>
      topology.peer(start.podName)?.addresses.some(({ address }) => address === start.address),
    );
    if (!isBelieved) strays.push(start);
  };
  const onEnd = (message: unknown): void => {
    ended.push(message as ConnectionMessage);
  };

  beforeEach(() => {
    opened = new Opened();
    started = [];
    ended = [];
    strays = [];
    processes = [];
    subscribe('stateful-peers:connection:start', onStart);
    subscribe('stateful-peers:connection:end', onEnd);
  });
  afterEach(async () => {
    try {
      await opened.close();
      await until(() => ended.length >= started.length, 'the end of each connection');
      assert.equal(ended.length, started.length, 'one end for each start');
      assert.deepEqual(strays, [], '15. nothing new is sent to an address that the belief no longer holds');
      assert.deepEqual(new Set(ended), new Set(started), 'the object of the start is that of the end');
      for (const { durationMs, connected } of ended) {
        assert.ok(durationMs !== undefined && durationMs >= 0);
        assert.equal(typeof connected, 'boolean');
      }
    } finally {
      unsubscribe('stateful-peers:connection:start', onStart);
      unsubscribe('stateful-peers:connection:end', onEnd);
    }
  });

  /** The process web-0, which has heard of the others. */
  async function web0(
    view: View,
    options: DiscoverOptions = {},
  ): Promise<{ peers: PeerDiscovery<Peer>; dns: ScriptedDns }> {
    const { peers, dns } = member('web-0', [at(10)], options);
    opened.add(() => peers.close());
    processes.push(peers);
    dns.port = port;
    dns.views = [{ 'web-0': at(10), ...view }];
    await peers.ready();
    return { peers, dns };
  }
  async function moved({ peers, dns }: { peers: PeerDiscovery; dns: ScriptedDns }, view: View): Promise<void> {
    dns.views = [{ 'web-0': at(10), ...view }];
    await peers.refresh();
  }
  async function read(socket: Socket): Promise<string> {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    return chunk.toString();
  }
  /** What it rejects with, and how long that took. */
  async function failure(promise: Promise<unknown>): Promise<{ error: unknown; elapsedMs: number }> {
    const startedAt = performance.now();
    try {
      await promise;
    } catch (error) {
      return { error, elapsedMs: performance.now() - startedAt };
    }
    return assert.fail('it connected');
  }
  /** The error that a connected socket ends with. */
  function endOf(socket: Socket): Promise<unknown> {
    return new Promise((resolve) => {
      let failed: unknown = null;
      socket.once('error', (error) => {
        failed = error;
      });
      socket.once('close', () => {
        resolve(failed);
      });
    });
  }
  const codeOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code;

  it("gives a connected socket: the peer's own address, its port by SRV", async () => {
    await opened.listen(at(11), port, greet('web-1'));
    const { peers } = await web0({ 'web-1': at(11) });
    for (const target of ['web-1', 1, 'replica', 'any', peers.topology.peer(1) as Peer]) {
      const socket = await peers.connect(target);
      assert.deepEqual([socket.remoteAddress, socket.remotePort, socket.connecting], [at(11), port, false]);
      assert.equal(await read(socket), 'web-1');
      socket.write('hello');
      assert.equal(await read(socket), 'hello');
      socket.end();
      await once(socket, 'close');
    }
    assert.deepEqual(
      ended.map(({ podName, address, port: used, connected, error }) => [podName, address, used, connected, error]),
      Array.from({ length: 5 }, () => ['web-1', at(11), port, true, undefined]),
    );
  });

  it('the option port is used in place of what SRV says', async () => {
    await opened.listen(at(11), 7_001, greet('admin'));
    const { peers } = await web0({ 'web-1': at(11) });
    const socket = await peers.connect('web-1', { port: 7_001 });
    assert.equal(await read(socket), 'admin');
    socket.destroy();
  });

  it('waits for a peer that is not there yet', async () => {
    await opened.listen(at(11), port, greet('web-1'));
    const web = await web0({});
    const connecting = web.peers.connect('web-1');
    await moved(web, { 'web-1': at(11) });
    const socket = await connecting;
    assert.equal(socket.remoteAddress, at(11));
    socket.destroy();
  });

  it('refused, then moved: connected at the new address at once', async () => {
    await opened.listen(at(12), port, greet('web-1'));
    const web = await web0({ 'web-1': at(11) });
    const connecting = web.peers.connect('web-1');
    await until(() => ended.length >= 2, 'a second attempt');
    await moved(web, { 'web-1': at(12) });
    const movedAt = performance.now();
    const socket = await connecting;
    assert.equal(socket.remoteAddress, at(12));
    assert.ok(performance.now() - movedAt < 150);
    assert.ok(
      ended.every(
        ({ address, connected, error }) =>
          address === at(11) && connected === false && codeOf(error) === 'ECONNREFUSED',
      ),
    );
    // Nothing new is sent to an address that the belief no longer holds.
    const later = started.slice(started.findIndex(({ address }) => address === at(12)));
    assert.ok(later.every(({ address }) => address === at(12)));
    socket.destroy();
  });

  it('refused, then listening at the same address', async () => {
    const { peers } = await web0({ 'web-1': at(11) });
    const connecting = peers.connect('web-1');
    await until(() => ended.length >= 1, 'an attempt');
    await opened.listen(at(11), port, greet('web-1'));
    const socket = await connecting;
    assert.equal(await read(socket), 'web-1');
    socket.destroy();
  });

  it('16. each refusal is a question, and DNS is asked no faster for many', async () => {
    const { peers, dns } = await web0({ 'web-1': at(11) });
    dns.asked.length = 0;
    const { error } = await failure(peers.connect('web-1', { timeoutMs: 1_000 }));
    assert.equal(codeOf(error), 'ERR_TIMEOUT');
    assert.ok(ended.length >= 3 && ended.length <= 20, `${ended.length} attempts in a second`);
    assert.ok(dns.asked.length >= 2 && dns.asked.length <= 22, `${dns.asked.length} questions in a second`);
  });

  it('a black hole, then moved: connected at the new address, without waiting for the end of the attempt', async function () {
    this.timeout(10_000);
    await opened.blackHole(at(11), port);
    await opened.listen(at(12), port, greet('web-1'));
    const web = await web0({ 'web-1': at(11) });
    const connecting = web.peers.connect('web-1');
    await until(() => started.length === 1, 'an attempt');
    await moved(web, { 'web-1': at(12) });
    const movedAt = performance.now();
    const socket = await connecting;
    const elapsedMs = performance.now() - movedAt;
    assert.equal(socket.remoteAddress, at(12));
    socket.destroy();
    assert.ok(elapsedMs < 500, `${Math.round(elapsedMs)} ms after the move`);
  });

  it('a black hole is given up after 2 s, and the other address of the peer, or another peer, is tried', async function () {
    this.timeout(10_000);
    await opened.blackHole(at(11), port);
    await opened.listen(at(12), port, greet('web-2'));
    const { peers } = await web0({ 'web-1': at(11), 'web-2': at(12) });
    const startedAt = performance.now();
    const sockets = await Promise.all([peers.connect('replica'), peers.connect('replica')]);
    const elapsedMs = performance.now() - startedAt;
    assert.deepEqual(
      sockets.map(({ remoteAddress }) => remoteAddress),
      [at(12), at(12)],
    );
    assert.ok(elapsedMs >= 1_900 && elapsedMs < 3_000, `${elapsedMs} ms`);
    const dropped = ended.filter(({ connected }) => connected === false);
    assert.deepEqual(
      dropped.map(({ address, error }) => [address, codeOf(error)]),
      [[at(11), 'ETIMEDOUT']],
    );
    // What failed lately comes last.
    const third = await peers.connect('replica');
    assert.equal(third.remoteAddress, at(12));
    for (const socket of [...sockets, third]) socket.destroy();
  });

  interface Deadline {
    readonly what: string;
    readonly timeoutMs: number;
    readonly prepare?: () => Promise<unknown>;
    readonly cause: string | undefined;
  }
  const deadlines: readonly Deadline[] = [
    { what: 'refused', timeoutMs: 400, cause: 'ECONNREFUSED' },
    {
      what: 'a black hole',
      timeoutMs: 2_600,
      prepare: () => opened.blackHole(at(11), port),
      cause: 'ETIMEDOUT',
    },
    {
      what: 'a black hole, with less time than an attempt has',
      timeoutMs: 400,
      prepare: () => opened.blackHole(at(11), port),
      cause: undefined,
    },
  ];
  it('closed in the very moment in which the connection is made: ERR_CLOSED, and close() settles', async () => {
    await opened.listen(at(11), port, greet('web-1'));
    const { peers } = await web0({ 'web-1': at(11) });
    let closing: Promise<void> | undefined;
    const onSocket = (message: unknown): void => {
      const { socket } = message as { socket: Socket };
      // After connect()'s own listener, and before whoever waits for the promise.
      queueMicrotask(() =>
        socket.once('connect', () => {
          closing = peers.close();
        }),
      );
    };
    subscribe('net.client.socket', onSocket);
    try {
      const { error } = await failure(peers.connect('web-1'));
      assert.equal(PeerDiscoveryError.from(error)?.code, 'ERR_CLOSED');
      assert.ok(closing !== undefined);
      await closing;
    } finally {
      unsubscribe('net.client.socket', onSocket);
    }
  });

  for (const { what, timeoutMs, prepare, cause } of deadlines) {
    it(`after timeoutMs: ERR_TIMEOUT with cause, belief and explanation (${what})`, async function () {
      this.timeout(10_000);
      await prepare?.();
      const { peers } = await web0({ 'web-1': at(11) });
      const { error, elapsedMs } = await failure(peers.connect('web-1', { timeoutMs }));
      assert.ok(error instanceof PeerDiscoveryError);
      assert.equal(error.code, 'ERR_TIMEOUT', error.message);
      assert.match(
        error.message,
        /^\[ERR_TIMEOUT\] no connection to web-1 for web \(nginx\.default\.svc\.cluster\.local\) within \d+ ms; 1 other peer known, answers fresh; last: .+\. ./,
      );
      if (cause !== undefined) assert.equal(codeOf(error.cause), cause);
      assert.equal(error.topology, peers.topology);
      assert.equal(error.podName, 'web-1');
      assert.ok(error.explanation);
      assert.ok(elapsedMs >= timeoutMs - 5 && elapsedMs < timeoutMs + 300, `${elapsedMs} ms`);
    });
  }

  const aborts: readonly (readonly [string, () => Promise<unknown>, View])[] = [
    ['while it is refused', () => Promise.resolve(), { 'web-1': at(11) }],
    ['in a black hole', () => opened.blackHole(at(11), port), { 'web-1': at(11) }],
    ['while there is no address', () => Promise.resolve(), {}],
  ];
  for (const [when, prepare, view] of aborts) {
    it(`${when} the signal ends it, and its reason is thrown as it is`, async () => {
      await prepare();
      const { peers } = await web0(view);
      for (const reason of ['mine', new Error('mine'), undefined]) {
        const user = new AbortController();
        const { length } = started;
        const connecting = failure(peers.connect('web-1', { signal: user.signal }));
        if (view['web-1'] !== undefined) await until(() => started.length > length, 'an attempt');
        user.abort(reason);
        const { error, elapsedMs } = await connecting;
        assert.equal(error, user.signal.reason);
        assert.ok(elapsedMs < 500);
        assert.equal(getEventListeners(user.signal, 'abort').length, 0);
      }
    });

    it(`${when} close() ends it with ERR_CLOSED`, async () => {
      await prepare();
      const { peers } = await web0(view);
      const connecting = failure(peers.connect('web-1'));
      await new Promise((resolve) => setImmediate(resolve));
      await peers.close();
      assert.equal(codeOf((await connecting).error), 'ERR_CLOSED');
    });
  }

  it('a signal that aborts later does nothing to a connection that was made, and has no listener', async () => {
    await opened.listen(at(11), port, greet('web-1'));
    const { peers } = await web0({ 'web-1': at(11) });
    const user = new AbortController();
    const options: ConnectOptions = { signal: user.signal, timeoutMs: 200 };
    const socket = await peers.connect('web-1', options);
    assert.equal(getEventListeners(user.signal, 'abort').length, 0);
    assert.equal(await read(socket), 'web-1');
    user.abort();
    socket.write('still there');
    assert.equal(await read(socket), 'still there');
    socket.destroy();
  });

  const losses: readonly (readonly [
    string,
    (web: { peers: PeerDiscovery; dns: ScriptedDns }) => unknown,
    string,
    RegExp,
  ])[] = [
    [
      'its address is lost',
      (web) => moved(web, { 'web-1': at(12) }),
      'ERR_PEER_MOVED',
      /^\[ERR_PEER_MOVED\] web-1 is no longer at 127\.\d+\.\d+\.11 but at 127\.\d+\.\d+\.12$/,
    ],
    [
      'a stranger was reported there',
      ({ peers }) => {
        peers.report('web-1', 'stranger', at(11));
      },
      'ERR_PEER_MOVED',
      /^\[ERR_PEER_MOVED\] web-1 is no longer at 127\.\d+\.\d+\.11 but at no known address$/,
    ],
    [
      'another pod has its address',
      (web) => moved(web, { 'web-1': at(12), 'web-2': at(11) }),
      'ERR_PEER_MOVED',
      /^\[ERR_PEER_MOVED\] web-1 is no longer at/,
    ],
    [
      'close()',
      ({ peers }) => peers.close(),
      'ERR_CLOSED',
      /^\[ERR_CLOSED\] the peer discovery of web \(.*\) is closed$/,
    ],
  ];
  for (const [what, lose, code, message] of losses) {
    it(`15. a connected socket is destroyed with ${code}: ${what}`, async () => {
      await opened.listen(at(11), port, greet('web-1'));
      const web = await web0({ 'web-1': at(11) });
      const socket = await web.peers.connect('web-1');
      const ends = endOf(socket);
      await lose(web);
      assert.equal(socket.destroyed, true);
      const error = await ends;
      assert.ok(error instanceof PeerDiscoveryError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.equal(ended.at(-1)?.error, error);
      assert.equal(ended.at(-1)?.connected, true);
    });
  }

  it('and that is no crash where nobody listens for its error', async () => {
    await opened.listen(at(11), port, greet('web-1'));
    const web = await web0({ 'web-1': at(11) });
    const socket = await web.peers.connect('web-1');
    await moved(web, { 'web-1': at(12) });
    await until(() => socket.closed, 'the end of the socket');
  });

  it('ERR_PEER_REMOVED when the peer is removed, and not while it is missing', async () => {
    await opened.listen(at(11), port, greet('web-1'));
    const clock = FakeTimers.install({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
    });
    try {
      const web = await web0({ 'web-1': at(11) });
      const socket = await web.peers.connect('web-1');
      const ends = endOf(socket);
      web.dns.views = [{ 'web-0': at(10) }];
      await clock.tickAsync(60_000);
      assert.equal(web.peers.topology.peer('web-1')?.presence, 'missing');
      assert.equal(socket.destroyed, false);
      await clock.tickAsync(70_000);
      const error = await ends;
      assert.equal(codeOf(error), 'ERR_PEER_REMOVED');
      assert.match(
        (error as Error).message,
        /^\[ERR_PEER_REMOVED\] web-1, which was at 127\.\d+\.\d+\.11, was removed$/,
      );
      await web.peers.close();
      assert.equal(clock.countTimers(), 0);
    } finally {
      clock.uninstall();
    }
  });

  const quiet: readonly (readonly [string, (web: { peers: PeerDiscovery; dns: ScriptedDns }) => unknown])[] = [
    ['a gained address', (web) => moved(web, { 'web-1': [at(11), 'fd00::11'] })],
    ['a move of another peer', (web) => moved(web, { 'web-1': at(11), 'web-2': at(13) })],
    ['another port in SRV', (web) => ((web.dns.port = 7_009), web.peers.refresh())],
    [
      'an outage of DNS',
      (web) => {
        web.dns.views = ['servfail'];
        return web.peers.refresh();
      },
    ],
    [
      'a failed connection elsewhere',
      ({ peers }) => {
        peers.report('web-1', 'unreachable', at(11));
      },
    ],
  ];
  for (const [what, change] of quiet) {
    it(`15. ${what} does not disturb it`, async () => {
      await opened.listen(at(11), port, greet('web-1'));
      const web = await web0({ 'web-1': at(11), 'web-2': at(12) });
      const socket = await web.peers.connect('web-1');
      assert.equal(await read(socket), 'web-1');
      await change(web);
      socket.write('still there');
      assert.equal(await read(socket), 'still there');
      socket.destroy();
    });
  }

  it('15. a hundred connections and twenty moves: each ends up at the address of its time, or is told that it moved', async () => {
    const addresses = Array.from({ length: 20 }, (_, turn) => at(20 + turn));
    // Every second pod refuses.
    for (const [turn, address] of addresses.entries()) {
      if (turn % 2 === 1) await opened.listen(address, port, greet('web-1'));
    }
    const web = await web0({ 'web-1': at(11) });
    const sockets: Socket[] = [];
    const ends: Promise<unknown>[] = [];
    const connecting = Promise.all(
      Array.from({ length: 100 }, async () => {
        const socket = await web.peers.connect('web-1');
        sockets.push(socket);
        ends.push(endOf(socket));
      }),
    );
    for (const address of addresses) {
      await moved(web, { 'web-1': address });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await connecting;
    await web.peers.refresh();
    const [alive, lost] = [sockets.filter(({ destroyed }) => !destroyed), sockets.filter(({ destroyed }) => destroyed)];
    assert.ok(alive.every(({ remoteAddress }) => remoteAddress === addresses.at(-1)));
    assert.equal(alive.length + lost.length, 100);
    await web.peers.close();
    const codes = new Set((await Promise.all(ends)).map(codeOf));
    assert.ok(
      [...codes].every((code) => code === 'ERR_PEER_MOVED' || code === 'ERR_CLOSED'),
      [...codes].join(' '),
    );
  });

  it('a reset of a connected socket is a question, and its own error is kept', async () => {
    const accepted: Socket[] = [];
    await opened.listen(at(11), port, (socket) => accepted.push(socket));
    const { peers } = await web0({ 'web-1': at(11) });
    const socket = await peers.connect('web-1');
    const ends = endOf(socket);
    await until(() => accepted.length === 1, 'the connection');
    accepted[0]?.resetAndDestroy();
    assert.equal(codeOf(await ends), 'ECONNRESET');
    await until(() => peers.stats().hints >= 1, 'a question');
  });

  it('a clean end, or the end by the user, is no question', async () => {
    const accepted: Socket[] = [];
    await opened.listen(at(11), port, (socket) => accepted.push(socket));
    const { peers, dns } = await web0({ 'web-1': at(11) });
    dns.asked.length = 0;
    const first = await peers.connect('web-1');
    await until(() => accepted.length === 1, 'the connection');
    accepted[0]?.end();
    first.resume();
    await once(first, 'close');
    const second = await peers.connect('web-1');
    second.destroy();
    await once(second, 'close');
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(dns.asked, []);
  });

  it('a hundred at once are a hundred connections, and close() ends them all', async () => {
    await opened.listen(at(11), port, greet('web-1'));
    const { peers } = await web0({ 'web-1': at(11) });
    const sockets = await Promise.all(Array.from({ length: 100 }, () => peers.connect('web-1')));
    assert.equal(new Set(sockets).size, 100);
    await peers.close();
    assert.ok(sockets.every(({ destroyed }) => destroyed));
  });

  it('14. when close() has settled each connection has its end: nothing is emitted afterwards', async () => {
    await opened.listen(at(11), port, greet('web-1'));
    const { peers } = await web0({ 'web-1': at(11) });
    const sockets = await Promise.all([peers.connect('web-1'), peers.connect('web-1')]);
    let closed = 0;
    for (const socket of sockets) socket.once('close', () => (closed += 1));
    await peers.close();
    assert.deepEqual([closed, ended.length], [2, 2]);
  });
});

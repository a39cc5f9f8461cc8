import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { request, upgrade } from 'undici';
import { PeerDiscoveryError } from '../../src/errors.ts';
import type { PeerDispatcherOptions } from '../../src/http/dispatcher-options.ts';
import { callers } from '../support/http-callers.ts';
import type { Client, HttpPods } from '../support/http-pods.ts';
import { assertTook, eventually, failure, httpPods, peerPort, within } from '../support/http-pods.ts';

const drainMs = 200;

type Ended = 'done' | { readonly code: unknown; readonly afterMs: number };

/** A request in one of the states of its life. */
interface Underway {
  readonly client: Client;
  /** How it ends. */
  readonly end: Promise<Ended>;
  /** Lets the server finish what it has. */
  readonly finish: () => void;
}

function ended(promise: Promise<unknown>, startedAt: () => number): Promise<Ended> {
  return promise.then(
    () => 'done' as const,
    (error: unknown) => ({
      code: PeerDiscoveryError.from(error)?.code ?? error,
      afterMs: performance.now() - startedAt(),
    }),
  );
}

const states: Readonly<
  Record<
    'waiting' | 'dialling' | 'queued' | 'in flight' | 'draining',
    (pods: HttpPods, since: () => number) => Promise<Underway>
  >
> = {
  waiting: async (pods, since) => {
    const client = await pods.client({ 'web-2': pods.at(12) }, { drainMs });
    return { client, end: ended(text(client, 'http://web-1/'), since), finish: nothing };
  },
  dialling: async (pods, since) => {
    await pods.opened.blackHole(pods.at(11), peerPort);
    const client = await pods.client({ 'web-1': pods.at(11) }, { drainMs });
    const end = ended(text(client, 'http://web-1/'), since);
    await new Promise((resolve) => setTimeout(resolve, 20));
    return { client, end, finish: nothing };
  },
  queued: async (pods, since) => {
    const { client, finish } = await answering(pods, { pool: { connections: 1 }, drainMs });
    void text(client, 'http://web-1/busy').catch(nothing);
    await eventually(() => pods.arrivals.length === 1, 'an arrival');
    return { client, end: ended(text(client, 'http://web-1/'), since), finish };
  },
  'in flight': async (pods, since) => {
    const { client, finish } = await answering(pods, { drainMs });
    const end = ended(text(client, 'http://web-1/'), since);
    await eventually(() => pods.arrivals.length === 1, 'an arrival');
    return { client, end, finish };
  },
  draining: async (pods, since) => {
    const { client, finish } = await answering(pods, { drainMs });
    const end = ended(text(client, 'http://web-1/'), since);
    await eventually(() => pods.arrivals.length === 1, 'an arrival');
    await pods.shown(client, { 'web-1': pods.at(21) });
    return { client, end, finish };
  },
};

/** web-1, which answers when it is told to. */
async function answering(
  pods: HttpPods,
  options: PeerDispatcherOptions,
): Promise<{ client: Client; finish: () => void }> {
  const open: ServerResponse[] = [];
  let isReleased = false;
  await pods.serve('web-1', pods.at(11), {
    handler: (_incoming, response) => {
      if (isReleased) response.end('done');
      else open.push(response);
    },
  });
  const client = await pods.client({ 'web-1': pods.at(11) }, options);
  return {
    client,
    finish: () => {
      isReleased = true;
      for (const response of open) response.end('done');
    },
  };
}

async function text({ dispatcher }: { dispatcher: Dispatcher }, url: string): Promise<string> {
  return (await request(url, { dispatcher })).body.text();
}

function nothing(): void {
  // Whatever comes.
}

for (const [state, begin] of Object.entries(states)) {
  describe(`PeerDispatcher: close() of the library, ${state}`, () => {
    const test = httpPods();
    const isSent = state === 'in flight' || state === 'draining';
    it(`${state}: ${isSent ? 'has drainMs, then ends' : 'ends at once, with ERR_CLOSED'}`, async () => {
      let closedAt = 0;
      const { client, end } = await begin(test.pods, () => closedAt);
      closedAt = performance.now();
      assert.equal(await within(1_000, client.peers.close()), true, 'close() settles');
      const result = await end;
      assert.ok(result !== 'done');
      assert.equal(result.code, state === 'draining' ? 'ERR_PEER_MOVED' : 'ERR_CLOSED');
      if (isSent) assert.ok(result.afterMs > 100 && result.afterMs < drainMs + 100, `${result.afterMs} ms`);
      else assert.ok(result.afterMs < 50, `${result.afterMs} ms`);
    });

    it(`${state}: what finishes within drainMs is not disturbed`, async () => {
      const { client, end, finish } = await begin(test.pods, () => 0);
      const closing = client.peers.close();
      finish();
      const startedAt = performance.now();
      await closing;
      assert.ok(performance.now() - startedAt < 100, 'it does not wait for nothing');
      const result = await end;
      if (isSent) assert.equal(result, 'done');
    });
  });
}

describe('PeerDispatcher: close() of the library', () => {
  const test = httpPods();

  it('an upgraded socket has drainMs, then ends', async () => {
    const { pods } = test;
    const { client, socket } = await upgraded(pods);
    const startedAt = performance.now();
    const closed = closeOf(socket);
    await client.peers.close();
    assertTook(performance.now() - startedAt, drainMs, 'close()');
    await closed;
  });

  it('while dispatcher.close() waits for a response that never ends: it has drainMs', async () => {
    const { client, end } = await states['in flight'](test.pods, () => 0);
    const closing = client.dispatcher.close();
    const isClosed = await within(drainMs + 500, client.peers.close());
    await client.dispatcher.destroy();
    await Promise.all([closing, end]);
    assert.equal(isClosed, true, 'close() of the library settles');
  });

  it('after it, every caller gets ERR_CLOSED, and a new dispatcher cannot be made', async () => {
    const { pods } = test;
    const client = await pods.client({ 'web-1': pods.at(11) });
    await client.peers.close();
    for (const { name, call } of callers) {
      const { error } = await failure(call(client.dispatcher, 'http://web-1/'));
      assert.equal(PeerDiscoveryError.from(error)?.code, 'ERR_CLOSED', name);
    }
    const { PeerDispatcher } = await import('../../src/http/peer-dispatcher.ts');
    assert.throws(() => new PeerDispatcher(client.peers), { code: 'ERR_CLOSED' });
    assert.equal(client.dispatcher.closed, true);
  });
});

describe('PeerDispatcher: close() of the dispatcher', () => {
  const test = httpPods();

  it('waiting: ends at once, with ERR_CLOSED', async () => {
    const { client, end } = await states.waiting(test.pods, () => performance.now());
    await client.dispatcher.close();
    const result = await end;
    assert.equal(result !== 'done' && result.code, 'ERR_CLOSED');
  });

  for (const state of ['queued', 'in flight', 'draining'] as const) {
    it(`${state}: finishes, and close() waits for it`, async () => {
      const { client, end, finish } = await states[state](test.pods, () => 0);
      let isClosed = false;
      const closing = client.dispatcher.close().then(() => (isClosed = true));
      await new Promise((resolve) => setTimeout(resolve, drainMs / 2));
      assert.equal(isClosed, false);
      finish();
      assert.equal(await end, 'done');
      await closing;
    });
  }

  it('dialling: close() settles when the connection has failed', async () => {
    const { client, end } = await states.dialling(test.pods, () => 0);
    assert.equal(await within(3_000, client.dispatcher.close()), true);
    assert.notEqual(await end, 'done');
  });

  it('in flight, and its pod moves while close() waits: it has drainMs', async () => {
    const { pods } = test;
    let movedAt = 0;
    const { client, end } = await states['in flight'](pods, () => movedAt);
    const closing = client.dispatcher.close();
    movedAt = performance.now();
    await pods.shown(client, { 'web-1': pods.at(21) });
    const isEnded = await within(drainMs + 300, end);
    if (!isEnded) await client.dispatcher.destroy();
    await closing;
    assert.equal(isEnded, true, 'it ended');
    const result = await end;
    assert.equal(result !== 'done' && result.code, 'ERR_PEER_MOVED');
  });

  it('takes a callback, and can be called again', async () => {
    const { pods } = test;
    const { dispatcher } = await pods.client({ 'web-1': pods.at(11) });
    await new Promise<void>((resolve) => {
      dispatcher.close(resolve);
    });
    await dispatcher.close();
    await dispatcher.destroy();
    const { error } = await failure(request('http://web-1/', { dispatcher }));
    assert.equal(PeerDiscoveryError.from(error)?.code, 'ERR_CLOSED');
  });

  it('leaves the library open: another dispatcher works on', async () => {
    const { pods } = test;
    await pods.serve('web-1', pods.at(11));
    const client = await pods.client({ 'web-1': pods.at(11) });
    const { PeerDispatcher } = await import('../../src/http/peer-dispatcher.ts');
    const other = new PeerDispatcher(client.peers);
    await client.dispatcher.close();
    assert.match(await text({ dispatcher: other }, 'http://web-1/'), /^web-1/);
  });
});

for (const [state, begin] of Object.entries(states)) {
  describe(`PeerDispatcher: destroy(), ${state}`, () => {
    const test = httpPods();
    for (const given of [undefined, new Error('enough')]) {
      it(`${state}: ends at once${given === undefined ? '' : ', with the error that is given'}`, async () => {
        let startedAt = 0;
        const { client, end } = await begin(test.pods, () => startedAt);
        startedAt = performance.now();
        assert.equal(
          await within(500, given === undefined ? client.dispatcher.destroy() : client.dispatcher.destroy(given)),
          true,
        );
        const result = await end;
        assert.ok(result !== 'done');
        assert.ok(result.afterMs < 50, `${result.afterMs} ms`);
        if (given !== undefined) assert.equal(result.code, given);
      });
    }
  });
}

describe('PeerDispatcher: destroy()', () => {
  const test = httpPods();

  it('in flight, while close() waits: ends at once, and both settle', async () => {
    const { client, end } = await states['in flight'](test.pods, () => 0);
    const closing = client.dispatcher.close();
    await client.dispatcher.destroy();
    await closing;
    assert.notEqual(await end, 'done');
  });

  it('ends an upgraded socket', async () => {
    const { client, socket } = await upgraded(test.pods);
    const closed = closeOf(socket);
    await client.dispatcher.destroy();
    await closed;
  });

  it('takes a callback', async () => {
    const { pods } = test;
    for (const destroy of [
      (dispatcher: Dispatcher, done: () => void) => {
        dispatcher.destroy(done);
      },
      (dispatcher: Dispatcher, done: () => void) => {
        dispatcher.destroy(new Error('enough'), done);
      },
    ]) {
      const { dispatcher } = await pods.client({ 'web-1': pods.at(11) });
      await new Promise<void>((resolve) => {
        destroy(dispatcher, resolve);
      });
    }
  });
});

/** The error that it ends with is for whoever listens. */
function closeOf(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', resolve);
  });
}

async function upgraded(pods: HttpPods): Promise<{ client: Client; socket: Duplex }> {
  const server = await pods.serve('web-1', pods.at(11));
  server.on('upgrade', (_incoming, socket: Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
  });
  const client = await pods.client({ 'web-1': pods.at(11) }, { drainMs });
  const { socket } = await upgrade('http://web-1/', { ...client, protocol: 'echo' });
  socket.on('error', nothing);
  socket.resume();
  return { client, socket };
}

for (const [name, begin] of [
  [
    'a queue behind a busy connection, of a pod that moved',
    async (pods: HttpPods): Promise<Client> => {
      const { client } = await answering(pods, { pool: { connections: 1 }, drainMs: 100 });
      const busy = text(client, 'http://web-1/busy').catch(nothing);
      await eventually(() => pods.arrivals.length === 1, 'an arrival');
      await pods.serve('web-1', pods.at(21));
      const queued = [text(client, 'http://web-1/'), text(client, 'http://web-1/')];
      await pods.shown(client, { 'web-1': pods.at(21) });
      await Promise.all([busy, ...queued]);
      return client;
    },
  ],
  [
    'a queue behind a busy connection',
    async (pods: HttpPods): Promise<Client> => {
      const { client } = await answering(pods, { pool: { connections: 1 }, drainMs: 100 });
      void text(client, 'http://web-1/busy').catch(nothing);
      await eventually(() => pods.arrivals.length === 1, 'an arrival');
      for (let count = 0; count < 3; count += 1) void text(client, 'http://web-1/').catch(nothing);
      return client;
    },
  ],
  [
    'a queue behind a connection that is dialled',
    async (pods: HttpPods): Promise<Client> => {
      await pods.opened.blackHole(pods.at(11), peerPort);
      const client = await pods.client({ 'web-1': pods.at(11) }, { pool: { connections: 1 }, drainMs: 100 });
      for (let count = 0; count < 3; count += 1) void text(client, 'http://web-1/').catch(nothing);
      await new Promise((resolve) => setTimeout(resolve, 20));
      return client;
    },
  ],
] as const) {
  for (const what of ['close() of the library', 'destroy()'] as const) {
    describe(`PeerDispatcher: ${what} with ${name}`, () => {
      const test = httpPods();
      it('settles, and leaves no socket', async () => {
        const { peers, dispatcher } = await begin(test.pods);
        const end = what === 'destroy()' ? dispatcher.destroy() : peers.close();
        assert.equal(await within(600, end), true);
      });
    });
  }
}

describe('PeerDispatcher: whichever requests end first, the others are still known', () => {
  const test = httpPods();

  for (const order of ['0 1 2 3 4', '4 3 2 1 0', '2 0 4 1 3', '3 1 0 2 4'].map((paths) => paths.split(' '))) {
    it(`${order.slice(0, 3).join(', ')} end, then close() waits for ${order[3]}, and destroy() ends ${order[4]}`, async () => {
      const open = new Map<string, ServerResponse>();
      await test.pods.serve('web-1', test.pods.at(11), {
        handler: (incoming, response) => void open.set(incoming.url ?? '', response),
      });
      const client = await test.pods.client({ 'web-1': test.pods.at(11) }, { drainMs });
      const ends = new Map<string, unknown>();
      const requests = [...order].sort().map((path) =>
        text(client, `http://web-1/${path}`).then(
          (body) => ends.set(path, body),
          (error: unknown) => ends.set(path, error),
        ),
      );
      await eventually(() => open.size === order.length, 'all arrivals');
      const finish = async (path: string | undefined): Promise<void> => {
        open.get(`/${path ?? ''}`)?.end(path);
        await eventually(() => ends.has(path ?? ''), `the end of ${path ?? ''}`);
      };
      for (const path of order.slice(0, 3)) await finish(path);
      assert.equal(client.peers.stats().pools.inFlight, 2);

      const closed = client.dispatcher.close();
      await finish(order[3]);
      assert.equal(await within(50, closed), false, 'it did not wait for the last one');
      const over = new Error('over');
      await client.dispatcher.destroy(over);
      await Promise.all([closed, ...requests]);
      assert.deepEqual([...ends], [...order.slice(0, 4).map((path) => [path, path]), [order[4], over]]);
      assert.deepEqual(client.peers.stats().pools, { open: 0, draining: 0, inFlight: 0, waiting: 0 });
    });
  }
});

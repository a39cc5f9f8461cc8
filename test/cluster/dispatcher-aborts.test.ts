import assert from 'node:assert/strict';
import { request } from 'undici';
import { PeerDiscoveryError } from '../../src/errors.ts';
import { callers } from '../support/http-callers.ts';
import type { Client, HttpPods } from '../support/http-pods.ts';
import { assertTook, eventually, failure, httpPods, peerPort } from '../support/http-pods.ts';
import { member } from '../support/member.ts';

/** States in which a caller may lose interest. Each gives the client, and what lets the request go on if it still can. */
const states: Readonly<
  Record<
    'waiting' | 'dialling' | 'queued' | 'in flight',
    (pods: HttpPods) => Promise<{ client: Client; goOn: () => Promise<void> }>
  >
> = {
  waiting: async (pods) => {
    await pods.serve('web-1', pods.at(11));
    const client = await pods.client({ 'web-2': pods.at(12) });
    return { client, goOn: () => pods.shown(client, { 'web-1': pods.at(11), 'web-2': pods.at(12) }) };
  },
  dialling: async (pods) => {
    await pods.opened.blackHole(pods.at(11), peerPort);
    await pods.serve('web-1', pods.at(21));
    const client = await pods.client({ 'web-1': pods.at(11) });
    return { client, goOn: () => pods.shown(client, { 'web-1': pods.at(21) }) };
  },
  queued: async (pods) => {
    let answer = (): void => undefined;
    await pods.serve('web-1', pods.at(11), {
      handler: ({ url }, response) => {
        answer = () => response.end('done');
        if (url !== '/busy') answer();
      },
    });
    const client = await pods.client({ 'web-1': pods.at(11) }, { pool: { connections: 1 } });
    const busy = request('http://web-1/busy', client).then(({ body }) => body.text());
    await eventually(() => pods.arrivals.length === 1, 'the request that keeps it busy');
    return {
      client,
      goOn: async () => {
        answer();
        await busy;
      },
    };
  },
  'in flight': async (pods) => {
    await pods.serve('web-1', pods.at(11), { handler: () => undefined });
    return { client: await pods.client({ 'web-1': pods.at(11) }), goOn: () => Promise.resolve() };
  },
};

describe('PeerDispatcher: a signal of the caller', () => {
  const test = httpPods();
  const reasons = [new Error('the user left'), new DOMException('timed out', 'TimeoutError')];

  for (const { name, call } of callers) {
    for (const [state, begin] of Object.entries(states)) {
      it(`${name}, ${state}: ends at once, with the reason as it is, and nothing is sent afterwards`, async () => {
        const { pods } = test;
        const { client, goOn } = await begin(pods);
        for (const reason of reasons) {
          const before = pods.arrivals.length;
          const controller = new AbortController();
          const calling = failure(call(client.dispatcher, 'http://web-1/mine', { signal: controller.signal }));
          if (state === 'in flight') await eventually(() => pods.arrivals.length > before, 'an arrival');
          else await new Promise((resolve) => setTimeout(resolve, 20));
          const startedAt = performance.now();
          controller.abort(reason);
          const { error } = await calling;
          assert.ok(performance.now() - startedAt < 50);
          assert.equal(error, reason);
        }
        await goOn();
        await new Promise((resolve) => setTimeout(resolve, 30));
        if (state !== 'in flight') assert.ok(pods.arrivals.every(({ path }) => path !== '/mine'));
      });
    }

    it(`${name}: a signal that is aborted already: nothing is sent`, async () => {
      const { pods } = test;
      await pods.serve('web-1', pods.at(11));
      const { dispatcher } = await pods.client({ 'web-1': pods.at(11) });
      const reason = new Error('never mind');
      const { error } = await failure(call(dispatcher, 'http://web-1/', { signal: AbortSignal.abort(reason) }));
      // Undici's stream and pipeline have an error of their own for this, with any dispatcher.
      if (name === 'stream' || name === 'pipeline') assert.equal((error as Error).name, 'AbortError');
      else assert.equal(error, reason);
      await new Promise((resolve) => setTimeout(resolve, 30));
      assert.deepEqual(pods.arrivals, []);
    });
  }

  it('request without a reason of its own ends with an AbortError', async () => {
    const { pods } = test;
    const { dispatcher } = await pods.client({ 'web-2': pods.at(12) });
    const controller = new AbortController();
    const calling = failure(request('http://web-1/', { dispatcher, signal: controller.signal }));
    controller.abort();
    assert.equal(((await calling).error as Error).name, 'AbortError');
  });
});

describe('PeerDispatcher: mistakes and time-outs are named, for every caller alike', () => {
  const test = httpPods();
  const waitMs = 250;

  for (const { name, call } of callers) {
    const cases: readonly [
      what: string,
      code: string,
      afterMs: number,
      make: (pods: HttpPods) => Promise<Client>,
      url: string,
    ][] = [
      [
        'a foreign origin',
        'ERR_UNKNOWN_PEER',
        0,
        (pods) => pods.client({ 'web-1': pods.at(11) }),
        'http://example.com/',
      ],
      ['a pod of another set', 'ERR_UNKNOWN_PEER', 0, (pods) => pods.client({}), 'http://db-1/'],
      ['an IP address', 'ERR_UNKNOWN_PEER', 0, (pods) => pods.client({ 'web-1': pods.at(11) }), 'http://10.0.0.1/'],
      [
        'another namespace',
        'ERR_UNKNOWN_PEER',
        0,
        (pods) => pods.client({}),
        'http://web-1.nginx.staging.svc.cluster.local/',
      ],
      [
        'no address',
        'ERR_NO_ADDRESS',
        waitMs,
        (pods) => pods.client({ 'web-2': pods.at(12) }, { waitMs }),
        'http://web-1/',
      ],
      [
        'no replica',
        'ERR_NO_ADDRESS',
        waitMs,
        (pods) => pods.client({ 'web-0': pods.at(10) }, { waitMs }),
        'http://replica/',
      ],
      [
        'no primary',
        'ERR_NO_PRIMARY',
        waitMs,
        (pods) => pods.client({ 'web-1': pods.at(11) }, { waitMs }),
        'http://primary/',
      ],
      [
        'no roles',
        'ERR_NO_PRIMARY',
        waitMs,
        (pods) => pods.client({ 'web-1': pods.at(11) }, { waitMs }, { primary: false }),
        'http://primary/',
      ],
      [
        'nobody there',
        'ERR_TIMEOUT',
        waitMs,
        (pods) => pods.client({ 'web-1': pods.at(11) }, { waitMs }),
        'http://web-1/',
      ],
      [
        'a black hole, and a connectTimeoutMs that is shorter than waitMs',
        'ERR_TIMEOUT',
        waitMs,
        async (pods) => {
          await pods.opened.blackHole(pods.at(11), peerPort);
          return await pods.client({ 'web-1': pods.at(11) }, { waitMs, connectTimeoutMs: 100 });
        },
        'http://web-1/',
      ],
      [
        'a black hole, and a connectTimeoutMs that is longer than waitMs',
        'ERR_TIMEOUT',
        waitMs,
        async (pods) => {
          await pods.opened.blackHole(pods.at(11), peerPort);
          return await pods.client({ 'web-1': pods.at(11) }, { waitMs, connectTimeoutMs: 1_000 });
        },
        'http://web-1/',
      ],
      [
        'no port',
        'ERR_OPTION',
        0,
        async (pods) => {
          const client = await pods.client({});
          client.dns.port = 0;
          await pods.shown(client, { 'web-1': pods.at(11) });
          return client;
        },
        'http://web-1/',
      ],
      [
        'a dispatcher that is closed',
        'ERR_CLOSED',
        0,
        async (pods) => {
          const client = await pods.client({ 'web-1': pods.at(11) });
          await client.dispatcher.close();
          return client;
        },
        'http://web-1/',
      ],
    ];
    for (const [what, code, afterMs, make, url] of cases) {
      it(`${name}, ${what}: ${code}${afterMs === 0 ? ' at once' : ' after waitMs'}`, async () => {
        const client = await make(test.pods);
        const { error, elapsedMs } = await failure(call(client.dispatcher, url));
        const found = PeerDiscoveryError.from(error);
        assert.equal(found?.code, code, String(error));
        assertTook(elapsedMs, afterMs, 'it');
        if (code === 'ERR_TIMEOUT') {
          assert.ok(found.explanation !== undefined && found.topology !== undefined && found.cause !== undefined);
        }
        if (afterMs > 0) {
          assert.ok(found.topology !== undefined && found.explanation !== undefined && found.lastFailure !== undefined);
          assert.ok((found.elapsedMs ?? 0) >= waitMs - 5);
        }
        assert.deepEqual(test.pods.arrivals, []);
      });
    }
  }

  it('connectTimeoutMs is exact', async () => {
    const { pods } = test;
    await pods.opened.blackHole(pods.at(11), peerPort);
    const client = await pods.client({ 'web-1': pods.at(11) }, { connectTimeoutMs: 300, waitMs: 5_000 });
    const startedAt = performance.now();
    const calling = request('http://web-1/', client);
    await eventually(() => client.peers.stats().hints > 0, 'the first failure');
    assertTook(performance.now() - startedAt, 300, 'the first failure');
    await pods.serve('web-1', pods.at(21));
    await pods.shown(client, { 'web-1': pods.at(21) });
    assert.equal((await calling).statusCode, 200);
  });

  for (const target of ['web-1', 'replica', 'primary']) {
    it(`${target}: a missing peer is not waited for once a connection failed`, async () => {
      const { pods } = test;
      const pod = target === 'primary' ? 'web-0' : 'web-1';
      const client = await pods.client(
        { [pod]: pods.at(11) },
        { waitMs: 3_000 },
        { absence: { missingAfterMs: 100, removeAfterMs: 60_000 } },
      );
      client.dns.views = [{}];
      await eventually(() => {
        void client.peers.refresh().catch(() => undefined);
        return client.peers.topology.peer(pod)?.presence === 'missing';
      }, 'missing');
      const { error, elapsedMs } = await failure(request(`http://${target}/`, client));
      assert.ok(PeerDiscoveryError.from(error) !== undefined);
      assert.ok(elapsedMs < 500, `${elapsedMs} ms`);
    });
  }

  it('a pod that takes no new connections, while one to it is still open: ERR_TIMEOUT after waitMs', async () => {
    const { pods } = test;
    const server = await pods.serve('web-1', pods.at(11), {
      handler: (_request, response) => response.write('first '),
    });
    const { dispatcher } = await pods.client({ 'web-1': pods.at(11) }, { waitMs });
    const { body } = await request('http://web-1/stream', { dispatcher });
    body.on('error', () => undefined);
    server.close();
    const { error, elapsedMs } = await failure(
      request('http://web-1/', { dispatcher, signal: AbortSignal.timeout(3_000) }),
    );
    assert.equal(PeerDiscoveryError.from(error)?.code, 'ERR_TIMEOUT', String(error));
    assertTook(elapsedMs, waitMs, 'it');
    body.destroy();
  });

  it('a member that is the primary and not published yet is waited for, since DNS gives its port when it is', async () => {
    const { pods } = test;
    await pods.serve('web-0', pods.at(10));
    const { peers, dns } = member('web-0', [pods.at(10)]);
    const client = await pods.uses(peers, dns, { 'web-1': pods.at(11) });
    const calling = request('http://primary/', client);
    const settled = Promise.allSettled([calling]);
    await pods.shown(client, { 'web-0': pods.at(10), 'web-1': pods.at(11) });
    const [result] = await settled;
    assert.equal(result.status, 'fulfilled', String((result as { reason?: unknown }).reason));
  });
});

describe('PeerDispatcher: options are checked', () => {
  const test = httpPods();
  for (const options of [
    { port: 0 },
    { port: 65_536 },
    { port: '80' },
    { waitMs: -1 },
    { waitMs: Number.NaN },
    { waitMs: Infinity },
    { connectTimeoutMs: 0 },
    { drainMs: 1.5 },
    { pool: { connect: {} } },
    { pool: { factory: () => undefined } },
    { tls: true },
    { wait: 5 },
    null,
  ]) {
    it(`${JSON.stringify(options)}: ERR_OPTION`, async () => {
      const client = await test.pods.client({});
      const { PeerDispatcher } = await import('../../src/http/peer-dispatcher.ts');
      assert.throws(() => new PeerDispatcher(client.peers, options as never), { code: 'ERR_OPTION' });
    });
  }

  it('anything else than a library object: ERR_OPTION', async () => {
    const { PeerDispatcher } = await import('../../src/http/peer-dispatcher.ts');
    for (const peers of [null, undefined, {}, 'web-1']) {
      assert.throws(() => new PeerDispatcher(peers as never), { code: 'ERR_OPTION' });
    }
  });
});

import assert from 'node:assert/strict';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { interceptors, request } from 'undici';
import { createIdentityGuard } from '../../src/http/identity-guard.ts';
import { retryableErrorCodes } from '../../src/http/peer-dispatcher.ts';
import { PeerDiscoveryError } from '../../src/errors.ts';
import { callers } from '../support/http-callers.ts';
import type { Client, HttpPods } from '../support/http-pods.ts';
import { assertTook, eventually, failure, httpPods, peerPort, sayWho } from '../support/http-pods.ts';
import { member } from '../support/member.ts';

describe('PeerDispatcher: faults', () => {
  const test = httpPods();

  /** A pod that runs the library, and refuses what is not meant for it. */
  async function guarded(pods: HttpPods, pod: string, address: string): Promise<Server> {
    const { peers, dns } = member(pod, [address]);
    pods.opened.add(() => peers.close());
    dns.views = ['silent'];
    const guard = createIdentityGuard(peers);
    return await pods.serve(pod, address, {
      guard: (incoming: IncomingMessage, response: ServerResponse) => guard(incoming, response),
    });
  }
  async function ask({ dispatcher }: Client, url: string): Promise<string> {
    return (await request(url, { dispatcher })).body.text();
  }

  for (const { name, call } of callers) {
    it(`${name}: refused, then the pod comes back in place`, async () => {
      const { pods } = test;
      const client = await pods.client({ 'web-1': pods.at(11) });
      const calling = call(client.dispatcher, 'http://web-1/', { method: 'POST', body: 'hello' });
      await eventually(() => client.peers.stats().hints > 0, 'a hint');
      await pods.serve('web-1', pods.at(11));
      assert.equal((await calling).text, `web-1 at ${pods.at(11)} got hello`);
    });

    it(`${name}: refused, then the pod is at a new address`, async () => {
      const { pods } = test;
      await pods.serve('web-1', pods.at(21));
      const client = await pods.client({ 'web-1': pods.at(11) });
      const calling = call(client.dispatcher, 'http://web-1/', { method: 'POST', body: 'hello' });
      await eventually(() => client.peers.stats().hints > 0, 'a hint');
      client.dns.views = [{ 'web-1': pods.at(21) }];
      assert.equal((await calling).text, `web-1 at ${pods.at(21)} got hello`);
    });

    it(`${name}: dialling a black hole, then the pod is at a new address: at once`, async () => {
      const { pods } = test;
      await pods.opened.blackHole(pods.at(11), peerPort);
      await pods.serve('web-1', pods.at(21));
      const client = await pods.client({ 'web-1': pods.at(11) });
      const calling = call(client.dispatcher, 'http://web-1/', { method: 'POST', body: 'hello' });
      await new Promise((resolve) => setTimeout(resolve, 50));
      const startedAt = performance.now();
      await pods.shown(client, { 'web-1': pods.at(21) });
      assert.equal((await calling).text, `web-1 at ${pods.at(21)} got hello`);
      assert.ok(performance.now() - startedAt < 500);
    });

    it(`${name}: reset in the middle of a response is an error, and a question`, async () => {
      const { pods } = test;
      await pods.serve('web-1', pods.at(11), {
        handler: (incoming, response) => {
          response.writeHead(200, { 'content-length': '100' });
          response.write('half', () => setTimeout(() => incoming.socket.resetAndDestroy(), 20));
        },
      });
      const { dispatcher, peers } = await pods.client({ 'web-1': pods.at(11) });
      await failure(call(dispatcher, 'http://web-1/'));
      await eventually(() => peers.stats().hints > 0, 'a hint');
      assert.equal(pods.arrivals.length, 1, 'what was sent is not sent again');
    });

    it(`${name}: what is under way at a lost address has drainMs, then ends with ERR_PEER_MOVED`, async () => {
      const { pods } = test;
      await pods.serve('web-1', pods.at(11), { handler: () => undefined });
      await pods.serve('web-1', pods.at(21));
      const client = await pods.client({ 'web-1': pods.at(11) }, { drainMs: 250 });
      const calling = failure(call(client.dispatcher, 'http://web-1/'));
      await eventually(() => pods.arrivals.length === 1, 'an arrival');
      const startedAt = performance.now();
      await pods.shown(client, { 'web-1': pods.at(21) });
      const { error } = await calling;
      assertTook(performance.now() - startedAt, 250, 'the end');
      const found = PeerDiscoveryError.from(error);
      assert.equal(found?.code, 'ERR_PEER_MOVED');
      assert.equal(found.podName, 'web-1');
    });

    it(`${name}: what is under way and ends within drainMs is not disturbed`, async () => {
      const { pods } = test;
      await pods.serve('web-1', pods.at(11), {
        handler: (_incoming, response) => {
          response.write('slow ');
          setTimeout(() => response.end('and whole'), 150);
        },
      });
      await pods.serve('web-1', pods.at(21));
      const client = await pods.client({ 'web-1': pods.at(11) });
      const calling = call(client.dispatcher, 'http://web-1/');
      await eventually(() => pods.arrivals.length === 1, 'an arrival');
      await pods.shown(client, { 'web-1': pods.at(21) });
      assert.equal((await calling).text, 'slow and whole');
    });

    it(`${name}: a stranger at the address refuses; the request goes to its pod as soon as that is known`, async () => {
      const { pods } = test;
      await guarded(pods, 'web-2', pods.at(11));
      await guarded(pods, 'web-1', pods.at(21));
      const client = await pods.client({ 'web-1': pods.at(11) });
      const calling = call(client.dispatcher, 'http://web-1/', { method: 'GET' });
      if (name === 'pipeline') {
        // Its body is a stream, which is given once.
        assert.equal((await calling).status, 421);
      } else {
        await eventually(() => pods.arrivals.length === 1, 'an arrival');
        const startedAt = performance.now();
        client.dns.views = [{ 'web-1': pods.at(21), 'web-2': pods.at(11) }];
        assert.equal((await calling).text, `web-1 at ${pods.at(21)} got `);
        assert.ok(performance.now() - startedAt < 400, 'hints are at their fast rate');
      }
      assert.equal(pods.arrivals.filter(({ address }) => address === pods.at(11)).length, 1);
    });
  }

  it('accepted but silent: waits for headersTimeout, which is a question', async () => {
    const { pods } = test;
    await pods.opened.listen(pods.at(11), peerPort, () => undefined);
    const { dispatcher, peers } = await pods.client({ 'web-1': pods.at(11) }, { pool: { headersTimeout: 500 } });
    const { error } = await failure(request('http://web-1/', { dispatcher }));
    assert.equal((error as { code?: string }).code, 'UND_ERR_HEADERS_TIMEOUT');
    await eventually(() => peers.stats().hints > 0, 'a hint');
  });

  it('accepted but silent in the TLS handshake: the connection times out, and is tried again', async () => {
    const { pods } = test;
    let accepted = 0;
    await pods.opened.listen(pods.at(11), peerPort, () => (accepted += 1));
    const { dispatcher } = await pods.client({ 'web-1': pods.at(11) }, { connectTimeoutMs: 200, waitMs: 700 });
    const { error, elapsedMs } = await failure(
      request('https://web-1/', { dispatcher, headers: { host: 'web-1.nginx.default.svc.cluster.local' } }),
    );
    assert.equal(PeerDiscoveryError.from(error)?.code, 'ERR_TIMEOUT');
    assert.ok(elapsedMs < 1_000, `${elapsedMs} ms`);
    assert.ok(accepted > 1, `${accepted} connections`);
  });

  it('half-open: a kept connection whose peer is silent ends when the pod has moved', async () => {
    const { pods } = test;
    const server = await pods.serve('web-1', pods.at(11));
    await pods.serve('web-1', pods.at(21));
    const client = await pods.client({ 'web-1': pods.at(11) }, { drainMs: 100 });
    await ask(client, 'http://web-1/');
    server.removeAllListeners('request');
    const hanging = failure(ask(client, 'http://web-1/'));
    await eventually(() => pods.written.length === 2, 'the second request');
    await pods.shown(client, { 'web-1': pods.at(21) });
    assert.equal(await ask(client, 'http://web-1/'), `web-1 at ${pods.at(21)} got `);
    assert.equal(PeerDiscoveryError.from((await hanging).error)?.code, 'ERR_PEER_MOVED');
  });

  it('slow: a response that trickles is whole', async () => {
    const { pods } = test;
    await pods.serve('web-1', pods.at(11), {
      handler: (_incoming, response) => {
        let left = 20;
        const timer = setInterval(() => {
          response.write('.');
          left -= 1;
          if (left > 0) return;
          clearInterval(timer);
          response.end();
        }, 10);
      },
    });
    const client = await pods.client({ 'web-1': pods.at(11) });
    assert.equal(await ask(client, 'http://web-1/'), '.'.repeat(20));
  });

  it('recreated in place: a kept connection that was reset is replaced, for requests that follow', async () => {
    const { pods } = test;
    const first = await pods.serve('web-1', pods.at(11));
    const client = await pods.client({ 'web-1': pods.at(11) });
    await ask(client, 'http://web-1/');
    await pods.stop(first);
    const calling = ask(client, 'http://web-1/');
    await pods.serve('web-1', pods.at(11));
    assert.equal(await calling, `web-1 at ${pods.at(11)} got `);
  });

  it('an address that another pod took over, without a guard: nothing reaches it once that is known', async () => {
    const { pods } = test;
    const first = await pods.serve('web-1', pods.at(11));
    const client = await pods.client({ 'web-1': pods.at(11), 'web-2': pods.at(12) });
    await ask(client, 'http://web-1/');
    await pods.stop(first);
    await pods.serve('web-2', pods.at(11));
    await pods.serve('web-1', pods.at(21));
    await pods.shown(client, { 'web-1': pods.at(21), 'web-2': pods.at(11) });
    assert.equal(await ask(client, 'http://web-1/'), `web-1 at ${pods.at(21)} got `);
    assert.equal(await ask(client, 'http://web-2/'), `web-2 at ${pods.at(11)} got `);
  });

  for (const { name, call, hasStreamBody } of callers) {
    if (hasStreamBody) continue;
    it(`${name}: where nobody but a stranger is there the caller hears ERR_STRANGER after waitMs`, async () => {
      const { pods } = test;
      let processed = 0;
      const { peers } = member('web-2', [pods.at(11)]);
      pods.opened.add(() => peers.close());
      const guard = createIdentityGuard(peers);
      await pods.serve('web-2', pods.at(11), {
        guard: (incoming, response) => guard(incoming, response),
        handler: (_incoming, response) => {
          processed += 1;
          response.end();
        },
      });
      const { dispatcher } = await pods.client({ 'web-1': pods.at(11) }, { waitMs: 300 });
      const { error, elapsedMs } = await failure(call(dispatcher, 'http://web-1/'));
      assert.equal(PeerDiscoveryError.from(error)?.code, 'ERR_STRANGER');
      assertTook(elapsedMs, 300, name);
      assert.equal(processed, 0);
    });
  }

  it('two pods swap addresses, under load, with guards: no answer from the wrong one, no failure under retry', async () => {
    const { pods } = test;
    const first = await Promise.all([guarded(pods, 'web-1', pods.at(11)), guarded(pods, 'web-2', pods.at(12))]);
    const client = await pods.client({ 'web-1': pods.at(11), 'web-2': pods.at(12) });
    const dispatcher = client.dispatcher.compose(
      interceptors.retry({ errorCodes: [...retryableErrorCodes], minTimeout: 20 }),
    );
    const answers: Promise<string>[] = [];
    const load = setInterval(() => {
      for (const pod of ['web-1', 'web-2']) {
        answers.push(
          request(`http://${pod}/`, { dispatcher }).then(
            async ({ body }) => ((await body.text()).startsWith(`${pod} at`) ? 'right' : 'wrong'),
            (error: unknown) => String(error),
          ),
        );
      }
    }, 10);
    try {
      await eventually(() => pods.arrivals.length > 10, 'requests');
      await Promise.all(first.map((server) => pods.stop(server)));
      await Promise.all([guarded(pods, 'web-2', pods.at(11)), guarded(pods, 'web-1', pods.at(12))]);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await pods.shown(client, { 'web-1': pods.at(12), 'web-2': pods.at(11) });
      const before = answers.length;
      await eventually(() => answers.length > before + 20, 'more requests');
    } finally {
      clearInterval(load);
    }
    const counts: Record<string, number> = {};
    for (const answer of await Promise.all(answers)) counts[answer] = (counts[answer] ?? 0) + 1;
    assert.deepEqual(Object.keys(counts), ['right'], JSON.stringify(counts));
  });

  it('the primary changed by policy: requests go to the new one, those under way at the old one are its own', async () => {
    const { pods } = test;
    let designated = 'web-0';
    await pods.serve('web-0', pods.at(10), {
      handler: (_incoming, response) => void setTimeout(() => response.end('from web-0'), 150),
    });
    await pods.serve('web-1', pods.at(11));
    const view = { 'web-0': pods.at(10), 'web-1': pods.at(11) };
    const client = await pods.client(view, {}, { primary: () => designated });
    const first = ask(client, 'http://primary/');
    await eventually(() => pods.arrivals.length === 1, 'an arrival');
    designated = 'web-1';
    await client.peers.refresh();
    assert.equal(client.peers.topology.primary?.podName, 'web-1');
    assert.equal(await ask(client, 'http://primary/'), `web-1 at ${pods.at(11)} got `);
    assert.equal(await first, 'from web-0');
  });

  it('self becomes the primary: what waited for one is sent to it', async () => {
    const { pods } = test;
    let designated: string | null = null;
    await pods.serve('web-1', pods.at(11));
    const { peers, dns } = member('web-1', [pods.at(11)], { primary: () => designated });
    const client = await pods.uses(peers, dns, { 'web-0': pods.at(10), 'web-1': pods.at(11) });
    const asking = ask(client, 'http://primary/');
    designated = 'web-1';
    await peers.refresh();
    assert.equal(peers.self.role, 'primary');
    assert.equal(await asking, `web-1 at ${pods.at(11)} got `);
  });

  it('a merely gained address disturbs nothing, in flight or kept', async () => {
    const { pods } = test;
    const sockets = new Set<Socket>();
    await pods.serve('web-1', pods.at(11), {
      handler: (incoming, response) => {
        sockets.add(incoming.socket);
        setTimeout(() => response.end('whole'), 100);
      },
    });
    const client = await pods.client({ 'web-1': pods.at(11) }, { drainMs: 0 });
    const first = ask(client, 'http://web-1/');
    await eventually(() => pods.arrivals.length === 1, 'an arrival');
    await pods.shown(client, { 'web-1': [pods.at(11), 'fd00::11'] });
    assert.equal(client.peers.topology.peer(1)?.addresses.length, 2);
    assert.equal(await first, 'whole');
    // Undici says a turn later that the connection is free.
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(await ask(client, 'http://web-1/'), 'whole');
    assert.equal(sockets.size, 1);
  });

  it('DNS fails while pods are healthy: nothing fails', async () => {
    const { pods } = test;
    await pods.serve('web-1', pods.at(11), { handler: sayWho('web-1', pods.at(11)) });
    const client = await pods.client({ 'web-1': pods.at(11) }, { pool: { pipelining: 0 } });
    for (const fault of ['servfail', 'silent', 'closed', 'garbage'] as const) {
      client.dns.views = [fault];
      for (let count = 0; count < 5; count += 1) assert.match(await ask(client, 'http://web-1/'), /^web-1/);
    }
  });

  it('the primary changed by policy while requests are queued and dialling: they go to the new one', async () => {
    const { pods } = test;
    let designated = 'web-0';
    await pods.opened.blackHole(pods.at(10), peerPort);
    await pods.serve('web-1', pods.at(11));
    const view = { 'web-0': pods.at(10), 'web-1': pods.at(11) };
    const client = await pods.client(view, { pool: { connections: 1 } }, { primary: () => designated });
    const waiting = Array.from({ length: 3 }, () => ask(client, 'http://primary/'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    designated = 'web-1';
    await client.peers.refresh();
    for (const text of await Promise.all(waiting)) assert.equal(text, `web-1 at ${pods.at(11)} got `);
  });
});

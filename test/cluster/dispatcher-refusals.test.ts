import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { fetch as undiciFetch, request, upgrade } from 'undici';
import { PeerDiscoveryError } from '../../src/errors.ts';
import { createIdentityGuard } from '../../src/http/identity-guard.ts';
import { callers } from '../support/http-callers.ts';
import type { HttpPods } from '../support/http-pods.ts';
import { bodyOf, eventually, failure, httpPods } from '../support/http-pods.ts';
import { member } from '../support/member.ts';

const upload = randomBytes(8 * 1024 * 1024);

describe('PeerDispatcher: 421', () => {
  const test = httpPods();

  /** Another pod has the address of web-1, and refuses; web-1 keeps what it is sent. */
  async function stranger(pods: HttpPods): Promise<Buffer[]> {
    const { peers, dns } = member('web-2', [pods.at(11)]);
    pods.opened.add(() => peers.close());
    dns.views = ['silent'];
    const guard = createIdentityGuard(peers);
    const server = await pods.serve('web-2', pods.at(11), { guard: (incoming, response) => guard(incoming, response) });
    server.on('upgrade', (incoming, socket) => void guard(incoming, socket));
    const kept: Buffer[] = [];
    await pods.serve('web-1', pods.at(21), {
      handler: async (incoming, response) => {
        kept.push(await bodyOf(incoming));
        response.end('done');
      },
    });
    return kept;
  }

  for (const { name, call } of callers) {
    it(`${name}: an application's own 421 is left alone`, async () => {
      const { pods } = test;
      await pods.serve('web-1', pods.at(11), {
        handler: (_incoming, response) => response.writeHead(421, { 'x-mine': 'yes' }).end('mine'),
      });
      const { dispatcher, peers } = await pods.client({ 'web-1': pods.at(11) });
      const { status, text, headers } = await call(dispatcher, 'http://web-1/');
      assert.deepEqual([status, text, headers['x-mine']], [421, 'mine', 'yes']);
      assert.equal(peers.topology.peer(1)?.addresses.length, 1);
      assert.equal(peers.stats().hints, 0, 'it is no failed connection');
      // Fetch sends it once more by itself.
      assert.equal(pods.arrivals.length, name.endsWith('fetch') ? 2 : 1);
    });

    it(`${name}: an upload of 8 MiB that a stranger refuses arrives whole at its pod, or the caller gets the 421`, async () => {
      const { pods } = test;
      const kept = await stranger(pods);
      const client = await pods.client({ 'web-1': pods.at(11) });
      const calling = call(client.dispatcher, 'http://web-1/', { method: 'POST', body: upload });
      await eventually(() => pods.arrivals.length === 1, 'an arrival');
      await pods.shown(client, { 'web-1': pods.at(21), 'web-2': pods.at(11) });
      const { status } = await calling;
      if (name === 'pipeline') {
        assert.deepEqual([status, kept.length], [421, 0]);
      } else if (name.endsWith('fetch')) {
        // Fetch turns it into a stream, whose second half is fetch's own to give.
        assert.ok(status === 421 ? kept.length === 0 : kept[0]?.equals(upload), `${status}`);
      } else {
        assert.equal(status, 200);
        assert.ok(kept[0]?.equals(upload));
      }
      assert.ok(kept.length <= 1);
    });
  }

  for (const [form, make] of [
    ['a stream', () => Readable.from([Buffer.from('one'), Buffer.from('two')])],
    ['an async generator', () => parts()],
    ['a long stream', () => Readable.from(chunks())],
  ] as const) {
    it(`request with ${form}: the refusal reaches the caller as 421, and the stranger is reported`, async () => {
      const { pods } = test;
      const kept = await stranger(pods);
      const client = await pods.client({ 'web-1': pods.at(11) });
      const { statusCode, body } = await request('http://web-1/', {
        ...client,
        method: 'POST',
        body: make() as Readable,
      });
      assert.equal(statusCode, 421);
      assert.match(await body.text(), /meant for web-1/);
      assert.deepEqual(client.peers.topology.peer(1)?.addresses, []);
      assert.deepEqual(kept, []);
      await pods.shown(client, { 'web-1': pods.at(21), 'web-2': pods.at(11) });
      assert.equal((await request('http://web-1/', client)).statusCode, 200);
    });
  }

  for (const [name, send] of [
    ['undici fetch', undiciFetch as unknown as typeof fetch],
    ['built-in fetch', fetch],
  ] as const) {
    it(`${name}: an application's 421 to a string body is sent once more by fetch, to a stream it is not`, async () => {
      const { pods } = test;
      const bodies: string[] = [];
      await pods.serve('web-1', pods.at(11), {
        handler: async (incoming, response) => {
          bodies.push((await bodyOf(incoming)).toString());
          response.writeHead(421).end('mine');
        },
      });
      const { dispatcher, peers } = await pods.client({ 'web-1': pods.at(11) });
      const post = (body: unknown): Promise<Response> =>
        send('http://web-1/', { method: 'POST', body, dispatcher, duplex: 'half' } as unknown as RequestInit);
      const first = await post('hello');
      assert.deepEqual([first.status, await first.text()], [421, 'mine']);
      assert.deepEqual(bodies, ['hello', 'hello']);
      const second = await post(ReadableStream.from([Buffer.from('once')]));
      assert.deepEqual([second.status, await second.text()], [421, 'mine']);
      assert.deepEqual(bodies, ['hello', 'hello', 'once']);
      assert.equal(peers.stats().hints, 0);
    });
  }

  it('strangers at five addresses in a row, then the pod: no caller hears of it', async () => {
    const { pods } = test;
    const kept = await stranger(pods);
    const client = await pods.client({ 'web-1': pods.at(11) });
    for (const last of [12, 13, 14, 15]) {
      const { peers, dns } = member('web-2', [pods.at(last)]);
      pods.opened.add(() => peers.close());
      dns.views = ['silent'];
      const guard = createIdentityGuard(peers);
      await pods.serve('web-2', pods.at(last), { guard: (incoming, response) => guard(incoming, response) });
    }
    const calling = request('http://web-1/', { ...client, method: 'POST', body: 'hello' });
    for (const last of [12, 13, 14, 15, 21]) {
      const before = pods.arrivals.length;
      await eventually(() => client.peers.topology.peer(1)?.addresses.length === 0, 'a refusal');
      await pods.shown(client, { 'web-1': pods.at(last) });
      await eventually(() => pods.arrivals.length > before || kept.length > 0, 'the next try');
    }
    assert.equal((await calling).statusCode, 200);
    assert.deepEqual(kept.map(String), ['hello']);
  });

  it('a refused upgrade', async () => {
    const { pods } = test;
    await stranger(pods);
    const client = await pods.client({ 'web-1': pods.at(11) }, { waitMs: 300 });
    const { error } = await failure(upgrade('http://web-1/', { ...client, protocol: 'echo' }));
    assert.equal(PeerDiscoveryError.from(error)?.code, 'ERR_STRANGER', String(error));
    assert.deepEqual(client.peers.topology.peer(1)?.addresses, []);
  });

  it('a refusal of a target that is a role goes to the one who has it', async () => {
    const { pods } = test;
    await stranger(pods);
    const client = await pods.client({ 'web-0': pods.at(11), 'web-1': pods.at(21) }, { waitMs: 2_000 });
    await pods.serve('web-0', pods.at(20));
    const calling = request('http://primary/', client);
    await eventually(() => client.peers.topology.peer(0)?.addresses.length === 0, 'a refusal');
    await pods.shown(client, { 'web-0': pods.at(20), 'web-1': pods.at(21), 'web-2': pods.at(11) });
    assert.equal((await calling).headers['x-pod'], 'web-0');
  });
});

async function* parts(): AsyncGenerator<string> {
  await Promise.resolve();
  yield 'one';
  yield 'two';
}

async function* chunks(): AsyncGenerator<Buffer> {
  for (let at = 0; at < upload.length; at += 65_536) {
    await new Promise((resolve) => setImmediate(resolve));
    yield upload.subarray(at, at + 65_536);
  }
}

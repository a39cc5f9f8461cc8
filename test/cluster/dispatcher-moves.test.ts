import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { FormData as UndiciFormData, fetch as undiciFetch, request } from 'undici';
import type { ConnectionMessage } from '../../src/diagnostics.ts';
import type { Client, HttpPods } from '../support/http-pods.ts';
import { bodyOf, eventually, failure, httpPods, peerPort } from '../support/http-pods.ts';

const big = randomBytes(200_000);

/** Every form of a body, how it is sent, and what must arrive. */
const bodies: readonly {
  readonly form: string;
  readonly send: (dispatcher: Dispatcher) => Promise<{ readonly status: number }>;
  readonly arrives: (body: Buffer, contentType: string) => void;
}[] = [
  ...(
    [
      ['a string', () => 'æøå'.repeat(1_000), Buffer.from('æøå'.repeat(1_000))],
      ['a Buffer', () => big, big],
      ['a Uint8Array', () => new Uint8Array(big), big],
      ['a Blob', () => new Blob([big]), big],
      ['a stream', () => Readable.from([big.subarray(0, 1_000), big.subarray(1_000)]), big],
      ['an async generator', () => inParts(big), big],
      ['a stream that has begun to flow', () => flowing(big), big],
      ['nothing', () => null, Buffer.alloc(0)],
    ] as const
  ).map(([form, make, expected]) => ({
    form: `request with ${form}`,
    send: async (dispatcher: Dispatcher) => {
      const { statusCode, body } = await request('http://web-1/', {
        dispatcher,
        method: 'POST',
        body: make() as Buffer,
      });
      await body.dump();
      return { status: statusCode };
    },
    arrives: (body: Buffer) => {
      assert.ok(body.equals(expected), `${body.length} bytes in place of ${expected.length}`);
    },
  })),
  {
    form: 'request with a FormData',
    send: async (dispatcher) => {
      const body = new UndiciFormData();
      body.set('field', 'value');
      body.set('file', new Blob([big]), 'file.bin');
      const answer = await request('http://web-1/', { dispatcher, method: 'POST', body });
      await answer.body.dump();
      return { status: answer.statusCode };
    },
    arrives: formArrived,
  },
  ...(
    [
      ['undici fetch', undiciFetch as unknown as typeof fetch, UndiciFormData as unknown as typeof FormData],
      ['built-in fetch', fetch, FormData],
    ] as const
  ).flatMap(([name, send, Form]) => {
    const sender =
      (make: () => unknown) =>
      async (dispatcher: Dispatcher): Promise<{ status: number }> => {
        const init = { method: 'POST', body: make(), duplex: 'half', dispatcher } as unknown as RequestInit;
        const { status } = await send('http://web-1/', init);
        return { status };
      };
    const same = (body: Buffer): void => {
      assert.ok(body.equals(big), `${body.length} bytes in place of ${big.length}`);
    };
    return [
      { form: `${name} with a Buffer`, send: sender(() => big), arrives: same },
      { form: `${name} with a Blob`, send: sender(() => new Blob([big])), arrives: same },
      { form: `${name} with a ReadableStream`, send: sender(() => ReadableStream.from(inParts(big))), arrives: same },
      { form: `${name} with an async generator`, send: sender(() => inParts(big)), arrives: same },
      {
        form: `${name} with a FormData`,
        send: sender(() => {
          const body = new Form();
          body.set('field', 'value');
          body.set('file', new Blob([big]), 'file.bin');
          return body;
        }),
        arrives: formArrived,
      },
      {
        form: `${name} with URLSearchParams`,
        send: sender(() => new URLSearchParams({ one: '1', two: 'ü' })),
        arrives: (body: Buffer) => {
          assert.equal(body.toString(), 'one=1&two=%C3%BC');
        },
      },
    ];
  }),
];

describe('PeerDispatcher: what was not sent is taken back on a move', () => {
  const test = httpPods();

  /** web-1 at its next address; keeps what it is sent. */
  async function keeper(pods: HttpPods): Promise<{ body: Buffer; contentType: string }[]> {
    const kept: { body: Buffer; contentType: string }[] = [];
    await pods.serve('web-1', pods.at(21), {
      handler: async (incoming, response) => {
        kept.push({ body: await bodyOf(incoming), contentType: incoming.headers['content-type'] ?? '' });
        response.end();
      },
    });
    return kept;
  }
  /** web-1, whose only connection is busy with one request, which is answered on `release`. */
  async function busy(pods: HttpPods): Promise<Client & { release: () => Promise<void> }> {
    let answer = (): void => undefined;
    await pods.serve('web-1', pods.at(11), {
      handler: (_incoming, response) => {
        answer = () => response.end('done');
      },
    });
    const client = await pods.client({ 'web-1': pods.at(11) }, { pool: { connections: 1 } });
    const text = request('http://web-1/busy', client).then(({ body }) => body.text());
    await eventually(() => pods.arrivals.length === 1, 'the request that keeps it busy');
    const release = async (): Promise<void> => {
      answer();
      assert.equal(await text, 'done');
    };
    return { ...client, release };
  }

  for (const { form, send, arrives } of bodies) {
    it(`${form}: queued behind a busy connection`, async () => {
      const { pods } = test;
      const kept = await keeper(pods);
      const client = await busy(pods);
      const sending = Array.from({ length: 3 }, () => send(client.dispatcher));
      await new Promise((resolve) => setTimeout(resolve, 20));
      await pods.shown(client, { 'web-1': pods.at(21) });
      for (const { status } of await Promise.all(sending)) assert.equal(status, 200);
      assert.equal(kept.length, 3);
      for (const { body, contentType } of kept) arrives(body, contentType);
      await client.release();
      await new Promise((resolve) => setTimeout(resolve, 20));
      const toOld = pods.arrivals.filter(({ address }) => address === pods.at(11));
      assert.deepEqual(
        toOld.map(({ path }) => path),
        ['/busy'],
      );
    });

    it(`${form}: on a connecting socket`, async () => {
      const { pods } = test;
      const kept = await keeper(pods);
      await pods.opened.blackHole(pods.at(11), peerPort);
      const client = await pods.client({ 'web-1': pods.at(11) });
      const sending = send(client.dispatcher);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await pods.shown(client, { 'web-1': pods.at(21) });
      assert.equal((await sending).status, 200);
      assert.equal(kept.length, 1);
      for (const { body, contentType } of kept) arrives(body, contentType);
    });

    it(`${form}: after a connection that was refused`, async () => {
      const { pods } = test;
      const kept = await keeper(pods);
      const client = await pods.client({ 'web-1': pods.at(11) });
      const sending = send(client.dispatcher);
      await eventually(() => client.peers.stats().hints > 0, 'a hint');
      await pods.shown(client, { 'web-1': pods.at(21) });
      assert.equal((await sending).status, 200);
      for (const { body, contentType } of kept) arrives(body, contentType);
      assert.equal(kept.length, 1);
    });
  }

  for (const state of ['waiting for an address', 'dialling', 'queued'] as const) {
    it(`a stream that fails while the request is ${state}: at once, with its own error`, async () => {
      const { pods } = test;
      let client: Client;
      let release = (): Promise<void> => Promise.resolve();
      if (state === 'queued') {
        ({ release, ...client } = await busy(pods));
      } else {
        if (state === 'dialling') await pods.opened.blackHole(pods.at(11), peerPort);
        client = await pods.client(state === 'dialling' ? { 'web-1': pods.at(11) } : { 'web-2': pods.at(12) });
      }
      const before = pods.arrivals.length;
      const body = new Readable({ read: () => undefined });
      const sending = failure(request('http://web-1/', { ...client, method: 'POST', body }));
      await new Promise((resolve) => setTimeout(resolve, 30));
      const startedAt = performance.now();
      const cause = new Error('the disk is gone');
      body.destroy(cause);
      assert.equal((await sending).error, cause);
      assert.ok(performance.now() - startedAt < 100);
      await pods.shown(client, { 'web-1': pods.at(21), 'web-2': pods.at(12) });
      await release();
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(pods.arrivals.length, before);
    });
  }

  it('a stream that fails before it is handed over is an error of the request, and nothing is sent', async () => {
    const { pods } = test;
    await pods.serve('web-1', pods.at(11));
    const client = await pods.client({ 'web-1': pods.at(11) });
    const body = new Readable({ read: () => undefined });
    body.on('error', () => undefined);
    body.destroy(new Error('the disk is gone'));
    await new Promise((resolve) => setImmediate(resolve));
    await failure(request('http://web-1/', { ...client, method: 'POST', body }));
    assert.equal(client.peers.stats().hints, 0);
  });

  it('pipelined requests behind one that never ends do not reach the lost address', async () => {
    const { pods } = test;
    await keeper(pods);
    const client = await pods.client(
      { 'web-1': pods.at(11) },
      { pool: { connections: 1, pipelining: 3 }, drainMs: 50 },
    );
    await pods.serve('web-1', pods.at(11), { handler: () => undefined });
    const sending = Array.from({ length: 10 }, (_, index) =>
      request(`http://web-1/${index}`, { ...client, blocking: false }).then(
        ({ statusCode }) => statusCode,
        (error: unknown) => (error as { code?: unknown }).code,
      ),
    );
    await eventually(() => pods.written.length >= 3, 'three requests');
    await pods.shown(client, { 'web-1': pods.at(21) });
    const results = await Promise.all(sending);
    const written = pods.written.filter(({ address }) => address === pods.at(11)).length;
    assert.deepEqual(results.filter((result) => result === 'ERR_PEER_MOVED').length, written);
    assert.deepEqual(results.filter((result) => result === 200).length, 10 - written);
  });
});

describe('PeerDispatcher: over one connection', () => {
  const test = httpPods();

  it('what was not sent goes to the new address in the order in which it came', async () => {
    const { pods } = test;
    const open: ServerResponse[] = [];
    await pods.serve('web-1', pods.at(11), { handler: (_incoming, response) => void open.push(response) });
    await pods.serve('web-1', pods.at(21));
    const client = await pods.client({ 'web-1': pods.at(11) }, { pool: { connections: 1 } });
    const requests = ['/0', '/1', '/2', '/3', '/4', '/5', '/6'].map(async (path) => {
      const { body } = await client.dispatcher.request({ origin: 'http://web-1', path, method: 'PUT', body: path });
      await body.dump();
    });
    // Two end, so that places become free in the middle; the third is under way.
    for (const arrived of [1, 2, 3]) {
      await eventually(() => open.length === arrived, `arrival ${arrived}`);
      if (arrived < 3) open[arrived - 1]?.end();
    }
    await pods.shown(client, { 'web-1': pods.at(21) });
    open[2]?.end();
    await Promise.all(requests);
    const arrivedAt = (address: string): string[] =>
      pods.arrivals.flatMap((arrival) => (arrival.address === address ? [arrival.path] : []));
    assert.deepEqual(arrivedAt(pods.at(11)), ['/0', '/1', '/2']);
    assert.deepEqual(arrivedAt(pods.at(21)), ['/3', '/4', '/5', '/6']);
  });
});

describe('PeerDispatcher: two moves in a row', () => {
  const test = httpPods();

  it('many requests: each is sent once, to the last address, and nothing dials a lost one', async () => {
    const { pods } = test;
    const numbers: number[] = [];
    await pods.serve('web-1', pods.at(21), {
      handler: async (incoming, response) => {
        numbers.push(Number((await bodyOf(incoming)).toString()));
        response.end();
      },
    });
    await pods.opened.blackHole(pods.at(11), peerPort);
    await pods.opened.blackHole(pods.at(31), peerPort);
    const client = await pods.client({ 'web-1': pods.at(11) }, { pool: { connections: 1 } });
    const sending = Array.from({ length: 50 }, (_, index) =>
      request(`http://web-1/${index}`, { ...client, method: 'POST', body: String(index) }),
    );
    for (const last of [31, 21]) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await pods.shown(client, { 'web-1': pods.at(last) });
    }
    const dialled: string[] = [];
    const onDial = (message: unknown): void => {
      dialled.push((message as ConnectionMessage).address);
    };
    subscribe('stateful-peers:connection:start', onDial);
    try {
      for (const { statusCode } of await Promise.all(sending)) assert.equal(statusCode, 200);
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      unsubscribe('stateful-peers:connection:start', onDial);
    }
    assert.deepEqual(
      numbers.sort((one, other) => one - other),
      Array.from({ length: 50 }, (_, index) => index),
    );
    assert.deepEqual(
      dialled.filter((address) => address !== pods.at(21)),
      [],
    );
  });
});

async function* inParts(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += 50_000) {
    await new Promise((resolve) => setImmediate(resolve));
    yield bytes.subarray(from, from + 50_000);
  }
}

/** Has something to read from the start, as a stream that is piped from a socket. */
function flowing(bytes: Buffer): Readable {
  const stream = new Readable({ read: () => undefined });
  stream.push(bytes.subarray(0, 1_000));
  setTimeout(() => {
    stream.push(bytes.subarray(1_000));
    stream.push(null);
  }, 5);
  return stream;
}

function formArrived(body: Buffer, contentType: string): void {
  const boundary = /boundary=(\S+)/.exec(contentType)?.[1] ?? '?';
  const text = body.toString('latin1');
  assert.ok(text.startsWith(`--${boundary}\r\n`), 'the boundary of the header is that of the body');
  assert.ok(text.trimEnd().endsWith(`--${boundary}--`));
  assert.ok(text.includes('name="field"\r\n\r\nvalue\r\n'));
  assert.ok(body.includes(big), 'the file is whole');
}

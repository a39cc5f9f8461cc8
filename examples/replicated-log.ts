/**
 * A small replicated service, the whole of it: web-0 takes writes over HTTP, the other pods bootstrap from it and follow
 * it, and each keeps what it has on its own volume. It shows what the library is for: who leads and who follows, requests
 * that follow a name, a guard against requests that were meant for another pod, a readiness probe that cannot deadlock,
 * and the order of an orderly end.
 *
 * What it is not: no consensus. A write is acknowledged when the primary has it on its volume, not when the others have.
 * Two processes that both take themselves for web-0 are told apart by the volume, since DNS cannot: log-volume.ts.
 *
 * PUT /log/ID    writes an entry; the same ID again changes nothing, so that it can be sent again
 * GET /log       entries as JSON lines, from `?from=N` on, then each new one as it comes (`?follow=no`: only what is there)
 * GET /ready     for the readiness probe
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { discoverPeers } from 'stateful-peers';
import { PeerDispatcher, createIdentityGuard } from 'stateful-peers/undici';
import { request } from 'undici';
import type { Entry } from './log-volume.ts';
import { LogVolume } from './log-volume.ts';
import { endWithParent, report, reportEvents } from './reporting.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '7000' },
    data: { type: 'string', default: process.env['DATA_DIR'] ?? '/data' },
    'min-interval-ms': { type: 'string', default: '1000' },
    'max-interval-ms': { type: 'string', default: '5000' },
    'missing-after-ms': { type: 'string', default: '45000' },
    'remove-after-ms': { type: 'string', default: '120000' },
  },
});

const peers = discoverPeers({
  port: 'peer',
  refresh: { minIntervalMs: Number(values['min-interval-ms']), maxIntervalMs: Number(values['max-interval-ms']) },
  absence: {
    missingAfterMs: Number(values['missing-after-ms']),
    removeAfterMs: Number(values['remove-after-ms']),
  },
});
const dispatcher = new PeerDispatcher(peers);
const guard = createIdentityGuard(peers);
const { podName } = peers.self;
reportEvents(peers);
endWithParent();

// ---- the log, on this pod's volume -----------------------------------------------------------------------------------

const longestLine = 1_000_000;
const volume = new LogVolume(values.data);
const log = volume.entries;
const known = new Map(log.map((entry) => [entry.id, entry]));
const readers = new Set<(entry: Entry) => void>();

/** On the volume first, then for everybody to see. */
function append(entry: Entry): void {
  volume.append(entry);
  known.set(entry.id, entry);
  for (const reader of readers) reader(entry);
}

// ---- primary and replicas --------------------------------------------------------------------------------------------

report({
  kind: 'hello',
  podName,
  address: `${ownAddress()}:${values.port}`,
  service: peers.identity.serviceName,
  pid: process.pid,
});

let isLeading = false;
let isCaughtUp = false;
let isStopping = false;

// web-0 with an empty volume must not found a second log: what the others have comes first.
const leading = peers.lead(async ({ signal }) => {
  const { peers: all } = await peers.ready({ timeoutMs: Infinity, signal });
  for (const other of all) if (!other.isSelf && other.presence === 'published') await catchUp(other.podName, signal);
  isLeading = true;
  try {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  } finally {
    isLeading = false;
  }
});

const following = peers.follow('primary', async (primary, { signal }) => {
  const url = `http://${primary.podName}/log?from=${log.length}`;
  const { statusCode, body } = await request(url, { dispatcher, signal });
  if (statusCode !== 200) throw new Error(`${primary.podName} answered ${statusCode}: ${await body.text()}`);
  isCaughtUp = true;
  for await (const line of linesOf(body)) append(entryOf(line));
});

async function catchUp(from: string, signal: AbortSignal): Promise<void> {
  const url = `http://${from}/log?from=${log.length}&follow=no`;
  try {
    const { statusCode, body } = await request(url, { dispatcher, signal, headersTimeout: 2_000 });
    if (statusCode !== 200) throw new Error(`${statusCode}: ${await body.text()}`);
    for await (const line of linesOf(body)) append(entryOf(line));
  } catch (error) {
    // With nothing of its own it must not begin before it knows: it fails, and is run again.
    if (signal.aborted || log.length === 0) throw error;
    report({ kind: 'trouble', what: `${from} could not be asked for what it has: ${String(error)}` });
  }
}

async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > longestLine) throw new Error(`a line of more than ${longestLine} characters`);
    yield* lines;
  }
}

/** What comes over the network is checked: an exception here ends this attempt, and the follower begins again. */
function entryOf(line: string): Entry {
  const { index, id, value } = JSON.parse(line) as Partial<Record<keyof Entry, unknown>>;
  if (typeof index !== 'number' || typeof id !== 'string' || typeof value !== 'string') throw new Error('no entry');
  return { index, id, value };
}

// ---- HTTP ------------------------------------------------------------------------------------------------------------

const server = createServer((incoming, response) => {
  response.setHeader('pod', podName);
  if (!guard(incoming, response)) return;
  void serve(incoming, response).catch((error: unknown) => response.destroy(error as Error));
});

async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = '/' } = incoming;
  const { pathname, searchParams } = new URL(url, 'http://pod');
  if (method === 'GET' && pathname === '/ready') {
    // A replica is Ready when it has reached the primary, the primary when it leads: nobody waits for its own record in
    // DNS, which a Service that publishes only Ready pods does not give it before.
    const isReady = !isStopping && !volume.isLost() && (isLeading || isCaughtUp);
    answer(response, isReady ? 200 : 503, podName);
  } else if (method === 'GET' && pathname === '/log') {
    sendLog(response, Number(searchParams.get('from') ?? 0), searchParams.get('follow') !== 'no');
  } else if (method === 'PUT' && pathname.startsWith('/log/')) {
    const value = await text(incoming);
    const id = decodeURIComponent(pathname.slice('/log/'.length));
    if (!isLeading || volume.isLost()) {
      answer(response, 503, `${podName} does not lead`, { 'retry-after': '0' });
      return;
    }
    if (value.length + id.length > longestLine / 4) {
      answer(response, 413, 'too long');
      return;
    }
    if (!known.has(id)) append({ index: log.length, id, value });
    answer(response, 200, String(known.get(id)?.index));
  } else {
    answer(response, 404, 'no such thing');
  }
}

function sendLog(response: ServerResponse, from: number, isFollowed: boolean): void {
  if (!(Number.isInteger(from) && from >= 0 && from <= log.length)) {
    // A replica that has more than its primary: the primary catches up first.
    answer(response, 409, `${podName} has ${log.length} entries`);
    return;
  }
  response.writeHead(200, { 'content-type': 'application/jsonl' });
  response.flushHeaders();
  const send = (entry: Entry): void => void response.write(`${JSON.stringify(entry)}\n`);
  log.slice(from).forEach(send);
  if (!isFollowed || isStopping) {
    response.end();
    return;
  }
  readers.add(send);
  response.once('close', () => readers.delete(send));
  ends.add(response);
  response.once('close', () => ends.delete(response));
}

function answer(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'text/plain', ...headers, ...(isStopping && { connection: 'close' }) });
  response.end(`${body}\n`);
}

const ends = new Set<ServerResponse>();
server.listen(Number(values.port), ownAddress(), () =>
  report({ kind: 'listening', address: `${ownAddress()}:${values.port}` }),
);

function ownAddress(): string {
  return peers.identity.addresses[0] ?? '0.0.0.0';
}

// ---- the end ---------------------------------------------------------------------------------------------------------

process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());

/** Stop leading, refuse what is new, finish what is under way, close. */
async function stop(): Promise<void> {
  isStopping = true;
  await leading.stop();
  const isClosed = new Promise((resolve) => server.close(resolve));
  for (const response of ends) response.end();
  // A connection whose last answer is out would otherwise be kept for the 5 s of keepAliveTimeout.
  const sweep = setInterval(() => server.closeIdleConnections(), 20);
  await following.stop();
  await peers.close();
  await isClosed;
  clearInterval(sweep);
  volume.close();
  process.exit(0);
}

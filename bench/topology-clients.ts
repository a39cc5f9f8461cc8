import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { decodeMessage } from '../src/dns/decode.ts';
import { encodeQuery } from '../src/dns/encode.ts';
import type { Message } from '../src/dns/message.ts';
import type { Topology } from '../src/index.ts';
import { observePeers } from '../src/index.ts';
import type { Listening } from './topology-server.ts';

// Who is measured in `topology.ts`. Each wants the addresses of all pods, and has kept nothing from before.

/** What a measured piece of work brought. */
export interface Outcome {
  readonly elapsedMs: number;
  /** For how many pods there is an address. */
  readonly pods: number;
  /** Why there is none, `null` where nothing failed. */
  readonly failure: string | null;
}

/** A contestant that has its first topology, and can ask once more with what it kept. */
export interface Started {
  readonly first: Outcome;
  again(): Promise<Outcome>;
  close(): Promise<void> | void;
}

/** The longest that anybody may take. */
const deadlineMs = 20_000;
const srvName = '_peer._tcp.nginx.default.svc.cluster.local';

/** What people write: `resolveSrv`, then `resolve4` for each target, all of them at once. */
export async function runLoop({ address, port }: Listening): Promise<Outcome> {
  const start = performance.now();
  const resolver = new Resolver();
  resolver.setServers([`${address}:${port}`]);
  const resolve = async (): Promise<string[][]> => {
    const targets = await resolver.resolveSrv(srvName);
    return await Promise.all(targets.map(({ name }) => resolver.resolve4(name)));
  };
  const outcome = await measured(start, resolve(), (found) => found.filter(({ length }) => length > 0).length);
  resolver.cancel();
  return outcome;
}

/** The library: a new object, until it is ready; then a refresh. */
export async function startLibrary({ address, port }: Listening): Promise<Started> {
  const start = performance.now();
  const peers = observePeers({
    ...{ statefulSet: 'web', service: 'nginx', namespace: 'default', clusterDomain: 'cluster.local', port: 'peer' },
    dns: { servers: [`${address}:${port}`] },
  });
  return {
    first: await measured(start, peers.ready({ timeoutMs: deadlineMs }), withAddress),
    again: async () => {
      const outcome = await measured(performance.now(), peers.refresh(), withAddress);
      // A refresh that fails rejects nothing.
      const { state } = peers.freshness;
      return state === 'fresh' ? outcome : { ...outcome, failure: state };
    },
    close: () => peers.close(),
  };
}

/**
 * The least that it takes: the library's question over UDP, where TC comes back over TCP, and the response decoded. Asked
 * once more, it is one round trip over the transport that brought the answer.
 */
export async function startFloor(server: Listening): Promise<Started> {
  let kept: Socket | null = null;
  const ask = async (): Promise<Message> => {
    const message = await askUdp(server);
    if (!message.truncated) return message;
    kept = connect({ host: server.address, port: server.port, noDelay: true });
    return await askTcp(kept);
  };
  return {
    first: await measured(performance.now(), ask(), withGlue),
    again: () => measured(performance.now(), kept === null ? askUdp(server) : askTcp(kept), withGlue),
    close: () => {
      kept?.destroy();
    },
  };
}

/** Counting is not part of the time. */
async function measured<Result>(
  start: number,
  work: Promise<Result>,
  count: (result: Result) => number,
): Promise<Outcome> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`nothing within ${deadlineMs} ms`));
    }, deadlineMs);
  });
  try {
    const result = await Promise.race([work, tooLate]);
    const elapsedMs = performance.now() - start;
    return { elapsedMs, pods: count(result), failure: null };
  } catch (error) {
    const failure = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return { elapsedMs: performance.now() - start, pods: 0, failure };
  } finally {
    clearTimeout(timer);
  }
}

let lastId = 0;

function query(): Uint8Array {
  lastId = (lastId + 1) & 0xffff;
  return encodeQuery({ id: lastId, question: { name: srvName, type: 'SRV' }, udpPayloadSize: 1232 });
}

function askUdp({ address, port }: Listening): Promise<Message> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.unref();
    socket.once('error', reject);
    socket.once('message', (packet) => {
      socket.close();
      resolve(decodeMessage(packet));
    });
    socket.send(query(), port, address);
  });
}

/** One frame out, one frame in: nobody else asks on that connection. */
function askTcp(socket: Socket): Promise<Message> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    let needed = Infinity;
    const take = (chunk: Buffer): void => {
      chunks.push(chunk);
      length += chunk.length;
      // The two bytes of the length come in one chunk: they are sent in one.
      if (needed === Infinity) needed = 2 + chunk.readUInt16BE(0);
      if (length < needed) return;
      socket.off('data', take);
      socket.off('error', reject);
      resolve(decodeMessage(Buffer.concat(chunks).subarray(2)));
    };
    socket.on('data', take);
    socket.once('error', reject);
    const packet = query();
    const frame = Buffer.alloc(2 + packet.length);
    frame.writeUInt16BE(packet.length);
    frame.set(packet, 2);
    socket.write(frame);
  });
}

function withAddress({ peers }: Topology): number {
  return peers.filter(({ addresses }) => addresses.length > 0).length;
}

function withGlue({ answers, additionals }: Message): number {
  const glue = new Set(additionals.flatMap((record) => (record.type === 'A' ? [record.name] : [])));
  return answers.filter((record) => record.type === 'SRV' && glue.has(record.target)).length;
}

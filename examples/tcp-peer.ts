/**
 * A protocol of one's own over TCP, in which nothing is processed by a pod that was not meant.
 *
 * A frame is its length in four bytes, then so many bytes. The first frame of a client is the name of the pod that it
 * means; the server answers with its own name, and ends the connection where that is another one. Then requests and
 * replies take turns.
 *
 * What a name cannot tell apart: two processes that both have it, for example one that was replaced and does not know. A
 * server with the library answers with no name once it is superseded (see `whoAmI`); a process cut off from DNS does not.
 */
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { PeerDiscovery, Target } from 'stateful-peers';
import { PeerDiscoveryError } from 'stateful-peers';

const longestFrame = 65_536;
const answerMs = 2_000;

/**
 * A server that serves those who mean it.
 *
 * @param whoAmI - the name of this pod: `() => (peers.self.presence === 'superseded' ? '' : peers.self.podName)` where
 *   the server is a member, `() => process.env.POD_NAME` where it does not run the library
 */
export function createPeerServer(
  whoAmI: () => string,
  handle: (request: Buffer) => Uint8Array | Promise<Uint8Array>,
): Server {
  return createServer((socket) => {
    socket.setTimeout(answerMs, () => socket.destroy());
    const serve = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      const frames = framesOf(chunks);
      const hello = await frames.next();
      const name = whoAmI();
      yield frame(Buffer.from(name));
      if (hello.done === true || name === '' || hello.value.toString() !== name) return;
      socket.setTimeout(0);
      for await (const request of frames) {
        // It may have lost its name since.
        if (whoAmI() !== name) return;
        yield frame(await handle(request));
      }
    };
    // However a client ends: it is no fault of the server's.
    pipeline(socket, serve, socket).catch(() => socket.destroy());
  });
}

/** A connection to the peer that was meant. */
export interface Session {
  readonly podName: string;
  /**
   * Sends a request and waits for its reply; one at a time. A request that fails may have been processed: whether it can
   * be sent again, its sender knows.
   */
  request(request: Uint8Array): Promise<Buffer>;
  close(): void;
}

/**
 * Connects to the peer that the target means, as often as it takes until that one answers. Another pod that answers is
 * reported, and its address left alone. The session ends with the signal, and when the peer's address is lost.
 */
export async function openSession(peers: PeerDiscovery, target: Target, signal: AbortSignal): Promise<Session> {
  for (let delayMs = 50; ; delayMs = Math.min(2 * delayMs, 1_000)) {
    const { podName } = await peers.waitForPeer(target, { timeoutMs: Infinity, signal });
    const socket = await peers.connect(podName, { timeoutMs: 5_000, signal }).catch(nullOnTimeout);
    if (socket === null) continue;
    const { remoteAddress: address = '' } = socket;
    const close = (): void => void socket.destroy();
    signal.addEventListener('abort', close);
    socket.once('close', () => signal.removeEventListener('abort', close));
    const replies = framesOf(socket);
    const ask = async (request: Uint8Array): Promise<Buffer> => {
      const timer = setTimeout(() => socket.destroy(new Error(`no answer from ${podName}`)), answerMs);
      try {
        socket.write(frame(request));
        const { value, done } = await replies.next();
        if (done === true) throw new Error(`${podName} ended the connection`);
        return value;
      } finally {
        clearTimeout(timer);
      }
    };
    const answer = await ask(Buffer.from(podName)).catch(() => null);
    if (answer?.toString() === podName) return { podName, request: ask, close };
    close();
    peers.report(podName, answer === null ? 'unreachable' : 'stranger', address);
    await pause(delayMs, undefined, { signal });
  }
}

/** The target may mean another peer by now. */
function nullOnTimeout(error: unknown): null {
  if (PeerDiscoveryError.from(error)?.code === 'ERR_TIMEOUT') return null;
  throw error;
}

/** Cuts a stream of bytes into frames. Throws where one is too long. */
export async function* framesOf(chunks: AsyncIterable<Buffer> | Socket): AsyncGenerator<Buffer, void> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunks as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4) {
      const end = 4 + rest.readUInt32BE();
      if (end > 4 + longestFrame) throw new RangeError(`a frame of ${end - 4} bytes`);
      if (rest.length < end) break;
      yield rest.subarray(4, end);
      rest = rest.subarray(end);
    }
  }
}

/** Puts the length before it. */
export function frame(payload: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(payload.length);
  return Buffer.concat([length, payload]);
}

import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { RedisOptions } from 'ioredis';
import { AbstractConnector, Redis } from 'ioredis';
import type { PeerDiscovery, Target } from 'stateful-peers';
import { PeerDiscoveryError } from 'stateful-peers';

type Options = Omit<RedisOptions, 'Connector' | 'replyMapping'>;

const answerMs = 2_000;

/**
 * An ioredis client of whomever the target means: of the primary, wherever it is. Commands wait while nobody is there.
 *
 * A command whose answer was lost with the connection is sent again (ioredis' `autoResendUnfulfilledCommands`), so that
 * it may be done twice. One that the server refused because it does not lead, or not yet, was not done, and is sent again
 * as well.
 */
export function redisOf(peers: PeerDiscovery, target: Target, password: string, options: Options = {}): Redis {
  return new Redis({
    maxRetriesPerRequest: null,
    retryStrategy: () => 100,
    reconnectOnError: (error) => (/^(?:READONLY|NOREPLICAS) /.test(error.message) ? 2 : false),
    ...options,
    Connector: connectorTo(peers, target, password),
  });
}

/**
 * For ioredis' option `Connector`. It names whom it means, as a Redis user: `AUTH web-0 …`. Each server has a user with
 * its pod's name, and no other pod's; so another pod that has the address by now refuses, and is reported.
 */
function connectorTo(peers: PeerDiscovery, target: Target, password: string): new () => AbstractConnector {
  return class PeerConnector extends AbstractConnector {
    #ending = new AbortController();

    constructor() {
      super(answerMs);
    }

    override async connect(emit: (type: string, error: Error) => void): Promise<Socket> {
      this.#ending = new AbortController();
      const { signal } = this.#ending;
      // ioredis gives up for good when a connector rejects: this one does so at the end only.
      const isOver = (error: unknown): boolean =>
        signal.aborted || PeerDiscoveryError.from(error)?.code === 'ERR_CLOSED';
      for (let delayMs = 50; !isOver(null); delayMs = Math.min(2 * delayMs, 1_000)) {
        try {
          const socket = await connectByName(peers, target, password, signal);
          this.stream = socket;
          socket.once('error', (error) => (this.firstError = error));
          return socket;
        } catch (error) {
          if (isOver(error)) break;
          emit('error', error as Error);
          await pause(delayMs, undefined, { signal }).catch(() => undefined);
        }
      }
      // What ioredis itself says when it was told to end.
      throw new Error('Connection is closed.');
    }

    override disconnect(): void {
      this.#ending.abort();
      super.disconnect();
    }
  };
}

async function connectByName(
  peers: PeerDiscovery,
  target: Target,
  password: string,
  signal: AbortSignal,
): Promise<Socket> {
  const { podName } = await peers.waitForPeer(target, { timeoutMs: Infinity, signal });
  const socket = await peers.connect(podName, { timeoutMs: 5_000, signal });
  const { remoteAddress: address = '' } = socket;
  const reply = await authenticate(socket, podName, password, signal);
  if (reply === '+OK') {
    if (target === 'primary') leaveOnChange(peers, socket);
    return socket;
  }
  socket.destroy();
  peers.report(podName, reply?.startsWith('-WRONGPASS') === true ? 'stranger' : 'unreachable', address);
  throw new Error(`${podName} is not, or not well, at ${address}: ${reply ?? 'no answer'}`);
}

/** A pod that is no longer the primary may well stay where it is. */
function leaveOnChange(peers: PeerDiscovery, socket: Socket): void {
  const leave = (): void => void socket.destroy();
  peers.on('primaryChanged', leave);
  socket.once('close', () => peers.off('primaryChanged', leave));
}

/** The server's answer; `null` where there is none. The socket is left paused, for ioredis to go on with. */
function authenticate(socket: Socket, user: string, password: string, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    let answer = '';
    const give = (reply: string | null): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abandon);
      socket.off('data', onData).off('close', onClose).pause();
      resolve(reply);
    };
    const onData = (chunk: Buffer): void => {
      answer += chunk.toString('latin1');
      if (answer.endsWith('\r\n')) give(answer.trimEnd());
      else if (answer.length > 1_000) abandon();
    };
    const onClose = (): void => give(null);
    const abandon = (): void => void socket.destroy();
    const timer = setTimeout(abandon, answerMs);
    signal.addEventListener('abort', abandon);
    if (signal.aborted) abandon();
    socket.on('data', onData).on('close', onClose);
    const words = ['AUTH', user, password].map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    socket.write(`*${words.length}\r\n${words.join('')}`);
  });
}

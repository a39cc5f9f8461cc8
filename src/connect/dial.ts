import type { Socket } from 'node:net';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import type { ConnectionMessage } from '../diagnostics.ts';
import { channels } from '../diagnostics.ts';
import { optionError } from '../errors.ts';
import { net, tls as nodeTls } from '../late-modules.ts';
import type { Addresses, Endpoint } from './addresses.ts';

/**
 * TLS options that were tried: their keys and versions can be used.
 *
 * @throws `ERR_OPTION`
 */
export function checkTls(option: string, tls: unknown): ConnectionOptions {
  if (typeof tls !== 'object' || tls === null) throw optionError(option, tls, 'options of tls.connect');
  const options = tls as ConnectionOptions;
  for (const name of ['host', 'port', 'path', 'socket', 'lookup'] as const) {
    if (name in options)
      throw optionError(`${option}.${name}`, options[name], 'nothing: where to connect to is for the target to say');
  }
  if (options.secureContext !== undefined || Object.keys(options).length === 0) return options;
  try {
    // Made once, it serves every connection.
    return { ...options, secureContext: nodeTls().createSecureContext(options) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw optionError(option, tls, `options that tls.connect can use (${why})`);
  }
}

/** As undici's connector has it. */
const plain = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000, highWaterMark: 65_536 } as const;

/** How to make one connection. */
export interface Dialling {
  readonly addresses: Addresses;
  readonly endpoint: Endpoint;
  readonly port: number;
  /** TLS options; the server name is the stable name unless they say otherwise. */
  readonly tls: ConnectionOptions | null;
  readonly timeoutMs: number;
  /** Called once: with the connected socket (TLS: handshake finished and verified), or with what failed. */
  readonly settle: (error: Error | null, socket: Socket | TLSSocket) => void;
}

/**
 * Makes one connection to one address: no names, no second address, an exact timeout. Returns the socket at once, so
 * that whoever loses interest can destroy it.
 */
export function dial({ addresses, endpoint, port, tls, timeoutMs, settle }: Dialling): Socket | TLSSocket {
  const { peer, address } = endpoint;
  const socket =
    tls === null
      ? net().connect({ ...plain, host: address, port })
      : nodeTls().connect({ servername: peer.stableName, ...tls, host: address, port });
  if (tls !== null) socket.setNoDelay(true).setKeepAlive(true, 60_000);
  // Whoever closes the library may rely on nothing being heard of it afterwards.
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const withdraw = addresses.source.beforeClose(() => closed);
  const message: ConnectionMessage = { podName: peer.podName, address, port };
  const startedAt = performance.now();
  channels().connectionStart.publish(message);
  let isSettled = false;
  let failure: Error | undefined;
  const end = (error: Error | null): void => {
    if (isSettled) return;
    isSettled = true;
    clearTimeout(timer);
    message.connected = error === null;
    settle(error, socket);
  };
  const timer = setTimeout(() => {
    const error = Object.assign(
      new Error(`no connection to ${peer.podName} at ${address}:${port} in ${timeoutMs} ms`),
      {
        code: 'ETIMEDOUT',
        syscall: 'connect',
        address,
        port,
      },
    );
    socket.destroy(error);
  }, timeoutMs);
  socket.once(tls === null ? 'connect' : 'secureConnect', () => {
    end(null);
  });
  // Stays for the life of the socket: an error after the owner has left it must not end the process.
  socket.on('error', (error: Error) => {
    failure = error;
    end(error);
  });
  socket.once('close', () => {
    end(failure ?? Object.assign(new Error('the connection was closed before it was made'), { code: 'ECONNABORTED' }));
    if (failure !== undefined) message.error = failure;
    message.durationMs = performance.now() - startedAt;
    channels().connectionEnd.publish(message);
    withdraw();
  });
  return socket;
}

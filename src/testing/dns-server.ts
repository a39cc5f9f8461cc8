import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket as UdpSocket } from 'node:dgram';
import { createServer, isIPv6 } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { DnsReply, EmbeddedDns } from './embedded-dns.ts';

/** Where to listen. */
export interface ListenOptions {
  /** Default `127.0.0.1`. */
  readonly address?: string;
  /** Default 0: any that is free over both UDP and TCP. */
  readonly port?: number;
}

/** The embedded DNS behind sockets: UDP and TCP on one port. */
export class DnsServer {
  readonly address: string;
  readonly port: number;
  readonly #dns: EmbeddedDns;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();
  readonly #delayed = new Set<NodeJS.Timeout>();
  #closed: Promise<void> | null = null;

  private constructor(dns: EmbeddedDns, udp: UdpSocket, tcp: Server) {
    this.#dns = dns;
    this.#udp = udp;
    this.#tcp = tcp;
    ({ address: this.address, port: this.port } = udp.address());
    udp.on('message', (query, from) => this.#datagram(query, from));
    // An answer that nobody waits for any more (ICMP) is no error of the server.
    udp.on('error', ignore);
    tcp.on('connection', (socket) => this.#connection(socket));
    dns.on('tcpDropped', this.#dropConnections);
  }

  /**
   * Listens. The server keeps the process alive until it is closed.
   *
   * @throws the system's error, for example EADDRINUSE for a port that was asked for
   */
  static async listen(dns: EmbeddedDns, options: ListenOptions = {}): Promise<DnsServer> {
    const { address = '127.0.0.1', port = 0 } = options;
    for (let attempt = 1; ; attempt += 1) {
      const udp = await bindUdp(address, port);
      try {
        const tcp = await listenTcp(address, udp.address().port);
        return new DnsServer(dns, udp, tcp);
      } catch (error) {
        await closeUdp(udp);
        // The port was free over UDP alone: another one.
        if (port !== 0 || attempt >= 20 || !isAddressInUse(error)) throw error;
      }
    }
  }

  /** Closes everything; what was delayed is not answered. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#dns.off('tcpDropped', this.#dropConnections);
    for (const timer of this.#delayed) clearTimeout(timer);
    this.#delayed.clear();
    for (const socket of this.#connections) socket.destroy();
    await Promise.all([closeUdp(this.#udp), new Promise<void>((resolve) => this.#tcp.close(() => resolve()))]);
  }

  readonly #dropConnections = (): void => {
    for (const socket of this.#connections) {
      // A reset while the other side's end is being answered keeps Node.js 20 from ever exiting.
      if (socket.writableEnded || socket.readableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
  };

  #datagram(query: Uint8Array, from: RemoteInfo): void {
    this.#answer(this.#dns.receive(query, 'udp'), (packet) => {
      this.#udp.send(packet, from.port, from.address, ignore);
    });
  }

  #connection(socket: Socket): void {
    socket.on('error', ignore);
    const replica = this.#dns.nextReplica();
    const block = this.#dns.tcpBlock(replica);
    if (block === 'reset') {
      socket.resetAndDestroy();
      return;
    }
    this.#connections.add(socket);
    socket.on('close', () => this.#connections.delete(socket));
    socket.setNoDelay(true);
    // RFC 7766 section 6.2.1: several questions may come in one connection, and be answered in any order.
    let pending: Buffer = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      if (block === 'silence') return;
      pending = Buffer.concat([pending, bytes]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0);
        const query = Buffer.from(pending.subarray(2, end));
        pending = pending.subarray(end);
        this.#answer(this.#dns.receive(query, 'tcp', replica), (packet) => {
          const frame = Buffer.allocUnsafe(2 + packet.length);
          frame.writeUInt16BE(packet.length);
          frame.set(packet, 2);
          if (socket.writable) socket.write(frame);
        });
      }
    });
  }

  #answer({ packets, delayMs }: DnsReply, send: (packet: Uint8Array) => void): void {
    if (delayMs === 0) {
      packets.forEach(send);
      return;
    }
    const timer = setTimeout(() => {
      this.#delayed.delete(timer);
      packets.forEach(send);
    }, delayMs);
    this.#delayed.add(timer);
  }
}

function bindUdp(address: string, port: number): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

function listenTcp(address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: address, port, exclusive: true }, () => {
      server.removeListener('error', reject);
      resolve(server);
    });
  });
}

function closeUdp(socket: UdpSocket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function ignore(): void {
  // See where it is used.
}

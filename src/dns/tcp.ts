import type { Socket } from 'node:net';
import { net } from '../late-modules.ts';
import type { Cleanup, OpenQuestion } from './open-question.ts';
import type { ServerAddress } from './transport.ts';

/** A kept connection pins one DNS replica behind the Service: after this long another one is opened. */
const renewAfterMs = 30_000;
/** Frames that answer no open question, before the connection is given up. A few are answers that came too late. */
const maxStrays = 100;
const headerBytes = 12;

/**
 * TCP connections to DNS servers, one for each server, on which questions are pipelined (RFC 7766 section 6.2).
 * A question whose connection closes is asked once more, on a fresh one: servers close idle connections when they like.
 */
export class TcpConnections {
  readonly #kept = new Map<string, Connection>();
  readonly #all = new Set<Connection>();
  readonly #places = new Map<OpenQuestion, Connection>();
  readonly #askedAgain = new WeakSet<OpenQuestion>();

  /** Sends the question to that server, over the connection that is kept or a new one. */
  ask(server: ServerAddress, question: OpenQuestion): Cleanup {
    this.#send(server, question);
    return (isAnswered) => {
      const connection = this.#places.get(question);
      this.#places.delete(question);
      connection?.remove(question, isAnswered);
    };
  }

  close(): void {
    for (const connection of this.#all) connection.destroy();
  }

  #send(server: ServerAddress, question: OpenQuestion): void {
    const key = `${server.address} ${server.port}`;
    let connection = this.#kept.get(key);
    if (connection?.isUsable !== true) {
      connection?.retire();
      connection = this.#open(server, key);
    }
    this.#places.set(question, connection);
    connection.add(question);
  }

  #open(server: ServerAddress, key: string): Connection {
    const connection = new Connection(server, (open, error) => {
      this.#all.delete(connection);
      if (this.#kept.get(key) === connection) this.#kept.delete(key);
      for (const question of open) {
        if (!connection.wasOpen || this.#askedAgain.has(question)) {
          question.fail(error);
          continue;
        }
        this.#askedAgain.add(question);
        this.#send(server, question);
      }
    });
    this.#all.add(connection);
    this.#kept.set(key, connection);
    return connection;
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #openedAt = performance.now();
  readonly #open = new Set<OpenQuestion>();
  #isRetired = false;
  #wasOpen = false;
  #strays = 0;
  #chunks: Buffer[] = [];
  #received = 0;
  /** How many bytes complete the frame that is being received. */
  #needed = 2;

  constructor(server: ServerAddress, onClosed: (open: readonly OpenQuestion[], error: Error) => void) {
    let failure: Error | null = null;
    this.#socket = net().connect({ host: server.address, port: server.port, noDelay: true });
    this.#socket.unref();
    this.#socket.on('connect', () => {
      this.#wasOpen = true;
    });
    this.#socket.on('data', (chunk) => {
      this.#take(chunk);
    });
    this.#socket.on('end', () => {
      this.#isRetired = true;
    });
    this.#socket.on('error', (error) => {
      failure = error;
    });
    this.#socket.on('close', () => {
      this.#isRetired = true;
      onClosed([...this.#open], failure ?? new Error('the server closed the connection'));
    });
  }

  get wasOpen(): boolean {
    return this.#wasOpen;
  }

  get isUsable(): boolean {
    return !this.#isRetired && performance.now() - this.#openedAt < renewAfterMs;
  }

  add(question: OpenQuestion): void {
    this.#open.add(question);
    const frame = Buffer.alloc(2 + question.query.length);
    frame.writeUInt16BE(question.query.length);
    frame.set(question.query, 2);
    this.#socket.write(frame);
  }

  remove(question: OpenQuestion, isAnswered: boolean): void {
    this.#open.delete(question);
    // Nobody knows whether a connection that left a question open still leads anywhere.
    if (!isAnswered) this.#isRetired = true;
    if (this.#isRetired) this.retire();
  }

  /** Takes no more questions, and closes when the open ones have ended. */
  retire(): void {
    this.#isRetired = true;
    if (this.#open.size === 0) this.#socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#received += chunk.length;
    // Joined once a frame is whole, so that one that comes byte by byte is not copied for each.
    if (this.#received < this.#needed) return;
    let rest = Buffer.concat(this.#chunks);
    for (;;) {
      this.#needed = rest.length < 2 ? 2 : 2 + rest.readUInt16BE(0);
      if (rest.length < this.#needed) break;
      if (!this.#deliver(rest.subarray(2, this.#needed))) return;
      rest = rest.subarray(this.#needed);
    }
    this.#chunks = [rest];
    this.#received = rest.length;
  }

  /** Says whether to go on reading. */
  #deliver(frame: Uint8Array): boolean {
    if (this.#socket.destroyed) return false;
    for (const question of this.#open) if (question.offer(frame)) return true;
    this.#strays += 1;
    if (frame.length >= headerBytes && this.#open.size > 0 && this.#strays <= maxStrays) return true;
    this.#socket.destroy(new Error('the server sent what is no answer to any question'));
    return false;
  }
}

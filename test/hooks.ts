import type { ChildProcess } from 'node:child_process';
import type { Socket as UdpSocket } from 'node:dgram';
import { subscribe } from 'node:diagnostics_channel';
import type { Server, Socket } from 'node:net';
import type { Context, RootHookObject, Test } from 'mocha';

/** Something that a test, or a hook around it, opened and has to close. */
interface Opened {
  readonly what: string;
  readonly origin: Error;
  readonly isOpen: () => boolean;
}

const real = { setImmediate, setTimeout };
const graceMs = 250;

let opened: Opened[] = [];
let openedByHooks: Opened[] = [];
let before = surroundings();
const leaks: string[] = [];

watchSockets();
watchTimers();

/**
 * Root hooks: each test must leave no socket, server, child process, timer, process listener or fake clock behind,
 * whether they keep the process alive or not. What a `before` hook opens has until the end of the run.
 *
 * A test that leaks is named at the end: a root hook that fails would end the run at the first.
 */
export const mochaHooks: RootHookObject = {
  beforeEach() {
    openedByHooks.push(...opened);
    opened = [];
    before = surroundings();
  },

  async afterEach(this: Context) {
    const test = this.currentTest;
    leaks.push(...(await leftOpen(opened)).map((leak) => `${title(test)}\n      ${leak}`));
    leaks.push(...changes(before, surroundings()).map((change) => `${title(test)}\n      ${change}`));
    opened = [];
  },

  async afterAll() {
    const rest = await leftOpen([...openedByHooks, ...opened]);
    leaks.push(...rest.map((leak) => `a before or after hook\n      ${leak}`));
    openedByHooks = [];
    opened = [];
    if (leaks.length > 0) throw new Error(`left open:\n    ${leaks.splice(0).join('\n    ')}`);
  },
};

async function leftOpen(candidates: readonly Opened[]): Promise<string[]> {
  let open = candidates.filter((one) => one.isOpen());
  const giveUp = performance.now() + graceMs;
  for (let turn = 0; open.length > 0 && (turn < 10 || performance.now() < giveUp); turn += 1) {
    // What is closing needs a few turns of the loop, and a FIN its way over loopback.
    await new Promise((resolve) => (turn < 10 ? real.setImmediate(resolve) : real.setTimeout(resolve, 5)));
    open = open.filter((one) => one.isOpen());
  }
  return open.map((one) => `${one.what}, opened ${place(one.origin)}`);
}

// Node.js tells of every socket, server and child on these channels, so that those that were unref'd are seen as well.
// https://nodejs.org/api/diagnostics_channel.html#built-in-channels
function watchSockets(): void {
  subscribe('net.client.socket', (message) => {
    const { socket } = message as { socket: Socket };
    track('a TCP socket', () => !socket.destroyed);
  });
  subscribe('net.server.socket', (message) => {
    const { socket } = message as { socket: Socket };
    track(`a TCP socket accepted at ${socket.localAddress ?? '?'}:${socket.localPort ?? '?'}`, () => !socket.destroyed);
  });
  subscribe('tracing:net.server.listen:asyncStart', (message) => {
    const { server } = message as { server: Server };
    track('a TCP server', () => server.listening);
  });
  subscribe('udp.socket', (message) => {
    const { socket } = message as { socket: UdpSocket };
    track('a UDP socket', () => isBound(socket));
  });
  subscribe('child_process', (message) => {
    const { process: child } = message as { process: ChildProcess };
    track('a child process', () => child.pid !== undefined && child.exitCode === null && child.signalCode === null);
  });
}

function isBound(socket: UdpSocket): boolean {
  try {
    socket.address();
    return true;
  } catch (error) {
    // EBADF: open, but nothing was bound yet.
    return (error as NodeJS.ErrnoException).code !== 'ERR_SOCKET_DGRAM_NOT_RUNNING';
  }
}

// Only our own timers: undici, for one, keeps an unref'd one of its own for good.
function watchTimers(): void {
  for (const name of ['setTimeout', 'setInterval'] as const) {
    const start = globalThis[name] as (...args: unknown[]) => NodeJS.Timeout;
    const tracked = (...args: unknown[]): NodeJS.Timeout => {
      const timer = start(...args);
      const origin = new Error();
      // The one field of a timer that tells whether it is over; no public one does.
      const isOver = (): boolean => (timer as unknown as { _destroyed: boolean })._destroyed;
      track(`a timer (${name})`, () => !isOver() && isOurs(origin), origin);
      return timer;
    };
    // With util.promisify.custom.
    Object.defineProperties(tracked, Object.getOwnPropertyDescriptors(start));
    Object.defineProperty(globalThis, name, { value: tracked, writable: true, configurable: true, enumerable: true });
  }
}

function track(what: string, isOpen: () => boolean, origin: Error = new Error()): void {
  opened.push({ what, origin, isOpen });
}

function frames(origin: Error): string[] {
  const own = /[\\/]test[\\/]hooks\.[jt]s/;
  return (origin.stack ?? '').split('\n').filter((line) => line.startsWith('    at ') && !own.test(line));
}

/** Whether the code that called is this repository's and no package's. */
function isOurs(origin: Error): boolean {
  const caller = frames(origin)[0] ?? '';
  return !/node:internal|[\\/]node_modules[\\/]/.test(caller);
}

function place(origin: Error): string {
  const ours = frames(origin).find((line) => !/node:|[\\/]node_modules[\\/]/.test(line));
  return ours?.trim() ?? 'by the event loop';
}

/** What a test may not change: the clock, and who listens to the process. */
function surroundings(): Map<string, unknown> {
  const listeners = process.eventNames().map((name) => [`process.on('${String(name)}')`, process.listenerCount(name)]);
  return new Map<string, unknown>([
    ['the global setTimeout', globalThis.setTimeout],
    ...(listeners as [string, number][]),
  ]);
}

function changes(was: ReadonlyMap<string, unknown>, is: ReadonlyMap<string, unknown>): string[] {
  const names = new Set([...was.keys(), ...is.keys()]);
  return [...names].filter((name) => was.get(name) !== is.get(name)).map((name) => `${name} is not what it was`);
}

function title(test: Test | undefined): string {
  return test === undefined ? 'a test' : test.titlePath().join(' › ');
}

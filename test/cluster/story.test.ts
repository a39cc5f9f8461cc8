import assert from 'node:assert/strict';
import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import type { Interface } from 'node:readline';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Invitation } from '../../src/cli/invitation.ts';
import type { Report } from '../../src/cli/report.ts';
import type { Verdict } from '../../src/cli/verdict.ts';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

type What = Report['what'];
/** A line of the demo, or of a program that a reader started: that one writes what the demo has in `what`. */
type Line = Partial<Report> & ({ readonly kind?: never } | What | Told);
type Told = ({ readonly kind: 'verdict' } & Verdict) | ({ readonly kind: 'invitation' } & Invitation);

/** A program that writes one JSON object a line. */
class Running {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly lines: Line[] = [];
  readonly #input: Interface;
  readonly #closed: Promise<unknown>;
  #complaints = '';

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#closed = once(this.child, 'close');
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#complaints += text));
    this.#input = createInterface({ input: this.child.stdout });
    this.#input.on('line', (line) => this.lines.push(JSON.parse(line) as Line));
  }

  /** Everything that its processes reported, or its own words. */
  get said(): What[] {
    return this.lines.flatMap((line) => line.what ?? (line.kind === undefined ? [] : [line as What]));
  }

  get pids(): number[] {
    return this.said.flatMap((what) => (what.kind === 'process' ? [what.pid] : []));
  }

  /** Waits until its lines show that. */
  async until<T>(wanted: string, look: () => T | undefined): Promise<T> {
    for (;;) {
      const seen = look();
      if (seen !== undefined) return seen;
      assert.equal(this.child.exitCode, null, `it ended without ${wanted}: ${this.#complaints}`);
      await Promise.race([once(this.#input, 'line'), this.#closed]);
    }
  }

  /** Its exit status, and what it wrote to stderr. */
  async ended(): Promise<{ readonly status: number | null; readonly complaints: string }> {
    await this.#closed;
    return { status: this.child.exitCode, complaints: this.#complaints };
  }
}

/** Whether that process still runs. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('npm start: the story, with real processes', () => {
  let running: Running[] = [];

  afterEach(async () => {
    for (const { child } of running) child.kill('SIGKILL');
    await Promise.all(running.map((one) => one.ended()));
    running = [];
  });

  const run = (command: string, ...args: readonly string[]): Running => {
    const one = new Running(command, args);
    running.push(one);
    return one;
  };
  const play = (...args: readonly string[]): Running =>
    run(process.execPath, main, 'demo', '--fast', '--json', ...args);
  /** What was printed, as a shell takes it. */
  const type = (line: string): Running => run('sh', '-c', `exec ${line}`);

  const verdictOf = (demo: Running): Verdict | undefined =>
    demo.lines.find((line): line is Line & Verdict => line.kind === 'verdict');
  const failedClaims = (verdict: Verdict): unknown[] => verdict.claims.filter(({ holds }) => !holds);
  /** Where the last topology that it reported has that pod. */
  const placeIn = (one: Running, podName: string): string | null | undefined =>
    one.said.findLast((what) => what.kind === 'topology')?.peers[podName];

  it('ends with a verdict in which every claim holds, and exit status 0; also where all pods share one address', async function () {
    this.timeout(120_000);
    const demo = play('--single-address');
    assert.deepEqual(await demo.ended(), { status: 0, complaints: '' });
    const last = demo.lines.at(-1);
    assert.ok(last?.kind === 'verdict');
    assert.deepEqual(failedClaims(last), []);
    assert.ok(last.claims.length >= 14);
    assert.equal(last.passed, true);
    const hellos = demo.said.flatMap((what) => (what.kind === 'hello' ? [what.address] : []));
    assert.deepEqual([...new Set(hellos.map((address) => address.split(':')[0]))], ['127.0.0.1']);
    assert.equal(new Set(hellos).size, hellos.length, 'a port was used twice');
    const skipped = demo.said.flatMap((what) => (what.kind === 'skipped' ? [what.name] : []));
    assert.deepEqual(skipped, ['handover']);
  });

  it('with --keep it stays up, and invites: to ask its DNS, to be web-3, to observe; Ctrl-C ends it with the status of the verdict', async function () {
    this.timeout(120_000);
    const demo = play('--keep');
    const verdict = await demo.until('a verdict', () => verdictOf(demo));
    assert.deepEqual(failedClaims(verdict), []);
    const invitation = await demo.until('an invitation', () =>
      demo.lines.find((line): line is Line & Invitation => line.kind === 'invitation'),
    );

    const answers = await Promise.all(invitation.dig.map(dig));
    assert.deepEqual(answers[0], ['web-0', 'web-1', 'web-2']);
    assert.equal(answers[1]?.length, 1);

    const { podName, address, command } = invitation.member;
    const member = type(command);
    await member.until('its name', () => member.said.find((what) => what.kind === 'hello' && what.podName === podName));
    const web0 = await member.until('the others', () => placeIn(member, 'web-0') ?? undefined);
    assert.equal(web0, `${answers[1][0] ?? ''}:7000`);
    await member.until('itself at its address, as DNS has it', () => placeIn(member, podName) === address || undefined);

    const observer = type(invitation.observer.command);
    await observer.until('the member', () => placeIn(observer, podName) === address || undefined);
    await observer.until('an answer of the member', () =>
      observer.said.find((what) => what.kind === 'contact' && what.target === podName && what.answered === podName),
    );
    for (const who of ['observer', 'web-0#', 'web-2#']) {
      await demo.until(`web-3 as ${who} sees it`, () =>
        demo.lines.find(
          ({ from, what }) => from?.startsWith(who) && what?.kind === 'topology' && podName in what.peers,
        ),
      );
    }
    demo.child.kill('SIGINT');
    assert.deepEqual(await demo.ended(), { status: 0, complaints: '' });
    assert.ok(demo.pids.length > 10);
    assert.deepEqual(demo.pids.filter(isAlive), []);
    // They are the reader's.
    assert.deepEqual([member.child.exitCode, observer.child.exitCode], [null, null]);
    for (const one of [member, observer]) {
      one.child.kill('SIGTERM');
      assert.deepEqual(await one.ended(), { status: 0, complaints: '' });
    }
  });

  const signals = [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const;
  for (const [signal, status] of signals) {
    it(`${signal} in the middle leaves nothing running, and gives exit status ${status}`, async function () {
      this.timeout(60_000);
      const demo = play();
      // Four clients and two pods.
      await demo.until('its processes', () => demo.pids.length >= 6 || undefined);
      demo.child.kill(signal);
      assert.deepEqual(await demo.ended(), { status, complaints: '' });
      assert.deepEqual(demo.pids.filter(isAlive), []);
    });
  }

  it('a reader who goes away (npm start | head -3) ends everything, without a word', async function () {
    this.timeout(60_000);
    const demo = play();
    await demo.until('its processes', () => demo.pids.length >= 6 || undefined);
    demo.child.stdout.destroy();
    assert.deepEqual(await demo.ended(), { status: 141, complaints: '' });
    assert.deepEqual(demo.pids.filter(isAlive), []);
  });

  it('wrong usage is named in one line, with exit status 2', async () => {
    for (const args of [[], ['story'], ['demo', '--slow'], ['demo', 'twice']]) {
      const { status, complaints } = await run(process.execPath, main, ...args).ended();
      assert.equal(status, 2, args.join(' '));
      assert.match(complaints, /^stateful-peers: .+ \(see --help\)\n$/);
    }
  });
});

/** Asks what that line of dig asks: pod names for SRV, addresses for A. */
async function dig(line: string): Promise<string[]> {
  const [, server = '', port = '', type, name = ''] = /^dig @(\S+) -p (\d+) .* (SRV|A) (\S+)$/.exec(line) ?? [];
  const resolver = new Resolver();
  resolver.setServers([`${server}:${port}`]);
  if (type !== 'SRV') return resolver.resolve4(name);
  const records = await resolver.resolveSrv(name);
  return records.map((record) => record.name.split('.')[0] ?? '').sort();
}

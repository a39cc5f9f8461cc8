import assert from 'node:assert/strict';
import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

function play(...args: string[]): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function ended(child: ChildProcessByStdio<null, Readable, Readable>): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  return child.exitCode;
}

interface Line {
  readonly kind?: string;
  readonly passed?: boolean;
  readonly claims?: readonly { readonly claim: string; readonly holds: boolean; readonly from: string }[];
  readonly what?: { readonly kind: string; readonly pid?: number };
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
  it('ends with a verdict in which every claim holds, and exit status 0', async function () {
    this.timeout(120_000);
    const child = play('demo', '--fast', '--json');
    const lines: Line[] = [];
    for await (const line of createInterface({ input: child.stdout })) lines.push(JSON.parse(line) as Line);
    const status = await ended(child);
    const verdict = lines.at(-1);
    assert.equal(verdict?.kind, 'verdict');
    assert.deepEqual(
      verdict.claims?.filter(({ holds }) => !holds),
      [],
    );
    assert.ok(verdict.claims.length >= 10);
    assert.equal(verdict.passed, true);
    assert.equal(status, 0);
  });

  it('Ctrl-C leaves nothing running', async function () {
    this.timeout(60_000);
    const child = play('demo', '--fast', '--json');
    const pids = new Set<number>();
    for await (const line of createInterface({ input: child.stdout })) {
      const { what } = JSON.parse(line) as Line;
      if (what?.pid !== undefined) pids.add(what.pid);
      if (pids.size >= 2) break;
    }
    child.kill('SIGINT');
    child.stdout.resume();
    assert.equal(await ended(child), 130);
    assert.ok(pids.size >= 2, 'no pod said its pid');
    assert.deepEqual([...pids].filter(isAlive), []);
  });

  it('wrong usage is named, with exit status 2', async () => {
    for (const args of [[], ['story'], ['demo', '--slow'], ['demo', 'twice']]) {
      const child = play(...args);
      const said = child.stderr.toArray();
      assert.equal(await ended(child), 2, args.join(' '));
      assert.match(Buffer.concat(await said).toString(), /\n\nUsage: stateful-peers demo/);
    }
  });
});

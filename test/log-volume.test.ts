import assert from 'node:assert/strict';
import fs, { appendFileSync, mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '../examples/log-volume.ts';
import { LogVolume } from '../examples/log-volume.ts';

// The fence of the example: whatever a process acknowledged, the next one that takes the volume has.

describe('The log on a volume', () => {
  let directory = '';
  const opened: LogVolume[] = [];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'stateful-peers-volume-'));
  });

  afterEach(() => {
    for (const volume of opened.splice(0)) volume.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const take = (): LogVolume => {
    const volume = new LogVolume(directory);
    opened.push(volume);
    return volume;
  };
  const entry = (index: number, id: string): Entry => ({ index, id, value: '' });
  const idsIn = ({ entries }: LogVolume): string => entries.map(({ id }) => id).join(' ');

  it('has what an earlier process appended, but for half a line', () => {
    const volume = take();
    volume.append(entry(0, 'a'));
    volume.append(entry(1, 'b'));
    appendFileSync(join(directory, 'log-1.jsonl'), '{"index":2,"id":"c"');
    assert.equal(idsIn(take()), 'a b');
  });

  it('acknowledges nothing when another process has it', () => {
    const old = take();
    old.append(entry(0, 'a'));
    take();
    assert.throws(() => old.append(entry(1, 'late')), /another process/);
    assert.equal(idsIn(take()), 'a');
  });

  it('acknowledges nothing when another process takes it between the write and the acknowledgement', () => {
    const old = take();
    old.append(entry(0, 'a'));
    const next: LogVolume[] = [];
    during(
      'fsyncSync',
      () => next.push(take()),
      () => {
        assert.throws(() => old.append(entry(1, 'late')), /taken by another process/);
      },
    );
    const [second] = next;
    assert.ok(second !== undefined);
    // Unacknowledged, it may be there or not. What comes next stands where it would have stood, or behind it, once.
    second.append(entry(second.entries.length, 'b'));
    assert.equal(idsIn(take()), idsIn(second));
  });

  it('what is written late changes nothing of what later processes built on', () => {
    const first = take();
    first.append(entry(0, 'a'));
    // Each of two has looked, and writes when the next has taken the volume.
    const second: LogVolume[] = [];
    during(
      'writeFileSync',
      () => second.push(take()),
      () => {
        assert.throws(() => first.append(entry(1, 'b')), /taken by another process/);
      },
    );
    const third: LogVolume[] = [];
    during(
      'writeFileSync',
      () => third.push(take()),
      () => {
        assert.throws(() => second[0]?.append(entry(1, 'c')), /taken by another process/);
      },
    );
    third[0]?.append(entry(1, 'd'));
    third[0]?.append(entry(2, 'e'));
    assert.equal(idsIn(take()), 'a d e');
  });

  it('reads past a process that ended before it had written what it took', () => {
    const volume = take();
    volume.append(entry(0, 'a'));
    writeFileSync(join(directory, 'log-2.jsonl'), '{"entries":[');
    assert.equal(idsIn(take()), 'a');
    assert.deepEqual(readdirSync(directory), ['log-3.jsonl']);
  });

  it('after a write that failed, takes nothing more: half a line may be there', () => {
    const volume = take();
    volume.append(entry(0, 'a'));
    const full = (): never => {
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    };
    during('fsyncSync', full, () => {
      assert.throws(() => volume.append(entry(1, 'b')), { code: 'ENOSPC' });
    });
    assert.throws(() => volume.append(entry(1, 'b')), /cannot be written/);
    assert.equal(volume.isLost(), true);
  });

  it('is lost when its own file has gone, and stays lost', () => {
    const volume = take();
    for (const name of readdirSync(directory)) unlinkSync(join(directory, name));
    assert.equal(volume.isLost(), true);
    appendFileSync(join(directory, 'log-1.jsonl'), '');
    assert.throws(() => volume.append(entry(0, 'a')), /another process/);
  });

  it('refuses an entry out of order', () => {
    assert.throws(() => take().append(entry(1, 'b')), /does not follow/);
  });
});

/** Runs `action` with a call of the file system before which something else happens. */
function during(name: 'fsyncSync' | 'writeFileSync', meanwhile: () => unknown, action: () => void): void {
  const { [name]: call } = fs;
  const restore = (): void => {
    Object.assign(fs, { [name]: call });
    syncBuiltinESMExports();
  };
  const interposed = (...parameters: unknown[]): unknown => {
    restore();
    meanwhile();
    return Reflect.apply(call, fs, parameters);
  };
  Object.assign(fs, { [name]: interposed });
  syncBuiltinESMExports();
  try {
    action();
  } finally {
    restore();
  }
}

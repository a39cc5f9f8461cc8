import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const mocha = fileURLToPath(import.meta.resolve('mocha/bin/mocha.js'));
const hooks = fileURLToPath(import.meta.resolve('./hooks.js'));
const leaking = fileURLToPath(import.meta.resolve('./fixtures/leaking-tests.js'));

describe('A test that leaves something open fails the run', () => {
  let output = '';
  let status: number | null = null;

  before(function () {
    this.timeout(30_000);
    const args = [mocha, '--no-config', '--no-package', '--exit', '--require', hooks, leaking];
    const run = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 25_000 });
    ({ status } = run);
    output = run.stdout + run.stderr;
  });

  it('which ends with a failure, all tests having run', () => {
    assert.notEqual(status, 0, output);
    assert.match(output, /9 passing/);
    assert.match(output, /1 failing/);
  });

  it('a tidy test is not named', () => {
    assert.doesNotMatch(output, /› closes what it opens/);
    assert.doesNotMatch(output, /a before or after hook/);
  });

  const kinds = [
    ['leaves a TCP socket', /a TCP socket, opened .*leaking-tests/],
    ['leaves a TCP server', /a TCP server, opened/],
    ['leaves a UDP socket', /a UDP socket, opened .*leaking-tests/],
    ['leaves a child process', /a child process, opened .*leaking-tests/],
    ['leaves a timer', /a timer \(setTimeout\), opened .*leaking-tests/],
    ['leaves an interval', /a timer \(setInterval\), opened .*leaking-tests/],
    ['leaves a process listener', /process\.on\('SIGTERM'\) is not what it was/],
    ['leaves a fake clock', /the global setTimeout is not what it was/],
  ] as const;
  for (const [test, leak] of kinds) {
    it(`${test} is named, with what and where`, () => {
      const lines = output.split('\n');
      const at = lines.findIndex((line) => line.includes(`leaks › ${test}`));
      assert.notEqual(at, -1, output);
      assert.match(lines[at + 1] ?? '', leak);
    });
  }
});

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { nodeEnvironment } from '../../../src/identity/environment.ts';

describe('nodeEnvironment', () => {
  it("gives the machine's hostname, files and variables, and null for a file that is not there", () => {
    assert.equal(nodeEnvironment.hostname(), hostname());
    for (const path of [
      '/etc/hosts',
      '/etc/resolv.conf',
      '/var/run/secrets/kubernetes.io/serviceaccount/namespace',
    ] as const) {
      assert.equal(nodeEnvironment.readFile(path), existsSync(path) ? readFileSync(path, 'utf8') : null);
    }
    assert.equal(nodeEnvironment.variables['PATH'], process.env['PATH']);
  });

  it('pauses for as long as it is told', () => {
    const before = performance.now();
    nodeEnvironment.pause(5);
    assert.ok(performance.now() - before >= 4);
  });
});

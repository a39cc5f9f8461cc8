import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Runtime } from './support/runtime.ts';
import { containerRuntime, images, label, leaveRuntime } from './support/runtime.ts';
import { removeNetwork, sweep, temporaryDirectory } from './support/sweep.ts';

describe('What a killed run left behind', function () {
  this.timeout(30_000);
  let runtime: Runtime | null = null;

  before(async function () {
    runtime = await containerRuntime();
    if (runtime === null) this.skip();
  });

  afterEach(leaveRuntime);

  it('is swept at the next start; what other runs are using stays', async () => {
    assert.ok(runtime !== null);
    const { docker } = runtime;
    // A process that has been, and one that is: this one.
    const { pid: gone } = spawnSync(process.execPath, ['--version']);
    const idle = ['node', '--eval', 'setInterval(() => undefined, 60_000)'];
    const made = await Promise.all(
      [gone, process.pid].map(async (pid) => {
        const Labels = { [label]: `${hostname()}:${pid}` };
        const network = await docker.createNetwork({ Name: `stateful-peers-${randomUUID()}`, Labels });
        const HostConfig = { NetworkMode: network.id };
        const container = await docker.createContainer({ Image: images.node, Cmd: idle, Labels, HostConfig });
        await container.start();
        return { container, network };
      }),
    );
    const [left, used] = made;
    assert.ok(left !== undefined && used !== undefined);
    const own = temporaryDirectory();
    const [other, elsewhere] = [hostname(), `${hostname()}-2`].map((machine) =>
      mkdtempSync(join(tmpdir(), `stateful-peers-containers-${gone}@${machine}-`)),
    );
    assert.ok(other !== undefined && elsewhere !== undefined);
    try {
      await sweep(docker, label);
      await assert.rejects(left.container.inspect(), { statusCode: 404 });
      await assert.rejects(left.network.inspect(), { statusCode: 404 });
      assert.ok(!existsSync(other));
      await used.container.inspect();
      await used.network.inspect();
      await assert.rejects(removeNetwork(docker, used.network.id), /containers are left in/);
      assert.ok(existsSync(own));
      assert.ok(existsSync(elsewhere), 'of a process on another machine nothing is known');
    } finally {
      for (const { container, network } of made) {
        await container.remove({ force: true }).catch(() => undefined);
        await network.remove().catch(() => undefined);
      }
      for (const directory of [own, other, elsewhere]) rmSync(directory, { recursive: true, force: true });
    }
  });
});

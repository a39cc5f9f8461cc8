// Mocha's spec reporter, which also leaves the counts in build/test-counts.json for .ci/run.
const { mkdirSync, rmSync, writeFileSync } = require('node:fs');
const { reporters, Runner } = require('mocha');

const file = 'build/test-counts.json';

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    // A run that crashes must not leave the counts of the one before.
    rmSync(file, { force: true });
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats;
      mkdirSync('build', { recursive: true });
      writeFileSync(file, `${JSON.stringify({ passes, failures, pending })}\n`);
    });
  }
};

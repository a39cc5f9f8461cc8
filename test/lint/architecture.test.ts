import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';
import type { IConfiguration, ICruiseOptions, ICruiseResult } from 'dependency-cruiser';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';

type Tree = Record<string, string>;

const root = new URL('../../../', import.meta.url);
const { default: configuration } = (await import(new URL('.dependency-cruiser.js', root).href)) as {
  default: IConfiguration;
};

/** Files with the import that breaks the rule, and the rule. */
const violations: readonly (readonly [rule: string, Tree])[] = [
  ['no-cycles', { 'src/dns/a.ts': `import './b.ts';`, 'src/dns/b.ts': `import './a.ts';` }],
  ['ground-rooms-share-types-only', { 'src/dns/a.ts': `import '../topology/b.ts';`, 'src/topology/b.ts': '' }],
  ['ground-rooms-share-types-only', { 'src/identity/a.ts': `import '../dns/b.ts';`, 'src/dns/b.ts': '' }],
  ['ground-rooms-see-nothing-above', { 'src/dns/a.ts': `import type {} from '../options.ts';`, 'src/options.ts': '' }],
  ['ground-rooms-see-nothing-above', { 'src/topology/a.ts': `import '../watch/b.ts';`, 'src/watch/b.ts': '' }],
  ['topology-is-pure', { 'src/topology/a.ts': `import 'node:net';` }],
  ['topology-is-pure', { 'src/topology/a.ts': `import 'eventemitter3';` }],
  ['topology-is-pure', { 'src/topology/a.ts': `import '../late-modules.ts';`, 'src/late-modules.ts': '' }],
  ['errors-see-types-only', { 'src/errors.ts': `import './topology/a.ts';`, 'src/topology/a.ts': '' }],
  ['options-see-the-policies', { 'src/options.ts': `import './dns/a.ts';`, 'src/dns/a.ts': '' }],
  ['watch-uses-dns-and-topology', { 'src/watch/a.ts': `import type {} from '../options.ts';`, 'src/options.ts': '' }],
  ['watch-uses-dns-and-topology', { 'src/watch/a.ts': `import '../identity/b.ts';`, 'src/identity/b.ts': '' }],
  ['connect-sees-an-address-source', { 'src/connect/a.ts': `import '../topology/b.ts';`, 'src/topology/b.ts': '' }],
  ['http-sees-an-address-source', { 'src/http/a.ts': `import '../topology/b.ts';`, 'src/topology/b.ts': '' }],
  ['bindings-see-topology-types', { 'src/http/a.ts': `import type {} from '../dns/b.ts';`, 'src/dns/b.ts': '' }],
  ['bindings-see-topology-types', { 'src/connect/a.ts': `import type {} from '../http/b.ts';`, 'src/http/b.ts': '' }],
  ['nothing-stands-on-the-top', { 'src/watch/a.ts': `import '../testing/b.ts';`, 'src/testing/b.ts': '' }],
  ['nothing-stands-on-the-top', { 'src/peer-discovery.ts': `import './cli/b.ts';`, 'src/cli/b.ts': '' }],
  ['testing-does-not-use-cli', { 'src/testing/a.ts': `import '../cli/b.ts';`, 'src/cli/b.ts': '' }],
  [
    'main-door-stays-small',
    { 'src/index.ts': `import './a.ts';`, 'src/a.ts': `import type {} from './http/b.ts';`, 'src/http/b.ts': '' },
  ],
  ['main-door-stays-small', { 'src/index.ts': `import './a.ts';`, 'src/a.ts': `import type {} from 'undici';` }],
  ['doors-are-not-imported', { 'src/connect/a.ts': `import type {} from '../index.ts';`, 'src/index.ts': '' }],
  ['only-environment-touches-the-machine', { 'src/identity/a.ts': `import { env } from 'node:process';` }],
  ['only-environment-touches-the-machine', { 'src/dns/a.ts': `import 'node:fs/promises';` }],
  ['modules-of-node-come-late', { 'src/watch/a.ts': `import 'node:events';` }],
  ['modules-of-node-come-late', { 'src/connect/a.ts': `import { connect } from 'node:net';` }],
  ['timers-are-the-global-ones', { 'src/watch/a.ts': `import 'node:timers/promises';` }],
  ['one-dependency', { 'src/watch/a.ts': `import 'p-retry';` }],
  ['workers-load-p-retry-later', { 'src/connect/worker.ts': `import 'p-retry';` }],
  ['src-stands-alone', { 'src/dns/a.ts': `import '../../test/b.ts';`, 'test/b.ts': '' }],
];

/** What the rooms are for; no rule may refuse it. */
const allowed: Tree = {
  'src/index.ts': `export * from './peer-discovery.ts';`,
  'src/peer-discovery.ts': `import './watch/a.ts'; import './identity/environment.ts'; import './connect/a.ts'; import './options.ts'; import 'eventemitter3';`,
  'src/options.ts': `import './topology/primary.ts'; import './errors.ts'; import './option-checks.ts';`,
  'src/option-checks.ts': `import './errors.ts';`,
  'src/errors.ts': `import type {} from './topology/a.ts';`,
  'src/watch/a.ts': `import '../dns/a.ts'; import '../topology/a.ts'; import '../errors.ts'; import '../diagnostics.ts'; import '../debug.ts';`,
  'src/diagnostics.ts': `import './late-modules.ts';`,
  'src/topology/target.ts': `import '../errors.ts';`,
  'src/dns/a.ts': `import type {} from 'node:dgram'; import '../errors.ts'; import '../late-modules.ts'; import type {} from '../topology/a.ts';`,
  'src/late-modules.ts': '',
  'src/debug.ts': `import './late-modules.ts';`,
  'src/topology/a.ts': `import '../errors.ts'; import type {} from '../dns/a.ts'; import './primary.ts';`,
  'src/topology/primary.ts': `import '../errors.ts';`,
  'src/identity/environment.ts': `import type {} from '../dns/a.ts';`,
  'src/connect/a.ts': `import type {} from '../topology/a.ts'; import '../topology/target.ts'; import '../late-modules.ts'; import '../diagnostics.ts'; import '../debug.ts'; import '../option-checks.ts';`,
  'src/connect/worker.ts': `export const load = (): unknown => import('p-retry');`,
  'src/http/a.ts': `import '../connect/a.ts'; import 'undici'; import '../option-checks.ts';`,
  'src/undici.ts': `export * from './http/a.ts'; import 'undici';`,
  'src/testing/a.ts': `import '../peer-discovery.ts'; import 'node:fs'; import '../dns/a.ts';`,
  'src/cli/a.ts': `import '../testing/a.ts'; import '../index.ts'; import 'node:timers/promises'; import 'node:process';`,
};

describe('The borders between the rooms', function () {
  this.timeout(30_000);

  let tree = '';

  beforeEach(() => {
    tree = realpathSync(mkdtempSync(join(tmpdir(), 'stateful-peers-rooms-')));
  });
  afterEach(() => {
    rmSync(tree, { recursive: true, force: true });
  });

  for (const [rule, files] of violations) {
    it(`${rule}: refused is ${Object.entries(files)[0]?.join(' with ') ?? ''}`, async () => {
      // A violation may break another rule as well.
      assert.ok((await brokenRules(files)).includes(rule));
    });
  }

  it('let through what the rooms are for', async () => {
    assert.deepEqual(await brokenRules(allowed), []);
  });

  it('have an example of a violation for every rule', () => {
    const rules = configuration.forbidden?.map(({ name }) => name) ?? [];
    assert.deepEqual(rules, [...new Set(violations.map(([rule]) => rule))]);
  });

  async function brokenRules(files: Tree): Promise<string[]> {
    for (const [path, source] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), `${source}\nexport {};\n`);
    }
    const options: ICruiseOptions = { ...configuration.options };
    delete options.tsConfig;
    const { output } = await cruise(['src'], { ...options, baseDir: tree, validate: true, ruleSet: configuration });
    return [...new Set((output as ICruiseResult).summary.violations.map(({ rule }) => rule.name))];
  }
});

describe('The rules inside a room', function () {
  this.timeout(30_000);

  const refused: readonly (readonly [file: string, source: string, rule: string])[] = [
    ['src/dns/a.ts', `export const zone = process.env['ZONE'];`, 'no-restricted-globals'],
    ['src/dns/a.ts', `export const node = globalThis.process;`, 'no-restricted-properties'],
    ['src/dns/a.ts', `export const signal = AbortSignal.timeout(1);`, 'no-restricted-properties'],
    ['src/dns/a.ts', `export default 1;`, 'no-restricted-syntax'],
    ['src/dns/a.ts', `console.log('asked');`, 'no-console'],
    ['src/watch/a.ts', `export const now = Date.now();`, 'no-restricted-properties'],
    ['src/topology/a.ts', `export const now = performance.now();`, 'no-restricted-globals'],
    ['src/topology/a.ts', `setTimeout(() => undefined, 1);`, 'no-restricted-globals'],
    ['src/topology/a.ts', `export const chance = Math.random();`, 'no-restricted-properties'],
    ['src/late-modules.ts', `export const fs = process.getBuiltinModule('node:fs/promises');`, 'no-restricted-syntax'],
    ['src/late-modules.ts', `export const { env } = process;`, 'no-restricted-syntax'],
    ['src/late-modules.ts', `export const env = process.env;`, 'no-restricted-syntax'],
  ];
  // The rules that need no types, so that files can be made up.
  const eslint = new ESLint({ cwd: fileURLToPath(root), overrideConfig: tseslint.configs.disableTypeChecked });

  for (const [file, source, rule] of refused) {
    it(`${rule}: refused in ${file} is ${source}`, async () => {
      assert.deepEqual(await brokenRules(file, source), [rule]);
    });
  }

  it('let identity/environment.ts read the process, late-modules.ts load modules, and the commands print', async () => {
    assert.deepEqual(await brokenRules('src/late-modules.ts', `process.getBuiltinModule('node:net');`), []);
    assert.deepEqual(await brokenRules('src/identity/environment.ts', `export const { env } = process;`), []);
    assert.deepEqual(await brokenRules('src/cli/a.ts', `console.log(process.argv);`), []);
  });

  async function brokenRules(filePath: string, source: string): Promise<(string | null)[]> {
    const [result] = await eslint.lintText(`${source}\n`, { filePath });
    return result?.messages.map(({ ruleId }) => ruleId) ?? [];
  }
});

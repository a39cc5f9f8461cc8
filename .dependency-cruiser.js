// Which room may import which (docs/architecture.md). Arrows go one way; each rule says why it is there.
// `npm run check` runs it over src, test/lint/architecture.test.ts shows that every rule can fail.

const types = { dependencyTypesNot: ['type-only'] };

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Files that import each other cannot be read or tested alone. A cycle through `import type` is none.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: types },
    },
    {
      name: 'ground-rooms-share-types-only',
      comment: 'identity, dns and topology know nothing of each other but their types.',
      severity: 'error',
      from: { path: '^src/(identity|dns|topology)/' },
      to: { path: '^src/(identity|dns|topology)/', pathNot: '^src/$1/', ...types },
    },
    {
      name: 'ground-rooms-see-nothing-above',
      comment: 'identity, dns and topology stand on errors.ts and late-modules.ts alone, types included.',
      severity: 'error',
      from: { path: '^src/(identity|dns|topology)/' },
      to: { path: '^src/', pathNot: '^src/((identity|dns|topology)/|(errors|late-modules)\\.ts$)' },
    },
    {
      name: 'topology-is-pure',
      comment: 'Time and answers come in as values, so that a belief can be replayed: no Node.js module, no package.',
      severity: 'error',
      from: { path: '^src/topology/' },
      to: { path: '^(?!src/|\\.)|^src/late-modules\\.ts$' },
    },
    {
      name: 'errors-see-types-only',
      comment: 'Everything imports errors.ts.',
      severity: 'error',
      from: { path: '^src/errors\\.ts$' },
      to: types,
    },
    {
      name: 'options-see-the-policies',
      comment: 'options.ts holds defaults and checks; the default policy is one of them.',
      severity: 'error',
      from: { path: '^src/options\\.ts$' },
      to: { path: '^src/', pathNot: '^src/(errors|option-checks|topology/primary)\\.ts$', ...types },
    },
    {
      name: 'watch-uses-dns-and-topology',
      comment: 'watch asks dns and feeds topology. It does not know who it runs for or who listens.',
      severity: 'error',
      from: { path: '^src/watch/' },
      to: { path: '^src/', pathNot: '^src/((watch|dns|topology)/|(errors|diagnostics|debug|late-modules)\\.ts$)' },
    },
    {
      name: 'connect-sees-an-address-source',
      comment:
        'connect gets addresses, changes and a way to report from a small interface of its own. What a target means it ' +
        'has from topology/target.ts, which is pure.',
      severity: 'error',
      from: { path: '^src/connect/' },
      to: {
        path: '^src/',
        pathNot: '^src/(connect/|topology/target\\.ts$|(errors|diagnostics|debug|option-checks|late-modules)\\.ts$)',
        ...types,
      },
    },
    {
      name: 'http-sees-an-address-source',
      comment: 'http builds on connect and its address source.',
      severity: 'error',
      from: { path: '^src/http/' },
      to: { path: '^src/', pathNot: '^src/((http|connect)/|(errors|option-checks)\\.ts$)', ...types },
    },
    {
      name: 'bindings-see-topology-types',
      comment: 'Of the rest, connect and http know the types of topology; http knows connect, not the other way round.',
      severity: 'error',
      from: { path: '^src/(connect|http)/' },
      to: {
        path: '^src/',
        pathNot: '^src/((connect|$1|topology)/|(errors|diagnostics|debug|option-checks|late-modules)\\.ts$)',
      },
    },
    {
      name: 'nothing-stands-on-the-top',
      comment:
        'testing and cli stand on top: no file below imports them. cli may use testing, not the other way round.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/((testing|cli)/|testing\\.ts$)' },
      to: { path: '^src/((testing|cli)/|testing\\.ts$)' },
    },
    {
      name: 'testing-does-not-use-cli',
      comment: 'The embedded cluster is a library of its own; the commands use it.',
      severity: 'error',
      from: { path: '^src/testing(/|\\.ts$)' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'main-door-stays-small',
      comment: 'Who imports `stateful-peers` loads no HTTP client, no test double and no command, not even by a type.',
      severity: 'error',
      from: { path: '^src/index\\.ts$' },
      to: { path: '^src/((http|testing|cli)/|(undici|testing)\\.ts$)|(^|node_modules/)undici(/|$)', reachable: true },
    },
    {
      name: 'doors-are-not-imported',
      comment: 'The doors are the only barrels. Inside, files import each other by name.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(cli/|index\\.ts$)' },
      to: { path: '^src/(index|undici|testing)\\.ts$' },
    },
    {
      name: 'only-environment-touches-the-machine',
      comment:
        'What the library reads of its machine stands in identity/environment.ts, so that tests can give it another.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/((testing|cli)/|identity/environment\\.ts$)' },
      to: { path: '^(node:)?(os|fs|fs/promises|process)$' },
    },
    {
      name: 'modules-of-node-come-late',
      comment: 'Importing the library loads none: late-modules.ts does when one is needed.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(testing|cli)/' },
      to: { dependencyTypes: ['core'], ...types },
    },
    {
      name: 'timers-are-the-global-ones',
      comment: 'Imported timers are not moved by @sinonjs/fake-timers.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/cli/' },
      to: { path: '^(node:)?timers(/promises)?$' },
    },
    {
      name: 'one-dependency',
      comment:
        'The main door has one dependency, eventemitter3, which is bundled. undici is for the HTTP room and its door; p-retry is loaded ' +
        'by the first worker.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(http/|undici\\.ts$|connect/worker\\.ts$)' },
      to: { dependencyTypesNot: ['local', 'core', 'type-only'], pathNot: '^\\.|(^|node_modules/)eventemitter3(/|$)' },
    },
    {
      name: 'workers-load-p-retry-later',
      comment: 'A static import would load it with the main door.',
      severity: 'error',
      from: { path: '^src/connect/worker\\.ts$' },
      to: { dependencyTypesNot: ['local', 'core', 'type-only'], pathNot: '^\\.', dynamic: false },
    },
    {
      name: 'src-stands-alone',
      comment: 'What is shipped imports nothing that is not.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|examples)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: 'specify',
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'default'] },
  },
};

import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

// Which room may import which stands in .dependency-cruiser.js.

/** Global timers that a test can move with @sinonjs/fake-timers, in place of these. */
const unmovable = [
  { object: 'AbortSignal', property: 'timeout', message: 'Fake timers do not move it: use setTimeout.' },
  { object: 'Date', property: 'now', message: 'The wall clock jumps: use performance.now().' },
];

const unnamed = [
  { selector: 'ExportDefaultDeclaration', message: 'Export by name.' },
  { selector: 'ExportSpecifier[exported.name="default"]', message: 'Export by name.' },
];

export default defineConfig(
  globalIgnores(['build/', 'build-*/', 'dist/', 'docs/api/', 'coverage/', '.nodes/']),
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      'no-restricted-syntax': ['error', ...unnamed],
    },
  },
  {
    // The library. What it reads of its machine stands in one file, and it prints nothing.
    files: ['src/**/*.ts'],
    ignores: ['src/cli/**', 'src/testing/**'],
    rules: {
      'no-console': 'error',
      'no-restricted-properties': ['error', ...unmovable, { object: 'globalThis', property: 'process' }],
      'no-restricted-globals': [
        'error',
        { name: 'process', message: 'Only identity/environment.ts reads the process.' },
      ],
    },
  },
  {
    files: ['src/identity/environment.ts'],
    rules: { 'no-restricted-globals': 'off' },
  },
  {
    // It has of the process what loads modules, and loads none that reads the machine or replaces a global timer.
    files: ['src/late-modules.ts'],
    rules: {
      'no-restricted-globals': 'off',
      'no-restricted-syntax': [
        'error',
        ...unnamed,
        {
          selector: 'Literal[value=/^(node:)?(fs|os|process|timers|child_process)\\b/]',
          message: 'Only identity/environment.ts reads the machine; timers are the global ones.',
        },
        {
          selector: 'MemberExpression[object.name="process"]:not([property.name="getBuiltinModule"])',
          message: 'Only identity/environment.ts reads the process.',
        },
        {
          selector: 'VariableDeclarator[init.name="process"]',
          message: 'Only identity/environment.ts reads the process.',
        },
      ],
    },
  },
  {
    // Pure: time comes in as a number, chance as a function.
    files: ['src/topology/**/*.ts'],
    rules: {
      'no-restricted-properties': ['error', ...unmovable, { object: 'Math', property: 'random' }],
      'no-restricted-globals': [
        'error',
        ...['process', 'performance', 'Date', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'].map(
          (name) => ({ name, message: 'The topology room is pure: pass it in.' }),
        ),
      ],
    },
  },
  {
    // A double of an async function need not await.
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/require-await': 'off' },
  },
  {
    // Tests of types: written to be refused by the compiler, and never run.
    files: ['test/types/**/*.ts'],
    rules: {
      '@typescript-eslint/ban-ts-comment': 'off',
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unused-vars': 'off',
    },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: { require: 'readonly', module: 'writable', process: 'readonly' },
    },
  },
);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What `import * as door from 'stateful-peers'` has at run time. */
const expectedExports = ['PeerDiscoveryError', 'discoverPeers', 'fixedPrimary', 'lowestOrdinal', 'observePeers'];
const undiciExports = ['PeerDiscoveryError', 'PeerDispatcher', 'createIdentityGuard', 'retryableErrorCodes'];

/** What the tarball holds: these files, and below dist/ and src/ what the patterns say. */
const expectedFiles = ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist/eventemitter3.LICENSE', 'package.json'];
const expectedPatterns = [/^dist\/[\w/-]+\.(js|js\.map|d\.ts|d\.ts\.map)$/, /^src\/(?!cli|testing)[\w/-]+\.ts$/];
/** One file a door, and what must run before undici: few files are quick to import. */
const expectedModules = [/^chunk-\w+\.js$/, /^http\/preload-builtin-fetch\.js$/, /^index\.js$/, /^undici\.js$/];

const root = fileURLToPath(new URL('../../', import.meta.url));

describe('The package, packed and installed as a user would', function () {
  this.timeout(60_000);

  let consumer = '';
  let installed = '';

  before(() => {
    consumer = mkdtempSync(join(tmpdir(), 'stateful-peers-consumer-'));
    installed = join(consumer, 'node_modules', 'stateful-peers');
    const [packed] = JSON.parse(npm('pack', '--json', '--pack-destination', consumer)) as [{ filename: string }];
    mkdirSync(installed, { recursive: true });
    execFileSync('tar', ['-xzf', join(consumer, packed.filename), '--strip-components=1', '-C', installed]);
    writeFileSync(join(consumer, 'package.json'), '{ "private": true }\n');
  });

  after(() => {
    rmSync(consumer, { recursive: true, force: true });
  });

  it('holds the compiled library, its sources, its licence and its papers, and nothing else', () => {
    const files = readdirSync(installed, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(installed.length + 1)
          .replaceAll('\\', '/'),
      )
      .sort();
    const plain = files.filter((file) => !expectedPatterns.some((pattern) => pattern.test(file)));
    assert.deepEqual(plain, expectedFiles);
    const compiled = files.filter((file) => file.startsWith('dist/')).map((file) => file.slice('dist/'.length));
    const modules = compiled.filter((file) => file.endsWith('.js'));
    assert.deepEqual(
      modules.filter((file) => !expectedModules.some((pattern) => pattern.test(file))),
      [],
    );
    assert.deepEqual(
      compiled.filter((file) => file.endsWith('.js.map')),
      modules.map((file) => `${file}.map`),
    );
    // A debugger finds the sources, and an editor the declarations of all that are shipped.
    assert.deepEqual(
      compiled.filter((file) => file.endsWith('.d.ts')),
      files
        .filter((file) => file.startsWith('src/'))
        .map((file) => file.slice('src/'.length).replace(/\.ts$/, '.d.ts')),
    );
  });

  it('installs without running a script, and depends on three packages', () => {
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
      scripts?: Record<string, string>;
      dependencies?: Record<string, string>;
    };
    assert.deepEqual(Object.keys(manifest.dependencies ?? {}), ['eventemitter3', 'p-retry', 'undici']);
    const onInstall = ['preinstall', 'install', 'postinstall', 'prepare'];
    assert.deepEqual(
      onInstall.filter((name) => name in (manifest.scripts ?? {})),
      [],
    );
  });

  it('import gives the named exports and no default', () => {
    const names = run(
      'names.mjs',
      `import * as door from 'stateful-peers'; console.log(JSON.stringify(Object.keys(door)));`,
    );
    assert.deepEqual(JSON.parse(names), expectedExports);
  });

  it('require() gives the very same exports', () => {
    const same = run(
      'same.cjs',
      `const door = require('stateful-peers');
       import('stateful-peers').then((esm) => {
         console.log(JSON.stringify(Object.keys(esm).filter((name) => esm[name] === door[name])));
       });`,
    );
    assert.deepEqual(JSON.parse(same), expectedExports);
  });

  it('importing it loads eventemitter3, which is in the file, and no other package, and nothing of http/, testing/ and cli/', () => {
    const log = join(consumer, 'loaded.txt');
    // Hooks run on a thread of their own, so what was loaded is told through a file.
    const hooks = `import { appendFileSync } from 'node:fs';
      export function load(url, context, next) { appendFileSync(${JSON.stringify(log)}, url + '\\n'); return next(url, context); }`;
    writeFileSync(
      join(consumer, 'register.mjs'),
      `import { register } from 'node:module'; register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)});`,
    );
    run('load.mjs', `import 'stateful-peers';`, '--import', './register.mjs');
    const loaded = readFileSync(log, 'utf8').split('\n');
    const modules = loaded.flatMap((url) => /\/node_modules\/(.*)$/.exec(url)?.[1] ?? []);
    assert.deepEqual(modules, ['stateful-peers/dist/index.js']);
    assert.deepEqual(packagesIn('index.js'), ['eventemitter3']);
    assert.deepEqual(packagesIn('undici.js'), []);
  });

  it('importing it changes no global, opens nothing and prints nothing', () => {
    const changes = run(
      'globals.mjs',
      `const shot = () => new Map([
         ...Reflect.ownKeys(globalThis).map((key) => {
           const { value, get } = Reflect.getOwnPropertyDescriptor(globalThis, key);
           return ['globalThis ' + String(key), get ?? value];
         }),
         ...Object.entries(process.env).map(([name, value]) => ['process.env ' + name, value]),
         ...process.eventNames().map((name) => ['process.on ' + String(name), process.listenerCount(name)]),
         ...[Object, Array, Function, Error, Promise, Map, Set, Symbol].flatMap(({ name, prototype }) =>
           Reflect.ownKeys(prototype).map((key) => [name + '.prototype ' + String(key), true])),
         ['resources', process.getActiveResourcesInfo().filter((kind) => /TCP|UDP|Timeout|Process|Worker/.test(kind)).length],
         ['stack traces', Error.stackTraceLimit + String(Error.prepareStackTrace)],
       ]);
       shot(); // Looking at a global that Node.js makes when it is first used makes it.
       const before = shot();
       await import('stateful-peers');
       const after = shot();
       const keys = [...new Set([...before.keys(), ...after.keys()])];
       console.log(JSON.stringify(keys.filter((key) => !Object.is(before.get(key), after.get(key)))));`,
    );
    assert.deepEqual(JSON.parse(changes), []);
  });

  it('without undici, ./undici says which package is missing, and the main door works', () => {
    const said = run(
      'missing.mjs',
      `await import('stateful-peers');
       console.log(await import('stateful-peers/undici').catch(({ code, message }) => code + ' ' + /'(.*?)'/.exec(message)[1]));`,
    );
    assert.equal(said.trim(), 'ERR_MODULE_NOT_FOUND undici');
  });

  describe('with its dependencies', () => {
    before(() => {
      for (const name of ['eventemitter3', 'undici', 'p-retry', 'is-network-error']) {
        cpSync(join(root, 'node_modules', name), join(consumer, 'node_modules', name), { recursive: true });
      }
    });

    it('./undici gives the named exports, the same by import and require()', () => {
      const names = run(
        'undici.cjs',
        `const door = require('stateful-peers/undici');
         import('stateful-peers/undici').then((esm) => {
           console.log(JSON.stringify(Object.keys(esm).filter((name) => esm[name] === door[name])));
         });`,
      );
      assert.deepEqual(JSON.parse(names), undiciExports);
    });

    it('./undici leaves the built-in fetch and its dispatcher as they are', () => {
      const said = run(
        'fetch.mjs',
        `import { createServer } from 'node:http';
         const symbol = Symbol.for('undici.globalDispatcher.1');
         const { PeerDispatcher } = await import('stateful-peers/undici');
         const own = globalThis[symbol]?.constructor;
         const server = createServer((request, response) => { request.resume(); response.end(request.headers['content-length']); });
         server.listen(0, '127.0.0.1', async () => {
           const url = 'http://127.0.0.1:' + server.address().port;
           const response = await fetch(url, { method: 'POST', body: 'abc', headers: { 'content-length': '3' } });
           console.log(await response.text(), own === undefined || own !== PeerDispatcher);
           process.exit();
         });`,
      );
      assert.equal(said.trim(), '3 true');
    });

    it('./undici knows the library objects and the errors of the main door, with which it shares no module', () => {
      const said = run(
        'doors.mjs',
        `import { observePeers, PeerDiscoveryError } from 'stateful-peers';
         import { PeerDispatcher, PeerDiscoveryError as Same } from 'stateful-peers/undici';
         const dns = { servers: ['127.0.0.1:9'] };
         const peers = observePeers({ statefulSet: 'web', service: 'nginx', namespace: 'default', clusterDomain: 'cluster.local', dns });
         const dispatcher = new PeerDispatcher(peers);
         const request = dispatcher.request({ origin: 'http://nobody', path: '/', method: 'GET' });
         const errors = [await request.catch((error) => error), (() => { try { new PeerDispatcher({}); } catch (error) { return error; } })()];
         for (const error of errors) console.log(error.code, error instanceof PeerDiscoveryError, error instanceof Same, peers.stats().pools.open);
         await peers.close();`,
      );
      assert.equal(said, 'ERR_UNKNOWN_PEER true true 0\nERR_OPTION true true 0\n');
    });

    it('a worker runs from CommonJS as well', () => {
      const said = run(
        'worker.cjs',
        `const { discoverPeers } = require('stateful-peers');
         const peers = discoverPeers({ podName: 'web-0', service: 'nginx', namespace: 'default', clusterDomain: 'cluster.local', dns: { servers: ['127.0.0.1:9'] } });
         peers.lead(() => { console.log('leads'); void peers.close(); });`,
      );
      assert.equal(said.trim(), 'leads');
    });

    it('its types compile in a strict ESM and a strict CommonJS consumer, skipLibCheck off', () => {
      const use = `
      import { discoverPeers, fixedPrimary, lowestOrdinal, observePeers, PeerDiscoveryError } from 'stateful-peers';
      import { PeerDispatcher, createIdentityGuard } from 'stateful-peers/undici';
      export function main(): void {
        const member = discoverPeers({ port: 'peer', primary: fixedPrimary() });
        const ordinal: number = member.self.ordinal;
        const observer = observePeers({ statefulSet: 'web', service: 'nginx', primary: lowestOrdinal({ quorum: 2 }) });
        const nobody: null = observer.self;
        const dispatcher = new PeerDispatcher(observer, { waitMs: 1_000 });
        void fetch('http://primary/', { ...dispatcher.forFetch, method: 'POST' });
        void dispatcher.request({ origin: 'http://web-1', path: '/', method: 'GET' });
        createIdentityGuard(member);
        // @ts-expect-error An observer has no identity to guard.
        createIdentityGuard(observer);
        // @ts-expect-error An observer does not lead.
        observer.lead(() => undefined);
        member.on('peerMoved', ({ current }) => { console.log(current.podName, ordinal, nobody); });
        console.log(PeerDiscoveryError.from(new Error())?.code === 'ERR_TIMEOUT');
      }`;
      writeFileSync(join(consumer, 'use.mts'), use);
      writeFileSync(join(consumer, 'use.cts'), use);
      const compilerOptions = {
        target: 'es2022',
        lib: ['es2023', 'esnext.disposable'],
        module: 'nodenext',
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
        types: ['node'],
      };
      writeFileSync(
        join(consumer, 'tsconfig.json'),
        JSON.stringify({ compilerOptions, files: ['use.mts', 'use.cts'] }),
      );
      mkdirSync(join(consumer, 'node_modules', '@types'));
      for (const name of ['@types/node', 'undici-types']) {
        symlinkSync(join(root, 'node_modules', name), join(consumer, 'node_modules', name), 'dir');
      }
      node(join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', consumer);
    });
  });

  /** The packages whose code is in that file: esbuild says so above each module. */
  function packagesIn(file: string): string[] {
    const code = readFileSync(join(installed, 'dist', file), 'utf8');
    assert.match(code, /^\/\/ src\/errors\.ts$/m);
    return [
      ...new Set([...code.matchAll(/^\/\/ node_modules\/(.+?)\/(?!.*node_modules)/gm)].map(([, name]) => name ?? '')),
    ];
  }

  /** Runs a program in the consumer's folder; gives what it printed, and throws with its output when it fails. */
  function run(name: string, source: string, ...nodeOptions: string[]): string {
    writeFileSync(join(consumer, name), source);
    return node(...nodeOptions, name);
  }

  function node(...args: string[]): string {
    return execute(process.execPath, args, consumer);
  }
});

function npm(...args: string[]): string {
  // The npm that runs this test, so that the Node.js is the same, too.
  const cli = process.env['npm_execpath'];
  return cli?.endsWith('.js') === true ? execute(process.execPath, [cli, ...args], root) : execute('npm', args, root);
}

function execute(command: string, args: readonly string[], cwd: string): string {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

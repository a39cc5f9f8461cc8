import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import ts from 'typescript';
import { parseAllDocuments } from 'yaml';
import { defaults } from '../src/options.ts';
import { createMember } from '../src/peer-discovery.ts';
import { TestCluster } from '../src/testing/test-cluster.ts';

/** The fenced blocks of a page, with their languages. */
async function blocksOf(page: string): Promise<{ language: string; text: string }[]> {
  const text = await readFile(page, 'utf8');
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', block = '']) => ({
    language,
    text: block,
  }));
}

/** Of the manifest, what is looked at here. */
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly clusterIP?: string;
    readonly publishNotReadyAddresses?: boolean;
    readonly selector?: Record<string, string>;
    readonly ports?: { readonly name: string; readonly port: number }[];
    readonly serviceName?: string;
  };
}

describe('README', () => {
  it('the program on the first screen prints what stands below it', async function () {
    this.timeout(30_000);
    const blocks = await blocksOf('README.md');
    const program = blocks.find(({ language }) => language === 'ts');
    const index = blocks.findIndex(({ language }) => language === '');
    const printed = blocks[index]?.text;
    assert.ok(program !== undefined && printed !== undefined);
    const { outputText } = ts.transpileModule(program.text, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    const dir = await mkdtemp('build/readme-');
    const cluster = await TestCluster.start({
      statefulSet: 'web',
      service: 'nginx',
      replicas: 2,
      ports: [{ name: 'peer', port: 7_000 }],
      sockets: true,
    });
    const child = spawn(process.execPath, ['--input-type=module', '-'], {
      env: { ...process.env, ...cluster.environmentOf('web-1') },
      cwd: dir,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      child.stdin.end(outputText);
      const expected = printed.trimEnd().split('\n');
      const lines: string[] = [];
      for await (const line of createInterface({ input: child.stdout })) {
        lines.push(line);
        if (line.startsWith('bootstrap')) cluster.pod('web-0').delete();
        if (lines.length === expected.length) break;
      }
      assert.deepEqual(lines, expected);
    } finally {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      await cluster.close();
      await rm(dir, { recursive: true });
    }
  });

  it('the program that connects prints what stands below it', async function () {
    this.timeout(30_000);
    const blocks = await blocksOf('README.md');
    const at = blocks.findIndex(({ text }) => text.includes('new PeerDispatcher('));
    const [program, printed] = [blocks[at], blocks[at + 1]];
    assert.ok(program !== undefined && printed?.language === '');
    const source = ts.transpileModule(program.text, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    }).outputText;
    const dir = await mkdtemp('build/readme-');
    const lines: string[] = [];
    const cluster = await TestCluster.start({
      replicas: 2,
      sockets: true,
      readyMs: 100,
      run: (pod, variables) => {
        const child = spawn(process.execPath, ['--input-type=module', '-'], {
          env: { ...process.env, ...variables },
          cwd: dir,
          stdio: ['pipe', 'pipe', 'inherit'],
        });
        child.stdin.end(source);
        if (pod.name === 'web-1') createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
        return { stopped: once(child, 'exit'), stop: () => void child.kill(), kill: () => void child.kill('SIGKILL') };
      },
    });
    const expected = printed.text.trimEnd().split('\n');
    const printedSoFar = async (count: number): Promise<void> => {
      const late = performance.now() + 20_000;
      while (lines.length < count && performance.now() < late) await new Promise((resolve) => setTimeout(resolve, 20));
      assert.deepEqual(lines, expected.slice(0, count));
    };
    try {
      await printedSoFar(1);
      cluster.pod('web-0').delete();
      await printedSoFar(expected.length);
    } finally {
      await cluster.close();
      await rm(dir, { recursive: true });
    }
  });

  it('what it quotes of the example stands in the example', async () => {
    const example = (await readFile('examples/replicated-log.ts', 'utf8')).replaceAll(/\s+/g, ' ');
    const programs = (await blocksOf('README.md')).filter(
      ({ language, text }) => language === 'ts' && !/^import /m.test(text),
    );
    assert.equal(programs.length, 2);
    for (const { text } of programs) assert.ok(example.includes(text.trim().replaceAll(/\s+/g, ' ')), text);
  });

  it('the manifest makes a set whose pods find each other', async () => {
    const manifest = (await blocksOf('README.md')).find(({ language }) => language === 'yaml');
    const [service, set] = parseAllDocuments(manifest?.text ?? '').map((document) => document.toJS() as Manifest);
    assert.ok(service?.kind === 'Service' && set?.kind === 'StatefulSet');
    assert.equal(service.spec.clusterIP, 'None');
    const cluster = await TestCluster.start({
      statefulSet: set.metadata.name,
      service: set.spec.serviceName ?? '',
      labels: service.spec.selector ?? {},
      ports: service.spec.ports ?? [],
      publishNotReadyAddresses: service.spec.publishNotReadyAddresses ?? false,
      replicas: 2,
    });
    // The Service that governs is the one of the manifest.
    assert.equal(service.metadata.name, set.spec.serviceName);
    const peers = createMember({}, { environment: cluster.machineOf('web-1'), transport: cluster.transport() });
    try {
      const primary = await peers.waitForPrimary();
      assert.deepEqual([primary.podName, primary.port], ['web-0', service.spec.ports?.[0]?.port]);
    } finally {
      await peers.close();
      await cluster.close();
    }
  });

  it('names every default as it is', async () => {
    const text = (await readFile('README.md', 'utf8')).replaceAll(/(?<=\d) (?=\d)/g, '');
    for (const [option, value] of Object.entries(defaults)) {
      assert.match(text, new RegExp(`\\| \`${option}\`\\s*\\| ${value}\\s*\\|`), option);
    }
  });
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import ts from 'typescript';
import { defaults } from '../src/options.ts';
import { TestCluster } from '../src/testing/test-cluster.ts';

/** The fenced blocks of a page, with their languages. */
async function blocksOf(page: string): Promise<{ language: string; text: string }[]> {
  const text = await readFile(page, 'utf8');
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', block = '']) => ({
    language,
    text: block,
  }));
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
      // A process of its own stays up by its server; this one by a timer.
      child.stdin.end(`${outputText}\nsetInterval(() => undefined, 1_000);\n`);
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

  it('names every default as it is', async () => {
    const text = (await readFile('README.md', 'utf8')).replaceAll(/(?<=\d) (?=\d)/g, '');
    for (const [option, value] of Object.entries(defaults)) {
      assert.match(text, new RegExp(`\\| \`${option}\`\\s*\\| ${value}\\s*\\|`), option);
    }
  });
});

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';

/** Without what a line is indented by, also inside a comment. */
function lines(text: string): string {
  return text.replaceAll(/^[ ]*(?:\*[ ]*)?/gm, '');
}

describe('docs/recipes.md', () => {
  let page = '';
  let blocks: string[] = [];

  before(async () => {
    page = await readFile('docs/recipes.md', 'utf8');
    blocks = [...page.matchAll(/^```\w+\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
  });

  it('shows no code that no example has', async () => {
    const names = (await readdir('examples')).filter((name) => name.endsWith('.ts'));
    const examples = await Promise.all(names.map(async (name) => lines(await readFile(`examples/${name}`, 'utf8'))));
    const made = blocks.filter((block) => !examples.some((example) => example.includes(lines(block))));
    assert.deepEqual(made, []);
    assert.ok(blocks.length >= 9);
  });

  it('starts redis-server as the test does', async () => {
    const pods = await readFile('test/recipes/redis-pods.ts', 'utf8');
    const options = blocks.find((block) => block.startsWith('redis-server'))?.match(/--[a-z-]+/g) ?? [];
    assert.deepEqual(
      options.filter((option) => !pods.includes(`'${option}'`)),
      [],
    );
    assert.ok(options.length >= 6);
  });

  it('names examples that exist, and every link leads somewhere', async () => {
    for (const file of ['docs/recipes.md', 'docs/ip-reuse.md']) {
      const text = await readFile(file, 'utf8');
      for (const [, example = ''] of text.matchAll(/`(examples\/[\w-]+\.ts)`/g)) await readFile(example);
      for (const [, to = '', anchor] of text.matchAll(/\]\(([\w-]+\.md)(?:#([\w-]+))?\)/g)) {
        const headings = [...(await readFile(`docs/${to}`, 'utf8')).matchAll(/^#+ (.+)$/gm)];
        const anchors = headings.map(([, heading = '']) =>
          heading
            .toLowerCase()
            .replaceAll(/[^\w -]/g, '')
            .replaceAll(' ', '-'),
        );
        if (anchor !== undefined) assert.ok(anchors.includes(anchor), `${to}#${anchor}`);
      }
    }
  });
});

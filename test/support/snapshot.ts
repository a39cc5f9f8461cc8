import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const rule = '='.repeat(100);

/**
 * Texts that people have read and found good, in a file of `test/fixtures`: a rule, a title, an empty line, the text.
 *
 * UPDATE_SNAPSHOTS=1 writes the file anew: read it as somebody would at three in the morning, then commit it.
 */
export class Snapshot {
  readonly #path: string;
  readonly #isUpdate = process.env['UPDATE_SNAPSHOTS'] === '1';
  readonly #texts: Map<string, string>;

  /** @param file - relative to `test/fixtures` */
  constructor(file: string) {
    this.#path = join(fixtures(), file);
    this.#texts = this.#isUpdate ? new Map<string, string>() : read(this.#path);
  }

  /** The titles in the order of the file. */
  get titles(): readonly string[] {
    return [...this.#texts.keys()];
  }

  /** What stands under this title. */
  text(title: string): string {
    return this.#texts.get(title) ?? '';
  }

  /** Fails where the text under this title is another one. */
  check(title: string, text: string): void {
    if (this.#isUpdate) this.#texts.set(title, text);
    assert.equal(text, this.#texts.get(title));
  }

  /** To be called when all are checked: writes the file, where that was asked for. */
  save(): void {
    if (!this.#isUpdate) return;
    const parts = [...this.#texts].map(([title, text]) => `${rule}\n${title}\n\n${text}\n`);
    writeFileSync(this.#path, parts.join('\n'));
  }
}

function read(path: string): Map<string, string> {
  const parts = readFileSync(path, 'utf8').split(`${rule}\n`).slice(1);
  return new Map(
    parts.map((part) => {
      const [title = '', ...text] = part.trimEnd().split('\n\n');
      return [title, text.join('\n\n')];
    }),
  );
}

/** Where they stand, whether this runs as source or compiled. */
function fixtures(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return join(directory, 'test', 'fixtures');
}

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** An answer that a real server gave, in a file of test/fixtures/dns: lines of origin behind `#`, then the bytes in hex. */
export interface CapturedAnswer {
  readonly origin: readonly string[];
  readonly packet: Uint8Array;
}

/** The names of all of them. */
export function capturedNames(): readonly string[] {
  return readdirSync(directory()).map((file) => file.replace(/\.txt$/, ''));
}

/** Reads one. */
export function readCaptured(name: string): CapturedAnswer {
  const lines = readFileSync(join(directory(), `${name}.txt`), 'utf8').split('\n');
  const isOrigin = (line: string): boolean => line.startsWith('# ');
  return {
    origin: lines.filter(isOrigin).map((line) => line.slice(2)),
    packet: Buffer.from(lines.filter((line) => !isOrigin(line)).join(''), 'hex'),
  };
}

/** Writes one. */
export function keepCaptured(name: string, { origin, packet }: CapturedAnswer): void {
  const hex =
    Buffer.from(packet)
      .toString('hex')
      .match(/.{1,96}/g) ?? [];
  const lines = [...origin.map((line) => `# ${line}`), ...hex, ''];
  writeFileSync(join(directory(), `${name}.txt`), lines.join('\n'));
}

/** Where they stand, whether this runs as source or compiled. */
function directory(): string {
  let root = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(root, 'package.json'))) root = dirname(root);
  return join(root, 'test', 'fixtures', 'dns');
}

/**
 * The log of one pod on its volume: one JSON line an entry, and a fence. Two processes can take themselves for the same
 * pod for a moment (`kubectl delete --force` frees the name and the volume of a pod whose process still runs), and DNS
 * cannot fence. A volume can, where both processes see one and the same directory: not over NFS, which may answer from a
 * cache for some seconds.
 *
 * Each process makes a file of its own, by number. Whoever comes makes the next file, then reads the older ones. Whoever
 * has written looks whether there is a next file, and acknowledges then. So the next one has read whatever was
 * acknowledged. The files are small, and are never put together: this is an example.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What was written, and where in the order. */
export interface Entry {
  readonly index: number;
  readonly id: string;
  readonly value: string;
}

export class LogVolume {
  /** What is on the volume, by index. */
  readonly entries: Entry[] = [];
  readonly #directory: string;
  readonly #epoch: number;
  readonly #file: number;
  #isBroken = false;

  /** Takes the volume from whoever had it. */
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true });
    const older = readdirSync(directory)
      .flatMap((name) => /^log-(\d+)\.jsonl$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
    this.#directory = directory;
    this.#epoch = (older.at(-1) ?? 0) + 1;
    this.#file = openSync(this.#path(this.#epoch), 'wx');
    for (const epoch of older) for (const line of this.#linesOf(epoch)) this.#restore(JSON.parse(line) as Entry);
  }

  /** When it returns, the entry is on the volume, and any process that takes the volume later will have it. */
  append(entry: Entry): void {
    this.#checkFollows(entry);
    if (this.isLost()) throw new Error('the volume is another process’s now, or cannot be written');
    try {
      writeFileSync(this.#file, `${JSON.stringify(entry)}\n`);
      fsyncSync(this.#file);
    } catch (error) {
      // Half a line may be there, and only the end of a file is looked at for one.
      this.#isBroken = true;
      throw error;
    }
    if (this.isLost()) throw new Error('the volume was taken by another process, which may not have this entry');
    this.entries.push(entry);
  }

  /** Another process has it, or nobody can say. Once lost, it stays so. */
  isLost(): boolean {
    if (this.#isBroken) return true;
    try {
      const isNextThere = statSync(this.#path(this.#epoch + 1), { throwIfNoEntry: false }) !== undefined;
      this.#isBroken = isNextThere || statSync(this.#path(this.#epoch), { throwIfNoEntry: false }) === undefined;
    } catch {
      this.#isBroken = true;
    }
    return this.#isBroken;
  }

  close(): void {
    closeSync(this.#file);
  }

  #path(epoch: number): string {
    return join(this.#directory, `log-${epoch}.jsonl`);
  }

  /** What a kill in the middle of a line left of it was never acknowledged. */
  #linesOf(epoch: number): string[] {
    return readFileSync(this.#path(epoch), 'utf8').split('\n').slice(0, -1);
  }

  /** What one process wrote after the next had read it was never acknowledged: the next one's entries take its place. */
  #restore(entry: Entry): void {
    this.entries.splice(entry.index);
    this.#checkFollows(entry);
    this.entries.push(entry);
  }

  #checkFollows({ index }: Entry): void {
    if (index !== this.entries.length) throw new Error(`entry ${index} does not follow ${this.entries.length - 1}`);
  }
}

/**
 * The log of one pod on its volume: one JSON line an entry, and a fence. Two processes can take themselves for the same
 * pod for a moment (`kubectl delete --force` frees the name and the volume of a pod whose process still runs), and DNS
 * cannot fence. A volume can, where both processes see one and the same directory: not over NFS, which may answer from a
 * cache for some seconds.
 *
 * Each process makes a file of its own, by number. Whoever comes makes the next file, then reads what was there, and first
 * writes down what it has taken for the log: what an older process may still write counts for nobody. Whoever has written
 * looks whether there is a next file, and acknowledges then. So the next one has read whatever was acknowledged.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
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
    this.#directory = directory;
    const older = epochsIn(directory);
    this.#epoch = (older[0] ?? 0) + 1;
    this.#file = openSync(this.#path(this.#epoch), 'wx');
    for (const epoch of older) if (this.#read(epoch)) break;
    this.#write({ entries: this.entries } satisfies Taken);
    // Whoever comes has all of it from here. The oldest first: whoever finds no next file must not find its own.
    for (const epoch of older.reverse()) rmSync(this.#path(epoch), { force: true });
  }

  /** When it returns, the entry is on the volume, and any process that takes the volume later will have it. */
  append(entry: Entry): void {
    this.#checkFollows(entry);
    if (this.isLost()) throw new Error('the volume is another process’s now, or cannot be written');
    this.#write(entry);
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

  #write(line: Entry | Taken): void {
    try {
      writeFileSync(this.#file, `${JSON.stringify(line)}\n`);
      fsyncSync(this.#file);
    } catch (error) {
      // Half a line may be there, and only the end of a file is looked at for one.
      this.#isBroken = true;
      throw error;
    }
  }

  /** False for the file of a process that ended before it had written what it took. */
  #read(epoch: number): boolean {
    // What a kill in the middle of a line left of it was never acknowledged.
    const [first, ...lines] = readFileSync(this.#path(epoch), 'utf8').split('\n').slice(0, -1);
    if (first === undefined) return false;
    this.entries.push(...(JSON.parse(first) as Taken).entries);
    for (const line of lines) {
      const entry = JSON.parse(line) as Entry;
      this.#checkFollows(entry);
      this.entries.push(entry);
    }
    return true;
  }

  #checkFollows({ index }: Entry): void {
    if (index !== this.entries.length) throw new Error(`entry ${index} does not follow ${this.entries.length - 1}`);
  }
}

/** The first line of a file: what the process took for the log when it came. */
interface Taken {
  readonly entries: readonly Entry[];
}

/** The numbers of the files, the newest first. */
function epochsIn(directory: string): number[] {
  return readdirSync(directory)
    .flatMap((name) => /^log-(\d+)\.jsonl$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
}

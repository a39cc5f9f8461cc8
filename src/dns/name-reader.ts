import { MalformedMessageError } from './message.ts';
import { maxNameBytes, wireLengthOf } from './name.ts';

/** A name has at most 127 labels, so none needs more pointers to be read than that. */
const maxJumpsPerName = 127;
/**
 * Pointers followed in one message. The 65,535 bytes of the largest one have room for about 9,400 (4,681 NS records of
 * two pointers); only a made-up message has more.
 */
const maxJumps = 10_000;

/** Text in the making; a name of 255 bytes, all written as `\DDD`, fits. Shared: reading is synchronous. */
const scratch = Buffer.alloc(1024);

/** For each byte of a label how it is written: itself in lower case, or 0 where an escape is needed. */
const plain = new Uint8Array(256);
for (let byte = 0x21; byte < 0x7f; byte += 1) plain[byte] = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
const dot = 0x2e;
const backslash = 0x5c;
plain[dot] = 0;
plain[backslash] = 0;

/**
 * Reads the names of one message, following compression pointers (RFC 1035 section 4.1.4), which must point backward,
 * behind the header, and each before where the last one led. Names are kept by offset, because servers point at the
 * same few again and again.
 */
export class NameReader {
  readonly #bytes: Buffer;
  readonly #known = new Map<number, string>();
  #jumps = 0;
  /** Name bytes read and pointers followed so far. */
  steps = 0;
  /** Where the name that was read last ends: behind its last label, or behind its first pointer. */
  end = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** @throws {MalformedMessageError} for what is no name */
  read(start: number): string {
    const bytes = this.#bytes;
    let offset = start;
    /** Pointers must lead before this. */
    let limit = start;
    let wireLength = 1;
    let length = 0;
    let jumps = 0;
    let firstTarget = 0;
    let firstTargetAt = 0;
    let suffix: string | undefined;
    for (;;) {
      const size = bytes[offset];
      if (size === undefined) throw new MalformedMessageError('the message ends within a name', offset, true);
      this.steps += 1;
      if (size === 0) {
        offset += 1;
        break;
      }
      if (size >= 0xc0) {
        const low = bytes[offset + 1];
        if (low === undefined) throw new MalformedMessageError('the message ends within a name', offset, true);
        const target = ((size & 0x3f) << 8) | low;
        if (target >= limit || target < 12) throw new MalformedMessageError('a pointer that is not backward', offset);
        jumps += 1;
        this.#jumps += 1;
        if (jumps > maxJumpsPerName || this.#jumps > maxJumps) {
          throw new MalformedMessageError('too many pointers', offset);
        }
        if (jumps === 1) {
          this.end = offset + 2;
          firstTarget = target;
          firstTargetAt = length;
        }
        suffix = this.#known.get(target);
        if (suffix !== undefined) break;
        limit = target;
        offset = target;
        continue;
      }
      if (size > 63) throw new MalformedMessageError('a label of an unknown kind', offset);
      wireLength += size + 1;
      if (wireLength > maxNameBytes) throw new MalformedMessageError('a name over 255 bytes', offset);
      const labelEnd = offset + 1 + size;
      if (labelEnd > bytes.length) throw new MalformedMessageError('the message ends within a name', offset, true);
      this.steps += size;
      for (offset += 1; offset < labelEnd; offset += 1) {
        const byte = bytes[offset] ?? 0;
        const written = plain[byte] ?? 0;
        if (written === 0) length = escape(byte, length);
        else scratch[length++] = written;
      }
      scratch[length++] = dot;
    }
    if (jumps === 0) this.end = offset;
    if (suffix !== undefined) {
      if (length === 0) return suffix;
      if (wireLength + wireLengthOf(suffix) - 1 > maxNameBytes) {
        throw new MalformedMessageError('a name over 255 bytes', offset);
      }
    }
    const name = this.#text(length, suffix ?? '');
    // Pointers reach no further.
    if (start <= 0x3fff) this.#known.set(start, name);
    // The end of this name is one of its own: others will point at it, too.
    if (jumps > 0 && firstTargetAt < length) this.#known.set(firstTarget, name.slice(firstTargetAt));
    return name;
  }

  #text(length: number, suffix: string): string {
    if (suffix !== '') return scratch.toString('latin1', 0, length) + suffix;
    return length === 0 ? '' : scratch.toString('latin1', 0, length - 1);
  }
}

/** Writes a byte of a label as presentation format has it; returns where to go on. */
function escape(byte: number, at: number): number {
  scratch[at] = backslash;
  if (byte === dot || byte === backslash) {
    scratch[at + 1] = byte;
    return at + 2;
  }
  scratch[at + 1] = 0x30 + Math.floor(byte / 100);
  scratch[at + 2] = 0x30 + (Math.floor(byte / 10) % 10);
  scratch[at + 3] = 0x30 + (byte % 10);
  return at + 4;
}

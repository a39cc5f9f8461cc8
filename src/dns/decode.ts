import { formatIpv4, formatIpv6 } from './address.ts';
import type { Edns, Message, QuestionType, RecordType, ResourceRecord } from './message.ts';
import { MalformedMessageError } from './message.ts';
import { NameReader } from './name-reader.ts';
import { classIn, typeOfCode } from './record-type.ts';

/** The part of a message that tells whose it is: header and question section. */
export type Envelope = Omit<Message, 'answers' | 'authorities' | 'additionals' | 'edns'>;

/**
 * Reads a whole DNS message, query or response, or throws: there is no partial success. The work is bounded by the
 * size of the packet, see {@link decodeCounting}.
 *
 * Names come lower-cased, without a final dot, with a dot or backslash inside a label as `\.` and `\\` and whatever is
 * not printable as `\DDD` (RFC 4343 section 2.1), so that names that differ stay different. Records of other types or
 * classes are kept as `other`. Bytes after the last record are ignored, as BIND and CoreDNS do.
 *
 * @throws {MalformedMessageError} and nothing else
 * @see RFC 1035 section 4, RFC 6891 section 6.1 (OPT)
 */
export function decodeMessage(packet: Uint8Array): Message {
  return new MessageReader(packet).message();
}

/**
 * Reads the header and the question section alone, so that a response whose rest is broken can still be told from
 * somebody else's packet. `rcode` has the header's four bits only.
 *
 * @throws {MalformedMessageError} and nothing else
 */
export function decodeEnvelope(packet: Uint8Array): Envelope {
  return new MessageReader(packet).envelope();
}

/**
 * Like {@link decodeMessage}, and says how much work it was: one step for each record, option, character string, name
 * byte read and pointer followed. Never more than 64 steps a byte, whatever the bytes are.
 *
 * @internal for tests of that bound
 */
export function decodeCounting(packet: Uint8Array): { readonly message: Message | null; readonly steps: number } {
  const reader = new MessageReader(packet);
  let message: Message | null = null;
  try {
    message = reader.message();
  } catch (error) {
    if (!(error instanceof MalformedMessageError)) throw error;
  }
  return { message, steps: reader.steps };
}

const headerBytes = 12;
/** A root name, type, class, TTL and RDLENGTH. */
const smallestRecord = 11;
/** A root name, type and class. */
const smallestQuestion = 5;

class MessageReader {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #names: NameReader;
  #offset = 0;
  #steps = 0;
  #edns: Edns | null = null;
  #extendedRcode = 0;

  constructor(packet: Uint8Array) {
    this.#bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength);
    this.#view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
    this.#names = new NameReader(this.#bytes);
  }

  get steps(): number {
    return this.#steps + this.#names.steps;
  }

  message(): Message {
    const { id, isResponse, opcode, authoritative, truncated, recursionDesired, recursionAvailable, rcode, questions } =
      this.envelope();
    const answers = this.#section(6, false);
    const authorities = this.#section(8, false);
    const additionals = this.#section(10, true);
    return {
      id,
      isResponse,
      opcode,
      authoritative,
      truncated,
      recursionDesired,
      recursionAvailable,
      rcode: (this.#extendedRcode << 4) | rcode,
      questions,
      answers,
      authorities,
      additionals,
      edns: this.#edns,
    };
  }

  envelope(): Envelope {
    if (this.#bytes.length < headerBytes) throw this.#cutShort('the header');
    const flags = this.#view.getUint16(2);
    const count = this.#view.getUint16(4);
    this.#offset = headerBytes;
    return {
      id: this.#view.getUint16(0),
      isResponse: (flags & 0x8000) !== 0,
      opcode: (flags >> 11) & 0xf,
      authoritative: (flags & 0x0400) !== 0,
      truncated: (flags & 0x0200) !== 0,
      recursionDesired: (flags & 0x0100) !== 0,
      recursionAvailable: (flags & 0x0080) !== 0,
      rcode: flags & 0xf,
      questions: this.#questions(count),
    };
  }

  #questions(count: number): Message['questions'] {
    this.#expect(count * smallestQuestion, 'the questions that the header announces');
    const questions: Message['questions'][number][] = [];
    for (let index = 0; index < count; index += 1) {
      const name = this.#name();
      this.#expect(4, 'a question');
      const code = this.#view.getUint16(this.#offset);
      const type = this.#view.getUint16(this.#offset + 2) === classIn ? typeOfCode(code) : undefined;
      this.#offset += 4;
      questions.push({ name, type: isQuestionType(type) ? type : code });
    }
    return questions;
  }

  #section(countOffset: number, isAdditional: boolean): ResourceRecord[] {
    const count = this.#view.getUint16(countOffset);
    this.#expect(count * smallestRecord, 'the records that the header announces');
    const records: ResourceRecord[] = [];
    for (let index = 0; index < count; index += 1) {
      const record = this.#record(isAdditional);
      if (record !== null) records.push(record);
    }
    return records;
  }

  /** The record at the offset; `null` for OPT, which says something about the message. */
  #record(isAdditional: boolean): ResourceRecord | null {
    this.#steps += 1;
    const view = this.#view;
    const name = this.#name();
    this.#expect(10, 'a record');
    const start = this.#offset;
    const typeCode = view.getUint16(start);
    const classCode = view.getUint16(start + 2);
    const ttl = view.getUint32(start + 4);
    const length = view.getUint16(start + 8);
    this.#offset = start + 10;
    this.#expect(length, 'the data of a record');
    const end = this.#offset + length;
    const type = typeOfCode(typeCode);
    if (type === 'OPT') {
      if (!isAdditional) throw this.#malformed('OPT outside the additional section');
      if (this.#edns !== null) throw this.#malformed('a second OPT');
      if (name !== '') throw this.#malformed('OPT with a name');
      this.#options(end);
      this.#edns = { udpPayloadSize: classCode, version: (ttl >>> 16) & 0xff };
      this.#extendedRcode = ttl >>> 24;
      return null;
    }
    // RFC 2181 section 8: a TTL with its highest bit set is none.
    const ttlSeconds = ttl > 0x7fff_ffff ? 0 : ttl;
    if (type === undefined || classCode !== classIn) {
      this.#offset = end;
      return { name, ttlSeconds, type: 'other', typeCode };
    }
    const record = this.#data(type, name, ttlSeconds, end);
    if (this.#offset !== end) throw this.#malformed(`${type} whose length is not its data's`);
    return record;
  }

  #data(type: Exclude<RecordType, 'OPT'>, name: string, ttlSeconds: number, end: number): ResourceRecord {
    const view = this.#view;
    const start = this.#offset;
    switch (type) {
      case 'A':
        this.#take(4, end, type);
        return { name, ttlSeconds, type, address: formatIpv4(this.#bytes, start) };
      case 'AAAA':
        this.#take(16, end, type);
        return { name, ttlSeconds, type, address: formatIpv6(this.#bytes, start) };
      case 'SRV':
        this.#take(6, end, type);
        return {
          name,
          ttlSeconds,
          type,
          priority: view.getUint16(start),
          weight: view.getUint16(start + 2),
          port: view.getUint16(start + 4),
          target: this.#name(),
        };
      case 'CNAME':
      case 'NS':
      case 'PTR':
        return { name, ttlSeconds, type, target: this.#name() };
      case 'TXT':
        return { name, ttlSeconds, type, strings: this.#strings(end) };
      case 'SOA': {
        const mname = this.#name();
        const rname = this.#name();
        const numbers = this.#offset;
        this.#take(20, end, type);
        return {
          name,
          ttlSeconds,
          type,
          mname,
          rname,
          serial: view.getUint32(numbers),
          refresh: view.getUint32(numbers + 4),
          retry: view.getUint32(numbers + 8),
          expire: view.getUint32(numbers + 12),
          minimumSeconds: view.getUint32(numbers + 16),
        };
      }
    }
  }

  #strings(end: number): string[] {
    if (this.#offset === end) throw this.#malformed('TXT without a string');
    const strings: string[] = [];
    while (this.#offset < end) {
      this.#steps += 1;
      const start = this.#offset + 1;
      this.#take(1 + this.#view.getUint8(this.#offset), end, 'TXT');
      strings.push(this.#bytes.toString('latin1', start, this.#offset));
    }
    return strings;
  }

  /** Options are not read, but those that overlap or overflow are no OPT (RFC 6891 section 6.1.2). */
  #options(end: number): void {
    while (this.#offset < end) {
      this.#steps += 1;
      const start = this.#offset;
      this.#take(4, end, 'OPT');
      this.#take(this.#view.getUint16(start + 2), end, 'OPT');
    }
  }

  #name(): string {
    const name = this.#names.read(this.#offset);
    this.#offset = this.#names.end;
    return name;
  }

  /** Moves on within the data of a record. */
  #take(bytes: number, end: number, type: RecordType): void {
    if (this.#offset + bytes > end) throw this.#malformed(`${type} whose length is not its data's`);
    this.#offset += bytes;
  }

  #expect(bytes: number, what: string): void {
    if (this.#offset + bytes > this.#bytes.length) throw this.#cutShort(what);
  }

  #cutShort(what: string): MalformedMessageError {
    return new MalformedMessageError(`the message ends before ${what}`, this.#bytes.length, true);
  }

  #malformed(what: string): MalformedMessageError {
    return new MalformedMessageError(what, this.#offset);
  }
}

function isQuestionType(type: RecordType | undefined): type is QuestionType {
  return type !== undefined && type !== 'OPT';
}

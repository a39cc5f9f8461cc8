import { net } from '../late-modules.ts';
import { parseIpv6 } from './address.ts';
import type { Edns, Message, Question, ResourceRecord } from './message.ts';
import { UnencodableMessageError } from './message.ts';
import { maxNameBytes, wireLengthOf } from './name.ts';
import { classIn, typeCodes } from './record-type.ts';

/**
 * The bytes of a question to a resolver, recursion desired.
 *
 * @param udpPayloadSize - how large a datagram may come back (EDNS, RFC 6891); `null` asks without EDNS
 * @throws {UnencodableMessageError} for a name that has no form on the wire
 */
export function encodeQuery(query: {
  readonly id: number;
  readonly question: Question;
  readonly udpPayloadSize: number | null;
}): Uint8Array {
  const { id, question, udpPayloadSize } = query;
  return encodeMessage({
    id,
    isResponse: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    rcode: 0,
    questions: [question],
    answers: [],
    authorities: [],
    additionals: [],
    edns: udpPayloadSize === null ? null : { udpPayloadSize, version: 0 },
  });
}

/**
 * The bytes of a whole message, names compressed (but not SRV targets: RFC 2782 forbids it, and CoreDNS obeys).
 *
 * What does not fit into `maxBytes` is left out from the end, so that glue goes first: from the first record that does
 * not fit on, nothing follows, and TC is set. Questions and OPT always stay. That is what CoreDNS does, by miekg/dns'
 * `Truncate`.
 *
 * @param maxBytes - 512 to 65,535 (what a TCP frame can carry), which is the default
 * @throws {UnencodableMessageError} for names, numbers, addresses and records that have no form on the wire
 */
export function encodeMessage(message: Message, options: { readonly maxBytes?: number } = {}): Uint8Array {
  const maxBytes = Math.min(Math.max(options.maxBytes ?? largest, 512), largest);
  const writer = new MessageWriter();
  writer.header(message);
  for (const question of message.questions) writer.question(question);
  const limit = maxBytes - (message.edns === null ? 0 : optBytes);
  const { truncated, counts } = writeSections(writer, message, limit);
  if (message.edns !== null) writer.opt(message.edns, message.rcode);
  writer.sectionCounts(message.questions.length, counts, message.edns !== null);
  if (truncated || message.truncated) writer.setTruncated();
  return writer.bytes();
}

const largest = 0xffff;
/** A root name, type, class, TTL and an empty RDLENGTH. */
const optBytes = 11;
/** Pointers have 14 bits. */
const maxPointer = 0x3fff;

function writeSections(
  writer: MessageWriter,
  message: Message,
  limit: number,
): { readonly truncated: boolean; readonly counts: readonly number[] } {
  const counts = [0, 0, 0];
  for (const [index, records] of [message.answers, message.authorities, message.additionals].entries()) {
    for (const [written, record] of records.entries()) {
      if (!writer.record(record, limit)) return { truncated: true, counts };
      counts[index] = written + 1;
    }
  }
  return { truncated: false, counts };
}

class MessageWriter {
  #buffer = Buffer.alloc(512);
  #offset = 12;
  /** Where each name, and each end of one, was written first. */
  readonly #offsets = new Map<string, number>();

  header(message: Message): void {
    const { id, opcode, rcode, edns } = message;
    if (rcode > (edns === null ? 0xf : 0xfff)) throw new UnencodableMessageError(`rcode ${rcode} needs EDNS`);
    this.#buffer.writeUInt16BE(checked(id, 0xffff, 'id'), 0);
    const flags =
      (message.isResponse ? 0x8000 : 0) |
      (checked(opcode, 0xf, 'opcode') << 11) |
      (message.authoritative ? 0x0400 : 0) |
      (message.recursionDesired ? 0x0100 : 0) |
      (message.recursionAvailable ? 0x0080 : 0) |
      (checked(rcode, 0xfff, 'rcode') & 0xf);
    this.#buffer.writeUInt16BE(flags, 2);
  }

  sectionCounts(questions: number, records: readonly number[], hasOpt: boolean): void {
    const [answers = 0, authorities = 0, additionals = 0] = records;
    this.#buffer.writeUInt16BE(questions, 4);
    this.#buffer.writeUInt16BE(answers, 6);
    this.#buffer.writeUInt16BE(authorities, 8);
    this.#buffer.writeUInt16BE(additionals + (hasOpt ? 1 : 0), 10);
  }

  setTruncated(): void {
    this.#buffer.writeUInt16BE(this.#buffer.readUInt16BE(2) | 0x0200, 2);
  }

  bytes(): Uint8Array {
    if (this.#offset > largest) throw new UnencodableMessageError('questions that fill more than 65,535 bytes');
    return new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset, this.#offset);
  }

  question({ name, type }: Message['questions'][number]): void {
    this.#name(name, true);
    this.#uint16(typeof type === 'number' ? type : typeCodes[type], 'question type');
    this.#uint16(classIn, 'class');
  }

  opt({ udpPayloadSize, version }: Edns, rcode: number): void {
    this.#name('', false);
    this.#uint16(typeCodes.OPT, 'type');
    this.#uint16(udpPayloadSize, 'udpPayloadSize');
    this.#uint32((((rcode >> 4) << 24) | (checked(version, 0xff, 'EDNS version') << 16)) >>> 0, 'OPT TTL');
    this.#uint16(0, 'length');
  }

  /** Writes the record, unless the message would then end behind `limit`. */
  record(record: ResourceRecord, limit: number): boolean {
    if (record.type === 'other') {
      throw new UnencodableMessageError(`a record of type ${record.typeCode}: its data was not kept`);
    }
    const start = this.#offset;
    this.#name(record.name, true);
    this.#uint16(typeCodes[record.type], 'type');
    this.#uint16(classIn, 'class');
    this.#uint32(record.ttlSeconds, 'ttlSeconds');
    this.#uint16(0, 'length');
    const dataStart = this.#offset;
    this.#data(record);
    const isWritten = this.#offset <= limit;
    if (isWritten) this.#buffer.writeUInt16BE(checked(this.#offset - dataStart, 0xffff, 'length'), dataStart - 2);
    // Nothing that points into what is taken back follows it.
    else this.#offset = start;
    return isWritten;
  }

  #data(record: Exclude<ResourceRecord, { type: 'other' }>): void {
    switch (record.type) {
      case 'A':
      case 'AAAA':
        this.#raw(addressBytes(record.type, record.address));
        return;
      case 'SRV':
        this.#uint16(record.priority, 'SRV priority');
        this.#uint16(record.weight, 'SRV weight');
        this.#uint16(record.port, 'SRV port');
        this.#name(record.target, false);
        return;
      case 'CNAME':
      case 'NS':
      case 'PTR':
        this.#name(record.target, true);
        return;
      case 'TXT':
        if (record.strings.length === 0) throw new UnencodableMessageError('TXT without a string');
        for (const text of record.strings) this.#string(text);
        return;
      case 'SOA':
        this.#name(record.mname, true);
        this.#name(record.rname, true);
        this.#uint32(record.serial, 'SOA serial');
        this.#uint32(record.refresh, 'SOA refresh');
        this.#uint32(record.retry, 'SOA retry');
        this.#uint32(record.expire, 'SOA expire');
        this.#uint32(record.minimumSeconds, 'SOA minimum');
        return;
    }
  }

  #name(name: string, compress: boolean): void {
    if (wireLengthOf(name) > maxNameBytes) throw new UnencodableMessageError(`a name over 255 bytes: ${name}`);
    let rest = name;
    while (rest !== '') {
      const known = this.#offsets.get(rest);
      if (known !== undefined && compress) {
        this.#uint16(0xc000 | known, 'pointer');
        return;
      }
      if (known === undefined && this.#offset <= maxPointer) this.#offsets.set(rest, this.#offset);
      const end = this.#label(rest, name);
      if (end === rest.length) break;
      rest = rest.slice(end + 1);
      if (rest === '') throw new UnencodableMessageError(`a name with a final dot: ${name}`);
    }
    this.#raw([0]);
  }

  /** Writes the first label of `rest`; returns where it ends there. */
  #label(rest: string, name: string): number {
    const lengthAt = this.#offset;
    this.#raw([0]);
    let at = 0;
    for (; at < rest.length && rest[at] !== '.'; at += 1) {
      let byte = rest.charCodeAt(at);
      if (byte < 0x20 || byte > 0x7e) throw new UnencodableMessageError(`a name that is no ASCII text: ${name}`);
      if (rest[at] === '\\') {
        byte = unescape(rest.slice(at, at + 4), name);
        at += /[0-9]/.test(rest[at + 1] ?? '') ? 3 : 1;
      }
      this.#reserve(1);
      this.#buffer[this.#offset] = byte;
      this.#offset += 1;
    }
    const length = this.#offset - lengthAt - 1;
    if (length < 1 || length > 63) {
      throw new UnencodableMessageError(`a label of ${length} bytes, where 1 to 63 can be: ${name}`);
    }
    this.#buffer[lengthAt] = length;
    return at;
  }

  #string(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    // Whatever latin1 cannot hold comes back as another character.
    if (bytes.length > 255 || bytes.toString('latin1') !== text) {
      throw new UnencodableMessageError('a TXT string over 255 bytes, or not of bytes');
    }
    this.#raw([bytes.length]);
    this.#raw(bytes);
  }

  #raw(bytes: ArrayLike<number>): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#offset);
    this.#offset += bytes.length;
  }

  #uint16(value: number, what: string): void {
    this.#reserve(2);
    this.#offset = this.#buffer.writeUInt16BE(checked(value, 0xffff, what), this.#offset);
  }

  #uint32(value: number, what: string): void {
    this.#reserve(4);
    this.#offset = this.#buffer.writeUInt32BE(checked(value, 0xffff_ffff, what), this.#offset);
  }

  #reserve(bytes: number): void {
    if (this.#offset + bytes <= this.#buffer.length) return;
    const larger = Buffer.alloc(Math.max(2 * this.#buffer.length, this.#offset + bytes));
    larger.set(this.#buffer);
    this.#buffer = larger;
  }
}

function checked(value: number, max: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new UnencodableMessageError(`${what} is ${value}; expected 0 to ${max}`);
}

/** The byte that an escape stands for: `\\.` is a dot, `\\046` too. */
function unescape(escaped: string, name: string): number {
  const code = /^\\(?:([0-9]{3})|([\x20-\x2f\x3a-\x7e]))/.exec(escaped);
  const byte = code?.[2]?.charCodeAt(0) ?? Number(code?.[1]);
  if (byte <= 0xff) return byte;
  throw new UnencodableMessageError(`a broken escape in ${name}`);
}

function addressBytes(type: 'A' | 'AAAA', address: string): ArrayLike<number> {
  const bytes = type === 'A' ? (net().isIPv4(address) ? address.split('.').map(Number) : null) : parseIpv6(address);
  if (bytes === null) throw new UnencodableMessageError(`${type} with address ${address}`);
  return bytes;
}

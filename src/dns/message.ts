/** The record types this library reads. */
export type RecordType = 'A' | 'AAAA' | 'SRV' | 'CNAME' | 'NS' | 'PTR' | 'TXT' | 'SOA' | 'OPT';

/** What can be asked: every type but OPT. Class is always IN. */
export type QuestionType = Exclude<RecordType, 'OPT'>;

/** One question. `name` is lower-case without a final dot; the root is `''`. */
export interface Question {
  readonly name: string;
  readonly type: QuestionType;
}

interface RecordBase {
  /** Owner: lower-case, no final dot. */
  readonly name: string;
  readonly ttlSeconds: number;
}

/** A or AAAA. `address` is canonical text (RFC 5952 for IPv6). */
export interface AddressRecord extends RecordBase {
  readonly type: 'A' | 'AAAA';
  readonly address: string;
}

/** SRV (RFC 2782). */
export interface SrvRecord extends RecordBase {
  readonly type: 'SRV';
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** Lower-case, no final dot. */
  readonly target: string;
}

/** CNAME, NS or PTR: records whose data is one name. */
export interface NameRecord extends RecordBase {
  readonly type: 'CNAME' | 'NS' | 'PTR';
  readonly target: string;
}

/** TXT: its character strings, one or more, each decoded as latin1 (bytes kept one to one). */
export interface TxtRecord extends RecordBase {
  readonly type: 'TXT';
  readonly strings: readonly string[];
}

/** SOA (RFC 1035). `minimumSeconds` bounds the negative TTL (RFC 2308). */
export interface SoaRecord extends RecordBase {
  readonly type: 'SOA';
  readonly mname: string;
  readonly rname: string;
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimumSeconds: number;
}

/** A record of a type or class this library does not read: its RDLENGTH was checked, its data is left out. */
export interface OtherRecord extends RecordBase {
  readonly type: 'other';
  readonly typeCode: number;
}

/** Any record of the answer, authority or additional section. OPT is not one of them: see {@link Message.edns}. */
export type ResourceRecord = AddressRecord | SrvRecord | NameRecord | TxtRecord | SoaRecord | OtherRecord;

/** What the OPT pseudo-record says (RFC 6891). */
export interface Edns {
  readonly udpPayloadSize: number;
  readonly version: number;
}

/** One DNS message. */
export interface Message {
  readonly id: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  /** All 12 bits: the header's four and the eight of OPT (16 is BADVERS). */
  readonly rcode: number;
  /** `type` is a number where it, or the class, is none of ours. */
  readonly questions: readonly { readonly name: string; readonly type: QuestionType | number }[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
  readonly edns: Edns | null;
}

/** Response codes by name (RFC 1035 section 4.1.1, RFC 6891 section 9). */
export const Rcode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

/**
 * What every decoder failure is: bytes that are no DNS message. `offset` is where reading stopped, `isCutShort` says
 * that the bytes ended before the message did (a datagram that lost its tail on the way, without the TC flag).
 */
export class MalformedMessageError extends Error {
  readonly offset: number;
  readonly isCutShort: boolean;

  constructor(message: string, offset: number, isCutShort = false) {
    super(`${message} (at byte ${offset})`);
    this.offset = offset;
    this.isCutShort = isCutShort;
  }

  static {
    Object.defineProperty(this.prototype, 'name', {
      value: 'MalformedMessageError',
      configurable: true,
      writable: true,
    });
  }
}

/** What every encoder failure is: a name, number or record that has no form on the wire. */
export class UnencodableMessageError extends Error {
  static {
    Object.defineProperty(this.prototype, 'name', {
      value: 'UnencodableMessageError',
      configurable: true,
      writable: true,
    });
  }
}

import type { RecordType } from './message.ts';

/** The numbers of the record types (RFC 1035 section 3.2.2, RFC 2782, RFC 3596, RFC 6891). */
export const typeCodes: Readonly<Record<RecordType, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
};

/** Class IN, the only one that is read. */
export const classIn = 1;

/** The type with that number, or `undefined` where it is none of ours. */
export function typeOfCode(code: number): RecordType | undefined {
  return typesByCode[code];
}

const typesByCode: (RecordType | undefined)[] = [];
for (const [type, code] of Object.entries(typeCodes)) typesByCode[code] = type as RecordType;

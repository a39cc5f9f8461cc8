import type { AddressRecord, Message, NameRecord, SoaRecord, SrvRecord } from '../../../src/dns/message.ts';
import { encodeMessage } from '../../../src/dns/encode.ts';

export const zone = 'cluster.local';
export const service: string = `nginx.default.svc.${zone}`;
export const srvName: string = `_peer._tcp.${service}`;

/** A response to the SRV question, empty but for the fields given. */
export function response(fields: Partial<Message> = {}): Message {
  return {
    id: 1,
    isResponse: true,
    opcode: 0,
    authoritative: true,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    rcode: 0,
    questions: [{ name: srvName, type: 'SRV' }],
    answers: [],
    authorities: [],
    additionals: [],
    edns: null,
    ...fields,
  };
}

/** What CoreDNS says of so many pods: SRV, and glue. */
export function pods(count: number): Message {
  const ordinals = Array.from({ length: count }, (_, ordinal) => ordinal);
  return response({
    answers: ordinals.map((ordinal) => srv(ordinal)),
    additionals: ordinals.map((ordinal) => glue(ordinal)),
    edns: { udpPayloadSize: 1232, version: 0 },
  });
}

export function srv(ordinal: number): SrvRecord {
  const target = `web-${ordinal}.${service}`;
  return { name: srvName, ttlSeconds: 30, type: 'SRV', priority: 0, weight: 1, port: 8080, target };
}

export function glue(ordinal: number): AddressRecord {
  return a(`web-${ordinal}.${service}`, `10.244.${ordinal >> 8}.${ordinal & 255}`);
}

export function a(name: string, address: string, ttlSeconds = 30): AddressRecord {
  return { name, ttlSeconds, type: 'A', address };
}

export function cname(name: string, target: string): NameRecord {
  return { name, ttlSeconds: 30, type: 'CNAME', target };
}

export function soa(name: string, ttlSeconds = 5, minimumSeconds = 5): SoaRecord {
  const [mname, rname] = [`ns.dns.${zone}`, `hostmaster.${zone}`];
  return {
    name,
    ttlSeconds,
    type: 'SOA',
    mname,
    rname,
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expire: 86400,
    minimumSeconds,
  };
}

/** A response header and the question `a IN A`, with so many records announced, and then these bytes. */
export function crafted(counts: readonly [number, number, number], ...parts: (string | readonly number[])[]): Buffer {
  const header = Buffer.alloc(12);
  header.set([0, 1, 0x84, 0, 0, 1]);
  for (const [index, count] of counts.entries()) header.writeUInt16BE(count, 6 + 2 * index);
  const body = parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'hex') : Buffer.from(part)));
  return Buffer.concat([header, Buffer.from('016100' + '00010001', 'hex'), ...body]);
}

/** Bytes of the record `a`, the question's name, with this type and data; RDLENGTH is the data's unless given. */
export function rawRecord(type: number, data: readonly number[], length: number = data.length): number[] {
  return [0xc0, 12, type >> 8, type & 255, 0, 1, 0, 0, 0, 30, length >> 8, length & 255, ...data];
}

/** A pseudo-random generator (mulberry32), so that a run can be repeated by its seed. */
export function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Packets of all kinds, to be broken. */
export function samplePackets(): Uint8Array[] {
  return [
    encodeMessage(pods(3)),
    encodeMessage(response({ rcode: 3, authorities: [soa(zone)], edns: { udpPayloadSize: 1232, version: 0 } })),
    encodeMessage(
      response({
        questions: [{ name: 'www.example.com', type: 'A' }],
        answers: [
          cname('www.example.com', 'web-0.example.com'),
          a('web-0.example.com', '10.0.0.1'),
          { name: 'web-0.example.com', ttlSeconds: 1, type: 'AAAA', address: 'fd00::1' },
          { name: 'dns-version.cluster.local', ttlSeconds: 1, type: 'TXT', strings: ['1.1.0', ''] },
          { name: '1.0.0.10.in-addr.arpa', ttlSeconds: 1, type: 'PTR', target: 'web-0.example.com' },
          { name: 'example.com', ttlSeconds: 1, type: 'NS', target: 'ns.example.com' },
        ],
      }),
    ),
    // A record of a type that is not read (HTTPS, 65), and an OPT with a cookie.
    crafted([1, 0, 1], rawRecord(65, [0, 1, 0, 0, 3, 0, 1, 97]), '00002904d0000000000008000a000401020304'),
  ];
}

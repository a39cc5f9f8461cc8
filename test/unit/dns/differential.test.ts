import assert from 'node:assert/strict';
import * as dnsPacket from 'dns-packet';
import fc from 'fast-check';
import { normaliseAddress } from '../../../src/dns/address.ts';
import { decodeMessage } from '../../../src/dns/decode.ts';
import { encodeMessage } from '../../../src/dns/encode.ts';
import type { Message, QuestionType, ResourceRecord } from '../../../src/dns/message.ts';
import { response, samplePackets, seeded } from './packets.ts';

// Where dns-packet 5.6 is known to be wrong, and how that is kept out of the comparison:
// - IPv6 text is not RFC 5952 (the first run of zeros, not the longest): addresses are compared normalised;
// - a dot or backslash inside a label is not escaped, and names are read as UTF-8: names are of plain characters;
// - its encoder checks nothing, does not compress, and makes 4096 of a payload size of 0: it gets what ours took, but 0;
// - RDLENGTH is not checked, and after some records (NAPTR, SSHFP, RP) it goes on at the wrong byte: see `isComparable`.

const label = fc.stringMatching(/^[a-z0-9_-]{1,12}$/);
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join('.'));
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0x7fff_ffff });
const base = { name, ttlSeconds: uint32 };
const plain = { noNullPrototype: true };
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), uint16), { minLength: 8, maxLength: 8 })
  .map((groups) => groups.map((group) => group.toString(16)).join(':'))
  .filter((text) => normaliseAddress(text)?.includes(':') === true)
  .map((text) => normaliseAddress(text) ?? '');
const record: fc.Arbitrary<ResourceRecord> = fc.oneof(
  fc.record({ ...base, type: fc.constant('A' as const), address: fc.ipV4() }, plain),
  fc.record({ ...base, type: fc.constant('AAAA' as const), address: ipv6 }, plain),
  fc.record(
    {
      ...base,
      type: fc.constant('SRV' as const),
      priority: uint16,
      weight: uint16,
      port: uint16,
      target: name,
    },
    plain,
  ),
  fc.record({ ...base, type: fc.constantFrom('CNAME' as const, 'NS' as const, 'PTR' as const), target: name }, plain),
  fc.record(
    {
      ...base,
      type: fc.constant('TXT' as const),
      strings: fc.array(fc.stringMatching(/^[ -~]{0,40}$/), { minLength: 1, maxLength: 3 }),
    },
    plain,
  ),
  fc.record(
    {
      ...base,
      type: fc.constant('SOA' as const),
      mname: name,
      rname: name,
      serial: uint32,
      refresh: uint32,
      retry: uint32,
      expire: uint32,
      minimumSeconds: uint32,
    },
    plain,
  ),
);
const records = fc.array(record, { maxLength: 5 });
const message: fc.Arbitrary<Message> = fc
  .record(
    {
      id: uint16,
      isResponse: fc.boolean(),
      authoritative: fc.boolean(),
      truncated: fc.boolean(),
      recursionDesired: fc.boolean(),
      recursionAvailable: fc.boolean(),
      rcode: fc.integer({ min: 0, max: 5 }),
      questions: fc.array(
        fc.record({ name, type: fc.constantFrom<QuestionType>('A', 'AAAA', 'SRV', 'TXT', 'SOA') }, plain),
        {
          maxLength: 2,
        },
      ),
      answers: records,
      authorities: records,
      additionals: records,
      edns: fc.option(
        fc.record({ udpPayloadSize: fc.integer({ min: 1, max: 0xffff }), version: fc.constant(0) }, plain),
      ),
    },
    plain,
  )
  .map((fields) => response(fields));

describe('Our codec and dns-packet agree', () => {
  it('dns-packet reads what we write', () => {
    fc.assert(
      fc.property(message, (sent) => {
        assert.deepEqual(fromDnsPacket(dnsPacket.decode(Buffer.from(encodeMessage(sent)))), sent);
      }),
      { numRuns: 300 },
    );
  });

  it('we read what dns-packet writes', () => {
    fc.assert(
      fc.property(message, (sent) => {
        assert.deepEqual(decodeMessage(dnsPacket.encode(toDnsPacket(sent))), sent);
      }),
      { numRuns: 300 },
    );
  });

  it('on broken packets, where both accept them', () => {
    const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    const random = seeded(seed);
    const samples = samplePackets().slice(0, 3);
    let compared = 0;
    for (let round = 0; round < 10_000; round += 1) {
      const packet = Buffer.from(samples[random(samples.length)] ?? []);
      packet[random(packet.length)] = random(256);
      const ours = attempt(() => decodeMessage(packet));
      if (ours === undefined || !isComparable(ours, packet)) continue;
      const theirs = attempt(() => dnsPacket.decode(packet));
      if (theirs === undefined) continue;
      compared += 1;
      assert.deepEqual(
        normalised(fromDnsPacket(theirs)),
        normalised(ours),
        `FUZZ_SEED=${seed}: ${packet.toString('hex')}`,
      );
    }
    assert.ok(compared > 1_000, `FUZZ_SEED=${seed}: ${compared} packets were compared`);
  });
});

/** Leaves out what dns-packet does not tell, or tells differently for a known reason (above). */
function isComparable(
  { questions, answers, authorities, additionals, opcode, edns }: Message,
  packet: Buffer,
): boolean {
  const all = [...answers, ...authorities, ...additionals];
  return (
    opcode === 0 &&
    (edns === null || edns.version === 0) &&
    // The Z, AD and CD bits, and extended response codes.
    (packet[3] ?? 0) < 0x80 + 0x40 &&
    questions.every(({ type }) => typeof type === 'string') &&
    all.every(({ type }) => type !== 'other') &&
    // A TTL that is none, and bytes that were escaped.
    all.every(({ ttlSeconds }) => ttlSeconds > 0) &&
    !/\\\\/.test(JSON.stringify([questions, all]))
  );
}

function normalised({ rcode, edns, answers, authorities, additionals, ...rest }: Message): unknown {
  return { ...rest, rcode: rcode & 0xf, hasEdns: edns !== null, answers, authorities, additionals };
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

const rcodes = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

function toDnsPacket({ questions, answers, authorities, additionals, edns, ...header }: Message): dnsPacket.Packet {
  const flags =
    (header.authoritative ? dnsPacket.AUTHORITATIVE_ANSWER : 0) |
    (header.truncated ? dnsPacket.TRUNCATED_RESPONSE : 0) |
    (header.recursionDesired ? dnsPacket.RECURSION_DESIRED : 0) |
    (header.recursionAvailable ? dnsPacket.RECURSION_AVAILABLE : 0) |
    header.rcode;
  const opt =
    edns === null ? [] : [{ type: 'OPT', name: '.', udpPayloadSize: edns.udpPayloadSize, flags: 0, options: [] }];
  return {
    id: header.id,
    type: header.isResponse ? 'response' : 'query',
    flags,
    questions: questions.map(({ name, type }) => ({ name, type: type as dnsPacket.RecordType })),
    answers: answers.map(recordToDnsPacket),
    authorities: authorities.map(recordToDnsPacket),
    additionals: [...additionals.map(recordToDnsPacket), ...(opt as unknown as dnsPacket.Answer[])],
  };
}

function recordToDnsPacket(from: ResourceRecord): dnsPacket.Answer {
  const { name, type, ttlSeconds: ttl, ...data } = from;
  const answer = { name, type, ttl };
  if ('address' in data) return { ...answer, data: data.address } as dnsPacket.Answer;
  if ('strings' in data) return { ...answer, data: [...data.strings] } as dnsPacket.Answer;
  if ('serial' in data) return { ...answer, data: { ...data, minimum: data.minimumSeconds } } as dnsPacket.Answer;
  if ('port' in data) return { ...answer, data } as dnsPacket.Answer;
  return { ...answer, data: 'target' in data ? data.target : '' } as dnsPacket.Answer;
}

interface TheirRecord {
  readonly name: string;
  readonly type: string;
  readonly ttl: number;
  readonly udpPayloadSize: number;
  readonly data: unknown;
}

function fromDnsPacket(packet: dnsPacket.DecodedPacket): Message {
  const additionals = (packet.additionals ?? []) as unknown as TheirRecord[];
  const opt = additionals.find(({ type }) => type === 'OPT');
  const rcode = rcodes.indexOf((packet as unknown as { rcode: string }).rcode);
  return {
    id: packet.id ?? 0,
    isResponse: packet.type === 'response',
    opcode: 0,
    authoritative: packet.flag_aa,
    truncated: packet.flag_tc,
    recursionDesired: packet.flag_rd,
    recursionAvailable: packet.flag_ra,
    rcode: rcode < 0 ? (packet.flags ?? 0) & 0xf : rcode,
    questions: (packet.questions ?? []).map(({ name, type }) => ({ name: lower(name), type: type as QuestionType })),
    answers: ((packet.answers ?? []) as unknown as TheirRecord[]).map(recordFromDnsPacket),
    authorities: ((packet.authorities ?? []) as unknown as TheirRecord[]).map(recordFromDnsPacket),
    additionals: additionals.filter(({ type }) => type !== 'OPT').map(recordFromDnsPacket),
    edns: opt === undefined ? null : { udpPayloadSize: opt.udpPayloadSize, version: 0 },
  };
}

function recordFromDnsPacket({ name, type, ttl, data }: TheirRecord): ResourceRecord {
  const common = { name: lower(name), ttlSeconds: ttl };
  switch (type) {
    case 'A':
      return { ...common, type, address: data as string };
    case 'AAAA':
      return { ...common, type, address: ownText(data as string) };
    case 'TXT':
      return { ...common, type, strings: (data as Buffer[]).map((bytes) => bytes.toString('latin1')) };
    case 'SRV': {
      const { priority, weight, port, target } = data as dnsPacket.SrvData & { priority: number; weight: number };
      return { ...common, type, priority, weight, port, target: lower(target) };
    }
    case 'SOA': {
      const soa = data as Record<'serial' | 'refresh' | 'retry' | 'expire' | 'minimum', number> & dnsPacket.SoaData;
      const { serial, refresh, retry, expire, minimum: minimumSeconds } = soa;
      const [mname, rname] = [lower(soa.mname), lower(soa.rname)];
      return { ...common, type, mname, rname, serial, refresh, retry, expire, minimumSeconds };
    }
    default:
      return { ...common, type: type as 'NS', target: lower(data as string) };
  }
}

/** RFC 5952 text, IPv4-mapped or not. */
function ownText(address: string): string {
  const normal = normaliseAddress(address) ?? address;
  return normal.includes(':') ? normal : `::ffff:${normal}`;
}

function lower(name: string): string {
  return name === '.' ? '' : name.toLowerCase();
}

import { setImmediate } from 'node:timers/promises';
import * as dnsPacket from 'dns-packet';
import { decodeMessage } from '../src/dns/decode.ts';
import { encodeMessage } from '../src/dns/encode.ts';
import type { Message, ResourceRecord } from '../src/dns/message.ts';

// How fast responses are decoded, next to dns-packet. Both decode the same bytes in the same process, in turns, so that
// a machine that is busy for a while slows down both; the median of the rounds' ratios is what counts.

/** One packet, decoded by both. */
interface Row {
  readonly packet: string;
  readonly bytes: number;
  readonly oursMicroseconds: number;
  readonly dnsPacketMicroseconds: number;
  /** How many times as fast as dns-packet we are: the median, the lowest and the highest round. */
  readonly ratio: number;
  readonly lowest: number;
  readonly highest: number;
}

/** Prints the table, or the same as JSON. Takes some seconds. */
export async function run({ json }: { json: boolean }): Promise<void> {
  const rows: Row[] = [];
  for (const [packet, bytes] of packets()) {
    rows.push(compare(packet, bytes));
    // So that an interrupt is heard between two rows.
    await setImmediate();
  }
  console.log(json ? JSON.stringify(rows, null, 2) : table(rows));
}

const rounds = 21;
const roundMs = 15;

function compare(packet: string, bytes: Buffer): Row {
  const ours = (): unknown => decodeMessage(bytes);
  const theirs = (): unknown => dnsPacket.decode(bytes);
  checkSame(decodeMessage(bytes), dnsPacket.decode(bytes));
  const ourRuns = calibrate(ours);
  const theirRuns = calibrate(theirs);
  const measured = Array.from({ length: rounds }, (_, round) => {
    // Who goes first takes turns, too.
    if (round % 2 === 0) return { own: time(ours, ourRuns), other: time(theirs, theirRuns) };
    const other = time(theirs, theirRuns);
    return { own: time(ours, ourRuns), other };
  });
  const ratios = measured.map(({ own, other }) => other / own);
  return {
    packet,
    bytes: bytes.length,
    oursMicroseconds: median(measured.map(({ own }) => own)),
    dnsPacketMicroseconds: median(measured.map(({ other }) => other)),
    ratio: median(ratios),
    lowest: Math.min(...ratios),
    highest: Math.max(...ratios),
  };
}

/** Warms the code up, and finds out how many runs fill a round. */
function calibrate(decode: () => unknown): number {
  let runs = 1;
  while (runs * time(decode, runs) < roundMs * 1_000) runs *= 2;
  return runs;
}

/** Microseconds a run. */
function time(decode: () => unknown, runs: number): number {
  const start = performance.now();
  for (let run = 0; run < runs; run += 1) decode();
  return ((performance.now() - start) * 1_000) / runs;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

/** A comparison of two that read different things would say nothing. */
function checkSame(ours: Message, theirs: dnsPacket.DecodedPacket): void {
  const count = (records: readonly unknown[] | undefined): number => records?.length ?? 0;
  const own = [ours.answers.length, ours.authorities.length, ours.additionals.length + (ours.edns === null ? 0 : 1)];
  const other = [count(theirs.answers), count(theirs.authorities), count(theirs.additionals)];
  if (own.join() !== other.join()) throw new Error(`${own.join()} records, dns-packet reads ${other.join()}`);
}

const service = 'nginx.default.svc.cluster.local';
const srvName = `_peer._tcp.${service}`;

function packets(): [string, Buffer][] {
  const ordinals = Array.from({ length: 100 }, (_, ordinal) => ordinal);
  const address = (ordinal: number): ResourceRecord => ({
    ...{ name: `web-${ordinal}.${service}`, ttlSeconds: 30 },
    ...{ type: 'A', address: `10.244.${ordinal % 8}.${ordinal}` },
  });
  const srv = (ordinal: number): ResourceRecord => ({
    ...{ name: srvName, ttlSeconds: 30, type: 'SRV', priority: 0, weight: 1, port: 8080 },
    target: `web-${ordinal}.${service}`,
  });
  const soa: ResourceRecord = {
    ...{ name: 'cluster.local', ttlSeconds: 5, type: 'SOA', mname: 'ns.dns.cluster.local' },
    ...{ rname: 'hostmaster.cluster.local', serial: 1, refresh: 7_200, retry: 1_800, expire: 86_400 },
    minimumSeconds: 5,
  };
  const srvQuestion = { questions: [{ name: srvName, type: 'SRV' }] } as const;
  const own = { name: `web-0.${service}`, ttlSeconds: 30, type: 'A' } as const;
  return [
    [
      '100 SRV + 100 A, targets written out (CoreDNS)',
      response({ ...srvQuestion, answers: ordinals.map(srv), additionals: ordinals.map(address) }),
    ],
    ['100 SRV + 100 A, targets compressed as well', fullyCompressed(ordinals)],
    [
      '15 SRV + 15 A (the most in 1232 bytes)',
      response({
        ...srvQuestion,
        answers: ordinals.slice(0, 15).map(srv),
        additionals: ordinals.slice(0, 15).map(address),
      }),
    ],
    [
      '2 A',
      response({
        questions: [{ name: own.name, type: 'A' }],
        answers: [
          { ...own, address: '10.244.0.1' },
          { ...own, address: '10.244.0.2' },
        ],
      }),
    ],
    ['NXDOMAIN + SOA', response({ ...srvQuestion, rcode: 3, authorities: [soa] })],
  ];
}

function response(fields: Partial<Message>): Buffer {
  const bytes = encodeMessage({
    ...{ id: 1, isResponse: true, opcode: 0, authoritative: true, truncated: false, rcode: 0 },
    ...{ recursionDesired: true, recursionAvailable: false, questions: [], answers: [], authorities: [] },
    ...{ additionals: [], edns: { udpPayloadSize: 1232, version: 0 } },
    ...fields,
  });
  return Buffer.from(bytes);
}

/** Some servers compress SRV targets, against RFC 2782. Ours does not, so this one is put together by hand. */
function fullyCompressed(ordinals: readonly number[]): Buffer {
  const head = response({ questions: [{ name: srvName, type: 'SRV' }], edns: null });
  head.writeUInt16BE(ordinals.length, 6);
  head.writeUInt16BE(ordinals.length, 10);
  /** Where the Service's name starts: behind the header, `_peer` and `_tcp`. */
  const serviceAt = 12 + 6 + 5;
  const targets: number[] = [];
  let end = head.length;
  const parts: Uint8Array[] = [head];
  const add = (...bytes: number[]): void => {
    parts.push(Uint8Array.from(bytes));
    end += bytes.length;
  };
  for (const ordinal of ordinals) {
    const label = [...Buffer.from(`web-${ordinal}`)];
    add(0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 30, 0, 6 + 1 + label.length + 2, 0, 0, 0, 1, 0x1f, 0x90);
    targets.push(end);
    add(label.length, ...label, 0xc0, serviceAt);
  }
  for (const [ordinal, target] of targets.entries()) {
    add(0xc0 | (target >> 8), target & 255, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 244, ordinal % 8, ordinal);
  }
  return Buffer.concat(parts);
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(({ packet, bytes, oursMicroseconds, dnsPacketMicroseconds, ratio, lowest, highest }) => [
    packet,
    String(bytes),
    oursMicroseconds.toFixed(1),
    dnsPacketMicroseconds.toFixed(1),
    `${ratio.toFixed(1)} (${lowest.toFixed(1)} to ${highest.toFixed(1)})`,
  ]);
  return [
    '| packet | bytes | ours, µs | dns-packet, µs | times as fast: median (lowest to highest) |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...lines.map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n');
}

import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { rcodeName } from '../../src/dns/answer.ts';
import { decodeMessage } from '../../src/dns/decode.ts';
import type { ResourceRecord } from '../../src/dns/message.ts';
import { Rcode } from '../../src/dns/message.ts';
import { wireLengthOf } from '../../src/dns/name.ts';
import type { ClusterState, EndpointSlice } from '../../src/testing/cluster-state.ts';
import { ClusterHistory } from '../../src/testing/cluster-state.ts';
import type { EmbeddedDnsOptions } from '../../src/testing/embedded-dns.ts';
import { EmbeddedDns } from '../../src/testing/embedded-dns.ts';
import { zone } from './differential-states.ts';

/** One question as bytes, and how it travels. */
export interface Case {
  readonly name: string;
  readonly type: number;
  readonly transport: 'udp' | 'tcp';
  /** Size that OPT says; `null` for no OPT. */
  readonly edns: number | null;
  /** With CoreDNS's `loadbalance` in the Corefile or without it: on two ports. */
  readonly loadBalance: boolean;
  readonly query: Uint8Array;
}

/** What stands in the Corefile, and the server's address. */
type Settings = Required<Pick<EmbeddedDnsOptions, 'ttlSeconds' | 'serverAddresses'>>;

/**
 * How our answer differs from CoreDNS's; `null` where it does not. CoreDNS lists the slices of a Service in an order of its
 * own: one of the possible orders must give its answer.
 */
export function differenceOf(one: Case, packet: Uint8Array, state: ClusterState, settings: Settings): string | null {
  const theirs = normalised(packet, one);
  let first: unknown = null;
  for (const order of slicesInAnyOrder(state, one)) {
    const dns = new EmbeddedDns(new ClusterHistory(order), { ...settings, clusterDomain: zone, loadBalance: false });
    const [reply] = dns.receive(one.query, one.transport).packets;
    const ours = reply === undefined ? null : normalised(reply, one);
    if (isDeepStrictEqual(ours, theirs)) return null;
    first ??= ours;
  }
  const { name, type, transport, edns, loadBalance } = one;
  return [
    `${name} type ${type} over ${transport}, EDNS ${edns}${loadBalance ? ', loadbalance' : ''}, version ${state.resourceVersion}`,
    `  ours: ${JSON.stringify(first)}`,
    `  theirs: ${JSON.stringify(theirs)}`,
  ].join('\n');
}

/** What the answers were like: a comparison of nothing but NXDOMAIN would prove nothing. */
export class Tally {
  readonly #counts = new Map<string, number>();
  #all = 0;

  add({ type, transport }: Case, packet: Uint8Array): void {
    const { rcode, truncated, answers, additionals } = decodeMessage(packet);
    const found = answers.length > 0 ? 'found' : 'no data';
    this.#all += 1;
    this.#count(rcode === Rcode.NOERROR ? found : rcodeName(rcode));
    this.#count(`over ${transport}`);
    if (truncated) this.#count(additionals.length > 0 ? 'truncated, some glue left' : 'truncated');
    if (answers.length > 0) this.#count(`found type ${type}`);
  }

  /** Fails where one of them is rarer than this share. */
  assertAtLeast(shares: Readonly<Record<string, number>>): void {
    for (const [what, share] of Object.entries(shares)) {
      const count = this.#counts.get(what) ?? 0;
      assert.ok(count >= share * this.#all, `${count} of ${this.#all} are ${what}`);
    }
  }

  #count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }
}

function* slicesInAnyOrder(state: ClusterState, { name }: Case): Generator<ClusterState> {
  yield state;
  const own = name.toLowerCase().split('.');
  const alias = state.services.find((service) => service.externalName !== null && own.includes(service.name));
  const labels = [...own, ...(alias?.externalName?.split('.') ?? [])];
  const isAsked = (slice: EndpointSlice): boolean => labels.includes(slice.serviceName);
  const rest = state.endpointSlices.filter((slice) => !isAsked(slice));
  for (const order of permutations(state.endpointSlices.filter(isAsked))) {
    yield { ...state, endpointSlices: [...order, ...rest] };
  }
}

function* permutations<T>(values: readonly T[]): Generator<T[]> {
  if (values.length === 0) yield [];
  for (const [index, value] of values.entries()) {
    for (const rest of permutations(values.toSpliced(index, 1))) yield [value, ...rest];
  }
}

/**
 * What is compared: everything, but for what CoreDNS itself leaves to chance or to the clock:
 *
 * - The SOA's serial is the time of the last change that CoreDNS saw.
 * - `loadbalance` gives addresses in any order. Where some had to be left out, which ones is chance, and with glue of
 *   different sizes also how many.
 * - PTR names come in any order, that of an index.
 *
 * Names are compared without case. CoreDNS compresses them with it, so that an answer to a question in mixed case is a few
 * bytes larger than ours: such questions are asked only where there is room. `ns.dns.<zone>`, and NS of the zone, exist for
 * it only where the zone is written in lower case.
 */
function normalised(packet: Uint8Array, { loadBalance, name, edns }: Case): unknown {
  const { id, questions, answers, authorities, additionals, ...rest } = decodeMessage(packet);
  const isCut = rest.truncated;
  const isAddress = ({ type }: ResourceRecord): boolean => type === 'A' || type === 'AAAA';
  const texts = (records: readonly ResourceRecord[]): string[] =>
    records.map((record) => JSON.stringify(record.type === 'SOA' ? { ...record, serial: 0 } : record));
  const section = (records: readonly ResourceRecord[], isGlue = false): unknown => {
    if (!loadBalance || !records.some(isAddress)) return inAnyOrder(records) ? texts(records).sort() : texts(records);
    if (!isCut) return texts(records).sort();
    return [...texts(records.filter((one) => !isAddress(one))), isGlue ? 'some' : records.filter(isAddress).length];
  };
  return {
    ...rest,
    id,
    // `forward`, which stands for the world outside, answers with an OPT where none was asked.
    edns: rest.authoritative || edns !== null ? rest.edns : null,
    question: Buffer.from(packet.subarray(12, 12 + wireLengthOf(name) + 4)).toString('latin1'),
    questions,
    answers: section(answers),
    authorities: section(authorities),
    additionals: isCut && loadBalance && !additionals.some(isAddress) ? ['some'] : section(additionals, true),
  };
}

function inAnyOrder(records: readonly ResourceRecord[]): boolean {
  return records.some(({ type }) => type === 'PTR');
}

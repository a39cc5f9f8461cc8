import assert from 'node:assert/strict';
import { decodeCounting, decodeEnvelope, decodeMessage } from '../../../src/dns/decode.ts';
import { encodeMessage } from '../../../src/dns/encode.ts';
import { MalformedMessageError } from '../../../src/dns/message.ts';
import { crafted, pods, rawRecord, response, samplePackets, soa, srvName, zone } from './packets.ts';

describe('A DNS message is read whole or refused', () => {
  it('reads SRV with glue as CoreDNS sends it', () => {
    const message = pods(100);
    assert.deepEqual(decodeMessage(encodeMessage(message)), message);
  });

  it('reads the samples that are broken elsewhere', () => {
    for (const packet of samplePackets()) assert.ok(decodeMessage(packet));
  });

  it('is cut short at whatever byte, and says so', () => {
    for (const packet of [encodeMessage(pods(3)), encodeMessage(response({ authorities: [soa(zone)] }))]) {
      for (let length = 0; length < packet.length; length += 1) {
        assert.throws(() => decodeMessage(packet.subarray(0, length)), {
          name: 'MalformedMessageError',
          isCutShort: true,
        });
      }
    }
  });

  const name = [1, 97, 0];
  const longName = Array.from({ length: 5 }, () => [60, ...Array<number>(60).fill(97)]).flat();
  const malformed: readonly (readonly [string, Buffer, RegExp])[] = [
    ['A without data', crafted([1, 0, 0], rawRecord(1, [])), /A whose length/],
    ['A with 3 bytes', crafted([1, 0, 0], rawRecord(1, [1, 2, 3])), /A whose length/],
    ['A with 5 bytes', crafted([1, 0, 0], rawRecord(1, [1, 2, 3, 4, 5])), /A whose length/],
    ['AAAA with 4 bytes', crafted([1, 0, 0], rawRecord(28, [1, 2, 3, 4])), /AAAA whose length/],
    ['AAAA with 17 bytes', crafted([1, 0, 0], rawRecord(28, Array<number>(17).fill(1))), /AAAA whose length/],
    ['an RDLENGTH behind the end', crafted([1, 0, 0], rawRecord(1, [1, 2, 3, 4], 5)), /ends before the data/],
    ['TXT whose string is longer than its data', crafted([1, 0, 0], rawRecord(16, [5, 97])), /TXT whose length/],
    ['TXT without a string', crafted([1, 0, 0], rawRecord(16, [])), /TXT without a string/],
    ['TXT with RDLENGTH 65535, 65535 of them', crafted([0xffff, 0, 0], rawRecord(16, [1, 97], 0xffff)), /announces/],
    ['more records than fit', crafted([2, 0, 0], rawRecord(1, [1, 2, 3, 4])), /announces/],
    ['more questions than fit', Buffer.from('000184000fff000000000000', 'hex'), /announces/],
    ['SRV without a target', crafted([1, 0, 0], rawRecord(33, [0, 0, 0, 0, 0, 80])), /./],
    ['SRV of 5 bytes', crafted([1, 0, 0], rawRecord(33, [0, 0, 0, 0, 0])), /SRV whose length/],
    [
      'SRV with bytes behind its target',
      crafted([1, 0, 0], rawRecord(33, [0, 0, 0, 0, 0, 80, ...name, 0])),
      /SRV whose/,
    ],
    ['NS whose name is longer than its data', crafted([1, 0, 0], rawRecord(2, name, 2)), /NS whose length/],
    ['CNAME with bytes behind its name', crafted([1, 0, 0], rawRecord(5, [...name, 0])), /CNAME whose length/],
    ['SOA without its numbers', crafted([1, 0, 0], rawRecord(6, [0, 0])), /SOA whose length/],
    ['a pointer to itself', crafted([1, 0, 0], [0xc0, 19, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]), /not backward/],
    ['a pointer forward', crafted([1, 0, 0], [0xc0, 30, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]), /not backward/],
    ['a pointer into the header', crafted([1, 0, 0], [0xc0, 4, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]), /not backward/],
    ['a name that runs into its own start', crafted([1, 0, 0], rawRecord(2, [1, 97, 0xc0, 31])), /not backward/],
    [
      'a name that runs on into itself by two pointers',
      crafted([1, 0, 0], rawRecord(2, [0xc0, 33, 0xc0, 31])),
      /not backward/,
    ],
    ['a label of kind 01', crafted([1, 0, 0], [0x41, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]), /unknown kind/],
    ['a label of kind 10', crafted([1, 0, 0], [0x81, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]), /unknown kind/],
    ['a name over 255 bytes', crafted([1, 0, 0], rawRecord(2, [...longName, 0])), /over 255/],
    ['OPT among the answers', crafted([1, 0, 0], '00002904d0000000000000'), /OPT outside/],
    ['OPT among the authorities', crafted([0, 1, 0], '00002904d0000000000000'), /OPT outside/],
    ['two OPTs', crafted([0, 0, 2], '00002904d0000000000000', '00002904d0000000000000'), /second OPT/],
    ['OPT with a name', crafted([0, 0, 1], rawRecord(41, [])), /OPT with a name/],
    ['OPT whose option is longer than its data', crafted([0, 0, 1], '00002904d00000000000050003000401'), /OPT whose/],
    ['OPT whose option has half a header', crafted([0, 0, 1], '00002904d00000000000020003'), /OPT whose/],
  ];
  for (const [what, packet, expected] of malformed) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => decodeMessage(packet),
        (error) => error instanceof MalformedMessageError && expected.test(error.message) && error.offset >= 0,
      );
    });
  }

  it('refuses a name over 255 bytes that compression hides', () => {
    const half = Array.from({ length: 3 }, () => [60, ...Array<number>(60).fill(97)]).flat();
    const first = rawRecord(2, [...half, 0]);
    const offset = 19 + first.length - half.length - 1;
    const fits = [62, ...Array<number>(62).fill(98), 0xc0, offset];
    // 183 + 63 + 1 = 247 bytes, and 10 more are too many.
    const second = (extra: readonly number[]): Buffer => crafted([2, 0, 0], first, rawRecord(2, [...extra, ...fits]));
    assert.equal(decodeMessage(second([])).answers.length, 2);
    assert.equal(decodeMessage(second([7, 1, 1, 1, 1, 1, 1, 1])).answers.length, 2);
    assert.throws(() => decodeMessage(second([8, 1, 1, 1, 1, 1, 1, 1, 1])), /over 255/);
  });

  it('refuses chains of pointers to pointers, at bounded cost', () => {
    // 58 KB: each of 3,500 names points at the one before, as far as pointers reach.
    const records = Array.from({ length: 3_500 }, (_, index) => {
      const target = Math.min(index === 0 ? 12 : 19 + 16 * (index - 1), 0x3fff);
      return [0xc0 | (target >> 8), target & 255, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 0, 0, 1];
    });
    const packet = crafted([records.length, 0, 0], ...records);
    assert.throws(() => decodeMessage(packet), /too many pointers/);
    assert.ok(decodeCounting(packet).steps < packet.length);
  });
});

describe('What a decoded message says', () => {
  it('names that differ stay different', () => {
    const label = (...bytes: number[]): number[] => [bytes.length, ...bytes];
    const target = (...labels: number[][]): unknown => {
      const [record] = decodeMessage(crafted([1, 0, 0], rawRecord(2, [...labels.flat(), 0]))).answers;
      return record?.type === 'NS' ? record.target : undefined;
    };
    assert.equal(target(label(0x41, 0x2e, 0x42), label(0x43)), 'a\\.b.c');
    assert.equal(target(label(0x61), label(0x62), label(0x63)), 'a.b.c');
    assert.equal(target(label(0x5c)), '\\\\');
    assert.equal(target(label(0, 0x20, 0x7f, 0xc3, 0xff)), '\\000\\032\\127\\195\\255');
    assert.equal(target(), '');
  });

  it('names are lower-case, but only in ASCII', () => {
    const [question] = decodeMessage(crafted([0, 0, 0])).questions;
    assert.deepEqual(question, { name: 'a', type: 'A' });
    const upper = Buffer.from(encodeMessage(response()));
    upper.write('PEER', 14, 'latin1');
    assert.deepEqual(decodeMessage(upper).questions, [{ name: srvName, type: 'SRV' }]);
  });

  it('a compressed SRV target is read, though RFC 2782 forbids it', () => {
    const [record] = decodeMessage(crafted([1, 0, 0], rawRecord(33, [0, 1, 0, 2, 0, 80, 1, 98, 0xc0, 12]))).answers;
    assert.deepEqual(record, {
      name: 'a',
      ttlSeconds: 30,
      type: 'SRV',
      priority: 1,
      weight: 2,
      port: 80,
      target: 'b.a',
    });
  });

  it('other types and classes are kept as other', () => {
    const chaos = rawRecord(1, [1, 2, 3, 4]);
    chaos[5] = 3;
    const { answers } = decodeMessage(crafted([3, 0, 0], rawRecord(65, [1, 2]), chaos, rawRecord(99, [])));
    assert.deepEqual(
      answers.map((record) => record.type === 'other' && record.typeCode),
      [65, 1, 99],
    );
  });

  it('a question of another type or class has a number for a type', () => {
    const chaos = crafted([0, 0, 0]);
    chaos[18] = 3;
    assert.deepEqual(decodeMessage(chaos).questions, [{ name: 'a', type: 1 }]);
    const any = crafted([0, 0, 0]);
    any[16] = 255;
    assert.deepEqual(decodeMessage(any).questions, [{ name: 'a', type: 255 }]);
    const opt = crafted([0, 0, 0]);
    opt[16] = 41;
    assert.deepEqual(decodeMessage(opt).questions, [{ name: 'a', type: 41 }]);
  });

  it('a TTL with its highest bit set is 0 (RFC 2181 section 8)', () => {
    const record = rawRecord(1, [1, 2, 3, 4]);
    record[6] = 0x80;
    assert.equal(decodeMessage(crafted([1, 0, 0], record)).answers[0]?.ttlSeconds, 0);
  });

  it('the response code has the twelve bits of header and OPT', () => {
    const message = response({ rcode: 16, edns: { udpPayloadSize: 512, version: 0 } });
    const packet = encodeMessage(message);
    assert.deepEqual(decodeMessage(packet), message);
    assert.equal(decodeEnvelope(packet).rcode, 0);
  });

  it('IPv4-mapped IPv6 stays AAAA', () => {
    const data = [...Array<number>(10).fill(0), 0xff, 0xff, 10, 0, 0, 1];
    const [record] = decodeMessage(crafted([1, 0, 0], rawRecord(28, data))).answers;
    assert.deepEqual(record, { name: 'a', ttlSeconds: 30, type: 'AAAA', address: '::ffff:10.0.0.1' });
  });

  it('bytes behind the last record are ignored', () => {
    const packet = encodeMessage(pods(1));
    assert.deepEqual(decodeMessage(Buffer.concat([packet, Buffer.from('garbage')])), pods(1));
  });

  it('a view into a larger buffer is read as what it shows', () => {
    const packet = encodeMessage(pods(2));
    const larger = new Uint8Array(packet.length + 20);
    larger.set(packet, 7);
    assert.deepEqual(decodeMessage(larger.subarray(7, 7 + packet.length)), pods(2));
  });

  it('the envelope is read though the rest is broken', () => {
    const { id, questions } = decodeEnvelope(crafted([9, 9, 9], [0xff]));
    assert.deepEqual({ id, questions }, { id: 1, questions: [{ name: 'a', type: 'A' }] });
  });
});

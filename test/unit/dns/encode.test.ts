import assert from 'node:assert/strict';
import { decodeMessage } from '../../../src/dns/decode.ts';
import { encodeMessage, encodeQuery } from '../../../src/dns/encode.ts';
import type { Message } from '../../../src/dns/message.ts';
import { UnencodableMessageError } from '../../../src/dns/message.ts';
import { a, cname, glue, pods, response, service, soa, srv, zone } from './packets.ts';

describe('A query is written as RFC 1035 and RFC 6891 have it', () => {
  const question = { name: 'web-0.nginx', type: 'SRV' } as const;

  it('with EDNS', () => {
    const packet = encodeQuery({ id: 0x1234, question, udpPayloadSize: 1232 });
    const name = '057765622d30056e67696e7800';
    assert.equal(
      Buffer.from(packet).toString('hex'),
      `123401000001000000000001${name}00210001` + '00002904d0000000000000',
    );
  });

  it('without EDNS', () => {
    const packet = encodeQuery({ id: 1, question, udpPayloadSize: null });
    assert.equal(packet.length, 12 + 13 + 4);
    assert.equal(decodeMessage(packet).edns, null);
  });
});

describe('What was encoded is decoded to the same', () => {
  const everything = response({
    id: 0xffff,
    opcode: 15,
    authoritative: false,
    recursionAvailable: true,
    rcode: 0xfff,
    questions: [
      { name: '', type: 'NS' },
      { name: 'x', type: 255 },
    ],
    answers: [
      srv(0),
      cname('www.x', 'x'),
      { name: 'a\\.b\\\\\\000\\255.c', ttlSeconds: 0x7fff_ffff, type: 'PTR', target: 'c' },
      { name: 'x', ttlSeconds: 0, type: 'TXT', strings: ['', 'ÿ\u0000', 'x'.repeat(255)] },
    ],
    authorities: [soa(zone, 0, 0xffff_ffff), { name: '', ttlSeconds: 1, type: 'NS', target: `a.${zone}` }],
    additionals: [glue(0), { name: 'x', ttlSeconds: 1, type: 'AAAA', address: 'fd00::a:0:0:1' }],
    edns: { udpPayloadSize: 65_535, version: 255 },
  });

  it('every record type and field', () => {
    assert.deepEqual(decodeMessage(encodeMessage(everything)), everything);
  });

  it('the longest label and name', () => {
    const name = `${`${'x'.repeat(63)}.`.repeat(3)}${'y'.repeat(61)}`;
    const message = response({ questions: [{ name, type: 'A' }], answers: [a(name, '10.0.0.1')] });
    assert.deepEqual(decodeMessage(encodeMessage(message)), message);
  });

  it('a message so large that pointers do not reach its end', () => {
    assert.deepEqual(decodeMessage(encodeMessage(pods(800))), pods(800));
  });

  it('names are compressed, SRV targets are not (RFC 2782)', () => {
    const size = (count: number): number => encodeMessage(pods(count)).length;
    // 2 + 10 + 6 + the 39 bytes of the target, and 2 + 10 + 4 for its address.
    assert.equal(size(3) - size(2), 57 + 16);
  });
});

describe('What does not fit is left out from the end, and TC says so', () => {
  // kubernetes-dns.md 2.4, measured with miekg/dns: 6 pods in 512 bytes, 15 in 1232 and 817 in 65,535 without TC.
  const rows: readonly [maxBytes: number, pods: number, srv: number, glue: number, truncated: boolean][] = [
    [512, 6, 6, 6, false],
    [512, 7, 7, 3, true],
    [512, 8, 7, 0, true],
    [1232, 15, 15, 15, false],
    [1232, 16, 16, 15, true],
    [1232, 100, 20, 0, true],
    [65_535, 817, 817, 817, false],
    [65_535, 1_200, 1_109, 0, true],
  ];
  for (const [maxBytes, count, answers, additionals, truncated] of rows) {
    it(`${count} pods in ${maxBytes} bytes: ${answers} SRV, ${additionals} glue${truncated ? ', TC' : ''}`, () => {
      const edns = maxBytes === 1232 ? { udpPayloadSize: 1232, version: 0 } : null;
      const packet = encodeMessage({ ...pods(count), edns }, { maxBytes });
      assert.ok(packet.length <= maxBytes);
      const message = decodeMessage(packet);
      assert.deepEqual(
        [message.answers.length, message.additionals.length, message.truncated, message.edns],
        [answers, additionals, truncated, edns],
      );
    });
  }

  it('from the first record that does not fit on nothing follows, small as it may be', () => {
    const large = { name: 'x', ttlSeconds: 1, type: 'TXT', strings: ['y'.repeat(255), 'y'.repeat(255)] } as const;
    const packet = encodeMessage(response({ answers: [a('x', '10.0.0.1'), large, a('x', '10.0.0.2')] }), {
      maxBytes: 512,
    });
    const { answers, truncated } = decodeMessage(packet);
    assert.deepEqual([answers.length, truncated], [1, true]);
  });

  it('fewer than 512 bytes count as 512', () => {
    assert.deepEqual(encodeMessage(pods(20), { maxBytes: 1 }), encodeMessage(pods(20), { maxBytes: 512 }));
  });

  it('a message that was truncated before stays so', () => {
    assert.deepEqual(decodeMessage(encodeMessage({ ...pods(2), truncated: true })), { ...pods(2), truncated: true });
  });
});

describe('What has no form on the wire is refused', () => {
  const named = (name: string): Message => response({ questions: [{ name, type: 'A' }] });
  const rows: readonly (readonly [string, Message, RegExp])[] = [
    ['an empty label', named('a..b'), /label of 0/],
    ['a leading dot', named('.a'), /label of 0/],
    ['a final dot', named('a.'), /final dot/],
    ['a label of 64', named('x'.repeat(64)), /label of 64/],
    ['a name of 256', named(Array<string>(4).fill('x'.repeat(63)).join('.').slice(0, 254)), /over 255/],
    ['a name that is no ASCII', named('nägel'), /ASCII/],
    ['an escape over 255', named('\\256'), /escape/],
    ['half an escape', named('\\1'), /escape/],
    ['a backslash at the end', named('a\\'), /escape/],
    ['an A that is no IPv4', response({ answers: [a('x', '999.1.1.1')] }), /A with address/],
    ['an AAAA that is no IPv6', response({ answers: [{ ...a('x', '10.0.0.1'), type: 'AAAA' }] }), /AAAA with address/],
    ['an AAAA with a zone', response({ answers: [{ ...a('x', 'fe80::1%1'), type: 'AAAA' }] }), /AAAA with address/],
    ['a port over 65535', response({ answers: [{ ...srv(0), port: 65_536 }] }), /port is 65536/],
    ['a negative TTL', response({ answers: [a('x', '10.0.0.1', -1)] }), /ttlSeconds is -1/],
    ['a TTL that is no integer', response({ answers: [a('x', '10.0.0.1', 1.5)] }), /ttlSeconds is 1.5/],
    ['an id over 65535', response({ id: 65_536 }), /id is/],
    ['an opcode over 15', response({ opcode: 16 }), /opcode is/],
    ['an rcode over 15 without EDNS', response({ rcode: 16 }), /needs EDNS/],
    [
      'a record whose data was not kept',
      response({ answers: [{ name: 'x', ttlSeconds: 1, type: 'other', typeCode: 65 }] }),
      /type 65/,
    ],
    ['TXT without a string', response({ answers: [{ name: 'x', ttlSeconds: 1, type: 'TXT', strings: [] }] }), /TXT/],
    [
      'a TXT string over 255',
      response({ answers: [{ name: 'x', ttlSeconds: 1, type: 'TXT', strings: ['x'.repeat(256)] }] }),
      /TXT/,
    ],
    [
      'a TXT string that is not of bytes',
      response({ answers: [{ name: 'x', ttlSeconds: 1, type: 'TXT', strings: ['€'] }] }),
      /TXT/,
    ],
    [
      'more questions than fit',
      response({ questions: Array<{ name: string; type: 'A' }>(16_000).fill({ name: service, type: 'A' }) }),
      /65,535/,
    ],
  ];
  for (const [what, message, expected] of rows) {
    it(what, () => {
      assert.throws(
        () => encodeMessage(message),
        (error) => error instanceof UnencodableMessageError && expected.test(error.message),
      );
    });
  }
});

import assert from 'node:assert/strict';
import { SocketAddress } from 'node:net';
import fc from 'fast-check';
import {
  familyOf,
  formatIpv6,
  isLoopback,
  isPodAddress,
  normaliseAddress,
  parseIpv6,
} from '../../../src/dns/address.ts';

describe('An address has one text', () => {
  const rows: readonly (readonly [string, string | null])[] = [
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:0a00:0001', '10.0.0.1'],
    ['0:0:0:0:0:ffff:10.0.0.1', '10.0.0.1'],
    // RFC 5952 section 4.2: the longest run, the first of equal ones, no single group.
    ['0:0:63:0:0:0:0:1', '0:0:63::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0DB8::0', '2001:db8::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::1', '::1'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
    // A mapped address it is only with ten zero bytes in front.
    ['1::ffff:10.0.0.1', '1::ffff:a00:1'],
    ['fe80::1%eth0', null],
    ['010.0.0.1', null],
    ['10.0.1', null],
    ['[::1]', null],
    ['', null],
    ['web-0', null],
  ];
  for (const [text, expected] of rows) {
    it(`${text === '' ? 'nothing' : text} is ${expected ?? 'refused'}`, () => {
      assert.equal(normaliseAddress(text), expected);
    });
  }

  it('is what the platform prints, for any IPv6 address', () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const long = groups.map((value) => value.toString(16)).join(':');
        const bytes = parseIpv6(long);
        assert.ok(bytes);
        const text = formatIpv6(bytes, 0);
        assert.deepEqual(parseIpv6(text), bytes);
        // The platform prints ::/96 with a dotted end, which RFC 5952 does not ask for.
        if (groups.slice(0, 6).every((value) => value === 0)) return;
        assert.equal(text, new SocketAddress({ address: long, family: 'ipv6' }).address);
      }),
    );
  });

  it('has a family', () => {
    assert.equal(familyOf('10.0.0.1'), 4);
    assert.equal(familyOf('fd00::1'), 6);
  });
});

describe('An address that no pod can have is refused', () => {
  const canBePods = (text: string, options: { allowLoopback: boolean }): boolean => {
    const address = normaliseAddress(text);
    return address !== null && isPodAddress(address, options);
  };

  const refused = [
    ...['0.0.0.0', '0.1.2.3', '169.254.0.1', '169.254.255.255', '224.0.0.1', '239.255.255.255', '255.255.255.255'],
    ...['::', 'fe80::1', 'febf:ffff::1', 'ff00::', 'ff02::1', '::ffff:0.0.0.0', '::ffff:169.254.1.1', 'nonsense'],
  ];
  for (const address of refused) {
    it(`${address} is no pod's`, () => {
      assert.equal(canBePods(address, { allowLoopback: true }), false);
    });
  }

  const allowed = [
    ...['1.0.0.1', '10.0.0.1', '169.253.255.255', '169.255.0.1', '223.255.255.255', '240.0.0.1', '255.255.255.254'],
    ...['100.64.0.1', 'fd00::1', 'fe7f::1', 'fec0::1', '2001:db8::1', 'fe::1', 'ff::1', '::ffff:10.0.0.1'],
  ];
  for (const address of allowed) {
    it(`${address} can be one`, () => {
      assert.equal(canBePods(address, { allowLoopback: false }), true);
    });
  }

  for (const address of ['127.0.0.1', '127.255.255.255', '::1', '::ffff:127.0.0.1']) {
    it(`loopback ${address} only where it is allowed`, () => {
      assert.equal(isLoopback(address), true);
      assert.equal(canBePods(address, { allowLoopback: false }), false);
      assert.equal(canBePods(address, { allowLoopback: true }), true);
    });
  }

  for (const address of ['128.0.0.1', '10.127.0.1', '::2', 'localhost']) {
    it(`${address} is not loopback`, () => {
      assert.equal(isLoopback(address), false);
    });
  }
});

import assert from 'node:assert/strict';
import dns from 'node:dns';
import type { LookupAddress, LookupOptions } from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import type { PeerLookup } from '../../../src/connect/lookup.ts';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import { lowestOrdinal } from '../../../src/topology/primary.ts';
import type { FakeTime } from '../../support/fake-time.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { member, observer } from '../../support/member.ts';
import type { View } from '../../support/scripted-dns.ts';
import { uncaught } from '../../support/uncaught.ts';

// Section 6: "answers targets and stable names from memory, on a later tick, in every calling form, never an empty
// success; other names go to the system's lookup". The calling forms are those that Node.js itself uses.

/** What a callback of `lookup` was given. */
interface Answer {
  readonly error: NodeJS.ErrnoException | null;
  readonly address: string | LookupAddress[];
  readonly family: number | undefined;
}
/** What stands where `dns.lookup` has its options; `absent`: the callback stands there. */
type Given = LookupOptions | number | null | undefined | 'absent';

const zone = 'nginx.default.svc.cluster.local';
const dual: View = {
  'web-0': ['10.0.0.1', 'fd00::1'],
  'web-1': ['10.0.0.2', 'fd00::2'],
  'web-2': ['10.0.0.3', 'fd00::3'],
};
const v4: View = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' };

function ask(lookup: PeerLookup, hostname: string, given: Given = 'absent'): Promise<Answer> {
  return new Promise((resolve) => {
    const done = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number): void => {
      resolve({ error, address, family });
    };
    const call = lookup as (...args: unknown[]) => void;
    if (given === 'absent') call(hostname, done);
    else call(hostname, given, done);
  });
}

/** What the system's lookup was asked while this ran; it answers nobody. */
function askedOfTheSystem(run: () => void): unknown[][] {
  const asked: unknown[][] = [];
  const { lookup } = dns;
  dns.lookup = ((...args: unknown[]) => {
    asked.push(args);
  }) as typeof lookup;
  syncBuiltinESMExports();
  try {
    run();
  } finally {
    dns.lookup = lookup;
    syncBuiltinESMExports();
  }
  return asked;
}

/** The lookup of web-2, which has heard of the others. */
async function lookupIn(time: FakeTime, view: View): Promise<PeerLookup> {
  const own = [view['web-2'] ?? []].flat();
  const { peers, dns: server } = time.opened(member('web-2', own));
  server.views = [view];
  await time.clock.tickAsync(100);
  return peers.lookup;
}

const all = (...addresses: string[]): LookupAddress[] =>
  addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

describe('lookup answers every calling form', () => {
  const time = fakeTime();

  // From kubernetes-dns.md 5.6, and what the documentation of dns.lookup allows beside.
  const one = (address: string): Omit<Answer, 'error'> => ({ address, family: address.includes(':') ? 6 : 4 });
  const many = (...addresses: string[]): Omit<Answer, 'error'> => ({ address: all(...addresses), family: undefined });
  const forms: readonly (readonly [string, Given, Omit<Answer, 'error'>])[] = [
    ['net, http, tls, http2', { hints: 32, all: true }, many('10.0.0.2', 'fd00::2')],
    ['the same without autoSelectFamily', { hints: 32 }, one('10.0.0.2')],
    ['the same with family: 4', { family: 4, hints: 0 }, one('10.0.0.2')],
    ['the same with family: 6', { family: 6, hints: 0 }, one('fd00::2')],
    ['dgram, udp4: a number', 4, one('10.0.0.2')],
    ['dgram, udp6: a number', 6, one('fd00::2')],
    ['any family as a number', 0, one('10.0.0.2')],
    ['no options', 'absent', one('10.0.0.2')],
    ['empty options', {}, one('10.0.0.2')],
    ['undefined in their place', undefined, one('10.0.0.2')],
    ['null in their place', null, one('10.0.0.2')],
    ["family: 'IPv4'", { family: 'IPv4' }, one('10.0.0.2')],
    ["family: 'IPv6'", { family: 'IPv6' }, one('fd00::2')],
    ['family: 0', { family: 0, all: true }, many('10.0.0.2', 'fd00::2')],
    ['all of one family', { family: 6, all: true }, many('fd00::2')],
    ["all of one family, 'IPv4'", { family: 'IPv4', all: true }, many('10.0.0.2')],
    ["order: 'ipv4first'", { order: 'ipv4first', all: true }, many('10.0.0.2', 'fd00::2')],
    ["order: 'ipv6first'", { order: 'ipv6first', all: true }, many('fd00::2', '10.0.0.2')],
    ["one, order: 'ipv6first'", { order: 'ipv6first' }, one('fd00::2')],
    ["order: 'verbatim'", { order: 'verbatim', all: true }, many('10.0.0.2', 'fd00::2')],
    ['verbatim: false, the old spelling', { verbatim: false, all: true }, many('10.0.0.2', 'fd00::2')],
    ['all: false', { all: false }, one('10.0.0.2')],
  ];
  for (const [who, given, expected] of forms) {
    it(who, async () => {
      const lookup = await lookupIn(time, dual);
      assert.deepEqual(await ask(lookup, 'web-1', given), { error: null, ...expected });
    });
  }

  it('the options of the caller are left as they are', async () => {
    const lookup = await lookupIn(time, dual);
    const options: LookupOptions = Object.freeze({ family: 4, all: true, hints: 32 });
    assert.equal((await ask(lookup, 'web-1', options)).error, null);
    assert.deepEqual(options, { family: 4, all: true, hints: 32 });
  });

  it('an answer belongs to its caller: what one does to it is not seen by the next', async () => {
    const lookup = await lookupIn(time, dual);
    const first = (await ask(lookup, 'web-1', { all: true })).address as LookupAddress[];
    for (const address of first) address.address = '192.0.2.1';
    first.length = 0;
    assert.deepEqual((await ask(lookup, 'web-1', { all: true })).address, all('10.0.0.2', 'fd00::2'));
  });
});

describe('lookup knows targets and stable names', () => {
  const time = fakeTime();

  const names: readonly (readonly [string, string])[] = [
    ['primary', '10.0.0.1'],
    ['web-0', '10.0.0.1'],
    ['web-1', '10.0.0.2'],
    [`web-1.${zone}`, '10.0.0.2'],
    [`web-1.${zone}.`, '10.0.0.2'],
    ['web-1.', '10.0.0.2'],
    ['WEB-1', '10.0.0.2'],
    ['Primary.', '10.0.0.1'],
    [`Web-1.NGINX.default.svc.CLUSTER.local.`, '10.0.0.2'],
    // Self, by name.
    ['web-2', '10.0.0.3'],
  ];
  for (const [name, address] of names) {
    it(name, async () => {
      const lookup = await lookupIn(time, v4);
      assert.deepEqual(await ask(lookup, name), { error: null, address, family: 4 });
    });
  }

  const others: readonly string[] = [
    'localhost',
    'web',
    'web-01',
    'web--1',
    'web-1-0',
    'web-2147483648',
    'db-1',
    '1',
    '',
    'nginx',
    zone,
    'web-1.other.default.svc.cluster.local',
    'web-1.nginx',
    'primary.example.org',
    `primary.${zone}`,
    `replica.${zone}`,
    `x.web-1.${zone}`,
    `web-1${zone}`,
    '0.0.0.0',
    '::1',
  ];
  for (const name of others) {
    it(`${JSON.stringify(name)} goes to the system, with the options and the callback as they are`, async () => {
      const lookup = await lookupIn(time, v4);
      const options = { family: 4, hints: 32 };
      const done = (): void => undefined;
      const asked = askedOfTheSystem(() => {
        lookup(name, options, done);
        lookup(name, 4, done);
        lookup(name, done);
      });
      assert.deepEqual(
        asked.map(([hostname]) => hostname),
        [name, name, name],
      );
      assert.deepEqual(
        asked.map((args) => args.at(-1)),
        [done, done, done],
      );
      assert.deepEqual(asked[0]?.[1], options);
      assert.ok(asked[1]?.[1] === 4 || (asked[1]?.[1] as LookupOptions).family === 4);
    });
  }

  it('an IP comes back from the system as it is', async () => {
    const lookup = await lookupIn(time, v4);
    assert.deepEqual(await ask(lookup, '0.0.0.0', 4), { error: null, address: '0.0.0.0', family: 4 });
    assert.deepEqual(await ask(lookup, '::1', { all: true }), {
      error: null,
      address: all('::1'),
      family: undefined,
    });
  });

  it('what is no call of lookup fails as the call of the system does', async () => {
    const lookup = (await lookupIn(time, v4)) as unknown as (...args: unknown[]) => void;
    assert.throws(() => lookup('web-1'), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => lookup('web-1', {}), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => lookup(7, () => undefined), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('it is bound: it can be detached and passed on', async () => {
    const { peers, dns: server } = time.opened(member('web-2', ['10.0.0.3']));
    server.views = [v4];
    await time.clock.tickAsync(100);
    const { lookup } = peers;
    assert.equal((await ask(lookup, 'web-1')).address, '10.0.0.2');
    assert.equal(peers.lookup, lookup);
  });

  it('no question is asked: all of it is memory', async () => {
    const { peers, dns: server } = time.opened(member('web-2', ['10.0.0.3']));
    server.views = [v4];
    await time.clock.tickAsync(100);
    const before = server.asked.length;
    for (let turn = 0; turn < 1_000; turn += 1) await ask(peers.lookup, turn % 2 === 0 ? 'web-1' : 'web-7');
    assert.equal(server.asked.length, before);
  });

  it('it answers with the present address as soon as the belief has it', async () => {
    const { peers, dns: server } = time.opened(observer());
    server.views = [v4];
    await time.clock.tickAsync(100);
    server.views = [{ ...v4, 'web-1': '10.0.0.9' }];
    await peers.refresh();
    assert.equal((await ask(peers.lookup, 'web-1')).address, '10.0.0.9');
  });
});

describe('lookup spreads over replicas', () => {
  const time = fakeTime();

  it('replicas take turns, and self is never among them', async () => {
    const view = { ...v4, 'web-3': '10.0.0.4' };
    const { peers, dns: server } = time.opened(member('web-2', ['10.0.0.3']));
    server.views = [view];
    await time.clock.tickAsync(100);
    const answers: unknown[] = [];
    for (let turn = 0; turn < 6; turn += 1) answers.push((await ask(peers.lookup, 'replica')).address);
    assert.deepEqual(new Set(answers), new Set(['10.0.0.2', '10.0.0.4']));
    for (let turn = 1; turn < 6; turn += 1) assert.notEqual(answers[turn], answers[turn - 1]);
  });

  it("'any' is everybody but self, the primary too", async () => {
    const lookup = await lookupIn(time, v4);
    const answers = new Set<unknown>();
    for (let turn = 0; turn < 6; turn += 1) answers.add((await ask(lookup, 'any')).address);
    assert.deepEqual(answers, new Set(['10.0.0.1', '10.0.0.2']));
  });

  it('one peer at a time: with `all`, the addresses of one peer only', async () => {
    const lookup = await lookupIn(time, dual);
    for (let turn = 0; turn < 4; turn += 1) {
      const { address } = await ask(lookup, 'any', { all: true });
      const ends = (address as LookupAddress[]).map((entry) => entry.address.at(-1));
      assert.equal(ends.length, 2);
      assert.equal(ends[0], ends[1]);
    }
  });

  it('a replica without an address of the family that is asked is passed over', async () => {
    const lookup = await lookupIn(time, {
      'web-0': '10.0.0.1',
      'web-1': '10.0.0.2',
      'web-2': '10.0.0.3',
      'web-3': ['10.0.0.4', 'fd00::4'],
    });
    for (let turn = 0; turn < 4; turn += 1) {
      assert.deepEqual(await ask(lookup, 'replica', 6), { error: null, address: 'fd00::4', family: 6 });
    }
  });
});

describe('lookup answers on a later tick', () => {
  const time = fakeTime();

  for (const name of ['web-1', 'web-7', 'localhost']) {
    it(`${name}: not before lookup has returned`, async () => {
      const lookup = await lookupIn(time, v4);
      let called = 0;
      const answered = new Promise<void>((resolve) => {
        lookup(name, () => {
          called += 1;
          resolve();
        });
      });
      assert.equal(called, 0);
      await answered;
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(called, 1);
    });
  }

  it('a callback that throws is an uncaught exception, is not called again, and hurts no other one', async () => {
    const lookup = await lookupIn(time, v4);
    let called = 0;
    let other: unknown;
    const errors = await uncaught(() => {
      lookup('web-1', () => {
        called += 1;
        throw new Error('mine');
      });
      lookup('web-0', (_error, address) => {
        other = address;
      });
    });
    assert.deepEqual(
      errors.map((error) => (error as Error).message),
      ['mine'],
    );
    assert.equal(called, 1);
    assert.equal(other, '10.0.0.1');
  });
});

describe('lookup never succeeds with nothing: it fails as Node.js does, with ours as cause', () => {
  const time = fakeTime();

  interface Nothing {
    readonly name: string;
    readonly code: string;
    readonly message: RegExp;
    readonly prepare: () => Promise<PeerLookup>;
    readonly family?: 4 | 6;
  }
  const cases: Readonly<Record<string, Nothing>> = {
    'a peer that nobody has seen': {
      name: 'web-7',
      code: 'ERR_NO_ADDRESS',
      message: /^\[ERR_NO_ADDRESS\] no address of web-7 of nginx\.default\.svc\.cluster\.local: DNS has not shown it$/,
      prepare: () => lookupIn(time, v4),
    },
    'a primary that is designated and not there': {
      name: 'primary',
      code: 'ERR_NO_PRIMARY',
      message: /^\[ERR_NO_PRIMARY\] no primary of .*: web-0 is designated and not there \(.+\)$/,
      prepare: () => lookupIn(time, { 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' }),
    },
    'nobody designated': {
      name: 'primary',
      code: 'ERR_NO_PRIMARY',
      message:
        /^\[ERR_NO_PRIMARY\] no primary of .*: nobody is designated \(DNS names 3 of the 9 peers needed \(quorum\)\)$/,
      prepare: async () => {
        const { peers, dns: server } = time.opened(observer({ primary: lowestOrdinal({ quorum: 9 }) }));
        server.views = [v4];
        await time.clock.tickAsync(100);
        return peers.lookup;
      },
    },
    'before the first answer': {
      name: 'web-1',
      code: 'ERR_NO_ADDRESS',
      message: /web-1/,
      prepare: () => Promise.resolve(time.opened(observer()).peers.lookup),
    },
    'no replica but self': {
      name: 'replica',
      code: 'ERR_NO_ADDRESS',
      message: /^\[ERR_NO_ADDRESS\] no address of replica/,
      prepare: () => lookupIn(time, { 'web-0': '10.0.0.1', 'web-2': '10.0.0.3' }),
    },
    'no address of the family': {
      name: 'web-1',
      code: 'ERR_NO_ADDRESS',
      message: /web-1/,
      prepare: () => lookupIn(time, v4),
      family: 6,
    },
    'after close()': {
      name: 'web-1',
      code: 'ERR_CLOSED',
      message: /is closed$/,
      prepare: async () => {
        const { peers, dns: server } = time.opened(observer());
        server.views = [v4];
        await time.clock.tickAsync(100);
        await peers.close();
        return peers.lookup;
      },
    },
  };
  for (const [what, { name, code, message, prepare, family = 0 }] of Object.entries(cases)) {
    for (const options of [{ family, all: true }, { family }]) {
      it(`${what}${'all' in options ? ', all' : ''}`, async () => {
        const lookup = await prepare();
        const { error } = await ask(lookup, name, options);
        assert.ok(error instanceof Error);
        assert.equal(error.code, 'ENOTFOUND');
        assert.equal(error.syscall, 'getaddrinfo');
        assert.equal(error.message, `getaddrinfo ENOTFOUND ${name}`);
        assert.equal((error as { hostname?: string }).hostname, name);
        assert.ok(error.cause instanceof PeerDiscoveryError);
        assert.equal(error.cause.code, code);
        assert.match(error.cause.message, message);
        assert.equal(PeerDiscoveryError.from(error), error.cause);
      });
    }
  }

  it('where only the family is missing, the cause does not say that the peer is', async () => {
    const lookup = await lookupIn(time, v4);
    for (const name of ['primary', 'web-1', 'replica']) {
      const { error } = await ask(lookup, name, { family: 6 });
      const { message } = error?.cause as Error;
      assert.match(message, /IPv6/, message);
    }
  });

  it('where no peer but self is there, the cause does not name DNS for it', async () => {
    const lookup = await lookupIn(time, { 'web-0': '10.0.0.1', 'web-2': '10.0.0.3' });
    const { message } = (await ask(lookup, 'replica')).error?.cause as Error;
    assert.doesNotMatch(message, /has not shown it/);
  });
});

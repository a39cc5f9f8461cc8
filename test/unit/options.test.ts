import assert from 'node:assert/strict';
import { PeerDiscoveryError } from '../../src/errors.ts';
import { checkOptions, checkWaitOptions, defaults } from '../../src/options.ts';
import { lowestOrdinal } from '../../src/topology/primary.ts';

const name = 'a name, as a string that is not empty';
const port =
  "an SRV port name such as 'peer' (at most 15 of a-z, 0-9 and -, with a letter), or a number from 1 to 65535";
const policy = 'fixedPrimary(), lowestOrdinal({ quorum }), a function of a policy view, or false';
const servers = "an array of IP addresses with optional port, like ['10.96.0.10', '127.0.0.1:5353', '[::1]:5353']";
const ordinal = 'an integer from 0 to 2147483647';
const pods = 'an integer from 1 to 2147483647';
const interval = 'an integer from 10 to 2147483647';
const noSuch = (known: string): string => `one of ${known}`;
const shared = 'absence, clusterDomain, dns, expectedPods, namespace, ordinalStart';
const ofMember = noSuch(`${shared}, podName, port, primary, refresh, service, signal, statefulSet`);
const ofObserver = noSuch(`${shared}, port, primary, refresh, service, signal, statefulSet`);

/** What is given, the option that is wrong, how its value is shown, and what was expected. */
type Row = readonly [given: unknown, option: string, value: string, expected: string];

function assertRefused(run: () => unknown, [, option, value, expected]: Row): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof PeerDiscoveryError);
    const what = expected.startsWith('one of ') ? `there is no option ${option}` : `option ${option} is ${value}`;
    assert.equal(error.message, `[ERR_OPTION] ${what}; expected ${expected}`);
    assert.equal(error.code, 'ERR_OPTION');
    assert.equal(error.option, option);
    assert.equal(error.expected, expected);
    assert.ok('value' in error);
    return true;
  });
}

function title(row: Row): string {
  const given = JSON.stringify(row[0], (_key, value: unknown) =>
    typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint' || Number.isNaN(value)
      ? String(value).replace(/\s+/g, ' ').slice(0, 30)
      : value,
  );
  return `${row[1]}: ${given.slice(0, 100)}`;
}

describe('20. A mistake is named: bad options fail at construction with the option, the value and what was expected', () => {
  const rows: readonly Row[] = [
    [7, 'options', '7', 'an object'],
    ['peer', 'options', '"peer"', 'an object'],
    [[], 'options', 'an empty array', 'an object'],
    [[1], 'options', 'an array', 'an object'],
    [() => ({}), 'options', 'a function', 'an object'],
    [{ prot: 'peer' }, 'prot', '"peer"', ofMember],
    [{ Port: 'peer' }, 'Port', '"peer"', ofMember],
    [{ servers: ['10.96.0.10'] }, 'servers', 'an array', ofMember],
    [{ minIntervalMs: undefined }, 'minIntervalMs', 'missing', ofMember],

    [{ podName: '' }, 'podName', '""', name],
    [{ podName: 0 }, 'podName', '0', name],
    [{ service: 7 }, 'service', '7', name],
    [{ service: null }, 'service', 'null', name],
    [{ namespace: true }, 'namespace', 'true', name],
    [{ clusterDomain: ['cluster.local'] }, 'clusterDomain', 'an array', name],
    [{ statefulSet: {} }, 'statefulSet', 'an object', name],
    [{ statefulSet: 10n }, 'statefulSet', '10', name],
    [{ statefulSet: Symbol('web') }, 'statefulSet', 'a symbol', name],

    [{ port: 0 }, 'port', '0', port],
    [{ port: -1 }, 'port', '-1', port],
    [{ port: 65_536 }, 'port', '65536', port],
    [{ port: 80.5 }, 'port', '80.5', port],
    [{ port: NaN }, 'port', 'NaN', port],
    [{ port: null }, 'port', 'null', port],
    [{ port: '' }, 'port', '""', port],
    [{ port: '_peer' }, 'port', '"_peer"', port],
    [{ port: '_peer._tcp' }, 'port', '"_peer._tcp"', port],
    [{ port: '7000' }, 'port', '"7000"', port],
    [{ port: 'Peer' }, 'port', '"Peer"', port],
    [{ port: '-peer' }, 'port', '"-peer"', port],
    [{ port: 'peer--one' }, 'port', '"peer--one"', port],
    [{ port: 'a'.repeat(16) }, 'port', `"${'a'.repeat(16)}"`, port],

    [{ ordinalStart: -1 }, 'ordinalStart', '-1', ordinal],
    [{ ordinalStart: 0.5 }, 'ordinalStart', '0.5', ordinal],
    [{ ordinalStart: '0' }, 'ordinalStart', '"0"', ordinal],
    [{ ordinalStart: 2 ** 31 }, 'ordinalStart', '2147483648', ordinal],
    [{ ordinalStart: null }, 'ordinalStart', 'null', ordinal],
    [{ expectedPods: 0 }, 'expectedPods', '0', pods],
    [{ expectedPods: Infinity }, 'expectedPods', 'Infinity', pods],
    [{ expectedPods: '3' }, 'expectedPods', '"3"', pods],

    [{ primary: true }, 'primary', 'true', policy],
    [{ primary: null }, 'primary', 'null', policy],
    [{ primary: 'web-0' }, 'primary', '"web-0"', policy],
    [{ primary: { quorum: 2 } }, 'primary', 'an object', policy],
    [
      { primary: lowestOrdinal() },
      'expectedPods',
      'missing',
      'the number of replicas, for lowestOrdinal() without a quorum of its own',
    ],

    [{ refresh: 5_000 }, 'refresh', '5000', 'an object'],
    [{ refresh: { jitter: 0.1 } }, 'refresh.jitter', '0.1', noSuch('maxIntervalMs, minIntervalMs')],
    [{ refresh: { minIntervalMs: 9 } }, 'refresh.minIntervalMs', '9', interval],
    [{ refresh: { minIntervalMs: '1s' } }, 'refresh.minIntervalMs', '"1s"', interval],
    [{ refresh: { maxIntervalMs: 2 ** 31 } }, 'refresh.maxIntervalMs', '2147483648', interval],
    [
      { refresh: { minIntervalMs: 2_000, maxIntervalMs: 1_000 } },
      'refresh.maxIntervalMs',
      '1000',
      'at least refresh.minIntervalMs, which is 2000',
    ],

    [{ absence: 'never' }, 'absence', '"never"', 'an object'],
    [{ absence: { removeMs: 1 } }, 'absence.removeMs', '1', noSuch('missingAfterMs, removeAfterMs')],
    [{ absence: { missingAfterMs: -1 } }, 'absence.missingAfterMs', '-1', ordinal],
    [{ absence: { removeAfterMs: Infinity } }, 'absence.removeAfterMs', 'Infinity', ordinal],
    [
      { absence: { missingAfterMs: 60_000, removeAfterMs: 30_000 } },
      'absence.removeAfterMs',
      '30000',
      'at least absence.missingAfterMs, which is 60000',
    ],

    [{ dns: ['10.96.0.10'] }, 'dns', 'an array', 'an object'],
    [
      { dns: { server: '10.96.0.10' } },
      'dns.server',
      '"10.96.0.10"',
      noSuch('attempts, deadlineMs, servers, timeoutMs'),
    ],
    [{ dns: { servers: [] } }, 'dns.servers', 'an empty array', servers],
    [{ dns: { servers: '10.96.0.10' } }, 'dns.servers', '"10.96.0.10"', servers],
    [{ dns: { servers: [53] } }, 'dns.servers', '53', servers],
    [{ dns: { servers: ['10.96.0.10', null] } }, 'dns.servers', 'null', servers],
    [{ dns: { timeoutMs: 0 } }, 'dns.timeoutMs', '0', pods],
    [{ dns: { attempts: 0 } }, 'dns.attempts', '0', 'an integer from 1 to 10'],
    [{ dns: { attempts: 11 } }, 'dns.attempts', '11', 'an integer from 1 to 10'],
    [{ dns: { deadlineMs: 1e12 } }, 'dns.deadlineMs', '1000000000000', pods],

    [{ signal: {} }, 'signal', 'an object', 'an AbortSignal'],
    [{ signal: new AbortController() }, 'signal', 'an object', 'an AbortSignal'],
    [{ signal: null }, 'signal', 'null', 'an AbortSignal'],
  ];
  for (const row of rows) {
    it(title(row), () => assertRefused(() => checkOptions(row[0], 'member'), row));
  }

  it('podName is no option of an observer', () => {
    const row: Row = [{ podName: 'web-0' }, 'podName', '"web-0"', ofObserver];
    assertRefused(() => checkOptions(row[0], 'observer'), row);
  });

  for (const [quorum, shown] of [
    [0, '0'],
    [-1, '-1'],
    [1.5, '1.5'],
    ['2', '"2"'],
    [null, 'null'],
  ] as const) {
    const row: Row = [{ quorum }, 'quorum', shown, 'an integer of at least 1'];
    it(`lowestOrdinal's ${title(row)}`, () => assertRefused(() => lowestOrdinal({ quorum: quorum as number }), row));
  }

  for (const given of [{ quorom: 2 }, 2, null]) {
    it(`lowestOrdinal(${JSON.stringify(given)}) is refused, not taken for a majority`, () => {
      assert.throws(() => lowestOrdinal(given as object), { code: 'ERR_OPTION' });
    });
  }

  const waiting: readonly Row[] = [
    [5_000, 'options', '5000', 'an object'],
    [{ timeout: 1 }, 'timeout', '1', noSuch('signal, stableForMs, timeoutMs')],
    [{ timeoutMs: -1 }, 'timeoutMs', '-1', `${ordinal}, or Infinity`],
    [{ timeoutMs: '5s' }, 'timeoutMs', '"5s"', `${ordinal}, or Infinity`],
    [{ timeoutMs: NaN }, 'timeoutMs', 'NaN', `${ordinal}, or Infinity`],
    [{ stableForMs: Infinity }, 'stableForMs', 'Infinity', ordinal],
    [{ signal: 'SIGTERM' }, 'signal', '"SIGTERM"', 'an AbortSignal'],
  ];
  for (const row of waiting) {
    it(`of a waiter: ${title(row)}`, () => assertRefused(() => checkWaitOptions(row[0] as object), row));
  }

  it('a long value is cut short, on one line', () => {
    assert.throws(
      () => checkOptions({ port: `peer\n${'x'.repeat(1_000)}` }, 'member'),
      (error: Error) => error.message.length < 400 && !error.message.includes('\n'),
    );
  });
});

describe('Options, checked and complete', () => {
  it('every default is there, and the result is frozen', () => {
    const checked = checkOptions(undefined, 'member');
    const { refresh, absence, dns } = checked;
    assert.deepEqual(
      { ...refresh },
      {
        minIntervalMs: defaults['refresh.minIntervalMs'],
        maxIntervalMs: defaults['refresh.maxIntervalMs'],
      },
    );
    assert.deepEqual(
      { ...absence },
      {
        missingAfterMs: defaults['absence.missingAfterMs'],
        removeAfterMs: defaults['absence.removeAfterMs'],
      },
    );
    assert.deepEqual(
      { ...dns },
      {
        servers: null,
        timeoutMs: defaults['dns.timeoutMs'],
        attempts: defaults['dns.attempts'],
        deadlineMs: defaults['dns.deadlineMs'],
      },
    );
    const { portName, portNumber, ordinalStart, expectedPods, signal, identity } = checked;
    assert.deepEqual([portName, portNumber, ordinalStart, expectedPods, signal], [null, null, null, null, null]);
    assert.deepEqual(identity, {});
    assert.equal(typeof checked.primary, 'function');
    for (const part of [checked, refresh, absence, dns, identity]) assert.ok(Object.isFrozen(part));
  });

  it('an option that is undefined is not given', () => {
    const given = { podName: undefined, port: undefined, primary: undefined, refresh: undefined, signal: undefined };
    assert.deepEqual(checkOptions(given, 'member').identity, {});
  });

  it('the bounds of each option are allowed', () => {
    const options = {
      port: 65_535,
      ordinalStart: 0,
      expectedPods: 1,
      primary: false,
      refresh: { minIntervalMs: 10, maxIntervalMs: 10 },
      absence: { missingAfterMs: 0, removeAfterMs: 0 },
      dns: { servers: ['10.96.0.10'], timeoutMs: 1, attempts: 10, deadlineMs: 1 },
    };
    const checked = checkOptions(options, 'observer');
    assert.equal(checked.portNumber, 65_535);
    assert.equal(checked.primary, false);
    assert.equal(checkOptions({ port: 'a' }, 'member').portName, 'a');
    assert.equal(checkOptions({ port: 'grpc-2' }, 'member').portName, 'grpc-2');
  });

  it('what is done to the given object later does not matter', () => {
    const servers = ['10.96.0.10'];
    const options = { dns: { servers, timeoutMs: 500 } };
    const checked = checkOptions(options, 'member');
    servers.push('nonsense');
    options.dns.timeoutMs = -1;
    assert.deepEqual(checked.dns.servers, ['10.96.0.10']);
    assert.equal(checked.dns.timeoutMs, 500);
  });

  it('of a waiter: 30 s, at once, no signal; Infinity waits for ever', () => {
    assert.deepEqual(checkWaitOptions(undefined), { timeoutMs: 30_000, stableForMs: 0, signal: undefined });
    assert.equal(checkWaitOptions({ timeoutMs: Infinity }).timeoutMs, Infinity);
    assert.equal(checkWaitOptions({ timeoutMs: 0 }).timeoutMs, 0);
  });
});

import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { PeerDiscoveryError, optionError, shown } from '../../src/errors.ts';

const failure = {
  reason: 'servfail',
  detail: 'SERVFAIL',
  server: '10.96.0.10:53',
  question: 'SRV _peer._tcp.nginx.default.svc.cluster.local',
} as const;

/** The class as another copy of the package in this process has it. */
async function anotherCopy(): Promise<typeof PeerDiscoveryError> {
  const copy = (await import(`${import.meta.resolve('../../src/errors.js')}?copy`)) as {
    PeerDiscoveryError: typeof PeerDiscoveryError;
  };
  assert.notEqual(copy.PeerDiscoveryError, PeerDiscoveryError);
  return copy.PeerDiscoveryError;
}

describe('PeerDiscoveryError', () => {
  it('is an error whose message starts with the code, and whose name is that of the class', () => {
    const error = new PeerDiscoveryError('ERR_CLOSED', 'it is closed');
    assert.ok(error instanceof Error);
    assert.equal(error.message, '[ERR_CLOSED] it is closed');
    assert.equal(error.name, 'PeerDiscoveryError');
    assert.equal(error.code, 'ERR_CLOSED');
    assert.equal(String(error), 'PeerDiscoveryError: [ERR_CLOSED] it is closed');
    assert.match(error.stack ?? '', /^PeerDiscoveryError: \[ERR_CLOSED\] it is closed\n\s+at .*errors\.test/);
  });

  it('has the fields that were given, and no others', () => {
    assert.deepEqual(Object.keys(new PeerDiscoveryError('ERR_CLOSED', 'it is closed')), ['code']);
    const cause = new Error('below');
    const details = {
      option: 'port',
      value: 0,
      expected: 'a port',
      podName: 'web-0',
      stableName: 'web-0.nginx.default.svc.cluster.local',
      elapsedMs: 5,
      lastFailure: failure,
      explanation: 'set it',
    };
    const error = new PeerDiscoveryError('ERR_TIMEOUT', 'too late', { ...details, cause });
    const { option, value, expected, podName, stableName, elapsedMs, lastFailure, explanation } = error;
    assert.deepEqual({ option, value, expected, podName, stableName, elapsedMs, lastFailure, explanation }, details);
    assert.equal(error.cause, cause);
    assert.ok(!Object.keys(error).includes('cause'), 'as with every error, the cause is not enumerable');
    assert.equal('cause' in new PeerDiscoveryError('ERR_CLOSED', 'it is closed'), false);
    assert.equal(new PeerDiscoveryError('ERR_TIMEOUT', '', { lastFailure: null }).lastFailure, null);
  });

  it('a value of undefined is a field: the option was missing', () => {
    assert.ok('value' in optionError('statefulSet', undefined, 'a name'));
    assert.equal(optionError('statefulSet', undefined, 'a name').value, undefined);
  });

  it('can be read in a log: as text, as JSON, and inspected', () => {
    const error = new PeerDiscoveryError('ERR_TIMEOUT', 'no primary within 5000 ms', {
      elapsedMs: 5_000,
      lastFailure: failure,
      cause: new Error('below'),
    });
    assert.deepEqual(JSON.parse(JSON.stringify(error)), {
      code: 'ERR_TIMEOUT',
      elapsedMs: 5_000,
      lastFailure: failure,
    });
    const text = inspect(error);
    assert.match(text, /^PeerDiscoveryError: \[ERR_TIMEOUT\] no primary within 5000 ms\n/);
    assert.match(text, /code: 'ERR_TIMEOUT'/);
    assert.match(text, /reason: 'servfail'/);
    assert.match(text, /\[cause\]: Error: below/);
  });

  it('instanceof works across copies of the package, and of nothing else', async () => {
    const Copy = await anotherCopy();
    const [here, there] = [new PeerDiscoveryError('ERR_CLOSED', 'a'), new Copy('ERR_CLOSED', 'b')];
    assert.ok(here instanceof Copy);
    assert.ok(there instanceof PeerDiscoveryError);
    for (const other of [
      new Error('x'),
      new TypeError('x'),
      { code: 'ERR_CLOSED' },
      null,
      undefined,
      'ERR_CLOSED',
      7,
    ]) {
      assert.equal(other instanceof PeerDiscoveryError, false, inspect(other));
    }
  });
});

describe('PeerDiscoveryError.from finds it under what others wrap around it', () => {
  const ours = new PeerDiscoveryError('ERR_TIMEOUT', 'too late');
  const wrapped = (error: unknown, times: number): unknown =>
    times === 0 ? error : wrapped(new TypeError('fetch failed', { cause: error }), times - 1);

  for (const times of [0, 1, 2, 100]) {
    it(`under ${times} others`, () => {
      assert.equal(PeerDiscoveryError.from(wrapped(ours, times)), ours);
    });
  }

  it('the first one in the chain', () => {
    const outer = new PeerDiscoveryError('ERR_CLOSED', 'outer', { cause: ours });
    assert.equal(PeerDiscoveryError.from(wrapped(outer, 2)), outer);
  });

  it('of another copy of the package', async () => {
    const Copy = await anotherCopy();
    const theirs = new Copy('ERR_CLOSED', 'theirs');
    assert.equal(PeerDiscoveryError.from(wrapped(theirs, 1)), theirs);
  });

  it('under what is no error', () => {
    assert.equal(PeerDiscoveryError.from({ cause: { cause: ours } }), ours);
  });

  it('undefined where there is none, and where the chain goes round', () => {
    for (const other of [undefined, null, 'ERR_TIMEOUT', 7, new Error('x'), wrapped(new Error('x'), 3)]) {
      assert.equal(PeerDiscoveryError.from(other), undefined);
    }
    const self: { cause?: unknown } = new Error('round');
    self.cause = self;
    const [one, two]: { cause?: unknown }[] = [new Error('one'), new Error('two')];
    assert.ok(one !== undefined && two !== undefined);
    one.cause = two;
    two.cause = one;
    assert.equal(PeerDiscoveryError.from(self), undefined);
    assert.equal(PeerDiscoveryError.from(one), undefined);
  });
});

describe('A value as it stands in a message', () => {
  const rows: readonly (readonly [unknown, string])[] = [
    [undefined, 'missing'],
    [null, 'null'],
    ['peer', '"peer"'],
    ['a\nb', '"a\\nb"'],
    ['x'.repeat(101), `"${'x'.repeat(100)}…"`],
    [7, '7'],
    [NaN, 'NaN'],
    [-0, '0'],
    [10n, '10'],
    [true, 'true'],
    [[], 'an empty array'],
    [[1, 2], 'an array'],
    [{}, 'an object'],
    [() => 1, 'a function'],
    [Symbol('x'), 'a symbol'],
    [
      Object.defineProperty({}, 'toString', {
        get() {
          throw new Error('never read');
        },
      }),
      'an object',
    ],
  ];
  for (const [value, text] of rows) {
    it(text.slice(0, 30), () => {
      assert.equal(shown(value), text);
    });
  }
});

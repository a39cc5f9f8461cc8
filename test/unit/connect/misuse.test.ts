import assert from 'node:assert/strict';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import type { DiscoverOptions } from '../../../src/options.ts';
import type { PeerDiscovery } from '../../../src/peer-discovery.ts';
import { lowestOrdinal } from '../../../src/topology/primary.ts';
import type { Peer } from '../../../src/topology/topology.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { member } from '../../support/member.ts';
import type { ScriptedDns, View } from '../../support/scripted-dns.ts';

// Promise 20: a mistake is named. What somebody reads who has made one with lookup, connect, follow or lead.

/** The library object as a program in JavaScript sees it: any argument is possible. */
type Loose = Record<'connect' | 'follow' | 'lead', (...args: unknown[]) => unknown> & Pick<PeerDiscovery, 'lookup'>;
type Mistake = (peers: Loose) => unknown;

interface Case {
  readonly what: string;
  readonly make: Mistake;
  readonly code: string;
  /** The whole message, with its code. */
  readonly text: string;
  readonly options?: DiscoverOptions;
  readonly view?: View;
  readonly before?: (peers: PeerDiscovery<Peer>, dns: ScriptedDns) => unknown;
}

const three: View = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' };
const noop = (): undefined => undefined;
const targets = "'primary', 'replica', 'any', a pod name like 'web-0', an ordinal or a Peer";
const unknown = (shown: string): string => `[ERR_UNKNOWN_PEER] target ${shown} is no peer of web; expected ${targets}`;
const option = (name: string, shown: string, expected: string): string =>
  `[ERR_OPTION] option ${name} is ${shown}; expected ${expected}`;
const strange = (name: string, known: string): string =>
  `[ERR_OPTION] there is no option ${name}; expected one of ${known}`;
const connectOptions = 'port, signal, timeoutMs, tls';
const port = 'a number from 1 to 65535';
const timeout = 'an integer from 0 to 2147483647, or Infinity';
const isClosed = '[ERR_CLOSED] the peer discovery of web (nginx.default.svc.cluster.local) is closed';
const close = (peers: PeerDiscovery<Peer>): unknown => peers.close();

/** The same mistake in each call that takes a target. */
function everywhere(what: string, target: unknown, text: string): Case[] {
  return [
    { what: `connect: ${what}`, make: (peers) => peers.connect(target), code: 'ERR_UNKNOWN_PEER', text },
    { what: `follow: ${what}`, make: (peers) => peers.follow(target, noop), code: 'ERR_UNKNOWN_PEER', text },
  ];
}

function badOption(call: 'connect' | 'follow' | 'lead', options: unknown, text: string): Case {
  const make: Mistake = (peers) =>
    call === 'connect'
      ? peers.connect('web-1', options)
      : call === 'follow'
        ? peers.follow('web-1', noop, options)
        : peers.lead(noop, options);
  return { what: text.slice(0, 70) + `, ${call}`, make, code: 'ERR_OPTION', text };
}

const cases: readonly Case[] = [
  ...everywhere('another set', 'db-1', unknown('"db-1"')),
  ...everywhere('no ordinal', 'web', unknown('"web"')),
  ...everywhere('a leading zero', 'web-01', unknown('"web-01"')),
  ...everywhere('a negative ordinal', -1, unknown('-1')),
  ...everywhere('half an ordinal', 1.5, unknown('1.5')),
  ...everywhere('an ordinal that no pod can have', 2_147_483_648, unknown('2147483648')),
  ...everywhere('a misspelt role', 'master', unknown('"master"')),
  ...everywhere('a URL', 'http://web-1', unknown('"http://web-1"')),
  ...everywhere('nothing', undefined, unknown('undefined')),
  ...everywhere('null', null, unknown('object')),
  ...everywhere('a Peer of another set', { podName: 'db-1', ordinal: 1 }, unknown('"db-1"')),

  badOption('connect', 7, option('options', '7', 'an object')),
  badOption('connect', null, option('options', 'null', 'an object')),
  badOption('connect', { timeout: 5 }, strange('timeout', connectOptions)),
  badOption('connect', { port: 0 }, option('port', '0', port)),
  badOption('connect', { port: 65_536 }, option('port', '65536', port)),
  badOption('connect', { port: '7000' }, option('port', '"7000"', port)),
  badOption('connect', { port: 'peer' }, option('port', '"peer"', port)),
  badOption('connect', { timeoutMs: -1 }, option('timeoutMs', '-1', timeout)),
  badOption('connect', { timeoutMs: '5s' }, option('timeoutMs', '"5s"', timeout)),
  badOption('connect', { tls: 'yes' }, option('tls', '"yes"', 'true, false or options of tls.connect')),
  badOption('connect', { tls: null }, option('tls', 'null', 'true, false or options of tls.connect')),
  badOption('connect', { signal: new AbortController() }, option('signal', 'an object', 'an AbortSignal')),
  badOption('follow', 7, option('options', '7', 'an object')),
  badOption('follow', null, option('options', 'null', 'an object')),
  badOption('follow', { restarts: 'always' }, strange('restarts', 'restart, signal')),
  badOption('follow', { restart: 'never' }, option('restart', '"never"', "'always' or 'on-failure'")),
  badOption('follow', { restart: true }, option('restart', 'true', "'always' or 'on-failure'")),
  badOption('follow', { signal: {} }, option('signal', 'an object', 'an AbortSignal')),
  badOption('lead', { restart: 'never' }, option('restart', '"never"', "'always' or 'on-failure'")),
  badOption('lead', { signal: 'SIGTERM' }, option('signal', '"SIGTERM"', 'an AbortSignal')),
  {
    what: 'follow without a worker',
    make: (peers) => peers.follow('primary'),
    code: 'ERR_OPTION',
    text: option('worker', 'missing', 'a function'),
  },
  {
    what: 'follow with the arguments the other way round',
    make: (peers) => peers.follow(noop, 'primary'),
    code: 'ERR_UNKNOWN_PEER',
    text: unknown('function'),
  },
  {
    what: 'lead with a target, as follow has it',
    make: (peers) => peers.lead('primary', noop),
    code: 'ERR_OPTION',
    text: option('worker', '"primary"', 'a function'),
  },
  {
    what: 'connect without a port, where SRV gives none',
    make: (peers) => peers.connect('web-1'),
    code: 'ERR_OPTION',
    text: '[ERR_OPTION] no port of web-1.nginx.default.svc.cluster.local: DNS gives none. Nothing wrong was seen: DNS names web-0 (the designated primary), web-1 and web-2.',
    before: (_peers, dns) => {
      dns.port = 0;
    },
  },
  {
    what: 'connect after close()',
    make: (peers) => peers.connect('web-1'),
    code: 'ERR_CLOSED',
    text: isClosed,
    before: close,
  },
  {
    what: 'follow after close()',
    make: (peers) => peers.follow('primary', noop),
    code: 'ERR_CLOSED',
    text: isClosed,
    before: close,
  },
  { what: 'lead after close()', make: (peers) => peers.lead(noop), code: 'ERR_CLOSED', text: isClosed, before: close },
];

before(() => import('p-retry'));

describe('20. A mistake is named: lookup, connect, follow and lead', () => {
  const time = fakeTime();

  async function open({ options, view = three, before: prepare }: Partial<Case>): Promise<Loose> {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3'], options));
    dns.views = [view];
    if (prepare !== undefined && prepare !== close) await prepare(peers, dns);
    await time.clock.tickAsync(100);
    if (prepare === close) await peers.close();
    return peers as unknown as Loose;
  }
  /** What is thrown, or what the promise rejects with. */
  async function messageOf(make: () => unknown): Promise<PeerDiscoveryError> {
    try {
      const given = await make();
      assert.fail(`it gave ${String(given)}`);
    } catch (error) {
      assert.ok(error instanceof PeerDiscoveryError, String(error));
      return error;
    }
  }

  for (const one of cases) {
    it(one.what, async () => {
      const peers = await open(one);
      const error = await messageOf(() => one.make(peers));
      assert.equal(error.message, one.text);
      assert.equal(error.code, one.code);
      // Nothing is dialled or asked for it, and nothing is left: see the hooks.
    });
  }

  it('follow and lead throw it at once, connect rejects', async () => {
    const peers = await open({});
    assert.throws(() => peers.follow('db-1', noop), { code: 'ERR_UNKNOWN_PEER' });
    assert.throws(() => peers.lead('primary'), { code: 'ERR_OPTION' });
    await assert.rejects(async () => {
      // Thrown synchronously it would be no rejection of this promise, but an exception here.
      const promise = peers.connect('db-1') as Promise<unknown>;
      assert.ok(promise instanceof Promise);
      await promise;
    });
  });

  it('a signal that is aborted already: its reason is thrown as it is', async () => {
    const peers = await open({});
    for (const reason of ['mine', null, new Error('mine')]) {
      const signal = AbortSignal.abort(reason);
      const thrown = async (make: () => unknown): Promise<unknown> => {
        try {
          await make();
        } catch (error) {
          return error;
        }
        return assert.fail('nothing was thrown');
      };
      assert.equal(await thrown(() => peers.connect('web-1', { signal })), reason);
      assert.equal(await thrown(() => peers.follow('web-1', noop, { signal })), reason);
      assert.equal(await thrown(() => peers.lead(noop, { signal })), reason);
    }
  });

  interface Nowhere {
    readonly what: string;
    readonly target: string;
    readonly code: string;
    readonly options?: DiscoverOptions;
    readonly view?: View;
    readonly text: string;
  }
  const nowhere: readonly Nowhere[] = [
    {
      what: 'a peer that there is not',
      target: 'web-7',
      code: 'ERR_NO_ADDRESS',
      text: 'no address of web-7 of nginx.default.svc.cluster.local: DNS has not shown it',
    },
    {
      what: 'a primary that is not there',
      target: 'primary',
      code: 'ERR_NO_PRIMARY',
      view: { 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' },
      text: 'no primary of nginx.default.svc.cluster.local: web-0 is designated and not there (the first ordinal, by default 0; but the lowest that DNS names is web-1: if .spec.ordinals.start is set, give ordinalStart)',
    },
    {
      what: 'no primary by policy',
      target: 'primary',
      code: 'ERR_NO_PRIMARY',
      options: { primary: lowestOrdinal({ quorum: 4 }) },
      text: 'no primary of nginx.default.svc.cluster.local: nobody is designated (DNS names 3 of the 4 peers needed (quorum))',
    },
    {
      what: 'no roles',
      target: 'primary',
      code: 'ERR_NO_PRIMARY',
      options: { primary: false },
      text: 'no primary of nginx.default.svc.cluster.local: nobody is designated (no roles: the option primary is false)',
    },
  ];
  for (const { what, target, code, text, ...rest } of nowhere) {
    it(`${what}: the same for the callback of lookup, at once, and for connect, after its time`, async () => {
      const peers = await open(rest);
      const said = await new Promise<Error | null>((resolve) => {
        peers.lookup(target, resolve);
      });
      const cause = PeerDiscoveryError.from(said);
      assert.equal(cause?.message, `[${code}] ${text}`);
      assert.equal(cause.code, code);
      assert.equal(cause.topology?.peers.length, rest.view === undefined ? 3 : 2);

      const failing = messageOf(() => peers.connect(target, { timeoutMs: 2_000 }));
      await time.clock.tickAsync(2_000);
      const error = await failing;
      assert.equal(error.code, code);
      assert.ok(error.message.startsWith(`[${code}] ${text}, for 2000 ms. `), error.message);
      assert.deepEqual([error.elapsedMs, error.lastFailure], [2_000, null]);
      assert.ok(error.topology);
      assert.ok(error.explanation !== undefined && error.message.endsWith(error.explanation), error.message);
    });
  }

  it('with DNS down the error of connect carries the last failure', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    dns.views = ['servfail'];
    await time.clock.tickAsync(1_000);
    const failing = messageOf(() => peers.connect('web-0', { timeoutMs: 1_000 }));
    await time.clock.tickAsync(1_000);
    const { code, lastFailure } = await failing;
    assert.equal(code, 'ERR_NO_ADDRESS');
    assert.equal(lastFailure?.reason, 'servfail');
  });

  it('timeoutMs 0 is no time at all: an error at once, and no connection', async () => {
    const peers = await open({});
    const failing = messageOf(() => peers.connect('web-7', { timeoutMs: 0 }));
    await time.clock.tickAsync(1);
    assert.equal((await failing).code, 'ERR_NO_ADDRESS');
  });
});

import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { createIdentityGuard } from '../../../src/http/identity-guard.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { member, observer } from '../../support/member.ts';

/** The answer of a guard, without a socket. */
interface Answer {
  status: number | null;
  headers: Record<string, string>;
  text: string;
  wentOn: boolean;
  isAllowed: boolean;
}

function ask(
  guard: ReturnType<typeof createIdentityGuard>,
  headers: Record<string, string | string[] | undefined>,
  url = '/',
): Answer {
  const answer: Answer = { status: null, headers: {}, text: '', wentOn: false, isAllowed: false };
  const response = {
    writeHead(status: number, given: Record<string, string>): void {
      answer.status = status;
      answer.headers = given;
    },
    end(text: string): void {
      answer.text = text;
    },
  };
  answer.isAllowed = guard({ headers, url }, response as unknown as ServerResponse, () => (answer.wentOn = true));
  return answer;
}

const zone = 'default.svc.cluster.local';

const hosts: readonly [what: string, host: string | undefined, verdict: 'served' | 'refused'][] = [
  ['own pod name', 'web-1', 'served'],
  ['own pod name and port', 'web-1:7000', 'served'],
  ['own name with the Service', 'web-1.nginx', 'served'],
  ['own name with the namespace', 'web-1.nginx.default', 'served'],
  ['own name with svc', 'web-1.nginx.default.svc', 'served'],
  ['own stable name', `web-1.nginx.${zone}`, 'served'],
  ['own stable name and port', `web-1.nginx.${zone}:7000`, 'served'],
  ['own stable name, final dot', `web-1.nginx.${zone}.`, 'served'],
  ['own stable name, final dot and port', `web-1.nginx.${zone}.:7000`, 'served'],
  ['own name in upper case', 'WEB-1.NGINX.DEFAULT.SVC.CLUSTER.LOCAL', 'served'],
  ['another ordinal', 'web-2', 'refused'],
  ['another ordinal and port', 'web-2:7000', 'refused'],
  ['another ordinal, upper case', 'WEB-2', 'refused'],
  ['another ordinal with the Service', 'web-2.nginx', 'refused'],
  ['another ordinal with the namespace', 'web-2.nginx.default', 'refused'],
  ['another ordinal with svc', 'web-2.nginx.default.svc', 'refused'],
  ['another stable name', `web-2.nginx.${zone}`, 'refused'],
  ['another stable name, final dot and port', `web-2.nginx.${zone}.:80`, 'refused'],
  ['an ordinal of which one is a prefix', 'web-11', 'refused'],
  ['ordinal 0', 'web-0', 'refused'],
  ['the largest ordinal', 'web-2147483647', 'refused'],
  ['another set behind the same Service', `db-1.nginx.${zone}`, 'refused'],
  ['another set behind another Service', `db-1.postgres.${zone}`, 'refused'],
  ['another namespace', 'web-1.nginx.staging.svc.cluster.local', 'refused'],
  ['another Service', `web-1.other.${zone}`, 'refused'],
  ['no pod name: a leading zero', 'web-01', 'served'],
  ['no pod name: no ordinal', 'web', 'served'],
  ['no pod name: no number', 'web-x', 'served'],
  ['the Service', 'nginx', 'served'],
  ['the Service by full name', `nginx.${zone}`, 'served'],
  ['the Service and port', `nginx.${zone}:80`, 'served'],
  ['IPv4', '10.0.0.7', 'served'],
  ['IPv4 and port', '10.0.0.7:8080', 'served'],
  ['IPv6', '[fd00::1]', 'served'],
  ['IPv6 and port', '[fd00::1]:8080', 'served'],
  ['localhost', 'localhost:8080', 'served'],
  ['a foreign host', 'shop.example.com', 'served'],
  ['a foreign host that begins like a pod', 'web-2.example.com', 'served'],
  ['an empty Host', '', 'served'],
  ['no Host', undefined, 'served'],
];

describe('createIdentityGuard(): which Host is whose', () => {
  const time = fakeTime();

  for (const [what, host, verdict] of hosts) {
    it(`${what} (${host ?? 'none'}) is ${verdict}`, () => {
      const { peers } = time.opened(member('web-1', ['10.0.0.2']));
      const guard = createIdentityGuard(peers);
      const answer = ask(guard, { host });
      assert.equal(answer.isAllowed, verdict === 'served');
      assert.equal(answer.wentOn, verdict === 'served');
      assert.equal(answer.status, verdict === 'served' ? null : 421);
      if (verdict === 'served') return;
      assert.equal(answer.headers['stateful-peers-refused-by'], 'web-1');
      assert.match(answer.text, /this is web-1/);
    });
  }

  for (const [what, headers, url, verdict] of [
    [
      'a target header of another pod, own Host',
      { host: 'web-1', 'stateful-peers-target': `web-2.nginx.${zone}` },
      '/',
      'refused',
    ],
    [
      'a target header of its own, Host of another',
      { host: 'web-2', 'stateful-peers-target': `web-1.nginx.${zone}` },
      '/',
      'refused',
    ],
    [
      'a target header of its own, a foreign Host',
      { host: 'shop.example.com', 'stateful-peers-target': `web-1.nginx.${zone}` },
      '/',
      'served',
    ],
    [
      'a target header of another pod, an IP as Host',
      { host: '10.0.0.7', 'stateful-peers-target': `web-2.nginx.${zone}` },
      '/',
      'refused',
    ],
    ['an absolute-form target of another pod', { host: 'shop.example.com' }, 'http://web-2/path', 'refused'],
    ['an absolute-form target of another pod, by stable name', {}, `http://web-2.nginx.${zone}:7000/path`, 'refused'],
    ['an absolute-form target of its own', { host: 'web-1' }, 'http://web-1/path', 'served'],
    ['an absolute-form target of a foreign host', {}, 'http://shop.example.com/web-2', 'served'],
    ['a path that names another pod', { host: 'web-1' }, '/web-2?host=web-2', 'served'],
    ['a path that begins with two slashes', { host: 'web-1' }, '//web-2/path', 'served'],
    [':authority of another pod', { ':authority': 'web-2:7000' }, '/', 'refused'],
    [':authority of its own', { ':authority': 'web-1:7000' }, '/', 'served'],
  ] as const) {
    it(`${what}: ${verdict}`, () => {
      const { peers } = time.opened(member('web-1', ['10.0.0.2']));
      assert.equal(ask(createIdentityGuard(peers), headers, url).isAllowed, verdict === 'served');
    });
  }

  it('a replaced process refuses everything of pod form, until it sees an own address again; probes pass', async () => {
    const { peers, dns } = time.opened(
      member('web-1', ['10.0.0.2'], { primary: ({ peers: all }) => all.at(-1)?.podName ?? null }),
    );
    const guard = createIdentityGuard(peers);
    dns.views = [{ 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' }];
    await peers.ready();
    assert.equal(ask(guard, { host: 'web-1' }).isAllowed, true);
    dns.views = [{ 'web-0': '10.0.0.1', 'web-1': '10.0.0.9' }];
    await time.clock.tickAsync(25_000);
    assert.equal(ask(guard, { host: 'web-1' }).isAllowed, true, 'not before 30 s');
    await time.clock.tickAsync(20_000);
    assert.equal(peers.self.presence, 'superseded');
    for (const host of ['web-1', 'web-1.nginx', `web-1.nginx.${zone}`, 'web-2', `WEB-1.nginx.${zone}.:7000`]) {
      const answer = ask(guard, { host });
      assert.deepEqual([answer.status, answer.isAllowed, answer.wentOn], [421, false, false], host);
    }
    for (const host of ['10.0.0.2:8080', '[fd00::1]', 'nginx', 'shop.example.com', undefined]) {
      assert.equal(ask(guard, { host }).isAllowed, true, host);
    }
    dns.views = [{ 'web-0': '10.0.0.1', 'web-1': '10.0.0.2' }];
    await time.clock.tickAsync(30_000);
    assert.notEqual(peers.self.presence, 'superseded');
    assert.equal(ask(guard, { host: 'web-1' }).isAllowed, true);
  });

  it('an observer has nothing to guard: ERR_OPTION, as for anything else that is no member', () => {
    const { peers } = time.opened(observer());
    for (const given of [peers, null, undefined, {}, 'web-1']) {
      assert.throws(() => createIdentityGuard(given as never), { code: 'ERR_OPTION' });
    }
  });
});

import assert from 'node:assert/strict';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import { serversFromEnvironment } from '../../../src/identity/dns-servers.ts';
import { environmentOf, fixture } from './machine.ts';

const kubeadm = { resolvConf: fixture('resolv-conf/kubeadm') };

describe('serversFromEnvironment', () => {
  const forms: readonly [text: string, address: string, port: number][] = [
    ['10.96.0.10', '10.96.0.10', 53],
    ['127.0.0.1:5353', '127.0.0.1', 5353],
    ['[::1]:5353', '::1', 5353],
    ['[fd00::a]', 'fd00::a', 53],
    ['FD00:0:0::A', 'fd00::a', 53],
    ['::ffff:10.96.0.10', '10.96.0.10', 53],
    ['10.96.0.10:65535', '10.96.0.10', 65_535],
  ];
  for (const [text, address, port] of forms) {
    it(`${text} is port ${port} of ${address}, in the option and in STATEFUL_PEERS_DNS`, () => {
      const expected = { servers: [{ address, port }], explicit: true };
      assert.deepEqual(serversFromEnvironment([text], environmentOf(kubeadm)), expected);
      const variables = { STATEFUL_PEERS_DNS: text };
      assert.deepEqual(serversFromEnvironment(null, environmentOf({ ...kubeadm, variables })), expected);
    });
  }

  const nonsense = [
    'dns.example.com',
    '',
    '10.96.0.10:',
    '10.96.0.10:0',
    '10.96.0.10:65536',
    '10.96.0.10:http',
    '[10.96.0.10]:53',
    '[::1',
    '::1]:53',
    '[::1]x',
    'fe80::1%eth0',
    '[fe80::1%eth0]:53',
    'fe80::1',
    '0.0.0.0',
    '[::]:53',
    '10.96.0',
  ];
  for (const text of nonsense) {
    it(`${JSON.stringify(text)} is refused with its option or variable, value and what was expected`, () => {
      const isOptionError = (option: string) => (error: unknown) =>
        error instanceof PeerDiscoveryError &&
        error.code === 'ERR_OPTION' &&
        error.option === option &&
        error.value === text &&
        error.message.includes('10.96.0.10');
      assert.throws(
        () => serversFromEnvironment(['10.0.0.1', text], environmentOf(kubeadm)),
        isOptionError('dns.servers'),
      );
      if (text === '') return;
      const variables = { STATEFUL_PEERS_DNS: `10.0.0.1, ${text}` };
      assert.throws(
        () => serversFromEnvironment(null, environmentOf({ variables })),
        isOptionError('STATEFUL_PEERS_DNS'),
      );
    });
  }

  it('the option goes before STATEFUL_PEERS_DNS, that before resolv.conf', () => {
    const variables = { STATEFUL_PEERS_DNS: '10.0.0.2' };
    const addresses = (given: readonly string[] | null, set: boolean) =>
      serversFromEnvironment(given, environmentOf({ ...kubeadm, ...(set ? { variables } : {}) })).servers.map(
        ({ address }) => address,
      );
    assert.deepEqual(addresses(['10.0.0.1'], true), ['10.0.0.1']);
    assert.deepEqual(addresses(null, true), ['10.0.0.2']);
    assert.deepEqual(addresses(null, false), ['10.96.0.10']);
  });

  it('STATEFUL_PEERS_DNS has commas, spaces or both between; blank is not set; doubles count once', () => {
    const read = (text: string) =>
      serversFromEnvironment(undefined, environmentOf({ ...kubeadm, variables: { STATEFUL_PEERS_DNS: text } }));
    const two = [
      { address: '10.0.0.1', port: 53 },
      { address: '10.0.0.2', port: 54 },
    ];
    for (const text of ['10.0.0.1,10.0.0.2:54', ' 10.0.0.1 10.0.0.2:54 ', '10.0.0.1:53, 10.0.0.2:54,10.0.0.1']) {
      assert.deepEqual(read(text), { servers: two, explicit: true });
    }
    assert.deepEqual(read('  '), { servers: [{ address: '10.96.0.10', port: 53 }], explicit: false });
  });

  it("Docker's loopback resolver in resolv.conf is a server, but nobody named it", () => {
    const docker = { resolvConf: fixture('resolv-conf/docker') };
    const expected = { servers: [{ address: '127.0.0.11', port: 53 }], explicit: false };
    assert.deepEqual(serversFromEnvironment(null, environmentOf(docker)), expected);
  });

  it('reads resolv.conf anew each time', () => {
    const texts = ['nameserver 10.0.0.1\n', 'nameserver 10.0.0.2\n'];
    const environment = { ...environmentOf({}), readFile: () => texts.shift() ?? null };
    const read = () => serversFromEnvironment(null, environment).servers[0]?.address;
    assert.deepEqual([read(), read()], ['10.0.0.1', '10.0.0.2']);
    assert.throws(read, { code: 'ERR_RESOLUTION' });
  });

  it('no usable server is ERR_RESOLUTION, with the file and what was skipped', () => {
    const fails = (resolvConf: string | null, message: RegExp) =>
      assert.throws(
        () => serversFromEnvironment(null, environmentOf({ resolvConf })),
        (error) =>
          error instanceof PeerDiscoveryError && error.code === 'ERR_RESOLUTION' && message.test(error.message),
      );
    fails(null, /\/etc\/resolv\.conf is not there/);
    fails('', /\/etc\/resolv\.conf names no DNS server/);
    fails(fixture('resolv-conf/none-usable'), /"fe80::1%eth0" is an address with a zone id; "dns.example.com" is not/);
  });

  it('an empty list is no list', () => {
    assert.throws(() => serversFromEnvironment([], environmentOf(kubeadm)), {
      code: 'ERR_OPTION',
      option: 'dns.servers',
    });
    const variables = { STATEFUL_PEERS_DNS: ' , ' };
    assert.throws(() => serversFromEnvironment(null, environmentOf({ variables })), { code: 'ERR_OPTION' });
  });
});

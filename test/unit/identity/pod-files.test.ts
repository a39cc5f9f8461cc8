import assert from 'node:assert/strict';
import fc from 'fast-check';
import { clusterFromSearch, parseHosts, parseNamespaceFile, parseResolvConf } from '../../../src/identity/pod-files.ts';
import { fixture } from './machine.ts';

const web1 = ['web-1.nginx.default.svc.cluster.local', 'web-1'];

describe('parseHosts', () => {
  const managed: readonly [file: string, names: readonly string[], addresses: readonly string[]][] = [
    ['managed', web1, ['10.244.0.7']],
    ['dual-stack', web1, ['10.244.0.7', 'fd00:10:244::7']],
    ['host-aliases', web1, ['10.244.0.7']],
    ['appended', web1, ['10.244.0.7']],
    ['custom-domain', ['kafka-12.kafka-headless.streaming.svc.k8s.example.com', 'kafka-12'], ['10.42.3.19']],
    ['no-domain', ['web-1.nginx.default.svc', 'web-1'], ['10.244.0.7']],
    ['short-first', ['web-1', 'web-1.nginx.default.svc.cluster.local'], ['10.244.0.7']],
    ['deployment', ['web-7d4b9c6f5-12345'], ['10.244.1.9']],
    ['hostname-override', ['db.example.com'], ['10.244.0.7']],
  ];
  for (const [file, ownNames, ownAddresses] of managed) {
    it(`finds the pod's own line in ${file}`, () => {
      const expected = { writtenBy: 'kubelet', ownNames, ownAddresses, unfinished: false };
      assert.deepEqual(parseHosts(fixture(`hosts/${file}`)), expected);
      assert.deepEqual(parseHosts(fixture(`hosts/${file}`).replaceAll('\n', '\r\n')), expected, 'with CRLF');
    });
  }

  const others: readonly [file: string, writtenBy: string][] = [
    ['host-network', 'kubelet for a host-network pod'],
    ['nested', 'kubelet for a host-network pod'],
    ['docker', 'other'],
    ['laptop', 'other'],
  ];
  for (const [file, writtenBy] of others) {
    it(`takes nothing from ${file}`, () => {
      const expected = { writtenBy, ownNames: [], ownAddresses: [], unfinished: false };
      assert.deepEqual(parseHosts(fixture(`hosts/${file}`)), expected);
    });
  }

  it('takes no HostAlias for an own line, even one of the same names', () => {
    const alias = `\n# Entries added by HostAliases.\n10.1.2.3\t${web1.join('\t')}\n`;
    assert.deepEqual(parseHosts(fixture('hosts/managed') + alias).ownAddresses, ['10.244.0.7']);
    assert.deepEqual(parseHosts(`# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n${alias}`).ownNames, []);
  });

  it('takes IPv6 in canonical text and IPv4-mapped as IPv4, each address once', () => {
    const lines = ['FD00:0:0:0:0:0:0:7', '::ffff:10.244.0.7', '10.244.0.7'].map((ip) => `${ip}\tweb-1\n`);
    const { ownAddresses } = parseHosts(`# Kubernetes-managed hosts file.\n${lines.join('')}`);
    assert.deepEqual(ownAddresses, ['fd00::7', '10.244.0.7']);
  });

  it('is unfinished at every point before the own line ends, and takes no name that was cut short', () => {
    const whole = fixture('hosts/managed');
    for (let length = 0; length < whole.length; length += 1) {
      const cut = parseHosts(whole.slice(0, length));
      assert.deepEqual([length, cut.ownNames, cut.unfinished], [length, [], true]);
    }
    assert.deepEqual(parseHosts(fixture('hosts/truncated')).ownNames, []);
  });

  it('says nothing wrong about any other text, and takes time in proportion', () => {
    const line = fc.constantFrom(
      '# Kubernetes-managed hosts file.',
      '10.0.0.1\tweb-1',
      '# x',
      '::1 localhost',
      '\t',
      '10.0.0.1',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(line).map((lines) => lines.join('\n')),
        ),
        (text) => {
          const { ownNames, ownAddresses } = parseHosts(text);
          assert.equal(ownNames.length > 0, ownAddresses.length > 0);
        },
      ),
    );
    const blocklist = `# Kubernetes-managed hosts file.\n${'0.0.0.0 ads.example.com\n'.repeat(50_000)}`;
    assert.deepEqual(parseHosts(blocklist).ownNames, ['ads.example.com']);
  });
});

describe('parseResolvConf', () => {
  const files: readonly [file: string, servers: readonly string[], cluster: ReturnType<typeof clusterFromSearch>][] = [
    ['kubeadm', ['10.96.0.10'], { namespace: 'default', clusterDomain: 'cluster.local' }],
    ['eks', ['172.20.0.10'], { namespace: 'default', clusterDomain: 'cluster.local' }],
    ['gke', ['34.118.224.10'], { namespace: 'default', clusterDomain: 'cluster.local' }],
    ['aks', ['10.0.0.10'], { namespace: 'default', clusterDomain: 'cluster.local' }],
    ['k3s', ['10.43.0.10'], { namespace: 'default', clusterDomain: 'cluster.local' }],
    ['openshift', ['172.30.0.10'], { namespace: 'my-project', clusterDomain: 'cluster.local' }],
    ['nodelocal', ['169.254.20.10'], { namespace: 'default', clusterDomain: 'cluster.local' }],
    ['custom-domain', ['10.32.0.10'], { namespace: 'streaming', clusterDomain: 'k8s.example.com' }],
    ['dual-stack', ['10.96.0.10', 'fd00:10:96::a'], { namespace: 'default', clusterDomain: 'cluster.local' }],
    ['docker', ['127.0.0.11'], null],
    ['node', ['192.168.1.1', '8.8.8.8'], null],
    ['no-search', ['10.96.0.10'], null],
    ['none-usable', [], { namespace: 'default', clusterDomain: 'cluster.local' }],
  ];
  for (const [file, servers, cluster] of files) {
    it(`reads ${file}, in LF and in CRLF`, () => {
      for (const text of [fixture(`resolv-conf/${file}`), fixture(`resolv-conf/${file}`).replaceAll('\n', '\r\n')]) {
        const conf = parseResolvConf(text);
        assert.deepEqual(conf.servers, servers);
        assert.deepEqual(clusterFromSearch(conf.search), cluster);
      }
    });
  }

  it('passes over what libc passes over, and says which servers it skipped', () => {
    assert.deepEqual(parseResolvConf(fixture('resolv-conf/odd')), {
      servers: ['10.0.0.3', '10.0.0.4', '10.0.0.5'],
      search: ['one.example.com', 'two.example.com'],
      skipped: [
        { server: 'resolver.example.com', reason: 'not an IP address' },
        { server: '::', reason: 'an address that no server has' },
        { server: 'fe80::53', reason: 'a link-local address without its zone id' },
        { server: '10.0.0.6', reason: 'libc takes the first three' },
      ],
    });
  });

  const searches: readonly [text: string, search: readonly string[]][] = [
    ['domain a.example\nsearch b.example c.example\n', ['b.example', 'c.example']],
    ['search b.example c.example\ndomain a.example d.example\n', ['a.example']],
    ['search a.example\nsearch b.example', ['b.example']],
    ['search a.example\nsearch .\n', []],
    ['searching a.example\nsearch', []],
    ['', []],
  ];
  for (const [text, search] of searches) {
    it(`${JSON.stringify(text)} gives the search list [${search.join(', ')}]`, () => {
      assert.deepEqual(parseResolvConf(text).search, search);
    });
  }

  it('never throws, and servers are addresses', () => {
    const word = fc.constantFrom(
      'nameserver',
      'search',
      'domain',
      ' ',
      '\t',
      '\n',
      '\r\n',
      '#',
      '10.0.0.1',
      'fe80::1%x',
      '::',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(word).map((words) => words.join(' ')),
        ),
        (text) => {
          const { servers } = parseResolvConf(text);
          assert.ok(servers.length <= 3 && servers.every((server) => server === '10.0.0.1'));
        },
      ),
    );
  });
});

describe("clusterFromSearch takes kubelet's form only", () => {
  const lists: readonly [search: string, expected: string | null][] = [
    ['prod.svc.cluster.local svc.cluster.local cluster.local', 'prod in cluster.local'],
    ['corp.example.com prod.svc.cluster.local svc.cluster.local cluster.local', 'prod in cluster.local'],
    ['prod.svc.local svc.local local', 'prod in local'],
    ['prod.svc.cluster.local', null],
    ['prod.svc.cluster.local svc.cluster.local', null],
    ['prod.svc.cluster.local cluster.local svc.cluster.local', null],
    ['svc.cluster.local cluster.local', null],
    ['prod.svc.one.local svc.two.local two.local', null],
    ['a.prod.svc.cluster.local svc.cluster.local cluster.local', null],
    ['prod_1.svc.cluster.local svc.cluster.local cluster.local', null],
    ['', null],
  ];
  for (const [search, expected] of lists) {
    it(`"${search}" is ${expected ?? 'no cluster'}`, () => {
      const cluster = clusterFromSearch(search.split(' '));
      assert.equal(cluster === null ? null : `${cluster.namespace} in ${cluster.clusterDomain}`, expected);
    });
  }
});

describe('parseNamespaceFile', () => {
  const texts: readonly [text: string, expected: string | null][] = [
    ['prod', 'prod'],
    ['prod\r\n', 'prod'],
    ['', null],
    ['two words', null],
    ['../etc', null],
  ];
  for (const [text, expected] of texts) {
    it(`${JSON.stringify(text)} is ${expected ?? 'no namespace'}`, () => {
      assert.equal(parseNamespaceFile(text), expected);
    });
  }
});

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import { formatPodName, parsePodName, parseStableName } from '../../../src/identity/pod-name.ts';

describe("3. Ordinals are Kubernetes' own", () => {
  const names: readonly [podName: string, statefulSetName: string, ordinal: number][] = [
    ['web-0', 'web', 0],
    ['web-1-0', 'web-1', 0],
    ['my-db-12', 'my-db', 12],
    ['0-7', '0', 7],
    ['web-2147483647', 'web', 2_147_483_647],
    ['WEB-3', 'web', 3],
    ['web-4.', 'web', 4],
    [`${'a'.repeat(61)}-5`, 'a'.repeat(61), 5],
  ];
  for (const [podName, statefulSetName, ordinal] of names) {
    it(`${podName} is ordinal ${ordinal} of ${statefulSetName}`, () => {
      assert.deepEqual(parsePodName(podName), { statefulSetName, ordinal });
    });
  }

  const others: readonly [podName: string, reason: RegExp][] = [
    ['web', /no ordinal after the last dash/],
    ['7', /no ordinal after the last dash/],
    ['web-', /not a DNS label/],
    ['web-x7k2p', /no ordinal after the last dash/],
    ['web-1a', /no ordinal after the last dash/],
    ['web-01', /no leading zero/],
    ['web-00', /no leading zero/],
    ['web-2147483648', /at most 2147483647/],
    ['web-99999999999999999999', /at most 2147483647/],
    ['-1', /not a DNS label/],
    ['web--1', /no StatefulSet can have the name/],
    ['web_a-1', /not a DNS label/],
    ['web-1.nginx', /it has a dot/],
    ['web-١', /not a DNS label/],
    ['$(POD_NAME)', /not a DNS label/],
    [`${'a'.repeat(62)}-5`, /not a DNS label/],
    ['', /not a DNS label/],
  ];
  for (const [podName, reason] of others) {
    it(`${JSON.stringify(podName)} is no StatefulSet's pod: ${reason.source}`, () => {
      assert.throws(
        () => parsePodName(podName),
        (error) => error instanceof PeerDiscoveryError && error.code === 'ERR_IDENTITY' && reason.test(error.message),
      );
    });
  }

  it('formatPodName and parsePodName are inverse', () => {
    const statefulSetName = fc.stringMatching(/^[a-z0-9](?:[-a-z0-9]{0,50}[a-z0-9])?$/);
    const ordinal = fc.integer({ min: 0, max: 0x7fff_ffff });
    fc.assert(
      fc.property(fc.record({ statefulSetName, ordinal }, { noNullPrototype: true }), (name) => {
        assert.deepEqual(parsePodName(formatPodName(name)), name);
      }),
    );
  });

  it('what is parsed is the name again, and what is refused is a PeerDiscoveryError', () => {
    const nearly = fc.stringMatching(/^[a-z0-9-]{0,12}-[0-9]{0,11}$/);
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), nearly), (text) => {
        try {
          assert.equal(formatPodName(parsePodName(text)), text.trim().toLowerCase().replace(/\.$/, ''));
        } catch (error) {
          assert.ok(error instanceof PeerDiscoveryError, String(error));
        }
      }),
    );
  });
});

describe('parseStableName', () => {
  const of = (service: string, namespace: string, clusterDomain: string | null) => ({
    podName: 'web-0',
    service,
    namespace,
    clusterDomain,
  });
  const names: readonly [name: string, expected: ReturnType<typeof of> | null][] = [
    ['web-0.nginx.default.svc.cluster.local', of('nginx', 'default', 'cluster.local')],
    ['Web-0.NGINX.Default.SVC.Cluster.Local.', of('nginx', 'default', 'cluster.local')],
    ['web-0.nginx.default.svc.k8s.example.com', of('nginx', 'default', 'k8s.example.com')],
    ['web-0.nginx.default.svc.local', of('nginx', 'default', 'local')],
    ['web-0.nginx.default.svc', of('nginx', 'default', null)],
    ['web-0.nginx.default.svc.', of('nginx', 'default', null)],
    ['web-0.nginx.default', null],
    ['web-0.example.com', null],
    ['web-0.rack.dc.example.com', null],
    ['nginx.default.svc.cluster.local', null],
    ['web-0..default.svc.cluster.local', null],
    ['web-0.nginx.default.svc.cluster..local', null],
    [`web-0.nginx.default.svc.${'a.'.repeat(120)}local`, null],
    ['', null],
  ];
  for (const [name, expected] of names) {
    const shown = name.length > 60 ? 'a name over 253 characters' : JSON.stringify(name);
    it(`${shown} is ${expected === null ? 'no FQDN of a pod' : `in zone ${expected.clusterDomain ?? 'unknown'}`}`, () => {
      assert.deepEqual(parseStableName(name), expected);
    });
  }
});

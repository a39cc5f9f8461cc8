import assert from 'node:assert/strict';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import { serversFromEnvironment } from '../../../src/identity/dns-servers.ts';
import { memberIdentity, observerIdentity } from '../../../src/identity/identity.ts';
import { parsePodName } from '../../../src/identity/pod-name.ts';
import type { IdentityOptions } from '../../../src/identity/settings.ts';
import { Snapshot } from '../../support/snapshot.ts';
import type { Machine } from './machine.ts';
import { environmentOf, fixture, pod } from './machine.ts';

const laptop: Machine = {
  hostname: 'macbook.local',
  hosts: fixture('hosts/laptop'),
  resolvConf: fixture('resolv-conf/node'),
};
const hostNetwork = pod({ hostname: 'node-7', hosts: fixture('hosts/host-network') });
const deployment = pod({ hostname: 'web-7d4b9c6f5-12345', hosts: fixture('hosts/deployment') });
const override = { hostname: 'db.example.com', hosts: fixture('hosts/hostname-override') };
const member =
  (machine: Machine, options: IdentityOptions = {}) =>
  () =>
    memberIdentity(options, environmentOf(machine));
const observer = (machine: Machine, options: IdentityOptions) => () =>
  observerIdentity(options, environmentOf(machine));
const servers = (machine: Machine, given?: readonly string[]) => () =>
  serversFromEnvironment(given, environmentOf(machine));
const variables = (set: Readonly<Record<string, string>>) => pod({ variables: set });
const set = { statefulSet: 'web', service: 'nginx' };

const mistakes: Readonly<Record<string, () => unknown>> = {
  'A laptop, with nothing set': member(laptop),
  'A container of Docker with a random hostname': member({
    hostname: '3f2a9c1b7d4e',
    hosts: fixture('hosts/docker'),
    resolvConf: fixture('resolv-conf/docker'),
  }),
  'A machine that has no name at all': member({}),
  'A pod of a Deployment': member(
    pod({ hostname: 'web-7d4b9c6f5-x2k9z', hosts: fixture('hosts/deployment').replace('12345', 'x2k9z') }),
  ),
  'A pod of a Deployment with an all-digit suffix': member(deployment),
  'A pod of a Deployment with an all-digit suffix and option service': member(deployment, { service: 'nginx' }),
  'A pod of a Deployment with option statefulSet': member(deployment, set),
  'A pod of another set': member(pod(), { statefulSet: 'db' }),
  'An ordinal below ordinalStart': member(pod(), { ordinalStart: 5 }),
  'hostNetwork without POD_NAME': member(hostNetwork),
  'hostNetwork without a Service': member({ ...hostNetwork, variables: { POD_NAME: 'web-1' } }),
  'hostnameOverride without a Service': member(pod({ ...override, variables: { POD_NAME: 'web-1' } })),
  'hostnameOverride without POD_NAME': member(pod(override)),
  'A short hostname in Docker': member({ hostname: 'web-1', hosts: fixture('hosts/docker') }),
  'A hosts file that stays cut short': member(pod({ hosts: fixture('hosts/truncated') })),
  'A hosts file that stays empty': member(pod({ hosts: '' })),
  'No namespace': member({ hostname: 'web-1', resolvConf: fixture('resolv-conf/no-search') }, { service: 'nginx' }),
  'A namespace file that holds something else': member(
    { hostname: 'web-1', namespaceFile: '<html>' },
    { service: 'nginx' },
  ),
  'No cluster domain': member(pod({ hosts: fixture('hosts/no-domain'), resolvConf: fixture('resolv-conf/node') })),
  'A fixed POD_NAME': member(variables({ POD_NAME: 'web-0' })),
  'A fixed POD_NAMESPACE': member(variables({ POD_NAMESPACE: 'prod' })),
  'A hostname under another Service': member(pod({ hostname: 'web-1.db.default.svc.cluster.local' })),
  'A search list with another zone': member(pod({ resolvConf: 'search default.svc.k8s svc.k8s k8s\n' })),
  'A POD_IP that is not on the own line': member(variables({ POD_IP: '10.0.0.1' })),
  'A POD_NAME that was not expanded': member(variables({ POD_NAME: '$(POD_NAME)' })),
  'A POD_NAMESPACE that is none': member(variables({ POD_NAMESPACE: 'default.svc' })),
  'POD_IPS that are none': member(variables({ POD_IPS: '10.244.0.7,none' })),
  'A name too long for DNS': member(pod(), {
    clusterDomain: Array.from({ length: 4 }, () => 'a'.repeat(60)).join('.'),
  }),
  'Option podName without an ordinal': member(pod(), { podName: 'web' }),
  'Option podName with a leading zero': member(pod(), { podName: 'web-01' }),
  'Option statefulSet': member(pod(), { statefulSet: 'my_set' }),
  'Option statefulSet, too long': member(pod(), { statefulSet: 'a'.repeat(62) }),
  'Option service': member(pod(), { service: 'http://nginx' }),
  'Option service in full beside another namespace': member(pod(), { service: 'nginx.prod', namespace: 'default' }),
  'Option namespace': member(pod(), { namespace: 'Kube System' }),
  'Option clusterDomain': member(pod(), { clusterDomain: 'cluster..local' }),
  STATEFUL_PEERS_SERVICE: member(variables({ STATEFUL_PEERS_SERVICE: '$(SERVICE)' })),
  STATEFUL_PEERS_CLUSTER_DOMAIN: member(variables({ STATEFUL_PEERS_CLUSTER_DOMAIN: 'cluster local' })),
  'An observer without a set': observer(pod(), { service: 'nginx' }),
  'An observer without a Service': observer(pod(), { statefulSet: 'web' }),
  'An observer without a namespace': observer(laptop, set),
  'An observer without a cluster domain': observer(laptop, { ...set, namespace: 'default' }),
  'An observer with two namespaces': observer(pod({ hosts: null, namespaceFile: 'prod' }), set),
  'Option dns.servers': servers(pod(), ['10.96.0.10', 'kube-dns.kube-system']),
  'Option dns.servers, empty': servers(pod(), []),
  STATEFUL_PEERS_DNS: servers(variables({ STATEFUL_PEERS_DNS: '10.96.0.10:dns' })),
  'STATEFUL_PEERS_DNS, empty': servers(variables({ STATEFUL_PEERS_DNS: ',' })),
  'No resolv.conf': servers({}),
  'A resolv.conf without a server': servers({ resolvConf: 'search example.com\n' }),
  'A resolv.conf without a usable server': servers({ resolvConf: fixture('resolv-conf/none-usable') }),
  'parsePodName: no ordinal': () => parsePodName('web'),
  'parsePodName: no label': () => parsePodName(`web-${'1'.repeat(200)}`),
  'parsePodName: no set can have that name': () => parsePodName('web--1'),
  'parsePodName: a leading zero': () => parsePodName('web-01'),
  'parsePodName: an ordinal that is too large': () => parsePodName('web-2147483648'),
};

describe('A mistake is named: every message of identity reads as in errors.snapshot.txt', () => {
  const snapshot = new Snapshot('identity/errors.snapshot.txt');
  for (const [title, run] of Object.entries(mistakes)) {
    it(title, () => {
      snapshot.check(title, messageOf(run));
    });
  }

  it('has no message that nothing here brings about', () => {
    assert.deepEqual(snapshot.titles, Object.keys(mistakes));
  });

  after(() => {
    snapshot.save();
  });
});

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof PeerDiscoveryError, String(error));
    return error.message;
  }
  return assert.fail('nothing was thrown');
}

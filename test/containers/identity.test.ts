import assert from 'node:assert/strict';
import type { Identity } from '../../src/identity/identity.ts';
import type { PodFiles } from '../../src/testing/pod-machine.ts';
import { fixture } from '../unit/identity/machine.ts';
import type { PodContainerOptions } from './support/pod-container.ts';
import { PodContainer } from './support/pod-container.ts';
import type { Runtime } from './support/runtime.ts';
import { containerRuntime, leaveRuntime } from './support/runtime.ts';

// The same files as in the unit tests of identity, here read in a container, where the hostname is the kernel's and the
// files are mounts. `stateful-peers` there is this tree's dist/, by the package's own exports.

/** What pods/who-am-i.ts prints. */
interface Said {
  readonly variables: readonly string[];
  readonly identity?: Identity;
  readonly code?: string;
  readonly message?: string;
}

interface Case {
  readonly machine: Pick<PodContainerOptions, 'hostname' | 'network' | 'files'>;
  /** Stable name and addresses, then where name, Service, namespace, zone and addresses came from. */
  readonly is?: readonly [string, string];
  /** What the refusal says. */
  readonly refused?: readonly RegExp[];
}

const web1 = 'web-1.nginx.default.svc.cluster.local';
const fromHosts = 'hosts file, hosts file, hosts file, hosts file, hosts file';

/** The files of a pod of the tutorial, with differences; `null` takes one away. */
function files(differences: Partial<Record<'hosts' | 'resolv-conf' | 'namespace', string>> = {}): Partial<PodFiles> {
  return {
    '/etc/hosts': fixture(`hosts/${differences.hosts ?? 'managed'}`),
    '/etc/resolv.conf': fixture(`resolv-conf/${differences['resolv-conf'] ?? 'kubeadm'}`),
    '/var/run/secrets/kubernetes.io/serviceaccount/namespace': differences.namespace ?? 'default',
  };
}

const cases: Readonly<Record<string, Case>> = {
  'a plain pod': {
    machine: { hostname: 'web-1', network: 'none', files: files() },
    is: [`${web1} 10.244.0.7`, fromHosts],
  },
  'a dual-stack pod': {
    machine: { hostname: 'web-1', network: 'none', files: files({ hosts: 'dual-stack' }) },
    is: [`${web1} 10.244.0.7 fd00:10:244::7`, fromHosts],
  },
  'a pod with HostAliases': {
    machine: { hostname: 'web-1', network: 'none', files: files({ hosts: 'host-aliases' }) },
    is: [`${web1} 10.244.0.7`, fromHosts],
  },
  'a pod with setHostnameAsFQDN': {
    machine: { hostname: web1, network: 'none', files: files() },
    is: [`${web1} 10.244.0.7`, fromHosts],
  },
  'an FQDN hostname without kubelet': {
    machine: { hostname: web1, network: 'none' },
    is: [web1, 'hostname, hostname, hostname, hostname, -'],
  },
  'a custom cluster domain': {
    machine: {
      hostname: 'kafka-12',
      network: 'none',
      files: files({ hosts: 'custom-domain', 'resolv-conf': 'custom-domain', namespace: 'streaming' }),
    },
    is: ['kafka-12.kafka-headless.streaming.svc.k8s.example.com 10.42.3.19', fromHosts],
  },
  'no search list (dnsPolicy None)': {
    machine: { hostname: 'web-1', network: 'none', files: files({ 'resolv-conf': 'no-search' }) },
    is: [`${web1} 10.244.0.7`, fromHosts],
  },
  "the node's search list (dnsPolicy Default)": {
    machine: { hostname: 'web-1', network: 'none', files: files({ 'resolv-conf': 'node' }) },
    is: [`${web1} 10.244.0.7`, fromHosts],
  },
  'a kubelet without a cluster domain': {
    machine: { hostname: 'web-1', network: 'none', files: files({ hosts: 'no-domain' }) },
    is: [`${web1} 10.244.0.7`, 'hosts file, hosts file, hosts file, resolv.conf, hosts file'],
  },
  'hostNetwork with ClusterFirstWithHostNet': {
    machine: { network: 'host', files: files({ hosts: 'host-network' }) },
    refused: [/\] nothing says this pod's name\n/, /hostNetwork: true the hostname is the machine's.*POD_NAME/],
  },
  "hostNetwork with the node's DNS": {
    machine: { network: 'host', files: files({ hosts: 'host-network', 'resolv-conf': 'node' }) },
    refused: [/\] nothing says this pod's name\n/, /hostNetwork: true the hostname is the machine's.*POD_NAME/],
  },
  hostnameOverride: {
    machine: { hostname: 'db.example.com', network: 'none', files: files({ hosts: 'hostname-override' }) },
    refused: [/is not the name of a StatefulSet pod/, /hostnameOverride.*POD_NAME/],
  },
  'no search list and no cluster domain': {
    machine: {
      hostname: 'web-1',
      network: 'none',
      files: files({ hosts: 'no-domain', 'resolv-conf': 'no-search' }),
    },
    refused: [/\] nothing says the cluster domain\n/, /STATEFUL_PEERS_CLUSTER_DOMAIN/],
  },
  'files of two namespaces': {
    machine: { hostname: 'web-1', network: 'none', files: files({ namespace: 'other' }) },
    refused: [/\] sources contradict each other about the namespace/, /Option namespace decides/],
  },
  "a Deployment's pod whose suffix is all digits": {
    machine: { hostname: 'web-7d4b9c6f5-12345', network: 'none', files: files({ hosts: 'deployment' }) },
    refused: [/nothing names the governing Service of this pod/, /Set \.spec\.serviceName/, /observePeers/],
  },
  'a container of no set': {
    machine: { network: 'none' },
    refused: [/is not the name of a StatefulSet pod/, /Run it in a StatefulSet/, /observePeers/],
  },
  "a container with a pod's hostname and nothing else": {
    machine: { hostname: 'web-1', network: 'none' },
    refused: [/nothing names the governing Service of this pod/, /Set \.spec\.serviceName/, /observePeers/],
  },
};

describe('In a container without a single variable', function () {
  this.timeout(60_000);
  const said = new Map<string, Said>();

  before(async function () {
    const runtime = await containerRuntime();
    if (runtime === null) return this.skip();
    await Promise.all(
      Object.entries(cases).map(async ([name, { machine }]) => said.set(name, await whoAmI(runtime, machine))),
    );
  });

  after(leaveRuntime);

  for (const [name, { is, refused = [] }] of Object.entries(cases)) {
    it(`${name}: ${is === undefined ? 'refused, with what to set' : 'identity comes out right'}`, () => {
      const { variables, identity, code = '', message = '' } = said.get(name) ?? { variables: ['not run'] };
      assert.deepEqual(variables, []);
      assert.deepEqual(identity && shown(identity), is, message);
      assert.equal(code, is === undefined ? 'ERR_IDENTITY' : '');
      for (const expected of refused) assert.match(message, expected);
    });
  }
});

async function whoAmI(runtime: Runtime, machine: Case['machine']): Promise<Said> {
  const heard: Readonly<Record<string, unknown>>[] = [];
  const program = 'test/containers/pods/who-am-i.js';
  const pod = new PodContainer({ runtime, program, ...machine, onSaid: (one) => heard.push(one) });
  await pod.stopped;
  assert.equal(heard.length, 1, pod.output.join('\n'));
  return heard[0] as unknown as Said;
}

function shown({ stableName, addresses, sources }: Identity): readonly [string, string] {
  const { podName, service, namespace, clusterDomain, addresses: own } = sources;
  const from = [podName, service, namespace, clusterDomain, own].map((source) => source ?? '-');
  return [[stableName, ...addresses].join(' '), from.join(', ')];
}

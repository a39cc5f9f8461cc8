import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PeerDiscoveryError } from '../../../src/errors.ts';
import type { Identity } from '../../../src/identity/identity.ts';
import { memberIdentity, observerIdentity } from '../../../src/identity/identity.ts';
import type { IdentityOptions } from '../../../src/identity/settings.ts';
import type { Machine } from './machine.ts';
import { environmentOf, fixture, pod } from './machine.ts';

const H = 'hosts file';
const laptop: Machine = {
  hostname: 'macbook.local',
  hosts: fixture('hosts/laptop'),
  resolvConf: fixture('resolv-conf/node'),
};
const windows: Machine = { hostname: 'WEB-1' };
/** A pod in which somebody runs an embedded cluster: where a pipeline's tests run, for example. */
const runner = (hosts: string): Machine => ({
  hostname: 'runner-0',
  hosts: `# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n10.9.9.9\t${hosts}\n`,
  resolvConf: fixture('resolv-conf/openshift'),
  namespaceFile: 'ci',
});
const embedded = {
  POD_NAME: 'web-1',
  POD_NAMESPACE: 'default',
  POD_IP: '127.0.0.3',
  STATEFUL_PEERS_SERVICE: 'nginx',
  STATEFUL_PEERS_CLUSTER_DOMAIN: 'cluster.local',
};
const complete = { podName: 'web-1', service: 'nginx', namespace: 'default', clusterDomain: 'cluster.local' };
const web1 = 'web-1.nginx.default.svc.cluster.local';

/** What an identity is, on one line each: the name with addresses, and the sources of name, Service, namespace, zone, addresses. */
function shown({ stableName, serviceName, addresses, sources }: Identity): readonly [string, string] {
  const { podName, service, namespace, clusterDomain, addresses: addressSource } = sources;
  const names = [podName, service, namespace, clusterDomain, addressSource].map((source) => source ?? '-');
  return [[stableName ?? serviceName, ...addresses].join(' '), names.join(', ')];
}

interface Case {
  readonly machine: Machine;
  readonly options?: IdentityOptions;
  readonly is: string;
  readonly from: string;
}

describe('Self is known without a DNS question', () => {
  const cases: Readonly<Record<string, Case>> = {
    'from the managed hosts line alone': {
      machine: pod(),
      is: `${web1} 10.244.0.7`,
      from: `${H}, ${H}, ${H}, ${H}, ${H}`,
    },
    'with the addresses of both families': {
      machine: pod({ hosts: fixture('hosts/dual-stack') }),
      is: `${web1} 10.244.0.7 fd00:10:244::7`,
      from: `${H}, ${H}, ${H}, ${H}, ${H}`,
    },
    'beside HostAliases that name another pod': {
      machine: pod({ hosts: fixture('hosts/host-aliases') }),
      is: `${web1} 10.244.0.7`,
      from: `${H}, ${H}, ${H}, ${H}, ${H}`,
    },
    'with the short name first on the line, in any case': {
      machine: pod({ hosts: fixture('hosts/short-first') }),
      is: `${web1} 10.244.0.7`,
      from: `${H}, ${H}, ${H}, ${H}, ${H}`,
    },
    'in a cluster with a domain of its own': {
      machine: {
        hostname: 'kafka-12',
        hosts: fixture('hosts/custom-domain'),
        resolvConf: fixture('resolv-conf/custom-domain'),
        namespaceFile: 'streaming',
      },
      is: 'kafka-12.kafka-headless.streaming.svc.k8s.example.com 10.42.3.19',
      from: `${H}, ${H}, ${H}, ${H}, ${H}`,
    },
    'where nothing but the hosts file is there': {
      machine: { hostname: 'web-1', hosts: fixture('hosts/managed') },
      is: `${web1} 10.244.0.7`,
      from: `${H}, ${H}, ${H}, ${H}, ${H}`,
    },
    'with the zone of resolv.conf where kubelet has none for the hosts file': {
      machine: pod({ hosts: fixture('hosts/no-domain') }),
      is: `${web1} 10.244.0.7`,
      from: `${H}, ${H}, ${H}, resolv.conf, ${H}`,
    },
    'with setHostnameAsFQDN': {
      machine: pod({ hostname: web1 }),
      is: `${web1} 10.244.0.7`,
      from: `${H}, ${H}, ${H}, ${H}, ${H}`,
    },
    'from an FQDN hostname in Docker': {
      machine: { hostname: web1, hosts: fixture('hosts/docker'), resolvConf: fixture('resolv-conf/docker') },
      is: web1,
      from: 'hostname, hostname, hostname, hostname, -',
    },
    'from the downward API, which agrees': {
      machine: pod({ variables: { POD_NAME: 'web-1', POD_NAMESPACE: 'default', POD_IP: '10.244.0.7' } }),
      is: `${web1} 10.244.0.7`,
      from: `environment, ${H}, environment, ${H}, environment`,
    },
    'from POD_IPS, with a family that the hosts file lacks': {
      machine: pod({ variables: { POD_IPS: '10.244.0.7,FD00:10:244:0::7' } }),
      is: `${web1} 10.244.0.7 fd00:10:244::7`,
      from: `${H}, ${H}, ${H}, ${H}, environment`,
    },
    'under hostNetwork, from POD_NAME and a Service that is set': {
      machine: {
        hostname: 'node-7',
        hosts: fixture('hosts/host-network'),
        resolvConf: fixture('resolv-conf/kubeadm'),
        namespaceFile: 'default',
        variables: { POD_NAME: 'web-1', STATEFUL_PEERS_SERVICE: 'nginx', POD_IP: '10.0.0.7' },
      },
      is: `${web1} 10.0.0.7`,
      from: 'environment, environment, resolv.conf, resolv.conf, environment',
    },
    'with hostnameOverride, from POD_NAME and a Service that is set': {
      machine: pod({
        hostname: 'db.example.com',
        hosts: fixture('hosts/hostname-override'),
        variables: { POD_NAME: 'web-1' },
      }),
      options: { service: 'nginx' },
      is: web1,
      from: 'environment, option, resolv.conf, resolv.conf, -',
    },
    'on a laptop, from options': {
      machine: laptop,
      options: complete,
      is: web1,
      from: 'option, option, option, option, -',
    },
    'on a laptop, from the environment of an embedded cluster': {
      machine: { ...laptop, hostname: 'dev-2', variables: embedded },
      is: `${web1} 127.0.0.3`,
      from: 'environment, environment, environment, environment, environment',
    },
    'in a pod of no set, from the environment of an embedded cluster': {
      machine: { ...runner('runner-0'), variables: embedded },
      is: `${web1} 127.0.0.3`,
      from: 'environment, environment, environment, environment, environment',
    },
    'in a pod of another set, from the environment of an embedded cluster': {
      machine: { ...runner('runner-0.runners.ci.svc.cluster.local runner-0'), variables: embedded },
      is: `${web1} 127.0.0.3`,
      from: 'environment, environment, environment, environment, environment',
    },
    'in a pod of another set with setHostnameAsFQDN, from the environment of an embedded cluster': {
      machine: {
        ...runner('runner-0.runners.ci.svc.cluster.local runner-0'),
        hostname: 'runner-0.runners.ci.svc.cluster.local',
        variables: embedded,
      },
      is: `${web1} 127.0.0.3`,
      from: 'environment, environment, environment, environment, environment',
    },
    'from an own line of short names, by the one that is the hostname': {
      machine: pod({ hosts: '# Kubernetes-managed hosts file.\n10.244.0.7\tdb web-1\n' }),
      options: { service: 'nginx', statefulSet: 'web' },
      is: `${web1} 10.244.0.7`,
      from: `${H}, option, resolv.conf, resolv.conf, ${H}`,
    },
    'on Windows, which has no such files, from its hostname and options': {
      machine: windows,
      options: { service: 'nginx', namespace: 'default', clusterDomain: 'Cluster.Local.' },
      is: web1,
      from: 'hostname, option, option, option, -',
    },
    'from a Service in full': {
      machine: windows,
      options: { service: 'nginx.default.svc.cluster.local' },
      is: web1,
      from: 'hostname, option, option, option, -',
    },
    'from a Service with its namespace, in STATEFUL_PEERS_SERVICE': {
      machine: pod({ hosts: null, namespaceFile: null, variables: { STATEFUL_PEERS_SERVICE: 'nginx.other' } }),
      is: 'web-1.nginx.other.svc.cluster.local',
      from: 'hostname, environment, environment, resolv.conf, -',
    },
    'with the namespace of the service account, where resolv.conf has none': {
      machine: { hostname: 'web-1', namespaceFile: 'prod\n' },
      options: { service: 'nginx', clusterDomain: 'cluster.local' },
      is: 'web-1.nginx.prod.svc.cluster.local',
      from: 'hostname, option, service account, option, -',
    },
    'with empty variables, which are not set': {
      machine: pod({ variables: { POD_NAME: '', POD_NAMESPACE: ' ', POD_IP: '', STATEFUL_PEERS_SERVICE: '' } }),
      is: `${web1} 10.244.0.7`,
      from: `${H}, ${H}, ${H}, ${H}, ${H}`,
    },
  };
  for (const [title, { machine, options = {}, is, from }] of Object.entries(cases)) {
    it(title, () => {
      assert.deepEqual(shown(memberIdentity(options, environmentOf(machine))), [is, from]);
    });
  }

  it('as a whole: frozen, with every part', () => {
    const identity = memberIdentity({ statefulSet: 'web' }, environmentOf(pod()));
    assert.deepEqual(identity, {
      podName: 'web-1',
      ordinal: 1,
      statefulSet: 'web',
      service: 'nginx',
      namespace: 'default',
      clusterDomain: 'cluster.local',
      serviceName: 'nginx.default.svc.cluster.local',
      stableName: web1,
      addresses: ['10.244.0.7'],
      sources: { podName: H, statefulSet: 'option', service: H, namespace: H, clusterDomain: H, addresses: H },
    });
    assert.ok([identity, identity.addresses, identity.sources].every(Object.isFrozen));
  });

  it('from a hosts file that is still being written when it is first read', () => {
    const environment = environmentOf(pod({ hosts: ['', fixture('hosts/truncated'), fixture('hosts/managed')] }));
    assert.equal(memberIdentity({}, environment).stableName, web1);
    assert.equal(environment.pauses.length, 2);
  });

  it("without a pause where the hosts file is whole, is not there, or is no pod's", () => {
    const whole: Machine[] = [
      pod(),
      pod({ hosts: null }),
      pod({ hosts: fixture('hosts/docker') }),
      pod({ hosts: fixture('hosts/host-network') }),
    ];
    for (const machine of whole) {
      const environment = environmentOf(machine);
      memberIdentity(complete, environment);
      assert.deepEqual(environment.pauses, []);
    }
  });
});

describe('Nothing is guessed', () => {
  const node7 = pod({ hostname: 'node-7', hosts: fixture('hosts/host-network') });
  const deployment = pod({ hostname: 'web-7d4b9c6f5-12345', hosts: fixture('hosts/deployment') });
  const refused: Readonly<Record<string, readonly [machine: Machine, options: IdentityOptions, message: RegExp]>> = {
    'web is no pod of a set': [pod({ hostname: 'web', hosts: null }), {}, /no ordinal/],
    'a laptop is no pod': [laptop, {}, /"macbook.local" \(hostname\) is not the name of a StatefulSet pod/],
    'a short hostname names no Service': [
      pod({ hosts: fixture('hosts/docker') }),
      {},
      /nothing names the governing Service/,
    ],
    'a hosts file of Docker is no witness': [pod({ hosts: fixture('hosts/docker') }), {}, /not written by kubelet/],
    'a name cut short is no witness': [pod({ hosts: fixture('hosts/truncated') }), {}, /without a complete line/],
    "a node's name under hostNetwork is not the pod's": [node7, { service: 'nginx' }, /nothing says this pod's name/],
    'a search list in another form says no zone': [
      pod({ hosts: fixture('hosts/no-domain'), resolvConf: fixture('resolv-conf/node') }),
      {},
      /nothing says the cluster domain/,
    ],
    'a Service that is set says no namespace': [
      { hostname: 'web-1' },
      { service: 'nginx' },
      /nothing says the namespace/,
    ],
    "a Deployment's pod is no member, all-digit suffix or not": [deployment, {}, /nothing names the governing Service/],
    'nor with the option service': [deployment, { service: 'nginx' }, /has no subdomain in \/etc\/hosts/],
    'nor with POD_NAME and STATEFUL_PEERS_SERVICE as well': [
      { ...deployment, variables: { POD_NAME: 'web-7d4b9c6f5-12345', STATEFUL_PEERS_SERVICE: 'nginx' } },
      {},
      /has no subdomain in \/etc\/hosts/,
    ],
    'nor as the set that somebody meant': [
      deployment,
      { service: 'nginx', statefulSet: 'web' },
      /option statefulSet is "web"/,
    ],
    'a set without serviceName gives its pods no names': [
      pod({ hosts: fixture('hosts/managed').replace('web-1.nginx.default.svc.cluster.local\t', '') }),
      { service: 'nginx' },
      /web-1 has no subdomain in \/etc\/hosts/,
    ],
    'hostnameOverride hides the Service': [
      pod({ hostname: 'db.example.com', hosts: fixture('hosts/hostname-override'), variables: { POD_NAME: 'web-1' } }),
      {},
      /nothing names the governing Service/,
    ],
    'a pod of another set is refused': [pod(), { statefulSet: 'db' }, /option statefulSet is "db", but this is web-1/],
    'an ordinal below the first is refused': [pod(), { ordinalStart: 2 }, /option ordinalStart is 2/],
    'a hosts line of another set names no Service for the option podName': [
      pod(),
      { podName: 'db-0' },
      /nothing names the governing Service/,
    ],
    'an unexpanded POD_NAME is an error': [pod({ variables: { POD_NAME: '$(POD_NAME)' } }), {}, /did not expand/],
  };
  for (const [title, [machine, options, message]] of Object.entries(refused)) {
    it(title, () => {
      assert.throws(() => memberIdentity(options, environmentOf(machine)), isIdentityError(message));
    });
  }

  it('options that name the pod, or its set, make a member of a pod without subdomain', () => {
    const bare = pod({ hosts: fixture('hosts/managed').replace('web-1.nginx.default.svc.cluster.local\t', '') });
    for (const option of [{ podName: 'web-1' }, { statefulSet: 'web' }]) {
      assert.equal(memberIdentity({ ...option, service: 'nginx' }, environmentOf(bare)).stableName, web1);
    }
  });

  it('reads a hosts file without an own line five times, then goes on without', () => {
    const environment = environmentOf(pod({ hosts: fixture('hosts/truncated') }));
    assert.deepEqual(shown(memberIdentity({ service: 'nginx' }, environment))[0], web1);
    assert.deepEqual(environment.pauses, [20, 20, 20, 20]);
  });
});

describe('Witnesses that contradict each other are refused, unless an option decides', () => {
  interface Contradiction {
    readonly machine: Machine;
    readonly says: RegExp;
    readonly option: IdentityOptions;
    readonly is: string;
  }
  const hostNetwork = pod({
    hostname: 'node-7',
    hosts: fixture('hosts/host-network'),
    variables: { POD_NAME: 'web-1', STATEFUL_PEERS_SERVICE: 'nginx', POD_NAMESPACE: 'prod' },
  });
  const cases: Readonly<Record<string, Contradiction>> = {
    'a fixed POD_NAME': {
      machine: pod({ variables: { POD_NAME: 'web-0' } }),
      says: /POD_NAME says "web-0", \/etc\/hosts says "web-1"/,
      option: { podName: 'web-0' },
      is: 'web-0.nginx.default.svc.cluster.local',
    },
    'a fixed POD_NAME beside the right Service': {
      machine: pod({ variables: { POD_NAME: 'web-0', STATEFUL_PEERS_SERVICE: 'nginx' } }),
      says: /POD_NAME says "web-0", \/etc\/hosts says "web-1"/,
      option: { podName: 'web-1' },
      is: `${web1} 10.244.0.7`,
    },
    'a fixed POD_NAMESPACE': {
      machine: pod({ variables: { POD_NAMESPACE: 'prod' } }),
      says: /POD_NAMESPACE says "prod", \/etc\/hosts says "default"/,
      option: { namespace: 'prod' },
      is: 'web-1.nginx.prod.svc.cluster.local 10.244.0.7',
    },
    'a fixed POD_NAMESPACE under hostNetwork': {
      machine: hostNetwork,
      says: /POD_NAMESPACE says "prod", \/etc\/resolv.conf says "default"/,
      option: { namespace: 'default' },
      is: web1,
    },
    'a hostname of another pod': {
      machine: pod({ hostname: 'web-2' }),
      says: /\/etc\/hosts says "web-1", hostname says "web-2"/,
      option: { podName: 'web-1' },
      is: `${web1} 10.244.0.7`,
    },
    'an FQDN hostname in Docker beside POD_NAME': {
      machine: { hostname: web1, hosts: fixture('hosts/docker'), variables: { POD_NAME: 'web-2' } },
      says: /POD_NAME says "web-2", hostname says "web-1"/,
      option: { podName: 'web-2' },
      is: 'web-2.nginx.default.svc.cluster.local',
    },
    'a hostname under another Service': {
      machine: pod({ hostname: 'web-1.db.default.svc.cluster.local' }),
      says: /\/etc\/hosts says "nginx", hostname says "db"/,
      option: { service: 'db' },
      is: 'web-1.db.default.svc.cluster.local 10.244.0.7',
    },
    'two FQDNs on the own line': {
      machine: pod({
        hosts: fixture('hosts/managed').replace('\tweb-1\n', '\tweb-2.nginx.default.svc.cluster.local\n'),
      }),
      says: /\/etc\/hosts says "web-1", \/etc\/hosts says "web-2"/,
      option: { podName: 'web-1' },
      is: `${web1} 10.244.0.7`,
    },
    'a search list of another cluster': {
      machine: pod({ resolvConf: fixture('resolv-conf/custom-domain'), namespaceFile: null }),
      says: /namespace: \/etc\/hosts says "default", \/etc\/resolv.conf says "streaming"/,
      option: { namespace: 'default', clusterDomain: 'cluster.local' },
      is: `${web1} 10.244.0.7`,
    },
    'a search list with another zone': {
      machine: pod({ resolvConf: 'search default.svc.k8s svc.k8s k8s\n' }),
      says: /cluster domain: \/etc\/hosts says "cluster.local", \/etc\/resolv.conf says "k8s"/,
      option: { clusterDomain: 'k8s' },
      is: 'web-1.nginx.default.svc.k8s 10.244.0.7',
    },
    'two files, where nothing else says the namespace': {
      machine: {
        hostname: 'web-1',
        resolvConf: fixture('resolv-conf/kubeadm'),
        namespaceFile: 'prod',
        variables: { STATEFUL_PEERS_SERVICE: 'nginx' },
      },
      says: /\/etc\/resolv.conf says "default", \S+ says "prod"/,
      option: { namespace: 'prod' },
      is: 'web-1.nginx.prod.svc.cluster.local',
    },
  };
  for (const [title, { machine, says, option, is }] of Object.entries(cases)) {
    it(title, () => {
      assert.throws(() => memberIdentity({}, environmentOf(machine)), isIdentityError(says));
      assert.equal(shown(memberIdentity(option, environmentOf(machine)))[0], is);
    });
  }

  it('a POD_IP that is not on the own line, in a family that is', () => {
    const of = (POD_IP: string) => memberIdentity({}, environmentOf(pod({ variables: { POD_IP } })));
    assert.throws(
      () => of('10.0.0.1'),
      isIdentityError(/POD_IP or POD_IPS says 10.0.0.1, \/etc\/hosts says 10.244.0.7/),
    );
    assert.throws(() => of('localhost'), isIdentityError(/POD_IP is "localhost"; expected IP addresses/));
    assert.deepEqual(of('fd00::7').addresses, ['fd00::7', '10.244.0.7']);
  });

  it('STATEFUL_PEERS_SERVICE and STATEFUL_PEERS_CLUSTER_DOMAIN decide like options, and an option goes before them', () => {
    const variables = { STATEFUL_PEERS_SERVICE: 'db', STATEFUL_PEERS_CLUSTER_DOMAIN: 'k8s' };
    const { serviceName, sources } = memberIdentity({}, environmentOf(pod({ variables })));
    assert.equal(serviceName, 'db.default.svc.k8s');
    assert.deepEqual([sources.service, sources.clusterDomain], ['environment', 'environment']);
    const over = memberIdentity({ service: 'a', clusterDomain: 'b' }, environmentOf(pod({ variables })));
    assert.equal(over.serviceName, 'a.default.svc.b');
  });

  it('an option makes a variable that cannot be right harmless', () => {
    const variables = {
      POD_NAME: '$(POD_NAME)',
      POD_NAMESPACE: '$(POD_NAMESPACE)',
      STATEFUL_PEERS_SERVICE: '$(SERVICE)',
      STATEFUL_PEERS_CLUSTER_DOMAIN: '$(ZONE)',
    };
    assert.equal(memberIdentity(complete, environmentOf(pod({ variables }))).stableName, web1);
  });
});

describe('observerIdentity', () => {
  const set = { statefulSet: 'web', service: 'nginx' };
  const deployment = pod({ hostname: 'writer-7d4b9c6f5-x2k9z', hosts: fixture('hosts/deployment') });
  const cases: Readonly<Record<string, Case>> = {
    'in a Deployment, with its own namespace and zone': {
      machine: deployment,
      options: set,
      is: 'nginx.default.svc.cluster.local',
      from: '-, option, resolv.conf, resolv.conf, -',
    },
    'in a pod of another set': {
      machine: pod(),
      options: { statefulSet: 'db', service: 'db' },
      is: 'db.default.svc.cluster.local',
      from: `-, option, ${H}, ${H}, -`,
    },
    'of a set in another namespace': {
      machine: deployment,
      options: { ...set, namespace: 'prod' },
      is: 'nginx.prod.svc.cluster.local',
      from: '-, option, option, resolv.conf, -',
    },
    'of a set in another namespace, by the Service': {
      machine: deployment,
      options: { ...set, service: 'nginx.prod' },
      is: 'nginx.prod.svc.cluster.local',
      from: '-, option, option, resolv.conf, -',
    },
    'with POD_NAMESPACE, which decides, and a POD_NAME that does not matter': {
      machine: { ...deployment, variables: { POD_NAMESPACE: 'prod', POD_NAME: '$(POD_NAME)' } },
      options: set,
      is: 'nginx.prod.svc.cluster.local',
      from: '-, option, environment, resolv.conf, -',
    },
    'under hostNetwork with ClusterFirstWithHostNet': {
      machine: pod({ hostname: 'node-7', hosts: fixture('hosts/host-network') }),
      options: set,
      is: 'nginx.default.svc.cluster.local',
      from: '-, option, resolv.conf, resolv.conf, -',
    },
    'on a laptop, from the environment of an embedded cluster': {
      machine: { ...laptop, variables: embedded },
      options: { statefulSet: 'web' },
      is: 'nginx.default.svc.cluster.local',
      from: '-, environment, environment, environment, -',
    },
    'without any file, from options': {
      machine: {},
      options: { ...set, namespace: 'default', clusterDomain: 'cluster.local' },
      is: 'nginx.default.svc.cluster.local',
      from: '-, option, option, option, -',
    },
  };
  for (const [title, { machine, options = {}, is, from }] of Object.entries(cases)) {
    it(title, () => {
      const identity = observerIdentity(options, environmentOf(machine));
      assert.deepEqual(shown(identity), [is, from]);
      assert.deepEqual([identity.podName, identity.ordinal, identity.stableName], [null, null, null]);
    });
  }

  it('guesses no namespace and no zone', () => {
    assert.throws(() => observerIdentity(set, environmentOf(laptop)), isIdentityError(/nothing says the namespace/));
    const options = { ...set, namespace: 'default' };
    assert.throws(
      () => observerIdentity(options, environmentOf(laptop)),
      isIdentityError(/nothing says the cluster domain/),
    );
  });

  it('reads nothing of the machine where namespace and zone are set', () => {
    const unreadable = (): never => assert.fail('it was read');
    const environment = { ...environmentOf({}), readFile: unreadable, hostname: unreadable };
    const { serviceName } = observerIdentity({ ...set, service: 'nginx.prod.svc.example.org' }, environment);
    assert.equal(serviceName, 'nginx.prod.svc.example.org');
    assert.throws(() => observerIdentity({ ...set, namespace: 'prod' }, environment), /it was read/);
  });

  it('must be told the set and the Service', () => {
    const option = (name: string) => (error: unknown) => error instanceof PeerDiscoveryError && error.option === name;
    assert.throws(() => observerIdentity({ service: 'nginx' }, environmentOf(pod())), option('statefulSet'));
    assert.throws(() => observerIdentity({ statefulSet: 'web' }, environmentOf(pod())), option('service'));
  });
});

describe('A mistake is named: options and settings that are no names', () => {
  const long = Array.from({ length: 4 }, () => 'a'.repeat(62)).join('.');
  const options: readonly [option: keyof IdentityOptions, value: string][] = [
    ['podName', 'web'],
    ['podName', 'web-01'],
    ['podName', web1],
    ['statefulSet', 'we_b'],
    ['statefulSet', 'a'.repeat(62)],
    ['service', 'ng_inx'],
    ['service', 'nginx.default.pod.cluster.local'],
    ['service', 'nginx..svc'],
    ['service', `${long}.aaaa`],
    ['namespace', 'default.svc'],
    ['namespace', '-default'],
    ['clusterDomain', 'cluster..local'],
    ['clusterDomain', '.'],
    ['clusterDomain', `${long}.aaaa`],
  ];
  for (const [option, value] of options) {
    it(`${option}: ${value.length > 60 ? `${value.length} characters` : value}`, () => {
      assert.throws(
        () => memberIdentity({ [option]: value }, environmentOf(pod())),
        (error) =>
          error instanceof PeerDiscoveryError &&
          error.code === 'ERR_OPTION' &&
          error.option === option &&
          error.value === value &&
          error.expected !== undefined,
      );
    });
  }

  it('a Service in full must not say something else than namespace and clusterDomain', () => {
    const service = 'nginx.prod.svc.k8s';
    for (const other of [{ namespace: 'default' }, { clusterDomain: 'cluster.local' }]) {
      assert.throws(() => memberIdentity({ service, ...other }, environmentOf(pod())), {
        code: 'ERR_OPTION',
        option: 'service',
      });
    }
    const same = memberIdentity({ service, namespace: 'prod', clusterDomain: 'k8s' }, environmentOf(pod()));
    assert.equal(same.serviceName, service);
  });

  it('a name that DNS has no room for', () => {
    const machine = environmentOf(pod());
    const room = 253 - 'web-1.nginx.default.svc.'.length;
    const zone = (length: number) => `${length % 2 === 0 ? 'aa' : 'a'}${'.a'.repeat(Math.ceil(length / 2) - 1)}`;
    for (const [identify, options] of [
      [memberIdentity, {}],
      [observerIdentity, { statefulSet: 'web', service: 'nginx' }],
    ] as const) {
      const fits = identify({ ...options, clusterDomain: zone(room) }, machine);
      assert.equal(`web-1.${fits.serviceName}`.length, 253);
      const isTooLong = isIdentityError(/is 254 characters long; a DNS name has at most 253/);
      assert.throws(() => identify({ ...options, clusterDomain: zone(room + 1) }, machine), isTooLong);
    }
  });
});

it("whatever a machine says, identity is a set's pod or a PeerDiscoveryError", () => {
  const name = fc.constantFrom(
    'web-1',
    'web',
    'db-0',
    web1,
    'web-1.db.prod.svc',
    '$(X)',
    '',
    'node-7',
    'web-01',
    'a.b',
    '\0',
  );
  const text = fc.oneof(name, fc.string({ unit: 'binary' }));
  const hosts = fc.oneof(
    fc.constantFrom(
      ...['managed', 'host-network', 'deployment', 'hostname-override', 'docker', 'truncated'].map((file) =>
        fixture(`hosts/${file}`),
      ),
    ),
    fc.array(text).map((names) => `# Kubernetes-managed hosts file.\n10.0.0.1 ${names.join(' ')}\n`),
    text,
  );
  const machine = fc.record({
    hostname: text,
    hosts,
    resolvConf: fc.oneof(fc.constantFrom(fixture('resolv-conf/kubeadm'), fixture('resolv-conf/node')), text),
    namespaceFile: fc.constantFrom('default', 'prod', '', '\0'),
    variables: fc.dictionary(
      fc.constantFrom(
        'POD_NAME',
        'POD_NAMESPACE',
        'POD_IP',
        'POD_IPS',
        'STATEFUL_PEERS_SERVICE',
        'STATEFUL_PEERS_CLUSTER_DOMAIN',
      ),
      text,
    ),
  });
  const options = fc.record(
    { podName: text, service: text, namespace: text, clusterDomain: text, statefulSet: text, ordinalStart: fc.nat(2) },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(machine, options, (here, given) => {
      for (const identify of [memberIdentity, observerIdentity]) {
        try {
          const { stableName, serviceName, podName } = identify(given, environmentOf(here));
          assert.equal(stableName, podName === null ? null : `${podName}.${serviceName}`);
          assert.match(serviceName, /^[a-z0-9-]+\.[a-z0-9-]+\.svc\.[a-z0-9.-]+$/);
        } catch (error) {
          assert.ok(error instanceof PeerDiscoveryError, String(error));
          assert.match(error.code, /^ERR_(OPTION|IDENTITY)$/);
        }
      }
    }),
  );
});

function isIdentityError(message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof PeerDiscoveryError);
    assert.equal(error.code, 'ERR_IDENTITY');
    assert.match(error.message, message);
    assert.ok(error.explanation !== undefined && error.message.includes(error.explanation));
    return true;
  };
}

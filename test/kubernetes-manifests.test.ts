import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { createMember } from '../src/peer-discovery.ts';
import { TestCluster } from '../src/testing/test-cluster.ts';

interface Port {
  readonly name?: string;
  readonly port: number;
  readonly targetPort?: string | number;
}

interface Container {
  readonly image: string;
  readonly command: readonly string[];
  readonly env?: unknown;
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly readinessProbe?: { readonly httpGet: { readonly path: string; readonly port: string } };
  readonly livenessProbe?: { readonly tcpSocket: { readonly port: string } };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Template {
  readonly metadata: { readonly labels: Labels };
  readonly spec: { readonly terminationGracePeriodSeconds?: number; readonly containers: readonly [Container] };
}

type Labels = Readonly<Record<string, string>>;

interface Rule {
  readonly from?: readonly { readonly podSelector: { readonly matchLabels: Labels } }[];
  readonly to?: readonly { readonly podSelector: { readonly matchLabels: Labels } }[];
  readonly ports: readonly { readonly protocol?: string; readonly port: string | number }[];
}

interface Service {
  readonly clusterIP?: string;
  readonly publishNotReadyAddresses?: boolean;
  readonly selector: Labels;
  readonly ports: readonly Port[];
}

interface StatefulSet {
  readonly serviceName: string;
  readonly replicas: number;
  readonly podManagementPolicy?: string;
  readonly selector: { readonly matchLabels: Labels };
  readonly template: Template;
  readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[];
}

interface Manifest<Spec> {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: Spec;
}

const folder = 'examples/kubernetes';
const all = manifestsOf(`${folder}/replicated-log.yaml`);
const set = theOnly<StatefulSet>(all, 'StatefulSet');
const services = all.filter(({ kind }) => kind === 'Service') as Manifest<Service>[];
const headless = services.find(({ spec }) => spec.clusterIP === 'None') as Manifest<Service>;
const forClients = services.find(({ spec }) => spec.clusterIP === undefined) as Manifest<Service>;
const policy = theOnly<{ podSelector: { matchLabels: Labels }; ingress: Rule[]; egress: Rule[] }>(all, 'NetworkPolicy');
const writer = theOnly<{ template: Template }>(manifestsOf(`${folder}/writer.yaml`), 'Deployment');
const { template } = set.spec;
const [container] = template.spec.containers;
const source = readFileSync('examples/replicated-log.ts', 'utf8');

describe('The manifests of the examples', () => {
  it('give the pods their names: the governing Service is headless, is the serviceName, and selects them', () => {
    assert.equal(set.spec.serviceName, headless.metadata.name);
    assertSelects(headless.spec.selector, template);
    assertSelects(set.spec.selector.matchLabels, template);
    // Another namespace would give the pods a name that no DNS answers.
    assert.deepEqual([...all, writer].map(({ metadata }) => metadata.namespace).filter(Boolean), []);
  });

  it('publish pods before they are Ready, since replicas become Ready by finding the primary', () => {
    assert.equal(headless.spec.publishNotReadyAddresses, true);
    assert.equal(forClients.spec.publishNotReadyAddresses, undefined);
    assert.notEqual(set.spec.podManagementPolicy, 'Parallel');
  });

  it('have one port by one name, from the program to the NetworkPolicy', () => {
    for (const name of ['replicated-log', 'writer']) {
      const [, port] = /(?:discover|observe)Peers\([^)]*port: '(\w+)'/s.exec(program(name)) ?? [];
      assert.equal(headless.spec.ports.find((each) => each.name === port)?.targetPort, port, name);
    }
    const { targetPort } = headless.spec.ports[0] ?? {};
    const named = container.ports?.find(({ name }) => name === targetPort);
    const [, listens] = /port: { type: 'string', default: '(\d+)' }/.exec(source) ?? [];
    assert.equal(String(named?.containerPort), listens);
    assert.deepEqual(
      [
        forClients.spec.ports[0]?.targetPort,
        container.readinessProbe?.httpGet.port,
        container.livenessProbe?.tcpSocket.port,
      ],
      [targetPort, targetPort, targetPort],
    );
  });

  it('let each pod know itself by what every pod has', () => {
    assert.equal(container.env, undefined);
    const unusual = ['hostNetwork', 'hostname', 'subdomain', 'setHostnameAsFQDN', 'dnsPolicy', 'dnsConfig'];
    assert.deepEqual(
      Object.keys(template.spec).filter((key) => unusual.includes(key)),
      [],
    );
  });

  it('have no Service that could be taken for a pod', () => {
    for (const { metadata } of services) assert.doesNotMatch(metadata.name, /-\d+$/);
  });

  it('probe what the program answers, by a path that the primary need not be there for', () => {
    assert.equal(container.readinessProbe?.httpGet.path, '/ready');
    assert.match(source, /pathname === '\/ready'/);
    assert.deepEqual(
      Object.keys(container.livenessProbe ?? {}).filter((key) => /Get|Socket|exec/.test(key)),
      ['tcpSocket'],
    );
    assert.ok((template.spec.terminationGracePeriodSeconds ?? 0) > 5, 'drainMs and the rest of stop()');
  });

  it('let DNS through on UDP and TCP, to wherever it is', () => {
    assertSelects(policy.spec.podSelector.matchLabels, template);
    const dns = policy.spec.egress.filter(({ to }) => to === undefined).flatMap(({ ports }) => ports);
    assert.deepEqual(
      dns.map(({ protocol, port }) => `${protocol ?? 'TCP'} ${port}`),
      ['UDP 53', 'TCP 53'],
    );
  });

  it('let the pods reach each other, and clients reach them', () => {
    const peerPort = container.ports?.find(({ name }) => name === 'peer')?.containerPort;
    const allows = (rules: readonly Rule[], other: Template): boolean =>
      rules.some(
        ({ from, to, ports }) =>
          (from ?? to ?? []).some(({ podSelector }) => selects(podSelector.matchLabels, other)) &&
          ports.some(({ protocol = 'TCP', port }) => protocol === 'TCP' && port === peerPort),
      );
    assert.ok(allows(policy.spec.egress, template), 'out to each other');
    assert.ok(allows(policy.spec.ingress, template), 'in from each other');
    assert.ok(allows(policy.spec.ingress, writer.spec.template), 'in from the writer');
    assert.ok(!allows(policy.spec.ingress, { ...template, metadata: { labels: { app: 'other' } } }), 'not from others');
  });

  it('start the programs that the image has, with a volume a name', () => {
    const dockerfile = readFileSync(`${folder}/Dockerfile`, 'utf8');
    for (const { image, command } of [container, writer.spec.template.spec.containers[0]]) {
      assert.ok(dockerfile.includes(`docker build -t ${image} `), image);
      const [node, path = ''] = command;
      assert.equal(node, 'node');
      assert.ok(program(path.replace(/^examples\/|\.js$/g, '')).length > 0);
    }
    const [mount] = container.volumeMounts ?? [];
    assert.equal(mount?.name, set.spec.volumeClaimTemplates[0]?.metadata.name);
    assert.ok(container.command.includes(`--data=${mount?.mountPath ?? '?'}`));
    const engines = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } };
    const [, major] = /^ARG NODE=node:(\d+)-slim$/m.exec(dockerfile) ?? [];
    assert.ok(Number(major) >= parseInt(engines.engines.node.replace('>=', ''), 10));
  });

  it('say nothing else than the manifest of the README', () => {
    const [, block = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(readFileSync('README.md', 'utf8')) ?? [];
    const [service, statefulSet] = parseAllDocuments(block).map((document) => document.toJS() as unknown);
    assertContains(headless, service);
    assertContains(set, statefulSet);
  });

  it('make a set whose pods find each other', async () => {
    const cluster = await TestCluster.start({
      statefulSet: set.metadata.name,
      service: set.spec.serviceName,
      labels: headless.spec.selector,
      ports: headless.spec.ports.map(({ name = '', port }) => ({ name, port })),
      publishNotReadyAddresses: headless.spec.publishNotReadyAddresses ?? false,
      replicas: set.spec.replicas,
    });
    const peers = createMember(
      { port: 'peer' },
      { environment: cluster.machineOf('web-1'), transport: cluster.transport() },
    );
    try {
      const primary = await peers.waitForPrimary();
      assert.deepEqual([primary.podName, primary.port], ['web-0', 7_000]);
    } finally {
      await peers.close();
      await cluster.close();
    }
  });
});

function manifestsOf(file: string): Manifest<unknown>[] {
  return parseAllDocuments(readFileSync(file, 'utf8')).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as Manifest<unknown>;
  });
}

function theOnly<Spec>(manifests: readonly Manifest<unknown>[], kind: string): Manifest<Spec> {
  const [found, ...others] = manifests.filter((manifest) => manifest.kind === kind);
  assert.ok(found !== undefined && others.length === 0, `one ${kind}`);
  return found as Manifest<Spec>;
}

function program(name: string): string {
  return readFileSync(`examples/${name}.ts`, 'utf8');
}

function selects(selector: Labels, { metadata }: Template): boolean {
  return Object.entries(selector).every(([key, value]) => metadata.labels[key] === value);
}

function assertSelects(selector: Labels, pods: Template): void {
  assert.notDeepEqual(selector, {});
  assert.ok(selects(selector, pods), `${JSON.stringify(selector)} selects the pods`);
}

/** Everything that `part` says, `whole` says too. */
function assertContains(whole: unknown, part: unknown, at = ''): void {
  if (typeof part !== 'object' || part === null) {
    assert.deepEqual(whole, part, at);
    return;
  }
  for (const [key, value] of Object.entries(part)) {
    assertContains((whole as Record<string, unknown>)[key], value, `${at}.${key}`);
  }
}

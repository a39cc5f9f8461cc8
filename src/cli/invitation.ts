import { relative } from 'node:path';
import type { TestCluster, Variables } from '../testing/test-cluster.ts';
import { pathOf } from './child.ts';
import { addressOf, placeOf } from './place.ts';
import { readersPod } from './story.ts';

/** How the reader's own processes take part in a cluster that stays up. Commands are for a POSIX shell. */
export interface Invitation {
  readonly dig: readonly string[];
  readonly member: {
    readonly podName: string;
    /** Where it has to listen to be published. */
    readonly address: string;
    readonly variables: Variables;
    readonly command: string;
  };
  readonly observer: { readonly variables: Variables; readonly command: string };
}

/**
 * The invitation to that cluster.
 *
 * @param volume - a directory for what the reader's process keeps
 */
export function invitationTo(cluster: TestCluster, volume: string): Invitation {
  const slot = cluster.pod(readersPod);
  const { serviceName, namespace } = cluster.statefulSet;
  const service = `${serviceName}.${namespace}.svc.${cluster.clusterDomain}`;
  const [host, port] = cluster.dnsServer.split(':');
  const dig = `dig @${host ?? ''} -p ${port ?? ''} +noall +answer`;
  const member = cluster.environmentOf(readersPod);
  const observer = cluster.observerEnvironment();
  return {
    dig: [`${dig} SRV _peer._tcp.${service}`, `${dig} A ${cluster.stableName('web-0')}`],
    member: {
      ...{ podName: readersPod, address: addressOf(slot), variables: member },
      command: `${environmentLine(member)} ${scriptLine('replicated-log', `--port=${placeOf(slot).port}`, `--data=${volume}`)}`,
    },
    observer: { variables: observer, command: `${environmentLine(observer)} ${scriptLine('observer')}` },
  };
}

/** What is printed of it. */
export function linesOf({ dig, member, observer }: Invitation): string[] {
  const { podName, address } = member;
  return [
    'In another terminal:',
    ...dig.map((line) => `  ${line}`),
    `With this environment your own script, in place of the example, is ${podName}. DNS names it, and the other pods see`,
    `it, while something listens at ${address}; before that it is a member that only itself knows of.`,
    `  ${member.command}`,
    'With this environment it is an observer:',
    `  ${observer.command}`,
    'Ctrl-C ends the cluster; a script of yours you end yourself.',
  ];
}

function environmentLine(variables: Variables): string {
  return `env ${Object.entries(variables)
    .map(([name, value]) => `${name}=${quoted(value)}`)
    .join(' ')}`;
}

function scriptLine(name: 'replicated-log' | 'observer', ...args: string[]): string {
  return ['node', quoted(relative(process.cwd(), pathOf(name))), ...args].join(' ');
}

function quoted(text: string): string {
  return /^[\w./:,=@-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

import type { Pod } from './pod.ts';

/** The text of the files that kubelet writes for a pod. */
export interface PodFiles {
  readonly '/etc/hosts': string;
  readonly '/etc/resolv.conf': string;
  readonly '/etc/hostname': string;
  readonly '/var/run/secrets/kubernetes.io/serviceaccount/namespace': string;
}

/** A pod's machine as a program sees it. In place of the real one where the library's identity room reads. */
export interface PodMachine {
  hostname(): string;
  readonly variables: Readonly<Record<string, string>>;
  /** `null` for a file that is not there. */
  readFile(path: string): string | null;
  pause(milliseconds: number): void;
}

/**
 * What kubelet writes for a pod with `dnsPolicy: ClusterFirst`.
 *
 * @see pkg/kubelet/kubelet_pods.go `managedHostsFileContent`, pkg/kubelet/network/dns/dns.go
 */
export function filesOf(pod: Pod, dns: { readonly clusterDomain: string; readonly nameserver: string }): PodFiles {
  const { name, namespace, subdomain } = pod;
  const zone = dns.clusterDomain;
  const names = subdomain === '' ? name : `${name}.${subdomain}.${namespace}.svc.${zone}\t${name}`;
  return {
    '/etc/hosts': [
      '# Kubernetes-managed hosts file.',
      '127.0.0.1\tlocalhost',
      '::1\tlocalhost ip6-localhost ip6-loopback',
      'fe00::0\tip6-localnet',
      'fe00::0\tip6-mcastprefix',
      'fe00::1\tip6-allnodes',
      'fe00::2\tip6-allrouters',
      ...pod.addresses.map((address) => `${address}\t${names}`),
      '',
    ].join('\n'),
    '/etc/resolv.conf': [
      `search ${namespace}.svc.${zone} svc.${zone} ${zone}`,
      `nameserver ${dns.nameserver}`,
      'options ndots:5',
      '',
    ].join('\n'),
    '/etc/hostname': `${name}\n`,
    '/var/run/secrets/kubernetes.io/serviceaccount/namespace': namespace,
  };
}

/** A machine with these files. Its hostname is the pod's name. */
export function machineOf(podName: string, files: PodFiles, variables: Readonly<Record<string, string>>): PodMachine {
  const byPath: Readonly<Record<string, string>> = { ...files };
  return {
    hostname: () => podName,
    variables,
    readFile: (path) => byPath[path] ?? null,
    pause() {
      // The files are whole: nobody has to wait for them.
    },
  };
}

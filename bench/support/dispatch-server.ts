import type { PodProcess } from '../../src/testing/pod.ts';
import { TestCluster } from '../../src/testing/test-cluster.ts';
import { serve } from './child.ts';
import { PodServer } from './pod-server.ts';

// The other side of `dispatch.ts`, a process of its own: a cluster of one pod.

/** Where it is. */
export interface Serving {
  readonly dns: string;
  /** `http://127.1.2.3:7000`. */
  readonly origin: string;
}

const port = 7_000;
const cluster = await TestCluster.start({
  ...{ sockets: true, replicas: 1 },
  run: (pod): PodProcess => {
    const [address = ''] = pod.addresses;
    const server = new PodServer({ address, port, by: pod.name, guard: null });
    void server.listen().then(() => {
      pod.markReady();
    });
    const kill = (): void => {
      server.kill();
    };
    return { stopped: server.stopped, stop: kill, kill };
  },
});
await cluster.statefulSet.settled();

serve(
  (): Serving => ({
    dns: cluster.dnsServer,
    origin: `http://${cluster.pod('web-0').addresses[0] ?? ''}:${port}`,
  }),
  () => void cluster.close(),
);

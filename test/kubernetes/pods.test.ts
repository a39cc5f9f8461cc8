import assert from 'node:assert/strict';
import { fakeTime } from '../support/fake-time.ts';
import type { Following, Kubectl } from './kubectl.ts';
import type { Pod } from './pods.ts';
import { Pods } from './pods.ts';

const [hello, first, second, third] = [line(0, 'hello'), line(1, 'one'), line(2, 'two'), line(3, 'three')];

describe('What the story on a cluster hears of a pod', () => {
  const time = fakeTime();

  it('is each line once, where a stream broke', async () => {
    const { cluster, pod } = started('a');
    cluster.says(hello, first);
    cluster.log.push(second);
    await cluster.streamEnds(1);
    assert.deepEqual(kinds(pod), ['hello', 'one', 'two']);
    cluster.log.push(third);
    cluster.terminated = true;
    await time.clock.tickAsync(1_000);
    assert.deepEqual(kinds(pod), ['hello', 'one', 'two', 'three']);
    assert.equal(pod.end, 'heard');
  });

  it('is not over while it drains, where a stream broke', async () => {
    const { cluster, pod } = started('a');
    cluster.tell({ isDraining: true });
    await cluster.streamEnds(1);
    await time.clock.tickAsync(2_000);
    assert.equal(pod.end, null);
    cluster.log.push(hello);
    cluster.terminated = true;
    await time.clock.tickAsync(1_000);
    assert.deepEqual([kinds(pod), pod.end], [['hello'], 'heard']);
  });

  it('is what both containers said, where the second is known late', async () => {
    const { cluster, pod } = started('a');
    cluster.says(hello);
    // The last line of the first did not come through.
    cluster.previous.push(hello, first);
    cluster.log = [second];
    await cluster.streamEnds(1);
    cluster.container = 'b';
    cluster.tell({});
    cluster.says(second, third);
    await time.clock.tickAsync(1_000);
    assert.deepEqual(kinds(pod), ['hello', 'one', 'two', 'three']);
    assert.equal(pod.end, null);
  });

  it('is whole, where the server closed the stream and the pod was gone then', async () => {
    const { cluster, pod } = started('a');
    cluster.says(hello);
    cluster.uid = null;
    await cluster.streamEnds(0);
    assert.deepEqual([kinds(pod), pod.end], [['hello'], 'heard']);
  });

  it('is lost, where the stream broke and the pod was gone then', async () => {
    const { cluster, pod } = started('a');
    cluster.says(hello);
    cluster.uid = null;
    await cluster.streamEnds(1);
    assert.deepEqual([kinds(pod), pod.end], [['hello'], 'lost']);
  });

  it('is nothing of another pod that has the name by then', async () => {
    const { cluster, pod } = started('a');
    cluster.says(hello);
    cluster.uid = 'another';
    cluster.log = [first];
    await cluster.streamEnds(0);
    assert.deepEqual([kinds(pod), pod.end], [['hello'], 'heard']);
  });

  it('ends the waiting, where kubectl fails', async () => {
    const { cluster, pods } = started('a');
    cluster.refusal = 'Unauthorized';
    await cluster.streamEnds(1);
    assert.match(pods.failure ?? '', /^web-0: .*Unauthorized/);
  });
});

/** A cluster of one pod, whose container runs. */
function started(container: string): { readonly cluster: FakeCluster; readonly pods: Pods; readonly pod: Pod } {
  const cluster = new FakeCluster(container);
  const pods = new Pods(cluster as unknown as Kubectl);
  pods.watch();
  cluster.tell({});
  const [pod] = pods.all;
  assert.ok(pod !== undefined);
  return { cluster, pods, pod };
}

/** In place of kubectl and what is behind it. */
class FakeCluster {
  container: string;
  uid: string | null = 'uid';
  terminated = false;
  log: string[] = [];
  readonly previous: string[] = [];
  refusal: string | null = null;
  #isDraining = false;
  readonly #first: string;
  #onEvent: (line: string) => void = () => undefined;
  #stream: { readonly onLine: (line: string) => void; readonly end: (code: number) => void } | null = null;

  constructor(container: string) {
    this.container = container;
    this.#first = container;
  }

  /** An event of the watch. */
  tell({ isDraining = false }: { readonly isDraining?: boolean }): void {
    this.#isDraining = isDraining;
    this.#onEvent(JSON.stringify({ type: 'MODIFIED', object: this.#object() }));
  }

  /** Lines that come through the stream. */
  says(...lines: readonly string[]): void {
    this.log = [...new Set([...this.log, ...lines])];
    for (const one of lines) this.#stream?.onLine(one);
  }

  async streamEnds(code: number): Promise<void> {
    this.#stream?.end(code);
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  }

  follow(args: readonly string[], onLine: (line: string) => void): Following {
    if (args[0] === 'get') {
      this.#onEvent = onLine;
      return { ended: new Promise(() => undefined), stop: () => undefined };
    }
    const ended = new Promise<number>((end) => (this.#stream = { onLine, end }));
    return { ended, stop: () => undefined };
  }

  run(args: readonly string[]): Promise<string> {
    if (this.uid === null) return Promise.reject(new Error('Error from server (NotFound): pods "web-0" not found'));
    return Promise.resolve((args.includes('--previous') ? this.previous : this.log).join('\n'));
  }

  json(): Promise<unknown> {
    if (this.refusal !== null) return Promise.reject(new Error(this.refusal));
    if (this.uid === null) return Promise.reject(new Error('Error from server (NotFound): pods "web-0" not found'));
    return Promise.resolve(this.#object());
  }

  #object(): object {
    const hasRestarted = this.container !== this.#first;
    return {
      metadata: {
        ...{ name: 'web-0', uid: this.uid, labels: { app: 'web' } },
        ...(this.#isDraining && { deletionTimestamp: 'now' }),
      },
      status: {
        containerStatuses: [
          {
            ...{ containerID: this.container, restartCount: hasRestarted ? 1 : 0 },
            state: this.terminated ? { terminated: {} } : { running: {} },
            ...(hasRestarted && { lastState: { terminated: { containerID: this.#first } } }),
          },
        ],
      },
    };
  }
}

function line(second: number, kind: string): string {
  return `2026-11-25T13:00:0${second}.123456789Z ${JSON.stringify({ kind })}`;
}

function kinds({ reports }: Pod): string[] {
  return reports.map(({ kind }) => kind);
}

import type { Following, Kubectl } from './kubectl.ts';

/** One life of a pod name, and what its process has reported. */
export interface Pod {
  readonly name: string;
  readonly uid: string;
  readonly app: string;
  /** Places in the API's order of changes, for "before" and "after"; `null` while it has not happened. */
  readonly createdAt: number;
  readyAt: number | null;
  goneAt: number | null;
  address: string | null;
  isReady: boolean;
  isTerminating: boolean;
  restarts: number;
  /** The ID of its container, another after each restart; `null` before the first runs. */
  container: string | null;
  /** That one is over, and its last line was heard; or the pod was gone before it could be. */
  end: 'heard' | 'lost' | null;
  /** The lines of its log, and those among them that are reports, in the order of their times. */
  readonly heard: Set<string>;
  readonly reports: Report[];
}

/** A JSON line of a pod's program, with the time at which its node got it. */
export interface Report {
  readonly at: number;
  readonly kind: string;
  readonly [field: string]: unknown;
}

interface PodObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly status?: {
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly containerStatuses?: readonly {
      readonly restartCount: number;
      readonly containerID?: string;
      readonly image: string;
      readonly state?: {
        readonly running?: object;
        readonly terminated?: object;
        readonly waiting?: { readonly reason?: string; readonly message?: string };
      };
      readonly lastState?: { readonly terminated?: { readonly containerID?: string } };
    }[];
  };
}

/** Every pod of the namespace that ever was, as the API tells it, and every line that one of them printed. */
export class Pods {
  /** In the order in which they were created. */
  readonly all: Pod[] = [];
  /** Why waiting is in vain, as soon as the cluster says so. */
  failure: string | null = null;
  readonly #kubectl: Kubectl;
  /** By container ID. */
  readonly #followed = new Map<string, Following>();
  #watching: Following | null = null;
  #changes = 0;
  #isClosed = false;

  constructor(kubectl: Kubectl) {
    this.#kubectl = kubectl;
  }

  /** Begins to look. */
  watch(): void {
    let lines: string[] = [];
    const args = ['get', 'pods', '--watch', '--output-watch-events', '-o', 'json'];
    const watching = this.#kubectl.follow(args, (line) => {
      lines.push(line);
      // One object a line, or indented over several lines: then a brace in the first column ends it.
      if (line === '{' || (lines.length > 1 && line !== '}')) return;
      const event = JSON.parse(lines.join('\n')) as { type: string; object: PodObject };
      lines = [];
      this.#apply(event.type, event.object);
    });
    this.#watching = watching;
    void watching.ended.then(() => this.#watchAgain()).catch((error: unknown) => (this.failure = String(error)));
  }

  /** Those that are there now, the draining ones included, by name. */
  living(app: string): Pod[] {
    const living = this.all.filter((pod) => pod.app === app && pod.goneAt === null);
    return living.sort((a, b) => a.name.localeCompare(b.name));
  }

  /** The reports of all lives of that app. */
  reports(app: string, kind: string): Report[] {
    const reports = this.all.filter((pod) => pod.app === app).flatMap((pod) => pod.reports);
    return reports.filter((report) => report.kind === kind).sort((a, b) => a.at - b.at);
  }

  close(): void {
    this.#isClosed = true;
    for (const following of this.#followed.values()) following.stop();
    this.#watching?.stop();
  }

  /** The API server ends a watch now and then; the next begins with all that is there, and not with what went. */
  async #watchAgain(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 500));
    if (this.#isClosed) return;
    const { items } = await this.#kubectl.json<{ items: PodObject[] }>(['get', 'pods']);
    const uids = new Set(items.map(({ metadata }) => metadata.uid));
    for (const pod of this.all) if (!uids.has(pod.uid)) pod.goneAt ??= this.#changes++;
    this.watch();
  }

  #apply(type: string, { metadata, status }: PodObject): void {
    const change = this.#changes++;
    let pod = this.all.find(({ uid }) => uid === metadata.uid);
    if (pod === undefined) {
      const { name, uid, labels } = metadata;
      const unborn = { readyAt: null, goneAt: null, address: null, isReady: false, isTerminating: false };
      const silent = { restarts: 0, container: null, end: null, heard: new Set<string>(), reports: [] };
      pod = { name, uid, app: labels?.['app'] ?? '', createdAt: change, ...unborn, ...silent };
      this.all.push(pod);
    }
    pod.address = status?.podIP ?? pod.address;
    pod.isReady = status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') ?? false;
    pod.isTerminating = metadata.deletionTimestamp !== undefined;
    if (pod.isReady) pod.readyAt ??= change;
    if (type === 'DELETED') pod.goneAt = change;

    for (const container of status?.containerStatuses ?? []) {
      pod.restarts = container.restartCount;
      const { containerID, state } = container;
      if (containerID !== undefined && state?.running !== undefined) this.#follow(pod, containerID);
      const reason = state?.waiting?.reason ?? '';
      if (/^Err|BackOff|Invalid|^Create.*Error/.test(reason)) {
        const hint = reason.includes('Image') ? imageHint : '';
        this.failure = `${pod.name}: ${reason} (${container.image}): ${state?.waiting?.message ?? ''}.${hint}`;
      }
    }
  }

  #follow(pod: Pod, container: string): void {
    if (this.#followed.has(container) || this.#isClosed) return;
    pod.container = container;
    pod.end = null;
    const following = this.#kubectl.follow([...logsOf(pod), '--follow'], (line) => hear(pod, [line]));
    this.#followed.set(container, following);
    following.ended
      // The server closes the stream of a container that is over; one that breaks is an error.
      .then((code) => this.#readToTheEnd(pod, container, code === 0))
      .then((end) => {
        if (pod.container === container) pod.end = end;
      })
      .catch((error: unknown) => (this.failure ??= `${pod.name}: ${String(error)}`));
  }

  /**
   * Reads again what a stream told that has ended: the container is over, or only the stream broke. Which of them, the API
   * knows later, and not at all when the pod is gone by then.
   */
  async #readToTheEnd(pod: Pod, container: string, isClosedByServer: boolean): Promise<Pod['end']> {
    let isWhole = isClosedByServer;
    let place: Place = 'running';
    while (!this.#isClosed) {
      const args = place === 'before' ? ['--previous'] : [];
      const text = await this.#kubectl.run([...logsOf(pod), ...args]).catch(() => null);
      // The name may be another pod's by now: only where it is still this one's, the text was.
      const before: Place = place;
      place = await this.#placeOf(pod, container);
      if (place === 'gone') return isWhole ? 'heard' : 'lost';
      if (text !== null && hear(pod, text.split('\n'))) isWhole = false;
      if (text !== null && place !== 'running' && place === before) return 'heard';
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    return null;
  }

  async #placeOf({ name, uid }: Pod, container: string): Promise<Place> {
    const now = await this.#kubectl.json<PodObject>(['get', 'pod', name]).catch((error: unknown) => {
      if (String(error).includes('NotFound')) return null;
      throw error;
    });
    if (now?.metadata.uid !== uid) return 'gone';
    for (const { containerID, state, lastState } of now.status?.containerStatuses ?? []) {
      if (containerID === container) return state?.terminated === undefined ? 'running' : 'over';
      if (lastState?.terminated?.containerID === container) return 'before';
    }
    return 'gone';
  }
}

/** Where the log of a container is: that of its pod, still written or not; that of the one before; nowhere. */
type Place = 'running' | 'over' | 'before' | 'gone';

/**
 * Takes each line once, however often it is read, in the order of their times.
 *
 * @returns whether one of them is new
 */
function hear(pod: Pod, lines: readonly string[]): boolean {
  // Times are in nanoseconds: no two lines are the same.
  const fresh = lines.filter((line) => line !== '' && !pod.heard.has(line));
  for (const line of fresh) {
    pod.heard.add(line);
    const report = reportOf(line);
    if (report === null) continue;
    const before = pod.reports.findLastIndex(({ at }) => at <= report.at);
    pod.reports.splice(before + 1, 0, report);
  }
  return fresh.length > 0;
}

function logsOf({ name }: Pod): string[] {
  return ['logs', '--timestamps', name, '-c', 'app'];
}

const imageHint = `
Do the nodes have it? On kind: kind load docker-image IMAGE. Another name than that of the manifests: STATEFUL_PEERS_IMAGE.`;

/** `2026-11-25T13:00:00.123456789Z {"kind":"hello",…}`; `null` for what is no report. */
function reportOf(line: string): Report | null {
  const space = line.indexOf(' ');
  const json = line.slice(space + 1);
  if (!json.startsWith('{')) return null;
  try {
    return { at: Date.parse(line.slice(0, space)), ...(JSON.parse(json) as { kind: string }) };
  } catch {
    return null;
  }
}

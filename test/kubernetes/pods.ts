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
  /** Its last line has been heard. */
  hasEnded: boolean;
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
      readonly image: string;
      readonly state?: {
        readonly running?: object;
        readonly waiting?: { readonly reason?: string; readonly message?: string };
      };
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
  readonly #followed = new Map<string, Following>();
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
    this.#followed.set('watch', watching);
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
      const silent = { restarts: 0, hasEnded: false, reports: [] };
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
      if (container.state?.running !== undefined) this.#follow(pod);
      const reason = container.state?.waiting?.reason ?? '';
      if (/^Err|BackOff|Invalid|^Create.*Error/.test(reason)) {
        const hint = reason.includes('Image') ? imageHint : '';
        this.failure = `${pod.name}: ${reason} (${container.image}): ${container.state?.waiting?.message ?? ''}.${hint}`;
      }
    }
  }

  #follow(pod: Pod): void {
    const { restarts } = pod;
    const key = `${pod.uid} ${restarts}`;
    if (this.#followed.has(key) || this.#isClosed) return;
    const before = pod.reports.length;
    const args = ['logs', '--follow', '--timestamps', pod.name, '-c', 'app'];
    const following = this.#kubectl.follow(args, (line) => {
      const report = reportOf(line);
      if (report !== null) pod.reports.push(report);
    });
    this.#followed.set(key, following);
    void following.ended.then(async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      const isOver = pod.goneAt !== null || pod.isTerminating;
      pod.hasEnded = isOver;
      if (isOver || this.#isClosed || pod.restarts !== restarts) return;
      // A stream that broke is read again, from its start.
      pod.reports.length = before;
      this.#followed.delete(key);
      this.#follow(pod);
    });
  }
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

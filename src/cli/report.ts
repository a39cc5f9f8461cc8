/** Pod names and where they are believed to be: `127.1.0.1:7000`. */
export type Addresses = Readonly<Record<string, string | null>>;

/** What a process of the story says about itself. Times are milliseconds. */
export type Said =
  | {
      readonly kind: 'hello';
      readonly podName: string | null;
      readonly address: string;
      readonly service: string;
      readonly pid?: number;
    }
  | { readonly kind: 'listening'; readonly address: string }
  | {
      readonly kind: 'event';
      readonly name: string;
      readonly version: number;
      readonly podName: string | null;
      readonly cause: string;
      readonly address?: string | null;
      readonly presence?: string | null;
    }
  | { readonly kind: 'topology'; readonly version: number; readonly primary: string | null; readonly peers: Addresses }
  | { readonly kind: 'freshness'; readonly state: string; readonly failure: string | null }
  | { readonly kind: 'turn'; readonly primary: string | null; readonly peers: Addresses; readonly error: string | null }
  /** A connection to where `target` was believed to be, and the pod name that was answered there. */
  | {
      readonly kind: 'contact';
      readonly target: string;
      readonly address: string;
      readonly answered: string | null;
      /** By the clock of the process that says it; to be compared with its own times only. */
      readonly begunAt: number;
      readonly endedAt: number;
    }
  /** A write, and who answered it; `status` is `null` when nobody did. */
  | {
      readonly kind: 'write';
      /** `following`: through the library. `plain`: through an undici Agent without it. */
      readonly writer: string;
      readonly id: string;
      readonly status: number | null;
      readonly pod: string | null;
      readonly error: string | null;
    }
  /** The writer has finished what it had begun. */
  | { readonly kind: 'finished' }
  /** What one of the pods could not do, in words. */
  | { readonly kind: 'trouble'; readonly what: string }
  | Resolved;

/** An answer of DNS to a plain resolver. */
export interface Resolved {
  readonly kind: 'resolved';
  readonly name: string;
  /** IP addresses, without a port. Empty when there is an `error`. */
  readonly addresses: readonly string[];
  readonly error: string | null;
  readonly ttlMs: number;
  /** As a process says it: by the machine's monotonic clock. In the record: since the start of the story. */
  readonly askedAt: number;
  readonly answeredAt: number;
}

/** What the cluster did, or its readiness probe saw. */
export type Done =
  | { readonly kind: 'act'; readonly name: Act; readonly title: string }
  /** An act that cannot be played on this system. */
  | { readonly kind: 'skipped'; readonly name: Act; readonly why: string }
  | { readonly kind: 'process'; readonly name: string; readonly pid: number }
  | { readonly kind: 'replicas'; readonly count: number }
  | { readonly kind: 'ready'; readonly podName: string; readonly address: string }
  | { readonly kind: 'unready'; readonly podName: string }
  | { readonly kind: 'gone'; readonly podName: string; readonly address: string }
  | { readonly kind: 'fault'; readonly what: string; readonly isOn: boolean }
  /** The entries that a pod has at the end, by their IDs. */
  | { readonly kind: 'entries'; readonly podName: string; readonly ids: readonly string[] }
  /** What was waited for did not come. */
  | { readonly kind: 'late'; readonly what: string };

/** The acts of the story, in their order. */
export const acts = ['start', 'delete', 'scale', 'rollout', 'servfail', 'nxdomain', 'handover'] as const;

/** An act of the story, or the time after it. */
export type Act = (typeof acts)[number] | 'keep';

/** One line of the record that the verdict is computed from. */
export interface Report {
  /** Whole milliseconds since the start of the story. */
  readonly at: number;
  readonly act: Act;
  /** `cluster`, `observer`, `outsider`, `writer`, `loop`, or a pod's process: `web-0#2` is the second one of that name. */
  readonly from: string;
  readonly what: Said | Done;
}

const saidKinds = new Set([
  ...['hello', 'listening', 'event', 'topology', 'freshness', 'turn', 'contact', 'resolved'],
  ...['write', 'finished', 'trouble'],
]);

/** Whether a message from a child is a report. The children are programs of this package: their fields are trusted. */
export function isSaid(message: unknown): message is Said {
  return (
    typeof message === 'object' &&
    message !== null &&
    'kind' in message &&
    typeof message.kind === 'string' &&
    saidKinds.has(message.kind)
  );
}

/** What kinds of reports there are. */
export type Kind = Report['what']['kind'];

/** A report of that kind. */
export type Of<K extends Kind> = Omit<Report, 'what'> & { readonly what: Extract<Said | Done, { readonly kind: K }> };

/** The reports of that kind, in their order. */
export function of<K extends Kind>(reports: readonly Report[], kind: K): Of<K>[] {
  return reports.filter((report): report is Report & Of<K> => report.what.kind === kind);
}

/** What was reported while that act's fault was on. */
export function duringFault(reports: readonly Report[], act: Act): Report[] {
  const edge = (isOn: boolean): number =>
    reports.findIndex((one) => one.act === act && one.what.kind === 'fault' && one.what.isOn === isOn);
  const [from, to] = [edge(true), edge(false)];
  return from === -1 || to === -1 ? [] : reports.slice(from, to);
}

/** The acts that were not left out as impossible here. */
export function playableActs(reports: readonly Report[]): Act[] {
  const skipped = new Set(of(reports, 'skipped').map(({ what }) => what.name));
  return acts.filter((act) => !skipped.has(act));
}

/** Whether another pod answered than the one that was meant. */
export function isStranger({ target, answered }: Extract<Said, { readonly kind: 'contact' }>): boolean {
  return answered !== null && answered !== target;
}

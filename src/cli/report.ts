/** Pod names and the addresses that they are believed to have. */
export type Addresses = Readonly<Record<string, string | null>>;

/** What a process of the story says about itself. */
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
    };

/** What the cluster did, or its readiness probe saw. */
export type Done =
  | { readonly kind: 'act'; readonly name: Act; readonly title: string }
  | { readonly kind: 'replicas'; readonly count: number }
  | { readonly kind: 'ready'; readonly podName: string; readonly address: string }
  | { readonly kind: 'gone'; readonly podName: string; readonly address: string }
  | { readonly kind: 'fault'; readonly what: string; readonly isOn: boolean }
  /** What was waited for did not come. */
  | { readonly kind: 'late'; readonly what: string };

/** The acts of the story. */
export type Act = 'start' | 'delete' | 'scale' | 'rollout' | 'servfail' | 'nxdomain' | 'handover';

/** One line of the record that the verdict is computed from. */
export interface Report {
  /** Milliseconds since the start of the story. */
  readonly at: number;
  readonly act: Act;
  /** `cluster`, `observer`, `loop`, or a pod's process: `web-0#2` is the second one of that name. */
  readonly from: string;
  readonly what: Said | Done;
}

const saidKinds = new Set(['hello', 'listening', 'event', 'topology', 'freshness', 'turn', 'contact']);

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

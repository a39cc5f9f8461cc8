import type { Channel } from 'node:diagnostics_channel';
import { diagnosticsChannel, late } from './late-modules.ts';

/**
 * What `stateful-peers:question:start` and `:end` carry: the same object twice, with its end filled in. One pair for
 * each DNS question, however many servers were asked.
 */
export interface QuestionMessage {
  /** The name that was asked, no final dot. */
  readonly name: string;
  /** The type that was asked. */
  readonly type: string;
  /** How it ended; absent at the start. `abandoned` when the library was closed meanwhile. */
  outcome?: 'found' | 'nxdomain' | 'nodata' | 'failed' | 'abandoned';
  /** The kind of failure, where it failed. */
  reason?: string;
  /** How long it took, in milliseconds; absent at the start. */
  durationMs?: number;
}

/**
 * What `stateful-peers:connection:start` and `:end` carry: the same object twice, with its end filled in. One pair for
 * each connection that the library makes: from the first packet to the close, or to the failure.
 */
export interface ConnectionMessage {
  /** The pod that is meant. */
  readonly podName: string;
  /** Where it is dialled. */
  readonly address: string;
  /** At which port. */
  readonly port: number;
  /** Whether it was ever connected (with TLS: whether the handshake was finished). */
  connected?: boolean;
  /** What ended it; absent for a clean end, and at the start. */
  error?: unknown;
  /** From the start to the end, in milliseconds; absent at the start. */
  durationMs?: number;
}

/** What `stateful-peers:worker:stuck` carries: a worker of `follow` or `lead` that goes on although its signal aborted. */
export interface WorkerMessage {
  /** `follow` or `lead`. */
  readonly kind: 'follow' | 'lead';
  /** The pod it ran against. */
  readonly podName: string;
  /** For how long it has ignored the signal, in milliseconds. */
  readonly ignoredForMs: number;
  /** Why it was to end: the reason of its signal. */
  readonly reason: unknown;
}

/**
 * The channels of node:diagnostics_channel. Publishing costs nothing while nobody subscribes. Names and messages are
 * covered by semver.
 */
export const channels: () => Readonly<
  Record<'questionStart' | 'questionEnd' | 'connectionStart' | 'connectionEnd' | 'workerStuck', Channel>
> = late(() => {
  const { channel } = diagnosticsChannel();
  return Object.freeze({
    questionStart: channel('stateful-peers:question:start'),
    questionEnd: channel('stateful-peers:question:end'),
    connectionStart: channel('stateful-peers:connection:start'),
    connectionEnd: channel('stateful-peers:connection:end'),
    workerStuck: channel('stateful-peers:worker:stuck'),
  });
});

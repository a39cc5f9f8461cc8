import type { PeerDiscovery } from '../../src/peer-discovery.ts';
import type { PeerMovedEvent } from '../../src/topology/events.ts';
import type { Peer } from '../../src/topology/topology.ts';
import type { AnswerLog } from './answer-log.ts';

/** What the library was told to wait for, in milliseconds. */
export interface Windows {
  readonly missingAfterMs: number;
  readonly removeAfterMs: number;
  readonly deadlineMs: number;
}

/**
 * Holds what the library says against the answers that it got: nobody is missing or removed who was not absent for the
 * window (promise 6), nobody is anywhere that no answer gave, and nobody goes back by rumour (promise 8).
 *
 * @param reportedAt - when a connection was last reported on: a report may end a rumour's time sooner
 * @returns the sentences that did not hold, growing; to be found empty
 */
export function watchAnswers(
  peers: PeerDiscovery,
  log: AnswerLog,
  { missingAfterMs, removeAfterMs, deadlineMs }: Windows,
  reportedAt: () => number,
): readonly string[] {
  const broken: string[] = [];
  const formerly = new Set<string>();

  const wasAbsent = ({ podName }: Peer, windowMs: number, what: string): void => {
    const absentMs = log.absentForMs(podName);
    if (absentMs < windowMs) broken.push(`${podName} is ${what} after ${absentMs} ms of absence, of ${windowMs}`);
  };
  const wasShown = ({ podName, addresses }: Peer): void => {
    for (const { address } of addresses) {
      if (log.sinceShownMs(podName, address) === Infinity) broken.push(`${podName} was never shown at ${address}`);
    }
  };
  const isNoRumour = ({ previous, current: { podName }, gained, lost }: PeerMovedEvent): void => {
    for (const { address, family } of gained) {
      const successor = lost.find((one) => one.family === family)?.address;
      const isReported = performance.now() - reportedAt() < reportsMatterMs;
      if (successor === undefined || isReported || !formerly.has(`${podName} ${address}`)) continue;
      const sinceMs = log.sinceShownMs(podName, successor);
      if (sinceMs < holdMs) broken.push(`${podName} is back at ${address}, ${sinceMs} ms after ${successor} was shown`);
    }
    for (const { address } of previous.addresses) formerly.add(`${podName} ${address}`);
  };

  peers.on('presenceChanged', ({ current }) => {
    if (current.presence === 'missing') wasAbsent(current, missingAfterMs, 'missing');
    if (current.presence === 'unpublished') wasAbsent(current, removeAfterMs, 'unpublished');
  });
  peers.on('peerRemoved', ({ previous }) => {
    wasAbsent(previous, removeAfterMs, 'removed');
    const sinceMs = log.sinceOwnNameDeniedMs(previous.podName);
    if (sinceMs > deadlineMs) broken.push(`${previous.podName} was removed, and its own name not asked`);
  });
  peers.on('peerAdded', ({ current }) => {
    wasShown(current);
  });
  peers.on('peerMoved', (event) => {
    if (!event.current.isSelf) wasShown(event.current);
    isNoRumour(event);
  });
  return broken;
}

/** How long a successor must not have been shown. */
const holdMs = 15_000;
/** What a report changes is over by then: a bar of 15 s, and a doubt that it shortened. */
const reportsMatterMs = 30_000;

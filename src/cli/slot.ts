import { setTimeout as pause } from 'node:timers/promises';
import type { Pod, PodProcess } from '../testing/pod.ts';
import { accepts, placeOf } from './place.ts';

const probeMs = 250;

/**
 * Stands for a pod's container that somebody else runs: the pod is Ready while something listens at its address, and
 * so DNS names it for that time.
 */
export function slotIn(pod: Pod): PodProcess {
  const closing = new AbortController();
  const end = (): void => closing.abort();
  return { stopped: probe(pod, closing.signal), stop: end, kill: end };
}

async function probe(pod: Pod, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // A pod that has gone meanwhile takes no notice.
    if (await accepts(placeOf(pod))) pod.markReady();
    else pod.markUnready();
    await pause(probeMs, undefined, { signal }).catch(() => undefined);
  }
}

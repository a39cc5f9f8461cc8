import type { Act, Report } from './report.ts';
import { duringFault, isStranger, of, playableActs } from './report.ts';

/** One claim of the story, and what it was computed from. */
export interface Claim {
  readonly claim: string;
  readonly holds: boolean;
  /** Numbers from the reports. */
  readonly from: string;
}

/** Whatever can be played on this system. */
export function storyEnded(reports: readonly Report[]): Claim {
  const late = of(reports, 'late').map(({ what }) => what.what);
  const played = new Set(of(reports, 'act').map(({ what }) => what.name));
  const playable = playableActs(reports);
  const isComplete = playable.length > 1 && playable.every((act) => played.has(act));
  return {
    claim: 'every act was played, and ended as it should',
    holds: late.length === 0 && isComplete,
    from: `${played.size} of ${playable.length} acts${late.length > 0 ? `; waited in vain for: ${late.join('; ')}` : ''}`,
  };
}

/** The order is the cluster's; that the story has it is what the other claims stand on. */
export function orderedStart(reports: readonly Report[]): Claim {
  const ready = reports.findIndex(({ what }) => what.kind === 'ready' && what.podName === 'web-0');
  const hello = reports.findIndex(({ what }) => what.kind === 'hello' && what.podName === 'web-1');
  const at = (index: number): string => reports[index]?.at.toFixed(0) ?? 'never';
  return {
    claim: 'web-1 was started only after web-0 was Ready',
    holds: ready !== -1 && hello > ready,
    from: `web-0 Ready at ${at(ready)} ms, web-1's first words at ${at(hello)} ms`,
  };
}

/** Each process was told by its environment alone. */
export function ownNames(reports: readonly Report[]): Claim {
  const hellos = of(reports, 'hello');
  const right = hellos.filter(({ from, what }) => what.podName !== null && from.startsWith(`${what.podName}#`));
  return {
    claim: 'every pod process knew its own name',
    holds: hellos.length > 0 && right.length === hellos.length,
    from: `${right.length} of ${hellos.length} processes`,
  };
}

/** And the client outside was told of a move, not of a removal and an addition. */
export function newAddresses(reports: readonly Report[]): Claim {
  const last = (podName: string, act: Act): string | undefined =>
    of(reports, 'ready').findLast((one) => one.act === act && one.what.podName === podName)?.what.address;
  const seen = ['web-0', 'web-1'].map((podName) => ({
    podName,
    before: last(podName, 'start'),
    after: last(podName, 'delete'),
    moved: of(reports, 'event').some(
      ({ from, act, what }) =>
        from === 'observer' && act === 'delete' && what.name === 'peerMoved' && what.podName === podName,
    ),
  }));
  return {
    claim: 'deleted pods came back with the same name at another address, and the library called it a move',
    holds: seen.every(
      ({ before, after, moved }) => before !== undefined && after !== undefined && before !== after && moved,
    ),
    from: seen
      .map(
        ({ podName, before, after, moved }) =>
          `${podName} ${before ?? '?'} -> ${after ?? '?'}${moved ? '' : ' (no move reported)'}`,
      )
      .join(', '),
  };
}

/** Of all processes: a removal is right while fewer replicas are wanted. */
export function rightRemovals(reports: readonly Report[]): Claim {
  let replicas = 0;
  let right = 0;
  const wrong: string[] = [];
  for (const { from, what } of reports) {
    if (what.kind === 'replicas') replicas = what.count;
    if (what.kind !== 'event' || what.name !== 'peerRemoved') continue;
    const ordinal = Number(what.podName?.split('-').at(-1));
    if (ordinal >= replicas) right += 1;
    else wrong.push(`${from} removed ${what.podName ?? '?'}`);
  }
  return {
    claim: 'the library removed a pod that was scaled away, and no other, ever',
    holds: right > 0 && wrong.length === 0,
    from: `${right} right removals, ${wrong.length} wrong${wrong.length > 0 ? `: ${wrong.join(', ')}` : ''}`,
  };
}

/** A process that looks before anybody is Ready rightly sees no primary; once it saw one, it must not lose it. */
export function onePrimary(reports: readonly Report[]): Claim {
  const seenBy = new Set<string>();
  let wrong = 0;
  let lost = 0;
  const snapshots = of(reports, 'topology');
  for (const { from, what } of snapshots) {
    if (what.primary === 'web-0') seenBy.add(from);
    else if (what.primary !== null) wrong += 1;
    else if (seenBy.has(from)) lost += 1;
  }
  return {
    claim: 'every process that saw a primary saw web-0, and never lost it again',
    holds: seenBy.has('observer') && wrong === 0 && lost === 0,
    from: `${snapshots.length} snapshots, web-0 seen by ${seenBy.size} processes; ${wrong} with another primary, ${lost} that lost it`,
  };
}

const eventRank = [
  'peerRemoved',
  'peerAdded',
  'peerMoved',
  'presenceChanged',
  'primaryChanged',
  'roleChanged',
  'topologyChanged',
];

/** Within a version by rank, `topologyChanged` last; the next event is of the next version. */
export function eventOrder(reports: readonly Report[]): Claim {
  const events = of(reports, 'event');
  const processes = new Set(events.map(({ from }) => from));
  let wrong = 0;
  for (const process of processes) {
    let version = 1;
    let rank = 0;
    for (const { what } of events.filter(({ from }) => from === process)) {
      const now = eventRank.indexOf(what.name);
      if (what.version !== version || now < rank) wrong += 1;
      const isLast = what.name === 'topologyChanged';
      version = isLast ? what.version + 1 : what.version;
      rank = isLast ? 0 : now;
    }
  }
  return {
    claim: 'every event came in order, versions without a gap',
    holds: events.length > 0 && wrong === 0,
    from: `${events.length} events of ${processes.size} processes, ${wrong} out of order`,
  };
}

/** While nothing changed but DNS was wrong: nobody was moved or removed, and every connection reached its pod. */
export function heldThrough(reports: readonly Report[], act: Act): Claim {
  const inFault = duringFault(reports, act).filter(({ from }) => from === 'observer');
  const contacts = of(inFault, 'contact');
  const reached = contacts.filter(({ what }) => what.answered === what.target);
  const changes = of(inFault, 'event');
  return {
    claim: `${act === 'servfail' ? 'SERVFAIL' : 'spurious NXDOMAIN'} changed nothing: no event, every connection reached its pod`,
    holds: contacts.length > 0 && reached.length === contacts.length && changes.length === 0,
    from: `${reached.length} of ${contacts.length} connections, ${changes.length} events`,
  };
}

/**
 * A stranger may be met before DNS is heard, by as many connections as are under way then. Once the first of them has
 * ended, the library is told, and begins no other to that address for that pod.
 */
export function strangersLeftAlone(reports: readonly Report[]): Claim {
  const met = of(reports, 'contact').filter(({ from, what }) => from === 'observer' && isStranger(what));
  const again = met.filter(({ what }) =>
    met.some(
      (earlier) =>
        earlier.what.target === what.target &&
        earlier.what.address === what.address &&
        earlier.what.endedAt < what.begunAt,
    ),
  );
  const handed = handedOver(reports);
  return {
    claim: 'an IP was handed from one pod to another; told of the stranger there, the library did not go there again',
    holds: handed !== null && again.length === 0,
    from: `${handed ?? 'no address was handed over'}; ${met.length} connections met a stranger, ${again.length} of them begun after the library was told`,
  };
}

function handedOver(reports: readonly Report[]): string | null {
  for (const { what, act } of of(reports, 'ready')) {
    if (act !== 'handover') continue;
    const before = of(reports, 'ready').find(
      (one) => one.act !== 'handover' && one.what.address === what.address && one.what.podName !== what.podName,
    );
    if (before !== undefined) return `${what.address} from ${before.what.podName} to ${what.podName}`;
  }
  return null;
}

/** Otherwise there is nothing to compare with. */
export function loopWasMeasured(reports: readonly Report[]): Claim {
  const turns = of(reports, 'turn');
  const missing = playableActs(reports).filter((act) => !turns.some((turn) => turn.act === act));
  return {
    claim: "today's loop ran beside it in every act",
    holds: turns.length > 0 && missing.length === 0,
    from: `${turns.length} turns${missing.length > 0 ? `, none during ${missing.join(', ')}` : ''}`,
  };
}

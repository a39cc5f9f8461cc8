import type { Act, Done, Report, Said } from './report.ts';

/** One claim of the story, and what it was computed from. */
export interface Claim {
  readonly claim: string;
  readonly holds: boolean;
  /** Numbers from the reports. */
  readonly from: string;
}

/** What the story showed. */
export interface Verdict {
  readonly passed: boolean;
  /** What the library promises. A claim that nothing was reported about does not hold. */
  readonly claims: readonly Claim[];
  /** What today's loop did. Nothing is promised there, but it must have been measured. */
  readonly measured: readonly string[];
}

/** Computes the verdict from nothing but the record of the story. */
export function verdictOf(reports: readonly Report[]): Verdict {
  const claims = [
    storyEnded(reports),
    orderedStart(reports),
    ownNames(reports),
    newAddresses(reports),
    rightRemovals(reports),
    onePrimary(reports),
    eventOrder(reports),
    heldThrough(reports, 'servfail'),
    heldThrough(reports, 'nxdomain'),
    strangersOnce(reports),
    loopWasMeasured(reports),
  ];
  return { passed: claims.every(({ holds }) => holds), claims, measured: measuredOf(reports) };
}

type Kind = (Said | Done)['kind'];
type Of<K extends Kind> = Omit<Report, 'what'> & { readonly what: Extract<Said | Done, { readonly kind: K }> };

const acts: readonly Act[] = ['start', 'delete', 'scale', 'rollout', 'servfail', 'nxdomain', 'handover'];

function storyEnded(reports: readonly Report[]): Claim {
  const late = of(reports, 'late').map(({ what }) => what.what);
  const played = new Set(of(reports, 'act').map(({ what }) => what.name));
  const skipped = acts.filter((act) => !played.has(act));
  return {
    claim: 'every act was played, and ended as it should',
    holds: late.length === 0 && skipped.length === 0,
    from: `${played.size} of ${acts.length} acts${late.length > 0 ? `; waited in vain for: ${late.join('; ')}` : ''}`,
  };
}

function orderedStart(reports: readonly Report[]): Claim {
  const ready = reports.findIndex(({ what }) => what.kind === 'ready' && what.podName === 'web-0');
  const hello = reports.findIndex(({ what }) => what.kind === 'hello' && what.podName === 'web-1');
  const at = (index: number): string => reports[index]?.at.toFixed(0) ?? 'never';
  return {
    claim: 'web-1 was started only after web-0 was Ready',
    holds: ready !== -1 && hello > ready,
    from: `web-0 Ready at ${at(ready)} ms, web-1's first words at ${at(hello)} ms`,
  };
}

function ownNames(reports: readonly Report[]): Claim {
  const hellos = of(reports, 'hello');
  const right = hellos.filter(({ from, what }) => what.podName !== null && from.startsWith(`${what.podName}#`));
  return {
    claim: 'every pod process knew its own name',
    holds: hellos.length > 0 && right.length === hellos.length,
    from: `${right.length} of ${hellos.length} processes`,
  };
}

function newAddresses(reports: readonly Report[]): Claim {
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
    claim: 'deleted pods came back with the same name and a new IP, and the library called it a move',
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

function rightRemovals(reports: readonly Report[]): Claim {
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
function onePrimary(reports: readonly Report[]): Claim {
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
function eventOrder(reports: readonly Report[]): Claim {
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
function heldThrough(reports: readonly Report[], act: Act): Claim {
  const inFault = between(reports, act).filter(({ from }) => from === 'observer');
  const contacts = of(inFault, 'contact');
  const reached = contacts.filter(({ what }) => what.answered === what.target);
  const changes = of(inFault, 'event');
  return {
    claim: `${act === 'servfail' ? 'SERVFAIL' : 'spurious NXDOMAIN'} changed nothing: no event, every connection reached its pod`,
    holds: contacts.length > 0 && reached.length === contacts.length && changes.length === 0,
    from: `${reached.length} of ${contacts.length} connections, ${changes.length} events`,
  };
}

/** A stranger may be met once, before DNS is heard; then it is reported, and the address is no longer that pod's. */
function strangersOnce(reports: readonly Report[]): Claim {
  const played = reports.some(({ what }) => what.kind === 'act' && what.name === 'handover');
  const met = of(reports, 'contact').filter(({ from, what }) => from === 'observer' && isStranger(what));
  const handed = handedOver(reports);
  const times = new Map<string, number>();
  for (const { what } of met) {
    const key = `${what.target} at ${what.address}`;
    times.set(key, (times.get(key) ?? 0) + 1);
  }
  const again = [...times].filter(([, count]) => count > 1);
  return {
    claim: 'an IP was handed from one pod to another; the library met a stranger there at most once',
    holds: played && handed !== null && again.length === 0,
    from: `${handed ?? 'no address was handed over'}; ${met.length} strangers met by the library, ${again.length} more than once`,
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

function loopWasMeasured(reports: readonly Report[]): Claim {
  const turns = of(reports, 'turn');
  const missing = acts.filter((act) => !turns.some((turn) => turn.act === act));
  return {
    claim: "today's loop ran beside it in every act",
    holds: missing.length === 0,
    from: `${turns.length} turns${missing.length > 0 ? `, none during ${missing.join(', ')}` : ''}`,
  };
}

function measuredOf(reports: readonly Report[]): string[] {
  // Before it first saw anybody it believed nothing wrong.
  const turns = of(reports, 'turn').filter(({ act }) => act !== 'start');
  const empty = turns.filter(({ what }) => Object.keys(what.peers).length === 0);
  const usurped = turns.filter(({ what }) => what.primary !== null && what.primary !== 'web-0');
  const side = (name: string): string => {
    const contacts = of(reports, 'contact').filter(({ from }) => from === name);
    const strangers = contacts.filter(({ what }) => isStranger(what));
    const failed = contacts.filter(({ what }) => what.answered === null);
    const departed = failed.filter(({ what }) => what.target === 'web-2').length;
    return `${contacts.length} connections, ${strangers.length} answered by another pod, ${failed.length} by nobody (${departed} of them to web-2, which came and went)`;
  };
  const reachedInFaults = (name: string): number =>
    (['servfail', 'nxdomain'] as const)
      .flatMap((act) => of(between(reports, act), 'contact'))
      .filter(({ from, what }) => from === name && what.answered === what.target).length;
  return [
    `today's loop believed that nobody was there in ${empty.length} of ${turns.length} turns`,
    `today's loop took another pod for the primary in ${usurped.length} of ${turns.length} turns`,
    `while DNS failed or lied: today's loop reached the right pod ${reachedInFaults('loop')} times, stateful-peers ${reachedInFaults('observer')} times`,
    `today's loop: ${side('loop')}`,
    `stateful-peers: ${side('observer')}`,
  ];
}

function isStranger({ target, answered }: { readonly target: string; readonly answered: string | null }): boolean {
  return answered !== null && answered !== target;
}

/** What was reported while that act's fault was on. */
function between(reports: readonly Report[], act: Act): Report[] {
  const edge = (isOn: boolean): number =>
    reports.findIndex((one) => one.act === act && one.what.kind === 'fault' && one.what.isOn === isOn);
  const [from, to] = [edge(true), edge(false)];
  return from === -1 || to === -1 ? [] : reports.slice(from, to);
}

function of<K extends Kind>(reports: readonly Report[], kind: K): Of<K>[] {
  return reports.filter((report): report is Report & Of<K> => report.what.kind === kind);
}

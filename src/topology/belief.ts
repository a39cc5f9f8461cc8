import type { Failure } from '../errors.ts';
import type { Presence } from './topology.ts';

// The tables of docs/architecture.md, "Belief, precisely", as one pure file. Time comes in as a number of
// milliseconds from any monotonic clock. `decide` takes one answer as a whole; `doubt` and `bar` take what connections
// say.

/** IP families by number. */
export type Family = 4 | 6;

/** What one answer says of one family of one peer. */
export type FamilySighting =
  /** Addresses that a pod can have; at least one. */
  | { readonly kind: 'shown'; readonly addresses: readonly string[] }
  /** Asked, and the peer has none. */
  | { readonly kind: 'none' }
  /** Not asked, failed, or every address was refused. */
  | { readonly kind: 'unknown' };

/** What one answer says of one peer. */
export type Sighting =
  | {
      readonly kind: 'found';
      /** `undefined`: the answer does not say. `null`: it says that there is none, or several. */
      readonly port: number | null | undefined;
      readonly families: Readonly<Record<Family, FamilySighting>>;
    }
  /** `ownName`: its own name was asked too (or the resolver answers every name, so that SRV alone decides). */
  | { readonly kind: 'absent'; readonly ownName: boolean }
  /** Neither found nor absent. */
  | { readonly kind: 'failed' };

/** One round (or one hint's answer), to be decided as a whole. */
export interface Answer {
  /** By ordinal. */
  readonly sightings: ReadonlyMap<number, Sighting>;
  /** What holds for the known peers that `sightings` leaves out. `unasked` neither counts nor interrupts. */
  readonly others: 'absent' | 'failed' | 'unasked';
  /** Membership is known: SRV answered whole, or every asked name was found or absent. */
  readonly complete: boolean;
  /** Only rounds count for freshness; hints do not. */
  readonly isRound: boolean;
  /** The longest negative TTL that this answer brought; `null` when it brought none. */
  readonly negativeTtlMs: number | null;
  /** Why it is not complete. */
  readonly failure: Failure | null;
}

/** Consecutive answers that all said the same. */
interface Run {
  readonly since: number;
  readonly lastAt: number;
  /** The gaps between the answers, each at most {@link Limits.gapMs}, a gap with a failure as nothing. */
  readonly countedMs: number;
  readonly answers: number;
  readonly interrupted: boolean;
}

/** What is believed of one family of one peer. */
export interface FamilyBelief {
  /** The table's *x*. */
  readonly current: string | null;
  /** When `current` was last in an answer. */
  readonly shownAt: number;
  /** The table's *R*: replaced addresses, and when each was retired or last shown. */
  readonly retired: ReadonlyMap<string, number>;
  /** From when on a retired address may be believed again; `null` while there is no doubt about `current`. */
  readonly doubtEndsAt: number | null;
  /** Other addresses in the newest answer that had `current`. */
  readonly beside: readonly string[];
  /** Where a stranger answered, and until when that address is struck. */
  readonly barred: ReadonlyMap<string, number>;
  /** The peer was found without this family. */
  readonly without: Run | null;
}

/** What is believed of one peer. */
export interface PeerBelief {
  readonly ordinal: number;
  readonly presence: Presence;
  readonly port: number | null;
  readonly absence: Run | null;
  /** DNS has named it at least once. */
  readonly seen: boolean;
  readonly families: Readonly<Record<Family, FamilyBelief>>;
}

/** What only a member believes of itself. */
export interface SelfBelief {
  readonly ordinal: number;
  /** Own addresses that are known for certain. Nobody else's. */
  readonly addresses: Readonly<Record<Family, string | null>>;
  readonly ownShown: boolean;
  /** Its name was shown, with none of its own addresses. */
  readonly foreign: Run | null;
}

/** How well the belief is founded. Outside the topology: it changes without a new version. */
export interface FreshnessBelief {
  readonly state: 'unresolved' | 'fresh' | 'stale';
  /** Start of the state. */
  readonly since: number;
  /** End of the newest complete round; `null` before the first. */
  readonly completeAt: number | null;
  readonly lastFailure: Failure | null;
}

/** All that is believed. Immutable. */
export interface Belief {
  readonly peers: ReadonlyMap<number, PeerBelief>;
  readonly self: SelfBelief | null;
  readonly freshness: FreshnessBelief;
  /** Newest negative TTL of the zone, `null` while none was seen. */
  readonly negativeTtlMs: number | null;
  /** Addresses that several peers were shown at in the newest round, and who has them. */
  readonly contested: readonly Contest[];
}

/** One address, shown for several peers in one round. */
export interface Contest {
  readonly address: string;
  readonly claimants: readonly number[];
  readonly holders: readonly number[];
}

/** Why something in the topology changed. */
export type Cause = 'answer' | 'absence' | 'claim' | 'stranger' | 'self' | 'policy';

/** The windows that the user can set. */
export interface Windows {
  readonly missingAfterMs: number;
  readonly removeAfterMs: number;
}

/** A belief, and for each peer that changed the reason. */
export interface Decision {
  readonly belief: Belief;
  readonly causes: ReadonlyMap<number, Cause>;
}

/** The constants of the tables. */
export const Limits = {
  /** A gap between two answers counts as at most this. */
  gapMs: 10_000,
  /** At least so many absent answers before a peer is missing. */
  absentAnswers: 3,
  /** A removal takes at least so many negative TTLs. */
  negativeTtls: 4,
  /** *H*: how long a successor must not have been shown before its predecessor is believed again. */
  holdMs: 15_000,
  /** *H* after a failed connection to the successor. */
  holdAfterFailureMs: 2_000,
  /** How long an address is struck after a stranger's refusal there. */
  barMs: 15_000,
  /** A holder shown there within this time keeps its address from whom it was once taken. */
  claimMs: 15_000,
  /** A retired address is forgotten so long after it was retired or last shown. */
  retiredMs: 600_000,
  /** Self is superseded after so long at foreign addresses, where an own one was shown before ... */
  supersededMs: 30_000,
  /** ... and where none was: older clusters can name the last pod for 60 s. */
  supersededUnseenMs: 90_000,
} as const;

const families: readonly Family[] = [4, 6];
const unknownFamily: FamilyBelief = {
  current: null,
  shownAt: -Infinity,
  retired: new Map(),
  doubtEndsAt: null,
  beside: [],
  barred: new Map(),
  without: null,
};
const none: ReadonlyMap<number, Cause> = new Map();
const nothing: readonly string[] = [];
const nobody: ReadonlyMap<string, readonly number[]> = new Map();

/** The belief before the first answer: self, where there is one, and nobody else. */
export function initialBelief(
  self: { readonly ordinal: number; readonly addresses: Readonly<Record<Family, string | null>> } | null,
  now: number,
): Belief {
  const peers = new Map<number, PeerBelief>();
  if (self !== null) {
    const at = (family: Family): FamilyBelief => ({ ...unknownFamily, current: self.addresses[family] });
    peers.set(self.ordinal, {
      ordinal: self.ordinal,
      presence: 'unpublished',
      port: null,
      absence: null,
      seen: false,
      families: { 4: at(4), 6: at(6) },
    });
  }
  return {
    peers,
    self: self === null ? null : { ...self, ownShown: false, foreign: null },
    freshness: { state: 'unresolved', since: now, completeAt: null, lastFailure: null },
    negativeTtlMs: null,
    contested: [],
  };
}

/** Takes one answer as a whole: presence first, then who is at which address. */
export function decide(belief: Belief, answer: Answer, now: number, windows: Windows): Decision {
  const causes = new Map<number, Cause>();
  const negativeTtlMs = answer.negativeTtlMs ?? belief.negativeTtlMs;
  const removeAfterMs = Math.max(windows.removeAfterMs, Limits.negativeTtls * (negativeTtlMs ?? 0));
  const presenceWindows = { ...windows, removeAfterMs };
  const peers = new Map<number, PeerBelief>();

  for (const peer of belief.peers.values()) {
    const next = nextPresence(peer, sightingOf(answer, peer.ordinal), now, presenceWindows, belief.self);
    if (next === null || next.presence !== peer.presence) {
      causes.set(peer.ordinal, next?.presence === 'published' ? 'answer' : 'absence');
    }
    if (next !== null) peers.set(peer.ordinal, next);
  }
  for (const [ordinal, sighting] of answer.sightings) {
    if (sighting.kind !== 'found' || peers.has(ordinal)) continue;
    peers.set(ordinal, newPeer(ordinal, sighting.port ?? null));
    causes.set(ordinal, 'answer');
  }

  takePorts(peers, answer, causes);
  const self = seeSelf(peers, belief.self, answer, now, causes);
  // At another port an address is another endpoint. A port that becomes known is none, except on loopback.
  const hasOtherPort = (ordinal: number, address: string): boolean => {
    const before = belief.peers.get(ordinal)?.port ?? null;
    const after = peers.get(ordinal)?.port ?? null;
    return before !== after && ((before !== null && after !== null) || isOnLoopback(address));
  };
  const contested = takeAddresses(peers, hasOtherPort, self, answer, now, windows, causes);
  return {
    belief: {
      peers: byOrdinal(peers),
      self,
      freshness: nextFreshness(belief.freshness, answer, now),
      negativeTtlMs,
      contested: answer.isRound && answer.complete ? contested : belief.contested,
    },
    causes,
  };
}

/** Which missing peers would be removed by an absent answer now, if their own names were absent too. */
export function dueForRemoval(belief: Belief, now: number, windows: Windows): number[] {
  const removeAfterMs = Math.max(windows.removeAfterMs, Limits.negativeTtls * (belief.negativeTtlMs ?? 0));
  return [...belief.peers.values()]
    .filter((peer) => peer.presence === 'missing' && peer.absence !== null)
    .filter((peer) => extended(peer.absence, now).countedMs >= removeAfterMs)
    .map((peer) => peer.ordinal);
}

/** Whether answers are about to change the belief, so that the question is worth repeating soon. */
export function isUnsettled(belief: Belief): boolean {
  if (belief.contested.length > 0 || belief.self?.foreign != null) return true;
  for (const peer of belief.peers.values()) {
    if (peer.absence !== null && peer.presence !== 'unpublished') return true;
    if (families.some((family) => peer.families[family].doubtEndsAt !== null)) return true;
    if (families.some((family) => peer.families[family].barred.size > 0)) return true;
  }
  return false;
}

/** A connection to the peer's current address failed: its predecessor is believed sooner. */
export function doubt(belief: Belief, ordinal: number, address: string, now: number): Decision {
  return atCurrent(belief, ordinal, address, (family, number) => {
    const isFree = (other: string): boolean => !isHeldByOther(belief.peers, ordinal, number, other);
    const beside = lowest(family.beside.filter(isFree));
    if (beside !== undefined) return { family: moved(family, beside, [], now), cause: 'answer' };
    const doubtEndsAt = Math.min(family.doubtEndsAt ?? Infinity, now + Limits.holdAfterFailureMs);
    return { family: { ...family, doubtEndsAt }, cause: null };
  });
}

/** Another pod answered at the peer's current address (or at one that is barred already: the bar starts anew). */
export function bar(belief: Belief, ordinal: number, address: string, now: number): Decision {
  const until = now + Limits.barMs;
  const peer = belief.peers.get(ordinal);
  const barred = peer === undefined ? undefined : families.find((family) => peer.families[family].barred.has(address));
  if (peer !== undefined && barred !== undefined && peer.families[barred].current !== address) {
    const family = peer.families[barred];
    return {
      belief: withPeer(
        belief,
        withFamily(peer, barred, { ...family, barred: new Map([...family.barred, [address, until]]) }),
      ),
      causes: none,
    };
  }
  return atCurrent(belief, ordinal, address, (family) => ({
    family: {
      ...unknownFamily,
      retired: new Map([[address, now]]),
      barred: new Map([...family.barred, [address, until]]),
    },
    cause: 'stranger',
  }));
}

// ---- presence: the first table -------------------------------------------------------------------------------------

function sightingOf(answer: Answer, ordinal: number): Sighting | null {
  const sighting = answer.sightings.get(ordinal);
  if (sighting !== undefined) return sighting;
  if (answer.others === 'absent') return { kind: 'absent', ownName: false };
  return answer.others === 'failed' ? { kind: 'failed' } : null;
}

/** The peer after this answer, `null` when it is removed. */
function nextPresence(
  peer: PeerBelief,
  sighting: Sighting | null,
  now: number,
  windows: Windows,
  self: SelfBelief | null,
): PeerBelief | null {
  if (sighting === null) return peer;
  if (sighting.kind === 'failed') {
    const families = { 4: interruptedWithout(peer.families[4]), 6: interruptedWithout(peer.families[6]) };
    return { ...peer, families, absence: peer.absence === null ? null : interrupted(peer.absence) };
  }
  const isSelf = peer.ordinal === self?.ordinal;
  if (sighting.kind === 'found') {
    // Superseded is ended by an own address alone: see seeSelf.
    const presence = peer.presence === 'superseded' ? 'superseded' : 'published';
    return peer.presence === presence && peer.absence === null && peer.seen
      ? peer
      : { ...peer, presence, absence: null, seen: true };
  }
  if (peer.presence === 'unpublished' || peer.presence === 'superseded') return peer;
  const absence = extended(peer.absence, now);
  if (peer.presence === 'published') {
    const missing = absence.countedMs >= windows.missingAfterMs && absence.answers >= Limits.absentAnswers;
    return { ...peer, presence: missing ? 'missing' : 'published', absence };
  }
  if (absence.countedMs < windows.removeAfterMs || !sighting.ownName) return { ...peer, absence };
  return isSelf ? { ...peer, presence: 'unpublished', absence: null } : null;
}

// ---- self ----------------------------------------------------------------------------------------------------------

/** Promise 12: whether this process still has its name. Sets the presence of self in `peers`. */
function seeSelf(
  peers: Map<number, PeerBelief>,
  self: SelfBelief | null,
  answer: Answer,
  now: number,
  causes: Map<number, Cause>,
): SelfBelief | null {
  const peer = self === null ? undefined : peers.get(self.ordinal);
  if (self === null || peer === undefined) return self;
  const sighting = sightingOf(answer, self.ordinal);
  if (sighting?.kind !== 'found') {
    return sighting === null || self.foreign === null ? self : { ...self, foreign: interrupted(self.foreign) };
  }
  let own = false;
  let foreign = false;
  for (const family of families) {
    const shown = sighting.families[family];
    const known = self.addresses[family];
    if (shown.kind !== 'shown' || known === null) continue;
    if (shown.addresses.includes(known)) own = true;
    else foreign = true;
  }
  if (own) {
    if (peer.presence === 'superseded') {
      peers.set(peer.ordinal, { ...peer, presence: 'published' });
      causes.set(peer.ordinal, 'self');
    }
    return self.ownShown && self.foreign === null ? self : { ...self, ownShown: true, foreign: null };
  }
  if (!foreign) return self.foreign === null ? self : { ...self, foreign: interrupted(self.foreign) };
  const run = extended(self.foreign, now);
  const limit = self.ownShown ? Limits.supersededMs : Limits.supersededUnseenMs;
  if (peer.presence !== 'superseded' && run.countedMs >= limit) {
    peers.set(peer.ordinal, { ...peer, presence: 'superseded' });
    causes.set(peer.ordinal, 'self');
  }
  return { ...self, foreign: run };
}

// ---- addresses: the second table -----------------------------------------------------------------------------------

/** A shown family of one peer, and what is left of its addresses after striking. */
interface Claimant {
  readonly ordinal: number;
  readonly family: FamilyBelief;
  readonly shown: readonly string[];
  left: readonly string[];
}

/** Sets the ports in `peers`. */
function takePorts(peers: Map<number, PeerBelief>, answer: Answer, causes: Map<number, Cause>): void {
  for (const [ordinal, sighting] of answer.sightings) {
    const peer = peers.get(ordinal);
    if (peer === undefined || sighting.kind !== 'found' || sighting.port === undefined) continue;
    if (sighting.port === peer.port) continue;
    peers.set(ordinal, { ...peer, port: sighting.port });
    if (!causes.has(ordinal)) causes.set(ordinal, 'answer');
  }
}

/** Sets the addresses in `peers`. Returns which of them several peers were shown at. */
function takeAddresses(
  peers: Map<number, PeerBelief>,
  hasOtherPort: (ordinal: number, address: string) => boolean,
  self: SelfBelief | null,
  answer: Answer,
  now: number,
  windows: Windows,
  causes: Map<number, Cause>,
): Contest[] {
  const contested: Contest[] = [];
  const set = (peer: PeerBelief, family: Family, next: FamilyBelief, cause: Cause): void => {
    const was = peer.families[family];
    if (next === was) return;
    peers.set(peer.ordinal, withFamily(peer, family, next));
    if (next.current !== was.current && !causes.has(peer.ordinal)) causes.set(peer.ordinal, cause);
  };

  for (const family of families) {
    const ownAddress = self?.addresses[family] ?? null;
    const isCertain = (ordinal: number): boolean => ordinal === self?.ordinal && ownAddress !== null;
    const claimants = new Map<number, Claimant>();

    for (const [ordinal, sighting] of answer.sightings) {
      const peer = peers.get(ordinal);
      if (peer === undefined || sighting.kind !== 'found' || isCertain(ordinal)) continue;
      const seen = sighting.families[family];
      const belief = swept(peer.families[family], now);
      const { current } = belief;
      const isElsewhere = current !== null && hasOtherPort(ordinal, current);
      if (isElsewhere && seen.kind !== 'shown' && isHeldByOther(peers, ordinal, family, current)) {
        set(peer, family, emptied(belief, now), 'claim');
        continue;
      }
      if (seen.kind === 'unknown') {
        set(peer, family, interruptedWithout(belief), 'answer');
      } else if (seen.kind === 'none') {
        set(peer, family, withoutFamily(belief, now, windows), 'answer');
      } else {
        // A family that was shown is there, even where every address of it is struck.
        const isFree = (address: string): boolean =>
          !belief.barred.has(address) &&
          !(self !== null && address === ownAddress && sharesEndpoint(peers, ordinal, self.ordinal, address));
        claimants.set(ordinal, {
          ordinal,
          // An address belongs to a peer with its port: at another port it is claimed anew.
          family:
            isElsewhere || belief.without !== null
              ? { ...belief, without: null, current: isElsewhere ? null : current }
              : belief,
          shown: seen.addresses,
          left: seen.addresses.every(isFree) ? seen.addresses : seen.addresses.filter(isFree),
        });
      }
    }

    // Where everybody stays, as in nearly every answer, nobody takes an address from whoever holds it.
    const isQuiet = doAllStay(claimants, now);
    const holders = isQuiet ? nobody : holdersOf(peers, claimants, family);
    if (!isQuiet) strikeWorseClaims(peers, holders, claimants, family, now);
    for (const claimant of claimants.values()) {
      const peer = peers.get(claimant.ordinal);
      if (peer === undefined) continue;
      const next = taken(claimant, now);
      const { current } = peer.families[family];
      if (next.current !== null || current === null) set(peer, family, next, 'answer');
      else set(peer, family, emptied({ ...next, current }, now), 'claim');
    }
    // The later claim wins: who was not shown there loses the address to whoever took it just now.
    for (const claimant of isQuiet ? [] : claimants.values()) {
      const address = peers.get(claimant.ordinal)?.families[family].current ?? null;
      if (address === null || address === claimant.family.current) continue;
      for (const ordinal of holders.get(address) ?? []) {
        const holder = peers.get(ordinal);
        if (ordinal === claimant.ordinal || isCertain(ordinal)) continue;
        // It may have another one by now, or have lost it to an earlier claimant.
        if (holder?.families[family].current !== address) continue;
        if (!sharesEndpoint(peers, claimant.ordinal, ordinal, address)) continue;
        if (claimants.get(ordinal)?.left.includes(address) === true) continue;
        set(holder, family, emptied(holder.families[family], now), 'claim');
      }
    }
    contested.push(...contests(peers, claimants, family));
  }
  return contested;
}

function doAllStay(claimants: ReadonlyMap<number, Claimant>, now: number): boolean {
  for (const one of claimants.values()) if (choice(one, now) !== one.family.current) return false;
  return true;
}

/** Who was at which address before this answer. */
function holdersOf(
  peers: ReadonlyMap<number, PeerBelief>,
  claimants: ReadonlyMap<number, Claimant>,
  family: Family,
): ReadonlyMap<string, readonly number[]> {
  const holders = new Map<string, number[]>();
  for (const peer of peers.values()) {
    const { current } = claimants.get(peer.ordinal)?.family ?? peer.families[family];
    if (current !== null) enter(holders, current, peer.ordinal);
  }
  return holders;
}

/**
 * Strikes from each claimant the addresses to which another peer has the better claim: a holder that is shown there
 * in this very answer and stays, or, for an address that was once taken from the claimant, one shown there lately.
 * Striking can change who stays, so it is repeated until nothing changes; each pass strikes something.
 */
function strikeWorseClaims(
  peers: ReadonlyMap<number, PeerBelief>,
  holders: ReadonlyMap<string, readonly number[]>,
  claimants: ReadonlyMap<number, Claimant>,
  family: Family,
  now: number,
): void {
  for (let again = true; again;) {
    again = false;
    for (const claimant of claimants.values()) {
      const address = choice(claimant, now);
      if (address === null || address === claimant.family.current) continue;
      const better = (holders.get(address) ?? []).some((ordinal) => {
        if (ordinal === claimant.ordinal || !sharesEndpoint(peers, claimant.ordinal, ordinal, address)) return false;
        const holder = claimants.get(ordinal);
        if (holder?.left.includes(address) === true) return choice(holder, now) === address;
        const leaves = holder !== undefined && choice(holder, now) !== address;
        const lately = now - (peers.get(ordinal)?.families[family].shownAt ?? -Infinity) < Limits.claimMs;
        return !leaves && lately && claimant.family.retired.has(address);
      });
      if (!better) continue;
      claimant.left = claimant.left.filter((other) => other !== address);
      again = true;
    }
  }
}

/** Which address the claimant would have after this answer, by its own row of the table. */
function choice({ family, left }: Claimant, now: number): string | null {
  const { current, retired, doubtEndsAt } = family;
  // What nearly every answer says.
  if (current !== null && left.length === 1 && left[0] === current) return current;
  const fresh = lowest(left.filter((address) => address !== current && !retired.has(address)));
  if (fresh !== undefined) return fresh;
  if (current === null) return lowest(left) ?? null;
  if (left.includes(current)) return current;
  const rumoured = lowest(left);
  return rumoured !== undefined && doubtEndsAt !== null && now >= doubtEndsAt ? rumoured : current;
}

/** The claimant's family after this answer. */
function taken(claimant: Claimant, now: number): FamilyBelief {
  const { left, shown } = claimant;
  const family = withShown(claimant.family, shown, now);
  const address = choice(claimant, now);
  const beside = left.length === 1 && left[0] === address ? nothing : left.filter((other) => other !== address);
  if (address !== family.current && address !== null) {
    // What was shown beside the chosen one is no news later: a peer with two addresses must not change sides.
    return moved(family, address, beside, now);
  }
  if (address !== null && left.includes(address)) return shownAgain(family, beside, now);
  if (left.length === 0) return shown.length === 0 ? family : { ...family, beside: [] };
  return { ...family, beside: [], doubtEndsAt: family.doubtEndsAt ?? now + Limits.holdMs };
}

/** Written out: this is made for every peer with every answer, and on Node.js 20 spreading is many times slower. */
function shownAgain(
  { current, retired, barred, without }: FamilyBelief,
  beside: readonly string[],
  now: number,
): FamilyBelief {
  return { current, shownAt: now, retired, doubtEndsAt: null, beside, barred, without };
}

/** Retired addresses that are shown all the same are not forgotten yet. */
function withShown(family: FamilyBelief, shown: readonly string[], now: number): FamilyBelief {
  if (family.retired.size === 0) return family;
  const again = shown.filter((address) => family.retired.has(address));
  if (again.length === 0) return family;
  return { ...family, retired: new Map([...family.retired, ...again.map((address) => [address, now] as const)]) };
}

/** `address` becomes current; the former one is retired, and with it those that were shown beside. */
function moved(family: FamilyBelief, address: string, beside: readonly string[], now: number): FamilyBelief {
  let { retired } = family;
  // Most peers never retire an address: they share the one empty set.
  if (retired.size > 0 || beside.length > 0 || family.current !== null) {
    const others = new Map(retired);
    for (const other of beside) others.set(other, now);
    others.delete(address);
    if (family.current !== null) others.set(family.current, now);
    retired = others;
  }
  // Written out, as in `shownAgain`.
  const { barred } = family;
  return { current: address, shownAt: now, retired, doubtEndsAt: null, beside, barred, without: null };
}

/** Nothing is current any more; what was is retired. */
function emptied(family: FamilyBelief, now: number): FamilyBelief {
  if (family.current === null) return family;
  const retired = new Map([...family.retired, [family.current, now] as const]);
  return { ...family, current: null, retired, doubtEndsAt: null, beside: [], without: null };
}

function withoutFamily(family: FamilyBelief, now: number, windows: Windows): FamilyBelief {
  if (family.current === null) return family;
  const without = extended(family.without, now);
  return without.countedMs >= windows.missingAfterMs ? emptied(family, now) : { ...family, without };
}

function interruptedWithout(family: FamilyBelief): FamilyBelief {
  return family.without === null ? family : { ...family, without: interrupted(family.without) };
}

/** Forgets what is past its time: bars, and retired addresses. */
function swept(family: FamilyBelief, now: number): FamilyBelief {
  if (family.barred.size === 0 && family.retired.size === 0) return family;
  const barred = [...family.barred].filter(([, until]) => until > now);
  const retired = [...family.retired].filter(([, at]) => now - at < Limits.retiredMs);
  if (barred.length === family.barred.size && retired.length === family.retired.size) return family;
  return { ...family, barred: new Map(barred), retired: new Map(retired) };
}

function contests(
  peers: ReadonlyMap<number, PeerBelief>,
  claimants: ReadonlyMap<number, Claimant>,
  family: Family,
): Contest[] {
  const once = new Set<string>();
  let isTwice = false;
  for (const { shown } of claimants.values()) {
    for (const address of shown) {
      if (once.has(address)) isTwice = true;
      else once.add(address);
    }
  }
  if (!isTwice) return [];
  const claims = new Map<string, number[]>();
  for (const { ordinal, shown } of claimants.values()) for (const address of shown) enter(claims, address, ordinal);
  return [...claims]
    .filter(([, ordinals]) => ordinals.length > 1)
    .map(([address, ordinals]) => ({
      address,
      claimants: ordinals.filter((one) =>
        ordinals.some((two) => one !== two && sharesEndpoint(peers, one, two, address)),
      ),
    }))
    .filter(({ claimants: several }) => several.length > 1)
    .map(({ address, claimants: several }) => ({
      address,
      claimants: several,
      holders: [...peers.values()].filter((p) => p.families[family].current === address).map((p) => p.ordinal),
    }));
}

function enter(ordinals: Map<string, number[]>, address: string, ordinal: number): void {
  const there = ordinals.get(address);
  if (there === undefined) ordinals.set(address, [ordinal]);
  else there.push(ordinal);
}

/** An address belongs to one peer with its port. An unknown port equals any, except on loopback. */
function sharesEndpoint(peers: ReadonlyMap<number, PeerBelief>, one: number, two: number, address: string): boolean {
  const a = peers.get(one)?.port ?? null;
  const b = peers.get(two)?.port ?? null;
  if (a !== null && b !== null) return a === b;
  return !isOnLoopback(address);
}

function isOnLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** Somebody else is believed at this address, with a port that may be the same. */
function isHeldByOther(
  peers: ReadonlyMap<number, PeerBelief>,
  ordinal: number,
  family: Family,
  address: string,
): boolean {
  return [...peers.values()].some(
    (other) =>
      other.ordinal !== ordinal &&
      other.families[family].current === address &&
      sharesEndpoint(peers, ordinal, other.ordinal, address),
  );
}

// ---- connections ---------------------------------------------------------------------------------------------------

/** Applies `change` to the family in which `address` is the peer's current one; nothing happens where it is not. */
function atCurrent(
  belief: Belief,
  ordinal: number,
  address: string,
  change: (family: FamilyBelief, number: Family) => { readonly family: FamilyBelief; readonly cause: Cause | null },
): Decision {
  const peer = belief.peers.get(ordinal);
  const family = peer === undefined ? undefined : families.find((one) => peer.families[one].current === address);
  if (peer === undefined || family === undefined || ordinal === belief.self?.ordinal) return { belief, causes: none };
  const next = change(peer.families[family], family);
  return {
    belief: withPeer(belief, withFamily(peer, family, next.family)),
    causes: next.cause === null ? none : new Map([[ordinal, next.cause]]),
  };
}

function withPeer(belief: Belief, peer: PeerBelief): Belief {
  return { ...belief, peers: new Map(belief.peers).set(peer.ordinal, peer) };
}

// ---- small parts ---------------------------------------------------------------------------------------------------

function nextFreshness(before: FreshnessBelief, answer: Answer, now: number): FreshnessBelief {
  if (!answer.isRound) return before;
  const lastFailure = answer.failure ?? before.lastFailure;
  if (answer.complete) {
    return { state: 'fresh', since: before.state === 'fresh' ? before.since : now, completeAt: now, lastFailure };
  }
  if (before.state === 'fresh') return { ...before, state: 'stale', since: now, lastFailure };
  return { ...before, lastFailure };
}

function withFamily(peer: PeerBelief, family: Family, next: FamilyBelief): PeerBelief {
  const { ordinal, presence, port, absence, seen } = peer;
  const families = family === 4 ? { 4: next, 6: peer.families[6] } : { 4: peer.families[4], 6: next };
  // Written out, as in `shownAgain`.
  return { ordinal, presence, port, absence, seen, families };
}

function newPeer(ordinal: number, port: number | null): PeerBelief {
  return {
    ordinal,
    presence: 'published',
    port,
    absence: null,
    seen: true,
    families: { 4: unknownFamily, 6: unknownFamily },
  };
}

function extended(run: Run | null, now: number): Run {
  if (run === null) return { since: now, lastAt: now, countedMs: 0, answers: 1, interrupted: false };
  const gap = run.interrupted ? 0 : Math.min(now - run.lastAt, Limits.gapMs);
  return {
    since: run.since,
    lastAt: now,
    countedMs: run.countedMs + gap,
    answers: run.answers + 1,
    interrupted: false,
  };
}

function interrupted(run: Run): Run {
  return run.interrupted ? run : { ...run, interrupted: true };
}

function byOrdinal(peers: ReadonlyMap<number, PeerBelief>): ReadonlyMap<number, PeerBelief> {
  const ordinals = [...peers.keys()];
  const isSorted = ordinals.every((ordinal, index) => index === 0 || (ordinals[index - 1] ?? 0) < ordinal);
  return isSorted ? peers : new Map([...peers].sort(([a], [b]) => a - b));
}

/** The lowest address: IPv4 by its numbers, IPv6 by its canonical text. The same in every pod, whatever its locale. */
function lowest(addresses: readonly string[]): string | undefined {
  if (addresses.length < 2) return addresses[0];
  return [...addresses].sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1)).at(0);
}

function sortKey(address: string): string {
  if (address.includes(':')) return address;
  return address
    .split('.')
    .map((part) => part.padStart(3, '0'))
    .join('.');
}

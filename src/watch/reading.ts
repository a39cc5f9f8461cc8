import { familyOf, isPodAddress, normaliseAddress } from '../dns/address.ts';
import type { Found, Outcome } from '../dns/client.ts';
import type { ResourceRecord } from '../dns/message.ts';
import type { Failure } from '../errors.ts';
import type { Family, FamilySighting, Sighting } from '../topology/belief.ts';
import type { Observations } from '../topology/explanation.ts';

/** What is asked about, constant for the life of the watcher. */
export interface Scope {
  readonly statefulSet: string;
  /** FQDN of the governing Service. */
  readonly serviceName: string;
  /** Name of the SRV port; `null` asks for the bare Service. */
  readonly portName: string | null;
  readonly ordinalStart: number;
  readonly expectedPods: number | null;
  /** Loopback answers are believable. */
  readonly allowLoopback: boolean;
}

/** SRV named pods of the set. `listed`: membership is known. `partial`: it proves presence only. */
export interface SrvNamed {
  readonly kind: 'listed' | 'partial';
  readonly ordinals: readonly number[];
  readonly sightings: ReadonlyMap<number, Sighting>;
  readonly withoutGlue: readonly number[];
  readonly observations: Observations;
}

/** What the SRV outcome says. */
export type SrvReading =
  | SrvNamed
  | { readonly kind: 'none'; readonly observations: Observations }
  /** `isFinal`: other questions are in vain. */
  | {
      readonly kind: 'failed';
      readonly failure: Failure;
      readonly isFinal: boolean;
      readonly observations: Observations;
    };

/** What the questions for one own name said, by family. */
export type NameReading = Readonly<Partial<Record<Family, FamilyReading>>>;
type FamilyReading = readonly string[] | 'refused' | 'nxdomain' | 'nodata' | 'failed';

/** Reads the outcome of the SRV question. */
export function readSrv(outcome: Outcome, scope: Scope): SrvReading {
  switch (outcome.kind) {
    case 'found':
      return readTargets(outcome, 'listed', scope);
    case 'nxdomain':
    case 'nodata':
      return { kind: 'none', observations: {} };
    case 'failed': {
      const { failure, partial } = outcome;
      if (partial !== null) return readTargets(partial, 'partial', scope);
      return { kind: 'failed', failure, isFinal: failure.reason === 'network', observations: {} };
    }
  }
}

/** A pod that SRV names: its ports, and its addresses by family in the glue, where it has any. */
interface Target {
  readonly ordinal: number;
  readonly ports: number[];
  glue: Record<Family, string[]> | null;
}

function readTargets(found: Found, kind: 'listed' | 'partial', scope: Scope): SrvReading {
  const targets = new Map<number, Target>();
  let dashed = 0;
  let isService = false;
  for (const record of found.records) {
    if (record.type !== 'SRV') continue;
    const ordinal = ordinalOf(record.target, scope);
    if (ordinal === null) {
      if (record.target === scope.serviceName) isService = true;
      else if (isDashedAddress(record.target)) dashed += 1;
      continue;
    }
    let pod = targets.get(ordinal);
    if (pod === undefined) targets.set(ordinal, (pod = { ordinal, ports: [], glue: null }));
    // SRV port 0 is no port.
    if (record.port !== 0 && !pod.ports.includes(record.port)) pod.ports.push(record.port);
  }
  if (targets.size === 0 && isService) {
    const failure: Failure = Object.freeze({
      reason: 'malformed',
      detail: `SRV names ${scope.serviceName} itself: the Service is not headless`,
      server: found.server,
      question: `SRV ${found.question.name}`,
    } as const);
    return { kind: 'failed', failure, isFinal: true, observations: { notHeadless: true } };
  }
  takeGlue(targets, found.additionals, scope);
  const pods = [...targets.values()].sort((a, b) => a.ordinal - b.ordinal);
  const sightings = new Map<number, Sighting>();
  const refused: string[] = [];
  for (const { ordinal, ports, glue } of pods) {
    sightings.set(ordinal, {
      kind: 'found',
      port: ports.length === 1 ? (ports[0] ?? null) : null,
      families: { 4: glueSighting(glue?.[4], scope, refused), 6: glueSighting(glue?.[6], scope, refused) },
    });
  }
  const several = pods.find(({ ports }) => ports.length > 1);
  return {
    kind,
    ordinals: pods.map(({ ordinal }) => ordinal),
    sightings,
    withoutGlue: pods.filter(({ glue }) => glue === null).map(({ ordinal }) => ordinal),
    observations: {
      ...(dashed > 0 && pods.length === 0 ? { dashedTargets: dashed } : {}),
      ...(several === undefined ? {} : { ports: several.ports }),
      ...(refused.length > 0 ? { refusedAddresses: refused } : {}),
    },
  };
}

/** Reads outcomes of A and AAAA questions for own names, on top of what is known of them in this round. */
export function readNames(
  outcomes: readonly Outcome[],
  scope: Scope,
  before: ReadonlyMap<number, NameReading>,
): Map<number, NameReading> {
  const readings = new Map<number, NameReading>();
  for (const outcome of outcomes) {
    const { name, type } = outcome.question;
    const ordinal = ordinalOf(name, scope);
    if (ordinal === null || (type !== 'A' && type !== 'AAAA')) continue;
    const reading = readings.get(ordinal) ?? before.get(ordinal) ?? {};
    readings.set(ordinal, { ...reading, [type === 'A' ? 4 : 6]: familyReading(outcome, scope) });
  }
  return readings;
}

/** What a reading means for the peer; `listed` is what SRV said of it in this round. */
export function sightingOf(reading: NameReading, listed: Extract<Sighting, { kind: 'found' }> | null): Sighting {
  const families = { 4: familySighting(reading, 4), 6: familySighting(reading, 6) };
  const isShown = families[4].kind === 'shown' || families[6].kind === 'shown';
  // One family that is absent while nothing is shown says nothing: SRV says that the peer is there.
  if (listed !== null) return isShown ? { ...listed, families } : listed;
  if (isShown) return { kind: 'found', port: undefined, families };
  const readings = Object.values(reading);
  const isAbsent = readings.length > 0 && readings.every((one) => one === 'nxdomain' || one === 'nodata');
  return isAbsent ? { kind: 'absent', ownName: true } : { kind: 'failed' };
}

/** The addresses of an outcome, as they came. */
export function addressesOf(outcome: Outcome): string[] {
  if (outcome.kind !== 'found') return [];
  return outcome.records.flatMap((record) => ('address' in record ? [record.address] : []));
}

/** The ordinal that a name of the set has under the Service, `null` for any other name. */
export function ordinalOf(name: string, { statefulSet, serviceName }: Scope): number | null {
  const start = statefulSet.length + 1;
  const end = name.length - serviceName.length - 1;
  if (name[start - 1] !== '-' || name[end] !== '.') return null;
  if (!name.startsWith(statefulSet) || !name.endsWith(serviceName)) return null;
  // Promise 3: digits, no leading zeros, int32.
  const isNumber = start < end && end - start <= 10 && (name[start] !== '0' || end - start === 1);
  let ordinal = isNumber ? 0 : NaN;
  for (let at = start; at < end; at += 1) {
    const digit = name.charCodeAt(at) - 0x30;
    ordinal = digit >= 0 && digit <= 9 ? ordinal * 10 + digit : NaN;
  }
  return ordinal <= 0x7fff_ffff ? ordinal : null;
}

/** The stable name of an ordinal. */
export function nameOf({ statefulSet, serviceName }: Scope, ordinal: number): string {
  return `${statefulSet}-${ordinal}.${serviceName}`;
}

/** `10-244-0-7.nginx…` or `fd00--7.nginx…`: how CoreDNS names an endpoint without a hostname. */
export function isDashedAddress(target: string): boolean {
  const [label = ''] = target.split('.');
  return normaliseAddress(label.replaceAll('-', '.')) !== null || normaliseAddress(label.replaceAll('-', ':')) !== null;
}

/** Sets the glue of the targets. IPv4-mapped is IPv4, before any rule; an A record has its address in the one text. */
function takeGlue(targets: ReadonlyMap<number, Target>, additionals: readonly ResourceRecord[], scope: Scope): void {
  for (const record of additionals) {
    if (record.type !== 'A' && record.type !== 'AAAA') continue;
    const pod = targets.get(ordinalOf(record.name, scope) ?? -1);
    if (pod === undefined) continue;
    pod.glue ??= { 4: [], 6: [] };
    const address = record.type === 'A' ? record.address : normaliseAddress(record.address);
    if (address !== null) pod.glue[familyOf(address)].push(address);
  }
}

const unknown: FamilySighting = { kind: 'unknown' };
const none: FamilySighting = { kind: 'none' };

/** What the glue of one family says; `undefined` where the name has no glue at all. */
function glueSighting(all: readonly string[] | undefined, scope: Scope, refused: string[]): FamilySighting {
  if (all === undefined) return unknown;
  if (all.length === 0) return none;
  if (all.every((address) => isPodAddress(address, scope))) return { kind: 'shown', addresses: all };
  const addresses = all.filter((address) => isPodAddress(address, scope));
  refused.push(...all.filter((address) => !addresses.includes(address)));
  return addresses.length > 0 ? { kind: 'shown', addresses } : unknown;
}

function familyReading(outcome: Outcome, scope: Scope): FamilyReading {
  if (outcome.kind !== 'found') return outcome.kind;
  // IPv4-mapped is IPv4, before any rule.
  const addresses = addressesOf(outcome)
    .flatMap((text) => normaliseAddress(text) ?? [])
    .filter((address) => isPodAddress(address, scope));
  return addresses.length > 0 ? addresses : 'refused';
}

function familySighting(reading: NameReading, family: Family): FamilySighting {
  const shown = Object.values(reading).filter((one) => typeof one === 'object');
  const addresses = shown.flat().filter((address) => familyOf(address) === family);
  if (addresses.length > 0) return { kind: 'shown', addresses };
  const own = reading[family];
  return own === 'nxdomain' || own === 'nodata' ? { kind: 'none' } : { kind: 'unknown' };
}

import fc from 'fast-check';
import type { CacheSettings } from '../../src/testing/dns-cache.ts';
import type { FaultScope } from '../../src/testing/dns-faults.ts';
import type { EmbeddedDns } from '../../src/testing/embedded-dns.ts';

/** A cluster and its DNS, before anything happens to them. */
export interface World {
  readonly seed: number;
  readonly replicas: number;
  readonly podManagementPolicy: 'OrderedReady' | 'Parallel';
  readonly publishNotReadyAddresses: boolean;
  readonly isDualStack: boolean;
  readonly stopMs: number;
  readonly startMs: number;
  readonly readyMs: number;
  readonly dnsReplicas: readonly { readonly lagMs?: number; readonly cache?: CacheSettings | number }[];
  readonly ttlSeconds: number;
  /** Of `lowestOrdinal`; `null` for `fixedPrimary`. */
  readonly quorum: number | null;
}

/** One thing that happens, and how long it is left alone. */
export type Step = Action & { readonly forMs: number };

type Action =
  | { readonly kind: 'delete'; readonly ordinals: readonly number[] }
  | { readonly kind: 'scale'; readonly replicas: number }
  | { readonly kind: 'rollout' }
  | { readonly kind: 'moveOrdinals'; readonly start: number }
  /** Both pods are replaced, and the second gets the address that the first had. */
  | { readonly kind: 'handOver'; readonly from: number; readonly to: number }
  | { readonly kind: 'loseNode'; readonly ordinal: number; readonly survives: boolean }
  | { readonly kind: 'forceDelete'; readonly ordinal: number }
  /** Everybody reports the pod's address as it is believed. */
  | { readonly kind: 'report'; readonly ordinal: number; readonly what: 'unreachable' | 'stranger' }
  | { readonly kind: 'freeze'; readonly replica: number }
  | {
      readonly kind: 'fault';
      readonly fault:
        'servfail' | 'silence' | 'delay' | 'nxdomain' | 'truncate' | 'garbage' | 'cut' | 'forge' | 'blockTcp';
      readonly scope: 'all' | 'srv' | 'names' | 'one replica';
      readonly share: number;
    }
  | { readonly kind: 'heal' }
  | { readonly kind: 'wait' };

/** Every cluster that a walk can begin with. */
export function worlds(): fc.Arbitrary<World> {
  return fc.record({
    seed: fc.nat(0xffff_ffff),
    replicas: fc.integer({ min: 1, max: 5 }),
    podManagementPolicy: fc.constantFrom('OrderedReady', 'Parallel'),
    publishNotReadyAddresses: fc.boolean(),
    isDualStack: fc.boolean(),
    stopMs: fc.constantFrom(0, 1_000, 8_000),
    startMs: fc.constantFrom(0, 2_000, 6_000),
    readyMs: fc.constantFrom(0, 3_000, 12_000),
    dnsReplicas: fc.constantFrom(
      [{}],
      [{}, {}],
      [{}, { lagMs: 10_000 }],
      [{}, { lagMs: 30_000 }],
      [{ cache: 30 }, { cache: 30 }],
      [{ cache: { successSeconds: 30, denialSeconds: 5 } }],
    ),
    ttlSeconds: fc.constantFrom(5, 30),
    quorum: fc.constantFrom(null, null, 1, 2),
  });
}

/** Everything that can happen next. */
export function steps(): fc.Arbitrary<Step> {
  const ordinal = fc.nat(4);
  const scope = fc.constantFrom('all', 'srv', 'names', 'one replica');
  const forMs = fc.oneof(fc.integer({ min: 100, max: 6_000 }), fc.constantFrom(1_000, 15_000, 30_000));
  const what = fc.oneof(
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('delete' as const),
        ordinals: fc.uniqueArray(ordinal, { minLength: 1, maxLength: 3 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('scale' as const), replicas: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'rollout' as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('moveOrdinals' as const), start: fc.nat(2) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('handOver' as const), from: ordinal, to: ordinal }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('loseNode' as const),
        ordinal: fc.constantFrom(0, 0, 1, 1, 2),
        survives: fc.constantFrom(true, true, false),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('forceDelete' as const), ordinal }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('report' as const),
        ordinal,
        what: fc.constantFrom('unreachable' as const, 'stranger' as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('freeze' as const), replica: fc.nat(1) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('fault' as const),
        fault: fc.constantFrom(
          'servfail' as const,
          'silence' as const,
          'delay' as const,
          'nxdomain' as const,
          'truncate' as const,
          'garbage' as const,
          'cut' as const,
          'forge' as const,
          'blockTcp' as const,
        ),
        scope,
        share: fc.constantFrom(0.2, 0.5, 1),
      }),
    },
    { weight: 2, arbitrary: fc.constant({ kind: 'heal' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'wait' as const }) },
  );
  return fc.tuple(what, forMs).map(([did, ms]) => ({ ...did, forMs: ms }));
}

/** Makes DNS go wrong, until it is healed. */
export function addFault(dns: EmbeddedDns, { fault, scope: which, share }: Action & { kind: 'fault' }): void {
  const scope: FaultScope = {
    share,
    ...(which === 'srv' && { types: 'SRV' }),
    ...(which === 'names' && { types: ['A', 'AAAA'] }),
    ...(which === 'one replica' && { replica: 0 }),
  };
  switch (fault) {
    case 'servfail':
      return void dns.fail('SERVFAIL', scope);
    case 'silence':
      return void dns.silence(scope);
    case 'delay':
      return void dns.delay(delayMs, scope);
    case 'nxdomain':
      return void dns.spuriousNxdomain(share, scope);
    case 'truncate':
      return void dns.truncate({ ...scope, answersKept: 1 });
    case 'garbage':
      return void dns.garbage('malformed', scope);
    case 'cut':
      return void dns.garbage('cut-short', scope);
    case 'forge':
      return void dns.forge(scope);
    case 'blockTcp':
      return void dns.blockTcp(share < 1 ? 'silence' : 'reset');
  }
}

const delayMs = 700;

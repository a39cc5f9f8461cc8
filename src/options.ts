import type { IdentityOptions } from './identity/settings.ts';
import type { Section } from './option-checks.ts';
import { asObject, fail, integer, maxTimerMs, optionalSignal, patience } from './option-checks.ts';
import type { PrimaryPolicy } from './topology/primary.ts';
import { fixedPrimary, lowestOrdinal } from './topology/primary.ts';

/** What members and observers share. Every option has a default or is derived; a mistake is thrown at construction. */
export interface SharedOptions {
  /** Namespace of the set. Default: derived from `POD_NAMESPACE`, the hosts file, `resolv.conf` or the service account. */
  readonly namespace?: string;
  /** Cluster domain, for example `cluster.local`. Default: derived from the hosts file or `resolv.conf`. */
  readonly clusterDomain?: string;
  /**
   * Name of the SRV port (`'peer'`, the port's `name` in the Service), or a number that overrides what DNS says.
   * Default: the only port that SRV gives.
   */
  readonly port?: string | number;
  /** `.spec.ordinals.start` of the StatefulSet. Default 0. */
  readonly ordinalStart?: number;
  /** `.spec.replicas`, for quorums and for asking names that SRV cannot give. Default: unknown. */
  readonly expectedPods?: number;
  /** Who is the primary: a policy, or `false` for a set without roles. Default `fixedPrimary()`. */
  readonly primary?: PrimaryPolicy | false;
  /** Bounds of the polling interval. */
  readonly refresh?: {
    /**
     * Interval after a change, while answers disagree and while somebody is absent. Shorter follows sooner and asks
     * more. Default 1 000.
     */
    readonly minIntervalMs?: number;
    /** Interval while nothing happens. Longer asks less and notices later. Default 5 000. */
    readonly maxIntervalMs?: number;
  };
  /** How long a peer must be absent from every answer. Failures are no answers: they neither count nor clear. */
  readonly absence?: {
    /**
     * ... before it is `missing`; at least 3 answers. Longer rides out rollouts and negative caches, shorter notices
     * a loss sooner. Default 45 000.
     */
    readonly missingAfterMs?: number;
    /**
     * ... before it is removed; the last answer is to a question for its own name. Never less than four negative
     * TTLs, whatever is set. Default 120 000.
     */
    readonly removeAfterMs?: number;
  };
  /** How DNS is asked. */
  readonly dns?: {
    /** `['10.96.0.10', '127.0.0.1:5353', '[::1]:5353']`. Default: `STATEFUL_PEERS_DNS`, else `resolv.conf`. */
    readonly servers?: readonly string[];
    /** How long one question waits for one server. Default 1 000. */
    readonly timeoutMs?: number;
    /** How often each server is asked. Default 2. */
    readonly attempts?: number;
    /** Bound over all questions of a round. Default 5 000. */
    readonly deadlineMs?: number;
  };
  /** Closes the library when it aborts. */
  readonly signal?: AbortSignal;
}

/** Options of `discoverPeers`. All are optional. */
export interface DiscoverOptions extends SharedOptions {
  /** This pod's name. Default: `POD_NAME`, the hosts file, or the hostname. */
  readonly podName?: string;
  /** The governing Service (`.spec.serviceName`). Default: `STATEFUL_PEERS_SERVICE`, the hosts file, or an FQDN hostname. */
  readonly service?: string;
  /** Asserted: construction fails in a pod of another set. Default: derived from the pod name. */
  readonly statefulSet?: string;
}

/** Options of `observePeers`. */
export interface ObserveOptions extends SharedOptions {
  /** Name of the StatefulSet whose pods are looked at. */
  readonly statefulSet: string;
  /** Its governing Service. */
  readonly service: string;
}

/** The options of both, checked and complete. */
export interface CheckedOptions {
  readonly identity: IdentityOptions;
  readonly portName: string | null;
  readonly portNumber: number | null;
  readonly ordinalStart: number | null;
  readonly expectedPods: number | null;
  readonly primary: PrimaryPolicy | false;
  readonly refresh: { readonly minIntervalMs: number; readonly maxIntervalMs: number };
  readonly absence: { readonly missingAfterMs: number; readonly removeAfterMs: number };
  readonly dns: {
    readonly servers: readonly string[] | null;
    readonly timeoutMs: number;
    readonly attempts: number;
    readonly deadlineMs: number;
  };
  readonly signal: AbortSignal | null;
}

type DefaultedOption =
  | `refresh.${'minIntervalMs' | 'maxIntervalMs'}`
  | `absence.${'missingAfterMs' | 'removeAfterMs'}`
  | `dns.${'timeoutMs' | 'attempts' | 'deadlineMs'}`;

/** Every default that is a number. The README's table is printed from here. */
export const defaults: Readonly<Record<DefaultedOption, number>> = Object.freeze({
  'refresh.minIntervalMs': 1_000,
  'refresh.maxIntervalMs': 5_000,
  'absence.missingAfterMs': 45_000,
  'absence.removeAfterMs': 120_000,
  'dns.timeoutMs': 1_000,
  'dns.attempts': 2,
  'dns.deadlineMs': 5_000,
});

const maxOrdinal = 0x7fff_ffff;
const shared = [
  'namespace',
  'clusterDomain',
  'port',
  'ordinalStart',
  'expectedPods',
  'primary',
  'refresh',
  'absence',
  'dns',
  'signal',
];
const known = {
  member: new Set([...shared, 'podName', 'service', 'statefulSet']),
  observer: new Set([...shared, 'service', 'statefulSet']),
};

/**
 * Checks and completes the options. Whether names are DNS names is checked where identity is made.
 *
 * @throws {@link PeerDiscoveryError} `ERR_OPTION` with the option, its value and what was expected
 */
export function checkOptions(options: unknown, kind: 'member' | 'observer'): CheckedOptions {
  const given = asObject('options', options ?? {}, known[kind]);
  const names = ['podName', 'service', 'namespace', 'clusterDomain', 'statefulSet'] as const;
  const identity: Partial<Record<(typeof names)[number], string>> & { ordinalStart?: number } = {};
  for (const name of names) {
    const value = given[name];
    if (value === undefined) continue;
    if (typeof value !== 'string' || value === '') fail(name, value, 'a name, as a string that is not empty');
    identity[name] = value;
  }
  const ordinalStart = optionalInteger(given, 'ordinalStart', 'ordinalStart', 0, maxOrdinal);
  if (ordinalStart !== null) identity.ordinalStart = ordinalStart;
  const expectedPods = optionalInteger(given, 'expectedPods', 'expectedPods', 1, maxOrdinal);
  const refresh = section(given, 'refresh', ['minIntervalMs', 'maxIntervalMs'], 10);
  if (refresh.maxIntervalMs < refresh.minIntervalMs) {
    fail(
      'refresh.maxIntervalMs',
      refresh.maxIntervalMs,
      `at least refresh.minIntervalMs, which is ${refresh.minIntervalMs}`,
    );
  }
  const absence = section(given, 'absence', ['missingAfterMs', 'removeAfterMs'], 0);
  if (absence.removeAfterMs < absence.missingAfterMs) {
    fail(
      'absence.removeAfterMs',
      absence.removeAfterMs,
      `at least absence.missingAfterMs, which is ${absence.missingAfterMs}`,
    );
  }
  const dnsGiven = asObject('dns', given['dns'] ?? {}, new Set(['servers', 'timeoutMs', 'attempts', 'deadlineMs']));
  return Object.freeze({
    identity: Object.freeze(identity),
    ...checkedPort(given['port']),
    ordinalStart,
    expectedPods,
    primary: checkedPolicy(given['primary'], expectedPods),
    refresh: Object.freeze(refresh),
    absence: Object.freeze(absence),
    dns: Object.freeze({
      servers: checkedServers(dnsGiven['servers']),
      timeoutMs: integer('dns.timeoutMs', dnsGiven['timeoutMs'] ?? defaults['dns.timeoutMs'], 1, maxTimerMs),
      attempts: integer('dns.attempts', dnsGiven['attempts'] ?? defaults['dns.attempts'], 1, 10),
      deadlineMs: integer('dns.deadlineMs', dnsGiven['deadlineMs'] ?? defaults['dns.deadlineMs'], 1, maxTimerMs),
    }),
    signal: optionalSignal('signal', given['signal']) ?? null,
  });
}

/** Options of a waiter. */
export interface WaitOptions {
  /** How long to wait, in milliseconds. Default 30 000; `Infinity` waits for ever. */
  readonly timeoutMs?: number;
  /** Ends the wait; its reason is thrown as it is. */
  readonly signal?: AbortSignal;
  /**
   * How long the result must hold before it counts, in milliseconds. Starts again when it is lost, when it is about
   * another pod, and while answers are stale. Default 0.
   */
  readonly stableForMs?: number;
}

/** Checks and completes the options of a waiter. */
export function checkWaitOptions(options: WaitOptions | undefined): {
  readonly timeoutMs: number;
  readonly stableForMs: number;
  readonly signal: AbortSignal | undefined;
} {
  const given = asObject('options', options ?? {}, new Set(['timeoutMs', 'signal', 'stableForMs']));
  const { timeoutMs = 30_000, signal, stableForMs = 0 } = given;
  return {
    timeoutMs: patience('timeoutMs', timeoutMs),
    stableForMs: integer('stableForMs', stableForMs, 0, maxTimerMs),
    signal: optionalSignal('signal', signal),
  };
}

function checkedPort(port: unknown): { readonly portName: string | null; readonly portNumber: number | null } {
  const expected =
    "an SRV port name such as 'peer' (at most 15 of a-z, 0-9 and -, with a letter), or a number from 1 to 65535";
  if (port === undefined) return { portName: null, portNumber: null };
  if (typeof port === 'number') {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) fail('port', port, expected);
    return { portName: null, portNumber: port };
  }
  // The rule of IANA service names, which Kubernetes applies to port names (RFC 6335 section 5.1).
  const isName = typeof port === 'string' && /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/.test(port);
  if (!isName) fail('port', port, expected);
  return { portName: port, portNumber: null };
}

function checkedPolicy(primary: unknown, expectedPods: number | null): PrimaryPolicy | false {
  if (primary === undefined) return fixedPrimary();
  if (primary === false) return false;
  if (typeof primary !== 'function') {
    fail('primary', primary, 'fixedPrimary(), lowestOrdinal({ quorum }), a function of a policy view, or false');
  }
  // A factory in place of what it makes would designate nobody, and say so only when somebody asks why.
  for (const [name, factory] of Object.entries({ fixedPrimary, lowestOrdinal })) {
    if (primary === factory) fail('primary', primary, `${name}(): the policy that it makes, not ${name} itself`);
  }
  const policy = primary as PrimaryPolicy;
  const wrong = policy.check?.({ expectedPods }) ?? null;
  if (wrong !== null)
    fail(wrong.option, wrong.option === 'expectedPods' ? (expectedPods ?? undefined) : undefined, wrong.expected);
  return policy;
}

function checkedServers(servers: unknown): readonly string[] | null {
  if (servers === undefined) return null;
  const expected = "an array of IP addresses with optional port, like ['10.96.0.10', '127.0.0.1:5353', '[::1]:5353']";
  if (!Array.isArray(servers) || servers.length === 0) fail('dns.servers', servers, expected);
  // Whether each is an address is checked with the ones from the environment, in identity.
  for (const server of servers as unknown[]) if (typeof server !== 'string') fail('dns.servers', server, expected);
  return Object.freeze([...(servers as string[])]);
}

function section<Name extends string>(
  given: Section,
  name: string,
  fields: readonly Name[],
  least: number,
): Record<Name, number> {
  const inner = asObject(name, given[name] ?? {}, new Set<string>(fields));
  const checked = fields.map((field) => {
    const path = `${name}.${field}` as DefaultedOption;
    return [field, integer(path, inner[field] ?? defaults[path], least, maxTimerMs)] as const;
  });
  return Object.fromEntries(checked) as Record<Name, number>;
}

function optionalInteger(given: Section, field: string, option: string, least: number, most: number): number | null {
  return given[field] === undefined ? null : integer(option, given[field], least, most);
}

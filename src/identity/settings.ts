import { optionError } from '../errors.ts';
import type { PeerDiscoveryError } from '../errors.ts';
import { isDomainName, isLabel, normalName } from './dns-name.ts';
import type { Environment } from './environment.ts';
import type { Witness } from './identity-errors.ts';
import { quoted, settingError } from './identity-errors.ts';
import { podNameFault } from './pod-name.ts';

/** The options that identity is made of. Types are checked already (`options.ts`), names are checked here. */
export interface IdentityOptions {
  readonly podName?: string;
  /** `nginx`, or longer: `nginx.default`, `nginx.default.svc.cluster.local`. */
  readonly service?: string;
  readonly namespace?: string;
  readonly clusterDomain?: string;
  readonly statefulSet?: string;
  readonly ordinalStart?: number;
}

/** What was set from outside for each field, in order of precedence. Each one that has a value decides. */
export interface Settings {
  readonly podName: readonly Witness[];
  readonly service: readonly Witness[];
  readonly namespace: readonly Witness[];
  readonly clusterDomain: readonly Witness[];
  /** Option `statefulSet`; there is no variable for it. */
  readonly statefulSet: string | null;
}

type Fail = (expected: string) => PeerDiscoveryError;

const label = 'a DNS label (at most 63 of a-z, 0-9 and -, with no dash at either end)';

/**
 * Checks the options and the `STATEFUL_PEERS_…` variables. Those variables decide as options do: nothing but the user
 * of this library sets them, where `POD_NAME` and its like are a habit of many programs. An option goes before its
 * variable, which is then not looked at.
 *
 * @throws {@link PeerDiscoveryError} `ERR_OPTION` with the option or variable, its value and what was expected
 */
export function checkSettings(options: IdentityOptions, environment: Environment): Settings {
  const podName = option(options, 'podName', (name, fail) => {
    const fault = podNameFault(name);
    if (fault !== null) throw fail(`the name of a StatefulSet pod, like 'web-0': ${fault}`);
    return name;
  });
  const statefulSet = option(options, 'statefulSet', (name, fail) => {
    if (!isLabel(name)) throw fail(`a StatefulSet's name, like 'web': ${label}`);
    if (podNameFault(`${name}-0`) !== null) throw fail("a StatefulSet's name that leaves room for an ordinal");
    return name;
  });
  const namespace = option(options, 'namespace', (name, fail) => {
    if (!isLabel(name)) throw fail(`a namespace: ${label}`);
    return name;
  });
  const clusterDomain = either(options, 'clusterDomain', 'STATEFUL_PEERS_CLUSTER_DOMAIN', environment, (name, fail) => {
    if (!isDomainName(name)) throw fail("a DNS domain, like 'cluster.local'");
    return name;
  });
  const service = either(options, 'service', 'STATEFUL_PEERS_SERVICE', environment, (name, fail) => {
    const parts = parseService(name);
    if (parts === null) throw fail("a Service's name, like 'nginx' or 'nginx.default.svc.cluster.local'");
    agrees(parts.namespace, namespace, fail);
    agrees(parts.clusterDomain, clusterDomain, fail);
    return parts;
  });
  return {
    podName: [asWitness(podName)],
    service: service.map((setting) => asWitness({ ...setting, value: setting.value?.service ?? null })),
    namespace: [asWitness(namespace), ...partsOf(service, 'namespace')],
    clusterDomain: [...clusterDomain.map(asWitness), ...partsOf(service, 'clusterDomain')],
    statefulSet: statefulSet.value,
  };
}

interface Setting<T> {
  readonly source: 'option' | 'environment';
  readonly where: string;
  readonly value: T | null;
}

type Check<T> = (name: string, fail: Fail) => T;

function option<T>(options: IdentityOptions, name: keyof IdentityOptions, check: Check<T>): Setting<T> {
  const given = options[name];
  const fail: Fail = (expected) => optionError(name, given, expected);
  const value = typeof given === 'string' ? check(normalName(given), fail) : null;
  return { source: 'option', where: `option ${name}`, value };
}

/** The option, and its variable where the option is not given. */
function either<T>(
  options: IdentityOptions,
  name: keyof IdentityOptions,
  variable: string,
  environment: Environment,
  check: Check<T>,
): readonly Setting<T>[] {
  const given = option(options, name, check);
  if (given.value !== null) return [given];
  const text = environment.variables[variable] ?? '';
  const fail: Fail = (expected) => settingError(variable, text, expected);
  const value = text.trim() === '' ? null : check(normalName(text), fail);
  return [given, { source: 'environment', where: variable, value }];
}

interface ServiceParts {
  readonly service: string;
  readonly namespace: string | null;
  readonly clusterDomain: string | null;
}

function parseService(name: string): ServiceParts | null {
  const [service = '', namespace = null, svc = 'svc', ...zone] = name.split('.');
  if (!isDomainName(name) || svc !== 'svc') return null;
  return { service, namespace, clusterDomain: zone.length === 0 ? null : zone.join('.') };
}

/** A long Service name must not say something else than the setting of its own. */
function agrees(part: string | null, settings: Setting<string> | readonly Setting<string>[], fail: Fail): void {
  for (const { where, value } of [settings].flat()) {
    if (part !== null && value !== null && part !== value) throw fail(`what ${where} says, ${quoted(value)}`);
  }
}

function partsOf(service: readonly Setting<ServiceParts>[], part: 'namespace' | 'clusterDomain'): Witness[] {
  return service.flatMap((setting) => {
    const value = setting.value?.[part] ?? null;
    return value === null ? [] : [asWitness({ ...setting, value })];
  });
}

function asWitness({ source, where, value }: Setting<string>): Witness {
  const unset = source === 'option' ? 'not given' : 'not set';
  return { source, where, value, shown: value === null ? unset : quoted(value), decides: true };
}

import type { ServerAddress } from '../dns/transport.ts';
import { optionError, PeerDiscoveryError } from '../errors.ts';
import type { Environment } from './environment.ts';
import { quoted, settingError } from './identity-errors.ts';
import { canonicalAddress } from './ip-address.ts';
import type { ResolvConf } from './pod-files.ts';
import { parseResolvConf, serverFault } from './pod-files.ts';

/** The DNS servers to ask, in order. */
export interface ConfiguredServers {
  /** At least one, none twice. */
  readonly servers: readonly ServerAddress[];
  /** Somebody named them: in the options or in `STATEFUL_PEERS_DNS`. `false` for those of `resolv.conf`. */
  readonly explicit: boolean;
}

const dnsPort = 53;
const expected =
  "IP addresses, each with an optional port, like '10.96.0.10', '127.0.0.1:5353', '[::1]:5353' or 'fd00:10:96::a'";

/**
 * The DNS servers: the option, else `STATEFUL_PEERS_DNS` (the same forms with commas or spaces between), else
 * `resolv.conf`. Reads anew each time, so call it again when `resolv.conf` may have changed; while the file is being
 * written this throws, and the servers known before are the better choice.
 *
 * @param given - option `dns.servers`
 * @throws {@link PeerDiscoveryError} `ERR_OPTION` for a form that is no server, with the option or variable;
 * `ERR_RESOLUTION` where `resolv.conf` names no server that can be asked
 */
export function serversFromEnvironment(
  given: readonly string[] | null | undefined,
  environment: Environment,
): ConfiguredServers {
  if (given !== null && given !== undefined) {
    const fail = (value: unknown): PeerDiscoveryError => optionError('dns.servers', value, expected);
    return { servers: parseServers(given, fail), explicit: true };
  }
  const variable = environment.variables['STATEFUL_PEERS_DNS'] ?? '';
  if (variable.trim() !== '') {
    const fail = (value: unknown): PeerDiscoveryError => settingError('STATEFUL_PEERS_DNS', value, expected);
    const parts = variable.split(/[\s,]+/).filter((part) => part !== '');
    return { servers: parseServers(parts, fail), explicit: true };
  }
  const text = environment.readFile('/etc/resolv.conf');
  const conf = text === null ? null : parseResolvConf(text);
  if (conf === null || conf.servers.length === 0) throw noServers(conf);
  return {
    servers: unique(conf.servers.map((address) => ({ address, port: dnsPort }))),
    explicit: false,
  };
}

function parseServers(parts: readonly string[], fail: (value: unknown) => PeerDiscoveryError): ServerAddress[] {
  if (parts.length === 0) throw fail(parts);
  return unique(
    parts.map((part) => {
      const server = parseServer(part);
      if (server === null) throw fail(part);
      return server;
    }),
  );
}

/** `IP`, `IPv4:port`, `[IPv6]` or `[IPv6]:port`. */
function parseServer(part: string): ServerAddress | null {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::([0-9]{1,5}))?$/.exec(part) ?? [];
  if (bracketed !== undefined && !bracketed.includes(':')) return null;
  const text = bracketed ?? plain ?? part;
  const address = canonicalAddress(text);
  const number = port === undefined ? dnsPort : Number(port);
  if (address === null || serverFault(text) !== null || number < 1 || number > 65_535) return null;
  return { address, port: number };
}

function unique(servers: readonly ServerAddress[]): ServerAddress[] {
  return [...new Map(servers.map((server) => [`${server.address} ${server.port}`, server])).values()];
}

function noServers(conf: ResolvConf | null): PeerDiscoveryError {
  const skipped = conf?.skipped.map(({ server, reason }) => `${quoted(server)} is ${reason}`).join('; ') ?? '';
  const why =
    conf === null
      ? '/etc/resolv.conf is not there or cannot be read'
      : `/etc/resolv.conf names no DNS server that can be asked${skipped === '' ? '' : ` (${skipped})`}`;
  const explanation =
    "Pass option dns.servers, for example ['10.96.0.10'], or set STATEFUL_PEERS_DNS. In a pod, look at .spec.dnsPolicy and .spec.dnsConfig.";
  return new PeerDiscoveryError('ERR_RESOLUTION', `no DNS server: ${why}\n${explanation}`, { explanation });
}

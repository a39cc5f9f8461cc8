import { net } from '../late-modules.ts';

/**
 * An IP address in canonical text (RFC 5952 for IPv6; an IPv4-mapped one is IPv4), or `null` for what is none.
 * One with a zone (`fe80::1%eth0`) is `null`: it means something on one machine only.
 */
export function canonicalAddress(text: string): string | null {
  const version = text.includes('%') ? 0 : net().isIP(text);
  if (version === 0) return null;
  if (version === 4) return text;
  const { address } = new (net().SocketAddress)({ address: text, family: 'ipv6' });
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  return mapped ?? address;
}

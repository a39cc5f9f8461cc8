import { net } from '../late-modules.ts';

/** IP family by number, as Node.js writes it. */
export type Family = 4 | 6;

/**
 * The one text for an address: IPv6 as RFC 5952 has it, IPv4-mapped IPv6 as the IPv4 address that it stands for.
 * Addresses that are equal have equal texts.
 *
 * @returns `null` for what is no address, and for one with a zone id (`fe80::1%eth0`), which means something on one
 * machine only
 */
export function normaliseAddress(text: string): string | null {
  if (net().isIPv4(text)) return text;
  const bytes = parseIpv6(text);
  if (bytes === null) return null;
  return isIpv4Mapped(bytes) ? formatIpv4(bytes, 12) : formatIpv6(bytes, 0);
}

/** The family of an address in the text that {@link normaliseAddress} gives. */
export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4;
}

/** 127.0.0.0/8 and ::1, in any text. */
export function isLoopback(address: string): boolean {
  const normal = normaliseAddress(address);
  return normal !== null && isNormalLoopback(normal);
}

/**
 * Whether a pod can have this address, in the text that {@link normaliseAddress} gives. No pod has one in 0.0.0.0/8, a
 * link-local, multicast, broadcast or unspecified one; loopback counts only where the caller knows better. 240.0.0.0/4 is
 * legal: service meshes hand it out.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6890 (special-purpose addresses)
 */
export function isPodAddress(address: string, options: { readonly allowLoopback: boolean }): boolean {
  if (isNormalLoopback(address)) return options.allowLoopback;
  if (familyOf(address) === 6) return address !== '::' && !/^(?:fe[89ab]|ff)[0-9a-f]?[0-9a-f]:/.test(address);
  const first = parseInt(address, 10);
  if (first === 0 || address.startsWith('169.254.')) return false;
  return first < 224 || (first >= 240 && address !== '255.255.255.255');
}

/**
 * The 16 bytes of an IPv6 address, `null` for what is none.
 */
export function parseIpv6(text: string): Uint8Array | null {
  if (!net().isIPv6(text) || text.includes('%')) return null;
  const bytes = new Uint8Array(16);
  const [head = '', tail] = text.split('::', 2);
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  bytes.set(before, 0);
  bytes.set(after, 16 - after.length);
  return bytes;
}

/** The text of the four bytes from `offset` on. */
export function formatIpv4(bytes: Uint8Array, offset: number): string {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]];
  return `${a}.${b}.${c}.${d}`;
}

/**
 * The text of the sixteen bytes from `offset` on: lower-case, no leading zeros, the longest run of two or more zero
 * groups shortened (the first of equal ones), IPv4-mapped with a dotted end (RFC 5952 sections 4 and 5).
 */
export function formatIpv6(bytes: Uint8Array, offset: number): string {
  const end = offset + 16;
  if (isIpv4Mapped(bytes, offset)) return `::ffff:${formatIpv4(bytes, offset + 12)}`;
  let runStart = -1;
  let runEnd = -1;
  let start = offset;
  for (let at = offset; at <= end; at += 2) {
    if (at < end && bytes[at] === 0 && bytes[at + 1] === 0) continue;
    // A run of zero groups ends here. A single one is written out.
    if (at - start > Math.max(2, runEnd - runStart)) [runStart, runEnd] = [start, at];
    start = at + 2;
  }
  let text = '';
  for (let at = offset; at < end; at += 2) {
    if (at === runStart) {
      text += '::';
      at = runEnd - 2;
      continue;
    }
    if (text !== '' && at !== runEnd) text += ':';
    text += (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16);
  }
  return text;
}

function isNormalLoopback(normal: string): boolean {
  return normal.startsWith('127.') || normal === '::1';
}

/** ::ffff:0:0/96 (RFC 4291 section 2.5.5.2). */
function isIpv4Mapped(bytes: Uint8Array, offset = 0): boolean {
  if (bytes[offset + 10] !== 0xff || bytes[offset + 11] !== 0xff) return false;
  for (let at = offset; at < offset + 10; at += 1) if (bytes[at] !== 0) return false;
  return true;
}

/** The bytes of colon-separated groups, the last of which may be a dotted IPv4 address. */
function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** What a name takes on the wire at most, length bytes and the final zero included (RFC 1035 section 2.3.4). */
export const maxNameBytes = 255;

/** What a name takes on the wire without compression. `name` is the decoder's text. */
export function wireLengthOf(name: string): number {
  if (name === '') return 1;
  // A length byte in front of each label, and the final zero: two more than there are characters and dots.
  if (!name.includes('\\')) return name.length + 2;
  return name.replace(/\\(?:[0-9]{3}|.)/gs, 'x').length + 2;
}

/** Whether `name` is `zone` or below it. Both in the decoder's text; everything is below the root, `''`. */
export function isWithin(name: string, zone: string): boolean {
  if (zone === '' || name === zone) return true;
  if (!name.endsWith(`.${zone}`)) return false;
  // A dot behind an odd number of backslashes stands inside a label.
  const [backslashes = ''] = /\\*$/.exec(name.slice(0, -zone.length - 1)) ?? [];
  return backslashes.length % 2 === 0;
}

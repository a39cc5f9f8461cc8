/** A name as this library writes it: lower-case, without a final dot, without space around it. */
export function normalName(text: string): string {
  const name = text.trim().toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/**
 * Is it an RFC 1123 label, in normal form: what Kubernetes demands of a pod's hostname, of a Service's name and of a
 * namespace? (Services were held to RFC 1035, a letter in front, for long; both are labels here.)
 *
 * @see https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
 */
export function isLabel(name: string): boolean {
  return /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(name);
}

/** Is it one or more labels with dots between, at most 253 characters (RFC 1035 section 2.3.4, as text)? */
export function isDomainName(name: string): boolean {
  return name.length <= 253 && name.split('.').every(isLabel);
}

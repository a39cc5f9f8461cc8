import type { Dispatcher } from 'undici';

/**
 * The request header that names the pod a request is meant for, by stable name. Host does so; the dispatcher sends this
 * one where the caller sets another Host.
 */
export const targetHeader = 'stateful-peers-target';

/**
 * The response header that marks a 421 of the identity guard, so that an application's own 421 is left alone. Its value
 * says who refused: a pod name, with `; superseded` where another process has that name now.
 */
export const refusalHeader = 'stateful-peers-refused-by';

/** What undici takes as headers. */
export type RequestHeaders = NonNullable<Dispatcher.DispatchOptions['headers']> | null;

/**
 * The caller's headers. Host is the stable name and says whom the request means; where the caller sets another Host (or
 * hands on the headers of somebody else's request), the target header does.
 */
export function withTarget(headers: RequestHeaders | undefined, stableName: string): RequestHeaders {
  if (headers === null || headers === undefined) return null;
  if (Array.isArray(headers)) {
    const isPlain = !headers.some((name, index) => index % 2 === 0 && (isHost(name) || isTargetHeader(name)));
    return isPlain || headers.length % 2 === 1 ? headers : flatWithTarget(pairsOf(headers), stableName);
  }
  if (Symbol.iterator in headers) return flatWithTarget(headers as Iterable<unknown>, stableName) ?? headers;
  for (const name in headers) {
    if (isHost(name) || isTargetHeader(name)) return flatWithTarget(Object.entries(headers), stableName);
  }
  return headers;
}

function flatWithTarget(entries: Iterable<unknown>, stableName: string): RequestHeaders {
  const flat: unknown[] = [];
  for (const entry of entries) {
    // Undici says what is wrong with it.
    if (!Array.isArray(entry) || entry.length !== 2) return null;
    if (!isTargetHeader(entry[0])) flat.push(...(entry as unknown[]));
  }
  return [...flat, targetHeader, stableName] as string[];
}

function* pairsOf(flat: readonly unknown[]): Generator<readonly unknown[]> {
  for (let index = 0; index < flat.length; index += 2) yield flat.slice(index, index + 2);
}

function isHost(name: unknown): boolean {
  return typeof name === 'string' && name.length === 4 && name.toLowerCase() === 'host';
}

function isTargetHeader(name: unknown): boolean {
  return typeof name === 'string' && name.length === targetHeader.length && name.toLowerCase() === targetHeader;
}

/** Who refused, in raw headers; `null` where nobody did. */
export function refusalIn(headers: readonly (Buffer | string)[]): string | null {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (String(headers[index]).toLowerCase() === refusalHeader) return String(headers[index + 1]);
  }
  return null;
}

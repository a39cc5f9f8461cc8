import { optionError, unknownOptionError } from './errors.ts';

/** The longest time that a timer takes. */
export const maxTimerMs = 0x7fff_ffff;

/** The fields of an object that a caller gave. */
export type Section = Record<string, unknown>;

/**
 * An object whose fields are known; `null` where somebody else knows them.
 *
 * @param option - its path, `options` for the whole
 * @throws `ERR_OPTION`
 */
export function asObject(option: string, value: unknown, fields: ReadonlySet<string> | null): Section {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(option, value, 'an object');
  for (const field of Object.keys(value)) {
    if (fields === null || fields.has(field)) continue;
    const path = option === 'options' ? field : `${option}.${field}`;
    throw unknownOptionError(path, (value as Section)[field], [...fields].sort());
  }
  return value as Section;
}

/** @throws `ERR_OPTION` */
export function integer(option: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    fail(option, value, `an integer from ${least} to ${most}`);
  }
  return value;
}

/** A time to wait, in milliseconds; `Infinity` is for ever. */
export function patience(option: string, value: unknown): number {
  if (value === Infinity) return value;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= maxTimerMs) return value;
  return fail(option, value, `an integer from 0 to ${maxTimerMs}, or Infinity`);
}

/** A TCP port; `null` where none is given. */
export function optionalPort(option: string, value: unknown): number | null {
  if (value === undefined) return null;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
  return fail(option, value, 'a number from 1 to 65535');
}

/** A signal, or `undefined`. */
export function optionalSignal(option: string, value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  return fail(option, value, 'an AbortSignal');
}

/** @throws `ERR_OPTION` */
export function fail(option: string, value: unknown, expected: string): never {
  throw optionError(option, value, expected);
}

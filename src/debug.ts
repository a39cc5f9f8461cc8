import { late, util } from './late-modules.ts';

const log = late(() => util().debuglog('stateful-peers'));

/** Writes a line to stderr where `NODE_DEBUG` names `stateful-peers`; else it costs next to nothing. */
export function debug(format: string, ...values: unknown[]): void {
  log()(format, ...values);
}

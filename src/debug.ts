import { late, util } from './late-modules.ts';

const log = late(() => {
  const lines = util().debuglog('stateful-peers');
  return lines.enabled ? lines : () => undefined;
});

/** Writes a line to stderr where `NODE_DEBUG` names `stateful-peers`; else it costs next to nothing. */
export function debug(format: string, ...values: unknown[]): void {
  log()(format, ...values);
}

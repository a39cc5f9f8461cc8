type Environment = Readonly<Record<string, string | undefined>>;

/** Where one side of the timeline and today's loop beside it fit into a line. */
const twoColumnsFrom = 108;

/**
 * Whether to write in colour: on a terminal that has any, unless `NO_COLOR` is set; `FORCE_COLOR` decides alone, as in
 * Node.js itself.
 *
 * @see https://no-color.org, https://nodejs.org/api/tty.html#writestreamgetcolordepthenv
 */
export function hasColour(environment: Environment, isTerminal: boolean): boolean {
  const { FORCE_COLOR: forced, NO_COLOR: refused, TERM: terminal } = environment;
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  if (refused !== undefined && refused !== '') return false;
  return isTerminal && terminal !== 'dumb';
}

/** Whether two columns fit. What is no terminal has no width, and takes lines of any length. */
export function isWide(columns: number | undefined): boolean {
  return columns === undefined || columns >= twoColumnsFrom;
}

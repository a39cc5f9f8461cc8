import { parseArgs } from 'node:util';

/** How the story is told. */
export interface PlayOptions {
  readonly isFast: boolean;
  readonly isJson: boolean;
  /** Stays up after the story. */
  readonly isKept: boolean;
  /** As on a system with a single loopback address, whatever this one has. */
  readonly isSingleAddress: boolean;
}

/** What was asked for. */
export type Command =
  | { readonly kind: 'demo'; readonly options: PlayOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'misused'; readonly why: string };

/** What `--help` prints. */
export const usage = `Usage: stateful-peers demo [--fast] [--json] [--keep] [--single-address]

  demo              plays the story of a StatefulSet with real processes on loopback, and judges it
  --fast            shorter windows: about 15 seconds
  --json            one JSON object a line; without --keep the last one is the verdict
  --keep            stays up after the verdict until Ctrl-C, and says how your own script takes part
  --single-address  all pods share 127.0.0.1, each with its own port, as where the system has no other loopback address
  --help            this text

Exit status: 0 every claim holds, 1 one does not, 2 wrong usage. Ended before the verdict: 130 by Ctrl-C,
143 by SIGTERM, 129 by a closed terminal, 141 by a closed pipe.
`;

/** Reads the arguments. Nothing is guessed: what is not known is misuse. */
export function parseCommandLine(args: readonly string[]): Command {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        fast: { type: 'boolean' },
        json: { type: 'boolean' },
        keep: { type: 'boolean' },
        'single-address': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    return misused(reasonOf(error));
  }
  const { values, positionals } = parsed;
  if (values.help === true) return { kind: 'help' };
  const [command, ...more] = positionals;
  if (command === undefined) return misused('no command');
  if (command !== 'demo') return misused(`unknown command '${command}'`);
  if (more.length > 0) return misused(`unexpected '${more.join(' ')}'`);
  const options = {
    ...{ isFast: values.fast === true, isJson: values.json === true, isKept: values.keep === true },
    isSingleAddress: values['single-address'] === true,
  };
  return { kind: 'demo', options };
}

function misused(why: string): Command {
  return { kind: 'misused', why };
}

/** The first sentence; what Node.js says after it is advice about positional arguments. */
function reasonOf(error: unknown): string {
  const [sentence = ''] = (error instanceof Error ? error.message : String(error)).split(/\. |\n/);
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

import { parseArgs } from 'node:util';
import { playDemo } from './demo.ts';

const usage = `Usage: stateful-peers demo [--fast] [--json]

  demo     plays the story of a StatefulSet with real processes on loopback, and judges it
  --fast   shorter windows: about 20 seconds
  --json   one JSON object a line, the last one is the verdict
  --help   this text

Exit status: 0 every claim holds, 1 one does not, 2 wrong usage, 130 or 143 interrupted.
`;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { fast: { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean' } },
    });
  } catch (error) {
    return misused(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  if (values.help === true) {
    process.stdout.write(usage);
    return 0;
  }
  const [command, ...more] = positionals;
  if (command === undefined) return misused('no command');
  if (command !== 'demo') return misused(`unknown command '${command}'`);
  if (more.length > 0) return misused(`unexpected '${more.join(' ')}'`);
  return playDemo({ isFast: values.fast === true, isJson: values.json === true });
}

function misused(why: string): number {
  process.stderr.write(`${why}\n\n${usage}`);
  return 2;
}

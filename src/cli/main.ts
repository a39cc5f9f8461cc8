import { parseCommandLine, usage } from './command-line.ts';
import { playDemo } from './demo.ts';

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const command = parseCommandLine(args);
  switch (command.kind) {
    case 'demo':
      return playDemo(command.options);
    case 'help':
      process.stdout.write(usage);
      return 0;
    case 'misused':
      process.stderr.write(`stateful-peers: ${command.why} (see --help)\n`);
      return 2;
  }
}

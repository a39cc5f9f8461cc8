import { parseArgs } from 'node:util';
import { run as codec } from './codec.ts';
import { run as dispatch } from './dispatch.ts';
import { run as lookup } from './lookup.ts';
import { run as move } from './move.ts';
import { run as rates } from './rates.ts';
import { run as storm } from './storm.ts';
import { run as topology } from './topology.ts';

type Bench = (options: { json: boolean; quick: boolean }) => Promise<void> | void;

const benches: Readonly<Record<string, Bench>> = { codec, dispatch, lookup, move, rates, storm, topology };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } },
});
const [name = ''] = positionals;
const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (bench === undefined) {
  console.error(`npm run bench -- NAME [--json] [--quick], where NAME is one of: ${Object.keys(benches).join(', ')}`);
  process.exitCode = 2;
} else {
  await bench(values);
}

import { parseArgs } from 'node:util';
import { run as codec } from './codec.ts';
import { run as rates } from './rates.ts';

const benches: Readonly<Record<string, (options: { json: boolean }) => Promise<void> | void>> = { codec, rates };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false } },
});
const [name = ''] = positionals;
const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (bench === undefined) {
  console.error(`npm run bench -- NAME [--json], where NAME is one of: ${Object.keys(benches).join(', ')}`);
  process.exitCode = 2;
} else {
  await bench({ json: values.json });
}

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const door = new URL('../../../src/undici.js', import.meta.url).href;
const run = promisify(execFile);

/** Runs this in a process of its own; gives what it printed. */
async function alone(source: string): Promise<string> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', source]);
  return stdout.trim();
}

const server = `
  import { createServer } from 'node:http';
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    response.end(text + ' ' + request.headers['content-length']);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = 'http://127.0.0.1:' + server.address().port;`;
const post = `
  const response = await fetch(url, { method: 'POST', body: 'hello', headers: { 'content-length': '5' } });
  console.log(await response.text());
  server.close();
  process.exit();`;

describe("importing './undici' changes nothing global", function () {
  this.timeout(20_000);

  for (const [order, source] of [
    ['the import, then the first fetch', `await import('${door}'); ${server} ${post}`],
    ['a fetch, then the import', `${server} await (await fetch(url)).text(); await import('${door}'); ${post}`],
  ] as const) {
    it(`the built-in fetch works with a content-length header of its own: ${order}`, async () => {
      assert.equal(await alone(source), 'hello 5');
    });
  }

  it('globals are those of Node.js', async () => {
    const source = `
      const names = () => [...Object.getOwnPropertyNames(globalThis)].sort();
      const kept = ['fetch', 'Headers', 'Request', 'Response', 'FormData', 'WebSocket', 'EventSource'];
      const before = { names: names(), values: kept.map((name) => globalThis[name]) };
      await import('${door}');
      const after = { names: names(), values: kept.map((name) => globalThis[name]) };
      console.log(JSON.stringify(before.names) === JSON.stringify(after.names), before.values.every((value, index) => value === after.values[index]));`;
    assert.equal(await alone(source), 'true true');
  });

  it('the dispatcher of the process is the one that the built-in fetch has without the import', async () => {
    const key = `Symbol.for('undici.globalDispatcher.1')`;
    // Its class tells the built-in one apart: on Node 20 that one has no EventEmitter methods of another undici.
    const source = `
      void globalThis.Headers;
      const before = globalThis[${key}];
      await import('${door}');
      console.log(before !== undefined && globalThis[${key}] === before);`;
    assert.equal(await alone(source), 'true');
  });

  it('keeps no process alive', async () => {
    const startedAt = performance.now();
    await alone(`await import('${door}');`);
    assert.ok(performance.now() - startedAt < 10_000);
  });
});

/**
 * A DNS server that has lost TCP: it passes UDP on to another. On TCP it refuses, as behind a firewall that rejects, or
 * with `--tcp=silent` accepts and says nothing, as behind one that breaks connections.
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { upstream: { type: 'string', default: '' }, tcp: { type: 'string', default: 'refused' } },
});

const patienceMs = 5_000;
const server = createSocket('udp4');

server.on('message', (question, client) => {
  // A socket a question: no id has to be rewritten.
  const asking = createSocket('udp4');
  const timer = setTimeout(() => asking.close(), patienceMs);
  asking.once('message', (answer) => {
    server.send(answer, client.port, client.address);
    clearTimeout(timer);
    asking.close();
  });
  // The server behind it is down: so is this one, then.
  asking.on('error', () => undefined);
  asking.send(question, 53, values.upstream);
});

server.bind(53, () => console.log(JSON.stringify({ kind: 'listening', tcp: values.tcp })));
if (values.tcp === 'silent') {
  createServer((socket) => {
    console.log(JSON.stringify({ kind: 'connected' }));
    socket.on('error', () => undefined).resume();
  }).listen(53);
}
process.once('SIGTERM', () => process.exit(0));

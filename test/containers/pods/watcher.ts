/** A pod that joins and says what it believes, each time that it believes something else. Its arguments are the options. */
import { parseArgs } from 'node:util';
import { discoverPeers } from 'stateful-peers';

const { values } = parseArgs({ options: { options: { type: 'string', default: '{}' } } });
const peers = discoverPeers(JSON.parse(values.options) as Parameters<typeof discoverPeers>[0]);

console.log(JSON.stringify({ kind: 'start', podName: peers.self.podName }));
peers.on('topologyChanged', ({ current }) => {
  const seen = current.peers.map(({ podName, addresses }) => [
    podName,
    addresses.map(({ address }) => address).join(' '),
  ]);
  console.log(JSON.stringify({ kind: 'topology', peers: Object.fromEntries(seen) as Record<string, string> }));
});
peers.on('peerMoved', ({ current, gained }) => {
  console.log(
    JSON.stringify({ kind: 'moved', podName: current.podName, gained: gained.map(({ address }) => address) }),
  );
});
peers.on('presenceChanged', ({ current: { podName, presence } }) => {
  if (presence === 'missing') console.log(JSON.stringify({ kind: 'missing', podName }));
});
peers.on('peerRemoved', ({ previous }) => console.log(JSON.stringify({ kind: 'removed', podName: previous.podName })));

// Idle polling keeps no process alive.
const alive = setInterval(() => undefined, 60_000);
process.once('SIGTERM', () => {
  clearInterval(alive);
  void peers.close();
});

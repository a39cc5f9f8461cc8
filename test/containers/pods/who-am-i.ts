/** Says who it is by the library's account, and by which of its variables it could know. */
import { PeerDiscoveryError, discoverPeers } from 'stateful-peers';

const variables = Object.keys(process.env).filter((name) => /^(POD_|STATEFUL_PEERS_|KUBERNETES_)/.test(name));

try {
  const peers = discoverPeers();
  console.log(JSON.stringify({ variables, identity: peers.identity }));
  await peers.close();
} catch (error) {
  if (!(error instanceof PeerDiscoveryError)) throw error;
  console.log(JSON.stringify({ variables, code: error.code, message: error.message }));
}

import { dgram } from '../late-modules.ts';
import { familyOf, normaliseAddress } from './address.ts';
import type { Cleanup, OpenQuestion } from './open-question.ts';
import type { ServerAddress } from './transport.ts';

/**
 * Sends the question in one datagram from a socket of its own, so that each question has another random source port
 * (RFC 5452 section 4.5). The socket is connected: datagrams from elsewhere do not reach it, and a closed port is
 * reported at once (ECONNREFUSED).
 */
export function askOverUdp({ address, port }: ServerAddress, question: OpenQuestion): Cleanup {
  const socket = dgram().createSocket(familyOf(address) === 6 ? 'udp6' : 'udp4');
  const expected = normaliseAddress(address);
  socket.unref();
  socket.on('error', (error) => {
    question.fail(error);
  });
  socket.on('message', (packet, source) => {
    // Between bind and connect the socket takes anybody's datagrams.
    if (source.port === port && normaliseAddress(source.address) === expected) question.offer(packet);
  });
  // Not as a callback of connect(), which would be called with an error as well, and send on a socket that leads nowhere.
  socket.once('connect', () => {
    socket.send(question.query, (error) => {
      if (error !== null) question.fail(error);
    });
  });
  socket.connect(port, address);
  return () => {
    // It may be about to say that it is connected.
    socket.removeAllListeners('connect').close();
  };
}

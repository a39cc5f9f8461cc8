import { connect } from 'node:net';
import type { Pod } from '../testing/pod.ts';

/** Where a pod is: its address, and the port `peer`. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** The place of a pod that has one. */
export function placeOf(pod: Pod): Place {
  return { host: pod.addresses[0] ?? '', port: pod.ports[0]?.port ?? 0 };
}

/** As the reports have it: `127.1.0.1:7000`. */
export function addressOf(pod: Pod): string {
  const { host, port } = placeOf(pod);
  return `${host}:${port}`;
}

/** The IP of such an address. */
export function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}

/** Whether something listens there. It is told nothing. */
export function accepts({ host, port }: Place): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: answerMs });
    const end = (isListening: boolean) => (): void => {
      socket.destroy();
      resolve(isListening);
    };
    socket.on('connect', end(true));
    socket.on('timeout', end(false));
    socket.on('error', end(false));
  });
}

/** The line that is answered there; empty when nobody answers. */
export function answerOf({ host, port }: Place): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host, port, timeout: answerMs });
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (answer += text));
    socket.on('timeout', () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(answer.trim()));
  });
}

const answerMs = 500;

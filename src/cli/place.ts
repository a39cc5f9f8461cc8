import { get } from 'node:http';
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

/** Whether its readiness probe says so. */
export function isReady({ host, port }: Place): Promise<boolean> {
  return new Promise((resolve) => {
    const probing = get({ host, port, path: '/ready', agent: false, timeout: answerMs }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    probing.on('timeout', () => probing.destroy());
    probing.on('error', () => resolve(false));
  });
}

/** The IDs of the entries that a pod has; `null` where it cannot be asked. */
export function entriesOf({ host, port }: Place): Promise<string[] | null> {
  return new Promise((resolve) => {
    const asking = get({ host, port, path: '/log?follow=no', agent: false, timeout: 5_000 }, (response) => {
      let lines = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (lines += chunk));
      response.on('end', () =>
        resolve(
          lines
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => (JSON.parse(line) as { readonly id: string }).id),
        ),
      );
      response.on('error', () => resolve(null));
    });
    asking.on('timeout', () => asking.destroy());
    asking.on('error', () => resolve(null));
  });
}

const answerMs = 500;

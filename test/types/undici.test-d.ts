// Compiled, never run: tsc is the test. Each @ts-expect-error is a promise that the line below it does not compile.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import express from 'express';
import fastify from 'fastify';
import type { Dispatcher, Response as UndiciResponse } from 'undici';
import { RetryAgent, WebSocket, fetch as undiciFetch, interceptors, request } from 'undici';
import { discoverPeers, observePeers } from '../../src/index.ts';
import type { IdentityGuard, PeerDispatcherOptions } from '../../src/undici.ts';
import { PeerDispatcher, createIdentityGuard, retryableErrorCodes } from '../../src/undici.ts';

type Equal<One, Two> = (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Two ? 1 : 2 ? true : false;

/** Compiles only where the claim is `true`. */
declare function holds<Claim extends true>(): void;

export async function itIsADispatcherOfUndici(): Promise<void> {
  const dispatcher = new PeerDispatcher(discoverPeers());
  holds<typeof dispatcher extends Dispatcher ? true : false>();
  await request('http://primary', { dispatcher });
  await undiciFetch('http://web-1', { dispatcher });
  const retrying = dispatcher.compose(interceptors.retry({ errorCodes: [...retryableErrorCodes] }));
  await request('http://web-1', { dispatcher: retrying });
  await request('http://web-1', { dispatcher: new RetryAgent(dispatcher) });
  new WebSocket('ws://web-1', { dispatcher }).close();
  await dispatcher.close();
  await dispatcher.destroy();
}

export async function theBuiltInFetchTakesIt(dispatcher: PeerDispatcher): Promise<void> {
  const response = await fetch('http://web-1', { ...dispatcher.forFetch });
  holds<Equal<typeof response, Response>>();
  await fetch('http://web-1', { method: 'POST', body: 'hello', ...dispatcher.forFetch });
  await fetch('http://web-1', dispatcher.forFetch);
  const own = await dispatcher.fetch('http://web-1', { method: 'POST', body: 'hello' });
  holds<Equal<typeof own, UndiciResponse>>();
}

export function optionsAreClosed(): void {
  const options: PeerDispatcherOptions = { port: 80, waitMs: 1, connectTimeoutMs: 1, drainMs: 1, pool: {}, tls: {} };
  new PeerDispatcher(observePeers({ statefulSet: 'web', service: 'nginx' }), options);
  // @ts-expect-error no such option
  new PeerDispatcher(discoverPeers(), { wait: 1 });
  // @ts-expect-error The dispatcher makes its connections itself.
  new PeerDispatcher(discoverPeers(), { pool: { connect: {} } });
  // @ts-expect-error It stands on a library object.
  new PeerDispatcher({});
}

export function theGuardFitsTheFrameworks(): void {
  const guard = createIdentityGuard(discoverPeers());
  holds<Equal<typeof guard, IdentityGuard>>();
  createServer((incoming: IncomingMessage, response: ServerResponse) => {
    if (!guard(incoming, response)) return;
    response.end();
  }).on('upgrade', (incoming, socket) => guard(incoming, socket));
  express().use(guard);
  fastify().addHook('onRequest', (incoming, reply, done) => void guard(incoming.raw, reply.raw, done));
  // @ts-expect-error An observer has no identity to guard.
  createIdentityGuard(observePeers({ statefulSet: 'web', service: 'nginx' }));
}

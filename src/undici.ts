import './http/preload-builtin-fetch.ts';

export { PeerDiscoveryError } from './errors.ts';
export { createIdentityGuard } from './http/identity-guard.ts';
export { PeerDispatcher, retryableErrorCodes } from './http/peer-dispatcher.ts';

export type { Connectable } from './connect/addresses.ts';
export type { Guarded, IdentityGuard } from './http/identity-guard.ts';
export type { PeerDispatcherOptions } from './http/dispatcher-options.ts';

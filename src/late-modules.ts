import type * as cryptoModule from 'node:crypto';
import type * as dgramModule from 'node:dgram';
import type * as diagnosticsChannelModule from 'node:diagnostics_channel';
import type * as dnsModule from 'node:dns';
import type * as eventsModule from 'node:events';
import type * as netModule from 'node:net';
import type * as tlsModule from 'node:tls';
import type * as utilModule from 'node:util';

// The modules of Node.js, each loaded by the first who needs it. Importing them would be half of what importing the
// library costs, in programs that may never ask: node:net alone brings all of node:stream with it.
// `process.getBuiltinModule` knows no files, so that a bundler has nothing to follow here.

/** node:crypto. */
export const crypto: () => typeof cryptoModule = late(() => process.getBuiltinModule('node:crypto'));
/** node:dgram. */
export const dgram: () => typeof dgramModule = late(() => process.getBuiltinModule('node:dgram'));
/** node:diagnostics_channel. */
export const diagnosticsChannel: () => typeof diagnosticsChannelModule = late(() =>
  process.getBuiltinModule('node:diagnostics_channel'),
);
/** node:dns. */
export const dns: () => typeof dnsModule = late(() => process.getBuiltinModule('node:dns'));
/** node:events. */
export const events: () => typeof eventsModule.default = late(() => process.getBuiltinModule('node:events'));
/** node:net. */
export const net: () => typeof netModule = late(() => process.getBuiltinModule('node:net'));
/** node:tls. */
export const tls: () => typeof tlsModule = late(() => process.getBuiltinModule('node:tls'));
/** node:util. */
export const util: () => typeof utilModule = late(() => process.getBuiltinModule('node:util'));

/** Makes what is needed when it is first needed, and keeps it. */
export function late<Value>(make: () => Value): () => Value {
  let value: Value | undefined;
  return () => (value ??= make());
}

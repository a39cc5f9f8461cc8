import type { Dispatcher } from 'undici';

/* eslint-disable @typescript-eslint/no-deprecated -- undici 7 knows two styles of handlers, and a caller may bring either */

/** Undici's own methods and the built-in fetch up to Node 24 bring handlers of the older style. */
export function isOlderStyle(handler: Dispatcher.DispatchHandler): boolean {
  return handler.onRequestStart === undefined;
}

/** Tells the handler that its request has begun, and how to abort it. */
export function startHandler(
  handler: Dispatcher.DispatchHandler,
  request: { readonly controller: Dispatcher.DispatchController; readonly abort: (reason?: Error) => void },
): void {
  if (isOlderStyle(handler)) handler.onConnect?.(request.abort);
  else handler.onRequestStart?.(request.controller, undefined);
}

/** Tells the handler that its request failed. */
export function failHandler(
  handler: Dispatcher.DispatchHandler,
  request: { readonly controller: Dispatcher.DispatchController },
  error: Error,
): void {
  if (handler.onResponseError !== undefined) handler.onResponseError(request.controller, error);
  else if (handler.onError !== undefined) handler.onError(error);
  else throw error;
}

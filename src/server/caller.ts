import type { Exchange } from './exchange.ts';

/** Which tongue the caller of a proxied route understands an answer in. */
export type Caller =
  | 'navigation' // a person's browser opening a page
  | 'api' // XHR, subresource, curl, SSE, anything that reads status codes
  | 'grpc'
  | 'grpc-web'
  | 'grpc-web-text'
  | 'connect-unary'
  | 'connect-streaming'
  | 'websocket';

/**
 * Tells the caller's tongue from the request head alone.
 *
 * A navigation is `Sec-Fetch-Mode: navigate`, or without Fetch Metadata a GET or HEAD whose `Accept` prefers text/html.
 */
export function callerOf(exchange: Exchange): Caller {
  if (exchange.wire.kind === 'upgrade') return 'websocket';
  throw new Error('unwritten');
}

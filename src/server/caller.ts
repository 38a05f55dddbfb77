import type { Exchange } from './exchange.ts';
import type { Fields, RequestHead } from './request-head.ts';

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
 * RPC protocols are known by their content type; a Connect unary call by its protocol version besides, or by `connect=v1`
 * in the query of a GET. A navigation is a GET or HEAD with `Sec-Fetch-Mode: navigate`, or without Fetch Metadata one
 * whose `Accept` prefers HTML.
 */
export function callerOf(exchange: Exchange): Caller {
  if (exchange.wire.kind === 'upgrade') return 'websocket';
  const { head } = exchange;
  return rpcOf(head) ?? (isNavigation(head) ? 'navigation' : 'api');
}

function rpcOf(head: RequestHead): Caller | undefined {
  const type = mediaTypeOf(head.fields.get('content-type'));
  if (type.startsWith('application/')) {
    const subtype = type.slice('application/'.length);
    // In this order: the first is a prefix of the second, and that of the third.
    if (isVariant(subtype, 'grpc')) return 'grpc';
    if (isVariant(subtype, 'grpc-web')) return 'grpc-web';
    if (isVariant(subtype, 'grpc-web-text')) return 'grpc-web-text';
    if (subtype.startsWith('connect+')) return 'connect-streaming';
    if ((subtype === 'proto' || subtype === 'json') && head.fields.get('connect-protocol-version') === '1') {
      return 'connect-unary';
    }
  }
  return head.method === 'GET' && connectGet.test(head.target) ? 'connect-unary' : undefined;
}

const connectGet = /[?&]connect=v1(?:&|$)/;

/** Whether a subtype is a name itself or names a codec with it: `grpc`, `grpc+proto`. */
function isVariant(subtype: string, name: string): boolean {
  return subtype === name || subtype.startsWith(`${name}+`);
}

/** Without parameters, in lower case; empty when there is none. */
function mediaTypeOf(value: string | undefined): string {
  return (value ?? '').split(';', 1).join().trim().toLowerCase();
}

function isNavigation({ method, fields }: RequestHead): boolean {
  // A form that is posted cannot be posted again after signing in.
  if (method !== 'GET' && method !== 'HEAD') return false;
  const mode = fields.get('sec-fetch-mode');
  return mode === undefined ? prefersHtml(fields) : mode === 'navigate';
}

/** Media ranges beyond so many are not looked at. */
const maxRanges = 32;

function prefersHtml(fields: Fields): boolean {
  const accept = fields.get('accept');
  // Scripts that ask for HTML fragments want to hear 401.
  if (accept === undefined || fields.get('x-requested-with') !== undefined) return false;
  let best = { type: '', quality: 0 };
  for (const range of accept.split(',', maxRanges)) {
    const type = mediaTypeOf(range);
    const quality = qualityOf(range);
    if (!type.includes('*') && quality > best.quality) best = { type, quality };
  }
  return best.type === 'text/html' || best.type === 'application/xhtml+xml';
}

/** The weight of a media range, 0 to 1 (RFC 9110 §12.4.2). */
function qualityOf(range: string): number {
  const weight = /;\s*q=([01](?:\.\d{0,3})?)\s*(?:;|$)/i.exec(range);
  return weight ? Number(weight[1]) : 1;
}

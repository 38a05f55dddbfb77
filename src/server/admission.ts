import { METHODS } from 'node:http';
import { isAuthority } from './authority.ts';
import type { Fault, Framing } from './framing.ts';
import type { RequestHead } from './request-head.ts';

/**
 * Why a request must be turned away before anybody looks at it, whatever it asks for; undefined when it may come in.
 *
 * @param maxFields most header fields that a request may have
 * @see RFC 9112 §3.2 (exactly one Host), §6.1 (Transfer-Encoding); RFC 9113 §8.3.1 (`:authority` and Host agree)
 */
export function faultOf(head: RequestHead, framing: Framing, maxFields: number): Fault | undefined {
  if (head.fields.count > maxFields) return { status: 431, code: 'headers_too_many' };
  if (head.method === 'CONNECT' || head.method === 'TRACE') return { status: 405, code: 'method_refused' };
  if (!knownMethods.has(head.method)) return { status: 501, code: 'method_refused' };
  return faultOfHost(head, framing) ?? faultOfCoding(head, framing);
}

const knownMethods: ReadonlySet<string> = new Set(METHODS);

function faultOfHost(head: RequestHead, framing: Framing): Fault | undefined {
  if (framing.hosts > 1) return { status: 400, code: 'header_repeated' };
  if (head.authority === undefined) {
    return head.version === '1.0' ? undefined : { status: 400, code: 'request_malformed' };
  }
  if (!isAuthority(head.authority)) return { status: 400, code: 'request_malformed' };
  const isSameHost = framing.host === undefined || framing.host.toLowerCase() === head.authority.toLowerCase();
  return isSameHost ? undefined : { status: 400, code: 'host_mismatch' };
}

/** Another hop might not know the coding, or not look for it in HTTP/1.0, and take the body for the next request. */
function faultOfCoding(head: RequestHead, framing: Framing): Fault | undefined {
  if (framing.transferEncodings === 0) return undefined;
  const isPlain =
    head.version === '1.1' &&
    framing.transferEncodings === 1 &&
    framing.transferEncoding?.toLowerCase() === 'chunked' &&
    framing.contentLength === undefined;
  return isPlain ? undefined : { status: 400, code: 'request_malformed' };
}

import type { Forwarded } from './plan.ts';

export type UpstreamFailureCode = Extract<Forwarded, { kind: 'failed' }>['code'];

/** A failure that this room noticed itself. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly code: UpstreamFailureCode;

  constructor(code: UpstreamFailureCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The caller sends more than its route takes. */
export function bodyTooLarge(maxBytes: number): UpstreamError {
  return new UpstreamError('body_too_large', `the request body is over ${maxBytes} bytes`);
}

export function isBodyTooLarge(error: unknown): boolean {
  return error instanceof UpstreamError && error.code === 'body_too_large';
}

const TIMEOUTS = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);

const NEVER_CONNECTED = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EMFILE',
]);

/** Errors of a connection that ended while it was idle as far as the other side knew. */
const CLOSED = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/**
 * What an error on the way to an upstream comes to. Judged by code, never by message.
 *
 * @param wasConnected whether a connection stood when it happened
 */
export function upstreamFailure(error: unknown, wasConnected: boolean): UpstreamFailureCode {
  if (error instanceof UpstreamError) return error.code;
  const code = codeOf(error);
  if (TIMEOUTS.has(code)) return 'upstream_timeout';
  return !wasConnected || NEVER_CONNECTED.has(code) ? 'upstream_unreachable' : 'upstream_broken';
}

/** Whether the connection was closed under a request that may never have been read. */
export function wasClosed(error: unknown): boolean {
  return CLOSED.has(codeOf(error));
}

/** Whether a request could not be sent because of what it says: that had to be refused or repaired before. */
export function isOurMistake(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED';
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

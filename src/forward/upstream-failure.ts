import type { Cut } from './cut.ts';
import type { Forwarded } from './plan.ts';

export type UpstreamFailureCode = Extract<Forwarded, { kind: 'failed' }>['code'];

/** A failure that this room noticed itself. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly code: UpstreamFailureCode;
  /** Time ran out: another try would take as long. */
  readonly isLate: boolean;

  constructor(code: UpstreamFailureCode, message: string, options?: ErrorOptions & { isLate?: boolean }) {
    super(message, options);
    this.code = code;
    this.isLate = options?.isLate ?? code === 'upstream_timeout';
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

/** How a request ended that failed before its answer began. @param whyLost what connections to upstreams end for, if they do */
export function failed(cause: unknown, wasConnected: boolean, whyLost: Cut): Forwarded {
  const code = upstreamFailure(cause, wasConnected);
  // The upstream is not to blame for what ends because the gateway does.
  const isOurs = whyLost === 'shutting_down' && code !== 'body_too_large';
  return { kind: 'failed', code: isOurs ? whyLost : code, cause };
}

/** What went wrong on this side: it says nothing of the address. */
const OURS = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'UND_ERR_DESTROYED', 'UND_ERR_CLOSED']);

/** Whether a failure is none of the address that was dialled: descriptors or buffers of ours ran out, or the room closes. */
export function saysNothingOfThem(error: unknown): boolean {
  return OURS.has(codeOf(error));
}

/** Whether time ran out before a connection stood. */
export function wasLate(error: unknown): boolean {
  return error instanceof UpstreamError && error.isLate;
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

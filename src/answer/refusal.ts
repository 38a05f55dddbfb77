import type { Decision } from '../access/decision.ts';
import type { FailureCode } from '../failure.ts';
import type { Reply } from '../server/exchange.ts';

/** Connect's names of the RPC codes that the gateway itself answers with. */
export type RpcCode =
  | 'unauthenticated'
  | 'permission_denied'
  | 'unavailable'
  | 'deadline_exceeded'
  | 'invalid_argument'
  | 'resource_exhausted'
  | 'not_found'
  | 'unimplemented'
  | 'internal';

/** A no, ready to be said in any tongue. */
export interface Refusal {
  readonly code: FailureCode;
  readonly status: number;
  readonly rpc: RpcCode;
  /** For the caller: what to do about it, nothing about the inside. */
  readonly message: string;
  /** `WWW-Authenticate`, with every 401 and with a missing scope (RFC 6750 §3). */
  readonly challenge?: string;
  /** Whether the cookie that came is to be forgotten by the browser. */
  readonly clearCookie: boolean;
}

const messages: Partial<Record<FailureCode, string>> = {
  target_refused: 'this request target is ambiguous and is not passed on',
  method_refused: 'this method is not passed on',
  header_repeated: 'a header that must be single came more than once',
  message_malformed: 'the message is not one of this method',
  body_too_large: 'the request is larger than this route takes',
  shutting_down: 'the gateway is shutting down: ask again',
  host_unknown: 'this host is not served here',
  route_unknown: 'nothing is served here',
  credential_missing: 'sign in, or send a bearer token',
  credentials_differ: 'two different bearer tokens came in one request',
  token_malformed: 'the bearer token is not an access token',
  token_untrusted: 'the bearer token is not accepted here',
  api_key_refused: 'the API key is not accepted here',
  api_key_limited: 'too many API keys failed lately: try again in a minute',
  token_expired: 'the bearer token has expired or is not valid yet',
  session_unreadable: 'the session is not valid here: sign in again',
  session_expired: 'the session has ended: sign in again',
  session_revoked: 'the session was signed out: sign in again',
  scope_missing: 'the token lacks a scope that is required here',
  origin_refused: 'requests with only a cookie are not accepted from pages of other origins',
  // Nothing said with an `unavailable` may contain the words by which Flyte's SDK tells that its credentials are bad:
  // it would throw away good ones in an outage.
  issuer_unreachable: 'the identity provider cannot be reached: try again shortly',
  keys_unreachable: 'the identity provider cannot be reached: try again shortly',
  introspection_limited: 'too many unknown tokens came lately: try again in a minute',
  renewal_failed: 'the identity provider cannot be reached: try again shortly',
  store_unreachable: 'the session store cannot be reached: try again shortly',
  service_token_failed: 'the service behind cannot be asked just now: try again shortly',
  upstream_unreachable: 'the service behind cannot be reached: try again shortly',
  upstream_timeout: 'the service behind did not answer in time',
  upstream_broken: 'the service behind broke off its answer',
};

const statuses: Partial<Record<FailureCode, readonly [number, RpcCode]>> = {
  target_refused: [400, 'invalid_argument'],
  method_refused: [405, 'unimplemented'],
  header_repeated: [400, 'invalid_argument'],
  message_malformed: [400, 'invalid_argument'],
  body_too_large: [413, 'resource_exhausted'],
  host_unknown: [403, 'permission_denied'],
  route_unknown: [404, 'not_found'],
  scope_missing: [403, 'permission_denied'],
  origin_refused: [403, 'permission_denied'],
  issuer_unreachable: [503, 'unavailable'],
  keys_unreachable: [503, 'unavailable'],
  introspection_limited: [503, 'unavailable'],
  renewal_failed: [503, 'unavailable'],
  store_unreachable: [503, 'unavailable'],
  service_token_failed: [503, 'unavailable'],
  upstream_unreachable: [502, 'unavailable'],
  upstream_timeout: [504, 'deadline_exceeded'],
  upstream_broken: [502, 'unavailable'],
  shutting_down: [503, 'unavailable'],
  internal: [500, 'internal'],
};

/** A refusal by its code alone. Codes that are about credentials are 401, unknown trouble is 500. */
export function refusalFor(code: FailureCode, clearCookie = false): Refusal {
  const [status, rpc] =
    statuses[code] ?? (isAboutCredentials(code) ? [401, 'unauthenticated' as const] : [500, 'internal' as const]);
  const message = messages[code] ?? 'something went wrong here';
  const challenge = challengeFor(code, status);
  return { code, status, rpc, message, clearCookie, ...(challenge && { challenge }) };
}

/** What a decision other than allow comes to. */
export function refusalOf(decision: Exclude<Decision, { kind: 'allow' }>): Refusal {
  switch (decision.kind) {
    case 'sign-in':
      return refusalFor(decision.why, decision.clearCookie);
    case 'deny':
      return decision.why === 'scope_missing' ? withoutScope(decision.missing) : refusalFor(decision.why);
    case 'unavailable': {
      const refusal = refusalFor(decision.cause.code);
      // Whatever the cause: could not tell is never said as anything else.
      return refusal.rpc === 'unavailable'
        ? refusal
        : { ...refusalFor('issuer_unreachable'), code: decision.cause.code };
    }
  }
}

/** Names the scope that is missing (RFC 6750 §3); the settings let no scope have a quote in it. */
function withoutScope(missing: string): Refusal {
  const challenge = `Bearer realm="flyte", error="insufficient_scope", scope="${missing}"`;
  return { ...refusalFor('scope_missing'), challenge };
}

/** Seconds after which whoever could not be told may ask again: outages are looked at anew that often. */
export const RETRY_AFTER_S = '5';

/** The one shape of errors wherever JSON is spoken. */
export function errorJson(refusal: Refusal, id: string): string {
  return JSON.stringify({ code: refusal.rpc, message: refusal.message, reference: id });
}

/** The same as a whole reply with a plain status: for the gateway's own URLs. */
export function plainRefusal(refusal: Refusal, id: string): Reply {
  const fields = [
    'Content-Type',
    'application/json',
    'Cache-Control',
    'no-store',
    'X-Accel-Expires',
    '0',
    'Referrer-Policy',
    'no-referrer',
    'X-Request-ID',
    id,
  ];
  if (refusal.challenge) fields.push('WWW-Authenticate', refusal.challenge);
  if (refusal.rpc === 'unavailable') fields.push('Retry-After', RETRY_AFTER_S);
  return { status: refusal.status, fields, body: errorJson(refusal, id) };
}

function isAboutCredentials(code: FailureCode): boolean {
  return ['credential', 'token_', 'api_key_', 'session_'].some((prefix) => code.startsWith(prefix));
}

function challengeFor(code: FailureCode, status: number): string | undefined {
  if (code === 'scope_missing') return 'Bearer realm="flyte", error="insufficient_scope"';
  if (status !== 401) return undefined;
  // RFC 6750 §3.1: no error code when the request carried no token.
  return ['token_', 'api_key_', 'credentials_differ'].some((prefix) => code.startsWith(prefix))
    ? 'Bearer realm="flyte", error="invalid_token"'
    : 'Bearer realm="flyte"';
}

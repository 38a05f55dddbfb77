import { errors as jose } from 'jose';
import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client';
import { Failure } from '../failure.ts';

/** What went wrong with a provider, without anything secret that its answer may have held. */
export type Trouble =
  /** Could not tell: no answer, or one that says "not now". */
  | { readonly kind: 'unreachable'; readonly cause: Failure }
  /** It said no. @property error the OAuth error code (RFC 6749 §4.1.2.1, §5.2), or `unknown` for what is none */
  | { readonly kind: 'refused'; readonly error: string }
  /** Userinfo speaks of somebody else than the ID token. */
  | { readonly kind: 'subject' }
  /** An answer that must not be believed. */
  | { readonly kind: 'invalid'; readonly why: string };

/** Reads an error of openid-client, jose or `Outbound`. Their own messages and causes go no further: they hold tokens. */
export function troubleOf(error: unknown): Trouble {
  const failure = failureIn(error);
  if (failure) return { kind: 'unreachable', cause: failure };
  if (error instanceof AuthorizationResponseError) return { kind: 'refused', error: errorCode(error.error) };
  if (error instanceof ResponseBodyError) {
    return isBusy(error.status) ? busy(error.status) : { kind: 'refused', error: errorCode(error.error) };
  }
  if (error instanceof ClientError) return clientTrouble(error);
  if (error instanceof jose.JWTExpired) return { kind: 'invalid', why: clockSentence };
  if (error instanceof jose.JOSEError) return { kind: 'invalid', why: `the ID token did not verify: ${error.code}` };
  return { kind: 'invalid', why: error instanceof Error ? error.name : 'unknown' };
}

/** What an operator reads when a time in a token is off. */
export const clockSentence = 'the ID token is past its expiry, or from the future: compare the clocks';

function clientTrouble(error: ClientError): Trouble {
  switch (error.code) {
    case 'OAUTH_RESPONSE_IS_NOT_CONFORM': {
      const status = error.cause instanceof Response ? error.cause.status : 0;
      return isBusy(status) ? busy(status) : { kind: 'invalid', why: `it answered ${status}` };
    }
    case 'OAUTH_RESPONSE_IS_NOT_JSON':
      return { kind: 'unreachable', cause: new Failure('issuer_unreachable', 'it answered, but not in JSON') };
    case 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED':
      return { kind: 'subject' };
    case 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED':
      return { kind: 'invalid', why: clockSentence };
    default: {
      // The inner message is the library's own fixed sentence about which check failed; values are in its cause only.
      const inner = error.cause instanceof Error ? `: ${error.cause.message}` : '';
      return { kind: 'invalid', why: `${error.code ?? 'unknown'}${inner}`.slice(0, 200) };
    }
  }
}

function failureIn(error: unknown): Failure | undefined {
  let at = error;
  for (let depth = 0; at instanceof Error && depth < 5; depth += 1) {
    if (at instanceof Failure) return at;
    at = at.cause;
  }
  return undefined;
}

function isBusy(status: number): boolean {
  return status >= 500 || status === 429;
}

function busy(status: number): Trouble {
  return { kind: 'unreachable', cause: new Failure('issuer_unreachable', `it answered ${status}`) };
}

function errorCode(code: string): string {
  return /^[a-z0-9_.-]{1,64}$/i.test(code) ? code : 'unknown';
}

import { errors } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import { personDigest } from '../observe/facts.ts';
import type { Log } from '../observe/log.ts';
import type { SessionLimits } from '../session/limits.ts';
import type { Revocation, Revocations, Revoked } from '../session/revocations.ts';
import { leeway } from './id-token.ts';
import { type LogoutToken, verifyLogoutToken } from './logout-token.ts';
import type { Provider } from './provider.ts';
import { readParameter } from './query.ts';

/** What a provider's word of a sign-out came to. */
export type SaidSignedOut =
  | { readonly kind: 'done' }
  /** @property why a few words for the provider's operator; nothing of the token */
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'unreachable'; readonly cause: Failure };

export interface BackchannelLogoutNeeds {
  readonly provider: Provider;
  readonly clientId: string;
  readonly heard: HeardTokens;
  readonly revocations: Pick<Revocations, 'revoke'>;
  readonly limits: SessionLimits;
  readonly now: Clock;
  readonly log: Log;
}

/** Names of tokens that are remembered; 10,000 sign-outs within the few minutes that such tokens live. */
const MAX_REMEMBERED = 10_000;
/** However long a token says that it lives. */
const LONGEST_MEMORY_MS: Millis = 86_400_000;

/** Names of logout tokens that were used, for as long as they could be used again. */
export type HeardTokens = LRUCache<string, true>;

export function createHeardTokens(needs: { now: Clock }): HeardTokens {
  return new LRUCache({ max: MAX_REMEMBERED, perf: { now: needs.now }, ttlResolution: 0 });
}

/**
 * `/backchannel-logout`: the provider says that a session of its own, or all of a person's, ended. What came of them here is
 * refused from that moment on.
 *
 * A token is good once, as far as this process remembers. Another replica takes it again, to no effect: what it ends are
 * sessions that began before it was made.
 *
 * @see OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8
 */
export function createBackchannelLogout(needs: BackchannelLogoutNeeds): (form: string) => Promise<SaidSignedOut> {
  const { heard, now, log } = needs;
  return async (form) => {
    const parameter = readParameter(new URLSearchParams(form), 'logout_token');
    if (parameter.kind !== 'single') return { kind: 'refused', why: 'one logout_token is expected' };
    const token = await verifyLogoutToken(parameter.value, needs).catch(refusalOf);
    if ('kind' in token) return token;
    const { jti } = token;
    if (heard.has(jti)) return { kind: 'refused', why: 'the token was used before' };
    // Before anything is waited for: of two that come together one is the second.
    heard.set(jti, true, { ttl: Math.min(LONGEST_MEMORY_MS, Math.max(1, (token.expiresAt + leeway) * 1000 - now())) });
    try {
      await needs.revocations.revoke(revocationOf(token, needs));
    } catch (cause) {
      if (!(cause instanceof Failure)) throw cause;
      // The provider is to say it again.
      heard.delete(jti);
      return { kind: 'unreachable', cause };
    }
    log.info('logout.by_provider', factsOf(token, needs.provider.issuer));
    return { kind: 'done' };
  };
}

function refusalOf(error: unknown): SaidSignedOut {
  if (error instanceof Failure) return { kind: 'unreachable', cause: error };
  if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired)
    return { kind: 'refused', why: `the token’s ${error.claim} is not as expected` };
  // Safe: whatever went wrong, nothing was proved, and nobody is signed out.
  return { kind: 'refused', why: 'the token does not verify' };
}

function revocationOf(token: LogoutToken, { provider, limits, now }: BackchannelLogoutNeeds): Revocation {
  // Sessions that begin after the sign-out are others, also where the token comes late or again; and none began after it
  // because our clock is behind the provider's.
  const issuedAt = token.issuedAt * 1000;
  const at = Math.min(Math.max(now(), issuedAt), issuedAt + leeway * 1000);
  return { of: whatEnded(token, provider.issuer), at, until: now() + limits.absoluteMs };
}

/** One session where the token names one: it says both to tell of a session of somebody. */
function whatEnded({ sub: subject, sid }: LogoutToken, issuer: string): Revoked {
  if (sid !== undefined) return { kind: 'provider-session', issuer, sid, ...(subject !== undefined && { subject }) };
  return { kind: 'person', issuer, subject: subject ?? '' };
}

function factsOf({ sub, sid }: LogoutToken, issuer: string) {
  return {
    issuer,
    ...(sub !== undefined && { subject: personDigest(issuer, sub) }),
    of: sid === undefined ? 'person' : 'provider-session',
  };
}

import { errors } from 'jose';
import type { Clock } from '../config/units.ts';
import { Failure } from '../failure.ts';
import { personDigest } from '../observe/facts.ts';
import type { Log } from '../observe/log.ts';
import type { SessionLimits } from '../session/limits.ts';
import { namedSignOut, personSignOut } from '../session/person-sign-out.ts';
import type { Revocation, Revocations } from '../session/revocations.ts';
import type { Claim, HeardTokens } from './heard-tokens.ts';
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

/**
 * `/backchannel-logout`: the provider says that a session of its own, or all of a person's, ended. What came of them here is
 * refused from that moment on.
 *
 * A token is good once, at whichever replica. It counts as used once everybody hears of the sign-out, and not before: what
 * failed may be said again.
 *
 * @see OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8
 */
export function createBackchannelLogout(needs: BackchannelLogoutNeeds): (form: string) => Promise<SaidSignedOut> {
  return async (form) => {
    const parameter = readParameter(new URLSearchParams(form), 'logout_token');
    if (parameter.kind !== 'single') return { kind: 'refused', why: 'one logout_token is expected' };
    const token = await verifyLogoutToken(parameter.value, needs).catch(refusalOf);
    return 'kind' in token ? token : signOutOnce(token, needs);
  };
}

async function signOutOnce(token: LogoutToken, needs: BackchannelLogoutNeeds): Promise<SaidSignedOut> {
  const { issuer } = needs.provider;
  const goodUntil = (token.expiresAt + leeway) * 1000;
  const claim = await needs.heard.claim({ issuer, jti: token.jti, goodUntil }).catch(unlessFailure);
  if (claim instanceof Failure) {
    // Nobody can tell whether it was used. The sign-out is in force here all the same, and elsewhere once it can be told: the
    // provider may not say it again, and a token that did come twice ends nothing that began since.
    await signOut(token, needs).catch(unlessFailure);
    return { kind: 'unreachable', cause: claim };
  }
  switch (claim.kind) {
    case 'used':
      return { kind: 'refused', why: 'the token was used before' };
    case 'taken':
      return { kind: 'unreachable', cause: new Failure('store_unreachable', 'another process has just heard it') };
    case 'mine':
      return signOutBy(claim, token, needs);
  }
}

async function signOutBy(
  claim: Extract<Claim, { kind: 'mine' }>,
  token: LogoutToken,
  needs: BackchannelLogoutNeeds,
): Promise<SaidSignedOut> {
  try {
    await signOut(token, needs);
    await claim.keep();
  } catch (cause) {
    await claim.giveBack();
    return { kind: 'unreachable', cause: unlessFailure(cause) };
  }
  needs.log.info('logout.by_provider', factsOf(token, needs.provider.issuer));
  return { kind: 'done' };
}

async function signOut(token: LogoutToken, needs: BackchannelLogoutNeeds): Promise<void> {
  await Promise.all(revocationsOf(token, needs).map((one) => needs.revocations.revoke(one)));
}

/** @throws what is no expected outcome */
function unlessFailure(cause: unknown): Failure {
  if (cause instanceof Failure) return cause;
  throw cause;
}

function refusalOf(error: unknown): SaidSignedOut {
  if (error instanceof Failure) return { kind: 'unreachable', cause: error };
  if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired)
    return { kind: 'refused', why: `the token’s ${error.claim} is not as expected` };
  // Safe: whatever went wrong, nothing was proved, and nobody is signed out.
  return { kind: 'refused', why: 'the token does not verify' };
}

/**
 * A token that names a session at the provider ends what came of that one; where it says whose that was, also the sessions of
 * that person of which nobody knows what they came of, as one of them may be it. One that says only who ends all of theirs.
 */
function revocationsOf({ sub, sid, issuedAt }: LogoutToken, needs: BackchannelLogoutNeeds): readonly Revocation[] {
  const { limits, provider } = needs;
  const { issuer } = provider;
  // Sessions that begin after the sign-out are others, also where the token comes late or again; and none began after it
  // because our clock is behind the provider's.
  const iat = issuedAt * 1000;
  const at = Math.min(Math.max(needs.now(), iat), iat + leeway * 1000);
  const kind = sid === undefined ? 'person' : 'person-without-sid';
  const ofPerson = sub === undefined ? [] : [personSignOut({ issuer, subject: sub }, { now: at, limits, kind })];
  if (sid === undefined) return ofPerson;
  const of = { kind: 'provider-session', issuer, sid, ...(sub !== undefined && { subject: sub }) } as const;
  return [namedSignOut(of, { now: needs.now(), limits }), ...ofPerson];
}

function factsOf({ sub, sid }: LogoutToken, issuer: string) {
  return {
    issuer,
    ...(sub !== undefined && { subject: personDigest(issuer, sub) }),
    of: sid === undefined ? 'person' : 'provider-session',
  };
}

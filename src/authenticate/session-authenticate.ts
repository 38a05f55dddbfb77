import { Secret } from '../config/secret.ts';
import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import { isBearerToken } from '../server/bearer-token.ts';
import { isDueForSeen, nextSeen, type SessionLimits, sessionEnd } from '../session/limits.ts';
import { marksOf } from '../session/marks.ts';
import type { Revocations } from '../session/revocations.ts';
import type { Session } from '../session/session.ts';
import type { SessionStore } from '../session/store.ts';
import type { Authentication, Renew } from './authenticate.ts';
import { type IdentitySettings, identityOfSession } from './identity.ts';

export interface SessionNeeds {
  readonly store: SessionStore;
  readonly revocations: Pick<Revocations, 'isRevoked'>;
  readonly renew: Renew;
  readonly limits: SessionLimits;
  readonly identity: IdentitySettings;
  readonly log: Log;
  readonly now: Clock;
}

/** While the provider cannot be asked, a session that is due is tried again so often. */
const RETRY_MS = 5000;

/**
 * A straggler carries a cookie from before several renewals, and each of them is remembered: so many are followed. A provider
 * whose tokens are due as soon as they are made ends here too.
 */
const MAX_RENEWALS = 4;

/**
 * Proves a session by its cookie: opened, not signed out, within its limits, renewed where it is due. What changed goes back
 * as `renewedCookie`, also to stragglers that still carry the old one.
 *
 * `until` is the earliest of renewal, the next move of `seenAt`, the session's end and, without a refresh token, the end of
 * its access token.
 */
export function createAuthenticateSession(needs: SessionNeeds): (cookie: string) => Promise<Authentication> {
  return async (cookie) => {
    const opened = await needs.store.open(cookie);
    switch (opened.kind) {
      case 'alive':
        return proveSession(opened.session, needs);
      case 'absent':
        return { kind: 'rejected', why: 'session_expired' };
      case 'unreadable':
        return { kind: 'rejected', why: 'session_unreadable' };
      case 'unreachable':
        return { kind: 'unavailable', cause: opened.cause };
    }
  };
}

async function proveSession(opened: Session, needs: SessionNeeds): Promise<Authentication> {
  const over = reasonToReject(opened, needs);
  if (over) return { kind: 'rejected', why: over };
  const kept = await keepAlive(opened, needs);
  if (kept.kind !== 'kept') return kept;
  // Asked again: a sign-out may have come while the provider was being asked for new tokens.
  const overBy = reasonToReject(kept.session, needs);
  if (overBy) return { kind: 'rejected', why: overBy };
  const { session } = kept;
  const { idleMs } = needs.limits;
  const now = needs.now();
  if (session === opened && !isDueForSeen(session, idleMs, now))
    return prove(session, needs, { recheckAt: Math.min(kept.recheckAt, nextSeen(session, idleMs)) });
  const changed = { ...session, seenAt: Math.max(session.seenAt, now) };
  const stored = await store(changed, needs);
  // What could not be stored did not happen: the limits are still those of the session that came.
  if (stored.kind === 'lost') return prove(session, needs, { recheckAt: now + RETRY_MS });
  const recheckAt = Math.min(kept.recheckAt, nextSeen(changed, idleMs));
  return prove(changed, needs, { recheckAt, renewedCookie: stored.cookie });
}

function reasonToReject(session: Session, needs: SessionNeeds): 'session_revoked' | 'session_expired' | undefined {
  if (needs.revocations.isRevoked(marksOf(session))) return 'session_revoked';
  return needs.now() >= sessionEnd(session, needs.limits) ? 'session_expired' : undefined;
}

/** A session that may go on, and when to look at it again. */
type Kept = { readonly kind: 'kept'; readonly session: Session; readonly recheckAt: Millis };

async function keepAlive(opened: Session, needs: SessionNeeds): Promise<Kept | Authentication> {
  let session = opened;
  for (let renewals = 0; renewals < MAX_RENEWALS && isDueForRenewal(session, needs.now()); renewals++) {
    const renewal = await needs.renew(session);
    if (renewal.kind === 'refused') return { kind: 'rejected', why: 'session_expired' };
    if (renewal.kind === 'failed') return outlast(session, renewal.cause, needs.now());
    session = renewal.session;
  }
  if (isDueForRenewal(session, needs.now())) return outlast(session, tooShort(), needs.now());
  if (session.refreshToken === undefined && needs.now() >= session.accessExpiresAt)
    return { kind: 'rejected', why: 'session_expired' };
  return { kind: 'kept', session, recheckAt: renewalAt(session) };
}

function isDueForRenewal(session: Session, now: Millis): boolean {
  return session.refreshToken !== undefined && now >= renewalAt(session);
}

function renewalAt(session: Session): Millis {
  const end = session.accessExpiresAt;
  return session.refreshToken === undefined ? end : Math.min(session.renewAt ?? end, end);
}

// "Could not ask" signs nobody out: until its access token dies the session stands, after that we cannot tell.
function outlast(session: Session, cause: Failure, now: Millis): Kept | Authentication {
  if (now >= session.accessExpiresAt) return { kind: 'unavailable', cause };
  return { kind: 'kept', session, recheckAt: now + RETRY_MS };
}

function tooShort(): Failure {
  return new Failure(
    'renewal_failed',
    `access tokens are due for renewal as soon as they are made, ${MAX_RENEWALS} in a row`,
  );
}

type Stored = { readonly kind: 'stored'; readonly cookie: string | undefined } | { readonly kind: 'lost' };

/** Keeps a changed session. One that cannot be kept goes on with the cookie it has, and the log says so. */
async function store(session: Session, needs: SessionNeeds): Promise<Stored> {
  try {
    return { kind: 'stored', cookie: await needs.store.update(session) };
  } catch (cause) {
    // Safe: the session was proved before; only what changed about it is lost, and its limits still hold.
    if (!(cause instanceof Failure)) throw cause;
    needs.log.warn('session.not_kept', { code: cause.code, cause });
    return { kind: 'lost' };
  }
}

function prove(
  session: Session,
  needs: SessionNeeds,
  outcome: { recheckAt: Millis; renewedCookie?: string | undefined },
): Authentication {
  const { limits, identity } = needs;
  const { recheckAt, renewedCookie } = outcome;
  const limit = sessionEnd(session, limits);
  const end = session.refreshToken === undefined ? Math.min(limit, session.accessExpiresAt) : limit;
  const proven = {
    kind: 'proven',
    identity: identityOfSession(session, end, identity),
    until: Math.min(end, session.accessExpiresAt, recheckAt),
    ...tokenOf(session),
  } as const;
  return renewedCookie === undefined ? proven : { ...proven, renewedCookie };
}

function tokenOf({ accessToken }: Session): { readonly accessToken?: Secret } {
  return accessToken !== undefined && isBearerToken(accessToken) ? { accessToken: new Secret(accessToken) } : {};
}

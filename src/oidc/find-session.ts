import type { Clock } from '../config/units.ts';
import type { Failure } from '../failure.ts';
import { readCookies } from '../server/cookie.ts';
import { type SessionLimits, sessionEnd } from '../session/limits.ts';
import { marksOf } from '../session/marks.ts';
import type { Revocations } from '../session/revocations.ts';
import type { Session } from '../session/session.ts';
import type { Cookies } from '../session/session-cookie.ts';
import type { SessionStore } from '../session/store.ts';

/** The session of a browser that is signing in or out. */
export type FoundSession =
  /** Within its limits, its access token alive: nothing stands between it and what it may see. */
  | { readonly kind: 'alive'; readonly session: Session }
  /** Readable, but past a limit, signed out, or with an access token that has to be renewed first. */
  | { readonly kind: 'over'; readonly session: Session; readonly isRevoked: boolean }
  | { readonly kind: 'none' /** Whether something came under the session cookie's name. */; readonly sent: boolean }
  | { readonly kind: 'unreachable'; readonly cause: Failure };

/** @param cookies the request's Cookie field */
export type FindSession = (cookies: string) => Promise<FoundSession>;

export function createFindSession(needs: {
  store: SessionStore;
  revocations: Revocations;
  cookies: Cookies;
  limits: SessionLimits;
  now: Clock;
}): FindSession {
  return async (cookies) => {
    const values = readCookies(cookies, needs.cookies.sessionName);
    const [value] = values;
    if (value === undefined || values.length > 1) return { kind: 'none', sent: values.length > 0 };
    const opened = await needs.store.open(value);
    if (opened.kind === 'unreachable') return opened;
    if (opened.kind !== 'alive') return { kind: 'none', sent: true };
    const { session } = opened;
    const isRevoked = needs.revocations.isRevoked(marksOf(session));
    const endsAt = Math.min(sessionEnd(session, needs.limits), session.accessExpiresAt);
    return !isRevoked && needs.now() < endsAt ? { kind: 'alive', session } : { kind: 'over', session, isRevoked };
  };
}

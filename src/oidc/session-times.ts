import type { Millis, Seconds } from '../config/units.ts';
import type { Session } from '../session/session.ts';

/** Of an access token that nobody says the lifetime of. */
const unknownLifetimeMs: Millis = 300_000;
/** Longer promises are cut: a session is asked about at least once in so long. */
const longestLifetimeMs: Millis = 30 * 86_400_000;

/**
 * When a session's access token dies and when to renew it: a tenth of its lifetime early, at most a minute.
 *
 * @param tokens what the token endpoint answered: `expires_in`, else the ID token's `exp`, else five minutes
 */
export function sessionTimes(
  tokens: { expiresIn?: Seconds; idTokenExp?: Seconds; refreshToken?: string },
  now: Millis,
): Pick<Session, 'accessExpiresAt' | 'renewAt'> {
  const lifetimeMs = Math.min(lifetimeOf(tokens, now), longestLifetimeMs);
  const accessExpiresAt = now + lifetimeMs;
  if (tokens.refreshToken === undefined) return { accessExpiresAt };
  return { accessExpiresAt, renewAt: accessExpiresAt - Math.min(60_000, Math.floor(lifetimeMs / 10)) };
}

function lifetimeOf(tokens: { expiresIn?: Seconds; idTokenExp?: Seconds }, now: Millis): Millis {
  if (tokens.expiresIn !== undefined) return Math.max(0, Math.floor(tokens.expiresIn * 1000));
  if (tokens.idTokenExp !== undefined) return Math.max(0, Math.floor(tokens.idTokenExp * 1000 - now));
  return unknownLifetimeMs;
}

import type { Millis } from '../config/units.ts';
import type { SessionLimits } from './limits.ts';
import type { SessionMarks } from './marks.ts';
import type { Revocation, Revoked } from './revocation.ts';

/** How far the clocks of two replicas may be apart, or ours and the provider's. */
export const CLOCKS_APART_MS: Millis = 60_000;

/**
 * A sign-out of all that a person has begun by now, or of what is only known by them: also of sessions that began at a replica
 * whose clock is ahead. Who signs in afterwards gets a session that begins later than what it speaks of (see `freeFrom`).
 */
export function personSignOut(
  { issuer, subject }: Pick<SessionMarks, 'issuer' | 'subject'>,
  { now, limits, kind = 'person' }: { now: Millis; limits: SessionLimits; kind?: 'person' | 'person-without-sid' },
): Revocation {
  return { of: { kind, issuer, subject }, at: now + CLOCKS_APART_MS, until: allOverBy(now, limits) };
}

/** A sign-out of sessions by what names them. */
export function namedSignOut(
  of: Extract<Revoked, { kind: 'session' | 'provider-session' }>,
  { now, limits }: { now: Millis; limits: SessionLimits },
): Revocation {
  return { of, at: now, until: allOverBy(now, limits) };
}

/**
 * When every session that has begun by now is over, by every clock: one of a replica that is ahead, or that moved on past a
 * sign-out by the clock of a provider that is ahead, may have begun a little later than now.
 */
function allOverBy(now: Millis, { absoluteMs }: SessionLimits): Millis {
  return now + absoluteMs + 3 * CLOCKS_APART_MS;
}

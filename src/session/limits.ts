import type { Millis } from '../config/units.ts';
import type { Session } from './session.ts';

/** How long sessions live. Milliseconds. */
export interface SessionLimits {
  /** Without a request. */
  readonly idleMs: Millis;
  /** From sign-in on, whatever happens. */
  readonly absoluteMs: Millis;
}

/** The moment a session is over: the earlier of its idle end and its absolute end. It is dead at that moment, not after. */
export function sessionEnd(session: Pick<Session, 'seenAt' | 'startedAt'>, limits: SessionLimits): Millis {
  return Math.min(session.seenAt + limits.idleMs, session.startedAt + limits.absoluteMs);
}

/** The moment from which a request moves `seenAt` on: a tenth of the idle limit after it was last moved. */
export function nextSeen(session: Pick<Session, 'seenAt'>, idleMs: Millis): Millis {
  return session.seenAt + idleMs / 10;
}

/** Whether a request now is to move `seenAt` on. */
export function isDueForSeen(session: Pick<Session, 'seenAt'>, idleMs: Millis, now: Millis): boolean {
  return now >= nextSeen(session, idleMs);
}

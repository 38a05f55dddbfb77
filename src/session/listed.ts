import type { Millis } from '../config/units.ts';
import { marksOf } from './marks.ts';
import type { Session } from './session.ts';
import type { ListedSession, Whereabouts } from './session-list.ts';

/** A session as it is shown, with where it was begun. */
export function listed(session: Session, from: Whereabouts, absoluteMs: Millis): ListedSession {
  const { seenAt, startedAt } = session;
  return { ...marksOf(session), ...from, seenAt, endsAt: startedAt + absoluteMs };
}

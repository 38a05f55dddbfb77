import type { Clock } from '../config/units.ts';
import type { SessionLimits } from './limits.ts';
import { marksOf } from './marks.ts';
import type { Revocations } from './revocations.ts';
import type { Session } from './session.ts';
import type { SessionStore } from './store.ts';

/**
 * Ends one session: refused here from this moment on, before anybody else is spoken to, then at every replica, and kept no
 * more. One that has ended is no error.
 *
 * @throws {Failure} `store_unreachable` when somebody may not have heard of it
 */
export async function endSession(
  session: Session,
  needs: {
    readonly revocations: Pick<Revocations, 'revoke'>;
    readonly store: Pick<SessionStore, 'end'>;
    readonly limits: SessionLimits;
    readonly now: Clock;
  },
): Promise<void> {
  const { handle, issuer, subject } = marksOf(session);
  const of = { kind: 'session', handle, issuer, subject } as const;
  await needs.revocations.revoke({ of, at: needs.now(), until: session.startedAt + needs.limits.absoluteMs });
  await needs.store.end(session.id);
}

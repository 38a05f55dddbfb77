import type { Session } from '../session/session.ts';
import type { Renewal } from './lineage.ts';

/**
 * Sees to it that a refresh token is spent by one of several replicas. Within a process that is seen to already (see
 * `Lineage`): here one process at a time is at work on a token.
 */
export interface Coordination {
  /**
   * Renews a session, unless somebody else has or is about to: then theirs is the answer. Never rejects.
   *
   * @param work spends the session's refresh token; never rejects
   * @returns `failed` with `store_unreachable` when nobody could tell whether the token is spent: it is not spent then
   */
  once(session: Session, work: () => Promise<Renewal>): Promise<Renewal>;
  /** The newest form of a session that others are known to have made; itself where none is. Never rejects. */
  newest(session: Session): Promise<Session>;
}

/** Among several processes. */
export interface SharedCoordination extends Coordination {
  /** Notes a new session, so that it is known when the provider's no ends it. @throws {Failure} `store_unreachable` */
  began(session: Session): Promise<void>;
}

/** For a process that shares its sessions with nobody. */
export const alone: Coordination = {
  once: (_session, work) => work(),
  newest: async (session) => session,
};

/**
 * For a process that keeps its sessions itself: no cookie brings an older form of one back, so a no is a session's end.
 *
 * @param onOver told of each, once; must not throw
 */
export function aloneWithSessions(onOver: (session: Session) => void): Coordination {
  return {
    ...alone,
    once: async (session, work) => {
      const renewal = await work();
      if (renewal.kind === 'refused') onOver(session);
      return renewal;
    },
  };
}

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

/** For a process that shares its sessions with nobody. */
export const alone: Coordination = {
  once: (_session, work) => work(),
  newest: async (session) => session,
};

import { LRUCache } from 'lru-cache';
import type { Clock, Millis } from '../config/units.ts';
import { handleOf, type SessionMarks } from '../session/marks.ts';
import type { Session } from '../session/session.ts';
import { digest } from './digest.ts';

/** Notices that somebody signs in again and again because no session ever comes back: blocked or overwritten cookies. */
export interface SignInLoop {
  /**
   * Whether this sign-in is one too many: three before it succeeded in 30 s, each begun after the one before had ended, and
   * none of their sessions was seen since. It starts counting afresh then, so that the person may try again.
   *
   * @param loginStartedAt when `/login` began this sign-in; tabs that sign in side by side are no loop
   */
  isLoop(person: { issuer: string; subject: string }, loginStartedAt: Millis): boolean;
  /** A sign-in succeeded. */
  finished(session: Session, loginStartedAt: Millis): void;
  /** A request came with this live session: whoever carries it is in no loop. Cheap: call it for each one that is proved. */
  seen(session: Pick<SessionMarks, 'handle'>): void;
}

const windowMs: Millis = 30_000;
const successes = 3;

interface Streak {
  readonly begunAt: Millis;
  endedAt: Millis;
  count: number;
}

/** Kept in this process, bounded: 10,000 people who signed in during the last half minute. */
export function createSignInLoop(needs: { now: Clock }): SignInLoop {
  const options = { max: 10_000, ttl: windowMs, perf: { now: needs.now }, ttlResolution: 0 };
  const streaks = new LRUCache<string, Streak>(options);
  const people = new LRUCache<string, string>(options);
  const keyOf = (issuer: string, subject: string) => digest(JSON.stringify([issuer, subject]));
  const current = (key: string): Streak | undefined => {
    const streak = streaks.get(key);
    return streak && needs.now() - streak.begunAt <= windowMs ? streak : undefined;
  };
  return {
    isLoop: ({ issuer, subject }, loginStartedAt) => {
      const key = keyOf(issuer, subject);
      const streak = current(key);
      if (!streak || streak.count < successes || loginStartedAt < streak.endedAt) return false;
      streaks.delete(key);
      return true;
    },
    finished: (session, loginStartedAt) => {
      const key = keyOf(session.issuer, session.claims.sub);
      const now = needs.now();
      const streak = current(key) ?? { begunAt: now, endedAt: Number.NEGATIVE_INFINITY, count: 0 };
      if (loginStartedAt >= streak.endedAt) streak.count += 1;
      streak.endedAt = now;
      streaks.set(key, streak);
      people.set(handleOf(session.id), key);
    },
    seen: ({ handle }) => {
      const key = people.size === 0 ? undefined : people.get(handle);
      if (key === undefined) return;
      people.delete(handle);
      streaks.delete(key);
    },
  };
}

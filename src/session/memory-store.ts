import { LRUCache } from 'lru-cache';
import type { Clock, Millis } from '../config/units.ts';
import { createBegun } from './begun.ts';
import { listed } from './listed.ts';
import { createPeopleSessions } from './people-sessions.ts';
import type { Seal } from './seal.ts';
import type { Session } from './session.ts';
import type { ListedSession, SessionList, Whereabouts } from './session-list.ts';
import { sessionTooLarge } from './session-size.ts';
import type { SessionStore } from './store.ts';

/** 64 KiB of JSON: room for any claims a person has, and a bound on what `max` sessions can take. */
const MAX_SESSION_BYTES = 65_536;

/** Sessions of one person: more than anybody's browsers, and too few to push everybody else out. */
export const MAX_SESSIONS_EACH = 64;

/** What a session had to make room for: others of everybody's, or of its own person's. */
export type EvictedFor = 'everyone' | 'same-person';

/**
 * Keeps sessions in this process's memory; the cookie holds the sealed session id. They do not survive a restart.
 *
 * @param needs.max     sessions kept at most, and 64 of one person; beyond it the one that was opened longest ago makes room
 * @param needs.idleMs  idle limit: a session that nobody moved on for so long falls out
 * @param needs.absoluteMs when sessions end, from their beginning on: shown only
 * @param needs.onEvict told of a session that had to make room before its time: that browser is signed out
 */
export function createMemoryStore(needs: MemoryNeeds & { readonly seal: Seal }): SessionStore {
  const { seal } = needs;
  const sessions = createSessions(needs);
  return {
    async open(cookie) {
      const { sid: id } = (await seal.open('session', cookie)) ?? {};
      if (typeof id !== 'string') return { kind: 'unreadable', why: 'not sealed by a key of this deployment' };
      const session = sessions.use(id);
      return session ? { kind: 'alive', session } : { kind: 'absent' };
    },
    async create(session, from) {
      checkSize(session);
      sessions.makeRoomFor(session);
      sessions.begin(session, from);
      return seal.seal('session', { sid: session.id });
    },
    async update(session) {
      // One that ended while it was being renewed stays ended.
      if (!sessions.has(session.id)) return undefined;
      checkSize(session);
      sessions.keep(session);
      return undefined;
    },
    async end(id) {
      sessions.drop(id);
    },
    list: sessions.list,
  };
}

interface MemoryNeeds {
  readonly now: Clock;
  readonly max: number;
  readonly idleMs: Millis;
  readonly absoluteMs: Millis;
  readonly onEvict: (sessionId: string, madeRoomFor: EvictedFor) => void;
}

/** Sessions on one page of the list. */
export const PAGE = 200;

function createSessions({ now, max, idleMs, absoluteMs, onEvict }: MemoryNeeds) {
  const people = createPeopleSessions();
  const begun = createBegun();
  const isIdle = (session: Session) => session.seenAt + idleMs <= now();
  const sessions = new LRUCache<string, Session>({
    max,
    perf: { now },
    ttlResolution: 0,
    dispose: (session, id, reason) => {
      people.drop(session);
      if (reason !== 'set') begun.drop(id);
      if (reason === 'evict' && !isIdle(session)) onEvict(id, 'everyone');
    },
  });
  let purgedAt = now();
  const purge = () => {
    if (now() - purgedAt < idleMs / 10) return;
    purgedAt = now();
    sessions.purgeStale();
  };
  const keep = (session: Session) => {
    sessions.set(session.id, session, { ttl: Math.max(1, Math.ceil(session.seenAt + idleMs - now())) });
    people.touch(session);
  };
  const show = (id: string): readonly ListedSession[] => {
    const session = sessions.peek(id);
    return session ? [listed(session, begun.of(id), absoluteMs)] : [];
  };
  const list: SessionList = {
    ofPerson: async (person) => people.of(person).flatMap(show),
    page: async (cursor = '0') => {
      const shown: ListedSession[] = [];
      for (const next of begun.after(Number(cursor))) {
        shown.push(...show(next.id));
        if (shown.length === PAGE) return { sessions: shown, cursor: String(next.cursor) };
      }
      return { sessions: shown };
    },
  };
  return {
    list,
    has: (id: string) => sessions.has(id),
    use: (id: string) => {
      const session = sessions.get(id);
      if (session) people.touch(session);
      return session;
    },
    keep,
    begin: (session: Session, from: Whereabouts | undefined) => {
      keep(session);
      begun.add(session.id, from);
    },
    /** Among the same person's first: a full store would take the room from somebody else. */
    makeRoomFor: (session: Session) => {
      purge();
      const oldest = people.oldestOf(session, MAX_SESSIONS_EACH);
      const own = oldest === undefined ? undefined : sessions.peek(oldest, { allowStale: true });
      if (!own) return;
      sessions.delete(own.id);
      if (!isIdle(own)) onEvict(own.id, 'same-person');
    },
    drop: (id: string) => void sessions.delete(id),
  };
}

function checkSize(session: Session): void {
  const bytes = Buffer.byteLength(JSON.stringify(session));
  if (bytes > MAX_SESSION_BYTES)
    throw sessionTooLarge(session, { needed: bytes, room: MAX_SESSION_BYTES, where: 'the memory store' });
}

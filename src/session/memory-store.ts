import { LRUCache } from 'lru-cache';
import type { Clock, Millis } from '../config/units.ts';
import type { Seal } from './seal.ts';
import type { Session } from './session.ts';
import { sessionTooLarge } from './session-size.ts';
import type { SessionStore } from './store.ts';

/** 64 KiB of JSON: room for any claims a person has, and a bound on what `max` sessions can take. */
const MAX_SESSION_BYTES = 65_536;

/**
 * Keeps sessions in this process's memory; the cookie holds the sealed session id. They do not survive a restart.
 *
 * @param needs.max     sessions kept at most; beyond it the one that was opened longest ago makes room
 * @param needs.idleMs  idle limit: a session that nobody moved on for so long falls out
 * @param needs.onEvict told of a session that had to make room before its time: that person is signed out
 */
export function createMemoryStore(needs: {
  seal: Seal;
  now: Clock;
  max: number;
  idleMs: Millis;
  onEvict: (sessionId: string) => void;
}): SessionStore {
  const { seal, now } = needs;
  const sessions = new LRUCache<string, Session>({
    max: needs.max,
    perf: { now },
    ttlResolution: 0,
    dispose: (session, id, reason) => {
      if (reason === 'evict' && session.seenAt + needs.idleMs > now()) needs.onEvict(id);
    },
  });
  const keep = (session: Session) => {
    const bytes = Buffer.byteLength(JSON.stringify(session));
    if (bytes > MAX_SESSION_BYTES)
      throw sessionTooLarge(session, { needed: bytes, room: MAX_SESSION_BYTES, where: 'the memory store' });
    sessions.set(session.id, session, { ttl: Math.max(1, Math.ceil(session.seenAt + needs.idleMs - now())) });
  };
  let purgedAt = now();
  const purge = () => {
    if (now() - purgedAt < needs.idleMs / 10) return;
    purgedAt = now();
    sessions.purgeStale();
  };
  return {
    async open(cookie) {
      const { sid: id } = (await seal.open('session', cookie)) ?? {};
      if (typeof id !== 'string') return { kind: 'unreadable', why: 'not sealed by a key of this deployment' };
      const session = sessions.get(id);
      return session ? { kind: 'alive', session } : { kind: 'absent' };
    },
    async create(session) {
      purge();
      keep(session);
      return seal.seal('session', { sid: session.id });
    },
    async update(session) {
      // One that ended while it was being renewed stays ended.
      if (sessions.has(session.id)) keep(session);
      return undefined;
    },
    async end(id) {
      sessions.delete(id);
    },
  };
}

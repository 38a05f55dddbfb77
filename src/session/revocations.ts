import { LRUCache } from 'lru-cache';
import type { Clock, Millis } from '../config/units.ts';

/** Sessions that were signed out before their time. Asked before any cached decision is believed. */
export interface Revocations {
  /** Refuses a session from this moment on. @param until when the session would have ended anyway */
  revoke(sessionId: string, until: Millis): void;
  isRevoked(sessionId: string): boolean;
}

/**
 * Keeps revocations in this process's memory, each until its session would have ended anyway.
 *
 * @param needs.max     how many at most; beyond it the oldest makes room
 * @param needs.onEvict told of a revocation that had to make room before its time: that session is believed again
 */
export function createRevocations(needs: {
  now: Clock;
  max: number;
  onEvict: (sessionId: string) => void;
}): Revocations {
  const { now } = needs;
  const untils = new LRUCache<string, Millis>({
    max: needs.max,
    perf: { now },
    ttlResolution: 0,
    dispose: (until, sessionId, reason) => {
      if (reason === 'evict' && until > now()) needs.onEvict(sessionId);
    },
  });
  let purgedAt = now();
  // Sweeps the dead before one alive has to go; at most once a second, as a storm of sign-outs at the bound would otherwise
  // walk the whole list each time.
  const makeRoom = () => {
    if (untils.size < needs.max || now() - purgedAt < 1000) return;
    purgedAt = now();
    untils.purgeStale();
  };
  return {
    revoke(sessionId, until) {
      const known = untils.peek(sessionId) ?? 0;
      const end = Math.max(known, until);
      const ttl = Math.ceil(end - now());
      if (ttl <= 0) return;
      makeRoom();
      untils.set(sessionId, end, { ttl });
    },
    // `has` leaves the order alone: asking often keeps nobody's revocation longer than another's.
    isRevoked: (sessionId) => untils.has(sessionId),
  };
}

import { hash } from 'node:crypto';
import type { Clock } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import type { Redis } from '../redis/redis.ts';
import { type SessionLimits, sessionEnd } from './limits.ts';
import { handleOf } from './marks.ts';
import { MAX_SESSIONS_EACH } from './memory-store.ts';
import { openRecord, sealRecord } from './record.ts';
import { createRedisList, personKey, sealEntry } from './redis-list.ts';
import { CREATE, END, UPDATE } from './redis-scripts.ts';
import type { Seal } from './seal.ts';
import type { Session } from './session.ts';
import { sessionTooLarge } from './session-size.ts';
import type { Opened, SessionStore } from './store.ts';

/** 256 KiB of JSON: several tokens of 64 KiB, and a bound on what one person can take. */
export const MAX_RECORD_BYTES = 262_144;

export interface RedisStoreNeeds {
  readonly redis: Redis;
  readonly seal: Seal;
  readonly limits: SessionLimits;
  readonly now: Clock;
  readonly log: Log;
}

/**
 * Keeps sessions in Redis, each until its own limits end it. The cookie holds the session's id, which alone opens the record
 * (see `sealRecord`); Redis knows it by its handle, and what sessions are listed by is sealed with the gateway's keys. An
 * outage is told as such, and deletes nothing.
 */
export function createRedisStore(needs: RedisStoreNeeds): SessionStore {
  const { redis, seal } = needs;
  return {
    open: async (cookie) => {
      const { k: id } = (await seal.open('session', cookie)) ?? {};
      if (typeof id !== 'string') return { kind: 'unreadable', why: 'not sealed by a key of this deployment' };
      return read(id, needs);
    },
    create: async (session, from = { userAgent: '', address: '' }) => {
      const kept = keepable(session, needs);
      const entry = await sealEntry(session, from, needs);
      const person = personKey(redis, { issuer: session.issuer, subject: session.claims.sub });
      const asked = ['EVAL', CREATE, '2', kept.key, person, kept.record, entry, ...kept.rest];
      const evicted = await redis.send([...asked, text(needs.now()), text(MAX_SESSIONS_EACH), redis.key('s', '')]);
      if (typeof evicted === 'number' && evicted > 0)
        needs.log.warn('session.evicted', { madeRoomFor: 'same-person', count: evicted });
      return seal.seal('session', { k: session.id });
    },
    update: async (session) => {
      const { key, record, rest } = keepable(session, needs);
      // One that ended meanwhile stays ended, and one that somebody else has renewed since stays renewed.
      await redis.send(['EVAL', UPDATE, '1', key, record, ...rest]);
      return undefined;
    },
    end: async (id) => {
      const handle = handleOf(id);
      await redis.send(['EVAL', END, '1', redis.key('s', handle), handle]);
    },
    list: createRedisList(needs),
  };
}

async function read(id: string, { redis, log }: RedisStoreNeeds): Promise<Opened> {
  try {
    const record = await redis.send(['HGET', redis.key('s', handleOf(id)), 'r'], { isBinary: true });
    if (!Buffer.isBuffer(record)) return { kind: 'absent' };
    const session = openRecord(id, record);
    if (session) return { kind: 'alive', session };
    log.warn('session.unreadable', { session: handleOf(id) });
    return { kind: 'unreadable', why: 'not sealed for this session, or by another version' };
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause;
    return { kind: 'unreachable', cause };
  }
}

/** What scripts are told of a session: last sight, token digest, access end, ttl, handle, end. */
function keepable(session: Session, { redis, limits, now }: RedisStoreNeeds) {
  const bytes = Buffer.byteLength(JSON.stringify(session));
  if (bytes > MAX_RECORD_BYTES)
    throw sessionTooLarge(session, { needed: bytes, room: MAX_RECORD_BYTES, where: 'the Redis store' });
  const handle = handleOf(session.id);
  const end = sessionEnd(session, limits);
  const rest = [
    text(session.seenAt),
    tokenDigest(session),
    text(session.accessExpiresAt),
    text(Math.max(1, end - now())),
    handle,
    text(end),
  ];
  return { key: redis.key('s', handle), record: sealRecord(session), rest };
}

/** 128 bits: tells refresh tokens apart without telling them. */
function tokenDigest({ refreshToken = '' }: Session): string {
  return hash('sha256', refreshToken, 'base64url').slice(0, 22);
}

function text(value: number): string {
  return String(Math.ceil(value));
}

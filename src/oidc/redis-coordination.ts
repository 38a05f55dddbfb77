import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import type { Redis } from '../redis/redis.ts';
import type { SessionLimits } from '../session/limits.ts';
import { handleOf } from '../session/marks.ts';
import type { Seal } from '../session/seal.ts';
import type { Session } from '../session/session.ts';
import type { SharedCoordination } from './coordination.ts';
import { digest } from './digest.ts';
import type { Renewal } from './lineage.ts';
import { BEGIN, PROLONG, SHARE, TAKE } from './renewal-scripts.ts';
import { lifeOf, lineageLife, packRenewal, unpackRenewal } from './shared-renewal.ts';
import { createUnshared } from './unshared.ts';

export interface RedisCoordinationNeeds {
  readonly redis: Redis;
  readonly seal: Seal;
  /** How long a lease lasts that nobody prolongs: longer than one question to the provider may take. */
  readonly leaseMs: Millis;
  readonly limits: SessionLimits;
  /** Told of a session that its provider will not renew, once, by the process that was told so. @param session must not throw */
  readonly onOver: (session: Session) => void;
  readonly now: Clock;
  readonly log: Log;
}

/** After an outage of Redis nobody begins for so long: whoever renewed meanwhile comes to say so first. */
const SETTLE_MS: Millis = 3000;
/** Between two looks at somebody else's work: from the first to the second, growing. */
const LOOK_MS: readonly [Millis, Millis] = [40, 500];
/** Work that takes longer than so many leases hangs: others may try. */
const MAX_LEASES = 5;
/** Forms of a session that are followed to find its newest. */
const MAX_STEPS = 8;

/**
 * One process at a time is at work on a refresh token: it holds a lease, by the token's digest, and prolongs it as long as the
 * provider takes. When it dies, the lease runs out and another one takes it. What came of it is kept by the digest of the old
 * token, sealed with the gateway's keys, for whoever still carries that token.
 *
 * A no is the session's end only where it is sure that nobody has renewed it: Redis knows the newest refresh token of each
 * session, and who has asked with it (see `renewal-scripts.ts`).
 *
 * The lease is longer than a question to the provider may take, so that nobody asks again while an answer may come to a
 * process that has lost sight of Redis. While Redis cannot be asked no token is spent: the session stands as long as its
 * access token.
 */
export function createRedisCoordination(needs: RedisCoordinationNeeds): SharedCoordination {
  const { redis, seal, leaseMs } = needs;
  const owner = randomUUID();
  const results = createResults(needs, owner);
  const unshared = createUnshared({ ...needs, share: results.share });

  const work = async (session: Session, doIt: () => Promise<Renewal>): Promise<Renewal | undefined> => {
    const latest = performance.now() + MAX_LEASES * leaseMs;
    const prolonging = setInterval(() => {
      if (performance.now() > latest) return clearInterval(prolonging);
      const lease = redis.key('lease', tokenOf(session));
      const prolonged = redis.send(['EVAL', PROLONG, '1', lease, owner, String(leaseMs)]);
      // Safe: it was long enough from the start; this is for what takes longer than one question.
      prolonged.catch(() => undefined);
    }, leaseMs / 3).unref();
    const renewal = await doIt().finally(() => clearInterval(prolonging));
    try {
      return await results.share(session, renewal);
    } catch (cause) {
      unshared.add(session, renewal, cause);
      return renewal;
    }
  };
  return {
    began: async (session) => {
      if (session.refreshToken === undefined) return;
      const lineage = redis.key('lineage', handleOf(session.id));
      await redis.send(['EVAL', BEGIN, '1', lineage, tokenOf(session), text(lineageLife(session, needs))]);
    },
    once: async (session, doIt) => {
      const deadline = performance.now() + 2 * leaseMs;
      try {
        for (let pauseMs = LOOK_MS[0]; ; pauseMs = Math.min(pauseMs * 1.5, LOOK_MS[1])) {
          const looked = await results.look(session);
          if (looked.kind === 'done') return looked.renewal;
          const renewal = looked.kind === 'mine' ? await work(session, doIt) : undefined;
          if (renewal) return renewal;
          if (performance.now() > deadline)
            return failed('another replica has been renewing this session for too long');
          await sleep(pauseMs);
        }
      } catch (cause) {
        const failure = cause instanceof Failure ? cause : new Failure('internal', 'coordination failed', { cause });
        return { kind: 'failed', cause: failure };
      }
    },
    newest: async (session) => {
      let newest = session;
      for (let steps = 0; steps < MAX_STEPS && newest.refreshToken !== undefined; steps++) {
        // Safe: an older token is good enough to name the family by.
        const value = await redis.send(['GET', redis.key('renewed', tokenOf(newest))]).catch(() => null);
        const renewal = typeof value === 'string' ? await unpackRenewal(value, session, seal) : undefined;
        if (renewal?.kind !== 'renewed' || renewal.session.refreshToken === newest.refreshToken) break;
        newest = renewal.session;
      }
      return newest;
    },
  };
}

/** What became of refresh tokens, as all replicas see it. */
function createResults(needs: RedisCoordinationNeeds, owner: string) {
  const { redis, seal, leaseMs } = needs;
  const keysOf = (session: Session) => {
    const token = tokenOf(session);
    return ['3', redis.key('renewed', token), redis.key('lease', token), redis.key('lineage', handleOf(session.id))];
  };
  const unpack = async (value: unknown, session: Session) =>
    (await unpackRenewal(String(value), session, seal)) ?? failed('the result could not be opened');
  return {
    look: async (session: Session): Promise<Looked> => {
      // An emptied or restarted Redis has no leases: it is not taken for free before others had time to come back.
      const isSettling = redis.state.outages > 0 && performance.now() - redis.state.since < SETTLE_MS;
      const asked = [owner, isSettling ? '0' : String(leaseMs), text(session.accessExpiresAt), tokenOf(session)];
      const [kind, value] = parts(await redis.send(['EVAL', TAKE, ...keysOf(session), ...asked]));
      if (kind === 'mine') return { kind };
      if (kind === 'done') return { kind, renewal: await unpack(value, session) };
      return isSettling ? { kind: 'done', renewal: failed('Redis was away a moment ago') } : { kind: 'taken' };
    },
    /** @returns what holds for everybody; undefined while somebody else is at it, who may know better */
    share: async (session: Session, renewal: Renewal): Promise<Renewal | undefined> => {
      const result = [renewal.kind, await packRenewal(renewal, session, seal), text(lifeOf(renewal, needs.now()))];
      const next = renewal.kind === 'renewed' ? renewal.session : session;
      const tokens = [tokenOf(session), tokenOf(next), text(lineageLife(next, needs))];
      const asked = [owner, ...result, text(session.accessExpiresAt), ...tokens];
      const [kind, value] = parts(await redis.send(['EVAL', SHARE, ...keysOf(session), ...asked]));
      if (kind === 'over') needs.onOver(session);
      if (kind === 'overtaken') return undefined;
      return kind === 'done' ? unpack(value, session) : renewal;
    },
  };
}

type Looked =
  | { readonly kind: 'done'; readonly renewal: Renewal }
  | { readonly kind: 'mine' }
  /** Somebody else is at it. */
  | { readonly kind: 'taken' };

function tokenOf({ refreshToken = '' }: Session): string {
  return digest(refreshToken);
}

function parts(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

function text(value: number): string {
  return String(Math.ceil(value));
}

function failed(why: string): Renewal {
  return { kind: 'failed', cause: new Failure('store_unreachable', why) };
}

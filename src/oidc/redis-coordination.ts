import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import type { Redis } from '../redis/redis.ts';
import type { Seal } from '../session/seal.ts';
import type { Session } from '../session/session.ts';
import type { Coordination } from './coordination.ts';
import { digest } from './digest.ts';
import type { Renewal } from './lineage.ts';
import { lifeOf, openRenewal, sealRenewal } from './shared-renewal.ts';
import { createUnshared } from './unshared.ts';

export interface RedisCoordinationNeeds {
  readonly redis: Redis;
  readonly seal: Seal;
  /** How long a lease lasts that nobody prolongs: longer than one question to the provider may take. */
  readonly leaseMs: Millis;
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

// A full Redis refuses a script at its first write, if that one takes room: each begins with one that takes none, since what
// is small and soon over must not keep people from staying signed in.

/**
 * KEYS: result, lease. ARGV: owner, lease ms, or 0 to take none. Answers with the result, or whether the lease is the owner's.
 */
const TAKE = `
local done = redis.call('GET', KEYS[1])
if done then return {'done', done} end
if ARGV[2] == '0' or redis.call('GET', KEYS[2]) then return {'not-mine'} end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'mine'}`;

/** KEYS: lease. ARGV: owner, lease ms. One that is gone (an emptied Redis) is taken again. */
const PROLONG = `
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

/** KEYS: result, lease. ARGV: owner, result, ttl. */
const SHARE = `
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1`;

/**
 * One process at a time is at work on a refresh token: it holds a lease, by the token's digest, and prolongs it as long as the
 * provider takes. When it dies, the lease runs out and another one takes it. What came of it is kept by the digest of the old
 * token, sealed with the gateway's keys, for whoever still carries that token.
 *
 * The lease is longer than a question to the provider may take, so that nobody asks again while an answer may come to a
 * process that has lost sight of Redis. While Redis cannot be asked no token is spent: the session stands as long as its
 * access token.
 */
export function createRedisCoordination(needs: RedisCoordinationNeeds): Coordination {
  const { redis, seal, leaseMs } = needs;
  const owner = randomUUID();
  const keysOf = (token: string) => [redis.key('renewed', token), redis.key('lease', token)] as const;
  const share = async (token: string, renewal: Renewal) => {
    const value = await sealRenewal(renewal, seal);
    const ttl = String(Math.ceil(lifeOf(renewal, needs.now())));
    await redis.send(['EVAL', SHARE, '2', ...keysOf(token), owner, value, ttl]);
  };
  const unshared = createUnshared({ ...needs, share });

  const look = async (token: string, session: Session): Promise<Looked> => {
    // An emptied or restarted Redis has no leases: it is not taken for free before others had time to come back.
    const isSettling = redis.state.outages > 0 && performance.now() - redis.state.since < SETTLE_MS;
    const reply = await redis.send(['EVAL', TAKE, '2', ...keysOf(token), owner, isSettling ? '0' : String(leaseMs)]);
    const [kind, value] = Array.isArray(reply) ? reply : [];
    if (kind === 'mine') return { kind };
    if (kind !== 'done')
      return isSettling ? { kind: 'done', renewal: failed('Redis was away a moment ago') } : { kind: 'taken' };
    return {
      kind,
      renewal: (await openRenewal(String(value), session, seal)) ?? failed('the result could not be opened'),
    };
  };
  const work = async (token: string, doIt: () => Promise<Renewal>): Promise<Renewal> => {
    const latest = performance.now() + MAX_LEASES * leaseMs;
    const prolonging = setInterval(() => {
      if (performance.now() > latest) return clearInterval(prolonging);
      const prolonged = redis.send(['EVAL', PROLONG, '1', keysOf(token)[1], owner, String(leaseMs)]);
      // Safe: it was long enough from the start; this is for what takes longer than one question.
      prolonged.catch(() => undefined);
    }, leaseMs / 3).unref();
    const renewal = await doIt().finally(() => clearInterval(prolonging));
    await share(token, renewal).catch((cause: unknown) => unshared.add(token, renewal, cause));
    return renewal;
  };
  return {
    once: async (session, doIt) => {
      const token = digest(session.refreshToken ?? '');
      const deadline = performance.now() + 2 * leaseMs;
      try {
        for (let pauseMs = LOOK_MS[0]; ; pauseMs = Math.min(pauseMs * 1.5, LOOK_MS[1])) {
          const looked = await look(token, session);
          if (looked.kind === 'done') return looked.renewal;
          if (looked.kind === 'mine') return await work(token, doIt);
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
        const [key] = keysOf(digest(newest.refreshToken));
        // Safe: an older token is good enough to name the family by.
        const value = await redis.send(['GET', key]).catch(() => null);
        const renewal = typeof value === 'string' ? await openRenewal(value, session, seal) : undefined;
        if (renewal?.kind !== 'renewed' || renewal.session.refreshToken === newest.refreshToken) break;
        newest = renewal.session;
      }
      return newest;
    },
  };
}

type Looked =
  | { readonly kind: 'done'; readonly renewal: Renewal }
  | { readonly kind: 'mine' }
  /** Somebody else is at it. */
  | { readonly kind: 'taken' };

function failed(why: string): Renewal {
  return { kind: 'failed', cause: new Failure('store_unreachable', why) };
}

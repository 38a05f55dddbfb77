import { randomUUID } from 'node:crypto';
import type { Clock, Millis } from '../config/units.ts';
import type { Redis } from '../redis/redis.ts';
import { createUsedTokens, type HeardTokens, memoryOf, nameOf } from './heard-tokens.ts';

/**
 * How long a claim holds whose owner says nothing more. Acting on a token takes two questions to Redis; whoever was told 503
 * comes back after five seconds at the earliest, and must not be taken for a replay then.
 */
const CLAIMED_MS: Millis = 4000;

const USED = 'used';

// A full Redis refuses a script at its first write, if that one takes room: each begins with one that takes none.

/** KEYS: token. ARGV: owner, ms. Answers `mine`, `used` or `taken`. */
const CLAIM = `
local known = redis.call('GET', KEYS[1])
if known == '${USED}' then return 'used' end
if known then return 'taken' end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'mine'`;

/** KEYS: token. ARGV: ms. */
const KEEP = `
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], '${USED}', 'PX', ARGV[1])
return 1`;

/** KEYS: token. ARGV: owner. */
const GIVE_BACK = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

/**
 * Remembers for all replicas: a token is claimed in Redis for a few seconds, acted on, and only then written down as used. So
 * of several replicas that hear it one acts, and a sign-out that failed, whatever died on the way, can be said again.
 *
 * What was used in this process is known here as well, whatever becomes of Redis.
 */
export function createRedisHeardTokens(needs: { readonly redis: Redis; readonly now: Clock }): HeardTokens {
  const { redis, now } = needs;
  const here = createUsedTokens(needs);
  return {
    claim: async (token) => {
      if (here.has(token)) return { kind: 'used' };
      const key = redis.key('logout-token', nameOf(token));
      const owner = randomUUID();
      const reply = await redis.send(['EVAL', CLAIM, '1', key, owner, String(CLAIMED_MS)]);
      if (reply !== 'mine') return { kind: reply === 'used' ? 'used' : 'taken' };
      return {
        kind: 'mine',
        keep: async () => {
          await redis.send(['EVAL', KEEP, '1', key, String(memoryOf(token, now()))]);
          here.add(token);
        },
        giveBack: async () => {
          // Safe: the claim runs out by itself.
          await redis.send(['EVAL', GIVE_BACK, '1', key, owner]).catch(() => undefined);
        },
      };
    },
  };
}

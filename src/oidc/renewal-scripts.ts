// What replicas have to do in one step for renewals runs inside Redis (EVAL). KEYS and ARGV as each says; times are
// milliseconds, moments by the gateway's clock.
//
// `result` is what became of a refresh token: `renewed`, `refused` or `failed`, a moment, and the sealed renewal, with a space
// between. The moment stands there only where the provider gave no other refresh token: it is when the new access token dies,
// and tells the result from one that is older than what its asker has. `lease` names the process that is at work on a token.
//
// `lineage` is a hash that a session has: `t` the digest of its newest refresh token, `by` who has asked the provider with it
// and has not said yet what came of it, `d` that such a one fell silent and another has asked with the same token, `b` that the
// session has been renewed twice from one token, `o` that it is over. Only a no to the newest token, to the only one who asked with it, says that
// the session is over: anybody else's may be about a token that was spent well.
//
// A full Redis refuses a script at its first write, if that one takes room: those for renewals begin with one that takes none,
// since what is small and soon over must not keep people from staying signed in.

/** Whether a result is of use to somebody whose access token dies at `asked`. */
const IS_NEWS = `
local function isNews(result, asked)
  local kept = result and string.match(result, '^renewed (%d+) ')
  return result and not (kept and tonumber(kept) <= tonumber(asked))
end
`;

/** KEYS: lineage. ARGV: token digest, ttl. Of all here this alone can wait: a full Redis refuses it. */
export const BEGIN = `
redis.call('HSET', KEYS[1], 't', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`;

/**
 * KEYS: result, lease, lineage. ARGV: owner, lease ms, or 0 to take none, when the asker's access token dies, token digest.
 * Answers `done` with the result, `mine`, or `not-mine`.
 */
export const TAKE = `${IS_NEWS}
local done = redis.call('GET', KEYS[1])
if isNews(done, ARGV[3]) then return {'done', done} end
if ARGV[2] == '0' or redis.call('GET', KEYS[2]) then return {'not-mine'} end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local line = redis.call('HMGET', KEYS[3], 't', 'by')
if line[1] == ARGV[4] then
  if line[2] and line[2] ~= ARGV[1] then redis.call('HSET', KEYS[3], 'd', '1') end
  redis.call('HSET', KEYS[3], 'by', ARGV[1])
end
return {'mine'}`;

/** KEYS: lease. ARGV: owner, lease ms. One that is gone (an emptied Redis) is taken again. */
export const PROLONG = `
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

/**
 * KEYS: result, lease, lineage. ARGV: owner, kind, result, ttl, when the asker's access token died, token digest, digest of the
 * next token and ttl of the lineage. Whatever lost its lease, a no never takes the place of a renewal. Answers `shared`; `over`,
 * when it is shared and the session is over; `done` with somebody else's result; or `overtaken`, when somebody else is at it.
 */
export const SHARE = `${IS_NEWS}
local holder = redis.call('GET', KEYS[2])
if holder == ARGV[1] then redis.call('DEL', KEYS[2]) end
local line = redis.call('HMGET', KEYS[3], 't', 'by', 'd', 'b', 'o')
if ARGV[2] == 'renewed' then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
  if line[1] and line[1] ~= ARGV[6] then
    redis.call('HSET', KEYS[3], 'b', '1')
  else
    redis.call('HDEL', KEYS[3], 'by', 'd', 'o')
    redis.call('HSET', KEYS[3], 't', ARGV[7])
    redis.call('PEXPIRE', KEYS[3], ARGV[8])
  end
  return {'shared'}
end
if line[2] == ARGV[1] then redis.call('HDEL', KEYS[3], 'by') end
local done = redis.call('GET', KEYS[1])
if isNews(done, ARGV[5]) and string.sub(done, 1, 8) == 'renewed ' then return {'done', done} end
if holder and holder ~= ARGV[1] then return {'overtaken'} end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
if ARGV[2] ~= 'refused' or line[1] ~= ARGV[6] then return {'shared'} end
local isSure = line[2] == ARGV[1] and not line[3] and not line[4]
if not isSure and not line[5] then return {'shared'} end
-- Also when this is asked a second time, since the first answer may have been lost.
redis.call('HSET', KEYS[3], 'o', '1')
return {'over'}`;

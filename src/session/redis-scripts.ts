// What has to happen in one step runs inside Redis (EVAL). KEYS and ARGV as each says; times are milliseconds since the epoch
// by the gateway's clock, ttl in milliseconds.
//
// A session is a hash: `r` its sealed record, `i` its sealed index entry, `s` when it was last seen, `p` the key of its person's
// set, `t` a digest of its refresh token, `o` those that it had before, `x` when its access token dies. A person's sessions are
// a sorted set of handles by when each ends.
//
// A full Redis (`maxmemory`) refuses a script at its first write, if that one takes room, and never later: so new sessions are
// refused whole, while renewed ones are kept, whose refresh token would be lost otherwise.

/**
 * KEYS: session, person. ARGV: record, index entry, seen, token digest, access end, ttl, handle, end, now, most sessions of
 * one person, what session keys begin with. Answers with how many others had to make room.
 */
export const CREATE = `
redis.call('HSET', KEYS[1], 'r', ARGV[1], 'i', ARGV[2], 's', ARGV[3], 't', ARGV[4], 'x', ARGV[5], 'p', KEYS[2])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[9])
local evicted = 0
while redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[10]) do
  local first = redis.call('ZPOPMIN', KEYS[2])
  redis.call('DEL', ARGV[11] .. first[1])
  evicted = evicted + 1
end
redis.call('ZADD', KEYS[2], ARGV[8], ARGV[7])
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[6]) then redis.call('PEXPIRE', KEYS[2], ARGV[6]) end
return evicted`;

/**
 * KEYS: session. ARGV: record, seen, token digest, access end, ttl, handle, end. A form that is older than the one kept only
 * lengthens its life: what it would put back is a spent refresh token. Answers `kept`, `older` or `gone`.
 */
export const UPDATE = `
local known = redis.call('HMGET', KEYS[1], 't', 'o', 'x', 'p')
if not known[1] then return 'gone' end
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[5])))
redis.call('ZADD', known[4], 'GT', ARGV[7], ARGV[6])
if redis.call('PTTL', known[4]) < tonumber(ARGV[5]) then redis.call('PEXPIRE', known[4], ARGV[5]) end
local spent = known[2] or ''
if known[1] == ARGV[3] then
  if tonumber(ARGV[4]) < tonumber(known[3]) then return 'older' end
elseif string.find(spent, ARGV[3], 1, true) then
  return 'older'
else
  spent = string.sub(known[1] .. ' ' .. spent, 1, 736)
end
redis.call('HSET', KEYS[1], 'r', ARGV[1], 's', ARGV[2], 't', ARGV[3], 'o', spent, 'x', ARGV[4])
return 'kept'`;

/** KEYS: session. ARGV: handle. */
export const END = `
local person = redis.call('HGET', KEYS[1], 'p')
if person then redis.call('ZREM', person, ARGV[1]) end
return redis.call('DEL', KEYS[1])`;

/** KEYS: person. ARGV: what session keys begin with. Answers with index entry and last sight of each session. */
export const OF_PERSON = `
local found = {}
for _, handle in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local entry = redis.call('HMGET', ARGV[1] .. handle, 'i', 's')
  if entry[1] then table.insert(found, entry) end
end
return found`;

/** ARGV: cursor, pattern of session keys, how many to look at. Answers with the next cursor, and entries as above. */
export const PAGE = `
local scanned = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local found = {}
for _, key in ipairs(scanned[2]) do
  local entry = redis.call('HMGET', key, 'i', 's')
  if entry[1] then table.insert(found, entry) end
end
return {scanned[1], found}`;

package idempotency

import goredis "github.com/redis/go-redis/v9"

// The scripts of a rebuild answer with one bucketState for each bucket. A lock's value is
// "<token> <replid>": comparing it as a whole tests both, that no other gateway took the
// lock and that this is still the Redis in which it was taken.

// checkScript: KEYS = markers.
var checkScript = goredis.NewScript(luaReplid + `
local out = redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
  out[i] = not out[i] and '-' or out[i] == replid and '=' or '!'
end
return out
`)

// lockScript: KEYS = (marker, lock)*; ARGV = token, lock ms, "force" or "". A lock that
// names another Redis is ignored; its owner notices when it renews it. With "force" a
// bucket is locked although its marker is right, and the marker is deleted.
var lockScript = goredis.NewScript(luaReplid + `
local mine, force = ARGV[1] .. ' ' .. replid, ARGV[3] == 'force'
local out = {}
for i = 1, #KEYS, 2 do
  local lock = redis.call('GET', KEYS[i + 1])
  if not force and redis.call('GET', KEYS[i]) == replid then
    out[#out + 1] = '='
  elseif lock and lock ~= mine and string.match(lock, ' (%S+)$') == replid then
    out[#out + 1] = 'B'
  else
    redis.call('SET', KEYS[i + 1], mine, 'PX', ARGV[2])
    if force then redis.call('DEL', KEYS[i]) end
    out[#out + 1] = 'L'
  end
end
return out
`)

// renewScript: KEYS = locks; ARGV = token, lock ms.
var renewScript = goredis.NewScript(luaReplid + `
local out = {}
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[1] .. ' ' .. replid then
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
    out[i] = 'L'
  else
    out[i] = 'X'
  end
end
return out
`)

// restoreScript: KEYS = records, then the locks of their buckets; ARGV = token,
// number of records, then per record itself, its expiry in ms, the position of its lock
// among the locks, from 1, and its fingerprint as a claim has it. The result has a letter
// for each record: see the restored* constants. A settled record is never overwritten.
var restoreScript = goredis.NewScript(luaReplid + luaSettled + `
local mine, n = ARGV[1] .. ' ' .. replid, tonumber(ARGV[2])
local locks = redis.call('MGET', unpack(KEYS, n + 1))
local out = {}
for i = 1, n do
  local text, expiry = ARGV[4 * i - 1], ARGV[4 * i]
  if locks[tonumber(ARGV[4 * i + 1])] ~= mine then
    out[i] = 'X'
  else
    local rec = redis.call('SET', KEYS[i], text, 'NX', 'GET', 'PX', expiry)
    if not rec then
      out[i] = 'W'
    elseif settled(rec) then
      out[i] = rec == text and '=' or 'D'
    else
      redis.call('SET', KEYS[i], text, 'PX', expiry)
      out[i] = string.match(rec, '^%S+ %S+ %S+ (%S+) ') == ARGV[4 * i + 2] and 'W' or 'F'
    end
  end
end
return table.concat(out)
`)

// What restoreScript answers for a record.
const (
	restoredNew       = 'W' // written
	restoredOther     = 'F' // written, over a claim with another fingerprint
	restoredSame      = '=' // was there already
	restoredDuplicate = 'D' // the event is settled with another receipt
	restoredRefused   = 'X' // the lock is lost
)

// completeScript: KEYS = (marker, lock)*; ARGV = token. It sets the markers of the
// buckets that are still locked. If a marker is right although the lock is gone, this
// command was sent twice, or another gateway has rebuilt the bucket.
var completeScript = goredis.NewScript(luaReplid + `
local out = {}
for i = 1, #KEYS, 2 do
  if redis.call('GET', KEYS[i + 1]) == ARGV[1] .. ' ' .. replid then
    redis.call('SET', KEYS[i], replid)
    redis.call('DEL', KEYS[i + 1])
    out[#out + 1] = 'L'
  else
    out[#out + 1] = redis.call('GET', KEYS[i]) == replid and '=' or 'X'
  end
end
return out
`)

// unlockScript: KEYS = locks; ARGV = token.
var unlockScript = goredis.NewScript(`
local out = {}
for i = 1, #KEYS do
  local lock = redis.call('GET', KEYS[i])
  out[i] = 'X'
  if lock and string.match(lock, '^(%S+) ') == ARGV[1] then
    redis.call('DEL', KEYS[i])
    out[i] = 'L'
  end
end
return out
`)

// assertEmptyScript: KEYS = (marker, lock)*. It sets missing markers, and deletes their
// locks: a gateway that rebuilds such a bucket may stop, because there is nothing to find.
var assertEmptyScript = goredis.NewScript(luaReplid + `
local out = {}
for i = 1, #KEYS, 2 do
  local marker = redis.call('GET', KEYS[i])
  if not marker then
    redis.call('SET', KEYS[i], replid)
    redis.call('DEL', KEYS[i + 1])
  end
  out[#out + 1] = not marker and 'L' or marker == replid and '=' or '!'
end
return out
`)

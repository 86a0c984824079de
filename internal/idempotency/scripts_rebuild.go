package idempotency

import goredis "github.com/redis/go-redis/v9"

// The scripts of a rebuild answer with one bucketState for each bucket. A lock's value is
// "<token> <replid>": both are tested, that no other gateway took the lock and that this is
// still the Redis in which it was taken (luaHold).

// checkScript: KEYS = markers.
var checkScript = goredis.NewScript(luaReplid + `
local out = redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
  out[i] = not out[i] and '-' or out[i] == replid and '=' or '!'
end
return out
`)

// lockScript: KEYS = (marker, lock)*; ARGV = token, lock ms, mode: "force", "resume", "anew"
// or "". A bucket whose lock expired, but whose progress is valid, is "A", abandoned: whoever
// wants it has to resume it or, if that cannot be, to begin anew. A lock that
// names another Redis is ignored; its owner notices when it renews it. With "force" a
// bucket is locked although its marker is right, and the marker is deleted.
var lockScript = goredis.NewScript(luaReplid + luaHold + `
local mine, force = ARGV[1] .. ' ' .. replid, ARGV[3] == 'force'
local out = {}
for i = 1, #KEYS, 2 do
  local lock = redis.call('GET', KEYS[i + 1])
  if not force and redis.call('GET', KEYS[i]) == replid then
    out[#out + 1] = '='
  elseif lock and (lock ~= mine or ARGV[3] == 'resume') and string.match(lock, ' (%S+)$') == replid then
    out[#out + 1] = 'B'
  elseif ARGV[3] == '' and lock ~= mine and valid(redis.call('GET', progress(KEYS[i + 1]))) then
    out[#out + 1] = 'A'
  elseif ARGV[3] == 'resume' then
    local before = redis.call('GET', progress(KEYS[i + 1]))
    if named(before, ARGV[1]) then
      redis.call('SET', KEYS[i + 1], string.match(before, '^[^\n]*'), 'PX', ARGV[2])
      out[#out + 1] = 'L'
    else
      out[#out + 1] = 'B'
    end
  else
    redis.call('SET', KEYS[i + 1], mine, 'PX', ARGV[2])
    local key = progress(KEYS[i + 1])
    if force or not named(redis.call('GET', key), ARGV[1]) then redis.call('DEL', key) end
    if force then redis.call('DEL', KEYS[i]) end
    out[#out + 1] = 'L'
  end
end
return out
`)

// renewScript: KEYS = locks; ARGV = token, lock ms.
var renewScript = goredis.NewScript(luaReplid + luaHold + `
local out = {}
for i = 1, #KEYS do
  if holds(KEYS[i], ARGV[1]) then
    if redis.call('PEXPIRE', KEYS[i], ARGV[2]) == 0 then -- it expired, and nothing has happened since
      redis.call('SET', KEYS[i], string.match(redis.call('GET', progress(KEYS[i])), '^[^\n]*'), 'PX', ARGV[2])
    end
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
var restoreScript = goredis.NewScript(luaReplid + luaHold + luaSettled + `
local n = tonumber(ARGV[2])
local locks, held, out = redis.call('MGET', unpack(KEYS, n + 1)), {}, {}
local mine -- all locks of a token in one server have the same value
for i = 1, #locks do
  if locks[i] and locks[i] == mine then
    held[i] = true
  elseif holds(KEYS[n + i], ARGV[1]) then
    held[i], mine = true, locks[i]
  elseif named(redis.call('GET', progress(KEYS[n + i])), ARGV[1]) then
    redis.call('DEL', progress(KEYS[n + i])) -- this record is not restored: the token must not get the bucket again
  end
end
for i = 1, n do
  local text, expiry = ARGV[4 * i - 1], ARGV[4 * i]
  if not held[tonumber(ARGV[4 * i + 1])] then
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
var completeScript = goredis.NewScript(luaReplid + luaHold + `
local out = {}
for i = 1, #KEYS, 2 do
  if holds(KEYS[i + 1], ARGV[1]) then
    redis.call('SET', KEYS[i], replid)
    redis.call('DEL', KEYS[i + 1], progress(KEYS[i + 1]))
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
var assertEmptyScript = goredis.NewScript(luaReplid + luaHold + `
local out = {}
for i = 1, #KEYS, 2 do
  local marker = redis.call('GET', KEYS[i])
  if not marker then
    redis.call('SET', KEYS[i], replid)
    redis.call('DEL', KEYS[i + 1], progress(KEYS[i + 1]))
  end
  out[#out + 1] = not marker and 'L' or marker == replid and '=' or '!'
end
return out
`)

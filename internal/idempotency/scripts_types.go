package idempotency

import goredis "github.com/redis/go-redis/v9"

// While a bucket is rebuilt, it has a second key beside its lock, the progress: the lock's
// value, then a line for each event type whose topics are done, and AnyType if all
// dead-letter topics are, then a line for each other type, with missingMark in front. It does not expire with the lock. Whatever makes the restored
// claims incomplete deletes it: another token's lock, an operator's assertion, a marker that
// is set or deleted. So as long as it is there, under the same replication id, everything
// that was restored under its token is there, although the lock may have expired.

// luaHold tells whether a token holds a bucket: by its lock, or, if that expired, by what
// is left of the rebuild. It follows luaReplid. A lock may have more behind the replid.
const luaHold = `
local function progress(key) return string.sub(key, 1, -2) .. 'd' end
local function named(text, token)
  local by, id = string.match(text or '', '^(%S+) (%S+)')
  return by == token and id == replid
end
local function valid(text) return string.match(text or '', '^%S+ (%S+)') == replid end
local function holds(key, token)
  local lock = redis.call('GET', key)
  if lock then return named(lock, token) end
  return named(redis.call('GET', progress(key)), token)
end
`

// luaReturned tells whether claims of a kind (see claimKind) are taken in a bucket whose
// marker is wrong, because all topics that may have them are read. A lock of another
// token says that the rebuild has begun anew. It follows luaReplid.
const luaReturned = `
local function returned(marker, kind)
  if not kind or kind == '' then return false end
  local start = string.sub(marker, 1, -2)
  local done = redis.call('GET', start .. 'd')
  if not done then return false end
  local by, id = string.match(done, '^(%S+) (%S+)')
  local lock = redis.call('GET', start .. 'l')
  if id ~= replid or lock and string.match(lock, '^(%S+)') ~= by then return false end
  if string.sub(kind, 1, 1) == '*' then
    return string.find(done, '\n*\n', 1, true) and not string.find(done, '\n-' .. string.sub(kind, 2), 1, true)
  end
  return string.find(done, '\n' .. kind .. '\n', 1, true) ~= nil
end
`

// announceScript: KEYS = locks; ARGV = token, ms that the progress lasts, lines or "". It
// notes which types are back. Without lines it begins the progress, unless it goes on.
var announceScript = goredis.NewScript(luaReplid + luaHold + `
local out = {}
for i = 1, #KEYS do
  local key = progress(KEYS[i])
  if not holds(KEYS[i], ARGV[1]) then
    out[i] = 'X'
  else
    local before = redis.call('GET', key)
    local head = redis.call('GET', KEYS[i]) or string.match(before, '^[^\n]*')
    if ARGV[3] ~= '' then
      redis.call('SET', key, head .. '\n' .. ARGV[3], 'PX', ARGV[2])
    elseif not named(before, ARGV[1]) then
      redis.call('SET', key, head .. '\n', 'PX', ARGV[2])
    end
    out[i] = 'L'
  end
end
return out
`)

package idempotency

import goredis "github.com/redis/go-redis/v9"

// While a bucket is rebuilt, it has a second key beside its lock, the progress: the lock's
// token, replication id and generation, then a line for each event type whose topics are done, and AnyType if all
// dead-letter topics are, then a line for each other type, with missingMark in front. It does not expire with the lock. Whatever makes the restored
// claims incomplete deletes it: another token's lock, an operator's assertion, a marker that
// is set or deleted. So as long as it is there, under the same replication id, everything
// that was restored under its token is there, although the lock may have expired.

// luaLock reads locks, and the first lines of progresses. It follows luaReplid. A lock may
// have more behind its generation (marker.go); one that has not raised any yet is of 0.
const luaLock = `
local function progress(key) return string.sub(key, 1, -2) .. 'd' end
local function lock_of(text)
  local token, id, rest = string.match(text or '', '^(%S+) (%S+)([^\n]*)')
  return token, id, token and (string.match(rest, '^ (%d+)') or '0')
end
local function of(text, token)
  local by, id = lock_of(text)
  return by == token and id == replid
end
local function first_line(text)
  local token, id, generation = lock_of(text)
  return token .. ' ' .. id .. ' ' .. generation
end
local function relock(text) return first_line(text) .. ' ,' end -- the lock of a progress
`

// luaHold tells whether a token holds a bucket: by its lock, or, if that expired, by what
// is left of the rebuild. A token that is refused in a bucket gives up both: it must not get
// the bucket again. It follows luaLock.
const luaHold = `
local function holds(key, token)
  local lock = redis.call('GET', key)
  if lock then return of(lock, token) end
  return of(redis.call('GET', progress(key)), token)
end
local function give_up(key, token) -- what is missing here is missing when the slot moves back, too
  for _, k in ipairs({key, progress(key)}) do
    if lock_of(redis.call('GET', k)) == token then redis.call('DEL', k) end
  end
end
`

// luaReturned tells whether claims of a kind (see claimKind) and of a generation are taken in
// a bucket whose marker is wrong, because all topics that may have them are read. A lock of
// another token says that the rebuild has begun anew. It follows luaLock.
const luaReturned = `
local function returned(marker, kind, generation)
  if not kind or kind == '' then return false end
  local start = string.sub(marker, 1, -2)
  local done = redis.call('GET', start .. 'd')
  local by, id, its = lock_of(done)
  if id ~= replid or its ~= generation then return false end
  local lock = redis.call('GET', start .. 'l')
  if lock and lock_of(lock) ~= by then return false end
  if string.sub(kind, 1, 1) == '*' then
    return string.find(done, '\n*\n', 1, true) and not string.find(done, '\n-' .. string.sub(kind, 2), 1, true)
  end
  return string.find(done, '\n' .. kind .. '\n', 1, true) ~= nil
end
`

// announceScript: KEYS = locks; ARGV = token, ms that the progress lasts, lines or "". It
// notes which types are back. Without lines it begins the progress, unless it goes on.
var announceScript = goredis.NewScript(luaReplid + luaLock + luaHold + `
local out = {}
for i = 1, #KEYS do
  local key = progress(KEYS[i])
  if not holds(KEYS[i], ARGV[1]) then
    give_up(KEYS[i], ARGV[1])
    out[i] = 'X'
  else
    local before = redis.call('GET', key)
    local first = first_line(redis.call('GET', KEYS[i]) or before)
    if ARGV[3] ~= '' then
      redis.call('SET', key, first .. '\n' .. ARGV[3], 'PX', ARGV[2])
    elseif not of(before, ARGV[1]) then
      redis.call('SET', key, first .. '\n', 'PX', ARGV[2])
    end
    out[i] = 'L'
  end
end
return out
`)

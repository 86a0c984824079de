package idempotency

import goredis "github.com/redis/go-redis/v9"

// The scripts of a rebuild answer with a bucketState for each bucket, some with more
// behind it. The values of markers, locks and beats are explained in marker.go. A lock is
// tested by token and replication id together: that no other gateway took it, and that
// this is still the Redis in which it was taken. A token belongs to one reading of the
// log, by however many gateways, and so to one generation.

// checkScript: KEYS = markers; ARGV = generation, or nothing for any. Each answer is "="
// and the replication id, "-" (no marker), "!" (it names another Redis or an older
// generation), or ">" and the number of a newer generation.
var checkScript = goredis.NewScript(luaReplid + luaNames + `
local generation = ARGV[1]
local out = redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
  local marker = out[i]
  if not marker then
    out[i] = '-'
  elseif named(marker) ~= replid then
    out[i] = '!'
  else
    local its = string.match(marker, '^%d+')
    if not generation or its == generation then
      out[i] = '=' .. replid
    elseif tonumber(its) > tonumber(generation) then
      out[i] = '>' .. its
    else
      out[i] = '!'
    end
  end
end
return out
`)

// factsScript: KEYS = (marker, lock, beat)*. Each answer has a line for each of them, then
// the server's master_replid, master_replid2, run_id and stream.
var factsScript = goredis.NewScript(luaServer + `
local who = replid .. '\n' .. former .. '\n' .. run .. '\n' .. stream
local all, out = redis.call('MGET', unpack(KEYS)), {}
for i = 1, #KEYS, 3 do
  out[#out + 1] = (all[i] or '') .. '\n' .. (all[i + 1] or '') .. '\n' .. (all[i + 2] or '') .. '\n' .. who
end
return out
`)

// renewMarkerScript: KEYS = (marker, lock)*; ARGV = the marker as found, generation. The
// Redis has another replication id, and nothing was lost.
var renewMarkerScript = goredis.NewScript(luaServer + luaLock + `
local right = ARGV[2] .. ' ' .. replid .. ' ' .. run .. ' ' .. stream
local generation, its_run, its_stream = string.match(ARGV[1], '^(%d+) %w+ (%S+) (%S+)$')
local same = generation == ARGV[2] and its_run == run and its_stream == stream and run ~= '-' and not string.find(former, '[^0]')
local out = {}
for i = 1, #KEYS, 2 do
  local marker = redis.call('GET', KEYS[i])
  if same and marker == ARGV[1] and redis.call('EXISTS', KEYS[i + 1]) == 0 then
    redis.call('SET', KEYS[i], right)
    redis.call('DEL', progress(KEYS[i + 1]))
    marker = right
  end
  out[#out + 1] = marker == right and '=' or 'X'
end
return out
`)

// lockScript: KEYS = (marker, lock)*; ARGV = token, lock ms, mode, generation, "counted" if
// generations are, "anew" if what interrupted rebuilds have read is given up, and up to which
// number the generations that markers name do not exist: such a marker is deleted. A lock that
// names another Redis is ignored; its owner notices when it renews it. A bucket whose
// marker is right is not locked, unless the mode is "raise", for a new generation, or
// "force", which deletes the marker. A bucket whose lock expired, but whose progress is valid
// and of this generation or a newer one, is "A", abandoned: whoever wants it has to resume it
// or, if that cannot be, to begin anew. "resume" takes only the locks of the token's own
// progress. "L" is followed by the replication id and the marker.
var lockScript = goredis.NewScript(luaReplid + luaNames + luaLock + `
local mode, generation = ARGV[3], ARGV[4]
local out = {}
for i = 1, #KEYS, 2 do
  local marker, key = redis.call('GET', KEYS[i]), progress(KEYS[i + 1])
  local token, server = lock_of(redis.call('GET', KEYS[i + 1]))
  local done = redis.call('GET', key)
  local _, id, generation_done = lock_of(done)
  local its = named(marker) == replid and string.match(marker, '^%d+')
  if (mode == '' or mode == 'resume') and its == generation then
    out[#out + 1] = '='
  elseif mode ~= 'force' and its and ARGV[5] == 'counted' and tonumber(its) > tonumber(generation) and tonumber(its) > tonumber(ARGV[7]) then
    out[#out + 1] = '>'
  elseif server == replid and (token ~= ARGV[1] or mode == 'resume') then
    out[#out + 1] = 'B'
  elseif mode == 'resume' then
    if of(done, ARGV[1]) and generation_done == generation then
      redis.call('SET', KEYS[i + 1], relock(done), 'PX', ARGV[2])
      out[#out + 1] = 'L' .. replid .. ' ' .. (marker or '')
    else
      out[#out + 1] = 'B'
    end
  elseif mode ~= 'force' and ARGV[6] ~= 'anew' and token ~= ARGV[1] and id == replid and tonumber(generation_done) >= tonumber(generation) then
    out[#out + 1] = 'A'
  else
    redis.call('SET', KEYS[i + 1], ARGV[1] .. ' ' .. replid, 'PX', ARGV[2])
    if mode == 'force' or not of(done, ARGV[1]) then redis.call('DEL', key) end
    if mode == 'force' or its and ARGV[5] == 'counted' and tonumber(its) > tonumber(generation) then redis.call('DEL', KEYS[i]) end
    out[#out + 1] = 'L' .. replid .. ' ' .. (marker or '')
  end
end
return out
`)

// renewScript: KEYS = locks; ARGV = token, lock ms.
var renewScript = goredis.NewScript(luaReplid + luaLock + luaHold + `
local out = {}
for i = 1, #KEYS do
  if holds(KEYS[i], ARGV[1]) then
    if redis.call('PEXPIRE', KEYS[i], ARGV[2]) == 0 then -- it expired, and nothing has happened since
      redis.call('SET', KEYS[i], relock(redis.call('GET', progress(KEYS[i]))), 'PX', ARGV[2])
    end
    out[i] = 'L'
  else
    out[i] = 'X'
  end
end
return out
`)

// raisedScript: KEYS = locks; ARGV = token, generation. Gateways may join from now on.
var raisedScript = goredis.NewScript(luaReplid + luaLock + `
local out = {}
for i = 1, #KEYS do
  if of(redis.call('GET', KEYS[i]), ARGV[1]) then
    redis.call('SET', KEYS[i], ARGV[1] .. ' ' .. replid .. ' ' .. ARGV[2] .. ' ,', 'KEEPTTL')
    out[i] = 'L'
  else
    out[i] = 'X'
  end
end
return out
`)

// joinedScript: KEYS = locks; ARGV = token. "L" is followed by the ids of the processes
// that have joined.
var joinedScript = goredis.NewScript(luaReplid + luaLock + `
local out = {}
for i = 1, #KEYS do
  local lock = redis.call('GET', KEYS[i])
  out[i] = of(lock, ARGV[1]) and 'L' .. (string.match(lock, '^%S+ %S+ %d+ (.*)$') or '') or 'X'
end
return out
`)

// renameScript: KEYS = locks; ARGV = token, new token. The token's part of the log is read;
// what is left of the buckets is read under a token of its own.
var renameScript = goredis.NewScript(luaReplid + luaLock + `
local out = {}
for i = 1, #KEYS do
  local lock = redis.call('GET', KEYS[i])
  if of(lock, ARGV[1]) then
    redis.call('SET', KEYS[i], ARGV[2] .. string.sub(lock, #ARGV[1] + 1), 'KEEPTTL')
    out[i] = 'L'
  else
    out[i] = of(lock, ARGV[2]) and 'L' or 'X' -- sent twice
  end
end
return out
`)

// restoreScript: KEYS = records, then the locks of their buckets; ARGV = token,
// number of records, then per record itself, its expiry in ms, the position of its lock
// among the locks, from 1, and its fingerprint as a claim has it. The result has a letter
// for each record: see the restored* constants. A settled record is never overwritten.
var restoreScript = goredis.NewScript(luaReplid + luaLock + luaHold + luaSettled + `
local n = tonumber(ARGV[2])
local locks, held, out = redis.call('MGET', unpack(KEYS, n + 1)), {}, {}
local mine -- most locks of a token in one server have the same value
for i = 1, #locks do
  local lock = locks[i]
  if lock and (lock == mine or of(lock, ARGV[1])) then
    held[i], mine = true, lock
  elseif holds(KEYS[n + i], ARGV[1]) then
    held[i] = true
  else
    give_up(KEYS[n + i], ARGV[1])
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

// completeScript: KEYS = (marker, lock)*; ARGV = token, generation. It sets the markers of
// the buckets that are still locked. If a marker is right although the lock is gone, this
// command was sent twice, or another gateway has rebuilt the bucket.
var completeScript = goredis.NewScript(luaServer + luaNames + luaLock + luaHold + `
local out = {}
for i = 1, #KEYS, 2 do
  if holds(KEYS[i + 1], ARGV[1]) then
    redis.call('SET', KEYS[i], ARGV[2] .. ' ' .. replid .. ' ' .. run .. ' ' .. stream)
    redis.call('DEL', KEYS[i + 1], progress(KEYS[i + 1]))
    out[#out + 1] = 'L'
  else
    local marker = redis.call('GET', KEYS[i])
    local right = named(marker) == replid and tonumber(string.match(marker, '^%d+')) >= tonumber(ARGV[2])
    out[#out + 1] = right and '=' or 'X'
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

// assertEmptyScript: KEYS = (marker, lock)*; ARGV = generation. It sets missing markers, and
// deletes their locks: a gateway that rebuilds such a bucket may stop, because there is
// nothing to find.
var assertEmptyScript = goredis.NewScript(luaServer + luaNames + luaLock + `
local out = {}
for i = 1, #KEYS, 2 do
  local marker = redis.call('GET', KEYS[i])
  if not marker then
    redis.call('SET', KEYS[i], ARGV[1] .. ' ' .. replid .. ' ' .. run .. ' ' .. stream)
    redis.call('DEL', KEYS[i + 1], progress(KEYS[i + 1]))
  end
  out[#out + 1] = not marker and 'L' or named(marker) == replid and '=' or '!'
end
return out
`)

package idempotency

import goredis "github.com/redis/go-redis/v9"

// luaReplid and luaNow begin every script that has to know which Redis this is and what
// its time is. If the user may not run INFO, the script fails: without the replication
// id a failover would go unnoticed.
const luaReplid = `
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
if not replid then return redis.error_reply('ERR no master_replid in INFO replication') end
`

const luaNow = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`

// luaHolder reads the token of a claimed or unknown record. It has to be compared as a
// whole, because one attempt's token may be the beginning of another's.
const luaHolder = `
local function holder(rec) return rec and string.match(rec, '^[CU] %S+ %S+ %S+ (%S+) ') end
`

// luaSettled tells whether a record is settled (see record.go).
const luaSettled = `
local function settled(rec) return string.sub(rec, 1, 1) == 'S' end
`

// luaAnswer makes answers: the record that was found, and what may be answered although
// the marker is wrong. A receipt is correct whatever else was lost.
const luaAnswer = luaSettled + `
local function found(rec) return 'R' .. string.format('%d', now) .. ' ' .. (rec or '') end
local function lost(rec)
  if rec and settled(rec) then return found(rec) end
  return 'M'
end
`

// claimScript: KEYS = records, then the markers of their buckets; ARGV = lease
// ms, ttl ms, number of records, from, then per record its body (what follows
// <from>) and the position of its marker among the markers, from 1, and 512 times that of its
// kind among the kinds, from 0; then the kinds (see claimKind). Each result is "M" (marker missing
// or different, and the kind is not back), "W" (claimed) or "R<now> <record>" (of another attempt).
// A record with the claim's own token means that the client library sent the claim twice.
var claimScript = newNodeScript(luaReplid + luaNow + luaHolder + luaAnswer + luaReturned + `
local ttl, n = ARGV[2], tonumber(ARGV[3])
local head = 'C ' .. string.format('%d', now + tonumber(ARGV[1])) .. ' ' .. ARGV[4] .. ' '
local markers = values(n + 1)
local out = {}
for i = 1, n do
  local body = ARGV[2 * i + 3]
  local at = tonumber(ARGV[2 * i + 4])
  local marker = at % 512
  if markers[marker] ~= replid and not returned(KEYS[n + marker], ARGV[2 * n + 5 + (at - marker) / 512]) then
    out[i] = lost(redis.call('GET', KEYS[i]))
  else
    local rec = redis.call('SET', KEYS[i], head .. body, 'NX', 'GET', 'PX', ttl)
    if not rec or holder(rec) == string.match(body, '^%S+ (%S+) ') then
      out[i] = 'W'
    else
      out[i] = found(rec)
    end
  end
end
return out
`)

// takeOverScript: KEYS = record, marker; ARGV = the record as found, lease ms,
// ttl ms, from, body, kind. The result is as for a claim.
var takeOverScript = goredis.NewScript(luaReplid + luaNow + luaHolder + luaAnswer + luaReturned + `
local rec = redis.call('GET', KEYS[1])
if redis.call('GET', KEYS[2]) ~= replid and not returned(KEYS[2], ARGV[6]) then return lost(rec) end
local body = ARGV[5]
if rec == ARGV[1] then
  redis.call('SET', KEYS[1], 'C ' .. string.format('%d', now + tonumber(ARGV[2])) .. ' ' .. ARGV[4] .. ' ' .. body, 'PX', ARGV[3])
  return 'W'
end
if rec and holder(rec) == string.match(body, '^%S+ (%S+) ') then return 'W' end
return found(rec)
`)

// lookScript: KEYS = record, marker. The result is as for a claim, without "W".
// A record is returned whatever the marker says, because no caller writes an event on the
// strength of it.
var lookScript = goredis.NewScript(luaReplid + luaNow + luaAnswer + `
local rec = redis.call('GET', KEYS[1])
if not rec and redis.call('GET', KEYS[2]) ~= replid then return 'M' end
return found(rec)
`)

// settleScript: KEYS = record*; ARGV = ttl ms, then per record operation, token,
// settled record. "S" settles the token's claim, or one that Redis lost: the event is in
// the log, whatever became of its claim. "U" (unknown) and "D" (delete) change only the
// token's own claim. The result counts the settlements that changed nothing.
var settleScript = newNodeScript(luaHolder + `
local missed = 0
for i = 1, #KEYS do
  local op, token = ARGV[3 * i - 1], ARGV[3 * i]
  local rec = redis.call('GET', KEYS[i])
  local mine = holder(rec) == token
  if op == 'S' and (mine or not rec) then
    redis.call('SET', KEYS[i], ARGV[3 * i + 1], 'PX', ARGV[1])
  elseif op == 'U' and mine then
    redis.call('SET', KEYS[i], 'U' .. string.sub(rec, 2), 'KEEPTTL')
  elseif op == 'D' and mine then
    redis.call('DEL', KEYS[i])
  else
    missed = missed + 1
  end
end
return missed
`)

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

// luaOrder makes the order of a claim that is made now (see record.go).
const luaOrder = `
local function order_in(generation) return '@' .. generation .. '.' .. string.format('%.0f', t[1] * 1000000 + t[2]) end
`

// luaServer is luaReplid, for scripts that have to know all of a server's identity.
const luaServer = `
local info = redis.call('INFO', 'replication')
local replid = string.match(info, 'master_replid:(%w+)')
if not replid then return redis.error_reply('ERR no master_replid in INFO replication') end
local former = string.match(info, 'master_replid2:(%w+)') or ''
info = redis.call('INFO', 'server')
local run = string.match(info, 'run_id:(%w+)') or '-'
local stream = '-'
if string.find(info, '_mode:cluster', 1, true) then -- redis_mode, or Valkey's server_mode
  stream = redis.pcall('CLUSTER', 'MYID')
  if type(stream) ~= 'string' then stream = 'unknown-' .. replid end
end
`

// luaNames tells which Redis a marker names.
const luaNames = `
local function named(marker) return marker and string.match(marker, '^%d+ (%w+) ') end
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

// luaAgain answers a claim that finds its own token: the client library sent it twice.
// Under another generation its lease is by the clock of another server: it begins anew.
const luaAgain = luaHolder + luaOrder + `
local function again(key, rec, text, order, generation, ttl)
  local had = string.match(rec, ' (@%S+)$')
  if had and string.match(had, '^@(%d+)') == generation then return 'W' .. had end
  redis.call('SET', key, text, 'PX', ttl)
  return 'W' .. order
end
`

// claimScript: KEYS = records, then the markers of their buckets; ARGV = lease
// ms, ttl ms, number of records, from, generation, then per record its body (what follows
// <from>, without the order) and the position of its marker among the markers, from 1, and 512 times that of its
// kind among the kinds, from 0; then the kinds (see claimKind). Each result is "M" (marker missing
// or different, and the kind is not back), "W<order>" or "W" (claimed) or "R<now>
// <record>" (of another attempt). After them comes the order of those that are only "W".
var claimScript = newNodeScript(luaReplid + luaNow + luaAgain + luaAnswer + luaLock + luaReturned + `
local ttl, n, generation = ARGV[2], tonumber(ARGV[3]), ARGV[5]
local head = 'C ' .. string.format('%d', now + tonumber(ARGV[1])) .. ' ' .. ARGV[4] .. ' '
local order = order_in(generation)
local tail = ' ' .. order
local right = generation .. ' ' .. replid .. ' '
local markers = values(n + 1)
for i = 1, #markers do markers[i] = markers[i] and string.sub(markers[i], 1, #right) == right end
local out = {}
for i = 1, n do
  local body = ARGV[2 * i + 4]
  local at = tonumber(ARGV[2 * i + 5])
  local marker = at % 512
  if not markers[marker] and not returned(KEYS[n + marker], ARGV[2 * n + 6 + (at - marker) / 512], generation) then
    out[i] = lost(redis.call('GET', KEYS[i]))
  else
    local text = head .. body .. tail
    local rec = redis.call('SET', KEYS[i], text, 'NX', 'GET', 'PX', ttl)
    if not rec then
      out[i] = 'W'
    elseif holder(rec) == string.match(body, '^%S+ (%S+) ') then
      out[i] = again(KEYS[i], rec, text, order, generation, ttl)
    else
      out[i] = found(rec)
    end
  end
end
out[n + 1] = order
return out
`)

// takeOverScript: KEYS = record, marker; ARGV = the record as found, lease ms,
// ttl ms, from, body, generation, kind. The result is as for a claim, but never only "W".
var takeOverScript = goredis.NewScript(luaReplid + luaNow + luaAgain + luaAnswer + luaLock + luaReturned + `
local rec = redis.call('GET', KEYS[1])
local generation = ARGV[6]
local right = generation .. ' ' .. replid .. ' '
local marker = redis.call('GET', KEYS[2])
if (not marker or string.sub(marker, 1, #right) ~= right) and not returned(KEYS[2], ARGV[7], generation) then return lost(rec) end
local body, order = ARGV[5], order_in(generation)
local text = 'C ' .. string.format('%d', now + tonumber(ARGV[2])) .. ' ' .. ARGV[4] .. ' ' .. body .. ' ' .. order
if rec == ARGV[1] then
  redis.call('SET', KEYS[1], text, 'PX', ARGV[3])
  return 'W' .. order
end
if rec and holder(rec) == string.match(body, '^%S+ (%S+) ') then
  return again(KEYS[1], rec, text, order, generation, ARGV[3])
end
return found(rec)
`)

// lookScript: KEYS = record, marker. The result is as for a claim, without "W".
// A record is returned whatever the marker says, because no caller writes an event on the
// strength of it.
var lookScript = goredis.NewScript(luaReplid + luaNow + luaNames + luaAnswer + `
local rec = redis.call('GET', KEYS[1])
if not rec and named(redis.call('GET', KEYS[2])) ~= replid then return 'M' end
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

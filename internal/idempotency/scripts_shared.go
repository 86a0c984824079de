package idempotency

import goredis "github.com/redis/go-redis/v9"

// The state of a rebuild that several gateways share is a hash, whose key has the rebuild's
// token. Its fields:
//
//	h                      from when the log is read, in ms since 1970, by the clock of the gateway that
//	                       began, and, behind a space, watermarkMark if it is read to the high watermark
//	t <topic>              its event types and spans, as JSON; never changed
//	p <topic> <partition>  "<at> <until> <worker> <what it waits for>": everything before the
//	                       offset at is in Redis; worker reads on until then, by Redis' clock
//
// It lasts as long as a bucket's progress. What is there although its rebuild is over harms
// nobody: without progress in a bucket nobody reads it.

const luaPlace = `
local function place(value, first)
  local at, till, worker, cause = string.match(value or '', '^(%d+) (%d+) (%S+) (.*)$')
  if not at then return tonumber(first), 0, '-', '' end
  return tonumber(at), tonumber(till), worker, cause
end
local function keep(field, at, till, worker, cause)
  redis.call('HSET', KEYS[1], field, string.format('%d %d %s %s', at, till, worker, cause))
end
`

// beginScript: KEYS = state; ARGV = the value of h, ms that the state
// lasts. It uses each command that the state needs, so that a user who may not run one of
// them finds that out here.
var beginScript = goredis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], 'h', ARGV[1]) end
redis.call('HSETNX', KEYS[1], 'h', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return #redis.call('HGETALL', KEYS[1]) > 0 and redis.call('HGET', KEYS[1], 'h')
`)

// fixScript: KEYS = state; ARGV = field, value. It answers with the value that was first, or
// "" if the state is gone.
var fixScript = goredis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return '' end
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1])
`)

// turnScript: KEYS = state; ARGV = field, first offset, worker, ms. It gives the span to the
// worker unless another reads it, and answers with the place as it is then, or "" if the
// state is gone.
var turnScript = goredis.NewScript(luaNow + luaPlace + `
if redis.call('EXISTS', KEYS[1]) == 0 then return '' end
local at, till, worker, cause = place(redis.call('HGET', KEYS[1], ARGV[1]), ARGV[2])
if worker == ARGV[3] or till <= now then
  keep(ARGV[1], at, now + tonumber(ARGV[4]), ARGV[3], '')
end
return redis.call('HGET', KEYS[1], ARGV[1])
`)

// noteScript: KEYS = state; ARGV = worker, ms that the state lasts, then per span of the
// worker its field, offset, what it waits for, and for how many ms it is the worker's. It answers with the time and with the
// whole state, which is empty if it is gone.
var noteScript = goredis.NewScript(luaNow + luaPlace + `
if redis.call('PEXPIRE', KEYS[1], ARGV[2]) == 0 then return {now, {}} end
for i = 3, #ARGV, 4 do
  local at, till, worker, cause = place(redis.call('HGET', KEYS[1], ARGV[i]), ARGV[i + 1])
  if tonumber(ARGV[i + 1]) > at then at = tonumber(ARGV[i + 1]) end
  if worker == ARGV[1] or till <= now then
    till, worker, cause = now + tonumber(ARGV[i + 3]), ARGV[1], ARGV[i + 2]
  end
  keep(ARGV[i], at, till, worker, cause)
end
return {now, redis.call('HGETALL', KEYS[1])}
`)

// findScript: KEYS = (marker, lock)*. For each bucket it answers with the token whose
// progress is valid there, its generation, and lockedMark if its lock stands, too, with
// spaces between; "" if there is none, or the marker is right.
var findScript = goredis.NewScript(luaReplid + luaLock + `
local out = {}
for i = 1, #KEYS, 2 do
  local by, id, its = lock_of(redis.call('GET', progress(KEYS[i + 1])))
  local lock = redis.call('GET', KEYS[i + 1])
  local right = its and its .. ' ' .. replid .. ' '
  if id ~= replid or lock and not of(lock, by) or string.sub(redis.call('GET', KEYS[i]) or '', 1, #right) == right then
    out[#out + 1] = ''
  else
    out[#out + 1] = by .. ' ' .. its .. (lock and ' +' or '')
  end
end
return out
`)

const (
	lockedMark    = "+"
	watermarkMark = "watermark"
)

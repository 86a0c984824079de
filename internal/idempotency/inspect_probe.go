package idempotency

import (
	"context"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/preflight"
	"eventgateway/internal/redis"
)

// probeScript: KEYS = a key that never exists. It runs every command that the
// scripts of this package use, those that write in a form that changes nothing,
// and answers with "<command> <error>" for each that failed.
var probeScript = goredis.NewScript(`
local out = {}
local function try(...)
  local r = redis.pcall(...)
  if type(r) == 'table' and r.err then out[#out + 1] = select(1, ...) .. ' ' .. r.err end
end
try('INFO', 'replication')
try('TIME')
try('GET', KEYS[1])
try('MGET', KEYS[1])
try('SET', KEYS[1], '', 'XX', 'GET', 'PX', 1)
try('DEL', KEYS[1])
try('PEXPIRE', KEYS[1], 1)
return out
`)

// probe tries out what the gateway's user may do. ACL DRYRUN would report the same, but
// only to a user who may run it.
func probe(ctx context.Context, rdb redis.Client, m *preflight.RedisMaster, bucket byte) {
	keys := []string{probeKey(bucket)}
	m.Lacks, _ = suitableScript.Eval(ctx, rdb, keys).Text() // an error is found below
	for _, try := range []struct {
		name string
		run  func() error
	}{
		{"script|load", func() error { return probeScript.Load(ctx, rdb).Err() }},
		{"eval", func() error { return readProbe(m, probeScript.Eval(ctx, rdb, keys)) }},
		{"evalsha", func() error { return probeScript.EvalSha(ctx, rdb, keys).Err() }},
	} {
		switch err := try.run(); {
		case err == nil:
		case m.KeysDenied || m.Refused != "": // reported already
		case goredis.IsPermissionError(err) && try.name != "script|load" && mayRun(ctx, rdb, try.name):
			m.KeysDenied = true
		case goredis.IsPermissionError(err):
			m.Denied = append(m.Denied, try.name)
		case goredis.HasErrorPrefix(err, "NOSCRIPT"): // it could not be loaded
		default:
			m.Refused = err.Error()
		}
	}
}

// mayRun reports whether a command that was denied may be run without keys: then the
// user may run the command, but not use the keys.
func mayRun(ctx context.Context, rdb redis.Client, name string) bool {
	script := goredis.NewScript("return 1")
	if name == "eval" {
		return !goredis.IsPermissionError(script.Eval(ctx, rdb, nil).Err())
	}
	return !goredis.IsPermissionError(script.EvalSha(ctx, rdb, nil).Err())
}

// readProbe sorts the errors in the script's answer. Only those with code ERR or NOPERM
// are about permissions.
func readProbe(m *preflight.RedisMaster, cmd *goredis.Cmd) error {
	failed, err := cmd.StringSlice()
	if err != nil {
		return err
	}
	for _, one := range failed {
		name, text, _ := strings.Cut(one, " ")
		code, _, _ := strings.Cut(text, " ")
		switch {
		case code == "ERR" || code == "NOPERM":
			m.Denied = append(m.Denied, strings.ToLower(name))
		case m.Refused == "":
			m.Refused = text
		}
	}
	return nil
}

package idempotency

import (
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// The scripts of a gateway before installations, as they were, without what does not
// matter here.
var (
	oldCheckScript = goredis.NewScript(luaReplid + `
local out = redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
  out[i] = not out[i] and '-' or out[i] == replid and '=' or '!'
end
return out
`)
	oldLockScript = goredis.NewScript(luaReplid + `
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
	oldCompleteScript = goredis.NewScript(luaReplid + `
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
)

// oldGateway does to one bucket what a gateway before installations does.
type oldGateway struct {
	*rig
	bucket byte
}

func (o oldGateway) ask(t *testing.T, s *goredis.Script, keys []string, args ...any) string {
	t.Helper()
	states, err := s.Run(t.Context(), o.raw, keys, args...).StringSlice()
	require.NoError(t, err)
	require.Len(t, states, 1)
	return states[0]
}

func (o oldGateway) keys() (marker, lock string) {
	keys := formerKeys(testKeys, o.bucket)
	return keys[0], keys[1]
}

// ready reports whether it takes keyed events: its claims test the same.
func (o oldGateway) ready(t *testing.T) bool {
	t.Helper()
	marker, _ := o.keys()
	return o.ask(t, oldCheckScript, []string{marker}) == "="
}

func (o oldGateway) lock(t *testing.T, token, mode string) string {
	t.Helper()
	marker, lock := o.keys()
	return o.ask(t, oldLockScript, []string{marker, lock}, token, 10_000, mode)
}

func (o oldGateway) complete(t *testing.T, token string) string {
	t.Helper()
	marker, lock := o.keys()
	return o.ask(t, oldCompleteScript, []string{marker, lock}, token)
}

// rebuild makes it take keyed events, as far as it can.
func (o oldGateway) rebuild(t *testing.T) bool {
	t.Helper()
	o.lock(t, "old", "")
	o.complete(t, "old")
	return o.ready(t)
}

func testOldGateways(t *testing.T, l lab) {
	r := l.gateway(t)
	r.old.perhaps()
	old := oldGateway{r, 7}
	require.Equal(t, "gw:{07}:m gw:{07}:l", func() string { m, l := old.keys(); return m + " " + l }())
	inBucket := func() event.Claim {
		c := r.newClaim()
		c.ID[0] = old.bucket
		return c
	}

	// An upgrade: the old gateway is at work, and has another rebuild under way.
	require.True(t, old.rebuild(t))
	mark := oldGateway{r, 8}
	require.Equal(t, "L", mark.lock(t, "old", ""))
	log := r.written(20)
	working := newGate()
	log.quiesce = working.wait
	stop := r.guard(t, log)
	mustClose(t, working.reached)
	require.False(t, old.ready(t), "before the wait for records in flight, it takes no more keyed events")
	require.Equal(t, "X", mark.complete(t, "old"), "what it had begun to rebuild does not become ready")
	close(working.open)
	r.mustBeReady(t)
	r.mustHold(t, log)
	r.mustWin(t, inBucket())
	for _, mode := range []string{"", "force"} {
		require.Equal(t, "B", old.lock(t, "old", mode), "it waits, by itself and by hand")
	}
	require.False(t, old.rebuild(t))

	// A rollback: when no newer gateway is left, the old one goes on after a while.
	stop()
	require.False(t, old.rebuild(t))
	_, lock := old.keys()
	left, err := r.raw.PTTL(t.Context(), lock).Result()
	require.NoError(t, err)
	require.Positive(t, left)
	require.LessOrEqual(t, left, excludedFor)
	require.NoError(t, r.raw.Del(t.Context(), lock).Err()) // that time is over
	require.True(t, old.rebuild(t))

	// Upgraded again: what the old one wrote meanwhile is unknown here.
	other := l.gateway(t)
	other.old.perhaps()
	c := inBucket()
	_, err = other.Claim(t.Context(), c)
	requireRebuilding(t, err)
	require.False(t, old.ready(t))
	log = other.written(5)
	other.guard(t, log)
	other.mustBeReady(t)
	require.EqualValues(t, 1, log.passes.Load())
	c.Begun = time.Now()
	other.mustWin(t, c)
}

// Two installations on a Redis: what an old gateway wrote meanwhile is unknown to both,
// although the first has put it out when the second looks.
func testOldGatewaysOfTwoInstallations(t *testing.T, l lab) {
	first, second := l.gateway(t), l.gateway(t, func(o *rigOptions) { o.cfg.Installation = func() string { return "other" } })
	old := oldGateway{first, 7}
	for _, r := range []*rig{first, second} {
		stop := r.guard(t, r.written(3))
		r.mustHaveReady(t)
		stop()
	}
	marker, lock := old.keys()
	require.NoError(t, first.raw.Del(t.Context(), marker, lock).Err())
	require.True(t, old.rebuild(t))
	first.mustExclude(t)
	require.False(t, old.ready(t))
	require.Equal(t, bucketCount-1, first.readyAt(t))
	require.Equal(t, bucketCount, second.readyAt(t))
	second.mustExclude(t)
	require.Equal(t, bucketCount-1, second.readyAt(t))
	first.mustExclude(t)
	second.mustExclude(t)
	require.Equal(t, bucketCount-1, second.readyAt(t), "they do not disturb each other")
}

// readyAt counts the buckets whose markers are right for the rig's installation, as soon
// as Redis answers.
func (r *rig) readyAt(t *testing.T) int {
	t.Helper()
	wrong := 0
	require.Eventually(t, func() (ok bool) {
		var err error
		wrong, err = r.countWrong()
		return err == nil
	}, patience, pollEvery)
	return bucketCount - wrong
}

// mustExclude keeps old gateways out, as soon as Redis answers.
func (r *rig) mustExclude(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return r.old.exclude(t.Context(), allBuckets(), "") == nil }, patience, pollEvery)
}

// mustHaveReady waits until all buckets are, whatever other installations have.
func (r *rig) mustHaveReady(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		wrong, err := r.countWrong()
		return err == nil && wrong == 0
	}, patience, pollEvery)
}

// testExclusionUnderARebuild: a rebuild whose buckets an old gateway got meanwhile does
// not make them ready.
func testExclusionUnderARebuild(t *testing.T, l lab) {
	r := l.gateway(t)
	r.intervals.exclude = time.Hour // nothing renews it under the old gateway's hands
	old := oldGateway{r, 7}
	log := r.written(10)
	log.onPass = func(pass int) {
		if pass > 1 {
			return
		}
		marker, lock := old.keys()
		require.NoError(t, r.raw.Del(t.Context(), marker, lock).Err()) // as if the exclusion had run out
		require.True(t, old.rebuild(t))
	}
	r.guard(t, log)
	r.mustBeReady(t)
	require.False(t, old.ready(t))
	require.GreaterOrEqual(t, log.passes.Load(), int32(2), "the bucket was read again")
	r.mustHold(t, log)
}

// testTwoInstallations: neither sees what the other has written or lost.
func testTwoInstallations(t *testing.T, l lab) {
	staging := l.gateway(t, func(o *rigOptions) { o.cfg.Installation = func() string { return "staging" } })
	production := l.gateway(t, func(o *rigOptions) { o.cfg.Installation = func() string { return "production" } })
	logs := map[*rig]*fakeLog{staging: staging.written(20), production: production.written(20)}
	for r, log := range logs {
		r.guard(t, log)
	}
	for r := range logs {
		r.mustHaveReady(t)
	}
	for r, log := range logs {
		for _, e := range log.entries {
			again := event.Claim{ID: e.Claim, Fingerprint: e.Fingerprint, Token: freshToken(), Begun: time.Now()}
			requireSettled(t, e.Receipt, r.mustClaim(t, again))
			for other := range logs {
				if other != r {
					again.Fingerprint[0]++ // the same key of another event
					other.mustWin(t, again)
				}
			}
		}
	}
	// One is emptied.
	keys, err := staging.raw.Keys(t.Context(), "gw:"+InstallationTag("staging")+"*").Result()
	require.NoError(t, err)
	passes := logs[production].passes.Load()
	require.NoError(t, staging.raw.Del(t.Context(), keys...).Err())
	require.Eventually(t, func() bool { return logs[staging].passes.Load() == 2 }, patience, pollEvery)
	require.Equal(t, bucketCount, production.readyAt(t))
	require.Equal(t, passes, logs[production].passes.Load())
}

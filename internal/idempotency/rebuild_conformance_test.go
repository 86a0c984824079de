package idempotency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// rebuildConformance is what a rebuild has to do on any Redis.
var rebuildConformance = []struct {
	name string
	test func(*testing.T, lab)
}{
	{"lost claims are rebuilt from the log", testRebuild},
	{"what is kept and what is overwritten", testRestore},
	{"expiry", testRestoredExpiry},
	{"one rebuilds, the other waits", testOneRebuilds},
	{"another gateway succeeds one that died", testHolderDies},
	{"a stop releases the locks", testStopReleases},
	{"Redis is promoted in the middle", testPromotedInTheMiddle},
	{"Redis is flushed in the middle", testFlushedInTheMiddle},
	{"Redis is flushed while waiting", testFlushedWhileWaiting},
	{"a disturbance after the last record", testDisturbedAtTheEnd},
	{"the locks of an earlier Redis are ignored", testLocksOfAnotherRedis},
	{"a lock is stolen in the middle", testLockStolen},
	{"a settle during the rebuild is kept", testSettleDuringRebuild},
	{"rows of an outbox get fence time only", testRebuildOutboxRows},
	{"epoch of an outbox", testEpoch},
	{"epoch of an outbox, another Redis", testEpochOfAnotherRedis},
	{"epoch of an outbox while types come back", testEpochWhileTypesComeBack},
	{"the log fails", testLogFails},
	{"Redis is away for a moment", testRedisAwayInTheMiddle},
	{"types come back one by one", testTypesComeBack},
	{"a take-over of a type that is back", testTakeOverOfATypeThatIsBack},
	{"what is back goes again", testWhatIsBackGoesAgain},
	{"what is back goes elsewhere too", testWhatIsBackGoesElsewhereToo},
	{"two gateways read", testTwoRead},
	{"a rebuild goes on where another gateway died", testGoesOnWhereAnotherDied},
	{"a rebuild goes on after an error", testGoesOnAfterAnError},
	{"expired locks are found again", testExpiredLocksAreFoundAgain},
	{"without its state a rebuild begins anew", testWithoutStateItBeginsAnew},
	{"a helper loses a bucket", testHelperLosesABucket},
	{"a rebuild by hand", testRebuildByHand},
	{"a rebuild by hand waits for another's", testRebuildByHandWaits},
	{"a rebuild by hand loses a bucket", testRebuildByHandLosesABucket},
	{"an operator asserts that nothing was written", testAssertEmpty},
	{"gateways with the former keys", testOldGateways},
	{"gateways with the former keys, two installations", testOldGatewaysOfTwoInstallations},
	{"gateways with the former keys under a rebuild", testExclusionUnderARebuild},
	{"two installations", testTwoInstallations},
}

func runRebuildConformance(t *testing.T, newLab func(*testing.T) lab, groupings ...bool) {
	for _, grouped := range groupings {
		for _, c := range rebuildConformance {
			t.Run(fmt.Sprintf("grouped=%t/%s", grouped, c.name), func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.grouped = grouped
				c.test(t, l)
			})
		}
	}
}

func testRebuild(t *testing.T, l lab) {
	r := l.gateway(t)
	log, passing := r.written(700), newGate()
	log.quiesce = passing.wait
	require.Equal(t, bucketCount, counted(t, r.reg, unreadyNow, ""), "nothing is ready before the first check")
	require.False(t, r.Ready())

	r.guard(t, log)
	mustClose(t, passing.reached)
	c := r.newClaim()
	_, err := r.Claim(t.Context(), c)
	requireRebuilding(t, err)
	require.Equal(t, bucketCount, counted(t, r.reg, unreadyNow, ""))
	close(passing.open)

	r.mustBeReady(t)
	r.mustHold(t, log)
	for i, e := range log.entries[:20] {
		claim := event.Claim{ID: e.Claim, Fingerprint: e.Fingerprint, Token: freshToken(), Begun: time.Now()}
		requireSettled(t, e.Receipt, r.mustClaim(t, claim), i)
	}
	c.Begun = time.Now()
	r.mustWin(t, c)
	require.WithinDuration(t, time.Now().Add(-longTTL), time.UnixMilli(log.from.Load()), patience)
	require.Eventually(t, func() bool { return counted(t, r.reg, rebuilds, "done") == 1 }, patience, pollEvery)
	require.Zero(t, counted(t, r.reg, unreadyNow, ""))
	require.True(t, r.Ready())
	require.Equal(t, 700, counted(t, r.reg, rebuilt, ""))
	require.EqualValues(t, 1, log.passes.Load())
	require.Zero(t, counted(t, r.reg, duplicates, ""))

	// One bucket is lost: only that one is rebuilt.
	require.NoError(t, r.raw.Del(t.Context(), markerKey(7)).Err())
	r.mustBeReady(t)
	require.Eventually(t, func() bool { return counted(t, r.reg, rebuilds, "done") == 2 }, patience, pollEvery)
	require.EqualValues(t, 2, log.passes.Load())
	require.Equal(t, 700, counted(t, r.reg, rebuilt, ""), "all of it was there")
}

func testRestore(t *testing.T, l lab) {
	r := l.gateway(t)
	log := &fakeLog{}
	tests := []struct {
		name   string
		stands func(event.Claim) string
		kept   bool
	}{
		{"nothing", func(event.Claim) string { return "" }, false},
		{"its claim", func(c event.Claim) string {
			return "C 1700000030000 1700000000000 " + string(appendClaimBody(nil, c, nil))
		}, false},
		{"its unknown", func(c event.Claim) string {
			return "U 1700000030000 1700000000000 " + string(appendClaimBody(nil, c, nil))
		}, false},
		{"a claim for another payload", func(c event.Claim) string {
			return "C 1700000030000 1700000000000 " + string(appendClaimBody(nil, otherPayload(c), nil))
		}, false},
		{"its receipt", func(c event.Claim) string { return recordOf(c.Fingerprint, receiptOf(c)) }, true},
		{"another receipt", func(c event.Claim) string {
			other := receiptOf(c)
			other.Offset++
			return recordOf(c.Fingerprint, other)
		}, true},
		{"a receipt of another payload", func(c event.Claim) string {
			return recordOf(otherPayload(c).Fingerprint, receiptOf(c))
		}, true},
	}
	claims := make([]event.Claim, len(tests))
	for i, tt := range tests {
		claims[i] = r.newClaim()
		log.entries = append(log.entries, entryOf(claims[i], time.Now()))
		if text := tt.stands(claims[i]); text != "" {
			require.NoError(t, r.raw.Set(t.Context(), recordKey(claims[i].ID), text, longTTL).Err())
		}
	}
	untouched := r.newClaim() // it is not in the log
	stays := "C 1 1 " + string(appendClaimBody(nil, untouched, nil))
	require.NoError(t, r.raw.Set(t.Context(), recordKey(untouched.ID), stays, longTTL).Err())
	second := entryOf(claims[0], time.Now()) // the log should not hold an event twice
	second.Receipt.Offset = 99
	log.entries = append(log.entries, second)

	var out bytes.Buffer
	r.logger = slog.New(slog.NewTextHandler(&out, nil))
	stop := r.guard(t, log)
	r.mustBeReady(t)
	require.Eventually(t, func() bool { return counted(t, r.reg, rebuilds, "done") == 1 }, patience, pollEvery)
	stop()

	for i, tt := range tests {
		want := recordOf(claims[i].Fingerprint, receiptOf(claims[i]))
		if tt.kept {
			want = tt.stands(claims[i])
		}
		require.Equal(t, want, r.record(t, claims[i].ID), tt.name)
	}
	require.Equal(t, stays, r.record(t, untouched.ID), "a claim that the log does not know")
	require.Equal(t, 3, counted(t, r.reg, duplicates, ""))
	require.Equal(t, 4, counted(t, r.reg, rebuilt, ""))
	require.Contains(t, out.String(), `level=INFO msg="rebuilding the idempotency store`)
	require.Contains(t, out.String(), "reason=empty buckets=256")
	require.Contains(t, out.String(), "records_read=8 records_written=4 records_kept=1 claims_overruled=1 duplicates=3")
	require.Contains(t, out.String(), "level=ERROR")
	require.Contains(t, out.String(), "claim="+claims[0].ID.String())
}

func testRestoredExpiry(t *testing.T, l lab) {
	r := l.gateway(t)
	tests := []struct {
		name string
		age  time.Duration
		want time.Duration // 0: not restored
	}{
		{"just written", 0, longTTL},
		{"half its window", longTTL / 2, longTTL / 2},
		{"by a clock that is ahead", -time.Hour, longTTL},
		{"a minute left", longTTL - time.Minute, time.Minute},
		{"forgotten", longTTL + time.Second, 0},
	}
	log := &fakeLog{}
	for _, tt := range tests {
		log.entries = append(log.entries, entryOf(r.newClaim(), time.Now().Add(-tt.age)))
	}
	r.guard(t, log)
	r.mustBeReady(t)
	for i, tt := range tests {
		ttl, err := r.raw.PTTL(t.Context(), recordKey(log.entries[i].Claim)).Result()
		require.NoError(t, err)
		if tt.want == 0 {
			require.Negative(t, ttl, tt.name)
			continue
		}
		require.LessOrEqual(t, ttl, tt.want, tt.name)
		require.Greater(t, ttl, tt.want-patience, tt.name)
	}
}

func testOneRebuilds(t *testing.T, l lab) {
	first, second := l.gateway(t), l.gateway(t)
	log, other, working := first.written(300), &fakeLog{}, newGate()
	log.quiesce = working.wait
	first.guard(t, log)
	mustClose(t, working.reached)
	require.Len(t, first.locks(t), bucketCount)

	second.guard(t, other)
	_, err := second.Claim(t.Context(), second.newClaim())
	requireRebuilding(t, err)
	// Long enough for a lock to expire that is not renewed.
	<-time.After(shortIntervals.lockTTL * 3 / 2)
	require.Zero(t, other.waits.Load(), "it leaves the buckets to the first")
	require.Zero(t, log.passes.Load())

	close(working.open)
	second.mustBeReady(t)
	second.mustHold(t, log)
	require.Eventually(t, func() bool { return counted(t, second.reg, unreadyNow, "") == 0 }, patience, pollEvery)
	second.mustWin(t, second.newClaim())
	require.Zero(t, other.passes.Load())
	require.EqualValues(t, 1, log.passes.Load())
}

func testHolderDies(t *testing.T, l lab) {
	dead, heir := l.gateway(t), l.gateway(t)
	owner := dead.rebuilder(nil)
	locks := newBucketLocks(owner) // they are never renewed, as if their process were gone
	_, err := locks.acquire(t.Context(), allBuckets(), lockWrong)
	require.NoError(t, err)
	taken := time.Now()
	require.NoError(t, owner.old.exclude(t.Context(), allBuckets(), locks.token))

	log := heir.written(50)
	log.onPass = func(int) {
		require.Greater(t, time.Since(taken), shortIntervals.lockTTL/2, "as long as the lock stands, no other gateway takes it")
	}
	heir.guard(t, log)
	heir.mustBeReady(t)
	heir.mustHold(t, log)

	// If the dead one wakes up, it changes nothing.
	require.NoError(t, heir.raw.FlushAll(t.Context()).Err())
	tally := Tally{}
	shared := owner.newSharedReplay(testKeys, locks.token)
	shared.covered = locks
	late := newRestorer(t.Context(), owner, shared, time.Now(), &tally, func(Tally) {})
	e := entryOf(dead.newClaim(), time.Now())
	require.NoError(t, late.visit(e))
	_ = late.close()
	require.Zero(t, tally.Written)
	require.Empty(t, dead.record(t, e.Claim))
	require.NoError(t, locks.complete(t.Context(), locks, 0))
}

func testStopReleases(t *testing.T, l lab) {
	r := l.gateway(t)
	r.intervals.lockTTL = time.Hour
	log, working := &fakeLog{}, newGate()
	log.quiesce = working.wait
	stop := r.guard(t, log)
	mustClose(t, working.reached)
	require.Len(t, r.locks(t), bucketCount)
	stop()
	require.Empty(t, r.locks(t))
	require.Equal(t, bucketCount, r.wrong(t))
	require.Zero(t, counted(t, r.reg, rebuilds, ""), "a stop is not a failure")
}

func testSettleDuringRebuild(t *testing.T, l lab) {
	r := l.gateway(t)
	_, err := r.AssertEmpty(t.Context())
	require.NoError(t, err)
	inLog, unseen, unknown := r.newClaim(), r.newClaim(), r.newClaim()
	for _, c := range []*event.Claim{&inLog, &unseen, &unknown} {
		*c = again(*c)
		r.mustWin(t, *c)
	}
	require.NoError(t, r.raw.FlushAll(t.Context()).Err())
	log := &fakeLog{entries: []event.LogEntry{entryOf(inLog, time.Now())}}
	log.onPass = func(int) {
		r.Settle(inLog, receiptOf(inLog))
		r.Settle(unseen, receiptOf(unseen))
		r.MarkUnknown(unknown)
		mustClose(t, r.Release(unknown))
	}
	r.guard(t, log)
	r.mustBecome(t, unseen.ID, "S")
	r.mustBeReady(t)
	p := l.gateway(t)
	for _, c := range []event.Claim{inLog, unseen} {
		requireSettled(t, receiptOf(c), p.mustClaim(t, again(c)))
	}
	require.Empty(t, r.record(t, unknown.ID))
	require.Zero(t, counted(t, r.reg, duplicates, ""))
}

func testRebuildOutboxRows(t *testing.T, l lab) {
	r := l.gateway(t)
	at := time.Now().Add(-event.OutboxFence / 2)
	row, old, other := entryOf(r.newClaim(), at), entryOf(r.newClaim(), at.Add(-event.OutboxFence)), entryOf(r.newClaim(), at.Add(-event.OutboxFence))
	row.Outbox, old.Outbox = true, true
	r.guard(t, &fakeLog{entries: []event.LogEntry{row, old, other}})
	r.mustBeReady(t)
	left := func(e event.LogEntry) time.Duration { return r.raw.PTTL(t.Context(), recordKey(e.Claim)).Val() }
	require.Positive(t, left(row))
	require.LessOrEqual(t, left(row), event.OutboxFence/2)
	require.Empty(t, r.record(t, old.Claim))
	require.Greater(t, left(other), event.OutboxFence)
}

func testLogFails(t *testing.T, l lab) {
	r := l.gateway(t)
	log := r.written(5)
	log.quiesce = func(context.Context) error {
		if log.waits.Load() == 1 {
			return errors.New("the replica is away")
		}
		return nil
	}
	log.before = func(n int) error {
		if n == 3 && log.passes.Load() == 1 {
			return errors.New("the broker is away")
		}
		return nil
	}
	r.guard(t, log)
	r.mustBeReady(t)
	r.mustHold(t, log)
	require.Equal(t, 2, counted(t, r.reg, rebuilds, "failed"))
	require.EqualValues(t, 2, log.waits.Load(), "what was waited for once is not waited for again")
}

func testRedisAwayInTheMiddle(t *testing.T, l lab) {
	p := newProxy(t, l.backend)
	r := l.gateway(t, through(p))
	log := r.written(3)
	var once sync.Once
	log.before = func(n int) error {
		if n == 2 {
			once.Do(func() {
				p.cut()
				time.AfterFunc(3*shortIntervals.retry, func() { p.repair(t) })
			})
		}
		return nil
	}
	r.intervals.lockTTL = patience
	r.guard(t, log)
	require.Eventually(t, func() bool { return counted(t, r.reg, rebuilds, "done") == 1 }, patience, pollEvery)
	require.EqualValues(t, 1, log.passes.Load(), "a short absence does not cost another read of the log")
	r.mustHold(t, log)
}

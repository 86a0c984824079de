package idempotency

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// measuredConformance is what gateways do, on any Redis, that count generations.
var measuredConformance = []struct {
	name string
	test func(*testing.T, lab)
}{
	{"a first start waits for nobody", testFirstStart},
	{"a first start over a log waits a lease", testFirstStartOverALog},
	{"another replication id without a loss", testChangeWithoutLoss},
	{"a promotion", testMeasuredPromotion},
	{"epoch of an outbox, with generations", testMeasuredEpoch},
	{"a claim whose record is acknowledged", testWritten},
	{"a lost claim is written again", testReassert},
	{"a later claim stays", testReassertedOverLater},
	{"a silent gateway is waited for", testSilentGateway},
	{"a silent gateway's producers are fenced", testSilentProducers},
	{"a gateway that joins late ends the wait", testLateJoin},
	{"everything is gone", testMeasuredFlush},
	{"a second loss on the way", testLostTwice},
	{"a gateway that kafka does not reach", testCutOff},
	{"a gateway that kafka does not reach rebuilds nothing", testCutOffRebuildsNothing},
	{"a gateway that kafka reaches no more lets go", testCutOffLetsGo},
	{"what one gateway cannot ask kafka another does", testAnotherAsks},
	{"a gateway that finds nothing to join", testNothingToJoin},
	{"unsettled claims that are over go under a rebuild", testSweptUnderARebuild},
	{"markers of a generation that kafka does not know", testMarkersAheadOfKafka},
	{"an interrupted rebuild of a generation that kafka does not know", testProgressAheadOfKafka},
	{"markers of the former format", testFormerMarkers},
	{"a rebuild by hand with generations", testMeasuredByHand},
	{"a rebuild goes on in its generation", testGoesOnInItsGeneration},
	{"a rebuild of an older generation begins anew", testOlderGenerationBeginsAnew},
	{"a tail is read before the window", testTailBeforeWindow},
}

func runMeasuredConformance(t *testing.T, newLab func(*testing.T) lab, groupings ...bool) {
	for _, grouped := range groupings {
		for _, c := range measuredConformance {
			t.Run(fmt.Sprintf("grouped=%t/%s", grouped, c.name), func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.grouped = grouped
				c.test(t, l)
			})
		}
	}
}

func TestMeasuredOnMiniredis(t *testing.T) {
	t.Parallel()
	runMeasuredConformance(t, newMiniLab, false)
}

// soon is far less than a lease or a read of the window, and enough on a busy machine.
const soon = 10 * time.Second

func counting(m *fakeMember) rigOption {
	return func(o *rigOptions) { o.cfg.Generations, o.cfg.DeliveryTimeout = m, time.Second }
}

// member is a gateway that counts generations. Its guard is not running yet.
func (l lab) member(t *testing.T, reg *fakeRegistry, id string, opts ...rigOption) (*rig, *fakeMember) {
	t.Helper()
	m := reg.register(id)
	return l.gateway(t, append([]rigOption{counting(m)}, opts...)...), m
}

// begin starts a gateway on an empty Redis, waits until it is ready, and has written a
// beat.
func (r *rig) begin(t *testing.T, log Log) (stop func()) {
	t.Helper()
	stop = r.guard(t, log)
	r.mustBeReady(t)
	r.mustBeat(t)
	return stop
}

// mustBeat waits for a beat that begins now.
func (r *rig) mustBeat(t *testing.T) {
	t.Helper()
	begun := time.Now().Truncate(time.Millisecond)
	require.Eventually(t, func() bool {
		b, ok := parseBeat(r.raw.Get(context.Background(), testKeys.beat(0)).Val())
		return ok && !b.clock.Before(begun)
	}, patience, pollEvery)
}

// mustBeReadyWith waits until all markers are of the generation.
func (r *rig) mustBeReadyWith(t *testing.T, generation uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		ready := 0
		err := r.scripts.runOnBuckets(context.Background(), bucketScript{checkScript, markerOnly, []any{generation}}, allBuckets(), func(_ byte, s bucketState) {
			if s == bucketReady {
				ready++
			}
		})
		return err == nil && ready == bucketCount
	}, patience, pollEvery)
}

func testFirstStart(t *testing.T, l lab) {
	reg := newFakeRegistry()
	r, _ := l.member(t, reg, "a")
	log := &fakeLog{}
	begun := time.Now()
	r.guard(t, log)
	r.mustBeReadyWith(t, 1)
	require.Less(t, time.Since(begun), soon)
	r.mustWin(t, r.newClaim())
	require.EqualValues(t, 1, log.passes.Load())
	require.True(t, log.toWatermark.Load())
	require.Zero(t, log.waits.Load())
}

func testFirstStartOverALog(t *testing.T, l lab) {
	reg := newFakeRegistry()
	r, _ := l.member(t, reg, "a", withLease(4*time.Second))
	log := r.written(10)
	var lines logBuffer
	r.logger = logTo(&lines)
	begun := time.Now()
	r.guard(t, log)
	require.Eventually(t, func() bool { return lines.count("do not answer: a rebuild waits") > 0 }, patience, pollEvery)
	require.Zero(t, lines.count("silent=0"))
	require.NotZero(t, r.unready.until[0].Load(), "callers are told how long")
	r.mustBeReadyWith(t, 1)
	require.GreaterOrEqual(t, time.Since(begun), 4*time.Second, "gateways of a former version may be at work")
	require.Positive(t, lines.count("silent=1"))
	require.EqualValues(t, 2, log.passes.Load())
	require.False(t, log.toWatermark.Load())
	r.mustHold(t, log)
}

func testChangeWithoutLoss(t *testing.T, l lab) {
	reg := newFakeRegistry()
	r, _ := l.member(t, reg, "a")
	log := &fakeLog{}
	r.begin(t, log)
	passes := log.passes.Load()
	for range 3 {
		require.Eventually(t, func() bool { return r.mustBeTakenSoon() }, patience, pollEvery)
		c := r.newClaim()
		r.mustWin(t, c)
		l.change(t)
		begun := time.Now()
		require.Eventually(t, func() bool { return r.mustBeTakenSoon() }, patience, pollEvery)
		require.Less(t, time.Since(begun), 3*time.Second, "how long keyed events are refused")
		require.Equal(t, event.InProgress, r.mustClaim(t, again(c)).State)
	}
	require.Equal(t, passes, log.passes.Load(), "the log is not read")
	require.EqualValues(t, 1, reg.newest(), "nor a generation begun")
	require.Positive(t, counted(t, r.reg, "gateway_idempotency_markers_renewed_total", ""))
}

// mustBeTakenSoon reports whether a new claim is taken.
func (r *rig) mustBeTakenSoon() bool {
	result, err := r.Claim(context.Background(), r.newClaim())
	return err == nil && result.State == event.Claimed
}

func (r *fakeRegistry) newest() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newestLocked().Number
}

func testMeasuredPromotion(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a")
	b, _ := l.member(t, reg, "b")
	log := &fakeLog{}
	a.guard(t, log)
	b.guard(t, log)
	a.mustBeReady(t)
	a.mustBeat(t)
	before, promoted := reg.newest(), time.Now()
	l.promote(t)
	a.mustBeReadyWith(t, before+1)
	require.Less(t, time.Since(promoted), soon)
	from := time.UnixMilli(log.from.Load())
	require.WithinDuration(t, promoted.Add(-clockDifference), from, soon, "only what is newer than the beat")
	require.True(t, log.toWatermark.Load())
	require.Zero(t, log.waits.Load())
	require.Eventually(t, func() bool { return a.mustBeTakenSoon() && b.mustBeTakenSoon() }, patience, pollEvery)
}

func testReassert(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a")
	b, _ := l.member(t, reg, "b")
	log := &fakeLog{}
	a.guard(t, log)
	b.guard(t, log)
	a.mustBeReady(t)
	held, unknown, survives, released, settled := a.newClaim(), a.newClaim(), a.newClaim(), a.newClaim(), a.newClaim()
	for _, c := range []*event.Claim{&held, &unknown, &survives, &released, &settled} {
		require.Eventually(t, func() bool { *c = again(*c); return a.mustBe(event.Claimed, *c) }, patience, pollEvery)
	}
	a.MarkUnknown(unknown)
	a.mustBecome(t, unknown.ID, "U")
	mustClose(t, a.Release(released))
	a.Settle(settled, receiptOf(settled))
	a.mustBecome(t, settled.ID, "S")
	before := a.record(t, survives.ID)
	order := a.record(t, held.ID)
	order = order[strings.LastIndex(order, " "):]
	require.NoError(t, a.raw.Del(t.Context(), recordKey(held.ID), recordKey(unknown.ID), recordKey(settled.ID)).Err())
	log.entries = []event.LogEntry{entryOf(settled, time.Now())}
	generation := reg.newest()
	l.promote(t)
	a.mustBeReadyWith(t, generation+1)

	require.Regexp(t, "^C .* "+held.Token+" .*"+order+"$", a.record(t, held.ID), "what a gateway holds is there again")
	require.Regexp(t, "^U .* "+unknown.Token+" ", a.record(t, unknown.ID))
	require.Regexp(t, "^C .* "+survives.Token+" ", a.record(t, survives.ID))
	require.Greater(t, a.record(t, survives.ID), before, "its lease is by the new server's clock")
	require.Equal(t, recordOf(settled.Fingerprint, receiptOf(settled)), a.record(t, settled.ID))
	require.Empty(t, a.record(t, released.ID))
	require.Equal(t, event.InProgress, b.mustClaim(t, again(held)).State)
	a.Settle(held, receiptOf(held))
	a.mustBecome(t, held.ID, "S")
}

// mustBe reports whether a claim has this result.
func (r *rig) mustBe(want event.ClaimState, c event.Claim) bool {
	result, err := r.Claim(context.Background(), c)
	return err == nil && result.State == want
}

func testReassertedOverLater(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a")
	a.begin(t, &fakeLog{})
	c := a.newClaim()
	a.mustWin(t, c)
	later := again(c) // of another gateway, which took it over
	text := "C 1 1 " + string(appendClaimBody(nil, later, nil)) + " @1.9999999999999999"
	require.NoError(t, a.raw.Set(t.Context(), recordKey(c.ID), text, longTTL).Err())
	l.promote(t)
	a.mustBeReadyWith(t, 2)
	require.Equal(t, text, a.record(t, c.ID))
}

func testSilentGateway(t *testing.T, l lab) {
	const lease = 4 * time.Second
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a", withLease(lease))
	log := &fakeLog{}
	a.begin(t, log)
	reg.register("dead")
	reg.register("long-dead")
	reg.mu.Lock()
	reg.gateways["long-dead"] = event.Gateway{ID: "long-dead", Renewed: time.Now().Add(-time.Hour)}
	reg.mu.Unlock()
	promoted := time.Now()
	l.promote(t)
	a.mustBeReadyWith(t, 2)
	require.GreaterOrEqual(t, time.Since(promoted), lease)
	require.False(t, log.toWatermark.Load(), "what it had in flight may appear behind the high watermark")
	require.Eventually(t, func() bool { return len(reg.registered()) == 1 }, patience, pollEvery)
	require.Zero(t, log.waits.Load())

	l.promote(t) // now nobody is waited for
	promoted = time.Now()
	a.mustBeReadyWith(t, 3)
	require.Less(t, time.Since(promoted), lease)
}

func testSilentProducers(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a", transactional)
	log := &fakeLog{}
	var lines logBuffer
	a.logger = logTo(&lines)
	a.begin(t, log)
	reg.register("dead")
	l.promote(t)
	a.mustBeReadyWith(t, 2)
	require.Positive(t, lines.count("a rebuild fences their producers first"))
	require.Zero(t, lines.count("a rebuild waits"))
	require.Positive(t, log.waits.Load())
	require.Equal(t, []string{"dead"}, *log.fenced.Load())
	require.False(t, log.toWatermark.Load())
}

func testLateJoin(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a")
	log := &fakeLog{}
	a.begin(t, log)
	b, _ := l.member(t, reg, "b")
	promoted := time.Now()
	l.promote(t)
	require.Eventually(t, func() bool { return reg.newest() == 2 }, patience, pollEvery)
	<-time.After(2 * shortIntervals.joinFor) // it is silent
	require.Equal(t, bucketCount, counted(t, a.reg, unreadyNow, ""))
	b.guard(t, log)
	a.mustBeReadyWith(t, 2)
	require.Less(t, time.Since(promoted), longLease/2)
	require.True(t, log.toWatermark.Load())
}

func testMeasuredFlush(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a")
	log := &fakeLog{}
	a.begin(t, log)
	c := a.newClaim()
	a.mustWin(t, c)
	log.entries = a.written(300).entries
	flushed := time.Now()
	require.NoError(t, a.raw.FlushAll(t.Context()).Err())
	a.mustBeReadyWith(t, 2)
	require.WithinDuration(t, flushed.Add(-longTTL), time.UnixMilli(log.from.Load()), soon, "the whole window")
	a.mustHold(t, log)
	require.Equal(t, event.InProgress, a.mustClaim(t, again(c)).State)
}

func testLostTwice(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a")
	log := &fakeLog{}
	written := a.written(3).entries
	log.onPass = func(pass int) {
		if pass == 2 { // the first was that of the start
			l.promote(t)
		}
	}
	a.begin(t, log)
	log.entries = written
	first := time.Now()
	l.promote(t)
	a.mustBeReadyWith(t, 3)
	a.mustHold(t, log)
	require.EqualValues(t, 3, log.passes.Load())
	require.WithinDuration(t, first.Add(-clockDifference), time.UnixMilli(log.from.Load()), soon, "from the beat that was there at first")
}

func testCutOff(t *testing.T, l lab) {
	const lease = 4 * time.Second
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a", withLease(lease))
	b, cut := l.member(t, reg, "b", withLease(lease))
	a.guard(t, &fakeLog{})
	b.guard(t, &fakeLog{})
	a.mustBeReady(t)
	require.Eventually(t, b.mustBeTakenSoon, patience, pollEvery)
	generation := reg.newest()
	cut.cut()
	held, err := b.Claim(t.Context(), b.newClaim())
	require.NoError(t, err)
	require.Equal(t, cut.at.Add(b.cfg.silence()), held.Until, "the last record may be in flight until then")
	l.promote(t)
	a.mustBeReadyWith(t, generation+1)
	var unconfirmed *event.Unconfirmed
	_, err = b.Claim(t.Context(), b.newClaim())
	require.ErrorAs(t, err, &unconfirmed)
	_, err = b.TakeOver(t.Context(), b.newClaim(), event.AbandonedClaim{})
	require.ErrorAs(t, err, &unconfirmed)
	require.ErrorIs(t, b.Availability().Unconfirmed, errCutOff)
	require.NoError(t, a.Availability().Unconfirmed)
	require.False(t, b.Ready(), "it may claim nothing under a generation that it does not know")
}

func testFormerMarkers(t *testing.T, l lab) {
	const lease = 4 * time.Second
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a", withLease(lease))
	replid := replidOf(t, a)
	for _, b := range allBuckets() {
		require.NoError(t, a.raw.Set(t.Context(), markerKey(b), replid, 0).Err())
	}
	log := a.written(10)
	begun := time.Now()
	a.guard(t, log)
	a.mustBeReadyWith(t, 1)
	require.GreaterOrEqual(t, time.Since(begun), lease)
	require.False(t, log.toWatermark.Load())
	a.mustHold(t, log)
}

func testMeasuredByHand(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a")
	a.begin(t, &fakeLog{})
	by, _ := l.member(t, reg, "by hand")
	log := by.written(30)
	tally, err := by.rebuilder(log).Rebuild(t.Context(), time.Hour, nil)
	require.NoError(t, err)
	require.Equal(t, bucketCount, tally.Buckets)
	a.mustBeReadyWith(t, 2)
	a.mustHold(t, log)
	require.Eventually(t, a.mustBeTakenSoon, patience, pollEvery)
}

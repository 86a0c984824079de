package idempotency

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The topic of gateways was deleted, or Kafka replaced: the markers are of a generation that
// no gateway will ever read.
func testMarkersAheadOfKafka(t *testing.T, l lab) {
	former := newFakeRegistry()
	a, member := l.member(t, former, "a")
	for range 4 {
		_, _, err := member.Raise(t.Context())
		require.NoError(t, err)
	}
	stop := a.begin(t, &fakeLog{})
	stop()
	require.EqualValues(t, 5, former.newest())
	reg := newFakeRegistry()
	b, _ := l.member(t, reg, "b", withLease(4*time.Second))
	var lines logBuffer
	b.logger = logTo(&lines)
	log := b.written(20)
	begun := time.Now()
	b.guard(t, log)
	b.mustBeReadyWith(t, 1)
	require.GreaterOrEqual(t, time.Since(begun), 4*time.Second, "gateways of the former registry may be at work")
	b.mustHold(t, log)
	require.WithinDuration(t, begun.Add(-longTTL), time.UnixMilli(log.from.Load()), patience, "the whole window")
	require.Equal(t, 1, lines.count("generation of claims that kafka does not know"))
	require.Eventually(t, b.mustBeTakenSoon, patience, pollEvery)
}

// So may be the progress of an interrupted rebuild.
func testProgressAheadOfKafka(t *testing.T, l lab) {
	_, heir, log := abandonedRebuild(t, l)
	heir.stop()
	reg := newFakeRegistry()
	b, _ := l.member(t, reg, "b", withLease(4*time.Second))
	var lines logBuffer
	b.logger = logTo(&lines)
	b.guard(t, log.seenBy())
	b.mustBeReadyWith(t, 1)
	require.Equal(t, 1, lines.count("generation of claims that kafka does not know"))
	b.mustHoldTopics(t, log)
}

// A gateway that has not read the newest generation yet waits for it.
func TestAheadOfKafkaForAMoment(t *testing.T) {
	t.Parallel()
	reg := newFakeRegistry()
	behind, ahead := reg.register("behind"), reg.register("ahead")
	behind.cut()
	m := &membership{gens: behind, unsettled: newUnsettledClaims(longLease)}
	_, _, err := ahead.Raise(t.Context())
	require.NoError(t, err)
	var a aheadOfKafka
	for range 3 {
		require.False(t, a.exceeds(0, 1, m), "what it knows was confirmed before")
	}
	require.Zero(t, a.unknown)
	reg.mu.Lock()
	behind.at = time.Now() // still without the generation
	reg.mu.Unlock()
	require.True(t, a.exceeds(0, 1, m))
	require.False(t, a.exceeds(0, 2, m), "a marker that was set since")
	reg.mu.Lock()
	behind.cutOff = false
	reg.mu.Unlock()
	require.False(t, a.exceeds(0, 1, m))
	require.False(t, a.exceeds(0, 1, m), "it was read")
}

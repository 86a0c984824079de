package idempotency

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// A gateway that has not heard of Kafka for long leaves the rebuild to those that do.
func testCutOffRebuildsNothing(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, cut := l.member(t, reg, "a")
	stop := a.begin(t, &fakeLog{})
	stop()
	cut.cut()
	reg.mu.Lock()
	cut.at = time.Now().Add(-time.Hour)
	reg.gateways["a"] = event.Gateway{ID: "a", Renewed: cut.at} // it has nothing in flight
	reg.mu.Unlock()
	l.promote(t)
	a.guard(t, &fakeLog{})
	for range 20 {
		require.Empty(t, a.locks(t))
		<-time.After(shortIntervals.contended)
	}
	b, _ := l.member(t, reg, "b")
	b.guard(t, &fakeLog{})
	b.mustBeReadyWith(t, 2)
}

// One that is cut off under a rebuild gives the locks back.
func testCutOffLetsGo(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, cut := l.member(t, reg, "a", withLease(10*time.Second))
	a.begin(t, &fakeLog{})
	cut.cut()
	reg.mu.Lock()
	reg.gateways["a"] = event.Gateway{ID: "a", Renewed: time.Now().Add(-time.Hour)}
	reg.mu.Unlock()
	l.promote(t)
	require.Eventually(t, func() bool { return len(a.locks(t)) == bucketCount }, patience, pollEvery)
	require.EqualValues(t, 1, reg.newest())
	b, _ := l.member(t, reg, "b")
	b.guard(t, &fakeLog{})
	b.mustBeReadyWith(t, 2)
	require.Eventually(t, b.mustBeTakenSoon, patience, pollEvery)
}

// The gateway that holds the locks cannot ask Kafka about a topic, and another one can.
func testAnotherAsks(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a")
	b, _ := l.member(t, reg, "b")
	a.intervals.fix, a.intervals.failed = time.Second, patience
	log := a.topicsOf(2, 30, "a", "b")
	asked := newGate()
	log.asks = func(ctx context.Context, topic string) error {
		if topic == "b" {
			return asked.wait(ctx)
		}
		return nil
	}
	joining, stopJoining := context.WithCancel(t.Context())
	go joiner{b.rebuilder(nil)}.run(joining)
	a.guard(t, log)
	mustClose(t, asked.reached)
	stopJoining()
	b.guard(t, log.seenBy())
	b.mustBeReadyWith(t, 1)
	b.mustHoldTopics(t, log)
}

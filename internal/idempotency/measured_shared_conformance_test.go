package idempotency

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// abandonedRebuild is the first rebuild of gateways that count generations, whose gateway died
// after type A was back.
func abandonedRebuild(t *testing.T, l lab) (reg *fakeRegistry, heir *rig, log *topicLog) {
	t.Helper()
	reg = newFakeRegistry()
	p := newProxy(t, l.backend)
	dead, _ := l.member(t, reg, "dead", through(p))
	heir, _ = l.member(t, reg, "heir")
	joining, stopJoining := context.WithCancel(t.Context())
	go joiner{heir.rebuilder(nil)}.run(joining)
	log = dead.topicsOf(2, 30, "a", "b")
	unreadable := newGate()
	log.held("b", unreadable)
	stop := dead.guard(t, log)
	dead.mustReturn(t, func() event.Claim { return dead.typed("A") })
	p.cut()
	go stop()
	t.Cleanup(func() {
		close(unreadable.open)
		p.repair(t)
	})
	stopJoining()
	require.EqualValues(t, 1, reg.newest())
	heir.mustWin(t, heir.typed("A"))
	return reg, heir, log
}

// A rebuild that goes on is of the generation that it began with.
func testGoesOnInItsGeneration(t *testing.T, l lab) {
	reg, heir, log := abandonedRebuild(t, l)
	goesOn := log.seenBy()
	early := heir.typed("A")
	heir.mustWin(t, early)
	heir.guard(t, goesOn)
	heir.mustBeReadyWith(t, 1)
	heir.mustHoldTopics(t, log)
	require.EqualValues(t, 1, reg.newest(), "no generation is begun")
	require.EqualValues(t, 60, goesOn.read.Load(), "it reads only what the dead one has not")
	require.True(t, log.toWatermark.Load())
	require.False(t, goesOn.toWatermark.Load(), "what the dead one has seen of replicas is not known")
	require.Equal(t, event.InProgress, heir.mustClaim(t, again(early)).State)
	require.Equal(t, 1, counted(t, heir.reg, rebuilds, "done"))
}

// One of an older generation is not gone on with, and no claim is taken under it.
func testOlderGenerationBeginsAnew(t *testing.T, l lab) {
	reg, heir, log := abandonedRebuild(t, l)
	_, _, err := heir.cfg.Generations.Raise(t.Context())
	require.NoError(t, err)
	heir.mustRefuse(t, heir.typed("A"))
	// Nobody waits for the dead one, and another gateway is there: it is no first start.
	require.NoError(t, heir.cfg.Generations.Forget(t.Context(), []string{"dead"}))
	other, _ := l.member(t, reg, "other")
	go joiner{other.rebuilder(nil)}.run(t.Context())
	anew := log.seenBy()
	heir.intervals.lockTTL = patience // on a busy machine a short one may expire, and all is read again
	heir.guard(t, anew)
	heir.mustBeReadyWith(t, 3)
	heir.mustHoldTopics(t, log)
	require.EqualValues(t, 3, reg.newest())
	require.GreaterOrEqual(t, anew.read.Load(), log.records(), "all is read, and some before as a helper, perhaps")
}

// Where some buckets need the window, the others are back before it is read, and nobody
// begins another generation meanwhile.
func testTailBeforeWindow(t *testing.T, l lab) {
	reg := newFakeRegistry()
	a, _ := l.member(t, reg, "a")
	b, _ := l.member(t, reg, "b")
	log := a.topicsOf(2, 600, "a", "b")
	helps := log.seenBy()
	a.guard(t, log)
	b.guard(t, helps)
	a.mustBeReadyWith(t, 1)
	a.mustBeat(t)
	passes, generation, window := log.passes.Load()+helps.passes.Load(), reg.newest(), newGate()
	held := func(ctx context.Context, topic string, _ int64) error {
		if topic == "b" && log.passes.Load()+helps.passes.Load() == passes+2 {
			return window.wait(ctx)
		}
		return nil
	}
	log.before, helps.before = held, held
	const moved = 7
	require.NoError(t, a.raw.Del(t.Context(), markerKey(moved)).Err())
	mustClose(t, window.reached)
	require.Equal(t, generation+1, reg.newest())
	inMoved := func(eventType string) event.Claim {
		c := b.typed(eventType)
		c.ID[0] = moved
		return c
	}
	for range 3 {
		time.Sleep(2 * a.intervals.contended) // b looks after what is not ready
		c := b.typed("B")
		c.ID[0] = moved + 1
		b.mustWin(t, c)
		b.mustRefuse(t, inMoved("B"))
	}
	b.mustReturn(t, func() event.Claim { return inMoved("A") })
	close(window.open)
	a.mustBeReadyWith(t, generation+1)
	require.Equal(t, generation+1, reg.newest())
	require.Equal(t, passes+2, log.passes.Load()+helps.passes.Load(), "one reading of the tail, one of the window")
	a.mustHoldTopics(t, log)
}

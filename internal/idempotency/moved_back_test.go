package idempotency

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// A bucket whose slot is moved to another node during a rebuild misses the records that are
// refused there. It is not given back when the slot is moved back: by nothing that its
// rebuild has left.
func TestSlotThatIsMovedBackIsReadAnew(t *testing.T) {
	const bucket = 9
	l := newMiniLab(t)
	p := newProxy(t, l.backend)
	dead, heir := l.gateway(t, through(p)), l.gateway(t)
	log := dead.topicsOf(1, 30, "a", "b")
	unreadable, middle := newGate(), newGate()
	log.before = func(ctx context.Context, topic string, offset int64) error {
		switch {
		case topic == "b":
			return unreadable.wait(ctx)
		case offset == 5:
			return middle.wait(ctx)
		default:
			return nil
		}
	}
	stop := dead.guard(t, log)
	mustClose(t, middle.reached)
	mustClose(t, unreadable.reached)
	// As the other node sees them: its id is not that of the keys.
	keys := []string{lockKey(bucket), progressKey(bucket)}
	for _, key := range keys {
		value, err := dead.raw.Get(t.Context(), key).Result()
		require.NoError(t, err)
		ours := strings.Fields(value)[1]
		require.NoError(t, dead.raw.Set(t.Context(), key, strings.Replace(value, ours, "elsewhere", 1), time.Hour).Err())
	}
	close(middle.open)
	dead.mustReturn(t, func() event.Claim { c := dead.typed("A"); c.ID[0] = 3; return c })
	p.cut()
	go stop()
	for _, key := range keys {
		require.Zero(t, dead.raw.Exists(t.Context(), key).Val(), key)
	}
	goesOn := log.seenBy()
	heir.guard(t, goesOn)
	heir.mustBeReady(t)
	close(unreadable.open)
	p.repair(t)
	heir.mustHoldTopics(t, log)
}

// What fails again when it goes on begins anew: what was fixed may be why.
func TestRebuildThatFailsTwiceBeginsAnew(t *testing.T) {
	l := newMiniLab(t)
	r := l.gateway(t)
	log := r.topicsOf(1, 30, "a", "b")
	log.before = func(_ context.Context, topic string, offset int64) error {
		if topic == "b" && offset == 20 && log.passes.Load() <= 2 {
			return context.DeadlineExceeded
		}
		return nil
	}
	r.guard(t, log)
	r.mustBeReady(t)
	r.mustHoldTopics(t, log)
	require.EqualValues(t, 3, log.passes.Load())
	require.EqualValues(t, 2, log.waits.Load(), "the third waits and reads as the first")
}

package delivery

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/kafka"
)

// fill writes one record that the endpoint may refuse, and more than a window behind it.
func (w *world) fill() {
	records := []*kgo.Record{record("bad", `{}`)}
	for i := range maxSpan + 200 {
		records = append(records, record("k"+strconv.Itoa(i%50), `{}`))
	}
	w.write(records...)
}

// when_full: dead-letter gives up the event that everything waits for.
func TestFullWindowGivesUpItsOldestFailingEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.answers(func(c call) int {
		if c.Key == "bad" {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	w.fill()
	w.start(w.config(func(c *Config) {
		c.WhenFull, c.Concurrency, c.Endpoint.Concurrency = FullDeadLetter, 32, 32
		c.Retry = Retry{Attempts: 100, Initial: time.Hour, Max: time.Hour}
	}))
	w.eventually("all is committed", func() bool { return w.committed(0).base == maxSpan+201 })
	require.Len(t, w.dead(), 1)
	require.Equal(t, "bad", string(w.dead()[0].Key))
	require.Equal(t, "full", headerOf(w.dead()[0], deadWhy))
	require.Len(t, w.of("bad"), 1)
}

// A subscription that is behind has more records than its window takes. That is no reason
// to give up an event that has failed once.
func TestWindowThatIsBehindGivesUpNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.answers(func(c call) int {
		if c.Key == "bad" && c.Attempt == "1" {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	w.fill()
	w.start(w.config(func(c *Config) {
		c.WhenFull, c.Concurrency, c.Endpoint.Concurrency = FullDeadLetter, 32, 32
		c.Retry = Retry{Attempts: 100, Initial: 50 * time.Millisecond, Max: 50 * time.Millisecond}
	}))
	w.eventually("all is committed", func() bool { return w.committed(0).base == maxSpan+201 })
	require.Empty(t, w.dead())
	require.Len(t, w.of("bad"), 2)
}

// Records in flight have slots, and give them back: only events that have failed crowd a
// window.
func TestOnlyFailedEventsCrowdAWindow(t *testing.T) {
	t.Parallel()
	w := newWindow(kafka.Partition{Topic: "orders"}, progress{}, true)
	for i := range int64(maxFailing + 10) {
		w.admit(&kafka.Record{Offset: i, Key: strconv.AppendInt(nil, i, 10)})
	}
	taken := make([]*entry, maxFailing)
	for i := range taken {
		taken[i] = w.take(false)
	}
	require.Nil(t, w.take(false))
	require.False(t, w.crowded(), "all are in flight")
	for i, e := range taken[:maxFailing/2] {
		require.False(t, w.crowded(), "after %d failures", i)
		w.inFlight--
		w.fail(e, time.Now())
		e.state = stateWaiting
	}
	require.True(t, w.crowded())
	require.Equal(t, taken[0], w.oldestFailing())
}

// An entity that is held back goes on when the configuration says so.
func TestHeldEntityGoesOnWithoutHoldEntity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.answers(func(c call) int {
		if c.Key == "bad" && c.Event["data"].(map[string]any)["n"] == 1.0 {
			return http.StatusBadRequest
		}
		return http.StatusOK
	})
	w.write(record("bad", `{"n":1}`), record("bad", `{"n":2}`))
	cfg := w.config(func(c *Config) { c.HoldEntity = true })
	set, _ := w.start(cfg)
	w.eventually("it is held", func() bool {
		p := w.committed(0)
		return len(p.failures) == 1 && p.failures[0].attempts == heldAttempts
	})
	cfg.HoldEntity = false
	set.Replace([]Config{cfg})
	w.eventually("all is committed", func() bool { return w.committed(0).base == 2 })
	require.Len(t, w.dead(), 1)
	require.Len(t, w.of("bad"), 2)
}

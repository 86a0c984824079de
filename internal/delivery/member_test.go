package delivery

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/event"
)

func headerOf(r event.Record, name string) string {
	for _, h := range r.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// One event cannot be delivered: it dies after exactly its attempts, the ones behind it
// wait, and the others go on.
func TestOnePoisonEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.answers(func(c call) int {
		if c.Key == "bad" && c.Event["data"].(map[string]any)["n"] == 1.0 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	for i := range 30 {
		w.write(record("good"+strconv.Itoa(i%5), fmt.Sprintf(`{"n":%d}`, i)))
	}
	poison := record("bad", `{"n":1}`)
	poison.Headers = []kgo.RecordHeader{{Key: "ce_id", Value: []byte("7")}, {Key: "ce_source", Value: []byte("/x")}, {Key: "ce_type", Value: []byte("t")}, {Key: "other", Value: []byte{0xff}}, {Key: deadRounds, Value: []byte("4")}}
	w.write(poison, record("bad", `{"n":2}`))
	w.start(w.config())
	w.eventually("everything came", func() bool { return len(w.of("bad")) == 4 && w.count() == 34 })
	for i, c := range w.of("bad")[:3] {
		require.Equal(t, strconv.Itoa(i+1), c.Attempt)
		require.Equal(t, w.of("bad")[0].ID, c.ID, "the id is that of the event")
	}
	require.NotEqual(t, w.of("bad")[0].ID, w.of("bad")[3].ID)
	letter := w.dead()[0]
	require.Len(t, w.dead(), 1)
	require.Equal(t, "orders.test.dlt", letter.Topic)
	require.Equal(t, "bad", string(letter.Key))
	require.JSONEq(t, `{"n":1}`, string(letter.Value))
	for name, want := range map[string]string{
		"ce_id": "7", "other": "\xff", deadSubscription: "test", deadTopic: "orders", deadPartition: "0", deadOffset: "30", deadWhy: "attempts",
		deadClass: "5xx", deadStatus: "500", deadAttempts: "3", deadRounds: "5",
	} {
		require.Equal(t, want, headerOf(letter, name), name)
	}
	w.eventually("all is committed", func() bool { return w.committed(0).base == 32 })
	for i := range 5 {
		last := -1.0
		for _, c := range w.of("good" + strconv.Itoa(i)) {
			n := c.Event["data"].(map[string]any)["n"].(float64)
			require.Greater(t, n, last)
			last = n
		}
	}
}

// An endpoint that answers 404 to everything is sick: its events wait.
func TestSickEndpointBurnsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.answers(func(call) int { return http.StatusNotFound })
	for i := range 300 {
		w.write(record("k"+strconv.Itoa(i%100), `{}`))
	}
	w.start(w.config())
	w.eventually("it is noticed", func() bool { return w.count() >= breakerLeast })
	time.Sleep(2 * time.Second) // while the breaker tries single events
	require.Empty(t, w.dead())
	require.Less(t, w.count(), 100)
	w.answers(func(call) int { return http.StatusOK })
	w.eventually("all is committed", func() bool {
		return w.committed(0).base+w.committed(1).base+w.committed(2).base == 300
	})
	require.Empty(t, w.dead())
}

// Attempts are counted over restarts, and what is finished beyond the commit stays so.
func TestAttemptsSurviveARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.answers(func(c call) int {
		if c.Key == "bad" {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	w.write(record("bad", `{}`))
	for i := range 20 {
		w.write(record("k"+strconv.Itoa(i), `{}`))
	}
	cfg := w.config(func(c *Config) { c.Retry.Attempts, c.Retry.Initial, c.Retry.Max = 6, 300*time.Millisecond, time.Second })
	_, stop := w.start(cfg)
	w.eventually("it has failed, and that is committed", func() bool {
		p := w.committed(0)
		return len(p.finished) == 20 && len(p.failures) == 1 && p.failures[0].attempts >= 2
	})
	stop()
	before := len(w.of("bad"))
	w.start(cfg)
	w.eventually("it is given up", func() bool { return w.committed(0).base == 21 })
	require.Greater(t, len(w.of("bad")), before)
	require.Len(t, w.of("bad"), 6)
	require.Len(t, w.dead(), 1)
	require.Equal(t, 26, w.count(), "nothing finished was delivered again")
}

func TestFailedDeadLetterHoldsTheCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.refuses(errRefused)
	w.answers(func(c call) int {
		if c.Key == "bad" {
			return http.StatusUnprocessableEntity
		}
		return http.StatusOK
	})
	w.write(record("bad", `{}`), record("bad", `{}`), record("good", `{}`))
	w.start(w.config())
	w.eventually("the others go on", func() bool { p := w.committed(0); return p.base == 0 && len(p.finished) == 1 })
	require.Len(t, w.of("bad"), 1, "422 is final, and the next one waits")
	w.refuses(nil)
	w.eventually("all is committed", func() bool { return w.committed(0).base == 3 })
	require.Len(t, w.dead(), 2)
	require.Equal(t, "refused", headerOf(w.dead()[0], deadWhy))
}

func TestGonePausesUntilItIsResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.answers(func(call) int { return http.StatusGone })
	w.write(record("a", `{}`))
	_, stop := w.start(w.config())
	w.eventually("the pause is remembered", func() bool {
		states, err := ReadPauses(t.Context(), w.table())
		return err == nil && states["test"].Paused
	})
	stop()
	w.answers(func(call) int { return http.StatusOK })
	tried := w.count()
	w.write(record("b", `{}`))
	set, _ := w.start(w.config())
	w.eventually("it runs", func() bool { set.mu.Lock(); defer set.mu.Unlock(); return set.running["test"] != nil })
	r := set.running["test"]
	require.True(t, r.paused())
	w.eventually("it is a member", func() bool {
		m := r.member.Load()
		n := 0
		return m != nil && func() bool { m.call(func() { n = len(m.order) }); return n == 1 }()
	})
	require.Equal(t, tried, w.count())
	require.NoError(t, WritePause(t.Context(), w.table(), "test", PauseState{}))
	w.eventually("both came", func() bool { return w.committed(0).base == 2 })
	require.Empty(t, w.dead())
}

func TestHoldEntityUntilItIsReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.answers(func(c call) int {
		if c.Key == "bad" && c.Event["data"].(map[string]any)["n"] == 1.0 {
			return http.StatusBadRequest
		}
		return http.StatusOK
	})
	w.write(record("bad", `{"n":1}`), record("bad", `{"n":2}`), record("good", `{"n":3}`))
	cfg := w.config(func(c *Config) { c.HoldEntity = true })
	_, stop := w.start(cfg)
	held := func() bool {
		p := w.committed(0)
		return p.base == 0 && len(p.finished) == 1 && len(p.failures) == 1 && p.failures[0].attempts == heldAttempts
	}
	w.eventually("it is held", held)
	stop()
	w.start(cfg)
	w.write(record("good", `{"n":4}`))
	w.eventually("others go on", func() bool { return len(w.of("good")) == 2 })
	require.Len(t, w.of("bad"), 1)
	require.Len(t, w.dead(), 1)
	require.NoError(t, WritePause(t.Context(), w.table(), "test", PauseState{Released: time.Now()}))
	w.eventually("it goes on", func() bool { return w.committed(0).base == 4 })
	require.Len(t, w.of("bad"), 2)
}

// Each kind of record that others may write has a defined end.
func TestPoisonKinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.write(
		&kgo.Record{Value: []byte(`{"kind":"null key"}`)},
		&kgo.Record{Key: []byte{0xff, 0xfe}, Value: []byte(`{"kind":"key that is no text"}`)},
		&kgo.Record{Key: []byte("gone"), Value: nil},
		&kgo.Record{Key: []byte("binary"), Value: []byte{0, 1, 0xff}},
		&kgo.Record{Key: []byte("empty"), Value: []byte{}},
		&kgo.Record{Key: []byte("foreign"), Value: []byte(`{}`), Headers: []kgo.RecordHeader{
			{Key: "ce_id", Value: []byte{0xff}},
			{Key: "ce_Bad Name", Value: []byte("x")},
			{Key: "", Value: nil},
			{Key: "traceparent", Value: []byte("a\r\nb: c")},
			{Key: "content-type", Value: []byte("text/plain")},
			{Key: "ce_ext", Value: []byte("1")},
			{Key: "ce_ext", Value: []byte("2")},
		}},
	)
	w.start(w.config())
	w.eventually("all is committed", func() bool { return w.committed(0).base == 6 })
	require.Len(t, w.calls, 6)
	require.Empty(t, w.dead())
	byID := map[any]map[string]any{}
	for _, c := range w.calls {
		require.Equal(t, "1.0", c.Event["specversion"])
		require.Equal(t, "orders", c.Event["type"])
		require.Equal(t, "/topics/orders", c.Event["source"])
		require.Empty(t, c.Header.Get("Traceparent"))
		byID[c.Event["id"]] = c.Event
	}
	require.NotContains(t, byID["orders-0-0"], "partitionkey")
	require.NotContains(t, byID["orders-0-1"], "partitionkey")
	require.NotContains(t, byID["orders-0-2"], "data")
	require.Equal(t, "AAH/", byID["orders-0-3"]["data_base64"])
	require.Empty(t, byID["orders-0-4"]["data_base64"])
	require.Equal(t, "e30=", byID["orders-0-5"]["data_base64"])
	require.Equal(t, "1", byID["orders-0-5"]["ext"])
}

func TestUnknownTypesAndFiltersAreSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	typed := func(kind, key, value string) *kgo.Record {
		r := record(key, value)
		r.Headers = []kgo.RecordHeader{{Key: "ce_type", Value: []byte(kind)}}
		return r
	}
	w.write(typed("orders.placed", "a", `{"country":"DE"}`), typed("orders.placed", "b", `{"country":"FR"}`), typed("orders.cancelled", "c", `{"country":"DE"}`), record("d", `{"country":"DE"}`), typed("orders.placed", "e", `not JSON`))
	w.start(w.config(func(c *Config) {
		c.Types = []string{"orders.placed"}
		c.Filter.Data = []Match{{Pointer: []string{"country"}, Value: "DE"}}
	}))
	w.eventually("all is committed", func() bool { return w.committed(0).base == 5 })
	require.Equal(t, 1, w.count())
	require.Len(t, w.of("a"), 1)
}

// A second gateway joins, and the first leaves: nothing is lost, and nothing comes again.
func TestPartitionsMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6)
	write := func(from int) {
		for i := range 200 {
			w.write(record("k"+strconv.Itoa(i%40), fmt.Sprintf(`{"n":%d}`, from+i)))
		}
	}
	_, stop := w.start(w.config())
	write(0)
	w.eventually("the first delivers", func() bool { return w.count() >= 50 })
	w.start(w.config())
	write(200)
	w.eventually("all came", func() bool { return w.count() >= 400 })
	stop()
	write(400)
	w.eventually("the second goes on", func() bool {
		sum := int64(0)
		for p := range int32(6) {
			sum += w.committed(p).base
		}
		return sum == 600
	})
	require.Equal(t, 600, w.count())
	for i := range 40 {
		last := -1.0
		for _, c := range w.of("k" + strconv.Itoa(i)) {
			n := c.Event["data"].(map[string]any)["n"].(float64)
			require.Greater(t, n, last)
			last = n
		}
	}
}

// Metadata of somebody else, or none after a reset by Kafka's own tool, means that nothing
// is finished beyond the offset.
func TestForeignCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.write(record("a", `{}`), record("b", `{}`))
	commitAs(t, w, 1, "somebody else's")
	w.start(w.config())
	w.eventually("it is delivered from there", func() bool {
		all := w.count()
		return all == 1 && len(w.of("b")) == 1
	})
	w.eventually("and committed", func() bool { return w.committed(0).base == 2 })
}

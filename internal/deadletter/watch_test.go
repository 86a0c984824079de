package deadletter

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/kafka"
)

// AllSpans implements WatchSource.
func (f *fakeLog) AllSpans(_ context.Context, topics ...string) (map[string][]Span, error) {
	spans := map[string][]Span{}
	for _, topic := range topics {
		if records, ok := f.topics[topic]; ok {
			spans[topic] = []Span{{kafka.Partition{Topic: topic}, f.starts[topic], int64(len(records))}}
		}
	}
	return spans, nil
}

type watchTest struct {
	*fakeLog
	t     *testing.T
	watch *Watch
	reg   *prometheus.Registry
	now   time.Time
}

func newWatchTest(t *testing.T) *watchTest {
	t.Helper()
	w := &watchTest{fakeLog: newFakeLog(), t: t, reg: prometheus.NewRegistry(), now: writtenAt.Add(time.Hour)}
	w.watch = NewWatch(w, func() []string { return []string{"dlt"} }, "ledger", NewMetrics(w.reg), slog.New(slog.DiscardHandler))
	w.watch.now = func() time.Time { return w.now }
	return w
}

// shows requires the gauges after another count.
func (w *watchTest) shows(lines ...string) {
	w.t.Helper()
	require.NoError(w.t, w.watch.count(w.t.Context()))
	text := "# HELP gateway_dead_letters_waiting Dead letters that were neither replayed nor dropped, as this gateway counts them: every gateway counts all.\n# TYPE gateway_dead_letters_waiting gauge\n"
	for _, line := range lines {
		text += "gateway_dead_letters_waiting{" + line + "\n"
	}
	require.NoError(w.t, testutil.GatherAndCompare(w.reg, strings.NewReader(text), "gateway_dead_letters_waiting"))
}

func (w *watchTest) age() float64 { return testutil.ToFloat64(w.watch.metrics.oldest) }

func TestWatchCountsWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWatchTest(t)
	const none = `reason="none",topic="dlt"} 0`
	w.shows(none)
	w.topics["dlt"] = nil
	w.fill(60) // with two twins
	refused := dead(0, "900", header("gw_dead_reason", "refused"), header("gw_dead_time", "2026-11-30T08:00:00Z"))
	w.write("dlt", refused)
	w.write("dlt", springLetterOf("x.Y"))
	w.shows(`reason="attempts",topic="dlt"} 60`, `reason="exception",topic="dlt"} 1`, none, `reason="refused",topic="dlt"} 1`)
	require.InDelta(t, 3*time.Hour.Seconds(), w.age(), 1)

	job := toTopic
	job.Filter.Reason = "attempts"
	_, err := Run(t.Context(), job, w.deps())
	require.NoError(t, err)
	w.shows(`reason="exception",topic="dlt"} 1`, none, `reason="refused",topic="dlt"} 1`)

	reads := w.reads
	w.shows(`reason="exception",topic="dlt"} 1`, none, `reason="refused",topic="dlt"} 1`)
	require.Equal(t, reads, w.reads, "nothing new, and nothing is read")

	_, err = Run(t.Context(), Job{Topics: []string{"dlt"}, Drop: true}, w.deps())
	require.NoError(t, err)
	w.shows(none)
	require.Zero(t, w.age())

	w.write("dlt", dead(0, "901"))
	w.shows(`reason="attempts",topic="dlt"} 1`, none)
	w.starts["dlt"] = int64(len(w.topics["dlt"])) // retention
	w.shows(none)

	w.topics["dlt"], w.starts["dlt"] = nil, 0 // made anew
	w.fill(1)
	delete(w.topics, "ledger")
	w.shows(`reason="attempts",topic="dlt"} 1`, none)
}

func TestWatchLearnsAMarkBeforeItsLetter(t *testing.T) {
	t.Parallel()
	w := newWatchTest(t)
	w.fill(1)
	w.shows(`reason="attempts",topic="dlt"} 1`, `reason="none",topic="dlt"} 0`)
	l := Describe(dead(2, "70"))
	w.write("ledger", &kafka.Record{Key: []byte(l.Place.String()), Value: markOf(&l, Replayed, "t", writtenAt).encode()})
	w.shows(`reason="attempts",topic="dlt"} 1`, `reason="none",topic="dlt"} 0`)
	w.write("dlt", dead(0, "70"))
	w.shows(`reason="attempts",topic="dlt"} 1`, `reason="none",topic="dlt"} 0`)
}

func TestWatchReadsABoundedPart(t *testing.T) {
	t.Parallel()
	w := newWatchTest(t)
	for range watchRecords + 500 {
		w.write("dlt", dead(0, "1", header("gw_dead_rounds", "1"), header("gw_dead_topic", "")))
	}
	w.shows(`reason="attempts",topic="dlt"} 10000`, `reason="none",topic="dlt"} 0`, `reason="older",topic="dlt"} 500`)
	l := Describe(w.topics["dlt"][3])
	w.write("ledger", &kafka.Record{Key: []byte(l.Place.String()), Value: markOf(&l, Replayed, "t", writtenAt).encode()})
	w.shows(`reason="attempts",topic="dlt"} 10000`, `reason="none",topic="dlt"} 0`, `reason="older",topic="dlt"} 499`)
	w.starts["dlt"] = 400
	w.shows(`reason="attempts",topic="dlt"} 10000`, `reason="none",topic="dlt"} 0`, `reason="older",topic="dlt"} 100`)
}

func springLetterOf(exception string) *kafka.Record {
	return letterRecord("k", "v", header("kafka_dlt-original-topic", "orders"), header("kafka_dlt-exception-fqcn", exception))
}

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/preflight"
)

// watched is a preflightWatch whose areas are the test's.
type watched struct {
	*preflightWatch
	log          bytes.Buffer
	kafka, redis func() (look, error)
}

func newWatched() *watched {
	nothing := func() (look, error) { return look{}, nil }
	w := &watched{kafka: nothing, redis: nothing}
	w.preflightWatch = &preflightWatch{
		areas: map[string]func(context.Context) (look, error){
			"kafka": func(context.Context) (look, error) { return w.kafka() },
			"redis": func(context.Context) (look, error) { return w.redis() },
		},
		logger: slog.New(slog.NewJSONHandler(&w.log, nil)), metrics: newPreflightMetrics(prometheus.NewRegistry()),
		first: firstLook, interval: lookInterval, jitter: lookJitter, known: map[findingKey]preflight.Finding{},
	}
	return w
}

func finds(list ...preflight.Finding) func() (look, error) {
	return func() (look, error) { return look{findings: list}, nil }
}

// line is what the tests compare of a line of the log.
type line struct{ Level, Msg, Check, Subject, Severity, Was string }

func (w *watched) lines(t *testing.T) (list []line) {
	t.Helper()
	for _, raw := range bytes.Split(bytes.TrimSpace(w.log.Bytes()), []byte("\n")) {
		if len(raw) > 0 {
			var l line
			require.NoError(t, json.Unmarshal(raw, &l))
			list = append(list, l)
		}
	}
	w.log.Reset()
	return list
}

func (w *watched) count(check string, severity preflight.Severity) float64 {
	return testutil.ToFloat64(w.metrics.findings.WithLabelValues(check, string(severity)))
}

const (
	appears = "gateway check would report a finding"
	changes = "gateway check would report a finding with another severity"
	isGone  = "a finding of gateway check is gone"
)

func TestPreflightSaysWhatChanges(t *testing.T) {
	t.Parallel()
	w := newWatched()
	const check = "kafka.topic.retention"
	f := func(s preflight.Severity, topic, what string) preflight.Finding {
		return preflight.Finding{Severity: s, Check: check, Subject: topic, What: what, Do: "do"}
	}
	w.kafka = finds(f(preflight.OK, "a", ""), preflight.Finding{Severity: preflight.Error, Check: "kafka.topic.exists", Subject: "b"})
	w.look(t.Context())
	require.Empty(t, w.lines(t), "a missing topic is named elsewhere")

	w.kafka = finds(f(preflight.Warning, "a", "1"), f(preflight.Warning, "b", "2"), f(preflight.Error, "c", "3"), f(preflight.Warning, "c", "4"))
	w.redis = finds(preflight.Finding{Severity: preflight.Error, Check: "redis.eviction", Subject: "r:1"})
	w.look(t.Context())
	require.ElementsMatch(t, []line{
		{"WARN", appears, check, "a, b", "warning", ""},
		{"ERROR", appears, check, "c", "error", ""},
		{"ERROR", appears, "redis.eviction", "r:1", "error", ""},
	}, w.lines(t), "one line for several topics")
	require.InDelta(t, 2, w.count(check, preflight.Warning), 0)
	require.InDelta(t, 1, w.count(check, preflight.Error), 0)

	w.kafka = finds(f(preflight.Warning, "a", "another figure"), f(preflight.Error, "b", "2"), f(preflight.Error, "c", "3"))
	w.redis = func() (look, error) { return look{}, errors.New("gone") }
	w.look(t.Context())
	require.Equal(t, []line{{"ERROR", changes, check, "b", "error", "warning"}}, w.lines(t), "of an area without an answer nothing is known")
	require.InDelta(t, 1, w.count("redis.eviction", preflight.Error), 0)
	require.InDelta(t, 1, testutil.ToFloat64(w.metrics.looks.WithLabelValues("redis", "failed")), 0)

	w.kafka = func() (look, error) { return look{unknown: map[string]bool{"c": true}}, nil }
	w.redis = finds()
	w.look(t.Context())
	require.ElementsMatch(t, []line{
		{"INFO", isGone, check, "a", "", "warning"},
		{"INFO", isGone, check, "b", "", "error"},
		{"INFO", isGone, "redis.eviction", "r:1", "", "error"},
	}, w.lines(t), "c did not show its settings this time")
	require.Zero(t, w.count(check, preflight.Warning))
	require.InDelta(t, 1, w.count(check, preflight.Error), 0)
}

func TestPreflightLooksOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		looks := 0
		w.kafka = func() (look, error) { looks++; return look{}, nil }
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		w.run(ctx)
		require.Greater(t, looks, 53)
		require.Less(t, looks, 67)
	})
}

// TestPreflightIsBounded: an area that hangs stops neither the other nor the next look.
func TestPreflightIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		w.areas["kafka"] = func(ctx context.Context) (look, error) {
			<-ctx.Done()
			return look{}, nil
		}
		w.redis = finds(preflight.Finding{Severity: preflight.Warning, Check: "redis.maxmemory", Subject: "r:1"})
		begun := time.Now()
		w.look(t.Context())
		require.Equal(t, lookTimeout, time.Since(begun))
		require.InDelta(t, 1, w.count("redis.maxmemory", preflight.Warning), 0)
		require.InDelta(t, 1, testutil.ToFloat64(w.metrics.looks.WithLabelValues("kafka", "failed")), 0)
	})
}

// TestTopicsAreJudgedOneByOne: grouped, the subject would change with the other topics.
func TestTopicsAreJudgedOneByOne(t *testing.T) {
	t.Parallel()
	topic := func(name string, settings preflight.Settings) preflight.TopicFacts {
		return preflight.TopicFacts{Name: name, Presence: preflight.Present, Settings: settings, Partitions: []preflight.PartitionFacts{{Replicas: 3, InSync: 3, Led: true}}}
	}
	weak := preflight.Settings{"min.insync.replicas": "1"}
	registry := topic("gateway-incarnations", weak)
	found := judgeTopics(preflight.KafkaFacts{
		Brokers: make([]preflight.BrokerFacts, 3), Topics: []preflight.TopicFacts{topic("a", weak), topic("b", weak), topic("c", nil)}, Own: []preflight.OwnTopic{{TopicFacts: registry}},
	}, preflight.KafkaNeeds{})
	var subjects []string
	for _, f := range found.findings {
		if f.Check == "kafka.topic.min-insync" && f.Severity == preflight.Error {
			subjects = append(subjects, f.Subject)
		}
	}
	require.Equal(t, []string{"a", "b", "gateway-incarnations"}, subjects)
	require.Equal(t, map[string]bool{"c": true}, found.unknown)
}

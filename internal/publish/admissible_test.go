package publish

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/preflight"
)

func TestInadmissible(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_000)
	hour := bound{set: true, most: time.Hour}
	settings := topicSettings{maxBytes: 1000}
	for name, c := range map[string]struct {
		change func(*topicSettings, *event.Record)
		kind   event.Kind // "" if the record is taken
		detail string
	}{
		"an ordinary record": {func(*topicSettings, *event.Record) {}, "", ""},
		"at the limit":       {func(s *topicSettings, r *event.Record) { s.maxBytes = recordSize(*r) }, "", ""},
		"over the limit": {
			func(s *topicSettings, r *event.Record) { s.maxBytes = recordSize(*r) - 1 }, event.EventTooLarge, "takes at most",
		},
		"over the limit by its headers": {
			func(s *topicSettings, r *event.Record) {
				s.maxBytes = recordSize(*r)
				r.Headers = []event.Header{{Name: "a", Value: "b"}}
			}, event.EventTooLarge, "With its headers",
		},
		"a key on a compacted topic":        {func(s *topicSettings, _ *event.Record) { s.compacted = true }, "", ""},
		"an empty key on a compacted topic": {func(s *topicSettings, r *event.Record) { s.compacted, r.Key = true, []byte{} }, "", ""},
		"no key on a compacted topic": {
			func(s *topicSettings, r *event.Record) { s.compacted, r.Key = true, nil }, event.LogUnavailable, "cleanup.policy",
		},
		"no key on another topic": {func(_ *topicSettings, r *event.Record) { r.Key = nil }, "", ""},
		"old, without a bound":    {func(_ *topicSettings, r *event.Record) { r.Timestamp = time.UnixMilli(1) }, "", ""},
		"just young enough": {
			func(s *topicSettings, r *event.Record) { s.timestamps.before, r.Timestamp = hour, now.Add(-time.Hour) }, "", "",
		},
		"too old": {
			func(s *topicSettings, r *event.Record) {
				s.timestamps.before, r.Timestamp = hour, now.Add(-time.Hour-time.Millisecond)
			}, event.LogUnavailable, "1ms further from the present than the Kafka topic orders takes",
		},
		"just not too far in the future": {
			func(s *topicSettings, r *event.Record) { s.timestamps.after, r.Timestamp = hour, now.Add(time.Hour) }, "", "",
		},
		"too far in the future": {
			func(s *topicSettings, r *event.Record) { s.timestamps.after, r.Timestamp = hour, now.Add(2*time.Hour) },
			event.LogUnavailable, "message.timestamp.after.max.ms",
		},
		"old, with a bound of the future only": {
			func(s *topicSettings, r *event.Record) { s.timestamps.after, r.Timestamp = hour, now.Add(-2*time.Hour) }, "", "",
		},
	} {
		s := settings
		r := event.Record{Placement: event.Placement{Topic: "orders"}, Key: []byte("k"), Value: []byte("v"), Timestamp: now}
		c.change(&s, &r)
		refused := inadmissible(topic{topicSettings: s}, r, now)
		if c.kind == "" {
			require.Nil(t, refused, name)
			continue
		}
		require.NotNil(t, refused, name)
		require.Equal(t, c.kind, refused.Kind, name)
		require.Equal(t, event.NotWritten, refused.Outcome, name)
		require.Contains(t, refused.Detail, c.detail, name)
	}
}

// TestTopicsThatRefuseMarkers: no transaction begins that Kafka could not end.
func TestTopicsThatRefuseMarkers(t *testing.T) {
	t.Parallel()
	bounded := func(before time.Duration) topic {
		return topic{topicSettings: topicSettings{timestamps: timestampBounds{before: bound{set: true, most: before}}}}
	}
	require.Nil(t, refusesMarkers(topic{}, "orders"))
	require.Nil(t, refusesMarkers(bounded(preflight.LeastMarkerAge), "orders"))
	refused := refusesMarkers(bounded(time.Second), "orders")
	require.NotNil(t, refused)
	require.Equal(t, event.NotWritten, refused.Outcome)
	require.Contains(t, refused.Detail, "message.timestamp.before.max.ms=1000")
}

package publish

import (
	"strings"
	"testing"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// One message carries them all, one after the other.
func TestPooledMessageKeepsNothingOfTheRecordBefore(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_000)
	long := strings.Repeat("x", 2000)
	records := map[string]event.Record{
		"headers": {
			Placement: event.Placement{Topic: "a", Partition: 3}, Key: []byte("k"), Value: []byte("v"), Timestamp: at,
			Headers: []event.Header{{Name: "one", Value: "1"}, {Name: "empty", Value: ""}, {Name: "two", Value: "22"}},
		},
		"long headers":      {Placement: event.Placement{Topic: "b"}, Headers: []event.Header{{Name: "long", Value: long}, {Name: "after", Value: "it"}}},
		"an empty header":   {Placement: event.Placement{Topic: "c"}, Headers: []event.Header{{Name: "empty", Value: ""}}},
		"nothing but topic": {Placement: event.Placement{Topic: "d"}},
	}
	used := newPooledMessage()
	for name, r := range records {
		m := used.fill(r)
		require.Equal(t, r.Topic, *m.TopicPartition.Topic, name)
		require.Equal(t, r.Partition, m.TopicPartition.Partition, name)
		require.Equal(t, r.Key, m.Key, name)
		require.Equal(t, r.Value, m.Value, name)
		require.Equal(t, r.Timestamp, m.Timestamp, name)
		var want []librdkafka.Header
		for _, h := range r.Headers {
			want = append(want, librdkafka.Header{Key: h.Name, Value: []byte(h.Value)})
		}
		require.Len(t, m.Headers, len(want), name)
		for i := range want {
			require.Equal(t, want[i], m.Headers[i], name)
		}
		used.empty()
		require.Zero(t, used.message, name)
		require.Empty(t, used.topic, name)
	}
}

func BenchmarkPooledMessage(b *testing.B) {
	r := event.Record{Placement: event.Placement{Topic: "orders.placed"}, Key: []byte("o-10492"), Value: make([]byte, 200)}
	for range 9 {
		r.Headers = append(r.Headers, event.Header{Name: "ce_id", Value: "3a9c9238-385f-8323-8d8f-ed4048ff8c42"})
	}
	p := newPooledMessage()
	b.ReportAllocs()
	for b.Loop() {
		p.fill(r)
		p.empty()
	}
}

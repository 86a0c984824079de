package publish

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// A copy of a record, with all its headers, gives no receipt: Kafka Streams makes such
// copies in other topics by default, which may be topics of other event types.
func TestCopiesGiveNoReceipts(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "orders", "copies", "dead", "shared"))
	names := []string{"orders", "copies", "dead", "shared"}
	r := start(t, cluster.ListenAddrs(), names)
	r.SetTypes(map[string][]string{"orders": {"t"}, "copies": {"other"}, "dead": {AnyType}, "shared": {"other", "t"}})
	began := time.Now()
	for i, topic := range names {
		rig := recoveryRig{r, topic}
		_ = r.place(t, topic, nil)
		rig.write(t, rig.claimed(1, 0))
		rig.write(t, rig.claimed(byte(10+i), 0))
	}
	got, _ := r.replay(t, began.Add(-time.Second))
	require.Equal(t, []byte{1, 10, 12, 13}, claimsOf(got))
	require.NotEqual(t, "copies", got[claimOf(1)].Receipt.Topic)

	// A type that only another gateway may know counts, unless Kafka has told what others know.
	r.remembered.complete = false
	r.SetTypes(map[string][]string{"orders": {"only this"}, "copies": {"other"}})
	require.True(t, r.atHome(typed("copies", "unknown")))
	require.False(t, r.wrote(typed("copies", "unknown")), "which proves nothing")
	require.False(t, r.atHome(typed("copies", "only this")))
	r.remembered.complete = true
	r.SetTypes(map[string][]string{"orders": {"only this"}, "copies": {"other"}})
	require.False(t, r.atHome(typed("copies", "unknown")))

	// A schema that moved to another topic has left records in the one before.
	r.SetTypes(map[string][]string{"orders": {"t"}, "copies": {"t", "other"}})
	r.SetTypes(map[string][]string{"orders": {"t"}, "copies": {"other"}})
	got, _ = r.replay(t, began.Add(-time.Second))
	require.Equal(t, []byte{1, 10, 11, 12, 13}, claimsOf(got))
}

func typed(topic, eventType string) *logRecord {
	return &logRecord{Partition: kafka.Partition{Topic: topic}, headers: []kgo.RecordHeader{
		{Key: event.HeaderType, Value: []byte(eventType)}, {Key: event.HeaderVersion, Value: []byte("v1")},
	}}
}

// claimsOf are the claims that claimOf made, by their first bytes.
func claimsOf(got map[event.ClaimID]event.LogEntry) (ids []byte) {
	for id := range 256 {
		if _, ok := got[claimOf(byte(id))]; ok {
			ids = append(ids, byte(id))
		}
	}
	return ids
}

// A topic that no schema names any more still has claims of events that were written to
// it. A gateway that never saw the schema learns of it from Kafka.
func TestTopicsOfRemovedSchemasAreRead(t *testing.T) {
	t.Parallel()
	forClients(t, func(t *testing.T, with option) {
		t.Parallel()
		cluster := startKafka(t, kfake.SeedTopics(1, "kept", "removed"))
		remember := func(c *Config) { c.RememberTopics, c.TransactionalIDPrefix = true, "gateway" }
		first := start(t, cluster.ListenAddrs(), []string{"kept", "removed"}, with, remember)
		first.SetTypes(map[string][]string{"kept": {"t"}, "removed": {"t"}})
		began := time.Now()
		for i, topic := range []string{"kept", "removed"} {
			rig := recoveryRig{first, topic}
			_ = first.place(t, topic, nil)
			rig.write(t, rig.claimed(byte(1+i), 0))
		}
		first.SetTypes(map[string][]string{"kept": {"t"}})
		first.SetTopics([]string{"kept"})
		first.awaitNotes(t)

		second := start(t, cluster.ListenAddrs(), []string{"kept"}, with, remember)
		second.SetTypes(map[string][]string{"kept": {"t"}})
		_ = second.place(t, "kept", nil)
		got, _ := second.replay(t, began.Add(-time.Second))
		require.Equal(t, []byte{1, 2}, claimsOf(got))
		require.Contains(t, second.remembered.since(began.Add(time.Hour)), "removed")
		require.NotContains(t, second.remembered.since(began.Add(25*time.Hour)), "removed", "its claims are forgotten by then")
	})
}

// awaitNotes waits until Kafka has what is known of topics.
func (r running) awaitNotes(t *testing.T) {
	t.Helper()
	m := r.remembered
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.True(t, backoff.Poll(ctx, tick, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, state := range m.places {
			if state.saved.IsZero() || !state.current && state.saved.Before(state.named) {
				return false
			}
		}
		return len(m.places) > 0
	}))
}

// A broker that does not know a topic may only be late. What counts is the controller's
// word, or, without the permission to ask it, that of all brokers.
func TestUnknownTopicIsConfirmed(t *testing.T) {
	t.Parallel()
	forbidden := func(req kmsg.Request) (kmsg.Response, error, bool) {
		asked := req.(*kmsg.CreateTopicsRequest)
		resp := asked.ResponseKind().(*kmsg.CreateTopicsResponse)
		topic := kmsg.NewCreateTopicsResponseTopic()
		topic.Topic, topic.ErrorCode = asked.Topics[0].Topic, kerr.TopicAuthorizationFailed.Code
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	}
	for name, tt := range map[string]struct {
		exists, late, mayCreate bool
	}{
		"late broker":                      {exists: true, late: true, mayCreate: true},
		"late broker, no permission":       {exists: true, late: true},
		"there is no topic":                {mayCreate: true},
		"there is no topic, no permission": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := startKafka(t, kfake.SeedTopics(1, "t"))
			r := start(t, cluster.ListenAddrs(), []string{"t"})
			rig := recoveryRig{r, "t"}
			_ = r.place(t, "t", nil)
			began := time.Now()
			rig.write(t, rig.claimed(1, 0))
			if !tt.mayCreate {
				cluster.ControlKey(kmsg.CreateTopics.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
					cluster.KeepControl()
					return forbidden(req)
				})
			}
			topic := "t"
			if !tt.exists {
				topic = "missing"
				r.SetTopics([]string{"t", "missing"})
			}
			if !tt.late {
				_, err := r.partitionsOf(t.Context(), topic)
				require.ErrorIs(t, err, errNoTopic)
				got, _ := r.replay(t, began.Add(-time.Second))
				require.Equal(t, []byte{1}, claimsOf(got))
				return
			}
			var late atomic.Bool
			late.Store(true)
			cluster.ControlKey(kmsg.Metadata.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
				cluster.KeepControl()
				if !late.Load() || req.GetVersion() <= metadataVersion { // franz-go asks like this
					return nil, nil, false
				}
				return lateMetadata(cluster, req.(*kmsg.MetadataRequest)), nil, true
			})
			_, err := r.partitionsOf(t.Context(), topic)
			require.ErrorIs(t, err, errTopicLags)
			visited, waited := 0, false
			require.NoError(t, r.Replay(t.Context(), began.Add(-time.Second), false, func(event.LogEntry) error {
				visited++
				return nil
			}, func(topics []event.TopicReplay) {
				if len(topics) > 0 && len(topics[0].Waiting) > 0 && strings.Contains(topics[0].Waiting[0], errTopicLags.Error()) {
					waited = true
					late.Store(false)
				}
			}, nil))
			require.True(t, waited)
			require.Equal(t, 1, visited)
		})
	}
}

// lateMetadata is the answer of a broker that does not know the topics yet.
func lateMetadata(cluster *kfake.Cluster, req *kmsg.MetadataRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	for _, t := range req.Topics {
		one := kmsg.NewMetadataResponseTopic()
		one.Topic, one.ErrorCode = t.Topic, kerr.UnknownTopicOrPartition.Code
		resp.Topics = append(resp.Topics, one)
	}
	resp.ControllerID = 0
	for id, addr := range cluster.ListenAddrs() {
		resp.Brokers = append(resp.Brokers, brokerAt(int32(id), addr))
	}
	return resp
}

func brokerAt(id int32, addr string) kmsg.MetadataResponseBroker {
	b := kmsg.NewMetadataResponseBroker()
	host, port, _ := net.SplitHostPort(addr)
	number, _ := strconv.Atoi(port)
	b.NodeID, b.Host, b.Port = id, host, int32(number)
	return b
}

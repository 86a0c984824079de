package publish

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
)

// unreadable makes a partition of the topic "bad" unreadable until the function that it
// returns is called.
type unreadable func(t *testing.T, cluster *kfake.Cluster) (repair func())

// leaderless answers every fetch of the topic as a broker does that does not lead it.
func leaderless(_ *testing.T, cluster *kfake.Cluster) (repair func()) {
	var repaired atomic.Bool
	cluster.ControlKey(kmsg.Fetch.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := req.(*kmsg.FetchRequest)
		if repaired.Load() || len(asked.Topics) == 0 || asked.Topics[0].Topic != "bad" {
			return nil, nil, false
		}
		resp := asked.ResponseKind().(*kmsg.FetchResponse)
		topic, part := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		topic.Topic, part.ErrorCode = "bad", kerr.NotLeaderForPartition.Code
		topic.Partitions = append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	return func() { repaired.Store(true) }
}

// hungTransaction writes a record in a transaction that is left open.
func hungTransaction(t *testing.T, cluster *kfake.Cluster) (repair func()) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.TransactionalID("hangs"), kgo.DefaultProduceTopic("bad"))
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	require.NoError(t, cl.BeginTransaction())
	require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte("hangs")}).FirstErr())
	return func() { require.NoError(t, cl.EndTransaction(t.Context(), kgo.TryAbort)) }
}

// A partition that cannot be read is named and waited for, while all others are read.
func TestUnreadablePartition(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		breaks    unreadable
		client    option
		wantCause string
	}{
		"no leader":                    {leaderless, func(*Config) {}, "bad[0]: NOT_LEADER_FOR_PARTITION"},
		"open transaction":             {hungTransaction, func(*Config) {}, "bad[0]: a transaction is open since offset 1"},
		"open transaction, librdkafka": {hungTransaction, func(c *Config) { c.Client = "librdkafka" }, "bad[0]: a transaction is open since offset 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := startKafka(t, kfake.SeedTopics(1, "bad", "good"))
			r := start(t, cluster.ListenAddrs(), []string{"bad", "good"}, tt.client)
			var log safeBuffer
			r.Reader.logger, r.patience = slog.New(slog.NewJSONHandler(&log, nil)), time.Millisecond
			began := time.Now()
			for i, topic := range []string{"bad", "good"} {
				_ = r.place(t, topic, nil)
				rig := recoveryRig{r, topic}
				rig.write(t, rig.claimed(byte(1+i), 0))
			}
			repair := tt.breaks(t, cluster)
			var visited atomic.Int32
			repaired := false
			var last []event.TopicReplay
			require.NoError(t, r.Replay(t.Context(), began.Add(-time.Second), false, func(event.LogEntry) error {
				visited.Add(1)
				return nil
			}, func(topics []event.TopicReplay) {
				last = topics
				if repaired || len(topics) < 2 || !topics[1].Done || !strings.Contains(log.String(), tt.wantCause) {
					return
				}
				require.False(t, topics[0].Done)
				require.Len(t, topics[0].Waiting, 1)
				require.Contains(t, topics[0].Waiting[0], tt.wantCause)
				require.Empty(t, topics[1].Waiting)
				repaired = true
				repair()
			}, nil))
			require.True(t, repaired)
			require.EqualValues(t, 2, visited.Load())
			require.Equal(t, []string{"bad", "good"}, []string{last[0].Topic, last[1].Topic})
			for _, topic := range last {
				require.True(t, topic.Done)
				require.Empty(t, topic.Waiting)
				require.Equal(t, topic.Total, topic.Read)
			}
		})
	}
}

// The error of a visit ends the replay.
func TestReplayEndsWithItsVisitor(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(3, "t"))
	r := recoveryRig{start(t, cluster.ListenAddrs(), []string{"t"}), "t"}
	_ = r.place(t, "t", nil)
	began := time.Now()
	for id := byte(1); id <= 9; id++ {
		r.write(t, r.claimed(id, int32(id%3)))
	}
	err := r.Replay(t.Context(), began.Add(-time.Second), false, func(event.LogEntry) error { return errStop }, func([]event.TopicReplay) {}, nil)
	require.ErrorIs(t, err, errStop)
}

// safeBuffer is a buffer for several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
)

// recoveryRig is a producer and a topic of three partitions.
type recoveryRig struct {
	running
	topic string
}

func (r recoveryRig) claimed(id byte, number int32) event.Record {
	key := fmt.Sprintf("o-%d", id)
	return event.Record{
		Placement: event.Placement{Topic: r.topic, Partition: number, Owner: r.current().id},
		Key:       []byte(key), Value: []byte("{}"), Timestamp: time.Now(),
		Headers: event.NewHeaders(&event.Definition{Type: "t", Version: "v1"},
			event.Attributes{ID: "e-" + key, Source: "/s", Time: "2026-01-01T00:00:00Z"}, "application/json", "",
			&event.Claim{ID: claimOf(id), Fingerprint: event.Fingerprint{id}}),
	}
}

func claimOf(id byte) event.ClaimID { return event.ClaimID{id, 1, 2, 3} }

// prior is the claim of an attempt whose lease is over since a while.
func (r recoveryRig) prior(from time.Time, partitions ...int32) event.AbandonedClaim {
	return event.AbandonedClaim{
		Owner: r.current().id, Topic: r.topic, Partitions: partitions, From: from, LeaseEnded: time.Now().Add(-2 * leaseMargin),
	}
}

func (r recoveryRig) write(t *testing.T, rec event.Record) event.Receipt {
	t.Helper()
	at, err := r.Publish(t.Context(), rec)
	require.NoError(t, err)
	return event.ReceiptOf(rec, at)
}

// replay returns what a replay visited, and its last report.
func (r running) replay(t *testing.T, from time.Time) (got map[event.ClaimID]event.LogEntry, last []event.TopicReplay) {
	t.Helper()
	var mu sync.Mutex
	got = map[event.ClaimID]event.LogEntry{}
	require.NoError(t, r.Replay(t.Context(), from, false, func(e event.LogEntry) error {
		mu.Lock()
		defer mu.Unlock()
		got[e.Claim] = e
		return nil
	}, func(topics []event.TopicReplay) { last = topics }, nil))
	return got, last
}

// testRecovery is what the recovery read has to do on any Kafka.
func testRecovery(t *testing.T, r recoveryRig) {
	began := time.Now()
	_ = r.place(t, r.topic, nil)
	want := map[byte]event.Receipt{}
	for id := byte(1); id <= 30; id++ {
		want[id] = r.write(t, r.claimed(id, int32(id%3)))
	}
	keyless := r.claimed(99, 0)
	keyless.Key = nil
	want[99] = r.write(t, keyless)

	t.Run("found, with the first receipt", func(t *testing.T) {
		var wg sync.WaitGroup
		for id := byte(1); id <= 30; id++ { // at once: they share reads
			wg.Go(func() {
				receipt, found, err := r.Find(context.Background(), claimOf(id), r.prior(began, int32(id%3)))
				assert.True(t, found, "%v", err)
				assert.Equal(t, want[id], receipt)
			})
		}
		requireEnds(t, "30 receipts", wg.Wait)
		receipt, found, err := r.Find(t.Context(), claimOf(99), r.prior(began, 0))
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, want[99], receipt)
	})
	t.Run("in any of its partitions", func(t *testing.T) {
		receipt, found, err := r.Find(t.Context(), claimOf(2), r.prior(began, 0, 1, 2))
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, want[2], receipt)
	})
	t.Run("absent", func(t *testing.T) {
		for _, partitions := range [][]int32{{0}, {0, 1, 2}} {
			_, found, err := r.Find(t.Context(), claimOf(200), r.prior(began, partitions...))
			require.NoError(t, err)
			require.False(t, found)
		}
	})
	t.Run("younger than everything", func(t *testing.T) {
		_, found, err := r.Find(t.Context(), claimOf(1), r.prior(time.Now().Add(time.Hour), 1))
		require.NoError(t, err)
		require.False(t, found)
	})
	t.Run("replay", func(t *testing.T) {
		got, last := r.replay(t, began.Add(-time.Second))
		require.True(t, last[len(last)-1].Done)
		require.Equal(t, last[len(last)-1].Total, last[len(last)-1].Read)
		require.Len(t, got, len(want))
		for id, receipt := range want {
			e := got[claimOf(id)]
			require.Equal(t, receipt, e.Receipt)
			require.Equal(t, event.Fingerprint{id}, e.Fingerprint)
			require.WithinDuration(t, began, e.Timestamp, patience)
		}
	})
	t.Run("a gone partition decides nothing", func(t *testing.T) {
		_, found, err := r.Find(t.Context(), claimOf(1), r.prior(began, 7))
		require.False(t, found)
		requireError(t, err, event.OutcomeUnknown, event.Unknown)
	})
	t.Run("a waiting caller gives up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := r.Find(ctx, claimOf(1), r.prior(began, 1))
		requireError(t, err, event.OutcomeUnknown, event.Unknown)
	})
	t.Run("too early", func(t *testing.T) {
		prior := r.prior(began, 1)
		prior.LeaseEnded = time.Now().Add(5 * time.Second)
		_, _, err := r.Find(t.Context(), claimOf(201), prior)
		require.Positive(t, requireError(t, err, event.OutcomeUnknown, event.Unknown).RetryAfter)
	})
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	topic := "t-" + uuid.NewString()
	cluster := startKafka(t, kfake.SeedTopics(3, topic))
	testRecovery(t, recoveryRig{start(t, cluster.ListenAddrs(), []string{topic}), topic})
}

// How far the high watermark may be behind is a matter of replicas.
func TestWhenTheLogCanTell(t *testing.T) {
	t.Parallel()
	const lag = 4 * time.Second
	ended := time.Now()
	quiet := lag + lag/2 + quietMargin
	tests := []struct {
		name string
		r    replication
		now  time.Duration // after the lease's end
		want time.Duration
	}{
		{"lease barely over", replication{replicas: 1, inSync: 1}, 0, leaseMargin},
		{"one replica", replication{replicas: 1, inSync: 1}, leaseMargin, 0},
		{"followers may lag", replication{replicas: 3, inSync: 3, minInSync: 2, lag: lag}, leaseMargin, quiet - leaseMargin},
		{"followers have had their time", replication{replicas: 3, inSync: 2, minInSync: 2, lag: lag}, quiet, 0},
		{"too few in sync", replication{replicas: 3, inSync: 1, minInSync: 2, lag: lag}, time.Hour, defaultRetry},
		{"too few in sync, for all that is known", replication{replicas: 3, inSync: 2, lag: lag}, time.Hour, defaultRetry},
		{"a record sent later is acknowledged", replication{replicas: 3, inSync: 3, minInSync: 2, lag: lag, ackedAt: ended.Add(1)}, leaseMargin, 0},
		{"a record sent before does not prove it", replication{replicas: 3, inSync: 3, minInSync: 2, lag: lag, ackedAt: ended}, leaseMargin, quiet - leaseMargin},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, max(0, tt.r.left(ended, ended.Add(tt.now))))
		})
	}
}

// librdkafka reports no error when a question for offsets breaks off; nothing may be
// concluded from its answer.
func TestRecoveryNeedsAnAnswer(t *testing.T) {
	t.Parallel()
	for name, answered := range map[string]int{"the end is not known": 0, "the beginning is not known": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := startKafka(t, kfake.SeedTopics(1, "t"))
			r := recoveryRig{start(t, cluster.ListenAddrs(), []string{"t"}), "t"}
			began := time.Now()
			_ = r.place(t, "t", nil)
			want := r.write(t, r.claimed(1, 0))
			var asked atomic.Int32
			cluster.ControlKey(kmsg.ListOffsets.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
				cluster.KeepControl()
				if int(asked.Add(1)) <= answered {
					return nil, nil, false
				}
				return nil, errors.New("connection closed"), true
			})
			_, found, err := r.Find(t.Context(), claimOf(1), r.prior(began, 0))
			require.False(t, found)
			requireError(t, err, event.OutcomeUnknown, event.Unknown)
			require.ErrorContains(t, err, "no answer")

			asked.Store(-1000)
			receipt, found, err := r.Find(t.Context(), claimOf(1), r.prior(began, 0))
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, want, receipt)
		})
	}
}

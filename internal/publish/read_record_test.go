package publish

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventgateway/internal/event"
)

func keep(r event.Receipt) event.KeptReceipt { return event.KeepReceipt(r, r.AppendJSON(nil)) }

func TestReadRecord(t *testing.T) {
	t.Parallel()
	name, other := uuid.NewString(), uuid.NewString()
	cluster := startKafka(t, kfake.SeedTopics(3, name, other))
	testRead(t, recoveryRig{start(t, cluster.ListenAddrs(), []string{name}), name},
		recoveryRig{start(t, cluster.ListenAddrs(), []string{other}), other})
}

// testRead is what reading receipts has to do on any Kafka. The other gateway has another
// topic.
func testRead(t *testing.T, r, other recoveryRig) {
	_ = r.place(t, r.topic, nil)
	want := map[byte]event.Receipt{}
	for id := byte(1); id <= 30; id++ {
		want[id] = r.write(t, r.claimed(id, int32(id%3)))
	}
	t.Run("the first receipt", func(t *testing.T) {
		var reading sync.WaitGroup
		for id := byte(1); id <= 30; id++ { // at once: they share reads
			reading.Go(func() {
				receipt, err := r.Read(t.Context(), claimOf(id), keep(want[id]))
				assert.Equal(t, want[id], receipt, "%v", err)
			})
		}
		requireEnds(t, "30 receipts", reading.Wait)
	})
	t.Run("of a topic that no event type names now", func(t *testing.T) {
		_ = other.place(t, other.topic, nil)
		receipt := other.write(t, other.claimed(1, 2))
		got, err := r.Read(t.Context(), claimOf(1), keep(receipt))
		require.NoError(t, err)
		require.Equal(t, receipt, got)
	})
	t.Run("another event is there", func(t *testing.T) {
		_, err := r.Read(t.Context(), claimOf(2), keep(want[1]))
		require.ErrorIs(t, err, errNotThere)
	})
	t.Run("no such topic", func(t *testing.T) {
		gone := want[1]
		gone.Topic = "gone"
		_, err := r.Read(t.Context(), claimOf(1), keep(gone))
		require.ErrorIs(t, err, errNotThere)
	})
	t.Run("no such offset", func(t *testing.T) {
		gone := want[1]
		gone.Offset = 1 << 40
		began := time.Now()
		_, err := r.Read(t.Context(), claimOf(1), keep(gone))
		require.Error(t, err)
		require.Less(t, time.Since(began), recoveryLimit)
	})
}

//go:build integration

package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
)

// TestRestartUnansweredDoubles: the fault doubles the records of a producer that sends
// again under a new epoch what a restarted broker does not recognise, as franz-go does by
// default; and none of one that stops instead. Else it would prove nothing about a
// gateway.
func TestRestartUnansweredDoubles(t *testing.T) {
	o := Defaults()
	o.Out = t.Output()
	k, err := startKafka(t.Context(), &o, t.TempDir())
	t.Cleanup(k.close)
	require.NoError(t, err)
	require.NoError(t, k.createTopics(t.Context(), &o))
	w := &world{opts: &o, kafka: k}
	for n := range uint64(2) { // killed, stopped
		require.Positive(t, doubledBy(t, w, n, "goes-on"))
		require.Zero(t, doubledBy(t, w, n, "stops", kgo.StopProducerOnDataLossDetected()))
	}
}

// doubledBy produces through one restart, and counts the values that the log has twice.
// All records go to one partition, so that several batches of it are unanswered: the last
// one of each partition is still known to the broker.
func doubledBy(t *testing.T, w *world, seed uint64, name string, opts ...kgo.Opt) int {
	t.Helper()
	client, err := kgo.NewClient(append(opts,
		kgo.SeedBrokers(w.kafka.through(0)...), kgo.DefaultProduceTopic(ordersTopic), kgo.ProducerLinger(0),
		kgo.MetadataMinAge(100*time.Millisecond), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	defer client.Close()
	produce := func(i int) { // what fails may be in the log or not
		client.Produce(context.Background(), &kgo.Record{Value: fmt.Appendf(nil, "%s-%d-%d", name, seed, i)}, nil)
	}
	produce(0)
	require.NoError(t, client.Flush(t.Context()))
	producing, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; backoff.Sleep(producing, 2*time.Millisecond); i++ {
			produce(i)
		}
	}()
	require.True(t, backoff.Sleep(t.Context(), 300*time.Millisecond))
	f, err := restartUnanswered(t.Context(), w, rand.New(rand.NewPCG(seed, 0)))
	require.NoError(t, err)
	require.NoError(t, f.heal(t.Context()))
	stop()
	<-done
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_ = client.Flush(ctx) // a client that has stopped has nothing left
	log, err := readLog(t.Context(), w.opts, joinAddrs(w.kafka.direct()), ordersTopic)
	require.NoError(t, err)
	times, doubled := map[string]int{}, 0
	for _, r := range log {
		if !strings.HasPrefix(r.Value, fmt.Sprintf("%s-%d-", name, seed)) {
			continue // an earlier producer's
		}
		times[r.Value]++
		if times[r.Value] == 2 {
			doubled++
		}
	}
	t.Logf("%s, %s: %d doubled of %d", name, f.target, doubled, len(times))
	return doubled
}

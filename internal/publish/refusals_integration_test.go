//go:build integration

package publish

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"eventgateway/internal/event"
	"eventgateway/test/services"
)

// compactedTopic makes a topic that refuses records without a key.
func compactedTopic(tb testing.TB, brokers []string, partitions int32) string {
	tb.Helper()
	name := "test-publish-" + uuid.NewString()
	realAdmin(tb, brokers, func(ctx context.Context, adm *kadm.Client) error {
		_, err := adm.CreateTopic(ctx, partitions, 1, map[string]*string{"cleanup.policy": kadm.StringPtr("compact")}, name)
		return err
	})
	dropTopic(tb, brokers, name)
	return name
}

// After 32,767 refusals a producer's epochs are used up. It gets another id, and goes on
// (issue R2). The gateway knows that a compacted topic takes no keyless record, and
// would not send them: they are handed to the producer directly.
func TestManyRefusalsThroughOneProducer(t *testing.T) {
	t.Parallel()
	const refusals, callers = 100_000, 2 // each round trip uses up one epoch
	brokers := []string{services.Shared(t).Kafka}
	orders, refusing := realTopic(t, brokers, 1), compactedTopic(t, brokers, callers)
	p := start(t, brokers, []string{orders, refusing})
	_, err := p.publish(t, orders, "before")
	require.NoError(t, err)

	producer := p.current()
	var left, refused atomic.Int64
	left.Store(refusals)
	var wg sync.WaitGroup
	for partition := range int32(callers) {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				done, e := producer.send(event.Record{Placement: event.Placement{Topic: refusing, Partition: partition}, Value: []byte("x"), Timestamp: time.Now()})
				if e != nil {
					return
				}
				if a := <-done; a.err != nil {
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait() // for more than patience; limitTime is the bound
	require.Equal(t, int64(refusals), refused.Load())
	require.Same(t, producer, p.current(), "it was not given up")
	begun := time.Now()
	at, err := p.publish(t, orders, "after")
	require.NoError(t, err)
	require.Equal(t, int64(1), at.Offset)
	require.Less(t, time.Since(begun), 5*time.Second, "at once")
}

// With librdkafka a refusal ends the producer; the next one takes orders.
func TestRefusalEndsLibrdkafkasProducer(t *testing.T) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	orders, refusing := realTopic(t, brokers, 1), compactedTopic(t, brokers, 1)
	p := start(t, brokers, []string{orders, refusing}, func(c *Config) { c.Client = "librdkafka" })
	for n := range int64(5) {
		at, err := p.publish(t, orders, "x")
		require.NoError(t, err)
		require.Equal(t, n, at.Offset)
		producer := p.current()
		done, refused := producer.send(event.Record{Placement: event.Placement{Topic: refusing}, Value: []byte("x"), Timestamp: time.Now()})
		require.Nil(t, refused)
		require.NotNil(t, receive(t, done, "a refusal").err)
		require.Eventually(t, func() bool { return p.current() != producer }, patience, tick)
	}
}

// While the cluster's quota is used up events are refused, not lost track of: no record
// waits until it is given up (issue R9).
func TestQuotaIsBackPressure(t *testing.T) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	topic := realTopic(t, brokers, 2)
	id := "test-" + uuid.NewString()
	setQuota(t, brokers, id, 500_000)
	p := start(t, brokers, []string{topic}, func(c *Config) { c.Properties = map[string]string{"client.id": id} })
	value := make([]byte, 50_000)
	var written, refused, unknown atomic.Int64
	end := time.Now().Add(20 * time.Second)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for time.Now().Before(end) {
				place, err := p.Place(topic, []byte(uuid.NewString()), 0)
				if err == nil {
					_, err = p.Publish(context.Background(), event.Record{Placement: place, Key: []byte("k"), Value: value, Timestamp: time.Now()})
				}
				var e *event.Error
				switch {
				case err == nil:
					written.Add(1)
				case errors.As(err, &e) && e.Outcome == event.NotWritten:
					refused.Add(1)
					time.Sleep(100 * time.Millisecond)
				default:
					unknown.Add(1)
				}
			}
		})
	}
	requireEnds(t, "callers who stop after 20 seconds", wg.Wait)
	t.Logf("written %d, refused %d, unknown %d", written.Load(), refused.Load(), unknown.Load())
	require.Positive(t, written.Load())
	require.Positive(t, refused.Load())
	require.Zero(t, unknown.Load())
	require.Zero(t, p.metric(t, "gateway_kafka_given_up_total"))
}

// setQuota bounds what clients with this id may produce, in bytes a second.
func setQuota(tb testing.TB, brokers []string, clientID string, rate float64) {
	tb.Helper()
	alter := func(remove bool) {
		realAdmin(tb, brokers, func(ctx context.Context, adm *kadm.Client) error {
			_, err := adm.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{
				Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &clientID}},
				Ops:    []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: rate, Remove: remove}},
			}})
			return err
		})
	}
	alter(false)
	tb.Cleanup(func() { alter(true) })
}

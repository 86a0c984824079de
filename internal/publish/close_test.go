package publish

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventgateway/internal/event"
)

func TestCloseWaitsForRecordsUnderWay(t *testing.T) { withClients(t, testCloseWaitsForRecordsUnderWay) }

func testCloseWaitsForRecordsUnderWay(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	place := p.place(t, "t", nil)
	held := holdProduce(t, cluster)
	ended := make(chan error, 1)
	go func() {
		_, err := p.Publish(context.Background(), event.Record{Placement: place, Value: []byte("x"), Timestamp: time.Now()})
		ended <- err
	}()
	require.Eventually(t, func() bool { return p.queued() == 1 }, patience, tick)
	closed := make(chan struct{})
	go func() {
		p.Close(context.Background())
		close(closed)
	}()
	require.Eventually(t, func() bool { return p.plain().find(place.Owner) == nil }, patience, tick, "Close takes nothing more")
	held.release()
	require.NoError(t, receive(t, ended, "the record's outcome"), "what was under way is flushed")
	receive(t, closed, "Close")
	require.Equal(t, "x", string(records(t, cluster, "t", 1)[0].Value))
}

// slowToTimeOut makes the delivery timeout far longer than a test waits.
func slowToTimeOut(cfg *Config) {
	cfg.DeliveryTimeout = 5 * patience
	cfg.TransactionTimeout = cfg.DeliveryTimeout
}

func TestCloseDoesNotWaitLongerThanItMay(t *testing.T) {
	withClients(t, testCloseDoesNotWaitLongerThanItMay)
}

func testCloseDoesNotWaitLongerThanItMay(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with, slowToTimeOut)
	place := p.place(t, "t", nil)
	holdProduce(t, cluster)
	ended := make(chan error, 1)
	go func() {
		_, err := p.Publish(context.Background(), event.Record{Placement: place, Value: []byte("x"), Timestamp: time.Now()})
		ended <- err
	}()
	require.Eventually(t, func() bool { return p.queued() == 1 }, patience, tick)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	requireEnds(t, "Close, which may wait for 50 ms", func() { p.Close(ctx) })
	require.Less(t, time.Since(begun), patience, "it does not wait for the delivery timeout")
	requireError(t, receive(t, ended, "the record's outcome"), event.OutcomeUnknown, event.Unknown)
}

func TestClosedProducerRefuses(t *testing.T) { withClients(t, testClosedProducerRefuses) }

func testClosedProducerRefuses(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	place := p.place(t, "t", nil)
	for range 2 { // it is idempotent
		requireEnds(t, "Close", func() { p.Close(context.Background()) })
	}
	requireRefused(t, event.LogUnavailable, func() error {
		_, err := p.Publish(context.Background(), event.Record{Placement: place, Value: []byte("x"), Timestamp: time.Now()})
		return err
	})
	require.Error(t, p.Ping(context.Background()))
	require.Zero(t, p.queued())
	require.NoError(t, p.replace())
}

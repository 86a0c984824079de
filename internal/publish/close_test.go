package publish

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
)

// holdProduce makes the next produce request wait until release is called.
func holdProduce(t *testing.T, cluster *kfake.Cluster) (release func()) {
	t.Helper()
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	cluster.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.SleepControl(func() { <-gate })
		return nil, nil, false
	})
	return release
}

func TestCloseWaitsForRecordsUnderWay(t *testing.T) { withClients(t, testCloseWaitsForRecordsUnderWay) }

func testCloseWaitsForRecordsUnderWay(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	place := p.place(t, "t", nil)
	release := holdProduce(t, cluster)
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
	release()
	require.NoError(t, <-ended, "what was under way is flushed")
	<-closed
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
	p.Close(ctx)
	require.Less(t, time.Since(begun), patience, "it does not wait for the delivery timeout")
	requireError(t, <-ended, event.OutcomeUnknown, event.Unknown)
}

func TestClosedProducerRefuses(t *testing.T) { withClients(t, testClosedProducerRefuses) }

func testClosedProducerRefuses(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	place := p.place(t, "t", nil)
	p.Close(context.Background())
	p.Close(context.Background()) // is idempotent
	requireRefused(t, event.LogUnavailable, func() error {
		_, err := p.Publish(context.Background(), event.Record{Placement: place, Value: []byte("x"), Timestamp: time.Now()})
		return err
	})
	require.Error(t, p.Ping(context.Background()))
	require.Zero(t, p.queued())
	require.NoError(t, p.replace())
}

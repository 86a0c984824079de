package publish

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
)

func publishAt(p running, place event.Placement) error {
	_, err := p.Publish(context.Background(), event.Record{Placement: place, Value: []byte("x"), Timestamp: time.Now()})
	return err
}

// Claims that name a producer which was replaced are still served, for a while.
func TestReplacedProducerServesItsClaims(t *testing.T) {
	withClients(t, testReplacedProducerServesItsClaims)
}

func testReplacedProducerServesItsClaims(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	before := p.place(t, "t", nil)
	replaced := p.current()
	require.NoError(t, p.replace())
	after := p.place(t, "t", nil)
	require.NotEqual(t, before.Owner, after.Owner, "new claims name the new one")
	require.NoError(t, publishAt(p, before))
	require.NoError(t, publishAt(p, after))

	var err error
	require.Eventually(t, func() bool { err = publishAt(p, before); return err != nil }, drainGrace+patience, 50*time.Millisecond)
	requireError(t, err, event.LogUnavailable, event.NotWritten)
	require.Eventually(t, func() bool {
		select {
		case <-replaced.over:
			return true
		default:
			return false
		}
	}, patience, tick, "it must be closed in the end")
	require.NoError(t, publishAt(p, after))
}

func TestClaimOfAnotherProcessIsRefused(t *testing.T) {
	withClients(t, testClaimOfAnotherProcessIsRefused)
}

func testClaimOfAnotherProcessIsRefused(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	place := p.place(t, "t", nil)
	place.Owner = "i-of-another"
	requireRefused(t, event.LogUnavailable, func() error { return publishAt(p, place) })
}

func TestFatalErrorReplacesTheProducer(t *testing.T) {
	withClients(t, testFatalErrorReplacesTheProducer)
}

func testFatalErrorReplacesTheProducer(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	before := p.place(t, "t", nil)
	require.NoError(t, publishAt(p, before))
	if c, ok := p.current().client.(*librdkafkaClient); ok {
		require.Equal(t, librdkafka.ErrNoError, c.producer.kp.TestFatalError(librdkafka.ErrOutOfOrderSequenceNumber, "for a test"))
	} else {
		cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "t", Err: kerr.OutOfOrderSequenceNumber})
		requireError(t, publishAt(p, before), event.OutcomeUnknown, event.Unknown)
	}
	require.Eventually(t, func() bool { return p.current().id != before.Owner }, patience, tick)
	require.NoError(t, publishAt(p, p.place(t, "t", nil)))
	requireRefused(t, event.LogUnavailable, func() error { return publishAt(p, before) })
	require.InDelta(t, 1, p.metric(t, "gateway_kafka_producer_replacements_total"), 0)
}

func TestErrorsThatAreNotFatalReplaceNothing(t *testing.T) {
	withClients(t, testErrorsThatAreNotFatalReplaceNothing)
}

func testErrorsThatAreNotFatalReplaceNothing(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	before := p.place(t, "t", nil)
	p.onAskingError(librdkafka.NewError(librdkafka.ErrTransport, "", false))
	require.NoError(t, publishAt(p, before))
	require.Equal(t, before.Owner, p.current().id)
	_, down := p.Reached()
	require.False(t, down)
}

func TestAllBrokersDownRefusesUntilOneAnswers(t *testing.T) {
	withClients(t, testAllBrokersDownRefusesUntilOneAnswers)
}

func testAllBrokersDownRefusesUntilOneAnswers(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	before := p.place(t, "t", nil)
	p.onAskingError(librdkafka.NewError(librdkafka.ErrAllBrokersDown, "", false))
	_, down := p.Reached()
	require.True(t, down)
	requireRefused(t, event.LogUnavailable, func() error { _, err := p.Place("t", nil, 0); return err })
	// A record whose claim stands already may still go, and its acknowledgement
	// shows that Kafka is back.
	require.NoError(t, publishAt(p, before))
	_, down = p.Reached()
	require.False(t, down)
}

// idle is a producer that nobody runs.
func idle(t *testing.T) *Log {
	t.Helper()
	p, err := New(Config{Brokers: startKafka(t).ListenAddrs(), DeliveryTimeout: time.Second}, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	require.NoError(t, err)
	t.Cleanup(func() { ends(t, "Close", func() { p.Close(context.Background()) }) })
	return p
}

// A question to Kafka cannot be called back, so none may begin at the end.
func TestNothingIsAskedOnceTheContextHasEnded(t *testing.T) {
	t.Parallel()
	p := idle(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.topics.refreshSoon() // as refused requests do all the time
	p.topics.run(ctx, func(time.Time, error) { require.Fail(t, "asked") })
	p.Run(ctx)
}

// While records are acknowledged, only the client that asks is replaced.
func TestStuckQuestionsAreAskedByAnotherClient(t *testing.T) {
	t.Parallel()
	p, err := New(Config{
		Brokers: []string{"127.0.0.1:1"}, DeliveryTimeout: time.Second, InFlightLimit: 1 << 20, MaxEventBytes: 1 << 20,
	}, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	require.NoError(t, err)
	defer requireEnds(t, "Close", func() { p.Close(context.Background()) })
	p.stuck = time.Minute
	asking, writing := p.asking.Load(), running{Log: p}.current()
	silent := func(since time.Duration) {
		p.monitor.acked.Store(time.Now().UnixNano())
		p.refreshed(time.Now().Add(-since), errors.New("no broker"))
	}
	silent(p.stuck - time.Second)
	require.Same(t, asking, p.asking.Load())
	p.refreshed(time.Now(), nil)
	silent(0)
	require.Same(t, asking, p.asking.Load(), "it has answered meanwhile")
	p.refreshed(time.Now(), nil)
	silent(p.stuck + time.Second)
	require.NotSame(t, asking, p.asking.Load())
	require.Same(t, writing, running{Log: p}.current())
}

// A client to which Kafka has not answered for long is replaced, again and again.
func TestStuckClientIsReplaced(t *testing.T) {
	t.Parallel()
	p, err := New(Config{
		Brokers: []string{"127.0.0.1:1"}, DeliveryTimeout: time.Second, InFlightLimit: 1 << 20, MaxEventBytes: 1 << 20,
	}, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	require.NoError(t, err)
	p.stuck = time.Millisecond
	p.topics.refreshSoon()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	seen := map[string]bool{}
	require.Eventually(t, func() bool {
		seen[running{Log: p}.current().id] = true
		return len(seen) == 3
	}, patience, tick)
	cancel()
	requireEnds(t, "Run", wg.Wait)
	requireEnds(t, "Close", func() { p.Close(context.Background()) })
}

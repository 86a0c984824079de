package publish

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

func TestMain(m *testing.M) {
	runTogether()
	// kfake can stop for good in these functions when it is closed while a
	// control function sleeps (close_test.go): a lock is still held by the
	// control function, whose goroutine is told to end.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*Cluster).continueSleptControl"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*Cluster).runControl.func1"))
}

func startKafka(tb testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	tb.Helper()
	limitTime(tb)
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	require.NoError(tb, err)
	tb.Cleanup(cluster.Close)
	return cluster
}

// running is a Producer under test.
type running struct {
	*Log
	registry *prometheus.Registry
}

type option func(*Config)

// start runs a producer for the topics, with its own registry.
func start(tb testing.TB, brokers, topics []string, opts ...option) running {
	tb.Helper()
	limitTime(tb)
	cfg := Config{
		Brokers: brokers, DeliveryTimeout: 20 * time.Second, InFlightLimit: 16 << 20, MaxEventBytes: 900 << 10,
		Properties: map[string]string{"client.id": "test"},
	}
	for _, o := range opts {
		o(&cfg)
	}
	r := running{registry: prometheus.NewRegistry()}
	var err error
	r.Log, err = New(cfg, slog.New(slog.DiscardHandler), NewMetrics(r.registry))
	require.NoError(tb, err)
	r.SetTopics(topics)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	tb.Cleanup(func() {
		cancel()
		ends(tb, "Run after its context has ended", wg.Wait)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		ends(tb, "Close, which may wait for one second", func() { r.Close(ctx) })
	})
	return r
}

// place waits until the topic is known.
func (r running) place(tb testing.TB, topic string, key []byte) event.Placement {
	tb.Helper()
	var place event.Placement
	require.Eventually(tb, func() (ok bool) {
		var err error
		place, err = r.Place(topic, key, 0)
		return err == nil
	}, patience, tick)
	return place
}

// publish writes a record of its own to the topic.
func (r running) publish(tb testing.TB, topic, value string) (event.Position, error) {
	tb.Helper()
	return r.Publish(context.Background(), event.Record{
		Placement: r.place(tb, topic, []byte("k")), Key: []byte("k"), Value: []byte(value), Timestamp: time.Now(),
	})
}

// metric is the sum of a metric's values, over all labels.
func (r running) metric(tb testing.TB, name string) (sum float64) {
	tb.Helper()
	families, err := r.registry.Gather()
	require.NoError(tb, err)
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// requireError is the *event.Error in err, which must be of this kind and outcome.
func requireError(tb testing.TB, err error, kind event.Kind, outcome event.Outcome) *event.Error {
	tb.Helper()
	var e *event.Error
	require.ErrorAs(tb, err, &e)
	require.Equal(tb, kind, e.Kind, err)
	require.Equal(tb, outcome, e.Outcome, err)
	require.NotEmpty(tb, e.Detail)
	return e
}

// requireRefused is requireError for a call that must not wait for Kafka. The bound is
// the shortest time that it could wait, far more than a call takes on a busy machine.
func requireRefused(tb testing.TB, kind event.Kind, call func() error) {
	tb.Helper()
	begun := time.Now()
	requireError(tb, call(), kind, event.NotWritten)
	require.Less(tb, time.Since(begun), metadataTimeout)
}

// records reads n records from the beginning of a topic.
func records(tb testing.TB, cluster *kfake.Cluster, topic string, n int) []*kgo.Record {
	tb.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	require.NoError(tb, err)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var got []*kgo.Record
	for len(got) < n {
		fetches := cl.PollFetches(ctx)
		require.NoError(tb, fetches.Err())
		got = append(got, fetches.Records()...)
	}
	return got
}

// topicNames lists the topics and their numbers of partitions, without creating any.
func topicNames(tb testing.TB, cluster *kfake.Cluster) map[string]int {
	tb.Helper()
	var req kmsg.MetadataRequest // nil topics: all
	resp := ask(tb, cluster, &req).(*kmsg.MetadataResponse)
	names := map[string]int{}
	for _, t := range resp.Topics {
		names[*t.Topic] = len(t.Partitions)
	}
	return names
}

func ask(tb testing.TB, cluster *kfake.Cluster, req kmsg.Request) kmsg.Response {
	tb.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	require.NoError(tb, err)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := cl.Request(ctx, req)
	require.NoError(tb, err)
	return resp
}

// inTransactions makes the producer transactional, with ids of the test's own.
func inTransactions(tb testing.TB, yes bool) option {
	tb.Helper()
	return func(c *Config) {
		c.Transactional, c.TransactionalIDPrefix, c.TransactionTimeout = yes, "test-"+uuid.NewString(), 25*time.Second
	}
}

// pool is the backend in transactional mode, nil in the other.
func (r running) pool() *txPool {
	pool, _ := r.backend.(*txPool)
	return pool
}

// awaitPool waits until every transactional producer is ready.
func awaitPool(tb testing.TB, p running) {
	tb.Helper()
	pool := p.pool()
	if pool == nil {
		return
	}
	require.Eventually(tb, func() bool {
		for i := range pool.slots {
			if t := pool.slots[i].current.Load(); t == nil || !t.open() {
				return false
			}
		}
		return true
	}, patience, tick)
}

// plain is the backend without transactions: that of the registry in transactional mode.
func (r running) plain() *idempotent {
	if pool := r.pool(); pool != nil {
		return pool.plain
	}
	return r.backend.(*idempotent)
}

// current is the incarnation that writes to topics with usual limits.
func (r running) current() *incarnation { return r.plain().slots[firstShared].active.Load() }

// replace replaces that incarnation.
func (r running) replace() error {
	return r.plain().replaceIncarnation(r.plain().slots[firstShared], "test")
}

// withClients is a whole test, beside others: it runs test with each client. What a caller
// sees is the same.
func withClients(t *testing.T, test func(t *testing.T, with option)) {
	t.Helper()
	t.Parallel()
	forClients(t, test)
}

// forClients is withClients for a part of a test.
func forClients(t *testing.T, test func(t *testing.T, with option)) {
	t.Helper()
	for _, name := range []kafka.ClientName{kafka.ClientFranz, kafka.ClientLibrdkafka} {
		t.Run(string(name), func(t *testing.T) { test(t, func(c *Config) { c.Client = name }) })
	}
}

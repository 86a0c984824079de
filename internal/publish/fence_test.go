package publish

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
)

// registered reads the ids in the registry, as any consumer would.
func registered(tb testing.TB, cluster *kfake.Cluster, p running) []string {
	tb.Helper()
	return registeredAt(tb, cluster.ListenAddrs(), p)
}

func registeredAt(tb testing.TB, brokers []string, p running) []string {
	tb.Helper()
	ids := map[string]bool{}
	for _, r := range committedRecords(tb, brokers, p.pool().registry.topic) {
		ids[string(r.Key)] = r.Value != nil
	}
	var present []string
	for id, there := range ids {
		if there {
			present = append(present, id)
		}
	}
	slices.Sort(present)
	return present
}

func (r running) poolIDs() (ids []string) {
	pool := r.pool()
	for i := range pool.slots {
		ids = append(ids, pool.slots[i].current.Load().id)
	}
	slices.Sort(ids)
	return ids
}

func TestProducersAreRegistered(t *testing.T) { withClients(t, testProducersAreRegistered) }

func testProducersAreRegistered(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := transactional(t, cluster, []string{"t"}, with)
	require.Len(t, p.poolIDs(), poolSize)
	require.Equal(t, p.poolIDs(), registered(t, cluster, p))
	listed, err := p.pool().registry.list(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, p.poolIDs(), slices.Collect(maps.Keys(listed)))
}

func TestNothingIsReadyWithoutTheRegistry(t *testing.T) {
	withClients(t, testNothingIsReadyWithoutTheRegistry)
}

func testNothingIsReadyWithoutTheRegistry(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	cluster.ControlKey(kmsg.CreateTopics.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		topic := kmsg.NewCreateTopicsResponseTopic()
		topic.Topic, topic.ErrorCode = req.(*kmsg.CreateTopicsRequest).Topics[0].Topic, kerr.TopicAuthorizationFailed.Code
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	p := start(t, cluster.ListenAddrs(), []string{"t"}, inTransactions(t, true), with)
	require.Eventually(t, func() bool { return p.metric(t, "gateway_kafka_transactional_starts_total") > 0 }, patience, tick)
	require.False(t, p.Complete())
	requireRefused(t, event.LogUnavailable, func() error { _, err := p.Place("t", nil, 0); return err })
	require.Error(t, p.Ping(t.Context()))
	require.Error(t, p.fenceAll(t.Context(), nil))
}

func TestFencedProducerIsReplaced(t *testing.T) { withClients(t, testFencedProducerIsReplaced) }

func testFencedProducerIsReplaced(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := transactional(t, cluster, []string{"t"}, with)
	other := transactional(t, cluster, []string{"t"}, with)
	owner := p.place(t, "t", nil).Owner
	require.NoError(t, p.write("t", 0, owner, "before"))
	require.NoError(t, other.fence(t.Context(), owner))
	requireError(t, p.write("t", 0, owner, "fenced"), event.OutcomeUnknown, event.Unknown)
	p.requireGoesOn(t, "t", "after", owner)
	require.Equal(t, []string{"before", "after"}, committed(t, cluster.ListenAddrs(), "t"))
	require.NotContains(t, registered(t, cluster, p), owner)
}

func TestOwnProducerHasASuccessorBeforeItIsFenced(t *testing.T) {
	withClients(t, testOwnProducerHasASuccessorBeforeItIsFenced)
}

func testOwnProducerHasASuccessorBeforeItIsFenced(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := transactional(t, cluster, []string{"t"}, with)
	before := p.place(t, "t", nil)
	require.NoError(t, p.fence(t.Context(), before.Owner))
	after, err := p.Place("t", nil, 0)
	require.NoError(t, err, "never without a producer")
	require.NotEqual(t, before.Owner, after.Owner)
	requireError(t, p.write("t", 0, before.Owner, "x"), event.LogUnavailable, event.NotWritten)
	require.NoError(t, p.write("t", 0, after.Owner, "y"))
	require.NoError(t, p.fence(t.Context(), before.Owner), "it is remembered")
	require.InDelta(t, 1, p.metric(t, "gateway_kafka_fences_total"), 0)
}

func TestFenceAllReplacesEveryProducer(t *testing.T) {
	withClients(t, testFenceAllReplacesEveryProducer)
}

func testFenceAllReplacesEveryProducer(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := transactional(t, cluster, []string{"t"}, with)
	other := transactional(t, cluster, []string{"t"}, with, func(c *Config) { c.TransactionalIDPrefix = p.cfg.TransactionalIDPrefix })
	before := append(p.poolIDs(), other.poolIDs()...)
	require.NoError(t, p.fenceAll(t.Context(), nil))
	for _, id := range other.poolIDs() {
		_ = other.write("t", 0, id, "x") // finds out that it is fenced
	}
	awaitPool(t, p)
	awaitPool(t, other)
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(registered(t, cluster, p), func(id string) bool { return slices.Contains(before, id) })
	}, patience, tick)
	p.requireGoesOn(t, "t", "y", "")
	other.requireGoesOn(t, "t", "z", "")
	require.Equal(t, []string{"y", "z"}, committed(t, cluster.ListenAddrs(), "t"))
}

func TestIdempotentProducersAreNotFenced(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	require.ErrorIs(t, transactional(t, cluster, []string{"t"}).fence(t.Context(), "i-1"), errNotTransactional)
	p := start(t, cluster.ListenAddrs(), []string{"t"})
	require.ErrorIs(t, p.fence(t.Context(), "x"), errNotTransactional)
	require.ErrorIs(t, p.fenceAll(t.Context(), nil), errNotTransactional)
}

func TestFenceThatFailsChangesNothing(t *testing.T) { withClients(t, testFenceThatFailsChangesNothing) }

func testFenceThatFailsChangesNothing(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := transactional(t, cluster, []string{"t"}, with)
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.TransactionalIDAuthorizationFailed, Count: -1})
	require.Error(t, p.fence(t.Context(), "another"))
	fault.Remove()
	require.NoError(t, p.fence(t.Context(), "another"), "a failed fence is not remembered")
}

func TestFencesAreShared(t *testing.T) {
	t.Parallel()
	f := newFences()
	gate := make(chan struct{})
	var calls, cleaned int
	work := func() error { calls++; <-gate; return nil }
	var waits sync.WaitGroup
	for range 5 {
		one := f.join("id", work, func() { cleaned++ })
		waits.Go(func() { <-one.done })
	}
	close(gate)
	requireEnds(t, "those who share a fence", waits.Wait)
	requireEnds(t, "the fence", f.wg.Wait)
	require.Equal(t, 1, calls)
	require.Equal(t, 1, cleaned)
	require.Nil(t, f.join("id", work, nil))

	failure := errors.New("no")
	one := f.join("other", func() error { return failure }, nil)
	receive(t, one.done, "the fence that fails")
	require.Equal(t, failure, one.err)
	requireEnds(t, "the fence that fails", f.wg.Wait)
	require.NotNil(t, f.join("other", func() error { return nil }, func() {}))
	f.close()
	require.Equal(t, errClosed, f.join("third", nil, nil).err)
}

func TestFencesRememberAFew(t *testing.T) {
	t.Parallel()
	f := newFences()
	for i := range fencesRemembered + 10 {
		f.remember(string(rune(i)))
	}
	require.Len(t, f.done, fencesRemembered)
	require.Len(t, f.order, fencesRemembered)
	require.False(t, f.done[string(rune(0))])
}

// Close during a start leaves nothing behind (goleak) and takes no time.
func TestCloseWhileProducersStart(t *testing.T) {
	t.Parallel()
	cfg := Config{Brokers: []string{"127.0.0.1:1"}, DeliveryTimeout: time.Second}
	inTransactions(t, true)(&cfg)
	p, err := New(cfg, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	requireEnds(t, "Close", func() { p.Close(t.Context()) })
	cancel()
	requireEnds(t, "Run", wg.Wait)
}

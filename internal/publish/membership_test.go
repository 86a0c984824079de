package publish

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
)

// asGateway registers the process, with leases that make renewals frequent.
func asGateway(c *Config) {
	c.Registered, c.Window, c.Lease = true, time.Hour, 3*time.Second
	if c.TransactionalIDPrefix == "" {
		c.TransactionalIDPrefix = "gw"
	}
}

// gateway starts a process that is registered.
func gateway(t *testing.T, brokers []string, opts ...option) running {
	t.Helper()
	p := start(t, brokers, nil, append([]option{asGateway}, opts...)...)
	p.awaitConfirmed(t, time.Time{})
	return p
}

// awaitConfirmed waits until something after a time is confirmed.
func (r running) awaitConfirmed(t *testing.T, after time.Time) event.Generation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.True(t, backoff.Poll(ctx, tick, func() bool {
		_, at := r.membership.Confirmed()
		return at.After(after)
	}))
	g, _ := r.membership.Confirmed()
	return g
}

func idsOf(gateways []event.Gateway) (ids []string) {
	for _, g := range gateways {
		ids = append(ids, g.ID)
	}
	return ids
}

func TestGatewaysSeeEachOther(t *testing.T) { withClients(t, testGatewaysSeeEachOther) }

func testGatewaysSeeEachOther(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t)
	began := time.Now()
	first, second := gateway(t, cluster.ListenAddrs(), with), gateway(t, cluster.ListenAddrs(), with)
	a, b := first.membership, second.membership
	g, at := a.Confirmed()
	require.Zero(t, g.Number)
	require.True(t, at.After(began))
	require.NoError(t, a.Err())
	both := []string{a.Self(), b.Self()}
	all, err := a.Registered(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, both, idsOf(all))
	require.WithinDuration(t, time.Now(), all[0].Renewed, patience)

	raised, all, err := a.Raise(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, raised.Number)
	require.ElementsMatch(t, both, idsOf(all))
	receive(t, b.Changed(), "the other's generation")
	g, _ = b.Confirmed()
	require.Equal(t, raised, g)
	next, ok := b.Next(0)
	require.True(t, ok)
	require.Equal(t, raised, next)
	_, ok = b.Next(1)
	require.False(t, ok)

	late := gateway(t, cluster.ListenAddrs(), with)
	g, _ = late.membership.Confirmed()
	require.Equal(t, raised, g, "confirmed only after it was read")
}

// Of several processes that raise at once, each gets a generation of its own, and all
// know the same ones.
func TestGenerationsRaisedAtOnce(t *testing.T) { withClients(t, testGenerationsRaisedAtOnce) }

func testGenerationsRaisedAtOnce(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t)
	var all []running
	for range 3 {
		all = append(all, gateway(t, cluster.ListenAddrs(), with))
	}
	const each = 3
	var mu sync.Mutex
	raised := map[uint64]event.Generation{}
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(func() {
			for range each {
				g, _, err := p.membership.Raise(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				raised[g.Number] = g
				mu.Unlock()
			}
		})
	}
	requireEnds(t, "generations to be raised", wg.Wait)
	require.Len(t, raised, len(all)*each)
	for _, p := range append(all, gateway(t, cluster.ListenAddrs(), with)) {
		p.awaitConfirmed(t, time.Now())
		for number, g := range raised {
			got, ok := p.membership.Next(number - 1)
			require.True(t, ok)
			require.Equal(t, g, got)
		}
	}
}

// The first record with a number counts, for every reader, also after compaction.
func TestFirstGenerationWithANumberCounts(t *testing.T) {
	t.Parallel()
	at := time.Now().UTC()
	value := func(process string, raised time.Time) []byte {
		return mustJSON(t, generationValue{Process: process, Raised: raised})
	}
	m := newMembers()
	m.apply("generation/1/a", value("a", at))
	m.apply("generation/1/b", value("b", at.Add(time.Second)))
	m.apply("generation/2/b", value("b", at.Add(2*time.Second)))
	m.apply("generation/1/c", value("c", at.Add(-time.Second))) // was under way for long
	require.EqualValues(t, 2, m.current().Number)
	require.Equal(t, event.Generation{Number: 1, Raised: at}, m.generations[1].Generation)
	m.apply("generation/4/a", value("a", at.Add(3*time.Second))) // the topic was created anew
	require.EqualValues(t, 4, m.current().Number)
	m.apply("foreign", []byte("x"))
	m.apply("generation/x", []byte("x"))
	m.apply("generation/9", []byte("x"))

	now := at.Add(2500 * time.Millisecond)
	keys := m.outdated(now)
	require.Equal(t, []string{"generation/1/b", "generation/1/c", "generation/1/a", "generation/2/b"}, keys, "what counts, last")
	for _, key := range keys {
		m.apply(key, nil)
	}
	require.Equal(t, []string{}, append([]string{}, m.outdated(now.Add(time.Hour))...), "never the newest")
	require.EqualValues(t, 4, m.current().Number)
}

// Whoever is renewed while it is being forgotten stays registered.
func TestForgettingSparesTheRenewed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	renewal := func(n uint64) []byte { return mustJSON(t, gatewayValue{Renewed: now, Renewal: n}) }
	m := newMembers()
	m.apply("gateway/a", renewal(1))
	m.apply("gateway/a", renewal(3))
	m.apply("gateway/a", renewal(2)) // overtaken
	m.apply("over/a", mustJSON(t, overValue{Renewal: 2}))
	require.Equal(t, []string{"a"}, idsOf(m.registered()))
	m.apply("over/a", mustJSON(t, overValue{Renewal: 3}))
	require.Empty(t, m.registered())
	m.apply("gateway/a", renewal(4))
	require.Equal(t, []string{"a"}, idsOf(m.registered()))
	require.Empty(t, m.outdated(now.Add(-time.Hour)))
	require.Equal(t, []string{"gateway/a", "over/a"}, m.outdated(now.Add(time.Hour)))
	m.apply("gateway/a", nil)
	require.Empty(t, m.registered())
	require.Equal(t, []string{"over/a"}, m.outdated(now.Add(-time.Hour)))
	m.apply("over/a", nil)
	require.Empty(t, m.gateways)
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return text
}

func TestForgottenAndLeft(t *testing.T) { withClients(t, testForgottenAndLeft) }

func testForgottenAndLeft(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t)
	p := gateway(t, cluster.ListenAddrs(), with)
	m := p.membership
	const other = "somebody"
	require.NoError(t, m.write(t.Context(), gatewayKey+other, gatewayValue{Renewal: 7, Renewed: time.Now()}))
	_, all, err := m.Raise(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{m.Self(), other}, idsOf(all))

	require.NoError(t, m.write(t.Context(), gatewayKey+other, gatewayValue{Renewal: 8, Renewed: time.Now()}))
	require.NoError(t, m.Forget(t.Context(), []string{other, m.Self(), "unknown"}))
	all, err = m.Registered(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{m.Self(), other}, idsOf(all), "renewed since the raise")

	_, _, err = m.Raise(t.Context())
	require.NoError(t, err)
	require.NoError(t, m.Forget(t.Context(), []string{other}))
	all, err = m.Registered(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{m.Self()}, idsOf(all))

	watcher := gateway(t, cluster.ListenAddrs(), with)
	require.NoError(t, m.Leave(t.Context()))
	all, err = watcher.membership.Registered(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{watcher.membership.Self()}, idsOf(all))
	_, _, err = m.Raise(t.Context())
	require.ErrorIs(t, err, errLeft)
}

// A registration that somebody deleted is written again at once.
func TestDeletedRegistrationIsRenewed(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	p := gateway(t, cluster.ListenAddrs(), func(c *Config) { c.Lease = time.Hour })
	other := gateway(t, cluster.ListenAddrs())
	require.NoError(t, other.membership.write(t.Context(), gatewayKey+p.membership.Self(), nil))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.True(t, backoff.Poll(ctx, tick, func() bool {
		all, err := other.membership.Registered(ctx)
		return err == nil && len(all) == 2
	}))
}

func TestOutdatedRecordsAreDeleted(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	p := gateway(t, cluster.ListenAddrs())
	m := p.membership
	long := time.Now().Add(-3 * m.window)
	for n := range uint64(3) {
		key := generationKey + strconv.FormatUint(n+1, 10) + "/x"
		require.NoError(t, m.write(t.Context(), key, generationValue{Raised: long}))
	}
	require.NoError(t, m.write(t.Context(), gatewayKey+"old", gatewayValue{Renewal: 1, Renewed: long}))
	require.NoError(t, m.sync(t.Context()))
	require.NoError(t, m.sweep(t.Context()))
	fresh := gateway(t, cluster.ListenAddrs())
	g, _ := fresh.membership.Confirmed()
	require.EqualValues(t, 3, g.Number)
	_, ok := fresh.membership.Next(0)
	require.False(t, ok)
	all, err := fresh.membership.Registered(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{m.Self(), fresh.membership.Self()}, idsOf(all))
}

// A gateway that may not create the topic is not registered, says what is missing, and
// registers itself as soon as it can.
func TestTopicOfGatewaysCannotBeCreated(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	var mu sync.Mutex
	allowed := false
	cluster.ControlKey(kmsg.CreateTopics.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		if allowed {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		topic := kmsg.NewCreateTopicsResponseTopic()
		topic.Topic, topic.ErrorCode = req.(*kmsg.CreateTopicsRequest).Topics[0].Topic, kerr.TopicAuthorizationFailed.Code
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	p := start(t, cluster.ListenAddrs(), nil, asGateway)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.True(t, backoff.Poll(ctx, tick, func() bool { return NotAllowed(p.membership.Err()) }))
	require.ErrorContains(t, p.membership.Err(), "gw-gateways, which the registry of gateways needs")
	_, at := p.membership.Confirmed()
	require.Zero(t, at)
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	_, _, err := p.membership.Raise(short)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	mu.Lock()
	allowed = true
	mu.Unlock()
	p.awaitConfirmed(t, time.Time{})
	require.NoError(t, p.membership.Err())
}

// Nothing is confirmed while nothing is read, and a reader that brings nothing is replaced.
func TestNothingIsConfirmedUnread(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	p := gateway(t, cluster.ListenAddrs())
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.UnknownServerError, Count: -1})
	p.membership.mu.Lock()
	p.membership.stuck = time.Second
	p.membership.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.True(t, backoff.Poll(ctx, tick, func() bool { return p.membership.Err() != nil }))
	_, before := p.membership.Confirmed()
	require.Less(t, before, time.Now())
	fault.Remove()
	p.awaitConfirmed(t, time.Now())
}

// Transactional ids of registered processes are spared, unless they are silent; all
// others are fenced.
func TestOnlySilentProcessesAreFenced(t *testing.T) { withClients(t, testOnlySilentProcessesAreFenced) }

func testOnlySilentProcessesAreFenced(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := transactional(t, cluster, []string{"t"}, with, asGateway)
	same := func(c *Config) { c.TransactionalIDPrefix = p.cfg.TransactionalIDPrefix }
	silent := transactional(t, cluster, []string{"t"}, with, asGateway, same)
	old := transactional(t, cluster, []string{"t"}, with, same) // does not say whose its ids are
	spared := p.poolIDs()
	require.NoError(t, p.Quiesce(t.Context(), time.Now(), []string{silent.membership.Self()}))
	for _, other := range []running{silent, old} {
		for _, id := range other.poolIDs() {
			require.Error(t, other.write("t", 0, id, "x"))
		}
	}
	require.Equal(t, spared, p.poolIDs())
	p.requireGoesOn(t, "t", "y", "")
	require.Equal(t, []string{"y"}, committed(t, cluster.ListenAddrs(), "t"))
}

// A producer that a rebuild did not find listed is not used before its process knows of
// that rebuild.
func TestProducersAwaitTheTopicOfGateways(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.UnknownServerError, Count: -1})
	p := start(t, cluster.ListenAddrs(), []string{"t"}, inTransactions(t, true), asGateway, func(c *Config) {
		c.DeliveryTimeout, c.TransactionTimeout = time.Second, time.Second
	})
	require.Eventually(t, func() bool { return p.metric(t, "gateway_kafka_transactional_starts_total") > 0 }, patience, tick)
	require.Error(t, p.pool().ready())
	fault.Remove()
	awaitPool(t, p)
	_, at := p.membership.Confirmed()
	require.NotZero(t, at)
}

func TestNobodySilentIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	r := &Reader{lease: time.Hour}
	require.NoError(t, r.Quiesce(t.Context(), time.Now(), []string{}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, r.Quiesce(ctx, time.Now(), nil), context.DeadlineExceeded)
	require.ErrorIs(t, r.Quiesce(ctx, time.Now(), []string{"a"}), context.DeadlineExceeded)
	require.NoError(t, r.Quiesce(t.Context(), time.Now().Add(-time.Hour), []string{"a"}))
}

// With nobody left who may have records under way, a replay does not wait for replicas, but
// for those that are too few: the high watermark stands still without them, however long.
func TestReplayToTheWatermark(t *testing.T) {
	t.Parallel()
	lagging := map[int32]replication{0: {replicas: 3, inSync: 2, minInSync: 2, lag: defaultReplicaLag}}
	p := &replay{reader: &Reader{}, since: time.Now().Add(-5 * time.Second)}
	require.Greater(t, p.left(lagging, time.Time{}), defaultReplicaLag)
	require.Greater(t, p.left(lagging, time.Now().Add(-2*time.Second)), defaultReplicaLag+14*time.Second)
	p.toWatermark = true
	require.Zero(t, p.left(lagging, time.Time{}))
	require.Greater(t, p.left(lagging, time.Now().Add(-2*time.Second)), defaultReplicaLag, "who has come back may lag")
	require.NoError(t, enoughInSync(lagging))
	require.ErrorContains(t, enoughInSync(map[int32]replication{
		4: {replicas: 3, inSync: 1, minInSync: 2, lag: defaultReplicaLag},
	}), "partition 4 has 1 replicas in sync of the 2 that it needs")
}

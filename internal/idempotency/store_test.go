package idempotency

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/redis"
)

// nowhere is an address that refuses connections.
const nowhere = "127.0.0.1:1"

// TestMoreSettlementsThanTheQueueHolds: the queue is not run, so it fills.
func TestMoreSettlementsThanTheQueueHolds(t *testing.T) {
	t.Parallel()
	rdb := redis.New(redis.Config{Addresses: []string{nowhere}})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	reg := prometheus.NewRegistry()
	s := New(Config{Installation: inTest, TTL: longTTL, Lease: longLease}, rdb, slog.New(slog.DiscardHandler), NewMetrics(reg))
	for range settleQueueLimit {
		s.MarkUnknown(event.Claim{})
	}
	require.Zero(t, counted(t, reg, lostTotal, ""))
	mustClose(t, s.Release(event.Claim{}))
	s.Settle(event.Claim{}, event.Receipt{ID: "e"})
	require.Equal(t, 2, counted(t, reg, lostTotal, ""))
	result, err := s.Look(t.Context(), event.ClaimID{}, event.Fingerprint{})
	require.NoError(t, err)
	require.Equal(t, "e", result.Receipt.ID, "a receipt that could not be queued is remembered here")
}

// A settle waits for more settlements to share its batch; a caller waits for a release.
func TestCollectingSettlements(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		first  *settlement
		queued int
		batch  int
		took   time.Duration
	}{
		{"a settle alone", &settlement{op: "S"}, 0, 1, batchWait},
		{"a settle with others", &settlement{op: "S"}, 5, 6, batchWait},
		{"a full batch does not wait", &settlement{op: "S"}, 2 * maxBatch, maxBatch, 0},
		{"a release", &settlement{op: "D", done: make(chan struct{})}, 0, 1, 0},
		{"a release with others", &settlement{op: "D", done: make(chan struct{})}, 5, 6, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := &settleQueue{queue: make(chan *settlement, settleQueueLimit)}
				for range tt.queued {
					q.queue <- &settlement{op: "U"}
				}
				began := time.Now()
				batch := q.collect(t.Context(), tt.first)
				require.Len(t, batch, tt.batch)
				require.Same(t, tt.first, batch[0])
				require.Equal(t, tt.took, time.Since(began))
			})
		})
	}
}

func TestRedisAway(t *testing.T) {
	t.Parallel()
	rdb := redis.New(redis.Config{Addresses: []string{nowhere}})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	tests := []struct {
		name, operation string
		do              func(context.Context, *Store) error
	}{
		{"claim", "claim", func(ctx context.Context, s *Store) error { _, err := s.Claim(ctx, event.Claim{}); return err }},
		{"take-over", "take-over", func(ctx context.Context, s *Store) error {
			_, err := s.TakeOver(ctx, event.Claim{}, event.AbandonedClaim{Text: "C 1 0 fp tok 3 gw-1 orders"})
			return err
		}},
		{"look", "look", func(ctx context.Context, s *Store) error {
			_, err := s.Look(ctx, event.ClaimID{}, event.Fingerprint{})
			return err
		}},
		{"assert empty", "", func(ctx context.Context, s *Store) error { _, err := s.AssertEmpty(ctx); return err }},
		{"ping", "", func(ctx context.Context, s *Store) error { return s.Ping(ctx) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			reg := prometheus.NewRegistry()
			s := New(Config{Installation: inTest, TTL: longTTL, Lease: longLease}, rdb, slog.New(slog.DiscardHandler), NewMetrics(reg))
			require.ErrorContains(t, tt.do(t.Context(), s), "connection refused")
			if tt.operation != "" {
				require.Equal(t, 1, counted(t, reg, errorsTotal, ""))
				require.Equal(t, 1, counted(t, reg, errorsTotal, tt.operation))
			}
		})
	}
}

func TestClaimOfAnEndedContextIsNotSent(t *testing.T) {
	t.Parallel()
	rdb := redis.New(redis.Config{Addresses: []string{nowhere}})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	reg := prometheus.NewRegistry()
	s := New(Config{Installation: inTest, TTL: longTTL, Lease: longLease}, rdb, slog.New(slog.DiscardHandler), NewMetrics(reg))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Claim(ctx, event.Claim{})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, observations(t, reg, batchSize), "no batch was sent")
}

// A Cluster node that was restarted has forgotten the scripts, and go-redis does not load
// them in a pipeline: the store has to.
func TestPipelinesLoadTheirScripts(t *testing.T) {
	t.Parallel()
	b := devBackend(t) // new: it knows no script
	b.grouped = true
	r := newRig(t, b, notRunning)
	here, there := r.newClaim(), r.newClaim()
	there.ID[0]++
	for _, id := range []event.ClaimID{here.ID, there.ID} {
		require.NoError(t, r.raw.Set(t.Context(), markerKey(bucketOf(id)), "0 "+strings.Repeat("0", 40)+" run -", 0).Err())
	}
	var group callGroup
	group.begin(t.Context(), 2)
	calls := []*claimCall{{callGroup: &group, claim: here}, {callGroup: &group, claim: there}}
	r.claimBatch(calls)
	mustClose(t, group.done)
	for _, c := range calls {
		require.NoError(t, c.err)
		require.Equal(t, "W", c.text)
	}

	r.Settle(here, receiptOf(here))
	done := r.Release(there)
	r.start(patience)()
	mustClose(t, done)
	require.Equal(t, "S", r.record(t, here.ID)[:1])
	require.Empty(t, r.record(t, there.ID))
	require.Zero(t, counted(t, r.reg, errorsTotal, ""))
}

// No claim waits longer than maxClaimWait for its batch, however slow Redis is.
func TestClaimsThatWaitedTooLongFail(t *testing.T) {
	t.Parallel()
	s := &Store{}
	var group callGroup
	group.begin(t.Context(), 1)
	late := &claimCall{callGroup: &group, claim: event.Claim{Begun: time.Now().Add(-maxClaimWait - time.Millisecond)}}
	s.claimBatch([]*claimCall{late}) // there is no Redis: it must not be asked
	mustClose(t, late.done)
	require.ErrorIs(t, late.err, errWaitedTooLong)
}

func TestStoreKnowsACluster(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	for name, tt := range map[string]struct {
		addresses []string
		cluster   bool
	}{
		"one address":       {[]string{m.Addr()}, false},
		"several addresses": {[]string{nowhere, "127.0.0.1:2"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := redis.New(redis.Config{Addresses: tt.addresses})
			t.Cleanup(func() { require.NoError(t, rdb.Close()) })
			s := New(Config{}, rdb, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
			require.Equal(t, tt.cluster, s.scripts.cluster)
			require.Equal(t, !tt.cluster, s.Ping(t.Context()) == nil)
		})
	}
}

// A Redis that does not report its replication id must not be trusted with claims: a
// failover would go unnoticed.
func TestRedisWithoutReplicationID(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t) // without the hook of internal/dev
	r := newRig(t, newBackend(m.Addr(), 0), withoutMarkers)
	c := r.newClaim()
	_, err := r.Claim(t.Context(), c)
	require.Error(t, err)
	require.Empty(t, r.record(t, c.ID))
	require.Equal(t, 1, counted(t, r.reg, errorsTotal, "claim"))
}

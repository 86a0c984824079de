package idempotency

import (
	"context"
	"crypto/rand"
	"log/slog"
	"math"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"eventgateway/internal/event"
	"eventgateway/internal/redis"
)

func TestMain(m *testing.M) {
	// While Redis is away the library dials it once a second, on a goroutine that
	// notices only when it wakes that its client was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

const (
	longLease = time.Minute
	longTTL   = time.Hour
	// patience bounds every wait for something that must happen.
	patience = time.Minute
	// pollEvery is the interval of polling.
	pollEvery = 5 * time.Millisecond
)

const testInstallation = "test"

// testKeys are the keys of every store that is not about installations.
var testKeys = newKeyspace(testInstallation)

func inTest() string { return testInstallation }

func recordKey(id event.ClaimID) string { return testKeys.claim(id) }

func markerKey(bucket byte) string { return testKeys.marker(bucket) }

func lockKey(bucket byte) string { return testKeys.lock(bucket) }

func progressKey(bucket byte) string { return testKeys.buckets[bucket] + ":d" }

// backend is a Redis on which the conformance suite runs.
type backend struct {
	addr string
	db   int
	// grouped makes the store send its scripts as it does to a Cluster: one
	// per bucket, in a pipeline.
	grouped bool
	// buckets gives every rig its own bucket, so that tests that change markers can run in
	// parallel.
	buckets *atomic.Uint32
}

func newBackend(addr string, db int) backend {
	return backend{addr: addr, db: db, buckets: new(atomic.Uint32)}
}

func (b backend) client(t *testing.T, addr string) *goredis.Client {
	t.Helper()
	asReal, ok := redis.New(redis.Config{Addresses: []string{addr}}).(*goredis.Client)
	require.True(t, ok)
	opts := *asReal.Options()
	require.NoError(t, asReal.Close())
	opts.DB = b.db
	rdb := goredis.NewClient(&opts)
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

// rig is a store on a backend, with a client of its own for that Redis.
type rig struct {
	*Store
	backend backend
	cfg     Config
	reg     *prometheus.Registry
	raw     *goredis.Client
	bucket  byte
	stop    func() // ends Run and waits; may be called twice

	intervals intervals // of its rebuilders
}

type rigOption func(*rigOptions)

type rigOptions struct {
	cfg    Config
	addr   string
	bucket *byte
	idle   bool
	bare   bool
}

func withLease(d time.Duration) rigOption { return func(o *rigOptions) { o.cfg.Lease = d } }
func transactional(o *rigOptions)         { o.cfg.Transactional = true }
func through(p *proxy) rigOption          { return func(o *rigOptions) { o.addr = p.addr() } }

// notRunning leaves it to the test to run the settle queue.
func notRunning(o *rigOptions) { o.idle = true }

// withoutMarkers sets no markers.
func withoutMarkers(o *rigOptions) { o.bare = true }

func newRig(t *testing.T, b backend, opts ...rigOption) *rig {
	t.Helper()
	o := rigOptions{cfg: Config{Installation: inTest, TTL: longTTL, Lease: longLease}, addr: b.addr}
	for _, opt := range opts {
		opt(&o)
	}
	reg := prometheus.NewRegistry()
	r := &rig{backend: b, cfg: o.cfg, reg: reg, raw: b.client(t, b.addr), intervals: defaultIntervals}
	r.Store = New(o.cfg, b.client(t, o.addr), slog.New(slog.DiscardHandler), NewMetrics(reg))
	r.scripts.cluster = b.grouped
	r.old.never() // only tests of old gateways have any
	switch {
	case o.bare:
	case o.bucket != nil:
		r.bucket = *o.bucket
	default:
		n := b.buckets.Add(1)
		require.Less(t, n, uint32(bucketCount), "no bucket is left")
		r.bucket = byte(n)
		r.setMarker(t, r.bucket)
	}
	r.stop = func() {}
	if !o.idle {
		r.stop = r.start(patience)
		t.Cleanup(r.stop)
	}
	return r
}

// setMarker makes a bucket ready, as if its claims were rebuilt.
func (r *rig) setMarker(t *testing.T, bucket byte) {
	t.Helper()
	require.NoError(t, r.raw.Del(t.Context(), markerKey(bucket)).Err())
	locks := newBucketLocks(r.rebuilder(nil))
	busy, err := locks.acquire(t.Context(), []byte{bucket}, lockWrong)
	require.NoError(t, err)
	require.Empty(t, busy)
	require.NoError(t, locks.complete(t.Context(), locks, 0))
	require.Equal(t, []byte{bucket}, locks.ready)
}

func (r *rig) rebuilder(log Log) *Rebuilder {
	rebuilder := NewRebuilder(r.Store, log)
	rebuilder.intervals = r.intervals
	return rebuilder
}

// start runs the settle queue until the returned function is called.
func (r *rig) start(drain time.Duration) func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx, drain)
	}()
	return func() {
		cancel()
		<-done
	}
}

// peer is another gateway on the same Redis: it remembers no receipts of this one.
func (r *rig) peer(t *testing.T, opts ...rigOption) *rig {
	t.Helper()
	cfg, bucket := r.cfg, r.bucket
	return newRig(t, r.backend, append([]rigOption{func(o *rigOptions) { o.cfg, o.bucket = cfg, &bucket }}, opts...)...)
}

var tokenCount atomic.Uint64

func freshToken() string { return "t-" + strconv.FormatUint(tokenCount.Add(1), 10) + "." }

// newClaim is a first attempt at a new identity.
func (r *rig) newClaim() event.Claim {
	c := event.Claim{
		Fingerprint: event.Fingerprint{1, 2, 3}, Token: freshToken(), Begun: time.Now(),
		Placement: event.Placement{Topic: "orders", Partition: 3, Owner: "gw-1"},
	}
	_, _ = rand.Read(c.ID[:])
	c.ID[0] = r.bucket
	return c
}

// again is a later attempt at the same identity.
func again(c event.Claim) event.Claim {
	c.Token, c.Begun = freshToken(), time.Now()
	return c
}

func otherPayload(c event.Claim) event.Claim {
	c = again(c)
	c.Fingerprint[0]++
	return c
}

func receiptOf(c event.Claim) event.Receipt {
	key := "o-1"
	return event.Receipt{
		ID: c.ID.String()[:8], Type: "orders.placed", Version: "v2", Topic: c.Placement.Topic,
		Partition: c.Placement.Partition, Offset: 42, Key: &key, Time: "2026-01-31T12:00:00Z",
	}
}

// never says that there are no old gateways, perhaps that it is not known.
func (o *oldGateways) never() {
	for b := range o.until {
		o.until[b].Store(math.MaxInt64)
	}
}

func (o *oldGateways) perhaps() {
	for b := range o.until {
		o.until[b].Store(0)
	}
}

// recordOf is the settled record of an event.
func recordOf(f event.Fingerprint, r event.Receipt) string {
	return settledRecord(f, event.KeepReceipt(r, r.AppendJSON(nil)))
}

// requireSettled requires a result that leads to the receipt, of which Redis keeps only a
// part.
func requireSettled(t *testing.T, want event.Receipt, got event.ClaimResult, about ...any) {
	t.Helper()
	if got.Kept == nil {
		require.Equal(t, event.ClaimResult{State: event.Settled, Receipt: want}, got, about...)
		return
	}
	kept := event.KeepReceipt(want, want.AppendJSON(nil))
	require.Equal(t, event.ClaimResult{State: event.Settled, Kept: &kept}, got, about...)
}

func (r *rig) mustClaim(t *testing.T, c event.Claim) event.ClaimResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := r.Claim(ctx, c)
	require.NoError(t, err)
	return result
}

func (r *rig) mustWin(t *testing.T, c event.Claim) {
	t.Helper()
	require.Equal(t, event.Claimed, r.mustClaim(t, c).State)
}

// mustFind waits until an attempt finds the state.
func (r *rig) mustFind(t *testing.T, c event.Claim, want event.ClaimState) event.ClaimResult {
	t.Helper()
	var s event.ClaimResult
	require.Eventually(t, func() bool {
		s = r.mustClaim(t, c)
		return s.State == want
	}, patience, pollEvery)
	return s
}

// record is the text in Redis, or "".
func (r *rig) record(t *testing.T, id event.ClaimID) string {
	t.Helper()
	text, err := r.raw.Get(t.Context(), recordKey(id)).Result()
	if err == goredis.Nil { //nolint:errorlint // go-redis returns it bare
		return ""
	}
	require.NoError(t, err)
	return text
}

// mustBecome waits until the claim's record has the state; "" is none.
func (r *rig) mustBecome(t *testing.T, id event.ClaimID, state string) string {
	t.Helper()
	var text string
	require.Eventually(t, func() bool {
		text = r.record(t, id)
		return text[:min(1, len(text))] == state
	}, patience, pollEvery, "want %q", state)
	return text
}

func mustClose(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		require.FailNow(t, "the channel was not closed")
	}
}

// counted sums a counter or gauge over its labels, or is the sum of a histogram.
func counted(t *testing.T, reg *prometheus.Registry, name, label string) int {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	var sum float64
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || m.GetLabel()[0].GetValue() == label {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetHistogram().GetSampleSum()
			}
		}
	}
	return int(sum)
}

func observations(t *testing.T, reg *prometheus.Registry, name string) int {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return int(f.GetMetric()[0].GetHistogram().GetSampleCount())
		}
	}
	return 0
}

const (
	lostTotal   = "gateway_idempotency_endings_lost_total"
	missedTotal = "gateway_idempotency_endings_missed_total"
	unreadyNow  = "gateway_idempotency_buckets_unready"
	rebuilds    = "gateway_idempotency_rebuilds_total"
	rebuilt     = "gateway_idempotency_rebuild_records_total"
	duplicates  = "gateway_idempotency_rebuild_duplicates_total"
	errorsTotal = "gateway_redis_errors_total"
	batchSize   = "gateway_claim_batch_size"
)

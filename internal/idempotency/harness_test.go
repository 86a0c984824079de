package idempotency

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"eventgateway/internal/event"
)

func TestMain(m *testing.M) {
	// While Redis is away the library dials it once a second on a goroutine
	// that sees the client's end only when it wakes.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

const (
	longLease = time.Minute
	longTTL   = time.Hour
	// patience bounds every wait for something that must happen.
	patience = 20 * time.Second
	// pollEvery is how often a wait looks.
	pollEvery = 5 * time.Millisecond
)

// backend is a Redis that the conformance suite runs on.
type backend struct {
	addr string
	db   int
	// grouped makes the store send its scripts as it does to a Cluster: one
	// per bucket, in a pipeline.
	grouped bool
}

func (b backend) client(t *testing.T, addr string) *redis.Client {
	t.Helper()
	asReal, ok := NewClient(ClientConfig{Addresses: []string{addr}}).(*redis.Client)
	require.True(t, ok)
	opts := *asReal.Options()
	require.NoError(t, asReal.Close())
	opts.DB = b.db
	rdb := redis.NewClient(&opts)
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

// buckets hands every rig a bucket of its own, so that tests may run side by
// side and change markers.
var buckets atomic.Uint32

// rig is a store on a backend, and a direct look at that Redis beside it.
type rig struct {
	*Store
	backend backend
	cfg     Config
	reg     *prometheus.Registry
	raw     *redis.Client
	bucket  byte
	stop    func() // ends Run and waits; may be called twice
}

type rigOption func(*rigOptions)

type rigOptions struct {
	cfg    Config
	addr   string
	bucket *byte
	idle   bool
}

func withLease(d time.Duration) rigOption { return func(o *rigOptions) { o.cfg.Lease = d } }
func through(p *proxy) rigOption          { return func(o *rigOptions) { o.addr = p.addr() } }

// notRunning leaves it to the test to run the endings.
func notRunning(o *rigOptions) { o.idle = true }

func newRig(t *testing.T, b backend, opts ...rigOption) *rig {
	t.Helper()
	o := rigOptions{cfg: Config{TTL: longTTL, Lease: longLease}, addr: b.addr}
	for _, opt := range opts {
		opt(&o)
	}
	reg := prometheus.NewRegistry()
	r := &rig{backend: b, cfg: o.cfg, reg: reg, raw: b.client(t, b.addr)}
	if o.bucket != nil {
		r.bucket = *o.bucket
	} else {
		r.bucket = byte(buckets.Add(1))
		require.NoError(t, r.raw.Del(t.Context(), markerKey(r.bucket)).Err())
	}
	r.Store = New(o.cfg, b.client(t, o.addr), slog.New(slog.DiscardHandler), NewMetrics(reg))
	r.cluster = b.grouped
	r.stop = func() {}
	if !o.idle {
		r.stop = r.start(patience)
		t.Cleanup(r.stop)
	}
	return r
}

// start runs the endings until the returned function is called.
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

// peer is another gateway on the same Redis: it remembers nothing locally.
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
	c.Token = freshToken()
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

func (r *rig) mustClaim(t *testing.T, c event.Claim) event.Standing {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	standing, err := r.Claim(ctx, c)
	require.NoError(t, err)
	return standing
}

func (r *rig) mustWin(t *testing.T, c event.Claim) {
	t.Helper()
	require.Equal(t, event.Standing{State: event.Won}, r.mustClaim(t, c))
}

// mustFind waits until an attempt finds the state.
func (r *rig) mustFind(t *testing.T, c event.Claim, want event.ClaimState) event.Standing {
	t.Helper()
	var s event.Standing
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
	if err == redis.Nil { //nolint:errorlint // go-redis returns it bare
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

// counted sums a counter over its labels, or is the sum of a histogram.
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
				sum += m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
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
	adoptTotal  = "gateway_idempotency_buckets_adopted_total"
	errorsTotal = "gateway_redis_errors_total"
	batchSize   = "gateway_claim_batch_size"
)

// proxy is a TCP connection to Redis that can be cut, stalled, or robbed of
// replies.
type proxy struct {
	target string
	port   string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]struct{}
	gate     chan struct{} // not nil while stalled
	steal    int           // replies to lose, each with its connection

	wg sync.WaitGroup
}

func newProxy(t *testing.T, b backend) *proxy {
	t.Helper()
	p := &proxy{target: b.addr, port: "127.0.0.1:0", conns: map[net.Conn]struct{}{}}
	p.mend(t)
	p.port = p.listener.Addr().String()
	t.Cleanup(func() {
		p.flow()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.port }

// mend lets connections through again.
func (p *proxy) mend(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", p.port)
	require.NoError(t, err)
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
}

// cut ends all connections and refuses new ones.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.listener.Close()
	for c := range p.conns {
		_ = c.Close()
	}
}

// stall lets replies wait until flow.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = make(chan struct{})
}

func (p *proxy) flow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gate != nil {
		close(p.gate)
		p.gate = nil
	}
}

// loseNextReply lets one command through and loses what Redis says to it.
func (p *proxy) loseNextReply() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steal++
}

func (p *proxy) repliesToLose() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.steal
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	closeBoth := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, client)
		delete(p.conns, server)
		_ = client.Close()
		_ = server.Close()
	}
	p.wg.Go(func() {
		_, _ = io.Copy(server, client)
		closeBoth()
	})
	defer closeBoth()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil || !p.mayPass() {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) mayPass() bool {
	p.mu.Lock()
	gate := p.gate
	stolen := p.steal > 0
	if stolen {
		p.steal--
	}
	p.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return !stolen
}

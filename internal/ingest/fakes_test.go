package ingest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

const (
	testLease        = 30 * time.Second
	testDelivery     = 10 * time.Second
	testClaimTimeout = 2 * time.Second
)

var testStart = time.Date(2026, 1, 31, 12, 0, 0, 123456789, time.FixedZone("CET", 3600))

// fakeClock shows the same time until it is advanced.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is everything around a door. It notes every call in order.
type world struct {
	t     *testing.T
	clock *fakeClock

	// What the fakes answer. Each has a default if nil.
	check     func(eventType, version string, data []byte) (event.Checked, error)
	tombstone func(key string) (event.Checked, error)
	crowded   bool // no batch gets its turn
	key       func(pointers []string, data []byte) (*string, error)
	claim     func(ctx context.Context, c event.Claim) (event.ClaimResult, error)
	takeOver  func(ctx context.Context, c event.Claim, prior event.AbandonedClaim) (event.ClaimResult, error)
	look      func(ctx context.Context, id event.ClaimID, f event.Fingerprint) (event.ClaimResult, error)
	place     func(topic string, key []byte, spread uint64) (event.Placement, error)
	publish   func(ctx context.Context, r event.Record) (event.Position, error)
	find      func(prior event.AbandonedClaim) (event.Receipt, bool, error)
	read      func(kept event.KeptReceipt) (event.Receipt, error)
	// neverReleased leaves releases open; by default they complete at once.
	neverReleased bool
	// inOrder is whether the log keeps the order of records that follow others.
	inOrder bool

	mu      sync.Mutex
	calls   []string
	claims  []event.Claim  // as claimed, taken over, settled, marked unknown or released
	records []event.Record // as published
	spreads []uint64
	settled []event.Receipt
}

func newWorld(t *testing.T) *world {
	return &world{t: t, clock: &fakeClock{now: testStart}}
}

func (w *world) door(cfg Config, reg *prometheus.Registry) *Door {
	if cfg.OnStoreFailure == "" {
		cfg.OnStoreFailure = event.RejectOnStoreFailure
	}
	cfg.DeliveryTimeout, cfg.Lease, cfg.ClaimTimeout = testDelivery, testLease, testClaimTimeout
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	return New(cfg, Deps{
		Catalog: fakeCatalog{w}, Claims: fakeClaims{w}, Settler: fakeSettler{w}, Log: fakeLog{w},
		Metrics: NewMetrics(reg), Now: w.clock.Now,
	})
}

func (w *world) note(call string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call)
}

func (w *world) noteClaim(call string, c event.Claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call)
	w.claims = append(w.claims, c)
}

type fakeCatalog struct{ *world }

func (f fakeCatalog) CheckWithin(eventType, version string, data []byte, _ *event.Allowance) (event.Checked, error) {
	f.note("check")
	if f.check != nil {
		return f.check(eventType, version, data)
	}
	return checked(), nil
}

// endless is the slot of a catalog that has no budget.
type endless struct{}

func (endless) End() {}

func (f fakeCatalog) Together(int) (*event.Allowance, error) {
	if f.crowded {
		return nil, event.Refuse(event.Overloaded, "crowded")
	}
	return &event.Allowance{Slot: endless{}}, nil
}

func (f fakeCatalog) CheckTombstone(_, _, key string) (event.Checked, error) {
	f.note("check tombstone")
	if f.tombstone != nil {
		return f.tombstone(key)
	}
	found := checked()
	found.Key = &key
	return found, nil
}

func (f fakeCatalog) Key(pointers []string, data []byte, _ *event.Allowance) (*string, error) {
	f.note("key " + strings.Join(pointers, ","))
	if f.key != nil {
		return f.key(pointers, data)
	}
	return nil, nil
}

type fakeClaims struct{ *world }

func (f fakeClaims) bounded(ctx context.Context) {
	deadline, ok := ctx.Deadline()
	require.True(f.t, ok, "every call to the store has a deadline, except claims, which bound themselves")
	require.LessOrEqual(f.t, time.Until(deadline), testClaimTimeout)
}

func (f fakeClaims) Claim(ctx context.Context, c event.Claim) (event.ClaimResult, error) {
	f.noteClaim("claim", c)
	if f.claim != nil {
		return f.claim(ctx, c)
	}
	return event.ClaimResult{State: event.Claimed}, nil
}

func (f fakeClaims) ClaimAll(ctx context.Context, cs []event.Claim) ([]event.ClaimResult, []error) {
	results, errs := make([]event.ClaimResult, len(cs)), make([]error, len(cs))
	for i, c := range cs {
		results[i], errs[i] = f.Claim(ctx, c)
	}
	return results, errs
}

func (f fakeClaims) TakeOver(ctx context.Context, c event.Claim, prior event.AbandonedClaim) (event.ClaimResult, error) {
	f.bounded(ctx)
	f.noteClaim("take over "+prior.Text, c)
	if f.takeOver != nil {
		return f.takeOver(ctx, c, prior)
	}
	return event.ClaimResult{State: event.Claimed}, nil
}

func (f fakeClaims) Look(ctx context.Context, id event.ClaimID, fp event.Fingerprint) (event.ClaimResult, error) {
	f.bounded(ctx)
	f.noteClaim("look", event.Claim{ID: id, Fingerprint: fp})
	if f.look != nil {
		return f.look(ctx, id, fp)
	}
	return event.ClaimResult{State: event.Absent}, nil
}

type fakeSettler struct{ *world }

func (f fakeSettler) Settle(c event.Claim, r event.Receipt) {
	f.noteClaim("settle", c)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settled = append(f.settled, r)
}

func (f fakeSettler) Written(c event.Claim) { f.noteClaim("written", c) }

func (f fakeSettler) MarkUnknown(c event.Claim) { f.noteClaim("mark unknown", c) }

func (f fakeSettler) Release(c event.Claim) <-chan struct{} {
	f.noteClaim("release", c)
	done := make(chan struct{})
	if !f.neverReleased {
		close(done)
	}
	return done
}

type fakeLog struct{ *world }

func (f fakeLog) Place(topic string, key []byte, spread uint64) (event.Placement, error) {
	f.mu.Lock()
	f.spreads = append(f.spreads, spread)
	f.mu.Unlock()
	if f.place != nil {
		return f.place(topic, key, spread)
	}
	return event.Placement{Topic: topic, Partition: 3, Owner: "gw-1"}, nil
}

func (f fakeLog) Find(ctx context.Context, _ event.ClaimID, prior event.AbandonedClaim) (event.Receipt, bool, error) {
	_, bounded := ctx.Deadline()
	require.True(f.t, bounded, "nobody waits forever for a recovery read")
	f.note("find " + prior.Text)
	if f.find != nil {
		return f.find(prior)
	}
	return event.Receipt{}, false, nil
}

func (f fakeLog) Read(ctx context.Context, id event.ClaimID, kept event.KeptReceipt) (event.Receipt, error) {
	_, bounded := ctx.Deadline()
	require.True(f.t, bounded, "nobody waits forever for a record")
	f.note("read")
	require.NotZero(f.t, id)
	require.NotNil(f.t, f.read, "only the record of a settled event is read")
	return f.read(kept)
}

func (f fakeLog) Publish(ctx context.Context, r event.Record) (event.Position, error) {
	f.mu.Lock()
	f.calls = append(f.calls, "publish")
	f.records = append(f.records, r)
	n := len(f.records)
	f.mu.Unlock()
	if f.publish != nil {
		return f.publish(ctx, r)
	}
	return event.Position{Partition: r.Partition, Offset: int64(40 + n)}, nil
}

func (f fakeLog) PublishAsync(ctx context.Context, r event.Record) func() (event.Position, error) {
	var at event.Position
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		at, err = f.Publish(ctx, r)
	}()
	return func() (event.Position, error) {
		<-done
		return at, err
	}
}

func (f fakeLog) PublishAll(ctx context.Context, records []event.Record, follows []int) func(i int) (event.Position, error) {
	at, errs := make([]event.Position, len(records)), make([]error, len(records))
	for i, r := range records {
		if before := follows[i]; before >= 0 {
			require.True(f.t, f.inOrder)
			if errs[before] != nil {
				errs[i] = event.Refuse(event.HeldBack, "held back")
				continue
			}
		}
		at[i], errs[i] = f.Publish(ctx, r)
	}
	return func(i int) (event.Position, error) { return at[i], errs[i] }
}

func (f fakeLog) KeepsOrder() bool { return f.inOrder }

func definition() *event.Definition {
	return &event.Definition{Type: "orders.placed", Version: "v2", Topic: "orders", KeyPointers: []string{"/orderId"}}
}

func checked() event.Checked {
	key := "o-1"
	return event.Checked{Definition: definition(), Key: &key}
}

// keyed is a request with an Idempotency-Key. Its data are oddly formatted JSON,
// so that any change to them shows.
func keyed() Request {
	return Request{
		Client: "web", Type: "orders.placed", MediaType: "application/json",
		Data:     []byte("{ \"orderId\":\"o-1\",\t\"n\":12345678901234567890.10 }\n"),
		Identity: event.Identity{Kind: event.IdentityKey, Parts: []string{"k-1"}},
	}
}

func unkeyed() Request {
	r := keyed()
	r.Identity = event.Identity{}
	return r
}

func header(r event.Record, name string) (string, bool) {
	for _, h := range r.Headers {
		if h.Name == name {
			return h.Value, true
		}
	}
	return "", false
}

func requireHeader(t *testing.T, r event.Record, name, want string) {
	t.Helper()
	got, ok := header(r, name)
	require.True(t, ok, "header %s is missing", name)
	require.Equal(t, want, got)
}

func requireNoHeader(t *testing.T, r event.Record, name string) {
	t.Helper()
	got, ok := header(r, name)
	require.False(t, ok, "header %s is %q", name, got)
}

func requireError(t *testing.T, err error, kind event.Kind, outcome event.Outcome) *event.Error {
	t.Helper()
	require.Error(t, err)
	var e *event.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, fmt.Sprintf("%s, %s", kind, outcome), fmt.Sprintf("%s, %s", e.Kind, e.Outcome))
	return e
}

package ingest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// of makes an event whose data are its entity ("" for none), its number and, if wanted,
// "invalid".
func of(entity string, n int, bad ...string) Request {
	r := keyed()
	r.Data = []byte(entity + "|" + strconv.Itoa(n))
	for _, b := range bad {
		r.Data = append(r.Data, "|"+b...)
	}
	r.Identity = event.Identity{Kind: event.IdentityBatch, Parts: []string{"k"}, Index: strconv.Itoa(n)}
	return r
}

// batchWorld understands the data of [of].
func batchWorld(t *testing.T) *world {
	w := newWorld(t)
	w.check = func(_, _ string, data []byte) (event.Checked, error) {
		parts := bytes.Split(data, []byte("|"))
		c := event.Checked{Definition: definition()}
		if len(parts[0]) > 0 {
			key := string(parts[0])
			c.Key = &key
		}
		if len(parts) > 2 && string(parts[2]) == "invalid" {
			return c, event.Refuse(event.SchemaViolation, "no")
		}
		return c, nil
	}
	return w
}

func batch(t *testing.T, d *Door, reqs ...Request) []string {
	t.Helper()
	results := d.AcceptBatch(t.Context(), reqs)
	require.Len(t, results, len(reqs))
	var kinds []string
	for _, a := range results {
		if a.Err == nil {
			kinds = append(kinds, "ok")
			continue
		}
		kinds = append(kinds, string(asError(a.Err).Kind))
	}
	return kinds
}

func published(w *world) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var data []string
	for _, r := range w.records {
		data = append(data, string(r.Value))
	}
	return data
}

func TestBatchHoldsBackBehindAFailure(t *testing.T) {
	t.Parallel()
	fault := of("a", 1)
	fault.Fault = event.Refuse(event.MalformedRequest, "no such time")
	tests := []struct {
		name  string
		items []Request
		want  []string
	}{
		{"all well", []Request{of("a", 0), of("a", 1), of("b", 2), of("", 3)}, []string{"ok", "ok", "ok", "ok"}},
		{"none", nil, nil},
		{
			"behind a refusal",
			[]Request{of("a", 0), of("a", 1, "invalid"), of("b", 2), of("a", 3), of("a", 4)},
			[]string{"ok", "schema-violation", "ok", "held-back", "held-back"},
		},
		{"behind a fault of the event itself", []Request{of("a", 0), fault, of("a", 2), of("b", 3)}, []string{"ok", "malformed-request", "held-back", "ok"}},
		{
			"a held-back event holds back",
			[]Request{of("a", 0, "invalid"), of("a", 1, "invalid"), of("a", 2)},
			[]string{"schema-violation", "held-back", "held-back"},
		},
		{
			"without entity nobody waits",
			[]Request{of("", 0, "invalid"), of("", 1), of("a", 2), of("", 3, "invalid")},
			[]string{"schema-violation", "ok", "ok", "schema-violation"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := batchWorld(t)
			require.Equal(t, tt.want, batch(t, w.door(Config{}, nil), tt.items...))
			var want []string
			for i, kind := range tt.want {
				if kind == "ok" {
					want = append(want, string(tt.items[i].Data))
				}
			}
			require.ElementsMatch(t, want, published(w), "what was answered with a receipt, and only that, is published")
		})
	}
}

// Whatever the store or the log says, unless it is a receipt, holds later events back.
func TestBatchHoldsBackBehindEveryFailure(t *testing.T) {
	t.Parallel()
	first := func(w *world, result event.ClaimResult, err error) {
		w.claim = func(_ context.Context, c event.Claim) (event.ClaimResult, error) {
			if c.ID == of("a", 0).Identity.ClaimID("web") {
				return result, err
			}
			return event.ClaimResult{State: event.Claimed}, nil
		}
	}
	tests := []struct {
		name  string
		given func(*world)
		want  string
	}{
		{"in progress", func(w *world) { first(w, event.ClaimResult{State: event.InProgress}, nil) }, "request-in-progress"},
		{"left unknown", func(w *world) { first(w, event.ClaimResult{State: event.LeftUnknown}, nil) }, "outcome-unknown"},
		{"reused", func(w *world) { first(w, event.ClaimResult{State: event.Reused}, nil) }, "idempotency-key-reused"},
		{"store away", func(w *world) { first(w, event.ClaimResult{}, errors.New("away")) }, "idempotency-store-unavailable"},
		{"log refuses", func(w *world) { failFirst(w, event.Refuse(event.LogUnavailable, "no leader")) }, "log-unavailable"},
		{"no acknowledgement", func(w *world) { failFirst(w, event.MaybeWritten(event.OutcomeUnknown, nil, "late")) }, "outcome-unknown"},
		{"a panic", func(w *world) { first(w, event.ClaimResult{}, nil); panicFirst(w) }, "internal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := batchWorld(t)
			tt.given(w)
			require.Equal(t, []string{tt.want, "ok", "held-back"}, batch(t, w.door(Config{}, nil), of("a", 0), of("b", 1), of("a", 2)))
		})
	}
	t.Run("a replay does not", func(t *testing.T) {
		t.Parallel()
		w := batchWorld(t)
		first(w, event.ClaimResult{State: event.Settled, Receipt: event.Receipt{ID: "earlier"}}, nil)
		require.Equal(t, []string{"ok", "ok"}, batch(t, w.door(Config{}, nil), of("a", 0), of("a", 1)))
	})
}

func failFirst(w *world, err error) {
	w.publish = func(_ context.Context, r event.Record) (event.Position, error) {
		if string(r.Value) == "a|0" {
			return event.Position{}, err
		}
		return event.Position{}, nil
	}
}

func panicFirst(w *world) {
	w.claim = func(_ context.Context, c event.Claim) (event.ClaimResult, error) {
		if c.ID == of("a", 0).Identity.ClaimID("web") {
			panic("boom")
		}
		return event.ClaimResult{State: event.Claimed}, nil
	}
}

// Entities do not wait for each other; the events of one do.
func TestBatchRunsEntitiesConcurrently(t *testing.T) {
	t.Parallel()
	w := batchWorld(t)
	var arrived sync.WaitGroup
	arrived.Add(3)
	var mu sync.Mutex
	inFlight := map[string]int{} // by entity
	w.publish = func(_ context.Context, r event.Record) (event.Position, error) {
		mu.Lock()
		inFlight[string(r.Key)]++
		require.Equal(t, 1, inFlight[string(r.Key)], "one unacknowledged event per entity")
		mu.Unlock()
		if bytes.HasSuffix(r.Value, []byte("|0")) {
			arrived.Done()
			arrived.Wait() // hangs unless all three entities are in flight at once
		}
		mu.Lock()
		inFlight[string(r.Key)]--
		mu.Unlock()
		return event.Position{}, nil
	}
	var items []Request
	for n := range 3 {
		for _, entity := range []string{"a", "b", "c"} {
			r := of(entity, n)
			r.Identity.Index = entity + strconv.Itoa(n)
			items = append(items, r)
		}
	}
	require.Equal(t, slices.Repeat([]string{"ok"}, 9), batch(t, w.door(Config{}, nil), items...))
	all := published(w)
	for _, entity := range []string{"a", "b", "c"} {
		inOrder := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s[:1] != entity })
		require.Equal(t, []string{entity + "|0", entity + "|1", entity + "|2"}, inOrder)
	}
}

// Two events of one identity in one batch are one event.
func TestBatchWithOneEventTwice(t *testing.T) {
	t.Parallel()
	w := batchWorld(t)
	settled := map[event.ClaimID]bool{}
	w.claim = func(_ context.Context, c event.Claim) (event.ClaimResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if settled[c.ID] {
			return event.ClaimResult{State: event.Settled}, nil
		}
		settled[c.ID] = true
		return event.ClaimResult{State: event.Claimed}, nil
	}
	twice := of("", 0)
	twice.Identity = event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{"/s", "1"}}
	require.Equal(t, []string{"ok", "ok"}, batch(t, w.door(Config{}, nil), twice, twice))
	require.Len(t, published(w), 1)
}

func TestBatchCountsByExistingTypes(t *testing.T) {
	t.Parallel()
	w := batchWorld(t)
	known := w.check
	w.check = func(eventType, version string, data []byte) (event.Checked, error) {
		if eventType != "orders.placed" {
			return event.Checked{}, event.Refuse(event.UnknownEventType, "no")
		}
		return known(eventType, version, data)
	}
	foreign := of("", 1)
	foreign.Type = "whatever a stranger says"
	foreign.Fault = event.Refuse(event.MalformedRequest, "no")
	reg := prometheus.NewRegistry()
	d := w.door(Config{}, reg)
	batch(t, d, of("a", 0, "invalid"), foreign, of("a", 2))
	events := d.metrics.events
	require.InDelta(t, 1, testutil.ToFloat64(events.WithLabelValues("orders.placed", "schema-violation")), 0)
	require.InDelta(t, 1, testutil.ToFloat64(events.WithLabelValues("orders.placed", "held-back")), 0)
	require.InDelta(t, 1, testutil.ToFloat64(events.WithLabelValues("", "malformed-request")), 0)
}

// Without a turn, nothing of a batch is tried. When there is no room for one of its events,
// its entity is not known: none behind it may overtake it.
func TestBatchesThatCannotBeChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crowded = true
	overloaded := string(event.Overloaded)
	require.Equal(t, []string{overloaded, overloaded}, batch(t, w.door(Config{}, nil), of("a", 0), of("b", 1)))
	require.Empty(t, w.calls)

	w = batchWorld(t)
	understood, n := w.check, 0
	w.check = func(eventType, version string, data []byte) (event.Checked, error) {
		if n++; n == 2 {
			return event.Checked{}, event.Refuse(event.Overloaded, "no room")
		}
		return understood(eventType, version, data)
	}
	require.Equal(t, []string{"ok", overloaded, overloaded}, batch(t, w.door(Config{}, nil), of("a", 0), of("b", 1), of("c", 2)))
	require.Equal(t, 2, n, "the third is not looked at")
}

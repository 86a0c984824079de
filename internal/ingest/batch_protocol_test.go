package ingest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// several makes n events of n entities: they go through the pipeline.
func several(n int) []Request {
	reqs := make([]Request, n)
	for i := range reqs {
		reqs[i] = of("e"+strconv.Itoa(i), i)
	}
	return reqs
}

// claimOf names the claim of the n-th of several, so that a fake can treat it differently.
func claimOf(n int) event.ClaimID { return several(n + 1)[n].Identity.ClaimID("web") }

// All records are handed over before the first is acknowledged, and each claim is
// settled with its own receipt.
func TestPipelineHandsAllRecordsOverFirst(t *testing.T) {
	t.Parallel()
	w := batchWorld(t)
	var handed sync.WaitGroup
	handed.Add(5)
	w.publish = func(_ context.Context, r event.Record) (event.Position, error) {
		handed.Done()
		handed.Wait() // hangs unless all are in flight at once
		return event.Position{Partition: r.Partition, Offset: int64(len(r.Value))}, nil
	}
	require.Equal(t, []string{"ok", "ok", "ok", "ok", "ok"}, batch(t, w.door(Config{}, nil), several(5)...))
	require.Len(t, w.settled, 5)
	claims := 0
	for i, call := range w.calls {
		claims += map[bool]int{true: 1}[call == "claim"]
		if call == "publish" {
			require.Equal(t, 5, claims, "call %d", i)
		}
	}
}

// An event that cannot take the next step ends as a single event would, and delays no
// other.
func TestPipelineEventsFailOneByOne(t *testing.T) {
	t.Parallel()
	claim := func(result event.ClaimResult, err error) func(*world) {
		return func(w *world) {
			w.claim = func(_ context.Context, c event.Claim) (event.ClaimResult, error) {
				if c.ID == claimOf(1) {
					return result, err
				}
				return event.ClaimResult{State: event.Claimed}, nil
			}
		}
	}
	publish := func(do func() (event.Position, error)) func(*world) {
		return func(w *world) {
			w.publish = func(_ context.Context, r event.Record) (event.Position, error) {
				if strings.HasPrefix(string(r.Value), "e1|") {
					return do()
				}
				return event.Position{Offset: 7}, nil
			}
		}
	}
	for name, c := range map[string]struct {
		given func(*world)
		want  string
		calls string // that belong to it, and to it alone
	}{
		"settled":      {claim(event.ClaimResult{State: event.Settled, Receipt: event.Receipt{ID: "earlier"}}, nil), "ok", ""},
		"in progress":  {claim(event.ClaimResult{State: event.InProgress}, nil), "request-in-progress", ""},
		"reused":       {claim(event.ClaimResult{State: event.Reused}, nil), "idempotency-key-reused", ""},
		"left unknown": {claim(event.ClaimResult{State: event.LeftUnknown}, nil), "outcome-unknown", ""},
		"abandoned":    {claim(event.ClaimResult{State: event.Abandoned, Abandoned: event.AbandonedClaim{Text: "prior"}}, nil), "ok", "find prior,take over prior"},
		"store away":   {claim(event.ClaimResult{}, errors.New("away")), "idempotency-store-unavailable", "release"},
		"unconfirmed":  {claim(event.ClaimResult{}, cut), "log-unavailable", "look"},
		"rebuilding":   {claim(event.ClaimResult{}, &event.Rebuilding{}), "idempotency-store-unavailable", ""},
		"refused": {publish(func() (event.Position, error) {
			return event.Position{}, event.Refuse(event.LogUnavailable, "no leader")
		}), "log-unavailable", "release"},
		"not acknowledged": {publish(func() (event.Position, error) {
			return event.Position{}, event.MaybeWritten(event.OutcomeUnknown, nil, "late")
		}), "outcome-unknown", "mark unknown"},
		"no such topic": {func(w *world) {
			w.place = func(topic string, key []byte, _ uint64) (event.Placement, error) {
				if string(key) == "e1" {
					return event.Placement{}, event.Refuse(event.LogUnavailable, "no topic")
				}
				return event.Placement{Topic: topic}, nil
			}
		}, "log-unavailable", "look"},
		"a panic while placing": {func(w *world) {
			w.place = func(topic string, key []byte, _ uint64) (event.Placement, error) {
				if string(key) == "e1" {
					panic("boom")
				}
				return event.Placement{Topic: topic}, nil
			}
		}, "internal", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := batchWorld(t)
			c.given(w)
			d := w.door(Config{}, nil)
			require.Equal(t, []string{"ok", c.want, "ok"}, batch(t, d, several(3)...))
			var special []string
			for _, call := range w.calls {
				if call != "check" && call != "claim" && call != "publish" && call != "settle" {
					special = append(special, call)
				}
			}
			require.Equal(t, c.calls, strings.Join(special, ","))
		})
	}
}

// A claim that took too long leaves no time for a delivery: nothing is handed over.
func TestPipelineTooLate(t *testing.T) {
	t.Parallel()
	w := batchWorld(t)
	w.claim = func(_ context.Context, _ event.Claim) (event.ClaimResult, error) {
		w.clock.advance(testLease - testDelivery)
		return event.ClaimResult{State: event.Claimed}, nil
	}
	require.Equal(t, []string{"overloaded"}, batch(t, w.door(Config{}, nil), several(1)...))
	require.Empty(t, published(w))
	require.Contains(t, w.calls, "release")
}

// A panic of the one call that claims for all fails them all; other queues go on.
func TestPipelineClaimingPanics(t *testing.T) {
	t.Parallel()
	w := batchWorld(t)
	w.claim = func(_ context.Context, c event.Claim) (event.ClaimResult, error) {
		if c.ID == claimOf(1) {
			panic("boom")
		}
		return event.ClaimResult{State: event.Claimed}, nil
	}
	reqs := append(several(3), of("queue", 8), of("queue", 9))
	require.Equal(t, []string{"internal", "internal", "internal", "ok", "ok"}, batch(t, w.door(Config{}, nil), reqs...))
}

// A release that never completes delays its own event for as long as a claim may take,
// and all wait at the same time.
func TestPipelineReleasesConcurrently(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := batchWorld(t)
		w.neverReleased = true
		w.publish = func(context.Context, event.Record) (event.Position, error) {
			return event.Position{}, event.Refuse(event.LogUnavailable, "no leader")
		}
		begun := time.Now()
		kinds := batch(t, w.door(Config{}, nil), several(20)...)
		require.Equal(t, "log-unavailable", kinds[19])
		require.Equal(t, testClaimTimeout, time.Since(begun))
	})
}

package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// relay takes events through the door, and returns what became of each.
func relay(t *testing.T, d *Door, rules RelayRules, reqs ...Request) []string {
	t.Helper()
	events := make([]Relayed, len(reqs))
	for i := range reqs {
		events[i] = Relayed{Request: &reqs[i], Plan: d.Plan(&reqs[i])}
	}
	var kinds []string
	for _, r := range d.Relay(t.Context(), events, rules) {
		switch {
		case r.Err == nil:
			kinds = append(kinds, "ok")
		case errors.Is(r.Err, ErrGone):
			kinds = append(kinds, "gone")
		default:
			kinds = append(kinds, string(asError(r.Err).Kind))
		}
	}
	return kinds
}

func confirming(standings ...Standing) RelayRules {
	return RelayRules{
		Confirm: func(_ context.Context, held []int) ([]Standing, error) {
			list := make([]Standing, len(held))
			for at, i := range held {
				list[at] = standings[i]
			}
			return list, nil
		},
		Continue: func(e *event.Error) bool { return errors.Is(e, ErrGone) || e.Kind == event.SchemaViolation },
	}
}

// Nothing is written before all claims are held and confirmed; what is gone is not
// written, and its claim is released.
func TestRelayConfirmsBeforeItWrites(t *testing.T) {
	t.Parallel()
	w := batchWorld(t)
	rules := confirming(Waits, Gone, Waits, Waits)
	confirm := rules.Confirm
	rules.Confirm = func(ctx context.Context, held []int) ([]Standing, error) {
		w.note("confirm")
		require.Equal(t, []int{0, 1, 2, 3}, held)
		return confirm(ctx, held)
	}
	got := relay(t, w.door(Config{}, nil), rules, of("a", 0), of("a", 1), of("a", 2), of("b", 3))
	require.Equal(t, []string{"ok", "gone", "ok", "ok"}, got)
	require.Len(t, w.settled, 3)
	at := slices.Index(w.calls, "confirm")
	require.Greater(t, slices.Index(w.calls, "publish"), at)
	require.NotContains(t, w.calls[at:], "claim")
	require.Contains(t, w.calls, "release")
}

// Nothing is written behind an event of the entity that was not accepted, unless the rules
// say that it may; other entities do not wait.
func TestRelayKeepsOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		standings []Standing
		refuse    string // this event's data are refused by the log
		invalid   bool   // the first event breaks its schema
		want      []string
	}{
		"refused":  {[]Standing{Waits, Waits, Waits}, "a|0", false, []string{"log-unavailable", "held-back", "ok"}},
		"unclear":  {[]Standing{Unclear, Waits, Waits}, "", false, []string{"held-back", "held-back", "ok"}},
		"gone":     {[]Standing{Gone, Waits, Waits}, "", false, []string{"gone", "ok", "ok"}},
		"dead row": {[]Standing{Waits, Waits, Waits}, "", true, []string{"schema-violation", "ok", "ok"}},
	} {
		for _, inOrder := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, log keeps order: %t", name, inOrder), func(t *testing.T) {
				t.Parallel()
				w := batchWorld(t)
				w.inOrder = inOrder
				w.publish = func(_ context.Context, r event.Record) (event.Position, error) {
					if string(r.Value) == c.refuse {
						return event.Position{}, event.Refuse(event.LogUnavailable, "no")
					}
					return event.Position{Partition: r.Partition}, nil
				}
				first := of("a", 0)
				if c.invalid {
					first = of("a", 0, "invalid")
				}
				require.Equal(t, c.want, relay(t, w.door(Config{}, nil), confirming(c.standings...), first, of("a", 1), of("b", 2)))
			})
		}
	}
}

// Events of one entity are handed over together if the log keeps their order, also between
// others that are not written.
func TestRelayHandsAnEntityOverTogether(t *testing.T) {
	t.Parallel()
	w := batchWorld(t)
	w.inOrder = true
	rules := confirming(Gone, Waits, Waits, Waits, Gone, Waits)
	rules.Unsettled = true
	var values []string
	w.publish = func(_ context.Context, r event.Record) (event.Position, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		values = append(values, string(r.Value))
		if string(r.Value) == "a|2" {
			return event.Position{}, event.Refuse(event.LogUnavailable, "no")
		}
		return event.Position{Partition: r.Partition}, nil
	}
	got := relay(t, w.door(Config{}, nil), rules, of("a", 0), of("a", 1), of("a", 2), of("a", 3), of("a", 4), of("a", 5))
	require.Equal(t, []string{"gone", "ok", "log-unavailable", "held-back", "held-back", "held-back"}, got)
	require.Equal(t, []string{"a|1", "a|2"}, values)
	require.Empty(t, w.settled, "the relay settles them")
	require.Contains(t, w.calls, "written", "no other gateway need know of it after a loss")
}

// If it cannot be found out what still waits, nothing is written.
func TestRelayUnconfirmed(t *testing.T) {
	t.Parallel()
	w := batchWorld(t)
	failed := errors.New("database away")
	rules := confirming()
	rules.Confirm = func(context.Context, []int) ([]Standing, error) { return nil, failed }
	require.Equal(t, []string{"held-back", "held-back"}, relay(t, w.door(Config{}, nil), rules, of("a", 0), of("b", 1)))
	require.NotContains(t, w.calls, "publish")
}

// Events that were written before are not confirmed: their receipts are answers.
func TestRelayReplays(t *testing.T) {
	t.Parallel()
	w := batchWorld(t)
	w.claim = func(context.Context, event.Claim) (event.ClaimResult, error) {
		return event.ClaimResult{State: event.Settled, Receipt: event.Receipt{ID: "1"}}, nil
	}
	rules := confirming()
	rules.Confirm = func(context.Context, []int) ([]Standing, error) { return nil, errors.New("asked") }
	require.Equal(t, []string{"ok", "ok"}, relay(t, w.door(Config{}, nil), rules, of("a", 0), of("a", 1)))
	require.Empty(t, w.settled)
}

// An event whose aggregate differs from the entity key in its data is refused.
func TestEntityMustBeTheKey(t *testing.T) {
	t.Parallel()
	d := batchWorld(t).door(Config{}, nil)
	for entity, want := range map[string]bool{"a": true, "b": false} {
		req := of("a", 0)
		req.Entity = &entity
		plan := d.Plan(&req)
		require.Equal(t, want, plan.Problem == nil, entity)
	}
	req := of("", 0)
	req.Entity = new(strconv.Itoa(1))
	require.Nil(t, d.Plan(&req).Problem, "the type has no entity")
}

package ingest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestReceipt(t *testing.T) {
	t.Parallel()
	earlier := event.Receipt{ID: "e-0", Topic: "orders", Partition: 1, Offset: 7}
	prior := event.AbandonedClaim{Text: "U 1 …", Token: "of-the-attempt-before", Fingerprint: event.Fingerprint{7}}
	abandoned := storeFinds(event.ClaimResult{State: event.Abandoned, Abandoned: prior})
	tests := []struct {
		name       string
		given      []func(*world)
		calls      []string
		kind       event.Kind // empty: the receipt
		outcome    event.Outcome
		retryAfter time.Duration
	}{
		{name: "settled", given: []func(*world){storeFinds(event.ClaimResult{State: event.Settled, Receipt: earlier})}, calls: []string{"look"}},
		{name: "nobody knows it", calls: []string{"look"}, kind: event.NotFound, outcome: event.NotWritten},
		{
			name: "in progress", given: []func(*world){storeFinds(event.ClaimResult{State: event.InProgress, LeaseLeft: 1})},
			calls: []string{"look"}, kind: event.RequestInProgress, outcome: event.Unknown,
		},
		{
			name: "left unknown", given: []func(*world){storeFinds(event.ClaimResult{State: event.LeftUnknown, LeaseLeft: time.Second})},
			calls: []string{"look"}, kind: event.OutcomeUnknown, outcome: event.Unknown, retryAfter: 2 * time.Second,
		},
		{name: "abandoned, in the log", given: []func(*world){abandoned, finds(earlier, true, nil)}, calls: []string{"look", "find U 1 …", "settle"}},
		{
			name: "abandoned, not in the log", given: []func(*world){abandoned},
			calls: []string{"look", "find U 1 …"}, kind: event.NotFound, outcome: event.NotWritten,
		},
		{
			name: "abandoned, the log cannot tell yet", given: []func(*world){abandoned, finds(event.Receipt{}, false, undecided)},
			calls: []string{"look", "find U 1 …"}, kind: event.OutcomeUnknown, outcome: event.Unknown, retryAfter: 9 * time.Second,
		},
		{name: "store away", given: []func(*world){storeIsAway}, calls: []string{"look"}, kind: event.IdempotencyStoreUnavailable, outcome: event.NotWritten},
		{
			name: "rebuilding", given: []func(*world){rebuilds},
			calls: []string{"look"}, kind: event.IdempotencyStoreUnavailable, outcome: event.NotWritten, retryAfter: 20 * time.Second,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, given := range tt.given {
				given(w)
			}
			req := keyed()
			receipt, err := w.door(Config{}, nil).Receipt(t.Context(), req.Client, req.Identity)
			require.Equal(t, tt.calls, w.calls)
			require.Equal(t, event.Claim{ID: req.Identity.ClaimID("web")}, w.claims[0], "whatever the payload was")
			if len(w.claims) > 1 {
				require.Equal(t, event.Claim{ID: req.Identity.ClaimID("web"), Fingerprint: prior.Fingerprint, Token: prior.Token}, w.claims[1],
					"what is settled is the claim that was found")
			}
			if tt.kind != "" {
				requireRetryAfter(t, tt.retryAfter, requireError(t, err, tt.kind, tt.outcome))
				return
			}
			require.NoError(t, err)
			require.Equal(t, earlier, receipt)
		})
	}
}

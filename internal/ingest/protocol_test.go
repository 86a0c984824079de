package ingest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

var (
	errStore = errors.New("connection refused")

	notWritten = event.Refuse(event.LogUnavailable, "no leader")
	unknown    = event.MaybeWritten(event.OutcomeUnknown, nil, "no acknowledgement in time")
	undecided  = &event.Error{Kind: event.OutcomeUnknown, Outcome: event.Unknown, RetryAfter: 9 * time.Second}
	rebuilding = &event.Rebuilding{Left: 20 * time.Second}
	cut        = &event.Unconfirmed{Cause: errors.New("kafka is silent")}
	invalid    = event.Refuse(event.SchemaViolation, "no orderId")
)

// storeFinds answers every claim or look with a result.
func storeFinds(s event.ClaimResult) func(*world) {
	return func(w *world) {
		w.claim = func(context.Context, event.Claim) (event.ClaimResult, error) { return s, nil }
		w.look = func(context.Context, event.ClaimID, event.Fingerprint) (event.ClaimResult, error) { return s, nil }
	}
}

func storeIsAway(w *world) {
	w.claim = func(context.Context, event.Claim) (event.ClaimResult, error) { return event.ClaimResult{}, errStore }
	w.look = func(context.Context, event.ClaimID, event.Fingerprint) (event.ClaimResult, error) {
		return event.ClaimResult{}, errStore
	}
}

func takenOver(s event.ClaimResult, err error) func(*world) {
	return func(w *world) {
		w.takeOver = func(context.Context, event.Claim, event.AbandonedClaim) (event.ClaimResult, error) { return s, err }
	}
}

func finds(r event.Receipt, found bool, err error) func(*world) {
	return func(w *world) {
		w.find = func(event.AbandonedClaim) (event.Receipt, bool, error) { return r, found, err }
	}
}

// topicGoesAway removes the topic during the recovery read.
func topicGoesAway(w *world) {
	w.find = func(event.AbandonedClaim) (event.Receipt, bool, error) {
		topicIsMissing(w)
		return event.Receipt{}, false, nil
	}
}

func rebuilds(w *world) {
	w.claim = func(context.Context, event.Claim) (event.ClaimResult, error) { return event.ClaimResult{}, rebuilding }
	w.look = func(context.Context, event.ClaimID, event.Fingerprint) (event.ClaimResult, error) {
		return event.ClaimResult{}, rebuilding
	}
}

func isUnconfirmed(w *world) {
	w.claim = func(context.Context, event.Claim) (event.ClaimResult, error) { return event.ClaimResult{}, cut }
}

func publishFails(err error) func(*world) {
	return func(w *world) {
		w.publish = func(context.Context, event.Record) (event.Position, error) { return event.Position{}, err }
	}
}

func refusesData(err error) func(*world) {
	return func(w *world) {
		w.check = func(string, string, []byte) (event.Checked, error) {
			return event.Checked{Definition: definition()}, err
		}
	}
}

func topicIsMissing(w *world) {
	w.place = func(string, []byte, uint64) (event.Placement, error) { return event.Placement{}, notWritten }
}

// slowly lets time pass while the store answers claims and take-overs.
func slowly(d time.Duration) func(*world) {
	return func(w *world) {
		claim := w.claim
		w.claim = func(ctx context.Context, c event.Claim) (event.ClaimResult, error) {
			w.clock.advance(d)
			if claim != nil {
				return claim(ctx, c)
			}
			return event.ClaimResult{State: event.Claimed}, nil
		}
	}
}

// confirmedFor lets the claim count for so long only.
func confirmedFor(d time.Duration) func(*world) {
	return storeFinds(event.ClaimResult{State: event.Claimed, Until: testStart.Add(d)})
}

func takerConfirmedFor(d time.Duration) func(*world) {
	return func(w *world) {
		w.takeOver = func(context.Context, event.Claim, event.AbandonedClaim) (event.ClaimResult, error) {
			return event.ClaimResult{State: event.Claimed, Until: testStart.Add(d)}, nil
		}
	}
}

func slowTakeOver(d time.Duration) func(*world) {
	return func(w *world) {
		w.takeOver = func(context.Context, event.Claim, event.AbandonedClaim) (event.ClaimResult, error) {
			w.clock.advance(d)
			return event.ClaimResult{State: event.Claimed}, nil
		}
	}
}

func typePolicy(p event.StoreFailurePolicy) func(*world) {
	return func(w *world) {
		w.check = func(string, string, []byte) (event.Checked, error) {
			c := checked()
			c.Definition.OnStoreFailure = p
			return c, nil
		}
	}
}

// TestProtocol checks every row of the protocol's table and each of its rules
// (design section 7).
func TestProtocol(t *testing.T) {
	t.Parallel()
	earlier := event.Receipt{ID: "e-0", Type: "orders.placed", Version: "v1", Topic: "orders", Partition: 1, Offset: 7, Time: "2026-01-01T00:00:00Z"}
	settled := storeFinds(event.ClaimResult{State: event.Settled, Receipt: earlier})
	abandoned := storeFinds(event.ClaimResult{State: event.Abandoned, Abandoned: event.AbandonedClaim{Text: "C 1 …"}})
	const tooSlow = testLease - testDelivery - deliverySlack + time.Millisecond
	tests := []struct {
		name   string
		given  []func(*world)
		policy event.StoreFailurePolicy // the gateway's, while the store is away
		onLoss event.StoreFailurePolicy // the gateway's, while it is being rebuilt
		calls  []string

		// Either a refusal…
		kind       event.Kind
		outcome    event.Outcome
		cause      error
		retryAfter time.Duration
		// …or a receipt: of an earlier request, or of this one.
		replayed, bypassed bool
	}{
		// The table.
		{name: "nothing found: claim, publish, settle", calls: []string{"check", "claim", "publish", "settle"}},
		{
			name: "claimed, lease running: in progress", given: []func(*world){storeFinds(event.ClaimResult{State: event.InProgress, LeaseLeft: time.Second})},
			calls: []string{"check", "claim"}, kind: event.RequestInProgress, outcome: event.Unknown,
		},
		{
			name: "unknown, lease running: unknown until it is over", given: []func(*world){storeFinds(event.ClaimResult{State: event.LeftUnknown, LeaseLeft: 5 * time.Second})},
			calls: []string{"check", "claim"}, kind: event.OutcomeUnknown, outcome: event.Unknown, retryAfter: 6 * time.Second,
		},
		{
			name: "lease over: take over, then publish", given: []func(*world){abandoned},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …", "publish", "settle"},
		},
		{
			name: "settled: replay", given: []func(*world){settled},
			calls: []string{"check", "claim"}, replayed: true,
		},
		{
			name: "other fingerprint: reused", given: []func(*world){storeFinds(event.ClaimResult{State: event.Reused})},
			calls: []string{"check", "claim"}, kind: event.IdempotencyKeyReused, outcome: event.NotWritten,
		},

		// Rule 1: validate, then claim.
		{
			name: "invalid: nothing is stored", given: []func(*world){refusesData(invalid)},
			calls: []string{"check", "look"}, kind: event.SchemaViolation, outcome: event.NotWritten,
		},
		{
			name: "invalid now, settled before: replay", given: []func(*world){refusesData(invalid), settled},
			calls: []string{"check", "look"}, replayed: true,
		},
		{
			name: "key missing now, settled before: replay", given: []func(*world){refusesData(event.Refuse(event.KeyMissing, "")), settled},
			calls: []string{"check", "look"}, replayed: true,
		},
		{
			name: "type gone now, settled before: replay", given: []func(*world){refusesData(event.Refuse(event.UnknownEventType, "")), settled},
			calls: []string{"check", "look"}, replayed: true,
		},
		{
			name: "never valid under any schema: no look", given: []func(*world){refusesData(event.Refuse(event.MalformedJSON, "")), settled},
			calls: []string{"check"}, kind: event.MalformedJSON, outcome: event.NotWritten,
		},
		{
			name: "invalid, other fingerprint settled", given: []func(*world){refusesData(invalid), storeFinds(event.ClaimResult{State: event.Reused})},
			calls: []string{"check", "look"}, kind: event.SchemaViolation, outcome: event.NotWritten,
		},
		{
			name: "invalid, another attempt unknown", given: []func(*world){refusesData(invalid), storeFinds(event.ClaimResult{State: event.LeftUnknown, LeaseLeft: 1})},
			calls: []string{"check", "look"}, kind: event.SchemaViolation, outcome: event.NotWritten,
		},
		{
			name: "invalid, store away", given: []func(*world){refusesData(invalid), storeIsAway},
			calls: []string{"check", "look"}, kind: event.SchemaViolation, outcome: event.NotWritten,
		},

		// Rule 2: enough lease left for a whole delivery timeout.
		{
			name: "lease just long enough", given: []func(*world){slowly(testLease - testDelivery - deliverySlack)},
			calls: []string{"check", "claim", "publish", "settle"},
		},
		{
			name: "lease too short: release", given: []func(*world){slowly(tooSlow)},
			calls: []string{"check", "claim", "release"}, kind: event.Overloaded, outcome: event.NotWritten,
		},
		{
			name: "confirmed just long enough", given: []func(*world){confirmedFor(testDelivery + deliverySlack)},
			calls: []string{"check", "claim", "publish", "settle"},
		},
		{
			name: "not confirmed for long enough: release", given: []func(*world){confirmedFor(testDelivery + deliverySlack - 1)},
			calls: []string{"check", "claim", "release"}, kind: event.LogUnavailable, outcome: event.NotWritten,
		},
		{
			name: "a taker not confirmed for long enough: release", given: []func(*world){abandoned, takerConfirmedFor(testDelivery)},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …", "release"}, kind: event.LogUnavailable, outcome: event.NotWritten,
		},
		{
			name: "lease of a taker too short: release", given: []func(*world){abandoned, slowTakeOver(tooSlow)},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …", "release"}, kind: event.Overloaded, outcome: event.NotWritten,
		},
		{
			name: "the lease of a taker begins with the take-over", given: []func(*world){abandoned, slowly(tooSlow)},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …", "publish", "settle"},
		},

		// Rules 4 and 5: release only what is surely not written.
		{
			name: "not written: release", given: []func(*world){publishFails(notWritten)},
			calls: []string{"check", "claim", "publish", "release"}, kind: event.LogUnavailable, outcome: event.NotWritten,
		},
		{
			name: "not written by a taker: release", given: []func(*world){abandoned, publishFails(notWritten)},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …", "publish", "release"}, kind: event.LogUnavailable, outcome: event.NotWritten,
		},
		{
			name: "unknown: mark unknown", given: []func(*world){publishFails(unknown)},
			calls: []string{"check", "claim", "publish", "mark unknown"}, kind: event.OutcomeUnknown, outcome: event.Unknown,
		},
		{
			name: "unknown by a taker: mark unknown", given: []func(*world){abandoned, publishFails(unknown)},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …", "publish", "mark unknown"}, kind: event.OutcomeUnknown, outcome: event.Unknown,
		},
		{
			name: "an error of no kind: mark unknown", given: []func(*world){publishFails(errStore)},
			calls: []string{"check", "claim", "publish", "mark unknown"}, kind: event.Internal, outcome: event.Unknown, cause: errStore,
		},

		// Rule 6: a take-over is a compare-and-set that can fail.
		{
			name: "take-over lost to another attempt", given: []func(*world){abandoned, takenOver(event.ClaimResult{State: event.InProgress}, nil)},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …"}, kind: event.RequestInProgress, outcome: event.Unknown,
		},
		{
			name: "take-over finds it settled", given: []func(*world){abandoned, takenOver(event.ClaimResult{State: event.Settled, Receipt: earlier}, nil)},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …"}, replayed: true,
		},
		{
			name: "take-over finds it gone", given: []func(*world){abandoned, takenOver(event.ClaimResult{State: event.Absent}, nil)},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …"}, kind: event.RequestInProgress, outcome: event.Unknown,
		},
		{
			name: "take-over without an answer: nothing was written before, nor is now", given: []func(*world){abandoned, takenOver(event.ClaimResult{}, errStore)},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …", "release"}, kind: event.IdempotencyStoreUnavailable, outcome: event.NotWritten, cause: errStore,
		},
		{
			name: "take-over without an answer, service first", policy: event.PublishOnStoreFailure,
			given: []func(*world){abandoned, takenOver(event.ClaimResult{}, errStore)},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …", "publish", "settle"}, bypassed: true,
		},

		// Rule 7: the recovery read comes before the take-over.
		{
			name: "found in the log: settle and replay", given: []func(*world){abandoned, finds(earlier, true, nil)},
			calls: []string{"check", "claim", "find C 1 …", "settle"}, replayed: true,
		},
		{
			name: "the log cannot tell yet", given: []func(*world){abandoned, finds(event.Receipt{}, false, undecided)},
			calls: []string{"check", "claim", "find C 1 …"}, kind: event.OutcomeUnknown, outcome: event.Unknown, retryAfter: 9 * time.Second,
		},
		{
			name: "topic gone while reading", given: []func(*world){abandoned, topicGoesAway},
			calls: []string{"check", "claim", "find C 1 …"}, kind: event.LogUnavailable, outcome: event.NotWritten,
		},

		// Rule 8: the store may have lost claims.
		{
			name: "rebuilding: reject, nothing is held", given: []func(*world){rebuilds}, policy: event.PublishOnStoreFailure,
			calls: []string{"check", "claim"}, kind: event.IdempotencyStoreUnavailable, outcome: event.NotWritten, retryAfter: 20 * time.Second,
		},
		{
			name: "rebuilding, service first", given: []func(*world){rebuilds}, onLoss: event.PublishOnStoreFailure,
			calls: []string{"check", "claim", "publish", "settle"}, bypassed: true,
		},
		{
			name: "take-over while rebuilding", given: []func(*world){abandoned, takenOver(event.ClaimResult{}, rebuilding)},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …"}, kind: event.IdempotencyStoreUnavailable, outcome: event.NotWritten, retryAfter: 20 * time.Second,
		},

		// Kafka does not confirm that claims count: the store is not to blame, nor its policies asked.
		{
			name: "not confirmed", given: []func(*world){isUnconfirmed}, policy: event.PublishOnStoreFailure, onLoss: event.PublishOnStoreFailure,
			calls: []string{"check", "claim", "look"}, kind: event.LogUnavailable, outcome: event.NotWritten, cause: cut,
		},
		{
			name: "not confirmed, but settled", given: []func(*world){settled, isUnconfirmed},
			calls: []string{"check", "claim", "look"}, replayed: true,
		},
		{
			name: "take-over not confirmed", given: []func(*world){abandoned, takenOver(event.ClaimResult{}, cut)},
			calls: []string{"check", "claim", "find C 1 …", "take over C 1 …", "look"}, kind: event.LogUnavailable, outcome: event.NotWritten, cause: cut,
		},

		// The store is away.
		{
			name: "store away: reject, and release what may stand", given: []func(*world){storeIsAway},
			calls: []string{"check", "claim", "release"}, kind: event.IdempotencyStoreUnavailable, outcome: event.NotWritten, cause: errStore,
		},
		{
			name: "store away, gateway publishes", given: []func(*world){storeIsAway}, policy: event.PublishOnStoreFailure,
			calls: []string{"check", "claim", "publish", "settle"}, bypassed: true,
		},
		{
			name: "store away, type publishes", given: []func(*world){storeIsAway, typePolicy(event.PublishOnStoreFailure)},
			calls: []string{"check", "claim", "publish", "settle"}, bypassed: true,
		},
		{
			name: "store away, type rejects although the gateway publishes", policy: event.PublishOnStoreFailure,
			given: []func(*world){storeIsAway, typePolicy(event.RejectOnStoreFailure)},
			calls: []string{"check", "claim", "release"}, kind: event.IdempotencyStoreUnavailable, outcome: event.NotWritten, cause: errStore,
		},
		{
			name: "store away, not written", policy: event.PublishOnStoreFailure, given: []func(*world){storeIsAway, publishFails(notWritten)},
			calls: []string{"check", "claim", "publish", "release"}, kind: event.LogUnavailable, outcome: event.NotWritten,
		},
		{
			name: "store away, unknown", policy: event.PublishOnStoreFailure, given: []func(*world){storeIsAway, publishFails(unknown)},
			calls: []string{"check", "claim", "publish", "mark unknown"}, kind: event.OutcomeUnknown, outcome: event.Unknown,
		},

		// The topic cannot be written to.
		{
			name: "topic missing", given: []func(*world){topicIsMissing},
			calls: []string{"check", "look"}, kind: event.LogUnavailable, outcome: event.NotWritten,
		},
		{
			name: "topic missing, settled before: replay", given: []func(*world){topicIsMissing, settled},
			calls: []string{"check", "look"}, replayed: true,
		},
		{
			name: "topic missing, reused", given: []func(*world){topicIsMissing, storeFinds(event.ClaimResult{State: event.Reused})},
			calls: []string{"check", "look"}, kind: event.IdempotencyKeyReused, outcome: event.NotWritten,
		},
		{
			name: "topic missing, in progress", given: []func(*world){topicIsMissing, storeFinds(event.ClaimResult{State: event.InProgress})},
			calls: []string{"check", "look"}, kind: event.RequestInProgress, outcome: event.Unknown,
		},
		{
			name: "topic missing, abandoned", given: []func(*world){topicIsMissing, abandoned},
			calls: []string{"check", "look"}, kind: event.LogUnavailable, outcome: event.NotWritten,
		},
		{
			name: "topic missing, store away", given: []func(*world){topicIsMissing, storeIsAway},
			calls: []string{"check", "look"}, kind: event.LogUnavailable, outcome: event.NotWritten,
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
			result, err := w.door(Config{OnStoreFailure: tt.policy, OnStoreLoss: tt.onLoss}, nil).Accept(t.Context(), req)

			require.Equal(t, tt.calls, w.calls)
			if tt.kind != "" {
				e := requireError(t, err, tt.kind, tt.outcome)
				requireRetryAfter(t, tt.retryAfter, e)
				if tt.cause != nil {
					require.ErrorIs(t, e, tt.cause)
				}
				require.Zero(t, result)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.replayed, result.Replayed)
			require.Equal(t, tt.bypassed, result.Bypassed)
			if tt.replayed {
				require.Equal(t, earlier, result.Receipt)
				return
			}
			require.Len(t, w.records, 1)
			require.Equal(t, event.ReceiptOf(w.records[0], event.Position{Partition: 3, Offset: 41}), result.Receipt)
			_, claimed := header(w.records[0], event.HeaderClaim)
			require.Equal(t, !tt.bypassed, claimed, "gw_claim belongs to deduplicated records only")
		})
	}
}

// Every step of an attempt must speak of the same claim, or Redis would
// compare with a token that nobody has stored.
// requireRetryAfter allows for the spread of those who wait for a rebuild.
func requireRetryAfter(t *testing.T, want time.Duration, e *event.Error) {
	t.Helper()
	if want == rebuilding.Left {
		require.GreaterOrEqual(t, e.RetryAfter, want)
		require.LessOrEqual(t, e.RetryAfter, want+want/4)
		return
	}
	require.Equal(t, want, e.RetryAfter)
}

// Callers who wait for a rebuild learn how far it is, and do not come back together.
func TestRefusedByARebuild(t *testing.T) {
	t.Parallel()
	e := refuseRebuilding(&event.Rebuilding{Left: time.Hour, Progress: "40 % of the log is read"})
	var refused *event.Error
	require.ErrorAs(t, e, &refused)
	require.True(t, strings.HasSuffix(refused.Detail, " So far 40 % of the log is read."), refused.Detail)
	require.GreaterOrEqual(t, refused.RetryAfter, mostRebuildPause)
	require.LessOrEqual(t, refused.RetryAfter, mostRebuildPause*5/4)
	require.Equal(t, 10*time.Second, spread(8*time.Second, 1))
	require.Equal(t, 8*time.Second, spread(8*time.Second, 0))
	require.Zero(t, spread(0, 1))
}

// A webhook's delivery says so in its claim.
func TestClaimsOfDeliveries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	req := keyed()
	req.Identity.Kind, req.TypesBegin = event.IdentityWebhook, "shop."
	_, err := w.door(Config{}, nil).Accept(t.Context(), req)
	require.NoError(t, err)
	require.True(t, w.claims[0].Delivery)
	require.Equal(t, "shop.", w.claims[0].TypesBegin)
}

func TestOneAttemptHasOneClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	storeFinds(event.ClaimResult{State: event.Abandoned, Abandoned: event.AbandonedClaim{Text: "C 1 …"}})(w)
	req := keyed()
	result, err := w.door(Config{}, nil).Accept(t.Context(), req)
	require.NoError(t, err)

	want := event.Claim{
		ID:          req.Identity.ClaimID("web"),
		Fingerprint: event.NewFingerprint(req.Type, req.Version, req.MediaType, req.Data),
		Token:       w.claims[1].Token,
		Placement:   event.Placement{Topic: "orders", Partition: 3, Owner: "gw-1"},
		Begun:       testStart,
		Type:        req.Type,
	}
	require.NotEmpty(t, want.Token)
	require.Len(t, w.claims, 3, "claim, take-over, settle")
	require.NotEqual(t, want.Token, w.claims[0].Token, "the take-over is not to be taken for the claim")
	for _, c := range w.claims[1:] {
		require.Equal(t, want, c)
	}
	require.Equal(t, want.Placement, w.records[0].Placement, "published to the claim's partition only")
	require.Equal(t, []event.Receipt{result.Receipt}, w.settled)
}

func TestLookAsksForTheSameClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refusesData(invalid)(w)
	req := keyed()
	_, err := w.door(Config{}, nil).Accept(t.Context(), req)
	require.Error(t, err)
	require.Equal(t, []event.Claim{{
		ID: req.Identity.ClaimID("web"), Fingerprint: event.NewFingerprint(req.Type, req.Version, req.MediaType, req.Data),
	}}, w.claims)
}

func TestTokensAreFreshForEveryAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.door(Config{}, nil), w.door(Config{}, nil)
	seen := map[string]bool{}
	for range 100 {
		for _, d := range []*Door{first, second} {
			_, err := d.Accept(t.Context(), keyed())
			require.NoError(t, err)
		}
	}
	for i := 0; i < len(w.claims); i += 2 { // claim, settle
		require.False(t, seen[w.claims[i].Token], "token %s came twice", w.claims[i].Token)
		seen[w.claims[i].Token] = true
	}
	require.Len(t, seen, 200)
}

// A release that never completes must not delay the caller for longer than a call to
// the store may.
func TestReleaseIsAwaitedButNotForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		publishFails(notWritten)(w)
		w.neverReleased = true
		start := time.Now()
		_, err := w.door(Config{}, nil).Accept(t.Context(), keyed())
		_ = requireError(t, err, event.LogUnavailable, event.NotWritten)
		require.Equal(t, testClaimTimeout, time.Since(start))
	})
}

// A caller that waited for a store that did not answer must not wait for the release
// too.
func TestReleaseAfterALostClaimIsNotAwaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		storeIsAway(w)
		w.neverReleased = true
		start := time.Now()
		_, err := w.door(Config{}, nil).Accept(t.Context(), keyed())
		_ = requireError(t, err, event.IdempotencyStoreUnavailable, event.NotWritten)
		require.Equal(t, w.claims[0], w.claims[1], "the lost claim is what is released")
		require.Zero(t, time.Since(start))
	})
}

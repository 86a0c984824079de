package idempotency

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// conformance is what the store has to do on any Redis.
var conformance = []struct {
	name string
	test func(*testing.T, backend)
}{
	{"a claim finds the record", testClaimFinds},
	{"a claim after the lease", testClaimAfterLease},
	{"many claims at once", testManyClaims},
	{"a token is compared whole", testTokensAreComparedWhole},
	{"record text", testRecordText},
	{"expiry", testExpiry},
	{"look never writes", testLookNeverWrites},
	{"looks leave connections to claims", testLooksAreBounded},
	{"take-over", testTakeOver},
	{"take-over under another clock", testTakeOverUnderAnotherClock},
	{"take-over of a changed record", testTakeOverOfChangedRecord},
	{"take-over tests the marker", testTakeOverTestsMarker},
	{"markers", testMarkers},
	{"a receipt is returned whatever the marker says", testReceiptsUnderAnyMarker},
	{"an unknown of transactional mode", testTransactionalUnknown},
	{"one winner per identity", testOneWinner},
	{"a lost reply to a claim", testLostReplyToClaim},
	{"a lost reply to a take-over", testLostReplyToTakeOver},
	{"a waiting caller gives up", testWaitingCallerGivesUp},
	{"no call waits long for a silent Redis", testSilentRedis},
	{"an unreadable record", testUnreadableRecord},
	{"show", testShow},
	{"claims of an outbox expire", testExpireClaims},
	{"show after the lease", testShowAbandoned},

	{"settle", testSettle},
	{"mark unknown", testMarkUnknown},
	{"release", testRelease},
	{"settlements of another's claim", testSettlementsOfAnothersClaim},
	{"settlements wait for Redis", testSettlementsWaitForRedis},
	{"settlements are dropped when the lease is over", testSettlementsDropped},
	{"a lost reply to a settlement", testLostReplyToSettlement},
	{"stop drains", testStopDrains},
	{"stop without Redis", testStopWithoutRedis},
}

func runConformance(t *testing.T, b backend) {
	for _, grouped := range []bool{false, true} {
		b.grouped = grouped
		for _, c := range conformance {
			t.Run(fmt.Sprintf("grouped=%t/%s", grouped, c.name), func(t *testing.T) {
				t.Parallel()
				c.test(t, b)
			})
		}
	}
}

func testClaimFinds(t *testing.T, b backend) {
	r := newRig(t, b)
	other := r.peer(t)
	tests := []struct {
		name  string
		given func(*testing.T, event.Claim)
		ask   func(event.Claim) event.Claim
		want  event.ClaimState
	}{
		{"nothing", func(*testing.T, event.Claim) {}, again, event.Claimed},
		{"its own token", func(t *testing.T, c event.Claim) { r.mustWin(t, c) }, func(c event.Claim) event.Claim { return c }, event.Claimed},
		{"a claim", func(t *testing.T, c event.Claim) { r.mustWin(t, c) }, again, event.InProgress},
		{"a claim, other payload", func(t *testing.T, c event.Claim) { r.mustWin(t, c) }, otherPayload, event.Reused},
		{"unknown", func(t *testing.T, c event.Claim) { r.mustWin(t, c); r.MarkUnknown(c); r.mustBecome(t, c.ID, "U") }, again, event.LeftUnknown},
		{"unknown, other payload", func(t *testing.T, c event.Claim) { r.mustWin(t, c); r.MarkUnknown(c); r.mustBecome(t, c.ID, "U") }, otherPayload, event.Reused},
		{"a receipt", func(t *testing.T, c event.Claim) {
			r.mustWin(t, c)
			r.Settle(c, receiptOf(c))
			r.mustBecome(t, c.ID, "S")
		}, again, event.Settled},
		{"a receipt, other payload", func(t *testing.T, c event.Claim) {
			r.mustWin(t, c)
			r.Settle(c, receiptOf(c))
			r.mustBecome(t, c.ID, "S")
		}, otherPayload, event.Reused},
		{"a released claim", func(t *testing.T, c event.Claim) { r.mustWin(t, c); mustClose(t, r.Release(c)) }, again, event.Claimed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for name, asker := range map[string]*rig{"same gateway": r, "another gateway": other} {
				c := r.newClaim()
				tt.given(t, c)
				before := r.record(t, c.ID)
				s := asker.mustClaim(t, tt.ask(c))
				require.Equal(t, tt.want, s.State, "%s: %s", name, s.State)
				if tt.want == event.Settled {
					requireSettled(t, receiptOf(c), s)
				}
				if tt.want == event.InProgress || tt.want == event.LeftUnknown {
					require.Positive(t, s.LeaseLeft)
					require.LessOrEqual(t, s.LeaseLeft, longLease)
				}
				if before != "" {
					require.Equal(t, before, r.record(t, c.ID), "a claim that is not won changes nothing")
				}
			}
		})
	}
}

// Each claim is answered as if it had come alone, in the order of the claims, however many
// scripts that takes.
func testManyClaims(t *testing.T, b backend) {
	r := newRig(t, b)
	const most = maxBatch + 44
	claims := make([]event.Claim, 0, most)
	want := make([]event.ClaimState, 0, most)
	for i := range most {
		c := r.newClaim()
		state := event.Claimed
		switch i % 11 {
		case 3:
			r.mustWin(t, c)
			c, state = again(c), event.InProgress
		case 5:
			r.mustWin(t, c)
			r.Settle(c, receiptOf(c)) // known here, before Redis has it
			c, state = again(c), event.Settled
		case 7:
			r.mustWin(t, c)
			c, state = otherPayload(c), event.Reused
		}
		claims, want = append(claims, c), append(want, state)
	}
	claims, want = append(claims, again(claims[0])), append(want, event.InProgress) // twice in one call
	for i := range claims {
		claims[i].Begun = time.Time{} // this test is not about waiting for a batch
	}
	results, errs := r.ClaimAll(t.Context(), claims)
	require.Len(t, results, len(claims))
	for i, s := range results {
		require.NoError(t, errs[i])
		require.Equal(t, want[i], s.State, "claim %d", i)
		if s.State == event.Settled {
			requireSettled(t, receiptOf(claims[i]), s)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, errs = r.ClaimAll(ctx, []event.Claim{r.newClaim(), r.newClaim()})
	require.ErrorIs(t, errs[0], context.Canceled)
	require.ErrorIs(t, errs[1], context.Canceled)
	results, errs = r.ClaimAll(t.Context(), nil)
	require.Empty(t, results)
	require.Empty(t, errs)
}

func testClaimAfterLease(t *testing.T, b backend) {
	r := newRig(t, b, withLease(50*time.Millisecond))
	t.Run("claimed", func(t *testing.T) {
		t.Parallel()
		c := r.newClaim()
		r.mustWin(t, c)
		s := r.mustFind(t, again(c), event.Abandoned)
		require.Equal(t, r.record(t, c.ID), s.Abandoned.Text, "a take-over compares the record as it was read")
		require.Zero(t, s.LeaseLeft)
	})
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		c := r.newClaim()
		r.mustWin(t, c)
		r.MarkUnknown(c)
		r.mustBecome(t, c.ID, "U")
		require.Equal(t, r.record(t, c.ID), r.mustFind(t, again(c), event.Abandoned).Abandoned.Text)
	})
	t.Run("other payload", func(t *testing.T) {
		t.Parallel()
		c := r.newClaim()
		r.mustWin(t, c)
		r.mustFind(t, again(c), event.Abandoned)
		require.Equal(t, event.Reused, r.mustClaim(t, otherPayload(c)).State)
	})
	t.Run("settled", func(t *testing.T) {
		t.Parallel()
		abandoned, c := r.newClaim(), r.newClaim()
		r.mustWin(t, c)
		r.Settle(c, receiptOf(c))
		r.mustBecome(t, c.ID, "S")
		r.mustWin(t, abandoned) // claimed later than c, and its lease is over before we look
		r.mustFind(t, again(abandoned), event.Abandoned)
		require.Equal(t, event.Settled, r.peer(t).mustClaim(t, again(c)).State, "a receipt outlives the lease")
	})
}

// One attempt's token may be the beginning of another's, as with the 1st and the 37th
// attempt of a process that counts in base 36.
func testTokensAreComparedWhole(t *testing.T, b backend) {
	tests := []struct{ name, held, asks string }{
		{"a beginning", "p-1a", "p-1"},
		{"an end", "xp-1", "p-1"},
		{"the topic", "p-1", "orders"},
		{"the owner", "p-1", "gw-1"},
	}
	r := newRig(t, b, withLease(time.Millisecond))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			held := r.newClaim()
			held.Token = tt.held
			asks := held
			asks.Token = tt.asks
			r.mustWin(t, held)
			before := r.record(t, held.ID)
			require.NotEqual(t, event.Claimed, r.mustClaim(t, asks).State, "two attempts hold one claim")
			s, err := r.TakeOver(t.Context(), asks, event.AbandonedClaim{Text: "C 1 1 x y 3 gw-1 orders"})
			require.NoError(t, err)
			require.NotEqual(t, event.Claimed, s.State, "two attempts hold one claim")

			r.Settle(asks, receiptOf(asks))
			r.MarkUnknown(asks)
			mustClose(t, r.Release(asks))
			require.Equal(t, before, r.record(t, held.ID), "one attempt ended another's claim")
		})
	}
}

func testRecordText(t *testing.T, b backend) {
	r := newRig(t, b)
	c := r.newClaim()
	fp := base64.RawURLEncoding.EncodeToString(c.Fingerprint[:])
	key := fmt.Sprintf("gw:n4bQgYh{%02x}%s", c.ID[0], c.ID[1:17])
	require.Equal(t, key, recordKey(c.ID))

	began := time.Now()
	c.Begun = began.Add(time.Hour)
	r.mustWin(t, c)
	text := r.record(t, c.ID)
	m := regexp.MustCompile(`^C (\d{13}) (\d{13}) (\S+) (\S+) 3 gw-1 orders @0\.\d{16}$`).FindStringSubmatch(text)
	require.NotNil(t, m, text)
	require.Equal(t, []string{fp, c.Token}, m[3:5])
	leaseEnd, _ := strconv.ParseInt(m[1], 10, 64)
	from, _ := strconv.ParseInt(m[2], 10, 64)
	require.Equal(t, c.Begun.UnixMilli(), from, "the claiming gateway's clock, however wrong")
	require.WithinDuration(t, began.Add(longLease), time.UnixMilli(leaseEnd), patience, "Redis' clock, which is this machine's")

	r.MarkUnknown(c)
	require.Equal(t, "U"+text[1:], r.mustBecome(t, c.ID, "U"))

	r.Settle(c, receiptOf(c))
	receipt := sha256.Sum256(fmt.Appendf(nil, `{"id":"%s","type":"orders.placed","version":"v2","topic":"orders","partition":3,"offset":42,"key":"o-1","time":"2026-01-31T12:00:00Z"}`,
		c.ID.String()[:8]))
	topic := sha256.Sum256([]byte("orders"))
	want := "S" + string(c.Fingerprint[:16]) + string(receipt[:6]) + string(topic[:4]) +
		string(binary.BigEndian.AppendUint64(nil, 1769860800e9)) + "\x03\x2a"
	require.Equal(t, want, r.mustBecome(t, c.ID, "S"))
}

func testExpiry(t *testing.T, b backend) {
	r := newRig(t, b)
	ttl := func(id event.ClaimID) time.Duration {
		d, err := r.raw.PTTL(t.Context(), recordKey(id)).Result()
		require.NoError(t, err)
		return d
	}
	requireWhole := func(id event.ClaimID) {
		require.LessOrEqual(t, ttl(id), longTTL)
		require.Greater(t, ttl(id), longTTL-patience)
	}
	shorten := func(id event.ClaimID) {
		require.NoError(t, r.raw.PExpire(t.Context(), recordKey(id), longTTL/2).Err())
	}
	c := r.newClaim()
	r.mustWin(t, c)
	requireWhole(c.ID)

	shorten(c.ID)
	r.mustWin(t, c)
	require.LessOrEqual(t, ttl(c.ID), longTTL/2, "a claim that finds its own record renews nothing")
	r.MarkUnknown(c)
	r.mustBecome(t, c.ID, "U")
	require.LessOrEqual(t, ttl(c.ID), longTTL/2, "a claim marked unknown keeps its expiry")
	require.Greater(t, ttl(c.ID), longTTL/2-patience)

	r.Settle(c, receiptOf(c))
	r.mustBecome(t, c.ID, "S")
	requireWhole(c.ID)

	marker, err := r.raw.PTTL(t.Context(), markerKey(r.bucket)).Result()
	require.NoError(t, err)
	require.Equal(t, time.Duration(-1), marker, "a marker never expires")
}

func testLookNeverWrites(t *testing.T, b backend) {
	r := newRig(t, b)
	look := func(c event.Claim) event.ClaimResult {
		s, err := r.Look(t.Context(), c.ID, c.Fingerprint)
		require.NoError(t, err)
		return s
	}
	c := r.newClaim()
	require.Equal(t, event.ClaimResult{State: event.Absent}, look(c))
	require.Empty(t, r.record(t, c.ID))

	other := r.peer(t)
	other.mustWin(t, c)
	before := r.record(t, c.ID)
	require.Equal(t, event.InProgress, look(c).State, "a look has no token of its own")
	require.Equal(t, event.Reused, look(otherPayload(c)).State)
	anyPayload, err := r.Look(t.Context(), c.ID, event.Fingerprint{})
	require.NoError(t, err)
	require.Equal(t, event.InProgress, anyPayload.State)
	require.Equal(t, before, r.record(t, c.ID))

	other.MarkUnknown(c)
	r.mustBecome(t, c.ID, "U")
	require.Equal(t, event.LeftUnknown, look(c).State)

	other.Settle(c, receiptOf(c))
	r.mustBecome(t, c.ID, "S")
	requireSettled(t, receiptOf(c), look(c))
}

// A take-over fences the producer of an attempt that is known to have failed: no retry
// waits for its lease.
func testTransactionalUnknown(t *testing.T, b backend) {
	r := newRig(t, b)
	tx := r.peer(t, transactional)
	c := r.newClaim()
	r.mustWin(t, c)
	require.Equal(t, event.InProgress, tx.mustClaim(t, again(c)).State, "the attempt may still be writing")
	r.MarkUnknown(c)
	text := r.mustBecome(t, c.ID, "U")
	require.Equal(t, event.LeftUnknown, r.mustClaim(t, again(c)).State)
	s := tx.mustClaim(t, again(c))
	require.Equal(t, event.Abandoned, s.State)
	require.WithinDuration(t, time.Now().Add(longLease), s.Abandoned.LeaseEnded, patience)
	s.Abandoned.LeaseEnded = time.Time{}
	require.Equal(t, event.AbandonedClaim{
		Text: text, Token: c.Token, Fingerprint: c.Fingerprint, Owner: "gw-1", Topic: "orders", Partitions: []int32{3},
		From: time.UnixMilli(c.Begun.UnixMilli()),
	}, s.Abandoned)
}

func testLooksAreBounded(t *testing.T, b backend) {
	p := newProxy(t, b)
	r := newRig(t, b, through(p))
	c := r.newClaim()
	r.mustWin(t, c)
	p.stall()
	var wg sync.WaitGroup
	for range maxLooks {
		wg.Go(func() { _, _ = r.Look(context.Background(), c.ID, c.Fingerprint) })
	}
	require.Eventually(t, func() bool { return len(r.looks) == maxLooks }, patience, pollEvery)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := r.Look(ctx, c.ID, c.Fingerprint)
		result <- err
	}()
	cancel()
	require.ErrorIs(t, <-result, context.Canceled, "one more waits as long as its caller does")
	p.flow()
	wg.Wait()
	require.Empty(t, r.looks)
}

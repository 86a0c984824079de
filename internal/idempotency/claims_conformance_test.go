package idempotency

import (
	"context"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// conformance is what a Redis has to do for the store, whichever it is.
var conformance = []struct {
	name string
	test func(*testing.T, backend)
}{
	{"a claim finds what stands", testClaimFinds},
	{"a claim after the lease", testClaimAfterLease},
	{"a token is compared whole", testTokensAreComparedWhole},
	{"record text", testRecordText},
	{"expiry", testExpiry},
	{"look never writes", testLookNeverWrites},
	{"looks leave connections to claims", testLooksAreBounded},
	{"take-over", testTakeOver},
	{"take-over of a changed record", testTakeOverOfChangedRecord},
	{"take-over tests the marker", testTakeOverTestsMarker},
	{"markers", testMarkers},
	{"many claims at once adopt a bucket once", testAdoptOnce},
	{"one winner per identity", testOneWinner},
	{"a lost reply to a claim", testLostReplyToClaim},
	{"a lost reply to a take-over", testLostReplyToTakeOver},
	{"a waiting caller gives up", testWaitingCallerGivesUp},
	{"nobody waits for a silent Redis for long", testSilentRedis},
	{"an unreadable record", testUnreadableRecord},

	{"settle", testSettle},
	{"doubt", testDoubt},
	{"release", testRelease},
	{"endings of another's claim", testEndingsOfAnothersClaim},
	{"endings wait for Redis", testEndingsWaitForRedis},
	{"endings are given up when the lease is over", testEndingsGivenUp},
	{"endings whose reply is lost", testEndingsLostReply},
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
		{"nothing", func(*testing.T, event.Claim) {}, again, event.Won},
		{"its own token", func(t *testing.T, c event.Claim) { r.mustWin(t, c) }, func(c event.Claim) event.Claim { return c }, event.Won},
		{"a claim", func(t *testing.T, c event.Claim) { r.mustWin(t, c) }, again, event.InProgress},
		{"a claim, other payload", func(t *testing.T, c event.Claim) { r.mustWin(t, c) }, otherPayload, event.Reused},
		{"a doubt", func(t *testing.T, c event.Claim) { r.mustWin(t, c); r.Doubt(c); r.mustBecome(t, c.ID, "U") }, again, event.InDoubt},
		{"a doubt, other payload", func(t *testing.T, c event.Claim) { r.mustWin(t, c); r.Doubt(c); r.mustBecome(t, c.ID, "U") }, otherPayload, event.Reused},
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
		{"a released claim", func(t *testing.T, c event.Claim) { r.mustWin(t, c); mustClose(t, r.Release(c)) }, again, event.Won},
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
					require.Equal(t, receiptOf(c), s.Receipt)
				}
				if tt.want == event.InProgress || tt.want == event.InDoubt {
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

func testClaimAfterLease(t *testing.T, b backend) {
	r := newRig(t, b, withLease(50*time.Millisecond))
	t.Run("claimed", func(t *testing.T) {
		t.Parallel()
		c := r.newClaim()
		r.mustWin(t, c)
		s := r.mustFind(t, again(c), event.Abandoned)
		require.Equal(t, r.record(t, c.ID), s.Found, "a take-over compares the record as it was read")
		require.Zero(t, s.LeaseLeft)
	})
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		c := r.newClaim()
		r.mustWin(t, c)
		r.Doubt(c)
		r.mustBecome(t, c.ID, "U")
		require.Equal(t, r.record(t, c.ID), r.mustFind(t, again(c), event.Abandoned).Found)
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

// An attempt's token may be the beginning of another's: the 1st and the 37th
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
			require.NotEqual(t, event.Won, r.mustClaim(t, asks).State, "two attempts hold one claim")
			s, err := r.TakeOver(t.Context(), asks, "C 1 1 x y 3 gw-1 orders")
			require.NoError(t, err)
			require.NotEqual(t, event.Won, s.State, "two attempts hold one claim")

			r.Settle(asks, receiptOf(asks))
			r.Doubt(asks)
			mustClose(t, r.Release(asks))
			require.Equal(t, before, r.record(t, held.ID), "one attempt ended another's claim")
		})
	}
}

func testRecordText(t *testing.T, b backend) {
	r := newRig(t, b)
	c := r.newClaim()
	fp := base64.RawURLEncoding.EncodeToString(c.Fingerprint[:])
	key := fmt.Sprintf("gw:{%02x}:c:%x", c.ID[0], c.ID[:])
	require.Equal(t, key, recordKey(c.ID))

	began := time.Now()
	r.mustWin(t, c)
	text := r.record(t, c.ID)
	m := regexp.MustCompile(`^C (\d{13}) (\d{13}) (\S+) (\S+) 3 gw-1 orders$`).FindStringSubmatch(text)
	require.NotNil(t, m, text)
	require.Equal(t, []string{fp, c.Token}, m[3:5])
	leaseEnd, _ := strconv.ParseInt(m[1], 10, 64)
	from, _ := strconv.ParseInt(m[2], 10, 64)
	require.Equal(t, longLease.Milliseconds(), leaseEnd-from)
	require.WithinDuration(t, began, time.UnixMilli(from), patience, "both clocks are this machine's")

	r.Doubt(c)
	require.Equal(t, "U"+text[1:], r.mustBecome(t, c.ID, "U"))

	r.Settle(c, receiptOf(c))
	want := fmt.Sprintf(`S %s {"id":"%s","type":"orders.placed","version":"v2","topic":"orders","partition":3,"offset":42,"key":"o-1","time":"2026-01-31T12:00:00Z"}`,
		fp, c.ID.String()[:8])
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
	require.LessOrEqual(t, ttl(c.ID), longTTL/2, "finding one's own claim renews nothing")
	r.Doubt(c)
	r.mustBecome(t, c.ID, "U")
	require.LessOrEqual(t, ttl(c.ID), longTTL/2, "a doubt keeps the expiry")
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
	look := func(c event.Claim) event.Standing {
		s, err := r.Look(t.Context(), c.ID, c.Fingerprint)
		require.NoError(t, err)
		return s
	}
	c := r.newClaim()
	require.Equal(t, event.Standing{State: event.Absent}, look(c))
	n, err := r.raw.Exists(t.Context(), recordKey(c.ID), markerKey(r.bucket)).Result()
	require.NoError(t, err)
	require.Zero(t, n, "neither a record nor a marker")

	other := r.peer(t)
	other.mustWin(t, c)
	before := r.record(t, c.ID)
	require.Equal(t, event.InProgress, look(c).State, "a look has no token of its own")
	require.Equal(t, event.Reused, look(otherPayload(c)).State)
	require.Equal(t, before, r.record(t, c.ID))

	other.Doubt(c)
	r.mustBecome(t, c.ID, "U")
	require.Equal(t, event.InDoubt, look(c).State)

	other.Settle(c, receiptOf(c))
	r.mustBecome(t, c.ID, "S")
	require.Equal(t, event.Standing{State: event.Settled, Receipt: receiptOf(c)}, look(c))
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
	require.ErrorIs(t, <-result, context.Canceled, "one more waits, for as long as its caller does")
	p.flow()
	wg.Wait()
	require.Empty(t, r.looks)
}

func testTakeOver(t *testing.T, b backend) {
	r := newRig(t, b, withLease(20*time.Millisecond))
	long := r.peer(t, withLease(longLease))
	first := r.newClaim()
	r.mustWin(t, first)
	original, err := parseRecord(r.record(t, first.ID))
	require.NoError(t, err)

	takers := []struct {
		name       string
		by         *rig
		place      event.Placement
		partitions []int32
	}{
		{"to another partition and owner", r, event.Placement{Topic: "orders", Partition: 7, Owner: "gw-2"}, []int32{3, 7}},
		{"to a partition that stands there", r, event.Placement{Topic: "orders", Partition: 3, Owner: "gw-3"}, []int32{3, 7}},
		{"to a third partition", long, event.Placement{Topic: "orders", Partition: 0, Owner: "gw-4"}, []int32{3, 7, 0}},
	}
	var last event.Claim
	for _, tt := range takers { // one after the other: each takes over from the one before
		c := again(first)
		c.Placement = tt.place
		found := r.mustFind(t, c, event.Abandoned).Found
		require.NoError(t, r.raw.PExpire(t.Context(), recordKey(c.ID), longTTL/2).Err())
		s, err := tt.by.TakeOver(t.Context(), c, found)
		require.NoError(t, err)
		require.Equal(t, event.Standing{State: event.Won}, s, tt.name)

		now, err := parseRecord(r.record(t, c.ID))
		require.NoError(t, err)
		require.Equal(t, stored{
			state: "C", fingerprint: original.fingerprint, leaseEndMs: now.leaseEndMs, token: c.Token,
			fromMs: original.fromMs, partitions: tt.partitions, owner: tt.place.Owner, topic: "orders",
		}, now, tt.name)
		require.Greater(t, now.leaseEndMs, original.leaseEndMs)
		ttl, err := r.raw.PTTL(t.Context(), recordKey(c.ID)).Result()
		require.NoError(t, err)
		require.Greater(t, ttl, longTTL/2, "%s: the expiry begins anew", tt.name)
		last = c
	}
	require.Equal(t, event.InProgress, r.mustClaim(t, again(first)).State)
	s, err := long.TakeOver(t.Context(), last, "C 1 1 x y 3 gw-1 orders")
	require.NoError(t, err)
	require.Equal(t, event.Won, s.State, "its own token, if the reply was lost")
}

func testTakeOverOfChangedRecord(t *testing.T, b backend) {
	r := newRig(t, b, withLease(time.Millisecond))
	long := r.peer(t, withLease(longLease))
	tests := []struct {
		name   string
		change func(*testing.T, event.Claim, string)
		want   event.ClaimState
	}{
		{"doubted", func(t *testing.T, c event.Claim, _ string) { r.Doubt(c); r.mustBecome(t, c.ID, "U") }, event.Abandoned},
		{"taken by another", func(t *testing.T, c event.Claim, found string) {
			s, err := long.TakeOver(t.Context(), again(c), found)
			require.NoError(t, err)
			require.Equal(t, event.Won, s.State)
		}, event.InProgress},
		{"settled", func(t *testing.T, c event.Claim, _ string) {
			r.Settle(c, receiptOf(c))
			r.mustBecome(t, c.ID, "S")
		}, event.Settled},
		{"released", func(t *testing.T, c event.Claim, _ string) { mustClose(t, r.Release(c)) }, event.Absent},
		{"only the lease end differs", func(t *testing.T, c event.Claim, found string) {
			f := strings.Split(found, " ")
			f[1] = "1000"
			require.NoError(t, r.raw.Set(t.Context(), recordKey(c.ID), strings.Join(f, " "), longTTL).Err())
		}, event.Abandoned},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := r.newClaim()
			r.mustWin(t, c)
			found := r.mustFind(t, again(c), event.Abandoned).Found
			tt.change(t, c, found)
			changed := r.record(t, c.ID)
			s, err := r.TakeOver(t.Context(), again(c), found)
			require.NoError(t, err)
			require.Equal(t, tt.want, s.State, s.State.String())
			require.Equal(t, changed, r.record(t, c.ID))
			if tt.want == event.Settled {
				require.Equal(t, receiptOf(c), s.Receipt)
			}
		})
	}
}

func testTakeOverTestsMarker(t *testing.T, b backend) {
	for name, change := range map[string]func(context.Context, *rig) error{
		"missing": func(ctx context.Context, r *rig) error { return r.raw.Del(ctx, markerKey(r.bucket)).Err() },
		"changed": func(ctx context.Context, r *rig) error {
			return r.raw.Set(ctx, markerKey(r.bucket), "another redis", 0).Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, b, withLease(time.Millisecond))
			c := r.newClaim()
			r.mustWin(t, c)
			found := r.mustFind(t, again(c), event.Abandoned).Found
			require.NoError(t, change(t.Context(), r))
			_, err := r.TakeOver(t.Context(), again(c), found)
			require.ErrorContains(t, err, "marker changed")
			require.Equal(t, found, r.record(t, c.ID), "nothing is taken")
		})
	}
}

func testMarkers(t *testing.T, b backend) {
	r := newRig(t, b)
	marker := func() string {
		text, err := r.raw.Get(t.Context(), markerKey(r.bucket)).Result()
		require.NoError(t, err)
		return text
	}
	adopted := func() [3]int {
		return [3]int{counted(t, r.reg, adoptTotal, "new"), counted(t, r.reg, adoptTotal, "lost"), counted(t, r.reg, adoptTotal, "changed")}
	}
	require.Equal(t, fmt.Sprintf("gw:{%02x}:m", r.bucket), markerKey(r.bucket))

	r.mustWin(t, r.newClaim())
	replid := marker()
	require.Len(t, replid, 40)
	require.Equal(t, [3]int{1, 0, 0}, adopted(), "missing at first")

	r.mustWin(t, r.newClaim())
	require.Equal(t, [3]int{1, 0, 0}, adopted(), "present")

	require.NoError(t, r.raw.Set(t.Context(), markerKey(r.bucket), "another redis", 0).Err())
	r.mustWin(t, r.newClaim())
	require.Equal(t, replid, marker())
	require.Equal(t, [3]int{1, 0, 1}, adopted(), "changed")

	require.NoError(t, r.raw.Del(t.Context(), markerKey(r.bucket)).Err())
	r.mustWin(t, r.newClaim())
	require.Equal(t, replid, marker())
	require.Equal(t, [3]int{1, 1, 1}, adopted(), "lost")

	// A claim in one bucket says nothing about another.
	elsewhere := r.newClaim()
	elsewhere.ID[0] = newRig(t, b).bucket
	r.mustWin(t, elsewhere)
	require.Equal(t, [3]int{2, 1, 1}, adopted())
}

// Of many claims that find a bucket without a marker one adopts it. The others
// have not seen a failover and must not say so.
func testAdoptOnce(t *testing.T, b backend) {
	r := newRig(t, b)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { _ = r.adopt(context.Background(), r.bucket) })
	}
	wg.Wait()
	r.mustWin(t, r.newClaim())
	require.Equal(t, 1, counted(t, r.reg, adoptTotal, "new"))
	require.Equal(t, 1, counted(t, r.reg, adoptTotal, ""))
}

func testOneWinner(t *testing.T, b backend) {
	const callers, identities = 64, 50
	rigs := []*rig{newRig(t, b)}
	rigs = append(rigs, rigs[0].peer(t))
	bucketsUsed := []byte{rigs[0].bucket, newRig(t, b).bucket, newRig(t, b).bucket}
	var claims [identities]event.Claim
	for i := range claims {
		claims[i] = rigs[0].newClaim()
		claims[i].ID[0] = bucketsUsed[i%len(bucketsUsed)]
	}
	var (
		mu      sync.Mutex
		winners [identities][]string
		wg      sync.WaitGroup
	)
	start := make(chan struct{})
	failed := make(chan error, callers*identities)
	for n := range callers {
		r := rigs[n%len(rigs)]
		wg.Go(func() {
			<-start
			for _, i := range mathrand.Perm(identities) {
				c := again(claims[i])
				s, err := r.Claim(context.Background(), c)
				switch {
				case err != nil:
					failed <- err
				case s.State == event.Won:
					mu.Lock()
					winners[i] = append(winners[i], c.Token)
					mu.Unlock()
				case s.State != event.InProgress:
					failed <- fmt.Errorf("state %s", s.State)
				}
			}
		})
	}
	close(start)
	wg.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	for i, tokens := range winners {
		require.Len(t, tokens, 1)
		rec, err := parseRecord(rigs[0].record(t, claims[i].ID))
		require.NoError(t, err)
		require.Equal(t, tokens[0], rec.token)
	}
	var sum, count int
	for _, r := range rigs {
		sum += counted(t, r.reg, batchSize, "")
		count += observations(t, r.reg, batchSize)
	}
	require.GreaterOrEqual(t, sum, callers*identities)
	require.Less(t, count, sum, "claims share round trips")
}

// The client library sends a command again if the connection breaks before the
// reply. The claim then knows its own token.
func testLostReplyToClaim(t *testing.T, b backend) {
	p := newProxy(t, b)
	r := newRig(t, b, through(p))
	r.mustWin(t, r.newClaim()) // the marker stands, the script is loaded, a connection is open
	c := r.newClaim()
	p.loseNextReply()
	r.mustWin(t, c)
	require.Zero(t, p.repliesToLose(), "a reply was lost")
	require.Equal(t, event.InProgress, r.mustClaim(t, again(c)).State)
}

func testLostReplyToTakeOver(t *testing.T, b backend) {
	p := newProxy(t, b)
	r := newRig(t, b, through(p), withLease(time.Millisecond))
	c := r.newClaim()
	r.mustWin(t, c)
	found := r.mustFind(t, again(c), event.Abandoned).Found
	taker := again(c)
	p.loseNextReply()
	s, err := r.TakeOver(t.Context(), taker, found)
	require.NoError(t, err)
	require.Equal(t, event.Won, s.State)
	require.Zero(t, p.repliesToLose(), "a reply was lost")
	require.Contains(t, r.record(t, c.ID), taker.Token)
}

func testWaitingCallerGivesUp(t *testing.T, b backend) {
	r := newRig(t, b)
	r.mustWin(t, r.newClaim())
	lock := func(do func(*gatherer[*claimCall])) {
		r.claims.mu.Lock()
		defer r.claims.mu.Unlock()
		do(&r.claims)
	}
	lock(func(g *gatherer[*claimCall]) { g.busy = lanes }) // as if all were under way, and never came back
	ctx, cancel := context.WithCancel(t.Context())
	c := r.newClaim()
	result := make(chan error, 1)
	go func() {
		_, err := r.Claim(ctx, c)
		result <- err
	}()
	require.Eventually(t, func() bool {
		waiting := 0
		lock(func(g *gatherer[*claimCall]) { waiting = len(g.waiting) })
		return waiting == 1
	}, patience, pollEvery)
	cancel()
	select {
	case err := <-result:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(patience):
		require.FailNow(t, "still waiting")
	}
	lock(func(g *gatherer[*claimCall]) { g.busy = 0 })
	r.mustWin(t, r.newClaim()) // shares its batch with the call that was given up
	require.Empty(t, r.record(t, c.ID), "a claim that nobody waits for is not sent")
	require.Equal(t, event.Standing{State: event.Won}, r.mustClaim(t, again(c)))
}

func testSilentRedis(t *testing.T, b backend) {
	p := newProxy(t, b)
	r := newRig(t, b, through(p))
	r.mustWin(t, r.newClaim())
	p.stall()
	defer p.flow()
	began := time.Now()
	_, err := r.Claim(t.Context(), r.newClaim())
	require.Error(t, err)
	require.Less(t, time.Since(began), batchTimeout+ioTimeout, "the script's time-out holds for whoever runs it")
	require.Equal(t, 1, counted(t, r.reg, errorsTotal, "claim"))
}

func testUnreadableRecord(t *testing.T, b backend) {
	r := newRig(t, b)
	for _, text := range []string{"x", "C 1 2", "S fp", "S fp {", "C x 1 fp token 3 gw-1 orders"} {
		c := r.newClaim()
		r.mustWin(t, r.newClaim())
		require.NoError(t, r.raw.Set(t.Context(), recordKey(c.ID), text, longTTL).Err())
		_, err := r.Claim(t.Context(), c)
		require.ErrorIs(t, err, errBadRecord, "%q", text)
		_, err = r.Look(t.Context(), c.ID, c.Fingerprint)
		require.ErrorIs(t, err, errBadRecord, "%q", text)
		_, err = r.TakeOver(t.Context(), c, text)
		require.ErrorIs(t, err, errBadRecord, "%q", text)
		require.Equal(t, text, r.record(t, c.ID), "what is not ours stays as it is")
	}
}

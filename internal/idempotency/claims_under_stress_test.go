package idempotency

import (
	"context"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

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
				c.Begun = time.Time{} // this test is not about waiting for a batch
				s, err := r.Claim(context.Background(), c)
				switch {
				case err != nil:
					failed <- err
				case s.State == event.Claimed:
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
	r.mustWin(t, r.newClaim()) // the marker is set, the script is loaded, a connection is open
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
	found := r.mustFind(t, again(c), event.Abandoned).Abandoned
	taker := again(c)
	p.loseNextReply()
	s, err := r.TakeOver(t.Context(), taker, found)
	require.NoError(t, err)
	require.Equal(t, event.Claimed, s.State)
	require.Zero(t, p.repliesToLose(), "a reply was lost")
	require.Contains(t, r.record(t, c.ID), taker.Token)
}

func testWaitingCallerGivesUp(t *testing.T, b backend) {
	r := newRig(t, b)
	r.mustWin(t, r.newClaim())
	lock := func(do func(*batcher[*claimCall])) {
		r.claims.mu.Lock()
		defer r.claims.mu.Unlock()
		do(&r.claims)
	}
	lock(func(g *batcher[*claimCall]) { g.running = maxConcurrentScripts }) // as if all were running, and never ended
	ctx, cancel := context.WithCancel(t.Context())
	c := r.newClaim()
	result := make(chan error, 1)
	go func() {
		_, err := r.Claim(ctx, c)
		result <- err
	}()
	require.Eventually(t, func() bool {
		waiting := 0
		lock(func(g *batcher[*claimCall]) { waiting = len(g.waiting) })
		return waiting == 1
	}, patience, pollEvery)
	cancel()
	select {
	case err := <-result:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(patience):
		require.FailNow(t, "still waiting")
	}
	lock(func(g *batcher[*claimCall]) { g.running = 0 })
	r.mustWin(t, r.newClaim()) // shares its batch with the call whose caller gave up
	require.Empty(t, r.record(t, c.ID), "a claim that no caller waits for is not sent")
	require.Equal(t, event.ClaimResult{State: event.Claimed}, r.mustClaim(t, again(c)))
}

func testSilentRedis(t *testing.T, b backend) {
	p := newProxy(t, b)
	r := newRig(t, b, through(p))
	r.mustWin(t, r.newClaim())
	p.stall()
	defer p.flow()
	deadlines := make(deadlineHook, 16)
	r.scripts.rdb.AddHook(deadlines)
	_, err := r.Claim(t.Context(), r.newClaim())
	require.Error(t, err, "it ends although Redis never answers")
	require.Equal(t, 1, counted(t, r.reg, errorsTotal, "claim"))
	require.Len(t, deadlines, 1, "one script, which the client library may send again")
	require.LessOrEqual(t, <-deadlines, batchTimeout)
}

// deadlineHook receives how much time each script has.
type deadlineHook chan time.Duration

func (deadlineHook) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (h deadlineHook) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if cmd.Name() != "evalsha" { // it is the handshake of a new connection
			return next(ctx, cmd)
		}
		left := time.Duration(math.MaxInt64)
		if deadline, ok := ctx.Deadline(); ok {
			left = time.Until(deadline)
		}
		h <- left
		return next(ctx, cmd)
	}
}

func (deadlineHook) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func testUnreadableRecord(t *testing.T, b backend) {
	r := newRig(t, b)
	for _, text := range []string{"x", "C 1 2", "S", "S fp {}", "C x 1 fp token 3 gw-1 orders"} {
		c := r.newClaim()
		r.mustWin(t, r.newClaim())
		require.NoError(t, r.raw.Set(t.Context(), recordKey(c.ID), text, longTTL).Err())
		_, err := r.Claim(t.Context(), c)
		require.ErrorIs(t, err, errBadRecord, "%q", text)
		_, err = r.Look(t.Context(), c.ID, c.Fingerprint)
		require.ErrorIs(t, err, errBadRecord, "%q", text)
		require.Equal(t, text, r.record(t, c.ID), "a record that is not ours is not changed")
	}
}

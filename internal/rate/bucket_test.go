package rate

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

func TestOldTokensAreDropped(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	b := newBucket(perSecond(100), begun)
	b.fill(begun.Add(time.Millisecond), begun, 5, Grant{Tokens: 5, Left: 95})
	step, _ := b.use(begun.Add(stale-1), 1, 0)
	require.Equal(t, grant, step)
	step, _ = b.use(begun.Add(stale), 1, 0)
	require.Equal(t, refill, step, "the other four are too old")
	b.fill(begun.Add(stale), begun.Add(stale), 1, Grant{Tokens: 1, Left: 99})
	require.Equal(t, 1, b.tokens, "new tokens do not make old ones younger")
}

func TestRefillsGrowWithTheCalls(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := newBucket(perSecond(500), now)
	for _, c := range []struct {
		pause         time.Duration
		wanted, wantN int
	}{
		{stale, 1, 1},
		{time.Millisecond, 1, 2},
		{time.Millisecond, 1, 4},
		{time.Millisecond, 1, 8},
		{time.Millisecond, 1, 16},
		{time.Millisecond, 1, 25},
		{2 * chunkTime, 1, 25},
		{time.Millisecond, 200, 200},
		{time.Millisecond, 9999, 500},
		{stale, 1, 1},
	} {
		now = now.Add(c.pause)
		n, partial := b.next(now, c.wanted, 0)
		require.Equal(t, c.wantN, n)
		require.Equal(t, min(n, 25), partial, "if there is less, at most a chunk is taken")
	}
	_, partial := b.next(now, 200, 150)
	require.Equal(t, 150, partial, "except for calls that wait for one token each")
}

// A call that is refused because of calls at another gateway uses no token of this one's guard.
func TestRefusalsCostNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		limit := perSecond(10)
		other, l := newLimiter(t, store, limit), newLimiter(t, store, limit)
		require.Equal(t, 10, calls(other, 20))
		require.Zero(t, calls(l, 20))
		store.set(func(m *memory) { m.down = true })
		<-time.After(limit.span(1))
		require.Equal(t, 10, calls(l, 20), "alone, it lets the burst through")
	})
}

// A call that comes while waiting calls wake up does not take the tokens requested for
// them: far below the rate no call is refused, and no refill is repeated endlessly.
func TestWaitersGetTheirTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, &memory{}, perSecond(1_000_000))
		c := l.client("a", perSecond(1_000_000), time.Now())
		c.mu.Lock()
		begun := time.Now()
		c.want(3)
		l.refill(c, begun)
		refilling := c.refilling
		c.mu.Unlock()
		<-refilling
		c.mu.Lock()
		defer c.mu.Unlock()
		require.Equal(t, 3, c.bucket.tokens)
		step, _ := c.bucket.use(begun, 1, c.reserved)
		require.Equal(t, refill, step, "all three are reserved")
		step, _ = c.bucket.use(begun, 3, 0)
		require.Equal(t, grant, step)
		c.reserved -= 3
	})
}

func TestNoCallIsRefusedFarBelowTheRate(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			l := newLimiter(t, &memory{latency: time.Duration(r.IntN(24)) * time.Millisecond}, perSecond(1_000_000))
			var all sync.WaitGroup
			var refused atomic.Int64
			for range 2000 {
				n := 1 + r.IntN(2)*50
				all.Go(func() {
					if !l.Take("a", false, n).Allowed {
						refused.Add(1)
					}
				})
				if r.IntN(4) == 0 {
					<-time.After(time.Duration(r.IntN(20)) * time.Millisecond)
				}
			}
			all.Wait()
			require.Zero(t, refused.Load(), seed)
			require.Zero(t, testutil.ToFloat64(l.metrics.alone), "%d: no call waits for a third refill", seed)
		})
	}
}

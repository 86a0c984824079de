package rate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit        Limit
		burst, chunk int
	}{
		"500/s":       {perSecond(500), 500, 25},
		"40/s":        {perSecond(40), 40, 2},
		"39/s":        {perSecond(39), 39, 1},
		"2/s":         {perSecond(2), 2, 1},
		"90/m":        {Limit{90, time.Minute}, 2, 1},
		"1/h":         {Limit{1, time.Hour}, 1, 1},
		"1000000/s":   {perSecond(1_000_000), 1_000_000, 50_000},
		"6000/m":      {Limit{6000, time.Minute}, 100, 5},
		"3600000/h":   {Limit{3_600_000, time.Hour}, 1000, 50},
		"one, burst1": {perSecond(1), 1, 1},
	} {
		require.Equal(t, c.burst, c.limit.Burst(), name)
		require.Equal(t, c.chunk, c.limit.chunk(), name)
	}
	require.True(t, Limit{}.IsZero())
	require.False(t, perSecond(1).IsZero())
}

func TestLimitOfAClient(t *testing.T) {
	t.Parallel()
	own, tokens := perSecond(1), perSecond(2)
	l := &Limits{Clients: map[string]Limit{"limited": own, "free": {}}, Tokens: map[string]Limit{"jwt:": tokens, "jwt2:": {}}}
	require.Equal(t, own, l.of("limited", false))
	require.Equal(t, Limit{}, l.of("limited", true), "a token never has the rate of a configured client")
	require.Equal(t, Limit{}, l.of("free", false))
	require.Equal(t, tokens, l.of("jwt:somebody", true))
	require.Equal(t, Limit{}, l.of("jwt:somebody", false))
	require.Equal(t, Limit{}, l.of("jwt2:somebody", true))
	require.Equal(t, Limit{}, (&Limits{}).of("somebody", true))
}

// calls makes n calls at once and returns how many were let through.
func calls(l *Limiter, n int) int {
	var mu sync.Mutex
	var all sync.WaitGroup
	through := 0
	for range n {
		all.Go(func() {
			d := l.Take("a", false, 1)
			mu.Lock()
			defer mu.Unlock()
			if d.Allowed {
				through++
			}
		})
	}
	all.Wait()
	return through
}

func TestOneGateway(t *testing.T) {
	t.Parallel()
	for _, limit := range []Limit{perSecond(1), perSecond(2), perSecond(20), perSecond(40), perSecond(500), {90, time.Minute}} {
		t.Run(limit.key(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, &memory{}, limit)
				require.Equal(t, limit.Burst(), calls(l, 3*limit.Burst()), "the burst")
				synctest.Wait() // for the last refill, which tells how long the store is empty
				d := l.Take("a", false, 1)
				require.False(t, d.Allowed)
				require.Positive(t, d.RetryAfter)
				require.LessOrEqual(t, d.RetryAfter, limit.span(1)+chunkTime)
				<-time.After(d.RetryAfter)
				require.True(t, l.Take("a", false, 1).Allowed, "after as long as it was told")
			})
		})
	}
}

// A client that calls all the time gets its rate, from one gateway or from several.
func TestSteadyCallsGetTheirRate(t *testing.T) {
	t.Parallel()
	for _, gateways := range []int{1, 2, 5} {
		for _, limit := range []Limit{perSecond(2), perSecond(30), perSecond(100), perSecond(1000)} {
			t.Run(fmt.Sprintf("%d gateways, %s", gateways, limit.key()), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					store := &memory{latency: time.Millisecond}
					all := make([]*Limiter, gateways)
					for i := range all {
						all[i] = newLimiter(t, store, limit)
					}
					const span = 20 * time.Second
					through := 0
					for begun, i := time.Now(), 0; time.Since(begun) < span; i++ {
						if all[i%gateways].Take("a", false, 1).Allowed {
							through++
						}
						<-time.After(limit.span(0.4)) // two and a half times the rate
					}
					want := float64(limit.Burst()) + limit.over(span)
					require.InEpsilon(t, want, through, 0.05)
					require.LessOrEqual(t, through, int(want)+gateways*2*limit.chunk())
					// Refused calls cause no refill, except for what comes in 50 ms.
					require.LessOrEqual(t, store.takeCount(), int(2*limit.over(span))+20*gateways*int(span/time.Second))
				})
			})
		}
	}
}

// call is one of those that were let through.
type call struct {
	at time.Time
	n  int
}

// TestNeverMoreThanTheBound makes calls at random times, of random sizes, at random
// gateways, and looks at every span between two of them.
func TestNeverMoreThanTheBound(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { schedule(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func schedule(t *testing.T, r *rand.Rand) {
	limit := Limit{Count: 1 + r.IntN(400), Per: []time.Duration{time.Second, time.Second, 10 * time.Second, time.Minute}[r.IntN(4)]}
	store := &memory{latency: time.Duration(r.IntN(10)) * time.Millisecond}
	gateways := make([]*Limiter, 1+r.IntN(4))
	for i := range gateways {
		gateways[i] = newLimiter(t, store, limit)
	}
	var mu sync.Mutex
	var through []call
	var all sync.WaitGroup
	for range 800 {
		g, n := gateways[r.IntN(len(gateways))], 1
		if r.IntN(20) == 0 {
			n = 1 + r.IntN(2*limit.Burst())
		}
		all.Go(func() {
			if !g.Take("a", false, n).Allowed {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			through = append(through, call{time.Now(), min(n, limit.Burst())})
		})
		switch r.IntN(10) {
		case 0:
			<-time.After(time.Duration(r.IntN(3000)) * time.Millisecond)
		case 1, 2, 3, 4:
			<-time.After(time.Duration(r.ExpFloat64() * float64(limit.span(0.7))))
		}
	}
	all.Wait()
	slices.SortFunc(through, func(a, b call) int { return a.at.Compare(b.at) })
	held := 0
	if len(gateways) > 1 {
		held = len(gateways) * 2 * limit.chunk()
	}
	for i := range through {
		sum := 0
		for j := i; j < len(through); j++ {
			sum += through[j].n
			span := through[j].at.Sub(through[i].at) + store.latency // on the way from the store
			bound := float64(limit.Burst()) + limit.over(span) + float64(held)
			if float64(sum) > bound+1e-6 { // require is slow, and there are millions
				require.FailNow(t, "more than the bound", "%d gateways, %s, calls %d to %d: %d > %f", len(gateways), limit.key(), i, j, sum, bound)
			}
		}
	}
	require.NotEmpty(t, through)
	require.Zero(t, testutil.ToFloat64(gateways[0].metrics.alone), "the store was there all the time")
}

func TestStoreIsAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		break_, repair func(*memory)
		slowest        time.Duration // of the first call
	}{
		"it refuses": {func(m *memory) { m.down = true }, func(m *memory) { m.down = false }, 0},
		"it hangs":   {func(m *memory) { m.latency = time.Hour }, func(m *memory) { m.latency = 0 }, wait},
		"it is slow": {func(m *memory) { m.latency = 3 * wait }, func(m *memory) { m.latency = 0 }, wait},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &memory{}
				limit := perSecond(10)
				l := newLimiter(t, store, limit)
				store.set(c.break_)
				begun := time.Now()
				require.True(t, l.Take("a", false, 1).Allowed)
				require.LessOrEqual(t, time.Since(begun), c.slowest)
				begun = time.Now()
				require.Equal(t, limit.Burst()-1, calls(l, 50), "this gateway's own count")
				require.Zero(t, time.Since(begun), "no call waits any more")
				require.InDelta(t, limit.Burst(), testutil.ToFloat64(l.metrics.alone), 0)
				require.InDelta(t, 41, testutil.ToFloat64(l.metrics.limited), 0)

				before := store.takeCount()
				for range 100 { // 10 s
					begun := time.Now()
					l.Take("a", false, 1)
					require.Zero(t, time.Since(begun))
					<-time.After(100 * time.Millisecond)
				}
				require.InDelta(t, 10, store.takeCount()-before, 6, "it is asked once in a while")

				store.set(c.repair)
				<-time.After(2*storeRetry + refillTimeout)
				l.Take("a", false, 1)
				synctest.Wait()
				require.False(t, l.away.Load(), "it is back")
				alone := testutil.ToFloat64(l.metrics.alone)
				require.True(t, l.Take("a", false, 1).Allowed)
				require.InDelta(t, alone, testutil.ToFloat64(l.metrics.alone), 0)
			})
		})
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		limit := perSecond(100)
		l := newLimiter(t, store, limit)
		require.True(t, l.Take("a", false, 1000).Allowed, "more than the burst counts as the burst")
		d := l.Take("a", false, 50)
		require.False(t, d.Allowed)
		require.Equal(t, 500*time.Millisecond, d.RetryAfter)
		<-time.After(d.RetryAfter)
		require.True(t, l.Take("a", false, 50).Allowed)

		// Another gateway's batch that is too large leaves small calls what there is.
		<-time.After(300 * time.Millisecond)
		other := newLimiter(t, store, limit)
		require.False(t, other.Take("a", false, 60).Allowed)
		for i := range 28 {
			require.True(t, other.Take("a", false, 1).Allowed, i)
		}
	})
}

func TestChangedRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, &memory{}, Limit{1, time.Hour})
		require.Equal(t, 1, calls(l, 5))
		l.Replace(Limits{Clients: map[string]Limit{"a": perSecond(10)}})
		require.Equal(t, 10, calls(l, 50), "no call waits an hour for what is allowed now")
		l.Replace(Limits{})
		require.Equal(t, 50, calls(l, 50))
		l.Replace(Limits{Clients: map[string]Limit{"a": perSecond(3)}})
		require.Equal(t, 3, calls(l, 50))
	})
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, &memory{}, perSecond(10))
		for left := 9; left >= 0; left-- {
			d := l.Take("a", false, 1)
			require.True(t, d.Allowed)
			require.Equal(t, left, d.Remaining)
			require.Equal(t, 100*time.Millisecond, d.More)
		}
		d := l.Take("a", false, 1)
		require.False(t, d.Allowed)
		require.Equal(t, 0, d.Remaining)
		require.Equal(t, d.RetryAfter, d.More)
		<-time.After(550 * time.Millisecond)
		d = l.Take("a", false, 1)
		require.Equal(t, 4, d.Remaining)
		require.LessOrEqual(t, d.More, 100*time.Millisecond)
	})
}

func TestIdleClientsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, &memory{}, perSecond(1))
		l.Replace(Limits{Tokens: map[string]Limit{"": perSecond(5)}})
		for i := range 3 * minSweep {
			require.True(t, l.Take(fmt.Sprint("client ", i), true, 1).Allowed)
			if i%minSweep == 0 {
				<-time.After(2 * time.Second)
			}
		}
		require.LessOrEqual(t, len(l.clients), minSweep+1)
	})
}

func TestClosed(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, &memory{}, perSecond(2))
	l.Close()
	l.Close()
	require.Equal(t, 2, calls(l, 5))
}

func BenchmarkTake(b *testing.B) {
	l := New(Config{Wait: wait}, &memory{}, nil, NewMetrics(nil))
	defer l.Close()
	l.Replace(Limits{Clients: map[string]Limit{"a": perSecond(1_000_000_000)}})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Take("a", false, 1)
		}
	})
}

package rate

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Batches of any allowed size pass at any rate, and over any time a client gets its rate
// and one burst, with a store and without one.
func TestBatchesOfAnySize(t *testing.T) {
	t.Parallel()
	for _, l := range []Limit{{1, time.Hour}, {60, time.Minute}, {100, time.Minute}, {7, time.Second}, {500, time.Second}} {
		for _, n := range []int{1, 2, l.Burst(), l.Largest() / 2, l.Largest()} {
			for _, down := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s of %d, store down: %v", l.key(), n, down), func(t *testing.T) {
					t.Parallel()
					if n < 1 || n > l.Largest() {
						return
					}
					synctest.Test(t, func(t *testing.T) {
						limiter := newLimiter(t, &memory{down: down}, l)
						begun, granted := time.Now(), 0
						for time.Since(begun) < 3*max(time.Minute, l.span(float64(n))) {
							first := limiter.Take("a", false, 1)
							if !first.Allowed {
								time.Sleep(max(first.RetryAfter, time.Millisecond))
								continue
							}
							granted++
							time.Sleep(time.Second) // a body that comes slowly
							for {
								d := limiter.Reserve("a", false, n, 1)
								if d.Allowed {
									require.LessOrEqual(t, d.Wait, LongestWait)
									time.Sleep(d.Wait)
									granted += n - 1
									break
								}
								require.Positive(t, d.RetryAfter, "an allowed size is refused for a while only")
								time.Sleep(d.RetryAfter)
							}
							bound := float64(l.Burst()) + l.over(time.Since(begun))
							require.LessOrEqual(t, float64(granted), bound+1e-6)
						}
						require.GreaterOrEqual(t, granted, n, "batches pass")
					})
				})
			}
		}
	}
}

func TestBatchesThatNeverPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limiter := newLimiter(t, &memory{}, Limit{60, time.Minute})
		require.Equal(t, 11, Limit{60, time.Minute}.Largest())
		d := limiter.Reserve("a", false, 12, 1)
		require.False(t, d.Allowed)
		require.Zero(t, d.RetryAfter)
		require.True(t, limiter.Take("a", false, 1).Allowed, "it costs nothing")
		require.True(t, limiter.Reserve("a", false, 11, 1).Allowed)
		require.False(t, limiter.Take("a", false, 1).Allowed, "what comes is taken")
		require.True(t, limiter.Reserve("somebody without a rate", false, 1000, 1).Allowed)
	})
}

func TestReadsAreCountedApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limiter := newLimiter(t, &memory{}, Limit{1, time.Hour})
		require.True(t, limiter.Take("a", false, 1).Allowed)
		for range minReads {
			require.True(t, limiter.TakeRead("a", false).Allowed)
		}
		d := limiter.TakeRead("a", false)
		require.False(t, d.Allowed)
		time.Sleep(d.RetryAfter)
		require.True(t, limiter.TakeRead("a", false).Allowed)
		require.True(t, limiter.TakeRead("somebody without a rate", false).Allowed)
	})
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := NewAddresses(perSecond(3))
		spend := func(address string, purpose ...string) (passed int) {
			for range 10 {
				if d := a.Take(netip.MustParseAddr(address), strings.Join(purpose, "")); d.Allowed {
					passed++
				} else {
					require.Positive(t, d.RetryAfter)
				}
			}
			return passed
		}
		require.Equal(t, 3, spend("192.0.2.1"))
		require.Zero(t, spend("::ffff:192.0.2.1"), "the same address")
		require.Equal(t, 3, spend("192.0.2.1", "stripe"), "counted apart")
		require.Equal(t, 3, spend("2001:db8::1"))
		require.Zero(t, spend("2001:db8::ffff:1"), "the same /64")
		time.Sleep(time.Second)
		require.Equal(t, 3, spend("192.0.2.1"))
		require.Len(t, a.guards, addressSlots, "however many addresses there are")
		require.True(t, NewAddresses(Limit{}).Take(netip.Addr{}, "").Allowed)
	})
}

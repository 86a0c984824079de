package delivery

import (
	"fmt"
	"runtime"
	"runtime/pprof"
	"testing"

	"github.com/stretchr/testify/require"
)

// A hundred idle subscriptions: memory and threads of each. The embedded Kafka's part is
// counted as well, so these are upper bounds.
func TestIdleSubscriptionsAreCheap(t *testing.T) {
	const subscriptions = 100
	w := newWorld(t, 6)
	measure := func() (uint64, int) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse, pprof.Lookup("threadcreate").Count()
	}
	memory, threads := measure()
	configs := make([]Config, subscriptions)
	for i := range configs {
		configs[i] = w.config(func(c *Config) { c.Name = fmt.Sprintf("s%d", i) })
	}
	set, _ := w.start(configs...)
	w.eventually("all are members", func() bool {
		set.mu.Lock()
		defer set.mu.Unlock()
		for _, c := range configs {
			r := set.running[c.Name]
			if r == nil {
				return false
			}
			m, n := r.member.Load(), 0
			if m == nil {
				return false
			}
			if m.call(func() { n = len(m.order) }); n != 6 {
				return false
			}
		}
		return true
	})
	memoryAfter, threadsAfter := measure()
	each := float64(memoryAfter-min(memory, memoryAfter)) / subscriptions
	t.Logf("%.0f KiB and %.2f threads for each of %d idle subscriptions", each/1024, float64(threadsAfter-threads)/subscriptions, subscriptions)
	require.Less(t, each, float64(8<<20))
	require.Less(t, float64(threadsAfter-threads)/subscriptions, 1.0)
}

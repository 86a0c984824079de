package idempotency

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestBatcherRunsALoneCallAtOnce(t *testing.T) {
	t.Parallel()
	var ran [][]int
	g := &batcher[int]{maxBatch: 4, maxRunning: 2, run: func(b []int) { ran = append(ran, b) }} // no lock: the caller's own goroutine
	for i := range 3 {
		g.add(i)
		require.Len(t, ran, i+1)
		require.Equal(t, []int{i}, ran[i])
	}
	require.Zero(t, g.running)
}

func TestBatcherCollectsWhileBatchesRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			mu   sync.Mutex
			ran  [][]int
			busy int
			next = make(chan struct{})
		)
		g := &batcher[int]{maxBatch: 4, maxRunning: 2, run: func(b []int) {
			mu.Lock()
			ran = append(ran, b)
			busy++
			require.LessOrEqual(t, busy, 2)
			mu.Unlock()
			<-next
			mu.Lock()
			busy--
			mu.Unlock()
		}}
		batches := func() [][]int {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return ran
		}
		go g.add(0)
		synctest.Wait()
		go g.add(1)
		require.Equal(t, [][]int{{0}, {1}}, batches(), "both run at once")

		for i := 2; i < 12; i++ {
			g.add(i) // two batches are running: it returns, and a later batch will run it
		}
		require.Len(t, batches(), 2)
		want := [][]int{{0}, {1}, {2, 3, 4, 5}, {6, 7, 8, 9}, {10, 11}}
		for n := 3; n <= len(want); n++ {
			next <- struct{}{}
			require.Equal(t, want[:n], batches(), "the next batch takes those that waited longest")
		}
		close(next)
		synctest.Wait()
		require.Zero(t, g.running)
		require.Empty(t, g.waiting)
	})
}

func TestBatcherLosesNothing(t *testing.T) {
	t.Parallel()
	const callers, calls, maxBatch, maxRunning = 64, 200, 16, 2
	var (
		busy, most, largest atomic.Int32
		seen                [callers * calls]atomic.Int32
		answered            sync.WaitGroup
	)
	answered.Add(callers * calls)
	g := &batcher[int]{maxBatch: maxBatch, maxRunning: maxRunning, run: func(b []int) {
		raise(&most, busy.Add(1))
		raise(&largest, int32(len(b)))
		runtime.Gosched()
		for _, call := range b {
			seen[call].Add(1)
			answered.Done()
		}
		busy.Add(-1)
	}}
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range calls {
				g.add(c*calls + i)
			}
		})
	}
	wg.Wait()
	answered.Wait()
	for i := range seen {
		require.Equal(t, int32(1), seen[i].Load(), "call %d", i)
	}
	require.LessOrEqual(t, most.Load(), int32(maxRunning))
	require.LessOrEqual(t, largest.Load(), int32(maxBatch))
	require.Greater(t, largest.Load(), int32(1), "calls share batches")
	require.Eventually(t, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.running == 0 && len(g.waiting) == 0
	}, patience, pollEvery)
}

func raise(most *atomic.Int32, n int32) {
	for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
	}
}

func TestByBucket(t *testing.T) {
	t.Parallel()
	groups := byBucket([]string{"b1", "a1", "b2", "c1", "a2"}, func(s string) byte { return s[0] })
	require.Equal(t, [][]string{{"b1", "b2"}, {"a1", "a2"}, {"c1"}}, groups)
	require.Empty(t, byBucket([]string{}, func(string) byte { return 0 }))
}

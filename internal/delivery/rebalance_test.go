package delivery

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
)

// watcher is a member of a group that notes what is assigned to it and revoked.
type watcher struct {
	mu       sync.Mutex
	has      map[kafka.Partition]bool
	revoked  int
	released bool // records of the last poll were taken
	early    bool // a partition was revoked before that
}

func (h *watcher) Assigned(parts map[kafka.Partition]kafka.Committed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for p := range parts {
		h.has[p] = true
	}
}

func (h *watcher) Revoked(_ context.Context, parts []kafka.Partition) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.early = h.early || !h.released
	h.revoked += len(parts)
	for _, p := range parts {
		delete(h.has, p)
	}
}

func (h *watcher) Lost(parts []kafka.Partition) { h.Revoked(context.Background(), parts) }

func (h *watcher) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.has)
}

// Records that were polled are in their windows before their partition is revoked. If they
// came later, they could come into the window of the next assignment, ahead of the records
// that it begins with, and the commit would pass those.
func TestPolledRecordsAreTakenBeforeARebalance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	for i := range 10 {
		w.write(record(string(rune('a'+i)), `{}`))
	}
	join := func() (*kafka.Group, *watcher) {
		h := &watcher{has: map[kafka.Partition]bool{}}
		g, err := w.connection().JoinGroup(kafka.GroupConfig{Name: Group("test"), Topics: []string{"orders"}, Session: 10 * time.Second}, h, quietLogger)
		require.NoError(t, err)
		return g, h
	}
	first, one := join()
	release, polled := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	poll := func(g *kafka.Group, take func([]*kafka.Record)) {
		running.Go(func() {
			for ctx.Err() == nil {
				g.Poll(ctx, 100, take)
			}
		})
	}
	once := sync.OnceFunc(func() {
		close(polled)
		<-release
		one.mu.Lock()
		one.released = true
		one.mu.Unlock()
	})
	poll(first, func([]*kafka.Record) { once() })
	<-polled
	second, two := join()
	poll(second, func([]*kafka.Record) {})
	// The second member has joined when the first has been asked for a partition, and the
	// first answers only after its records were taken.
	waiting, stop := context.WithTimeout(t.Context(), 4*time.Second)
	defer stop()
	require.False(t, backoff.Poll(waiting, 10*time.Millisecond, func() bool { return two.count() > 0 }))
	close(release)
	w.eventually("a partition moves", func() bool { return two.count() == 1 && one.count() == 1 })
	one.mu.Lock()
	require.False(t, one.early)
	one.mu.Unlock()
	cancel()
	running.Wait()
	first.Close()
	second.Close()
}

// A pause of fetching ends with the assignment: the window of the next one does not know
// of it.
func TestPauseOfFetchingEndsWithTheAssignment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	set, _ := w.start(w.config())
	member := func() *member {
		set.mu.Lock()
		defer set.mu.Unlock()
		if r := set.running["test"]; r != nil {
			return r.member.Load()
		}
		return nil
	}
	has := func(n int) func() bool {
		return func() bool {
			m, is := member(), false
			if m != nil {
				m.call(func() { is = len(m.order) == n })
			}
			return is
		}
	}
	w.eventually("it has both", has(2))
	m := member()
	both := []kafka.Partition{{Topic: "orders", Number: 0}, {Topic: "orders", Number: 1}}
	m.call(func() { m.group.Pause(both...) })
	_, stop := w.start(w.config())
	w.eventually("one has moved", has(1))
	var stayed kafka.Partition
	m.call(func() { stayed = m.order[0].part })
	stop()
	w.eventually("it came back", has(2))
	m.call(func() { m.group.Resume(stayed) })
	for i := range 20 {
		w.write(record(string(rune('a'+i)), `{}`))
	}
	w.eventually("all came", func() bool { return w.committed(0).base+w.committed(1).base == 20 })
}

package idempotency

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// lab is a Redis that belongs to one test, which may flush and promote it.
type lab struct {
	backend
	// promote makes it another Redis with the same data.
	promote func(t *testing.T)
	// change gives it another replication id, without a loss.
	change func(t *testing.T)
}

// shortIntervals are defaultIntervals for tests. The lock expires soon, but not on a machine
// that stalls for a second.
var shortIntervals = intervals{
	lockTTL: 4 * time.Second, check: 200 * time.Millisecond,
	contended: 50 * time.Millisecond, failed: 50 * time.Millisecond, least: 5 * time.Millisecond,
	retry: 20 * time.Millisecond, exclude: time.Second,
	beat: 20 * time.Millisecond, joinFor: 3 * time.Second, joins: 5 * time.Millisecond, fix: time.Minute,
}

// gateway is another gateway on the lab's Redis. Its guard is not running yet.
func (l lab) gateway(t *testing.T, opts ...rigOption) *rig {
	t.Helper()
	r := newRig(t, l.backend, append([]rigOption{withoutMarkers}, opts...)...)
	r.intervals = shortIntervals
	return r
}

// guard runs the gateway's guard until the returned function is called.
func (r *rig) guard(t *testing.T, log Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	rebuilder := r.rebuilder(log)
	done.Go(func() { rebuilder.Guard(ctx) })
	stop = func() {
		cancel()
		done.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// mustBeReady waits until all buckets carry the marker of this Redis and no lock
// is left.
func (r *rig) mustBeReady(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		wrong, err := r.countWrong()
		if err != nil || wrong > 0 {
			return false
		}
		locks, err := r.raw.Keys(context.Background(), locksPattern).Result()
		return err == nil && len(locks) == 0
	}, patience, 10*pollEvery)
}

const locksPattern = "gw:n4bQgYh{*}:l"

// wrong counts buckets that are not ready.
func (r *rig) wrong(t *testing.T) int {
	t.Helper()
	n, err := r.countWrong()
	require.NoError(t, err)
	return n
}

func (r *rig) countWrong() (n int, err error) {
	err = r.scripts.runOnBuckets(context.Background(), bucketScript{checkScript, markerOnly, nil}, allBuckets(), func(_ byte, state bucketState) {
		if state != bucketReady {
			n++
		}
	})
	return n, err
}

func (r *rig) locks(t *testing.T) []string {
	t.Helper()
	keys, err := r.raw.Keys(t.Context(), locksPattern).Result()
	require.NoError(t, err)
	return keys
}

// fakeLog is a log whose steps a test can delay or use to interfere.
type fakeLog struct {
	entries     []event.LogEntry
	quiesce     func(context.Context) error
	before      func(n int) error // reading the nth entry
	onPass      func(pass int)    // at the start of each replay, from 1
	passes      atomic.Int32
	waits       atomic.Int32
	fenced      atomic.Pointer[[]string] // of the last Quiesce
	toWatermark atomic.Bool              // of the last replay
	from        atomic.Int64
}

func (l *fakeLog) Quiesce(ctx context.Context, _ time.Time, silent []string) error {
	l.waits.Add(1)
	l.fenced.Store(&silent)
	if l.quiesce != nil {
		return l.quiesce(ctx)
	}
	return ctx.Err()
}

func (l *fakeLog) Replay(ctx context.Context, from time.Time, toWatermark bool, visit func(event.LogEntry) error, watch func([]event.TopicReplay), _ event.ReplayShare) error {
	l.from.Store(from.UnixMilli())
	l.toWatermark.Store(toWatermark)
	pass := l.passes.Add(1)
	if l.onPass != nil {
		l.onPass(int(pass))
	}
	for n, e := range l.entries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if l.before != nil {
			if err := l.before(n); err != nil {
				return err
			}
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

// HelpReplay is not called: no topics are shared.
func (l *fakeLog) HelpReplay(context.Context, time.Time, []event.TopicReplay, func(event.LogEntry) error, func([]event.TopicReplay), event.ReplayShare) error {
	panic("nothing is shared")
}

// gate blocks its callers until it is opened, and signals the first.
type gate struct {
	reached chan struct{}
	open    chan struct{}
	once    sync.Once
}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) wait(ctx context.Context) error {
	g.once.Do(func() { close(g.reached) })
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// written is a log with a record for each of n new claims, spread over the
// buckets.
func (r *rig) written(n int) *fakeLog {
	l := &fakeLog{}
	for i := range n {
		c := r.newClaim()
		c.ID[0] = byte(i)
		l.entries = append(l.entries, entryOf(c, time.Now()))
	}
	return l
}

func entryOf(c event.Claim, at time.Time) event.LogEntry {
	return event.LogEntry{Claim: c.ID, Fingerprint: c.Fingerprint, Receipt: receiptOf(c), Timestamp: at}
}

// mustHold requires that every entry of the log is settled in Redis.
func (r *rig) mustHold(t *testing.T, l *fakeLog) {
	t.Helper()
	for _, e := range l.entries {
		require.Equal(t, recordOf(e.Fingerprint, e.Receipt), r.record(t, e.Claim))
	}
}

// newMiniLab is a miniredis that can change its replication id, and whose clock runs.
func newMiniLab(t *testing.T) lab {
	t.Helper()
	m := miniredis.NewMiniRedis()
	require.NoError(t, m.Start())
	// The replication id, the one before it if this Redis counts as promoted, and run_id.
	var id, former, run atomic.Int32
	m.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
		if strings.EqualFold(cmd, "INFO") {
			c.WriteBulk(fmt.Sprintf("# Replication\r\nrole:master\r\nmaster_replid:%040d\r\nmaster_replid2:%040d\r\n"+
				"# Server\r\nredis_mode:standalone\r\nrun_id:%040d\r\n", id.Load(), former.Load(), run.Load()))
			return true
		}
		return false
	})
	stop := make(chan struct{})
	var clock sync.WaitGroup
	clock.Go(func() {
		const step = 20 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				m.FastForward(step)
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		clock.Wait()
		m.Close()
	})
	return lab{backend: newBackend(m.Addr(), 0), promote: func(*testing.T) {
		former.Store(id.Add(1) - 1)
		run.Add(1)
	}, change: func(*testing.T) {
		id.Add(1)
		former.Store(0)
	}}
}

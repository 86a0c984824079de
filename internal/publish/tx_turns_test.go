package publish

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

func TestTurnsEstimateTheWait(t *testing.T) {
	t.Parallel()
	var turns txTurns
	now := time.Now()
	at := func(d time.Duration) time.Time { return now.Add(d) }
	require.Zero(t, turns.wait(now), "nothing is in progress")
	turns.begin(now)
	turns.end(10*time.Millisecond, at(10*time.Millisecond))
	require.Equal(t, time.Millisecond, turns.wait(at(9*time.Millisecond)), "the pause")
	require.Zero(t, turns.wait(at(10*time.Millisecond)))
	turns.begin(at(20 * time.Millisecond))
	require.Equal(t, 7*time.Millisecond, turns.wait(at(23*time.Millisecond)), "what is left of the usual length")
	require.Equal(t, 990*time.Millisecond, turns.wait(at(1020*time.Millisecond)), "the longer it is overdue, the longer it takes")
}

// TestClockSetBack: the transactions of the pool do not wait for the time that was.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	var last atomic.Int64
	producer := &txProducer{lastBegun: &last}
	producer.turns.end(30*time.Millisecond, time.Now())
	now := time.Now()
	last.Store(now.UnixNano())
	require.Equal(t, 10*time.Millisecond, producer.begins(now).Sub(now.Round(0)), "an interval after the last one")
	last.Store(now.Add(time.Hour).UnixNano())
	require.LessOrEqual(t, producer.begins(now).Sub(now), 10*time.Millisecond)
	require.Zero(t, producer.begins(now.Add(time.Hour)), "a record came before the clock was set back")
	producer.turns.end(time.Hour, time.Now())
	require.Equal(t, longestInterval, producer.turns.interval())
}

// farTx is a client whose requests take 4.5 ms, as with brokers that are 2 ms away.
type farTx struct {
	group []*entry
	sent  sync.WaitGroup
}

const farRequest = 4500 * time.Microsecond

func (c *farTx) initialise(context.Context) error      { return nil }
func (c *farTx) prepare(*entry)                        {}
func (c *farTx) begin(context.Context, []*entry) error { return nil }

func (c *farTx) send(e *entry) (bool, *event.Error) {
	c.group = append(c.group, e)
	return true, nil
}

func (c *farTx) flush() {
	group := c.group
	c.group = nil
	c.sent.Go(func() {
		time.Sleep(farRequest)
		for _, e := range group {
			e.group.report(e, report{at: event.Position{Partition: e.record.Partition}})
		}
	})
}

func (c *farTx) commit(context.Context) error { time.Sleep(farRequest); return nil }
func (c *farTx) pause() time.Duration         { return 0 }
func (c *farTx) reusable() bool               { return true }
func (c *farTx) failed() <-chan struct{}      { return nil }
func (c *farTx) queued() int                  { return 0 }
func (c *farTx) close()                       {}

// farPool runs a producer with each client.
func farPool(clients ...txClient) *txPool {
	logger, metrics := slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry())
	m := &monitor{
		topics:     newTopics(func() *kafka.Admin { return nil }, func(map[string]topic) {}, TopicCreation{}, logger),
		quarantine: newQuarantine(logger, metrics), logger: logger, metrics: metrics,
	}
	pool := &txPool{monitor: m}
	for i := range pool.slots {
		tx := newTxProducer(strconv.Itoa(i), time.Minute, &pool.lastBegun, m, newMemory(1<<30), logger, metrics)
		tx.client = clients[i]
		pool.slots[i].current.Store(tx)
		pool.active.Go(tx.run)
	}
	return pool
}

// put queues a record. The channel is the test's own: those that are used again may be
// from outside of synctest's bubble.
func (pool *txPool) put(owner, topic string, partition int32) chan ack {
	tx := pool.byID(owner)
	e := &entry{
		memory: tx.memory, record: event.Record{Placement: event.Placement{Topic: topic, Partition: partition, Owner: owner}},
		came: time.Now(), done: make(chan ack, 1),
	}
	tx.memory.take(recordSize(e.record))
	tx.add(e)
	return e.done
}

func (pool *txPool) finish() {
	for i := range pool.slots {
		pool.slots[i].current.Load().finish()
	}
	pool.active.Wait()
}

// A transaction takes 9 ms here. In transactions that begin when they can, a record would
// wait for 6 ms more, because callers whose records were committed together come back
// together, while the next transaction has just begun.
func TestTransactionsBeginAtIntervals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := farPool(&farTx{}, &farTx{}, &farTx{})
		const callers, each = 256, 100
		took := make(chan time.Duration, callers*each)
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range each {
					time.Sleep(time.Duration(rand.IntN(6000)) * time.Microsecond)
					began := time.Now()
					partition := rand.Int32N(48)
					id, _ := pool.pick("t", partition)
					<-pool.put(id, "t", partition)
					took <- time.Since(began)
				}
			})
		}
		wg.Wait()
		pool.finish()
		close(took)
		var n, sum time.Duration
		for d := range took {
			n, sum = n+1, sum+d
		}
		require.EqualValues(t, callers*each, n)
		t.Logf("mean %s", sum/n)
		require.Less(t, sum/n, 13*time.Millisecond)
	})
}

// slowTx takes a second for its first transaction: it has to connect, say.
type slowTx struct {
	farTx
	once sync.Once
}

func (c *slowTx) begin(context.Context, []*entry) error {
	c.once.Do(func() { time.Sleep(time.Second) })
	return nil
}

// A producer whose transactions have taken long has its turn among others whose
// transactions are short.
func TestSlowProducerHasItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := farPool(&slowTx{}, &farTx{}, &farTx{})
		write := func(owner string) (took time.Duration) {
			began := time.Now()
			<-pool.put(owner, "t", 0)
			return time.Since(began)
		}
		write("0")
		var over atomic.Bool
		var wg sync.WaitGroup
		for _, owner := range []string{"1", "2"} {
			wg.Go(func() {
				for !over.Load() {
					write(owner)
				}
			})
		}
		time.Sleep(time.Second)
		slow := time.AfterFunc(10*time.Second, func() { over.Store(true) }) // it must not wait for that
		took := write("0")
		slow.Stop()
		over.Store(true)
		wg.Wait()
		pool.finish()
		require.Less(t, took, 500*time.Millisecond)
	})
}

func TestMarkerPauses(t *testing.T) {
	t.Parallel()
	var near, far markerPauses
	near.committed(800 * time.Microsecond)
	require.Equal(t, shortestMarkerPause, near.pause)
	far.committed(5 * time.Millisecond)
	require.Zero(t, far.pause, "the way there and back is pause enough")
	far.appended(true)
	require.Equal(t, shortestMarkerPause, far.pause)
	for range 20 {
		far.appended(true)
	}
	require.Equal(t, longestMarkerPause, far.pause)
	for range 2000 {
		far.appended(false)
		near.appended(false)
		near.committed(time.Millisecond)
	}
	require.Less(t, far.pause, shortestMarkerPause)
	require.Equal(t, shortestMarkerPause, near.pause)
}

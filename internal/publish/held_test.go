package publish

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// heldProduce makes produce requests wait until release is called.
type heldProduce struct {
	release func()
	arrived chan struct{} // closed when the first of a transaction is there
}

func holdProduce(t *testing.T, cluster *kfake.Cluster) heldProduce {
	t.Helper()
	gate := make(chan struct{})
	held := heldProduce{release: sync.OnceFunc(func() { close(gate) }), arrived: make(chan struct{})}
	t.Cleanup(held.release)
	arrive := sync.OnceFunc(func() { close(held.arrived) })
	cluster.ControlKey(kmsg.Produce.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if transactionalIDOf(req) != "" { // and not the registry's
			arrive()
		}
		cluster.SleepControl(func() { <-gate })
		return nil, nil, false
	})
	return held
}

// await waits until a transaction is held up.
func (h heldProduce) await(t *testing.T) {
	t.Helper()
	receive(t, h.arrived, "a transaction's produce request")
}

// groupOf publishes values at once to one producer, which is made to wait so that
// they share a transaction: behind a first record, the first of each pair is
// the topic. It returns each one's error.
func (r running) groupOf(t *testing.T, cluster *kfake.Cluster, owner string, records ...[2]string) []error {
	t.Helper()
	held := holdProduce(t, cluster)
	first := make(chan error, 1)
	go func() { first <- r.write(records[0][0], 0, owner, "first") }()
	held.await(t)
	errs := make([]error, len(records))
	var wg sync.WaitGroup
	for i, rec := range records {
		wg.Go(func() { errs[i] = r.write(rec[0], 0, owner, rec[1]) })
		r.awaitWaiting(t, owner, i+1)
	}
	held.release()
	require.NoError(t, receive(t, first, "the first record's outcome"))
	requireEnds(t, "the group", wg.Wait)
	return errs
}

// awaitWaiting waits until n records wait for the next transaction of a producer, one of
// whose transactions is held up. One that has not begun would take them, too.
func (r running) awaitWaiting(t *testing.T, owner string, n int) {
	t.Helper()
	tx := r.pool().byID(owner)
	require.Eventually(t, func() bool { return tx.waiting() == n }, patience, tick)
}

func (t *txProducer) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue)
}

// age makes what waits older. A panic must not keep the lock: Close needs it.
func (t *txProducer) age(by time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.queue {
		e.came = e.came.Add(-by)
	}
}

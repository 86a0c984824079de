package idempotency

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// unreadyBuckets are the buckets whose marker is wrong or was not checked yet, and
// since when. They serve estimates and a gauge; the scripts alone decide what a claim
// may do.
type unreadyBuckets struct {
	lease         time.Duration
	transactional bool
	gauge         prometheus.Gauge
	measured      bool
	since         [bucketCount]atomic.Int64 // Unix nanoseconds; 0: ready
	until         [bucketCount]atomic.Int64 // Unix nanoseconds: a wait that is known
}

// newUnreadyBuckets returns a set of all buckets: none was checked yet.
func newUnreadyBuckets(cfg Config, gauge prometheus.Gauge) *unreadyBuckets {
	u := &unreadyBuckets{lease: cfg.Lease, transactional: cfg.Transactional, measured: cfg.Generations != nil, gauge: gauge}
	for _, bucket := range allBuckets() {
		u.add(bucket, time.Now())
	}
	return u
}

// add adds a bucket; one that is in the set already keeps its time.
func (u *unreadyBuckets) add(bucket byte, now time.Time) {
	if u.since[bucket].CompareAndSwap(0, now.UnixNano()) {
		u.gauge.Inc()
	}
}

// restart adds a bucket with a new time: its rebuild begins now.
func (u *unreadyBuckets) restart(bucket byte, now time.Time) {
	if u.since[bucket].Swap(now.UnixNano()) == 0 {
		u.gauge.Inc()
	}
}

func (u *unreadyBuckets) remove(bucket byte) {
	if u.since[bucket].Swap(0) != 0 {
		u.gauge.Dec()
	}
}

// count is how many buckets were not ready when they were last checked.
func (u *unreadyBuckets) count() int {
	n := 0
	for i := range u.since {
		if u.since[i].Load() != 0 {
			n++
		}
	}
	return n
}

// none reports whether all buckets were ready when they were last checked.
func (u *unreadyBuckets) none() bool {
	for i := range u.since {
		if u.since[i].Load() != 0 {
			return false
		}
	}
	return true
}

// joinEstimate is about how long it takes gateways to join a generation.
const joinEstimate = time.Second

// expect says that claims of the buckets wait at least until then.
func (u *unreadyBuckets) expect(buckets []byte, until time.Time) {
	for _, b := range buckets {
		u.until[b].Store(until.UnixNano())
	}
}

// estimate adds the bucket and estimates how long it stays unready: for as long as
// earlier claims may still be written. How long it takes to fence every producer and to
// read the log cannot be known: 0.
func (u *unreadyBuckets) estimate(bucket byte, now time.Time) time.Duration {
	u.add(bucket, now)
	if u.measured {
		// Usually all gateways join and little is read; if not, how long one waits is known to
		// the gateway that does.
		return max(time.Unix(0, u.until[bucket].Load()).Sub(now), joinEstimate)
	}
	if u.transactional {
		return 0
	}
	waited := now.Sub(time.Unix(0, u.since[bucket].Load()))
	return min(max(u.lease-waited, 0), u.lease)
}

package idempotency

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// unready are the buckets whose marker is wrong, or was not looked at yet, and
// since when. It serves estimates and a gauge; what a claim may do, the scripts
// alone decide.
type unready struct {
	lease         time.Duration
	transactional bool
	gauge         prometheus.Gauge
	since         [bucketCount]atomic.Int64 // Unix nanoseconds; 0: ready
}

// note remembers that a bucket is not ready; an earlier time stays.
func (u *unready) note(bucket byte, now time.Time) {
	if u.since[bucket].CompareAndSwap(0, now.UnixNano()) {
		u.gauge.Inc()
	}
}

// begin is note, with a new time: its rebuild has just begun.
func (u *unready) begin(bucket byte, now time.Time) {
	if u.since[bucket].Swap(now.UnixNano()) == 0 {
		u.gauge.Inc()
	}
}

func (u *unready) end(bucket byte) {
	if u.since[bucket].Swap(0) != 0 {
		u.gauge.Dec()
	}
}

// none reports whether all buckets were ready when they were last looked at.
func (u *unready) none() bool {
	for i := range u.since {
		if u.since[i].Load() != 0 {
			return false
		}
	}
	return true
}

// left notes the bucket and estimates how long it stays so: for as long as
// what was claimed before may still be written. How long fencing every producer
// and reading the log takes cannot be said: 0.
func (u *unready) left(bucket byte, now time.Time) time.Duration {
	u.note(bucket, now)
	if u.transactional {
		return 0
	}
	waited := now.Sub(time.Unix(0, u.since[bucket].Load()))
	return min(max(u.lease-waited, 0), u.lease)
}

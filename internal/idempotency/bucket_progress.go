package idempotency

import (
	"context"
	"time"
)

// progressAge is how long a bucket's progress stays behind a rebuild that nobody goes on with.
const progressAge = 24 * time.Hour

// announce notes in the buckets that are held which types are back. Without lines it begins
// the buckets' progress: from then on a lock that expired may be found again. Buckets that
// turn out to be lost are dropped.
func (l *bucketLocks) announce(ctx context.Context, lines string) error {
	r := l.rebuilder
	script := bucketScript{announceScript, lockOnly, []any{progressAge.Milliseconds(), lines}}
	return r.retry(ctx, func() error {
		return l.runOnHeld(ctx, script, func(b byte, state bucketState) {
			if state == bucketLost {
				l.drop(b)
			}
		})
	})
}

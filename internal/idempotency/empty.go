package idempotency

import (
	"context"
	"errors"
)

// ErrNotEmpty is returned by AssertEmpty where claims were kept before.
var ErrNotEmpty = errors.New("buckets carry the marker of another Redis: events were written with these claims; rebuild from the log instead")

// AssertEmpty sets the missing markers at once and returns how many. The caller
// asserts that no keyed event was written within the idempotency window: if one
// was, its retries are published again.
func (s *Store) AssertEmpty(ctx context.Context) (set int, err error) {
	foreign := false
	err = s.askBuckets(ctx, question{assertEmptyScript, markerAndLock, nil}, everyBucket(), func(b byte, v verdict) {
		switch v {
		case bucketHeld:
			set++
			s.unready.end(b)
		case bucketReady:
			s.unready.end(b)
		case bucketForeign:
			foreign = true
		}
	})
	if err == nil && foreign {
		err = ErrNotEmpty
	}
	return set, err
}

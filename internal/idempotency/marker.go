package idempotency

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// adopt accepts that the claims of a bucket may be lost, and starts the bucket
// anew under the present Redis. Until claims are rebuilt from the log, that is
// all that can be done: a retry of an event whose claim was lost publishes it
// again.
func (s *Store) adopt(ctx context.Context, bucket byte) error {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	was, err := adoptScript.Run(ctx, s.rdb, []string{markerKey(bucket)}).Text()
	if err != nil {
		s.metrics.failed("adopt")
		return fmt.Errorf("adopt bucket: %w", err)
	}
	if was == adoptedAlready { // another claim or gateway was faster
		return nil
	}
	known := s.known[bucket].Swap(true)
	reason, level := "changed", slog.LevelWarn
	switch {
	case was == "" && known:
		reason = "lost"
	case was == "":
		reason, level = "new", slog.LevelInfo // a first start, or an empty Redis
	}
	s.metrics.adopted.WithLabelValues(reason).Inc()
	if s.losses.due(reason) {
		s.logger.Log(ctx, level, "redis holds no claims, or was flushed, replaced or promoted: retries of events written before are not recognised",
			"marker", reason, "bucket", bucket)
	}
	return nil
}

// lossLog keeps 256 buckets from writing 256 lines about one event.
type lossLog struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (l *lossLog) due(reason string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = make(map[string]time.Time)
	}
	if time.Since(l.last[reason]) < time.Minute {
		return false
	}
	l.last[reason] = time.Now()
	return true
}

package idempotency

import (
	"context"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

const (
	// restoreBatch keeps a script of a rebuild at about a millisecond of Redis'
	// time, and clusterRestoreBatch each of the up to 256 in a pipeline.
	restoreBatch        = 500
	clusterRestoreBatch = 4096
	// leastExpiry is that of a record at the very end of its window.
	leastExpiry = time.Second
	// duplicateLines bounds how many duplicates are logged one by one.
	duplicateLines = 10
)

// restoring is a settled record on its way back into Redis.
type restoring struct {
	entry  event.LogEntry
	text   string
	expiry time.Duration
}

// restorer writes back what was read in the log, as far as it belongs to the
// buckets that are held. It keeps one batch in memory, however long the log is.
type restorer struct {
	hold     *hold
	tally    *Tally
	progress func(Tally)
	batch    []restoring
	limit    int
}

func newRestorer(h *hold, tally *Tally, progress func(Tally)) *restorer {
	limit := restoreBatch
	if h.store.cluster {
		limit = clusterRestoreBatch
	}
	return &restorer{hold: h, tally: tally, progress: progress, limit: limit, batch: make([]restoring, 0, limit)}
}

// visit takes one record of the log.
func (r *restorer) visit(ctx context.Context, e event.LogEntry, now time.Time) error {
	r.tally.Read++
	ttl := r.hold.store.cfg.TTL
	age := max(now.Sub(e.Timestamp), 0) // another gateway's clock may be ahead
	switch {
	case !r.hold.has(bucketOf(e.Claim)):
		return nil
	case age >= ttl:
		// Forgotten by now; and its key may have been used anew since.
		r.tally.Aged++
		return nil
	}
	r.batch = append(r.batch, restoring{e, settledRecord(e.Fingerprint, e.Receipt), max(ttl-age, leastExpiry)})
	if len(r.batch) < r.limit {
		return nil
	}
	return r.flush(ctx)
}

// flush writes the batch. It fails with errOvertaken if no bucket is left.
func (r *restorer) flush(ctx context.Context) error {
	if len(r.batch) == 0 {
		return nil
	}
	failpoint.At(failpoint.Rebuilding)
	err := r.hold.store.insist(ctx, func() error { return r.write(ctx) })
	if err != nil {
		return err
	}
	if r.hold.none() {
		return errOvertaken
	}
	r.progress(*r.tally)
	return nil
}

// write tries to write the batch; what was not answered stays in it.
func (r *restorer) write(ctx context.Context) error {
	s := r.hold.store
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	groups := [][]restoring{r.batch}
	if s.cluster {
		groups = byBucket(r.batch, func(e restoring) byte { return bucketOf(e.entry.Claim) })
	}
	var left []restoring
	err := s.runGroups(ctx, len(groups), restoreScript, func(i int) ([]string, []any) { return r.hold.restoreArgs(groups[i]) },
		func(i int, cmd *goredis.Cmd) {
			letters, err := cmd.Text()
			if err != nil || len(letters) != len(groups[i]) {
				left = append(left, groups[i]...)
				return
			}
			for n, letter := range []byte(letters) {
				r.count(groups[i][n].entry, letter)
			}
		})
	r.batch = append(r.batch[:0], left...)
	return err
}

// restoreArgs are the keys and arguments of restoreScript.
func (h *hold) restoreArgs(batch []restoring) ([]string, []any) {
	keys := make([]string, 0, 2*len(batch))
	args := make([]any, 0, 2+3*len(batch))
	args = append(args, h.token, len(batch))
	var locks []string
	var place [bucketCount]int // of a bucket's lock among locks, from 1
	for _, e := range batch {
		bucket := bucketOf(e.entry.Claim)
		if place[bucket] == 0 {
			locks = append(locks, lockKey(bucket))
			place[bucket] = len(locks)
		}
		keys = append(keys, recordKey(e.entry.Claim))
		args = append(args, e.text, e.expiry.Milliseconds(), place[bucket])
	}
	return append(keys, locks...), args
}

func (r *restorer) count(e event.LogEntry, letter byte) {
	s := r.hold.store
	switch letter {
	case restoredOther:
		r.tally.Overruled++
		fallthrough
	case restoredNew:
		r.tally.Written++
		s.metrics.rebuilt.Inc()
	case restoredSame:
		r.tally.Kept++
	case restoredDuplicate:
		r.tally.Duplicates++
		s.metrics.duplicates.Inc()
		if r.tally.Duplicates <= duplicateLines {
			s.logger.LogAttrs(context.Background(), slog.LevelError, "the log holds an event a second time: the receipt that stands is kept",
				slog.String("claim", e.Claim.String()), slog.String("topic", e.Receipt.Topic),
				slog.Int("partition", int(e.Receipt.Partition)), slog.Int64("offset", e.Receipt.Offset))
		}
	case restoredRefused:
		r.hold.drop(bucketOf(e.Claim))
	}
}

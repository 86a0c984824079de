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
	// restoreBatch keeps one script of a rebuild at about a millisecond of Redis' time.
	// clusterRestoreBatch does the same for each of the up to 256 scripts of a pipeline.
	restoreBatch        = 500
	clusterRestoreBatch = 4096
	// leastExpiry is the expiry of a record at the very end of its window.
	leastExpiry = time.Second
	// duplicateLines bounds how many duplicates are logged one by one.
	duplicateLines = 10
)

// settledEntry is a settled record, read in the log and about to be written to Redis.
type settledEntry struct {
	entry  event.LogEntry
	text   string
	expiry time.Duration
}

// restorer writes to Redis what was read in the log, as far as it belongs to the locked
// buckets. It keeps one batch in memory, however long the log is.
type restorer struct {
	*Rebuilder
	locks    *bucketLocks
	tally    *Tally
	progress func(Tally)
	batch    []settledEntry
	limit    int
}

func newRestorer(r *Rebuilder, locks *bucketLocks, tally *Tally, progress func(Tally)) *restorer {
	limit := restoreBatch
	if r.scripts.cluster {
		limit = clusterRestoreBatch
	}
	return &restorer{Rebuilder: r, locks: locks, tally: tally, progress: progress, limit: limit, batch: make([]settledEntry, 0, limit)}
}

// visit receives one record of the log.
func (r *restorer) visit(ctx context.Context, e event.LogEntry, now time.Time) error {
	r.tally.Read++
	ttl := r.cfg.TTL
	age := max(now.Sub(e.Timestamp), 0) // another gateway's clock may be ahead
	switch {
	case !r.locks.has(bucketOf(e.Claim)):
		return nil
	case age >= ttl:
		// The key is forgotten by now, and may have been used again since.
		r.tally.Aged++
		return nil
	}
	r.batch = append(r.batch, settledEntry{e, settledRecord(e.Fingerprint, e.Receipt), max(ttl-age, leastExpiry)})
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
	err := r.retry(ctx, func() error { return r.write(ctx) })
	if err != nil {
		return err
	}
	if r.locks.none() {
		return errOvertaken
	}
	r.progress(*r.tally)
	return nil
}

// write tries to write the batch; records without an answer stay in it.
func (r *restorer) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	groups := [][]settledEntry{r.batch}
	if r.scripts.cluster {
		groups = byBucket(r.batch, func(e settledEntry) byte { return bucketOf(e.entry.Claim) })
	}
	var left []settledEntry
	err := r.scripts.run(ctx, len(groups), restoreScript, func(i int) ([]string, []any) { return restoreArgs(groups[i], r.locks.token) },
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
func restoreArgs(batch []settledEntry, token string) ([]string, []any) {
	keys := make([]string, 0, 2*len(batch))
	args := make([]any, 0, 2+3*len(batch))
	args = append(args, token, len(batch))
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
	switch letter {
	case restoredOther:
		r.tally.Overruled++
		fallthrough
	case restoredNew:
		r.tally.Written++
		r.metrics.rebuilt.Inc()
	case restoredSame:
		r.tally.Kept++
	case restoredDuplicate:
		r.tally.Duplicates++
		r.metrics.duplicates.Inc()
		if r.tally.Duplicates <= duplicateLines {
			r.logger.LogAttrs(context.Background(), slog.LevelError, "the log holds an event a second time: the receipt in redis is kept",
				slog.String("claim", e.Claim.String()), slog.String("topic", e.Receipt.Topic),
				slog.Int("partition", int(e.Receipt.Partition)), slog.Int64("offset", e.Receipt.Offset))
		}
	case restoredRefused:
		r.locks.drop(bucketOf(e.Claim))
	}
}

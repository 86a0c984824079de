package idempotency

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

const (
	// restoreBatch keeps one script of a rebuild at about a millisecond of Redis' time.
	// clusterRestoreBatch does the same for each of the up to 256 scripts of a pipeline.
	restoreBatch        = 500
	clusterRestoreBatch = 4096
	// restoreShards is how many scripts are under way at the same time: one that Redis runs,
	// others that are on their way or being made.
	restoreShards = 4
	// leastExpiry is the expiry of a record at the very end of its window.
	leastExpiry = time.Second
	// announceAgain is how often it is announced again which types are back, long before
	// that expires.
	announceAgain = time.Hour
	// duplicateLines bounds how many duplicates are logged one by one.
	duplicateLines = 10
)

// settledEntry is a settled record, read in the log and about to be written to Redis.
type settledEntry struct {
	entry  event.LogEntry
	record string
	expiry time.Duration
}

// restorer writes to Redis what was read in the log, as far as it belongs to the locked
// buckets. Reading, and several scripts, are under way at the same time. It keeps a few
// batches in memory, however long the log is.
type restorer struct {
	*Rebuilder
	share    *sharedReplay
	locks    *bucketLocks // those that the share covers
	now      time.Time    // when the rebuild began
	begun    time.Time    // when this reading did
	progress func(Tally)
	limit    int // of a batch
	shards   [restoreShards]restoreShard
	writing  *errgroup.Group
	failed   context.Context // of the reading; ended when a batch could not be written, or the state is gone

	helps     bool   // another gateway announces
	returned  string // what is announced of types; only for watch
	announced time.Time

	read, aged atomic.Int64
	mu         sync.Mutex // guards tally
	tally      *Tally
}

// restoreShard has the claims of some buckets. They are written one batch after the
// other: of two records of a claim, the first in the log wins.
type restoreShard struct {
	mu    sync.Mutex
	batch []settledEntry
	full  chan restoreOrder
}

// restoreOrder is a batch to write. written, if there is one, is closed when that is done.
type restoreOrder struct {
	batch   []settledEntry
	written chan struct{}
}

// newRestorer returns a restorer that must be closed.
func newRestorer(ctx context.Context, r *Rebuilder, share *sharedReplay, now time.Time, tally *Tally, progress func(Tally)) *restorer {
	o := &restorer{Rebuilder: r, share: share, locks: share.covered, now: now, begun: time.Now(), tally: tally, progress: progress, limit: restoreBatch}
	if r.scripts.cluster {
		o.limit = clusterRestoreBatch / restoreShards
	}
	// Loaded before several pipelines need it: a pipeline that finds it missing at first is
	// sent again as a whole, and would count as kept what it had written. On failure it is
	// loaded then.
	_ = restoreScript.Load(ctx, r.scripts.rdb).Err()
	o.writing, o.failed = errgroup.WithContext(ctx)
	for i := range o.shards {
		shard := &o.shards[i]
		shard.full = make(chan restoreOrder, 1)
		o.writing.Go(func() error {
			for order := range shard.full {
				if len(order.batch) > 0 {
					if err := o.flush(o.failed, order.batch); err != nil {
						return err
					}
				}
				if order.written != nil {
					close(order.written)
				}
			}
			return nil
		})
	}
	return o
}

// visit receives one record of the log. It may be called by several goroutines.
func (r *restorer) visit(e event.LogEntry) error {
	r.read.Add(1)
	ttl := r.cfg.TTL
	if e.Outbox { // its relay looks in the log for rows that may have been published (docs/adr/0026)
		ttl = min(ttl, event.OutboxFence)
	}
	age := max(r.now.Sub(e.Timestamp), 0) // another gateway's clock may be ahead
	bucket := bucketOf(e.Claim)
	switch {
	case !r.locks.has(bucket):
		return r.failed.Err()
	case age >= ttl:
		// The key is forgotten by now, and may have been used again since.
		r.aged.Add(1)
		return nil
	}
	record := settledRecord(e.Fingerprint, event.KeepReceipt(e.Receipt, e.Receipt.AppendJSON(nil)))
	entry := settledEntry{e, record, max(ttl-age, leastExpiry)}
	shard := &r.shards[bucket%restoreShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.batch = append(shard.batch, entry)
	if len(shard.batch) < r.limit {
		return nil
	}
	return r.send(shard, nil)
}

// send passes the shard's batch on. It waits while an earlier one is due.
func (r *restorer) send(shard *restoreShard, written chan struct{}) error {
	select {
	case shard.full <- restoreOrder{shard.batch, written}:
		shard.batch = make([]settledEntry, 0, r.limit)
		return nil
	case <-r.failed.Done():
		return r.failed.Err()
	}
}

// flushed returns when everything that was visited before is written.
func (r *restorer) flushed() error {
	var written [restoreShards]chan struct{}
	for i := range r.shards {
		shard := &r.shards[i]
		written[i] = make(chan struct{})
		shard.mu.Lock()
		err := r.send(shard, written[i])
		shard.mu.Unlock()
		if err != nil {
			return err
		}
	}
	for _, one := range written {
		select {
		case <-one:
		case <-r.failed.Done():
			return r.failed.Err()
		}
	}
	return nil
}

// watch receives how far the reading is. Once all of that is written, it is noted in Redis,
// and types whose topics are done are announced. Redis errors are met again by the next
// report, or by the rebuild itself.
func (r *restorer) watch(topics []event.TopicReplay) {
	announced := r.helps // by the one that it helps
	if r.flushed() == nil {
		err := r.share.note(r.failed, topics)
		switch {
		case errors.Is(err, errStateGone), errors.Is(err, errBadState):
			r.writing.Go(func() error { return err }) // ends the reading
		case err == nil:
			// A replay names all topics that have types at once, and none before.
			listed := slices.ContainsFunc(topics, func(t event.TopicReplay) bool { return len(t.Types) > 0 })
			fixed := listed && r.share.hasFixed(topics)
			if !r.helps && !fixed && time.Since(r.begun) > r.intervals.fix {
				r.writing.Go(func() error { return errNotFixed })
			}
			topics = r.share.merge(topics)
			if listed && !r.helps {
				announced = r.announce(topics)
			}
		}
	}
	switch {
	case r.helps && r.leads.Load(): // this gateway's own rebuild tells
	case announced:
		r.state.see(Tally{Topics: topics}, time.Now())
	default:
		r.state.seeUnannounced(Tally{Topics: topics}, time.Now())
	}
	r.report(func(t *Tally) { t.Topics = topics })
}

// announce announces types of which all that was read is written. It reports whether Redis
// says the same of them.
func (r *restorer) announce(topics []event.TopicReplay) bool {
	lines := progressLinesOf(topics)
	if lines == "" || lines == r.returned && time.Since(r.announced) < announceAgain {
		return true
	}
	if err := r.locks.announce(r.failed, lines); err != nil {
		return false
	}
	r.returned, r.announced = lines, time.Now()
	return true
}

// report changes the tally and tells it.
func (r *restorer) report(change func(*Tally)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r.tally)
	r.tally.Read, r.tally.Aged = r.read.Load(), r.aged.Load()
	r.progress(*r.tally)
}

// close writes what is left and returns the first error of all batches. No visit may be
// in progress.
func (r *restorer) close() error {
	for i := range r.shards {
		if shard := &r.shards[i]; len(shard.batch) > 0 {
			_ = r.send(shard, nil) // the error is that of writing
		}
		close(r.shards[i].full)
	}
	err := r.writing.Wait()
	r.report(func(*Tally) {})
	return err
}

// flush writes a batch. It fails with errOvertaken if no bucket is left.
func (r *restorer) flush(ctx context.Context, batch []settledEntry) error {
	failpoint.At(failpoint.Rebuilding)
	err := r.retry(ctx, func() (err error) {
		batch, err = r.write(ctx, batch)
		return err
	})
	if err != nil {
		return err
	}
	if r.locks.none() {
		return errOvertaken
	}
	r.report(func(*Tally) {})
	return nil
}

// write tries to write the batch, and returns the records without an answer.
func (r *restorer) write(ctx context.Context, batch []settledEntry) (left []settledEntry, err error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	groups := [][]settledEntry{batch}
	if r.scripts.cluster {
		groups = byBucket(batch, func(e settledEntry) byte { return bucketOf(e.entry.Claim) })
	}
	space, err := r.scripts.keys.get()
	if err != nil {
		return batch, err // cannot happen: the buckets are locked
	}
	err = r.scripts.run(ctx, len(groups), restoreScript, func(i int) ([]string, []any) { return restoreArgs(space, groups[i], r.locks.token) },
		func(i int, cmd *goredis.Cmd) {
			letters, err := cmd.Text()
			if err != nil || len(letters) != len(groups[i]) {
				left = append(left, groups[i]...)
				return
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			for n, letter := range []byte(letters) {
				r.count(groups[i][n].entry, letter)
			}
		})
	return left, err
}

// restoreArgs are the keys and arguments of restoreScript.
func restoreArgs(space *keyspace, batch []settledEntry, token string) ([]string, []any) {
	keys := make([]string, 0, 2*len(batch))
	args := make([]any, 0, 2+4*len(batch))
	args = append(args, token, len(batch))
	var locks []string
	var place [bucketCount]int // of a bucket's lock among locks, from 1
	for _, e := range batch {
		bucket := bucketOf(e.entry.Claim)
		if place[bucket] == 0 {
			locks = append(locks, space.lock(bucket))
			place[bucket] = len(locks)
		}
		keys = append(keys, space.claim(e.entry.Claim))
		args = append(args, e.record, e.expiry.Milliseconds(), place[bucket], encodeFingerprint(e.entry.Fingerprint))
	}
	return append(keys, locks...), args
}

// count is called with mu held.
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

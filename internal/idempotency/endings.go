package idempotency

import (
	"context"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

const (
	// endingsLimit bounds the endings that wait while Redis is away: about
	// 40 MB. Beyond it endings are dropped and counted; their claims stay
	// until the lease ends, as after a crash.
	endingsLimit = 65536
	// gatherTime lets a batch fill: nobody waits for a settle.
	gatherTime = 5 * time.Millisecond
	// retryPause is how long to leave a Redis alone that just failed.
	retryPause = 100 * time.Millisecond
)

// ending is one claim's end on its way to Redis.
type ending struct {
	op      string // S, U or D: see endScript
	id      event.ClaimID
	token   string
	record  string // the settled record
	begun   time.Time
	expires time.Time // no use in trying later
	done    chan struct{}
}

// endings applies what became of claims, behind everybody's back.
type endings struct {
	store *Store
	queue chan *ending

	mu      sync.RWMutex
	stopped bool // nobody reads the queue any more
}

func newEndings(s *Store) *endings {
	return &endings{store: s, queue: make(chan *ending, endingsLimit)}
}

// Settle remembers the receipt, here at once and in Redis soon.
func (s *Store) Settle(c event.Claim, r event.Receipt) {
	record := settledRecord(c.Fingerprint, r)
	s.recent.add(c.ID, c.Fingerprint, record[receiptAt:])
	s.endings.add(&ending{op: "S", id: c.ID, token: c.Token, record: record})
}

// MarkUnknown marks a claim unknown; its lease runs on.
func (s *Store) MarkUnknown(c event.Claim) { s.endings.add(&ending{op: "U", id: c.ID, token: c.Token}) }

// Release drops a claim under which surely nothing was or will be written. The
// channel closes when that is done or given up.
func (s *Store) Release(c event.Claim) <-chan struct{} {
	failpoint.At(failpoint.Releasing)
	e := &ending{op: "D", id: c.ID, token: c.Token, done: make(chan struct{})}
	s.endings.add(e)
	return e.done
}

func (q *endings) add(e *ending) {
	e.begun = time.Now()
	e.expires = e.begun.Add(q.store.cfg.Lease)
	if e.op == "S" { // true for as long as the key is remembered
		e.expires = e.begun.Add(q.store.cfg.TTL)
	}
	q.push(e)
}

func (q *endings) push(e *ending) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if !q.stopped {
		select {
		case q.queue <- e:
			return
		default:
		}
	}
	q.lose(e)
}

// stopIfEmpty makes later endings lost at once rather than wait for nobody.
func (q *endings) stopIfEmpty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = len(q.queue) == 0
	return q.stopped
}

func (q *endings) lose(e *ending) {
	q.store.metrics.lostEndings.Inc()
	q.finish(e)
}

func (q *endings) finish(e *ending) {
	if e.done != nil {
		close(e.done)
	}
}

// run applies endings until ctx ends, then what is queued, within drain.
func (q *endings) run(ctx context.Context, drain time.Duration) {
	for {
		select {
		case e := <-q.queue:
			q.apply(ctx, q.gather(ctx, e))
		case <-ctx.Done():
			q.drain(drain)
			return
		}
	}
}

func (q *endings) drain(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		select {
		case e := <-q.queue:
			if ctx.Err() != nil {
				q.lose(e)
				continue
			}
			q.apply(ctx, q.gather(ctx, e))
		default:
			if q.stopIfEmpty() {
				return
			}
		}
	}
}

// gather waits a moment for more. A release has somebody waiting for it.
func (q *endings) gather(ctx context.Context, first *ending) []*ending {
	batch := []*ending{first}
	if first.done == nil && len(q.queue) < maxBatch {
		pause(ctx, gatherTime)
	}
	for len(batch) < maxBatch {
		select {
		case e := <-q.queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

func (q *endings) apply(ctx context.Context, batch []*ending) {
	s := q.store
	scriptCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTimeout)
	defer cancel()
	groups := [][]*ending{batch}
	if s.cluster {
		groups = byBucket(batch, func(e *ending) byte { return bucketOf(e.id) })
	}
	failpoint.At(failpoint.Settling)
	err := s.runGroups(scriptCtx, len(groups), endScript, func(i int) ([]string, []any) { return s.endArgs(groups[i]) },
		func(i int, cmd *goredis.Cmd) { q.answer(groups[i], cmd) })
	failpoint.At(failpoint.Settled)
	if err != nil {
		s.metrics.failed("end")
		s.logger.Warn("ending claims failed", "error", err, "claims", len(batch))
		pause(ctx, retryPause)
	}
}

func (s *Store) endArgs(batch []*ending) ([]string, []any) {
	keys := appendTexts(make([]string, 0, len(batch)), len(batch), recordKeyBytes,
		func(b []byte, i int) []byte { return appendRecordKey(b, batch[i].id) })
	args := make([]any, 0, 1+3*len(batch))
	args = append(args, s.cfg.TTL.Milliseconds())
	for _, e := range batch {
		args = append(args, &e.op, &e.token, &e.record) // pointers, which need no memory of their own
	}
	return keys, args
}

// answer finishes a group, or queues it again if Redis failed.
func (q *endings) answer(batch []*ending, cmd *goredis.Cmd) {
	missed, err := cmd.Int()
	now := time.Now()
	if err == nil {
		q.store.metrics.missedEndings.Add(float64(missed))
	}
	for _, e := range batch {
		switch {
		case err == nil:
			q.store.metrics.settle.Observe(now.Sub(e.begun).Seconds())
			q.finish(e)
		case now.After(e.expires):
			q.lose(e)
		default:
			q.push(e)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

package idempotency

import (
	"context"
	"log/slog"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

const (
	// settleQueueLimit bounds the settlements that wait while Redis is away: about
	// 40 MB. Beyond it settlements are dropped and counted; their claims stay until the
	// lease ends, as after a crash.
	settleQueueLimit = 65536
	// batchWait lets a batch fill: no caller waits for a settle.
	batchWait = 5 * time.Millisecond
	// failurePause follows a failed script, so that a Redis in trouble is left alone
	// for a moment.
	failurePause = 100 * time.Millisecond
	// warnOfSettles is how many scripts in a row fail before the log says so: for more
	// than five seconds, in which an outage of Redis is noticed.
	warnOfSettles = 50
)

// The operations of settleScript.
const (
	opSettle      = "S"
	opMarkUnknown = "U"
	opRelease     = "D"
)

// settlement is what became of one claim, on its way to Redis.
type settlement struct {
	op      string // see settleScript
	id      event.ClaimID
	token   string
	record  string // the settled record
	begun   time.Time
	expires time.Time // retries stop then
	done    chan struct{}
}

// settleQueue writes to Redis what became of claims, in the background: no request
// waits for it, except for a release.
type settleQueue struct {
	cfg     Config
	scripts *scriptRunner
	logger  *slog.Logger
	metrics *Metrics
	queue   chan *settlement

	available *availability
	failures  int // in a row; belongs to run

	mu      sync.RWMutex
	stopped bool // nothing reads the queue any more
}

func (q *settleQueue) add(e *settlement) {
	e.begun = time.Now()
	e.expires = e.begun.Add(q.cfg.Lease)
	if e.op == opSettle { // a receipt is worth writing for as long as the key is remembered
		e.expires = e.begun.Add(q.cfg.TTL)
	}
	q.push(e)
}

func (q *settleQueue) push(e *settlement) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if !q.stopped {
		select {
		case q.queue <- e:
			return
		default:
		}
	}
	q.drop(e)
}

// stopIfEmpty makes later settlements be dropped at once: nothing would apply them.
func (q *settleQueue) stopIfEmpty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = len(q.queue) == 0
	return q.stopped
}

func (q *settleQueue) drop(e *settlement) {
	q.metrics.droppedSettlements.Inc()
	q.finish(e)
}

func (q *settleQueue) finish(e *settlement) {
	if e.done != nil {
		close(e.done)
	}
}

// run applies settlements until ctx ends, then what is queued, for at most the drain
// time.
func (q *settleQueue) run(ctx context.Context, drain time.Duration) {
	for {
		select {
		case e := <-q.queue:
			q.apply(ctx, q.collect(ctx, e))
		case <-ctx.Done():
			q.drain(drain)
			return
		}
	}
}

func (q *settleQueue) drain(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		select {
		case e := <-q.queue:
			if ctx.Err() != nil {
				q.drop(e)
				continue
			}
			q.apply(ctx, q.collect(ctx, e))
		default:
			if q.stopIfEmpty() {
				return
			}
		}
	}
}

// collect makes a batch of what is queued. It waits a moment for more, unless a caller
// waits for the first: for a release.
func (q *settleQueue) collect(ctx context.Context, first *settlement) []*settlement {
	batch := []*settlement{first}
	if first.done == nil && len(q.queue) < maxBatch {
		backoff.Sleep(ctx, batchWait)
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

func (q *settleQueue) apply(ctx context.Context, batch []*settlement) {
	scriptCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTimeout)
	defer cancel()
	failpoint.At(failpoint.Settling)
	space, err := q.scripts.keys.get()
	if err != nil { // an event that was published without deduplication, before Kafka said which cluster it is
		q.requeue(batch)
	} else {
		err = runNodes(scriptCtx, q.scripts, settleScript, batch, func(e *settlement) byte { return bucketOf(e.id) },
			func(batch []*settlement) ([]string, []any) { return settleArgs(space, batch, q.cfg.TTL) }, q.applied)
	}
	failpoint.At(failpoint.Settled)
	if err != nil {
		q.failed(ctx, err)
		return
	}
	q.failures = 0
}

// failed counts a failure and pauses. The log names an outage of Redis once, as availability
// notices it: a failure that lasts although claims succeed is another matter.
func (q *settleQueue) failed(ctx context.Context, err error) {
	q.metrics.failed("end")
	if q.failures++; q.failures == warnOfSettles {
		if _, away := q.available.state(); away == nil {
			q.logger.Warn("settling claims fails although redis takes claims: retries of their events have to read the log", "error", err)
		}
	}
	backoff.Sleep(ctx, failurePause)
}

// settleArgs are the keys and arguments of settleScript.
func settleArgs(space *keyspace, batch []*settlement, ttl time.Duration) ([]string, []any) {
	keys := appendTexts(make([]string, 0, len(batch)), len(batch), claimKeyBytes,
		func(b []byte, i int) []byte { return space.appendClaim(b, batch[i].id) })
	args := make([]any, 0, 1+3*len(batch))
	args = append(args, ttl.Milliseconds())
	for _, e := range batch {
		args = append(args, &e.op, &e.token, &e.record) // pointers to strings cost no allocation
	}
	return keys, args
}

// applied finishes a group, or queues it again if Redis failed.
func (q *settleQueue) applied(batch []*settlement, cmd *goredis.Cmd) {
	missed, err := cmd.Int()
	if err != nil {
		q.requeue(batch)
		return
	}
	q.metrics.missedSettlements.Add(float64(missed))
	now := time.Now()
	for _, e := range batch {
		q.metrics.settle.Observe(now.Sub(e.begun).Seconds())
		q.finish(e)
	}
}

func (q *settleQueue) requeue(batch []*settlement) {
	now := time.Now()
	for _, e := range batch {
		if now.After(e.expires) {
			q.drop(e)
		} else {
			q.push(e)
		}
	}
}

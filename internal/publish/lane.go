package publish

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
)

const (
	// A group is as many records as one transaction takes: many, because each
	// transaction costs the brokers the same; bounded, because one refused record
	// makes all the others go twice.
	maxGroupRecords = 1000
	maxGroupBytes   = 8 << 20
	// markerPause is between a commit and the next transaction of a lane. Kafka
	// writes the commit's markers behind its answer and refuses a transaction
	// that comes sooner; librdkafka then waits 20 ms.
	markerPause = 2 * time.Millisecond
)

// lane is one transactional producer and the records that wait for it. While
// one transaction is under way, those who come make the next group.
//
// What waits is bounded by Config.InFlightLimit, as everything that callers
// have under way. It is never passed to another lane: claims name this one.
type lane struct {
	inc             *incarnation
	deliveryTimeout time.Duration
	logger          *slog.Logger
	metrics         *Metrics
	acknowledged    func(kafka.Event, event.Placement, time.Time) (event.Position, error)
	failed          func(*event.Error) *event.Error

	rested time.Time // the next transaction does not begin before; run's own
	// gapped partitions cannot be written to any more: a refused record has left
	// a gap in the producer's sequence numbers, for which librdkafka would make
	// the next transaction fail. They are run's own.
	gapped map[partition]bool

	over  chan struct{} // closed when it takes no more records
	ended chan struct{} // closed when run has returned
	kill  chan struct{} // closed to wait for nothing any more
	worn  chan struct{} // closed when it is to have a successor, but serves till then
	wake  chan struct{}

	mu    sync.Mutex
	queue []*entry
	shut  bool // takes no more records
	// broken says that the incarnation must not be used again: what it has open
	// may be written, and what waits must not be.
	broken bool
	killed bool // whether kill is closed
}

// newLane makes a lane whose incarnation has still to be set.
func newLane(deliveryTimeout time.Duration, logger *slog.Logger, metrics *Metrics) *lane {
	return &lane{
		deliveryTimeout: deliveryTimeout, logger: logger, metrics: metrics,
		over: make(chan struct{}), ended: make(chan struct{}), kill: make(chan struct{}),
		worn: make(chan struct{}), gapped: map[partition]bool{}, wake: make(chan struct{}, 1),
	}
}

// reported is told of errors that concern no single record.
func (l *lane) reported(from *incarnation, e kafka.Error) {
	l.metrics.errors.WithLabelValues(e.Code().String()).Inc()
	if !e.IsFatal() {
		l.logger.Warn("kafka error of a transactional producer", "error", e)
		return
	}
	l.logger.Error("transactional producer failed for good and is replaced", "error", e, "transactional_id", from.id)
	l.abandon()
}

// entry is a record that waits for its transaction.
type entry struct {
	record  event.Record
	message *kafka.Message
	came    time.Time
	fate    fate
	done    chan answer // buffered
}

type answer struct {
	at  event.Position
	err error
}

var answers = sync.Pool{New: func() any { return make(chan answer, 1) }}

// enqueue queues a record for a transaction.
func (l *lane) enqueue(r event.Record) (done chan answer, refused *event.Error) {
	done, _ = answers.Get().(chan answer)
	if !l.add(&entry{record: r, message: message(r), came: time.Now(), done: done}) {
		answers.Put(done)
		return nil, l.failed(ownerGone())
	}
	return done, nil
}

// await waits until the record's transaction is committed.
func (l *lane) await(ctx context.Context, done chan answer) (event.Position, error) {
	select {
	case a := <-done:
		answers.Put(done)
		return a.at, a.err
	case <-ctx.Done():
		// The record may still be written; done is left to its answer.
		return event.Position{}, l.failed(stoppedWaiting(ctx))
	}
}

// add queues e. It reports false if the lane takes no more records.
func (l *lane) add(e *entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return false
	}
	l.queue = append(l.queue, e)
	l.signal()
	return true
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// finish lets the lane take no more records. What waits is still committed.
func (l *lane) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shutLocked()
	l.signal()
}

func (l *lane) shutLocked() {
	if !l.shut {
		l.shut = true
		close(l.over)
	}
}

// abandon gives the incarnation up. What waits was not handed to librdkafka
// and never will be; what is under way ends as it may.
func (l *lane) abandon() {
	l.mu.Lock()
	l.shutLocked()
	l.broken = true
	waiting := l.queue
	l.queue = nil
	l.signal()
	l.mu.Unlock()
	for _, e := range waiting {
		e.refuse(l.failed(ownerGone()))
	}
}

// stop abandons the lane and leaves the group under way unknown at once, or
// when the call that ends its transaction returns.
func (l *lane) stop() {
	l.abandon()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.killed {
		l.killed = true
		close(l.kill)
	}
}

// open reports whether the lane takes records.
func (l *lane) open() bool {
	select {
	case <-l.over:
		return false
	default:
		return true
	}
}

func (l *lane) isBroken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// run commits group after group until the lane is finished or abandoned.
func (l *lane) run() {
	defer close(l.ended)
	for {
		entries, more := l.gather()
		if len(entries) > 0 {
			l.metrics.groupRecords.Observe(float64(len(entries)))
			if !l.transact(entries) {
				l.abandon()
			}
			l.rested = time.Now().Add(markerPause)
		}
		if !more {
			return
		}
	}
}

// gather waits for records and takes the next group. more is false when the
// lane is to end.
func (l *lane) gather() (entries []*entry, more bool) {
	for {
		l.mu.Lock()
		switch {
		case l.broken:
			l.mu.Unlock()
			return nil, false
		case len(l.queue) > 0 && time.Now().Before(l.rested):
			l.mu.Unlock()
			waitUntil(context.Background(), l.rested)
			continue
		case len(l.queue) > 0:
			entries, l.queue = nextGroup(l.queue)
			l.mu.Unlock()
			if entries = l.servable(entries); len(entries) > 0 {
				return entries, true
			}
			continue
		case l.shut:
			l.mu.Unlock()
			return nil, false
		}
		l.mu.Unlock()
		<-l.wake
	}
}

// nextGroup splits the queue: what goes in one transaction, and the rest.
func nextGroup(queue []*entry) (entries, rest []*entry) {
	bytes := 0
	for i, e := range queue {
		bytes += len(e.message.Value)
		if i == maxGroupRecords || i > 0 && bytes > maxGroupBytes {
			return queue[:i:i], queue[i:]
		}
	}
	return queue, nil
}

// servable refuses records of gapped partitions, and those that have waited
// for half the delivery time-out, so that a group has the other half: no caller
// waits longer than the whole.
func (l *lane) servable(entries []*entry) []*entry {
	latest := time.Now().Add(-l.deliveryTimeout / 2)
	kept := entries[:0]
	for _, e := range entries {
		switch {
		case l.gapped[e.partition()]:
			e.refuse(l.failed(ownerGone()))
		case e.came.Before(latest):
			e.refuse(l.failed(event.Refuse(event.LogUnavailable, "Kafka commits too slowly at present. Nothing was written; send it again.")))
		default:
			kept = append(kept, e)
		}
	}
	return kept
}

// gap notes that a partition cannot be written to any more. Only run calls it.
func (l *lane) gap(p partition) {
	if len(l.gapped) == 0 {
		close(l.worn)
	}
	l.gapped[p] = true
}

func (e *entry) partition() partition { return partition{e.record.Topic, e.record.Partition} }

// again queues records of an aborted transaction before all others.
func (l *lane) again(entries []*entry) {
	l.mu.Lock()
	broken := l.broken
	if !broken {
		l.queue = append(entries, l.queue...)
	}
	l.mu.Unlock()
	if broken {
		for _, e := range entries {
			e.refuse(l.failed(ownerGone()))
		}
	}
}

// waiting is the number of records that are queued or in librdkafka.
func (l *lane) waiting() int {
	l.mu.Lock()
	n := len(l.queue)
	l.mu.Unlock()
	return n + l.inc.queued()
}

func (e *entry) refuse(err *event.Error) { e.done <- answer{err: err} }

func ownerGone() *event.Error {
	return event.Refuse(event.LogUnavailable, "The Kafka producer was just replaced. Nothing was written; send it again.")
}

func stoppedWaiting(ctx context.Context) *event.Error {
	return event.MaybeWritten(event.OutcomeUnknown, ctx.Err(),
		"The gateway stopped before Kafka acknowledged the event. Retry with the same Idempotency-Key to find out whether it was written.")
}

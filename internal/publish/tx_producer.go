package publish

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

const (
	// A group is the content of one transaction. It is large because each transaction
	// costs the brokers the same, and bounded because one refused record makes all
	// others be sent again.
	maxGroupRecords = 1000
	maxGroupBytes   = 8 << 20
)

// txProducer is one transactional producer and the records that wait for it. While
// one transaction is in progress, new records make the next group.
//
// What waits is bounded by its memory. It is never passed to another producer: claims name this one.
type txProducer struct {
	id              string
	client          txClient
	shrinks         int64 // how often topics had taken smaller batches when the client was made
	deliveryTimeout time.Duration
	monitor         *monitor
	memory          *memory
	logger          *slog.Logger
	metrics         *Metrics

	turns     txTurns
	lastBegun *atomic.Int64 // of the pool: when a transaction began, Unix nanoseconds

	// of run alone
	notBefore time.Time // when the next transaction may begin
	// sequenceGaps are partitions that cannot be written to any more: a refused
	// record has left a gap in the producer's sequence numbers, for which librdkafka
	// would make the next transaction fail.
	sequenceGaps map[kafka.Partition]bool

	retiring chan struct{} // closed when a successor is needed; records are accepted until it is there
	closed   chan struct{} // closed when it takes no more records
	aborted  chan struct{} // closed to stop waiting for the group in progress
	ended    chan struct{} // closed when run has returned
	wake     chan struct{}

	mu    sync.Mutex
	queue []*entry
	// broken says that the client must not be used again: what it has open may be
	// written, and what waits must not be.
	broken    bool
	isClosed  bool // whether closed is closed
	isAborted bool // whether aborted is closed
}

// newTxProducer makes a producer whose client has still to be set.
func newTxProducer(id string, deliveryTimeout time.Duration, lastBegun *atomic.Int64, m *monitor, mem *memory, logger *slog.Logger, metrics *Metrics) *txProducer {
	return &txProducer{
		id: id, deliveryTimeout: deliveryTimeout, lastBegun: lastBegun, monitor: m, memory: mem, logger: logger, metrics: metrics, sequenceGaps: map[kafka.Partition]bool{},
		retiring: make(chan struct{}), closed: make(chan struct{}), aborted: make(chan struct{}),
		ended: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// onError receives errors that are not about one record.
func (t *txProducer) onError(from *librdkafkaProducer, e librdkafka.Error) {
	noteTransactionalError(t.logger, t.metrics, from, e)
	if e.IsFatal() {
		t.abandon()
	}
}

// noteTransactionalError counts and logs an error that concerns no single record.
func noteTransactionalError(logger *slog.Logger, metrics *Metrics, from *librdkafkaProducer, e librdkafka.Error) {
	metrics.errors.WithLabelValues(e.Code().String()).Inc()
	if e.IsFatal() {
		logger.Error("transactional producer failed for good and is replaced", "error", e, "transactional_id", from.id)
	} else {
		logger.Warn("kafka error of a transactional producer", "error", e)
	}
}

// entry is a record that waits for its transaction.
type entry struct {
	memory   *memory // to which it gives its size back
	record   event.Record
	prepared any // the client's own form of record
	came     time.Time
	group    *txGroup // of its last transaction, which has the state until it is over
	state    deliveryState
	done     chan ack // buffered
}

func (e *entry) partition() kafka.Partition {
	return kafka.Partition{Topic: e.record.Topic, Number: e.record.Partition}
}

func (e *entry) refuse(err *event.Error) { e.end(ack{err: err}) }

// end answers the caller. It is called once.
func (e *entry) end(a ack) {
	e.memory.give(recordSize(e.record))
	e.done <- a
}

// enqueue queues a record for a transaction.
func (t *txProducer) enqueue(r event.Record) (done chan ack, refused *event.Error) {
	if !t.memory.take(recordSize(r)) {
		return nil, t.monitor.failed(overloaded())
	}
	done = newAck()
	e := &entry{memory: t.memory, record: r, came: time.Now(), done: done}
	t.client.prepare(e)
	if !t.add(e) {
		t.memory.give(recordSize(r))
		ackChannels.Put(done)
		return nil, t.monitor.failed(ownerGone())
	}
	return done, nil
}

// add queues e. It reports false if the producer takes no more records.
func (t *txProducer) add(e *entry) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isClosed {
		return false
	}
	t.queue = append(t.queue, e)
	t.signal()
	return true
}

func (t *txProducer) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// finish lets the producer take no more records. What waits is still committed.
func (t *txProducer) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closeLocked()
	t.signal()
}

func (t *txProducer) closeLocked() {
	if !t.isClosed {
		t.isClosed = true
		close(t.closed)
	}
}

// abandon gives the client up. What waits was not given to it and never will be; the group in progress ends on its own.
func (t *txProducer) abandon() {
	t.mu.Lock()
	t.closeLocked()
	t.broken = true
	waiting := t.queue
	t.queue = nil
	t.signal()
	t.mu.Unlock()
	for _, e := range waiting {
		e.refuse(t.monitor.failed(ownerGone()))
	}
}

// abort abandons the producer and leaves the group in progress unknown at once, or
// when the call that ends its transaction returns.
func (t *txProducer) abort() {
	t.abandon()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.isAborted {
		t.isAborted = true
		close(t.aborted)
	}
}

// open reports whether the producer takes records.
func (t *txProducer) open() bool {
	select {
	case <-t.closed:
		return false
	default:
		return true
	}
}

func (t *txProducer) isBroken() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.broken
}

// run commits group after group until the producer is finished or abandoned.
func (t *txProducer) run() {
	defer close(t.ended)
	for {
		entries, more := t.nextEntries()
		if len(entries) > 0 {
			t.metrics.groupRecords.Observe(float64(len(entries)))
			began := time.Now()
			t.lastBegun.Store(began.UnixNano())
			t.turns.begin(began)
			if !t.transact(entries) {
				t.abandon()
			}
			t.notBefore = time.Now().Add(t.client.pause())
			t.turns.end(t.notBefore.Sub(began), t.notBefore)
		}
		if !more {
			return
		}
	}
}

// nextEntries waits for records and takes the next group. more is false when the
// producer is to end.
func (t *txProducer) nextEntries() (entries []*entry, more bool) {
	var waiting time.Time // since then there are records
	for {
		t.mu.Lock()
		if len(t.queue) > 0 && waiting.IsZero() {
			waiting = time.Now()
		}
		switch {
		case t.broken:
			t.mu.Unlock()
			return nil, false
		case len(t.queue) > 0 && time.Now().Before(t.begins(waiting)):
			t.mu.Unlock()
			backoff.SleepUntil(context.Background(), t.begins(waiting))
			continue
		case len(t.queue) > 0:
			entries, t.queue = nextGroup(t.queue)
			t.mu.Unlock()
			if entries = t.servable(entries); len(entries) > 0 {
				return entries, true
			}
			continue
		case t.isClosed:
			t.mu.Unlock()
			return nil, false
		}
		t.mu.Unlock()
		<-t.wake
	}
}

// begins is when the next transaction may begin. Those of the pool begin at even
// intervals, so that whatever comes finds one that begins soon: left alone, they begin
// together, and callers whose records were committed together come back too late for the
// next. Records wait for one interval at most: that of the others may be shorter, so that
// one of them has always begun lately.
func (t *txProducer) begins(waiting time.Time) time.Time {
	interval := t.turns.interval()
	spaced := time.Unix(0, t.lastBegun.Load()).Add(interval)
	if latest := waiting.Add(interval); spaced.After(latest) {
		spaced = latest
	}
	if spaced.After(t.notBefore) && time.Until(spaced) <= interval { // otherwise the clock was set back
		return spaced
	}
	return t.notBefore
}

// nextGroup splits the queue: what goes in one transaction, and the rest.
func nextGroup(queue []*entry) (entries, rest []*entry) {
	bytes := 0
	for i, e := range queue {
		bytes += len(e.record.Value)
		if i == maxGroupRecords || i > 0 && bytes > maxGroupBytes {
			return queue[:i:i], queue[i:]
		}
	}
	return queue, nil
}

// servable refuses records of partitions with a sequence gap, and those that have
// waited for half the delivery timeout, so that a group has the other half: no
// caller waits longer than the whole.
func (t *txProducer) servable(entries []*entry) []*entry {
	latest := time.Now().Add(-t.deliveryTimeout / 2)
	kept := entries[:0]
	for _, e := range entries {
		switch {
		case t.sequenceGaps[e.partition()]:
			e.refuse(t.monitor.failed(ownerGone()))
		case e.came.Before(latest):
			e.refuse(t.monitor.failed(event.Refuse(event.LogUnavailable, "Kafka commits too slowly at present. Nothing was written; send it again.")))
		default:
			kept = append(kept, e)
		}
	}
	return kept
}

// addSequenceGap notes that a partition cannot be written to any more. Only run
// calls it.
func (t *txProducer) addSequenceGap(p kafka.Partition) {
	if len(t.sequenceGaps) == 0 {
		close(t.retiring)
	}
	t.sequenceGaps[p] = true
}

// requeue puts records of an aborted transaction before all others.
func (t *txProducer) requeue(entries []*entry) {
	t.mu.Lock()
	broken := t.broken
	if !broken {
		t.queue = append(entries, t.queue...)
	}
	t.mu.Unlock()
	if broken {
		for _, e := range entries {
			e.refuse(t.monitor.failed(ownerGone()))
		}
	}
}

// queued counts records that wait here or in the client.
func (t *txProducer) queued() int {
	t.mu.Lock()
	n := len(t.queue)
	t.mu.Unlock()
	return n + t.client.queued()
}

package publish

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

const (
	// idempotentPrefix begins the ids of incarnations; no transactional id begins
	// with it.
	idempotentPrefix = "i-"
	// watchParts and watchAtLeast say how often an incarnation looks for overdue
	// records.
	watchParts   = 16
	watchAtLeast = 100 * time.Millisecond
	// abandonGrace is how long a client has to end the records of a partition that
	// was given up. A record is handed over only if its lease lasts 1.5 s longer than
	// a delivery (internal/ingest): half of that is left for a busy machine.
	abandonGrace = 500 * time.Millisecond
	// namedOverdue bounds how many partitions are logged at a time.
	namedOverdue = 5
	// drainStep is between looks at what is left in flight.
	drainStep = 5 * time.Millisecond
)

// incarnation is one producer with an id, and the records that it has in flight. Claims
// name it, and records of a claim go through it only. It keeps the time: a client
// never times a record out (docs/adr/0011).
type incarnation struct {
	id      string
	limit   time.Duration // until a record is overdue
	events  bool          // it writes events, and not the registry of transactions
	client  client
	monitor *monitor
	memory  *memory
	logger  *slog.Logger
	ended   func(reason string) // called once when it has failed

	started  chan struct{} // closed when client is set
	failed   atomic.Bool
	answered atomic.Bool   // Kafka has answered for a record: it accepts the id
	flying   atomic.Int64  // records that the client has
	once     sync.Once     // to shut
	over     chan struct{} // closed when the client is
	shutting sync.WaitGroup

	mu     sync.RWMutex // held for reading while a record is handed over
	closed bool

	life sync.Mutex
	shut bool // nothing more may be started

	partitions sync.RWMutex // guards waits
	waits      map[kafka.Partition]*waits
}

// newIncarnation makes an incarnation that start sets going.
func newIncarnation(limit time.Duration, m *monitor, mem *memory, logger *slog.Logger, ended func(reason string)) *incarnation {
	return &incarnation{
		id: idempotentPrefix + uuid.NewString(), limit: limit, monitor: m, memory: mem, logger: logger, ended: ended,
		started: make(chan struct{}), over: make(chan struct{}), waits: map[kafka.Partition]*waits{},
	}
}

func (i *incarnation) start(c client) {
	i.client = c
	close(i.started)
	i.shutting.Go(i.watch)
}

// send hands r over. The channel gets what became of it.
func (i *incarnation) send(r event.Record) (chan ack, *event.Error) {
	f := &inFlight{record: r, size: recordSize(r), began: time.Now(), done: newAck()}
	if !i.memory.take(f.size) {
		return nil, i.monitor.failed(overloaded())
	}
	i.mu.RLock()
	refused := i.handOver(f)
	i.mu.RUnlock()
	if refused != nil {
		i.memory.give(f.size)
		ackChannels.Put(f.done)
		return nil, i.monitor.failed(refused)
	}
	if i.isEvent(r) {
		failpoint.At(failpoint.Handed)
	}
	return f.done, nil
}

// sendAll hands records of one partition over, in order.
func (i *incarnation) sendAll(group []*sending) {
	now := time.Now()
	flights := make([]inFlight, len(group))
	all := make([]*inFlight, 0, len(group))
	for at, s := range group {
		f := &flights[at]
		*f = inFlight{record: *s.record, size: recordSize(*s.record), began: now, follows: s.follows}
		if !i.memory.take(f.size) {
			refuseAll(group[at:], i.monitor.failed(overloaded()))
			break
		}
		f.done = newAck()
		s.done = f.done
		all = append(all, f)
	}
	if len(all) == 0 {
		return
	}
	i.mu.RLock()
	taken := i.handOverAll(all)
	i.mu.RUnlock()
	if !taken {
		for at, f := range all {
			i.memory.give(f.size)
			ackChannels.Put(f.done)
			group[at].refused = i.monitor.failed(ownerGone())
		}
		return
	}
	for _, f := range all {
		if i.isEvent(f.record) {
			failpoint.At(failpoint.Handed)
		}
	}
}

// handOverAll gives records of one partition to the client.
func (i *incarnation) handOverAll(all []*inFlight) bool {
	if i.closed || i.failed.Load() || !i.waitsOf(all[0].record.Topic, all[0].record.Partition).addAll(all) {
		return false
	}
	i.flying.Add(int64(len(all)))
	i.client.sendAll(all)
	return true
}

// isEvent says whether a record is an event: those of the registry, and notes of topics,
// have no headers.
func (i *incarnation) isEvent(r event.Record) bool { return i.events && len(r.Headers) > 0 }

// handOver gives f to the client.
func (i *incarnation) handOver(f *inFlight) *event.Error {
	if i.closed || i.failed.Load() {
		return ownerGone()
	}
	w := i.waitsOf(f.record.Topic, f.record.Partition)
	if !w.add(f) {
		return ownerGone()
	}
	i.flying.Add(1)
	if refused := i.client.send(f); refused != nil {
		i.report(f, report{local: refused})
	}
	return nil
}

func (i *incarnation) waitsOf(topic string, partition int32) *waits {
	at := kafka.Partition{Topic: topic, Number: partition}
	i.partitions.RLock()
	w := i.waits[at]
	i.partitions.RUnlock()
	if w != nil {
		return w
	}
	i.partitions.Lock()
	defer i.partitions.Unlock()
	if w = i.waits[at]; w == nil {
		w = newWaits(topic, partition)
		i.waits[at] = w
	}
	return w
}

func (i *incarnation) allWaits() []*waits {
	i.partitions.RLock()
	defer i.partitions.RUnlock()
	all := make([]*waits, 0, len(i.waits))
	for _, w := range i.waits {
		all = append(all, w)
	}
	return all
}

func (i *incarnation) report(f *inFlight, r report) {
	there, waiting := f.waits.end(f)
	if !there {
		return // the incarnation was closed before
	}
	i.flying.Add(-1)
	i.memory.give(f.size)
	i.learn(f, r)
	if waiting {
		a := i.monitor.ended(f, r)
		if i.isEvent(f.record) && a.err == nil {
			failpoint.At(failpoint.Acked)
		}
		f.done <- a
	} else if r.err == nil && r.local == nil {
		i.monitor.acknowledged(f)
	}
}

// learn notes what a report says about Kafka.
func (i *incarnation) learn(f *inFlight, r report) {
	code, _ := kafka.ErrorCode(r.err)
	_, refused := refusals[code]
	switch {
	case r.local != nil:
		return
	case r.err == nil:
		f.waits.acked.Store(time.Now().UnixNano())
	case !refused || fatalCodes[code]:
		return
	}
	if !i.answered.Load() {
		i.answered.Store(true)
	}
}

// watch gives up what is overdue, until the incarnation is closed.
func (i *incarnation) watch() {
	tick := time.NewTicker(max(time.Millisecond, min(watchAtLeast, i.limit/watchParts)))
	defer tick.Stop()
	for {
		select {
		case <-i.over:
			return
		case <-tick.C:
			i.look(time.Now())
		}
	}
}

// overdue is a partition that was given up.
type overdue struct {
	*waits
	oldest time.Time // of its records
}

// look gives up partitions of which a record is overdue. When the client does not
// end such a partition's records soon, it is closed: none may be sent again once a
// taker may read the log for it.
func (i *incarnation) look(now time.Time) {
	var late []overdue
	var stuck *waits // of which the client cannot withdraw the records
	for _, w := range i.allWaits() {
		if since, given := w.stuckSince(); given {
			if now.Sub(since) >= abandonGrace {
				i.fail("records of a partition that was given up cannot be withdrawn", i.about(w))
				return
			}
			continue
		}
		oldest, unknown, given := w.giveUp(now, now.Add(-i.limit))
		if !given {
			continue
		}
		late = append(late, overdue{w, oldest})
		if !i.client.abandon(w) {
			stuck = w
		}
		i.answerUnknown(unknown)
	}
	i.monitor.overdue(i.id, late)
	if stuck != nil {
		i.fail("a record was not acknowledged in time", i.about(stuck))
	}
}

// about says which partition is meant.
func (i *incarnation) about(w *waits) error {
	return fmt.Errorf("%s, led by broker %d", kafka.Partition{Topic: w.topic, Number: w.partition}, i.monitor.topics.leader(w.topic, w.partition))
}

func (i *incarnation) answerUnknown(all []*inFlight) {
	for _, f := range all {
		f.done <- ack{err: i.monitor.failed(notAcknowledged(errOverdue))}
	}
}

// fail ends the incarnation: it takes no more records, and what it has in flight is
// unknown. It does not wait for that.
func (i *incarnation) fail(reason string, cause error) {
	if i.failed.Swap(true) {
		return
	}
	i.life.Lock()
	defer i.life.Unlock()
	if i.shut {
		return // by close
	}
	i.logger.Error("kafka producer given up: what it has in flight is unknown",
		"reason", reason, "error", cause, "producer", i.id, "records", i.flying.Load())
	i.monitor.metrics.givenUp.WithLabelValues(givenUpProducer).Inc()
	i.shutting.Go(func() {
		i.end()
		i.ended(reason)
	})
}

// end ends the client, then answers what is left. It may be called twice.
func (i *incarnation) end() {
	<-i.started // a client may fail while it is being started
	i.refuseMore()
	i.once.Do(func() {
		i.client.close()
		close(i.over)
		for _, w := range i.allWaits() {
			waiting, all := w.removeAll()
			i.answerUnknown(waiting)
			for _, f := range all {
				i.flying.Add(-1)
				i.memory.give(f.size)
			}
		}
	})
}

// refuseMore returns when no record is being handed over, and none will be.
func (i *incarnation) refuseMore() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
}

// close takes no more records and waits for those in flight for at most limit, and until
// ctx ends; what is left then gets an unknown outcome. It may be called twice.
func (i *incarnation) close(ctx context.Context, limit time.Duration) {
	i.refuseMore()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	backoff.Poll(ctx, drainStep, func() bool { return i.flying.Load() == 0 || i.failed.Load() })
	if left := i.flying.Load(); left > 0 && !i.failed.Load() {
		i.logger.Warn("records unacknowledged when the producer closed: their outcome is unknown", "records", left)
	}
	i.end()
	i.life.Lock()
	i.shut = true
	i.life.Unlock()
	i.shutting.Wait()
}

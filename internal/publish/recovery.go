package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

const (
	// clockMargin is how much clocks of gateways and brokers may differ.
	clockMargin = 10 * time.Second
	// recoveryLimit bounds one read. Callers bound their own wait.
	recoveryLimit = 2 * time.Minute
	// recoveriesAtOnce bounds the reads in progress. Searches in one partition share
	// a read.
	recoveriesAtOnce = 4
)

// errUndecided says that the log cannot yet show whether a record was written.
type errUndecided struct{ left time.Duration }

func (e errUndecided) Error() string {
	return "the record may still appear after replication; ask again in " + e.left.Round(time.Second).String()
}

// Find is the recovery read: it looks for the record that earlier attempts may
// have written under an abandoned claim. A record that is not found does not appear
// later: in transactional mode because the claim's producer was fenced first, else
// because nothing outlives a lease. Errors are *event.Error, unknown.
func (r *Reader) Find(ctx context.Context, id event.ClaimID, abandoned event.AbandonedClaim) (event.Receipt, bool, error) {
	begun := time.Now()
	receipt, err := r.find(ctx, id, abandoned)
	r.metrics.recovered(receipt != nil, err, time.Since(begun))
	switch {
	case err == nil && receipt != nil:
		return *receipt, true, nil
	case err == nil:
		return event.Receipt{}, false, nil
	}
	e := event.MaybeWritten(event.OutcomeUnknown, err,
		"An earlier attempt with this key may have been written, and the log cannot tell yet. Retry with the same key.")
	var undecided errUndecided
	if errors.As(err, &undecided) {
		e.RetryAfter = undecided.left
	}
	return event.Receipt{}, false, e
}

func (r *Reader) find(ctx context.Context, id event.ClaimID, abandoned event.AbandonedClaim) (*event.Receipt, error) {
	// Claims from before a change of kafka.guarantee end with their lease.
	fenced := r.fencer != nil && fenceable(abandoned.Owner)
	if fenced {
		if err := r.fence(ctx, abandoned.Owner); err != nil {
			return nil, fmt.Errorf("fence the claim's producer: %w", err)
		}
	}
	for _, number := range abandoned.Partitions {
		s := &search{id: id, abandoned: abandoned, fenced: fenced, done: make(chan struct{})}
		r.searches.add(kafka.Partition{Topic: abandoned.Topic, Number: number}, s)
		select {
		case <-s.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the recovery read: %w", ctx.Err())
		}
		if s.err != nil || s.found != nil {
			return s.found, s.err
		}
	}
	return nil, nil // read to the end, and not there
}

// search looks for one claim in one partition.
type search struct {
	id        event.ClaimID
	abandoned event.AbandonedClaim
	fenced    bool          // its producer is fenced: no wait for replication
	done      chan struct{} // closed when found and err are set
	found     *event.Receipt
	err       error
}

func (s *search) end(found *event.Receipt, err error) {
	s.found, s.err = found, err
	close(s.done)
}

// searches collects the searches in each partition: they share a read.
type searches struct {
	run   func([]*search, kafka.Partition)
	slots chan struct{} // holds one element per read in progress

	mu      sync.Mutex
	waiting map[kafka.Partition][]*search // present while a read is in progress or due
	reads   sync.WaitGroup
}

func newSearches(run func([]*search, kafka.Partition)) *searches {
	return &searches{run: run, slots: make(chan struct{}, recoveriesAtOnce), waiting: map[kafka.Partition][]*search{}}
}

func (q *searches) add(part kafka.Partition, s *search) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting, busy := q.waiting[part]
	q.waiting[part] = append(waiting, s)
	if !busy {
		q.reads.Go(func() { q.serve(part) })
	}
}

func (q *searches) serve(part kafka.Partition) {
	for {
		q.slots <- struct{}{}
		q.mu.Lock()
		batch := q.waiting[part]
		q.waiting[part] = nil
		if len(batch) == 0 {
			delete(q.waiting, part)
		}
		q.mu.Unlock()
		if len(batch) > 0 {
			q.run(batch, part)
		}
		<-q.slots
		if len(batch) == 0 {
			return
		}
	}
}

// recoverAll reads a partition once for all searches that wait.
func (r *Reader) recoverAll(batch []*search, part kafka.Partition) {
	ctx, cancel := context.WithTimeout(r.running, recoveryLimit)
	defer cancel()
	batch, err := r.decidable(ctx, batch, part)
	if err == nil && len(batch) > 0 {
		err = r.recoverRead(ctx, batch, part)
	}
	for _, s := range batch {
		if s.found == nil {
			s.end(nil, err)
		} else {
			s.end(s.found, nil)
		}
	}
}

// decidable ends the searches that have come too early, and returns the others.
func (r *Reader) decidable(ctx context.Context, batch []*search, part kafka.Partition) ([]*search, error) {
	if !slices.ContainsFunc(batch, func(s *search) bool { return !s.fenced }) {
		return batch, nil
	}
	facts, err := r.replicationOf(ctx, part.Topic)
	if err != nil {
		return batch, err
	}
	replicas, ok := facts[part.Number]
	if !ok {
		return batch, fmt.Errorf("%s no longer exists", part)
	}
	now := failpoint.Now()
	decidable := batch[:0]
	for _, s := range batch {
		if left := replicas.left(s.abandoned.LeaseEnded, now); left > 0 && !s.fenced {
			s.end(nil, errUndecided{left})
			continue
		}
		decidable = append(decidable, s)
	}
	return decidable, nil
}

// recoverRead looks for all of batch from the earliest first claim on, up to
// the high watermark as it is now.
func (r *Reader) recoverRead(ctx context.Context, batch []*search, part kafka.Partition) error {
	open := make(map[string][]*search, len(batch))
	from := batch[0].abandoned.From
	for _, s := range batch {
		open[s.id.String()] = append(open[s.id.String()], s)
		if s.abandoned.From.Before(from) {
			from = s.abandoned.From
		}
	}
	spans, err := r.scan.spans(ctx, []kafka.Partition{part}, from.Add(-clockMargin))
	if err != nil {
		return err
	}
	return r.scan.read(ctx, spans, func(m *librdkafka.Message) error {
		claim := headerOf(m, event.HeaderClaim)
		for _, s := range open[claim] {
			receipt := receiptOf(m)
			s.found = &receipt
		}
		delete(open, claim)
		if len(open) == 0 {
			return errStop
		}
		return nil
	})
}

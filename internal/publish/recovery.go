package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

const (
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
// because nothing outlives a lease. What was read for a caller that gave up is not read
// again for the next one. Errors are *event.Error, unknown.
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
		s := newSearch(id, abandoned, fenced)
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

// search looks for one claim in one partition: of Find, wherever its record may be; of
// Read, at an offset.
type search struct {
	id event.ClaimID
	// from is before the timestamp of any record of the claim.
	from time.Time
	// ended is when the claim's lease was over. behind is a time so much later that a
	// record stamped then or later was surely appended after ended. Both are zero for a
	// claim whose producer is fenced: that is what ended it.
	ended, behind time.Time
	offset        int64         // of Read, which needs no times
	over          bool          // for the reader
	done          chan struct{} // closed when found and err are set
	found         *event.Receipt
	err           error
}

func newSearch(id event.ClaimID, abandoned event.AbandonedClaim, fenced bool) *search {
	s := &search{id: id, from: abandoned.From.Add(-clockMargin), done: make(chan struct{})}
	if !fenced {
		s.ended, s.behind = abandoned.LeaseEnded, abandoned.LeaseEnded.Add(stampMargin)
	}
	return s
}

func (s *search) fenced() bool { return s.behind.IsZero() }

func (s *search) end(found *event.Receipt, err error) {
	s.over, s.found, s.err = true, found, err
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

package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
)

const (
	// batchRecords and batchBytes bound a transaction: what a kill may make invisible, and
	// what is in memory.
	batchRecords, batchBytes = 200, 4 << 20
	// tidyMarks bounds how many marks of dead letters that are gone a replay deletes.
	tidyMarks = 10_000
	// batchesPerSecond is how often copies are written at a rate, if it allows as many.
	batchesPerSecond = 10
	// retries bounds how often in a row a transaction is tried again, retryPause to
	// mostRetryPause apart.
	retries                    = 20
	retryPause, mostRetryPause = 200 * time.Millisecond, 5 * time.Second
)

// Sink writes to Kafka.
type Sink interface {
	// Begin makes sure that no earlier sink of the same name commits anything any more.
	Begin(ctx context.Context) error
	// Commit writes copies, then what marks returns when their places are set, in one
	// transaction: all of it is there, or nothing. [ErrTakenOver] says that another sink of
	// this name has begun. After any error Begin has to be called, and what is in Kafka read.
	Commit(ctx context.Context, copies []*kafka.Record, marks func() []*kafka.Record) error
}

// ErrPermanent is wrapped by the error of a sink that is the same with every try.
var ErrPermanent = errors.New("trying again does not help")

// ErrTakenOver is the error of a sink whose successor has begun.
var ErrTakenOver = errors.New("another command has taken over the dead letters of this topic")

// Door takes events in anew.
type Door interface {
	// Accept publishes the event of a letter, once however often it is called, and returns
	// where it is. The error says why the event is refused, if refused.
	Accept(ctx context.Context, r *kafka.Record, l *Letter) (at Place, refused bool, err error)
}

// Deps are what a replay works with.
type Deps struct {
	Source Source
	Sink   func(topic string) Sink // of one dead-letter topic
	Door   Door                    // nil unless the target is the door
	Ledger string                  // its topic
	Now    func() time.Time
	// Progress is called after each transaction.
	Progress func(Tally)
}

// Run replays until all is replayed, or ctx ends. What was replayed before it ended is in the
// ledger, whatever ends it.
func Run(ctx context.Context, job Job, deps Deps) (Tally, error) {
	r := &replay{job: job, Deps: deps, tally: newTally()}
	r.tally.Started = deps.Now()
	for _, topic := range job.Topics {
		if err := r.topic(ctx, topic); err != nil {
			r.tally.Took = deps.Now().Sub(r.tally.Started)
			return r.tally, err
		}
	}
	r.tally.Took = deps.Now().Sub(r.tally.Started)
	return r.tally, nil
}

type replay struct {
	Deps
	job   Job
	tally Tally

	sink   Sink
	ledger *Ledger
	batch  []waiting
	bytes  int
	paced  int // letters since pacing began
	since  time.Time
}

// waiting is a letter of the batch that is gathered.
type waiting struct {
	record *kafka.Record
	letter Letter
}

func (r *replay) topic(ctx context.Context, topic string) error {
	r.sink = r.Sink(topic)
	if err := r.begin(ctx); err != nil {
		return err
	}
	spans, err := spansOf(ctx, r.Source, topic, &r.job.Filter)
	if err != nil {
		return fmt.Errorf("read dead letters of %s: %w", topic, err)
	}
	for _, s := range spans {
		if err := r.span(ctx, s); err != nil {
			return err
		}
	}
	return r.tidy(ctx, topic)
}

// tidy deletes the marks of dead letters that Kafka no longer has, a part of them at a time.
func (r *replay) tidy(ctx context.Context, topic string) error {
	spans, err := r.Source.Spans(ctx, topic, time.Time{})
	if err != nil {
		return fmt.Errorf("look which dead letters of %s are gone: %w", topic, err)
	}
	places := r.ledger.gone(topic, spans, r.Now())
	if places = places[:min(len(places), tidyMarks)]; len(places) == 0 {
		return nil
	}
	return r.sink.Commit(ctx, nil, func() []*kafka.Record {
		tombstones := make([]*kafka.Record, len(places))
		for i, p := range places {
			tombstones[i] = &kafka.Record{Topic: r.Ledger, Partition: 0, Key: []byte(p.String())}
		}
		return tombstones
	})
}

// begin ends what an earlier process may still commit, and learns what it has committed.
func (r *replay) begin(ctx context.Context) error {
	if err := r.sink.Begin(ctx); err != nil {
		return fmt.Errorf("begin to write: %w", err)
	}
	ledger, err := ReadLedger(ctx, r.Source, r.Ledger)
	r.ledger = ledger
	return err
}

// span replays a part of a partition. After a transaction that failed it goes on with what is
// in Kafka.
func (r *replay) span(ctx context.Context, s Span) error {
	pause := backoff.NewExponential(retryPause, mostRetryPause)
	for failures := 0; ; {
		next, err := r.read(ctx, s)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || final(err) || failures >= retries:
			return err
		}
		if next > s.From {
			failures = 0
			pause.Reset()
		}
		s.From = next
		if failures, err = r.beginAgain(ctx, pause, failures, err); err != nil {
			return err
		}
	}
}

// beginAgain begins after an error: before that nothing is read, because the ledger in memory
// has marks that are perhaps not in Kafka.
func (r *replay) beginAgain(ctx context.Context, pause *backoff.Exponential, failures int, cause error) (int, error) {
	for ; failures < retries; failures++ {
		if !backoff.Sleep(ctx, pause.Next()) {
			return failures, cause
		}
		err := r.begin(ctx)
		if err == nil {
			return failures + 1, nil
		}
		if final(err) {
			return failures, err
		}
		cause = err
	}
	return failures, cause
}

func final(err error) bool { return errors.Is(err, ErrTakenOver) || errors.Is(err, ErrPermanent) }

// read replays a span, and returns the offset before which all is done.
func (r *replay) read(ctx context.Context, s Span) (next int64, err error) {
	next = s.From
	r.batch, r.bytes = nil, 0
	counted := r.tally.clone() // of what comes again if this fails
	err = r.Source.Read(ctx, s, func(record *kafka.Record) error {
		l := Describe(record)
		if !r.job.Filter.Takes(&l) || !r.job.take(r.ledger, &l, &r.tally) {
			return nil
		}
		r.batch = append(r.batch, waiting{record, l})
		r.bytes += len(record.Value) + len(record.Key)
		if len(r.batch) < r.most() && r.bytes < batchBytes {
			return nil
		}
		if err := r.flush(ctx); err != nil {
			return err
		}
		next = record.Offset + 1
		counted = r.tally.clone()
		return nil
	})
	if err == nil {
		err = r.flush(ctx)
	}
	if err != nil {
		r.tally = counted
		return next, err
	}
	return s.To, nil
}

// most is how many letters go into one transaction: more when transactions take so long that
// the rate is not reached.
func (r *replay) most() int {
	if r.job.Rate <= 0 {
		return batchRecords
	}
	most := int(r.job.Rate / batchesPerSecond)
	if !r.since.IsZero() {
		most = max(most, int(r.job.Rate*r.Now().Sub(r.since).Seconds())-r.paced)
	}
	return max(1, min(batchRecords, most))
}

// flush writes the batch when the rate allows it.
func (r *replay) flush(ctx context.Context) error {
	if len(r.batch) == 0 {
		return ctx.Err()
	}
	if err := r.pace(ctx, len(r.batch)); err != nil {
		return err
	}
	var err error
	var done []waiting
	switch {
	case r.job.Drop:
		done = r.batch
		err = r.sink.Commit(ctx, nil, func() []*kafka.Record { return r.marks(done, nil) })
	case r.job.Target.Kind == ToDoor:
		done, err = r.throughDoor(ctx)
	default:
		done = r.batch
		err = r.copyAll(ctx, done)
	}
	if err != nil {
		return err
	}
	for _, w := range done {
		r.tally.Targets[r.job.words(&w.letter)]++
	}
	r.tally.Done += len(done)
	r.tally.Took = r.Now().Sub(r.tally.Started)
	r.batch, r.bytes = nil, 0
	r.Progress(r.tally)
	return nil
}

// pace waits until n more letters are within the rate.
func (r *replay) pace(ctx context.Context, n int) error {
	if r.job.Rate <= 0 {
		return ctx.Err()
	}
	now := r.Now()
	due := r.since.Add(time.Duration(float64(r.paced) / r.job.Rate * float64(time.Second)))
	if r.since.IsZero() || now.Sub(due) > time.Second { // time that was lost is not made up for
		r.since, r.paced, due = now, 0, now
	}
	if !backoff.Sleep(ctx, due.Sub(now)) {
		return ctx.Err()
	}
	r.paced += n
	return nil
}

func (r *replay) copyAll(ctx context.Context, batch []waiting) error {
	now := r.Now()
	copies := make([]*kafka.Record, len(batch))
	for i := range batch {
		copies[i] = r.job.Target.Copy(batch[i].record, &batch[i].letter, now)
	}
	return r.sink.Commit(ctx, copies, func() []*kafka.Record {
		return r.marks(batch, func(i int) *Place { return &Place{copies[i].Topic, copies[i].Partition, copies[i].Offset} })
	})
}

// marks are the records of the ledger for a batch, which is learned at once: if the commit
// fails, the ledger is read anew.
func (r *replay) marks(batch []waiting, at func(i int) *Place) []*kafka.Record {
	now := r.Now()
	marks := make([]*kafka.Record, len(batch))
	for i := range batch {
		l := &batch[i].letter
		m := markOf(l, Replayed, r.job.By, now)
		m.Reason = r.job.Reason
		if r.job.Drop {
			m.Action = Dropped
		} else {
			m.Target, m.To = r.job.Target.Words(l), at(i)
		}
		marks[i] = &kafka.Record{Topic: r.Ledger, Partition: 0, Key: []byte(l.Place.String()), Value: m.encode()}
		r.ledger.set(l.Place, m)
	}
	return marks
}

// throughDoor publishes the batch anew. Letters that are refused stay as they are.
func (r *replay) throughDoor(ctx context.Context) (done []waiting, err error) {
	var at []Place
	for _, w := range r.batch {
		place, refused, err := r.Door.Accept(ctx, w.record, &w.letter)
		switch {
		case refused:
			r.tally.Refused[err.Error()]++
			continue
		case err != nil:
			return nil, err
		}
		done, at = append(done, w), append(at, place)
	}
	if len(done) == 0 {
		return nil, nil
	}
	return done, r.sink.Commit(ctx, nil, func() []*kafka.Record {
		return r.marks(done, func(i int) *Place { return &at[i] })
	})
}

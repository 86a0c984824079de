package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

const (
	// commitPause is between tries of a commit that librdkafka could not send.
	commitPause = 50 * time.Millisecond
	// doomedGrace is how long a producer that has failed for good has to report
	// what became of its records.
	doomedGrace = 500 * time.Millisecond
)

// fate is what became of one record of a group.
type fate struct {
	handed bool           // to librdkafka
	report *kafka.Message // nil: none yet
	age    time.Duration  // of the report, since the group began
	left   bool           // answered already
}

// verdict is what a fate means for the record, if its transaction is aborted
// and its incarnation lives on.
type verdict int

const (
	acked   verdict = iota // appended
	unsent                 // librdkafka has not taken it
	refused                // not appended
	unclear                // appended perhaps, or still to be
)

func (f fate) verdict() verdict {
	switch {
	case !f.handed:
		return unsent
	case f.report == nil:
		return unclear
	case f.report.TopicPartition.Error == nil:
		return acked
	}
	code, _ := errorCode(f.report.TopicPartition.Error)
	if _, known := refusals[code]; known && f.age < surelyFirstTry {
		return refused
	}
	// What librdkafka drops from its queue when a transaction has failed is
	// unclear, too: it may wait there for its second try.
	return unclear
}

// transact writes entries in one transaction and answers them, or queues them
// again. It reports false if the incarnation must not be used any more.
func (l *lane) transact(entries []*entry) bool {
	began := time.Now()
	deadline := entries[0].came.Add(l.deliveryTimeout)
	if err := l.inc.kp.BeginTransaction(); err != nil {
		l.logger.Error("beginning a kafka transaction failed", "error", err, "transactional_id", l.inc.id)
		for _, e := range entries {
			e.refuse(l.failed(produceError(err)))
		}
		return false
	}
	reports := l.hand(entries)
	failpoint.At(failpoint.Handed)
	err := l.collect(reports, entries, began, deadline)
	counts := count(entries)
	switch {
	case err != nil || counts[unclear] > 0:
		return l.giveUp(entries, err, "records unacknowledged")
	case counts[refused]+counts[unsent] > 0:
		return l.abort(entries, deadline)
	}
	failpoint.At(failpoint.Acked)
	failpoint.At(failpoint.Committing)
	if err := l.commit(deadline); err != nil {
		return l.giveUp(entries, err, "commit")
	}
	failpoint.At(failpoint.Committed)
	l.metrics.transactions.WithLabelValues("committed").Inc()
	for _, e := range entries {
		if !e.fate.left {
			at, err := l.acknowledged(e.fate.report, e.record.Placement, e.record.Timestamp)
			e.done <- answer{at, err}
		}
	}
	return true
}

// hand produces entries. A record that librdkafka does not take is answered,
// unless that is because the transaction has failed already.
func (l *lane) hand(entries []*entry) (reports chan kafka.Event) {
	// Buffered for all: librdkafka's poller never waits, even if nobody reads.
	reports = make(chan kafka.Event, len(entries))
	for _, e := range entries {
		e.fate = fate{}
		e.message.Opaque = e
		err := l.inc.produce(e.message, reports)
		code, _ := errorCode(err)
		switch {
		case err == nil:
			e.fate.handed = true
		case code != kafka.ErrState && code != kafka.ErrFatal && !errors.Is(err, errClosed):
			e.fate.left = true
			e.refuse(l.failed(produceError(err)))
		}
	}
	return reports
}

// collect waits for the reports of all entries that were handed over.
func (l *lane) collect(reports <-chan kafka.Event, entries []*entry, began, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	doomed := l.inc.failed
	for missing := handed(entries); missing > 0; {
		select {
		case ev := <-reports:
			m, _ := ev.(*kafka.Message)
			if m == nil {
				return fmt.Errorf("delivery report is a %T", ev)
			}
			e, _ := m.Opaque.(*entry)
			e.fate.report, e.fate.age = m, time.Since(began)
			missing--
		case <-doomed:
			doomed = nil
			timer.Reset(min(doomedGrace, time.Until(deadline)))
		case <-timer.C:
			return context.DeadlineExceeded
		case <-l.kill:
			return errClosed
		}
	}
	return nil
}

func handed(entries []*entry) (n int) {
	for _, e := range entries {
		if e.fate.handed {
			n++
		}
	}
	return n
}

func count(entries []*entry) (n [unclear + 1]int) {
	for _, e := range entries {
		if !e.fate.left {
			n[e.fate.verdict()]++
		}
	}
	return n
}

// commit ends the transaction. An error says nothing about whether it did.
func (l *lane) commit(deadline time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	for {
		err := l.inc.kp.CommitTransaction(ctx)
		var e kafka.Error
		if err == nil || !errors.As(err, &e) || !e.IsRetriable() || time.Until(deadline) < commitPause {
			return err
		}
		waitUntil(ctx, time.Now().Add(commitPause))
	}
}

// abort ends a transaction of which every report is in: nothing of it can
// still arrive. Refused records are answered; the others go again, unless they
// are for the same partition.
func (l *lane) abort(entries []*entry, deadline time.Time) bool {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	if err := l.inc.kp.AbortTransaction(ctx); err != nil {
		return l.giveUp(entries, err, "abort")
	}
	l.metrics.transactions.WithLabelValues("aborted").Inc()
	var next []*entry
	for _, e := range entries {
		switch {
		case e.fate.left:
		case e.fate.verdict() == refused:
			l.gap(e.partition())
			e.refuse(l.failed(deliveryErrorOf(e.fate)))
		default:
			next = append(next, e)
		}
	}
	l.again(next)
	return true
}

func deliveryErrorOf(f fate) *event.Error {
	var e kafka.Error
	errors.As(f.report.TopicPartition.Error, &e)
	return deliveryError(e, f.age)
}

// giveUp leaves a transaction whose outcome is not known. Only what librdkafka
// never got is surely not written. It reports false: the incarnation is done.
func (l *lane) giveUp(entries []*entry, cause error, at string) bool {
	if cause == nil {
		cause = firstError(entries)
	}
	l.metrics.transactions.WithLabelValues("unknown").Inc()
	l.logger.Error("kafka transaction given up: its outcome is unknown, and its producer is replaced",
		"at", at, "records", len(entries), "transactional_id", l.inc.id, "error", cause)
	for _, e := range entries {
		switch {
		case e.fate.left:
		case !e.fate.handed:
			e.refuse(l.failed(ownerGone()))
		default:
			e.refuse(l.failed(event.MaybeWritten(event.OutcomeUnknown, cause,
				"Kafka did not confirm the event's transaction. It may or may not have been written: retry with the same Idempotency-Key to find out.")))
		}
	}
	return false
}

func firstError(entries []*entry) error {
	for _, e := range entries {
		if r := e.fate.report; r != nil && r.TopicPartition.Error != nil {
			return r.TopicPartition.Error
		}
	}
	return nil
}

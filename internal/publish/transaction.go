package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

const (
	// commitPause is between tries of a commit that librdkafka could not send.
	commitPause = 50 * time.Millisecond
	// fatalGrace is how long a producer that has failed for good has to report
	// what became of its records.
	fatalGrace = 500 * time.Millisecond
)

// deliveryState is what is known of one record of a group.
type deliveryState struct {
	sent     bool                // to librdkafka
	report   *librdkafka.Message // nil: none yet
	age      time.Duration       // of the report, since the group began
	answered bool                // its caller has been answered
}

// recordOutcome is what a deliveryState means for the record, if its transaction is
// aborted and its incarnation lives on.
type recordOutcome int

const (
	acked   recordOutcome = iota // appended
	unsent                       // librdkafka has not taken it
	refused                      // not appended
	unknown                      // it may be appended, now or later
)

func (d deliveryState) outcome() recordOutcome {
	switch {
	case !d.sent:
		return unsent
	case d.report == nil:
		return unknown
	case d.report.TopicPartition.Error == nil:
		return acked
	}
	code, _ := kafka.ErrorCode(d.report.TopicPartition.Error)
	if _, known := refusals[code]; known && surelyFirst(d.age) {
		return refused
	}
	// What librdkafka drops from its queue when a transaction has failed is
	// unknown, too: it may wait there for its second try.
	return unknown
}

// refusal is the error of a refused record.
func (d deliveryState) refusal() *event.Error {
	var e librdkafka.Error
	errors.As(d.report.TopicPartition.Error, &e)
	return deliveryError(e, d.age)
}

// transact writes entries in one transaction and answers them, or queues them
// again. It reports false if the incarnation must not be used any more.
func (t *txProducer) transact(entries []*entry) bool {
	began := time.Now()
	deadline := entries[0].came.Add(t.deliveryTimeout)
	if err := t.inc.kp.BeginTransaction(); err != nil {
		t.logger.Error("beginning a kafka transaction failed", "error", err, "transactional_id", t.inc.id)
		for _, e := range entries {
			e.refuse(t.monitor.failed(produceError(err)))
		}
		return false
	}
	reports := t.send(entries)
	failpoint.At(failpoint.Handed)
	err := t.collect(reports, entries, began, deadline)
	outcomes := countOutcomes(entries)
	switch {
	case err != nil || outcomes[unknown] > 0:
		return t.endUnknown(entries, err, "records unacknowledged")
	case outcomes[refused]+outcomes[unsent] > 0:
		return t.abortTransaction(entries, deadline)
	}
	failpoint.At(failpoint.Acked)
	failpoint.At(failpoint.Committing)
	if err := t.commitTransaction(deadline); err != nil {
		return t.endUnknown(entries, err, "commit")
	}
	failpoint.At(failpoint.Committed)
	t.metrics.transactions.WithLabelValues("committed").Inc()
	for _, e := range entries {
		if !e.state.answered {
			e.end(t.monitor.committed(e.state.report, e.record.Placement, e.record.Timestamp))
		}
	}
	return true
}

// send produces entries. A record that librdkafka does not take is answered,
// unless that is because the transaction has failed already.
func (t *txProducer) send(entries []*entry) (reports chan librdkafka.Event) {
	// Buffered for all: librdkafka's poller never waits, even if nobody reads.
	reports = make(chan librdkafka.Event, len(entries))
	for _, e := range entries {
		e.state = deliveryState{}
		e.message.Opaque = e
		err := t.inc.produce(e.message, reports)
		code, _ := kafka.ErrorCode(err)
		switch {
		case err == nil:
			e.state.sent = true
		case code != librdkafka.ErrState && code != librdkafka.ErrFatal && !errors.Is(err, errClosed):
			e.state.answered = true
			e.refuse(t.monitor.failed(produceError(err)))
		}
	}
	return reports
}

// collect waits for the reports of all entries that were sent.
func (t *txProducer) collect(reports <-chan librdkafka.Event, entries []*entry, began, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	failed := t.inc.failed
	for missing := countSent(entries); missing > 0; {
		select {
		case ev := <-reports:
			m, _ := ev.(*librdkafka.Message)
			if m == nil {
				return fmt.Errorf("delivery report is a %T", ev)
			}
			e, _ := m.Opaque.(*entry)
			e.state.report, e.state.age = m, time.Since(began)
			missing--
		case <-failed:
			failed = nil
			timer.Reset(min(fatalGrace, time.Until(deadline)))
		case <-timer.C:
			return context.DeadlineExceeded
		case <-t.aborted:
			return errClosed
		}
	}
	return nil
}

func countSent(entries []*entry) (n int) {
	for _, e := range entries {
		if e.state.sent {
			n++
		}
	}
	return n
}

func countOutcomes(entries []*entry) (n [unknown + 1]int) {
	for _, e := range entries {
		if !e.state.answered {
			n[e.state.outcome()]++
		}
	}
	return n
}

// commitTransaction returns nil if the transaction is committed. An error leaves
// open whether it is.
func (t *txProducer) commitTransaction(deadline time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	for {
		err := t.inc.kp.CommitTransaction(ctx)
		var e librdkafka.Error
		if err == nil || !errors.As(err, &e) || !e.IsRetriable() || time.Until(deadline) < commitPause {
			return err
		}
		backoff.Sleep(ctx, commitPause)
	}
}

// abortTransaction ends a transaction of which every report is in: nothing of it can
// still arrive. Refused records are answered; the others go again, unless they
// are for the same partition.
func (t *txProducer) abortTransaction(entries []*entry, deadline time.Time) bool {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	if err := t.inc.kp.AbortTransaction(ctx); err != nil {
		return t.endUnknown(entries, err, "abort")
	}
	t.metrics.transactions.WithLabelValues("aborted").Inc()
	var next []*entry
	for _, e := range entries {
		switch {
		case e.state.answered:
		case e.state.outcome() == refused:
			t.addSequenceGap(e.partition())
			e.refuse(t.monitor.failed(e.state.refusal()))
		default:
			next = append(next, e)
		}
	}
	t.requeue(next)
	return true
}

// endUnknown leaves a transaction whose outcome is not known. Only what librdkafka
// never got is surely not written. It reports false: the incarnation is not used again.
func (t *txProducer) endUnknown(entries []*entry, cause error, at string) bool {
	if cause == nil {
		cause = firstError(entries)
	}
	t.metrics.transactions.WithLabelValues("unknown").Inc()
	t.logger.Error("kafka transaction given up: its outcome is unknown, and its producer is replaced",
		"at", at, "records", len(entries), "transactional_id", t.inc.id, "error", cause)
	for _, e := range entries {
		switch {
		case e.state.answered:
		case !e.state.sent:
			e.refuse(t.monitor.failed(ownerGone()))
		default:
			e.refuse(t.monitor.failed(event.MaybeWritten(event.OutcomeUnknown, cause,
				"Kafka did not confirm the event's transaction. It may or may not have been written: retry with the same Idempotency-Key to find out.")))
		}
	}
	return false
}

func firstError(entries []*entry) error {
	for _, e := range entries {
		if r := e.state.report; r != nil && r.TopicPartition.Error != nil {
			return r.TopicPartition.Error
		}
	}
	return nil
}

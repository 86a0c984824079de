package publish

import (
	"context"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

// fatalGrace is how long a producer that has failed for good has to report what became
// of its records.
const fatalGrace = 500 * time.Millisecond

// deliveryState is what is known of one record of a group.
type deliveryState struct {
	sent     bool // to the client
	reported bool // whether report is set
	report   report
	answered bool // its caller has been answered
}

// recordOutcome is what a deliveryState means for the record.
type recordOutcome int

const (
	acked   recordOutcome = iota // appended
	unsent                       // the client has not taken it
	refused                      // not appended
	unknown                      // it may be appended, now or later
)

func (d *deliveryState) outcome() recordOutcome {
	switch {
	case !d.sent:
		return unsent
	case !d.reported:
		return unknown
	case d.report.local != nil:
		return refused
	case d.report.err == nil:
		return acked
	}
	code, _ := kafka.ErrorCode(d.report.err)
	if _, known := refusals[code]; known && d.report.firstTry {
		return refused
	}
	return unknown
}

// refusal is the error of a refused record.
func (e *entry) refusal() *event.Error {
	if local := e.state.report.local; local != nil {
		return local
	}
	return deliveryError(e.state.report, e.group.alone(e))
}

// transact writes entries in one transaction and answers them, or queues them
// again. It reports false if the client must not be used any more.
func (t *txProducer) transact(entries []*entry) bool {
	deadline := entries[0].came.Add(t.deliveryTimeout)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	if err := t.client.begin(ctx, entries); err != nil {
		t.logger.Error("beginning a kafka transaction failed", "error", err, "transactional_id", t.id)
		for _, e := range entries {
			e.refuse(t.monitor.failed(produceError(err)))
		}
		return false
	}
	group := newTxGroup(entries)
	t.send(group)
	failpoint.At(failpoint.Handed)
	err := t.collect(group, deadline)
	outcomes := countOutcomes(entries)
	if err != nil || outcomes[unknown] > 0 {
		return t.endUnknown(entries, err, "records unacknowledged")
	}
	if client, ok := t.client.(aborter); ok && outcomes[refused]+outcomes[unsent] > 0 {
		return t.abortTransaction(ctx, client, entries)
	}
	failpoint.At(failpoint.Acked)
	failpoint.At(failpoint.Committing)
	if err := t.client.commit(ctx); err != nil {
		return t.endUnknown(entries, err, "commit")
	}
	failpoint.At(failpoint.Committed)
	t.metrics.transactions.WithLabelValues("committed").Inc()
	t.answer(entries)
	return t.client.reusable()
}

// answer answers the entries of a transaction that is committed.
func (t *txProducer) answer(entries []*entry) {
	for _, e := range entries {
		switch {
		case e.state.answered:
		case e.state.outcome() == acked:
			t.monitor.noteAck(e.record.Placement, e.record.Timestamp)
			e.end(t.monitor.appended(e.state.report.at, e.record.Placement))
		default:
			e.refuse(t.monitor.failed(e.refusal()))
		}
	}
}

// send hands the group to the client. A record that it refuses is answered.
func (t *txProducer) send(group *txGroup) {
	for _, e := range group.entries {
		// Before it is handed over: the client may report at once.
		e.state.sent = true
		taken, refused := t.client.send(e)
		if taken {
			continue
		}
		e.state.sent = false
		group.without()
		if refused != nil {
			e.state.answered = true
			e.refuse(t.monitor.failed(refused))
		}
	}
	t.client.flush()
}

// collect waits for the reports of all entries that were sent.
func (t *txProducer) collect(group *txGroup, deadline time.Time) error {
	defer group.end()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	failed := t.client.failed()
	for {
		select {
		case <-group.done:
			return nil
		case <-failed:
			failed = nil
			timer.Reset(min(fatalGrace, time.Until(deadline)))
		case <-timer.C:
			return context.DeadlineExceeded
		case <-t.aborted:
			return errClosed
		}
	}
}

func countOutcomes(entries []*entry) (n [unknown + 1]int) {
	for _, e := range entries {
		if !e.state.answered {
			n[e.state.outcome()]++
		}
	}
	return n
}

// abortTransaction ends a transaction of which every report is in: nothing of it can
// still arrive. Refused records are answered; the others go again, unless they
// are for the same partition.
func (t *txProducer) abortTransaction(ctx context.Context, client aborter, entries []*entry) bool {
	if err := client.abort(ctx); err != nil {
		return t.endUnknown(entries, err, "abort")
	}
	t.metrics.transactions.WithLabelValues("aborted").Inc()
	var next []*entry
	for _, e := range entries {
		switch {
		case e.state.answered:
		case e.state.outcome() == refused:
			t.addSequenceGap(e.partition())
			e.refuse(t.monitor.failed(e.refusal()))
		default:
			next = append(next, e)
		}
	}
	t.requeue(next)
	return true
}

// endUnknown leaves a transaction whose outcome is not known. Only what the client
// never got is surely not written. It reports false: the client is not used again.
func (t *txProducer) endUnknown(entries []*entry, cause error, at string) bool {
	if cause == nil {
		cause = firstError(entries)
	}
	t.metrics.transactions.WithLabelValues("unknown").Inc()
	t.logger.Error("kafka transaction given up: its outcome is unknown, and its producer is replaced",
		"at", at, "records", len(entries), "transactional_id", t.id, "error", cause)
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
		if e.state.reported && e.state.report.err != nil {
			return e.state.report.err
		}
	}
	return nil
}

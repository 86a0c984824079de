package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// franzClient writes through franz-go. Its construction keeps these rules, each of
// which is a test (client_test.go, test/torture):
//
//   - after OUT_OF_ORDER_SEQUENCE_NUMBER and its kin it stops: kgo's default is to send
//     again, which writes a second time what a broker had appended before its restart;
//   - a refusal is final only if no produce request to that broker was left unanswered
//     meanwhile: kgo usually pauses before it sends again, but not always;
//   - only the gateway's clock ends a record: records have no deadline of their own;
//   - what the kernel has not sent when the client is closed is thrown away.
type franzClient struct {
	cl       *kgo.Client
	reporter reporter
	brokers  *franzBrokers
	gates    sync.Map // *gate by broker
	stop     context.CancelFunc
	starting sync.WaitGroup
}

// newFranzClient returns a client that connects in the background. connection are the
// translated properties; largest is the largest batch of a topic, in bytes.
func newFranzClient(connection []kgo.Opt, deliveryTimeout time.Duration, largest func(topic string) int32, to reporter, onError func(error), logger kgo.Logger) (*franzClient, error) {
	c := &franzClient{reporter: to, brokers: newFranzBrokers(deliveryTimeout, onError)}
	opts := append(franzOptions(connection, deliveryTimeout, largest, c.brokers, logger),
		kgo.StopProducerOnDataLossDetected(),
		kgo.RecordPartitioner(placed{c.leaderOf}),
	)
	var err error
	if c.cl, err = kgo.NewClient(opts...); err != nil {
		return nil, fmt.Errorf("create kafka producer: %w", err)
	}
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.Background())
	c.starting.Go(func() { c.initialise(ctx) })
	return c, nil
}

// initialise gets the producer's id before the first record needs it.
func (c *franzClient) initialise(ctx context.Context) {
	id, _, err := c.cl.ProducerID(ctx)
	var refused *kerr.Error
	if errors.As(err, &refused) && !refused.Retriable || err == nil && id < 0 {
		c.reporter.fail("kafka gives the producer no id", err)
	}
}

func (c *franzClient) send(f *inFlight) *event.Error {
	r := newFranzRecord(f.waits.context(), &f.record)
	r.flight = f
	r.leader, r.epoch = c.leaderOf(f.record.Topic, f.record.Partition)
	if c.brokers.overQuota(r.leader) {
		return quotaExceeded()
	}
	r.gate = c.gateTo(r.leader)
	r.gate.enter(r)
	return nil
}

// sendAll keeps the order of the records behind one that is refused or lost:
//
//   - kgo then fails all that it has of the partition, and a broker refuses what is on the
//     way for its sequence, if it knows the sequence (waits.known);
//   - records are handed to kgo while no answer of a broker is passed on to it, and no
//     further than the first that it does not take: so it has all of them when it fails one,
//     or was given none behind it. That needs a partition that kgo knows.
func (c *franzClient) sendAll(all []*inFlight) {
	w := all[0].waits
	leader, epoch := c.leaderOf(w.topic, w.partition)
	over, inOrder := c.brokers.overQuota(leader), leader >= 0 && w.known()
	run := &orderedRun{}
	context := w.context()
	records := make([]*franzRecord, 0, len(all))
	for _, f := range all {
		switch {
		case over:
			c.reporter.report(f, report{local: quotaExceeded()})
			continue
		case f.follows && !inOrder:
			c.reporter.report(f, report{local: heldBack()})
			continue
		}
		r := newFranzRecord(context, &f.record)
		r.flight, r.leader, r.epoch, r.run = f, leader, epoch, run
		records = append(records, r)
	}
	if len(records) == 0 {
		return
	}
	gate := c.gateTo(leader)
	for _, r := range records {
		r.gate = gate
	}
	gate.enter(records...)
}

// orderedRun is what records that were handed over together share. Once it is broken, the
// rest is not given to kgo.
type orderedRun struct{ broken atomic.Bool }

// hand gives records to kgo.
func (c *franzClient) hand(records []*franzRecord) {
	var back []*franzRecord
	c.brokers.handing.RLock()
	for _, r := range records {
		if r.run != nil && r.run.broken.Load() {
			back = append(back, r)
			continue
		}
		c.cl.TryProduce(r, &r.record, c.ended)
		if r.run != nil && !r.taken.Load() {
			r.run.broken.Store(true)
		}
	}
	c.brokers.handing.RUnlock()
	for _, r := range back {
		c.reporter.report(r.flight, report{local: heldBack()})
		r.gate.leave()
	}
}

func (c *franzClient) gateTo(broker int32) *gate {
	if g, ok := c.gates.Load(broker); ok {
		return g.(*gate)
	}
	g, _ := c.gates.LoadOrStore(broker, newGate(c.hand))
	return g.(*gate)
}

func (c *franzClient) leaderOf(topic string, partition int32) (leader, epoch int32) {
	return franzLeader(c.cl, topic, partition)
}

// ended is called by kgo, for one record after the other: it must not block.
func (c *franzClient) ended(record *kgo.Record, err error) {
	r, ok := record.Context.(*franzRecord)
	if !ok {
		return // it is always one
	}
	if err != nil && r.run != nil {
		r.run.broken.Store(true)
	}
	c.reporter.report(r.flight, c.outcome(r, err))
	r.gate.leave()
	if code, known := kafka.ErrorCode(err); known && fatalCodes[code] {
		c.reporter.fail("kafka does not accept the producer's id or sequence",
			fmt.Errorf("%s, led by broker %d: %w", kafka.Partition{Topic: record.Topic, Number: record.Partition}, r.leader, err))
	}
}

func (c *franzClient) outcome(r *franzRecord, err error) report {
	return franzOutcome(c.cl, r, err, func() bool {
		return r.onlyTry(c.leaderOf, c.brokers) && (r.flight.waits.known() || r.flight.waits.wasAlone(r.flight))
	})
}

// abandon relies on the context of the partition's records: kgo ends them when none is
// in flight without an answer.
func (c *franzClient) abandon(*waits) bool { return true }

func (c *franzClient) close() {
	c.stop()
	c.cl.Close()
	c.starting.Wait()
}

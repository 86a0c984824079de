package publish

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

const (
	endTxnKey   = int16(kmsg.EndTxn)
	metadataKey = int16(kmsg.Metadata)
)

var (
	errNewEpoch   = errors.New("the client began anew under another producer epoch: what it had acknowledged is aborted")
	errNotEnded   = errors.New("the client did not ask Kafka to commit")
	errNoTxnEpoch = errors.New("kafka gives the transactional producer no id")
)

// franzTx writes transactions through franz-go. A refused record leaves the rest of the
// transaction as it is, to be committed. kgo recovers by itself from much that must not
// pass unnoticed here, so that these rules are kept around it:
//
//   - the producer's id and epoch are the same at the commit as at the beginning: where kgo
//     takes a new epoch within a transaction, Kafka has aborted what was acknowledged, and
//     kgo would commit the rest and report success;
//   - a commit of acknowledged records counts only if Kafka answered one: kgo reports
//     success for a transaction in which it believes that nothing was written;
//   - after an error of a commit nothing is done with the client. That kgo then ends the
//     transaction without an error proves nothing;
//   - a commit that was sent twice must not reach the next transaction. Before
//     transaction.version 2 nothing tells them apart, so the client is not used again.
type franzTx struct {
	cl      *kgo.Client
	brokers *txBrokers
	topics  func() []string               // all that events may go to
	known   map[string]bool               // topics that kgo has loaded
	acked   map[kafka.Partition]time.Time // of kgo's promises alone
	acks    atomic.Int64                  // in the transaction
	id      producerEpoch                 // of the transaction
	spent   bool                          // no other transaction may begin
	markers markerPauses
	// refreshes are those of metadata when the transaction began.
	refreshes int64
	running   context.Context // ended by close
	stop      context.CancelFunc
	flushed   chan struct{} // closed when the last flush is over
	flushes   sync.WaitGroup
}

type producerEpoch struct {
	id    int64
	epoch int16
}

// txBrokers is what kgo's hooks tell, also about commits.
type txBrokers struct {
	*franzBrokers
	refreshes atomic.Int64 // answers with metadata
	ends      atomic.Int64 // EndTxn requests that were written, whole or in part
	answers   atomic.Int64 // to them
}

// OnBrokerRead implements kgo.HookBrokerRead.
func (b *txBrokers) OnBrokerRead(broker kgo.BrokerMetadata, key int16, n int, wait, took time.Duration, err error) {
	b.franzBrokers.OnBrokerRead(broker, key, n, wait, took, err)
	switch {
	case key == metadataKey:
		b.refreshes.Add(1)
	case key == endTxnKey && err == nil:
		b.answers.Add(1)
	}
}

// OnBrokerWrite implements kgo.HookBrokerWrite. Requests are counted here because
// OnBrokerRead is not called for one that waits behind another when a connection breaks.
func (b *txBrokers) OnBrokerWrite(broker kgo.BrokerMetadata, key int16, n int, wait, took time.Duration, err error) {
	b.franzBrokers.OnBrokerWrite(broker, key, n, wait, took, err)
	if key == endTxnKey {
		b.ends.Add(1)
	}
}

func newFranzTx(connection []kgo.Opt, cfg Config, id string, topics func() []string, largest func(topic string) int32, onError func(error), logger kgo.Logger) (*franzTx, error) {
	c := &franzTx{
		brokers: &txBrokers{franzBrokers: newFranzBrokers(cfg.DeliveryTimeout, onError)},
		topics:  topics, known: map[string]bool{}, acked: map[kafka.Partition]time.Time{},
	}
	opts := append(franzOptions(connection, cfg.DeliveryTimeout, largest, c.brokers, logger),
		kgo.RecordPartitioner(placed{c.leaderOf}),
		kgo.TransactionalID(id),
		kgo.TransactionTimeout(cfg.TransactionTimeout),
		kgo.ManualFlushing(), // a group goes as one request to each broker
		kgo.ProducerLinger(0),
	)
	var err error
	if c.cl, err = kgo.NewClient(opts...); err != nil {
		return nil, fmt.Errorf("create kafka producer: %w", err)
	}
	c.running, c.stop = context.WithCancel(context.Background())
	c.flushed = make(chan struct{})
	close(c.flushed)
	return c, nil
}

func (c *franzTx) initialise(ctx context.Context) error {
	id, err := c.producerEpoch(ctx)
	if err == nil && id.id < 0 {
		err = errNoTxnEpoch
	}
	if err != nil {
		return fmt.Errorf("initialise transactions: %w", err)
	}
	return nil
}

// producerEpoch asks Kafka only if kgo has none, or means to begin anew.
func (c *franzTx) producerEpoch(ctx context.Context) (producerEpoch, error) {
	id, epoch, err := c.cl.ProducerID(ctx)
	return producerEpoch{id, epoch}, err
}

func (c *franzTx) leaderOf(topic string, partition int32) (leader, epoch int32) {
	return franzLeader(c.cl, topic, partition)
}

func (c *franzTx) prepare(e *entry) {
	r := newFranzRecord(context.Background(), &e.record)
	r.entry = e
	e.prepared = r
}

func (c *franzTx) begin(ctx context.Context, entries []*entry) (err error) {
	// First, because BeginTransaction would ask without a deadline.
	if c.id, err = c.producerEpoch(ctx); err != nil {
		return err
	}
	if err := c.cl.BeginTransaction(); err != nil {
		return err
	}
	if err := c.learn(ctx, entries); err != nil {
		return err
	}
	c.acks.Store(0)
	c.refreshes = c.brokers.refreshes.Load()
	return nil
}

// learn waits until kgo knows the topics of entries. Only then is a record's leader known
// when it is handed over, without which no refusal is certain; and only then do all go in
// one request. All topics are asked for when one is missing: at the beginning, as a rule.
func (c *franzTx) learn(ctx context.Context, entries []*entry) error {
	missing := map[string]bool{}
	for _, e := range entries {
		if name := e.record.Topic; !c.known[name] {
			missing[name] = true
		}
	}
	if len(missing) == 0 {
		return nil
	}
	for _, name := range c.topics() {
		missing[name] = missing[name] || !c.known[name]
	}
	learned := make(chan *franzProbe, len(missing))
	for name := range missing {
		p := &franzProbe{Context: c.running, topic: name}
		c.cl.TryProduce(p, &kgo.Record{Topic: name, Partition: math.MaxInt32}, func(*kgo.Record, error) { learned <- p })
	}
	for range missing {
		select {
		case p := <-learned:
			c.known[p.topic] = p.loaded
		case <-ctx.Done():
			return fmt.Errorf("load topics: %w", ctx.Err())
		}
	}
	return nil
}

func (c *franzTx) send(e *entry) (taken bool, refused *event.Error) {
	r, _ := e.prepared.(*franzRecord)
	r.leader, r.epoch = c.leaderOf(e.record.Topic, e.record.Partition)
	if c.brokers.overQuota(r.leader) {
		return false, quotaExceeded()
	}
	c.cl.TryProduce(r, &r.record, c.ended)
	return true, nil
}

// ended is called by kgo, for one record after the other: it must not block.
func (c *franzTx) ended(record *kgo.Record, err error) {
	r, ok := record.Context.(*franzRecord)
	if !ok {
		return // it is always one
	}
	at := r.entry.partition()
	outcome := franzOutcome(c.cl, r, err, func() bool {
		last, known := c.acked[at]
		// If nothing was ever acknowledged, kgo sends one batch at a time.
		return r.onlyTry(c.leaderOf, c.brokers.franzBrokers) && (!known || time.Since(last) < sequenceKept || r.entry.group.alone(r.entry))
	})
	if err == nil {
		c.acked[at] = time.Now()
		c.acks.Add(1)
	}
	r.entry.group.report(r.entry, outcome)
}

func (c *franzTx) flush() {
	flushed := make(chan struct{})
	c.flushed = flushed
	c.flushes.Go(func() {
		defer close(flushed)
		_ = c.cl.Flush(c.running) // the records' reports tell
	})
}

func (c *franzTx) commit(ctx context.Context) error {
	// The last report comes a moment sooner. What is handed over during a flush is sent
	// at once, each record alone; and kgo may still be adding partitions to the transaction.
	select {
	case <-c.flushed:
	case <-ctx.Done():
		return ctx.Err()
	}
	id, err := c.producerEpoch(ctx)
	switch {
	case err != nil:
		return err
	case id != c.id:
		return errNewEpoch
	}
	c.markers.appended(c.brokers.refreshes.Load() > c.refreshes)
	ends, answers := c.brokers.ends.Load(), c.brokers.answers.Load()
	began := time.Now()
	if err := c.cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return err
	}
	ends, answers = c.brokers.ends.Load()-ends, c.brokers.answers.Load()-answers
	switch {
	case answers > 0:
		c.markers.committed(time.Since(began))
	case c.acks.Load() > 0:
		return errNotEnded
	}
	if ends > answers {
		next, err := c.producerEpoch(ctx)
		c.spent = err != nil || next == id
	}
	return nil
}

// pause is adapted to how long the brokers take to write the markers of a commit, which
// they do after its answer: what is sent sooner is refused, and kgo asks for metadata
// before it sends it again, for which it may wait 100 ms.
func (c *franzTx) pause() time.Duration { return c.markers.pause }

func (c *franzTx) reusable() bool { return !c.spent }

func (c *franzTx) failed() <-chan struct{} { return nil }

func (c *franzTx) queued() int { return int(c.cl.BufferedProduceRecords()) }

func (c *franzTx) close() {
	c.stop()
	c.cl.Close()
	c.flushes.Wait()
}

var _ interface {
	kgo.HookBrokerConnect
	kgo.HookBrokerDisconnect
	kgo.HookBrokerRead
	kgo.HookBrokerWrite
	kgo.HookBrokerThrottle
} = (*txBrokers)(nil)

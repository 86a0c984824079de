package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

const (
	// produceVersion is the newest Produce request that is sent: the last one that names
	// topics. With ids, a topic that was created anew would be refused for good.
	produceVersion = 12
	// produceTimeout is how long a leader may wait for its followers before it says so.
	// A second later the broker counts as silent, and the request is sent again.
	produceTimeout = 1500 * time.Millisecond
	// franzRecords bounds the records that a client holds; memory is the limit.
	franzRecords = 1 << 22
)

// franzClient writes through franz-go. Its construction keeps these rules, each of
// which is a test (client_franz_test.go, test/torture):
//
//   - after OUT_OF_ORDER_SEQUENCE_NUMBER and its kin it stops: kgo's default is to send
//     again, which writes a second time what a broker had appended before its restart;
//   - a pause before a record is sent again is longer than surelyFirstTry;
//   - only the gateway's clock ends a record: records have no deadline of their own;
//   - what the kernel has not sent when the client is closed is thrown away.
type franzClient struct {
	cl       *kgo.Client
	reporter reporter
	throttle *throttle
	gates    sync.Map // *gate by broker
	stop     context.CancelFunc
	starting sync.WaitGroup
}

// newFranzClient returns a client that connects in the background. largest is the
// largest batch of a topic, in bytes.
func newFranzClient(cfg Config, largest func(topic string) int32, to reporter, onError func(error), logger kgo.Logger) (*franzClient, error) {
	opts, _, err := cfg.connection().FranzOptions()
	if err != nil {
		return nil, err
	}
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Produce), produceVersion)
	c := &franzClient{reporter: to, throttle: newThrottle(onError)}
	opts = append(opts,
		kgo.RecordPartitioner(placed{c}),
		kgo.StopProducerOnDataLossDetected(),
		kgo.AlwaysRetryEOF(),
		kgo.MaxVersions(versions),
		kgo.ProducerBatchMaxBytesFn(largest),
		kgo.MaxBufferedRecords(franzRecords),
		kgo.ProduceRequestTimeout(min(produceTimeout, max(100*time.Millisecond, cfg.DeliveryTimeout/5))),
		kgo.RetryBackoffFn(retryPause),
		kgo.DisableClientMetrics(),
		kgo.WithHooks(c.throttle),
		kgo.WithLogger(logger),
	)
	if c.cl, err = kgo.NewClient(opts...); err != nil {
		return nil, fmt.Errorf("create kafka producer: %w", err)
	}
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.Background())
	c.starting.Go(func() { c.initialise(ctx) })
	return c, nil
}

// retryPause is the pause before a broker is asked again. It does not jitter: it must
// not be shorter than surelyFirstTry.
func retryPause(tries int) time.Duration {
	return min(time.Second, retryBackoff<<min(tries-1, 5))
}

// initialise gets the producer's id before the first record needs it.
func (c *franzClient) initialise(ctx context.Context) {
	_, _, err := c.cl.ProducerID(ctx)
	var refused *kerr.Error
	if errors.As(err, &refused) && !refused.Retriable {
		c.reporter.fail("kafka gives the producer no id", err)
	}
}

// franzRecord is a record in franz-go. As the record's context it leads back from the
// acknowledgement, and tells kgo when the partition is given up.
type franzRecord struct {
	context.Context // of the partition
	flight          *inFlight
	gate            *gate
	record          kgo.Record
	leader, epoch   int32     // of the partition, when the record was handed over
	placed          time.Time // it was not sent before
	unloaded        bool      // kgo does not know the partition, and sends nothing
	headers         [12]kgo.RecordHeader
}

// newFranzRecord copies the record: kgo does not, and callers use their memory again.
func newFranzRecord(f *inFlight) *franzRecord {
	r := &franzRecord{Context: f.waits.context(), flight: f}
	from := &f.record
	size := len(from.Key) + len(from.Value)
	for _, h := range from.Headers {
		size += len(h.Value)
	}
	buf := make([]byte, 0, size)
	keep := func(b []byte) []byte {
		if b == nil {
			return nil // not the same as an empty one
		}
		at := len(buf)
		buf = append(buf, b...)
		return buf[at:len(buf):len(buf)]
	}
	r.record = kgo.Record{
		Topic: from.Topic, Partition: from.Partition, Timestamp: from.Timestamp,
		Key: keep(from.Key), Value: keep(from.Value), Headers: r.headers[:0],
	}
	for _, h := range from.Headers {
		at := len(buf)
		buf = append(buf, h.Value...)
		r.record.Headers = append(r.record.Headers, kgo.RecordHeader{Key: h.Name, Value: buf[at:len(buf):len(buf)]})
	}
	return r
}

func (c *franzClient) send(f *inFlight) *event.Error {
	r := newFranzRecord(f)
	r.leader, r.epoch = c.leaderOf(f)
	if c.throttle.over(r.leader) {
		return quotaExceeded()
	}
	r.gate = c.gateTo(r.leader)
	r.gate.enter(r)
	return nil
}

// hand gives a record to kgo.
func (c *franzClient) hand(r *franzRecord) { c.cl.TryProduce(r, &r.record, c.ended) }

func (c *franzClient) gateTo(broker int32) *gate {
	if g, ok := c.gates.Load(broker); ok {
		return g.(*gate)
	}
	g, _ := c.gates.LoadOrStore(broker, newGate(c.hand))
	return g.(*gate)
}

// leaderOf is the leader of a record's partition and its epoch; -1, -1: not known yet.
func (c *franzClient) leaderOf(f *inFlight) (leader, epoch int32) {
	leader, epoch, _ = c.cl.PartitionLeader(f.record.Topic, f.record.Partition)
	return leader, epoch
}

// ended is called by kgo, for one record after the other: it must not block.
func (c *franzClient) ended(record *kgo.Record, err error) {
	r, ok := record.Context.(*franzRecord)
	if !ok {
		return // it is always one
	}
	c.reporter.report(r.flight, c.outcome(r, err))
	r.gate.leave()
	if code, known := kafka.ErrorCode(err); known && fatalCodes[code] {
		c.reporter.fail("kafka does not accept the producer's id or sequence", err)
	}
}

func (c *franzClient) outcome(r *franzRecord, err error) report {
	switch {
	case err == nil:
		return report{at: event.Position{Partition: r.record.Partition, Offset: r.record.Offset}}
	case errors.Is(err, kgo.ErrMaxBuffered):
		return report{local: overloaded()}
	case r.unloaded:
		c.cl.ForceMetadataRefresh()
		return report{local: event.RefuseCause(event.LogUnavailable, err, "The Kafka producer does not know the topic's partition yet. Nothing was written; send it again.")}
	}
	// kgo sends a record again at once when its partition has moved.
	leader, epoch := c.leaderOf(r.flight)
	stayed := leader == r.leader && epoch == r.epoch && leader >= 0
	return report{err: err, firstTry: stayed && surelyFirst(time.Since(r.placed))}
}

// abandon relies on the context of the partition's records: kgo ends them when none is
// in flight without an answer.
func (c *franzClient) abandon(*waits) bool { return true }

func (c *franzClient) close() {
	c.stop()
	c.cl.Close()
	c.starting.Wait()
}

// placed is kgo's partitioner: the placement has decided.
type placed struct{ c *franzClient }

// ForTopic implements kgo.Partitioner.
func (p placed) ForTopic(string) kgo.TopicPartitioner { return p }

// RequiresConsistency implements kgo.TopicPartitioner.
func (placed) RequiresConsistency(*kgo.Record) bool { return true }

// Partition implements kgo.TopicPartitioner. It is called before the record can be
// sent; a partition beyond n makes kgo refuse it.
func (p placed) Partition(record *kgo.Record, n int) int {
	if r, ok := record.Context.(*franzRecord); ok {
		r.unloaded, r.placed = int(record.Partition) >= n, time.Now()
		if r.leader < 0 {
			r.leader, r.epoch = p.c.leaderOf(r.flight)
		}
	}
	return int(record.Partition)
}

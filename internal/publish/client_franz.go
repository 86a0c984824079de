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
	// kgo learns ids of topics from metadata of version 10 on, and writes to a topic that
	// was created anew, under another id, never again. Up to these versions topics have
	// names only.
	produceVersion, metadataVersion = 12, 9
	produceKey                      = int16(kmsg.Produce)
	// produceTimeout is how long a leader may wait for its followers before it says so.
	// A second later the broker counts as silent, and the request is sent again.
	produceTimeout = 1500 * time.Millisecond
	// franzRecords bounds the records that a client holds; memory is the limit.
	franzRecords = 1 << 22
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
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(produceKey, produceVersion)
	versions.SetMaxKeyVersion(int16(kmsg.Metadata), metadataVersion)
	c := &franzClient{reporter: to, brokers: newFranzBrokers(deliveryTimeout, onError)}
	opts := append(connection[:len(connection):len(connection)],
		kgo.RecordPartitioner(placed{c}),
		kgo.StopProducerOnDataLossDetected(),
		kgo.AlwaysRetryEOF(),
		kgo.MaxVersions(versions),
		kgo.ProducerBatchMaxBytesFn(largest),
		kgo.MaxBufferedRecords(franzRecords),
		kgo.ProduceRequestTimeout(min(produceTimeout, max(100*time.Millisecond, deliveryTimeout/5))),
		kgo.RetryBackoffFn(retryPause),
		kgo.WithHooks(c.brokers),
		kgo.WithLogger(logger),
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

// retryPause is the pause before a broker is asked again. It does not jitter, so that it
// is longer than surelyFirstTry.
func retryPause(tries int) time.Duration {
	return min(time.Second, retryBackoff<<min(tries-1, 5))
}

// initialise gets the producer's id before the first record needs it.
func (c *franzClient) initialise(ctx context.Context) {
	id, _, err := c.cl.ProducerID(ctx)
	var refused *kerr.Error
	if errors.As(err, &refused) && !refused.Retriable || err == nil && id < 0 {
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
	if c.brokers.overQuota(r.leader) {
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
		c.reporter.fail("kafka does not accept the producer's id or sequence",
			fmt.Errorf("%s, led by broker %d: %w", kafka.Partition{Topic: record.Topic, Number: record.Partition}, r.leader, err))
	}
}

func (c *franzClient) outcome(r *franzRecord, err error) report {
	switch {
	case err == nil:
		return report{at: event.Position{Partition: r.record.Partition, Offset: r.record.Offset}}
	case errors.Is(err, kgo.ErrMaxBuffered):
		return report{local: overloaded()}
	case r.unloaded, r.placed.IsZero(): // it never came as far as a batch
		c.cl.ForceMetadataRefresh()
		return report{local: event.RefuseCause(event.LogUnavailable, err, "The Kafka producer does not know the topic's partition yet. Nothing was written; send it again.")}
	}
	return report{err: err, firstTry: c.firstTry(r)}
}

// firstTry reports whether what Kafka said of r was surely about its only try. kgo sends
// again without a pause when the partition has moved, and sometimes when a connection
// broke. A record behind one that was refused was refused for its sequence, if the
// broker still knew the producer's.
func (c *franzClient) firstTry(r *franzRecord) bool {
	leader, epoch := c.leaderOf(r.flight)
	return leader >= 0 && leader == r.leader && epoch == r.epoch && surelyFirst(time.Since(r.placed)) &&
		c.brokers.answeredSince(leader, r.placed) && (r.flight.waits.known() || r.flight.waits.wasAlone(r.flight))
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

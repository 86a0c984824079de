package publish

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"eventgateway/internal/event"
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

// franzOptions are those of every producer. connection are the translated properties;
// largest is the largest batch of a topic, in bytes.
func franzOptions(connection []kgo.Opt, deliveryTimeout time.Duration, largest func(topic string) int32, hooks kgo.Hook, logger kgo.Logger) []kgo.Opt {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(produceKey, produceVersion)
	versions.SetMaxKeyVersion(int16(kmsg.Metadata), metadataVersion)
	return append(connection[:len(connection):len(connection)],
		kgo.AlwaysRetryEOF(),
		kgo.MaxVersions(versions),
		kgo.ProducerBatchMaxBytesFn(largest),
		kgo.MaxBufferedRecords(franzRecords),
		kgo.ProduceRequestTimeout(min(produceTimeout, max(100*time.Millisecond, deliveryTimeout/5))),
		kgo.RetryBackoffFn(retryPause),
		kgo.WithHooks(hooks),
		kgo.WithLogger(logger),
	)
}

// retryPause is the pause before a broker is asked again. It does not jitter, so that it
// is longer than surelyFirstTry.
func retryPause(tries int) time.Duration {
	return min(time.Second, retryBackoff<<min(tries-1, 5))
}

// franzLeader is the leader of a partition and its epoch; -1, -1: not known yet.
func franzLeader(cl *kgo.Client, topic string, partition int32) (leader, epoch int32) {
	leader, epoch, _ = cl.PartitionLeader(topic, partition)
	return leader, epoch
}

// franzRecord is a record in franz-go. As the record's context it leads back from the
// acknowledgement, and tells kgo when the record is given up.
type franzRecord struct {
	context.Context           // of the partition, or of nothing in a transaction
	flight          *inFlight // or entry
	entry           *entry
	gate            *gate
	run             *orderedRun // nil: it was handed over alone
	taken           atomic.Bool // kgo has put it into a batch
	record          kgo.Record
	leader, epoch   int32     // of the partition, when the record was handed over
	placed          time.Time // it was not sent before
	unloaded        bool      // kgo does not know the partition, and sends nothing
	headers         [12]kgo.RecordHeader
}

// newFranzRecord copies the record: kgo does not, and callers use their memory again.
func newFranzRecord(ctx context.Context, from *event.Record) *franzRecord {
	r := &franzRecord{Context: ctx}
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

// franzProbe is the context of a record that is never sent: it makes kgo load a topic.
type franzProbe struct {
	context.Context
	topic  string
	loaded bool
}

// franzOutcome is what err, which kgo says of r in the end, means. firstTry is asked only
// of an error that may have come from a broker.
func franzOutcome(cl *kgo.Client, r *franzRecord, err error, firstTry func() bool) report {
	switch {
	case err == nil:
		return report{at: event.Position{Partition: r.record.Partition, Offset: r.record.Offset}}
	case errors.Is(err, kgo.ErrMaxBuffered):
		return report{local: overloaded()}
	case r.unloaded, r.placed.IsZero(): // it never came as far as a batch
		cl.ForceMetadataRefresh()
		return report{local: event.RefuseCause(event.LogUnavailable, err, "The Kafka producer does not know the topic's partition yet. Nothing was written; send it again.")}
	}
	return report{err: err, firstTry: firstTry()}
}

// onlyTry reports whether what Kafka said of r was surely about its only try, if no other
// record of its partition was in flight. kgo sends again without a pause when the
// partition has moved, and sometimes when a connection broke. A record behind one that was
// refused was refused for its sequence, if the broker still knew the producer's.
func (r *franzRecord) onlyTry(leaderOf func(topic string, partition int32) (leader, epoch int32), brokers *franzBrokers) bool {
	leader, epoch := leaderOf(r.record.Topic, r.record.Partition)
	return leader >= 0 && leader == r.leader && epoch == r.epoch && surelyFirst(time.Since(r.placed)) && brokers.answeredSince(leader, r.placed)
}

// placed is kgo's partitioner: the placement has decided.
type placed struct {
	leader func(topic string, partition int32) (leader, epoch int32)
}

// ForTopic implements kgo.Partitioner.
func (p placed) ForTopic(string) kgo.TopicPartitioner { return p }

// RequiresConsistency implements kgo.TopicPartitioner.
func (placed) RequiresConsistency(*kgo.Record) bool { return true }

// Partition implements kgo.TopicPartitioner. It is called before the record can be
// sent; a partition beyond n makes kgo refuse it.
func (p placed) Partition(record *kgo.Record, n int) int {
	switch r := record.Context.(type) {
	case *franzProbe:
		r.loaded = true
	case *franzRecord:
		r.unloaded, r.placed = int(record.Partition) >= n, time.Now()
		if r.leader < 0 {
			r.leader, r.epoch = p.leader(record.Topic, record.Partition)
		}
	}
	return int(record.Partition)
}

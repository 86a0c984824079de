package publish

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
)

// backend is a way to get records acknowledged, from its start to its end: hence more
// methods than most interfaces have. The two are *idempotent with one librdkafka
// producer at a time, *txPool with several transactional ones. Errors are
// *event.Error; what send and await return is counted.
type backend interface {
	// owner is the id of the producer that is to write to a partition. Claims name
	// it.
	owner(topic string, partition int32) (id string, refused *event.Error)
	// send gives r to the producer that r.Owner names. await is called once with
	// the result, unless it is refused.
	send(r event.Record) pending
	// await waits for the acknowledgement. If ctx ends first, the outcome is unknown.
	await(ctx context.Context, h pending) (event.Position, error)
	// ready returns an error that says why no producer accepts records, or nil.
	ready() error
	// queued is the number of records that wait for an acknowledgement.
	queued() int
	// shrink limits batches to a number of bytes from now on. It returns when no
	// record can be placed in a larger one.
	shrink(batchBytes int)
	// run replaces producers that failed until ctx ends.
	run(ctx context.Context)
	// close takes no more records and waits for those in flight for at most limit.
	close(limit time.Duration)
}

// pending is a record that was sent, or refused. It is passed by value, so that a
// record costs no allocation, and therefore has the fields of both backends.
type pending struct {
	refused *event.Error // it was not sent, and nothing else is set

	// of idempotent
	place   event.Placement
	sent    time.Time
	inc     *incarnation
	waiting *atomic.Int64 // counts it until its end
	report  chan librdkafka.Event

	// of txPool
	ack chan ack
}

// ack is how a record's transaction ended for it.
type ack struct {
	at  event.Position
	err error
}

// reportChannels and ackChannels are used again. They are buffered: neither
// librdkafka's poller nor a transaction waits for a caller.
var (
	reportChannels = sync.Pool{New: func() any { return make(chan librdkafka.Event, 1) }}
	ackChannels    = sync.Pool{New: func() any { return make(chan ack, 1) }}
)

func ownerGone() *event.Error {
	return event.Refuse(event.LogUnavailable, "The Kafka producer was just replaced. Nothing was written; send it again.")
}

func stoppedWaiting(ctx context.Context) *event.Error {
	return event.MaybeWritten(event.OutcomeUnknown, ctx.Err(),
		"The gateway stopped before Kafka acknowledged the event. Retry with the same Idempotency-Key to find out whether it was written.")
}

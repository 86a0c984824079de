package publish

import (
	"context"
	"sync"
	"time"

	"eventgateway/internal/event"
)

// backend is a way to get records acknowledged, from its start to its end: hence more
// methods than most interfaces have. The two are *idempotent and *txPool, whose
// producers are transactional. Errors are *event.Error; those of send are counted.
type backend interface {
	// owner is the id of the producer that is to write to a partition. Claims name
	// it.
	owner(topic string, partition int32, by writer) (id string, refused *event.Error)
	// send gives r to the producer that r.Owner names. How it ended comes from the
	// channel, once. A nil error means that it was sent.
	send(r event.Record) (done chan ack, refused *event.Error)
	// sendAll is send for records of one placement. Those that follow others are taken only
	// if keepsOrder says so.
	sendAll(group []*sending)
	keepsOrder() bool
	// ready returns an error that says why no producer accepts records, or nil.
	ready() error
	// queued is the number of records that wait for an acknowledgement.
	queued() int
	// learn tells the topics that are about to be known. When it returns, no record
	// can be placed in a batch that is too large for its topic.
	learn(known map[string]topic)
	// renew replaces all producers: Kafka has not answered them for long.
	renew(reason string)
	// run replaces producers that failed until ctx ends.
	run(ctx context.Context)
	// close takes no more records and waits for those in flight for at most limit.
	close(limit time.Duration)
}

// writer says by which kind of producer a record is written. What a record does to its
// producer, by being refused or never acknowledged, concerns those of the same kind only.
type writer uint8

const (
	shared  writer = iota // by the producer of its partition
	apart                 // by that for topics of which a record was refused lately
	probing               // by that for partitions that do not acknowledge
)

// ack is how a record ended.
type ack struct {
	at  event.Position
	err *event.Error
}

// ackChannels are used again. They are buffered: no client waits for a caller.
var ackChannels = sync.Pool{New: func() any { return make(chan ack, 1) }}

func newAck() chan ack {
	done, _ := ackChannels.Get().(chan ack)
	return done
}

func ownerGone() *event.Error {
	return event.Refuse(event.LogUnavailable, "The Kafka producer was just replaced. Nothing was written; send it again.")
}

func stoppedWaiting(ctx context.Context) *event.Error {
	return event.MaybeWritten(event.OutcomeUnknown, ctx.Err(),
		"The gateway stopped before Kafka acknowledged the event. Retry with the same Idempotency-Key to find out whether it was written.")
}

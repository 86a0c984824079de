package publish

import (
	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
)

// client is a Kafka producer without transactions, as an incarnation uses one. The two
// are *franzClient and *librdkafkaClient.
type client interface {
	// send hands f over. Unless it is refused, report is called with f once, from
	// any goroutine; after close perhaps never.
	send(f *inFlight) (refused *event.Error)
	// sendAll hands records of one partition over, as send does, and reports those that it
	// refuses. Records that follow others are given only to a client that keeps the order
	// of a partition behind a refusal.
	sendAll(all []*inFlight)
	// abandon ends what the client has of the partition, whose waits are given up,
	// as far as that is possible without harm to others: it may take abandonGrace, and
	// report tells. It returns false if the client never can.
	abandon(w *waits) bool
	// close ends the client. From its return on, nothing is sent.
	close()
}

// report is what a client says of a record in the end.
type report struct {
	at  event.Position // of a record that was appended; offset -1: the broker does not know it any more
	err error          // nil: appended
	// firstTry says that err came in answer to the only try. Only then does a
	// refusal mean that nothing was written.
	firstTry bool
	// local is the gateway's own refusal of a record that the client did not send.
	local *event.Error
}

// reporter receives what a client learns.
type reporter interface {
	// report ends f. It must not be called twice for the same.
	report(f *inFlight, r report)
	// fail says that the client cannot go on. What it has in flight becomes
	// unknown.
	fail(reason string, cause error)
}

// fatalCodes are those after which a producer must not write any more: the broker and
// it disagree on what was written, or the broker does not accept its id.
var fatalCodes = map[librdkafka.ErrorCode]bool{
	librdkafka.ErrOutOfOrderSequenceNumber:   true,
	librdkafka.ErrInvalidProducerEpoch:       true,
	librdkafka.ErrInvalidProducerIDMapping:   true,
	librdkafka.ErrUnknownProducerID:          true,
	librdkafka.ErrFenced:                     true,
	librdkafka.ErrProducerFenced:             true,
	librdkafka.ErrGaplessGuarantee:           true,
	librdkafka.ErrClusterAuthorizationFailed: true,
	librdkafka.ErrUnknownTopicID:             true, // the topic was created anew, which kgo never gets over
}

package publish

import (
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// retryBackoff is a client's pause before it sends a record again; librdkafka's jitters
// by a fifth either way. A record whose refusal comes sooner than
// surelyFirstTry was sent once at most, so the refusal is final. Later, an
// earlier try may have been appended and its answer lost. franz-go does not always
// pause: see franzClient.firstTry.
const (
	retryBackoff   = 100 * time.Millisecond
	surelyFirstTry = 80 * time.Millisecond
)

// surelyFirst reports whether a record that was handed over that long ago was sent once
// at most, if its partition has not moved: clients pause for longer before they send
// a record again.
func surelyFirst(age time.Duration) bool { return age >= 0 && age < surelyFirstTry }

// refusals are the codes by which a broker, or a client before it sends
// anything, says that it did not append the record. Every other error code
// leaves open what happened: timeouts, lost connections, purges, "not enough
// replicas after append", fencing, and codes that this table does not know.
var refusals = map[librdkafka.ErrorCode]refusal{
	// librdkafka, before sending
	librdkafka.ErrQueueFull:        {event.Overloaded, "The gateway's queue to Kafka is full. Nothing was written; send it again shortly."},
	librdkafka.ErrUnknownTopic:     {event.LogUnavailable, "The topic of this event type does not exist in Kafka. Nothing was written."},
	librdkafka.ErrUnknownPartition: {event.LogUnavailable, "The topic's partition does not exist. Nothing was written."},
	// a broker
	librdkafka.ErrMsgSizeTooLarge:             {event.EventTooLarge, "The record is larger than its Kafka topic accepts (max.message.bytes)."},
	librdkafka.ErrRecordListTooLarge:          {event.EventTooLarge, "The record is larger than the Kafka broker accepts."},
	librdkafka.ErrInvalidMsgSize:              {event.EventTooLarge, "The Kafka broker refused the record's size."},
	librdkafka.ErrUnknownTopicOrPart:          {event.LogUnavailable, "The topic of this event type does not exist in Kafka. Nothing was written."},
	librdkafka.ErrTopicAuthorizationFailed:    {event.LogUnavailable, "Kafka does not let the gateway write to the topic of this event type. Nothing was written; the operator must grant it."},
	librdkafka.ErrClusterAuthorizationFailed:  {event.LogUnavailable, "Kafka does not let the gateway write. Nothing was written; the operator must grant it."},
	librdkafka.ErrTopicException:              {event.LogUnavailable, "Kafka refuses the topic of this event type. Nothing was written."},
	librdkafka.ErrInvalidRecord:               {event.LogUnavailable, "Kafka refuses this record (a compacted topic needs a key). Nothing was written."},
	librdkafka.ErrInvalidTimestamp:            {event.LogUnavailable, "Kafka refuses the record's timestamp: the clocks of gateway and broker differ too much. Nothing was written."},
	librdkafka.ErrPolicyViolation:             {event.LogUnavailable, "A policy of the Kafka cluster refuses the record. Nothing was written."},
	librdkafka.ErrUnsupportedForMessageFormat: {event.LogUnavailable, "The topic's message format is too old for record headers. Nothing was written."},
	librdkafka.ErrUnsupportedCompressionType:  {event.LogUnavailable, "The topic does not take the configured compression. Nothing was written."},
	librdkafka.ErrSecurityDisabled:            {event.LogUnavailable, "Kafka's security is not configured for this connection. Nothing was written."},
}

type refusal struct {
	kind   event.Kind
	detail string
}

// because is the refusal as an error: nothing was written.
func (r refusal) because(cause error) *event.Error {
	return event.RefuseCause(r.kind, cause, "%s", r.detail)
}

// deliveryError is what the caller of a record is told of which a client reports an
// error. alone says that no other record of its partition was on the way with it.
func deliveryError(r report, alone bool) *event.Error {
	code, _ := kafka.ErrorCode(r.err)
	refusal, refused := refusals[code]
	switch {
	case !refused, !r.firstTry:
		return notAcknowledged(r.err)
	case refusal.kind == event.EventTooLarge && !alone:
		// Kafka refuses whole batches: a neighbour may have been the cause.
		return event.RefuseCause(event.LogUnavailable, r.err, "Kafka refused the batch that the event was in, for its size. Nothing was written; send it again.")
	}
	return refusal.because(r.err)
}

// errOverdue is the cause of an outcome that is unknown because the time was up.
var errOverdue = librdkafka.NewError(librdkafka.ErrMsgTimedOut, "not acknowledged in time", false)

// notAcknowledged is the error for a record that may or may not be written.
func notAcknowledged(cause error) *event.Error {
	return event.MaybeWritten(event.OutcomeUnknown, cause,
		"Kafka did not acknowledge the event in time. It may or may not have been written: retry with the same Idempotency-Key to find out.")
}

// produceError turns an error of librdkafka's produce call into what the caller is
// told: nothing was queued, so nothing was or will be written.
func produceError(err error) *event.Error {
	if code, ok := kafka.ErrorCode(err); ok {
		if r, refused := refusals[code]; refused {
			return r.because(err)
		}
	}
	return event.RefuseCause(event.LogUnavailable, err, "The Kafka producer did not take the event. Nothing was written; send it again shortly.")
}

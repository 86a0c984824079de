package publish

import (
	"errors"
	"testing"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// surelyNotAppended is every code by which a record was surely not appended, if
// it was sent once. Adding one is a promise about brokers and librdkafka.
var surelyNotAppended = map[librdkafka.ErrorCode]event.Kind{
	librdkafka.ErrQueueFull:                   event.Overloaded,
	librdkafka.ErrUnknownTopic:                event.LogUnavailable,
	librdkafka.ErrUnknownPartition:            event.LogUnavailable,
	librdkafka.ErrMsgSizeTooLarge:             event.EventTooLarge,
	librdkafka.ErrRecordListTooLarge:          event.EventTooLarge,
	librdkafka.ErrInvalidMsgSize:              event.EventTooLarge,
	librdkafka.ErrUnknownTopicOrPart:          event.LogUnavailable,
	librdkafka.ErrTopicAuthorizationFailed:    event.LogUnavailable,
	librdkafka.ErrClusterAuthorizationFailed:  event.LogUnavailable,
	librdkafka.ErrTopicException:              event.LogUnavailable,
	librdkafka.ErrInvalidRecord:               event.LogUnavailable,
	librdkafka.ErrInvalidTimestamp:            event.LogUnavailable,
	librdkafka.ErrPolicyViolation:             event.LogUnavailable,
	librdkafka.ErrUnsupportedForMessageFormat: event.LogUnavailable,
	librdkafka.ErrUnsupportedCompressionType:  event.LogUnavailable,
	librdkafka.ErrSecurityDisabled:            event.LogUnavailable,
}

// Kafka's codes are -200 to 132 at present; what librdkafka does not know yet
// has to be classified too.
const firstCode, lastCode = librdkafka.ErrorCode(-1000), librdkafka.ErrorCode(1000)

func TestEveryErrorCodeHasAnOutcome(t *testing.T) {
	t.Parallel()
	for code := firstCode; code <= lastCode; code++ {
		err := librdkafka.NewError(code, "secret", false)
		at := deliveryError(report{err: err, firstTry: true}, true)
		if kind, ok := surelyNotAppended[code]; ok {
			require.Equal(t, event.NotWritten, at.Outcome, code)
			require.Equal(t, kind, at.Kind, code)
		} else {
			require.Equal(t, event.Unknown, at.Outcome, code)
			require.Equal(t, event.OutcomeUnknown, at.Kind, code)
		}
		require.NotContains(t, at.Detail, "secret")
		require.ErrorIs(t, at, err, "the log needs the cause")

		// What comes later may be the answer to a second try.
		late := deliveryError(report{err: err}, true)
		require.Equal(t, event.Unknown, late.Outcome, code)
		require.Equal(t, event.OutcomeUnknown, late.Kind, code)

		// A batch is refused because of one of its records.
		among := deliveryError(report{err: err, firstTry: true}, false)
		require.Equal(t, at.Outcome, among.Outcome, code)
		require.NotEqual(t, event.EventTooLarge, among.Kind, code)
	}
	require.Len(t, refusals, len(surelyNotAppended))
}

func TestFirstTryEndsBeforeASecondCanBegin(t *testing.T) {
	t.Parallel()
	require.True(t, surelyFirst(surelyFirstTry-1))
	for _, age := range []time.Duration{-1, surelyFirstTry, time.Second, time.Hour} {
		require.False(t, surelyFirst(age))
	}
	// librdkafka's retry.backoff.ms jitters by a fifth either way.
	require.LessOrEqual(t, surelyFirstTry, retryBackoff*8/10)
}

func TestWhatLibrdkafkaDidNotTakeIsNotWritten(t *testing.T) {
	t.Parallel()
	for code := firstCode; code <= lastCode; code++ {
		e := produceError(librdkafka.NewError(code, "", false))
		require.Equal(t, event.NotWritten, e.Outcome, code)
		want, ok := surelyNotAppended[code]
		if !ok {
			want = event.LogUnavailable
		}
		require.Equal(t, want, e.Kind, code)
	}
	e := produceError(errClosed)
	require.Equal(t, event.NotWritten, e.Outcome)
	require.Equal(t, event.LogUnavailable, e.Kind)
	require.Equal(t, event.NotWritten, produceError(errors.New("another")).Outcome)
}

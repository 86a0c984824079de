package deadletter

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

func header(name, value string) kafka.RecordHeader {
	return kafka.RecordHeader{Key: name, Value: []byte(value)}
}

func bigInt(name string, n int32) kafka.RecordHeader {
	return kafka.RecordHeader{Key: name, Value: binary.BigEndian.AppendUint32(nil, uint32(n))}
}

func bigLong(name string, n int64) kafka.RecordHeader {
	return kafka.RecordHeader{Key: name, Value: binary.BigEndian.AppendUint64(nil, uint64(n))}
}

var writtenAt = time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)

func letterRecord(key, value string, headers ...kafka.RecordHeader) *kafka.Record {
	r := &kafka.Record{Topic: "dlt", Partition: 2, Offset: 7, Timestamp: writtenAt, Headers: headers}
	if key != "" {
		r.Key = []byte(key)
	}
	if value != "" {
		r.Value = []byte(value)
	}
	return r
}

func text(s string) *string { return &s }

// The headers are those that these sources write:
//
//   - subscription: internal/delivery/deadletter.go; webhook: internal/ingest/record.go;
//   - spring: spring-kafka, DeadLetterPublishingRecoverer and KafkaHeaders (2.7 to 4.0): numbers
//     are ByteBuffers, big-endian; with appendOriginalHeaders, the default, a second round
//     appends;
//   - connect: Apache Kafka, connect/runtime DeadLetterQueueReporter: numbers are text;
//   - streams: Apache Kafka, streams ExceptionHandlerUtils (KIP-1034): numbers are text, the
//     exception is Throwable.toString();
//   - share-group: Apache Kafka, ShareGroupDLQRecordHelper (KIP-1191): numbers are text; key and
//     value are copied only with errors.deadletterqueue.copy.record.enable.
func TestDescribe(t *testing.T) {
	t.Parallel()
	place := Place{"dlt", 2, 7}
	for name, c := range map[string]struct {
		record *kafka.Record
		want   Letter
	}{
		"subscription": {
			letterRecord("o-1", "{}", header("ce_type", "orders.placed"), header("gw_dead_subscription", "fulfilment"), header("gw_dead_topic", "orders"),
				header("gw_dead_partition", "3"), header("gw_dead_offset", "1042"), header("gw_dead_timestamp", "2026-11-30T09:00:00.5Z"),
				header("gw_dead_reason", "attempts"), header("gw_dead_class", "5xx"), header("gw_dead_status", "503"), header("gw_dead_attempts", "8"),
				header("gw_dead_first_failure", "2026-11-30T09:01:00Z"), header("gw_dead_time", "2026-11-30T09:05:00Z"), header("gw_dead_rounds", "2")),
			Letter{
				Dialect: Subscription, Origin: &Place{"orders", 3, 1042}, OriginTime: time.Date(2026, 11, 30, 9, 0, 0, 5e8, time.UTC), Consumer: "fulfilment",
				Reason: "attempts", Class: "5xx", Status: 503, Attempts: 8, First: time.Date(2026, 11, 30, 9, 1, 0, 0, time.UTC),
				Died: time.Date(2026, 11, 30, 9, 5, 0, 0, time.UTC), Rounds: 2, Type: "orders.placed", Key: text("o-1"), ValueSize: 2,
			},
		},
		"webhook": {
			letterRecord("", "[]", header("ce_type", "github.push"), header("ce_source", "/webhooks/github"), header("gw_problem", "schema-violation"), header("gw_problem_detail", "no /ref"), header("http_user-agent", "x")),
			Letter{Dialect: Webhook, Consumer: "github", Reason: "schema-violation", Detail: "no /ref", Attempts: 1, Died: writtenAt, Rounds: 1, Type: "github.push", ValueSize: 2},
		},
		"spring": {
			letterRecord("k", "v", header("kafka_dlt-original-topic", "orders"), bigInt("kafka_dlt-original-partition", 5), bigLong("kafka_dlt-original-offset", 1<<40),
				bigLong("kafka_dlt-original-timestamp", 1_700_000_000_123), header("kafka_dlt-original-timestamp-type", "CreateTime"), header("kafka_dlt-original-consumer-group", "billing"),
				header("kafka_dlt-exception-fqcn", "org.springframework.kafka.listener.ListenerExecutionFailedException"), header("kafka_dlt-exception-cause-fqcn", "java.lang.IllegalStateException"),
				header("kafka_dlt-exception-message", "Listener failed; boom"), header("kafka_dlt-exception-stacktrace", "at x"), bigInt("kafka_deliveryAttempt", 3)),
			Letter{
				Dialect: Spring, Origin: &Place{"orders", 5, 1 << 40}, OriginTime: time.UnixMilli(1_700_000_000_123), Consumer: "billing", Reason: "java.lang.IllegalStateException",
				Exception: "org.springframework.kafka.listener.ListenerExecutionFailedException", Detail: "Listener failed; boom", Trace: "at x", Attempts: 3, Died: writtenAt, Rounds: 1, Key: text("k"), ValueSize: 1,
			},
		},
		"spring, second round, appended": {
			letterRecord("k", "v", header("kafka_dlt-original-topic", "orders"), bigInt("kafka_dlt-original-partition", 5), bigLong("kafka_dlt-original-offset", 4),
				header("kafka_dlt-original-topic", "orders"), bigInt("kafka_dlt-original-partition", 5), bigLong("kafka_dlt-original-offset", 9), header("gw_dead_rounds", "1")),
			Letter{Dialect: Spring, Origin: &Place{"orders", 5, 9}, Died: writtenAt, Rounds: 2, Key: text("k"), ValueSize: 1},
		},
		"spring, key not readable": {
			letterRecord("k", "v", header("kafka_dlt-original-topic", "orders"), bigInt("kafka_dlt-original-partition", 0), bigLong("kafka_dlt-original-offset", 4),
				header("kafka_dlt-key-exception-fqcn", "x.DeserializationException"), header("kafka_dlt-key-exception-message", "bad key")),
			Letter{Dialect: Spring, Origin: &Place{"orders", 0, 4}, Reason: "x.DeserializationException", Exception: "x.DeserializationException", Detail: "bad key", Died: writtenAt, Rounds: 1, Key: text("k"), ValueSize: 1},
		},
		"spring, numbers of a wrong length": {
			letterRecord("k", "v", header("kafka_dlt-original-topic", "orders"), header("kafka_dlt-original-partition", "5"), header("kafka_dlt-original-offset", "44")),
			Letter{Dialect: Spring, Died: writtenAt, Rounds: 1, Key: text("k"), ValueSize: 1},
		},
		"connect": {
			letterRecord("k", "v", header("__connect.errors.topic", "orders"), header("__connect.errors.partition", "1"), header("__connect.errors.offset", "99"),
				header("__connect.errors.connector.name", "sink"), header("__connect.errors.task.id", "0"), header("__connect.errors.stage", "VALUE_CONVERTER"),
				header("__connect.errors.class.name", "x.JsonConverter"), header("__connect.errors.exception.class.name", "x.DataException"), header("__connect.errors.exception.message", "no schema"), header("__connect.errors.exception.stacktrace", "at y")),
			Letter{
				Dialect: Connect, Origin: &Place{"orders", 1, 99}, Consumer: "sink", Class: "VALUE_CONVERTER", Reason: "x.DataException", Exception: "x.DataException", Detail: "no schema", Trace: "at y",
				Died: writtenAt, Rounds: 1, Key: text("k"), ValueSize: 1,
			},
		},
		"streams": {
			letterRecord("k", "v", header("__streams.errors.exception", "x.StreamsException: bad: value"), header("__streams.errors.message", "bad: value"), header("__streams.errors.stacktrace", "at z"),
				header("__streams.errors.topic", "orders"), header("__streams.errors.partition", "1"), header("__streams.errors.offset", "0")),
			Letter{Dialect: Streams, Origin: &Place{"orders", 1, 0}, Reason: "x.StreamsException", Exception: "x.StreamsException", Detail: "bad: value", Trace: "at z", Died: writtenAt, Rounds: 1, Key: text("k"), ValueSize: 1},
		},
		"share group, not copied": {
			letterRecord("", "", header("__dlq.errors.topic", "orders"), header("__dlq.errors.partition", "1"), header("__dlq.errors.offset", "5"), header("__dlq.errors.group", "g"),
				header("__dlq.errors.delivery.count", "5"), header("__dlq.errors.message", "Offset rejected by client.")),
			Letter{Dialect: ShareGroup, Origin: &Place{"orders", 1, 5}, Consumer: "g", Reason: "rejected", Detail: "Offset rejected by client.", Attempts: 5, Died: writtenAt, Rounds: 1, NotCopied: true},
		},
		"nothing known": {letterRecord("\xff", "v", header("other", "x")), Letter{Dialect: Unknown, Died: writtenAt, Rounds: 1, Key: text("�"), ValueSize: 1}},
		"hostile numbers": {
			letterRecord("k", "v", header("gw_dead_subscription", "s"), header("gw_dead_topic", "t"), header("gw_dead_partition", "99999999999"), header("gw_dead_offset", "-4"), header("gw_dead_rounds", "-1"), header("gw_dead_time", "yesterday")),
			Letter{Dialect: Subscription, Consumer: "s", Died: writtenAt, Rounds: 1, Key: text("k"), ValueSize: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.Place, c.want.Written = place, writtenAt
			require.Equal(t, c.want, Describe(c.record))
		})
	}
}

func TestDetailIsBounded(t *testing.T) {
	t.Parallel()
	l := Describe(letterRecord("", "v", header("gw_problem", "x"), header("gw_problem_detail", strings.Repeat("ü", maxDetail))))
	require.LessOrEqual(t, len(l.Detail), maxDetail+len("…"))
	require.True(t, strings.HasSuffix(l.Detail, "ü…"))
}

func FuzzDescribe(f *testing.F) {
	f.Add("gw_dead_subscription", []byte("s"), "gw_dead_offset", []byte("5"))
	f.Add("kafka_dlt-original-topic", []byte("t"), "kafka_dlt-original-offset", []byte{0, 0, 0, 0, 0, 0, 0, 1})
	f.Add("__dlq.errors.topic", []byte("t"), "__dlq.errors.delivery.count", []byte("x"))
	f.Fuzz(func(t *testing.T, name string, value []byte, name2 string, value2 []byte) {
		r := letterRecord("k", "v", kafka.RecordHeader{Key: name, Value: value}, kafka.RecordHeader{Key: name2, Value: value2})
		l := Describe(r)
		require.Positive(t, l.Rounds)
		if l.Origin != nil {
			require.GreaterOrEqual(t, l.Origin.Offset, int64(0))
			require.GreaterOrEqual(t, l.Origin.Partition, int32(0))
		}
		for _, h := range Headers(r, &l) {
			require.False(t, strings.HasPrefix(h.Key, event.DeadPrefix))
		}
	})
}

// TestDescribeWhatSpringWrote reads headers that Spring Kafka has written; the file says how.
func TestDescribeWhatSpringWrote(t *testing.T) {
	t.Parallel()
	captured, err := os.ReadFile("testdata/spring-kafka-4.0.6.txt")
	require.NoError(t, err)
	r := letterRecord("o-7", "{}")
	for line := range strings.Lines(string(captured)) {
		name, digits, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found || name == "#" {
			continue
		}
		value, err := hex.DecodeString(digits)
		require.NoError(t, err)
		r.Headers = append(r.Headers, kafka.RecordHeader{Key: name, Value: value})
	}
	l := Describe(r)
	require.Equal(t, Spring, l.Dialect)
	require.Equal(t, &Place{"orders", 1, 0}, l.Origin)
	require.Equal(t, "billing-orders", l.Consumer)
	require.Equal(t, "java.lang.IllegalStateException", l.Reason)
	require.Equal(t, "org.springframework.kafka.listener.ListenerExecutionFailedException", l.Exception)
	require.Equal(t, "Listener failed; no such customer", l.Detail)
	require.Equal(t, 3, l.Attempts)
	require.Equal(t, 2026, l.OriginTime.Year())
	require.Empty(t, Headers(r, &l), "all of them are provenance")
}

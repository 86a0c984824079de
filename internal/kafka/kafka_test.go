package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSettingsPrecedence(t *testing.T) {
	t.Parallel()
	c := Connection{Brokers: []string{"a:1", "b:2"}, Properties: map[string]string{
		"default": "operator", "required": "operator", "allow.auto.create.topics": "true", "own": "x",
	}}
	require.Equal(t, librdkafka.ConfigMap{
		"bootstrap.servers": "a:1,b:2", "allow.auto.create.topics": false,
		"default": "operator", "required": 1, "own": "x", "other": 2,
	}, c.Settings(librdkafka.ConfigMap{"default": 0, "required": 0, "other": 2}, librdkafka.ConfigMap{"required": 1}))
}

func TestNewConsumerRefusesAnUnknownProperty(t *testing.T) {
	t.Parallel()
	_, err := Connection{Properties: map[string]string{"no.such.property": "1"}}.NewConsumer(librdkafka.ConfigMap{"group.id": "g"})
	require.ErrorContains(t, err, "no.such.property")
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "t"), kfake.AllowAutoTopicCreation())
	require.NoError(t, err)
	defer cluster.Close()
	settings := Connection{Brokers: cluster.ListenAddrs()}.Settings(nil, librdkafka.ConfigMap{"enable.metrics.push": false})
	p, err := librdkafka.NewProducer(&settings)
	require.NoError(t, err)
	defer p.Close()
	a, err := AdminOf(p)
	require.NoError(t, err)

	const timeout = 30 * time.Second
	md, err := a.Topic("t", timeout)
	require.NoError(t, err)
	require.Len(t, md.Topics["t"].Partitions, 3)
	md, err = a.Topic("missing", timeout)
	require.NoError(t, err)
	require.Equal(t, librdkafka.ErrUnknownTopicOrPart, md.Topics["missing"].Error.Code(), "it is not created")
	md, err = a.Brokers(timeout)
	require.NoError(t, err)
	require.Len(t, md.Brokers, 1)

	a.Close()
	a.Close()
	_, err = a.Brokers(timeout)
	require.ErrorIs(t, err, errClosed)
	_, err = a.Describe(t.Context(), []string{"t", "u"})
	require.ErrorIs(t, err, errClosed)
}

func TestErrorCode(t *testing.T) {
	t.Parallel()
	code, ok := ErrorCode(fmt.Errorf("publish: %w", librdkafka.NewError(librdkafka.ErrTimedOut, "", false)))
	require.True(t, ok)
	require.Equal(t, librdkafka.ErrTimedOut, code)
	// A broker's codes have the same numbers in both clients.
	for franz, want := range map[*kerr.Error]librdkafka.ErrorCode{
		kerr.UnknownServerError: librdkafka.ErrUnknown, kerr.CorruptMessage: librdkafka.ErrInvalidMsg,
		kerr.UnknownTopicOrPartition: librdkafka.ErrUnknownTopicOrPart, kerr.NotLeaderForPartition: librdkafka.ErrNotLeaderForPartition,
		kerr.MessageTooLarge: librdkafka.ErrMsgSizeTooLarge, kerr.TopicAuthorizationFailed: librdkafka.ErrTopicAuthorizationFailed,
		kerr.PolicyViolation: librdkafka.ErrPolicyViolation, kerr.OutOfOrderSequenceNumber: librdkafka.ErrOutOfOrderSequenceNumber,
		kerr.InvalidProducerEpoch: librdkafka.ErrInvalidProducerEpoch, kerr.InvalidRecord: librdkafka.ErrInvalidRecord,
		kerr.ClusterAuthorizationFailed: librdkafka.ErrClusterAuthorizationFailed, kerr.ThrottlingQuotaExceeded: librdkafka.ErrThrottlingQuotaExceeded,
	} {
		code, ok := ErrorCode(fmt.Errorf("publish: %w", franz))
		require.True(t, ok)
		require.Equal(t, want, code, franz.Message)
	}
	_, ok = ErrorCode(errors.New("another"))
	require.False(t, ok)
	_, ok = ErrorCode(nil)
	require.False(t, ok)
}

func TestPartitionString(t *testing.T) {
	t.Parallel()
	require.Equal(t, "orders.placed[11]", Partition{"orders.placed", 11}.String())
}

func TestTimeLeft(t *testing.T) {
	t.Parallel()
	require.Equal(t, time.Minute, TimeLeft(t.Context(), time.Minute))
	for name, c := range map[string]struct{ left, least, most time.Duration }{
		"over":   {-time.Second, 0, 0},
		"little": {30 * time.Second, time.Second, 30 * time.Second},
		"plenty": {time.Hour, time.Minute, time.Minute},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), c.left)
		got := TimeLeft(ctx, time.Minute)
		cancel()
		require.GreaterOrEqual(t, got, c.least, name)
		require.LessOrEqual(t, got, c.most, name)
	}
}

func TestForwardLogs(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	logs, stop, ended := make(chan librdkafka.LogEvent), make(chan struct{}), make(chan struct{})
	go func() {
		ForwardLogs(slog.New(slog.NewTextHandler(&out, nil)), logs, stop)
		close(ended)
	}()
	logs <- librdkafka.LogEvent{Name: "one", Tag: "FAIL", Message: "refused", Level: 3}
	logs <- librdkafka.LogEvent{Name: "two", Message: "chatter", Level: 6}
	close(stop)
	<-ended
	require.Contains(t, out.String(), "level=WARN msg=librdkafka client=one tag=FAIL text=refused")
	require.NotContains(t, out.String(), "chatter", "debug at most")
}

package publish

import (
	"log/slog"
	"testing"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// quarantined is a quarantine with a clock of the test's own.
type quarantined struct {
	*quarantine
	at time.Time
}

func newQuarantined() *quarantined {
	q := &quarantined{quarantine: newQuarantine(slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry())), at: time.Unix(1_700_000_000, 0)}
	q.now = func() time.Time { return q.at }
	return q
}

func (q *quarantined) wait(d time.Duration) { q.at = q.at.Add(d) }

func (q *quarantined) refuse(code librdkafka.ErrorCode) {
	q.refused("t", code, refusals[code], librdkafka.NewError(code, "", false))
}

func requireAdmitted(t *testing.T, q *quarantined, topic string, want writer) {
	t.Helper()
	for range 2 { // placing sends no probe
		by, refused := q.admit(topic, 0)
		require.Nil(t, refused)
		require.Equal(t, want, by)
	}
	require.Nil(t, q.pass(topic, 0))
}

func requireHeld(t *testing.T, q *quarantined, topic string, partition int32) {
	t.Helper()
	_, refused := q.admit(topic, partition)
	requireError(t, refused, event.LogUnavailable, event.NotWritten)
}

func TestTopicThatRefusesIsProbedUntilItIsTakenAgain(t *testing.T) {
	t.Parallel()
	for code := range ofTopic {
		q := newQuarantined()
		requireAdmitted(t, q, "t", shared)
		q.refuse(code)
		requireHeld(t, q, "t", 0)
		requireHeld(t, q, "t", 5)
		requireAdmitted(t, q, "another", shared)
		require.InDelta(t, 1, testutil.ToFloat64(q.metrics.quarantined.WithLabelValues("t", ofTopic[code])), 0)

		q.wait(probeInterval)
		requireAdmitted(t, q, "t", apart)
		requireHeld(t, q, "t", 0) // one at a time
		q.refuse(code)
		requireHeld(t, q, "t", 0)

		q.acknowledged(event.Placement{Topic: "t"}, q.at.Add(-time.Hour))
		requireHeld(t, q, "t", 0) // that one was under way before

		q.wait(probeInterval)
		requireAdmitted(t, q, "t", apart)
		q.acknowledged(event.Placement{Topic: "t"}, q.at)
		requireAdmitted(t, q, "t", apart)
		require.Zero(t, testutil.CollectAndCount(q.metrics.quarantined))
		q.wait(apartTime + 1)
		requireAdmitted(t, q, "t", shared)
		q.acknowledged(event.Placement{Topic: "t"}, q.at)
		require.False(t, q.some.Load(), "nothing is left")
	}
}

// A record's own fault says nothing about the next record.
func TestRefusalOfARecordQuarantinesNothing(t *testing.T) {
	t.Parallel()
	for code := range refusals {
		if _, all := ofTopic[code]; all {
			continue
		}
		q := newQuarantined()
		q.refuse(code)
		requireAdmitted(t, q, "t", apart)
		requireAdmitted(t, q, "t", apart)
		q.wait(apartTime + 1)
		requireAdmitted(t, q, "t", shared)
	}
	for _, code := range []librdkafka.ErrorCode{librdkafka.ErrMsgSizeTooLarge, librdkafka.ErrInvalidTimestamp, librdkafka.ErrInvalidRecord} {
		require.NotContains(t, ofTopic, code)
	}
}

func TestStuckPartitionHoldsNoOther(t *testing.T) {
	t.Parallel()
	q := newQuarantined()
	q.stuck("t", 3)
	requireHeld(t, q, "t", 3)
	requireAdmitted(t, q, "t", shared)
	q.stuck("t", 4)
	q.wait(time.Second)
	q.acknowledged(event.Placement{Topic: "t", Partition: 3}, q.at)
	_, refused := q.admit("t", 3)
	require.Nil(t, refused)
	requireHeld(t, q, "t", 4)
	require.InDelta(t, 1, testutil.ToFloat64(q.metrics.quarantined.WithLabelValues("t", stuckReason)), 0)
	q.acknowledged(event.Placement{Topic: "t", Partition: 4}, q.at)
	require.Zero(t, testutil.CollectAndCount(q.metrics.quarantined))
	require.False(t, q.some.Load())
}

// A stuck partition's probes take as long as a delivery: they become rare.
func TestProbesOfAStuckPartitionBecomeRare(t *testing.T) {
	t.Parallel()
	q := newQuarantined()
	q.stuck("t", 0)
	probes := 0
	for range 60 {
		q.wait(time.Second)
		if q.pass("t", 0) == nil {
			probes++
		}
	}
	require.Equal(t, 8, probes) // after 2, 6, 14 s, then every 8 s
}

//go:build integration

package publish

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/preflight"
	"eventgateway/test/services"
)

func TestCreateTopics(t *testing.T) {
	t.Parallel()
	cfg := Config{Brokers: []string{services.Shared(t).Kafka}, DeliveryTimeout: 10 * time.Second}
	there := makeTopics(t, cfg.Brokers, map[string]made{"there": {partitions: 2, replicas: 1}})["there"]
	absent := "test-apply-" + uuid.NewString()
	dropTopic(t, cfg.Brokers, absent)
	needs := preflight.KafkaNeeds{Topics: needing(absent, there), KeyWindow: 30 * day}
	plans := []TopicPlan{
		{Name: absent, Partitions: 5, Replication: 1, Retention: needs.Retention(), MaxRecord: 2 << 20},
		{Name: there, Partitions: 5, Replication: 1, Retention: needs.Retention(), MaxRecord: 2 << 20},
	}
	settings := map[string]string{"cleanup.policy": "delete", "max.message.bytes": "2097152", "retention.ms": milliseconds(needs.Retention())}
	exists := TopicOutcome{Name: there, Partitions: 2, Replication: 1, Asked: 5}
	created := TopicOutcome{Name: absent, Created: true, Settings: settings, Partitions: 5, Replication: 1, Asked: 5}

	tooMany := []TopicPlan{plans[1], plans[0]}
	tooMany[1].Replication = 3
	_, err := CreateTopics(t.Context(), cfg, tooMany, false)
	require.Equal(t, TooFewBrokersError{Brokers: 1, Replication: 3}, err)

	got, err := CreateTopics(t.Context(), cfg, plans, true)
	require.NoError(t, err)
	require.Equal(t, []TopicOutcome{created, exists}, got)
	requireFinding(t, inspected(t, cfg, needs), preflight.Error, "kafka.topic.exists", absent, "missing") // it was a dry run

	got, err = CreateTopics(t.Context(), cfg, plans, false)
	require.NoError(t, err)
	require.Equal(t, []TopicOutcome{created, exists}, got)
	awaitTopic(t, cfg.Brokers, absent)
	for _, f := range inspected(t, cfg, preflight.KafkaNeeds{Topics: needing(absent), KeyWindow: 30 * day}) {
		require.True(t, f.Severity == preflight.OK || f.Check == "kafka.topic.replication", f)
	}

	created.Created, created.Settings = false, nil
	got, err = CreateTopics(t.Context(), cfg, plans, false)
	require.NoError(t, err)
	require.Equal(t, []TopicOutcome{created, exists}, got, "nothing is left to do")

	plans[0].Name = "not a name"
	got, err = CreateTopics(t.Context(), cfg, plans, false)
	require.NoError(t, err)
	require.ErrorContains(t, got[0].Err, "not a name")
	require.Equal(t, exists, got[1], "the others are not held up")
}

func TestCreateTopicsWithoutKafka(t *testing.T) {
	t.Parallel()
	_, err := CreateTopics(t.Context(), Config{Brokers: []string{"127.0.0.1:1"}, DeliveryTimeout: time.Second}, nil, false)
	var away UnreachableError
	require.ErrorAs(t, err, &away)
	require.Equal(t, preflight.NoConnection, away.Obstacle)
	require.ErrorContains(t, err, "Connection refused")
}

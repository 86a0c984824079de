//go:build integration

package lag

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/kafka"
	"eventgateway/test/services"
)

// TestShareGroupOfKafka: Kafka 4.1 tells where a share group begins, and does not count its
// lag.
func TestShareGroupOfKafka(t *testing.T) {
	t.Parallel()
	broker, err := services.StartKafka(t.Context(), services.KafkaConfig{
		Dir: t.TempDir(), JVMArgs: []string{"-Xms128m", "-Xmx256m"}, Properties: map[string]string{
			"share.coordinator.state.topic.replication.factor": "1", "share.coordinator.state.topic.min.isr": "1",
			"share.coordinator.state.topic.num.partitions": "2",
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Kill()) })
	c := clusterAt(t, broker.Addr())
	features, err := c.admin.UpdateFeatures(t.Context(), false, kadm.FeatureUpdate{Feature: "share.version", MaxVersionLevel: 1, UpgradeType: 1})
	require.NoError(t, err)
	for _, f := range features {
		require.NoError(t, f.Err)
	}
	topic := c.topic("shared", 1, nil)
	group := c.prefix + "share"
	member, err := kgo.NewClient(kgo.SeedBrokers(c.broker), kgo.ShareGroup(group), kgo.ConsumeTopics(topic))
	require.NoError(t, err)
	t.Cleanup(member.Close)
	m := c.monitor(kafka.Connection{})
	c.eventually(func() bool { // it begins at the end of the topic; Kafka tells where it is after its first records
		c.produce(topic, 0, 1, time.Now())
		ctx, cancel := contextFor(t, time.Second)
		defer cancel()
		member.PollFetches(ctx) // acknowledges those of the poll before
		g, ok := find(c.pass(m), group)
		return ok && g.Members == known(1) && len(g.Topics) == 1 && g.Topics[0].Partitions[0].Committed.Known
	})
	require.NoError(t, member.LeaveGroupContext(t.Context())) // which gives back what is not acknowledged
	before := onlyPartition(t, c.pass(m), group)
	c.produce(topic, 0, 8, time.Now())
	after := onlyPartition(t, c.pass(m), group)
	require.Equal(t, kafka.GroupShare, groupOf(t, c.pass(m), group).Type)
	require.Equal(t, before.Records.N+8, after.Records.N)
	require.Equal(t, after.Records, after.Undelivered)
	require.Equal(t, after.End.N-after.Committed.N, after.Records.N)
}

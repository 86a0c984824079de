//go:build integration

package publish

import (
	"testing"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

// TestRecoveryOnKafka runs the recovery read on a real broker.
func TestRecoveryOnKafka(t *testing.T) {
	t.Parallel()
	rig := func() recoveryRig {
		topic := "recovery-" + uuid.NewString()
		r := start(t, []string{services.Shared(t).Kafka}, []string{topic}, func(c *Config) { c.CreateTopics = TopicCreation{Enabled: true, Partitions: 3, Replication: 1} })
		t.Cleanup(func() {
			_ = r.admin().Use(func(admin *librdkafka.AdminClient) error {
				_, err := admin.DeleteTopics(t.Context(), []string{topic})
				return err
			})
		})
		require.Eventually(t, r.Complete, patience, tick)
		return recoveryRig{r, topic}
	}
	r := rig()
	testRecovery(t, r)
	testRead(t, r, rig())
}

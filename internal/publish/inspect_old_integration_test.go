//go:build integration

package publish

import (
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/preflight"
	"eventgateway/test/services"
)

// TestInspectOldBrokers: what brokers before 2.3 do not say is a warning, and all
// else is found as on others.
func TestInspectOldBrokers(t *testing.T) {
	t.Parallel()
	k, err := services.StartOldKafka(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Kill()) })
	brokers := []string{k.Addr()}
	names := makeTopics(t, brokers, map[string]made{"old": {partitions: 2, replicas: 1}, "short": {partitions: 1, replicas: 1, settings: map[string]string{"retention.ms": "1000"}}})
	cfg := Config{
		Brokers: brokers, Transactional: true, TransactionalIDPrefix: "gw",
		CreateTopics: TopicCreation{Enabled: true, Partitions: 1, Replication: 1},
	}
	found := inspected(t, cfg, preflight.KafkaNeeds{Topics: needing(names["old"], names["short"], "missing"), KeyWindow: day})
	requireFinding(t, found, preflight.Warning, "kafka.topic.permissions", names["old"], "does not say what this user may do with the topic (brokers before 2.3 never do)")
	requireFinding(t, found, preflight.OK, "kafka.topic.exists", names["old"], "2 partitions")
	requireFinding(t, found, preflight.OK, "kafka.topic.retention", names["old"], "keeps records for 168h")
	requireFinding(t, found, preflight.Error, "kafka.topic.retention", names["short"], "records are kept for 1s")
	requireFinding(t, found, preflight.Warning, "kafka.topic.exists", "missing", "will create it")
	requireFinding(t, found, preflight.OK, "kafka.registry", "gw-incarnations", "will create it")
	requireFinding(t, found, preflight.OK, "kafka.transactions", "gw-check", "initialised")
}

//go:build integration

package publish

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"eventgateway/internal/backoff"
	"eventgateway/internal/preflight"
	"eventgateway/test/services"
)

// trio is a broker that is the controller as well, one that may be away, and
// one that is there for topics with three replicas only.
type trio struct{ stays, leaves *services.Kafka }

func startTrio(t *testing.T) trio {
	t.Helper()
	dir := t.TempDir()
	ports := [4]int{}
	for i := range ports {
		var err error
		ports[i], err = services.FreePort()
		require.NoError(t, err)
	}
	cfg := services.KafkaConfig{
		Dir: filepath.Join(dir, "1"), Port: ports[0], ControllerPort: ports[1], ClusterID: "aW5zcGVjdC1pbnNwZWN0LQ",
		JVMArgs: []string{"-Xms128m", "-Xmx256m"}, Properties: map[string]string{
			"transaction.state.log.replication.factor": "4",     // more than there are: transactions cannot work
			"broker.session.timeout.ms":                "12000", // a paused broker is still listed
		},
	}
	start := func(cfg services.KafkaConfig) (*services.Kafka, error) {
		k, err := services.StartKafka(t.Context(), cfg)
		if err == nil {
			t.Cleanup(func() { require.NoError(t, k.Kill()) })
		}
		return k, err
	}
	var p trio
	var err error
	p.stays, err = start(cfg)
	require.NoError(t, err)
	var group errgroup.Group
	for id, port := range map[int]int{2: ports[2], 3: ports[3]} {
		cfg := cfg
		cfg.Dir, cfg.Port, cfg.NodeID = filepath.Join(dir, strconv.Itoa(id)), port, id
		cfg.Voters = map[int]string{1: fmt.Sprintf("127.0.0.1:%d", ports[1])}
		cfg.Properties = maps.Clone(cfg.Properties)
		cfg.Properties["process.roles"] = "broker"
		cfg.Properties["listeners"] = fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", port)
		group.Go(func() error {
			k, err := start(cfg)
			if id == 2 {
				p.leaves = k
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	return p
}

// Not parallel: three brokers keep two cores busy by themselves.
func TestInspectFindsWhatReplicationLacks(t *testing.T) {
	limitTime(t)
	cluster := startTrio(t)
	brokers := []string{cluster.stays.Addr()}
	names := makeOnBrokers(t, brokers)
	look := func(label string) []preflight.Finding {
		return inspected(t, Config{Brokers: brokers}, preflight.KafkaNeeds{Topics: needing(names[label]), KeyWindow: day})
	}

	t.Run("all there", func(t *testing.T) {
		for label, c := range map[string]struct {
			severity preflight.Severity
			check    string
			what     string
		}{
			"one":     {preflight.Error, "kafka.topic.replication", "1 replica in a cluster of 3 brokers"},
			"weak":    {preflight.Error, "kafka.topic.min-insync", "min.insync.replicas is 1"},
			"strict":  {preflight.Warning, "kafka.topic.min-insync", "2 of 2 replicas: one broker that is restarted stops all writes"},
			"loose":   {preflight.Error, "kafka.topic.min-insync", "only one of its 3 replicas may have it"},
			"tight":   {preflight.Warning, "kafka.topic.min-insync", "3 of 3 replicas: one broker that is restarted stops all writes"},
			"good":    {preflight.OK, "kafka.topic.min-insync", "min.insync.replicas is 2 of 3 replicas"},
			"copied":  {preflight.OK, "kafka.topic.replication", "3 replicas"},
			"clean":   {preflight.OK, "kafka.topic.unclean-election", "no unclean leader election"},
			"unclean": {preflight.Warning, "kafka.topic.unclean-election", "may lead"},
		} {
			t.Run(label, func(t *testing.T) { // not parallel: each is over at once
				found := look(label)
				requireFinding(t, found, c.severity, c.check, names[label], c.what)
				requireFinding(t, found, preflight.OK, "kafka.topic.in-sync", names[label], "all replicas are in sync")
				requireFinding(t, found, preflight.OK, "kafka.broker", "", "3 brokers answered")
			})
		}
		t.Run("what the gateway creates", func(t *testing.T) {
			t.Parallel()
			topic := "test-created-" + uuid.NewString()
			dropTopic(t, brokers, topic)
			p := start(t, brokers, []string{topic}, func(c *Config) {
				c.CreateTopics = TopicCreation{Enabled: true, Partitions: 2, Replication: 3, Retention: 10 * day, MaxRecord: 2 << 20}
			})
			require.Eventually(t, p.Complete, patience, tick)
			needs := needing(topic)
			needs[0].MaxData = 2<<20 - preflight.HeaderRoom
			found := inspected(t, Config{Brokers: brokers}, preflight.KafkaNeeds{Topics: needs, KeyWindow: 10*day - preflight.LogMargin})
			for _, check := range []string{"replication", "min-insync", "size", "retention", "compaction", "unclean-election"} {
				requireFinding(t, found, preflight.OK, "kafka.topic."+check, topic, "")
			}
		})
		t.Run("transactions", func(t *testing.T) {
			t.Parallel()
			cfg := Config{Brokers: brokers, Transactional: true, TransactionalIDPrefix: "test"}
			found := inspected(t, cfg, preflight.KafkaNeeds{KeyWindow: day})
			requireFinding(t, found, preflight.Error, "kafka.transactions", "test-check", "could not be initialised")
		})
	})

	require.NoError(t, cluster.leaves.Pause())
	requireFinding(t, look("weak"), preflight.Error, "kafka.broker", cluster.leaves.Addr(), "broker 2 does not answer")
	require.NoError(t, cluster.leaves.Kill())
	awaitInSync(t, brokers, names["weak"], 1)
	requireFinding(t, look("weak"), preflight.Warning, "kafka.topic.in-sync", names["weak"], "1 of 1 partition with replicas that are not in sync (0)")
	requireFinding(t, look("strict"), preflight.Error, "kafka.topic.in-sync", names["strict"], "fewer replicas in sync than min.insync.replicas, which is 2 (0)")
	requireFinding(t, look("one"), preflight.Error, "kafka.topic.in-sync", names["one"], "1 of 1 partition without a leader (0)")

	require.NoError(t, cluster.stays.Pause())
	found := look("weak")
	requireFinding(t, found, preflight.Error, "kafka.reach", brokers[0], "no broker answers")
	require.Contains(t, found[0].Do, "firewall")
	t.Log(found[0].What)
}

// makeOnBrokers makes topics of one partition, on brokers that are told.
func makeOnBrokers(t *testing.T, brokers []string) map[string]string {
	t.Helper()
	names := map[string]string{}
	for label, c := range map[string]struct {
		replicas []int32
		settings map[string]string
	}{
		"one":     {[]int32{2}, nil},
		"weak":    {[]int32{1, 2}, nil},
		"strict":  {[]int32{1, 2}, map[string]string{"min.insync.replicas": "2"}},
		"loose":   {[]int32{1, 2, 3}, nil},
		"tight":   {[]int32{1, 2, 3}, map[string]string{"min.insync.replicas": "3"}},
		"good":    {[]int32{1, 2, 3}, map[string]string{"min.insync.replicas": "2"}},
		"copied":  {[]int32{1, 2, 3}, nil},
		"clean":   {[]int32{1, 2, 3}, nil},
		"unclean": {[]int32{1, 2}, map[string]string{"unclean.leader.election.enable": "true"}},
	} {
		names[label] = label
		createOn(t, brokers, label, c.replicas, c.settings)
		awaitTopic(t, brokers, label)
	}
	return names
}

// createOn creates a topic of one partition with its replicas on these brokers.
func createOn(t *testing.T, brokers []string, name string, replicas []int32, settings map[string]string) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 20_000
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1
	assignment := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
	assignment.Replicas = replicas
	topic.ReplicaAssignment = append(topic.ReplicaAssignment, assignment)
	for key, value := range settings {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = key, kadm.StringPtr(value)
		topic.Configs = append(topic.Configs, config)
	}
	req.Topics = append(req.Topics, topic)
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	require.NoError(t, err)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp, err := req.RequestWith(ctx, cl)
	require.NoError(t, err)
	require.NoError(t, kerr.ErrorForCode(resp.Topics[0].ErrorCode))
}

func awaitInSync(t *testing.T, brokers []string, name string, n int) {
	t.Helper()
	realAdmin(t, brokers, func(ctx context.Context, adm *kadm.Client) error {
		for ctx.Err() == nil {
			if found, err := adm.ListTopics(ctx, name); err == nil && len(found[name].Partitions[0].ISR) == n {
				return nil
			}
			backoff.Sleep(ctx, tick)
		}
		return ctx.Err()
	})
}

//go:build integration

package publish

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"eventgateway/internal/backoff"
	"eventgateway/internal/preflight"
	"eventgateway/test/services"
)

// made is a topic that a test makes, with settings that are not the default.
type made struct {
	partitions int32
	replicas   int16
	settings   map[string]string
}

// makeTopics makes topics of this test's own and returns their names.
func makeTopics(tb testing.TB, brokers []string, specs map[string]made) map[string]string {
	tb.Helper()
	names := map[string]string{}
	realAdmin(tb, brokers, func(ctx context.Context, adm *kadm.Client) error {
		for label, spec := range specs {
			settings := map[string]*string{}
			for name, value := range spec.settings {
				settings[name] = kadm.StringPtr(value)
			}
			names[label] = "test-inspect-" + label + "-" + uuid.NewString()
			if _, err := adm.CreateTopic(ctx, spec.partitions, spec.replicas, settings, names[label]); err != nil {
				return err
			}
		}
		return nil
	})
	for _, name := range names {
		dropTopic(tb, brokers, name)
		awaitTopic(tb, brokers, name)
	}
	return names
}

// awaitTopic waits until brokers tell of a topic that was just created.
func awaitTopic(tb testing.TB, brokers []string, name string) {
	tb.Helper()
	realAdmin(tb, brokers, func(ctx context.Context, adm *kadm.Client) error {
		for ctx.Err() == nil {
			if found, err := adm.ListTopics(ctx, name); err == nil && found.Has(name) {
				return nil
			}
			backoff.Sleep(ctx, tick)
		}
		return ctx.Err()
	})
}

// inspected is what a check finds with a configuration.
func inspected(tb testing.TB, cfg Config, needs preflight.KafkaNeeds) []preflight.Finding {
	tb.Helper()
	if cfg.DeliveryTimeout == 0 {
		cfg.DeliveryTimeout = 10 * time.Second
	}
	if cfg.TransactionTimeout == 0 {
		cfg.TransactionTimeout = 20 * time.Second
	}
	names := make([]string, len(needs.Topics))
	for i, n := range needs.Topics {
		names[i] = n.Name
	}
	needs.Bootstrap = strings.Join(cfg.Brokers, ",")
	needs.TransactionTimeout = cfg.TransactionTimeout
	needs.TransactionalIDPrefix = cfg.TransactionalIDPrefix
	needs.CreateTopics = cfg.CreateTopics.Enabled
	needs.Partitions, needs.Replication = cfg.CreateTopics.Partitions, cfg.CreateTopics.Replication
	found := preflight.Kafka(Inspect(tb.Context(), cfg, names), needs)
	for _, f := range found {
		require.NotEmpty(tb, f.What, f)
		require.Equal(tb, f.Severity == preflight.OK, f.Do == "", f)
	}
	return found
}

// requireFinding is the one finding of a check about a subject.
func requireFinding(tb testing.TB, found []preflight.Finding, severity preflight.Severity, check, subject, what string) {
	tb.Helper()
	for _, f := range found {
		if f.Check == check && f.Severity == severity && strings.Contains(f.Subject, subject) && strings.Contains(f.What, what) {
			return
		}
	}
	tb.Fatalf("no %s of %s about %s with %q among %v", severity, check, subject, what, found)
}

func needing(names ...string) (needs []preflight.TopicNeeds) {
	for _, name := range names {
		needs = append(needs, preflight.TopicNeeds{Name: name, Types: []string{name}, Largest: name, MaxData: 900 << 10})
	}
	return needs
}

const day = 24 * time.Hour

func TestInspectFindsWhatTopicsLack(t *testing.T) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	hours := func(n int) string { return milliseconds(time.Duration(n) * time.Hour) }
	cases := map[string]struct {
		settings map[string]string
		severity preflight.Severity
		check    string
		what     string
	}{
		"good":         {nil, preflight.OK, "kafka.topic.retention", "keeps records for"},
		"single":       {nil, preflight.Warning, "kafka.topic.replication", "the cluster's only broker"},
		"insync":       {map[string]string{"min.insync.replicas": "2"}, preflight.Error, "kafka.topic.min-insync", "min.insync.replicas is 2 and there are 1 replica"},
		"small":        {map[string]string{"max.message.bytes": "100000"}, preflight.Error, "kafka.topic.size", "max.message.bytes is 100000"},
		"tight":        {map[string]string{"max.message.bytes": "922000"}, preflight.Warning, "kafka.topic.size", "because of their headers"},
		"short":        {map[string]string{"retention.ms": hours(12)}, preflight.Error, "kafka.topic.retention", "kept for 12h and keys for 24h"},
		"hardly":       {map[string]string{"retention.ms": hours(24)}, preflight.Warning, "kafka.topic.retention", "hardly longer than keys"},
		"forever":      {map[string]string{"retention.ms": "-1"}, preflight.OK, "kafka.topic.retention", "forever"},
		"bytes":        {map[string]string{"retention.bytes": "90000000"}, preflight.Warning, "kafka.topic.retention", "more than 1000 bytes/s"},
		"compact":      {map[string]string{"cleanup.policy": "compact"}, preflight.Error, "kafka.topic.compaction", "compacted after 0s"},
		"both":         {map[string]string{"cleanup.policy": "compact,delete"}, preflight.Error, "kafka.topic.compaction", "compacted after 0s"},
		"lagging":      {map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": hours(25)}, preflight.OK, "kafka.topic.compaction", "compacted, but nothing that is younger than 25h"},
		"keyless":      {map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": hours(25)}, preflight.Error, "kafka.topic.compaction", "takes no records without a key"},
		"appendtime":   {map[string]string{"message.timestamp.type": "LogAppendTime"}, preflight.Warning, "kafka.topic.timestamps", "LogAppendTime"},
		"shared-types": {nil, preflight.OK, "kafka.topic.shared", "2 event types share the topic"},
	}
	specs := map[string]made{}
	for label, c := range cases {
		specs[label] = made{partitions: 2, replicas: 1, settings: c.settings}
	}
	names := makeTopics(t, brokers, specs)
	for label, c := range cases {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			needs := needing(names[label])
			switch label {
			case "keyless":
				needs[0].Keyless = []string{"page.viewed"}
			case "shared-types":
				needs[0].Types = []string{"a", "b"}
			}
			found := inspected(t, Config{Brokers: brokers}, preflight.KafkaNeeds{Topics: needs, KeyWindow: day})
			requireFinding(t, found, c.severity, c.check, names[label], c.what)
			requireFinding(t, found, preflight.OK, "kafka.reach", brokers[0], "1 broker")
			requireFinding(t, found, preflight.OK, "kafka.topic.exists", names[label], "2 partitions")
			for _, f := range found {
				if f.Check != c.check && f.Check != "kafka.topic.replication" {
					require.Equal(t, preflight.OK, f.Severity, f)
				}
			}
		})
	}
}

func TestInspectFindsMissingTopics(t *testing.T) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	missing := "test-inspect-missing-" + uuid.NewString()
	for name, c := range map[string]struct {
		create   TopicCreation
		severity preflight.Severity
		what     string
	}{
		"nobody creates it":            {TopicCreation{}, preflight.Error, "answer 503"},
		"the gateway creates it":       {TopicCreation{Enabled: true, Partitions: 3, Replication: 1}, preflight.Warning, "will create it with 3 partitions, 1 replica"},
		"the gateway cannot (brokers)": {TopicCreation{Enabled: true, Partitions: 3, Replication: 3}, preflight.Error, "would not create it with 3 partitions and 3 replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := inspected(t, Config{Brokers: brokers, CreateTopics: c.create}, preflight.KafkaNeeds{Topics: needing(missing), KeyWindow: day})
			requireFinding(t, found, c.severity, "kafka.topic.exists", missing, c.what)
		})
	}
}

func TestInspectFindsWhatTransactionsLack(t *testing.T) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	inspectedWith := func(t *testing.T, registry *made) (string, []preflight.Finding) {
		t.Helper()
		cfg := Config{Brokers: brokers, Transactional: true, TransactionalIDPrefix: "test-inspect-" + uuid.NewString()}
		if registry != nil {
			realAdmin(t, brokers, func(ctx context.Context, adm *kadm.Client) error {
				_, err := adm.CreateTopic(ctx, registry.partitions, 1, map[string]*string{
					"cleanup.policy": kadm.StringPtr(registry.settings["cleanup.policy"]),
				}, registryTopic(cfg))
				return err
			})
			dropTopic(t, brokers, registryTopic(cfg))
			awaitTopic(t, brokers, registryTopic(cfg))
		}
		found := inspected(t, cfg, preflight.KafkaNeeds{KeyWindow: day})
		requireFinding(t, found, preflight.OK, "kafka.transactions", cfg.TransactionalIDPrefix+"-check", "initialised")
		return registryTopic(cfg), found
	}
	for name, c := range map[string]struct {
		registry *made
		severity preflight.Severity
		what     string
	}{
		"no registry yet":                 {nil, preflight.OK, "the gateway will create it"},
		"a good registry":                 {&made{partitions: 1, settings: map[string]string{"cleanup.policy": "compact"}}, preflight.OK, "in 1 partition"},
		"a registry of many partitions":   {&made{partitions: 3, settings: map[string]string{"cleanup.policy": "compact"}}, preflight.Error, "3 partitions"},
		"a registry that forgets":         {&made{partitions: 1, settings: map[string]string{"cleanup.policy": "delete"}}, preflight.Error, `"delete"`},
		"a registry that forgets in time": {&made{partitions: 1, settings: map[string]string{"cleanup.policy": "compact,delete"}}, preflight.Error, `"compact,delete"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic, found := inspectedWith(t, c.registry)
			requireFinding(t, found, c.severity, "kafka.registry", topic, c.what)
		})
	}
}

func TestInspectSaysWhyKafkaIsUnreachable(t *testing.T) {
	t.Parallel()
	real := services.Shared(t).Kafka
	for name, c := range map[string]struct {
		broker     string
		properties map[string]string
		what       string
		do         string
	}{
		"refused":          {"127.0.0.1:1", nil, "Connection refused", "listen at kafka.brokers"},
		"no such host":     {"kafka.invalid:9092", nil, "Failed to resolve", "name service"},
		"no TLS there":     {real, map[string]string{"security.protocol": "ssl"}, "SSL", "security.protocol"}, // a handshake that fails, or a connection that is closed
		"no login there":   {real, map[string]string{"security.protocol": "sasl_plaintext", "sasl.mechanisms": "PLAIN", "sasl.username": "u", "sasl.password": "p"}, "SASL", "sasl.username"},
		"unknown property": {real, map[string]string{"no.such.property": "1"}, "no.such.property", "kafka.properties"},
		"no CA file":       {real, map[string]string{"security.protocol": "ssl", "ssl.ca.location": "/nonexistent/ca.pem"}, "ssl.ca.location", "kafka.properties"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			found := inspected(t, Config{Brokers: []string{c.broker}, Properties: c.properties}, preflight.KafkaNeeds{Topics: needing("any"), KeyWindow: day})
			require.Len(t, found, 1, "nothing else is known")
			requireFinding(t, found, preflight.Error, "kafka.reach", c.broker, c.what)
			require.Contains(t, found[0].Do, c.do)
			t.Log(time.Since(began), found[0].What)
		})
	}
}

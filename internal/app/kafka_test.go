package app

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
	"eventgateway/internal/preflight"
	"eventgateway/internal/schema"
)

func TestWhatKafkaIsNeededFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, xevent := range map[string]string{
		"orders.placed/v1":    `{"topic":"orders","key":"/id","body_limit":1000}`,
		"orders.placed/v2":    `{"topic":"orders","key":"/id","body_limit":3000}`,
		"orders.cancelled/v1": `{"topic":"orders","key":null,"body_limit":2000}`,
		"payments/v1":         `{"key":"/id","body_limit":99999999}`, // more than a body may have
		"refunds/v1":          `{"topic":"old-refunds","key":"/id"}`,
		"refunds/v2":          `{"key":"/id"}`,
	} {
		path := filepath.Join(dir, name+".json")
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		write(t, filepath.Dir(path), filepath.Base(path), []byte(`{"x-event":`+xevent+`}`))
	}
	set, err := schema.Load(dir)
	require.NoError(t, err)
	cfg := config.Defaults()
	cfg.Kafka.Brokers = []string{"a:1", "b:2"}
	cfg.Kafka.Properties = config.Properties{"compression.codec": "lz4"}
	cfg.Kafka.CreateTopics = config.CreateTopics{Enabled: true, Partitions: 5, Replication: 2}
	cfg.Kafka.TransactionalIDPrefix, cfg.Kafka.TransactionTimeout = "gw", 17*time.Second
	cfg.Idempotency.TTL = 48 * time.Hour

	require.Equal(t, preflight.KafkaNeeds{
		Bootstrap: "a:1,b:2", Compression: "lz4", KeyWindow: 48 * time.Hour, CreateTopics: true, Partitions: 5, Replication: 2,
		TransactionTimeout: 17 * time.Second, TransactionalIDPrefix: "gw",
		Topics: []preflight.TopicNeeds{
			{Name: "old-refunds", Types: []string{"refunds"}, Largest: "refunds", MaxData: 900 << 10},
			{Name: "orders", Types: []string{"orders.cancelled", "orders.placed"}, Largest: "orders.placed", MaxData: 3000, Keyless: []string{"orders.cancelled"}},
			{Name: "payments", Types: []string{"payments"}, Largest: "payments", MaxData: 900 << 10},
			{Name: "refunds", Types: []string{"refunds"}, Largest: "refunds", MaxData: 900 << 10},
		},
	}, kafkaNeeds(cfg, set))
}

// Dead letters have no key, are as large as a request may be, and may share a
// topic.
func TestWhatDeadLettersNeed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "orders"), 0o700))
	write(t, filepath.Join(dir, "orders"), "v1.json", []byte(`{"x-event":{"topic":"shared","key":"/id","body_limit":1000}}`))
	set, err := schema.Load(dir)
	require.NoError(t, err)
	cfg := config.Defaults()
	cfg.Webhooks = []config.Webhook{
		{Name: "a", OnInvalid: config.OnInvalidDeadLetter},
		{Name: "b", OnInvalid: config.OnInvalidDeadLetter, DeadLetterTopic: "shared"},
		{Name: "c", OnInvalid: config.OnInvalidDeadLetter, DeadLetterTopic: "shared"},
		{Name: "d", OnInvalid: config.OnInvalidReject},
	}
	const request = 900<<10 + 16<<10
	require.Equal(t, []preflight.TopicNeeds{
		{
			Name: "shared", Types: []string{"orders", "dead letters of b", "dead letters of c"}, Largest: "dead letters of b", MaxData: request,
			Keyless: []string{"dead letters of b", "dead letters of c"}, DeadLetters: true,
		},
		{Name: "webhooks.a.dead-letter", Types: []string{"dead letters of a"}, Largest: "dead letters of a", MaxData: request, Keyless: []string{"dead letters of a"}, DeadLetters: true},
	}, topicNeeds(cfg, set))

	cfg.Subscriptions = []config.Subscription{{Name: "s"}}
	require.Equal(t, []preflight.TopicNeeds{{
		Name: "gateway.subscription.s.replay", Types: []string{"replays to the subscription s"}, Keyless: []string{"replays to the subscription s"},
		Largest: "replays to the subscription s", MaxData: request + deadLetterHeaders,
	}}, replayNeeds(cfg))
}

func TestCheckKafkaWithoutKafka(t *testing.T) {
	t.Parallel()
	set, err := schema.Load("../../schemas")
	require.NoError(t, err)
	cfg := config.Defaults()
	cfg.Kafka.Brokers = []string{"127.0.0.1:1"}
	found := CheckKafka(t.Context(), cfg, set)
	require.Len(t, found, 1)
	require.Equal(t, preflight.Error, found[0].Severity)
	require.Equal(t, "127.0.0.1:1", found[0].Subject)
	require.Contains(t, found[0].What, "Connection refused")
}

package publish

import (
	"context"
	"fmt"
	"log/slog"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/kafka"
)

// ClusterID asks Kafka which cluster it is.
func ClusterID(ctx context.Context, cfg Config) (string, error) {
	client, err := kafka.NewClient(cfg.connection(), slog.New(slog.DiscardHandler), func(librdkafka.Error) {})
	if err != nil {
		return "", err
	}
	defer client.Close()
	if _, err := client.Admin().Brokers(kafka.TimeLeft(ctx, metadataTimeout)); err != nil {
		return "", fmt.Errorf("ask kafka for the id of its cluster: %w", err)
	}
	return client.Admin().ClusterID(ctx)
}

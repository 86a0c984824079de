package publish

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventgateway/internal/kafka"
)

// TestCompression: both clients really use what compression.type says. Brokers refuse zstd
// in Produce requests before version 7, and franz-go then does not compress.
func TestCompression(t *testing.T) {
	t.Parallel()
	for _, client := range []kafka.ClientName{kafka.ClientFranz, kafka.ClientLibrdkafka} {
		for codec, number := range map[string]uint8{"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4} { // as in a batch's attributes
			t.Run(string(client)+"/"+codec, func(t *testing.T) {
				t.Parallel()
				cluster := startKafka(t, kfake.SeedTopics(1, "orders"))
				p := start(t, cluster.ListenAddrs(), []string{"orders"}, func(cfg *Config) {
					cfg.Client, cfg.Properties = client, map[string]string{"compression.type": codec}
				})
				_, err := p.publish(t, "orders", strings.Repeat("compressible ", 1000))
				require.NoError(t, err)
				require.Equal(t, number, records(t, cluster, "orders", 1)[0].Attrs.CompressionType())
			})
		}
	}
}

package cli

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"eventgateway/internal/config"
)

// stopMargin is what docs/operations.md says to add to kafka.delivery_timeout.
const stopMargin = 15 * time.Second

type composeService struct {
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	DependsOn   map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
	Healthcheck struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
	StopGracePeriod time.Duration `yaml:"stop_grace_period"`
	ReadOnly        bool          `yaml:"read_only"`
	CapDrop         []string      `yaml:"cap_drop"`
	SecurityOpt     []string      `yaml:"security_opt"`
}

// TestCompose checks docker-compose.yml without a container engine: the gateway would
// accept its configuration, and find Kafka and Redis.
func TestCompose(t *testing.T) {
	t.Parallel()
	const root = "../../"
	raw, err := os.ReadFile(root + "docker-compose.yml")
	require.NoError(t, err)
	var compose struct {
		Services map[string]composeService `yaml:"services"`
		Volumes  map[string]any            `yaml:"volumes"`
	}
	require.NoError(t, yaml.Unmarshal(raw, &compose))
	gateway, kafka, redis := compose.Services["gateway"], compose.Services["kafka"], compose.Services["redis"]

	const inside = ":/etc/gateway/gateway.yaml:ro"
	file := ""
	for _, volume := range gateway.Volumes {
		from, to, _ := strings.Cut(volume, ":")
		_, err := os.Stat(root + from)
		require.NoError(t, err, "an engine would make an empty folder in its place")
		if ":"+to == inside {
			file = root + from
		}
	}
	require.NotEmpty(t, file, "the image's command reads this file")
	environ := []string{}
	for name, value := range gateway.Environment {
		environ = append(environ, name+"="+value)
	}
	cfg, err := config.Load(file, environ)
	require.NoError(t, err)

	require.Len(t, cfg.Kafka.Brokers, 1)
	require.Contains(t, kafka.Environment["KAFKA_ADVERTISED_LISTENERS"], "INTERNAL://"+cfg.Kafka.Brokers[0])
	require.Contains(t, kafka.Environment["KAFKA_ADVERTISED_LISTENERS"], "HOST://localhost:9092")
	require.True(t, cfg.Kafka.CreateTopics.Enabled, "the broker makes no topics by itself")
	require.Equal(t, 1, cfg.Kafka.CreateTopics.Replication, "there is one broker")
	require.Equal(t, []string{"redis:6379"}, cfg.Redis.Addresses)
	require.GreaterOrEqual(t, gateway.StopGracePeriod, cfg.Kafka.DeliveryTimeout+stopMargin)
	for name, service := range map[string]composeService{"kafka": kafka, "redis": redis} {
		require.Equal(t, "service_healthy", gateway.DependsOn[name].Condition)
		require.NotEmpty(t, service.Healthcheck.Test)
		for _, volume := range service.Volumes {
			name, _, _ := strings.Cut(volume, ":")
			require.Contains(t, compose.Volumes, name)
		}
	}
	require.True(t, gateway.ReadOnly)
	require.Equal(t, []string{"ALL"}, gateway.CapDrop)
	require.Equal(t, []string{"no-new-privileges:true"}, gateway.SecurityOpt)
}

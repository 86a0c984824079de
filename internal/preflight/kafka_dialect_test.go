package preflight

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompressionForEventHubs(t *testing.T) {
	t.Parallel()
	const hub = "shop.servicebus.windows.net:9093"
	for name, c := range map[string]struct {
		bootstrap, compression string
		severity               Severity // "": no finding
	}{
		"another Kafka":       {"kafka:9092", "lz4", ""},
		"no compression":      {hub, "none", OK},
		"lz4":                 {hub, "lz4", Error},
		"snappy":              {hub, "snappy", Error},
		"zstd":                {hub, "zstd", Error},
		"gzip":                {hub, "gzip", Warning},
		"in capitals":         {"Shop.ServiceBus.Windows.NET:9093", "lz4", Error},
		"another cloud":       {"shop.servicebus.usgovcloudapi.net:9093", "lz4", Error},
		"one of several":      {"kafka:9092," + hub, "lz4", Error},
		"only the name alike": {"servicebus.windows.net.example.com:9093", "lz4", ""},
		"unknown codec":       {hub, "", OK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Also if no broker answers: it may be looked at from where none does.
			facts := KafkaFacts{Unreachable: &Unreachable{NoAnswer, "timed out"}}
			findings := Kafka(facts, KafkaNeeds{Bootstrap: c.bootstrap, Compression: c.compression})
			require.Equal(t, "kafka.reach", findings[len(findings)-1].Check)
			if c.severity == "" {
				require.Len(t, findings, 1)
				return
			}
			require.Len(t, findings, 2)
			found := findings[0]
			require.Equal(t, c.severity, found.Severity)
			require.Equal(t, "kafka.compression", found.Check)
			require.Contains(t, found.What, "Azure Event Hubs")
			if c.severity != OK {
				require.Contains(t, found.What, c.compression)
				require.Contains(t, found.Do, "compression.type: none")
			}
		})
	}
}

package kafka

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChooseClient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		configured ClientName
		properties string
		want       ClientChoice
		err        string
	}{
		"auto": {
			ClientAuto, "linger.ms=5 compression.type=lz4",
			ClientChoice{ClientFranz, "franz-go can express all of kafka.properties"},
			"",
		},
		"auto, something only librdkafka has": {
			ClientAuto, "compression.type=zstd batch.num.messages=5",
			ClientChoice{ClientLibrdkafka, "kafka.properties.batch.num.messages: franz-go bounds a batch by its bytes only"},
			"",
		},
		"auto, a bad value": {
			ClientAuto, "linger.ms=soon batch.num.messages=5",
			ClientChoice{},
			"kafka.properties.linger.ms: is not a number of milliseconds from 0 to 900000; write for example 5",
		},
		"franz": {ClientFranz, "linger.ms=5 debug=broker", ClientChoice{ClientFranz, "kafka.client is franz"}, ""},
		"franz, all that is wrong": {
			ClientFranz, "linger.ms=soon batch.num.messages=5 no.such.property=x",
			ClientChoice{},
			"kafka.properties.batch.num.messages: cannot be used with kafka.client: franz: franz-go bounds a batch by its bytes only; leave it out, or write kafka.client: auto or librdkafka\n" +
				"kafka.properties.linger.ms: is not a number of milliseconds from 0 to 900000; write for example 5\n" +
				"kafka.properties.no.such.property: cannot be used with kafka.client: franz: franz-go has no counterpart; leave it out, or write kafka.client: auto or librdkafka",
		},
		"nothing that both clients lack is shown as what one lacks": {
			ClientFranz, "security.protocol=sasl_ssl sasl.mechanism=GSSAPI sasl.kerberos.service.name=kafka linger.ms=soon",
			ClientChoice{},
			"kafka.properties.linger.ms: is not a number of milliseconds from 0 to 900000; write for example 5\n" +
				"kafka.properties.sasl.kerberos.service.name: has no effect: Kerberos (GSSAPI) is not built into the gateway; leave it out\n" +
				"kafka.properties.sasl.mechanism: Kerberos (GSSAPI) is not built into the gateway; " + otherLogin,
		},
		"librdkafka": {ClientLibrdkafka, "linger.ms=soon", ClientChoice{ClientLibrdkafka, "kafka.client is librdkafka"}, ""},
		"another":    {"sarama", "", ClientChoice{}, "the client that is configured is none of auto, franz and librdkafka"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ChooseClient(c.configured, Connection{Brokers: []string{"127.0.0.1:1"}, Properties: propertiesOf(c.properties)})
			if c.err != "" {
				require.EqualError(t, err, c.err)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, c.want, got)
		})
	}
}

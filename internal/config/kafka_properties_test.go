package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPropertiesThatPass(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"linger.ms": "5", "queue.buffering.max.ms": "5", "compression.type": "zstd", "compression.codec": "lz4",
		"compression.level": "3", "batch.num.messages": "1000", "message.copy.max.bytes": "0", "client.id": "gateway",
		"client.rack": "a", "client.dns.lookup": "use_all_dns_ips", "socket.timeout.ms": "60000", "socket.keepalive.enable": "true",
		"socket.connection.setup.timeout.ms": "5000", "connections.max.idle.ms": "0", "reconnect.backoff.ms": "100",
		"metadata.max.age.ms":        "900000",
		"metadata.recovery.strategy": "rebootstrap", "topic.metadata.refresh.interval.ms": "300000",
		"topic.metadata.propagation.max.ms": "30000", "topic.blacklist": "x", "broker.address.family": "v4",
		"receive.message.max.bytes": "1000", "sticky.partitioning.linger.ms": "10", "enable.metrics.push": "false",
		"security.protocol": "sasl_ssl", "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "u", "sasl.password": "p$(x)",
		"sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.client.secret": "s", "sasl.kerberos.principal": "gw/host@REALM",
		"ssl.ca.location": "/etc/ca.pem", "ssl.ca.pem": "-----BEGIN", "ssl.key.password": "p", "ssl.certificate.location": "c",
		"ssl.cipher.suites": "x", "https.ca.location": "x", "enable.ssl.certificate.verification": "true",
		"ssl.endpoint.identification.algorithm": "https", "debug": "broker", "log_level": "7", "log.connection.close": "false",
		"no.such.property": "librdkafka reports it",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Nil(t, refuseProperty(name, value))
		})
	}
}

func TestPropertiesThatAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		// By what they are for: consumers, callbacks, handles, the Go client, mocks.
		"group.id": "g", "fetch.min.bytes": "1", "auto.offset.reset": "latest", "isolation.level": "x", "enable.auto.commit": "false",
		"session.timeout.ms": "1", "offset.store.path": "x", "queued.min.messages": "1", "enable.partition.eof": "true",
		"dr_cb": "x", "dr_msg_cb": "x", "error_cb": "x", "stats_cb": "x", "oauthbearer_token_refresh_cb": "x", "partitioner_cb": "x",
		"background_event_cb": "x", "default_topic_conf": "x", "ssl_ca": "x", "ssl_engine_callback_data": "x", "msg_order_cmp": "x",
		"enabled_events": "1", "rebalance.callback": "x", "go.delivery.reports": "false", "go.anything": "x",
		"test.mock.num.brokers": "3", "ssl.engine.location": "x", "ssl.engine.id": "x", "": "x",
		// By their value.
		"enable.ssl.certificate.verification": "false", "ssl.endpoint.identification.algorithm": "none",
		"sasl.kerberos.principal": "$(reboot)", "sasl.kerberos.keytab": `a" -k; reboot "`,
		// Around the corner.
		"topic.acks": "1", "{topic}.acks": "1", "{topic}.compression.type": "lz4", "{topic}.topic.acks": "1",
		"topic.message.timeout.ms": "1", "topic.partitioner": "random", "topic.go.batch.producer": "true", "{topic}.": "x",
	}
	for name := range refusedProperties {
		cases[name] = "whatever"
	}
	for name, value := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := refuseProperty(name, value)
			require.NotNil(t, f)
			require.NotEmpty(t, f.problem)
			require.NotEmpty(t, f.fix)
			if len(value) > 3 {
				require.NotContains(t, f.problem+f.fix, value)
			}
		})
	}
}

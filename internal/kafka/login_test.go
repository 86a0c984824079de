package kafka

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What no client can log in with is said with its reason, whichever client is configured.
func TestLoginsThatCannotWork(t *testing.T) {
	t.Parallel()
	const (
		sasl = "security.protocol=sasl_plaintext "
		oidc = "sasl.oauthbearer.client.id=i sasl.oauthbearer.client.secret=s sasl.oauthbearer.token.endpoint.url=http://127.0.0.1:1 "
	)
	for properties, want := range map[string]string{ // name: part of the problem or the fix; "": nothing is wrong
		"":                      "",
		"security.protocol=ssl": "",
		sasl + "sasl.mechanisms=PLAIN sasl.username=u sasl.password=p":            "",
		sasl + "sasl.mechanisms=OAUTHBEARER sasl.oauthbearer.method=OIDC " + oidc: "",

		sasl:                                        "kafka.properties.security.protocol: asks for a login, and sasl.mechanisms is missing; its default is GSSAPI",
		sasl + "sasl.mechanisms=GSSAPI":             "kafka.properties.sasl.mechanisms: Kerberos (GSSAPI) is not built into the gateway",
		sasl + "sasl.mechanism=GSSAPI":              "kafka.properties.sasl.mechanism: Kerberos (GSSAPI) is not built into the gateway",
		"sasl.mechanisms=GSSAPI":                    "kafka.properties.sasl.mechanisms: Kerberos (GSSAPI)",
		"sasl.kerberos.principal=gw/host@REALM":     "kafka.properties.sasl.kerberos.principal: has no effect: Kerberos (GSSAPI) is not built into the gateway",
		sasl + "sasl.mechanisms=OAUTHBEARER":        "kafka.properties.sasl.mechanisms: without sasl.oauthbearer.method: oidc, a program has to make the tokens",
		sasl + "sasl.mechanism=OAUTHBEARER " + oidc: "on AWS MSK, use a secret of SASL/SCRAM",
		sasl + "sasl.mechanisms=OAUTHBEARER sasl.oauthbearer.method=default": "kafka.properties.sasl.oauthbearer.method: without sasl.oauthbearer.method: oidc",
		sasl + "sasl.mechanisms=AWS_MSK_IAM":                                 "kafka.properties.sasl.mechanisms: is the name that Java's library for AWS MSK has for IAM",
	} {
		for _, client := range []ClientName{ClientAuto, ClientFranz, ClientLibrdkafka} {
			t.Run(string(client)+" "+properties, func(t *testing.T) {
				t.Parallel()
				_, err := ChooseClient(client, Connection{Brokers: []string{"127.0.0.1:1"}, Properties: propertiesOf(properties)})
				if want == "" {
					require.NoError(t, err)
					return
				}
				require.ErrorContains(t, err, want)
			})
		}
	}
}

func TestCompressionOfProperties(t *testing.T) {
	t.Parallel()
	for properties, want := range map[string]string{
		"": "none", "compression.type=none": "none", "compression.type=lz4": "lz4", "compression.codec=ZSTD": "zstd", "topic.compression.type=snappy": "snappy",
		"compression.type=gzip topic.compression.type=inherit": "gzip", "topic.compression.type=inherit": "none", "compression.type=lz4 topic.compression.codec=gzip": "gzip",
	} {
		require.Equal(t, want, Connection{Properties: propertiesOf(properties)}.Compression(), properties)
	}
}

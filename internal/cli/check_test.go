package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
	"eventgateway/internal/schema"
)

// checkOf is `gateway check` of a file with this text. %DIR% stands for the
// file's folder in it, and in what is returned.
func checkOf(t *testing.T, yaml string, change func(*checker)) (text string, list []preflight.Finding, err error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "gateway.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(yaml, "%DIR%", dir)), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "broken", "orders.placed"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "broken", "orders.placed", "v1.json"), []byte("{\n"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "odd", "t"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "odd", "t", "v1.json"), []byte(`{"x-event":{"key":null},"requried":[]}`), 0o600))
	c := checker{
		now: time.Now, file: file, format: formatText, timeout: 5 * time.Second,
		kafka: func(context.Context, *config.Config, *schema.Set) []preflight.Finding { return nil },
	}
	if change != nil {
		change(&c)
	}
	list = c.findings(t.Context())
	var out bytes.Buffer
	err = c.report(list, &out)
	return strings.ReplaceAll(out.String(), dir, "%DIR%"), list, err
}

func TestCheckText(t *testing.T) {
	t.Parallel()
	const nowhere = "redis: {addresses: [\"127.0.0.1:1\"]}\nkafka: {brokers: [\"127.0.0.1:1\"]}\nschemas: {dir: ../../schemas}\n"
	const schemasOK = "schemas\n  ok       schemas.load ../../schemas: event types: 5, in 6 versions; topics: 5\n"
	const redisAway = "redis\n  ERROR    redis.address 127.0.0.1:1: nothing listens there (connection refused)\n" +
		"           do: start Redis, or correct redis.addresses\n"
	const some = ": some events will be refused, or the promise does not hold, until the errors are fixed\n"
	for name, c := range map[string]struct{ yaml, want, err string }{
		"no Redis": {
			"auth: none\nhttp: {listen: \"127.0.0.1:0\"}\n" + nowhere,
			"config\n  ok       config.file %DIR%/gateway.yaml: is valid\n\n" + schemasOK + "\n" + redisAway + "\n1 error, 0 warnings" + some,
			"1 error",
		},
		"subscriptions": {
			"auth: none\nhttp: {listen: \"127.0.0.1:0\"}\n" + nowhere +
				"subscriptions:\n  - {name: mail, types: [orders.place, orders.placed], url: \"https://mail.example.com\", start: latest}\n",
			"config\n  ok       config.file %DIR%/gateway.yaml: is valid\n\n" + schemasOK +
				"\nsubscriptions\n  ERROR    subscriptions.types mail: there is no event type orders.place: nothing of it is delivered\n" +
				"           do: did you mean orders.placed?\n\n" + redisAway + "\n2 errors, 0 warnings" + some,
			"2 errors",
		},
		"subscriptions to types that exist": {
			"auth: none\nhttp: {listen: \"127.0.0.1:0\"}\n" + nowhere +
				"subscriptions:\n  - {name: mail, types: [orders.placed], url: \"https://mail.example.com\", start: latest}\n",
			"config\n  ok       config.file %DIR%/gateway.yaml: is valid\n\n" + schemasOK +
				"\nsubscriptions\n  ok       subscriptions.types: subscriptions: 1; their event types exist\n\n" + redisAway + "\n1 error, 0 warnings" + some,
			"1 error",
		},
		"a configuration that is wrong elsewhere": {
			nowhere + "http: {body_limt: 1}\n",
			"config\n" +
				"  ERROR    config.value http.body_limt: is an unknown key (%DIR%/gateway.yaml:4)\n           do: did you mean body_limit?\n" +
				"  ERROR    config.value auth: a decision is needed: it has no default\n" +
				"           do: write auth: none to let everybody publish, or clients or jwt below auth: (docs/security.md); gateway keys new makes a key\n\n" +
				schemasOK + "\n" + redisAway + "\n3 errors, 0 warnings" + some,
			"3 errors",
		},
		"a configuration that does not say where": {
			"auth: none\nredis: {addresses: [nowhere], password: hunter2}\nidempotency: {lease: 1s}\nschemas: {folder: x}\n",
			"config\n" +
				"  ERROR    config.value schemas.folder: is an unknown key (%DIR%/gateway.yaml:4)\n           do: remove it; the keys here are dir, watch\n" +
				"  ERROR    config.value redis.addresses[0]: \"nowhere\" is not host:port (%DIR%/gateway.yaml:2)\n           do: write for example broker-1.example.com:9092, one address per item\n" +
				"  ERROR    config.value idempotency.lease: 1s is less than kafka.delivery_timeout (20s) plus 3s: a key could change hands while its record is on the way (%DIR%/gateway.yaml:3)\n           do: write at least 23s\n\n" +
				"schemas\n  warning  schemas.skipped: not looked at: schemas.folder is wrong in the configuration\n           do: fix the configuration, then check again\n\n" +
				"kafka\n  warning  kafka.skipped: not looked at: idempotency.lease is wrong in the configuration\n           do: fix the configuration, then check again\n\n" +
				"redis\n  warning  redis.skipped: not looked at: redis.addresses[0] is wrong in the configuration\n           do: fix the configuration, then check again\n\n" +
				"3 errors, 3 warnings" + some,
			"3 errors",
		},
		"properties that the client cannot use": {
			"auth: none\nredis: {addresses: [\"127.0.0.1:1\"]}\nschemas: {dir: ../../schemas}\n" +
				"kafka: {client: franz, properties: {linger.ms: soon, batch.num.messages: 5}}\n",
			"config\n" +
				"  ERROR    config.value kafka.properties.batch.num.messages: cannot be used with kafka.client: franz: franz-go bounds a batch by its bytes only (%DIR%/gateway.yaml:4)\n           do: leave it out, or write kafka.client: auto or librdkafka\n" +
				"  ERROR    config.value kafka.properties.linger.ms: is not a number of milliseconds from 0 to 900000 (%DIR%/gateway.yaml:4)\n           do: write for example 5\n\n" +
				schemasOK + "\n" +
				"kafka\n  warning  kafka.skipped: not looked at: kafka.properties.batch.num.messages is wrong in the configuration\n           do: fix the configuration, then check again\n\n" +
				redisAway + "\n3 errors, 1 warning" + some,
			"3 errors",
		},
		"no configuration": {
			"auth: [\n",
			"config\n  ERROR    config.value %DIR%/gateway.yaml: is not YAML: did not find expected node content (%DIR%/gateway.yaml:1)\n           do: look at indentation and quotes near that line\n\n" +
				"schemas\n  warning  schemas.skipped: not looked at: the configuration cannot be read\n           do: fix the configuration, then check again\n\n" +
				"kafka\n  warning  kafka.skipped: not looked at: the configuration cannot be read\n           do: fix the configuration, then check again\n\n" +
				"redis\n  warning  redis.skipped: not looked at: the configuration cannot be read\n           do: fix the configuration, then check again\n\n" +
				"1 error, 3 warnings" + some,
			"1 error",
		},
		"schemas that may not mean what they say": {
			"auth: none\nhttp: {listen: \"127.0.0.1:0\"}\nredis: {addresses: [\"127.0.0.1:1\"]}\nschemas: {dir: %DIR%/odd}\n",
			"config\n  ok       config.file %DIR%/gateway.yaml: is valid\n\n" +
				"schemas\n  ok       schemas.load %DIR%/odd: event types: 1, in 1 versions; topics: 1\n" +
				"  warning  schemas.warnings %DIR%/odd: schemas may not mean what they say: t/v1.json:1: /requried: is ignored: \"requried\" is not a keyword of JSON Schema; did you mean required?\n" +
				"           do: run gateway schemas check, which lists them\n\n" +
				redisAway + "\n1 error, 1 warning" + some,
			"1 error",
		},
		"schemas that are wrong": {
			"auth: none\nhttp: {listen: \"127.0.0.1:0\"}\nredis: {addresses: [\"127.0.0.1:1\"]}\nschemas: {dir: %DIR%/broken}\n",
			"config\n  ok       config.file %DIR%/gateway.yaml: is valid\n\n" +
				"schemas\n  ERROR    schemas.load orders.placed/v1.json:2: column 1: the data ends inside a JSON value\n" +
				"           do: correct the file: a gateway does not start with it, and one that runs keeps the types it has\n\n" +
				redisAway + "\n2 errors, 0 warnings" + some,
			"2 errors",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, _, err := checkOf(t, c.yaml, nil)
			require.Equal(t, c.want, text)
			require.EqualError(t, err, c.err)
		})
	}
}

func TestCheckReport(t *testing.T) {
	t.Parallel()
	list := []preflight.Finding{
		{Severity: preflight.OK, Check: "kafka.brokers", What: "3 brokers"},
		{Severity: preflight.Warning, Check: "kafka.topic.retention", Subject: "orders", What: "a\n long   story <&>", Do: "some\tthing"},
	}
	var out bytes.Buffer
	c := checker{format: formatText}
	require.NoError(t, c.report(list, &out))
	require.Equal(t, "kafka\n  ok       kafka.brokers: 3 brokers\n  warning  kafka.topic.retention orders: a long story <&>\n           do: some thing\n\n"+
		"1 warning: the gateway works, with less than it could have\n", out.String())
	out.Reset()
	require.NoError(t, c.report(list[:1], &out))
	require.Contains(t, out.String(), "\nall is as it should be\n")

	out.Reset()
	c.format = formatJSON
	require.NoError(t, c.report(list, &out))
	require.Contains(t, out.String(), "<&>")
	var got struct {
		Findings         []preflight.Finding
		Errors, Warnings int
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	require.Equal(t, list, got.Findings)
	require.Equal(t, 1, got.Warnings)
	out.Reset()
	require.NoError(t, c.report(nil, &out))
	require.JSONEq(t, `{"findings":[],"errors":0,"warnings":0}`, out.String())
}

// TestCheckKafka: Kafka's findings come before Redis' findings. The check gets its time
// limit and the event types.
func TestCheckKafka(t *testing.T) {
	t.Parallel()
	const yaml = "auth: none\nhttp: {listen: \"127.0.0.1:0\"}\nredis: {addresses: [\"127.0.0.1:1\"]}\nschemas: {dir: "
	found := preflight.Finding{Severity: preflight.OK, Check: "kafka.brokers", What: "3 brokers"}
	for _, c := range []struct {
		dir  string
		sets bool
	}{{"../../schemas", true}, {"%DIR%/none", false}} {
		_, list, err := checkOf(t, yaml+c.dir+"}\n", func(ch *checker) {
			ch.kafka = func(ctx context.Context, cfg *config.Config, set *schema.Set) []preflight.Finding {
				_, limited := ctx.Deadline()
				require.True(t, limited)
				require.NotNil(t, cfg)
				require.Equal(t, c.sets, len(set.Topics()) > 0)
				return []preflight.Finding{found}
			}
		})
		require.Error(t, err)
		require.Equal(t, found, list[2])
		require.Equal(t, "redis.address", list[3].Check)
	}
}

// TestCheckShowsNoSecrets: neither those of the configuration nor those of its variables.
func TestCheckShowsNoSecrets(t *testing.T) {
	t.Parallel()
	for _, yaml := range []string{
		"auth: none\nredis: {addresses: [\"127.0.0.1:1\"], username: u, password: hunter2}\nkafka: {properties: {sasl.password: hunter2}}\n",
		"auth: none\nredis: {addresses: [\"127.0.0.1:1\"], password: [hunter2]}\n",
		"auth: none\nredis: {addresses: [\"127.0.0.1:1\"], password: \"${SECRET}\", tls: {enabled: true, ca: \"${SECRET}\"}}\n",
		"auth: none\nredis: {addresses: [\"${SECRET}\"]}\n",
	} {
		for _, format := range []string{formatText, formatJSON} {
			text, _, err := checkOf(t, yaml, func(c *checker) {
				c.environ = []string{"SECRET=hunter2"}
				c.format = format
			})
			require.Error(t, err)
			if !strings.Contains(yaml, "ca:") { // a path is not a secret
				require.NotContains(t, text, "hunter2", yaml)
			}
		}
	}
}

// Settings that work with other clients, or with other services that speak Kafka's
// protocol, are explained.
func TestCheckExplainsDialects(t *testing.T) {
	t.Parallel()
	const rest = "auth: none\nredis: {addresses: [\"127.0.0.1:1\"]}\nschemas: {dir: ../../schemas}\n"
	for name, c := range map[string]struct {
		kafka string
		check string
		says  []string
	}{
		"AWS MSK with IAM": {
			"kafka: {properties: {security.protocol: sasl_ssl, sasl.mechanisms: OAUTHBEARER}}\n",
			"config.value",
			[]string{"sasl.oauthbearer.method: oidc", "MSK", "SCRAM-SHA-512"},
		},
		"Kerberos": {
			"kafka: {client: librdkafka, properties: {security.protocol: sasl_ssl, sasl.mechanism: GSSAPI}}\n",
			"config.value",
			[]string{"kafka.properties.sasl.mechanism", "Kerberos (GSSAPI) is not built into the gateway", "SCRAM-SHA-512"},
		},
		"Kerberos by default": {
			"kafka: {properties: {security.protocol: sasl_ssl, sasl.kerberos.service.name: kafka}}\n",
			"config.value",
			[]string{"sasl.kerberos.service.name", "security.protocol", "not built into the gateway"},
		},
		"Azure Event Hubs": {
			"kafka: {brokers: [\"shop.servicebus.windows.net:9093\"], properties: {compression.type: lz4}}\n",
			"kafka.compression",
			[]string{"Azure Event Hubs does not take records compressed with lz4", "compression.type: none"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, list, err := checkOf(t, rest+c.kafka, func(k *checker) {
				k.kafka = func(_ context.Context, cfg *config.Config, _ *schema.Set) []preflight.Finding {
					needs := preflight.KafkaNeeds{
						Bootstrap:   strings.Join(cfg.Kafka.Brokers, ","),
						Compression: kafka.Connection{Properties: cfg.Kafka.Properties}.Compression(),
					}
					return preflight.Kafka(preflight.KafkaFacts{Unreachable: &preflight.Unreachable{Obstacle: preflight.NoSuchHost, What: "no such host"}}, needs)
				}
			})
			require.Error(t, err)
			require.True(t, slices.ContainsFunc(list, func(f preflight.Finding) bool { return f.Check == c.check && f.Severity == preflight.Error }), text)
			for _, part := range c.says {
				require.Contains(t, text, part)
			}
		})
	}
}

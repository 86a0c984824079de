package config

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// loadText loads a file's text, for tests of what is valid.
func loadText(t *testing.T, text string, environ ...string) *Config {
	t.Helper()
	cfg, err := load("gateway.yaml", []byte(text), environ)
	require.NoError(t, err)
	return cfg
}

func TestLoadReadsEveryKey(t *testing.T) {
	t.Parallel()
	cfg := loadText(t, `
http: { listen: ":80", public_url: https://events.example.com, body_limit: 1MB, token_limit: 1000, in_flight_limit: 1GiB, read_timeout: 3s, idle_timeout: 620s, max_connections: 500, max_connections_per_address: 50, tls: { client_names: [uri, email] }, rates: { strangers: 3/m, webhooks: off }, hosts: [gateway.example], cors: { origins: ["https://a.example", "http://b.example:81", "capacitor://localhost"], headers: [X-Tenant-Id] }, trusted_proxies: ["10.0.0.0/8", "::1/128"] }
admin: { listen: "[::1]:9999", hosts: [metrics.example] }
auth: none
kafka:
  brokers: [ "a:1", "[::2]:2" ]
  client: librdkafka
  guarantee: transactional
  transactional_id_prefix: Orders_2.gw
  transaction_timeout: 6s
  delivery_timeout: 5s
  create_topics: { enabled: true, partitions: 1, replication: 1 }
  properties: { linger.ms: 0.5, client.id: gw, socket.keepalive.enable: True, sasl.password: 007 }
redis:
  addresses: [ "c:3", "d:4" ]
  master: main
  username: gw
  password: 0123
  tls: { enabled: true, ca: ca.pem, cert: c.pem, key: k.pem, server_name: redis.example.com }
schemas: { dir: types, watch: false }
idempotency: { ttl: 1h, lease: 8s, on_store_failure: publish, on_store_loss: publish }
lag: { include: ["orders-.*", billing], exclude: [".*-test"], interval: 30s, partitions: true, max_series: 500 }
log: { format: text, level: debug }
memory: { limit: 2GiB }
`)
	want := &Config{
		HTTP: HTTP{
			Listen: ":80", PublicURL: "https://events.example.com", BodyLimit: 1000000, TokenLimit: 1000, InFlightLimit: GiB, ReadTimeout: 3 * time.Second, IdleTimeout: 620 * time.Second, MaxConnections: 500, MaxConnectionsPerAddress: 50,
			TLS: HTTPTLS{ClientNames: []string{CertificateURI, CertificateEmail}}, Rates: HTTPRates{Strangers: Rate{3, time.Minute}}, Hosts: []string{"gateway.example"},
			CORS: HTTPCORS{Origins: []string{"https://a.example", "http://b.example:81", "capacitor://localhost"}, Headers: []string{"X-Tenant-Id"}}, TrustedProxies: []string{"10.0.0.0/8", "::1/128"},
		},
		Admin: Admin{Listen: "[::1]:9999", Hosts: []string{"metrics.example"}},
		Auth:  Auth{None: true},
		Kafka: Kafka{
			Brokers: []string{"a:1", "[::2]:2"}, Client: KafkaClientLibrdkafka, Guarantee: GuaranteeTransactional, DeliveryTimeout: 5 * time.Second,
			TransactionalIDPrefix: "Orders_2.gw", TransactionTimeout: 6 * time.Second,
			CreateTopics: CreateTopics{Enabled: true, Partitions: 1, Replication: 1},
			Properties:   Properties{"linger.ms": "0.5", "client.id": "gw", "socket.keepalive.enable": "true", "sasl.password": "007"},
		},
		Redis: Redis{
			Addresses: []string{"c:3", "d:4"}, Master: "main", Username: "gw", Password: "0123",
			TLS: RedisTLS{Enabled: true, CA: "ca.pem", Cert: "c.pem", Key: "k.pem", ServerName: "redis.example.com"},
		},
		Schemas:     Schemas{Dir: "types"},
		Idempotency: Idempotency{TTL: time.Hour, Lease: 8 * time.Second, OnStoreFailure: StoreFailurePublish, OnStoreLoss: StoreFailurePublish},
		Lag:         Lag{Include: []string{"orders-.*", "billing"}, Exclude: []string{".*-test"}, Interval: 30 * time.Second, Partitions: true, MaxSeries: 500},
		Log:         Log{Format: LogText, Level: LogDebug},
		Memory:      Memory{Limit: 2 * GiB},
		origins:     cfg.origins,
	}
	require.Equal(t, want, cfg)
}

func TestLoadPrecedence(t *testing.T) {
	t.Parallel()
	const file = "auth: none\nlog: { level: warn }\n"

	require.Equal(t, LogInfo, loadText(t, "auth: none").Log.Level, "default")
	require.Equal(t, LogWarn, loadText(t, file).Log.Level, "file over default")
	cfg := loadText(t, file, "GATEWAY_LOG_LEVEL=error")
	require.Equal(t, LogError, cfg.Log.Level, "environment over file")
	require.NoError(t, cfg.Set("log.level", "--log-level", "debug"))
	require.Equal(t, LogDebug, cfg.Log.Level, "flag over environment")
	require.NoError(t, cfg.Validate())
}

func TestLoadVariants(t *testing.T) {
	t.Parallel()
	base := func(change func(*Config)) *Config {
		cfg := Defaults()
		cfg.Auth = Auth{None: true}
		change(cfg)
		return cfg
	}
	for name, tc := range map[string]struct {
		text    string
		environ []string
		want    *Config
	}{
		"least": {"auth: none", nil, base(func(*Config) {})},
		"empty sections": {
			"auth: none\nhttp:\nkafka:\n  create_topics:\n  properties:\nredis: { tls: {} }", nil,
			base(func(*Config) {}),
		},
		"auth by variable": {
			"log: { level: info }",
			[]string{"GATEWAY_AUTH=none"},
			base(func(*Config) {}),
		},
		"lists by variable": {
			"auth: none",
			[]string{"GATEWAY_KAFKA_BROKERS=a:1, b:2", "GATEWAY_REDIS_ADDRESSES=c:3"},
			base(func(c *Config) { c.Kafka.Brokers, c.Redis.Addresses = []string{"a:1", "b:2"}, []string{"c:3"} }),
		},
		"list in one named variable": {
			`{ auth: none, kafka: { brokers: "${BROKERS}" } }`,
			[]string{"BROKERS=a:1,b:2"},
			base(func(c *Config) { c.Kafka.Brokers = []string{"a:1", "b:2"} }),
		},
		"every kind of value by variable": {
			"auth: none",
			[]string{
				"GATEWAY_KAFKA_CREATE_TOPICS_ENABLED=true", "GATEWAY_KAFKA_CREATE_TOPICS_PARTITIONS=6",
				"GATEWAY_HTTP_BODY_LIMIT=1MiB", "GATEWAY_IDEMPOTENCY_LEASE=1m", "GATEWAY_REDIS_PASSWORD=a,b: ${X}",
			},
			base(func(c *Config) {
				c.Kafka.CreateTopics.Enabled, c.Kafka.CreateTopics.Partitions = true, 6
				c.HTTP.BodyLimit, c.Idempotency.Lease, c.Redis.Password = MiB, time.Minute, "a,b: ${X}"
			}),
		},
		"the last of a repeated variable": {
			"auth: none",
			[]string{"GATEWAY_LOG_LEVEL=warn", "GATEWAY_LOG_LEVEL=error"},
			base(func(c *Config) { c.Log.Level = LogError }),
		},
		"variables of tests and of others": {
			"auth: none",
			[]string{"GATEWAY_TEST_KAFKA=x", "GATEWAYS=x", "PATH=x", "=x", "nothing"},
			base(func(*Config) {}),
		},
		"a variable fixes the file": {
			`{ auth: none, http: { listen: nowhere } }`,
			[]string{"GATEWAY_HTTP_LISTEN=:80"},
			base(func(c *Config) { c.HTTP.Listen = ":80" }),
		},
		"a value cannot change the structure": {
			`{ auth: none, redis: { password: "${SECRET}" } }`,
			[]string{"SECRET=x\" }\nadmin: { listen: \"0.0.0.0:1\" }\n# ${PATH} *a &b !c"},
			base(func(c *Config) {
				c.Redis.Password = "x\" }\nadmin: { listen: \"0.0.0.0:1\" }\n# ${PATH} *a &b !c"
			}),
		},
		"an empty secret by default": {
			`{ auth: none, redis: { password: "${SECRET:-}" } }`,
			[]string{"SECRET="},
			base(func(*Config) {}),
		},
		"listeners on the same free port": {
			`{ auth: none, http: { listen: "127.0.0.1:0" }, admin: { listen: "127.0.0.1:0" } }`, nil,
			base(func(c *Config) { c.HTTP.Listen, c.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0" }),
		},
		"listeners on different addresses": {
			`{ auth: none, http: { listen: "127.0.0.2:80" }, admin: { listen: "127.0.0.1:80" } }`, nil,
			base(func(c *Config) { c.HTTP.Listen, c.Admin.Listen = "127.0.0.2:80", "127.0.0.1:80" }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := loadText(t, tc.text, tc.environ...)
			tc.want.origins = cfg.origins
			require.Equal(t, tc.want, cfg)
		})
	}
}

func TestLoadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "gateway.yaml")

	_, err := Load(path, nil)
	require.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, os.WriteFile(path, []byte("auth: all\n"), 0o600))
	_, err = Load(path, nil)
	var errs Errors
	require.ErrorAs(t, err, &errs)
	require.Equal(t, path+":1", errs[0].Source)
	var one *Error
	require.ErrorAs(t, err, &one)
	require.Equal(t, "auth", one.Path)

	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("#", maxFileBytes+1)), 0o600))
	_, err = Load(path, nil)
	require.ErrorContains(t, err, "larger than 1MiB")

	cfg, err := Load("", []string{"GATEWAY_AUTH=none"})
	require.NoError(t, err)
	require.Equal(t, Auth{None: true}, cfg.Auth)
}

func TestSet(t *testing.T) {
	t.Parallel()
	cfg := loadText(t, `{ auth: none, kafka: { brokers: ["a:1", "b:1"] } }`)

	require.EqualError(t, cfg.Set("http.read_timeout", "--read-timeout", "soon"),
		`http.read_timeout: "soon" is not a duration; write a number with a unit, for example 500ms, 10s, 5m or 24h (--read-timeout)`)
	require.Error(t, cfg.Set("http.nothing", "--nothing", "1"))
	require.Error(t, cfg.Set("kafka.properties", "--property", "a=b"))
	require.NoError(t, cfg.Validate())

	require.NoError(t, cfg.Set("kafka.brokers", "--brokers", "a:1,b"))
	require.EqualError(t, cfg.Validate(),
		`kafka.brokers[1]: "b" is not host:port; write for example broker-1.example.com:9092, one address per item (--brokers)`)
}

func TestDefaultsNeedADecisionOnly(t *testing.T) {
	t.Parallel()
	cfg := Defaults()
	require.EqualError(t, cfg.Validate(), "auth: a decision is needed: it has no default; "+authFix)
	cfg.Auth = Auth{None: true}
	require.NoError(t, cfg.Validate())
}

func TestValidateWithoutOrigins(t *testing.T) {
	t.Parallel()
	var errs Errors
	require.ErrorAs(t, (&Config{}).Validate(), &errs)
	require.Greater(t, len(errs), 10)
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	for url, valid := range map[string]bool{
		"":                               true,
		"http://localhost:8080":          true,
		"https://example.com/events":     true,
		"https://[::1]:8080":             true,
		"example.com":                    false,
		"//example.com":                  false,
		"ftp://example.com":              false,
		"https://":                       false,
		"https://:8080":                  false,
		"https://example.com/":           false,
		"https://example.com?":           false,
		"https://example.com#":           false,
		"https://user:pass@example.com":  false,
		"https://example.com\n":          false,
		"javascript://example.com/%0aop": false,
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			problem, fix := checkPublicURL(url, "it")
			require.Equal(t, valid, problem == "")
			require.Equal(t, valid, fix == "")
		})
	}
}

func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 3 * maxErrors {
		fmt.Fprintf(&text, "key-%d: %s\n", i, strings.Repeat("x", 1000))
	}
	_, err := load("gateway.yaml", []byte(text.String()), nil)
	var errs Errors
	require.ErrorAs(t, err, &errs)
	require.Len(t, errs, maxErrors+1)
	// 200 unknown keys and the missing auth.
	require.Equal(t, "201 more errors are not shown", errs[maxErrors].Problem)
	require.Less(t, len(err.Error()), 64<<10)
}

func TestAliasBombIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9), ", "))
	}
	bomb += "auth: none\nkafka: { brokers: *z }\n"
	_, err := load("gateway.yaml", []byte(bomb), nil)
	require.ErrorContains(t, err, "kafka.brokers: "+aliasProblem)
}

func TestLogLevels(t *testing.T) {
	t.Parallel()
	for level, want := range map[LogLevel]slog.Level{
		LogDebug: slog.LevelDebug, LogInfo: slog.LevelInfo, LogWarn: slog.LevelWarn, LogError: slog.LevelError, "": slog.LevelInfo,
	} {
		require.Equal(t, want, level.Slog())
	}
}

// TestExamine: a report goes on with what could be read, if anything could.
func TestExamine(t *testing.T) {
	t.Parallel()
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "gateway.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	cfg, err := Examine(write("redis: {addresses: [\"redis:6379\"]}\nkafka: {delivery_timeout: soon}\n"), nil)
	var errs Errors
	require.ErrorAs(t, err, &errs)
	require.Len(t, errs, 2) // and auth
	require.Equal(t, []string{"redis:6379"}, cfg.Redis.Addresses)
	require.Equal(t, Defaults().Kafka.DeliveryTimeout, cfg.Kafka.DeliveryTimeout)

	cfg, err = Examine(write("auth: none\n"), nil)
	require.NoError(t, err)
	require.Equal(t, Auth{None: true}, cfg.Auth)

	for _, path := range []string{write("auth: [\n"), write(""), filepath.Join(t.TempDir(), "missing.yaml")} {
		cfg, err = Examine(path, nil)
		require.Error(t, err)
		require.Nil(t, cfg)
	}
}

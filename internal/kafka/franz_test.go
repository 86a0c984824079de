package kafka

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// franzClient builds a client of properties that franz-go can express. It connects to
// nothing.
func franzClient(t *testing.T, properties map[string]string) *kgo.Client {
	t.Helper()
	opts, missing, err := Connection{Brokers: []string{"127.0.0.1:1"}, Properties: properties}.FranzOptions()
	require.NoError(t, err)
	require.Empty(t, missing)
	client, err := kgo.NewClient(opts...)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func TestFranzDefaults(t *testing.T) {
	t.Parallel()
	client := franzClient(t, nil)
	for name, c := range map[string]struct{ option, want any }{
		"brokers":     {kgo.SeedBrokers, []string{"127.0.0.1:1"}},
		"client id":   {kgo.ClientID, "rdkafka"},
		"linger":      {kgo.ProducerLinger, time.Duration(0)},
		"compression": {kgo.ProducerBatchCompression, []kgo.CompressionCodec(nil)},
		"overhead":    {kgo.RequestTimeoutOverhead, time.Second},
		"idle":        {kgo.ConnIdleTimeout, 9 * time.Minute},
		"oldest":      {kgo.MetadataMaxAge, 30 * time.Second},
		"youngest":    {kgo.MetadataMinAge, 100 * time.Millisecond},
		"metrics":     {kgo.DisableClientMetrics, true},
		"mechanisms":  {kgo.SASL, 0},
	} {
		got := client.OptValue(c.option)
		if name == "mechanisms" {
			require.Empty(t, got)
			continue
		}
		require.Equal(t, c.want, got, name)
	}
	require.Equal(t, franzDialer{network: "tcp", timeout: 2 * time.Second, userTimeout: 3 * time.Second, keepAlive: true}, newTranslation(nil).dialer())
}

func TestFranzOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		properties string // name=value, several with spaces between
		option     any
		want       any
	}{
		{"client.id=gateway", kgo.ClientID, "gateway"},
		{"client.id=", kgo.ClientID, "rdkafka"},
		{"client.rack=a", kgo.Rack, "a"},
		{"linger.ms=5", kgo.ProducerLinger, 5 * time.Millisecond},
		{"linger.ms=0.5", kgo.ProducerLinger, 500 * time.Microsecond},
		{"queue.buffering.max.ms=7", kgo.ProducerLinger, 7 * time.Millisecond},
		{"linger.ms=7 queue.buffering.max.ms=7", kgo.ProducerLinger, 7 * time.Millisecond},
		{"compression.type=none", kgo.ProducerBatchCompression, []kgo.CompressionCodec(nil)},
		{"compression.type=gzip", kgo.ProducerBatchCompression, kgo.GzipCompression()},
		{"compression.type=gzip compression.level=12", kgo.ProducerBatchCompression, kgo.GzipCompression().WithLevel(9)},
		{"compression.codec=gzip compression.level=-1", kgo.ProducerBatchCompression, kgo.GzipCompression()},
		{"compression.codec=SNAPPY compression.level=3", kgo.ProducerBatchCompression, kgo.SnappyCompression()},
		{"topic.compression.codec=lz4", kgo.ProducerBatchCompression, kgo.Lz4Compression()},
		{"topic.compression.type=lz4 topic.compression.level=1", kgo.ProducerBatchCompression, kgo.Lz4Compression().WithLevel(1 << 9)},
		{"compression.type=lz4 compression.level=9", kgo.ProducerBatchCompression, kgo.Lz4Compression().WithLevel(1 << 17)},
		{"compression.type=lz4 compression.level=12", kgo.ProducerBatchCompression, kgo.Lz4Compression().WithLevel(1 << 17)},
		{"compression.type=lz4 compression.level=0", kgo.ProducerBatchCompression, kgo.Lz4Compression()},
		{"topic.compression.type=inherit", kgo.ProducerBatchCompression, []kgo.CompressionCodec(nil)},
		{"compression.type=gzip topic.compression.type=inherit", kgo.ProducerBatchCompression, kgo.GzipCompression()},
		{"compression.type=gzip topic.compression.type=lz4", kgo.ProducerBatchCompression, kgo.Lz4Compression()},
		{"socket.timeout.ms=3000", kgo.RequestTimeoutOverhead, 3 * time.Second},
		{"socket.timeout.ms=0xbb8", kgo.RequestTimeoutOverhead, 3 * time.Second},
		{"connections.max.idle.ms=60000", kgo.ConnIdleTimeout, time.Minute},
		{"connections.max.idle.ms=0", kgo.ConnIdleTimeout, 9 * time.Minute},
		{"metadata.max.age.ms=45000", kgo.MetadataMaxAge, 45 * time.Second},
		{"topic.metadata.refresh.interval.ms=60000", kgo.MetadataMaxAge, time.Minute},
		{"topic.metadata.refresh.interval.ms=60000 metadata.max.age.ms=45000", kgo.MetadataMaxAge, 45 * time.Second},
		{"topic.metadata.refresh.fast.interval.ms=250", kgo.MetadataMinAge, 250 * time.Millisecond},
		{"metadata.max.age.ms=50", kgo.MetadataMaxAge, 100 * time.Millisecond},
		{"receive.message.max.bytes=1000000", kgo.BrokerMaxReadBytes, int32(1000000)},
		{"enable.metrics.push=false", kgo.DisableClientMetrics, true},
	} {
		t.Run(c.properties, func(t *testing.T) {
			t.Parallel()
			got := franzClient(t, propertiesOf(c.properties)).OptValue(c.option)
			if codec, ok := c.want.(kgo.CompressionCodec); ok {
				c.want = []kgo.CompressionCodec{codec}
			}
			require.Equal(t, c.want, got)
		})
	}
}

func propertiesOf(text string) map[string]string {
	properties := map[string]string{}
	for pair := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(pair, "=")
		properties[name] = value
	}
	return properties
}

func TestFranzDialerOptions(t *testing.T) {
	t.Parallel()
	standard := newTranslation(nil).dialer()
	for properties, change := range map[string]func(*franzDialer){
		"socket.timeout.ms=5000":                   func(d *franzDialer) { d.userTimeout = 7 * time.Second },
		"socket.connection.setup.timeout.ms=4000":  func(d *franzDialer) { d.timeout = 4 * time.Second },
		"socket.keepalive.enable=false":            func(d *franzDialer) { d.keepAlive = false },
		"socket.nagle.disable=F":                   func(d *franzDialer) { d.delay = true },
		"socket.send.buffer.bytes=65536":           func(d *franzDialer) { d.sendBuffer = 65536 },
		"socket.receive.buffer.bytes=65536":        func(d *franzDialer) { d.receiveBuffer = 65536 },
		"broker.address.family=v4":                 func(d *franzDialer) { d.network = "tcp4" },
		"broker.address.family=V6":                 func(d *franzDialer) { d.network = "tcp6" },
		"broker.address.family=any":                func(*franzDialer) {},
		"security.protocol=plaintext":              func(*franzDialer) {},
		"security.protocol=plaintext ssl.ca.pem=x": func(*franzDialer) {},
	} {
		tr := newTranslation(propertiesOf(properties))
		want := standard
		change(&want)
		require.Equal(t, want, tr.dialer(), properties)
		require.Empty(t, tr.missing, properties)
		require.NoError(t, tr.err(), properties)
	}
}

// TestFranzHarmlessProperties: they do not make librdkafka the client.
func TestFranzHarmlessProperties(t *testing.T) {
	t.Parallel()
	properties := map[string]string{
		"socket.max.fails": "1", "topic.metadata.refresh.sparse": "true", "client.dns.lookup": "use_all_dns_ips",
		// Of protocols that are not spoken.
		"ssl.keystore.location": "x", "ssl.crl.location": "x", "ssl.ca.location": "/does/not/exist", "sasl.mechanisms": "GSSAPI",
		"sasl.kerberos.principal": "x", "sasl.oauthbearer.method": "default", "https.ca.location": "/does/not/exist",
	}
	for name, reason := range tuning {
		require.NotEmpty(t, reason)
		require.False(t, expressible[name], name)
		require.Empty(t, lacking[name], name)
		properties[name] = "1"
	}
	franzClient(t, properties)
}

// translated is what is missing and what is wrong, one line for each.
func translated(properties map[string]string) string {
	_, missing, err := Connection{Brokers: []string{"127.0.0.1:1"}, Properties: properties}.FranzOptions()
	var lines []string
	for _, m := range missing {
		lines = append(lines, "lacks "+m.Name+": "+m.Reason)
	}
	if err != nil {
		lines = append(lines, err.Error())
	}
	return strings.Join(lines, "\n")
}

func TestWhatFranzLacks(t *testing.T) {
	t.Parallel()
	const (
		saslOn = "security.protocol=sasl_plaintext "
		oauth  = saslOn + "sasl.mechanisms=OAUTHBEARER sasl.oauthbearer.token.endpoint.url=http://127.0.0.1:1 sasl.oauthbearer.client.id=i sasl.oauthbearer.client.secret=s "
	)
	for properties, want := range map[string]string{
		"no.such.property=x":                                         "lacks no.such.property: franz-go has no counterpart",
		"topic.linger.ms=5":                                          "lacks topic.linger.ms: franz-go has no counterpart",
		"batch.num.messages=10 reconnect.backoff.ms=1":               "lacks batch.num.messages: franz-go bounds a batch by its bytes only\nlacks reconnect.backoff.ms: franz-go has one pause before every retry, and the gateway sets it",
		"linger.ms=60001":                                            "lacks linger.ms: franz-go takes at most 1m0s",
		"socket.timeout.ms=99":                                       "lacks socket.timeout.ms: franz-go takes at least 100ms",
		"socket.max.fails=0":                                         "lacks socket.max.fails: franz-go always closes a connection at its first timeout",
		"connections.max.idle.ms=900001":                             "lacks connections.max.idle.ms: franz-go takes at most 15m0s",
		"metadata.max.age.ms=3600001":                                "lacks metadata.max.age.ms: franz-go takes at most 1h0m0s",
		"topic.metadata.refresh.interval.ms=-1":                      "lacks topic.metadata.refresh.interval.ms: franz-go always asks again",
		"topic.metadata.refresh.fast.interval.ms=1":                  "lacks topic.metadata.refresh.fast.interval.ms: franz-go takes at least 10ms",
		"topic.metadata.refresh.sparse=false":                        "lacks topic.metadata.refresh.sparse: franz-go asks for the topics that are written only",
		"receive.message.max.bytes=1000":                             "lacks receive.message.max.bytes: franz-go takes 1024 to 1073741824",
		"enable.metrics.push=true":                                   "lacks enable.metrics.push: a client of franz-go that is given up must end at once, and pushing metrics delays that",
		"client.dns.lookup=resolve_canonical_bootstrap_servers_only": "lacks client.dns.lookup: franz-go uses the names as they are given",

		saslOn: "lacks sasl.mechanisms: is not given, and its default is GSSAPI, which franz-go does not have here",
		saslOn + "sasl.mechanism=GSSAPI sasl.kerberos.keytab=x":                                                        "lacks sasl.mechanism: franz-go does not have GSSAPI here",
		saslOn + "sasl.mechanism=OAUTHBEARER":                                                                          "lacks sasl.oauthbearer.method: is not oidc; the other method needs a program that gives tokens",
		oauth + "sasl.oauthbearer.method=oidc sasl.oauthbearer.grant.type=urn:ietf:params:oauth:grant-type:jwt-bearer": "lacks sasl.oauthbearer.grant.type: with franz-go, tokens are asked for with client credentials only",
		oauth + "sasl.oauthbearer.method=oidc sasl.oauthbearer.metadata.authentication.type=azure_imds":                "lacks sasl.oauthbearer.metadata.authentication.type: with franz-go, tokens are asked for with client credentials only",
		oauth + "sasl.oauthbearer.method=oidc sasl.oauthbearer.assertion.file=x":                                       "lacks sasl.oauthbearer.assertion.file: franz-go has no counterpart",

		"security.protocol=ssl ssl.keystore.location=x":                       "lacks ssl.keystore.location: Go's standard library does not read PKCS#12; give the certificate and the key as PEM",
		"security.protocol=ssl ssl.crl.location=x ssl.sigalgs.list=x":         "lacks ssl.crl.location: Go's TLS does not look into revocation lists\nlacks ssl.sigalgs.list: Go's TLS chooses signature algorithms itself",
		"security.protocol=ssl ssl.cipher.suites=HIGH:!aNULL":                 "lacks ssl.cipher.suites: Go's TLS does not have all that it names",
		"security.protocol=ssl ssl.curves.list=X25519:X448":                   "lacks ssl.curves.list: Go's TLS does not have all that it names",
		"security.protocol=ssl ssl.endpoint.identification.algorithm=https":   "",
		"security.protocol=ssl ssl.cipher.suites=ECDHE-RSA-AES128-GCM-SHA256": "",
		"security.protocol=ssl ssl.curves.list=X25519:P-256":                  "",
		"security.protocol=ssl ssl.ca.location=probe":                         "",
		"security.protocol=ssl enable.ssl.certificate.verification=true":      "",
	} {
		t.Run(properties, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, translated(propertiesOf(properties)))
		})
	}
}

func TestPropertiesThatNoClientCanUse(t *testing.T) {
	t.Parallel()
	for properties, want := range map[string]string{
		"linger.ms=soon": "kafka.properties.linger.ms: is not a number of milliseconds from 0 to 900000; write for example 5",
		"socket.timeout.ms=9 socket.nagle.disable=yes queue.buffering.max.ms=-1": "kafka.properties.queue.buffering.max.ms: is not a number of milliseconds from 0 to 900000; write for example 5\n" +
			"kafka.properties.socket.nagle.disable: is neither true nor false; write true or false\n" +
			"kafka.properties.socket.timeout.ms: is not a whole number from 10 to 300000; write such a number",
		"linger.ms=1 queue.buffering.max.ms=2":                           "kafka.properties.queue.buffering.max.ms: is another name of linger.ms, with another value; keep one of them",
		"topic.metadata.refresh.interval.ms=x":                           "kafka.properties.topic.metadata.refresh.interval.ms: is not a whole number from -1 to 3600000; write such a number",
		"compression.type=inherit":                                       "kafka.properties.compression.type: is not one of its values; write one of none, gzip, snappy, lz4, zstd",
		"compression.level=13":                                           "kafka.properties.compression.level: is not a whole number from -1 to 12; write such a number",
		"security.protocol=tls":                                          "kafka.properties.security.protocol: is not one of its values; write one of plaintext, ssl, sasl_plaintext, sasl_ssl",
		"security.protocol=sasl_ssl sasl.mechanism=plain":                "kafka.properties.sasl.mechanism: is not a mechanism that is known here; write PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
		"security.protocol=sasl_ssl sasl.mechanism=PLAIN sasl.username=": "kafka.properties.sasl.password: is missing, and PLAIN needs it; give sasl.username and sasl.password\nkafka.properties.sasl.username: is missing, and PLAIN needs it; give sasl.username and sasl.password",
		"security.protocol=sasl_ssl sasl.mechanism=OAUTHBEARER sasl.oauthbearer.method=oidc sasl.oauthbearer.token.endpoint.url=login.example.com sasl.oauthbearer.extensions=x https.ca.pem=x https.ca.location=/does/not/exist": "kafka.properties.https.ca.location: cannot be read: no such file or directory; name a PEM file that the gateway may read\n" +
			"kafka.properties.https.ca.pem: is given together with https.ca.location; keep one of them\n" +
			"kafka.properties.https.ca.pem: has no certificate in PEM form; write what the file of the authority has, with its line breaks\n" +
			"kafka.properties.sasl.oauthbearer.client.id: is missing, and sasl.oauthbearer.method: oidc needs it; give it a value\n" +
			"kafka.properties.sasl.oauthbearer.client.secret: is missing, and sasl.oauthbearer.method: oidc needs it; give it a value\n" +
			"kafka.properties.sasl.oauthbearer.extensions: is not a list of name=value pairs with names of letters; write for example logicalCluster=lkc-1,identityPoolId=pool-2\n" +
			"kafka.properties.sasl.oauthbearer.token.endpoint.url: is not an http or https URL without a user; write for example https://login.example.com/oauth2/token",
		"security.protocol=ssl ssl.ca.location=/does/not/exist":            "kafka.properties.ssl.ca.location: cannot be read: no such file or directory; name a PEM file that the gateway may read",
		"security.protocol=ssl ssl.ca.pem=hunter2":                         "kafka.properties.ssl.ca.pem: has no certificate in PEM form; write what the file of the authority has, with its line breaks",
		"security.protocol=ssl ssl.key.pem=hunter2":                        "kafka.properties.ssl.key.pem: is given without its certificate; give ssl.certificate.location too",
		"security.protocol=ssl ssl.certificate.pem=hunter2":                "kafka.properties.ssl.certificate.pem: is given without its key; give ssl.key.location too",
		"security.protocol=ssl ssl.certificate.pem=x ssl.key.pem=hunter2":  "kafka.properties.ssl.key.pem: has no key in PEM form; name a PEM file that the gateway may read",
		"security.protocol=ssl enable.ssl.certificate.verification=false":  "kafka.properties.enable.ssl.certificate.verification: must stay true: anybody could be the broker; leave it out",
		"security.protocol=ssl ssl.endpoint.identification.algorithm=none": "kafka.properties.ssl.endpoint.identification.algorithm: must stay https: any holder of a certificate could be the broker; leave it out",
	} {
		t.Run(properties, func(t *testing.T) {
			t.Parallel()
			got := translated(propertiesOf(properties))
			require.Equal(t, want, got)
			require.NotContains(t, got, "hunter2")
		})
	}
}

// TestValuesAsLibrdkafkaReadsThem: what the one client refuses, the other one does.
func TestValuesAsLibrdkafkaReadsThem(t *testing.T) {
	t.Parallel()
	values := map[string][]string{
		"linger.ms":                               {"0", "0.5", " 5 ", "900000", "900001", "-1", "x", ""},
		"socket.timeout.ms":                       {"1000", "0x3e8", "9", "300001", "", "x"},
		"socket.connection.setup.timeout.ms":      {"1000", "999"},
		"socket.nagle.disable":                    {"true", "TRUE", "t", "1", "false", "f", "0", "yes", ""},
		"socket.max.fails":                        {"1", "-1"},
		"connections.max.idle.ms":                 {"1000", "-1"},
		"compression.type":                        {"none", "GZIP", " lz4", "snappy", "inherit", "brotli", ""},
		"topic.compression.type":                  {"inherit", "lz4", "brotli"},
		"compression.level":                       {"-1", "12", "13", "-2"},
		"broker.address.family":                   {"any", "V4", "v6", "v5"},
		"client.id":                               {"", "x"},
		"client.dns.lookup":                       {"use_all_dns_ips", "other"},
		"receive.message.max.bytes":               {"1000000000", "999"},
		"metadata.max.age.ms":                     {"1", "0", "86400001"},
		"topic.metadata.refresh.interval.ms":      {"1000", "3600001", "-2"},
		"topic.metadata.refresh.fast.interval.ms": {"60000", "60001", "0"},
		"security.protocol":                       {"Plaintext", "ssl", "tls"},
		"enable.metrics.push":                     {"false", "no"},
	}
	for name, list := range values {
		for _, value := range list {
			t.Run(name+"="+value, func(t *testing.T) {
				t.Parallel()
				c := Connection{Brokers: []string{"127.0.0.1:1"}, Properties: map[string]string{name: value}}
				required := librdkafka.ConfigMap{"log_level": 0}
				if name == "receive.message.max.bytes" {
					required["fetch.max.bytes"] = 1000 // librdkafka's own default is larger
				}
				settings := c.Settings(nil, required)
				p, wanted := librdkafka.NewProducer(&settings)
				if wanted == nil {
					p.Close()
				}
				_, _, err := c.FranzOptions()
				require.Equal(t, wanted == nil, err == nil, "librdkafka: %v; franz-go: %v", wanted, err)
			})
		}
	}
}

// TestTablesOfProperties: each name is in one table, and is its plain one.
func TestTablesOfProperties(t *testing.T) {
	t.Parallel()
	names := slices.Concat(slices.Collect(maps.Keys(expressible)), slices.Collect(maps.Keys(tuning)), slices.Collect(maps.Keys(lacking)))
	slices.Sort(names)
	require.Equal(t, slices.Compact(slices.Clone(names)), names)
	for _, name := range names {
		require.NotContains(t, aliases, name)
	}
}

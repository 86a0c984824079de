package publish

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
)

// localhostListener is one whose address has a name: kfake advertises what it says.
type localhostListener struct{ net.Listener }

type localhostAddr struct{ net.Addr }

func (l localhostListener) Addr() net.Addr { return localhostAddr{l.Listener.Addr()} }

func (a localhostAddr) String() string {
	_, port, _ := net.SplitHostPort(a.Addr.String())
	return net.JoinHostPort("localhost", port)
}

// secureKafka is how brokers at localhost speak TLS. Their certificate is its own
// authority and has that name as common name.
type secureKafka struct {
	names []string // subject alternative names
	old   bool     // only a cipher without forward secrecy, which Go does not offer
}

func (s secureKafka) start(t *testing.T) (cluster *kfake.Cluster, authority string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: s.names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	if s.old {
		config.MaxVersion, config.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_256_GCM_SHA384}
	}
	cluster = startKafka(t, kfake.NumBrokers(2), kfake.SeedTopics(20, "orders"), kfake.TLS(config), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		return localhostListener{l}, err
	}))
	return cluster, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// clientFindings are those about the client that writes.
func clientFindings(t *testing.T, cfg Config) []preflight.Finding {
	t.Helper()
	cfg.DeliveryTimeout = 10 * time.Second
	needs := preflight.KafkaNeeds{Bootstrap: strings.Join(cfg.Brokers, ","), Topics: []preflight.TopicNeeds{{Name: "orders"}}, KeyWindow: time.Hour}
	all := preflight.Kafka(Inspect(t.Context(), cfg, []string{"orders"}), needs)
	require.Equal(t, "kafka.reach", all[0].Check)
	require.Equal(t, preflight.OK, all[0].Severity, "librdkafka reaches it: %v", all[0])
	var found []preflight.Finding
	for _, f := range all {
		if strings.HasPrefix(f.Check, "kafka.client") {
			found = append(found, f)
		}
	}
	return found
}

// TestInspectReachesBrokersWithFranz: OpenSSL takes a certificate that has the broker's
// name as its common name only, and old ciphers; Go does not.
func TestInspectReachesBrokersWithFranz(t *testing.T) {
	t.Parallel()
	named := secureKafka{names: []string{"localhost"}}
	const (
		franz   = "ok kafka.client: franz-go writes the records: franz-go can express all of kafka.properties"
		missing = "error kafka.client.reach: librdkafka reaches these brokers and franz-go, which writes, does not, so events get 504: "
		waits   = " kafka.client.wait: broker " // ok, unless the machine is very busy
	)
	for name, c := range map[string]struct {
		kafka    secureKafka
		client   kafka.ClientName
		property string
		want     []string // in the findings
		cause    string   // in the last of them
	}{
		"subject alternative name":     {named, kafka.ClientAuto, "", []string{franz, "ok kafka.client.reach: franz-go reaches 2 brokers"}, ""},
		"common name only":             {secureKafka{}, kafka.ClientAuto, "", []string{franz, missing}, "certificate relies on legacy Common Name field"},
		"old cipher":                   {secureKafka{names: named.names, old: true}, kafka.ClientAuto, "", []string{franz, missing}, "handshake failure"},
		"common name only, librdkafka": {secureKafka{}, kafka.ClientLibrdkafka, "", []string{"ok kafka.client: librdkafka writes the records: kafka.client is librdkafka", waits}, ""},
		"common name only, a property of librdkafka": {secureKafka{}, kafka.ClientAuto, "batch.num.messages", []string{
			"ok kafka.client: librdkafka writes the records: kafka.properties.batch.num.messages: ", waits,
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster, authority := c.kafka.start(t)
			properties := map[string]string{"security.protocol": "ssl", "ssl.ca.pem": authority}
			if c.property != "" {
				properties[c.property] = "5000"
			}
			found := clientFindings(t, Config{Brokers: cluster.ListenAddrs()[:1], Properties: properties, Client: c.client})
			require.Len(t, found, len(c.want), found)
			for i, f := range found {
				require.Contains(t, fmt.Sprintf("%s %s: %s", f.Severity, f.Check, f.What), c.want[i])
			}
			if last := found[len(found)-1]; c.cause != "" {
				require.Equal(t, strings.Join(cluster.ListenAddrs(), ", "), last.Subject)
				require.Contains(t, last.What, c.cause)
				require.Contains(t, last.Do, "subject alternative name")
				require.Contains(t, last.Do, "kafka.client: librdkafka")
			}
		})
	}
}

// farListener is one whose connections answer late.
type farListener struct {
	net.Listener
	delay time.Duration
}

type farConn struct {
	net.Conn
	delay time.Duration
}

func (l farListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return farConn{conn, l.delay}, err
}

func (c farConn) Write(b []byte) (int, error) {
	backoff.Sleep(context.Background(), c.delay)
	return c.Conn.Write(b)
}

// TestInspectMeasuresTheRoundTrip: 20 partitions on a broker that takes 10 ms.
func TestInspectMeasuresTheRoundTrip(t *testing.T) {
	t.Parallel()
	const delay = 10 * time.Millisecond
	cluster := startKafka(t, kfake.SeedTopics(20, "orders"), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		return farListener{l, delay}, err
	}))
	cfg := Config{Brokers: cluster.ListenAddrs(), Client: kafka.ClientLibrdkafka, DeliveryTimeout: 10 * time.Second}
	facts := Inspect(t.Context(), cfg, []string{"missing", "orders"})
	require.GreaterOrEqual(t, facts.Client.RoundTrip, delay)
	require.Less(t, facts.Client.RoundTrip, time.Second)
	found := clientFindings(t, cfg)
	require.Len(t, found, 2)
	require.Equal(t, preflight.Warning, found[1].Severity, found)
	require.Contains(t, found[1].What, "leads 20 partitions and answers in ")

	require.Zero(t, Inspect(t.Context(), cfg, []string{"missing"}).Client.RoundTrip, "there is no topic to ask for")
	cfg.Transactional, cfg.TransactionalIDPrefix, cfg.TransactionTimeout = true, "test", 10*time.Second
	require.Zero(t, Inspect(t.Context(), cfg, []string{"orders"}).Client.RoundTrip, "transactions write many partitions at once")
}

// TestFranzReachesOneBootstrapAddress: an address in the configuration that nobody
// listens at is no problem as long as another one leads to the brokers.
func TestFranzReachesOneBootstrapAddress(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := l.Addr().String()
	require.NoError(t, l.Close())
	in := &inspector{cfg: Config{Brokers: []string{nobody, cluster.ListenAddrs()[0]}}}
	brokers := []preflight.BrokerFacts{{ID: 0, Address: cluster.ListenAddrs()[0]}, {ID: 1, Address: nobody, Unreachable: "librdkafka does not reach it either"}}
	var facts preflight.ClientFacts
	in.reachWithFranz(t.Context(), brokers, &facts)
	require.Equal(t, preflight.ClientFacts{Reached: 1}, facts)

	in.cfg.Brokers, facts = []string{nobody}, preflight.ClientFacts{}
	in.reachWithFranz(t.Context(), brokers, &facts)
	require.Equal(t, 1, facts.Reached)
	require.Len(t, facts.Failures, 1, "franz-go finds no broker")
	require.Equal(t, nobody, facts.Failures[0].Address)
	require.Equal(t, preflight.NoConnection, facts.Failures[0].Obstacle)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	facts = preflight.ClientFacts{}
	in.reachWithFranz(over, brokers, &facts)
	require.Equal(t, preflight.ClientFacts{Unasked: 2}, facts, "nothing is said of what was not asked")
}

func TestFranzObstacle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want preflight.Obstacle
	}{
		"handshake":         {&kafka.TLSError{Err: x509.HostnameError{Certificate: new(x509.Certificate)}}, preflight.NoTLS},
		"alert":             {&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, preflight.NoTLS},
		"slow handshake":    {&kafka.TLSError{Err: context.DeadlineExceeded}, preflight.NoAnswer},
		"password":          {kerr.SaslAuthenticationFailed, preflight.NoLogin},
		"mechanism":         {kerr.UnsupportedSaslMechanism, preflight.NoLogin},
		"another refusal":   {kerr.UnsupportedVersion, preflight.NoConnection},
		"deadline":          {context.DeadlineExceeded, preflight.NoAnswer},
		"canceled":          {context.Canceled, preflight.NoAnswer},
		"socket's deadline": {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, preflight.NoAnswer},
		"refused":           {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, preflight.NoConnection},
	} {
		require.Equal(t, c.want, franzObstacle(fmt.Errorf("unable to dial: %w", c.err)), name)
	}
}

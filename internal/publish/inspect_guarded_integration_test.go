//go:build integration

package publish

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"eventgateway/internal/preflight"
	"eventgateway/test/services"
)

// guarded is a broker that lets users do what ACLs say. Its plain listener,
// without users, may do everything.
type guarded struct {
	plain, login, secure, elsewhere string // host:port of its listeners
	through                         *interceptor
}

// startGuarded starts a broker with an authorizer and five listeners: one for
// the test, one with passwords, one with a certificate that nobody trusts, one
// that advertises an address where nobody is, and one behind an interceptor.
func startGuarded(t *testing.T) guarded {
	t.Helper()
	var ports [6]int
	for i := range ports {
		var err error
		ports[i], err = services.FreePort()
		require.NoError(t, err)
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	g := guarded{plain: at(0), login: at(2), secure: at(3), elsewhere: at(4), through: intercept(t, at(5))}
	dir := t.TempDir()
	login := "org.apache.kafka.common.security.plain.PlainLoginModule required"
	for _, user := range guardedUsers {
		login += fmt.Sprintf(" user_%s=%q", user, guardedPassword)
	}
	k, err := services.StartKafka(t.Context(), services.KafkaConfig{
		Dir: dir, Port: ports[0], ControllerPort: ports[1], JVMArgs: []string{"-Xms192m", "-Xmx256m"},
		Properties: map[string]string{
			"listeners":                                  fmt.Sprintf("PLAINTEXT://%s,CONTROLLER://%s,LOGIN://%s,SECURE://%s,ELSEWHERE://%s,THROUGH://%s", at(0), at(1), at(2), at(3), at(4), at(5)),
			"advertised.listeners":                       fmt.Sprintf("PLAINTEXT://%s,LOGIN://%s,SECURE://%s,ELSEWHERE://127.0.0.1:1,THROUGH://%s", at(0), at(2), at(3), g.through.addr),
			"listener.security.protocol.map":             "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,SECURE:SSL,ELSEWHERE:PLAINTEXT,THROUGH:PLAINTEXT",
			"authorizer.class.name":                      "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"super.users":                                "User:ANONYMOUS",
			"allow.everyone.if.no.acl.found":             "false",
			"sasl.enabled.mechanisms":                    "PLAIN",
			"listener.name.login.plain.sasl.jaas.config": login + ";",
			"listener.name.secure.ssl.keystore.type":     "PEM",
			"listener.name.secure.ssl.keystore.location": untrusted(t),
			"transaction.max.timeout.ms":                 "60000",
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Kill()) })
	return g
}

// The users of the guarded broker are named after what they may do.
var guardedUsers = []string{"nothing", "everything", "describe", "write"}

const guardedPassword = "correct"

func (g guarded) as(user string) Config {
	return Config{Brokers: []string{g.login}, Properties: map[string]string{
		"security.protocol": "sasl_plaintext", "sasl.mechanisms": "PLAIN", "sasl.username": user, "sasl.password": guardedPassword,
	}}
}

// allow gives a user permissions, as kafka-acls.sh would.
func (g guarded) allow(t *testing.T, user string, on func(*kadm.ACLBuilder) *kadm.ACLBuilder, operations ...kadm.ACLOperation) {
	t.Helper()
	b := on(kadm.NewACLs()).Allow("User:" + user).AllowHosts().Operations(operations...)
	realAdmin(t, []string{g.plain}, func(ctx context.Context, adm *kadm.Client) error {
		results, err := adm.CreateACLs(ctx, b)
		for _, r := range results {
			if err == nil {
				err = r.Err
			}
		}
		return err
	})
}

func onTopics(names ...string) func(*kadm.ACLBuilder) *kadm.ACLBuilder {
	return func(b *kadm.ACLBuilder) *kadm.ACLBuilder {
		return b.Topics(names...).ResourcePatternType(kadm.ACLPatternLiteral)
	}
}

func onCluster(b *kadm.ACLBuilder) *kadm.ACLBuilder {
	return b.Clusters().ResourcePatternType(kadm.ACLPatternLiteral)
}

// untrusted writes a key and a certificate that it has signed itself.
func untrusted(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "broker.pem")
	content := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// connectionClosed is what librdkafka says of a broker that closes the connection, as the
// socket tells first.
const connectionClosed = "Disconnected|Broken pipe|Connection reset by peer"

func TestInspectFindsWhatIsNotAllowed(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	topic := makeTopics(t, []string{g.plain}, map[string]made{"guarded": {partitions: 2, replicas: 1}})["guarded"]
	missing := "test-inspect-" + uuid.NewString()
	g.allow(t, "everything", onTopics("*"), kadm.OpWrite, kadm.OpRead, kadm.OpDescribeConfigs, kadm.OpCreate)
	g.allow(t, "everything", onCluster, kadm.OpDescribeConfigs)
	for _, user := range []string{"everything", "write"} {
		g.allow(t, user, func(b *kadm.ACLBuilder) *kadm.ACLBuilder {
			return b.TransactionalIDs("gw-").ResourcePatternType(kadm.ACLPatternPrefixed)
		}, kadm.OpWrite)
	}
	g.allow(t, "describe", onTopics("*"), kadm.OpDescribe)
	g.allow(t, "write", onTopics("*"), kadm.OpWrite)
	require.Eventually(t, func() bool { // the broker has heard of the last of them
		facts := Inspect(t.Context(), g.as("write"), []string{topic})
		return len(facts.Topics) == 1 && facts.Topics[0].Allowed[preflight.Write]
	}, patience, tick)
	create := TopicCreation{Enabled: true, Partitions: 1, Replication: 1}
	needs := preflight.KafkaNeeds{Topics: needing(topic), KeyWindow: day}
	needsMissing := preflight.KafkaNeeds{Topics: needing(missing), KeyWindow: day}
	transactional := func(cfg Config) Config {
		cfg.Transactional, cfg.TransactionalIDPrefix, cfg.CreateTopics = true, "gw", create
		cfg.Registered, cfg.RememberTopics = true, true
		return cfg
	}

	t.Run("all that a gateway needs", func(t *testing.T) {
		t.Parallel()
		found := inspected(t, transactional(g.as("everything")), needs)
		requireFinding(t, found, preflight.OK, "kafka.topic.permissions", topic, "may write and read")
		requireFinding(t, found, preflight.OK, "kafka.transactions", "gw-check", "initialised")
		requireFinding(t, found, preflight.OK, "kafka.registry", "gw-incarnations", "will create it")
		requireFinding(t, found, preflight.OK, "kafka.gateways", "gw-gateways", "will create it")
		requireFinding(t, found, preflight.OK, "kafka.topic-notes", "gw-topics", "will create it")
		for _, f := range found {
			require.True(t, f.Severity == preflight.OK || f.Check == "kafka.topic.replication", f)
		}
	})
	t.Run("may not see the topic", func(t *testing.T) {
		t.Parallel()
		found := inspected(t, transactional(g.as("nothing")), needs)
		requireFinding(t, found, preflight.Error, "kafka.topic.exists", topic, "may not see the topic")
		requireFinding(t, found, preflight.Error, "kafka.registry", "gw-incarnations", "may not see the topic")
		requireFinding(t, found, preflight.Error, "kafka.gateways", "gw-gateways", "may not see the topic")
		requireFinding(t, found, preflight.Warning, "kafka.topic-notes", "gw-topics", "may not see the topic")
		requireFinding(t, found, preflight.Error, "kafka.producer", "", "refuses this user an idempotent producer")
		requireFinding(t, found, preflight.Error, "kafka.transactions", "gw-check", "may not use transactional ids")
		requireFinding(t, found, preflight.Warning, "kafka.broker.settings", "", "do not tell this user their settings")
	})
	t.Run("may only see the topic", func(t *testing.T) {
		t.Parallel()
		found := inspected(t, transactional(g.as("describe")), needs)
		requireFinding(t, found, preflight.Error, "kafka.topic.permissions", topic, "may not write")
		requireFinding(t, found, preflight.Error, "kafka.topic.permissions", topic, "may not read")
		requireFinding(t, found, preflight.Warning, "kafka.topic.settings", topic, "not checked")
		requireFinding(t, found, preflight.OK, "kafka.topic.in-sync", topic, "in sync")
		requireFinding(t, found, preflight.Error, "kafka.registry", "gw-incarnations", "the gateway cannot create it")
		requireFinding(t, found, preflight.Error, "kafka.gateways", "gw-gateways", "the gateway cannot create it")
	})
	t.Run("may only write", func(t *testing.T) {
		t.Parallel()
		cfg := g.as("write")
		found := inspected(t, cfg, needs)
		requireFinding(t, found, preflight.Error, "kafka.topic.permissions", topic, "may not read")
		for _, f := range found {
			require.NotContains(t, f.What, "may not write", "Write is there")
			require.NotEqual(t, "kafka.producer", f.Check)
		}
		cfg.CreateTopics = create
		requireFinding(t, inspected(t, cfg, needsMissing), preflight.Error, "kafka.topic.exists", missing, "may not create it")
	})
	t.Run("topics are not created", func(t *testing.T) {
		t.Parallel()
		for user, name := range map[string]string{"write": missing, "nothing": topic} {
			cfg := g.as(user)
			cfg.DeliveryTimeout = 10 * time.Second
			got, err := CreateTopics(t.Context(), cfg, []TopicPlan{{Name: name, Partitions: 1, Replication: 1}}, false)
			require.NoError(t, err)
			require.False(t, got[0].Created)
			require.True(t, NotAllowed(got[0].Err), got[0].Err)
			require.ErrorContains(t, got[0].Err, name)
		}
	})
	t.Run("transactions last too long", func(t *testing.T) {
		t.Parallel()
		cfg := transactional(g.as("everything"))
		cfg.TransactionTimeout = 2 * time.Minute
		requireFinding(t, inspected(t, cfg, needs), preflight.Error, "kafka.transactions", "gw-check", "is 2m and the brokers take at most 1m")
		cfg = transactional(g.as("write"))
		cfg.TransactionTimeout = 2 * time.Minute
		requireFinding(t, inspected(t, cfg, needs), preflight.Error, "kafka.transactions", "gw-check", "is 2m and the brokers take less")
	})
	t.Run("answers are lost", func(t *testing.T) {
		t.Parallel()
		// A topic of its own: it comes to be in the end.
		g.findUnansweredQuestions(t, topic, "test-inspect-"+uuid.NewString())
	})
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		cfg := g.as("everything")
		cfg.Properties["sasl.password"] = "wrong"
		found := inspected(t, cfg, needs)
		require.Len(t, found, 1)
		requireFinding(t, found, preflight.Error, "kafka.reach", g.login, "Authentication failed")
		require.Contains(t, found[0].Do, "sasl.password")
		require.NotContains(t, fmt.Sprint(found), "wrong", "no secrets")
	})
	t.Run("no user given", func(t *testing.T) {
		t.Parallel()
		found := inspected(t, Config{Brokers: []string{g.login}}, needs)
		requireFinding(t, found, preflight.Error, "kafka.reach", g.login, "no broker answers")
		require.Regexp(t, connectionClosed, found[0].What)
		require.Contains(t, found[0].Do, "security.protocol")
	})
	t.Run("certificate that nobody trusts", func(t *testing.T) {
		t.Parallel()
		found := inspected(t, Config{Brokers: []string{g.secure}, Properties: map[string]string{"security.protocol": "ssl"}}, needs)
		requireFinding(t, found, preflight.Error, "kafka.reach", g.secure, "certificate")
		require.Contains(t, found[0].Do, "ssl.ca.location")
	})
	t.Run("TLS where none is spoken to", func(t *testing.T) {
		t.Parallel()
		found := inspected(t, Config{Brokers: []string{g.secure}}, needs)
		requireFinding(t, found, preflight.Error, "kafka.reach", g.secure, "no broker answers")
		require.Regexp(t, connectionClosed, found[0].What)
		require.Contains(t, found[0].Do, "security.protocol")
	})
	t.Run("advertises another address", func(t *testing.T) {
		t.Parallel()
		found := inspected(t, Config{Brokers: []string{g.elsewhere}}, needs)
		// The listener itself may answer before it is left for the address that it advertises.
		require.True(t, slices.ContainsFunc(found, func(f preflight.Finding) bool {
			return f.Severity == preflight.Error && strings.Contains(f.Do, "advertised.listeners") &&
				(f.Check == "kafka.reach" && strings.Contains(f.What, "127.0.0.1:1/1: Connect to") || f.Check == "kafka.broker" && f.Subject == "127.0.0.1:1")
		}), "%v", found)
	})
}

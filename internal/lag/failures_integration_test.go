//go:build integration

package lag

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"eventgateway/internal/kafka"
	"eventgateway/test/services"
)

// TestBrokerAway: what the silent broker has is shown as not readable, what the other one
// has is there, and the pass does not wait for long.
func TestBrokerAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var ports [3]int
	for i := range ports {
		var err error
		ports[i], err = services.FreePort()
		require.NoError(t, err)
	}
	cfg := services.KafkaConfig{
		Dir: filepath.Join(dir, "1"), Port: ports[0], ControllerPort: ports[1], ClusterID: "bGFnLWxhZy1sYWctbGFnLQ", JVMArgs: []string{"-Xms128m", "-Xmx256m"},
		Properties: map[string]string{"broker.session.timeout.ms": "120000", "offsets.topic.num.partitions": "8"}, // a broker that is silent is still listed
	}
	stays, err := services.StartKafka(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stays.Kill()) })
	cfg.Dir, cfg.Port, cfg.NodeID = filepath.Join(dir, "2"), ports[2], 2
	cfg.Voters = map[int]string{1: fmt.Sprintf("127.0.0.1:%d", ports[1])}
	cfg.Properties = maps.Clone(cfg.Properties)
	cfg.Properties["process.roles"], cfg.Properties["listeners"] = "broker", fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", ports[2])
	leaves, err := services.StartKafka(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, leaves.Kill()) })

	c := clusterAt(t, stays.Addr())
	topic := c.topic("orders", 8, nil)
	for p := range int32(8) {
		c.produce(topic, p, 10, time.Now().Add(-time.Minute))
	}
	offsets := map[int32]int64{}
	for p := range int32(8) {
		offsets[p] = 4
	}
	for i := range 24 {
		c.commit(fmt.Sprintf("g%d", i), topic, offsets)
	}
	coordinators := c.admin.FindGroupCoordinators(t.Context(), groupNames(c.prefix, 24)...)
	leaders := c.leaders(topic)
	m := c.monitor(kafka.Connection{Brokers: []string{stays.Addr()}})
	before := c.pass(m)
	require.Len(t, before.Groups, 24)

	require.NoError(t, leaves.Pause())
	t.Cleanup(func() { _ = leaves.Resume() })
	for range 2 {
		report, err := m.Pass(t.Context())
		require.NoError(t, err)
		require.Less(t, report.Took, passTimeout)
		t.Logf("a pass with a silent broker: %s, %d groups, unanswered %v", report.Took.Round(time.Millisecond), len(report.Groups), report.Unanswered)
		require.Len(t, report.Unanswered, 1)
		require.Contains(t, report.Unanswered[0], "broker 2")
		require.NotEmpty(t, report.Groups)
		readable, not := 0, 0
		for _, g := range report.Groups {
			require.Equal(t, int32(1), coordinators[g.Name].NodeID, "broker 2 did not list its groups")
			for _, p := range g.Topics[0].Partitions {
				if leaders[p.Number] == 1 {
					readable++
					require.Equal(t, known(6), p.Records)
					require.Equal(t, known(6), p.Undelivered)
					continue
				}
				not++
				require.Equal(t, []any{Unreadable, known(4), Count{}, ReasonOther}, []any{p.State, p.Committed, p.Records, p.Kind}, p.Error)
			}
		}
		require.Positive(t, readable)
		require.Positive(t, not)
	}
	require.NoError(t, leaves.Resume())
	c.eventually(func() bool {
		report, err := m.Pass(t.Context())
		return err == nil && len(report.Unanswered) == 0 && len(report.Groups) == 24 && !strings.Contains(fmt.Sprint(lagsOf(report)), "-:")
	})
}

func groupNames(prefix string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%sg%d", prefix, i))
	}
	return names
}

func (c *cluster) leaders(topic string) map[int32]int32 {
	c.t.Helper()
	details, err := c.admin.ListTopics(c.t.Context(), topic)
	require.NoError(c.t, err)
	leaders := map[int32]int32{}
	for n, p := range details[topic].Partitions {
		leaders[n] = p.Leader
	}
	return leaders
}

const password = "correct"

// TestNoPermission: on a group, and on a topic's records, of several.
func TestNoPermission(t *testing.T) {
	t.Parallel()
	var ports [3]int
	for i := range ports {
		var err error
		ports[i], err = services.FreePort()
		require.NoError(t, err)
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	broker, err := services.StartKafka(t.Context(), services.KafkaConfig{
		Dir: t.TempDir(), Port: ports[0], ControllerPort: ports[1], JVMArgs: []string{"-Xms128m", "-Xmx256m"},
		Properties: map[string]string{
			"listeners":                                  fmt.Sprintf("PLAINTEXT://%s,CONTROLLER://%s,LOGIN://%s", at(0), at(1), at(2)),
			"advertised.listeners":                       fmt.Sprintf("PLAINTEXT://%s,LOGIN://%s", at(0), at(2)),
			"listener.security.protocol.map":             "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT",
			"authorizer.class.name":                      "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"super.users":                                "User:ANONYMOUS",
			"allow.everyone.if.no.acl.found":             "false",
			"sasl.enabled.mechanisms":                    "PLAIN",
			"listener.name.login.plain.sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required user_viewer="` + password + `";`,
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Kill()) })
	c := clusterAt(t, broker.Addr())
	open, closed := c.topic("open", 1, nil), c.topic("closed", 1, nil)
	written := time.Now().Add(-time.Minute)
	c.produce(open, 0, 10, written)
	c.produce(closed, 0, 10, time.Now().Add(-time.Minute))
	group := c.commit("group", open, map[int32]int64{0: 4})
	c.commit(group, closed, map[int32]int64{0: 4})
	secret := c.commit("secret", open, map[int32]int64{0: 4})
	allow := func(b *kadm.ACLBuilder, operations ...kadm.ACLOperation) {
		results, err := c.admin.CreateACLs(t.Context(), b.Allow("User:viewer").AllowHosts().Operations(operations...).ResourcePatternType(kadm.ACLPatternLiteral))
		require.NoError(t, err)
		for _, r := range results {
			require.NoError(t, r.Err)
		}
	}
	allow(kadm.NewACLs().Clusters(), kadm.OpDescribe) // so that all groups are listed
	allow(kadm.NewACLs().Groups(group), kadm.OpDescribe)
	allow(kadm.NewACLs().Topics(open), kadm.OpRead, kadm.OpDescribe)
	allow(kadm.NewACLs().Topics(closed), kadm.OpDescribe)

	m := c.monitor(kafka.Connection{Brokers: []string{at(2)}, Properties: map[string]string{
		"security.protocol": "sasl_plaintext", "sasl.mechanisms": "PLAIN", "sasl.username": "viewer", "sasl.password": password,
	}})
	c.eventually(func() bool { // ACLs take a moment
		report := c.pass(m)
		g, ok := find(report, group)
		return ok && len(g.Topics) == 2 && g.Topics[1].Age.Known
	})
	report := c.pass(m)
	require.Len(t, report.Groups, 2)
	hidden := groupOf(t, report, secret)
	require.Equal(t, []any{Unreadable, ReasonPermission}, []any{hidden.State, hidden.Kind})
	require.NotEmpty(t, hidden.Error)
	g := groupOf(t, report, group)
	require.Equal(t, []string{closed, open}, []string{g.Topics[0].Name, g.Topics[1].Name})
	p := g.Topics[1].Partitions[0]
	require.Equal(t, []Count{known(6), known(6)}, []Count{p.Records, p.Undelivered})
	within(t, report.At.Sub(written), p.Age)
	p = g.Topics[0].Partitions[0]
	require.Equal(t, []any{known(6), known(6), Age{}, ReasonPermission}, []any{p.Records, p.Undelivered, p.Age, p.Kind}, "offsets are known, records are not")
	require.NotEmpty(t, p.Error)
}

// TestOldBroker: one that takes a group in each request, and knows no types of groups.
func TestOldBroker(t *testing.T) {
	t.Parallel()
	broker, err := services.StartOldKafka(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Kill()) })
	c := clusterAt(t, broker.Addr())
	topic := c.topic("orders", 2, nil)
	written := time.Now().Add(-time.Minute)
	c.produce(topic, 1, 10, written)
	one, two := c.commit("one", topic, map[int32]int64{1: 3}), c.commit("two", topic, map[int32]int64{1: 10})
	report := c.pass(c.monitor(kafka.Connection{}))
	p := onlyPartition(t, report, one)
	require.Equal(t, []Count{known(7), known(7)}, []Count{p.Records, p.Undelivered})
	within(t, report.At.Sub(written), p.Age)
	require.Equal(t, known(0), onlyPartition(t, report, two).Undelivered)
	require.Equal(t, kafka.GroupClassic, groupOf(t, report, one).Type)
}

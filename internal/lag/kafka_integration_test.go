//go:build integration

package lag

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
	"eventgateway/test/services"
)

// cluster is the shared broker, with names of this test's own.
type cluster struct {
	t      *testing.T
	broker string
	admin  *kadm.Client
	client *kgo.Client
	prefix string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	return clusterAt(t, services.Shared(t).Kafka)
}

func clusterAt(t *testing.T, broker string) *cluster {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.UnknownTopicRetries(-1))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return &cluster{t: t, broker: broker, admin: kadm.NewClient(client), client: client, prefix: "lag-" + uuid.NewString()[:8] + "-"}
}

func (c *cluster) topic(name string, partitions int32, config map[string]*string) string {
	c.t.Helper()
	name = c.prefix + name
	_, err := c.admin.CreateTopic(c.t.Context(), partitions, 1, config, name)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _, _ = c.admin.DeleteTopics(context.Background(), name) })
	return name
}

func (c *cluster) produce(topic string, partition int32, n int, at time.Time) {
	c.t.Helper()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: topic, Partition: partition, Value: []byte(strconv.Itoa(i)), Timestamp: at}
	}
	require.NoError(c.t, c.client.ProduceSync(c.t.Context(), records...).FirstErr())
}

// commit sets offsets of a group without members.
func (c *cluster) commit(group, topic string, offsets map[int32]int64) string {
	c.t.Helper()
	if !strings.HasPrefix(group, c.prefix) {
		group = c.prefix + group
	}
	all := kadm.Offsets{}
	for p, at := range offsets {
		all.AddOffset(topic, p, at, -1)
	}
	done, err := c.admin.CommitOffsets(c.t.Context(), group, all)
	require.NoError(c.t, err)
	require.NoError(c.t, done.Error())
	return group
}

// monitor watches the groups of this test.
func (c *cluster) monitor(conn kafka.Connection) *Monitor {
	c.t.Helper()
	if conn.Brokers == nil {
		conn.Brokers = []string{c.broker}
	}
	survey := conn.Survey(slog.New(slog.DiscardHandler))
	c.t.Cleanup(survey.Close)
	include, err := Pattern(c.prefix + ".*")
	require.NoError(c.t, err)
	return New(Config{Include: []*regexp.Regexp{include}, Partitions: true}, survey)
}

func (c *cluster) pass(m *Monitor) *Report {
	c.t.Helper()
	report, err := m.Pass(c.t.Context())
	require.NoError(c.t, err)
	require.Empty(c.t, report.Unanswered)
	for _, g := range report.Groups {
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				require.GreaterOrEqual(c.t, p.Records.N, int64(0))
				require.GreaterOrEqual(c.t, p.Undelivered.N, int64(0))
				require.GreaterOrEqual(c.t, p.Age.D, time.Duration(0))
			}
		}
	}
	return report
}

func groupOf(t *testing.T, r *Report, name string) Group {
	t.Helper()
	for _, g := range r.Groups {
		if g.Name == name {
			return g
		}
	}
	require.Failf(t, "no such group", "%s in %+v", name, r.Groups)
	return Group{}
}

// onlyPartition is the one partition that a group has.
func onlyPartition(t *testing.T, r *Report, group string) Partition {
	t.Helper()
	g := groupOf(t, r, group)
	require.Len(t, g.Topics, 1)
	require.Len(t, g.Topics[0].Partitions, 1)
	return g.Topics[0].Partitions[0]
}

// consumer is a member of a group that reads a number of records, commits, and stays.
func (c *cluster) consumer(group, topic string, records int, opts ...kgo.Opt) {
	c.t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.broker), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	require.NoError(c.t, err)
	c.t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for got := 0; got < records; {
		fetches := client.PollRecords(ctx, records-got)
		require.NoError(c.t, fetches.Err())
		got += fetches.NumRecords()
		require.NoError(c.t, client.CommitRecords(ctx, fetches.Records()...))
	}
	go func() { // stay in the group
		for c.t.Context().Err() == nil && client.PollRecords(c.t.Context(), 1) != nil {
			return
		}
	}()
}

// java is a member of a group that is a Java client, as Spring's are.
func (c *cluster) java(group, topic, property string) {
	c.t.Helper()
	cmd, err := services.KafkaTool(c.t.Context(), "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", c.broker,
		"--topic", topic, "--group", c.prefix+group, "--from-beginning", "--consumer-property", property)
	require.NoError(c.t, err)
	require.NoError(c.t, cmd.Start())
	c.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// tool is what kafka-consumer-groups calls LAG, by "group topic partition"; "-" is unknown.
func (c *cluster) tool(groups ...string) map[string]string {
	c.t.Helper()
	args := []string{"--describe"}
	for _, g := range groups {
		args = append(args, "--group", c.prefix+g)
	}
	out, err := services.ConsumerGroups(c.t.Context(), c.broker, args...)
	require.NoError(c.t, err)
	lags := map[string]string{}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 5 && strings.HasPrefix(f[0], c.prefix) {
			lags[f[0]+" "+f[1]+" "+f[2]] = f[5]
		}
	}
	return lags
}

func lagsOf(r *Report) map[string]string {
	lags := map[string]string{}
	for _, g := range r.Groups {
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				text := "-"
				if p.Records.Known {
					text = fmt.Sprint(p.Records.N)
				}
				lags[fmt.Sprintf("%s %s %d", g.Name, topic.Name, p.Number)] = text
			}
		}
	}
	return lags
}

// TestRecordsEqualKafkasTool: classic and KIP-848 groups, with members and without, in
// every partition.
func TestRecordsEqualKafkasTool(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	one, two := c.topic("one", 3, nil), c.topic("two", 2, nil)
	for p := range int32(3) {
		c.produce(one, p, 10+int(p), time.Now())
	}
	c.produce(two, 0, 5, time.Now())
	c.commit("empty", one, map[int32]int64{0: 3, 1: 11})
	c.commit("empty", two, map[int32]int64{0: 0, 1: 0})
	c.java("java-classic", one, "group.protocol=classic")
	c.java("java-kip848", one, "group.protocol=consumer")
	c.consumer(c.prefix+"classic", one, 7)
	c.consumer(c.prefix+"kip848", one, 9, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	m := c.monitor(kafka.Connection{})
	var report *Report
	var want map[string]string
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	equal := backoff.Poll(ctx, 200*time.Millisecond, func() bool {
		report, want = c.pass(m), c.tool("empty", "classic", "kip848", "java-classic", "java-kip848")
		return len(want) == 16 && fmt.Sprint(want) == fmt.Sprint(lagsOf(report))
	})
	require.True(t, equal, "tool %v\nours %v", want, lagsOf(report))
	require.Equal(t, kafka.GroupClassic, groupOf(t, report, c.prefix+"classic").Type)
	require.Equal(t, known(1), groupOf(t, report, c.prefix+"classic").Members)
	for _, group := range []string{"kip848", "java-kip848"} {
		require.Equal(t, kafka.GroupConsumer, groupOf(t, report, c.prefix+group).Type)
		require.Equal(t, known(1), groupOf(t, report, c.prefix+group).Members)
	}
	require.Equal(t, known(0), groupOf(t, report, c.prefix+"empty").Members)
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

//go:build integration

package lag

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
	"eventgateway/internal/kafka"
)

// within fails unless the age is at most a second from the truth.
func within(t *testing.T, truth time.Duration, a Age) {
	t.Helper()
	require.True(t, a.Known)
	require.InDelta(t, truth.Seconds(), a.D.Seconds(), 1)
}

// TestSeconds: the age of the record at the committed offset, also when nobody produces, in
// the middle of a batch, and of a batch whose records are far apart in time.
func TestSeconds(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	idle, wide := c.topic("idle", 1, nil), c.topic("wide", 1, nil)
	written := time.Now().Add(-time.Hour)
	c.produce(idle, 0, 50, written)
	group := c.commit("idle", idle, map[int32]int64{0: 20})
	records := make([]*kgo.Record, 100)
	for i := range records {
		records[i] = &kgo.Record{Topic: wide, Value: []byte("x"), Timestamp: written.Add(time.Duration(i) * time.Minute / 2)}
	}
	require.NoError(t, c.client.ProduceSync(t.Context(), records...).FirstErr())
	middle := c.commit("wide", wide, map[int32]int64{0: 60})
	m := c.monitor(kafka.Connection{})

	report := c.pass(m)
	p := onlyPartition(t, report, group)
	require.Equal(t, []Count{known(30), known(30)}, []Count{p.Records, p.Undelivered})
	within(t, report.At.Sub(written), p.Age)
	within(t, report.At.Sub(written.Add(30*time.Minute)), onlyPartition(t, report, middle).Age)

	c.commit(group, idle, map[int32]int64{0: 50})
	report = c.pass(m)
	p = onlyPartition(t, report, group)
	require.Equal(t, []any{known(0), known(0), knownAge(0), OK}, []any{p.Records, p.Undelivered, p.Age, p.State})

	now := time.Now()
	c.produce(idle, 0, 1, now) // after an hour without a record
	report = c.pass(m)
	within(t, report.At.Sub(now), onlyPartition(t, report, group).Age)
	require.Positive(t, onlyPartition(t, report, group).Age.D)
}

// transact writes n records in one transaction.
func (c *cluster) transact(topic string, n int, end kgo.TransactionEndTry) {
	c.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.broker), kgo.TransactionalID(c.prefix+"tx"), kgo.DefaultProduceTopic(topic))
	require.NoError(c.t, err)
	defer client.Close()
	require.NoError(c.t, client.BeginTransaction())
	for range n {
		require.NoError(c.t, client.ProduceSync(c.t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr())
	}
	require.NoError(c.t, client.EndTransaction(c.t.Context(), end))
}

// TestTransactions: markers and aborted records are offsets, so records are not 0 where
// nothing is left to read.
func TestTransactions(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	topic := c.topic("transactional", 1, nil)
	c.transact(topic, 3, kgo.TryCommit) // 0 to 2, marker 3
	c.transact(topic, 2, kgo.TryAbort)  // 4 and 5, marker 6
	caughtUp := c.commit("caught-up", topic, map[int32]int64{0: 3})
	behind := c.commit("behind", topic, map[int32]int64{0: 2})
	m := c.monitor(kafka.Connection{})

	p := onlyPartition(t, c.pass(m), caughtUp)
	require.Equal(t, []any{known(4), known(0), knownAge(0), OK}, []any{p.Records, p.Undelivered, p.Age, p.State})
	p = onlyPartition(t, c.pass(m), behind)
	require.Equal(t, []Count{known(5), known(5)}, []Count{p.Records, p.Undelivered})

	c.transact(topic, 1, kgo.TryCommit) // 7, marker 8
	report := c.pass(m)
	p = onlyPartition(t, report, caughtUp)
	require.Equal(t, []any{known(6), known(2)}, []any{p.Records, p.Undelivered}, "from the record at 7")
	within(t, 0, p.Age)
}

// TestOpenTransaction: what is behind an open transaction does not wait for its reader.
func TestOpenTransaction(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	topic := c.topic("open", 1, nil)
	c.produce(topic, 0, 2, time.Now())
	client, err := kgo.NewClient(kgo.SeedBrokers(c.broker), kgo.TransactionalID(c.prefix+"open"), kgo.DefaultProduceTopic(topic))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	require.NoError(t, client.BeginTransaction())
	require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr())
	group := c.commit("open", topic, map[int32]int64{0: 2})
	p := onlyPartition(t, c.pass(c.monitor(kafka.Connection{})), group)
	require.Equal(t, []any{known(1), known(0), OK}, []any{p.Records, p.Undelivered, p.State})
	require.NoError(t, client.EndTransaction(t.Context(), kgo.TryAbort))
}

// TestTopicMadeAnew: a group that still commits where it was in the old topic is ahead.
func TestTopicMadeAnew(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	topic := c.topic("anew", 1, nil)
	c.produce(topic, 0, 20, time.Now())
	group := c.commit("anew", topic, map[int32]int64{0: 20})
	m := c.monitor(kafka.Connection{})
	require.Equal(t, OK, onlyPartition(t, c.pass(m), group).State)

	_, err := c.admin.DeleteTopics(t.Context(), topic)
	require.NoError(t, err)
	c.eventually(func() bool { // Kafka may drop the commits, or still have them for a while
		g, ok := find(c.pass(m), group)
		return !ok || len(g.Topics) == 0 || g.Topics[0].Partitions[0].Kind == ReasonMissing
	})
	c.eventually(func() bool {
		_, err := c.admin.CreateTopic(t.Context(), 1, 1, nil, topic)
		return err == nil
	})
	clusterAt(t, c.broker).produce(topic, 0, 1, time.Now()) // the first client knows the topic by its old id
	c.eventually(func() bool {                              // a consumer that did not notice commits its old position
		o := kadm.Offsets{}
		o.AddOffset(topic, 0, 20, -1)
		done, err := c.admin.CommitOffsets(t.Context(), group, o)
		return err == nil && done.Error() == nil
	})
	var p Partition
	c.eventually(func() bool {
		g, ok := find(c.pass(m), group)
		if !ok || len(g.Topics) == 0 {
			return false
		}
		p = g.Topics[0].Partitions[0]
		return p.State == Ahead
	})
	require.Equal(t, []Count{known(0), known(0), known(1)}, []Count{p.Records, p.Undelivered, p.End})
}

func find(r *Report, group string) (Group, bool) {
	for _, g := range r.Groups {
		if g.Name == group {
			return g, true
		}
	}
	return Group{}, false
}

func (c *cluster) eventually(done func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	require.True(c.t, backoff.Poll(ctx, 100*time.Millisecond, done))
}

// TestRetentionPassed: records that were deleted before the group has read them are lost,
// and counted.
func TestRetentionPassed(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	topic := c.topic("lost", 1, nil)
	c.produce(topic, 0, 20, time.Now())
	group := c.commit("lost", topic, map[int32]int64{0: 5})
	cut := kadm.Offsets{}
	cut.AddOffset(topic, 0, 12, -1) // what retention does, at once
	done, err := c.admin.DeleteRecords(t.Context(), cut)
	require.NoError(t, err)
	require.NoError(t, done.Error())

	p := onlyPartition(t, c.pass(c.monitor(kafka.Connection{})), group)
	require.Equal(t, []any{Lost, int64(7), known(15), known(8)}, []any{p.State, p.Lost, p.Records, p.Undelivered})
}

// TestRetentionNear: how much of the retention is used.
func TestRetentionNear(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	day := "86400000"
	topic := c.topic("near", 1, map[string]*string{"retention.ms": &day})
	c.produce(topic, 0, 3, time.Now().Add(-18*time.Hour))
	group := c.commit("near", topic, map[int32]int64{0: 0})
	used := groupOf(t, c.pass(c.monitor(kafka.Connection{})), group).Topics[0].Retention
	require.NotNil(t, used)
	require.InDelta(t, 0.75, float64(*used), 0.001)
}

// TestDeletedGroup: it is gone from the next pass, and so is what was remembered.
func TestDeletedGroup(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	topic := c.topic("topic", 1, nil)
	c.produce(topic, 0, 3, time.Now())
	group, other := c.commit("deleted", topic, map[int32]int64{0: 0}), c.commit("other", topic, map[int32]int64{0: 1})
	m := c.monitor(kafka.Connection{})
	require.Len(t, c.pass(m).Groups, 2)
	_, err := c.admin.DeleteGroups(t.Context(), group)
	require.NoError(t, err)
	report := c.pass(m)
	require.Len(t, report.Groups, 1)
	require.Equal(t, other, report.Groups[0].Name)
	for range keptPasses {
		c.pass(m)
	}
	require.Len(t, m.tracks, 1)
	require.Len(t, m.histories, 1)
}

// TestDeletedTopic: a group that has a commit in a topic that is gone does not hide the
// others.
func TestDeletedTopic(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	gone, kept := c.topic("gone", 1, nil), c.topic("kept", 1, nil)
	c.produce(kept, 0, 3, time.Now())
	group := c.commit("both", gone, map[int32]int64{0: 0})
	c.commit(group, kept, map[int32]int64{0: 1})
	m := c.monitor(kafka.Connection{})
	_, err := c.admin.DeleteTopics(t.Context(), gone)
	require.NoError(t, err)
	for range 10 {
		g := groupOf(t, c.pass(m), group)
		kept := g.Topics[len(g.Topics)-1]
		require.Equal(t, known(2), kept.Records)
	}
}

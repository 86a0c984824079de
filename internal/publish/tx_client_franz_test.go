package publish

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
)

// startFranzTx is a client that is initialised.
func startFranzTx(t *testing.T, cluster *kfake.Cluster, topics ...string) *franzTx {
	t.Helper()
	cfg := Config{Brokers: cluster.ListenAddrs(), DeliveryTimeout: 20 * time.Second}
	inTransactions(t, true)(&cfg)
	connection, _, err := cfg.connection().FranzOptions()
	require.NoError(t, err)
	c, err := newFranzTx(connection, cfg, cfg.TransactionalIDPrefix+"-1", func() []string { return topics },
		func(string) int32 { return defaultBatchBytes }, func(error) {}, nil)
	require.NoError(t, err)
	t.Cleanup(c.close)
	require.NoError(t, c.initialise(t.Context()))
	return c
}

// write writes values in one transaction, each to the partition of its number, and waits
// for the reports.
func (c *franzTx) write(t *testing.T, topic string, values ...string) []*entry {
	t.Helper()
	var entries []*entry
	for n, value := range values {
		e := &entry{record: event.Record{Placement: event.Placement{Topic: topic, Partition: int32(n)}, Value: []byte(value), Timestamp: time.Now()}}
		c.prepare(e)
		entries = append(entries, e)
	}
	require.NoError(t, c.begin(t.Context(), entries))
	group := newTxGroup(entries)
	for _, e := range entries {
		taken, refused := c.send(e)
		require.Nil(t, refused)
		require.True(t, taken)
		e.state.sent = true
	}
	c.flush()
	select {
	case <-group.done:
	case <-time.After(patience):
		t.Fatal("no reports")
	}
	group.end()
	return entries
}

func outcomesOf(entries []*entry) (outcomes []recordOutcome) {
	for _, e := range entries {
		outcomes = append(outcomes, e.state.outcome())
	}
	return outcomes
}

// A group goes in one request, and its partitions with it.
func TestFranzSendsAGroupInOneRequest(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(8, "t"))
	c := startFranzTx(t, cluster, "t")
	var requests atomic.Int64
	cluster.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		requests.Add(1)
		return nil, nil, false
	})
	values := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for range 3 {
		entries := c.write(t, "t", values...)
		for _, outcome := range outcomesOf(entries) {
			require.Equal(t, acked, outcome)
		}
		require.NoError(t, c.commit(t.Context()))
	}
	require.EqualValues(t, 3, requests.Load())
}

// kgo takes a new epoch within a transaction when a partition's log begins behind what it
// wrote there. Kafka aborts what was acknowledged until then, and would commit the rest.
func TestFranzTransactionThatBeganAnewIsNotCommitted(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(2, "t"))
	c := startFranzTx(t, cluster, "t")
	c.write(t, "t", "before", "before")
	require.NoError(t, c.commit(t.Context()))
	// The first partition acknowledges, and the second has forgotten the producer.
	cluster.ControlKey(kmsg.Produce.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		return forgetting(req.(*kmsg.ProduceRequest), 1), nil, true
	})
	require.Equal(t, []recordOutcome{acked, acked}, outcomesOf(c.write(t, "t", "aborted", "under the new epoch")))
	require.ErrorIs(t, c.commit(t.Context()), errNewEpoch)
}

// forgetting answers a request: all is appended, but to one partition, whose log begins
// behind what the producer wrote, so that the broker has forgotten it.
func forgetting(req *kmsg.ProduceRequest, partition int32) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range req.Topics {
		answer := kmsg.NewProduceResponseTopic()
		answer.Topic = topic.Topic
		for _, p := range topic.Partitions {
			of := kmsg.NewProduceResponseTopicPartition()
			of.Partition, of.BaseOffset = p.Partition, 10
			if p.Partition == partition {
				of.ErrorCode, of.LogStartOffset, of.BaseOffset = kerr.UnknownProducerID.Code, 1000, -1
			}
			answer.Partitions = append(answer.Partitions, of)
		}
		resp.Topics = append(resp.Topics, answer)
	}
	return resp
}

// A commit of which kgo has nothing to send is not a commit.
func TestFranzCommitNeedsAnAnswer(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	transactionVersion(t, cluster, 1)
	c := startFranzTx(t, cluster, "t")
	require.NoError(t, c.begin(t.Context(), nil))
	require.ErrorIs(t, c.commit(t.Context()), errNotEnded)
}

// A commit that was sent twice could commit the transaction behind it too early, unless
// each has an epoch of its own.
func TestFranzClientIsSpentAfterACommitThatWasSentTwice(t *testing.T) {
	t.Parallel()
	for version, reusable := range map[int16]bool{1: false, 2: true} {
		cluster := startKafka(t, kfake.SeedTopics(1, "t"))
		transactionVersion(t, cluster, version)
		c := startFranzTx(t, cluster, "t")
		c.write(t, "t", "once")
		require.NoError(t, c.commit(t.Context()))
		require.True(t, c.reusable())
		c.write(t, "t", "twice")
		cluster.ControlKey(kmsg.EndTxn.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
			return nil, errors.New("the connection breaks"), true
		})
		require.NoError(t, c.commit(t.Context()))
		require.Equal(t, reusable, c.reusable(), version)
	}
}

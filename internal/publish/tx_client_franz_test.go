package publish

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
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
	receive(t, group.done, "the reports of a transaction")
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

// A commit of which kgo has nothing to send commits nothing.
func TestFranzCommitNeedsAnAnswer(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	transactionVersion(t, cluster, 1)
	c := startFranzTx(t, cluster, "t")
	require.NoError(t, c.begin(t.Context(), nil))
	require.NoError(t, c.commit(t.Context()), "nothing was acknowledged")
	require.NoError(t, c.begin(t.Context(), nil))
	c.acks.Add(1)
	require.ErrorIs(t, c.commit(t.Context()), errNotEnded)
}

// What was refused before it was sent costs neither certainty nor the producer.
func TestFranzTransactionOfWhichNothingWasSent(t *testing.T) {
	t.Parallel()
	for _, version := range []int16{1, 2} {
		cluster := startKafka(t, kfake.SeedTopics(1, "t"))
		transactionVersion(t, cluster, version)
		p := transactional(t, cluster, []string{"t"}, func(c *Config) { c.Client = kafka.ClientFranz })
		owner := p.place(t, "t", nil).Owner
		require.NoError(t, p.write("t", 0, owner, "before"))
		requireError(t, p.write("t", 7, owner, "no such partition"), event.LogUnavailable, event.NotWritten)
		brokers := p.pool().byID(owner).client.(*franzTx).brokers
		brokers.OnBrokerThrottle(kgo.BrokerMetadata{NodeID: 0}, time.Hour, true)
		requireError(t, p.write("t", 0, owner, "beyond the quota"), event.Overloaded, event.NotWritten)
		brokers.OnBrokerThrottle(kgo.BrokerMetadata{NodeID: 0}, 0, true)
		require.NoError(t, p.write("t", 0, owner, "after"))
	}
}

// Records of which nothing was handed to kgo are not written, surely.
func TestFranzBeginsOnlyWithKnownTopics(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	c := startFranzTx(t, cluster, "t")
	cluster.ControlKey(kmsg.Metadata.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return nil, nil, true // and never answers
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	e := &entry{record: event.Record{Placement: event.Placement{Topic: "t"}}}
	require.ErrorIs(t, c.begin(ctx, []*entry{e}), context.DeadlineExceeded)
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

// The same when it was behind another request on a connection that broke: kgo then tells
// its hooks of the other request alone.
func TestFranzClientIsSpentAfterACommitBehindAnotherRequest(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	transactionVersion(t, cluster, 1)
	c := startFranzTx(t, cluster, "t")
	c.write(t, "t", "twice")
	asked := make(chan struct{})
	cluster.ControlKey(kmsg.Metadata.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(asked)
		// Until then the commit must have been written.
		for begun := time.Now(); c.brokers.ends.Load() == 0 && time.Since(begun) < patience; {
			time.Sleep(tick)
		}
		return nil, errors.New("the connection breaks"), true
	})
	c.cl.ForceMetadataRefresh()
	receive(t, asked, "the question for metadata")
	require.NoError(t, c.commit(t.Context()))
	require.False(t, c.reusable())
}

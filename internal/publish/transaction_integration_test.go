//go:build integration

package publish

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/test/services"
)

func TestCommittedUnderLoadOnKafka(t *testing.T) { withClients(t, testCommittedUnderLoadOnKafka) }

func testCommittedUnderLoadOnKafka(t *testing.T, with option) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	topic := realTopic(t, brokers, 6)
	p := realTransactional(t, brokers, topic, with)
	l := p.load(topic, 32)
	l.requireMore(t, 500)
	require.Empty(t, l.unknown)
	l.settle(t, brokers, topic)
	require.Empty(t, l.unknown)
	require.Empty(t, l.refused)
}

// inOneGroup queues records at one producer together.
func inOneGroup(t *testing.T, tx *txProducer, records ...event.Record) (errs []error) {
	t.Helper()
	dones := make([]chan ack, len(records))
	tx.mu.Lock()
	for i, r := range records {
		r.Timestamp = time.Now()
		dones[i] = make(chan ack, 1)
		e := &entry{memory: tx.memory, record: r, came: r.Timestamp, done: dones[i]}
		tx.client.prepare(e)
		tx.queue = append(tx.queue, e)
	}
	tx.signal()
	tx.mu.Unlock()
	for _, done := range dones {
		var err error // not an *event.Error that is nil
		if a := receive(t, done, "the outcome of a transaction"); a.err != nil {
			err = a.err
		}
		errs = append(errs, err)
	}
	return errs
}

// The topic's limit has become smaller since the gateway asked for it.
func TestRefusedByKafkaAmongNeighbours(t *testing.T) {
	withClients(t, testRefusedByKafkaAmongNeighbours)
}

func testRefusedByKafkaAmongNeighbours(t *testing.T, with option) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	topic, small := realTopic(t, brokers, 2), realTopic(t, brokers, 1)
	p := realTransactional(t, brokers, topic, with)
	limit := "1000"
	realAdmin(t, brokers, func(ctx context.Context, adm *kadm.Client) error {
		_, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "max.message.bytes", Value: &limit}}, small)
		return err
	})
	at := func(topic string, partition int32, value string) event.Record {
		return event.Record{Placement: event.Placement{Topic: topic, Partition: partition}, Value: []byte(value)}
	}
	value := func(name string, round int) string { return fmt.Sprintf("%s%d", name, round) }
	var want []string
	for round := 1; ; round++ {
		tx := p.pool().byID(p.place(t, topic, nil).Owner)
		errs := inOneGroup(t, tx, at(topic, 0, value("a", round)), at(small, 0, strings.Repeat("x", 2000)), at(topic, 1, value("b", round)))
		var e *event.Error
		require.ErrorAs(t, errs[1], &e)
		if e.Outcome == event.Unknown && round < 20 {
			continue // on a busy machine a refusal may take longer than surelyFirstTry
		}
		requireError(t, errs[1], event.EventTooLarge, event.NotWritten)
		require.NoError(t, errs[0])
		require.NoError(t, errs[2])
		if p.plain().franz {
			require.NoError(t, p.write(topic, 0, tx.id, "d"))
			want = []string{value("a", round), value("b", round), "d"}
			break
		}
		errs = inOneGroup(t, tx, at(small, 0, "c"), at(topic, 0, "d"))
		requireError(t, errs[0], event.LogUnavailable, event.NotWritten)
		require.NoError(t, errs[1], "the same producer still serves other partitions")
		require.Eventually(t, func() bool { return !slices.Contains(p.poolIDs(), tx.id) }, patience, tick)
		want = []string{value("a", round), value("b", round), "d"}
		break
	}
	require.Eventually(t, func() bool { return p.write(small, 0, p.place(t, topic, nil).Owner, "e") == nil }, patience, tick)
	require.ElementsMatch(t, want, committed(t, brokers, topic))
	require.Equal(t, []string{"e"}, committed(t, brokers, small))
}

func TestFencedUnderLoadOnKafka(t *testing.T) { withClients(t, testFencedUnderLoadOnKafka) }

func testFencedUnderLoadOnKafka(t *testing.T, with option) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	topic := realTopic(t, brokers, 6)
	p := realTransactional(t, brokers, topic, with)
	taker := realTransactional(t, brokers, topic, with)
	l := p.load(topic, 32)
	l.requireMore(t, 200)
	for range 5 {
		before := p.poolIDs()
		for _, id := range before {
			require.NoError(t, taker.fence(t.Context(), id))
		}
		l.requireMore(t, 200)
	}
	l.settle(t, brokers, topic)
}

func TestFenceAllUnderLoadOnKafka(t *testing.T) { withClients(t, testFenceAllUnderLoadOnKafka) }

func testFenceAllUnderLoadOnKafka(t *testing.T, with option) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	topic := realTopic(t, brokers, 6)
	p := realTransactional(t, brokers, topic, with)
	other := realTransactional(t, brokers, topic, with, func(c *Config) { c.TransactionalIDPrefix = p.cfg.TransactionalIDPrefix })
	mine := p.load(topic, 16)
	mine.requireMore(t, 100)
	before := append(p.poolIDs(), other.poolIDs()...)
	began := time.Now()
	require.NoError(t, p.fenceAll(t.Context(), nil))
	t.Logf("%d ids fenced in %s", len(before), time.Since(began))
	for _, id := range p.poolIDs() {
		require.NotContains(t, before, id)
	}
	for _, id := range before {
		require.Error(t, other.write(topic, 0, id, "by a fenced producer"))
	}
	mine.requireMore(t, 100)
	other.requireGoesOn(t, topic, "other", "")
	mine.settle(t, brokers, topic)
	require.NotContains(t, committed(t, brokers, topic), "by a fenced producer")
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(registeredAt(t, brokers, p), func(id string) bool { return slices.Contains(before, id) })
	}, patience, tick)
}

// A transaction that a crashed gateway left open.
func TestFenceEndsAForeignTransaction(t *testing.T) { withClients(t, testFenceEndsAForeignTransaction) }

func testFenceEndsAForeignTransaction(t *testing.T, with option) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	topic := realTopic(t, brokers, 1)
	p := realTransactional(t, brokers, topic, with)
	id := "gone-" + uuid.NewString()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.TransactionalID(id), kgo.DefaultProduceTopic(topic))
	require.NoError(t, err)
	defer cl.Close()
	require.NoError(t, cl.BeginTransaction())
	require.NoError(t, cl.ProduceSync(t.Context(), kgo.StringRecord("left open")).FirstErr())
	began := time.Now()
	require.NoError(t, p.fence(t.Context(), id))
	t.Logf("fenced in %s", time.Since(began))
	require.Error(t, cl.EndTransaction(t.Context(), kgo.TryCommit))
	require.NoError(t, p.write(topic, 0, p.place(t, topic, nil).Owner, "after"))
	require.Equal(t, []string{"after"}, committed(t, brokers, topic))
}

func TestCloseUnderLoadOnKafka(t *testing.T) { withClients(t, testCloseUnderLoadOnKafka) }

func testCloseUnderLoadOnKafka(t *testing.T, with option) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	topic := realTopic(t, brokers, 6)
	p := realTransactional(t, brokers, topic, with)
	l := p.load(topic, 32)
	l.requireMore(t, 200)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	requireEnds(t, "Close", func() { p.Close(ctx) })
	l.settle(t, brokers, topic)
	require.Empty(t, l.unknown, "all that was taken is committed")
	require.Empty(t, registeredAt(t, brokers, p))
}

// Kafka aborts a transaction that is open too long: its commit must fail.
func TestCommitOfATimedOutTransactionFails(t *testing.T) {
	withClients(t, testCommitOfATimedOutTransactionFails)
}

func testCommitOfATimedOutTransactionFails(t *testing.T, with option) {
	t.Parallel()
	brokers := []string{services.Shared(t).Kafka}
	topic := realTopic(t, brokers, 1)
	p := realTransactional(t, brokers, topic, with, func(c *Config) { c.DeliveryTimeout, c.TransactionTimeout = 2*time.Second, 2*time.Second })
	tx := newTxProducer("timed-out-"+uuid.NewString(), patience, &p.pool().lastBegun, p.pool().monitor, p.pool().plain.memory, slog.New(slog.DiscardHandler), p.pool().metrics)
	client, err := p.pool().newClient(tx)
	require.NoError(t, err)
	defer client.close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, client.initialise(ctx))
	e := &entry{record: event.Record{Placement: event.Placement{Topic: topic}, Value: []byte("x"), Timestamp: time.Now()}}
	client.prepare(e)
	require.NoError(t, client.begin(ctx, []*entry{e}))
	group := newTxGroup([]*entry{e})
	taken, refused := client.send(e)
	require.Nil(t, refused)
	require.True(t, taken)
	client.flush()
	receive(t, group.done, "the report of the record")
	group.end()
	require.NoError(t, e.state.report.err)
	require.Eventually(t, func() bool {
		stable := int64(-1)
		realAdmin(t, brokers, func(ctx context.Context, adm *kadm.Client) error {
			offsets, err := adm.ListCommittedOffsets(ctx, topic)
			if o, ok := offsets.Lookup(topic, 0); ok {
				stable = o.Offset
			}
			return err
		})
		return stable > 1 // the record and the abort's marker
	}, patience, 10*tick)
	require.Error(t, client.commit(ctx))
	require.Empty(t, committed(t, brokers, topic))
}

// Not parallel with others: each has a broker of its own, whose start needs every processor.
func TestBrokerFailsUnderLoad(t *testing.T) { forClients(t, testBrokerFailsUnderLoad) }

func testBrokerFailsUnderLoad(t *testing.T, with option) {
	for name, fail := range map[string]func(*testing.T, *services.Kafka){
		"killed": func(t *testing.T, k *services.Kafka) {
			require.NoError(t, k.Kill())
			require.NoError(t, k.Restart(t.Context()))
		},
		"paused for longer than a delivery": func(t *testing.T, k *services.Kafka) {
			require.NoError(t, k.Pause())
			backoff.Sleep(t.Context(), 6*time.Second)
			require.NoError(t, k.Resume())
		},
	} {
		t.Run(name, func(t *testing.T) {
			limitTime(t)
			k, err := services.StartKafka(t.Context(), services.KafkaConfig{Dir: t.TempDir()})
			require.NoError(t, err)
			t.Cleanup(func() { _ = k.Kill() }) // after the topics are deleted
			brokers := []string{k.Addr()}
			topic := realTopic(t, brokers, 6)
			p := realTransactional(t, brokers, topic, with, func(c *Config) { c.DeliveryTimeout, c.TransactionTimeout = 3*time.Second, 5*time.Second })
			l := p.load(topic, 32)
			l.requireMore(t, 200)
			fail(t, k)
			back := time.Now()
			l.requireMore(t, 200)
			t.Logf("written again after %s", time.Since(back))
			awaitPool(t, p)
			l.requireMore(t, 200)
			l.settle(t, brokers, topic)
		})
	}
}

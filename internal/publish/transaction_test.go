package publish

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
)

func TestRecordOutcome(t *testing.T) {
	t.Parallel()
	told := func(code librdkafka.ErrorCode, firstTry bool) deliveryState {
		d := deliveryState{sent: true, reported: true, report: report{firstTry: firstTry}}
		if code != librdkafka.ErrNoError {
			d.report.err = librdkafka.NewError(code, "", false)
		}
		return d
	}
	for name, c := range map[string]struct {
		state deliveryState
		want  recordOutcome
	}{
		"never sent":               {deliveryState{}, unsent},
		"no report":                {deliveryState{sent: true}, unknown},
		"acknowledged":             {told(librdkafka.ErrNoError, false), acked},
		"refused":                  {told(librdkafka.ErrMsgSizeTooLarge, true), refused},
		"refused a second time":    {told(librdkafka.ErrMsgSizeTooLarge, false), unknown},
		"not sent by the client":   {deliveryState{sent: true, reported: true, report: report{local: overloaded()}}, refused},
		"dropped from the queue":   {told(librdkafka.ErrPurgeQueue, true), unknown},
		"dropped on the way":       {told(librdkafka.ErrPurgeInflight, true), unknown},
		"timed out":                {told(librdkafka.ErrMsgTimedOut, true), unknown},
		"fenced":                   {told(librdkafka.ErrFenced, true), unknown},
		"code that nobody knows":   {told(9999, true), unknown},
		"failed with the producer": {told(librdkafka.ErrFatal, true), unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, c.state.outcome())
		})
	}
}

func TestNextGroup(t *testing.T) {
	t.Parallel()
	of := func(count, bytes int) (queue []*entry) {
		for range count {
			queue = append(queue, &entry{record: event.Record{Value: make([]byte, bytes)}})
		}
		return queue
	}
	for name, c := range map[string]struct {
		queue []*entry
		want  int
	}{
		"one":               {of(1, 1), 1},
		"all":               {of(maxGroupRecords, 1), maxGroupRecords},
		"one too many":      {of(maxGroupRecords+1, 1), maxGroupRecords},
		"many bytes":        {of(3, maxGroupBytes/2), 2},
		"one that is large": {of(2, maxGroupBytes+1), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries, rest := nextGroup(c.queue)
			require.Len(t, entries, c.want)
			require.Equal(t, c.queue, append(entries, rest...))
		})
	}
}

// transactional starts a transactional producer for the topics.
func transactional(tb testing.TB, cluster *kfake.Cluster, topics []string, opts ...option) running {
	tb.Helper()
	p := start(tb, cluster.ListenAddrs(), topics, append([]option{inTransactions(tb, true)}, opts...)...)
	awaitPool(tb, p)
	p.place(tb, topics[0], nil)
	return p
}

// transactionVersion sets the version of Kafka's transaction protocol.
func transactionVersion(tb testing.TB, cluster *kfake.Cluster, version int16) {
	tb.Helper()
	req := kmsg.NewUpdateFeaturesRequest()
	feature := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	feature.Feature, feature.MaxVersionLevel, feature.UpgradeType = "transaction.version", version, 3
	req.FeatureUpdates = append(req.FeatureUpdates, feature)
	resp := ask(tb, cluster, &req).(*kmsg.UpdateFeaturesResponse)
	require.Zero(tb, resp.ErrorCode, resp.ErrorMessage)
	for _, result := range resp.Results {
		require.Zero(tb, result.ErrorCode, result.ErrorMessage)
	}
}

// committed reads the values of a topic that a read-committed consumer sees, up
// to the high watermark.
func committed(tb testing.TB, brokers []string, topic string) (values []string) {
	tb.Helper()
	for _, r := range committedRecords(tb, brokers, topic) {
		values = append(values, string(r.Value))
	}
	return values
}

func committedRecords(tb testing.TB, brokers []string, topic string) (got []*kgo.Record) {
	tb.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond))
	require.NoError(tb, err)
	defer cl.Close()
	// Nothing tells that the end is reached when it is an aborted transaction's:
	// wait until nothing more has come for a while.
	for quiet := 0; quiet < 4; quiet++ {
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		fetches := cl.PollFetches(ctx)
		cancel()
		if records := fetches.Records(); len(records) > 0 {
			got, quiet = append(got, records...), 0
		}
	}
	return got
}

func (r running) write(topic string, partition int32, owner, value string) error {
	_, err := r.Publish(context.Background(), event.Record{
		Placement: event.Placement{Topic: topic, Partition: partition, Owner: owner}, Value: []byte(value), Timestamp: time.Now(),
	})
	return err
}

func TestTransactionsCommitAtTheirPositions(t *testing.T) {
	withClients(t, testTransactionsCommitAtTheirPositions)
}

func testTransactionsCommitAtTheirPositions(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(6, "t"))
	p := transactional(t, cluster, []string{"t"}, with)
	const callers, each = 32, 10
	var mu sync.Mutex
	seen := map[event.Position]string{}
	failed := make(chan error, callers*each)
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := range each {
				value := fmt.Sprintf("%d-%d", caller, i)
				place, err := p.Place("t", []byte(value), 0)
				if err == nil {
					var at event.Position
					at, err = p.Publish(context.Background(), event.Record{Placement: place, Key: []byte(value), Value: []byte(value), Timestamp: time.Now()})
					mu.Lock()
					seen[at] = value
					mu.Unlock()
				}
				if err != nil {
					failed <- err
				}
			}
		})
	}
	requireEnds(t, "records to be committed", wg.Wait)
	close(failed)
	require.NoError(t, <-failed)
	got := committedRecords(t, cluster.ListenAddrs(), "t")
	require.Len(t, got, callers*each)
	for _, r := range got {
		require.Equal(t, string(r.Value), seen[event.Position{Partition: r.Partition, Offset: r.Offset}])
	}
	require.Zero(t, p.metric(t, "gateway_kafka_queue_records"))
	require.Less(t, p.metric(t, "gateway_kafka_transactions_total"), float64(callers*each), "records must share transactions")
}

func TestRefusedRecordIsRefusedAndItsNeighboursAreWrittenOnce(t *testing.T) {
	withClients(t, testRefusedRecordIsRefusedAndItsNeighboursAreWrittenOnce)
}

func testRefusedRecordIsRefusedAndItsNeighboursAreWrittenOnce(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "small", "t"))
	p := transactional(t, cluster, []string{"t", "small"}, with)
	owner := p.place(t, "t", nil).Owner
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "small", Err: kerr.MessageTooLarge, Count: 1})
	errs := p.groupOf(t, cluster, owner, [2]string{"t", "a"}, [2]string{"small", "b"}, [2]string{"t", "c"})
	require.NoError(t, errs[0])
	requireError(t, errs[1], event.EventTooLarge, event.NotWritten)
	require.NoError(t, errs[2])
	require.Equal(t, []string{"first", "a", "c"}, committed(t, cluster.ListenAddrs(), "t"))
	require.Empty(t, committed(t, cluster.ListenAddrs(), "small"))
	require.NoError(t, p.write("t", 0, owner, "d"), "the same producer goes on")
	if p.plain().franz {
		require.NoError(t, p.write("small", 0, owner, "b"))
	} else { // with a gap in the sequence of the partition
		requireError(t, p.write("small", 0, owner, "b"), event.LogUnavailable, event.NotWritten)
		p.requireGoesOn(t, "small", "b", owner)
	}
	require.Equal(t, []string{"b"}, committed(t, cluster.ListenAddrs(), "small"))
}

// requireGoesOn waits for another producer, or a successor, to publish.
func (r running) requireGoesOn(t *testing.T, topic, value, notBy string) {
	t.Helper()
	awaitPool(t, r)
	require.Eventually(t, func() bool {
		place, err := r.Place(topic, nil, 0)
		return err == nil && place.Owner != notBy && r.write(topic, place.Partition, place.Owner, value) == nil
	}, patience, tick)
}

func TestTransactionWithoutAnswersIsUnknownAndItsProducerReplaced(t *testing.T) {
	withClients(t, testTransactionWithoutAnswersIsUnknownAndItsProducerReplaced)
}

func testTransactionWithoutAnswersIsUnknownAndItsProducerReplaced(t *testing.T, with option) {
	t.Parallel()
	for name, key := range map[string]kmsg.Key{"records": kmsg.Produce, "partitions": kmsg.AddPartitionsToTxn, "commit": kmsg.EndTxn} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := startKafka(t, kfake.SeedTopics(1, "t"))
			if key == kmsg.AddPartitionsToTxn {
				transactionVersion(t, cluster, 1) // in version 2 a produce request adds them
			}
			p := transactional(t, cluster, []string{"t"}, with, func(c *Config) { c.DeliveryTimeout = 1500 * time.Millisecond })
			owner := p.place(t, "t", nil).Owner
			// The producer is never answered: a commit that it sent a second time would count.
			cluster.ControlKey(key.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
				if transactionalIDOf(req) != owner {
					return nil, nil, false
				}
				cluster.KeepControl()
				return nil, nil, true
			})
			requireError(t, p.write("t", 0, owner, "lost"), event.OutcomeUnknown, event.Unknown)
			requireError(t, p.write("t", 0, owner, "queued"), event.LogUnavailable, event.NotWritten)
			p.requireGoesOn(t, "t", "next", owner)
			require.Equal(t, []string{"next"}, committed(t, cluster.ListenAddrs(), "t"))
		})
	}
}

// transactionalIDOf is the id of the producer that sends a request, "" for others.
func transactionalIDOf(req kmsg.Request) string {
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		if r.TransactionID != nil {
			return *r.TransactionID
		}
	case *kmsg.AddPartitionsToTxnRequest:
		return r.TransactionalID // up to version 3, which clients send
	case *kmsg.EndTxnRequest:
		return r.TransactionalID
	}
	return ""
}

func TestWhatWaitsInAProducerThatIsGivenUpIsNotWritten(t *testing.T) {
	withClients(t, testWhatWaitsInAProducerThatIsGivenUpIsNotWritten)
}

func testWhatWaitsInAProducerThatIsGivenUpIsNotWritten(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := transactional(t, cluster, []string{"t"}, with)
	owner := p.place(t, "t", nil).Owner
	held := holdProduce(t, cluster)
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- p.write("t", 0, owner, "under way") }()
	held.await(t)
	go func() { second <- p.write("t", 0, owner, "waits") }()
	p.awaitWaiting(t, owner, 1)
	if client, ok := p.pool().byID(owner).client.(*librdkafkaTx); ok {
		require.Equal(t, librdkafka.ErrNoError, client.producer.kp.TestFatalError(librdkafka.ErrInvalidProducerEpoch, "for a test"))
	} else {
		p.pool().byID(owner).abort()
	}
	requireError(t, receive(t, second, "the outcome of what waits"), event.LogUnavailable, event.NotWritten)
	requireError(t, receive(t, first, "the outcome of what is under way"), event.OutcomeUnknown, event.Unknown)
	held.release()
	p.requireGoesOn(t, "t", "next", owner)
	require.Equal(t, []string{"next"}, committed(t, cluster.ListenAddrs(), "t"))
}

func TestCommitThatFailsIsUnknown(t *testing.T) { withClients(t, testCommitThatFailsIsUnknown) }

func testCommitThatFailsIsUnknown(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := transactional(t, cluster, []string{"t"}, with)
	owner := p.place(t, "t", nil).Owner
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.InvalidTxnState, Count: 1})
	requireError(t, p.write("t", 0, owner, "a"), event.OutcomeUnknown, event.Unknown)
	p.requireGoesOn(t, "t", "b", owner)
}

func TestLateRecordsAreRefused(t *testing.T) { withClients(t, testLateRecordsAreRefused) }

func testLateRecordsAreRefused(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := transactional(t, cluster, []string{"t"}, with, func(c *Config) { c.DeliveryTimeout = 2 * time.Second })
	owner := p.place(t, "t", nil).Owner
	held := holdProduce(t, cluster)
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- p.write("t", 0, owner, "slow") }()
	held.await(t)
	go func() { second <- p.write("t", 0, owner, "late") }()
	p.awaitWaiting(t, owner, 1)
	p.pool().byID(owner).age(p.cfg.DeliveryTimeout)
	held.release()
	require.NoError(t, receive(t, first, "the first record's outcome"))
	requireError(t, receive(t, second, "the late record's outcome"), event.LogUnavailable, event.NotWritten)
	require.Equal(t, []string{"slow"}, committed(t, cluster.ListenAddrs(), "t"))
}

func TestRecordThatTheClientDoesNotTakeIsRefusedAlone(t *testing.T) {
	withClients(t, testRecordThatTheClientDoesNotTakeIsRefusedAlone)
}

func testRecordThatTheClientDoesNotTakeIsRefusedAlone(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := transactional(t, cluster, []string{"t"}, with)
	owner := p.place(t, "t", nil).Owner
	errs := p.groupOf(t, cluster, owner, [2]string{"t", "a"}, [2]string{"gone", strings.Repeat("x", 2<<20)}, [2]string{"t", "c"})
	require.NoError(t, errs[0])
	if p.plain().franz { // it looks for the topic first
		requireError(t, errs[1], event.LogUnavailable, event.NotWritten)
	} else {
		requireError(t, errs[1], event.EventTooLarge, event.NotWritten)
	}
	require.NoError(t, errs[2])
	require.Equal(t, []string{"first", "a", "c"}, committed(t, cluster.ListenAddrs(), "t"))
}

func TestTransactionalCloseCommitsWhatWaits(t *testing.T) {
	withClients(t, testTransactionalCloseCommitsWhatWaits)
}

func testTransactionalCloseCommitsWhatWaits(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := transactional(t, cluster, []string{"t"}, with)
	owner := p.place(t, "t", nil).Owner
	held := holdProduce(t, cluster)
	ended := make(chan error, 3)
	for i := range 3 {
		go func() { ended <- p.write("t", 0, owner, "x") }()
		require.Eventually(t, func() bool { return int(p.queued()) == 1+i }, patience, tick)
	}
	closed := make(chan struct{})
	go func() { p.Close(context.Background()); close(closed) }()
	require.Eventually(t, func() bool { return p.pool().ready() != nil }, patience, tick)
	requireRefused(t, event.LogUnavailable, func() error { return p.write("t", 0, owner, "too late") })
	held.release()
	for range 3 {
		require.NoError(t, receive(t, ended, "the outcome of what waited"))
	}
	receive(t, closed, "Close")
	require.Len(t, committed(t, cluster.ListenAddrs(), "t"), 3)
	require.Empty(t, registered(t, cluster, p), "ids that are closed in order need no fence")
}

func TestTransactionalCloseDoesNotWaitLongerThanItMay(t *testing.T) {
	withClients(t, testTransactionalCloseDoesNotWaitLongerThanItMay)
}

func testTransactionalCloseDoesNotWaitLongerThanItMay(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := transactional(t, cluster, []string{"t"}, with, slowToTimeOut)
	owner := p.place(t, "t", nil).Owner
	held := holdProduce(t, cluster)
	ended := make(chan error, 1)
	go func() { ended <- p.write("t", 0, owner, "x") }()
	held.await(t) // what has not gone is surely not written
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	requireEnds(t, "Close, which may wait for 50 ms", func() { p.Close(ctx) })
	require.Less(t, time.Since(begun), patience, "it does not wait for the delivery timeout")
	requireError(t, receive(t, ended, "the record's outcome"), event.OutcomeUnknown, event.Unknown)
}

package publish

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
)

func TestAcknowledgedRecordHasItsPosition(t *testing.T) {
	withClients(t, testAcknowledgedRecordHasItsPosition)
}

func testAcknowledgedRecordHasItsPosition(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(6, "orders"))
	p := start(t, cluster.ListenAddrs(), []string{"orders"}, with)
	place := p.place(t, "orders", []byte("o-10492"))
	require.Equal(t, partitionOf([]byte("o-10492"), 6), place.Partition)
	for offset := range int64(3) {
		at, err := p.Publish(context.Background(), event.Record{
			Placement: place, Key: []byte("o-10492"), Value: []byte("{}"), Timestamp: time.Now(),
		})
		require.NoError(t, err)
		require.Equal(t, event.Position{Partition: place.Partition, Offset: offset}, at)
	}
	require.Len(t, records(t, cluster, "orders", 3), 3)
}

// Records that are published asynchronously may be awaited later, in any order.
func TestAsyncRecordsAreAwaitedLater(t *testing.T) { withClients(t, testAsyncRecordsAreAwaitedLater) }

func testAsyncRecordsAreAwaitedLater(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(6, "orders"))
	p := start(t, cluster.ListenAddrs(), []string{"orders"}, with)
	place := p.place(t, "orders", []byte("o-10492"))
	gone := place
	gone.Owner = "another"
	refused := p.PublishAsync(t.Context(), event.Record{Placement: gone, Value: []byte("{}"), Timestamp: time.Now()})
	var waits []func() (event.Position, error)
	for range 5 {
		waits = append(waits, p.PublishAsync(t.Context(), event.Record{Placement: place, Key: []byte("o-10492"), Value: []byte("{}"), Timestamp: time.Now()}))
	}
	for offset, wait := range slices.Backward(waits) {
		at, err := wait()
		require.NoError(t, err)
		require.Equal(t, event.Position{Partition: place.Partition, Offset: int64(offset)}, at)
	}
	_, err := refused()
	var e *event.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, event.NotWritten, e.Outcome)
	require.Zero(t, p.current().flying.Load())
	require.Len(t, records(t, cluster, "orders", 5), 5)
}

func TestRecordArrivesUnchanged(t *testing.T) { withClients(t, testRecordArrivesUnchanged) }

func testRecordArrivesUnchanged(t *testing.T, with option) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 9, 15, 30, 123_000_000, time.UTC)
	for name, want := range map[string]event.Record{
		"plain":                {Key: []byte("o-1"), Value: []byte(`{"a": 1.0e2 }`), Headers: []event.Header{{Name: "ce_id", Value: "1"}}},
		"no key, no headers":   {Value: []byte("x")},
		"empty key":            {Key: []byte{}, Value: []byte("x")},
		"empty value":          {Key: []byte("k"), Value: []byte{}},
		"bytes of every value": {Key: everyByte(), Value: everyByte(), Headers: []event.Header{{Name: "h", Value: string(everyByte())}}},
		"headers in order, repeated, empty": {Key: []byte("k"), Value: []byte("x"), Headers: []event.Header{
			{Name: "b", Value: "1"}, {Name: "a", Value: ""}, {Name: "b", Value: "2"}, {Name: "ü", Value: "€"},
		}},
		"large": {Key: []byte("k"), Value: []byte(strings.Repeat("x", 900<<10))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := startKafka(t, kfake.SeedTopics(1, "t"))
			p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
			record := want
			record.Placement, record.Timestamp = p.place(t, "t", want.Key), at
			_, err := p.Publish(context.Background(), record)
			require.NoError(t, err)

			got := records(t, cluster, "t", 1)[0]
			require.Equal(t, want.Key, got.Key)
			require.Equal(t, want.Key == nil, got.Key == nil, "no key is not the empty key")
			require.Equal(t, want.Value, got.Value)
			require.True(t, at.Equal(got.Timestamp), got.Timestamp)
			var headers []event.Header
			for _, h := range got.Headers {
				headers = append(headers, event.Header{Name: h.Key, Value: string(h.Value)})
			}
			require.Equal(t, want.Headers, headers)
		})
	}
}

func everyByte() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func TestKeylessRecordsSpread(t *testing.T) { withClients(t, testKeylessRecordsSpread) }

func testKeylessRecordsSpread(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(4, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	p.place(t, "t", nil)
	for spread := range uint64(9) {
		place, err := p.Place("t", nil, spread)
		require.NoError(t, err)
		require.Equal(t, int32(spread%4), place.Partition)
	}
	place, err := p.Place("t", nil, ^uint64(0))
	require.NoError(t, err)
	require.Equal(t, int32(3), place.Partition)
	empty, err := p.Place("t", []byte{}, 1)
	require.NoError(t, err)
	require.Equal(t, partitionOf(nil, 4), empty.Partition, "the empty key is a key")
}

func TestConcurrentPublishes(t *testing.T) { withClients(t, testConcurrentPublishes) }

func testConcurrentPublishes(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(3, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	p.place(t, "t", nil)
	const callers, each = 32, 20
	var mu sync.Mutex
	seen := map[event.Position]string{}
	var wg sync.WaitGroup
	failed := make(chan error, callers*each)
	for caller := range callers {
		wg.Go(func() {
			for i := range each {
				value := fmt.Sprintf("%d-%d", caller, i)
				place, err := p.Place("t", []byte(value), 0)
				if err != nil {
					failed <- err
					continue
				}
				at, err := p.Publish(context.Background(), event.Record{Placement: place, Key: []byte(value), Value: []byte(value), Timestamp: time.Now()})
				if err != nil {
					failed <- err
					continue
				}
				mu.Lock()
				seen[at] = value
				mu.Unlock()
			}
		})
	}
	requireEnds(t, "records to be written", wg.Wait)
	close(failed)
	require.NoError(t, <-failed)
	require.Len(t, seen, callers*each, "every record must have a place of its own")
	for _, r := range records(t, cluster, "t", callers*each) {
		require.Equal(t, seen[event.Position{Partition: r.Partition, Offset: r.Offset}], string(r.Value), "each caller gets its own position")
	}
	require.Zero(t, p.metric(t, "gateway_kafka_queue_records"))
}

// publishUntil publishes until done says so of an outcome: on a busy machine an
// answer can take longer than surelyFirstTry, and is then rightly unknown.
func publishUntil(t *testing.T, p running, topic string, done func(error) bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		begun := time.Now()
		_, err := p.publish(t, topic, "{}")
		if done(err) {
			return
		}
		var e *event.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, event.Unknown, e.Outcome, err)
		require.GreaterOrEqual(t, time.Since(begun), surelyFirstTry, "unknown although it came soon: %v", err)
		require.True(t, time.Now().Before(end), "not in time: %v", err)
	}
}

func TestRefusalsOfTheBroker(t *testing.T) { withClients(t, testRefusalsOfTheBroker) }

func testRefusalsOfTheBroker(t *testing.T, with option) {
	t.Parallel()
	for _, c := range []struct {
		fault *kerr.Error
		kind  event.Kind
	}{
		{kerr.MessageTooLarge, event.EventTooLarge},
		{kerr.RecordListTooLarge, event.EventTooLarge},
		{kerr.TopicAuthorizationFailed, event.LogUnavailable},
		{kerr.InvalidTopicException, event.LogUnavailable},
		{kerr.InvalidRecord, event.LogUnavailable},
		{kerr.InvalidTimestamp, event.LogUnavailable},
		{kerr.PolicyViolation, event.LogUnavailable},
		{kerr.UnsupportedForMessageFormat, event.LogUnavailable},
		{kerr.UnsupportedCompressionType, event.LogUnavailable},
		{kerr.SecurityDisabled, event.LogUnavailable},
	} {
		t.Run(c.fault.Message, func(t *testing.T) {
			t.Parallel()
			cluster := startKafka(t, kfake.SeedTopics(1, "t", "healthy"))
			p := start(t, cluster.ListenAddrs(), []string{"t", "healthy"}, with)
			_, err := p.publish(t, "t", "before")
			require.NoError(t, err)
			fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "t", Err: c.fault, Count: -1})
			publishUntil(t, p, "t", func(err error) bool {
				var e *event.Error
				require.ErrorAs(t, err, &e)
				if e.Outcome == event.Unknown {
					return false
				}
				requireError(t, err, c.kind, event.NotWritten)
				return true
			})
			_, err = p.publish(t, "healthy", "{}")
			require.NoError(t, err, "other topics are not concerned")
			fault.Remove()
			require.Eventually(t, func() bool { // librdkafka remembers some refusals until it has asked again
				_, err = p.publish(t, "t", "after")
				return err == nil
			}, refreshInterval/2, tick, "it must be over when it is over")
			for i, r := range records(t, cluster, "t", 2) {
				require.Equal(t, []string{"before", "after"}[i], string(r.Value))
			}
		})
	}
}

// The broker appended the record and said it did not know: librdkafka sends it
// again, and the broker recognises it.
func TestRetryInsideTheProducerWritesOnce(t *testing.T) {
	withClients(t, testRetryInsideTheProducerWritesOnce)
}

func testRetryInsideTheProducerWritesOnce(t *testing.T, with option) {
	t.Parallel()
	for _, fault := range []*kerr.Error{kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend} {
		t.Run(fault.Message, func(t *testing.T) {
			t.Parallel()
			cluster := startKafka(t, kfake.SeedTopics(1, "t"))
			p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
			p.place(t, "t", nil)
			h := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "t", Err: fault})
			at, err := p.publish(t, "t", "once")
			require.NoError(t, err)
			require.Equal(t, int64(0), at.Offset)
			require.Equal(t, 1, h.Hits())
			next, err := p.publish(t, "t", "next")
			require.NoError(t, err)
			require.Equal(t, int64(1), next.Offset, "the first must be there once")
		})
	}
}

// A refusal of a second try says nothing about the first, which was appended.
func TestRefusalOfASecondTryIsUnknown(t *testing.T) { withClients(t, testRefusalOfASecondTryIsUnknown) }

func testRefusalOfASecondTryIsUnknown(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	p.place(t, "t", nil)
	keys := []kmsg.Key{kmsg.Produce}
	cluster.Fault(
		kfake.Fault{Keys: keys, Topic: "t", Err: kerr.RequestTimedOut}, // but appends
		kfake.Fault{Keys: keys, Topic: "t", Err: kerr.TopicAuthorizationFailed},
	)
	_, err := p.publish(t, "t", "written")
	requireError(t, err, event.OutcomeUnknown, event.Unknown)
	require.Equal(t, "written", string(records(t, cluster, "t", 1)[0].Value))
	require.InDelta(t, 1, p.metric(t, "gateway_kafka_publish_failures_total"), 0)
}

func TestNoAnswerIsUnknown(t *testing.T) { withClients(t, testNoAnswerIsUnknown) }

func testNoAnswerIsUnknown(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with, func(c *Config) { c.DeliveryTimeout = 1500 * time.Millisecond })
	p.place(t, "t", nil)
	cluster.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return nil, nil, true // and never answers
	})
	_, err := p.publish(t, "t", "{}")
	requireError(t, err, event.OutcomeUnknown, event.Unknown)
}

func TestCallerWhoStopsWaitingIsToldUnknown(t *testing.T) {
	withClients(t, testCallerWhoStopsWaitingIsToldUnknown)
}

func testCallerWhoStopsWaitingIsToldUnknown(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	place := p.place(t, "t", nil)
	held := holdProduce(t, cluster)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := p.Publish(ctx, event.Record{Placement: place, Value: []byte("x"), Timestamp: time.Now()})
		ended <- err
	}()
	require.Eventually(t, func() bool { return p.queued() == 1 }, patience, tick)
	cancel()
	requireError(t, receive(t, ended, "the answer to who stops waiting"), event.OutcomeUnknown, event.Unknown)
	held.release()
	require.Len(t, records(t, cluster, "t", 1), 1, "it was written nevertheless")
	// Its late report must not be taken for that of another record.
	at, err := p.publish(t, "t", "next")
	require.NoError(t, err)
	require.Equal(t, int64(1), at.Offset)
}

func TestPropertyThatLibrdkafkaDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ property, value, complaint string }{
		"unknown property": {"no.such.property", "1", "no.such.property"},
		"value of another": {"compression.codec", "middle-out", "compression.codec"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := New(Config{
				Brokers: []string{"127.0.0.1:1"}, DeliveryTimeout: time.Second, Properties: map[string]string{c.property: c.value},
			}, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
			require.ErrorContains(t, err, c.complaint)
		})
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	require.NoError(t, err)
	defer cluster.Close()
	p := start(t, cluster.ListenAddrs(), []string{"t"})
	p.place(t, "t", nil)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, p.Ping(ctx))

	cluster.Close()
	ended := make(chan error)
	go func() {
		for range 20 {
			// librdkafka takes a timeout of -1 ms for none at all.
			past, cancel := context.WithDeadline(context.Background(), time.Now().Add(-1500*time.Microsecond))
			ended <- p.Ping(past)
			cancel()
		}
		close(ended)
	}()
	for range 20 {
		require.Error(t, receive(t, ended, "a question whose context has expired"))
	}
	receive(t, ended, "the last question")
}

func TestPingBeforeMetadata(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"127.0.0.1:1"}, nil)
	require.ErrorContains(t, p.Ping(context.Background()), "topics")
}

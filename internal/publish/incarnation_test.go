package publish

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// silentClient keeps what it gets. It ends what was given up if it can withdraw.
type silentClient struct {
	withdraws, ends bool

	mu     sync.Mutex
	to     reporter
	has    []*inFlight
	closed bool
}

func (c *silentClient) send(f *inFlight) *event.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.has = append(c.has, f)
	return nil
}

func (c *silentClient) sendAll(all []*inFlight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.has = append(c.has, all...)
}

func (c *silentClient) abandon(w *waits) bool {
	if c.ends {
		for _, f := range c.take(w.topic) {
			c.to.report(f, report{err: errOverdue})
		}
	}
	return c.withdraws
}

func (c *silentClient) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// take removes the records of a topic.
func (c *silentClient) take(topic string) (taken []*inFlight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var rest []*inFlight
	for _, f := range c.has {
		if f.record.Topic == topic {
			taken = append(taken, f)
		} else {
			rest = append(rest, f)
		}
	}
	c.has = rest
	return taken
}

func (c *silentClient) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// flying is an incarnation with a silent client.
type flying struct {
	*incarnation
	client  *silentClient
	metrics *Metrics
	ended   chan string
}

func newFlying(t *testing.T, limit time.Duration, client *silentClient) flying {
	t.Helper()
	logger, metrics := slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry())
	m := &monitor{
		topics:     newTopics(func() *kafka.Admin { return nil }, func(map[string]topic) {}, TopicCreation{}, logger),
		quarantine: newQuarantine(logger, metrics), logger: logger, metrics: metrics,
	}
	f := flying{client: client, metrics: metrics, ended: make(chan string, 1)}
	f.incarnation = newIncarnation(limit, m, newMemory(1<<20), logger, func(reason string) { f.ended <- reason })
	client.to = f.incarnation
	f.start(client)
	t.Cleanup(func() { f.close(context.Background(), 0) })
	return f
}

func (f flying) publish(t *testing.T, topic string) chan ack {
	t.Helper()
	done, refused := f.send(event.Record{Placement: event.Placement{Topic: topic}, Value: []byte("x"), Timestamp: time.Now()})
	require.Nil(t, refused)
	return done
}

func (f flying) acknowledge(topic string) {
	for _, one := range f.client.take(topic) {
		f.report(one, report{})
	}
}

func requireUnknown(t *testing.T, done chan ack) {
	t.Helper()
	a := receive(t, done, "an answer")
	require.NotNil(t, a.err)
	requireError(t, a.err, event.OutcomeUnknown, event.Unknown)
}

// One partition that does not acknowledge is given up alone.
func TestStuckPartitionIsGivenUpAlone(t *testing.T) {
	t.Parallel()
	f := newFlying(t, 100*time.Millisecond, &silentClient{withdraws: true, ends: true})
	healthy := f.publish(t, "healthy")
	stuck := f.publish(t, "stuck")
	f.acknowledge("healthy")
	require.Nil(t, receive(t, healthy, "an acknowledgement").err)
	requireUnknown(t, stuck)
	require.False(t, f.failed.Load())
	require.InDelta(t, 1, testutil.ToFloat64(f.metrics.givenUp.WithLabelValues(givenUpPartition)), 0)
	_, refused := f.monitor.quarantine.admit("stuck", 0)
	require.NotNil(t, refused, "its events are refused at once from now on")

	again := f.publish(t, "stuck") // a record whose claim stands already
	f.acknowledge("stuck")
	require.Nil(t, receive(t, again, "an acknowledgement").err)
	require.Zero(t, f.memory.held.Load())
}

// What a client does not withdraw soon must not be sent later: it is closed.
func TestClientThatDoesNotWithdrawIsClosed(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]*silentClient{
		"cannot":   {},
		"does not": {withdraws: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFlying(t, 100*time.Millisecond, client)
			stuck, other := f.publish(t, "stuck"), f.publish(t, "other")
			requireUnknown(t, stuck)
			requireUnknown(t, other)
			reason := receive(t, f.ended, "the incarnation's end")
			require.True(t, client.isClosed())
			if !client.withdraws {
				require.Equal(t, "a record was not acknowledged in time", reason, "at once, without abandonGrace")
			}
			_, refused := f.send(event.Record{Placement: event.Placement{Topic: "other"}, Value: []byte("x")})
			requireError(t, refused, event.LogUnavailable, event.NotWritten)
			require.Zero(t, f.flying.Load())
			require.Zero(t, f.memory.held.Load())
			f.report(client.take("stuck")[0], report{}) // a late report is not taken for another record's
		})
	}
}

// A caller that does not collect its acknowledgement gives nothing up (issue R6: a
// batch waits for its entities one after the other).
func TestUncollectedAcknowledgementIsNotOverdue(t *testing.T) {
	t.Parallel()
	f := newFlying(t, 50*time.Millisecond, &silentClient{})
	uncollected := f.publish(t, "t")
	f.acknowledge("t")
	time.Sleep(200 * time.Millisecond) // four times the limit
	waiting := f.publish(t, "t")
	f.acknowledge("t")
	require.Nil(t, receive(t, waiting, "an acknowledgement").err)
	require.Nil(t, receive(t, uncollected, "an acknowledgement").err)
	require.False(t, f.failed.Load())
}

func TestMemoryOfRecordsInFlightIsBounded(t *testing.T) {
	t.Parallel()
	f := newFlying(t, time.Minute, &silentClient{})
	var refused *event.Error
	sent := 0
	for refused == nil {
		_, refused = f.send(event.Record{Placement: event.Placement{Topic: "t"}, Value: make([]byte, 60)})
		sent++
	}
	requireError(t, refused, event.Overloaded, event.NotWritten)
	require.Less(t, sent, 1<<20/recordOverhead+1, "what a record takes beside its own bytes counts")
	f.acknowledge("t")
	require.Zero(t, f.memory.held.Load())
	f.publish(t, "t")
}

// Kafka refuses a batch for its size: only a record that was alone is told to be too large.
func TestNeighbourOfALargeRecordIsNotTooLarge(t *testing.T) {
	t.Parallel()
	f := newFlying(t, time.Minute, &silentClient{})
	refuse := func() {
		for _, one := range f.client.take("t") {
			f.report(one, report{err: librdkafka.NewError(librdkafka.ErrMsgSizeTooLarge, "", false), firstTry: true})
		}
	}
	alone := f.publish(t, "t")
	refuse()
	requireError(t, receive(t, alone, "a refusal").err, event.EventTooLarge, event.NotWritten)
	first, second := f.publish(t, "t"), f.publish(t, "t")
	refuse()
	requireError(t, receive(t, first, "a refusal").err, event.LogUnavailable, event.NotWritten)
	requireError(t, receive(t, second, "a refusal").err, event.LogUnavailable, event.NotWritten)
}

// A watcher looks often enough, and waits briefly enough, for the shortest lease.
func TestGivingUpFitsIntoTheShortestLease(t *testing.T) {
	t.Parallel()
	const (
		deliverySlack = 1500 * time.Millisecond // of internal/ingest: what a lease has beyond a delivery
		busyMachine   = deliverySlack / 2
	)
	require.LessOrEqual(t, 2*watchAtLeast+abandonGrace, deliverySlack-busyMachine)
}

package publish

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
)

// brief is a delivery timeout that tests can wait out.
func brief(c *Config) { c.DeliveryTimeout = 1500 * time.Millisecond }

// steady publishes to a topic, one record after the other, until it is stopped.
type steady struct {
	stop                      chan struct{}
	done                      sync.WaitGroup
	written, refused, unknown atomic.Int64
}

func (r running) steady(topic string, callers int) *steady {
	s := &steady{stop: make(chan struct{})}
	for range callers {
		s.done.Go(func() {
			for {
				select {
				case <-s.stop:
					return
				default:
				}
				place, err := r.Place(topic, []byte("k"), 0)
				if err == nil {
					_, err = r.Publish(context.Background(), event.Record{Placement: place, Key: []byte("k"), Value: []byte("x"), Timestamp: time.Now()})
				}
				var e *event.Error
				switch {
				case err == nil:
					s.written.Add(1)
				case errors.As(err, &e) && e.Outcome == event.NotWritten:
					s.refused.Add(1)
					time.Sleep(tick)
				default:
					s.unknown.Add(1)
				}
			}
		})
	}
	return s
}

func (s *steady) end(t *testing.T) {
	t.Helper()
	close(s.stop)
	requireEnds(t, "callers, each of whom has one record in flight", s.done.Wait)
}

// A partition with too few in-sync replicas harms no other topic; with librdkafka no more
// than once (issue R5).
func TestStuckPartitionHarmsNoOtherTopic(t *testing.T) {
	withClients(t, testStuckPartitionHarmsNoOtherTopic)
}

func testStuckPartitionHarmsNoOtherTopic(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "stuck", "healthy"))
	p := start(t, cluster.ListenAddrs(), []string{"stuck", "healthy"}, with, brief)
	for _, topic := range []string{"stuck", "healthy"} {
		_, err := p.publish(t, topic, "before")
		require.NoError(t, err)
	}
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "stuck", Err: kerr.NotEnoughReplicas, Count: -1})
	const callers = 4
	healthy, stuck := p.steady("healthy", callers), p.steady("stuck", callers)
	require.Eventually(t, func() bool { return stuck.refused.Load() > 20 }, patience, tick, "its events must be refused at once in the end")
	time.Sleep(3 * time.Second) // two delivery timeouts more
	healthy.end(t)
	fault.Remove()
	before := stuck.written.Load()
	require.Eventually(t, func() bool { return stuck.written.Load() > before }, patience, tick, "it must be over when it is over")
	stuck.end(t)
	if p.plain().franz {
		require.Zero(t, healthy.unknown.Load())
		require.Zero(t, healthy.refused.Load())
		require.Zero(t, p.metric(t, "gateway_kafka_producer_replacements_total"))
	} else {
		require.LessOrEqual(t, healthy.unknown.Load(), int64(callers), "what was in flight when it was given up")
	}
	require.Positive(t, healthy.written.Load())
	require.Positive(t, stuck.unknown.Load())
}

// A topic that refuses all of its records harms no other; with librdkafka no more than
// what was in flight at the first refusal.
func TestRefusingTopicHarmsNoOtherTopic(t *testing.T) {
	withClients(t, testRefusingTopicHarmsNoOtherTopic)
}

func testRefusingTopicHarmsNoOtherTopic(t *testing.T, with option) {
	t.Parallel()
	for _, refusal := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.InvalidTimestamp} {
		t.Run(refusal.Message, func(t *testing.T) {
			t.Parallel()
			cluster := startKafka(t, kfake.SeedTopics(1, "refusing", "healthy"))
			p := start(t, cluster.ListenAddrs(), []string{"refusing", "healthy"}, with)
			for _, topic := range []string{"refusing", "healthy"} {
				_, err := p.publish(t, topic, "before")
				require.NoError(t, err)
			}
			fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "refusing", Err: refusal, Count: -1})
			const callers = 4
			healthy, refusing := p.steady("healthy", callers), p.steady("refusing", callers)
			time.Sleep(5 * time.Second)
			healthy.end(t)
			fault.Remove()
			before := refusing.written.Load()
			require.Eventually(t, func() bool { return refusing.written.Load() > before }, patience, tick)
			refusing.end(t)
			require.Positive(t, refusing.refused.Load())
			require.Positive(t, healthy.written.Load())
			if p.plain().franz {
				require.Zero(t, healthy.unknown.Load())
				require.Zero(t, healthy.refused.Load())
			} else {
				require.LessOrEqual(t, healthy.unknown.Load(), int64(callers))
			}
		})
	}
}

// stalling makes kfake's connections read nothing while it is set.
type stalling struct {
	net.Conn
	stalled *sync.RWMutex
}

func (s stalling) Read(b []byte) (int, error) {
	s.stalled.RLock()
	s.stalled.RUnlock() //nolint:staticcheck // it only waits
	return s.Conn.Read(b)
}

type stallingListener struct {
	net.Listener
	stalled *sync.RWMutex
}

func (l stallingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return stalling{c, l.stalled}, nil
}

// silencing makes the connections that were accepted so far read nothing any more.
type silencing struct {
	net.Listener
	mu      sync.Mutex
	current *sync.RWMutex
}

func (l *silencing) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return stalling{c, l.current}, nil
}

func (l *silencing) silence() (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.current
	l.current = new(sync.RWMutex)
	old.Lock()
	return old.Unlock
}

// A host that dies in silence costs a socket timeout, not a delivery timeout: what was in
// flight goes over a new connection, to whichever broker leads by then (issue R4).
func TestSilentConnectionIsReplacedSoon(t *testing.T) {
	withClients(t, testSilentConnectionIsReplacedSoon)
}

func testSilentConnectionIsReplacedSoon(t *testing.T, with option) {
	t.Parallel()
	l := &silencing{current: new(sync.RWMutex)}
	cluster := startKafka(t, kfake.SeedTopics(1, "t"), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		var err error
		l.Listener, err = net.Listen(network, address)
		return l, err
	}))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with)
	_, err := p.publish(t, "t", "before")
	require.NoError(t, err)
	place := p.place(t, "t", []byte("k"))
	t.Cleanup(l.silence())
	begun := time.Now()
	at, err := p.Publish(t.Context(), event.Record{Placement: place, Key: []byte("k"), Value: []byte("x"), Timestamp: time.Now()})
	require.NoError(t, err)
	require.Equal(t, int64(1), at.Offset)
	require.Less(t, time.Since(begun), 10*time.Second, "half of the delivery timeout")
}

// A franz-go client that is given up sends nothing more, not even what the kernel had
// buffered: a broker that reads again later gets nothing of it.
func TestGivenUpClientSendsNothing(t *testing.T) {
	t.Parallel()
	var stalled sync.RWMutex
	cluster := startKafka(t, kfake.SeedTopics(1, "t"), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		return stallingListener{l, &stalled}, err
	}))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, brief)
	place := p.place(t, "t", []byte("k"))
	_, err := p.publish(t, "t", "before")
	require.NoError(t, err)

	stalled.Lock()
	// More than the sockets' buffers take, so that a write is in progress, and one
	// that they take whole.
	value := []byte(strings.Repeat("x", 800<<10))
	var waits []func() (event.Position, error)
	for range 12 {
		waits = append(waits, p.PublishAsync(t.Context(), event.Record{Placement: place, Key: []byte("k"), Value: value, Timestamp: time.Now()}))
	}
	for _, wait := range waits {
		_, err := wait()
		requireError(t, err, event.OutcomeUnknown, event.Unknown)
	}
	require.Eventually(t, func() bool { return p.current().id != place.Owner }, patience, tick)
	require.Zero(t, p.queued())
	stalled.Unlock()

	var at event.Position
	require.Eventually(t, func() bool { at, err = p.publish(t, "t", "after"); return err == nil }, patience, tick)
	// kgo had one request on its way before it was closed: what the broker's machine has
	// received of it stays. Nothing else arrives.
	require.LessOrEqual(t, at.Offset, int64(2))
	time.Sleep(time.Second)
	next, err := p.publish(t, "t", "and after")
	require.NoError(t, err)
	require.Equal(t, at.Offset+1, next.Offset)
}

// A topic that was deleted and created again is written to again, with the same client or
// a new one.
func TestTopicThatWasCreatedAnew(t *testing.T) { withClients(t, testTopicThatWasCreatedAnew) }

func testTopicThatWasCreatedAnew(t *testing.T, with option) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"}, with, func(c *Config) {
		c.Properties = map[string]string{"topic.metadata.refresh.interval.ms": "1000", "metadata.max.age.ms": "1000"} // 30 s otherwise
	})
	_, err := p.publish(t, "t", "before")
	require.NoError(t, err)
	deletion := kmsg.NewDeleteTopicsRequest()
	deletion.TopicNames = []string{"t"}
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr("t")
	deletion.Topics = append(deletion.Topics, topic)
	ask(t, cluster, &deletion)
	require.NoError(t, cluster.CreateTopic("t", 1, nil))
	time.Sleep(3 * time.Second) // the clients have learned the topic's new id
	require.Eventually(t, func() bool { _, err = p.publish(t, "t", "after"); return err == nil }, patience, tick)
	require.Equal(t, "after", string(records(t, cluster, "t", 1)[0].Value))
}

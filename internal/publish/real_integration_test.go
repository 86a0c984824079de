//go:build integration

package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
)

func realAdmin(tb testing.TB, brokers []string, call func(context.Context, *kadm.Client) error) {
	tb.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	require.NoError(tb, err)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience) // also after the test's own is over
	defer cancel()
	require.NoError(tb, call(ctx, kadm.NewClient(cl)))
}

// realTopic makes a topic of this test's own.
func realTopic(tb testing.TB, brokers []string, partitions int32) string {
	tb.Helper()
	name := "test-publish-" + uuid.NewString()
	realAdmin(tb, brokers, func(ctx context.Context, adm *kadm.Client) error {
		_, err := adm.CreateTopic(ctx, partitions, 1, nil, name)
		return err
	})
	dropTopic(tb, brokers, name)
	return name
}

func dropTopic(tb testing.TB, brokers []string, name string) {
	tb.Cleanup(func() {
		realAdmin(tb, brokers, func(ctx context.Context, adm *kadm.Client) error {
			_, err := adm.DeleteTopics(ctx, name)
			return err
		})
	})
}

// realTransactional starts a transactional producer whose registry goes when it does.
func realTransactional(tb testing.TB, brokers []string, topic string, opts ...option) running {
	tb.Helper()
	var registry string
	tb.Cleanup(func() {
		realAdmin(tb, brokers, func(ctx context.Context, adm *kadm.Client) error {
			_, err := adm.DeleteTopics(ctx, registry)
			return err
		})
	})
	p := start(tb, brokers, []string{topic}, append([]option{inTransactions(tb, true)}, opts...)...)
	registry = p.pool().registry.topic
	awaitPool(tb, p)
	p.place(tb, topic, nil)
	return p
}

// ledger is what callers were told of each value they published.
type ledger struct {
	mu       sync.Mutex
	written  map[string]event.Position
	unknown  map[string]bool
	refused  map[string]bool
	newest   time.Time // of written
	callers  sync.WaitGroup
	stopping chan struct{}
}

// load publishes from many callers until the ledger is closed.
func (r running) load(topic string, callers int) *ledger {
	l := &ledger{written: map[string]event.Position{}, unknown: map[string]bool{}, refused: map[string]bool{}, stopping: make(chan struct{})}
	for caller := range callers {
		l.callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stopping:
					return
				default:
				}
				l.one(r, topic, fmt.Sprintf("%d-%d", caller, n))
			}
		})
	}
	return l
}

func (l *ledger) one(r running, topic, value string) {
	place, err := r.Place(topic, []byte(value), 0)
	if err != nil {
		backoff.Sleep(context.Background(), tick)
		return
	}
	at, err := r.Publish(context.Background(), event.Record{Placement: place, Key: []byte(value), Value: []byte(value), Timestamp: time.Now()})
	l.mu.Lock()
	defer l.mu.Unlock()
	var e *event.Error
	switch {
	case err == nil:
		l.written[value], l.newest = at, time.Now()
	case errors.As(err, &e) && e.Outcome == event.NotWritten:
		l.refused[value] = true
	default:
		l.unknown[value] = true
	}
}

func (l *ledger) counts() (written, unknown, refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.written), len(l.unknown), len(l.refused)
}

// requireMore waits until n more are written.
func (l *ledger) requireMore(t *testing.T, n int) {
	t.Helper()
	before, _, _ := l.counts()
	require.Eventually(t, func() bool { now, _, _ := l.counts(); return now >= before+n }, patience, tick)
}

// settle stops the load and holds what callers were told to what a
// read-committed consumer sees.
func (l *ledger) settle(t *testing.T, brokers []string, topic string) {
	t.Helper()
	close(l.stopping)
	requireEnds(t, "callers, each of whom has one record in flight", l.callers.Wait)
	seen := map[string]int{}
	for _, r := range committedRecords(t, brokers, topic) {
		value := string(r.Value)
		seen[value]++
		require.False(t, l.refused[value], "%s was refused and is there", value)
		if at, ok := l.written[value]; ok {
			require.Equal(t, event.Position{Partition: r.Partition, Offset: r.Offset}, at, value)
		}
	}
	for value := range l.written {
		require.Equal(t, 1, seen[value], "%s was acknowledged", value)
	}
	for value := range l.unknown {
		require.LessOrEqual(t, seen[value], 1, "%s is unknown", value)
	}
	require.NotEmpty(t, l.written)
	t.Logf("written %d, unknown %d, refused %d", len(l.written), len(l.unknown), len(l.refused))
}

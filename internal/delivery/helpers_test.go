package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
	"eventgateway/internal/delivery/endpoint"
	"eventgateway/internal/dev"
	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

var quietLogger = slog.New(slog.DiscardHandler)

const patience = 60 * time.Second

// world is an embedded Kafka, an endpoint and a place for dead letters.
type world struct {
	t      testing.TB
	kafka  *dev.Services
	client *kgo.Client
	url    string

	mu      sync.Mutex
	quiet   bool // calls are counted, and not kept
	n       int
	calls   []call
	answer  func(call) int
	letters []event.Record
	refuse  error // of dead letters
}

// call is a request that the endpoint got.
type call struct {
	ID, Key, Attempt string
	Event            map[string]any
	Header           http.Header
	Body             []byte
}

func newWorld(t testing.TB, partitions int32) *world {
	t.Helper()
	services, err := dev.Start(dev.Config{KafkaListen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(services.Close)
	w := &world{t: t, kafka: services, answer: func(call) int { return http.StatusNoContent }}
	w.client, err = kgo.NewClient(kgo.SeedBrokers(services.KafkaAddr()), kgo.DefaultProduceTopic("orders"))
	require.NoError(t, err)
	t.Cleanup(w.client.Close)
	_, err = kadm.NewClient(w.client).CreateTopic(t.Context(), partitions, 1, nil, "orders")
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	c := call{ID: r.Header.Get("Webhook-Id"), Attempt: r.Header.Get("Gateway-Attempt"), Header: r.Header}
	c.Body, _ = io.ReadAll(r.Body)
	if !w.quiet {
		_ = json.Unmarshal(c.Body, &c.Event)
	}
	c.Key, _ = c.Event["partitionkey"].(string)
	w.mu.Lock()
	w.n++
	if !w.quiet {
		w.calls = append(w.calls, c)
	}
	answer := w.answer
	w.mu.Unlock()
	rw.WriteHeader(answer(c))
}

func (w *world) answers(f func(call) int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = f
}

// of are the calls for a key.
func (w *world) of(key string) (list []call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c.Key == key {
			list = append(list, c)
		}
	}
	return list
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

func (w *world) dead() []event.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]event.Record{}, w.letters...)
}

// Place implements DeadLetterLog.
func (w *world) Place(topic string, _ []byte, _ uint64) (event.Placement, error) {
	return event.Placement{Topic: topic}, nil
}

// Publish implements DeadLetterLog.
func (w *world) Publish(_ context.Context, r event.Record) (event.Position, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != nil {
		return event.Position{}, w.refuse
	}
	w.letters = append(w.letters, r)
	return event.Position{}, nil
}

var errRefused = errors.New("the topic takes nothing")

func (w *world) refuses(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = err
}

func (w *world) write(records ...*kgo.Record) {
	w.t.Helper()
	require.NoError(w.t, w.client.ProduceSync(w.t.Context(), records...).FirstErr())
}

func record(key, value string) *kgo.Record {
	return &kgo.Record{Key: []byte(key), Value: []byte(value)}
}

func (w *world) config(change ...func(*Config)) Config {
	c := Config{
		Name: "test", Topics: []string{"orders"}, Ordered: true, Concurrency: 8, Start: kafka.Start{Earliest: true},
		Retry:    Retry{Attempts: 3, Initial: 5 * time.Millisecond, Max: 20 * time.Millisecond, Total: time.Hour},
		WhenFull: FullWait, OnLost: LostStop, Session: 10 * time.Second,
		Endpoint: endpoint.Config{URL: w.url, Timeout: 10 * time.Second, Concurrency: 8, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, UserAgent: "test"},
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func (w *world) connection() kafka.Connection {
	return kafka.Connection{Brokers: []string{w.kafka.KafkaAddr()}}
}

func (w *world) table() *kafka.Table {
	return w.connection().NewTable(StateTopic("t"), 1, quietLogger)
}

// start runs a gateway's subscriptions until stop is called, or the test ends.
func (w *world) start(configs ...Config) (set *Set, stop func()) {
	w.t.Helper()
	set = NewSet(configs, w.table(), Deps{
		Kafka: w.connection(), DeadLetters: w, Logger: quietLogger, Metrics: NewMetrics(prometheus.NewRegistry()),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { set.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(stop)
	return set, stop
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.True(w.t, backoff.Poll(ctx, 10*time.Millisecond, is), what)
}

// committed is the offset of a partition, -1 for none, and what the metadata say.
func (w *world) committed(partition int32) progress {
	w.t.Helper()
	all, err := kadm.NewClient(w.client).FetchOffsets(w.t.Context(), Group("test"))
	if err != nil {
		return progress{base: -1} // there is no group yet
	}
	o, ok := all.Lookup("orders", partition)
	if !ok {
		return progress{base: -1}
	}
	p, err := decodeProgress(o.At, o.Metadata)
	require.NoError(w.t, err)
	return p
}

func commitAs(t *testing.T, w *world, offset int64, metadata string) {
	t.Helper()
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: "orders", Partition: 0, At: offset, LeaderEpoch: -1, Metadata: metadata})
	done, err := kadm.NewClient(w.client).CommitOffsets(t.Context(), Group("test"), offsets)
	require.NoError(t, err)
	require.NoError(t, done.Error())
}

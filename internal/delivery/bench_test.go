package delivery

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/delivery/endpoint"
)

// BenchmarkDelivery compares a subscription with a floor in the same run: a bare consumer
// and an endpoint without order, retries and commits. "fast" answers at once, "10ms" takes
// that long; one partition, 1,000 entities, 64 attempts at once.
//
//	go test ./internal/delivery -run xxx -bench Delivery -benchtime 20000x
func BenchmarkDelivery(b *testing.B) {
	for _, c := range []struct {
		name  string
		delay time.Duration
	}{{"fast", 0}, {"10ms", 10 * time.Millisecond}} {
		b.Run(c.name+"/floor", func(b *testing.B) { benchFloor(b, c.delay) })
		b.Run(c.name+"/subscription", func(b *testing.B) { benchSubscription(b, c.delay) })
	}
}

func benchWorld(b *testing.B, delay time.Duration) *world {
	b.Helper()
	w := newWorld(b, 1)
	w.quiet = true
	w.answers(func(call) int {
		time.Sleep(delay)
		return http.StatusNoContent
	})
	var wg sync.WaitGroup
	for i := range b.N {
		wg.Add(1)
		w.client.Produce(b.Context(), record("k"+strconv.Itoa(i%1000), `{"orderId":"o-10492","customerId":"c-318","currency":"EUR"}`), func(*kgo.Record, error) { wg.Done() })
	}
	wg.Wait()
	return w
}

func benchConfig(w *world) Config {
	return w.config(func(c *Config) { c.Concurrency, c.Endpoint.Concurrency = 64, 64 })
}

func benchSubscription(b *testing.B, delay time.Duration) {
	w := benchWorld(b, delay)
	b.ResetTimer()
	w.start(benchConfig(w))
	w.eventually("all came", func() bool { return w.count() >= b.N })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func benchFloor(b *testing.B, delay time.Duration) {
	w := benchWorld(b, delay)
	cfg := benchConfig(w)
	to, err := endpoint.New(cfg.Endpoint, quietLogger)
	require.NoError(b, err)
	defer to.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.KafkaAddr()), kgo.ConsumeTopics("orders"))
	require.NoError(b, err)
	defer client.Close()
	work := make(chan *kgo.Record)
	var workers sync.WaitGroup
	b.ResetTimer()
	for range cfg.Concurrency {
		workers.Go(func() {
			for r := range work {
				to.Send(b.Context(), request(r, false, 1))
			}
		})
	}
	for left := b.N; left > 0; {
		for _, r := range client.PollFetches(b.Context()).Records() {
			work <- r
			left--
		}
	}
	close(work)
	workers.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

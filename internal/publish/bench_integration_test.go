//go:build integration

package publish

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/test/services"
)

// BenchmarkGuarantees has 256 callers who each publish one record after the
// other, under either guarantee.
//
//	go test -tags integration -run '^$' -bench Guarantees -benchtime 4s ./internal/publish
func BenchmarkGuarantees(b *testing.B) {
	const callers = 256
	brokers := []string{services.Shared(b).Kafka}
	value := []byte(strings.Repeat("x", 200))
	for name, transactional := range map[string]bool{"idempotent": false, "transactional": true} {
		b.Run(name, func(b *testing.B) {
			topic := realTopic(b, brokers, 12)
			p := start(b, brokers, []string{topic}, inTransactions(b, transactional))
			p.place(b, topic, nil)
			awaitPool(b, p)
			var left, failures atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			began := time.Now()
			var wg sync.WaitGroup
			for caller := range callers {
				wg.Go(func() {
					for n := 0; left.Add(-1) >= 0; n++ {
						key := []byte(fmt.Sprintf("%d-%d", caller, n))
						place, err := p.Place(topic, key, 0)
						if err == nil {
							_, err = p.Publish(context.Background(), event.Record{Placement: place, Key: key, Value: value, Timestamp: time.Now()})
						}
						if err != nil {
							failures.Add(1)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "records/s")
			require.Zero(b, failures.Load())
		})
	}
}

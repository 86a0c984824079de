//go:build integration

package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
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

// BenchmarkBesideRefusals has 256 callers who publish orders, alone and beside records of
// another topic of which a broker refuses a hundred a second. It reports the throughput
// of the orders beside refusals, as a share of that without: the median of nine pairs of
// one second each.
//
//	go test -tags integration -run '^$' -bench BesideRefusals -benchtime 1x ./internal/publish
func BenchmarkBesideRefusals(b *testing.B) {
	const callers, pairs, rate = 256, 9, 100
	brokers := []string{services.Shared(b).Kafka}
	for _, client := range []kafka.ClientName{kafka.ClientFranz, kafka.ClientLibrdkafka} {
		b.Run(string(client), func(b *testing.B) {
			orders, refusing := realTopic(b, brokers, 12), compactedTopic(b, brokers, 2)
			p := start(b, brokers, []string{orders, refusing}, func(c *Config) { c.Client = client })
			p.place(b, orders, nil)
			p.place(b, refusing, nil)
			load := p.load(orders, callers)
			var shares []float64
			refused := 0
			for range pairs {
				before, _, _ := load.counts()
				time.Sleep(time.Second)
				between, _, _ := load.counts()
				refused += p.refuse(refusing, rate, time.Second)
				after, _, _ := load.counts()
				shares = append(shares, float64(after-between)/float64(between-before))
			}
			close(load.stopping)
			load.callers.Wait()
			_, unknown, _ := load.counts()
			slices.Sort(shares)
			b.ReportMetric(shares[pairs/2], "share")
			b.ReportMetric(float64(refused), "refused")
			b.ReportMetric(float64(unknown), "unknown")
		})
	}
}

// refuse sends records that a broker refuses, at a rate a second, past what the gateway
// knows of their topic, and returns how many were refused.
func (r running) refuse(topic string, rate int, during time.Duration) int {
	var refused atomic.Int64
	var wg sync.WaitGroup
	tick := time.NewTicker(during / time.Duration(rate))
	defer tick.Stop()
	for range rate {
		<-tick.C
		wg.Go(func() {
			by, held := r.monitor.quarantine.admit(topic, 0)
			if held != nil {
				refused.Add(1)
				return
			}
			owner, gone := r.backend.owner(topic, 0, by)
			if gone != nil || r.monitor.quarantine.pass(topic, 0) != nil {
				return
			}
			done, gone := r.backend.send(event.Record{Placement: event.Placement{Topic: topic, Owner: owner}, Value: []byte("x"), Timestamp: time.Now()})
			if gone == nil && (<-done).err != nil {
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	return int(refused.Load())
}

//go:build integration

package publish

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
	"eventgateway/test/services"
)

// benchRecords is how many records the benchmarks of reading read; RECORDS overrides it.
func benchRecords(tb testing.TB) int {
	tb.Helper()
	n, err := strconv.Atoi(os.Getenv("RECORDS"))
	if err != nil {
		return 1_000_000
	}
	return n
}

// pastTopic makes a topic with n records of a gateway, whose stamps are evenly spread from
// then until now.
func pastTopic(tb testing.TB, brokers []string, partitions, n int, then time.Time) string {
	tb.Helper()
	topic := "past-" + uuid.NewString()
	p := start(tb, brokers, []string{topic}, func(c *Config) { c.CreateTopics = TopicCreation{Enabled: true, Partitions: partitions, Replication: 1} })
	p.place(tb, topic, nil)
	tb.Cleanup(func() {
		_ = p.admin().Use(func(admin *librdkafka.AdminClient) error {
			_, err := admin.DeleteTopics(tb.Context(), []string{topic})
			return err
		})
	})
	opts, _, err := kafka.Connection{Brokers: brokers}.FranzOptions()
	require.NoError(tb, err)
	cl, err := kgo.NewClient(append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(100_000))...)
	require.NoError(tb, err)
	defer cl.Close()
	var failed atomic.Int64
	rng, step := rand.New(rand.NewPCG(1, 2)), time.Since(then)/time.Duration(n)
	for i := range n {
		var c event.Claim
		for at := 0; at < len(c.ID); at += 8 {
			binary.BigEndian.PutUint64(c.ID[at:], rng.Uint64())
			binary.BigEndian.PutUint64(c.Fingerprint[at:], rng.Uint64())
		}
		r := &kgo.Record{
			Topic: topic, Partition: int32(i % partitions), Timestamp: then.Add(time.Duration(i) * step),
			Key: fmt.Appendf(nil, "customer-%d", i%5000), Value: fmt.Appendf(nil, `{"order":"%d","customer":"customer-%d","total":{"amount":4200,"currency":"EUR"},"lines":[{"sku":"A-1","n":1}]}`, i, i%5000),
		}
		for _, h := range event.NewHeaders(&event.Definition{Type: "orders.placed", Version: "v1"},
			event.Attributes{ID: fmt.Sprintf("0199aab0-3c1f-7000-8000-%012d", i), Source: "/bench", Time: "2026-01-31T12:00:00.123456Z"},
			"application/json", "", &c) {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Name, Value: []byte(h.Value)})
		}
		cl.Produce(tb.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Add(1)
			}
		})
	}
	require.NoError(tb, cl.Flush(tb.Context()))
	require.Zero(tb, failed.Load())
	return topic
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkReplay reads a million records in twelve partitions, with each client.
//
//	go test -tags integration -run '^$' -bench Replay -benchtime 3x ./internal/publish
func BenchmarkReplay(b *testing.B) {
	brokers := []string{services.Shared(b).Kafka}
	n := benchRecords(b)
	then := time.Now().Add(-12 * time.Hour)
	topic := pastTopic(b, brokers, 12, n, then)
	for _, client := range []kafka.ClientName{kafka.ClientFranz, kafka.ClientLibrdkafka} {
		b.Run(string(client), func(b *testing.B) {
			r := start(b, brokers, []string{topic}, func(c *Config) { c.Client = client })
			r.place(b, topic, nil)
			var took, used time.Duration
			for b.Loop() {
				var got atomic.Int64
				begun, before := time.Now(), processorTime()
				require.NoError(b, replayAll(b, r, then.Add(-time.Minute), func(event.LogEntry) error {
					got.Add(1)
					return nil
				}))
				took, used = took+time.Since(begun)-leaseMargin, used+processorTime()-before // it waits so long first
				require.EqualValues(b, n, got.Load())
			}
			b.ReportMetric(float64(n*b.N)/took.Seconds(), "records/s")
			b.ReportMetric(float64(used.Nanoseconds())/float64(n*b.N), "cpu-ns/record")
		})
	}
}

func replayAll(tb testing.TB, r running, from time.Time, visit func(event.LogEntry) error) error {
	tb.Helper()
	return r.Replay(tb.Context(), from, false, visit, func([]event.TopicReplay) {}, nil)
}

// BenchmarkRecovery looks for a claim from twelve hours ago, which was never written, in
// a partition of a million records: bounded by the records behind its lease, and to the
// end, as for a transactional producer that is fenced only now.
//
//	go test -tags integration -run '^$' -bench Recovery -benchtime 3x ./internal/publish
func BenchmarkRecovery(b *testing.B) {
	brokers := []string{services.Shared(b).Kafka}
	then := time.Now().Add(-13 * time.Hour)
	topic := pastTopic(b, brokers, 1, benchRecords(b), then)
	for _, client := range []kafka.ClientName{kafka.ClientFranz, kafka.ClientLibrdkafka} {
		for name, fenced := range map[string]bool{"bounded": false, "to the end": true} {
			b.Run(strings.Join([]string{string(client), name}, "/"), func(b *testing.B) {
				r := start(b, brokers, []string{topic}, func(c *Config) { c.Client = client })
				r.place(b, topic, nil)
				for i := 0; b.Loop(); i++ {
					claim := event.ClaimID{byte(i), byte(i >> 8), 1}
					s := newSearch(claim, event.AbandonedClaim{From: then.Add(time.Hour), LeaseEnded: then.Add(time.Hour + 30*time.Second)}, fenced)
					r.recoverAll([]*search{s}, kafka.Partition{Topic: topic})
					require.NoError(b, s.err)
					require.Nil(b, s.found)
				}
			})
		}
	}
}

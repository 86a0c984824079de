package idempotency

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/redis"
)

// wins answers claims and settlements in place of a Redis, at next to no cost.
type wins struct{ answers []any }

func (wins) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (wins) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func (w wins) ProcessHook(goredis.ProcessHook) goredis.ProcessHook {
	return func(_ context.Context, cmd goredis.Cmder) error {
		c, _ := cmd.(*goredis.Cmd)
		if c.Args()[1] == claimScript.slot.Hash() {
			c.SetVal(w.answers)
			return nil
		}
		c.SetVal(int64(0))
		return nil
	}
}

// BenchmarkClaimAndSettle measures the store itself, with 100 claims that are made and
// settled.
func BenchmarkClaimAndSettle(b *testing.B) {
	rdb := redis.New(redis.Config{Addresses: []string{nowhere}})
	b.Cleanup(func() { require.NoError(b, rdb.Close()) })
	w := wins{}
	for range 100 {
		w.answers = append(w.answers, "W")
	}
	w.answers = append(w.answers, "@1.1767225600000000")
	rdb.AddHook(w)
	s := New(Config{Installation: inTest, TTL: longTTL, Lease: longLease, Generations: newFakeRegistry().register("a"), DeliveryTimeout: time.Second}, rdb, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	s.old.never()
	claims, tokens := make([]event.Claim, 100), make([]string, 100)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("0123456789abcdef01234567-%06x", i)
	}
	key := "o-10492"
	receipt := event.Receipt{ID: "0123456789abcdef", Type: "orders.placed", Version: "v2", Topic: "orders.placed", Partition: 3, Offset: 48211, Key: &key, Time: "2026-11-23T09:15:30Z"}
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		now := time.Now()
		for i := range claims {
			n++
			c := event.Claim{Token: tokens[i], Placement: event.Placement{Topic: "orders.placed", Partition: 3, Owner: "i-0123"}, Begun: now}
			binary.BigEndian.PutUint64(c.ID[:], n*0x9e3779b97f4a7c15)
			claims[i] = c
		}
		claimAndSettle(b, s, claims, receipt)
	}
}

// claimAndSettle makes claims, which must all be new, and settles them.
func claimAndSettle(b *testing.B, s *Store, claims []event.Claim, receipt event.Receipt) {
	b.Helper()
	results, errs := s.ClaimAll(b.Context(), claims)
	for i, c := range claims {
		if errs[i] != nil || results[i].State != event.Claimed {
			b.Fatal(errs[i], results[i])
		}
		s.Settle(c, receipt)
	}
	ended := make([]*settlement, 0, maxBatch)
	for range claims {
		ended = append(ended, <-s.settles.queue)
	}
	s.settles.apply(b.Context(), ended)
}

//go:build integration

package idempotency

import (
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/redis"
	"eventgateway/test/services"
)

// BenchmarkClaimAndSettleOnRedis is the way of 100 claims to a real Redis and back, twice:
// they are made, and settled.
func BenchmarkClaimAndSettleOnRedis(b *testing.B) {
	server, err := services.StartRedis(b.Context(), services.RedisConfig{Dir: b.TempDir()})
	require.NoError(b, err)
	defer func() { require.NoError(b, server.Stop()) }()
	rdb := redis.New(redis.Config{Addresses: []string{server.Addr()}})
	defer func() { require.NoError(b, rdb.Close()) }()
	s := New(Config{Installation: inTest, TTL: 5 * time.Second, Lease: longLease, Generations: newFakeRegistry().register("a"), DeliveryTimeout: time.Second}, rdb, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	_, err = s.AssertEmpty(b.Context())
	require.NoError(b, err)
	key := "c56a4180-65aa-42ec-a945-5fd21dec0538"
	receipt := event.Receipt{ID: "0123456789abcdef", Type: "orders.placed", Version: "v2", Topic: "orders.placed", Partition: 3, Offset: 48211, Key: &key, Time: "2026-11-23T09:15:30.123456789Z"}
	claims := make([]event.Claim, 100)
	for b.Loop() {
		now := time.Now()
		for i := range claims {
			c := event.Claim{Token: freshToken(), Placement: event.Placement{Topic: "orders.placed", Partition: 3, Owner: "i-0123"}, Begun: now}
			_, _ = rand.Read(c.ID[:])
			claims[i] = c
		}
		claimAndSettle(b, s, claims, receipt)
	}
}

//go:build integration

package main

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"eventgateway/test/services"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A client that follows the advertised addresses must stay behind the link.
func TestDistantKafkaAndRedis(t *testing.T) {
	t.Parallel()
	const distance = 20 * time.Millisecond
	near := services.Shared(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := newPlace(ctx, options{
		redis: list{near.Redis}, setup: setup{distance: distance, redisDistance: distance},
	}, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.close()) })
	require.NotEqual(t, list{near.Redis}, p.redis)

	for _, side := range []struct {
		name  string
		addrs list
		least time.Duration
	}{{"through the link", p.brokers, 2 * distance}, {"past it", p.direct, 0}} {
		client, err := kgo.NewClient(kgo.SeedBrokers(side.addrs...))
		require.NoError(t, err, side.name)
		defer client.Close()
		brokers, err := kadm.NewClient(client).ListBrokers(ctx)
		require.NoError(t, err, side.name)
		require.Len(t, brokers, 1, side.name)
		require.Equal(t, side.addrs[0], net.JoinHostPort(brokers[0].Host, strconv.Itoa(int(brokers[0].Port))), side.name)
		began := time.Now()
		_, err = client.Broker(int(brokers[0].NodeID)).Request(ctx, kmsg.NewPtrMetadataRequest())
		require.NoError(t, err, side.name)
		require.GreaterOrEqual(t, time.Since(began), side.least, side.name)
	}
}

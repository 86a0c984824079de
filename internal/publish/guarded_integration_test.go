//go:build integration

package publish

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
	"eventgateway/test/services"
)

// refusalTime is how long a producer without the right credentials is watched.
const refusalTime = 2 * time.Second

// with returns a configuration with another value of a property, "" to leave it out.
func (c Config) with(name, value string) Config {
	c.Properties = maps.Clone(c.Properties)
	c.Properties[name] = value
	if value == "" {
		delete(c.Properties, name)
	}
	return c
}

// startWith starts a producer that writes with the client.
func startWith(t *testing.T, client kafka.ClientName, c Config) running {
	t.Helper()
	return start(t, c.Brokers, []string{guardedTopic}, func(cfg *Config) { cfg.Client, cfg.Properties = client, c.Properties })
}

// TestGuardedBroker publishes with each client by each way of logging in. With wrong
// credentials or a wrong authority franz-go gets no answer, and a producer, which asks
// for topics with librdkafka whichever client writes, takes no record.
func TestGuardedBroker(t *testing.T) {
	t.Parallel()
	g := startGuardedBroker(t)
	right := map[string]Config{
		"PLAIN":         g.by("PLAIN", plainUser, rightPassword),
		"SCRAM-SHA-256": g.by("SCRAM-SHA-256", scram256User, rightPassword),
		"SCRAM-SHA-512": g.by("SCRAM-SHA-512", scram512User, rightPassword),
		"OAUTHBEARER":   g.byToken(issuerClient, issuerSecret),
		"certificate":   g.byCertificate(t),
	}
	for _, client := range []kafka.ClientName{kafka.ClientFranz, kafka.ClientLibrdkafka} {
		t.Run(fmt.Sprintf("%s/tokens are renewed", client), func(t *testing.T) {
			t.Parallel()
			g.publishForLong(t, client)
		})
		for name, c := range right {
			t.Run(fmt.Sprintf("%s/%s", client, name), func(t *testing.T) {
				t.Parallel()
				at, err := startWith(t, client, c).publish(t, guardedTopic, t.Name())
				require.NoError(t, err)
				require.Zero(t, at.Partition)
				require.True(t, g.written(t, t.Name()))
			})
		}
	}
	for name, c := range g.wrong(t) {
		t.Run(fmt.Sprintf("franz asks/%s", name), func(t *testing.T) {
			t.Parallel()
			in := &inspector{cfg: c.Config}
			failed := in.askWithFranz(t.Context(), c.Brokers)
			require.Error(t, failed[c.Brokers[0]])
			require.Equal(t, c.obstacle, franzObstacle(failed[c.Brokers[0]]), failed)
		})
	}
	t.Run("nothing is taken", func(t *testing.T) {
		t.Parallel()
		requireNothingTaken(t, g.wrong(t))
	})
}

// requireNothingTaken runs a producer with each mistake, all at the same time: ending one
// takes some seconds.
func requireNothingTaken(t *testing.T, wrong map[string]mistake) {
	ctx, cancel := context.WithTimeout(t.Context(), refusalTime)
	defer cancel()
	var running sync.WaitGroup
	logs := map[string]*Log{}
	for name, c := range wrong {
		c.DeliveryTimeout, c.InFlightLimit, c.MaxEventBytes = 20*time.Second, 1<<20, 1<<10
		l, err := New(c.Config, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
		require.NoError(t, err)
		l.SetTopics([]string{guardedTopic})
		running.Go(func() {
			l.Run(ctx)
			l.Close(context.Background())
		})
		logs[name] = l
	}
	defer func() { ends(t, "producers that are not let in", running.Wait) }()
	backoff.Poll(ctx, tick, func() bool {
		for name, l := range logs {
			_, err := l.Place(guardedTopic, []byte("k"), 0)
			require.Error(t, err, name)
			requireError(t, err, event.LogUnavailable, event.NotWritten)
			require.False(t, l.Complete(), name)
		}
		return false
	})
}

// A mistake is a configuration that cannot log in, and where franz-go fails.
type mistake struct {
	Config
	obstacle preflight.Obstacle
}

func (g guardedBroker) wrong(t *testing.T) map[string]mistake {
	t.Helper()
	good := g.by("PLAIN", plainUser, rightPassword)
	anonymous := Config{Brokers: []string{g.mutual}, Properties: map[string]string{"security.protocol": "ssl", "ssl.ca.pem": g.authority.PEM}}
	return map[string]mistake{
		"PLAIN, wrong password":         {g.by("PLAIN", plainUser, "wrong"), preflight.NoLogin},
		"SCRAM-SHA-256, wrong password": {g.by("SCRAM-SHA-256", scram256User, "wrong"), preflight.NoLogin},
		"SCRAM-SHA-512, other user":     {g.by("SCRAM-SHA-512", scram256User, rightPassword), preflight.NoLogin},
		"OAUTHBEARER, wrong secret":     {g.byToken(issuerClient, "wrong"), preflight.NoConnection}, // the token endpoint refuses
		"no certificate":                {anonymous, preflight.NoTLS},
		"authority that is a stranger":  {good.with("ssl.ca.pem", services.NewAuthority(t, "stranger").PEM), preflight.NoTLS},
		"system's authorities":          {good.with("ssl.ca.pem", ""), preflight.NoTLS},
		"no TLS":                        {good.with("security.protocol", "sasl_plaintext"), preflight.NoConnection},
	}
}

// publishForLong writes through one producer for longer than its token lives: clients
// authenticate anew (KIP-368) with a token that was fetched beforehand.
func (g guardedBroker) publishForLong(t *testing.T, client kafka.ClientName) {
	p := startWith(t, client, g.byToken(issuerShortClient+string(client), issuerSecret))
	place := p.place(t, guardedTopic, []byte("k"))
	begun, slowest, n := time.Now(), time.Duration(0), 0
	for ; time.Since(begun) < 22*time.Second && backoff.Sleep(t.Context(), 5*time.Millisecond); n++ {
		sent := time.Now()
		_, err := p.Publish(t.Context(), event.Record{Placement: place, Key: []byte("k"), Value: []byte("v"), Timestamp: sent})
		require.NoError(t, err)
		if n > 0 {
			slowest = max(slowest, time.Since(sent))
		}
	}
	// Each client of a producer gets a token at first, after 8 s and after 16 s, perhaps
	// one more at the end. librdkafka asks for topics in any case.
	byFranz, byLibrdkafka := g.tokens.issuedTo(issuerShortClient+string(client), "Go-http-client/")
	t.Logf("%d writes; the slowest but the first took %v; %d tokens for franz-go, %d for librdkafka", n, slowest, byFranz, byLibrdkafka)
	want := map[kafka.ClientName][2]int{kafka.ClientFranz: {3, 3}, kafka.ClientLibrdkafka: {0, 6}}[client]
	require.GreaterOrEqual(t, byFranz, want[0])
	require.LessOrEqual(t, byFranz, want[0]+2)
	require.GreaterOrEqual(t, byLibrdkafka, want[1])
	require.LessOrEqual(t, byLibrdkafka, want[1]+4)
}

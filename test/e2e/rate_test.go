//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// hammer sends events to gateways for a while, from several goroutines each, and
// returns how many were accepted, and how long the slowest answer took.
func hammer(t *testing.T, gateways []*gateway, p post, span time.Duration) (accepted int64, slowest time.Duration) {
	t.Helper()
	const perGateway = 4
	var through, slow, other atomic.Int64
	end := time.Now().Add(span)
	clients := make([]*client, len(gateways))
	for i, g := range gateways {
		clients[i] = newClient(t, g.addr, perGateway)
	}
	each(perGateway*len(gateways), perGateway*len(gateways), func(i int) {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for time.Now().Before(end) {
			begun := time.Now()
			a, err := clients[i%len(clients)].send(p)
			took := int64(time.Since(begun))
			for old := slow.Load(); took > old && !slow.CompareAndSwap(old, took); old = slow.Load() {
			}
			switch {
			case err == nil && a.status == http.StatusAccepted:
				through.Add(1)
			case err != nil || a.status != http.StatusTooManyRequests:
				other.Add(1)
			}
			<-ticker.C
		}
	})
	require.Zero(t, other.Load(), "answers that are neither 202 nor 429")
	return through.Load(), time.Duration(slow.Load())
}

// metric is the value of one without labels.
func (g *gateway) metric(t *testing.T, name string) float64 {
	t.Helper()
	_, text, err := g.ask("/metrics")
	require.NoError(t, err)
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			require.NoError(t, err)
			return n
		}
	}
	require.FailNow(t, "no such metric", name)
	return 0
}

// A rate holds over two gateways, survives Redis, and is changed while they run.
func TestRates(t *testing.T) {
	const rate, burst, held = 60, 60, 2 * 2 * 3 // two chunks of 50 ms worth in each gateway
	name := unique("rate.orders")
	redis := privateRedis(t)
	key, hash := newKey(t)
	clients := func(rate string) map[string]any {
		auth := clientsWith(hash)
		auth["clients"].([]any)[0].(map[string]any)["rate"] = rate
		return auth
	}
	o := options{
		schemas: schemasFolder(t, eventType{name: name, xevent: map[string]any{"topic": newTopic(t)}}),
		redis:   []string{redis.Addr()}, auth: clients(fmt.Sprintf("%d/s", rate)),
	}
	cfg := o.config(t)
	file := writeConfig(t, cfg)
	gateways := []*gateway{startConfigured(t, o, file), startConfigured(t, o, file)}
	event := newOrder(name, 1).post(name)
	event.key, event.header = "", map[string]string{"Authorization": "Bearer " + key}

	const span = 4 * time.Second
	alone := func() (sum float64) {
		for _, g := range gateways {
			sum += g.metric(t, "gateway_rate_local_decisions_total")
		}
		return sum
	}
	before, begun := alone(), time.Now()
	accepted, _ := hammer(t, gateways, event, span)
	took, local := time.Since(begun), alone()-before // on a machine that stands still Redis seems slow
	t.Logf("two gateways accepted %d events in %s at %d/s, %.0f of them each on its own", accepted, took.Round(time.Millisecond), rate, local)
	require.LessOrEqual(t, float64(accepted)-local, burst+rate*took.Seconds()+held)
	require.GreaterOrEqual(t, float64(accepted), 0.8*(burst+rate*span.Seconds()))

	c := newClient(t, gateways[0].addr, 1)
	many := newClient(t, gateways[0].addr, 16)
	eventually(t, patient, "a refusal says what to do", func() error {
		refused := make(chan answer, 4*burst)
		each(16, 4*burst, func(int) { // at once: one after the other may be slower than the rate
			if a, err := many.send(event); err == nil && a.status == http.StatusTooManyRequests {
				refused <- a
			}
		})
		if len(refused) == 0 {
			return fmt.Errorf("all were accepted")
		}
		a := <-refused
		a.mustBe(t, http.StatusTooManyRequests, "rate-limited", "not-written")
		require.Equal(t, "1", a.header.Get("Retry-After"))
		require.Equal(t, fmt.Sprintf(`"client";q=%d;w=1`, rate), a.header.Get("RateLimit-Policy"))
		return nil
	})

	// Redis hangs: each gateway counts for itself, and answers as fast as ever.
	require.NoError(t, redis.Pause())
	begun = time.Now()
	accepted, slowest := hammer(t, gateways[:1], event, span)
	took = time.Since(begun)
	require.NoError(t, redis.Resume())
	t.Logf("with Redis hanging, one gateway accepted %d events in %s, the slowest answer took %s", accepted, took.Round(time.Millisecond), slowest)
	require.LessOrEqual(t, float64(accepted), burst+rate*took.Seconds()+1)
	require.GreaterOrEqual(t, float64(accepted), 0.6*rate*span.Seconds())
	require.Less(t, slowest, time.Second, "50 ms, and a machine that is busy")
	require.NoError(t, gateways[0].logged("counted by this gateway alone"))
	eventually(t, patient, "the gateways count together again", func() error {
		_, _ = c.send(event)
		return gateways[0].logged("with the other gateways again")
	})

	// A new rate counts from the next look at the file on.
	cfg["auth"] = clients("2/h")
	raw, err := yaml.Marshal(cfg)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	eventually(t, patient, "the new rate is known", func() error {
		a, err := c.send(event)
		if err != nil || a.header.Get("RateLimit-Policy") != `"client";q=2;w=3600` {
			return fmt.Errorf("%s %w", a.header.Get("RateLimit-Policy"), err)
		}
		return nil
	})
	for range 5 {
		_, _ = c.send(event)
	}
	c.mustSend(t, event).mustBe(t, http.StatusTooManyRequests, "rate-limited", "not-written")
}

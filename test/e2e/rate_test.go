//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	testRate  = 60 // events a second
	testBurst = 60
	// testSpan is how long clients post faster than the rate.
	testSpan = 4 * time.Second
)

// hammered is what became of the events that several clients posted at once.
type hammered struct {
	asked    []time.Time // when each was sent, in order
	accepted int
	slowest  time.Duration
	took     time.Duration
}

// atMost is how many events the rate allows in the time that it took.
func (h hammered) atMost() float64 { return testBurst + testRate*h.took.Seconds() }

// ideal is how many of the events a token bucket that has so many tokens would have
// accepted, given when they were sent: on a busy machine fewer are sent.
func (h hammered) ideal(tokens float64) (accepted float64) {
	for i, at := range h.asked {
		if i > 0 {
			tokens = min(testBurst, tokens+testRate*at.Sub(h.asked[i-1]).Seconds())
		}
		if tokens >= 1 {
			tokens--
			accepted++
		}
	}
	return accepted
}

// hammer sends events to gateways for testSpan, from several goroutines each.
func hammer(t *testing.T, gateways []*gateway, p post) (all hammered) {
	t.Helper()
	const perGateway = 4
	clients := make([]*client, len(gateways))
	for i, g := range gateways {
		clients[i] = newClient(t, g.addr, perGateway)
	}
	var mu sync.Mutex
	var wrong []string
	begun := time.Now()
	each(perGateway*len(gateways), perGateway*len(gateways), func(i int) {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for time.Since(begun) < testSpan {
			a, err := clients[i%len(clients)].send(p)
			mu.Lock()
			all.asked = append(all.asked, a.at)
			all.slowest = max(all.slowest, a.took)
			switch {
			case err == nil && a.status == http.StatusAccepted:
				all.accepted++
			case err != nil || a.status != http.StatusTooManyRequests:
				wrong = append(wrong, fmt.Sprintf("%d %s %v", a.status, a.body, err))
			}
			mu.Unlock()
			<-ticker.C
		}
	})
	all.took = time.Since(begun)
	require.Empty(t, wrong, "answers that are neither 202 nor 429")
	slices.SortFunc(all.asked, time.Time.Compare)
	return all
}

// limited is two gateways that share a rate, and what their clients post.
type limited struct {
	gateways []*gateway
	event    post
	file     string // the gateways' configuration
	cfg      map[string]any
	hash     string // of the client's key
}

func startLimited(t *testing.T, redis string) *limited {
	t.Helper()
	name := unique("rate.orders")
	key, hash := newKey(t)
	l := &limited{hash: hash}
	o := options{
		schemas: schemasFolder(t, eventType{name: name, xevent: map[string]any{"topic": newTopic(t)}}),
		redis:   []string{redis}, auth: l.clients(fmt.Sprintf("%d/s", testRate)),
	}
	l.cfg = o.config(t)
	l.file = writeConfig(t, l.cfg)
	l.gateways = []*gateway{startConfigured(t, o, l.file), startConfigured(t, o, l.file)}
	l.event = newOrder(name, 1).post(name)
	l.event.key, l.event.header = "", map[string]string{"Authorization": "Bearer " + key}
	return l
}

// clients is the section auth with a rate.
func (l *limited) clients(rate string) map[string]any {
	auth := clientsWith(l.hash)
	auth["clients"].([]any)[0].(map[string]any)["rate"] = rate
	return auth
}

// alone is how many events the gateways accepted without asking Redis.
func (l *limited) alone(t *testing.T) (sum float64) {
	t.Helper()
	for _, g := range l.gateways {
		sum += g.metric(t, "gateway_rate_local_decisions_total")
	}
	return sum
}

// TestRates: a rate holds across two gateways, survives the loss of Redis, and can be
// changed while they run.
func TestRates(t *testing.T) {
	const chunk = 3 // tokens: 50 ms worth, two of them in each gateway at most
	redis := privateRedis(t)
	l := startLimited(t, redis.Addr())

	before := l.alone(t)
	h := hammer(t, l.gateways, l.event)
	local := l.alone(t) - before // on a machine that stands still Redis seems slow
	t.Logf("two gateways accepted %d events in %s at %d/s, %.0f of them each on its own", h.accepted, h.took.Round(time.Millisecond), testRate, local)
	require.LessOrEqual(t, float64(h.accepted)-local, h.atMost()+2*2*chunk)
	require.GreaterOrEqual(t, float64(h.accepted), 0.8*h.ideal(testBurst))
	l.requireRefusal(t)

	// Redis hangs: each gateway counts for itself.
	require.NoError(t, redis.Pause())
	before = l.alone(t)
	h = hammer(t, l.gateways[:1], l.event)
	local = l.alone(t) - before
	require.NoError(t, redis.Resume())
	t.Logf("with Redis hanging, one gateway accepted %d events in %s, %.0f of them on its own; the slowest answer took %s",
		h.accepted, h.took.Round(time.Millisecond), local, h.slowest)
	require.LessOrEqual(t, float64(h.accepted), h.atMost()+1)
	require.GreaterOrEqual(t, float64(h.accepted), 0.6*h.ideal(0))
	require.GreaterOrEqual(t, local, float64(h.accepted-2*chunk), "all but the tokens that it had")
	require.NoError(t, l.gateways[0].logged("counted by this gateway alone"))
	c := newClient(t, l.gateways[0].addr, 1)
	eventually(t, patient, "the gateways count together again", func() error {
		_, _ = c.send(l.event)
		return l.gateways[0].logged("with the other gateways again")
	})
	l.requireNewRate(t, c)
}

// requireRefusal posts more than the rate allows and requires that a refusal says what
// to do.
func (l *limited) requireRefusal(t *testing.T) {
	t.Helper()
	many := newClient(t, l.gateways[0].addr, 16)
	eventually(t, patient, "a refusal says what to do", func() error {
		refused := make(chan answer, 4*testBurst)
		each(16, 4*testBurst, func(int) { // at once: one after the other may be slower than the rate
			if a, err := many.send(l.event); err == nil && a.status == http.StatusTooManyRequests {
				refused <- a
			}
		})
		if len(refused) == 0 {
			return fmt.Errorf("all were accepted")
		}
		a := <-refused
		a.mustBe(t, http.StatusTooManyRequests, "rate-limited", "not-written")
		require.Equal(t, "1", a.header.Get("Retry-After"))
		require.Equal(t, fmt.Sprintf(`"client";q=%d;w=1`, testRate), a.header.Get("RateLimit-Policy"))
		return nil
	})
}

// requireNewRate changes the rate and requires that it counts from the next look at
// the file on.
func (l *limited) requireNewRate(t *testing.T, c *client) {
	t.Helper()
	l.cfg["auth"] = l.clients("2/h")
	raw, err := yaml.Marshal(l.cfg)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(l.file, raw, 0o600))
	eventually(t, patient, "the new rate is known", func() error {
		a, err := c.send(l.event)
		if err != nil || a.header.Get("RateLimit-Policy") != `"client";q=2;w=3600` {
			return fmt.Errorf("%s %w", a.header.Get("RateLimit-Policy"), err)
		}
		return nil
	})
	for range 5 {
		_, _ = c.send(l.event)
	}
	c.mustSend(t, l.event).mustBe(t, http.StatusTooManyRequests, "rate-limited", "not-written")
}

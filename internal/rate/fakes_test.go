package rate

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

const wait = 50 * time.Millisecond

// memory is a Store in this process.
type memory struct {
	mu      sync.Mutex
	guards  map[string]*guard
	latency time.Duration
	down    bool
	takes   int
}

func (m *memory) Take(ctx context.Context, client string, l Limit, n, partial int) (Grant, error) {
	m.mu.Lock()
	m.takes++
	latency := m.latency
	m.mu.Unlock()
	if latency > 0 {
		select {
		case <-time.After(latency):
		case <-ctx.Done():
			return Grant{}, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return Grant{}, errors.New("connection refused")
	}
	now := time.Now()
	if m.guards == nil {
		m.guards = map[string]*guard{}
	}
	g, ok := m.guards[client]
	if !ok {
		g = &guard{limit: l, tokens: float64(l.Burst()), at: now}
		m.guards[client] = g
	}
	if ok, _ := g.take(now, n); ok {
		return Grant{Tokens: n, Left: int(g.tokens)}, nil
	}
	take := max(min(int(g.tokens), partial), 0)
	g.tokens -= float64(take)
	return Grant{Tokens: take, Left: int(g.tokens), Wait: max(l.span(1-(g.tokens-float64(int(g.tokens)))), 1)}, nil
}

func (m *memory) Reserve(_ context.Context, client string, l Limit, n int) (time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return 0, errors.New("connection refused")
	}
	if m.guards == nil {
		m.guards = map[string]*guard{}
	}
	g, ok := m.guards[client]
	if !ok {
		g = &guard{limit: l, tokens: float64(l.Burst()), at: time.Now()}
		m.guards[client] = g
	}
	wait, ok := g.reserve(time.Now(), n)
	if !ok {
		wait += LongestWait
	}
	return wait, nil
}

func (m *memory) set(f func(*memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func (m *memory) takeCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.takes
}

// newLimiter returns a Limiter that the test's end closes, for a client a of rate l.
func newLimiter(t *testing.T, store Store, l Limit) *Limiter {
	t.Helper()
	limiter := New(Config{Wait: wait}, store, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	limiter.Replace(Limits{Clients: map[string]Limit{"a": l}})
	t.Cleanup(limiter.Close)
	return limiter
}

func perSecond(n int) Limit { return Limit{Count: n, Per: time.Second} }

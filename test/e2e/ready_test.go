//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestReadyMeansReady: from the moment that /readyz says 200, no event of a
// type whose topic exists is refused.
func TestReadyMeansReady(t *testing.T) {
	const starts, conns = 5, 32
	topic := newTopic(t)
	schemas := schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}})
	refused := map[string]int{}
	for range starts {
		g := startGateway(t, options{schemas: schemas})
		c := newClient(t, g.addr, conns)
		answers := make([]answer, conns)
		errs := make([]error, conns)
		orders := newOrders(unique("ready"), conns)
		each(conns, conns, func(i int) { answers[i], errs[i] = c.send(orders[i].post("orders.placed")) })
		for i, a := range answers {
			require.NoError(t, errs[i])
			if a.status != http.StatusAccepted {
				refused[string(a.body)]++
			}
		}
		g.stop(t)
	}
	require.Empty(t, refused, "answers right after /readyz said 200")
}

// TestReadyOnAnEmptyRedis: until it is known what was written, keyed events are refused,
// and the gateway is not ready.
func TestReadyOnAnEmptyRedis(t *testing.T) {
	const conns = 16
	g := startGateway(t, options{
		prefix: unique("empty"), // nobody else is registered there, who would have to be waited for
		lost:   true, redis: []string{privateRedis(t).Addr()}, deliveryTimeout: 2 * time.Second, lease: 5 * time.Second,
		schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": newTopic(t), "idempotency": "required"}}),
	})
	c := newClient(t, g.addr, conns)
	orders := newOrders(unique("empty"), conns)
	answers, errs := make([]answer, conns), make([]error, conns)
	each(conns, conns, func(i int) { answers[i], errs[i] = c.send(orders[i].post("orders.placed")) })
	for i, a := range answers {
		require.NoError(t, errs[i])
		a.receipt(t)
	}
	require.NoError(t, g.logged("idempotency store rebuilt"), "otherwise this shows nothing")
}

// TestTopicsAreCreated: with create_topics, a gateway on an empty Kafka soon accepts
// events of every type.
func TestTopicsAreCreated(t *testing.T) {
	topic := newTopicName(t)
	g := startGateway(t, options{schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}})})
	c := newClient(t, g.addr, 1)
	begun := time.Now()
	o := newOrder(unique("created"), 0)
	eventually(t, 5*time.Second, "event is accepted", func() error {
		if a := c.mustSend(t, o.post("orders.placed")); a.status != http.StatusAccepted {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
	t.Logf("accepted %v after /readyz said 200", time.Since(begun).Round(time.Millisecond))
}

//go:build integration

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMissingTopic: events of a type whose topic is missing are refused at once and
// do not disturb others; asking for the topic does not create it, although this broker
// would; once it is created, the events are accepted.
func TestMissingTopic(t *testing.T) {
	const conns = 16
	kafka := privateKafka(t)
	there, missing := unique("e2e"), unique("e2e")
	createTopic(t, kafka.Addr(), there, 6)
	// With these timeouts, an answer that waited for the topic would come only after
	// the client has given up.
	g := startGateway(t, options{kafka: kafka.Addr(), noTopics: true, deliveryTimeout: 2 * patient, lease: 3 * patient, schemas: schemasFolder(t,
		eventType{name: "there", xevent: map[string]any{"topic": there}},
		eventType{name: "missing", xevent: map[string]any{"topic": missing}})})
	c := newClient(t, g.addr, conns)
	orders := newOrders(unique("missing"), 200)
	answers := make([]answer, 2*len(orders))
	errs := make([]error, 2*len(orders))
	each(conns, len(answers), func(i int) {
		p := orders[i/2].post("there")
		if i%2 == 1 {
			p.eventType, p.key = "missing", p.key+"-missing"
		}
		if i%4 == 1 {
			p.key = "" // Redis is not asked
		}
		answers[i], errs[i] = c.send(p)
	})
	for i, a := range answers {
		require.NoError(t, errs[i])
		if i%2 == 0 {
			a.receipt(t)
			continue
		}
		p := a.mustBe(t, http.StatusServiceUnavailable, "log-unavailable", "not-written")
		require.True(t, p.Retryable)
		require.NotEmpty(t, a.header.Get("Retry-After"))
	}
	status, body, err := g.ask("/readyz")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, []string{"its topic " + missing + " is missing"}, g.readiness(t).Types["missing"].Why)
	requireNoTopic(t, kafka.Addr(), missing)
	require.NoError(t, g.logged(`"WARN"`, missing))

	createTopic(t, kafka.Addr(), missing, 6)
	late := newOrder(unique("late"), 0)
	eventually(t, 10*time.Second, "type works once its topic is there", func() error {
		if a := c.mustSend(t, late.post("missing")); a.status != http.StatusAccepted {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
	requireCount(t, readTopic(t, kafka.Addr(), missing).records, 1)
	requireCount(t, readTopic(t, kafka.Addr(), there).records, len(orders))
}

func requireNoTopic(t *testing.T, broker, topic string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	topics, err := kafkaAdmin(t, broker).ListTopics(ctx) // of all: names none
	require.NoError(t, err)
	require.False(t, topics.Has(topic))
}

//go:build integration

package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// TestKafkaGoesAwayUnderLoad: while Kafka hangs or is dead, no request gets
// a false 2xx, each gets an answer that says what is known, and the same keys succeed
// without help once Kafka is back.
func TestKafkaGoesAwayUnderLoad(t *testing.T) {
	kafka := privateKafka(t)
	for name, away := range map[string]func(t *testing.T, l *load){
		"hangs": func(t *testing.T, _ *load) {
			require.NoError(t, kafka.Pause())
			backoff.Sleep(t.Context(), 7*time.Second) // more than twice the delivery timeout
			require.NoError(t, kafka.Resume())
		},
		"dies": func(t *testing.T, l *load) {
			require.NoError(t, kafka.Kill())
			before := l.count(http.StatusServiceUnavailable)
			eventually(t, patient, "events are refused", func() error {
				if l.count(http.StatusServiceUnavailable) == before {
					return errExited
				}
				return nil
			})
			require.NoError(t, kafka.Restart(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) { testKafkaAway(t, kafka, away) })
	}
}

func testKafkaAway(t *testing.T, kafka *services.Kafka, away func(*testing.T, *load)) {
	const (
		conns    = 32
		delivery = 3 * time.Second
		lease    = 12 * time.Second // no produce request may outlive it, not even in a hanging broker
	)
	topic := unique("e2e")
	createTopic(t, kafka.Addr(), topic, 6)
	g := startGateway(t, options{
		kafka: kafka.Addr(), deliveryTimeout: delivery, lease: lease,
		schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}}),
	})
	l := startLoad(t, g.addr, "orders.placed", conns, false)
	eventually(t, patient, "load runs", func() error { return atLeast(l.count(http.StatusAccepted), 500) })
	away(t, l)
	back := time.Now()
	before := l.count(http.StatusAccepted)
	eventually(t, lease+30*time.Second, "new events are accepted", func() error { return atLeast(l.count(http.StatusAccepted), before+200) })
	t.Logf("new events are accepted %v after Kafka is back", time.Since(back).Round(10*time.Millisecond))
	events := l.end()
	first := tally(events)
	finish(t, l.client, "orders.placed", conns, events, lease+30*time.Second)
	t.Logf("all keys accepted %v after Kafka is back; first answers %v; all answers %v",
		time.Since(back).Round(10*time.Millisecond), first, tally(events))
	requireAnswersKeepTheContract(t, events, delivery)
	requireLogKeepsTheContract(t, readTopic(t, kafka.Addr(), topic), events)
}

// requireAnswersKeepTheContract looks at every answer by itself. A gateway that
// waited for Kafka instead of answering would have run into the client's timeout.
func requireAnswersKeepTheContract(t *testing.T, events []*tracked, delivery time.Duration) {
	t.Helper()
	allowed := []string{
		"503 log-unavailable not-written", "503 overloaded not-written", "504 outcome-unknown unknown", "409 request-in-progress unknown",
	}
	var slowest time.Duration
	for _, e := range events {
		require.Empty(t, e.errs, "a gateway that runs answers every request")
		for _, a := range e.answers {
			slowest = max(slowest, a.took)
			if a.status == http.StatusAccepted {
				continue
			}
			p, err := a.problem()
			require.NoError(t, err)
			got := outcomeOf(p)
			require.True(t, slices.Contains(allowed, got), "%s: %s", got, a.body)
			require.True(t, p.Retryable)
			require.NotEmpty(t, a.header.Get("Retry-After"), "%s", got)
		}
	}
	t.Logf("slowest answer: %v, with a delivery timeout of %v", slowest.Round(time.Millisecond), delivery)
}

// requireLogKeepsTheContract requires that every event is in the log once, where its
// receipt says.
func requireLogKeepsTheContract(t *testing.T, log *topicLog, events []*tracked) {
	t.Helper()
	for _, e := range events {
		a, ok := e.accepted()
		require.True(t, ok)
		rec, err := log.holds(a.receipt(t), e.id, e.body)
		require.NoError(t, err, "false 2xx for %s", e.key)
		require.Equal(t, claimOf(e.key), header(rec, "gw_claim"))
		require.Len(t, log.byClaim[claimOf(e.key)], 1, "%s is in the log more than once", e.key)
	}
	t.Logf("%d keys, %d records", len(events), len(log.records))
}

//go:build integration

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

// TestStopUnderLoad: a gateway that is told to stop answers the requests that it has
// accepted, settles its claims, and ends. Clients that lost their connection retry at
// another gateway with the same key.
func TestStopUnderLoad(t *testing.T) {
	const conns = 32
	topic := newTopic(t)
	o := options{
		deliveryTimeout: 5 * time.Second, lease: 10 * time.Second,
		schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}}),
	}
	g := startGateway(t, o)
	l := startLoad(t, g.addr, "orders.placed", conns, true)
	eventually(t, patient, "load runs", func() error { return atLeast(l.count(http.StatusAccepted), 1000) })
	begun := time.Now()
	g.beginStop(t)
	l.workers.Wait() // each ends when its connection is closed or refused
	t.Logf("last connection closed or refused after %v", time.Since(begun).Round(time.Millisecond))
	g.stop(t) // status 0, clean log
	t.Logf("stopped in %v", time.Since(begun).Round(time.Millisecond))
	require.NotContains(t, g.log.String(), "still under way")
	events := l.end()
	t.Logf("answers: %v", tally(events))

	log := readTopic(t, services.Shared(t).Kafka, topic)
	rdb := redis.NewClient(&redis.Options{Addr: services.Shared(t).Redis})
	t.Cleanup(func() { _ = rdb.Close() })
	claimKey, lost := claimKeys(t), 0
	for _, e := range events {
		records := log.byClaim[claimOf(e.key)]
		require.LessOrEqual(t, len(records), 1)
		a, ok := e.accepted()
		if !ok {
			require.NotEmpty(t, e.errs, "an answer other than 202: %+v", e.answers)
			lost += len(records)
			continue
		}
		_, err := log.holds(a.receipt(t), e.id, e.body)
		require.NoError(t, err)
		claim, err := rdb.Get(t.Context(), claimKey(e.key)).Result()
		require.NoError(t, err, "claim of %s", e.key)
		require.True(t, strings.HasPrefix(claim, "S"), "claim of %s is not settled: %q", e.key, claim)
	}
	t.Logf("%d events written whose answer was lost", lost)

	second := startGateway(t, o)
	c := newClient(t, second.addr, conns)
	answers := make([]answer, len(events))
	errs := make([]error, len(events))
	each(conns, len(events), func(i int) { answers[i], errs[i] = c.send(events[i].post("orders.placed")) })
	for i, e := range events {
		require.NoError(t, errs[i])
		answers[i].receipt(t)
		if a, ok := e.accepted(); ok {
			require.True(t, answers[i].replayed())
			require.Equal(t, string(a.body), string(answers[i].body))
		}
	}
	requireCount(t, readTopic(t, services.Shared(t).Kafka, topic).records, len(events), "each event is in the log once")
}

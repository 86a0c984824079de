//go:build integration

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

func TestPushCheckerSeesFaults(t *testing.T) {
	t.Parallel()
	written := map[string][]int{"a": {0, 1, 2}}
	run := func(seqs ...int) *pushChecker {
		c := newPushChecker()
		for _, s := range seqs {
			c.take("a", s)
		}
		return c
	}
	require.Empty(t, run(0, 1, 2).verdict(written, nil))
	require.Empty(t, run(0, 1, 1, 2, 0).verdict(written, nil), "redeliveries")
	require.Equal(t, 2, run(0, 1, 1, 2, 0).repeated)
	require.Empty(t, run(0, 2).verdict(written, map[string][]int{"a": {1}}), "dead")
	require.Equal(t, []string{"a: 1 is lost"}, run(0, 2).verdict(written, nil))
	require.Equal(t, []string{"a: 1 came after 2"}, run(0, 2, 1).verdict(written, nil))
}

// pushEndpoint is an HTTP service that is slow and fails at random, and away at times.
type pushEndpoint struct {
	*httptest.Server
	check   *pushChecker
	away    atomic.Bool
	refuses atomic.Bool // events of the entity "poison"
	fails   float64
	slowest time.Duration
	calls   atomic.Int64
}

func startPushEndpoint(t *testing.T, fails float64, slowest time.Duration) *pushEndpoint {
	t.Helper()
	e := &pushEndpoint{check: newPushChecker(), fails: fails, slowest: slowest}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

func (e *pushEndpoint) serve(w http.ResponseWriter, r *http.Request) {
	e.calls.Add(1)
	body, err := io.ReadAll(r.Body)
	var event struct {
		Data struct {
			Entity string
			Seq    int
		}
	}
	if err != nil || json.Unmarshal(body, &event) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if e.slowest > 0 {
		time.Sleep(rand.N(e.slowest))
	}
	switch {
	case e.away.Load():
		w.WriteHeader(http.StatusNotFound)
	case e.refuses.Load() && event.Data.Entity == "poison":
		w.WriteHeader(http.StatusUnprocessableEntity)
	case rand.Float64() < e.fails:
		w.WriteHeader(http.StatusInternalServerError)
	default:
		e.check.take(event.Data.Entity, event.Data.Seq)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (e *pushEndpoint) subscription(name, topic string) map[string]any {
	return map[string]any{
		"name": name, "topics": []string{topic}, "url": e.URL, "start": "earliest", "concurrency": 32, "timeout": "5s", "session_timeout": "6s",
		"secrets": []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"}, "allow_cidrs": []string{"127.0.0.1/32"},
		"retry": map[string]any{"attempts": 8, "initial": "50ms", "max": "1s", "total": "1m"},
	}
}

// writeSequences writes events of so many entities in turn, and returns what it wrote.
func writeSequences(t *testing.T, broker, topic string, events, entities int) map[string][]int {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic))
	require.NoError(t, err)
	defer client.Close()
	written := map[string][]int{}
	for i := range events {
		entity := "e" + strconv.Itoa(i%entities)
		seq := len(written[entity])
		written[entity] = append(written[entity], seq)
		client.Produce(context.Background(), &kgo.Record{Key: []byte(entity), Value: fmt.Appendf(nil, `{"entity":%q,"seq":%d}`, entity, seq)}, nil)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	require.NoError(t, client.Flush(ctx))
	return written
}

// deadSequences reads the dead letters of such events.
func deadSequences(t *testing.T, broker, topic string) (dead map[string][]int, n int) {
	t.Helper()
	dead = map[string][]int{}
	for _, r := range readTopic(t, broker, topic).records {
		var data struct {
			Entity string
			Seq    int
		}
		require.NoError(t, json.Unmarshal(r.Value, &data))
		require.Equal(t, data.Entity, string(r.Key))
		dead[data.Entity] = append(dead[data.Entity], data.Seq)
		n++
		t.Logf("dead letter: %s/%d: %s, class %s, status %s, attempts %s", data.Entity, data.Seq, header(r, "gw_dead_reason"), header(r, "gw_dead_class"), header(r, "gw_dead_status"), header(r, "gw_dead_attempts"))
	}
	return dead, n
}

func envInt(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// launchGateway starts one that may be killed: nothing is required of its end.
func launchGateway(t *testing.T, file string) *gateway {
	t.Helper()
	g := &gateway{process: launch(t, suite.dir, plainBinary(t), "serve", "-c", file)}
	eventually(t, patient, "gateway starts", g.learnAddresses)
	return g
}

// TestPushSurvivesKills is the promise of subscriptions: three gateways, of which one is
// killed with -9 again and again, an endpoint that fails at random, is slow at random and
// is away for a while. No event is lost, no entity out of order.
//
// PUSH_EVENTS, PUSH_KILLS and PUSH_AWAY make it longer.
func TestPushSurvivesKills(t *testing.T) {
	t.Parallel()
	events, kills := envInt("PUSH_EVENTS", 20_000), envInt("PUSH_KILLS", 4)
	broker, topic, name := services.Shared(t).Kafka, newTopicName(t), unique("push")
	dead := topic + "." + name + ".dlt"
	createTopics(t, broker, 12, topic)
	createTopics(t, broker, 3, dead)
	written := writeSequences(t, broker, topic, events, 1000)
	endpoint := startPushEndpoint(t, 0.05, 4*time.Millisecond)
	o := options{schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": newTopic(t)}}), subscriptions: []map[string]any{endpoint.subscription(name, topic)}}
	file := writeConfig(t, o.config(t))
	declareNew(t, file)
	gateways := make([]*gateway, 3)
	for i := range gateways {
		gateways[i] = launchGateway(t, file)
	}
	seed := uint64(envInt("PUSH_SEED", 21))
	rng := rand.New(rand.NewPCG(seed, 1))
	begun := time.Now()
	await := func(share float64) {
		eventually(t, 10*time.Minute, "events arrive", func() error {
			if n := endpoint.check.count(); float64(n) < share*float64(events) {
				return fmt.Errorf("%d of %d were taken", n, events)
			}
			return nil
		})
	}
	for i := range kills {
		await(0.9 * float64(i+1) / float64(kills+1)) // the kills are spread over the events
		victim := rng.IntN(len(gateways))
		require.NoError(t, gateways[victim].cmd.Process.Kill())
		gateways[victim] = launchGateway(t, file)
		if i == kills/2 { // away: everything is answered with 404
			endpoint.away.Store(true)
			backoff.Sleep(context.Background(), time.Duration(envInt("PUSH_AWAY", 10))*time.Second)
			endpoint.away.Store(false)
		}
	}
	var letters map[string][]int
	var n int
	eventually(t, 5*time.Minute, "all events are taken or dead", func() error {
		if endpoint.check.count() < events*98/100 {
			return fmt.Errorf("%d of %d were taken", endpoint.check.count(), events)
		}
		letters, n = deadSequences(t, broker, dead)
		if faults := endpoint.check.verdict(written, letters); len(faults) > 0 {
			return fmt.Errorf("%d faults, the first: %s", len(faults), faults[0])
		}
		return nil
	})
	repeated := endpoint.check.repeated
	t.Logf("seed %d: %d events, %d kills, %v, %d attempts, %d dead letters, %d redeliveries (%.4f %% per kill)", seed, events, kills,
		time.Since(begun).Round(time.Second), endpoint.calls.Load(), n, repeated, 100*float64(repeated)/float64(events)/float64(max(kills, 1)))
	require.LessOrEqual(t, n, 20, "dead letters while the endpoint was away")
	require.Less(t, float64(repeated), 0.001*float64(events)*float64(kills)+float64(200*kills))
}

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
	"eventgateway/test/torture"
)

// pushEndpoint is an HTTP service that is slow and fails at random, and away at times.
type pushEndpoint struct {
	*httptest.Server
	check   *torture.Pushes
	away    atomic.Bool
	refuses atomic.Bool // events of the entity "poison"
	fails   float64
	slowest time.Duration
	calls   atomic.Int64
}

func startPushEndpoint(t *testing.T, fails float64, slowest time.Duration) *pushEndpoint {
	t.Helper()
	e := &pushEndpoint{check: torture.NewPushes(), fails: fails, slowest: slowest}
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
	id := torture.PushID{Entity: event.Data.Entity, Seq: event.Data.Seq}
	number, err := strconv.Atoi(r.Header.Get("Gateway-Attempt"))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	e.check.Arrived(id, number, r.Header.Get("Webhook-Id"))
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
		e.check.Taken(id, true)
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
func writeSequences(t *testing.T, broker, topic string, events, entities int) (written []torture.PushEvent) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic))
	require.NoError(t, err)
	defer client.Close()
	for i := range events {
		entity, seq := "e"+strconv.Itoa(i%entities), i/entities
		written = append(written, torture.PushEvent{PushID: torture.PushID{Entity: entity, Seq: seq}})
		client.Produce(context.Background(), &kgo.Record{Key: []byte(entity), Value: fmt.Appendf(nil, `{"entity":%q,"seq":%d}`, entity, seq)}, nil)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	require.NoError(t, client.Flush(ctx))
	return written
}

// deadSequences reads the dead letters of such events.
func deadSequences(t *testing.T, broker, topic string) (dead []torture.PushLetter) {
	t.Helper()
	for _, r := range readTopic(t, broker, topic).records {
		var data struct {
			Entity string
			Seq    int
		}
		require.NoError(t, json.Unmarshal(r.Value, &data))
		attempts, err := strconv.Atoi(header(r, "gw_dead_attempts"))
		require.NoError(t, err)
		dead = append(dead, torture.PushLetter{
			PushID: torture.PushID{Entity: data.Entity, Seq: data.Seq}, Key: string(r.Key),
			Reason: header(r, "gw_dead_reason"), Attempts: attempts, Written: r.Timestamp,
		})
		t.Logf("dead letter: %s/%d: %s, class %s, status %s, attempts %d", data.Entity, data.Seq, header(r, "gw_dead_reason"), header(r, "gw_dead_class"), header(r, "gw_dead_status"), attempts)
	}
	return dead
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
			if n := endpoint.check.Count(); float64(n) < share*float64(events) {
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
	var letters []torture.PushLetter
	facts := torture.PushFacts{
		Attempts: 8, MostRepeated: events/1000*kills + 200*kills,
		MostGivenUp: 20, // while the endpoint was away
		CutOff:      1,  // on a busy machine
	}
	eventually(t, 5*time.Minute, "all events are taken or dead", func() error {
		if n := endpoint.check.Count(); n < events*98/100 {
			return fmt.Errorf("%d of %d were taken", n, events)
		}
		letters = deadSequences(t, broker, dead)
		if found := torture.CheckPushes(written, letters, endpoint.check, facts); len(found) > 0 {
			return fmt.Errorf("%d violations, the first: %s", len(found), found[0])
		}
		return nil
	})
	repeated := endpoint.check.Repeated()
	t.Logf("seed %d: %d events, %d kills, %v, %d attempts, %d dead letters, %d redeliveries (%.4f %% per kill)", seed, events, kills,
		time.Since(begun).Round(time.Second), endpoint.calls.Load(), len(letters), repeated, 100*float64(repeated)/float64(events)/float64(max(kills, 1)))
}

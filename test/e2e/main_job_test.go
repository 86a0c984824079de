//go:build integration

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

const (
	publicURL   = "https://events.example.com"
	traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

// TestOrdersAreWrittenOnceEach is the gateway's main job: ten thousand orders,
// each posted twice, are ten thousand records, as they were posted, where the
// receipts say.
func TestOrdersAreWrittenOnceEach(t *testing.T) {
	const n, conns = 10_000, 64
	topic, run := newTopic(t), unique("main")
	g := startGateway(t, options{
		publicURL: publicURL,
		schemas:   schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}}),
	})
	c := newClient(t, g.addr, conns)
	orders := newOrders(run, n)
	begun := time.Now()
	first := publishAll(t, c, conns, orders, inOrder(n))
	second := publishAll(t, c, conns, orders, rand.New(rand.NewPCG(1, 2)).Perm(n))
	t.Logf("%d posts took %v", 2*n, time.Since(begun).Round(time.Millisecond))

	log := readTopic(t, services.Shared(t).Kafka, topic)
	requireCount(t, log.records, n)
	for i, o := range orders {
		require.False(t, first[i].replayed(), "first answer to %s", o.key)
		require.True(t, second[i].replayed(), "second answer to %s", o.key)
		require.Equal(t, string(first[i].body), string(second[i].body))
		r := first[i].receipt(t)
		rec, err := log.holds(r, o.id, o.body)
		require.NoError(t, err)
		require.Len(t, log.byClaim[claimOf(o.key)], 1)
		require.Equal(t, javaPartition(rec.Key, log.partitions), int(rec.Partition), "key %s", rec.Key)
		require.False(t, rec.Timestamp.Before(begun.Truncate(time.Millisecond)) || rec.Timestamp.After(time.Now()), "timestamp %v", rec.Timestamp)
		requireHeaders(t, rec, r, o, i)
	}
}

// publishAll posts the orders in the given sequence and requires a 202 each.
func publishAll(t *testing.T, c *client, conns int, orders []order, sequence []int) []answer {
	t.Helper()
	answers := make([]answer, len(orders))
	errs := make([]error, len(orders))
	each(conns, len(sequence), func(n int) {
		i := sequence[n]
		p := orders[i].post("orders.placed")
		if i%2 == 1 {
			p.header = map[string]string{"ce-subject": "caf%C3%A9", "ce-tenant": "t%20" + fmt.Sprint(i), "traceparent": traceParent}
		}
		answers[i], errs[i] = c.send(p)
	})
	for i, a := range answers {
		require.NoError(t, errs[i])
		require.Equal(t, http.StatusAccepted, a.status, "%s", a.body)
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
	}
	return answers
}

// requireHeaders checks a record's headers (design section 6).
func requireHeaders(t *testing.T, rec *kgo.Record, r receipt, o order, i int) {
	t.Helper()
	want := map[string]string{
		"ce_specversion": "1.0", "ce_id": r.ID, "ce_type": "orders.placed", "ce_source": "/clients/anonymous", "ce_time": r.Time,
		"ce_dataschema": publicURL + "/v1/event-types/orders.placed/schema?version=v1",
		"content-type":  "application/json", "gw_version": "v1", "gw_claim": claimOf(o.key),
	}
	if i%2 == 1 {
		want["ce_subject"], want["ce_tenant"], want["traceparent"] = "café", fmt.Sprintf("t %d", i), traceParent
	}
	got := map[string]string{}
	for _, h := range rec.Headers {
		got[h.Key] = string(h.Value)
	}
	require.Len(t, got["gw_fingerprint"], 64)
	delete(got, "gw_fingerprint")
	require.Equal(t, want, got)
	require.Len(t, rec.Headers, len(want)+1, "a header occurs twice")
	require.Equal(t, receipt{
		ID: r.ID, Type: "orders.placed", Version: "v1", Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset, Key: &o.id, Time: r.Time,
	}, r)
	_, err := time.Parse(time.RFC3339Nano, r.Time)
	require.NoError(t, err)
}

// javaPartition is where Java's default partitioner puts a key.
func javaPartition(key []byte, partitions int) int {
	return kgo.StickyKeyPartitioner(nil).ForTopic("any").Partition(&kgo.Record{Key: key}, partitions)
}

func inOrder(n int) []int {
	sequence := make([]int, n)
	for i := range sequence {
		sequence[i] = i
	}
	return sequence
}

// TestOrderPerEntity: events of one entity, each posted after the 202 of the one before,
// are in one partition in that order.
func TestOrderPerEntity(t *testing.T) {
	const entities, events = 20, 50
	topic, run := newTopic(t), unique("order")
	g := startGateway(t, options{schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}})})
	c := newClient(t, g.addr, entities)
	answers := make([][]answer, entities)
	errs := make([]error, entities)
	each(entities, entities, func(e int) {
		for n := range events {
			body := strings.Replace(string(newOrder(run, e*5).body), "c-318", fmt.Sprintf("c-%d", n), 1)
			a, err := c.send(post{eventType: "orders.placed", key: fmt.Sprintf("%s-%d-%d", run, e, n), body: []byte(body)})
			answers[e], errs[e] = append(answers[e], a), err
			if err != nil || a.status != http.StatusAccepted {
				return
			}
		}
	})
	partitions := map[int32]bool{}
	for e := range entities {
		require.NoError(t, errs[e])
		last := answers[e][0].receipt(t)
		partitions[last.Partition] = true
		for _, a := range answers[e][1:] {
			r := a.receipt(t)
			require.Equal(t, last.Partition, r.Partition)
			require.Greater(t, r.Offset, last.Offset)
			last = r
		}
		require.Len(t, answers[e], events)
	}
	requireCount(t, readTopic(t, services.Shared(t).Kafka, topic).records, entities*events)
	require.Greater(t, len(partitions), 1, "all entities are in one partition: this test proves nothing")
}

// TestConcurrentPostsWithOneKey: a request that does not get the receipt is told that
// the event is being written.
func TestConcurrentPostsWithOneKey(t *testing.T) {
	const rounds, conns = 5, 200
	topic, run := newTopic(t), unique("one")
	g := startGateway(t, options{schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}})})
	c := newClient(t, g.addr, conns)
	for round := range rounds {
		o := newOrder(run, round)
		answers := make([]answer, conns)
		errs := make([]error, conns)
		var ready sync.WaitGroup
		ready.Add(conns)
		each(conns, conns, func(i int) {
			ready.Done()
			ready.Wait()
			answers[i], errs[i] = c.send(o.post("orders.placed"))
		})
		final := c.mustSend(t, o.post("orders.placed"))
		require.True(t, final.replayed())
		accepted, firsts := 0, 0
		for i, a := range answers {
			require.NoError(t, errs[i])
			if a.status == http.StatusAccepted {
				accepted++
				require.Equal(t, string(final.body), string(a.body))
				if !a.replayed() {
					firsts++
				}
				continue
			}
			p := a.mustBe(t, http.StatusConflict, "request-in-progress", "unknown")
			require.True(t, p.Retryable)
			require.Equal(t, "1", a.header.Get("Retry-After"))
		}
		require.Equal(t, 1, firsts, "answers that are not replays")
		t.Logf("round %d: %d receipts, %d in progress", round, accepted, conns-accepted)
	}
	requireCount(t, readTopic(t, services.Shared(t).Kafka, topic).records, rounds)
}

// TestTwoGatewaysActAsOne: two gateways on one Redis and Kafka give the same answers.
func TestTwoGatewaysActAsOne(t *testing.T) {
	const n, conns = 1000, 32
	topic, run := newTopic(t), unique("two")
	o := options{schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": topic}})}
	a, b := startGateway(t, o), startGateway(t, o)
	clients := []*client{newClient(t, a.addr, conns), newClient(t, b.addr, conns)}
	orders := newOrders(run, n)
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	answers := make([]answer, 2*n) // those of order i are 2i and 2i+1
	errs := make([]error, 2*n)
	each(2*conns, 2*n, func(i int) {
		answers[i], errs[i] = sendUntilFinal(ctx, clients[i%2], orders[i/2].post("orders.placed"))
	})
	log := readTopic(t, services.Shared(t).Kafka, topic)
	requireCount(t, log.records, n)
	for i, o := range orders {
		one, other := answers[2*i], answers[2*i+1]
		require.NoError(t, errs[2*i])
		require.NoError(t, errs[2*i+1])
		require.NotEqual(t, one.replayed(), other.replayed(), "exactly one of two answers is the first")
		require.True(t, bytes.Equal(one.body, other.body), "%s\n%s", one.body, other.body)
		_, err := log.holds(one.receipt(t), o.id, o.body)
		require.NoError(t, err)
	}
	changed := orders[0].post("orders.placed")
	changed.body = orders[5].body
	for _, c := range clients {
		c.mustSend(t, changed).mustBe(t, http.StatusUnprocessableEntity, "idempotency-key-reused", "not-written")
	}
}

// sendUntilFinal posts until the answer is neither "in progress" nor a
// transport error, or ctx ends.
func sendUntilFinal(ctx context.Context, c *client, p post) (answer, error) {
	for {
		a, err := c.send(p)
		if err == nil && a.status != http.StatusConflict || !backoff.Sleep(ctx, 10*time.Millisecond) {
			return a, err
		}
	}
}

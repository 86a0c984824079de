//go:build integration

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
)

// statedMemory is the most that a gateway with the default settings may hold, whatever is
// sent: docs/operations.md states it.
const statedMemory = 1 << 30

// peakMemory is the most that the process has held so far, in bytes (proc_pid_status(5)).
func (p *process) peakMemory(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			require.NoError(t, err)
			return kib << 10
		}
	}
	require.FailNow(t, "no VmHWM")
	return 0
}

// zipped is a request with a gzip body.
func zipped(t *testing.T, path, header, body string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	require.NoError(t, err)
	_, err = io.WriteString(w, body)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return rawRequest(path, header+"Content-Encoding: gzip\r\n", b.String())
}

// repeated is a list that fills a body of n bytes.
func repeated(item string, n int) string {
	return "[" + strings.Repeat(item+",", n/(len(item)+1)-1) + item + "]"
}

const largeBody = 900 << 10 // http.body_limit

// hostileKinds are requests that once took gigabytes, or seconds of a core, each.
func hostileKinds(t *testing.T) map[string]string {
	t.Helper()
	const orders = "/v1/events/orders.placed"
	room := largeBody - len(validOrder()) - 100
	var batch strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&batch, `,{"specversion":"1.0","id":"%d","source":"/s","type":"orders.placed","data":{"orderId":"o","items":%s}}`, i, repeated("0", 600))
	}
	tree := strings.Repeat(`{"a":`, 40) + `"x"` + strings.Repeat("}", 40)
	return map[string]string{
		"objects of one member": zipped(t, orders, jsonType, with(`"x":`+repeated(`{"a":0}`, room))),
		"290,000 objects":       zipped(t, orders, jsonType, with(`"x":`+repeated(`{}`, room))),
		"many violations":       zipped(t, orders, jsonType, with(`"y":0`)[:1]+`"items":`+repeated("0", room)+"}"),
		"a large answer":        zipped(t, "/v1/events", "Content-Type: application/cloudevents-batch+json\r\n", "["+batch.String()[1:]+"]"),
		"a recursive schema":    zipped(t, "/v1/events/trees", jsonType, tree),
	}
}

// recursive applies its schema twice to each level.
var recursive = map[string]any{
	"$ref": "#/$defs/t", "$defs": map[string]any{"t": map[string]any{"anyOf": []any{
		map[string]any{"type": "object", "properties": map[string]any{"a": map[string]any{"$ref": "#/$defs/t"}}, "required": []string{"b"}},
		map[string]any{"type": "object", "properties": map[string]any{"a": map[string]any{"$ref": "#/$defs/t"}}, "required": []string{"c"}},
	}}},
}

func hostileGateway(t *testing.T, o options) *gateway {
	t.Helper()
	o.plain = true
	o.schemas = schemasFolder(t,
		eventType{name: "orders.placed", xevent: map[string]any{"topic": newTopic(t)}},
		eventType{name: "trees", xevent: map[string]any{"topic": newTopic(t), "key": nil}, schema: recursive})
	return startGateway(t, o)
}

// TestCostOfOneKind: each kind alone, as often as once did harm.
func TestCostOfOneKind(t *testing.T) {
	for _, c := range []struct {
		kind                string
		connections, events int // events in all
		cpu                 time.Duration
		statuses            []int
	}{
		{"objects of one member", 150, 150, 60 * time.Second, []int{202, 503}},
		{"290,000 objects", 150, 150, 60 * time.Second, []int{413, 503}},
		{"many violations", 16, 16, 8 * time.Second, []int{422}},
		{"a large answer", 25, 25, 30 * time.Second, []int{207, 503}},
		{"a recursive schema", 3, 30, 10 * time.Second, []int{422}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			text := hostileKinds(t)[c.kind]
			g := hostileGateway(t, options{})
			before, begun := g.peakMemory(t), time.Now()
			all := newBombardment()
			took := g.cpuOf(t, func() {
				all.send(g.addr, text, c.connections, c.events/c.connections)
				all.running.Wait()
			})
			peak := g.peakMemory(t)
			t.Logf("%d of %d bytes: answers %v of at most %d bytes, %v; memory %d → %d MiB; CPU %v", c.events, len(text), all.answers, all.bytes,
				time.Since(begun).Round(time.Millisecond), before>>20, peak>>20, took)
			for status := range all.answers {
				require.Contains(t, c.statuses, status)
			}
			require.Less(t, peak, int64(statedMemory))
			require.Less(t, took, c.cpu)
			require.Less(t, all.bytes, int64(2<<20), "the largest answer")
			g.holdsNothing(t)
		})
	}
}

// TestCostWithinARate: a client within its rate cannot spend more than the budget either.
func TestCostWithinARate(t *testing.T) {
	key, hash := newKey(t)
	clients := clientsWith(hash)
	clients["clients"].([]any)[0].(map[string]any)["rate"] = "100/s"
	text := hostileKinds(t)["many violations"]
	text = strings.Replace(text, "Host: gateway\r\n", "Host: gateway\r\nAuthorization: Bearer "+key+"\r\n", 1)
	g := hostileGateway(t, options{auth: clients})
	all := newBombardment()
	took := g.cpuOf(t, func() {
		all.send(g.addr, text, 4, 8)
		all.running.Wait()
	})
	peak := g.peakMemory(t)
	t.Logf("32 of %d bytes: answers %v; memory %d MiB; CPU %v", len(text), all.answers, peak>>20, took)
	require.Equal(t, map[int]int{http.StatusUnprocessableEntity: 32}, all.answers)
	require.Less(t, peak, int64(statedMemory/2))
	require.Less(t, took, 16*time.Second)
}

// TestHonestClientBesideHostileOnes: all kinds at once do not take more memory than is
// stated, nor stop the gateway, and an honest client is answered meanwhile and afterwards.
// The long form (make hostile), which needs a machine of its own, also compares times: the
// honest client's p99 is within three times that without the others.
func TestHonestClientBesideHostileOnes(t *testing.T) {
	span, long := 12*time.Second, os.Getenv("GATEWAY_TEST_HOSTILE")
	if long != "" {
		var err error
		span, err = time.ParseDuration(long)
		require.NoError(t, err)
	}
	for _, c := range []struct {
		name   string
		limit  string // memory.limit
		memory int64
	}{
		{"default", "", statedMemory},
		{"512 MiB", "512MiB", 512 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := hostileGateway(t, options{memoryLimit: c.limit})
			honest := newHonest(t, g)
			honest.measure(t, 2*time.Second) // the first is slow
			quiet := honest.measure(t, span/4)
			end := allKinds(t, g.addr).start(t)
			during := honest.measure(t, span)
			others := end()
			g.holdsNothing(t)
			again := honest.measure(t, span/4)
			peak, reference := g.peakMemory(t), max(quiet.p99, again.p99)
			t.Logf("honest client: quiet %v, and again %v; beside the others %v, p99 %.1f times as long", quiet, again, during, float64(during.p99)/float64(reference))
			t.Logf("others: answers %v of at most %d bytes, CPU %v of their own; memory at most %d MiB", others.Answers, others.Bytes, others.CPU, peak>>20)
			require.Less(t, peak, c.memory)
			require.Empty(t, quiet.refused)
			require.Empty(t, again.refused)
			for status := range during.refused {
				require.Equal(t, http.StatusServiceUnavailable, status)
			}
			require.Less(t, during.refused[http.StatusServiceUnavailable], during.n, "somebody honest is served")
			if long == "" {
				return
			}
			if c.limit == "" {
				require.Empty(t, during.refused, "with the default memory, nobody honest is refused")
			}
			require.Less(t, during.p99, 3*reference, "p99 of the honest client")
		})
	}
}

// holdsNothing waits until everything that requests took from the budget is given back.
func (g *gateway) holdsNothing(t *testing.T) {
	t.Helper()
	eventually(t, patient, "all is given back", func() error {
		if held := g.metric(t, "gateway_http_body_bytes"); held != 0 {
			return fmt.Errorf("%v bytes are held", held)
		}
		return nil
	})
}

// honest posts keyed orders at a steady pace.
type honest struct {
	c   *client
	run string
	n   int
}

type latencies struct {
	p50, p99 time.Duration
	n        int
	refused  map[int]int // by status
}

func (l latencies) String() string {
	return fmt.Sprintf("p50 %v p99 %v of %d, refused %v", l.p50, l.p99, l.n, l.refused)
}

func newHonest(t *testing.T, g *gateway) *honest {
	t.Helper()
	return &honest{c: newClient(t, g.addr, 64), run: unique("honest")}
}

const honestPace = 10 * time.Millisecond

// measure posts for a while, each event when it is its time, whether those before it are
// answered or not. Every event must be answered.
func (h *honest) measure(t *testing.T, span time.Duration) latencies {
	t.Helper()
	var mu sync.Mutex
	var events []*tracked
	var sending sync.WaitGroup
	ticker := time.NewTicker(honestPace)
	defer ticker.Stop()
	for begun := time.Now(); time.Since(begun) < span; <-ticker.C {
		h.n++
		e := &tracked{order: newOrder(h.run, h.n)}
		sending.Go(func() {
			e.try(h.c, "orders.placed/v1") // a route of its own, in the gateway's metrics too
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		})
	}
	sending.Wait()
	refused := map[int]int{}
	for _, e := range events {
		require.Empty(t, e.errs)
		if status := e.answers[0].status; status != http.StatusAccepted {
			refused[status]++
		}
	}
	return latencies{p50: percentile(events, 50), p99: percentile(events, 99), n: len(events), refused: refused}
}

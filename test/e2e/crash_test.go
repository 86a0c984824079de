//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/internal/failpoint"
	"eventgateway/test/services"
)

// withFailpoints is the gateway built with its failpoints.
var withFailpoints struct {
	once   sync.Once
	binary string
	err    error
}

func failpointBinary(t *testing.T) string {
	t.Helper()
	withFailpoints.once.Do(func() {
		withFailpoints.binary = filepath.Join(suite.dir, "gateway-torture")
		build := exec.Command("go", "build", "-tags", "torture", "-o", withFailpoints.binary, "./cmd/gateway")
		build.Dir = suite.root
		if out, err := build.CombinedOutput(); err != nil {
			withFailpoints.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	require.NoError(t, withFailpoints.err)
	return withFailpoints.binary
}

// startWithFailpoints starts a gateway that dies at the points of plan.
func startWithFailpoints(t *testing.T, o options, plan string) (g *gateway, addr string) {
	t.Helper()
	file := writeConfig(t, o.config(t))
	declareNew(t, file)
	g = &gateway{process: launchWith(t, suite.dir, []string{"GATEWAY_TEST_FAILPOINTS=" + plan}, failpointBinary(t), "serve", "-c", file)}
	eventually(t, patient, "gateway starts", g.learnAddresses)
	eventually(t, patient, "gateway is ready", func() error {
		if status, body, err := g.ask("/readyz"); err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %s %w", status, body, err)
		}
		return nil
	})
	return g, g.addr
}

// TestCrashAtEachStep kills a gateway at each step between claim and settle, in
// both modes: the table of docs/guarantees.md. It checks what the caller,
// Redis and Kafka have then, and that a retry through another gateway writes the event
// once, and returns the receipt of what was written.
func TestCrashAtEachStep(t *testing.T) {
	tests := []struct {
		point         string
		transactional bool   // only in this mode
		claim         string // state of the claim after the crash
		written       string // yes, no or either: whether the retry finds the event in the log
	}{
		{point: failpoint.Claimed, claim: "C", written: "no"},
		{point: failpoint.Handed, claim: "C", written: "either"},
		{point: failpoint.Acked, claim: "C", written: "yes"},
		{point: failpoint.Committing, transactional: true, claim: "C", written: "no"},
		{point: failpoint.Committed, transactional: true, claim: "C", written: "yes"},
		{point: failpoint.Settling, claim: "C", written: "yes"},
		{point: failpoint.Settled, claim: "S", written: "yes"},
	}
	for _, guarantee := range []string{"idempotent", "transactional"} {
		for _, tt := range tests {
			if tt.transactional && guarantee == "idempotent" {
				continue
			}
			t.Run(guarantee+"/"+tt.point, func(t *testing.T) {
				t.Parallel()
				if guarantee == "transactional" && tt.point == failpoint.Acked {
					tt.written = "no" // acknowledged, and not committed
				}
				s := newCrashScene(t, guarantee)
				s.killAt(t, tt.point)
				require.Equal(t, tt.claim, s.claimState(t))
				s.requireResolved(t, tt.written)
			})
		}
		// A taker dies: the next one finds an abandoned claim, whose first owner
		// wrote nothing.
		for _, point := range []string{failpoint.Recovered, failpoint.TakenOver} {
			t.Run(guarantee+"/"+point, func(t *testing.T) {
				t.Parallel()
				s := newCrashScene(t, guarantee)
				s.killAt(t, failpoint.Claimed)
				s.awaitLease(t)
				s.killAt(t, point)
				require.Equal(t, "C", s.claimState(t))
				s.requireResolved(t, "no")
			})
		}
	}
	t.Run("transactional/"+failpoint.Fenced, func(t *testing.T) {
		t.Parallel()
		s := newCrashScene(t, "transactional")
		s.killAt(t, failpoint.Committed)
		s.awaitLease(t)
		s.killAt(t, failpoint.Fenced)
		require.Equal(t, "C", s.claimState(t))
		s.requireResolved(t, "yes")
	})
}

// crashScene is one event that is posted to gateways which die.
type crashScene struct {
	options options
	topic   string
	order   order
}

const crashLease = 5 * time.Second

func newCrashScene(t *testing.T, guarantee string) *crashScene {
	t.Helper()
	s := &crashScene{topic: newTopic(t), order: newOrder(unique("crash"), 0)}
	s.options = options{
		guarantee: guarantee, deliveryTimeout: 2 * time.Second, lease: crashLease,
		schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": s.topic}}),
	}
	return s
}

// killAt posts the event to a gateway that dies at point. If it has answered before, the
// answer must be a 202.
func (s *crashScene) killAt(t *testing.T, point string) {
	t.Helper()
	g, addr := startWithFailpoints(t, s.options, point+":1")
	a, err := newClient(t, addr, 1).send(s.order.post("orders.placed"))
	if err == nil {
		require.Equal(t, http.StatusAccepted, a.status, "%s", a.body)
	}
	g.waitExit(t, patient)
	require.Contains(t, g.log.String(), "gateway-failpoint point="+point)
}

func (s *crashScene) awaitLease(t *testing.T) {
	t.Helper()
	backoff.Sleep(t.Context(), crashLease+time.Second)
}

// claimState is the first letter of the claim in Redis.
func (s *crashScene) claimState(t *testing.T) string {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: services.Shared(t).Redis})
	defer func() { _ = rdb.Close() }()
	text, err := rdb.Get(t.Context(), claimKeys(t)(s.order.key)).Result()
	require.NoError(t, err)
	return text[:1]
}

// requireResolved asks a healthy gateway for the receipt until its answer is final, then
// retries, and requires that the event is written once.
func (s *crashScene) requireResolved(t *testing.T, written string) {
	t.Helper()
	g := startGateway(t, s.options)
	c := newClient(t, g.addr, 1)
	status, body := s.askReceipt(t, g)
	for deadline := time.Now().Add(patient); status != http.StatusOK && status != http.StatusNotFound && time.Now().Before(deadline); {
		require.Contains(t, []int{http.StatusConflict, http.StatusGatewayTimeout}, status, "%s", body)
		backoff.Sleep(t.Context(), 200*time.Millisecond)
		status, body = s.askReceipt(t, g)
	}
	switch written {
	case "yes":
		require.Equal(t, http.StatusOK, status, "%s", body)
	case "no":
		require.Equal(t, http.StatusNotFound, status, "%s", body)
	}
	a, err := sendUntilFinal(t.Context(), c, s.order.post("orders.placed"))
	require.NoError(t, err)
	r := a.receipt(t)
	require.Equal(t, status == http.StatusOK, a.replayed(), "a written event is replayed, another is written now")
	if status == http.StatusOK {
		var asked receipt
		require.NoError(t, json.Unmarshal(body, &asked))
		require.Equal(t, asked, r)
	}
	log := readTopic(t, services.Shared(t).Kafka, s.topic)
	rec, err := log.holds(r, s.order.id, s.order.body)
	require.NoError(t, err)
	require.Equal(t, claimOf(s.order.key), header(rec, "gw_claim"))
	require.Len(t, log.byClaim[claimOf(s.order.key)], 1)
}

func (s *crashScene) askReceipt(t *testing.T, g *gateway) (status int, body []byte) {
	t.Helper()
	client := http.Client{Timeout: patient}
	resp, err := client.Get("http://" + g.addr + "/v1/receipts?idempotency_key=" + url.QueryEscape(s.order.key))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, body
}

// launchWith is launch with further variables in the environment.
func launchWith(t *testing.T, dir string, env []string, path string, args ...string) *process {
	t.Helper()
	return launch(t, dir, "env", append(append(append([]string{}, env...), path), args...)...)
}

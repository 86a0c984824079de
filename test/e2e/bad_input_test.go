//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

const (
	badBodyLimit   = 64 << 10
	badReadTimeout = 2 * time.Second
)

// badRequest is a request that must be refused.
type badRequest struct {
	name   string
	text   string // as it goes over the wire
	status int
	slug   string
	// meanwhile says that the answer must be readable while the client still sends.
	meanwhile bool
	header    string // a header of the answer, "Name: value"
	detail    string // a part of its detail
	slow      bool   // the answer comes after the read timeout
}

// TestBadInputIsRefused posts invalid input of every kind, while a well-behaved client
// is still answered. No bad request writes a record.
func TestBadInputIsRefused(t *testing.T) {
	badTopic, goodTopic := newTopic(t), newTopic(t)
	loose := map[string]any{"type": "object"}
	g := startGateway(t, options{bodyLimit: fmt.Sprint(badBodyLimit), readTimeout: badReadTimeout, schemas: schemasFolder(t,
		eventType{name: "good", xevent: map[string]any{"topic": goodTopic}},
		eventType{name: "bad", xevent: map[string]any{"topic": badTopic}},
		eventType{name: "loose", schema: loose, xevent: map[string]any{"topic": badTopic, "key": "/id"}},
		eventType{name: "small", xevent: map[string]any{"topic": badTopic, "body_limit": 100}},
		eventType{name: "must", xevent: map[string]any{"topic": badTopic, "idempotency": "required"}})})
	good := startLoad(t, g.addr, "good", 4, false)
	requests := slices.Concat(badBodies(), badHeaders(), badPaths(), badCloudEvents(), badSizes(), badHTTP())
	slow := slices.Repeat(slowRequests(), 50)

	var mu sync.Mutex
	var wrong []string
	try := func(b badRequest) {
		if err := b.try(g.addr); err != nil {
			mu.Lock()
			defer mu.Unlock()
			wrong = append(wrong, b.name+": "+err.Error())
		}
	}
	var all sync.WaitGroup
	all.Go(func() { each(len(slow), len(slow), func(i int) { try(slow[i]) }) }) // at once
	each(16, len(requests), func(i int) { try(requests[i]) })
	all.Wait()
	events := good.end()
	for _, r := range readTopic(t, services.Shared(t).Kafka, badTopic).records {
		wrong = append(wrong, fmt.Sprintf("a record was written: %.200q", r.Value))
	}
	requireAllAccepted(t, events)
	requireCount(t, readTopic(t, services.Shared(t).Kafka, goodTopic).records, len(events))
	t.Logf("%d bad requests; p99 of %d good ones: %v", len(requests)+len(slow), len(events), percentile(events, 99))
	slices.Sort(wrong)
	wrong = slices.Compact(wrong)
	require.Empty(t, wrong, "%s", strings.Join(wrong, "\n"))
}

// try sends the request and returns how the answer breaks the contract.
func (b badRequest) try(addr string) error {
	a, err := exchange(addr, b.text, b.meanwhile, 20*time.Second)
	if err != nil {
		return err
	}
	p, err := a.problem()
	if err != nil {
		return err
	}
	name, value, _ := strings.Cut(b.header, ": ")
	switch {
	case p.Status != b.status || p.slug() != b.slug:
		return fmt.Errorf("%d %s, not %d %s: %s", p.Status, p.slug(), b.status, b.slug, a.body)
	case p.Outcome != "not-written":
		return fmt.Errorf("outcome %q", p.Outcome)
	case p.Retryable != (b.slug == "request-timeout"):
		return fmt.Errorf("retryable: %v", p.Retryable)
	case b.header != "" && a.header.Get(name) != value:
		return fmt.Errorf("%s is %q, not %q", name, a.header.Get(name), value)
	case !strings.Contains(p.Detail, b.detail):
		return fmt.Errorf("detail lacks %q: %s", b.detail, p.Detail)
	case b.slug == "schema-violation" && len(p.Errors) == 0:
		return fmt.Errorf("no errors listed: %s", a.body)
	case b.slow && a.took < badReadTimeout-100*time.Millisecond:
		return fmt.Errorf("came after %v, with a read timeout of %v", a.took, badReadTimeout)
	}
	return nil
}

func requireAllAccepted(t *testing.T, events []*tracked) {
	t.Helper()
	require.NotEmpty(t, events)
	for _, e := range events {
		require.Empty(t, e.errs)
		require.Equal(t, http.StatusAccepted, e.answers[0].status, "%s", e.answers[0].body)
	}
}

// percentile returns a percentile of the latencies of first answers.
func percentile(events []*tracked, p int) time.Duration {
	var took []time.Duration
	for _, e := range events {
		if len(e.answers) > 0 {
			took = append(took, e.answers[0].took)
		}
	}
	slices.Sort(took)
	return took[(len(took)-1)*p/100].Round(10 * time.Microsecond)
}

package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/auth"
	"eventgateway/internal/budget"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

// violating refuses every event with so many violations, of some 100 bytes each.
func violating(n int) door {
	e := event.Refuse(event.SchemaViolation, "the data breaks the schema")
	for range n {
		e.Violations = append(e.Violations, event.Violation{Pointer: "/items/0", Keyword: "type", Message: strings.Repeat("m", 70)})
	}
	return failing(e)
}

func withBudget(b *budget.Budget) option { return func(c *Config, _ *Catalog) { c.Budget = b } }

const oneOfABatch = `[{"specversion":"1.0","id":"1","source":"/s","type":"orders.placed","data":{}}]`

// What an answer holds is counted until it is read, or its connection ends.
func TestLargeAnswersAreCounted(t *testing.T) {
	t.Parallel()
	b := budget.New(1 << 30)
	g := start(t, violating(200_000), withBudget(b)) // 20 MB
	w := g.dial(t)                                   // and does not read: the answer has more bytes than the kernel's buffers take
	w.send(t, rawPost("", "{}"))
	require.Eventually(t, func() bool { return b.Held() > 10<<20 }, patience, time.Millisecond)
	require.NoError(t, w.Close())
	require.Eventually(t, func() bool { return b.Held() == 0 }, patience, time.Millisecond)

	a := g.do(t, http.MethodPost, "/v1/events/orders.placed", "{}")
	require.Len(t, a.problem(t).Errors, 200_000, "who reads gets all of it")
	require.Eventually(t, func() bool { return b.Held() == 0 }, patience, time.Millisecond)
}

// A client that does not read its answers gets short ones, and no batch of it is taken;
// others are not affected.
func TestClientsThatDoNotRead(t *testing.T) {
	t.Parallel()
	var clients []auth.Client
	var keys []string
	for _, name := range []string{"slow", "other"} {
		key, text := auth.NewKey()
		hash, ok := auth.ParseHash(text)
		require.True(t, ok)
		clients = append(clients, auth.Client{Name: name, Keys: []auth.Key{{Hash: hash}}, Events: []string{"*"}})
		keys = append(keys, "Authorization: Bearer "+key)
	}
	slow, other := keys[0], keys[1]
	a, err := auth.New(t.Context(), auth.Config{Clients: clients}, nil)
	require.NoError(t, err)
	b := budget.New(128 << 20) // one client's share is 16 MiB
	published := make(chan struct{}, 1)
	large := violating(200_000)
	g := start(t, func(r ingest.Request) (ingest.Result, error) {
		if r.Identity.IsZero() {
			return large(r)
		}
		published <- struct{}{}
		return accepting(r)
	}, withBudget(b), func(c *Config, _ *Catalog) { c.Auth = a })
	w := g.dial(t)
	w.send(t, rawPost(slow, "{}"))
	require.Eventually(t, func() bool { return b.Held() > 16<<20 }, patience, time.Millisecond)

	short := g.do(t, http.MethodPost, "/v1/events/orders.placed", "{}", slow).problem(t)
	require.Equal(t, "/problems/schema-violation", short.Type)
	require.Len(t, short.Errors, shortList)
	refused := g.do(t, http.MethodPost, "/v1/events", oneOfABatch, "Content-Type: application/cloudevents-batch+json", slow)
	requireRefused(t, refused, event.Overloaded, "not read")
	require.Empty(t, published, "nothing was written")

	require.Len(t, g.do(t, http.MethodPost, "/v1/events/orders.placed", "{}", other).problem(t).Errors, 200_000)
	taken := g.do(t, http.MethodPost, "/v1/events", oneOfABatch, "Content-Type: application/cloudevents-batch+json", other)
	require.Equal(t, http.StatusAccepted, taken.StatusCode)
	<-published
	require.NoError(t, w.Close())
	require.Eventually(t, func() bool { return b.Held() == 0 }, patience, time.Millisecond)
}

// An answer about what was written is given, whether there is room for it or not.
func TestReceiptsAreAlwaysGiven(t *testing.T) {
	t.Parallel()
	b := budget.New(64 << 10)
	g := start(t, accepting, withBudget(b))
	batch := "[" + strings.TrimSuffix(strings.Repeat(oneOfABatch[1:len(oneOfABatch)-1]+",", 25), ",") + "]"
	a := g.do(t, http.MethodPost, "/v1/events", batch, "Content-Type: application/cloudevents-batch+json")
	require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
	require.Len(t, a.items(t), 25)

	batch = "[" + strings.TrimSuffix(strings.Repeat(oneOfABatch[1:len(oneOfABatch)-1]+",", 60), ",") + "]"
	a = g.do(t, http.MethodPost, "/v1/events", batch, "Content-Type: application/cloudevents-batch+json")
	requireRefused(t, a, event.Overloaded, "65536") // before an event is written
	require.Eventually(t, func() bool { return b.Held() == 0 }, patience, time.Millisecond)
}

// A list for which there is no room is refused.
func TestLargeListsNeedRoom(t *testing.T) {
	t.Parallel()
	types := map[string]string{}
	for _, name := range strings.Split(strings.Repeat("x,", 100), ",") {
		types[strings.Repeat("t", len(types)+1)+name+"/v1.json"] = `{"x-event":{"key":null},"title":"` + strings.Repeat("long ", 50) + `"}`
	}
	b := budget.New(32 << 10)
	g := start(t, accepting, withBudget(b), withCatalog(fixed{typesOf(t, types)}))
	requireRefused(t, g.do(t, http.MethodGet, "/v1/event-types", ""), event.Overloaded, "32768")
	b.Force(-1 << 20)
	require.Equal(t, http.StatusOK, g.do(t, http.MethodGet, "/v1/event-types", "").StatusCode)
}

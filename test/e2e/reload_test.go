//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEventTypesAreReloaded: new types work within seconds; a bad file is only logged.
func TestEventTypesAreReloaded(t *testing.T) {
	const soon = 15 * time.Second
	old, added := newTopic(t), newTopicName(t)
	dir := schemasFolder(t, eventType{name: "old", xevent: map[string]any{"topic": old}})
	g := startGateway(t, options{schemas: dir})
	c := newClient(t, g.addr, 4)
	orders := newOrders(unique("reload"), 5)
	accepted := func(o order, eventType string) func() error {
		return func() error {
			if a := c.mustSend(t, o.post(eventType)); a.status != http.StatusAccepted {
				return fmt.Errorf("%d %s", a.status, a.body)
			}
			return nil
		}
	}
	require.NoError(t, accepted(orders[0], "old")())
	c.mustSend(t, orders[1].post("added")).mustBe(t, http.StatusNotFound, "unknown-event-type", "not-written")

	begun := time.Now()
	writeType(t, dir, eventType{name: "added", xevent: map[string]any{"topic": added}})
	eventually(t, soon, "new type works", accepted(orders[1], "added"))
	t.Logf("a new type works after %v", time.Since(begun).Round(10*time.Millisecond))

	writeFile(t, filepath.Join(dir, "added", "v2.json"), []byte(`{"type": "object", "x-event": {"key": "/orderId", "topik": "x"}}`))
	eventually(t, soon, "the bad file is logged", func() error { return g.logged(`"ERROR"`, "v2.json", "topik") })
	require.NoError(t, accepted(orders[2], "added")())
	require.NoError(t, accepted(orders[4], "old")())
	a := c.mustSend(t, post{eventType: "added?version=v2", body: orders[0].body})
	a.mustBe(t, http.StatusNotFound, "unknown-event-type", "not-written")

	// A loaded type whose file becomes bad stays as it was, too.
	writeFile(t, filepath.Join(dir, "old", "v1.json"), []byte(`{"type": `))
	eventually(t, soon, "the broken file is logged", func() error { return g.logged(`"ERROR"`, "old/v1.json") })
	require.NoError(t, accepted(orders[3], "old")())
}

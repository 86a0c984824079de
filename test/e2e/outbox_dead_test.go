//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// run runs a command of the gateway with the shop's configuration.
func (s *shop) run(t *testing.T, file string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), suite.binary, append(args, "-c", file)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func insertRow(t *testing.T, s *shop, aggregate, kind, payload string) {
	t.Helper()
	execSQL(t, s.dsn, `INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('orders', $1, $2, $3::text::jsonb)`, aggregate, kind, payload)
}

func step(order string, n int) string { return fmt.Sprintf(`{"orderId": %q, "step": %d}`, order, n) }

// TestOutboxDeadRows: rows that can never be published are set aside with the reason, do
// not hold up others, and can be put back.
func TestOutboxDeadRows(t *testing.T) {
	t.Parallel()
	for _, read := range []string{"poll", "wal"} {
		t.Run(read, func(t *testing.T) {
			t.Parallel()
			deadRows(t, read)
		})
	}
}

func deadRows(t *testing.T, read string) {
	s := newShop(t, read, nil)
	file := writeConfig(t, s.o.config(t))
	g := startConfigured(t, s.o, file)
	insertRow(t, s, "a", "orders.unknown", step("a", 0))
	insertRow(t, s, "a", "orders.step", `{"orderId": "a", "step": "one"}`)
	insertRow(t, s, "a", "orders.step", step("b", 0)) // another entity
	insertRow(t, s, "a", "orders.step", `{"step": 1}`)
	execSQL(t, s.dsn, `INSERT INTO outbox (aggregatetype, aggregateid, type) VALUES ('orders', 'a', 'orders.step')`)
	insertRow(t, s, "a", "orders.step", step("a", 0))
	s.requireRelayed(t, steps{"a": 1})
	require.Equal(t, 5, s.count(t, "outbox_dead"))
	list := s.run(t, file, "outbox", "dead", "list")
	for _, reason := range []string{"unknown-event-type", "schema-violation", "key-missing", "malformed-request", "The payload is NULL."} {
		require.Contains(t, list, reason)
	}
	require.Contains(t, s.run(t, file, "outbox", "dead", "show", "2"), `"step": "one"`)
	status := s.run(t, file, "outbox", "status")
	require.Contains(t, status, "5 rows can never be published")
	require.NotContains(t, status, "nobody")

	execSQL(t, s.dsn, `UPDATE outbox_dead SET payload = '{"orderId": "a", "step": 1}' WHERE seq = 2`)
	require.Contains(t, s.run(t, file, "outbox", "dead", "retry", "2"), "1 row put back")
	eventually(t, patient, "row is relayed", func() error {
		if n := len(readTopic(t, s.kafka, s.topic).records); n != 2 {
			return fmt.Errorf("%d records", n)
		}
		return nil
	})
	require.Contains(t, s.run(t, file, "outbox", "dead", "drop", "--all"), "4 rows dropped")
	s.requireRelayed(t, steps{"a": 2})
	require.Zero(t, s.count(t, "outbox_dead"))
	r := g.readiness(t)
	require.Equal(t, http.StatusOK, r.status)
	require.True(t, r.Checks["outbox "+s.name].OK)
}

// TestOutboxHoldsEntity: with on_dead: hold-entity, later rows of the entity of a dead row
// wait until it is put right, also across a restart, and come behind it.
func TestOutboxHoldsEntity(t *testing.T) {
	t.Parallel()
	for _, read := range []string{"poll", "wal"} {
		t.Run(read, func(t *testing.T) {
			t.Parallel()
			holdsEntity(t, read)
		})
	}
}

func holdsEntity(t *testing.T, read string) {
	s := newShop(t, read, map[string]any{"on_dead": "hold-entity"})
	file := writeConfig(t, s.o.config(t))
	g := startConfigured(t, s.o, file)
	insertRow(t, s, "a", "orders.step", step("a", 0))
	insertRow(t, s, "a", "orders.step", `{"orderId": "a", "step": "one"}`) // seq 2
	insertRow(t, s, "a", "orders.step", step("a", 2))
	insertRow(t, s, "b", "orders.step", step("b", 0))
	waitRecords := func(n int) {
		t.Helper()
		eventually(t, patient, "rows are relayed", func() error {
			if got := len(readTopic(t, s.kafka, s.topic).records); got != n {
				return fmt.Errorf("%d records", got)
			}
			return nil
		})
	}
	waitRecords(2)
	g.stop(t)
	startConfigured(t, s.o, file)
	insertRow(t, s, "a", "orders.step", step("a", 3))
	insertRow(t, s, "b", "orders.step", step("b", 1))
	waitRecords(3)
	require.Equal(t, 2, s.count(t, "outbox"))
	execSQL(t, s.dsn, `UPDATE outbox_dead SET payload = '{"orderId": "a", "step": 1}' WHERE seq = 2`)
	s.run(t, file, "outbox", "dead", "retry", "2")
	s.requireRelayed(t, steps{"a": 4, "b": 2})
}

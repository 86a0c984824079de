//go:build integration

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// privatePostgres is a server that a test may kill and restart.
func privatePostgres(t *testing.T) *services.Postgres {
	t.Helper()
	p, err := services.StartPostgres(t.Context(), services.PostgresConfig{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Kill()) })
	return p
}

// TestOutboxDatabaseDies: the database is killed twice while rows are relayed. Its slot then
// tells again of rows that were published and deleted.
func TestOutboxDatabaseDies(t *testing.T) {
	t.Parallel()
	for _, read := range []string{"poll", "wal"} {
		t.Run(read, func(t *testing.T) {
			t.Parallel()
			databaseDies(t, read)
		})
	}
}

func databaseDies(t *testing.T, read string) {
	const n = 60_000
	server := privatePostgres(t)
	s := newShopOn(t, server.DSN(), read, nil)
	file := writeConfig(t, s.o.config(t))
	declareNew(t, file)
	relay := startRelay(t, file)
	eventually(t, patient, "relay is active", func() error {
		if s.count(t, "outbox_relay") == 0 {
			return errors.New("no state yet")
		}
		return nil
	})
	execSQL(t, s.dsn, `INSERT INTO outbox (aggregatetype, aggregateid, type, payload)
		SELECT 'orders', 'o-' || i % 500, 'orders.step', jsonb_build_object('orderId', 'o-' || i % 500, 'step', i / 500) FROM generate_series(0, $1 - 1) i`, n)
	committed := steps{}
	for i := range n {
		committed[fmt.Sprintf("o-%d", i%500)]++
	}
	for range 2 {
		left := s.count(t, "outbox")
		backoff.Sleep(t.Context(), 300*time.Millisecond)
		require.NoError(t, server.Kill())
		t.Logf("database killed with about %d rows left", left)
		require.NoError(t, server.Restart(t.Context()))
		backoff.Sleep(t.Context(), 700*time.Millisecond)
	}
	s.requireRelayed(t, committed)
	require.Contains(t, relay.log.String(), "the outbox relay failed and starts again")
	relay.signal(t, syscall.SIGTERM)
	require.Zero(t, relay.waitExit(t, patient))
}

// TestOutboxAfterFailover: the database shows another timeline, and rows are back that were
// published and deleted, with claims that have expired. They are found in Kafka.
func TestOutboxAfterFailover(t *testing.T) { // not parallel: it forgets others' claims, too
	const n = 30
	s := newShop(t, "poll", nil)
	file := writeConfig(t, s.o.config(t))
	g := startConfigured(t, s.o, file)
	execSQL(t, s.dsn, `CREATE TABLE kept AS SELECT * FROM outbox`)
	execSQL(t, s.dsn, `CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO kept SELECT NEW.*; RETURN NULL; END $$`)
	execSQL(t, s.dsn, `CREATE TRIGGER keep AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION keep()`)
	committed := steps{}
	for i := range n {
		order := fmt.Sprintf("o-%d", i)
		insertRow(t, s, order, "orders.step", step(order, 0))
		committed[order] = 1
	}
	s.requireRelayed(t, committed)
	g.stop(t)
	forgetClaims(t)
	execSQL(t, s.dsn, `DROP TRIGGER keep ON outbox; INSERT INTO outbox OVERRIDING SYSTEM VALUE SELECT * FROM kept; UPDATE outbox_relay SET timeline = '7/00000001'`)
	next := startConfigured(t, s.o, file)
	s.requireRelayed(t, committed)
	require.Contains(t, next.log.String(), `"found":30`)
	require.Equal(t, http.StatusOK, next.readiness(t).status)
}

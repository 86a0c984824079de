//go:build integration

package e2e

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// TestOutboxLargeTransaction: one transaction of very many rows does not make the database
// end the connection, though it ends one that is silent for 10 s, and takes no more memory
// than a small one. OUTBOX_ROWS makes it larger.
func TestOutboxLargeTransaction(t *testing.T) {
	bothReaders(t, func(t *testing.T, read string) {
		n := fromEnv("OUTBOX_ROWS", 60_000)
		server, err := services.StartPostgres(t.Context(), services.PostgresConfig{Dir: t.TempDir(), Settings: map[string]string{"wal_sender_timeout": "10s"}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, server.Kill()) })
		s := newShopOn(t, server.DSN(), read, nil)
		file := writeConfig(t, s.o.config(t))
		declareNew(t, file)
		relay := startRelay(t, file)
		insert := func(from, to int) {
			execSQL(t, s.dsn, `INSERT INTO outbox (aggregatetype, aggregateid, type, payload)
				SELECT 'orders', 'o-' || i % 1000, 'orders.step', jsonb_build_object('orderId', 'o-' || i % 1000, 'step', i / 1000) FROM generate_series($1::int, $2::int - 1) i`, from, to)
		}
		const few = 20_000
		insert(0, few)
		s.awaitEmpty(t, 2*patient)
		before, begun := relay.peakMemory(t)>>20, time.Now()
		insert(few, few+n)
		inserted := time.Since(begun)
		s.awaitEmpty(t, time.Duration(n)*2*time.Millisecond+2*patient)
		after := relay.peakMemory(t) >> 20
		t.Logf("%d rows in one transaction: inserted in %v, relayed %v after the insert began, peak memory %d MiB before, %d MiB after",
			n, inserted.Round(time.Second), time.Since(begun).Round(time.Second), before, after)
		require.NotContains(t, relay.log.String(), "starts again")
		require.Less(t, after, before+64)
		committed := steps{}
		for i := range few + n {
			committed[fmt.Sprintf("o-%d", i%1000)]++
		}
		s.requireRelayed(t, committed)
	})
}

// awaitEmpty waits until the outbox has no row.
func (s *shop) awaitEmpty(t *testing.T, limit time.Duration) {
	t.Helper()
	eventually(t, limit, "all rows are relayed", func() error {
		conn := dial(t, s.dsn)
		defer func() { _ = conn.Close(context.Background()) }()
		var some bool
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM outbox)`).Scan(&some))
		if some {
			return errors.New("not yet")
		}
		return nil
	})
}

// TestOutboxManyRowsWait: a table with very many rows is relayed from its beginning, within
// bounded memory, and status and check answer beside it. OUTBOX_TABLE makes it larger.
func TestOutboxManyRowsWait(t *testing.T) {
	bothReaders(t, func(t *testing.T, read string) {
		n := fromEnv("OUTBOX_TABLE", 200_000)
		s := newShop(t, read, nil)
		file := writeConfig(t, s.o.config(t))
		declareNew(t, file)
		execSQL(t, s.dsn, `INSERT INTO outbox (aggregatetype, aggregateid, type, payload)
			SELECT 'orders', 'o-' || i % 1000, 'orders.step', jsonb_build_object('orderId', 'o-' || i % 1000, 'step', i / 1000) FROM generate_series(0, $1::int - 1) i`, n)
		relay := startRelay(t, file)
		eventually(t, 3*patient, "rows are relayed", func() error {
			if got := s.records(t); got < 10_000 {
				return fmt.Errorf("%d records", got)
			}
			return nil
		})
		begun := time.Now()
		status := s.run(t, file, "outbox", "status")
		t.Logf("%d rows: peak memory %d MiB; status took %v:\n%s", n, relay.peakMemory(t)>>20, time.Since(begun).Round(time.Millisecond), status)
		require.Contains(t, status, "pid ")
		require.Less(t, relay.peakMemory(t), int64(250<<20))
		relay.signal(t, syscall.SIGTERM)
		require.Zero(t, relay.waitExit(t, patient))
		require.NotContains(t, relay.log.String(), "starts again")
	})
}

// TestOutboxIdleBesideABusyDatabase: another database of the server writes about 2 MB/s and
// this one nothing. The slot keeps at most 64 MB. OUTBOX_IDLE_SECONDS makes it longer.
func TestOutboxIdleBesideABusyDatabase(t *testing.T) {
	t.Parallel()
	server := privatePostgres(t)
	s := newShopOn(t, server.DSN(), "wal", nil)
	file := writeConfig(t, s.o.config(t))
	declareNew(t, file)
	relay := startRelay(t, file)
	insertRow(t, s, "a", "orders.step", step("a", 0))
	s.requireRelayed(t, steps{"a": 1})
	busy := dial(t, server.DSN())
	defer func() { _ = busy.Close(context.Background()) }()
	_, err := busy.Exec(t.Context(), `CREATE TABLE noise (text text)`)
	require.NoError(t, err)
	const kept = `SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0)::bigint, (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint FROM pg_replication_slots`
	var first, written, most int64
	seconds := fromEnv("OUTBOX_IDLE_SECONDS", 60)
	for i := range 4 * seconds {
		begun := time.Now()
		_, err := busy.Exec(t.Context(), `INSERT INTO noise SELECT repeat(md5(i::text), 15) FROM generate_series(1, 900) i`) // half a megabyte
		require.NoError(t, err)
		var now int64
		require.NoError(t, busy.QueryRow(t.Context(), kept).Scan(&now, &written))
		if i == 0 {
			first = written
		}
		most = max(most, now)
		backoff.SleepUntil(t.Context(), begun.Add(250*time.Millisecond))
	}
	t.Logf("%d MB written in %d s by another database; the slot kept at most %d MB", (written-first)/1e6, seconds, most/1e6)
	require.Greater(t, written-first, int64(seconds)*1_200_000, "the machine is too busy to prove anything")
	require.Less(t, most, int64(64e6))
	require.NotContains(t, relay.log.String(), "starts again")
}

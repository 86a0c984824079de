//go:build integration

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// locked runs do while a transaction holds what sql locks.
func (s *shop) locked(t *testing.T, sql string, do func(tx pgx.Tx)) {
	t.Helper()
	conn := dial(t, s.dsn)
	defer func() { _ = conn.Close(context.Background()) }()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), sql)
	require.NoError(t, err)
	do(tx)
	require.NoError(t, tx.Rollback(t.Context()))
}

func (s *shop) records(t *testing.T) int { return len(readTopic(t, s.kafka, s.topic).records) }

func (s *shop) awaitRecords(t *testing.T, n int) {
	t.Helper()
	eventually(t, patient, "rows are published", func() error {
		if got := s.records(t); got != n {
			return fmt.Errorf("%d records", got)
		}
		return nil
	})
}

// TestOutboxBeyondTheWindow: a relay dies between publishing and deleting, and the next one
// comes when the claims have expired. It finds the rows in Kafka.
func TestOutboxBeyondTheWindow(t *testing.T) {
	t.Parallel()
	for _, read := range []string{"poll", "wal"} {
		t.Run(read, func(t *testing.T) {
			t.Parallel()
			beyondTheWindow(t, read)
		})
	}
}

func beyondTheWindow(t *testing.T, read string) {
	const n, ttl = 50, 12 * time.Second
	s := newShop(t, read, nil)
	s.o.ttl = ttl
	file := writeConfig(t, s.o.config(t))
	declareNew(t, file)
	relay := startRelay(t, file)
	insertRow(t, s, "first", "orders.step", step("first", 0))
	s.awaitRecords(t, 1)
	eventually(t, patient, "row is deleted", func() error {
		if s.count(t, "outbox") > 0 {
			return errors.New("not yet")
		}
		return nil
	})
	// The transaction that deletes rows does not come to its end.
	execSQL(t, s.dsn, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN OLD; END $$;`)
	execSQL(t, s.dsn, `CREATE TRIGGER refuse BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION refuse()`)
	execSQL(t, s.dsn, `INSERT INTO outbox (aggregatetype, aggregateid, type, payload)
		SELECT 'orders', 'o-' || i, 'orders.step', jsonb_build_object('orderId', 'o-' || i, 'step', 0) FROM generate_series(0, $1 - 1) i`, n)
	s.awaitRecords(t, n+1)
	relay.signal(t, syscall.SIGKILL)
	<-relay.done
	execSQL(t, s.dsn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	execSQL(t, s.dsn, `DROP TRIGGER refuse ON outbox`)
	require.Equal(t, n, s.count(t, "outbox"), "nothing was deleted: else this proves nothing")
	backoff.Sleep(t.Context(), ttl+time.Second)

	next := startRelay(t, file)
	committed := steps{"first": 1}
	for i := range n {
		committed[fmt.Sprintf("o-%d", i)] = 1
	}
	s.requireRelayed(t, committed)
	require.Contains(t, next.log.String(), `"found":50`)
}

// TestOutboxFrozenRelay: a relay is frozen with a batch in memory; another one takes over,
// publishes and deletes the rows, and their claims expire. When the first goes on, it claims
// them anew, and publishes none.
func TestOutboxFrozenRelay(t *testing.T) { // not parallel: it forgets others' claims, too
	for _, read := range []string{"poll", "wal"} {
		t.Run(read, func(t *testing.T) { frozenRelay(t, read) })
	}
}

func frozenRelay(t *testing.T, read string) {
	const n = 50
	s := newShop(t, read, nil)
	file := writeConfig(t, s.o.config(t))
	declareNew(t, file)
	frozen := startRelay(t, file)
	eventually(t, patient, "relay is active", func() error {
		if s.count(t, "outbox_relay") == 0 {
			return fmt.Errorf("no state yet")
		}
		return nil
	})
	backoff.Sleep(t.Context(), 2*time.Second)
	committed := steps{}
	s.locked(t, `SELECT FROM outbox_relay FOR UPDATE`, func(pgx.Tx) { // the relay waits for it before it claims its first rows
		for i := range n {
			order := fmt.Sprintf("o-%d", i)
			insertRow(t, s, order, "orders.step", step(order, 0))
			committed[order] = 1
		}
		backoff.Sleep(t.Context(), 2*time.Second) // until the relay has read them
		frozen.signal(t, syscall.SIGSTOP)
	})
	require.Zero(t, s.records(t), "rows were published already: this proves nothing")
	second := startRelay(t, file)
	s.requireRelayed(t, committed)
	require.Contains(t, second.log.String(), "gives no sign of life")
	forgetClaims(t)
	frozen.signal(t, syscall.SIGCONT)
	eventually(t, patient, "the frozen relay goes on", func() error {
		if !strings.Contains(frozen.log.String(), "the outbox relay failed and starts again") {
			return errors.New("not yet")
		}
		return nil
	})
	backoff.Sleep(t.Context(), 3*time.Second)
	s.requireRelayed(t, committed)
}

// forgetClaims deletes all claims, as if they had expired, but neither markers nor epochs.
func forgetClaims(t *testing.T) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: services.Shared(t).Redis})
	defer func() { _ = client.Close() }()
	deleted := 0
	keys := client.Scan(t.Context(), 0, "gw:*", 1000).Iterator()
	for keys.Next(t.Context()) {
		if ttl := client.PTTL(t.Context(), keys.Val()).Val(); ttl > 0 && len(keys.Val()) == 30 {
			deleted += int(client.Del(t.Context(), keys.Val()).Val())
		}
	}
	require.NoError(t, keys.Err())
	require.Positive(t, deleted)
}

// TestOutboxRowThatIsGone: a row that leaves the table after a relay has read it, as when
// another relay has published it meanwhile, is not published.
func TestOutboxRowThatIsGone(t *testing.T) {
	t.Parallel()
	for _, read := range []string{"poll", "wal"} {
		t.Run(read, func(t *testing.T) {
			t.Parallel()
			rowThatIsGone(t, read)
		})
	}
}

func rowThatIsGone(t *testing.T, read string) {
	s := newShop(t, read, nil)
	file := writeConfig(t, s.o.config(t))
	declareNew(t, file)
	relay := startRelay(t, file)
	eventually(t, patient, "relay is active", func() error {
		if !strings.Contains(relay.log.String(), "relaying rows") {
			return errors.New("not yet")
		}
		return nil
	})
	s.locked(t, `SELECT FROM outbox_relay FOR UPDATE`, func(pgx.Tx) { // the relay waits for it before it claims its first rows
		insertRow(t, s, "gone", "orders.step", step("gone", 0))
		insertRow(t, s, "there", "orders.step", step("there", 0))
		backoff.Sleep(t.Context(), 2*time.Second) // until the relay has read them
		execSQL(t, s.dsn, `DELETE FROM outbox WHERE aggregateid = 'gone'`)
	})
	s.requireRelayed(t, steps{"there": 1})
	insertRow(t, s, "there", "orders.step", step("there", 1))
	s.requireRelayed(t, steps{"there": 2})
	relay.signal(t, syscall.SIGTERM)
	require.Zero(t, relay.waitExit(t, patient))
}

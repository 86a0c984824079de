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
	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
)

// emitting are relays of events that transactions write into the write-ahead log only.
func emitting(t *testing.T) (*shop, string) {
	t.Helper()
	prefix := strings.ReplaceAll(unique("events"), "-", "_")
	s := newShop(t, "wal", map[string]any{"messages": prefix})
	file := writeConfig(t, s.o.config(t))
	declareNew(t, file)
	return s, file
}

func (s *shop) awaitLog(t *testing.T, relay *relayProcess, text string) {
	t.Helper()
	eventually(t, patient, "log says: "+text, func() error {
		if !strings.Contains(relay.log.String(), text) {
			return errors.New("not yet")
		}
		return nil
	})
}

// TestOutboxMessages: messages of committed transactions become events, once each and in the
// order of the commits, while the relay is killed; those that cannot be read become dead rows.
func TestOutboxMessages(t *testing.T) {
	t.Parallel()
	const n = 3000
	s, file := emitting(t)
	relay := startRelay(t, file)
	s.awaitLog(t, relay, "relaying rows")
	conn := dial(t, s.dsn)
	defer func() { _ = conn.Close(context.Background()) }()
	committed := steps{}
	for i := range n {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		order := fmt.Sprintf("m-%d", i%20)
		_, err = tx.Exec(t.Context(), `SELECT outbox_emit('orders.step', $1, jsonb_build_object('orderId', $1::text, 'step', $2::int))`, order, committed[order])
		require.NoError(t, err)
		if i%3 == 2 {
			require.NoError(t, tx.Rollback(t.Context()))
		} else {
			require.NoError(t, tx.Commit(t.Context()))
			committed[order]++
		}
		if i%1000 == 500 {
			relay.signal(t, syscall.SIGKILL)
			<-relay.done
			relay = startRelay(t, file)
		}
	}
	prefix := s.o.outbox[0]["messages"]
	for _, content := range []string{
		"not JSON", `{"type": "orders.step", "payload": {}}`, `{"id": "no uuid", "type": "orders.step", "payload": {}}`,
		`{"id": "8d0f0a3e-54a5-4a53-8a7e-1f6d4b9f0c11", "type": "orders.step", "payload": {"orderId": "\u0000", "step": 1}}`,
	} {
		execSQL(t, s.dsn, `SELECT pg_logical_emit_message(true, $1, $2::text)`, prefix, content)
	}
	execSQL(t, s.dsn, `SELECT pg_logical_emit_message(false, $1, $2::text)`, prefix, `{"id": "8d0f0a3e-54a5-4a53-8a7e-1f6d4b9f0c12", "type": "orders.step", "payload": {"orderId": "outside", "step": 0}}`)
	execSQL(t, s.dsn, `SELECT pg_logical_emit_message(true, 'another', 'program')`)
	execSQL(t, s.dsn, `SELECT outbox_emit('orders.step', 'last', '{"orderId": "last", "step": 0}')`)
	committed["last"] = 1
	s.awaitMessages(t, "last")
	s.requireRelayed(t, committed)
	eventually(t, patient, "messages that cannot be read are dead rows", func() error {
		if got := s.count(t, "outbox_dead"); got != 4 {
			return fmt.Errorf("%d", got)
		}
		return nil
	})
	list := s.run(t, file, "outbox", "dead", "list", "--format", "json")
	for _, why := range []string{"invalid character", "it has no id", "invalid input syntax for type uuid", "unsupported Unicode escape sequence"} {
		require.Contains(t, list, why)
	}
}

// awaitMessages waits until the record of an entity is in the topic.
func (s *shop) awaitMessages(t *testing.T, entity string) {
	t.Helper()
	eventually(t, patient, "message is published", func() error {
		for _, r := range readTopic(t, s.kafka, s.topic).records {
			if string(r.Key) == entity {
				return nil
			}
		}
		return errors.New("not yet")
	})
}

// TestOutboxMessagesAreNotCopiedTwice: one transaction has more messages than are copied at
// once, and the relay dies while it copies them.
func TestOutboxMessagesAreNotCopiedTwice(t *testing.T) {
	t.Parallel()
	const n = 20_000
	s, file := emitting(t)
	relay := startRelay(t, file)
	s.awaitLog(t, relay, "relaying rows")
	execSQL(t, s.dsn, `SELECT outbox_emit('orders.step', 'o-' || i, jsonb_build_object('orderId', 'o-' || i, 'step', 0)) FROM generate_series(0, $1 - 1) i`, n)
	committed := steps{}
	for i := range n {
		committed[fmt.Sprintf("o-%d", i)] = 1
	}
	backoff.Sleep(t.Context(), 200*time.Millisecond)
	relay.signal(t, syscall.SIGKILL)
	<-relay.done
	startRelay(t, file)
	eventually(t, 2*patient, "messages are published", func() error {
		if got := s.records(t); got < n {
			return fmt.Errorf("%d records", got)
		}
		return nil
	})
	s.requireRelayed(t, committed)
}

// TestOutboxLostMessages: without its slot, messages may be lost. A relay says so and does
// not go on until somebody accepts that.
func TestOutboxLostMessages(t *testing.T) {
	t.Parallel()
	s, file := emitting(t)
	emit := func(order string) {
		execSQL(t, s.dsn, `SELECT outbox_emit('orders.step', $1, jsonb_build_object('orderId', $1::text, 'step', 0))`, order)
	}
	relay := startRelay(t, file)
	s.awaitLog(t, relay, "relaying rows")
	emit("before")
	s.awaitRecords(t, 1)
	relay.signal(t, syscall.SIGTERM)
	require.Zero(t, relay.waitExit(t, patient))
	dropSlot(t, s)
	emit("lost")
	relay = startRelay(t, file)
	s.awaitLog(t, relay, "run gateway outbox run --accept-gap once")
	require.NotContains(t, relay.log.String(), "relaying rows")
	require.Zero(t, slots(t, s), "a new slot would hide the gap")
	relay.signal(t, syscall.SIGTERM)
	require.Zero(t, relay.waitExit(t, patient))

	binary, err := suite.plain()
	require.NoError(t, err)
	accepting := &relayProcess{launch(t, suite.dir, binary, "outbox", "run", "--accept-gap", "-c", file), file}
	s.awaitLog(t, accepting, "messages may be lost, as --accept-gap allows")
	s.awaitLog(t, accepting, "relaying rows")
	accepting.signal(t, syscall.SIGTERM)
	require.Zero(t, accepting.waitExit(t, patient))
	emit("after")
	relay = startRelay(t, file)
	s.awaitMessages(t, "after")
	s.requireRelayed(t, steps{"before": 1, "after": 1})
	require.NotContains(t, relay.log.String(), "may be lost")
}

func slots(t *testing.T, s *shop) int {
	t.Helper()
	conn := dial(t, s.dsn)
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), `SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database()`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return len(names)
}

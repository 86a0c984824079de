//go:build integration

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/test/services"
)

// stepSchema is the schema of events that say which step of its order each is.
var stepSchema = map[string]any{
	"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": []string{"orderId", "step"},
	"properties": map[string]any{"orderId": map[string]any{"type": "string"}, "step": map[string]any{"type": "integer"}},
}

// shop is a database with an outbox, and what its relays need.
type shop struct {
	name  string // of the outbox
	dsn   string // of the owner
	relay string // of the gateway's user
	topic string
	kafka string // broker
	o     options
}

// newShop makes a database of its own, with the tables that `gateway outbox schema` prints.
func newShop(t *testing.T, read string, extra map[string]any) *shop {
	t.Helper()
	return newShopOn(t, services.Shared(t).Postgres, read, extra)
}

func newShopOn(t *testing.T, server, read string, extra map[string]any) *shop {
	t.Helper()
	name := strings.ReplaceAll(unique("shop"), "-", "_")
	execSQL(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { dropDatabase(t, server, name) })
	outbox := strings.ReplaceAll(name, "_", "-") // claims know outboxes by their names, and tests share a Redis
	s := &shop{name: outbox, dsn: onDatabase(t, server, name, ""), relay: onDatabase(t, server, name, name+"_relay"), topic: newTopic(t), kafka: services.Shared(t).Kafka}
	item := map[string]any{"name": outbox, "dsn": s.relay, "read": read}
	for key, value := range extra {
		item[key] = value
	}
	if read == "wal" {
		item["slot"], item["publication"] = name, name
	}
	s.o = options{
		schemas:         schemasFolder(t, eventType{name: "orders.step", xevent: map[string]any{"topic": s.topic}, schema: stepSchema}),
		deliveryTimeout: 3 * time.Second, lease: 6 * time.Second, outbox: []map[string]any{item},
	}
	file := writeConfig(t, s.o.config(t))
	schema, err := exec.CommandContext(t.Context(), suite.binary, "outbox", "schema", "-c", file, "--role", name+"_relay").Output()
	require.NoError(t, err)
	execSQL(t, s.dsn, string(schema))
	return s
}

func onDatabase(t *testing.T, server, name, user string) string {
	t.Helper()
	u, err := url.Parse(server)
	require.NoError(t, err)
	u.Path = "/" + name
	if user != "" {
		u.User = url.User(user)
	}
	return u.String()
}

// dropDatabase also drops slots of the database, which keep it from being dropped.
func dropDatabase(t *testing.T, server, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return // the test stopped the server
	}
	defer func() { _ = conn.Close(ctx) }()
	_, _ = conn.Exec(ctx, `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = $1 AND active`, name)
	eventually(t, patient, "database is dropped", func() error {
		_, _ = conn.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1 AND NOT active`, name)
		_, err := conn.Exec(ctx, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
		return err
	})
	_, _ = conn.Exec(ctx, `DROP ROLE IF EXISTS `+name+`_relay`)
}

func execSQL(t *testing.T, dsn, sql string, args ...any) {
	t.Helper()
	conn := dial(t, dsn)
	defer func() { _ = conn.Close(context.Background()) }()
	if len(args) == 0 {
		_, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
		require.NoError(t, err)
		return
	}
	_, err := conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func dial(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	return conn
}

// count is the number of rows of a table.
func (s *shop) count(t *testing.T, table string) int {
	t.Helper()
	conn := dial(t, s.dsn)
	defer func() { _ = conn.Close(context.Background()) }()
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

// steps are what writers committed: for each order, how many steps.
type steps map[string]int

// write runs transactions of several writers at once: each adds the next step to one of
// its own orders, and a third of them are rolled back.
func (s *shop) write(t *testing.T, prefix string, writers, orders, transactions int) steps {
	t.Helper()
	committed, err := s.writeAll(prefix, writers, orders, transactions)
	require.NoError(t, err)
	return committed
}

func (s *shop) writeAll(prefix string, writers, orders, transactions int) (steps, error) {
	committed := steps{}
	var mu sync.Mutex
	errs := make([]error, writers)
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			errs[w] = s.writer(prefix, w, orders, transactions/writers, func(order string, n int) { mu.Lock(); committed[order] = n; mu.Unlock() })
		})
	}
	running.Wait()
	return committed, errors.Join(errs...)
}

func (s *shop) writer(prefix string, w, orders, transactions int, note func(string, int)) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	next := map[string]int{}
	for i := range transactions {
		order := fmt.Sprintf("%s-%d-%d", prefix, w, i*7%orders)
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('orders', $1, 'orders.step', jsonb_build_object('orderId', $1::text, 'step', $2::int))`, order, next[order])
		if err != nil {
			return err
		}
		if i%3 == 2 {
			err = tx.Rollback(ctx)
		} else {
			err = tx.Commit(ctx)
			next[order]++
			note(order, next[order])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// requireRelayed waits until the table is empty, and requires in the topic what was
// committed: each step once, in order.
func (s *shop) requireRelayed(t *testing.T, committed steps) []*kgo.Record {
	t.Helper()
	eventually(t, 3*patient, "all rows are relayed", func() error {
		if n := s.count(t, "outbox"); n > 0 {
			return fmt.Errorf("%d rows are left", n)
		}
		return nil
	})
	records := readTopic(t, s.kafka, s.topic).records
	total := 0
	for _, n := range committed {
		total += n
	}
	next := steps{}
	for _, r := range records {
		var step int
		_, err := fmt.Sscanf(string(r.Value[strings.Index(string(r.Value), `"step":`)+7:]), "%d", &step)
		require.NoError(t, err, "%s", r.Value)
		require.Equal(t, next[string(r.Key)], step, "order %s at %d of partition %d", r.Key, r.Offset, r.Partition)
		next[string(r.Key)]++
	}
	require.Equal(t, committed, next)
	require.Len(t, records, total)
	return records
}

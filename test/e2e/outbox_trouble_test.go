//go:build integration

package e2e

import (
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"eventgateway/test/services"
)

// bothReaders runs a test with each reader.
func bothReaders(t *testing.T, test func(t *testing.T, read string)) {
	for _, read := range []string{"poll", "wal"} {
		t.Run(read, func(t *testing.T) { test(t, read) })
	}
}

// with is a configuration file whose outbox has other settings.
func (s *shop) with(t *testing.T, settings map[string]any) string {
	t.Helper()
	item := maps.Clone(s.o.outbox[0])
	maps.Copy(item, settings)
	o := s.o
	o.outbox = []map[string]any{item}
	return writeConfig(t, o.config(t))
}

// TestOutboxSaysWhatToDo: what somebody took away from a running relay is named, with what
// to do. When it is back, the relay goes on by itself, and no row is lost.
func TestOutboxSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, breaks, repairs, says string }{
		{"column renamed", `ALTER TABLE outbox RENAME type TO kind`, `ALTER TABLE outbox RENAME kind TO type`, "name the column under columns, as { type: other_name }"},
		{"no grant to delete", `REVOKE DELETE ON outbox FROM %s`, `GRANT DELETE ON outbox TO %s`, "gateway outbox schema prints the grants"},
		{"no grant to read", `REVOKE SELECT ON outbox FROM %s`, `GRANT SELECT ON outbox TO %s`, "gateway outbox schema prints the grants"},
		{"no table of the relay's state", `ALTER TABLE outbox_relay RENAME TO hidden`, `ALTER TABLE hidden RENAME TO outbox_relay`, "create the tables: gateway outbox schema prints outbox, outbox_dead and outbox_relay"},
		{"no table", `ALTER TABLE outbox RENAME TO hidden`, `ALTER TABLE hidden RENAME TO outbox`, "table outbox does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bothReaders(t, func(t *testing.T, read string) {
				t.Parallel()
				s := newShop(t, read, nil)
				file := writeConfig(t, s.o.config(t))
				declareNew(t, file)
				relay := startRelay(t, file)
				insertRow(t, s, "a", "orders.step", step("a", 0))
				s.requireRelayed(t, steps{"a": 1})
				role := s.role()
				insert := `INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('orders', 'a', 'orders.step', '{"orderId": "a", "step": %d}')`
				where := strings.NewReplacer("outbox", "hidden")
				execSQL(t, s.dsn, strings.ReplaceAll(c.breaks, "%s", role))
				statement := fmt.Sprintf(insert, 1)
				switch c.name {
				case "column renamed":
					statement = strings.Replace(statement, "type,", "kind,", 2)
					statement = strings.Replace(statement, "aggregatekind", "aggregatetype", 1)
				case "no table":
					statement = where.Replace(statement)
				}
				execSQL(t, s.dsn, statement)
				s.awaitLog(t, relay, c.says)
				execSQL(t, s.dsn, strings.ReplaceAll(c.repairs, "%s", role))
				insertRow(t, s, "a", "orders.step", step("a", 2))
				s.requireRelayed(t, steps{"a": 3})
				relay.signal(t, syscall.SIGTERM)
				require.Zero(t, relay.waitExit(t, patient))
			})
		})
	}
}

// role is the gateway's user.
func (s *shop) role() string {
	_, rest, _ := strings.Cut(s.relay, "://")
	user, _, _ := strings.Cut(rest, "@")
	return user
}

// address is host and port of the database.
func (s *shop) address() string {
	_, rest, _ := strings.Cut(s.relay, "@")
	address, _, _ := strings.Cut(rest, "/")
	return address
}

// TestOutboxRenamedColumn: a column gets another name, in the database and under columns,
// while rows wait. Those that the write-ahead log shows with the former name are read from
// the table.
func TestOutboxRenamedColumn(t *testing.T) {
	bothReaders(t, func(t *testing.T, read string) {
		s := newShop(t, read, nil)
		file := writeConfig(t, s.o.config(t))
		declareNew(t, file)
		relay := startRelay(t, file)
		insertRow(t, s, "a", "orders.step", step("a", 0))
		s.requireRelayed(t, steps{"a": 1})
		relay.signal(t, syscall.SIGTERM)
		require.Zero(t, relay.waitExit(t, patient))
		insertRow(t, s, "a", "orders.step", step("a", 1))
		execSQL(t, s.dsn, `ALTER TABLE outbox RENAME payload TO body; ALTER TABLE outbox_dead RENAME payload TO body`)
		execSQL(t, s.dsn, `INSERT INTO outbox (aggregatetype, aggregateid, type, body) VALUES ('orders', 'a', 'orders.step', '{"orderId": "a", "step": 2}')`)
		relay = startRelay(t, s.with(t, map[string]any{"columns": map[string]any{"payload": "body"}}))
		s.requireRelayed(t, steps{"a": 3})
		execSQL(t, s.dsn, `INSERT INTO outbox (aggregatetype, aggregateid, type, body) VALUES ('orders', 'a', 'orders.step', '{"orderId": "a", "step": 3}')`)
		s.requireRelayed(t, steps{"a": 4})
		relay.signal(t, syscall.SIGTERM)
		require.Zero(t, relay.waitExit(t, patient))
	})
}

// TestOutboxWrongDSN: each mistake in dsn has a message of its own.
func TestOutboxWrongDSN(t *testing.T) {
	s := newShop(t, "poll", nil)
	free, err := services.FreePort()
	require.NoError(t, err)
	for name, c := range map[string]struct{ dsn, says string }{
		"database": {strings.Replace(s.relay, s.address()+"/", s.address()+"/no_", 1), "correct the name of the database in dsn"},
		"user":     {strings.Replace(s.relay, s.role(), "nobody", 1), "correct user and password in dsn"},
		"port":     {fmt.Sprintf("postgres://x@127.0.0.1:%d/shop", free), "are host and port in dsn correct?"},
		"syntax":   {"postgres://[", "dsn: cannot parse"},
	} {
		t.Run(name, func(t *testing.T) {
			relay := startRelay(t, s.with(t, map[string]any{"dsn": c.dsn}))
			s.awaitLog(t, relay, c.says)
			relay.signal(t, syscall.SIGTERM)
			require.Zero(t, relay.waitExit(t, patient))
		})
	}
}

// TestOutboxLargePayload: a payload of 10 MB becomes a dead row that says which limit it
// passed, and is published when that limit is raised.
func TestOutboxLargePayload(t *testing.T) {
	bothReaders(t, func(t *testing.T, read string) {
		s := newShop(t, read, nil)
		file := writeConfig(t, s.o.config(t))
		declareNew(t, file)
		relay := startRelay(t, file)
		execSQL(t, s.dsn, `INSERT INTO outbox (aggregatetype, aggregateid, type, payload)
			VALUES ('orders', 'a', 'orders.step', jsonb_build_object('orderId', 'a', 'step', 0, 'pad', repeat('x', 10000000)))`)
		insertRow(t, s, "b", "orders.step", step("b", 0))
		s.requireRelayed(t, steps{"b": 1})
		list := s.run(t, file, "outbox", "dead", "list", "--format", "json")
		require.Contains(t, list, "event-too-large")
		t.Log(list[:min(len(list), 600)])
		relay.signal(t, syscall.SIGTERM)
		require.Zero(t, relay.waitExit(t, patient))

		setTopic(t, s.kafka, s.topic, "max.message.bytes", "20000000")
		o := s.o
		o.bodyLimit = "16MiB"
		relay = startRelay(t, writeConfig(t, o.config(t)))
		s.run(t, file, "outbox", "dead", "retry", "--all")
		eventually(t, 2*patient, "large row is relayed", func() error {
			if n := s.records(t); n != 2 {
				return fmt.Errorf("%d records; dead: %s", n, s.run(t, file, "outbox", "dead", "list"))
			}
			return nil
		})
		relay.signal(t, syscall.SIGTERM)
		require.Zero(t, relay.waitExit(t, patient))
	})
}

// setTopic sets one setting of a topic.
func setTopic(t *testing.T, kafka, topic, name, value string) {
	t.Helper()
	answers, err := kafkaAdmin(t, kafka).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}, topic)
	require.NoError(t, err)
	require.NoError(t, answers[0].Err)
}

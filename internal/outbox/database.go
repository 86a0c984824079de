package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// connectTimeout bounds one connection attempt to one host.
	connectTimeout = 5 * time.Second
	// queryTimeout bounds one statement: a database that hangs is given up after it.
	queryTimeout = 30 * time.Second
)

// connect opens a connection to a server that takes writes: of several hosts, the primary.
// The database shows it as name.
func connect(ctx context.Context, dsn, name string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	if cfg.ValidateConnect == nil { // target_session_attrs is not given
		cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	cfg.DialFunc = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}}).DialContext
	cfg.RuntimeParams["application_name"] = name
	// Statements without a name: they work through a pooler, and are planned for their values.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// explained adds to an error of the database what to do about it.
func explained(err error, c *Config) error {
	var pg *pgconn.PgError
	var refused *pgconn.ConnectError
	if !errors.As(err, &pg) {
		if errors.As(err, &refused) {
			return fmt.Errorf("%w; is the database up, and are host and port in dsn correct?", err)
		}
		return err
	}
	do := ""
	switch pg.Code {
	case "42501":
		do = "grant it: gateway outbox schema prints the grants"
	case "42P01":
		do = fmt.Sprintf("create the tables: gateway outbox schema prints %s, %s_dead and %s_relay", c.Table, c.Table, c.Table)
	case "42703":
		do = "name the column under columns, or add it: gateway outbox schema prints the table"
	case "28P01", "28000":
		do = "correct user and password in dsn, and pg_hba.conf"
	case "3D000":
		do = "correct the name of the database in dsn"
	case "53300":
		do = "raise max_connections: a relay uses five connections, a standby one"
	default:
		return err
	}
	return fmt.Errorf("%w; %s", err, do)
}

// shared is a connection for several goroutines.
type shared struct {
	mu   sync.Mutex
	conn *pgx.Conn
}

// use lends the connection for one use, of bounded time.
func (s *shared) use(ctx context.Context, do func(context.Context, *pgx.Conn) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return do(ctx, s.conn)
}

func closeConn(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // a connection that broke has nothing to say
}

// table is what is known of an outbox table.
type table struct {
	names
	oid     uint32
	columns map[string]string // type by usual name, of those that exist
	list    string            // what a SELECT lists, in the order of scanRow
}

// allColumns are the usual names of the columns; those in required must exist.
var (
	allColumns = []string{"seq", "id", "aggregatetype", "aggregateid", "type", "payload", "headers", "created_at", "traceparent", "tracestate"}
	required   = allColumns[:6]
)

// inspectTable finds the table and its columns.
func inspectTable(ctx context.Context, conn *pgx.Conn, c *Config) (*table, error) {
	t := &table{names: c.names(), columns: map[string]string{}}
	var oid *uint32
	if err := conn.QueryRow(ctx, `SELECT to_regclass($1)::oid`, t.table).Scan(&oid); err != nil {
		return nil, err
	}
	if oid == nil {
		return nil, fmt.Errorf("table %s does not exist, or this user may not use its schema; gateway outbox schema prints what to create", c.Table)
	}
	t.oid = *oid
	rows, err := conn.Query(ctx, `SELECT attname, atttypid::regtype::text FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped`, t.oid)
	if err != nil {
		return nil, err
	}
	types := map[string]string{}
	var name, kind string
	if _, err := pgx.ForEachRow(rows, []any{&name, &kind}, func() error { types[name] = kind; return nil }); err != nil {
		return nil, err
	}
	for _, usual := range allColumns {
		plain := c.plainColumn(usual)
		if kind, ok := types[plain]; ok {
			t.columns[usual] = kind
			continue
		}
		_, given := c.Columns[usual]
		if given || slices.Contains(required, usual) {
			return nil, fmt.Errorf("table %s has no column %s; it has %s: name the column under columns, as { %s: other_name }, or add it (gateway outbox schema prints the table)",
				c.Table, plain, joined(types), usual)
		}
	}
	switch kind := t.columns["payload"]; kind {
	case "jsonb", "json", "text", "bytea", "character varying":
	default:
		return nil, fmt.Errorf("column %s of table %s is %s; a payload is jsonb, json, text or bytea", c.plainColumn("payload"), c.Table, kind)
	}
	t.list = t.selectList()
	return t, nil
}

func joined(types map[string]string) string {
	return strings.Join(slices.Sorted(maps.Keys(types)), ", ")
}

// selectList lists the columns in the order of scanRow; those that do not exist are empty.
func (t *table) selectList() string {
	text := func(usual string) string {
		if _, ok := t.columns[usual]; !ok {
			return "''"
		}
		return "coalesce(" + t.column(usual) + "::text, '')"
	}
	payload := t.column("payload")
	if t.columns["payload"] != "bytea" {
		payload += "::text"
	}
	headers, created := "NULL::text", "NULL::timestamptz"
	if _, ok := t.columns["headers"]; ok {
		headers = t.column("headers") + "::text"
	}
	if _, ok := t.columns["created_at"]; ok {
		created = t.column("created_at") + "::timestamptz"
	}
	return strings.Join([]string{
		t.column("seq"), text("id"), text("aggregatetype"), text("aggregateid"), text("type"),
		payload, headers, created, text("traceparent"), text("tracestate"),
	}, ", ")
}

// targets are where the columns of selectList go. Payload, headers and created_at may be
// NULL.
func (r *Row) targets(created **time.Time) []any {
	return []any{&r.Seq, &r.ID, &r.AggregateType, &r.AggregateID, &r.Type, &r.Payload, &r.Headers, created, &r.TraceParent, &r.TraceState}
}

// The beginnings of the keys of advisory locks, "gwol" and "gwos": the one of the active
// relay, and the one that it holds while it sleeps (schema.sql).
const (
	leaderLock = int64(0x67776f6c) << 32
	sleepLock  = int64(0x67776f73) << 32
)

func (t *table) leaderKey() int64 { return leaderLock + int64(t.oid) }

func (t *table) sleepKey() int64 { return sleepLock + int64(t.oid) }

func (t *table) channel() string { return fmt.Sprintf("gateway_outbox_%d", t.oid) }

package torture

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"eventgateway/internal/backoff"
	"eventgateway/test/services"
)

// The readers of an outbox: outbox[].read of the relays.
const (
	readPoll = "poll"
	readWAL  = "wal"
)

// shop is the database whose outbox the relays publish, and the proxies in front of it.
type shop struct {
	server  *services.Postgres
	proxies []*proxy // by relay
	// slotLost says that the slot was dropped in this run: rows of the table are read in
	// another order then (docs/outbox.md).
	slotLost bool
	probes   int
}

// worksSQL are the service's own tables. A transaction counts the next step of an entity,
// whose row it thereby locks, and inserts the same into the outbox and into truth.
const worksSQL = `
CREATE TABLE entities (name text PRIMARY KEY, step int NOT NULL DEFAULT 0);
CREATE TABLE truth (id uuid PRIMARY KEY, entity text NOT NULL, step int NOT NULL, pad int NOT NULL, crossed boolean NOT NULL);`

// outboxEntities is how many entities transactions are about.
const outboxEntities = 1000

// outboxSettings are settings of the database. Its connections outnumber the writers'.
func outboxSettings() map[string]string {
	return map[string]string{"max_connections": "120", "wal_sender_timeout": "10s"}
}

func startShop(ctx context.Context, o *Options, dir string) (*shop, error) {
	s := &shop{}
	var err error
	if s.server, err = services.StartPostgres(ctx, services.PostgresConfig{Dir: filepath.Join(dir, "postgres"), Settings: outboxSettings()}); err != nil {
		return s, err
	}
	for range o.Gateways {
		p, err := newProxy(s.server.Addr())
		if err != nil {
			return s, err
		}
		s.proxies = append(s.proxies, p)
	}
	return s, s.exec(ctx, worksSQL+fmt.Sprintf(`INSERT INTO entities SELECT 'order-' || i FROM generate_series(0, %d) i`, outboxEntities-1))
}

// dsn is what a relay is given.
func (s *shop) dsn(relay int) string {
	return "postgres://gateway_outbox@" + s.proxies[relay].addr() + "/postgres?sslmode=disable"
}

// settings is the outbox of a relay's configuration.
func (s *shop) settings(o *Options, relay int) []map[string]any {
	return []map[string]any{{"name": "shop", "dsn": s.dsn(relay), "read": o.Outbox}}
}

// createTables runs what `gateway outbox schema` prints.
func (s *shop) createTables(ctx context.Context, binary, config string) error {
	cmd := exec.CommandContext(ctx, binary, "outbox", "schema", "-c", config, "--payload", "json")
	sql, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("print the outbox's schema: %w", err)
	}
	return s.exec(ctx, string(sql))
}

// connect connects as the owner, past the proxies. The caller closes the connection.
func (s *shop) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.server.DSN())
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the server may be down
}

func (s *shop) exec(ctx context.Context, sql string) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("run SQL: %w", err)
	}
	return nil
}

func (s *shop) close() {
	if s.server != nil {
		_ = s.server.Kill()
	}
	for _, p := range s.proxies {
		p.close()
	}
}

// probeRows are of different entities: they are in different partitions and buckets.
const probeRows = 16

// awaitRelay inserts rows and waits until they are published and have left the table, for
// up to twice the limit.
func (w *world) awaitRelay(ctx context.Context, after string, limit time.Duration) recovery {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 2*limit)
	defer cancel()
	w.shop.probes++
	var err error
	for {
		var left int
		if left, err = w.shop.probe(ctx, w.shop.probes); err == nil && left == 0 {
			return recovery{after: after, took: time.Since(begun), limit: limit, back: true}
		}
		if !backoff.Sleep(ctx, 50*time.Millisecond) {
			break
		}
	}
	w.printf("service is missing: %v", err)
	w.dump()
	return recovery{after: after, took: time.Since(begun), limit: limit}
}

// probe inserts the rows of the n-th probe, unless that is done, and counts those that are
// left.
func (s *shop) probe(ctx context.Context, n int) (left int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := s.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer closeConn(conn)
	prefix := fmt.Sprintf("probe-%d-", n)
	var done bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM truth WHERE entity = $1 || '0')`, prefix).Scan(&done); err != nil {
		return 0, fmt.Errorf("probe: %w", err)
	}
	if !done {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			for i := range probeRows {
				r := newRow(fmt.Sprint(prefix, i), 1, 0)
				if err := r.insert(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return 0, fmt.Errorf("probe: %w", err)
		}
	}
	if err := conn.QueryRow(ctx, `SELECT count(*) FROM outbox WHERE starts_with(aggregateid, $1)`, prefix).Scan(&left); err != nil {
		return 0, fmt.Errorf("probe: %w", err)
	}
	return left, nil
}

// tortureOutbox runs writers and faults, heals everything, waits until the outbox is
// empty, and checks the topic.
func (w *world) tortureOutbox(ctx context.Context) (*Result, error) {
	o := w.opts
	tailCtx, stopTail := context.WithCancel(ctx)
	defer stopTail()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.Duration > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, o.Duration)
		defer stop()
	}
	t, err := startTail(tailCtx, o, joinAddrs(w.kafka.direct()), func() {
		if o.StopEarly {
			cancel()
		}
	})
	if err != nil {
		return nil, err
	}
	load := startWriters(w)
	go w.progress(tailCtx, t)
	s := newScheduler(w)
	err = s.run(ctx, func(faults int) bool {
		committed, _ := w.history.totals()
		return o.Events == 0 && o.Faults == 0 || committed < o.Events || faults < o.Faults
	})
	err = errors.Join(err, load.stop())
	if err != nil {
		return nil, err
	}
	w.healAll()
	found := append(s.found, w.drain()...)
	found = append(found, w.stopGateways()...)
	stopTail()
	<-t.done
	return w.checkOutbox(s, found)
}

// drain waits until everything that was committed is published.
func (w *world) drain() []Violation {
	ctx := context.Background()
	var found []Violation
	last := w.awaitRelay(ctx, "all faults", w.opts.Limit+w.opts.Rebuild)
	w.printf("service is back %v after the last fault", last.took.Round(time.Millisecond))
	if v := last.violation(); v != nil {
		found = append(found, *v)
	}
	begun, limit := time.Now(), w.opts.Lease+w.opts.Limit+w.opts.Rebuild
	for {
		rows, dead, err := w.shop.left(ctx)
		switch {
		case err == nil && rows == 0 && dead == 0:
			w.printf("the outbox is empty %v later", time.Since(begun).Round(time.Millisecond))
			return found
		case time.Since(begun) > limit:
			return append(found, Violation{Rule: "e", Text: fmt.Sprintf("%v after service was back %d rows are in the outbox, %d are dead (error: %v)", limit, rows, dead, err)})
		}
		backoff.Sleep(ctx, 100*time.Millisecond)
	}
}

// left counts the rows that are not published, and the dead ones.
func (s *shop) left(ctx context.Context) (rows, dead int, err error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer closeConn(conn)
	err = conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM outbox_dead)`).Scan(&rows, &dead)
	return rows, dead, err
}

// checkOutbox compares what was committed with the whole topic.
func (w *world) checkOutbox(s *scheduler, found []Violation) (*Result, error) {
	ctx := context.Background()
	committed, err := w.shop.committed(ctx)
	if err != nil {
		return nil, err
	}
	log, err := readLog(ctx, w.opts, joinAddrs(w.kafka.direct()), ordersTopic)
	if err != nil {
		return nil, err
	}
	ordered := w.opts.Outbox == readWAL && !w.shop.slotLost
	found = append(found, CheckOutbox(committed, log, OutboxFacts{CommitOrder: ordered})...)
	r, err := w.result(s, found, log)
	if err != nil {
		return nil, err
	}
	w.report(r)
	return r, nil
}

// committed reads what the database says was committed.
func (s *shop) committed(ctx context.Context) ([]OutboxRow, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	found, err := conn.Query(ctx, `SELECT id::text, entity, step, pad, crossed FROM truth`)
	if err != nil {
		return nil, fmt.Errorf("read what was committed: %w", err)
	}
	rows, err := pgx.CollectRows(found, pgx.RowToStructByPos[OutboxRow])
	if err != nil {
		return nil, fmt.Errorf("read what was committed: %w", err)
	}
	return rows, nil
}

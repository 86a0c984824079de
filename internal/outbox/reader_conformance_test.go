//go:build integration

package outbox

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/test/services"
)

// readerConformance is what both readers must do.
var readerConformance = []struct {
	name string
	test func(*testing.T, *readerRig)
}{
	{"rows before and after the start are found once, in order", testFindsOnce},
	{"a row is found when its transaction commits, and never if it is rolled back", testFindsCommitted},
	{"a row with a lower number that commits later is found", testFindsLate},
	{"rows of an entity are found in the order of their transactions", testFindsInOrder},
	{"rows that have left are not found again, by the next session either", testFindsWhatIsLeft},
	{"rows that are parked are found again when they are asked for", testFindsParked},
	{"what a row has in its columns", testFindsColumns},
	{"a large transaction", testFindsMany},
	{"a lost connection ends the session", testLostConnection},
}

func TestReaders(t *testing.T) {
	for _, wal := range []bool{false, true} {
		name := map[bool]string{false: "poll", true: "wal"}[wal]
		for _, c := range readerConformance {
			t.Run(name+"/"+c.name, func(t *testing.T) { c.test(t, newReaderRig(t, wal)) })
		}
	}
}

// TestWALReaderWithoutItsSlot: a slot that is lost costs nothing but a look at the table.
func TestWALReaderWithoutItsSlot(t *testing.T) {
	r := newReaderRig(t, true)
	r.insert("a", 0, 1)
	r.start()
	r.finish(r.await("a/0", "a/1")[0])
	r.stop()
	ctx, cancel := context.WithTimeout(t.Context(), readerPatience)
	defer cancel()
	require.True(t, backoff.Poll(ctx, 20*time.Millisecond, func() bool { // the database may still use it for a moment
		_, err := r.owner.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`)
		return err == nil
	}))
	r.insert("a", 2)
	r.start()
	r.insert("a", 3)
	r.await("a/1", "a/2", "a/3")
}

// TestWALReaderConfirmsPrefix: the slot keeps what is not finished, and forgets the rest.
func TestWALReaderConfirmsPrefix(t *testing.T) {
	r := newReaderRig(t, true)
	r.start()
	r.insert("z", 0) // the slot is in use
	r.finish(r.await("z/0")...)
	var before string
	require.NoError(t, r.owner.QueryRow(t.Context(), `SELECT pg_current_wal_insert_lsn()::text`).Scan(&before))
	r.insert("a", 0)
	first := r.await("a/0")
	r.insert("b", 0)
	r.finish(r.await("b/0")...)
	require.False(t, r.passed(before), "an earlier row is not finished")
	r.finish(first...)
	require.True(t, r.passed(before))
	r.stop()
	r.start()
	r.insert("c", 0)
	r.await("c/0")
}

// readerRig is a database with an outbox, and a session of which only the reader runs.
type readerRig struct {
	t       *testing.T
	dsn     string
	owner   *pgx.Conn
	relay   *Relay
	session *session
	found   chan found
	cancel  context.CancelFunc
	ended   chan error
}

type allClaims struct{}

func (allClaims) Begin(context.Context, string, string) error { return nil }

func (allClaims) Holds(context.Context, string, string, []event.ClaimID) (bool, error) {
	return true, nil
}

func (allClaims) Expire(context.Context, []event.ClaimID, time.Duration) error { return nil }

func (allClaims) Settle([]event.Settlement) {}

type emptyLog struct{}

func (emptyLog) Find(context.Context, map[event.ClaimID]struct{}, time.Time) (map[event.ClaimID]struct{}, error) {
	return nil, nil
}

var databases atomic.Int64

func newReaderRig(t *testing.T, wal bool) *readerRig {
	t.Helper()
	server := services.Shared(t).Postgres
	name := fmt.Sprintf("reader_%d_%d", time.Now().UnixNano(), databases.Add(1))
	admin, err := pgx.Connect(t.Context(), server)
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	u, err := url.Parse(server)
	require.NoError(t, err)
	u.Path = "/" + name
	r := &readerRig{t: t, dsn: u.String()}
	cfg := Config{Name: "shop", DSN: r.dsn, WAL: wal, Table: "outbox", Slot: name, Publication: name, TTL: time.Hour}
	r.owner, err = pgx.Connect(t.Context(), r.dsn)
	require.NoError(t, err)
	t.Cleanup(func() { r.drop(admin, name) })
	sql, err := Schema(cfg, SchemaOptions{PayloadType: "json", Role: name})
	require.NoError(t, err)
	r.exec(sql)
	r.relay = New(cfg, Deps{Claims: allClaims{}, Log: emptyLog{}, Logger: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry())})
	return r
}

func (r *readerRig) drop(admin *pgx.Conn, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if r.cancel != nil {
		r.stop()
	}
	closeConn(r.owner)
	defer closeConn(admin)
	require.True(r.t, backoff.Poll(ctx, 50*time.Millisecond, func() bool {
		_, _ = admin.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active`, name)
		_, err := admin.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
		return err == nil
	}), "database is dropped")
	_, err := admin.Exec(ctx, "DROP ROLE "+name)
	require.NoError(r.t, err)
}

func (r *readerRig) exec(sql string) {
	r.t.Helper()
	_, err := r.owner.PgConn().Exec(context.Background(), sql).ReadAll()
	require.NoError(r.t, err)
}

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func insertStep(ctx context.Context, t *testing.T, to execer, entity string, step int) {
	t.Helper()
	_, err := to.Exec(ctx, `INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('order', $1, 'step', $2::int::text::json)`, entity, step)
	require.NoError(t, err)
}

func (r *readerRig) insert(entity string, steps ...int) {
	r.t.Helper()
	for _, step := range steps {
		insertStep(r.t.Context(), r.t, r.owner, entity, step)
	}
}

// begin opens a transaction on a connection of its own.
func (r *readerRig) begin() pgx.Tx {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.dsn)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { closeConn(conn) })
	tx, err := conn.Begin(r.t.Context())
	require.NoError(r.t, err)
	return tx
}

// start begins a session.
func (r *readerRig) start() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	s, err := r.relay.lead(ctx)
	require.NoError(r.t, err)
	require.NoError(r.t, s.begin(ctx))
	require.NoError(r.t, s.openReader(ctx))
	r.session, r.cancel, r.found, r.ended = s, cancel, make(chan found), make(chan error, 1)
	go func() { r.ended <- s.reader.run(ctx, r.found) }()
}

func (r *readerRig) stop() {
	r.cancel()
	<-r.ended
	r.session.close()
	r.cancel = nil
}

// name is what the tests call a row.
func (row *Row) name() string { return row.AggregateID + "/" + string(row.Payload) }

const readerPatience = 30 * time.Second

// await receives the next rows, which must be these, in this order.
func (r *readerRig) await(names ...string) []*Row {
	r.t.Helper()
	var rows []*Row
	var got []string
	limit := time.NewTimer(readerPatience)
	defer limit.Stop()
	for len(rows) < len(names) {
		select {
		case f := <-r.found:
			for _, row := range f.rows {
				rows, got = append(rows, row), append(got, row.name())
			}
		case err := <-r.ended:
			require.NoError(r.t, err)
		case <-limit.C:
			require.Equal(r.t, names, got)
		}
	}
	require.Equal(r.t, names, got)
	return rows
}

// finish deletes rows as the writer does.
func (r *readerRig) finish(rows ...*Row) {
	r.t.Helper()
	list := make([]finished, len(rows))
	for i, row := range rows {
		list[i] = finished{row: row}
	}
	require.NoError(r.t, r.session.remove(r.t.Context(), list))
}

// passed tells whether the noted position is beyond another one.
func (r *readerRig) passed(position string) (passed bool) {
	r.t.Helper()
	require.NoError(r.t, r.owner.QueryRow(r.t.Context(), `SELECT position > $1::text::pg_lsn FROM outbox_relay`, position).Scan(&passed))
	return passed
}

func testFindsOnce(t *testing.T, r *readerRig) {
	r.insert("a", 0, 1)
	r.start()
	r.insert("b", 0)
	r.await("a/0", "a/1", "b/0")
	r.insert("a", 2, 3)
	r.await("a/2", "a/3")
	r.insert("end", 0)
	r.await("end/0") // and nothing twice before it
}

func testFindsCommitted(t *testing.T, r *readerRig) {
	r.start()
	open, undone := r.begin(), r.begin()
	insertStep(t.Context(), t, open, "open", 0)
	insertStep(t.Context(), t, undone, "undone", 0)
	r.insert("a", 0)
	r.await("a/0")
	require.NoError(t, undone.Rollback(t.Context()))
	r.insert("a", 1)
	r.await("a/1")
	require.NoError(t, open.Commit(t.Context()))
	r.await("open/0")
}

func testFindsLate(t *testing.T, r *readerRig) {
	r.start()
	open := r.begin()
	insertStep(t.Context(), t, open, "late", 0)
	for i := range 20 {
		r.insert("a", i)
		r.finish(r.await(fmt.Sprintf("a/%d", i))...)
		backoff.Sleep(t.Context(), 50*time.Millisecond) // marks move after 300 ms
	}
	require.NoError(t, open.Commit(t.Context()))
	r.await("late/0")
}

// testFindsInOrder: the second transaction has waited for the first, and a third one that
// has nothing to do with them moves the marks meanwhile.
func testFindsInOrder(t *testing.T, r *readerRig) {
	r.exec(`CREATE TABLE works (name text PRIMARY KEY); INSERT INTO works VALUES ('e')`)
	r.start()
	first, second := r.begin(), r.begin()
	const lock = `SELECT FROM works WHERE name = 'e' FOR UPDATE`
	_, err := first.Exec(t.Context(), lock)
	require.NoError(t, err)
	insertStep(t.Context(), t, first, "e", 0)
	waited := make(chan error, 1)
	go func() {
		_, err := second.Exec(context.Background(), lock)
		waited <- err
	}()
	for i := range 10 {
		r.insert("a", i)
		r.finish(r.await(fmt.Sprintf("a/%d", i))...)
		backoff.Sleep(t.Context(), 60*time.Millisecond)
	}
	require.NoError(t, first.Commit(t.Context()))
	require.NoError(t, <-waited)
	insertStep(t.Context(), t, second, "e", 1)
	require.NoError(t, second.Commit(t.Context()))
	r.await("e/0", "e/1")
}

func testFindsWhatIsLeft(t *testing.T, r *readerRig) {
	r.start()
	r.insert("a", 0, 1, 2)
	rows := r.await("a/0", "a/1", "a/2")
	r.finish(rows[0], rows[1])
	r.stop()
	r.insert("a", 3)
	r.start()
	// The log may tell again of rows that have left, never the table. Those are not there.
	left := map[string]bool{}
	for len(left) < 2 {
		select {
		case f := <-r.found:
			for _, row := range f.rows {
				var there bool
				require.NoError(t, r.owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM outbox WHERE seq = $1)`, row.Seq).Scan(&there))
				if there {
					require.False(t, left[row.name()], row.name())
					left[row.name()] = true
				}
			}
		case err := <-r.ended:
			require.NoError(t, err)
		case <-time.After(readerPatience):
			require.Fail(t, "rows are not found", "%v", left)
		}
	}
	require.Equal(t, map[string]bool{"a/2": true, "a/3": true}, left)
}

func testFindsParked(t *testing.T, r *readerRig) {
	r.start()
	r.insert("a", 0, 1)
	rows := r.await("a/0", "a/1")
	r.session.reader.park(rows)
	r.insert("b", 0)
	r.finish(r.await("b/0")...)
	require.NoError(t, r.session.reader.reread(t.Context(), rows[0].entity(), []int64{rows[0].Seq, rows[1].Seq}))
	r.finish(r.await("a/0", "a/1")...)
	r.insert("a", 2)
	r.await("a/2")
}

func testFindsColumns(t *testing.T, r *readerRig) {
	r.start()
	r.exec(`INSERT INTO outbox (id, aggregatetype, type, payload, headers, created_at, traceparent, tracestate) VALUES
		('8d0f0a3e-54a5-4a53-8a7e-1f6d4b9f0c11', 'order', 'placed', '{ "b": 1,  "a":  "ü" }', '{"x": "y"}', '2026-01-02 03:04:05.678901+02', '00-a', 'b=c'),
		('8d0f0a3e-54a5-4a53-8a7e-1f6d4b9f0c12', 'order', 'placed', NULL, NULL, '2026-01-02 03:04:05Z', NULL, NULL)`)
	var rows []*Row
	for len(rows) < 2 {
		select {
		case f := <-r.found:
			rows = append(rows, f.rows...)
		case <-time.After(readerPatience):
			require.Fail(t, "rows are not found")
		}
	}
	full, bare := rows[0], rows[1]
	require.Equal(t, "8d0f0a3e-54a5-4a53-8a7e-1f6d4b9f0c11", full.ID)
	require.Equal(t, []string{"order", "", "placed", "00-a", "b=c"}, []string{full.AggregateType, full.AggregateID, full.Type, full.TraceParent, full.TraceState})
	require.True(t, bytes.Equal([]byte(`{ "b": 1,  "a":  "ü" }`), full.Payload), "byte for byte")
	require.JSONEq(t, `{"x": "y"}`, string(full.Headers))
	require.True(t, full.CreatedAt.Equal(time.Date(2026, 1, 2, 1, 4, 5, 678901000, time.UTC)), full.CreatedAt)
	require.Nil(t, bare.Payload)
	require.Nil(t, bare.Headers)
	require.Empty(t, bare.TraceParent+bare.TraceState)
}

// testFindsMany: nobody finishes a row before all are found, so nothing may depend on that.
func testFindsMany(t *testing.T, r *readerRig) {
	const n = 30_000
	r.start()
	r.exec(fmt.Sprintf(`INSERT INTO outbox (aggregatetype, aggregateid, type, payload) SELECT 'order', 'e-' || i, 'step', i::text::json FROM generate_series(0, %d) i`, n-1))
	for got := 0; got < n; {
		select {
		case f := <-r.found:
			for _, row := range f.rows {
				require.Equal(t, fmt.Sprintf("e-%d/%d", got, got), row.name())
				got++
			}
		case err := <-r.ended:
			require.NoError(t, err)
		case <-time.After(readerPatience):
			require.Fail(t, "rows are not found", "%d of %d", got, n)
		}
	}
}

func testLostConnection(t *testing.T, r *readerRig) {
	r.start()
	r.insert("a", 0)
	r.await("a/0")
	r.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'gateway outbox%'`)
	r.insert("a", 1)
	limit := time.After(readerPatience)
	for {
		select {
		case err := <-r.ended:
			require.Error(t, err)
			require.NotErrorIs(t, err, context.Canceled)
			r.ended <- err // for stop
			return
		case <-r.found:
		case <-limit:
			require.Fail(t, "the reader does not end")
		}
	}
}

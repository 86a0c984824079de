package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"eventgateway/internal/preflight"
)

// countLimit bounds how many rows are counted: a table may have millions.
const countLimit = 100_000

// Inspect collects what there is to know about an outbox. It changes nothing. What cannot
// be found out is left out; only without a connection or the table there is nothing.
func Inspect(ctx context.Context, c Config) preflight.OutboxFacts {
	f := preflight.OutboxFacts{Name: c.Name, Table: c.Table, WAL: c.WAL, Slot: c.Slot, Publication: c.Publication, CountLimit: countLimit}
	conn, err := connect(ctx, c.DSN, "gateway outbox "+c.Name)
	if err != nil {
		f.Unreachable = explained(err, &c)
		return f
	}
	defer closeConn(conn)
	i := inspection{ctx: ctx, conn: conn, cfg: &c, facts: &f}
	if i.table, err = inspectTable(ctx, conn, &c); err != nil {
		f.Unusable = explained(err, &c)
		return f
	}
	i.server()
	i.grants()
	i.rows()
	i.relays()
	i.holder()
	if c.WAL {
		i.log()
	}
	return f
}

// inspection is one call of Inspect.
type inspection struct {
	ctx   context.Context
	conn  *pgx.Conn
	cfg   *Config
	table *table
	facts *preflight.OutboxFacts
}

// ask runs a query that returns one row, and notes it if that fails.
func (i *inspection) ask(what, sql string, args []any, targets ...any) bool {
	ctx, cancel := context.WithTimeout(i.ctx, queryTimeout)
	defer cancel()
	err := i.conn.QueryRow(ctx, sql, args...).Scan(targets...)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		i.facts.Failed = append(i.facts.Failed, fmt.Errorf("%s: %w", what, explained(err, i.cfg)))
	}
	return err == nil
}

func (i *inspection) server() {
	f := i.facts
	i.ask("server", `SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_setting('wal_level'), current_setting('max_slot_wal_keep_size'),
		coalesce(current_setting('synchronized_standby_slots', true), ''), current_setting('synchronous_standby_names')`, nil,
		&f.VersionNumber, &f.Version, &f.WALLevel, &f.MaxSlotWALKeepSize, &f.SynchronizedStandbySlots, &f.SynchronousStandbys)
	i.ask("trigger", `SELECT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
		WHERE g.tgrelid = $1 AND g.tgenabled <> 'D' AND p.prosrc LIKE '%pg_try_advisory_xact_lock_shared%')`, []any{i.table.oid}, &f.Trigger)
	i.ask("sequence", `SELECT coalesce((SELECT seqcache FROM pg_sequence WHERE seqrelid = pg_get_serial_sequence($1, $2)::regclass), 0)`,
		[]any{i.table.table, i.cfg.plainColumn("seq")}, &f.SequenceCache)
}

// grants finds those that are missing.
func (i *inspection) grants() {
	for _, need := range []struct{ table, rights string }{
		{i.table.table, "SELECT"},
		{i.table.table, "DELETE"},
		{i.table.dead, "SELECT"},
		{i.table.dead, "INSERT"},
		{i.table.dead, "DELETE"},
		{i.table.state, "SELECT"},
		{i.table.state, "INSERT"},
		{i.table.state, "UPDATE"},
	} {
		var exists, has bool
		if i.ask("grants", `SELECT to_regclass($1) IS NOT NULL, coalesce(has_table_privilege(to_regclass($1)::oid, $2), false)`, []any{need.table, need.rights}, &exists, &has) {
			switch {
			case !exists:
				i.facts.MissingTables = appendNew(i.facts.MissingTables, need.table)
			case !has:
				i.facts.MissingGrants = append(i.facts.MissingGrants, need.rights+" ON "+need.table)
			}
		}
	}
	if i.cfg.WAL {
		i.ask("role", `SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user`, nil, &i.facts.MayReplicate)
	}
}

func appendNew(list []string, one string) []string {
	if slices.Contains(list, one) {
		return list
	}
	return append(list, one)
}

// rows counts, and finds the oldest.
func (i *inspection) rows() {
	f, seq := i.facts, i.table.column("seq")
	i.ask("rows", `SELECT count(*) FROM (SELECT FROM `+i.table.table+` LIMIT $1) r`, []any{countLimit}, &f.Backlog)
	if len(f.MissingTables) == 0 {
		i.ask("dead rows", `SELECT count(*) FROM (SELECT FROM `+i.table.dead+` WHERE source = $1 LIMIT $2) r`, []any{i.cfg.Name, countLimit}, &f.Dead)
		i.ask("state", `SELECT published FROM `+i.table.state+` WHERE source = $1`, []any{i.cfg.Name}, &f.Published)
	}
	if _, ok := i.table.columns["created_at"]; ok && f.Backlog > 0 {
		var seconds float64
		if i.ask("oldest row", `SELECT greatest(extract(epoch FROM clock_timestamp() - `+i.table.column("created_at")+`), 0)::float8 FROM `+i.table.table+` ORDER BY `+seq+` LIMIT 1`, nil, &seconds) {
			f.Oldest = time.Duration(seconds * float64(time.Second))
		}
	}
}

// relays finds the active relay by the lock that it holds.
func (i *inspection) relays() {
	f := i.facts
	high, low := keyHalves(i.table.leaderKey())
	i.ask("active relay", `SELECT a.pid, coalesce(host(a.client_addr), ''), a.backend_start FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.classid = $1 AND l.objid = $2 AND l.objsubid = 1 AND l.granted`,
		[]any{high, low}, &f.ActivePID, &f.ActiveAddress, &f.ActiveSince)
}

// holder finds the oldest transaction that keeps deleted rows from being removed.
func (i *inspection) holder() {
	f := i.facts
	var seconds float64
	found := i.ask("oldest transaction", `SELECT pid, coalesce(usename, ''), coalesce(application_name, ''), coalesce(state, ''), left(coalesce(query, ''), 200), extract(epoch FROM clock_timestamp() - xact_start)::float8
		FROM pg_stat_activity WHERE (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'
		ORDER BY xact_start LIMIT 1`, nil, &f.Holder.PID, &f.Holder.User, &f.Holder.Application, &f.Holder.State, &f.Holder.Query, &seconds)
	if found {
		f.Holder.Age = time.Duration(seconds * float64(time.Second))
	}
}

// log looks at the slot and the publication.
func (i *inspection) log() {
	f := i.facts
	if err := checkPublication(i.ctx, i.conn, i.cfg, i.table); err != nil {
		f.PublicationProblem = err
	}
	var safe *int64
	f.SlotExists = i.ask("slot", `SELECT active, coalesce(active_pid, 0), coalesce(wal_status, ''), coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint, safe_wal_size
		FROM pg_replication_slots WHERE slot_name = $1`, []any{i.cfg.Slot}, &f.SlotActive, &f.SlotPID, &f.WALStatus, &f.RetainedWAL, &safe)
	if safe != nil {
		f.SafeWAL, f.SafeWALKnown = *safe, true
	}
}

package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// slotFacts is what the database says of a replication slot.
type slotFacts struct {
	exists    bool
	plugin    string
	database  string
	here      bool // of this database
	activePID *int32
	walStatus string
	confirmed pglogrepl.LSN
}

func readSlot(ctx context.Context, conn *pgx.Conn, name string) (f slotFacts, err error) {
	var confirmed *string
	err = conn.QueryRow(ctx, `SELECT coalesce(plugin, ''), coalesce(database, ''), coalesce(database = current_database(), false), active_pid, coalesce(wal_status, ''), confirmed_flush_lsn::text
		FROM pg_replication_slots WHERE slot_name = $1`, name).Scan(&f.plugin, &f.database, &f.here, &f.activePID, &f.walStatus, &confirmed)
	if errors.Is(err, pgx.ErrNoRows) {
		return f, nil
	}
	f.exists = true
	if err == nil && confirmed != nil {
		f.confirmed, err = pglogrepl.ParseLSN(*confirmed)
	}
	return f, err
}

// checkPublication fails if the publication is not one of inserts into the table.
func checkPublication(ctx context.Context, conn *pgx.Conn, c *Config, t *table) error {
	var inserts, more, has bool
	err := conn.QueryRow(ctx, `SELECT pubinsert, pubupdate OR pubdelete OR pubtruncate,
		puballtables OR EXISTS (SELECT FROM pg_publication_rel WHERE prpubid = p.oid AND prrelid = $2)
		FROM pg_publication p WHERE pubname = $1`, c.Publication, t.oid).Scan(&inserts, &more, &has)
	create := fmt.Sprintf("CREATE PUBLICATION %s FOR TABLE %s WITH (publish = 'insert')", pgx.Identifier{c.Publication}.Sanitize(), t.table)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("publication %s does not exist: %s", c.Publication, create)
	case err != nil:
		return fmt.Errorf("read publication: %w", err)
	case !has:
		return fmt.Errorf("publication %s does not have table %s: drop it, and %s", c.Publication, c.Table, create)
	case !inserts || more:
		return fmt.Errorf("publication %s must be of inserts only: ALTER PUBLICATION %s SET (publish = 'insert')", c.Publication, pgx.Identifier{c.Publication}.Sanitize())
	}
	return nil
}

// openSlot makes sure that there is a slot. scan says that rows may be in the table that
// the slot does not tell of: it is new, or somebody has made it anew or moved it. It has
// forgotten what is before confirmed.
func (s *session) openSlot(ctx context.Context, repl *pgconn.PgConn, position, copied pglogrepl.LSN) (scan bool, confirmed pglogrepl.LSN, err error) {
	name := s.cfg.Slot
	f, err := readSlot(ctx, s.query, name)
	switch {
	case err != nil:
		return false, 0, fmt.Errorf("read replication slot: %w", err)
	case f.exists && (f.plugin != "pgoutput" || !f.here):
		return false, 0, fmt.Errorf("replication slot %s belongs to something else (plugin %q, database %q): choose another with slot", name, f.plugin, f.database)
	case s.gap(f, position, copied) && !s.acceptGap:
		return false, 0, fmt.Errorf("replication slot %s is gone, has lost its log, or was moved by somebody else: messages that were emitted since %s may be lost, and no table has them; to go on without them, run gateway outbox run --accept-gap once", name, max(position, copied))
	case f.exists && f.walStatus == "lost":
		s.logger.Warn("the replication slot has lost its log: rows are read from the table, and a new slot is made", "outbox", s.cfg.Name, "slot", name)
		if _, err := s.query.Exec(ctx, `SELECT pg_drop_replication_slot($1)`, name); err != nil {
			return false, 0, fmt.Errorf("drop lost replication slot: %w", err)
		}
		f.exists = false
	}
	if f.exists {
		if f.confirmed > position {
			s.logger.Warn("the replication slot was made or moved by somebody else, or has not been used before: rows are read from the table first", "outbox", s.cfg.Name, "slot", name)
			return true, f.confirmed, nil
		}
		rescan := s.rescan
		s.rescan = false
		return rescan, f.confirmed, nil
	}
	var level string
	if err := s.query.QueryRow(ctx, `SHOW wal_level`).Scan(&level); err != nil {
		return false, 0, err
	}
	if level != "logical" {
		return false, 0, fmt.Errorf("wal_level is %s: set wal_level = logical and restart the database, or write read: poll", level)
	}
	made, err := pglogrepl.CreateReplicationSlot(ctx, repl, name, "pgoutput", pglogrepl.CreateReplicationSlotOptions{
		Mode: pglogrepl.LogicalReplication, SnapshotAction: "NOEXPORT_SNAPSHOT",
	})
	if err == nil {
		confirmed, err = pglogrepl.ParseLSN(made.ConsistentPoint)
	}
	if err != nil {
		return false, 0, fmt.Errorf("create replication slot: %w", err)
	}
	s.logger.Info("replication slot created: rows that are there already are read from the table first", "outbox", s.cfg.Name, "slot", name)
	return true, confirmed, nil
}

// startReplication starts at a position. A slot may be held still by the connection of a
// relay that was killed: as this one has the lock of the outbox, it ends that one.
func (s *session) startReplication(ctx context.Context, repl *pgconn.PgConn, position pglogrepl.LSN) error {
	options := pglogrepl.StartReplicationOptions{PluginArgs: []string{
		"proto_version '1'", "publication_names '" + strings.ReplaceAll(pgx.Identifier{s.cfg.Publication}.Sanitize(), "'", "''") + "'",
	}}
	if s.cfg.Messages != "" {
		options.PluginArgs = append(options.PluginArgs, "messages 'true'") // PostgreSQL 14
	}
	for try := 0; ; try++ {
		err := pglogrepl.StartReplication(ctx, repl, s.cfg.Slot, position, options)
		var pg *pgconn.PgError
		if err == nil || try == 20 || !errors.As(err, &pg) || pg.Code != "55006" {
			return err
		}
		if _, err := s.query.Exec(ctx, `SELECT pg_terminate_backend(a.pid) FROM pg_replication_slots r JOIN pg_stat_activity a ON a.pid = r.active_pid
			WHERE r.slot_name = $1 AND a.usename = current_user AND a.application_name LIKE 'gateway outbox %'`, s.cfg.Slot); err != nil {
			return fmt.Errorf("end the connection that holds the slot: %w", err)
		}
		if !s.pause(ctx, 250*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// replicationConn opens a connection for replication.
func replicationConn(ctx context.Context, c *Config, name string) (*pgconn.PgConn, error) {
	cfg, err := pgconn.ParseConfig(c.listenDSN())
	if err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	if cfg.ValidateConnect == nil {
		cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	cfg.ConnectTimeout = max(cfg.ConnectTimeout, connectTimeout)
	cfg.RuntimeParams["application_name"] = name
	cfg.RuntimeParams["replication"] = "database"
	cfg.RuntimeParams["datestyle"] = "ISO" // times come as text
	cfg.RuntimeParams["timezone"] = "UTC"
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect for replication: %w; the user needs REPLICATION, and pg_hba.conf must let it in", err)
	}
	return conn, nil
}

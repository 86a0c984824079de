package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
)

const (
	// stragglerInterval is between two looks for rows that the write-ahead log has not told of.
	stragglerInterval = 15 * time.Second
	stragglerRows     = 1000
)

// sweep finds rows that are in the table although the log has passed them: somebody
// dropped the publication for a while, or took the table out of it. A row counts as one
// when it was there at the look before, and everything up to that look was received.
func (w *walReader) sweep(ctx context.Context) error {
	var before map[int64]struct{}
	var at pglogrepl.LSN
	for w.session.pause(ctx, stragglerInterval) {
		w.mu.Lock()
		passed := w.received >= at && len(w.queue) < queueRows/2
		known := make([]int64, 0, len(w.taken))
		for seq := range w.taken {
			known = append(known, seq)
		}
		w.mu.Unlock()
		seen, now, err := w.unknown(ctx, known)
		if err != nil {
			return err
		}
		var stragglers []int64
		for seq := range seen {
			if _, twice := before[seq]; twice && passed {
				stragglers = append(stragglers, seq)
			}
		}
		if len(stragglers) > 0 {
			if err := w.addStragglers(ctx, stragglers); err != nil {
				return err
			}
		}
		before, at = seen, now
	}
	return ctx.Err()
}

// unknown lists rows of the table that were not found, and the position of the log then.
func (w *walReader) unknown(ctx context.Context, known []int64) (seen map[int64]struct{}, at pglogrepl.LSN, err error) {
	seen = map[int64]struct{}{}
	t, text := w.session.table, ""
	err = w.session.check.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT `+t.column("seq")+` FROM `+t.names.table+` WHERE `+t.column("seq")+` <> ALL($1) ORDER BY 1 LIMIT $2`, known, stragglerRows)
		if err != nil {
			return err
		}
		var seq int64
		if _, err := pgx.ForEachRow(rows, []any{&seq}, func() error { seen[seq] = struct{}{}; return nil }); err != nil {
			return err
		}
		return conn.QueryRow(ctx, `SELECT pg_current_wal_lsn()::text`).Scan(&text)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("look for rows that the write-ahead log has not told of: %w", err)
	}
	at, err = pglogrepl.ParseLSN(text)
	return seen, at, err
}

// addStragglers reads rows from the table and queues them.
func (w *walReader) addStragglers(ctx context.Context, seqs []int64) error {
	var list []*Row
	t := w.session.table
	err := w.session.check.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT `+t.list+` FROM `+t.names.table+` WHERE `+t.column("seq")+` = ANY($1) ORDER BY 1`, seqs)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r := new(Row)
			var created *time.Time
			if err := rows.Scan(r.targets(&created)...); err != nil {
				return err
			}
			if created != nil {
				r.CreatedAt = *created
			}
			list = append(list, r)
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("read rows that the write-ahead log has not told of: %w", err)
	}
	w.session.logger.Warn("rows are in the table that the write-ahead log has not told of: they are published from the table; was the publication changed?",
		"outbox", w.session.cfg.Name, "rows", len(list), "publication", w.session.cfg.Publication)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range list {
		if _, known := w.taken[r.Seq]; !known {
			w.taken[r.Seq] = nil
			w.queue = append(w.queue, r)
			w.bytes += r.size()
		}
	}
	w.ring()
	return nil
}

package outbox

import (
	"context"
	"fmt"
	"strings"
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
		rows, err := conn.Query(ctx, `SELECT `+t.column("seq")+` FROM `+t.table+` WHERE `+t.column("seq")+` <> ALL($1) ORDER BY 1 LIMIT $2`, known, stragglerRows)
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

// addStragglers publishes rows that are in the table.
func (w *walReader) addStragglers(ctx context.Context, seqs []int64) error {
	w.session.logger.Warn("rows are in the table that the write-ahead log has not told of: they are published from the table; was the publication changed?",
		"outbox", w.session.cfg.Name, "rows", len(seqs), "publication", w.session.cfg.Publication)
	return w.fromTable(ctx, "", seqs)
}

// fromTable reads rows from the table and queues them: those with these numbers and, unless
// it is empty, all of an entity. A dead row that is retried must come before the others.
func (w *walReader) fromTable(ctx context.Context, entity string, seqs []int64) error {
	var list []*Row
	t := w.session.table
	where, args := ` WHERE `+t.column("seq")+` = ANY($1)`, []any{seqs}
	if kind, id, ok := strings.Cut(entity, "\x00"); ok {
		where, args = where+` OR `+t.column("aggregatetype")+` = $2 AND `+t.column("aggregateid")+` = $3`, append(args, kind, id)
	}
	err := w.session.check.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT `+t.list+` FROM `+t.table+where+` ORDER BY 1`, args...)
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
		return fmt.Errorf("read rows from the table: %w", err)
	}
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

// park lets the slot forget rows that stay in the table: they are read from there.
func (w *walReader) park(rows []*Row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range rows {
		if tx := w.taken[r.Seq]; tx != nil {
			tx.left--
		}
		w.taken[r.Seq] = nil
	}
	w.settle()
}

func (w *walReader) reread(ctx context.Context, entity string, seqs []int64) error {
	w.mu.Lock()
	for _, seq := range seqs {
		delete(w.taken, seq)
	}
	w.mu.Unlock()
	return w.fromTable(ctx, entity, seqs)
}
